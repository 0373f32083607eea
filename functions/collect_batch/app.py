"""Cells → matrix + failures + manifest."""

from typing import Any

from aws_lambda_powertools.utilities.parser import BaseModel, event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext

from entry.clients import budget, store
from entry.observability import logger, observed
from thumbnails.requests.models import Task
from thumbnails.runs.collect import collect_run


class Event(BaseModel):
    """What the state machines send: task, run, execution, and a finished image or a failure for each cell."""

    task: Task
    run_id: str
    execution: str
    cells: list[dict[str, Any]]


@observed
@event_parser(model=Event)
def handler(event: Event, _context: LambdaContext) -> dict[str, Any]:
    """Collect a run.

    Raises:
        AllImagesFailed: no cell has an image.
        StorageUnavailable: the bucket could not be read or written.
    """
    logger.append_keys(run_id=event.run_id, task=event.task)
    result = collect_run(event.task, event.run_id, event.execution, event.cells, store(), budget())
    logger.info("run collected", extra=result["images"])
    return result
