"""A campaign's half-price batches: submitted once, looked at, taken."""

from typing import Any, Literal

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parser import BaseModel, event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext

from entry.clients import provider_keys, store
from entry.observability import count_spending, logger, metrics, observed
from entry.settings import CellSettings, settings
from thumbnails.campaigns.economy import Economy
from thumbnails.errors import ThumbnailError, UnusableAnswer
from thumbnails.images.cell import Image
from thumbnails.images.providers.batches import batches_of


class Event(BaseModel):
    """What the state machine sends: what is to be done, the campaign, and the key of its rows."""

    step: Literal["submit", "check"]
    campaign_id: str
    execution: str
    items_key: str


@observed
@metrics.log_metrics
@event_parser(model=Event)
def handler(event: Event, context: LambdaContext) -> dict[str, Any]:
    """Submit batches, or take what they have made: how many are left to submit or are open, and how long to wait.

    Raises:
        ThumbnailError: a provider or the bucket gave no answer, or a provider refuses; another call goes on from there.
    """
    logger.append_keys(run_id=event.campaign_id)
    given = settings(CellSettings)
    keys = provider_keys(given)
    economy = Economy(
        event.campaign_id,
        event.execution,
        store(),
        lambda provider: batches_of(provider, keys.get, given.provider_timeout_seconds, given.base_urls),
        lambda: context.get_remaining_time_in_millis() / 1000,
        _report,
    )
    if event.step == "submit":
        left, wait = int(not economy.submit(event.items_key)), 0
    else:
        left, wait = economy.check()
    metrics.add_metric("OpenBatches", MetricUnit.Count, left)
    logger.info("batches looked at", extra={"open": left, "wait_seconds": wait})
    return {"open": left, "wait_seconds": wait}


def _report(model: str, result: Image | ThumbnailError) -> None:
    if isinstance(result, UnusableAnswer):
        count_spending(result.usd, model)
    if isinstance(result, Image) and result.provider_seconds is not None:
        metrics.add_metric("PaidCalls", MetricUnit.Count, 1)
        count_spending(result.cost.usd, model)
