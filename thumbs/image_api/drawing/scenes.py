"""Scenes: what a picture shows. Each draws on a stage and leaves light, palette and line to it."""

import math
from collections.abc import Callable
from functools import cache

from PIL import Image, ImageFilter

from thumbs.image_api.drawing.palettes import WHITE, Color, Palette, lit, mix, saturated
from thumbs.image_api.drawing.stage import Point, Stage, ridge, rolling_line, rough_line

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
            bars.append(_box(x - half, y + down, x + half, y + down + thick))
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
        foot = [_box(x - size * 1.5 / aspect, y - size * 0.32, x + size * 1.5 / aspect, y)]
        shade = mix(palette.sky, palette.light, 0.68)
        if stage.look.ink:
            stage.discs([(a, b, r + 0.6 * stage.look.ink_width) for a, b, r in lobes], stage.look.ink, 0.899)
        stage.discs(lobes, shade, 0.899)
        stage.shapes(foot, shade, 0.99, ink=False)
        stage.discs([(a, b - r * 0.14, r * 0.84) for a, b, r in lobes], mix(palette.light, WHITE, 0.6), 0.899)


def mountains(stage: Stage) -> None:
    """A range of peaks in mist before the light, hills and firs in front."""
    rng, palette, look = stage.rng, stage.palette, stage.look
    sky(stage, 0.62)
    count = 3 if look.sparse else 5
    for index in range(count):
        near = index / (count - 1)
        y = 0.52 + 0.36 * near**1.15
        height = (0.24 - 0.13 * near) * rng.uniform(0.85, 1.15)
        color = palette.depth(0.08 + 0.84 * near**1.25)
        mist = mix(color, palette.horizon, 0.66 * (1 - near) + 0.04)
        if index == 1 and not look.smooth:
            points = peaks(stage, y - 0.02, 0.40, color, mist)
        elif look.smooth or near == 1:
            points = ridge(rolling_line(rng, height * (0.9 if look.sparse else 0.55), 1.5 + near), y)
            stage.layer(points, color, mist, 0.26)
        else:
            points = ridge(rough_line(rng, height * 0.8, roughness=0.5), y)
            stage.layer(points, color, mist, 0.26)
        if index in (1, 2) and not look.flat:
            stage.veil(y + 0.12, 0.11, palette.horizon, 0.45)
        if near == 1 and not look.sparse and not look.shaded:
            firs(stage, points, color, 20 if look.smooth else 46)
    birds(stage)


def peaks(stage: Stage, y: float, height: float, color: Color, mist: Color) -> list[Point]:
    """A range of peaks, each with a side turned from the light; its outline."""
    rng = stage.rng
    count, steps = 3, 220
    tops = [
        ((i + rng.uniform(0.2, 0.8)) / count, height * rng.uniform(0.55, 1.05), rng.uniform(0.75, 1.2))
        for i in range(count)
    ]
    jags = rough_line(rng, height * 0.20, 8, 0.64)
    line, owner = [], []
    for step in range(steps + 1):
        x = step / steps
        heights = [top - abs(x - px) * steep * 1.5 for px, top, steep in tops]
        best = max(heights)
        owner.append(heights.index(best))
        line.append(max(best, -0.25 * height) + jags[round(x * (len(jags) - 1))])
    points = ridge(line, y - height * 0.1)
    stage.layer(points, color, mist, 0.30)
    side = 1 if stage.light[0] < 0.5 else -1
    shades: list[list[Point]] = []
    gleams: list[list[Point]] = []
    for number in range(count):
        own = [points[i] for i in range(steps + 1) if owner[i] == number]
        if len(own) < 8:
            continue
        summit = min(own, key=lambda point: point[1])
        for group, turned in ((shades, side), (gleams, -side)):
            if turned != side and rng.random() < 0.4:
                continue
            slope = [p for p in own if (p[0] - summit[0]) * turned >= 0]
            if len(slope) < 3:
                continue
            slope = slope if turned > 0 else slope[::-1]
            foot = slope[-1]
            drop = foot[1] - summit[1]
            # The edge between light and shade wanders down from the summit.
            reach = 0.92 if turned == side else 0.45
            edge, x = [], summit[0]
            for step in range(1, 7):
                x += turned * drop * rng.uniform(-0.09, 0.16)
                edge.append((x, summit[1] + drop * reach * step / 6))
            group.append(
                [summit, *slope[1 : max(2, round(len(slope) * (1.0 if turned == side else 0.45)))], *edge[::-1]]
            )
    stage.shapes(shades, mix(lit(saturated(color, 1.2), 0.72), mist, 0.12), 0.46, ink=False)
    stage.shapes(gleams, mix(color, stage.palette.light, 0.5), 0.22, ink=False)
    return points


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


def sea(stage: Stage) -> None:
    """A sea with the light's path on it, islands and a sail."""
    rng, palette, look = stage.rng, stage.palette, stage.look
    level = 0.56
    stage.light = (stage.light[0], min(stage.light[1] + 0.06, level - 0.1))
    sky(stage, level)
    for near, height, place in (
        (0.10, 0.12, rng.uniform(0.1, 0.9)),
        (0.30, 0.085, 0.92 if stage.light[0] < 0.5 else 0.08),
    ):
        line = rolling_line(rng, height, 1.2) if look.smooth else rough_line(rng, height * 0.8, roughness=0.55)
        rise = [height * 1.25 - abs(i / len(line) - place) * 0.42 for i in range(len(line))]
        line = [max(-0.02, up + value * 0.35) for up, value in zip(rise, line, strict=True)]
        stage.layer(
            ridge(line, level - 0.002), palette.depth(near), mix(palette.depth(near), palette.horizon, 0.5), 0.12
        )
    deep = mix(palette.near, palette.zenith, 0.35)
    water = [mix(palette.horizon, palette.sky, 0.3), mix(palette.sky, deep, 0.45), deep]
    if look.flat:
        stage.gradient([mix(palette.sky, deep, 0.5)], level, 1.0)
    else:
        stage.gradient(water, level, 1.0)
        stage.glow(stage.light[0], level, 0.55, palette.light, 0.32)
    _glitter(stage, level)
    if look.sparse:
        _sail(stage, 0.66, level + 0.10, 0.16)
        return
    dark = []
    for _ in range(120):
        depth = rng.random() ** 0.8
        y = level + 0.02 + (1 - level) * depth
        dark.append(_lens(rng.random(), y, 0.02 + 0.09 * depth * rng.random(), 0.0012 + 0.004 * depth))
    stage.shapes(dark, deep, 0.35, ink=False)
    _sail(stage, (0.68 if stage.light[0] < 0.5 else 0.30) + rng.uniform(-0.05, 0.05), level + 0.075, 0.15)
    if not look.smooth:
        line = rough_line(rng, 0.10, roughness=0.6)
        side = stage.light[0] < 0.5
        line = [
            value * 0.5 + 0.30 * max(0.0, (i / len(line) if side else 1 - i / len(line)) - 0.62) ** 0.8 - 0.11
            for i, value in enumerate(line)
        ]
        stage.layer(ridge(line, 0.97), palette.depth(0.92), lit(palette.near, 0.7), 0.2)
    birds(stage)


def _glitter(stage: Stage, level: float) -> None:
    rng, (x, _) = stage.rng, stage.light
    bright: list[list[Point]] = []
    soft: list[list[Point]] = []
    for index in range(30 if stage.look.sparse else 260):
        depth = rng.random() ** 1.5
        y = level + 0.006 + (0.97 - level) * depth
        spread = 0.02 + 0.11 * depth
        lens = _lens(
            x + rng.gauss(0, 1) * spread, y, (0.008 + 0.034 * depth) * rng.uniform(0.3, 1.3), 0.0012 + 0.0026 * depth
        )
        (bright if index % 3 else soft).append(lens)
    stage.shapes(soft, stage.palette.accent, 0.55, ink=False)
    stage.shapes(bright, mix(stage.palette.light, WHITE, 0.3), 0.75, ink=False)


def _lens(x: float, y: float, width: float, height: float) -> list[Point]:
    half = width / 2
    return [
        (x - half, y),
        (x - half * 0.4, y - height),
        (x + half * 0.4, y - height),
        (x + half, y),
        (x + half * 0.4, y + height),
        (x - half * 0.4, y + height),
    ]


def _sail(stage: Stage, x: float, y: float, size: float) -> None:
    aspect = stage.width / stage.height
    dark, pale = stage.palette.depth(0.95), mix(stage.palette.light, stage.palette.accent, 0.12)

    def at(across: float, up: float) -> Point:
        return x + across * size / aspect, y - up * size

    stage.shapes([_lens(x, y + size * 0.10, size * 0.8 / aspect, size * 0.05)], dark, 0.4, ink=False)
    stage.shapes([[at(0.02, 0.10), at(0.02, 1.0), at(0.14, 0.62), at(0.42, 0.12)]], pale)
    stage.shapes(
        [[at(-0.02, 0.10), at(-0.02, 0.86), at(-0.16, 0.5), at(-0.34, 0.12)]], mix(pale, stage.palette.accent, 0.45)
    )
    stage.shapes([[at(-0.42, 0.08), at(0.46, 0.08), at(0.32, -0.07), at(-0.30, -0.07)]], dark)


def city(stage: Stage) -> None:
    """A skyline with lit windows over water."""
    rng, palette, look = stage.rng, stage.palette, stage.look
    foot = 0.80
    stage.light = (stage.light[0], 0.46)
    sky(stage, foot)
    count = 2 if look.sparse else 4
    for index in range(count):
        near = (index + 0.6) / count
        color = palette.depth(0.12 + 0.83 * near)
        blocks, roofs, windows = [], [], []
        x = -0.03
        while x < 1.02:
            width = rng.uniform(0.022, 0.056) * (0.8 + 0.5 * near) * (1.7 if look.sparse else 1)
            bulk = math.exp(-(((x - 0.5 + 0.18 * (1 if stage.light[0] < 0.5 else -1)) / 0.3) ** 2))
            height = (0.30 - 0.16 * near) * rng.uniform(0.5, 1.1) + (0.30 - 0.15 * near) * bulk * rng.random() + 0.03
            top = foot - height
            blocks.append((x, top, x + width, foot + 0.02))
            shape = rng.random()
            if shape < 0.22:
                blocks.append((x + width * 0.2, top - 0.028, x + width * 0.8, top + 0.01))
            elif shape < 0.34:
                roofs.append([(x, top + 0.001), (x + width / 2, top - 0.05), (x + width, top + 0.001)])
            if 0.34 < shape < 0.5 or shape > 0.93:
                blocks.append((x + width * 0.47, top - 0.085, x + width * 0.53, top))
            if near > 0.2 and not look.sparse:
                windows += _windows(stage, (x, top, x + width, foot), near)
            x += width * rng.uniform(1.0, 1.22)
        stage.boxes(blocks, color)
        stage.boxes([(-0.01, foot - 0.03 - 0.03 * near, 1.01, foot + 0.02)], color)
        stage.shapes(roofs, color)
        warm = mix(palette.accent, palette.light, 0.45)
        dim = mix(color, warm, 0.35 + 0.25 * near)
        stage.boxes(windows[::3], mix(color, mix(palette.second, palette.light, 0.5), 0.3 + 0.3 * near))
        stage.boxes(windows[1::3], dim)
        stage.boxes(windows[2::3], mix(color, mix(palette.accent, palette.light, 0.7), 0.55 + 0.4 * near))
        if not look.flat and not look.sparse and near < 0.8:
            stage.veil(foot, 0.26, mix(palette.horizon, palette.accent, 0.2), 0.42)
    water = mix(palette.near, palette.zenith, 0.3)
    if look.flat:
        stage.gradient([palette.depth(1.0)], foot, 1.0)
        return
    stage.reflect(foot, 1 - foot, water, 0.38)
    ripples = [
        _lens(rng.random(), rng.uniform(foot + 0.01, 1.0), rng.uniform(0.04, 0.20), rng.uniform(0.0008, 0.003))
        for _ in range(110)
    ]
    stage.shapes(ripples[::2], lit(water, 0.6), 0.4, ink=False)
    stage.shapes(ripples[1::2], mix(palette.horizon, palette.light, 0.4), 0.25, ink=False)


def _windows(
    stage: Stage, house: tuple[float, float, float, float], near: float
) -> list[tuple[float, float, float, float]]:
    rng = stage.rng
    x, top, right, foot = house
    width = right - x
    step_x, step_y = 0.0062 + 0.002 * near, 0.0155 + 0.004 * near
    across, down = int(width / step_x) - 1, int((foot - top) / step_y) - 1
    habit = rng.uniform(0.06, 0.34)
    lit_ones = []
    for column in range(across):
        for row in range(down):
            if rng.random() < habit:
                a, b = x + (column + 0.9) * step_x, top + (row + 0.7) * step_y
                lit_ones.append((a, b, a + step_x * 0.5, b + step_y * 0.46))
    return lit_ones


def _box(left: float, top: float, right: float, bottom: float) -> list[Point]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def dunes(stage: Stage) -> None:
    """Dunes with a lit and a shaded side."""
    rng, palette, look = stage.rng, stage.palette, stage.look
    sky(stage, 0.56)
    count = 3 if look.sparse else 5
    side = 1 if stage.light[0] < 0.5 else -1
    sand = mix(palette.far, palette.accent, 0.35)
    for index in range(count):
        near = index / (count - 1)
        y = 0.50 + 0.34 * near**1.1
        line = rolling_line(rng, 0.06 + 0.055 * near, 1.1 + 0.5 * (1 - near))
        points = ridge(line, y)
        color = mix(mix(sand, palette.horizon, 0.55 * (1 - near)), palette.near, 0.34 * near)
        bright = mix(color, palette.light, 0.34 * (1 - 0.5 * near))
        stage.layer(points, bright, mix(color, palette.near, 0.16 + 0.2 * near), 0.30)
        crest = min(range(12, len(points) - 12), key=lambda i: points[i][1])
        stage.shapes([_lee_side(stage, points, crest, side)], mix(color, palette.near, 0.38 + 0.22 * near), 0.82)
        if not look.flat and near < 0.6:
            stage.veil(y + 0.1, 0.08, palette.horizon, 0.25)
    if not look.sparse and not look.flat:
        ripples = []
        for step in range(16):
            y = 0.86 + 0.16 * (step / 16) ** 1.2
            ripples.append(
                ridge([0.006 * math.sin(k * 0.55 + step) + 0.004 * math.sin(k * 0.21 + step * 2) for k in range(70)], y)
            )
        stage.strokes(ripples, mix(sand, palette.light, 0.4), 0.0016, 0.22)


def _lee_side(stage: Stage, points: list[Point], crest: int, side: int) -> list[Point]:
    """From a crest down the side turned from the light, back along the S of its foot."""
    rng = stage.rng
    x, y = points[crest]
    run = points[crest:] if side > 0 else points[: crest + 1][::-1]
    end = run[-1]
    sway = rng.uniform(0.05, 0.12)
    depth = 0.34
    back = []
    for step in range(24):
        t = 1 - step / 24
        back.append((x + side * (sway * math.sin(t * 5.2) * t + 0.16 * t * t), y + depth * t))
    return [*run, (end[0], y + depth), *back]


def forest(stage: Stage) -> None:
    """Firs in mist, row behind row, with light falling between them."""
    rng, palette, look = stage.rng, stage.palette, stage.look
    stage.light = (stage.light[0], 0.30)
    sky(stage, 0.72, clouds=False)
    count = 3 if look.sparse else 5
    for index in range(count):
        near = index / (count - 1)
        color = palette.depth(0.06 + 0.86 * near**1.2)
        ground = 0.60 + 0.34 * near
        points = ridge(rolling_line(rng, 0.035, 1.5), ground)
        trees = []
        for number in range(max(5, round((46 - 34 * near) * (0.4 if look.sparse else 1)))):
            spread = rng.random()
            if near > 0.7:
                spread = spread * 0.34 if number % 2 else 1 - spread * 0.34
            height = (0.20 + 0.42 * near) * rng.uniform(0.6, 1.15)
            trees.append(fir(stage, spread, ground + 0.03, height))
        stage.shapes(trees, color, ink=near > 0.4)
        stage.layer(points, color, mix(color, palette.horizon, 0.5 * (1 - near)), 0.25)
        if not look.flat and near < 0.9:
            stage.veil(ground - 0.02, 0.20, mix(palette.horizon, palette.light, 0.4), 0.40 - 0.22 * near)
        if index == count - 2 and not look.sparse:
            _beams(stage)


def _beams(stage: Stage) -> None:
    rng, (x, y) = stage.rng, stage.light
    beams = []
    for _ in range(6):
        end, width = x + rng.uniform(-0.42, 0.42), rng.uniform(0.015, 0.05)
        beams.append([(x - 0.004, y), (x + 0.004, y), (end + width, 1.0), (end - width, 1.0)])
    stage.shapes(beams, stage.palette.light, 0.13, ink=False)


def cosmos(stage: Stage) -> None:
    """A planet with its ring over the dark, stars and nebulae."""
    rng, palette, look = stage.rng, stage.palette, stage.look
    _, glowing = _space_colors(palette)
    stage.backdrop(_space)
    stars(stage, 1.0, 60 if look.sparse else 420)
    left = stage.light[0] < 0.5
    x, y, r = (0.63, 0.40, 0.26) if left else (0.37, 0.42, 0.24)
    for a, b in ((rng.random(), rng.random() * 0.6) for _ in range(9)):
        stage.glow(a, b, 0.03, WHITE, 0.7)
    stage.glow(x, y, r * 1.9, palette.second, 0.5)
    color = mix(palette.accent, palette.far, 0.35)
    _ring(stage, x, y, r, behind=True)
    if look.flat:
        stage.discs([(x, y, r)], color)
    else:
        stage.ball(x, y, r, color)
    _ring(stage, x, y, r, behind=False)
    moon = (0.20 if left else 0.82, 0.26, 0.055)
    (stage.discs([moon], palette.far) if look.flat else stage.ball(*moon, palette.far))
    if not look.sparse:
        for near, y in ((0.75, 0.88), (1.0, 0.95)):
            line = rolling_line(rng, 0.03, 2.0) if look.smooth else rough_line(rng, 0.12)
            stage.layer(
                ridge(line, y),
                lit(mix(palette.near, glowing, 0.35 * (1 - near) + 0.1), 0.8),
                lit(palette.near, 0.5),
                0.2,
            )


def _space_colors(palette: Palette) -> tuple[Color, Color]:
    return lit(mix(palette.zenith, palette.near, 0.55), 0.55), mix(palette.sky, palette.zenith, 0.5)


def _space(stage: Stage) -> None:
    palette = stage.palette
    deep, glowing = _space_colors(palette)
    if stage.look.flat:
        stage.gradient([deep])
        return
    stage.gradient([lit(deep, 0.6), deep, mix(deep, glowing, 0.65)])
    stage.clouds(0.0, 0.75, mix(palette.accent, palette.zenith, 0.35), 0.55, 0.40)
    stage.clouds(0.25, 1.0, mix(palette.second, palette.zenith, 0.4), 0.42, 0.50)


def _ring(stage: Stage, x: float, y: float, r: float, behind: bool) -> None:
    aspect = stage.width / stage.height
    start = 0.5 if behind else 0.0
    for scale, width, opacity in ((1.95, 0.020, 0.75), (1.74, 0.034, 0.5), (1.52, 0.014, 0.65)):
        line = []
        for step in range(49):
            angle = math.tau * (start + 0.5 * step / 48)
            across, down = math.cos(angle) * r * scale, math.sin(angle) * r * scale * 0.20
            tilt = -0.30
            line.append(
                (
                    x + (across * math.cos(tilt) - down * math.sin(tilt)) / aspect,
                    y + across * math.sin(tilt) + down * math.cos(tilt),
                )
            )
        stage.strokes([line], mix(stage.palette.light, stage.palette.accent, 0.3), width, opacity)


def network(stage: Stage) -> None:
    """One root that fans out over branches into many lit nodes."""
    rng, palette, look = stage.rng, stage.palette, stage.look
    root, toward = _root(stage)
    stage.backdrop(_dark_room)
    branches = 3 if look.sparse else 6
    mids = [
        (root[0] + toward * (0.30 + 0.03 * (i % 2)), 0.04 + 0.80 * (i + 0.5) / branches + rng.uniform(-0.02, 0.02))
        for i in range(branches)
    ]
    thin, thick, leaves = [], [], []
    for mid in mids:
        thick.append(_bend(root, mid))
        for number in range(4):
            y = mid[1] + (number - 1.5) * 0.068 + rng.uniform(-0.03, 0.03)
            leaf = (mid[0] + toward * rng.uniform(0.24, 0.50), min(0.93, max(0.05, y)))
            thin.append(_bend(mid, leaf))
            leaves.append(leaf)
    if look.on_paper:
        stage.strokes(thin, mix(palette.far, palette.near, 0.45), 0.0042)
        stage.strokes(thick, palette.near, 0.0075)
    else:
        stage.strokes(thin, palette.second, 0.010, 0.14)
        stage.strokes(thick, palette.accent, 0.020, 0.16)
        stage.strokes(thin, mix(palette.second, palette.light, 0.35), 0.0028, 0.85)
        stage.strokes(thick, mix(palette.accent, palette.light, 0.4), 0.0046, 0.95)
    for index, (x, y) in enumerate(leaves):
        radius = rng.uniform(0.010, 0.019)
        _node(stage, x, y, radius, (palette.second, palette.accent)[index % 3 == 0])
    for x, y in mids:
        _node(stage, x, y, 0.026, palette.accent)
    _node(stage, root[0], root[1], 0.062, mix(palette.accent, palette.light, 0.25))


def _root(stage: Stage) -> tuple[Point, int]:
    return ((0.13, 0.46), 1) if stage.light[0] < 0.5 else ((0.87, 0.46), -1)


def _dark_room(stage: Stage) -> None:
    """Depth behind the network: a dark gradient, its root's light, and lights out of focus."""
    rng, palette, look = stage.rng, stage.palette, stage.look
    root, toward = _root(stage)
    deep = lit(mix(palette.near, palette.zenith, 0.5), 0.62 if not look.shaded else 1.0)
    if look.on_paper:
        stage.gradient([palette.horizon] if look.flat else [mix(palette.horizon, palette.sky, 0.5), palette.horizon])
        return
    edge = mix(deep, palette.sky, 0.55)
    stage.gradient([deep] if look.flat else [lit(deep, 0.7), mix(deep, edge, 0.5), edge])
    stage.glow(root[0], root[1], 0.9, palette.accent, 0.42)
    stage.glow(root[0] + toward * 0.72, 0.30, 0.8, palette.second, 0.30)
    if look.flat:
        return
    stage.clouds(0.1, 1.0, mix(edge, palette.second, 0.3), 0.22, 0.5)
    for _ in range(30):
        x, y, r = rng.random(), rng.random(), rng.uniform(0.014, 0.08)
        stage.discs([(x, y, r)], rng.choice((palette.accent, palette.second, palette.light)), rng.uniform(0.04, 0.14))


def _node(stage: Stage, x: float, y: float, radius: float, color: Color) -> None:
    if not stage.look.on_paper:
        stage.glow(x, y, radius * 4.2, color, 0.75)
    if stage.look.flat:
        stage.discs([(x, y, radius)], color)
    else:
        stage.ball(x, y, radius, mix(color, stage.palette.light, 0.25))


def _bend(start: Point, end: Point) -> list[Point]:
    """A curve that leaves and arrives level."""
    points = []
    for step in range(25):
        t = step / 24
        ease = t * t * (3 - 2 * t)
        points.append((start[0] + (end[0] - start[0]) * t, start[1] + (end[1] - start[1]) * ease))
    return points


def tree(stage: Stage) -> None:
    """A single tree on a hill before the light, its branches fanning out."""
    rng, palette, look = stage.rng, stage.palette, stage.look
    x = 0.40 if stage.light[0] >= 0.5 else 0.60
    stage.light = (stage.light[0], 0.40)
    sky(stage, 0.78)
    for near, y in ((0.15, 0.66), (0.4, 0.74)):
        stage.layer(
            ridge(rolling_line(rng, 0.05, 1.6), y),
            palette.depth(near),
            mix(palette.depth(near), palette.horizon, 0.4),
            0.2,
        )
    dark = palette.depth(0.97)
    aspect = stage.width / stage.height
    foot = 0.855
    by_width: dict[int, list[list[Point]]] = {}
    tips: list[Point] = []

    def grow(px: float, py: float, angle: float, length: float, level: int) -> None:
        end = (px + math.cos(angle) * length / aspect, py - math.sin(angle) * length)
        bow = ((px + end[0]) / 2 + rng.uniform(-0.08, 0.08) * length, (py + end[1]) / 2)
        by_width.setdefault(level, []).append([(px, py), bow, end])
        if level >= 7:
            tips.append(end)
            return
        for turn in (-1, 1) if rng.random() < 0.8 or level < 2 else (-1, 0.1, 1):
            grow(
                *end,
                angle + turn * rng.uniform(0.22, 0.52) + (math.pi / 2 - angle) * 0.06,
                length * rng.uniform(0.70, 0.86),
                level + 1,
            )

    grow(x, foot, math.pi / 2, 0.17, 0)
    leaf = mix(palette.accent, palette.near, 0.35)
    stage.discs(
        [(a + rng.gauss(0, 0.008), b + rng.gauss(0, 0.012), rng.uniform(0.014, 0.03)) for a, b in tips[::2]],
        lit(leaf, 0.62),
        0.85,
    )
    for level, lines in by_width.items():
        width = 0.030 * 0.66**level
        stage.strokes(lines, dark, width)
        if level < 4:
            stage.discs([(*line[place], width * 0.5) for line in lines for place in (0, 1, 2)], dark, 0.99)
    stage.discs(
        [
            (a + rng.gauss(0, 0.01), b + rng.gauss(0, 0.014), rng.uniform(0.006, 0.017))
            for a, b in tips
            for _ in range(2)
        ],
        leaf,
        0.8,
    )
    stage.discs(
        [(a + rng.gauss(0, 0.012), b + rng.gauss(0, 0.014), rng.uniform(0.004, 0.010)) for a, b in tips],
        mix(palette.accent, palette.light, 0.35),
        0.8,
    )
    hill = ridge(
        [0.05 * math.exp(-((((i / 96) - x) / 0.3) ** 2)) + 0.006 * math.sin(i * 0.4) for i in range(97)], foot + 0.045
    )
    stage.layer(hill, dark, lit(palette.near, 0.7), 0.2)
    if not look.smooth and not look.sparse:
        grass = []
        for _ in range(240):
            a = rng.random()
            y = hill[min(96, round(a * 96))][1]
            grass.append(
                [
                    (a - 0.0012, y + 0.006),
                    (a + rng.uniform(-0.004, 0.004), y - rng.uniform(0.006, 0.022)),
                    (a + 0.0012, y + 0.006),
                ]
            )
        stage.shapes(grass, dark, ink=False)
    birds(stage)


def ribbons(stage: Stage) -> None:
    """Waves of silk that flow across, fold behind fold."""
    rng, palette, look = stage.rng, stage.palette, stage.look
    stage.backdrop(_soft_light)
    if look.shaded or look.sparse:
        sun(stage)
    count = 4 if look.sparse else 9
    phase = rng.uniform(0, math.tau)
    colors = [palette.far, palette.accent, palette.second, mix(palette.accent, palette.near, 0.45), palette.near]
    for index in range(count):
        near = index / (count - 1)
        place = near * (len(colors) - 1)
        first = min(int(place), len(colors) - 2)
        color = mix(colors[first], colors[first + 1], place - first)
        line = []
        for step in range(121):
            t = step / 120
            swell = 0.05 + 0.12 * math.sin(math.pi * (t * 0.8 + 0.1)) ** 2
            line.append(
                swell * math.sin(math.tau * (t * (1.05 + 0.08 * index)) + phase + index * 0.62)
                + 0.10 * (0.5 - t) * (1 if stage.light[0] < 0.5 else -1)
            )
        points = ridge(line, 0.36 + 0.60 * near)
        stage.layer(points, mix(color, palette.light, 0.42), lit(color, 0.72), 0.26)
        if not look.flat and not look.ink:
            stage.strokes([points], mix(color, palette.light, 0.8), 0.0024, 0.7)


def _soft_light(stage: Stage) -> None:
    palette = stage.palette
    stage.gradient([palette.zenith] if stage.look.flat else [palette.zenith, palette.sky, palette.horizon])
    stage.glow(stage.light[0], 0.20, 1.0, palette.light, 0.7)
    if not stage.look.flat:
        stage.clouds(0.0, 0.7, palette.light, 0.3, 0.5)


def ripples(stage: Stage) -> None:
    """Rings that widen on still water, each farther from the last."""
    rng, palette, look = stage.rng, stage.palette, stage.look
    level = 0.40
    stage.light = (stage.light[0], 0.22)
    sky(stage, level)
    for near, height in ((0.1, 0.09), (0.3, 0.055)):
        line = rolling_line(rng, height * 0.7, 1.6) if look.smooth else rough_line(rng, height * 1.4)
        line = [abs(value) + 0.012 for value in line]
        stage.layer(ridge(line, level), palette.depth(near), mix(palette.depth(near), palette.horizon, 0.4), 0.1)
    deep = mix(palette.near, palette.zenith, 0.4)
    if look.flat:
        stage.gradient([mix(palette.sky, deep, 0.55)], level, 1.0)
    else:
        stage.reflect(level, 1 - level, mix(palette.sky, deep, 0.4), 0.45)
        stage.veil(1.0, 0.5, deep, 0.8)
        stage.glow(stage.light[0], level + 0.08, 0.5, palette.light, 0.35)
    x, y = (0.60 if stage.light[0] < 0.5 else 0.42), 0.66
    aspect = stage.width / stage.height
    bright: list[list[Point]] = []
    dark: list[list[Point]] = []
    radius = 0.035
    for _ in range(4 if look.sparse else 7):
        for group, shift in ((dark, 0.010), (bright, 0.0)):
            group.append(
                [
                    (
                        x + math.cos(math.tau * k / 72) * radius / aspect * 1.15,
                        y + shift + math.sin(math.tau * k / 72) * radius * 0.34,
                    )
                    for k in range(73)
                ]
            )
        radius = radius * 1.42 + 0.03
    for index, (shade, light) in enumerate(zip(dark, bright, strict=True)):
        fade = 0.9 - 0.10 * index
        stage.strokes([shade], lit(deep, 0.6), 0.007, fade * 0.4)
        stage.strokes([light], mix(palette.light, palette.accent, 0.15), 0.0036, fade * 0.8)
    if not look.sparse:
        stage.glow(x, y, 0.12, palette.light, 0.6)
    stage.ball(x, y - 0.10, 0.024, mix(palette.second, palette.light, 0.4))
    stage.discs([(x, y - 0.175, 0.008), (x, y - 0.205, 0.005)], mix(palette.second, palette.light, 0.5), 0.9)


def blocks(stage: Stage) -> None:
    """Blocks in isometric rows, some of them lit from within."""
    rng, palette, look = stage.rng, stage.palette, stage.look
    stage.backdrop(_studio)
    if look.sparse:
        sun(stage)
    aspect = stage.width / stage.height
    tile = 0.15 if look.sparse else 0.096
    wide, tall = tile / aspect, tile * 0.5
    left_light = stage.light[0] < 0.5
    side = 5 if look.sparse else 9
    for row in range(side):
        for column in range(side):
            distance = math.hypot(row - side / 2 + 0.5, column - side / 2 + 0.5)
            if distance > side * 0.56 or rng.random() < 0.07:
                continue
            lift = tile * max(0.35, rng.uniform(0.3, 2.4) * (1.25 - distance / side * 1.2))
            x = 0.5 + (column - row) * wide
            y = 0.57 + (column + row - side + 1) * tall
            hot = rng.random() < 0.17
            base = (
                palette.accent
                if hot
                else rng.choice(
                    (palette.far, mix(palette.far, palette.second, 0.35), mix(palette.far, palette.near, 0.35))
                )
            )
            _block(stage, (x, y), (wide * 0.94, tall * 0.94), lift, base, left_light, hot)


def _studio(stage: Stage) -> None:
    palette = stage.palette
    back = mix(palette.horizon, palette.sky, 0.35) if not palette.is_night else mix(palette.zenith, palette.sky, 0.4)
    stage.gradient([back] if stage.look.flat else [mix(back, palette.zenith, 0.5), back, mix(back, palette.far, 0.5)])
    stage.glow(stage.light[0], 0.12, 1.1, palette.light, 0.6)


def _block(stage: Stage, at: Point, half: Point, lift: float, color: Color, left_light: bool, hot: bool) -> None:
    (x, y), (a, b) = at, half
    palette = stage.palette
    top = y - lift
    bright, dim = mix(color, palette.light, 0.25), mix(lit(color, 0.62), palette.near, 0.25)
    left, right = (bright, dim) if left_light else (dim, bright)
    if hot:
        stage.glow(x, top, lift + 0.14, palette.accent, 0.32)
    stage.shapes([[(x - a, top), (x, top + b), (x, y + b), (x - a, y)]], left)
    stage.shapes([[(x + a, top), (x, top + b), (x, y + b), (x + a, y)]], right)
    stage.shapes([[(x - a, top), (x, top - b), (x + a, top), (x, top + b)]], mix(color, palette.light, 0.6))
    if stage.look.sparse or stage.look.shaded:
        return
    glow = mix(palette.accent, palette.light, 0.6) if hot else mix(palette.second, palette.light, 0.5)
    bars = []
    for level in range(int(lift / 0.026)):
        low = top + b * 0.55 + 0.016 + level * 0.026
        if low + b * 0.6 < y + b:
            bars.append(
                [
                    (x - a * 0.82, low - b * 0.37),
                    (x - a * 0.22, low + b * 0.23),
                    (x - a * 0.22, low + b * 0.23 + 0.006),
                    (x - a * 0.82, low - b * 0.37 + 0.006),
                ]
            )
    stage.shapes(bars, mix(left, glow, 0.75), ink=False)


def desk(stage: Stage) -> None:
    """A cup by a window, books and a plant, the land outside in the light."""
    rng, palette, look = stage.rng, stage.palette, stage.look
    sky(stage, 0.64)
    for near, y in ((0.1, 0.50), (0.3, 0.58)):
        line = rolling_line(rng, 0.07, 1.8) if look.smooth or near > 0.2 else rough_line(rng, 0.16)
        stage.layer(ridge(line, y), palette.depth(near), mix(palette.depth(near), palette.horizon, 0.4), 0.2)
    wood = mix(palette.near, palette.accent, 0.30)
    frame = palette.depth(0.92)
    top = 0.70
    stage.shapes(
        [
            _box(-0.01, -0.01, 0.035, top + 0.02),
            _box(0.965, -0.01, 1.01, top + 0.02),
            _box(0.488, -0.01, 0.512, top + 0.02),
            _box(-0.01, -0.01, 1.01, 0.03),
        ],
        frame,
    )
    stage.layer([(0.0, top), (1.0, top)], mix(wood, palette.light, 0.34), lit(wood, 0.55), 0.3)
    stage.glow(stage.light[0], top + 0.06, 0.6, palette.light, 0.35)
    if not look.flat:
        grain = [
            ridge(
                [0.002 * math.sin(k * 0.3 + row * 1.7) for k in range(40)], top + 0.03 + 0.034 * row * (1 + row * 0.06)
            )
            for row in range(8)
        ]
        stage.strokes(grain, lit(wood, 0.6), 0.0018, 0.35)
    aspect = stage.width / stage.height
    mirrored = stage.light[0] >= 0.5
    cup = 0.34 if not mirrored else 0.66
    _cup(stage, cup, 0.845, 0.105, aspect)
    heap = 0.70 if not mirrored else 0.30
    shades = (palette.accent, palette.second, palette.far, mix(palette.accent, palette.near, 0.5))
    for index in range(4):
        y, shift, half = 0.86 - 0.036 * index, rng.uniform(-0.012, 0.012), 0.105 - 0.006 * index
        x = heap + shift
        stage.shapes([_box(x - half, y - 0.034, x + half, y)], mix(shades[index], palette.near, 0.18))
        stage.shapes(
            [_box(x - half, y - 0.034, x + half, y - 0.024)], mix(shades[index], palette.light, 0.35), ink=False
        )
        stage.shapes(
            [_box(x + half * 0.9, y - 0.028, x + half * 1.0, y - 0.006)],
            mix(palette.light, shades[index], 0.3),
            ink=False,
        )
    _plant(stage, heap + (0.0), 0.72, aspect)


def _cup(stage: Stage, x: float, foot: float, size: float, aspect: float) -> None:
    rng, palette = stage.rng, stage.palette
    color = mix(palette.light, palette.accent, 0.10)
    half, height = size / aspect * 0.62, size * 1.15
    stage.ellipses([(x + 0.02, foot + 0.004, size * 1.15, size * 0.17)], lit(palette.near, 0.6), 0.45)
    stage.ellipses([(x, foot, size * 1.05, size * 0.17)], mix(color, palette.near, 0.25))
    stage.ellipses([(x, foot - 0.006, size * 0.98, size * 0.14)], color)
    handle = [
        (
            x + half * 0.9 + math.cos(t / 12 * math.pi - math.pi / 2) * size * 0.42 / aspect,
            foot - height * 0.55 - math.sin(t / 12 * math.pi - math.pi / 2) * size * 0.34,
        )
        for t in range(13)
    ]
    stage.strokes([handle], mix(color, palette.near, 0.22), size * 0.13)
    body = [
        (x - half, foot - height),
        (x + half, foot - height),
        (x + half * 0.92, foot - height * 0.3),
        (x + half * 0.6, foot - 0.008),
        (x - half * 0.6, foot - 0.008),
        (x - half * 0.92, foot - height * 0.3),
    ]
    stage.shapes([body], color)
    dark_side = 1 if stage.light[0] < x else -1
    stage.shapes(
        [
            [
                (x + dark_side * half, foot - height),
                (x + dark_side * half * 0.25, foot - height),
                (x + dark_side * half * 0.30, foot - height * 0.2),
                (x + dark_side * half * 0.6, foot - 0.008),
                (x + dark_side * half * 0.92, foot - height * 0.3),
            ]
        ],
        mix(color, palette.near, 0.30),
        0.6,
        ink=False,
    )
    stage.ellipses([(x, foot - height, size * 0.62, size * 0.13)], mix(color, palette.light, 0.5))
    stage.ellipses([(x, foot - height + 0.003, size * 0.55, size * 0.10)], mix(palette.near, palette.accent, 0.28))
    steam = []
    for number in range(3):
        start, sway = x + (number - 1) * half * 0.5, rng.uniform(0, 6)
        steam.append(
            [(start + 0.012 * math.sin(k * 0.42 + sway) * (k / 20), foot - height - 0.012 * k) for k in range(20)]
        )
    for width, opacity in ((0.020, 0.10), (0.011, 0.16), (0.005, 0.22)):
        stage.strokes(steam, palette.light, width, opacity)


def _plant(stage: Stage, x: float, foot: float, aspect: float) -> None:
    rng, palette = stage.rng, stage.palette
    green = mix((52, 120, 84), palette.near, 0.35)
    for shade in (lit(green, 0.7), green, mix(green, palette.light, 0.25)):
        leaves = []
        for _ in range(6):
            angle, length = math.pi / 2 + rng.uniform(-1.1, 1.1), rng.uniform(0.16, 0.30)
            end = (x + math.cos(angle) * length / aspect, foot - 0.09 - math.sin(angle) * length)
            bend = (
                x + math.cos(angle + 0.35) * length * 0.55 / aspect,
                foot - 0.09 - math.sin(angle + 0.35) * length * 0.55,
            )
            other = (
                x + math.cos(angle - 0.25) * length * 0.6 / aspect,
                foot - 0.09 - math.sin(angle - 0.25) * length * 0.6,
            )
            leaves.append([(x, foot - 0.08), bend, end, other])
        stage.shapes(leaves, shade)
    half = 0.062 / aspect
    stage.shapes(
        [
            [
                (x - half, foot - 0.10),
                (x + half, foot - 0.10),
                (x + half * 0.75, foot + 0.012),
                (x - half * 0.75, foot + 0.012),
            ]
        ],
        mix(palette.accent, palette.near, 0.25),
    )


def clouds(stage: Stage) -> None:
    """A sea of clouds with peaks and balloons above it."""
    rng, palette, look = stage.rng, stage.palette, stage.look
    stage.light = (stage.light[0], 0.38)
    sky(stage, 0.70)
    line = rolling_line(rng, 0.10, 2.2) if look.smooth else rough_line(rng, 0.26)
    stage.layer(ridge(line, 0.62), palette.depth(0.16), mix(palette.depth(0.16), palette.horizon, 0.6), 0.16)
    count = 3 if look.sparse else 6
    for index in range(count):
        near = index / (count - 1)
        y = 0.62 + 0.36 * near
        size = 0.045 + 0.075 * near
        lobes = [
            (rng.random() * 1.1 - 0.05, y + rng.uniform(-0.3, 0.5) * size, size * rng.uniform(0.6, 1.25))
            for _ in range(round(30 - 12 * near))
        ]
        shade = mix(mix(palette.horizon, palette.far, 0.30 + 0.35 * near), palette.near, 0.10 * near)
        top = mix(palette.light, WHITE, 0.15)
        if look.ink:
            stage.discs([(x, v, r + 0.7 * look.ink_width) for x, v, r in lobes], look.ink, 0.899)
        stage.discs(lobes, mix(shade, top, 0.62), 0.899)
        side = 0.10 if stage.light[0] < 0.5 else -0.10
        stage.discs([(x + side * r, v + r * 0.20, r * 0.94) for x, v, r in lobes], mix(shade, top, 0.30), 0.89)
        if look.flat:
            stage.gradient([mix(shade, top, 0.30)], y + size * 0.55, y + size * 0.55 + 0.3)
        else:
            stage.veil(y + size * 1.3, size * 1.5, mix(shade, top, 0.2), 0.9)
        if index == 1:
            for _ in range(2 if look.sparse else 4):
                x = rng.uniform(0.08, 0.92)
                aside = x if abs(x - stage.light[0]) > 0.12 else (x + 0.3) % 0.9
                balloon(stage, aside, rng.uniform(0.14, 0.44), rng.uniform(0.028, 0.072))


def balloon(stage: Stage, x: float, y: float, size: float) -> None:
    """A hot-air balloon."""
    palette, aspect = stage.palette, stage.width / stage.height
    color = stage.rng.choice((palette.accent, palette.second, mix(palette.accent, palette.near, 0.35)))
    a = size / aspect
    stage.shapes(
        [
            [
                (x - a * 0.93, y + size * 0.36),
                (x + a * 0.93, y + size * 0.36),
                (x + a * 0.2, y + size * 1.36),
                (x - a * 0.2, y + size * 1.36),
            ]
        ],
        lit(color, 0.7),
    )
    if stage.look.flat:
        stage.discs([(x, y, size)], color)
    else:
        stage.ball(x, y, size, color)
    stripes = mix(color, palette.light, 0.55)
    for across in (-0.5, 0.0, 0.5):
        curve = [
            (
                x + a * across * math.sin(math.pi * (0.06 + 0.62 * t / 10)),
                y - size * math.cos(math.pi * (0.06 + 0.62 * t / 10)),
            )
            for t in range(11)
        ]
        stage.strokes([[*curve, (x + a * across * 0.3, y + size * 1.34)]], stripes, size * 0.09, 0.6)
    stage.shapes([_box(x - a * 0.17, y + size * 1.56, x + a * 0.17, y + size * 1.78)], palette.depth(0.9))
    stage.strokes(
        [
            [(x - a * 0.17, y + size * 1.34), (x - a * 0.15, y + size * 1.58)],
            [(x + a * 0.17, y + size * 1.34), (x + a * 0.15, y + size * 1.58)],
        ],
        palette.depth(0.9),
        0.0016,
    )


def polar_night(stage: Stage) -> None:
    """Northern lights over mountains and a lake."""
    rng, palette, look = stage.rng, stage.palette, stage.look
    deep = lit(mix(palette.zenith, (10, 16, 40), 0.6), 0.8)
    level = 0.68
    stage.backdrop(_northern_lights)
    stars(stage, 0.68, 40 if look.sparse else 260)
    for near, y, height in ((0.35, 0.60, 0.24), (0.75, 0.66, 0.13)):
        line = rolling_line(rng, height * 0.5, 1.8) if look.smooth else rough_line(rng, height)
        color = lit(mix(palette.depth(near), deep, 0.55), 0.8)
        points = ridge(line, y)
        stage.layer(points, color, mix(color, palette.accent, 0.12), 0.12)
    if look.flat:
        stage.gradient([mix(deep, palette.accent, 0.12)], level, 1.0)
    else:
        stage.reflect(level, 1 - level, deep, 0.30)
        lenses = [
            _lens(rng.random(), rng.uniform(level + 0.005, 1.0), rng.uniform(0.03, 0.16), rng.uniform(0.0006, 0.002))
            for _ in range(80)
        ]
        stage.shapes(lenses, mix(palette.accent, palette.light, 0.3), 0.16, ink=False)
    if not look.sparse:
        shore = ridge(
            [max(0.0, 0.16 * abs(i / 96 - 0.5) ** 1.4 * 2.4 - 0.06) + 0.004 * math.sin(i) for i in range(97)], 1.0
        )
        firs(stage, [(x, max(0.9, y)) for x, y in shore], lit(palette.near, 0.7), 40)


def _northern_lights(stage: Stage) -> None:
    palette, look = stage.palette, stage.look
    deep = lit(mix(palette.zenith, (10, 16, 40), 0.6), 0.8)
    stage.gradient([deep] if look.flat else [lit(deep, 0.7), deep, mix(deep, (60, 200, 160), 0.2)], 0.0, 0.70)
    green, violet = mix((70, 240, 170), palette.second, 0.15), mix((150, 90, 240), palette.accent, 0.3)
    for color, y, height, strength in ((violet, 0.40, 0.42, 0.75), (green, 0.47, 0.36, 0.95), (green, 0.58, 0.24, 0.6)):
        _curtain(stage, color, y, height, strength)


def _curtain(stage: Stage, color: Color, y: float, height: float, strength: float) -> None:
    """Light that hangs in folds, sharp at its foot and fading upwards, drawn ray by ray on a small sheet."""
    rng = stage.rng
    width, tall = max(24, stage.width // 3), max(16, stage.height // 3)
    sheet = Image.new("L", (width, tall))
    phase, turns = rng.uniform(0, math.tau), rng.uniform(0.9, 1.6)
    rays = [abs(value) for value in rough_line(rng, 1.0, 8, 0.8)]
    for x in range(width):
        t = x / width
        foot = (
            y + 0.085 * math.sin(math.tau * turns * t + phase) + 0.025 * math.sin(math.tau * 3.7 * t + phase * 2)
        ) * tall
        ray = rays[round(t * (len(rays) - 1))]
        reach = height * tall * (0.55 + 0.45 * math.sin(t * 9 + phase)) * (0.6 + min(0.8, ray))
        level = (
            255
            * strength
            * (0.45 + 0.55 * math.sin(math.tau * (t * 1.3) + phase) ** 2)
            * (0.62 + 0.38 * min(1.0, ray * 1.6))
        )
        for up in range(max(1, round(reach))):
            row = round(foot) - up
            if 0 <= row < tall:
                sheet.putpixel((x, row), min(255, round(level * (1 - up / reach) ** 1.5)))
    stage.sheet(sheet.filter(ImageFilter.GaussianBlur(1.6)), color)


SCENES: dict[str, Scene] = {
    "mountains": mountains,
    "sea": sea,
    "city": city,
    "dunes": dunes,
    "forest": forest,
    "cosmos": cosmos,
    "network": network,
    "tree": tree,
    "ribbons": ribbons,
    "ripples": ripples,
    "blocks": blocks,
    "desk": desk,
    "clouds": clouds,
    "polar_night": polar_night,
}
