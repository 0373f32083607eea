"""What a request would make and cost at list prices, before anything is paid for: the one place that a budget asks."""

from dataclasses import dataclass

from thumbnails.catalog import MODELS
from thumbnails.catalog.prices import Measured, estimate_usd
from thumbnails.images.prompt import provider_prompt
from thumbnails.requests.models import Cell, Options, Request, order_of, variants_of


@dataclass(frozen=True)
class Estimate:
    """At most this: ``reuse`` and pictures that are there already cost nothing.

    Attributes:
        images: how many would be made.
        usd: what they cost, in US dollars.
    """

    images: int
    usd: float


def estimate(request: Request, measured: Measured | None = None) -> Estimate:
    """Count the images and sum up their prices.

    Args:
        request: what is asked for.
        measured: what pictures took so far; by the catalogue otherwise.
    """
    cells = ((request.titles[row], request.models[column]) for row, column in request.places)
    usd = sum(cell_usd(title, model, request, measured) for title, model in cells)
    return Estimate(images=request.images, usd=round(usd, 4))


def cell_usd(title: str, model: str, options: Options | Cell, measured: Measured | None = None) -> float:
    """What a title's pictures by a model will cost, in US dollars.

    Args:
        title: the title.
        model: its name in the catalogue; one that is not there any more counts as the dearest.
        options: the request's other fields, or the cell's.
        measured: what pictures took so far; by the catalogue otherwise.
    """
    prompt = provider_prompt(title, options.style, options.context, options.extra_prompt)
    models = [MODELS[model]] if model in MODELS else MODELS.values()
    pictures = variants_of(options, model)
    return max(estimate_usd(order_of(one, options), prompt, pictures, measured) for one in models)
