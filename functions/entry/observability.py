"""Logs, traces and metrics, set up once for every handler."""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from aws_xray_sdk.ext import boto_utils

logger = Logger()
tracer = Tracer(patch_modules=["botocore"])
metrics = Metrics()

#: US dollars paid to providers: by model, and together, which is what the alarm on a day's spending looks at.
SPENT = "SpentUsd"
#: The service by which they are counted.
PAYER = "generateThumbnail"


def count_spending(usd: float, model: str = "") -> None:
    """Count what a call cost.

    Args:
        usd: US dollars.
        model: who was called, where the invocation's own dimensions do not say it.
    """
    # Under one name, whichever function paid: the alarm looks at one sum.
    payer = {"service": PAYER}
    space = metrics.provider.namespace
    if model:
        with single_metric(
            SPENT, MetricUnit.NoUnit, usd, namespace=space, default_dimensions={"model": model, **payer}
        ):
            pass
    else:
        metrics.add_metric(SPENT, MetricUnit.NoUnit, usd)
    with single_metric(SPENT, MetricUnit.NoUnit, usd, namespace=space, default_dimensions=payer):
        pass


# A trace names what is asked of S3, and the key of an image has its title's words.
boto_utils.whitelist["services"].pop("s3", None)

#: A Lambda handler: (event, context) → answer.
Handler = Callable[[Any, Any], Any]


def observed(handler: Handler) -> Handler:
    """A handler that is traced, and whose log lines all name the invocation; what it answers is in neither."""
    traced = tracer.capture_lambda_handler(capture_response=False)(handler)
    logged: Handler = logger.inject_lambda_context(clear_state=True)(traced)
    return logged
