"""What decides a picture, and what decides a finished image: everything that a digest is taken over."""

from dataclasses import dataclass

from thumbnails.brands.kit import Kit
from thumbnails.catalog import MODELS, Order
from thumbnails.images.prompt import provider_prompt
from thumbnails.keys import digest
from thumbnails.requests.models import Cell, Options, order_of


@dataclass(frozen=True)
class Picture:
    """A provider's picture, before it is made: what is asked for, with which prompt, and the digest of both."""

    order: Order
    prompt: str
    digest: str


def picture_of(title: str, model: str, options: Options | Cell) -> Picture:
    """The picture of a title by a model of the catalogue, as the other fields of a request or a cell decide it."""
    order = order_of(MODELS[model], options)
    prompt = provider_prompt(title, options.style, options.context, options.extra_prompt)
    return Picture(order, prompt, picture_digest(order, prompt))


def picture_digest(order: Order, prompt: str) -> str:
    """Of the provider's own picture: the model, its parameters, the whole prompt and the size asked for."""
    return digest(order.model.id, order.parameters, prompt, [order.width, order.height])


def image_digest(of_picture: str, cell: Cell, kit: Kit | None = None) -> str:
    """Of a cell's finished images: the picture, the words, and all that decides how they are drawn."""
    own = {name: getattr(cell, name) for name in ("formats", "output", "kicker", "author", "typography")}
    # What says nothing changes nothing: an image from before there was such a field is still the one.
    said = {name: value for name, value in own.items() if value != Cell.model_fields[name].default}
    if kit:
        said["kit"] = kit.digest
    return digest(of_picture, cell.title, cell.template, cell.font, *([said] if said else []))
