"""Colours: how light they are, how far two stand apart, and which ones a picture has.

Relative luminance and contrast are those of WCAG 2.2 ("relative luminance", "contrast ratio").
"""

import colorsys
from collections.abc import Callable
from functools import lru_cache
from math import ceil
from typing import cast

from PIL import Image

from thumbnails.images.overlay.templates import Box
from thumbnails.images.overlay.vectors import averaged

#: Red, green and blue, 0–255.
RGB = tuple[int, int, int]

# WCAG 2.2 asks for 4.5 : 1 (SC 1.4.3); the rest is room for what the JPEG does to the picture.
CONTRAST = 5.3
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


def linear(value: float) -> float:
    """sRGB 0–1 → linear light 0–1 (IEC 61966-2-1, as WCAG 2.2 takes it up)."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


_LINEAR = [linear(value / 255) for value in range(256)]


def encoded(light: float) -> float:
    """Linear light 0–1 → sRGB 0–1."""
    return light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


def luminance(colour: RGB) -> float:
    """Relative luminance, 0–1."""
    red, green, blue = colour
    return 0.2126 * _LINEAR[red] + 0.7152 * _LINEAR[green] + 0.0722 * _LINEAR[blue]


def contrast(one: RGB, other: RGB) -> float:
    """Contrast ratio, 1–21."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def parse(colour: str) -> RGB:
    """``#rrggbb`` → red, green and blue."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def mixed(one: RGB, other: RGB, share: float) -> RGB:
    """``share`` of the other colour over one, in sRGB as a mask blends them."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def readable(colour: RGB, on: RGB, least: float = CONTRAST) -> RGB:
    """The colour, or the nearest to it towards white or black that stands out from another by the contrast."""
    towards = _WHITE if luminance(on) < 0.18 else _BLACK
    share = _least(lambda share: contrast(mixed(colour, towards, share), on) >= least)
    return mixed(colour, towards, share)


def _least(holds: Callable[[float], bool]) -> float:
    """The least share, 0–1, at which something holds that holds above it; 1 where it nowhere does."""
    low, high = 0.0, 1.0
    if holds(low):
        return low
    for _ in range(9):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


@lru_cache(maxsize=64)
def enough_opacity(colour: RGB, text: RGB) -> float:
    """How opaque a colour must be over any picture for text to reach the contrast, 0–1."""
    return _needed_over(_WHITE if luminance(text) > luminance(colour) else _BLACK, colour, text)


def needed_opacity(behind: Image.Image, colour: RGB, text: RGB) -> float:
    """How opaque a colour must be over a picture for text to reach the contrast on every pixel, 0–1.

    Args:
        behind: an RGB picture of what lies behind the text.
        colour: what is laid over it.
        text: the text's colour.
    """
    if text == _WHITE and colour == _BLACK:
        light = _brightest(behind)
        return 0.0 if light <= _DARK_ENOUGH else 1 - encoded(_DARK_ENOUGH) / encoded(light)
    light_text = luminance(text) > luminance(colour)
    # Each band's own extreme: no pixel is lighter, or darker, than all three together.
    worst = cast(RGB, tuple(ends[int(light_text)] for ends in extremes(behind)))
    return _needed_over(worst, colour, text)


def _needed_over(worst: RGB, colour: RGB, text: RGB) -> float:
    light_text = luminance(text) > luminance(colour)

    def stands_out(share: float) -> bool:
        behind = mixed(worst, colour, share)
        return contrast(behind, text) >= CONTRAST and (luminance(behind) < luminance(text)) == light_text

    return _least(stands_out)


# The luminance behind white text that gives CONTRAST: (1 + 0.05) / (L + 0.05).
_DARK_ENOUGH = 1.05 / CONTRAST - 0.05
_TO_LINEAR = [min(255, ceil(255 * light)) for light in _LINEAR] * 3
_LUMINANCE = (0.2126, 0.7152, 0.0722, 0.0)


def _brightest(picture: Image.Image) -> float:
    """The relative luminance of the brightest pixel, 0–1, rounded up."""
    return min(1.0, (extremes(picture.point(_TO_LINEAR).convert("L", _LUMINANCE))[0][1] + 1) / 255)


def extremes(picture: Image.Image) -> list[tuple[int, int]]:
    """The least and the greatest value of each band."""
    # One pass over all bands: ``getextrema`` takes each of them out first.
    counted = picture.histogram()
    found = []
    for first in range(0, len(counted), 256):
        band = [value for value, count in enumerate(counted[first : first + 256]) if count]
        found.append((band[0], band[-1]))
    return found


def tones(picture: Image.Image, part: Box) -> tuple[RGB, RGB]:
    """A deep tone of a part of a picture, that white text stands on, and its most vivid one.

    The deep one is of the hue that covers most of it, weighed by how colourful it is.
    """
    few = averaged(picture, (40, 24), part).quantize(8, Image.Quantize.MEDIANCUT)
    palette = few.getpalette() or [0, 0, 0]
    counted = cast(list[tuple[int, int]], few.getcolors() or [(1, 0)])
    found = [(count, cast(RGB, tuple(palette[3 * at : 3 * at + 3]))) for count, at in counted]
    deep = max(found, key=lambda one: one[0] * (0.15 + _colourful(one[1])))[1]
    vivid = max(found, key=lambda one: _colourful(one[1]) * (0.4 + min(1.0, one[0] / 96)))[1]
    # Nine to one: a ground for reading. What is darkened looks muddy unless it is more colourful than before.
    richer = _richer(deep, 1.5)
    return mixed(richer, _BLACK, _least(lambda share: contrast(mixed(richer, _BLACK, share), _WHITE) >= 9)), vivid


def _richer(colour: RGB, factor: float) -> RGB:
    hue, saturation, value = colorsys.rgb_to_hsv(*(band / 255 for band in colour))
    saturation = min(saturation * factor, max(saturation, 0.75))
    red, green, blue = (round(255 * band) for band in colorsys.hsv_to_rgb(hue, saturation, value))
    return red, green, blue


def _colourful(colour: RGB) -> float:
    """How far a colour is from grey, 0–1, by its bands."""
    return (max(colour) - min(colour)) / 255
