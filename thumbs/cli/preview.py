"""A contact sheet of templates and titles over the offline image API's pictures."""

from collections.abc import Mapping, Sequence

from thumbnails.catalog import DEFAULT_FORMAT, MODELS, STYLES, TEMPLATES, Template
from thumbnails.images.overlay.contact_sheet import TITLES, contact_sheet
from thumbnails.images.prompt import provider_prompt
from thumbs.image_api.artist import encode
from thumbs.image_api.drawing import draw


def preview_sheet(
    titles: Sequence[str],
    font: str,
    debug: bool,
    *,
    templates: Mapping[str, Template] = TEMPLATES,
    formats: Sequence[str] = (DEFAULT_FORMAT,),
    kicker: str = "",
    author: str = "",
) -> bytes:
    """A JPEG: a row per title and format, a column per template; one title in every script where none is given.

    Args:
        titles: what to set.
        font: a font of the catalogue.
        debug: draw panels, boxes, ink and baselines too.
        templates: what is set in, by their names.
        formats: formats of the catalogue.
        kicker: a few words above every title.
        author: a line below every title.
    """
    shown = titles or TITLES
    pictures = [_picture(place, title) for place, title in enumerate(shown)]
    return contact_sheet(
        shown, pictures, font, debug, templates=templates, formats=formats, kicker=kicker, author=author
    )


def _picture(place: int, title: str) -> bytes:
    order = list(MODELS.values())[place % len(MODELS)].order()
    style = list(STYLES)[place % len(STYLES)]
    return encode(draw(provider_prompt(title, style), order.model.id, order.width, order.height), "jpeg")
