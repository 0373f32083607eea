"""Which part of a picture stays when it is cut to another shape: where it has its detail, not always its centre.

The measure is one of our own, on a picture of a hundred pixels: how much its edges and its colours stand out. A title's
panel counts: what lies under it is not seen.
"""

from collections.abc import Callable
from functools import lru_cache
from math import pi, sin
from operator import mul
from typing import cast

from PIL import Image, ImageChops, ImageFilter, ImageStat

from thumbnails.images.overlay.templates import Box

#: Left, upper, right and lower edge within a picture, in its pixels.
Crop = tuple[float, float, float, float]

_LOOKED_AT = 96
# Of a picture's width or height: less is cut off its two ends alike.
_LITTLE = 0.04
# What the middle is worth beside the detail, so that an even picture is cut at its centre; what detail is worth that is
# covered, and at the edge.
_MIDDLE, _COVERED, _EDGE = 0.25, 0.1, 0.3


def detail(picture: Image.Image) -> Image.Image:
    """How much each part of a picture draws the eye, 0–255, as a picture of at most 96 pixels a side.

    Edges of lightness, and how far a colour is from the picture's own mean.
    """
    small = (
        picture.copy() if max(picture.size) <= _LOOKED_AT else picture.reduce(max(1, max(picture.size) // _LOOKED_AT))
    )
    if small.mode == "RGBA":
        white = Image.new("RGB", small.size, "white")
        white.paste(small, mask=small.getchannel("A"))
        small = white
    small = small.convert("RGB")
    light = small.convert("L")
    edges = ImageChops.difference(light, light.filter(ImageFilter.GaussianBlur(2)))
    mean = tuple(round(value) for value in ImageStat.Stat(small).mean)
    colours = ImageChops.difference(small, Image.new("RGB", small.size, cast(tuple[int, int, int], mean))).convert("L")
    return ImageChops.add(edges.point([min(255, 3 * value) for value in range(256)]), colours, scale=1.5).filter(
        ImageFilter.GaussianBlur(1.5)
    )


def choose(
    picture: Image.Image,
    size: tuple[int, int],
    hidden: Box | None = None,
    look: Callable[[Image.Image], Image.Image] = detail,
) -> Crop:
    """The part of a picture that fills a canvas.

    Args:
        picture: an upright picture.
        size: the canvas's width and height in pixels.
        hidden: what of the canvas will be covered, in its pixels.
        look: finds the picture's detail, where it has to be known.
    """
    width, height = picture.size
    scale = min(width / size[0], height / size[1])
    spare_x, spare_y = max(0.0, width - size[0] * scale), max(0.0, height - size[1] * scale)
    share_x = share_y = 0.5
    if spare_x > _LITTLE * width:
        share_x = _place(look(picture), spare_x / width, _seen(size, hidden, 0))
    elif spare_y > _LITTLE * height:
        share_y = _place(look(picture).transpose(Image.Transpose.TRANSPOSE), spare_y / height, _seen(size, hidden, 1))
    left, top = spare_x * share_x, spare_y * share_y
    return left, top, width - (spare_x - left), height - (spare_y - top)


def _seen(size: tuple[int, int], hidden: Box | None, axis: int) -> tuple[float, float]:
    """The part of the canvas along an axis, 0–1, that nothing opaque covers across its whole breadth."""
    if hidden is None:
        return 0.0, 1.0
    across = 1 - axis
    if hidden[across] > 0 or hidden[2 + across] < size[across]:
        return 0.0, 1.0
    first, last = hidden[axis] / size[axis], hidden[2 + axis] / size[axis]
    return (last, 1.0) if first <= 1 - last else (0.0, first)


def _place(found: Image.Image, spare: float, seen: tuple[float, float]) -> float:
    """Where along its width a window is moved to, as a share of what is spare: 0 is the left end, 0.5 the middle."""
    # Squared, so that a few strong columns outweigh many faint ones.
    columns = [(value / 255) ** 2 for value in found.resize((found.width, 1), Image.Resampling.BOX).tobytes()]
    total = sum(columns) or 1.0
    best, at = -1.0, 0.5
    for share, first, worths in _windows(len(columns), spare, seen):
        worth = sum(map(mul, columns[first : first + len(worths)], worths)) / total
        worth -= _MIDDLE * spare * (2 * share - 1) ** 2
        if worth > best + 1e-9:
            best, at = worth, share
    return at


@lru_cache(maxsize=16)
def _windows(count: int, spare: float, seen: tuple[float, float]) -> list[tuple[float, int, list[float]]]:
    """Each place that a window may have among columns: its share, its first column, and what each of its is worth.

    It is the same for all pictures of one size, and takes longer than to look at one.
    """
    window = (1 - spare) * count
    windows = []
    for share in (step / 40 for step in range(41)):
        left = share * spare * count
        inside = [at for at in range(count) if 0 <= at + 0.5 - left <= window]
        windows.append((share, inside[0], [_worth((at + 0.5 - left) / window, seen) for at in inside]))
    return windows


def _worth(within: float, seen: tuple[float, float]) -> float:
    """What detail at a place of the window, 0–1, is worth: most in the middle of what is seen, least at its edge, where
    it looks cut off, and under what covers it."""
    first, last = seen
    if not first <= within <= last:
        return _COVERED
    return _EDGE + (1 - _EDGE) * sin(pi * (within - first) / (last - first))
