"""What scenes are drawn on: a picture with brushes whose edges are smooth, in shares of its width and height.

Every x is a share of the width and every y a share of the height; sizes are shares of the height. Edges are smoothed by
drawing masks at twice the size in their own box only, which costs a tenth of drawing the whole picture larger.
"""

import math
import random
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from PIL import Image, ImageDraw, ImageFilter, ImageOps

from thumbs.image_api.drawing.palettes import Color, Palette, lit, mix

Point = tuple[float, float]
# About 6 MB each.
_BACKDROPS_KEPT = 20
_backdrops: dict[tuple[object, ...], Image.Image] = {}
_backdrops_lock = threading.Lock()
_NEAREST = Image.Resampling.NEAREST
_BILINEAR = Image.Resampling.BILINEAR


@dataclass(frozen=True)
class Look:
    """How a style draws: what its brushes do while a scene is drawn."""

    flat: bool = False
    smooth: bool = False
    ink: Color | None = None
    ink_width: float = 0.004
    shadows: bool = False
    rims: bool = False
    on_paper: bool = False
    puffy_clouds: bool = False
    sparse: bool = False
    glows: float = 1.0
    shaded: bool = False


@lru_cache(maxsize=64)
def _radial(size: int, strength: int) -> Image.Image:
    # Falls off like light: steep near the middle, long towards the rim.
    curve = [round(strength * max(0.0, 1 - value / 181) ** 2.2) for value in range(256)]
    return Image.radial_gradient("L").point(curve).resize((size, size), _BILINEAR)


class Stage:
    """A picture in the making."""

    def __init__(
        self, width: int, height: int, palette: Palette, look: Look, *, rng: random.Random, light: Point
    ) -> None:
        self.width, self.height = width, height
        self.palette, self.look, self.rng = palette, look, rng
        self.light = light
        self.image = Image.new("RGB", (width, height), palette.horizon)
        self.has_sun = False
        self._rims_drawn = 0

    # Areas

    def gradient(self, stops: Sequence[Color], top: float = 0.0, bottom: float = 1.0) -> None:
        """Fill a band of the full width from its first colour at the top to its last."""
        first, last = round(top * self.height), round(bottom * self.height)
        if last > first:
            self.image.paste(self._ramp(stops, last - first), (0, first))

    def glow(self, x: float, y: float, radius: float, color: Color, strength: float = 1.0) -> None:
        """Light that falls off around a point."""
        size = max(2, round(2 * radius * self.height))
        opacity = round(255 * min(1.0, strength * self.look.glows))
        if opacity > 0:
            mask = _radial(size, opacity)
            self._paste(color, round(x * self.width - size / 2), round(y * self.height - size / 2), mask)

    def shapes(self, outlines: Iterable[Sequence[Point]], color: Color, opacity: float = 1.0, ink: bool = True) -> None:
        """Fill polygons with one colour."""
        pixels = [[(x * self.width, y * self.height) for x, y in outline] for outline in outlines]
        self._fill(pixels, color, opacity)
        if ink and self.look.ink and opacity > 0.5:
            self._strokes([[*outline, outline[0]] for outline in pixels], self.look.ink, self._ink_width())

    def strokes(self, lines: Iterable[Sequence[Point]], color: Color, width: float, opacity: float = 1.0) -> None:
        """Draw lines of one colour and width."""
        pixels = [[(x * self.width, y * self.height) for x, y in line] for line in lines]
        self._strokes(pixels, color, max(0.8, width * self.height), opacity)

    def discs(self, circles: Iterable[tuple[float, float, float]], color: Color, opacity: float = 1.0) -> None:
        """Fill circles (x, y, radius) with one colour."""
        circles = list(circles)
        if not circles:
            return
        w, h = self.width, self.height
        boxes = [(x * w - r * h, y * h - r * h, x * w + r * h, y * h + r * h) for x, y, r in circles]
        self._ellipses(boxes, color, opacity)
        if self.look.ink and opacity > 0.9:
            rings = [[point_on(x, y, r, angle / 24, w / h) for angle in range(25)] for x, y, r in circles if r > 0.012]
            self.strokes(rings, self.look.ink, self.look.ink_width)

    def ball(self, x: float, y: float, radius: float, color: Color) -> None:
        """A sphere in the scene's light."""
        size = max(4, round(2 * radius * self.height))
        disc, bright, dark = _shading(size, self.light[0] < x)
        sphere = Image.new("RGB", (size, size), color)
        sphere.paste(Image.new("RGB", (size, size), lit(color, 0.32)), (0, 0), dark)
        sphere.paste(Image.new("RGB", (size, size), mix(color, self.palette.light, 0.8)), (0, 0), bright)
        self.image.paste(sphere, (round(x * self.width - size / 2), round(y * self.height - size / 2)), disc)
        if self.look.ink:
            ring = [point_on(x, y, radius, angle / 36, self.width / self.height) for angle in range(37)]
            self.strokes([ring], self.look.ink, self.look.ink_width)

    def layer(self, ridge: Sequence[Point], top: Color, bottom: Color | None = None, reach: float = 0.5) -> None:
        """Fill everything below a line that runs from left to right, from ``top`` at the line to ``bottom`` below."""
        w, h = self.width, self.height
        line = [(x * w, y * h) for x, y in ridge]
        first = max(0, math.floor(min(y for _, y in line)))
        last = min(h, math.ceil(max(y for _, y in line)) + 1)
        if first >= h:
            return
        if self.look.shadows:
            self._shadow(line, first, last)
        stops = [top] if bottom is None or self.look.flat else [top, bottom]
        span = min(h - first, max(last - first, round(reach * h), 2))
        fill = self._ramp(stops, span)
        if last > first:
            mask = self._mask((0, first, w, last), [[*line, (w, h), (0, h)]])
            self.image.paste(fill.crop((0, 0, w, last - first)), (0, first), mask)
        self.image.paste(fill.crop((0, last - first, w, span)), (0, last))
        if first + span < h:
            self.image.paste(stops[-1], (0, first + span, w, h))
        if self.look.ink:
            self._strokes([line], self.look.ink, self._ink_width())
        if self.look.rims:
            self._rim(line, first, last)

    def boxes(self, boxes: Iterable[tuple[float, float, float, float]], color: Color) -> None:
        """Fill upright rectangles (left, top, right, bottom), whose edges need no smoothing."""
        draw = ImageDraw.Draw(self.image)
        ink = self.look.ink
        for left, top, right, bottom in boxes:
            corners = (left * self.width, top * self.height, right * self.width, bottom * self.height)
            broad = ink and corners[2] - corners[0] > 14
            draw.rectangle(corners, fill=color, outline=ink if broad else None, width=max(1, round(self._ink_width())))

    def specks(self, points: Iterable[tuple[float, float, float]], color: Color) -> None:
        """Dots (x, y, size in pixels of a picture 1000 high) too small for smooth edges."""
        draw = ImageDraw.Draw(self.image)
        unit = self.height / 1000
        for x, y, size in points:
            left, top, edge = x * self.width, y * self.height, size * unit
            draw.rectangle((left, top, left + edge, top + edge), fill=color)

    def backdrop(self, paint: Callable[["Stage"], None], bottom: float = 1.0) -> None:
        """Paint what lies behind everything, down to ``bottom``.

        It is soft, so it is drawn small and enlarged, and kept for the next picture in the same light.
        """
        shrink = 3 if self.width > 600 else 1
        key = (paint, self.width, self.height, self.palette, self.look, self.light)
        with _backdrops_lock:
            image = _backdrops.get(key)
        if image is None:
            small = (-(-self.width // shrink), -(-self.height // shrink))
            rng = random.Random(repr((self.palette, self.light)))  # noqa: S311 (no secret)
            behind = Stage(*small, self.palette, replace(self.look, ink=None), rng=rng, light=self.light)
            paint(behind)
            image = behind.image.crop((0, 0, small[0], min(small[1], round(bottom * small[1]) + 1)))
            if shrink > 1:
                image = image.resize((self.width, image.height * shrink), _BILINEAR)
            with _backdrops_lock:
                _backdrops[key] = image
                while len(_backdrops) > _BACKDROPS_KEPT:
                    del _backdrops[next(iter(_backdrops))]
        self.image.paste(image, (0, 0))

    # Air

    def ellipses(self, ovals: Iterable[tuple[float, float, float, float]], color: Color, opacity: float = 1.0) -> None:
        """Fill ovals (x, y, half a width, half a height; the half width as a share of the height, too)."""
        w, h = self.width, self.height
        boxes = [(x * w - a * h, y * h - b * h, x * w + a * h, y * h + b * h) for x, y, a, b in ovals]
        if boxes:
            self._ellipses(boxes, color, opacity)

    def clouds(self, top: float, bottom: float, color: Color, opacity: float, size: float = 0.25) -> None:
        """Drifting clouds in a band, denser in its middle."""
        rng = self.rng
        across, down = max(3, round(1.5 / size)), max(3, round(2.4 / size * (bottom - top) / 0.5))
        noise = noise_tile(rng, across, down, 5)
        low, span = 112, 110
        noise = noise.point([max(0, min(255, (value - low) * 255 // span)) for value in range(256)])
        fade = (
            Image.linear_gradient("L")
            .resize(noise.size)
            .point([round(255 * math.sin(math.pi * v / 255)) for v in range(256)])
        )
        mask = Image.composite(noise, Image.new("L", noise.size), fade)
        mask = mask.point([round(value * opacity) for value in range(256)])
        first, last = round(top * self.height), round(bottom * self.height)
        mask = mask.resize((self.width, max(1, last - first)), _BILINEAR)
        self._paste(color, 0, first, mask)

    def sheet(self, mask: Image.Image, color: Color) -> None:
        """Lay a colour over the whole picture through a small mask, enlarged."""
        self._blend(color, (0, 0), mask.resize((self.width, self.height), Image.Resampling.BICUBIC))

    def veil(self, y: float, thickness: float, color: Color, opacity: float) -> None:
        """A band of mist, thickest at its middle."""
        first, last = round((y - thickness) * self.height), round((y + thickness) * self.height)
        column = Image.linear_gradient("L").resize((1, max(2, last - first)), _BILINEAR)
        column = column.point([round(255 * opacity * math.sin(math.pi * v / 255) ** 2) for v in range(256)])
        self._paste(color, 0, first, column.resize((self.width, column.height), _NEAREST))

    def reflect(self, waterline: float, depth: float, tint: Color, opacity: float = 0.35) -> None:
        """Mirror what stands above a line into the water below it, smeared downwards."""
        w, h = self.width, self.height
        line, end = round(waterline * h), min(h, round((waterline + depth) * h))
        height = end - line
        above = self.image.crop((0, max(0, line - height), w, line)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        small = above.resize((max(2, w // 5), max(2, height // 26)), Image.Resampling.BOX)
        water = Image.blend(small, Image.new("RGB", small.size, tint), opacity)
        self.image.paste(water.resize((w, height), _BILINEAR), (0, line))

    # Inside

    def _ramp(self, stops: Sequence[Color], height: int) -> Image.Image:
        if len(stops) == 1:
            return Image.new("RGB", (self.width, height), stops[0])
        steps = 8 * (len(stops) - 1) + 1
        column = Image.new("RGB", (1, steps))
        for step in range(steps):
            place = step / 8
            index = min(int(place), len(stops) - 2)
            column.putpixel((0, step), mix(stops[index], stops[index + 1], place - index))
        return column.resize((1, height), _BILINEAR).resize((self.width, height), _NEAREST)

    def _ink_width(self) -> float:
        return max(1.2, self.look.ink_width * self.height)

    def _paste(self, color: Color, left: int, top: int, mask: Image.Image) -> None:
        # Pillow clips what reaches past the right and lower edges only.
        cut_left, cut_top = max(0, -left), max(0, -top)
        right, low = min(mask.width, self.width - left), min(mask.height, self.height - top)
        if right <= cut_left or low <= cut_top:
            return
        if cut_left or cut_top or right < mask.width or low < mask.height:
            mask = mask.crop((cut_left, cut_top, right, low))
        self._blend(color, (left + cut_left, top + cut_top), mask)

    def _blend(self, color: Color, at: tuple[int, int], mask: Image.Image) -> None:
        # Half the time of letting Pillow fill with a bare colour through a mask.
        self.image.paste(Image.new("RGB", mask.size, color), at, mask)

    def _mask(self, box: tuple[int, int, int, int], outlines: Sequence[Sequence[Point]]) -> Image.Image:
        left, top, right, bottom = box
        mask = Image.new("L", (2 * (right - left), 2 * (bottom - top)))
        draw = ImageDraw.Draw(mask)
        for outline in outlines:
            draw.polygon([(2 * (x - left), 2 * (y - top)) for x, y in outline], fill=255)
        return mask.reduce(2)

    def _box(self, points: Iterable[Point], margin: float = 1.0) -> tuple[int, int, int, int] | None:
        xs, ys = zip(*points, strict=True)
        left, top = max(0, math.floor(min(xs) - margin)), max(0, math.floor(min(ys) - margin))
        right = min(self.width, math.ceil(max(xs) + margin))
        bottom = min(self.height, math.ceil(max(ys) + margin))
        return (left, top, right, bottom) if right > left and bottom > top else None

    def _fill(self, outlines: list[list[Point]], color: Color, opacity: float) -> None:
        if not outlines or not (box := self._box(point for outline in outlines for point in outline)):
            return
        mask = self._mask(box, outlines)
        self._blend(color, box[:2], _faded(mask, opacity))

    def _strokes(self, lines: list[list[Point]], color: Color, width: float, opacity: float = 1.0) -> None:
        if not lines or not (box := self._box((point for line in lines for point in line), width)):
            return
        left, top, right, bottom = box
        mask = Image.new("L", (2 * (right - left), 2 * (bottom - top)))
        draw = ImageDraw.Draw(mask)
        for line in lines:
            points = [(2 * (x - left), 2 * (y - top)) for x, y in line]
            # Round joints cost more than the line and show on broad ones only.
            draw.line(points, fill=255, width=max(1, round(2 * width)), joint="curve" if width > 4 else None)
        self._blend(color, box[:2], _faded(mask.reduce(2), opacity))

    def _ellipses(self, boxes: list[tuple[float, float, float, float]], color: Color, opacity: float) -> None:
        corners = [corner for x0, y0, x1, y1 in boxes for corner in ((x0, y0), (x1, y1))]
        if not (box := self._box(corners)):
            return
        left, top, right, bottom = box
        mask = Image.new("L", (2 * (right - left), 2 * (bottom - top)))
        draw = ImageDraw.Draw(mask)
        for x0, y0, x1, y1 in boxes:
            draw.ellipse((2 * (x0 - left), 2 * (y0 - top), 2 * (x1 - left), 2 * (y1 - top)), fill=255)
        self._blend(color, box[:2], _faded(mask.reduce(2), opacity))

    def _rim(self, line: list[Point], first: int, last: int) -> None:
        """A neon tube along a line, with its halo."""
        color = (self.palette.accent, self.palette.second)[self._rims_drawn % 2]
        self._rims_drawn += 1
        scale, reach = 6, round(0.05 * self.height)
        top, low = max(0, first - reach), min(self.height, last + reach)
        halo = Image.new("L", (max(1, self.width // scale), max(1, (low - top) // scale)))
        ImageDraw.Draw(halo).line([(x / scale, (y - top) / scale) for x, y in line], fill=255, width=3)
        halo = halo.filter(ImageFilter.GaussianBlur(self.height / 260))
        self._paste(color, 0, top, halo.resize((self.width, low - top), _BILINEAR))
        self._strokes([line], mix(color, (255, 255, 255), 0.6), max(1.5, 0.0036 * self.height))

    def _shadow(self, line: list[Point], first: int, last: int) -> None:
        # Paper-cut depth: the layer's own outline, lifted, blurred small and laid under it.
        scale, lift = 8, round(0.014 * self.height)
        top = max(0, first - 5 * lift)
        low = min(self.height, last + lift)
        mask = Image.new("L", (max(1, self.width // scale), max(1, (low - top) // scale)))
        outline = [(x / scale, (y - lift - top) / scale) for x, y in line]
        ImageDraw.Draw(mask).polygon([*outline, (mask.width, mask.height), (0, mask.height)], fill=96)
        mask = mask.filter(ImageFilter.GaussianBlur(2.4)).resize((self.width, low - top), _BILINEAR)
        self._paste(lit(self.palette.near, 0.5), 0, top, mask)


@lru_cache(maxsize=64)
def _shading(size: int, from_left: bool) -> tuple[Image.Image, Image.Image, Image.Image]:
    """The masks of a sphere: its disc, where the light falls, and where it does not reach."""
    disc = Image.new("L", (2 * size, 2 * size))
    ImageDraw.Draw(disc).ellipse((1, 1, 2 * size - 2, 2 * size - 2), fill=255)
    wide = round(size * 2.3)
    left, top = round(wide / 2 - size * (0.22 if from_left else 0.78)), round(wide / 2 - size * 0.24)
    away = Image.radial_gradient("L").resize((wide, wide), _BILINEAR).crop((left, top, left + size, top + size))
    bright = away.point([round(225 * max(0.0, 1 - value / 92) ** 1.4) for value in range(256)])
    dark = away.point([round(235 * min(1.0, max(0.0, (value - 78) / 130)) ** 1.1) for value in range(256)])
    return disc.reduce(2), bright, dark


@lru_cache(maxsize=128)
def _opacity_curve(percent: int) -> list[int]:
    return [round(value * percent / 100) for value in range(256)]


def _faded(mask: Image.Image, opacity: float) -> Image.Image:
    return mask if opacity >= 1 else mask.point(_opacity_curve(round(opacity * 100)))


def point_on(x: float, y: float, radius: float, turn: float, aspect: float) -> Point:
    """The point of a circle at a share of a turn; ``aspect`` is the picture's width by its height."""
    angle = 2 * math.pi * turn
    return x + radius * math.cos(angle) / aspect, y + radius * math.sin(angle)


def noise_tile(rng: random.Random, across: int, down: int, octaves: int) -> Image.Image:
    """Cloudy noise in grey, smooth, with finer detail in each octave."""
    size = (across * 2 ** (octaves - 1) * 2, down * 2 ** (octaves - 1) * 2)
    total = Image.new("L", size, 128)
    for octave in range(octaves):
        w, h = across * 2**octave, down * 2**octave
        noise = Image.frombytes("L", (w, h), rng.randbytes(w * h)).resize(size, Image.Resampling.BICUBIC)
        # Each grid is turned over, lest the octaves' lattices fall on each other and show.
        noise = noise.transpose(Image.Transpose.ROTATE_180) if octave % 2 else ImageOps.mirror(noise)
        total = noise if octave == 0 else Image.blend(total, noise, 0.30 * 0.82**octave)
    return ImageOps.autocontrast(total.filter(ImageFilter.BoxBlur(1)), cutoff=1)


def rough_line(rng: random.Random, height: float, steps: int = 7, roughness: float = 0.54) -> list[float]:
    """A jagged line by midpoint displacement, around zero."""
    line = [rng.uniform(-1, 1) * height * 0.5, rng.uniform(-1, 1) * height * 0.5]
    swing = height
    for _ in range(steps):
        middle = [(a + b) / 2 + rng.uniform(-1, 1) * swing * 0.5 for a, b in pairwise(line)]
        line = [value for pair in zip(line, middle, strict=False) for value in pair] + [line[-1]]
        swing *= roughness
    return line


def rolling_line(rng: random.Random, height: float, waves: float = 2.0, steps: int = 96) -> list[float]:
    """A soft line of a few sines, around zero."""
    parts = [
        (waves * factor, rng.uniform(0, math.tau), share) for factor, share in ((0.5, 0.5), (1.0, 0.36), (2.1, 0.14))
    ]
    return [
        height * sum(share * math.sin(math.tau * count * step / steps + phase) for count, phase, share in parts)
        for step in range(steps + 1)
    ]


def ridge(line: Sequence[float], y: float) -> list[Point]:
    """A line of heights as points from the left edge to the right one, around a height; higher is further up."""
    last = len(line) - 1
    return [(index / last, y - value) for index, value in enumerate(line)]
