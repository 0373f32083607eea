"""The cap and every other check on a request, before anything is paid for."""

from datetime import datetime
from typing import Any

from aws_lambda_powertools.utilities.parser import BaseModel, event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext

from entry.clients import budget, store
from entry.observability import logger, observed
from entry.settings import RunSettings, settings
from thumbnails.requests.models import Task
from thumbnails.runs.open import at_once, open_run, stragglers_of


class Event(BaseModel):
    """What the state machines send: the task, the execution's name, its whole input and its start."""

    task: Task
    execution: str
    request: Any
    started: datetime | None = None


@observed
@event_parser(model=Event)
def handler(event: Event, _context: LambdaContext) -> dict[str, Any]:
    """Accept or refuse a request.

    Raises:
        InvalidBatch: the request breaks the contract.
        DailyBudgetExceeded: the day's budget has less left than the run may pay.
        StorageUnavailable: the bucket could not be read or written.
    """
    logger.append_keys(run_id=event.execution, task=event.task)
    given = settings(RunSettings)
    run_id, request = open_run(
        event.task, event.execution, event.request, store(), given.batch_cap, budget(), given.real, event.started
    )
    logger.info("request accepted", extra={"titles": len(request.titles), "models": request.models})
    return {
        "run_id": run_id,
        "execution": event.execution,
        **request.for_map(),
        **at_once(request, given.image_concurrency),
        "economy": stragglers_of(run_id, event.execution, store()),
    }
