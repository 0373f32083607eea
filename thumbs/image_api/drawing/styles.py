"""Styles: how a picture is painted. Each has a look for the brushes, a change of palette and a finish of the whole."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from thumbs.image_api.drawing.palettes import BLACK, WHITE, Color, Palette, lit, mix, saturated
from thumbs.image_api.drawing.stage import Look, Stage, noise_tile

_BILINEAR = Image.Resampling.BILINEAR
_NEAREST = Image.Resampling.NEAREST
_PAPER: Color = (247, 243, 233)


@dataclass(frozen=True)
class Style:
    """One style. ``words`` name it in a prompt; ``pixel`` is the edge of one square, where squares are to be seen."""

    words: tuple[str, ...]
    look: Look
    finish: Callable[[Stage], Image.Image]
    palette: Callable[[Palette], Palette] = lambda palette: palette
    pixel: int = 0


# Surfaces, made once for each size


@lru_cache(maxsize=8)
def _blotches(width: int, height: int, size: int) -> Image.Image:
    """Cloudy unevenness in grey."""
    rng = random.Random(size)  # noqa: S311 (no secret)
    return noise_tile(rng, size * width // height, size, 4).resize((width, height), _BILINEAR)


@lru_cache(maxsize=8)
def _vignette(width: int, height: int, strength: int) -> Image.Image:
    curve = [round(strength * max(0.0, value / 255 - 0.42) ** 1.6 / 0.42) for value in range(256)]
    return Image.radial_gradient("L").point([min(255, value) for value in curve]).resize((width, height), _BILINEAR)


@lru_cache(maxsize=8)
def _paper_tooth(width: int, height: int) -> Image.Image:
    rng = random.Random(7)  # noqa: S311 (no secret)
    across, down = width // 2, height // 2
    noise = Image.frombytes("L", (across, down), rng.randbytes(across * down)).filter(ImageFilter.BoxBlur(1))
    return noise.point([max(0, min(255, (value - 118) * 5)) for value in range(256)]).resize((width, height), _BILINEAR)


@lru_cache(maxsize=16)
def _hatching(width: int, height: int, gap: int, slope: float) -> Image.Image:
    """Pencil strokes at a slope, none quite straight, pressed more or less."""
    rng = random.Random(gap + round(slope * 10))  # noqa: S311 (no secret)
    tile = Image.new("L", (width, height))
    draw = ImageDraw.Draw(tile)
    for start in range(-round(height * abs(slope)) - width // 2, width + round(height * abs(slope)) + width // 2, gap):
        y = -rng.uniform(0, 90)
        while y < height:
            length = rng.uniform(36, 120)
            x = start + slope * y + rng.uniform(-1.6, 1.6)
            pressure = rng.randint(120, 225)
            draw.line([(x, y), (x + slope * length + rng.uniform(-1.5, 1.5), y + length)], fill=pressure, width=1)
            y += length + rng.uniform(-12, 14)
    return tile.filter(ImageFilter.GaussianBlur(0.4))


@lru_cache(maxsize=4)
def _halftone(width: int, height: int) -> Image.Image:
    """Dots as a threshold: dark in the middle of each cell, on a turned grid."""
    cell = 5
    tile = Image.new("L", (cell * 2, cell * 2))
    for y in range(cell * 2):
        for x in range(cell * 2):
            value = math.cos(math.pi * (x + y) / cell) + math.cos(math.pi * (x - y) / cell)
            tile.putpixel((x, y), round(127 + 62 * value))
    page = Image.new("L", (width, height))
    for y in range(0, height, cell * 2):
        for x in range(0, width, cell * 2):
            page.paste(tile, (x, y))
    return page


@lru_cache(maxsize=4)
def _bristles(width: int, height: int) -> Image.Image:
    rng = random.Random(11)  # noqa: S311 (no secret)
    fine = Image.frombytes("L", (width // 10, height // 2), rng.randbytes((width // 10) * (height // 2)))
    return fine.resize((width, height), _BILINEAR).filter(ImageFilter.EMBOSS)


# What finishes share


def _curves(image: Image.Image, curve: Callable[[int, float], float]) -> Image.Image:
    """Each channel (0 red, 1 green, 2 blue) through a curve over 0 to 1."""
    table = [max(0, min(255, round(255 * curve(channel, value / 255)))) for channel in range(3) for value in range(256)]
    return image.point(table)


def _contrast(value: float, strength: float) -> float:
    return value + strength * (value - 0.5) * (1 - abs(2 * value - 1))


def _darkened_corners(image: Image.Image, strength: int, color: Color = BLACK) -> None:
    image.paste(color, (0, 0), _vignette(image.width, image.height, strength))


# Finishes


def _plain(stage: Stage) -> Image.Image:
    return stage.image


def _cinema(stage: Stage) -> Image.Image:
    x, y = stage.light
    for width, strength in ((1.1, 0.30), (0.5, 0.45)) if stage.has_sun else ():
        _streak(stage, x, y, width, strength)

    def grade(channel: int, value: float) -> float:
        value = _contrast(value * 0.97, 0.30)
        # Teal in the shadows, orange in the lights.
        return value + ((-0.035, 0.012, 0.05)[channel] * (1 - value) ** 2) + ((0.07, 0.02, -0.07)[channel] * value**2)

    image = _curves(stage.image, grade)
    _darkened_corners(image, 190)
    return image


def _streak(stage: Stage, x: float, y: float, width: float, strength: float) -> None:
    across, down = round(2 * width * stage.height), max(3, round(0.035 * stage.height * width))
    curve = [round(255 * strength * max(0.0, 1 - value / 181) ** 2) for value in range(256)]
    mask = Image.radial_gradient("L").point(curve).resize((across, down), _BILINEAR)
    left, top = round(x * stage.width - across / 2), round(y * stage.height - down / 2)
    box = (max(0, left), max(0, top), min(stage.width, left + across), min(stage.height, top + down))
    mask = mask.crop((box[0] - left, box[1] - top, box[2] - left, box[3] - top))
    stage.image.paste(mix(stage.palette.light, (150, 200, 255), 0.4), box, mask)


def _studio(stage: Stage) -> Image.Image:
    image = stage.image
    _darkened_corners(image, 60, lit(stage.palette.near, 0.8))
    return image


def _pixels(stage: Stage) -> Image.Image:
    small = stage.image.quantize(28, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return stage.image.quantize(palette=small, dither=Image.Dither.FLOYDSTEINBERG).convert("RGB")


def _watercolour(stage: Stage) -> Image.Image:
    image, w, h = stage.image, stage.width, stage.height
    wash = _blotches(w, h, 3)
    # Pigment pools: paper shows through where the wash is thin.
    image.paste(_PAPER, (0, 0), wash.point([round(max(0, value - 70) * 0.62) for value in range(256)]))
    image.paste(_PAPER, (0, 0), _paper_tooth(w, h).point([value * 26 // 255 for value in range(256)]))
    image.paste(_PAPER, (0, 0), _torn_edge(w, h))
    return image


@lru_cache(maxsize=4)
def _torn_edge(width: int, height: int) -> Image.Image:
    """A margin of bare paper with a wet, uneven rim."""
    small = (width // 4, height // 4)
    frame = Image.new("L", small, 255)
    inset = round(height * 0.035 / 4)
    ImageDraw.Draw(frame).rounded_rectangle(
        (inset, inset, small[0] - inset, small[1] - inset), radius=inset * 3, fill=0
    )
    frame = frame.filter(ImageFilter.GaussianBlur(height * 0.022 / 4))
    uneven = Image.blend(frame, _blotches(width, height, 6).resize(small, _BILINEAR), 0.34)
    curve = [max(0, min(255, round((value - 112) * 11))) for value in range(256)]
    return uneven.resize((width, height), _BILINEAR).point(curve)


def _oil(stage: Stage) -> Image.Image:
    source, w, h, rng = stage.image, stage.width, stage.height, stage.rng
    scale = min(1.0, 960 / w)
    across, down = round(w * scale), round(h * scale)
    small = source.resize((across, down), _BILINEAR)
    canvas = small.filter(ImageFilter.GaussianBlur(3))
    draw = ImageDraw.Draw(canvas)
    flow = noise_tile(rng, 4, 3, 2).resize((across // 8 + 1, down // 8 + 1), _BILINEAR)
    colors, angles = small.tobytes(), flow.tobytes()
    for passes, (length, width) in ((550, (26, 9)), (950, (15, 5)), (1300, (8, 3))):
        for _ in range(passes):
            x, y = rng.randrange(across), rng.randrange(down)
            red, green, blue = colors[3 * (y * across + x) : 3 * (y * across + x) + 3]
            angle = (angles[y // 8 * flow.width + x // 8] / 255 - 0.5) * 2.2
            shift = rng.randint(-11, 11)
            dx, dy = math.cos(angle) * length * 0.5, math.sin(angle) * length * 0.5
            draw.line(
                [(x - dx, y - dy), (x + dx, y + dy)],
                fill=(red + shift, green + shift, blue + shift * 3 // 4),
                width=width,
            )
    image = canvas.resize((w, h), Image.Resampling.BICUBIC)
    relief = _bristles(w, h)
    image.paste(WHITE, (0, 0), relief.point([min(60, max(0, value - 138)) for value in range(256)]))
    image.paste(
        lit(stage.palette.near, 0.6), (0, 0), relief.point([min(70, max(0, 118 - value)) for value in range(256)])
    )
    _darkened_corners(image, 80, (40, 24, 12))
    return image


def _graphite(stage: Stage) -> Image.Image:
    w, h = stage.width, stage.height
    grey = stage.image.convert("L")
    page = Image.new("RGB", (w, h), _PAPER)
    page.paste((226, 219, 203), (0, 0), _paper_tooth(w, h).point([value * 60 // 255 for value in range(256)]))
    pencil: Color = (52, 52, 58)
    # Smudged tone first, then hatching that gets denser and turns as the tone darkens, then the drawn lines.
    page.paste((128, 126, 128), (0, 0), grey.point([round(max(0, 205 - value) * 0.42) for value in range(256)]))
    for gap, slope, start in ((6, -0.62, 204), (5, 0.55, 140), (4, -1.4, 84)):
        tone = grey.point([max(0, min(255, (start - value) * 5)) for value in range(256)])
        page.paste(pencil, (0, 0), ImageChops.multiply(tone, _hatching(w, h, gap, slope)))
    page.paste((30, 30, 36), (0, 0), grey.point([max(0, min(235, (44 - value) * 9)) for value in range(256)]))
    page.paste(_PAPER, (0, 0), _torn_edge(w, h))
    return page


def _neon(stage: Stage) -> Image.Image:
    image = stage.image
    _darkened_corners(image, 120, (6, 2, 20))
    return image


def _print(stage: Stage) -> Image.Image:
    image, w, h = stage.image, stage.width, stage.height
    grey = image.convert("L")
    dots = ImageChops.subtract(_halftone(w, h), grey, scale=1, offset=0)
    image.paste(
        (72, 44, 52), (2, 1, w, h), dots.point([min(64, value * 2) for value in range(256)]).crop((0, 0, w - 2, h - 1))
    )
    red, green, blue = image.split()
    # One ink lies a little off the others.
    image = Image.merge("RGB", (ImageChops.offset(red, 3, 1), green, blue))

    def fade(channel: int, value: float) -> float:
        low, high = ((0.17, 0.99), (0.11, 0.94), (0.13, 0.80))[channel]
        return low + (high - low) * value

    image = _curves(image, fade)
    image.paste((250, 238, 208), (0, 0), _blotches(w, h, 4).point([max(0, value - 150) // 3 for value in range(256)]))
    image.paste((250, 240, 214), (0, 0), _paper_tooth(w, h).point([value * 30 // 255 for value in range(256)]))
    _darkened_corners(image, 110, (92, 58, 34))
    return image


# Changes of palette


def _graphite_palette(palette: Palette) -> Palette:  # noqa: ARG001 (pencil knows no colour)
    # Light enough that hatching, not black, makes the shadows.
    greys = (198, 222, 244, 252, 188, 88, 150, 172)
    return Palette(*((grey, grey, grey) for grey in greys))


def _neon_palette(palette: Palette) -> Palette:
    accent, second = (255, 60, 172), (52, 224, 255)
    if palette.accent[2] > palette.accent[0]:
        accent, second = second, accent
    return Palette(
        zenith=(8, 4, 28),
        sky=(30, 10, 66),
        horizon=(104, 28, 122),
        light=(255, 214, 244),
        far=(44, 18, 84),
        near=(10, 5, 28),
        accent=accent,
        second=second,
    )


def _pale(color: Color) -> Color:
    return mix(saturated(color, 1.25), _PAPER, 0.30)


def _muted(color: Color) -> Color:
    return mix(saturated(color, 0.72), (236, 228, 214), 0.22)


STYLES: dict[str, Style] = {
    "photorealistic": Style(("photorealistic", "photograph", "photo"), Look(), _plain),
    "cinematic": Style(
        ("cinematic", "film still"),
        Look(),
        _cinema,
        lambda palette: palette.mapped(lambda color: lit(saturated(color, 0.92), 0.80)),
    ),
    "cartoon": Style(
        ("cartoon", "comic"),
        Look(flat=True, smooth=True, ink=(34, 26, 48), ink_width=0.0055, puffy_clouds=True, on_paper=True),
        _plain,
        lambda palette: palette.mapped(lambda color: lit(saturated(color, 1.45), 1.10)),
    ),
    "anime": Style(
        ("anime", "manga"),
        Look(puffy_clouds=True, glows=0.9, ink=(38, 34, 66), ink_width=0.0015),
        _plain,
        lambda palette: palette.mapped(lambda color: lit(saturated(color, 1.35), 1.06)),
    ),
    "3d": Style(
        ("3d", "3-d", "render"),
        Look(smooth=True, shadows=True, shaded=True, glows=0.7),
        _studio,
        lambda palette: palette.mapped(lambda color: lit(saturated(color, 1.08), 1.10)),
    ),
    "pixel-art": Style(
        ("pixel", "8-bit", "16-bit"),
        Look(glows=0.9),
        _pixels,
        lambda palette: palette.mapped(lambda color: saturated(color, 1.25)),
        pixel=8,
    ),
    "watercolor": Style(
        ("watercolor", "watercolour"),
        Look(glows=0.8, on_paper=True),
        _watercolour,
        lambda palette: palette.mapped(_pale),
    ),
    "oil-painting": Style(
        ("oil painting", "oil-painting", "impasto"),
        Look(),
        _oil,
        lambda palette: palette.mapped(lambda color: saturated(color, 1.15)),
    ),
    "sketch": Style(
        ("sketch", "graphite", "pencil"),
        Look(ink=(12, 12, 12), ink_width=0.0020, glows=0.8, on_paper=True),
        _graphite,
        _graphite_palette,
    ),
    "minimalist": Style(
        ("minimalist", "minimal"),
        Look(flat=True, smooth=True, sparse=True, glows=0.0, on_paper=True),
        _plain,
        lambda palette: palette.mapped(_muted),
    ),
    "neon": Style(("neon", "synthwave"), Look(rims=True, smooth=False, glows=1.0), _neon, _neon_palette),
    "vintage": Style(
        ("vintage", "retro", "mid-century"),
        Look(glows=0.7),
        _print,
        lambda palette: palette.mapped(lambda color: saturated(color, 0.85)),
    ),
}
