"""The budget and every other check on a campaign and its file, before anything is paid for."""

import os
from typing import Any

from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.parser import BaseModel, event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext

from thumbnails.campaigns import open_campaign
from thumbnails.store import bucket_store

logger = Logger()
tracer = Tracer(patch_modules=["botocore"])


class Event(BaseModel):
    """What the state machine sends: the execution's name and its whole input."""

    execution: str
    request: Any


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@event_parser(model=Event)
def handler(event: Event, _context: LambdaContext) -> dict[str, Any]:
    """Accept or refuse a campaign.

    Raises:
        InvalidBatch: the request or its file breaks the contract.
        StorageUnavailable: the bucket could not be read or written.
    """
    logger.append_keys(run_id=event.execution)
    campaign = open_campaign(event.execution, event.request, bucket_store(), int(os.environ["BATCH_CAP"]))
    logger.info("campaign accepted", extra={"rows": campaign["rows"], "campaign_id": campaign["campaign_id"]})
    return campaign
