"""What decides a picture, and what decides a finished image: everything that a digest is taken over."""

from thumbnails.catalog import Order
from thumbnails.keys import digest
from thumbnails.requests.models import Cell


def picture_digest(order: Order, prompt: str) -> str:
    """Of the provider's own picture: the model, its parameters, the whole prompt and the size asked for."""
    return digest(order.model.id, order.parameters, prompt, [order.width, order.height])


def image_digest(of_picture: str, cell: Cell) -> str:
    """Of a finished image: the picture, the title, the template and the font."""
    return digest(of_picture, cell.title, cell.template, cell.font)
