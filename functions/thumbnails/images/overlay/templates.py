"""The templates as data: where the panel lies, where the title may go, how it is set.

Nothing here imports Pillow: checking a request needs the names alone.
"""

from dataclasses import dataclass
from typing import Literal

WIDTH, HEIGHT = 1200, 630
MAX_SIZE, MIN_SIZE = 80, 32
LINE_HEIGHT = 1.25

#: What becomes of straight quotes and apostrophes.
Typography = Literal["as-is", "smart"]

# Left, upper, right and lower edge in pixels of the canvas; right and lower are the first pixels outside.
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Template:
    """One layout of a title over a picture. Every number is in pixels of the 1200 × 630 canvas.

    ``box`` holds all ink of the title. ``align`` is meant for left-to-right titles: a right-to-left title is set
    against the right edge of the box where the template says "left". Without a ``panel`` the title stands on the
    picture itself, over a soft shadow and a dark glow that is at its full strength for ``glow`` pixels beyond the ink
    on the left, upper, right and lower side. ``anchor`` says where the lines stand in a box that they don't fill.
    """

    box: Box
    lines: int
    align: Literal["left", "center"] = "left"
    anchor: Literal["middle", "bottom"] = "middle"
    panel: Box | None = None
    panel_opacity: float = 0.78
    glow: Box = (80, 64, 80, 64)


TEMPLATES: dict[str, Template] = {
    "bottom-bar": Template(panel=(0, 428, 1200, 630), box=(60, 458, 1140, 600), lines=3),
    "left-panel": Template(panel=(0, 0, 504, 630), box=(40, 40, 464, 590), lines=5),
    "center-box": Template(panel=(150, 142, 1050, 488), box=(200, 192, 1000, 438), lines=4, align="center"),
    "overlay-bottom": Template(box=(60, 430, 1140, 590), lines=2, anchor="bottom", glow=(WIDTH, 64, WIDTH, HEIGHT)),
    "overlay-center": Template(box=(90, 158, 1110, 472), lines=3, align="center"),
}
