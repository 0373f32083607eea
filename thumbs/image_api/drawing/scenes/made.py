"""Scenes of things made, counted or thought of: cities, networks, blocks, a desk, planets, silk."""

import math

from thumbs.image_api.drawing.palettes import WHITE, Color, Palette, lit, mix
from thumbs.image_api.drawing.scenes.parts import box, lens, sky, stars, sun
from thumbs.image_api.drawing.stage import Point, Stage, ridge, rolling_line, rough_line


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
        lens(rng.random(), rng.uniform(foot + 0.01, 1.0), rng.uniform(0.04, 0.20), rng.uniform(0.0008, 0.003))
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
            box(-0.01, -0.01, 0.035, top + 0.02),
            box(0.965, -0.01, 1.01, top + 0.02),
            box(0.488, -0.01, 0.512, top + 0.02),
            box(-0.01, -0.01, 1.01, 0.03),
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
        stage.shapes([box(x - half, y - 0.034, x + half, y)], mix(shades[index], palette.near, 0.18))
        stage.shapes(
            [box(x - half, y - 0.034, x + half, y - 0.024)], mix(shades[index], palette.light, 0.35), ink=False
        )
        stage.shapes(
            [box(x + half * 0.9, y - 0.028, x + half * 1.0, y - 0.006)],
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
