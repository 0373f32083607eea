"""Scenes of land, water and sky."""

import math

from PIL import Image, ImageFilter

from thumbs.image_api.drawing.palettes import WHITE, Color, lit, mix, saturated
from thumbs.image_api.drawing.scenes.parts import birds, box, fir, firs, lens, sky, stars
from thumbs.image_api.drawing.stage import Point, Stage, ridge, rolling_line, rough_line


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
        dark.append(lens(rng.random(), y, 0.02 + 0.09 * depth * rng.random(), 0.0012 + 0.004 * depth))
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
        flash = lens(
            x + rng.gauss(0, 1) * spread, y, (0.008 + 0.034 * depth) * rng.uniform(0.3, 1.3), 0.0012 + 0.0026 * depth
        )
        (bright if index % 3 else soft).append(flash)
    stage.shapes(soft, stage.palette.accent, 0.55, ink=False)
    stage.shapes(bright, mix(stage.palette.light, WHITE, 0.3), 0.75, ink=False)


def _sail(stage: Stage, x: float, y: float, size: float) -> None:
    aspect = stage.width / stage.height
    dark, pale = stage.palette.depth(0.95), mix(stage.palette.light, stage.palette.accent, 0.12)

    def at(across: float, up: float) -> Point:
        return x + across * size / aspect, y - up * size

    stage.shapes([lens(x, y + size * 0.10, size * 0.8 / aspect, size * 0.05)], dark, 0.4, ink=False)
    stage.shapes([[at(0.02, 0.10), at(0.02, 1.0), at(0.14, 0.62), at(0.42, 0.12)]], pale)
    stage.shapes(
        [[at(-0.02, 0.10), at(-0.02, 0.86), at(-0.16, 0.5), at(-0.34, 0.12)]], mix(pale, stage.palette.accent, 0.45)
    )
    stage.shapes([[at(-0.42, 0.08), at(0.46, 0.08), at(0.32, -0.07), at(-0.30, -0.07)]], dark)


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
        if radius * 0.34 > y - level - 0.015:
            break
    for index, (shade, light) in enumerate(zip(dark, bright, strict=True)):
        fade = 0.9 - 0.10 * index
        stage.strokes([shade], lit(deep, 0.6), 0.007, fade * 0.4)
        stage.strokes([light], mix(palette.light, palette.accent, 0.15), 0.0036, fade * 0.8)
    if not look.sparse:
        stage.glow(x, y, 0.12, palette.light, 0.6)
    stage.ball(x, y - 0.10, 0.024, mix(palette.second, palette.light, 0.4))
    stage.discs([(x, y - 0.175, 0.008), (x, y - 0.205, 0.005)], mix(palette.second, palette.light, 0.5), 0.9)


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
    stage.shapes([box(x - a * 0.17, y + size * 1.56, x + a * 0.17, y + size * 1.78)], palette.depth(0.9))
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
            lens(rng.random(), rng.uniform(level + 0.005, 1.0), rng.uniform(0.03, 0.16), rng.uniform(0.0006, 0.002))
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
