"""What became of every row → images, failures and manifest."""

from typing import Any

from aws_lambda_powertools.utilities.parser import BaseModel, event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext

from entry.clients import budget, store
from entry.observability import logger, observed
from thumbnails.campaigns.collect import collect_campaign


class Event(BaseModel):
    """What the state machine sends: the campaign, how many rows were to be made, and the Map's error if it has one."""

    campaign_id: str
    execution: str
    rows: int
    failure: dict[str, str] | None = None


@observed
@event_parser(model=Event)
def handler(event: Event, _context: LambdaContext) -> dict[str, Any]:
    """Collect a campaign.

    Raises:
        AllImagesFailed: the campaign has no image.
        StorageUnavailable: the bucket could not be read or written.
    """
    logger.append_keys(run_id=event.campaign_id)
    result = collect_campaign(event.campaign_id, event.execution, event.rows, event.failure, store(), budget())
    logger.info("campaign collected", extra=result["images"])
    return result
