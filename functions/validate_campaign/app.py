"""The budget and every other check on a campaign and its file, before anything is paid for."""

from datetime import datetime
from typing import Any

from aws_lambda_powertools.utilities.parser import BaseModel, event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext

from entry.clients import budget, store
from entry.observability import logger, observed
from entry.settings import CheckSettings, settings
from thumbnails.campaigns.open import open_campaign


class Event(BaseModel):
    """What the state machine sends: the execution's name, its whole input and its start."""

    execution: str
    request: Any
    started: datetime | None = None


@observed
@event_parser(model=Event)
def handler(event: Event, _context: LambdaContext) -> dict[str, Any]:
    """Accept or refuse a campaign.

    Raises:
        InvalidBatch: the request or its file breaks the contract.
        DailyBudgetExceeded: the day's budget has less left than its first row may pay.
        StorageUnavailable: the bucket could not be read or written.
    """
    logger.append_keys(run_id=event.execution)
    given = settings(CheckSettings)
    campaign = open_campaign(
        event.execution, event.request, store(), given.batch_cap, budget(), given.real, event.started
    )
    logger.info("campaign accepted", extra={"rows": campaign["rows"], "campaign_id": campaign["campaign_id"]})
    return campaign
