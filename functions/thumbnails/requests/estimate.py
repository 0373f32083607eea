"""What a request would make and cost at list prices, before anything is paid for."""

from collections.abc import Mapping
from dataclasses import dataclass

from thumbnails.catalog import MODELS
from thumbnails.catalog.prices import estimate_usd
from thumbnails.images.prompt import provider_prompt
from thumbnails.requests.models import Request


@dataclass(frozen=True)
class Estimate:
    """At most this: ``reuse`` and pictures that are there already cost nothing.

    Attributes:
        images: how many would be made.
        usd: what they cost, in US dollars.
    """

    images: int
    usd: float


def estimate(request: Request, measured: Mapping[tuple[str, str], float] | None = None) -> Estimate:
    """Count the images and sum up their prices.

    Args:
        request: what is asked for.
        measured: the tokens that pictures took so far, by the model and ``quality-size``; by the catalogue otherwise.
    """
    known = measured or {}
    prompts = [provider_prompt(title, request.style, request.context, request.extra_prompt) for title in request.titles]
    orders = [MODELS[model].order() for model in request.models]
    usd = sum(
        estimate_usd(order, prompt, measured=known.get((order.model.id, f"{order.quality}-{order.size}")))
        for order in orders
        for prompt in prompts
    )
    return Estimate(images=len(prompts) * len(orders), usd=round(usd, 4))
