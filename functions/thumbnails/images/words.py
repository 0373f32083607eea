"""What is set over a cell's picture: its own words, in the colours, the fonts and the templates of its brand."""

from thumbnails.brands.kit import Kit
from thumbnails.catalog import TEMPLATES, Template
from thumbnails.images.overlay.compose import Logo, Words
from thumbnails.images.overlay.coverage import register
from thumbnails.requests.models import Cell, Options

#: What a kit's colours stand for in a template: its panel, scrim or glow, its text, its accent.
_COLOURS = {"colour": "background", "text": "text", "accent": "accent"}


def words_of(title: str, asked: Options | Cell, kit: Kit | None) -> Words:
    """The words and the look of one title.

    Args:
        title: the title.
        asked: the cell or the request; its template and its font are the catalogue's or the kit's.
        kit: the brand's; None where there is none.

    Raises:
        KeyError: neither the catalogue nor the kit has the template.
    """
    if kit is None:
        return Words(title, asked.template, asked.font, asked.kicker, asked.author, asked.typography)
    return Words(
        title=title,
        template=_template(asked.template, kit),
        font=_font(asked.font, kit),
        kicker=asked.kicker or kit.kicker,
        author=asked.author or kit.line,
        typography=asked.typography,
        emoji=kit.emoji,
        logo=Logo(kit.logo.data, kit.logo.height, kit.corner, kit.margin) if kit.logo else None,
    )


def _template(name: str, kit: Kit) -> Template:
    """A template in the kit's colours; what the kit's own template says of colours stays."""
    own = kit.templates.get(name)
    template = Template.model_validate({**own, "name": name}) if own is not None else TEMPLATES[name]
    said = own or {}
    brand = {field: getattr(kit.colours, colour) for field, colour in _COLOURS.items() if field not in said}
    return template.model_copy(update=brand)


def _font(name: str, kit: Kit) -> str:
    data = kit.font_files().get(name)
    if data is None:
        return name
    # Two kits may call their fonts alike, and a kit may change.
    registered = f"brand-{kit.digest[:16]}-{name}"
    register(registered, data)
    return registered
