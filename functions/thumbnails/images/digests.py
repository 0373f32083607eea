"""What decides a picture, and what decides a finished image: everything that a digest is taken over."""

from dataclasses import dataclass

from thumbnails.brands.kit import Kit
from thumbnails.catalog import MODELS, Order
from thumbnails.images.prompt import provider_prompt
from thumbnails.keys import digest
from thumbnails.requests.models import Cell, Options


@dataclass(frozen=True)
class Picture:
    """A provider's picture, before it is made: what is asked for, with which prompt, and the digest of both."""

    order: Order
    prompt: str
    digest: str


def picture_of(title: str, model: str, options: Options | Cell) -> Picture:
    """The picture of a title by a model of the catalogue, as the other fields of a request or a cell decide it."""
    order = MODELS[model].order(options.quality)
    prompt = provider_prompt(title, options.style, options.context, options.extra_prompt)
    return Picture(order, prompt, picture_digest(order, prompt))


def picture_digest(order: Order, prompt: str) -> str:
    """Of the provider's own picture: the model, its parameters, the whole prompt and the size asked for."""
    return digest(order.model.id, order.parameters, prompt, [order.width, order.height])


def image_digest(of_picture: str, cell: Cell, kit: Kit | None = None) -> str:
    """Of a finished image: the picture, the title, the template and the font, and the brand kit where there is one."""
    return digest(of_picture, cell.title, cell.template, cell.font, *((kit.digest,) if kit else ()))
