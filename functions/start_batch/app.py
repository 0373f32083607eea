"""Events → runs: a file dropped into the inbox, a request on the bus, the schedule."""

import os
from typing import Any

from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.parser.models import EventBridgeModel
from aws_lambda_powertools.utilities.typing import LambdaContext

from thumbnails.starts import execution_for, state_machine

logger = Logger()
tracer = Tracer(patch_modules=["botocore"])


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@event_parser(model=EventBridgeModel)
def handler(event: EventBridgeModel, _context: LambdaContext) -> dict[str, Any]:
    """Start one run for an event, however often it is delivered."""
    envelope = event.model_dump(by_alias=True, exclude_none=True, mode="json")
    name, request = execution_for(envelope, os.environ["SCHEDULED_KEY"])
    logger.append_keys(run_id=name)
    started = state_machine().start(name, request)
    logger.info("run started" if started else "run was started before", extra={"event_id": event.id})
    return {"run_id": name, "started": started}
