"""A contact sheet of templates and titles over the offline image API's pictures."""

from collections.abc import Sequence
from functools import partial

from thumbnails.brands.kit import Kit
from thumbnails.catalog import DEFAULT_FORMAT, MODELS, STYLES
from thumbnails.images.overlay.contact_sheet import TITLES, contact_sheet
from thumbnails.images.prompt import provider_prompt
from thumbnails.images.words import words_of
from thumbnails.requests.models import Options
from thumbs.image_api.artist import encode
from thumbs.image_api.drawing import draw


def preview_sheet(
    titles: Sequence[str],
    font: str,
    debug: bool,
    *,
    templates: Sequence[str],
    formats: Sequence[str] = (DEFAULT_FORMAT,),
    kicker: str = "",
    author: str = "",
    kit: Kit | None = None,
) -> bytes:
    """A JPEG: a row per title and format, a column per template; one title in every script where none is given.

    Args:
        titles: what to set.
        font: a font of the catalogue, or of the kit.
        debug: draw panels, boxes, ink and baselines too.
        templates: what is set in: names of the catalogue, or of the kit.
        formats: formats of the catalogue.
        kicker: a few words above every title.
        author: a line below every title.
        kit: the brand's; None where there is none.
    """
    shown = titles or TITLES
    pictures = [_picture(place, title) for place, title in enumerate(shown)]
    looks = {}
    for name in templates:
        asked = Options(template=name, font=font, kicker=kicker, author=author)
        looks[name] = partial(words_of, asked=asked, kit=kit)
    return contact_sheet(shown, pictures, debug=debug, looks=looks, formats=formats)


def _picture(place: int, title: str) -> bytes:
    order = list(MODELS.values())[place % len(MODELS)].order()
    style = list(STYLES)[place % len(STYLES)]
    return encode(draw(provider_prompt(title, style), order.model.id, order.width, order.height), "jpeg")
