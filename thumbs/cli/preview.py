"""A contact sheet of templates and titles over the offline image API's pictures."""

from collections.abc import Sequence

from thumbnails.catalog import MODELS, STYLES
from thumbnails.images.overlay.contact_sheet import TITLES, contact_sheet
from thumbnails.images.prompt import provider_prompt
from thumbs.image_api.artist import encode
from thumbs.image_api.drawing import draw


def preview_sheet(titles: Sequence[str], font: str, debug: bool) -> bytes:
    """A JPEG: a row per title, a column per template; one title in every script where none is given.

    Args:
        titles: what to set.
        font: a font of the catalogue.
        debug: draw panels, boxes, ink and baselines too.
    """
    shown = titles or TITLES
    return contact_sheet(shown, [_picture(place, title) for place, title in enumerate(shown)], font, debug)


def _picture(place: int, title: str) -> bytes:
    order = list(MODELS.values())[place % len(MODELS)].order()
    style = list(STYLES)[place % len(STYLES)]
    return encode(draw(provider_prompt(title, style), order.model.id, order.width, order.height), "jpeg")
