"""A picture and a title → a finished thumbnail."""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import cast

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from thumbnails.images.overlay import picture as pictures
from thumbnails.images.overlay.coverage import COLOURED
from thumbnails.images.overlay.layout import Layout, measure
from thumbnails.images.overlay.templates import HEIGHT, TEMPLATES, WIDTH, Box, Typography
from thumbnails.images.overlay.typefaces import colours, render

# WCAG 2.2 asks for 4.5 : 1 (SC 1.4.3); the rest is room for what the JPEG does to the darkened picture.
CONTRAST = 4.8

# A warning is kept with its image, where S3 takes 2 kB: so many letters are named, each with so many of its marks.
NAMED, LETTER = 5, 4


@dataclass(frozen=True)
class Finished:
    """A finished thumbnail: the JPEG file, and what the person who gave the title should know about it."""

    jpeg: bytes
    warnings: tuple[str, ...]


def draw_overlay(picture: bytes, title: str, template: str, font: str, typography: Typography = "as-is") -> Finished:
    """Cut ``picture`` to 1200 × 630, set ``title`` over it in white and encode it as a JPEG.

    ``template`` and ``font`` are names of the catalogue (KeyError for others). Warnings name what could not be shown
    as asked. Raises UnusablePicture for bytes that are no picture, cut short or too large to open.
    """
    layout = measure(title, template, font, typography)
    canvas = pictures.open_picture(picture)
    darken(canvas, layout)
    sharp = _chroma_would_bleed(canvas, layout)
    draw_title(canvas, layout)
    return Finished(pictures.encode(canvas, sharp), _warnings(layout))


def prepare_title(title: str, template: str, font: str, typography: Typography = "as-is") -> None:
    """Do ahead, and keep, all that ``draw_overlay`` does for a title whatever its picture."""
    layout = measure(title, template, font, typography)
    if layout.lines:
        _title_mask(layout)
        if not TEMPLATES[template].panel:
            _shadow_and_glow(layout)


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
        warnings.append(f"the title is too long for {layout.template} even at the least size; it ends in an ellipsis")
    return tuple(warnings)


def _linear(value: float) -> float:
    """sRGB 0–1 → linear light 0–1 (IEC 61966-2-1, as WCAG 2.2 takes it up under "relative luminance")."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _encoded(light: float) -> float:
    """Linear light 0–1 → sRGB 0–1."""
    return light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


# The luminance behind white text that gives CONTRAST: (1 + 0.05) / (L + 0.05).
_DARK_ENOUGH = 1.05 / CONTRAST - 0.05
_ENOUGH_ON_WHITE = 1 - _encoded(_DARK_ENOUGH)
_TO_LINEAR = [min(255, ceil(255 * _linear(value / 255))) for value in range(256)] * 3
_LUMINANCE = (0.2126, 0.7152, 0.0722, 0.0)


def _brightest(picture: Image.Image) -> float:
    """The relative luminance (WCAG 2.2) of the brightest pixel, 0–1, rounded up."""
    return min(1.0, (_extremes(picture.point(_TO_LINEAR).convert("L", _LUMINANCE))[0][1] + 1) / 255)


def _extremes(picture: Image.Image) -> list[tuple[int, int]]:
    """The least and the greatest value of each band."""
    found = cast(list[tuple[int, int]] | tuple[int, int], picture.getextrema())
    return [cast(tuple[int, int], found)] if len(picture.getbands()) == 1 else list(cast(list[tuple[int, int]], found))


def _needed_darkness(picture: Image.Image) -> float:
    """How opaque black must be over ``picture`` for white text to reach CONTRAST on every pixel, 0–1."""
    light = _brightest(picture)
    return 0.0 if light <= _DARK_ENOUGH else 1 - _encoded(_DARK_ENOUGH) / _encoded(light)


def _grown(box: Box, by: int) -> Box:
    left, top, right, bottom = box
    return max(0, left - by), max(0, top - by), min(WIDTH, right + by), min(HEIGHT, bottom + by)


def _around(boxes: list[Box]) -> Box:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def darken(canvas: Image.Image, layout: Layout) -> None:
    """Put the template's panel, or its shadow and glow, on the canvas: as dark as the title needs on this picture."""
    template = TEMPLATES[layout.template]
    if template.panel:
        behind = canvas.crop(template.panel)
        opacity = template.panel_opacity
        if opacity < _ENOUGH_ON_WHITE:
            opacity = max(opacity, _needed_darkness(behind))
        canvas.paste(behind.point([int(value * (1 - opacity) + 0.5) for value in range(256)] * 3), template.panel)
    elif layout.lines:
        _glow(canvas, layout)


def draw_title(canvas: Image.Image, layout: Layout) -> None:
    """Set the title's runs on their baselines, in white, and emoji in their colours."""
    if layout.lines:
        box, mask = _title_mask(layout)
        emoji = _emoji(layout)
        canvas.paste("white", box, emoji[0] if emoji else mask)
        if emoji:
            canvas.paste(emoji[1], box, emoji[1])


@lru_cache(maxsize=2)
def _title_mask(layout: Layout) -> tuple[Box, Image.Image]:
    box = _around([line.ink for line in layout.lines])
    mask = Image.new("L", (box[2] - box[0], box[3] - box[1]))
    for line in layout.lines:
        for run in line.runs:
            ink, (left, top) = render(run.text, run.font, run.direction, layout.size)
            # Light adds up where two runs overlap, as it does inside one.
            mask.paste(255, (run.x + left - box[0], line.baseline + top - box[1]), ink)
    return box, mask


@lru_cache(maxsize=2)
def _emoji(layout: Layout) -> tuple[Image.Image, Image.Image] | None:
    """The title's mask without its coloured emoji, and a picture (RGBA) of those in its size, where there are any."""
    coloured = [(line, run) for line in layout.lines for run in line.runs if run.font == COLOURED]
    if not coloured:
        return None
    box, mask = _title_mask(layout)
    letters, picture = mask.copy(), Image.new("RGBA", mask.size)
    for line, run in coloured:
        emoji, (left, top) = colours(run.text, run.direction, layout.size)
        corner = run.x + left - box[0], line.baseline + top - box[1]
        letters.paste(0, (*corner, corner[0] + emoji.width, corner[1] + emoji.height))
        picture.alpha_composite(emoji, corner)
    return letters, picture


# Standard deviations of the blurs, in pixels.
_GLOW_BLUR = 46
_SHADOW_BLUR = 9
# Where the glow has faded to nothing.
_FADE = round(2.6 * _GLOW_BLUR)
_GLOW_LEAST = 0.25
_SHADOW_DROP = 4
_SHADOW_STRENGTH = 0.66
# Blurring thins the shadow of a thin stroke; this makes up for it.
_SHADOW_GAIN = 2.4
# What is measured around the ink: as far as a JPEG lets neighbours mix.
_EDGE = 3


@dataclass(frozen=True)
class _Dark:
    """The shadow and the glow of a title: where the glow reaches, where in there the shadow does, and their masks.

    ``least`` is the least value of the glow behind the title, 0–1.
    """

    reach: Box
    glow: Image.Image
    shadow_box: Box
    shadow: Image.Image
    least: float


@lru_cache(maxsize=2)
def _shadow_and_glow(layout: Layout) -> _Dark:
    """Both are blurred at a fraction of their size and enlarged: nothing in them is finer than the blur."""
    margin = TEMPLATES[layout.template].glow
    title_box, title = _title_mask(layout)
    full = (title_box[0] - margin[0], title_box[1] - margin[1], title_box[2] + margin[2], title_box[3] + margin[3])
    reach = _grown(full, _FADE)
    width, height = reach[2] - reach[0], reach[3] - reach[1]

    # The eighth has a margin of the fade all around, so that the blur sees what lies beyond the canvas.
    eighth = Image.new("L", ((width + 2 * _FADE) // 8 + 1, (height + 2 * _FADE) // 8 + 1))
    left, top, right, bottom = ((at + _FADE) / 8 for at in _within(full, reach))
    seen = (max(left, -_FADE), max(top, -_FADE), min(right, eighth.width + _FADE), min(bottom, eighth.height + _FADE))
    ImageDraw.Draw(eighth).rounded_rectangle(seen, radius=_GLOW_BLUR / 8, fill=255)
    eighth = eighth.filter(ImageFilter.GaussianBlur(_GLOW_BLUR / 8))
    part = (_FADE / 8, _FADE / 8, (_FADE + width) / 8, (_FADE + height) / 8)
    glow = eighth.resize((width, height), Image.Resampling.BILINEAR, box=part)

    ink_box = _within(title_box, reach)
    room = 4 * _SHADOW_BLUR
    left, top = max(0, ink_box[0] - room), max(0, ink_box[1] - room)
    shadow_box = left, top, min(width, ink_box[2] + room), min(height, ink_box[3] + room)
    size = shadow_box[2] - left, shadow_box[3] - top
    quarter = Image.new("L", (size[0] // 4 + 1, size[1] // 4 + 1))
    quarter.paste(title.reduce(4), (round((ink_box[0] - left) / 4), round((ink_box[1] - top + _SHADOW_DROP) / 4)))
    quarter = quarter.filter(ImageFilter.GaussianBlur(_SHADOW_BLUR / 4))
    quarter = quarter.point([int(_SHADOW_STRENGTH * min(255, _SHADOW_GAIN * value)) for value in range(256)])
    shadow = quarter.resize(size, Image.Resampling.BILINEAR, box=(0, 0, size[0] / 4, size[1] / 4))

    least = min(_extremes(glow.crop(_within(_grown(line.ink, _EDGE), reach)))[0][0] for line in layout.lines)
    return _Dark(reach, glow, shadow_box, shadow, least / 255)


def _within(box: Box, frame: Box) -> Box:
    return box[0] - frame[0], box[1] - frame[1], box[2] - frame[0], box[3] - frame[1]


def _glow(canvas: Image.Image, layout: Layout) -> None:
    dark = _shadow_and_glow(layout)
    needed = max(_needed_darkness(canvas.crop(_grown(line.ink, _EDGE))) for line in layout.lines)
    # The glow alone gives the contrast that the picture needs; the shadow lifts the letters off it.
    strength = min(1.0, max(_GLOW_LEAST, needed / dark.least))
    mask = dark.glow.point([ceil(value * strength) for value in range(256)])
    mask.paste(ImageChops.screen(mask.crop(dark.shadow_box), dark.shadow), dark.shadow_box)
    canvas.paste("black", dark.reach, mask)


# A difference in chroma that a quarter of the resolution smears visibly into white text (of 127).
_VISIBLE_CHROMA = 20


def _chroma_would_bleed(canvas: Image.Image, layout: Layout) -> bool:
    """Whether the darkened picture around the title is so colourful that 4:2:0 would tint the edges of the text."""
    for line in layout.lines:
        around = canvas.crop(_grown(line.ink, _EDGE)).reduce(2).convert("YCbCr")
        for lowest, highest in _extremes(around)[1:]:
            if lowest < 128 - _VISIBLE_CHROMA or highest > 128 + _VISIBLE_CHROMA:
                return True
    return False
