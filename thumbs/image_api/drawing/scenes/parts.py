"""What scenes share: the sky and its light, birds, firs, and a few outlines."""

import math
from collections.abc import Callable
from functools import cache

from thumbs.image_api.drawing.palettes import WHITE, Color, mix
from thumbs.image_api.drawing.stage import Point, Stage

Scene = Callable[[Stage], None]


def sky(stage: Stage, horizon: float, clouds: bool = True) -> None:
    """Sky, stars where it is night, clouds and the light itself."""
    palette, look = stage.palette, stage.look
    stage.backdrop(_air(horizon, clouds), horizon)
    if palette.is_night and not look.sparse:
        stars(stage, horizon * 0.8, 150)
    sun(stage)
    if clouds and look.puffy_clouds:
        puffs(stage, horizon)


@cache
def _air(horizon: float, clouds: bool) -> Scene:
    return lambda stage: _paint_air(stage, horizon, clouds)


def _paint_air(stage: Stage, horizon: float, clouds: bool) -> None:
    palette, look, (x, y) = stage.palette, stage.look, stage.light
    stops = (
        [palette.sky, palette.horizon]
        if look.flat and not look.sparse
        else [palette.zenith, palette.sky, palette.horizon]
    )
    stage.gradient([palette.horizon] if look.sparse else stops, 0.0, horizon + 0.02)
    warm = mix(palette.light, palette.accent, 0.25)
    stage.glow(x, y, 0.95, warm, 0.55)
    if clouds and not look.flat:
        stage.clouds(0.0, horizon * 0.75, mix(palette.sky, palette.light, 0.72), 0.62, 0.30)
        stage.clouds(horizon * 0.35, horizon, mix(palette.horizon, palette.accent, 0.28), 0.42, 0.20)
    if not look.shaded and not look.rims:
        stage.glow(x, y, 0.3, palette.light, 0.85)


def sun(stage: Stage) -> None:
    """The disc of the light with its halo."""
    palette, look, (x, y) = stage.palette, stage.look, stage.light
    radius = 0.17 if look.sparse else 0.066
    if look.shaded:
        stage.ball(x, y, 0.10, mix(palette.accent, palette.light, 0.35))
        return
    if look.rims:
        radius = 0.2
        stage.glow(x, y, 0.5, palette.accent, 0.7)
        stage.discs([(x, y, radius)], mix(palette.accent, palette.light, 0.15))
        aspect = stage.width / stage.height
        bars = []
        for bar in range(6):
            down, thick = radius * (0.08 + 0.155 * bar), radius * (0.024 + 0.014 * bar)
            half = (max(0.0, radius**2 - down**2) ** 0.5 + 0.004) / aspect
            bars.append(box(x - half, y + down, x + half, y + down + thick))
        stage.shapes(bars, mix(palette.sky, palette.horizon, 0.5))
        return
    stage.has_sun = True
    disc = mix(palette.light, WHITE, 0.35)
    if look.sparse:
        disc = palette.accent
    elif look.flat:
        disc = mix((255, 214, 84), palette.light, 0.15)
    stage.discs([(x, y, radius)], disc)


def stars(stage: Stage, depth: float, count: int) -> None:
    """Stars, more of them small than large."""
    rng = stage.rng
    dots = [(rng.random(), rng.random() ** 1.3 * depth, 0.8 + 2.6 * rng.random() ** 5) for _ in range(count)]
    stage.specks(dots[: count // 2], mix(stage.palette.zenith, WHITE, 0.80))
    stage.specks(dots[count // 2 :], mix(stage.palette.zenith, WHITE, 0.45))


def puffs(stage: Stage, horizon: float, count: int = 4) -> None:
    """Cumulus clouds: lit heads over a shaded, flat foot."""
    rng, palette = stage.rng, stage.palette
    aspect = stage.width / stage.height
    for number in range(count):
        x = (number + rng.uniform(0.15, 0.85)) / count
        if abs(x - stage.light[0]) < 0.12:
            continue
        y, size = rng.uniform(0.20, horizon * 0.78), rng.uniform(0.07, 0.15)
        lobes = []
        for place in range(9):
            along = (place - 4) / 4
            radius = size * (0.30 + 0.34 * math.cos(along * 1.35)) * rng.uniform(0.8, 1.2)
            lobes.append(
                (
                    x + along * size * 1.5 / aspect,
                    y - radius * 0.75 - size * 0.30 * math.cos(along * 1.5) * rng.random(),
                    radius,
                )
            )
        foot = [box(x - size * 1.5 / aspect, y - size * 0.32, x + size * 1.5 / aspect, y)]
        shade = mix(palette.sky, palette.light, 0.68)
        if stage.look.ink:
            stage.discs([(a, b, r + 0.6 * stage.look.ink_width) for a, b, r in lobes], stage.look.ink, 0.899)
        stage.discs(lobes, shade, 0.899)
        stage.shapes(foot, shade, 0.99, ink=False)
        stage.discs([(a, b - r * 0.14, r * 0.84) for a, b, r in lobes], mix(palette.light, WHITE, 0.6), 0.899)


def birds(stage: Stage) -> None:
    """A few birds far off."""
    rng = stage.rng
    if stage.look.sparse:
        return
    x, y = rng.uniform(0.25, 0.75), rng.uniform(0.16, 0.30)
    lines = []
    for _ in range(rng.randint(3, 6)):
        a, b, s = x + rng.uniform(-0.07, 0.07), y + rng.uniform(-0.05, 0.05), rng.uniform(0.006, 0.011)
        lines.append(
            [
                (a - s, b - s * 0.5),
                (a - s * 0.4, b - s * 0.75),
                (a, b),
                (a + s * 0.4, b - s * 0.8),
                (a + s, b - s * 0.4),
            ]
        )
    stage.strokes(lines, stage.palette.depth(0.75), 0.0026, 0.8)


def firs(stage: Stage, points: list[Point], color: Color, count: int) -> None:
    """A row of firs standing along a line, thicker at the sides than in the middle."""
    rng = stage.rng
    trees = []
    for _ in range(count):
        x = rng.random()
        x = x if rng.random() < 0.35 else (x * 0.3 if rng.random() < 0.5 else 1 - x * 0.3)
        height = rng.uniform(0.05, 0.11) + 0.11 * abs(x - 0.5) ** 1.3
        index = min(len(points) - 1, round(x * (len(points) - 1)))
        trees.append(fir(stage, x, points[index][1] + 0.012, height))
    stage.shapes(trees, color, ink=False)


def fir(stage: Stage, x: float, foot: float, height: float) -> list[Point]:
    """The outline of one fir."""
    rng = stage.rng
    aspect = stage.width / stage.height
    if stage.look.shaded or stage.look.smooth:
        half = height * 0.24 / aspect
        return [
            (x - half, foot),
            (x - half * 0.5, foot - height * 0.6),
            (x, foot - height),
            (x + half * 0.5, foot - height * 0.6),
            (x + half, foot),
        ]
    tiers = 6
    left, right = [], []
    for tier in range(tiers):
        level = foot - height * (1 - tier / tiers)
        reach = height * 0.20 * (tier + 1) / tiers / aspect
        left += [
            (x - reach * rng.uniform(0.85, 1.15), level + height * 0.19),
            (x - reach * 0.45, level + height * 0.165),
        ]
        right += [
            (x + reach * rng.uniform(0.85, 1.15), level + height * 0.19),
            (x + reach * 0.45, level + height * 0.165),
        ]
    return [(x, foot - height), *left, *right[::-1]]


def lens(x: float, y: float, width: float, height: float) -> list[Point]:
    half = width / 2
    return [
        (x - half, y),
        (x - half * 0.4, y - height),
        (x + half * 0.4, y - height),
        (x + half, y),
        (x + half * 0.4, y + height),
        (x - half * 0.4, y + height),
    ]


def box(left: float, top: float, right: float, bottom: float) -> list[Point]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]
