"""One cell of the matrix."""

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from snapshot_restore_py import register_before_snapshot

from entry.clients import budget, provider_keys, store
from entry.observability import count_spending, logger, metrics, observed, tracer
from entry.settings import CellSettings, settings
from thumbnails.catalog import Order
from thumbnails.errors import ProgramFault, ThumbnailError, UnusableAnswer, cut
from thumbnails.images.cell import Image, warm_up
from thumbnails.images.pace import Pause, make_or_wait
from thumbnails.images.providers import generate_picture, warm_up_adapters
from thumbnails.images.providers.answers import Answer
from thumbnails.requests.checks import parse_cell
from thumbnails.requests.estimate import cell_usd
from thumbnails.requests.models import Cell
from thumbnails.runs.costs import measured_tokens
from thumbnails.runs.failures import BILLED, MESSAGE_BYTES
from thumbnails.runs.gallery import show_in_gallery


@observed
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Make one image, or find it, or say how long its provider wants to be left alone.

    Raises:
        ThumbnailError: of any kind in ``thumbnails.errors``; its class name is what the state machine matches, and its
            message is one that the states of a whole run have room for.
    """
    try:
        cell = parse_cell(event, run_id=context.aws_request_id, real=settings(CellSettings).real)
        logger.append_keys(run_id=cell.run_id, row=cell.row, column=cell.column, model=cell.model)
        metrics.add_dimension("model", cell.model)
        answer = _make(cell, alone=cell.run_id == context.aws_request_id)
    except ThumbnailError as error:
        name = type(error).__name__
        logger.warning("image failed", extra={"error": name, "reason": str(error)})
        metrics.add_metric("ImagesFailed", MetricUnit.Count, 1)
        metrics.add_metric("PaidCalls", MetricUnit.Count, int(name in BILLED))
        if isinstance(error, UnusableAnswer):
            count_spending(error.usd)
        error.args = (cut(str(error), MESSAGE_BYTES),)
        raise
    except Exception as error:
        logger.exception("the program failed")
        metrics.add_metric("ImagesFailed", MetricUnit.Count, 1)
        raise ProgramFault(cut(f"{type(error).__name__}: {error}", MESSAGE_BYTES)) from None
    if isinstance(answer, Pause):
        logger.info("provider wants a pause", extra={"seconds": answer.seconds, "waits": answer.cell.waits})
        metrics.add_metric("ProviderWaits", MetricUnit.Count, 1)
    else:
        _report(answer)
    return answer.as_json()


def _make(cell: Cell, *, alone: bool) -> Image | Pause:
    """One image, of a run that has reserved for it, or one that is asked for alone and reserves for itself."""
    if not alone:
        return make_or_wait(cell, store(), _generate)
    measured = measured_tokens(store(), [cell.model])
    reserved = budget().reserve(cell.run_id, cell_usd(cell.title, cell.model, cell, measured))
    usd = 0.0
    try:
        answer = make_or_wait(cell, store(), _generate)
        usd = answer.cost.usd if isinstance(answer, Image) and answer.paid_calls else 0.0
    except UnusableAnswer as error:
        usd = error.usd
        raise
    finally:
        budget().settle(reserved.date, cell.run_id, usd)
    show_in_gallery(cell.run_id, None, store())
    return answer


@register_before_snapshot
def prepare() -> None:
    """Do once, where a snapshot serves many environments (SnapStart), what each would do at its first image."""
    warm_up_adapters()
    store().warm_up()
    warm_up()


def _generate(order: Order, prompt: str) -> Answer:
    given = settings(CellSettings)
    keys = provider_keys(given)
    with tracer.provider.in_subsegment("## provider call"):
        return generate_picture(order, prompt, keys.get, given.provider_timeout_seconds, given.base_urls, keys.renewed)


def _report(image: Image) -> None:
    metrics.add_metric("Images", MetricUnit.Count, 1 + len(image.variants))
    metrics.add_metric("PaidCalls", MetricUnit.Count, int(image.provider_seconds is not None))
    if image.provider_seconds is not None:
        metrics.add_metric("ProviderLatency", MetricUnit.Seconds, image.provider_seconds)
        count_spending(image.cost.usd)
    called = image.provider_seconds is not None
    logger.info("image stored", extra={"model_called": called, "warnings": image.warnings})
