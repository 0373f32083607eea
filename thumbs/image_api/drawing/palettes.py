"""Colours: palettes that hold together, and what is done to a colour."""

from collections.abc import Callable
from dataclasses import dataclass, fields

Color = tuple[int, int, int]

WHITE: Color = (255, 255, 255)
BLACK: Color = (0, 0, 0)


@dataclass(frozen=True)
class Palette:
    """One light: the sky from zenith to horizon, what gives light, what is far and what is near, and two accents."""

    zenith: Color
    sky: Color
    horizon: Color
    light: Color
    far: Color
    near: Color
    accent: Color
    second: Color

    def mapped(self, change: Callable[[Color], Color]) -> "Palette":
        """The palette with every colour changed."""
        return Palette(**{field.name: change(getattr(self, field.name)) for field in fields(self)})

    def depth(self, nearness: float) -> Color:
        """The colour of a thing that is so near: 0 is the farthest, 1 the nearest."""
        return mix(self.far, self.near, nearness)

    @property
    def is_night(self) -> bool:
        """Whether stars would show."""
        return luma(self.zenith) < 60 and luma(self.sky) < 70


def mix(first: Color, second: Color, share: float) -> Color:
    """A colour between two; a share of 0 is the first."""
    share = min(1.0, max(0.0, share))
    return (
        round(first[0] + (second[0] - first[0]) * share),
        round(first[1] + (second[1] - first[1]) * share),
        round(first[2] + (second[2] - first[2]) * share),
    )


def luma(color: Color) -> float:
    """How light a colour looks, 0 to 255."""
    return 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]


def saturated(color: Color, factor: float) -> Color:
    """A colour with its distance from grey multiplied."""
    grey = luma(color)
    red, green, blue = (min(255, max(0, round(grey + (part - grey) * factor))) for part in color)
    return red, green, blue


def lit(color: Color, factor: float) -> Color:
    """A colour in more light (above 1) or less."""
    return mix(color, WHITE, factor - 1) if factor > 1 else mix(BLACK, color, factor)


PALETTES: dict[str, Palette] = {
    "dawn": Palette(
        (74, 112, 166),
        (160, 178, 206),
        (253, 214, 178),
        (255, 241, 216),
        (164, 170, 200),
        (26, 40, 66),
        (240, 140, 96),
        (112, 172, 190),
    ),
    "alpine": Palette(
        (38, 104, 180),
        (112, 174, 222),
        (228, 240, 244),
        (255, 252, 236),
        (146, 182, 208),
        (16, 52, 62),
        (246, 178, 76),
        (86, 162, 112),
    ),
    "mint": Palette(
        (84, 150, 160),
        (164, 206, 196),
        (252, 240, 208),
        (255, 252, 232),
        (148, 190, 182),
        (20, 60, 68),
        (240, 146, 106),
        (84, 150, 160),
    ),
    "lagoon": Palette(
        (8, 62, 104),
        (38, 140, 164),
        (214, 236, 206),
        (255, 250, 222),
        (92, 166, 178),
        (4, 42, 60),
        (255, 150, 110),
        (250, 220, 140),
    ),
    "golden": Palette(
        (92, 104, 152),
        (232, 166, 122),
        (255, 216, 144),
        (255, 246, 214),
        (208, 150, 128),
        (52, 28, 46),
        (250, 122, 72),
        (255, 206, 124),
    ),
    "ember": Palette(
        (38, 22, 52),
        (142, 50, 62),
        (250, 140, 76),
        (255, 224, 156),
        (140, 66, 76),
        (24, 11, 28),
        (255, 100, 62),
        (255, 192, 112),
    ),
    "desert": Palette(
        (58, 128, 176),
        (176, 204, 200),
        (255, 228, 180),
        (255, 249, 224),
        (232, 180, 130),
        (108, 46, 36),
        (224, 100, 54),
        (58, 130, 142),
    ),
    "rose": Palette(
        (104, 98, 156),
        (214, 156, 178),
        (255, 224, 200),
        (255, 247, 230),
        (196, 154, 180),
        (56, 34, 68),
        (240, 112, 122),
        (250, 200, 150),
    ),
    "bluehour": Palette(
        (14, 26, 64),
        (46, 82, 140),
        (242, 164, 132),
        (255, 228, 184),
        (84, 104, 158),
        (9, 16, 40),
        (255, 180, 96),
        (104, 196, 232),
    ),
    "indigo": Palette(
        (16, 14, 54),
        (56, 56, 138),
        (166, 146, 222),
        (242, 234, 255),
        (90, 86, 170),
        (12, 10, 40),
        (120, 204, 255),
        (255, 152, 202),
    ),
    "aurora": Palette(
        (6, 12, 34),
        (16, 46, 82),
        (62, 132, 132),
        (218, 255, 238),
        (36, 72, 102),
        (4, 11, 26),
        (96, 240, 182),
        (172, 124, 255),
    ),
    "dream": Palette(
        (56, 38, 108),
        (166, 86, 160),
        (255, 180, 164),
        (255, 234, 212),
        (162, 102, 168),
        (34, 18, 62),
        (255, 124, 144),
        (122, 222, 222),
    ),
}
