"""What a request would make and cost at list prices, before anything is paid for."""

from dataclasses import dataclass

from thumbnails.catalog import MODELS
from thumbnails.requests.models import Request


@dataclass(frozen=True)
class Estimate:
    """At most this: ``reuse`` and pictures that are there already cost nothing.

    Attributes:
        images: how many would be made.
        usd: their list price; None where no model of the request has one.
        unpriced: models that ``usd`` leaves out, because no price per picture is published for them.
    """

    images: int
    usd: float | None
    unpriced: list[str]


def estimate(request: Request) -> Estimate:
    """Count the images and sum up their prices."""
    prices = {model: MODELS[model].price_usd for model in request.models}
    priced = [price for price in prices.values() if price is not None]
    rows = len(request.titles)
    return Estimate(
        images=rows * len(prices),
        usd=round(rows * sum(priced), 4) if priced else None,
        unpriced=[model for model, price in prices.items() if price is None],
    )
