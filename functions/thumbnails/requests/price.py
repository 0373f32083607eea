"""What a picture costs: the one place that a budget asks."""

from thumbnails.catalog import MODELS
from thumbnails.images.prompt import provider_prompt
from thumbnails.requests.models import Cell, Request


def picture_usd(model: str, prompt: str) -> float:
    """What one picture of a model costs at list prices, in US dollars; the dearest's price where it has none.

    Args:
        model: its name in the catalogue; one that is not there any more counts as the dearest.
        prompt: the whole provider prompt.
    """
    del prompt  # Every price of the catalogue is one of a picture.
    known = MODELS.get(model)
    if known and known.price_usd is not None:
        return known.price_usd
    return max(other.price_usd or 0.0 for other in MODELS.values())


def prompt_of(request: Request | Cell, title: str) -> str:
    """The prompt that a title's pictures are made from."""
    return provider_prompt(title, request.style, request.context, request.extra_prompt)
