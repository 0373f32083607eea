"""What decides a picture, and what decides a finished image: everything that a digest is taken over."""

from thumbnails.catalog import Model
from thumbnails.keys import digest
from thumbnails.requests.models import Cell


def picture_digest(model: Model, prompt: str) -> str:
    """Of the provider's own picture: the model, its parameters, the whole prompt and the size asked for."""
    return digest(model.id, model.parameters, prompt, [model.width, model.height])


def image_digest(of_picture: str, cell: Cell) -> str:
    """Of a finished image: the picture, the title, the template and the font."""
    return digest(of_picture, cell.title, cell.template, cell.font)
