"""One cell of the matrix."""

import os
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from snapshot_restore_py import register_before_snapshot

from thumbnails.catalog import Model
from thumbnails.cell import Image, make_thumbnail, rehearse
from thumbnails.errors import ThumbnailError
from thumbnails.keys import provider_key
from thumbnails.providers import generate_picture, rehearse_adapters
from thumbnails.request import Cell
from thumbnails.results import BILLED
from thumbnails.store import bucket_store

logger = Logger()
tracer = Tracer(patch_modules=["botocore"])
metrics = Metrics()


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Make one image, or find it.

    Raises:
        ThumbnailError: of any kind in ``thumbnails.errors``; its class name is what the state machine matches.
    """
    try:
        cell = Cell.parse(event, run_id=context.aws_request_id)
        logger.append_keys(run_id=cell.run_id, row=cell.row, column=cell.column, model=cell.model)
        metrics.add_dimension("model", cell.model)
        image = make_thumbnail(cell, bucket_store(), _generate)
    except ThumbnailError as error:
        name = type(error).__name__
        logger.warning("image failed", extra={"error": name, "reason": str(error)})
        metrics.add_metric("ImagesFailed", MetricUnit.Count, 1)
        metrics.add_metric("PaidCalls", MetricUnit.Count, int(name in BILLED))
        raise
    _report(image)
    return image.as_json()


@register_before_snapshot
def prepare() -> None:
    """Do once, where a snapshot serves many environments (SnapStart), what each would do at its first image."""
    rehearse_adapters()
    bucket_store().rehearse()
    rehearse()


def _generate(model: Model, prompt: str) -> bytes:
    with tracer.provider.in_subsegment("## provider call"):
        return generate_picture(model, prompt, provider_key, float(os.environ["PROVIDER_TIMEOUT_SECONDS"]))


def _report(image: Image) -> None:
    metrics.add_metric("Images", MetricUnit.Count, 1)
    metrics.add_metric("PaidCalls", MetricUnit.Count, int(image.provider_seconds is not None))
    if image.provider_seconds is not None:
        metrics.add_metric("ProviderLatency", MetricUnit.Seconds, image.provider_seconds)
    called = image.provider_seconds is not None
    logger.info("image stored", extra={"key": image.key, "model_called": called, "warnings": image.warnings})
