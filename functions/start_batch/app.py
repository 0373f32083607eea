"""Events → runs: a file dropped into the inbox, a request on the bus, the schedule."""

from typing import Any

from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.parser.models import EventBridgeModel
from aws_lambda_powertools.utilities.typing import LambdaContext

from entry.clients import batches, store
from entry.observability import logger, observed
from entry.settings import EventSettings, settings
from thumbnails.keys import S3Object
from thumbnails.runs.submit import start_for_event


@observed
@event_parser(model=EventBridgeModel)
def handler(event: EventBridgeModel, _context: LambdaContext) -> dict[str, Any]:
    """Start one run for an event, however often it is delivered.

    Raises:
        InvalidBatch: Step Functions takes no such request.
        OrchestrationUnavailable: Step Functions could not be asked.
        StorageUnavailable: a large event could not be kept.
    """
    envelope = event.model_dump(by_alias=True, exclude_none=True, mode="json")
    given = settings(EventSettings)
    run_id, started = start_for_event(envelope, S3Object(given.bucket, given.scheduled_key, None), batches(), store())
    message = "run started" if started else "run was started before"
    logger.info(message, extra={"run_id": run_id, "event_id": event.id})
    return {"run_id": run_id, "started": started}
