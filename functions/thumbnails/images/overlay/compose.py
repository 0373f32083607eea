"""A picture and a title → finished thumbnails, one for each format."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from math import ceil
from typing import Literal

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from thumbnails.images.overlay import colours
from thumbnails.images.overlay import picture as pictures
from thumbnails.images.overlay.colours import RGB, extremes
from thumbnails.images.overlay.coverage import COLOURED, Emoji
from thumbnails.images.overlay.layout import BAR_WIDTH, Layout, Line, bar_end, measure
from thumbnails.images.overlay.templates import (
    DEFAULT_FORMAT,
    DEFAULT_OUTPUT,
    FORMATS,
    Box,
    Output,
    Template,
    Typography,
)
from thumbnails.images.overlay.typefaces import colours as emoji_colours
from thumbnails.images.overlay.typefaces import render
from thumbnails.images.overlay.vectors import averaged, lay, resized

# A warning is kept with its image, where S3 takes 2 kB: so many letters are named, each with so many of its marks.
NAMED, LETTER = 5, 4


Corner = Literal["upper-left", "upper-right", "lower-left", "lower-right"]


@dataclass(frozen=True)
class Logo:
    """A brand's logo, and where it stands.

    Attributes:
        png: the picture.
        height: as a share of the canvas's shorter side.
        corner: where it stands, unless the title stands there.
        margin: from the canvas's edges, as a share of its shorter side.
    """

    png: bytes
    height: float
    corner: Corner
    margin: float


@dataclass(frozen=True)
class Words:
    """What is set over a picture, and how.

    Attributes:
        title: the title.
        template: a template, or its name in the catalogue.
        font: the catalogue's name of the font.
        kicker: a few words above the title.
        author: a line below it.
        typography: whether straight quotes and apostrophes become those of the title's language.
        emoji: how emoji are drawn.
        logo: the brand's; None where there is none.
    """

    title: str
    template: str | Template
    font: str
    kicker: str = ""
    author: str = ""
    typography: Typography = "as-is"
    emoji: Emoji = "colour"
    logo: Logo | None = None

    def on(self, format: str) -> Layout:
        """The words laid out on the canvas of a format.

        Raises:
            KeyError: the catalogue has no such template or format.
        """
        return measure(
            self.title, self.template, self.font, format, self.kicker, self.author, self.typography, self.emoji
        )


@dataclass(frozen=True)
class Finished:
    """A finished thumbnail: the file, and what the person who gave the title should know about it."""

    file: bytes
    warnings: tuple[str, ...]


def draw_formats(
    picture: bytes, words: Words, formats: Sequence[str] = (DEFAULT_FORMAT,), output: Output = DEFAULT_OUTPUT
) -> list[Finished]:
    """Set words over a picture, anew for each format.

    Args:
        picture: the provider's picture.
        words: what is set over it.
        formats: names of the catalogue.
        output: the kind of file.

    Returns:
        One thumbnail for each format. Warnings name what could not be shown as asked.

    Raises:
        UnusablePicture: the bytes are no picture, cut short or too large to open.
        KeyError: a name is not in the catalogue.
    """
    layouts = [words.on(name) for name in formats]
    opened = pictures.open_picture(picture, [(layout.place.width, layout.place.height) for layout in layouts])
    finished = []
    for layout in layouts:
        canvas = canvas_of(opened, layout)
        tones = darken(canvas, layout)
        sharp = tones.bleeds or _chroma_would_bleed(canvas, layout)
        draw_title(canvas, layout, tones)
        if words.logo:
            draw_logo(canvas, layout, words.logo)
        finished.append(Finished(pictures.encode(canvas, sharp, output), _warnings(layout)))
    return finished


def draw_overlay(picture: bytes, title: str, template: str | Template, font: str) -> Finished:
    """``draw_formats`` of a title alone, in the format and the kind of file of a request that names none."""
    return draw_formats(picture, Words(title, template, font))[0]


def prepare_title(words: Words, formats: Sequence[str] = (DEFAULT_FORMAT,)) -> None:
    """Do ahead, and keep, all that ``draw_formats`` does for words whatever their picture."""
    for layout in [words.on(name) for name in formats]:
        if layout.lines:
            _mask(layout.lines)
            _emoji(layout.lines)
            if layout.place.template.backdrop == "glow":
                _shadow_and_glow(layout)


# A panel that is this opaque hides what lies under it.
_HIDES = 0.7


def canvas_of(opened: pictures.Picture, layout: Layout) -> Image.Image:
    """The picture on the layout's canvas, in the part of it that the template gives it."""
    where = layout.place
    left, top, right, bottom = where.picture
    whole = where.picture == (0, 0, where.width, where.height)
    hidden = layout.panel if whole and where.template.opacity >= _HIDES else None
    part = opened.fitted((right - left, bottom - top), hidden)
    if part.size == (where.width, where.height):
        return part
    canvas = Image.new("RGB", (where.width, where.height))
    canvas.paste(part, (left, top))
    return canvas


def _warnings(layout: Layout) -> tuple[str, ...]:
    warnings = []
    if layout.missing:
        named = ", ".join(f"{one[:LETTER]!r} (U+{ord(one[0]):04X})" for one in layout.missing[:NAMED])
        others = f" and {len(layout.missing) - NAMED} others" if len(layout.missing) > NAMED else ""
        warnings.append(f"no shipped font has {named}{others}; left out of the title")
    for one in layout.notes.borrowed:
        lacking, words = ", ".join(one.lacking[:NAMED]), "1 word is" if one.words == 1 else f"{one.words} words are"
        more = " and others" if len(one.lacking) > NAMED else ""
        warnings.append(f"{layout.font} lacks {lacking}{more}: {words} set in {one.font}")
    if layout.notes.entities:
        warnings.append(f"HTML entities are drawn as what they mean: {' '.join(layout.notes.entities[:NAMED])}")
    if layout.shortened:
        name = layout.place.template.name
        warnings.append(f"the title is too long for {name} even at the least size; it ends in an ellipsis")
    return tuple(warnings)


@dataclass(frozen=True)
class Tones:
    """The colours of one thumbnail, as the template and the picture decide them.

    ``bleeds`` says that there are coloured letters or edges, which colour at a quarter of its resolution would smear.
    """

    ground: RGB
    text: RGB
    accent: RGB
    bleeds: bool


def _tones(canvas: Image.Image, layout: Layout) -> Tones:
    where = layout.place
    template = where.template
    deep = vivid = (0, 0, 0)
    marked = template.mark != "none" or layout.kicker is not None
    if template.colour in ("deep", "vivid") or (marked and template.accent in ("deep", "vivid")):
        deep, vivid = colours.tones(canvas, where.picture)
    taken = {"deep": deep, "vivid": vivid}
    ground = taken[template.colour] if template.colour in taken else colours.parse(template.colour)
    if template.colour in taken and template.opacity < 1:
        # The darker it is, the less of it hides the picture.
        ground = colours.mixed(ground, (0, 0, 0), 0.65)
    text = colours.parse(template.text)
    accent = taken[template.accent] if template.accent in taken else colours.parse(template.accent)
    # The kicker is small text: it is read, not only seen.
    return Tones(ground, text, colours.readable(accent, ground), marked)


def _grown(box: Box, by: int, layout: Layout) -> Box:
    left, top, right, bottom = box
    where = layout.place
    return max(0, left - by), max(0, top - by), min(where.width, right + by), min(where.height, bottom + by)


def _around(boxes: Sequence[Box]) -> Box:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def darken(canvas: Image.Image, layout: Layout) -> Tones:
    """Put what the text stands on upon the canvas: as dense as the text needs on this picture.

    Returns:
        The colours that the rest is drawn in.
    """
    template = layout.place.template
    tones = _tones(canvas, layout)
    if layout.panel:
        _panel(canvas, layout, tones)
    elif layout.lines and template.backdrop == "scrim":
        _scrim(canvas, layout, tones)
    elif layout.lines:
        _glow(canvas, layout, tones)
    if layout.kicker is None:
        return tones
    # Where something shines through, the kicker gives way and not the picture.
    light_text = colours.luminance(tones.text) > colours.luminance(tones.ground)
    behind = extremes(canvas.crop(_grown(layout.kicker.ink, _EDGE, layout)))
    red, green, blue = (ends[int(light_text)] for ends in behind)
    return replace(tones, accent=colours.readable(tones.accent, (red, green, blue)))


def _panel(canvas: Image.Image, layout: Layout, tones: Tones) -> None:
    where = layout.place
    panel = layout.panel or where.area
    opacity = where.template.opacity
    if opacity < 1 and opacity < colours.enough_opacity(tones.ground, tones.text):
        behind = _around([panel, *(_grown(line.ink, _EDGE, layout) for line in layout.every_line)])
        opacity = max(opacity, colours.needed_opacity(canvas.crop(behind), tones.ground, tones.text))
    _cover(canvas, panel, tones.ground, opacity)
    width = where.frame
    if width:
        for edge in (
            (0, 0, where.width, width),
            (0, where.height - width, where.width, where.height),
            (0, 0, width, where.height),
            (where.width - width, 0, where.width, where.height),
        ):
            canvas.paste(tones.ground, edge)
    if where.template.mark == "bar":
        canvas.paste(tones.accent, _bar(panel, layout))


def _cover(canvas: Image.Image, box: Box, colour: RGB, opacity: float) -> None:
    """Lay a colour over a part of the canvas, evenly."""
    if opacity >= 1:
        canvas.paste(colour, box)
        return
    blend = [int(value * (1 - opacity) + one * opacity + 0.5) for one in colour for value in range(256)]
    canvas.paste(canvas.crop(box).point(blend), box)


def _needed(canvas: Image.Image, layout: Layout, tones: Tones) -> float:
    """How opaque the ground must be for every line to be read in the text's colour, 0–1."""
    return max(
        (
            colours.needed_opacity(canvas.crop(_grown(line.ink, _EDGE, layout)), tones.ground, tones.text)
            for line in layout.every_line
        ),
        default=0.0,
    )


def _bar(panel: Box, layout: Layout) -> Box:
    """An upright bar along the side of the panel where lines begin: within a frame, beside the text."""
    where = layout.place
    end, wide = bar_end(where), round(BAR_WIDTH * where.unit)
    top, bottom = panel[1], panel[3]
    if where.frame:
        text = _around([line.ink for line in layout.every_line]) if layout.lines else panel
        top, bottom = text[1], text[3]
    if layout.rtl:
        return panel[2] - end, top, panel[2] - end + wide, bottom
    return panel[0] + end - wide, top, panel[0] + end, bottom


def draw_title(canvas: Image.Image, layout: Layout, tones: Tones) -> None:
    """Set the words on their baselines, emoji in their own colours, and the rule above them."""
    if layout.rule:
        canvas.paste(tones.accent, layout.rule)
    notes = [(line, colour) for line, colour in ((layout.kicker, tones.accent), (layout.author, tones.text)) if line]
    for lines, colour in [(layout.lines, tones.text), *(((line,), colour) for line, colour in notes)]:
        if lines:
            box, mask = _mask(lines)
            emoji = _emoji(lines)
            lay(canvas, box, colour, emoji[0] if emoji else mask)
            if emoji:
                canvas.paste(emoji[1], box, emoji[1])


@lru_cache(maxsize=2)
def _emoji(lines: tuple[Line, ...]) -> tuple[Image.Image, Image.Image] | None:
    """The mask of lines without their coloured emoji, and an RGBA picture of those in its size, where there are any."""
    coloured = [(line, run) for line in lines for run in line.runs if run.font == COLOURED]
    if not coloured:
        return None
    box, mask = _mask(lines)
    letters, picture = mask.copy(), Image.new("RGBA", mask.size)
    for line, run in coloured:
        emoji, (left, top) = emoji_colours(run.text, run.direction, line.size)
        corner = run.x + left - box[0], line.baseline + top - box[1]
        letters.paste(0, (*corner, corner[0] + emoji.width, corner[1] + emoji.height))
        picture.alpha_composite(emoji, corner)
    return letters, picture


@lru_cache(maxsize=16)
def _mask(lines: tuple[Line, ...]) -> tuple[Box, Image.Image]:
    box = _around([line.ink for line in lines])
    mask = Image.new("L", (box[2] - box[0], box[3] - box[1]))
    for line in lines:
        for run in line.runs:
            ink, (left, top) = render(run.text, run.font, run.direction, line.size)
            # Light adds up where two runs overlap, as it does inside one.
            mask.paste(255, (run.x + left - box[0], line.baseline + top - box[1]), ink)
    return box, mask


def draw_logo(canvas: Image.Image, layout: Layout, logo: Logo) -> None:
    """Set the logo into its corner, or into the next one where it does not touch the text."""
    picture = Image.open(BytesIO(logo.png), formats=("PNG",)).convert("RGBA")
    where = layout.place
    shorter = min(where.width, where.height)
    # A wide one is kept from filling the canvas.
    scale = min(logo.height * shorter / picture.height, 0.4 * where.width / picture.width)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    picture = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    margin = max(round(logo.margin * shorter), 2 * where.frame)
    covered = FORMATS[where.format]
    top, bottom = max(margin, covered.covered_above), where.height - max(margin, covered.covered_below) - size[1]
    left, right = margin, where.width - margin - size[0]
    places = {
        "upper-left": (left, top),
        "upper-right": (right, top),
        "lower-left": (left, bottom),
        "lower-right": (right, bottom),
    }
    wanted = [logo.corner, "upper-right", "upper-left", "lower-right", "lower-left"]
    words = [_grown(line.ink, margin // 2, layout) for line in layout.every_line]
    free = [corner for corner in wanted if not any(_meet((*places[corner], *size), box) for box in words)]
    canvas.paste(picture, places[(free or wanted)[0]], picture)


def _meet(logo: Box, box: Box) -> bool:
    left, top, width, height = logo
    return left < box[2] and box[0] < left + width and top < box[3] and box[1] < top + height


# How far above the text a scrim begins, as a share of the canvas's height, and its least strength.
_SCRIM_RISE, _SCRIM_LEAST = 0.42, 0.6


def _scrim(canvas: Image.Image, layout: Layout, tones: Tones) -> None:
    """A gradient from nothing above the text to its full strength behind it, and on to the canvas's lower edge."""
    where = layout.place
    text = _around([*(line.ink for line in layout.every_line), *([layout.rule] if layout.rule else [])])
    rise = round(_SCRIM_RISE * where.height)
    first, full = text[1] - rise, text[1] - round(0.02 * where.height)
    strength = _SCRIM_LEAST
    if strength < colours.enough_opacity(tones.ground, tones.text):
        strength = max(strength, _needed(canvas, layout, tones))
    # Rises and ends without a bend (smootherstep, Perlin 2002), so that no edge is seen.
    top, dense = max(0, first), max(0, full)
    steps = [(y - first) / (full - first) for y in range(top, dense)]
    rows = bytes(ceil(255 * strength * s * s * s * (s * (6 * s - 15) + 10)) for s in steps)
    if rows:
        column = Image.frombytes("L", (1, len(rows)), rows)
        lay(canvas, (0, top, where.width, dense), tones.ground, column)
    _cover(canvas, (0, dense, where.width, where.height), tones.ground, ceil(255 * strength) / 255)


# Standard deviations of the blurs, in pixels of a 1200 × 630 canvas.
_GLOW_BLUR = 46
_SHADOW_BLUR = 9
# Where the glow has faded to nothing, in standard deviations.
_FADE = 2.6
_GLOW_LEAST = 0.25
# From which strength on the whole canvas gets a part of it, and how much at most: a dark spot alone would look like a
# smudge on a light picture.
_STRONG, _DIMMED = 0.3, 0.8
_SHADOW_DROP = 4
_SHADOW_STRENGTH = 0.66
# Blurring thins the shadow of a thin stroke; this makes up for it.
_SHADOW_GAIN = 2.4
# What is measured around the ink: as far as a JPEG lets neighbours mix.
_EDGE = 3


# Of the size of what they are laid over: nothing in the shadow and the glow is finer than their blurs.
_COARSE = 4


@dataclass(frozen=True)
class _Dark:
    """The shadow and the glow of a title as coarse masks: where the glow reaches, and where in its mask the shadow is.

    ``least`` is the least value of the glow behind the title, 0–1.
    """

    reach: Box
    glow: Image.Image
    shadow_box: Box
    shadow: Image.Image
    least: float


@lru_cache(maxsize=8)
def _shadow_and_glow(layout: Layout) -> _Dark:
    unit = layout.place.unit
    blur, soft = _GLOW_BLUR * unit, _SHADOW_BLUR * unit
    fade = round(_FADE * blur)
    margin = [round(edge * unit) for edge in layout.place.template.glow]
    title_box, title = _mask(layout.every_line)
    full = (title_box[0] - margin[0], title_box[1] - margin[1], title_box[2] + margin[2], title_box[3] + margin[3])
    reach = _grown(full, fade, layout)
    reach = reach[0] - reach[0] % _COARSE, reach[1] - reach[1] % _COARSE, *reach[2:]
    width, height = _coarse_size(reach)

    # The eighth has a margin of the fade all around, so that the blur sees what lies beyond the canvas.
    eighth = Image.new("L", ((width + 1) // 2 + fade // 4 + 1, (height + 1) // 2 + fade // 4 + 1))
    left, top, right, bottom = ((at + fade) / 8 for at in _within(full, reach))
    seen = (max(left, -fade), max(top, -fade), min(right, eighth.width + fade), min(bottom, eighth.height + fade))
    ImageDraw.Draw(eighth).rounded_rectangle(seen, radius=blur / 8, fill=255)
    eighth = eighth.filter(ImageFilter.GaussianBlur(blur / 8))
    glow = resized(eighth, (width, height), (fade / 8, fade / 8, fade / 8 + width / 2, fade / 8 + height / 2))

    ink = _within(title_box, reach)
    room = round(4 * soft)
    shadow_box = _coarse((ink[0] - room, ink[1] - room, ink[2] + room, ink[3] + room), glow)
    shadow = Image.new("L", (shadow_box[2] - shadow_box[0], shadow_box[3] - shadow_box[1]))
    drop = round(_SHADOW_DROP * unit)
    at = round(ink[0] / _COARSE) - shadow_box[0], round((ink[1] + drop) / _COARSE) - shadow_box[1]
    shadow.paste(title.reduce(_COARSE), at)
    shadow = shadow.filter(ImageFilter.GaussianBlur(soft / _COARSE))
    shadow = shadow.point([int(_SHADOW_STRENGTH * min(255, _SHADOW_GAIN * value)) for value in range(256)])

    behind = [_coarse(_within(_grown(line.ink, _EDGE, layout), reach), glow) for line in layout.every_line]
    least = min(extremes(glow.crop(box))[0][0] for box in behind)
    return _Dark(reach, glow, shadow_box, shadow, least / 255)


def _within(box: Box, frame: Box) -> Box:
    return box[0] - frame[0], box[1] - frame[1], box[2] - frame[0], box[3] - frame[1]


def _coarse_size(box: Box) -> tuple[int, int]:
    return ceil((box[2] - box[0]) / _COARSE), ceil((box[3] - box[1]) / _COARSE)


def _coarse(box: Box, mask: Image.Image) -> Box:
    """What of a coarse mask a box of the canvas touches, measured from where the mask begins."""
    left, top = max(0, box[0] // _COARSE), max(0, box[1] // _COARSE)
    return left, top, min(mask.width, ceil(box[2] / _COARSE)), min(mask.height, ceil(box[3] / _COARSE))


def _glow(canvas: Image.Image, layout: Layout, tones: Tones) -> None:
    dark = _shadow_and_glow(layout)
    needed = _needed(canvas, layout, tones)
    # The glow alone gives the contrast that the picture needs; the shadow lifts the letters off it.
    strength = min(1.0, max(_GLOW_LEAST, needed / dark.least))
    dimmed = _DIMMED * strength * min(1.0, max(0.0, strength / _STRONG - 1))
    mask = dark.glow.point([ceil(255 * dimmed + value * (strength - dimmed)) for value in range(256)])
    mask.paste(ImageChops.screen(mask.crop(dark.shadow_box), dark.shadow), dark.shadow_box)
    reach = dark.reach
    if dimmed:
        canvas_box = (0, 0, canvas.width, canvas.height)
        whole = Image.new("L", _coarse_size(canvas_box), ceil(255 * dimmed))
        whole.paste(mask, (reach[0] // _COARSE, reach[1] // _COARSE))
        mask, reach = whole, canvas_box
    width, height = reach[2] - reach[0], reach[3] - reach[1]
    lay(canvas, reach, tones.ground, resized(mask, (width, height), (0, 0, width / _COARSE, height / _COARSE)))


# A difference in chroma that a quarter of the resolution smears visibly into white text (of 127).
_VISIBLE_CHROMA = 20


def _chroma_would_bleed(canvas: Image.Image, layout: Layout) -> bool:
    """Whether the darkened picture around the title is so colourful that 4:2:0 would tint the edges of the text."""
    for line in layout.every_line:
        around = _grown(line.ink, _EDGE, layout)
        half = ceil((around[2] - around[0]) / 2), ceil((around[3] - around[1]) / 2)
        for lowest, highest in extremes(averaged(canvas, half, around).convert("YCbCr"))[1:]:
            if lowest < 128 - _VISIBLE_CHROMA or highest > 128 + _VISIBLE_CHROMA:
                return True
    return False
