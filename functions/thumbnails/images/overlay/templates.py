"""The formats and the templates as data: how large a picture is, where its panel lies, where and how a title is set.

Nothing here imports Pillow: checking a request needs the names alone.
"""

from dataclasses import dataclass, replace
from math import sqrt
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: What becomes of straight quotes and apostrophes.
Typography = Literal["as-is", "smart"]

# Left, upper, right and lower edge in pixels of the canvas; right and lower are the first pixels outside.
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Format:
    """The canvas of a finished image, in pixels, and how much of its upper and lower end an app covers."""

    width: int
    height: int
    covered_above: int = 0
    covered_below: int = 0

    @property
    def is_tall(self) -> bool:
        """Whether templates take their ``tall`` shape."""
        return self.width < 1.2 * self.height

    @property
    def unit(self) -> float:
        """How many pixels of this canvas make one of the 1200 × 630 that sizes are given for: as large to the eye."""
        return sqrt(self.width * self.height / (1200 * 630))


FORMATS: dict[str, Format] = {
    "og": Format(1200, 630),
    "x": Format(1600, 900),
    "youtube": Format(1280, 720),
    "square": Format(1080, 1080),
    "portrait": Format(1080, 1350),
    # What stories' apps put their own names and buttons over.
    "story": Format(1080, 1920, 250, 340),
}
DEFAULT_FORMAT = "og"
WIDTH, HEIGHT = FORMATS[DEFAULT_FORMAT].width, FORMATS[DEFAULT_FORMAT].height

Output = Literal["jpeg", "webp", "avif"]
OUTPUTS: dict[Output, str] = {"jpeg": "jpg", "webp": "webp", "avif": "avif"}
DEFAULT_OUTPUT: Output = "jpeg"

_Share = Annotated[float, Field(ge=0, le=1)]
_Pixels = Annotated[int, Field(ge=0, le=400)]
Colour = Annotated[str, Field(pattern="^#[0-9a-f]{6}$", description="sRGB, as #rrggbb")]
#: A colour, or one that is taken from the picture: a deep tone of it, or its most vivid one.
Paint = Colour | Literal["deep", "vivid"]


class Shape(BaseModel):
    """Where a template's parts lie on canvases of one shape.

    Attributes:
        area: left, upper, right and lower edge of the panel, in shares of the canvas; without a panel, of what the
            padding is taken from.
        padding: between the area's edges and the text: left, upper, right, lower; in pixels of a 1200 × 630 canvas,
            scaled to others.
        lines: the most lines of a title that can be set large; one that would be small takes more.
        align: of left-to-right titles; a right-to-left one stands at the right where this says "left".
        anchor: where the text stands in a box that it doesn't fill.
        picture: where the picture lies, in shares of the canvas.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    area: tuple[_Share, _Share, _Share, _Share] = (0, 0, 1, 1)
    padding: tuple[_Pixels, _Pixels, _Pixels, _Pixels] = (60, 30, 60, 30)
    lines: Annotated[int, Field(ge=1, le=12)] = 3
    align: Literal["left", "center"] = "left"
    anchor: Literal["top", "middle", "bottom"] = "middle"
    picture: tuple[_Share, _Share, _Share, _Share] = (0, 0, 1, 1)

    @model_validator(mode="after")
    def _edges_are_in_order(self) -> Self:
        for name in ("area", "picture"):
            left, top, right, bottom = getattr(self, name)
            if right - left < 0.15 or bottom - top < 0.15:
                raise ValueError(f"{name} is left, upper, right, lower edge, and at least 0.15 of the canvas each way")
        if (self.area[2] - self.area[0]) * 1200 - self.padding[0] - self.padding[2] < 150:
            raise ValueError("padding leaves less than 150 pixels of the area's width for the text")
        if (self.area[3] - self.area[1]) * 630 - self.padding[1] - self.padding[3] < 70:
            raise ValueError("padding leaves less than 70 pixels of the area's height for the text")
        return self


class Template(Shape):
    """One layout of a title over a picture. Sizes are pixels of a 1200 × 630 canvas, scaled to others.

    Attributes:
        name: what requests call it.
        backdrop: what the text stands on. ``panel``: the area in one colour. ``scrim``: a gradient that has no edge
            and is densest behind the text. ``glow``: a soft shadow and a dark glow around the letters.
        fit: whether a panel is only as large as its text: in height, or in both directions.
        colour: of the panel, the scrim or the glow. It becomes denser than ``opacity`` where the text needs it.
        text: colour of the title.
        accent: colour of the mark and the kicker.
        mark: an accent: a bar along the panel's edge, or a short rule above the text.
        frame: width of a border around the canvas in the panel's colour.
        largest: of the title, in pixels per em; a word alone may be larger. ``least``: what is too long for it is
            cut off.
        leading: from baseline to baseline, in ems.
        glow: how far beyond the ink the glow is at its full strength: left, above, right, below.
        tall: the shape on canvases that are not wide; the same as on wide ones where left out.
    """

    name: str = ""
    backdrop: Literal["panel", "scrim", "glow"] = "panel"
    fit: Literal["no", "height", "both"] = "no"
    colour: Paint = "#000000"
    opacity: _Share = 0.78
    text: Colour = "#ffffff"
    accent: Paint = "vivid"
    mark: Literal["none", "bar", "rule"] = "none"
    frame: Annotated[int, Field(ge=0, le=60)] = 0
    largest: Annotated[int, Field(ge=32, le=200)] = 80
    least: Annotated[int, Field(ge=24, le=80)] = 32
    leading: Annotated[float, Field(ge=1, le=2)] = 1.25
    glow: tuple[int, int, int, int] = (80, 64, 80, 64)
    tall: Shape | None = None


@dataclass(frozen=True)
class Place:
    """A template on a canvas: everything in the canvas's own pixels.

    ``box`` holds the text, ``panel`` is None where there is none.
    """

    template: Template
    format: str
    width: int
    height: int
    unit: float
    shape: Shape
    area: Box
    padding: Box
    box: Box
    panel: Box | None
    picture: Box
    largest: int
    least: int
    frame: int

    def mirrored(self) -> "Place":
        """The same with left and right exchanged, but for the picture."""

        def turned(box: Box) -> Box:
            return self.width - box[2], box[1], self.width - box[0], box[3]

        left, top, right, bottom = self.padding
        return replace(
            self,
            area=turned(self.area),
            box=turned(self.box),
            panel=self.panel and turned(self.panel),
            padding=(right, top, left, bottom),
        )

    @property
    def box_size(self) -> tuple[int, int]:
        """Width and height of the text's box."""
        return self.box[2] - self.box[0], self.box[3] - self.box[1]


def place(template: Template, name: str = DEFAULT_FORMAT) -> Place:
    """Lay a template out on the canvas of a format.

    What an app covers of the canvas is kept free of text: a panel at that end grows by as much.
    """
    canvas = FORMATS[name]
    unit = canvas.unit
    shape = (template.tall or template) if canvas.is_tall else template
    left, top, right, bottom = _on(shape.area, canvas)
    padding: Any = tuple(round(edge * unit) for edge in shape.padding)
    above = max(0, canvas.covered_above - top)
    below = max(0, bottom - (canvas.height - canvas.covered_below))
    # An area that ends within the canvas moves away from what is covered, whole; one that reaches the canvas's end
    # keeps its text away from it, and grows by as much.
    if shape.area[1] > 0:
        top, bottom, above = top + above, bottom + above, 0
    if shape.area[3] < 1:
        top, bottom, below = top - below, bottom - below, 0
    above, below = max(0, above - padding[1]), max(0, below - padding[3])
    if shape.area[1] > 0:
        top -= below
    box = (left + padding[0], top + padding[1] + above, right - padding[2], bottom - padding[3] - below)
    area = left, top, right, bottom
    picture = _on(shape.picture, canvas)
    if shape.picture[3] <= shape.area[1]:
        picture = (*picture[:3], top)
    return Place(
        template=template,
        format=name,
        width=canvas.width,
        height=canvas.height,
        unit=unit,
        shape=shape,
        area=area,
        padding=padding,
        box=box,
        panel=area if template.backdrop == "panel" else None,
        picture=picture,
        largest=round(template.largest * unit),
        least=round(template.least * unit),
        frame=round(template.frame * unit),
    )


def _on(shares: tuple[float, float, float, float], canvas: Format) -> Box:
    left, top, right, bottom = shares
    width, height = canvas.width, canvas.height
    return round(left * width), round(top * height), round(right * width), round(bottom * height)


TEMPLATES: dict[str, Template] = {
    template.name: template
    for template in (
        Template(
            name="bottom-bar",
            area=(0, 428 / 630, 1, 1),
            lines=3,
            tall=Shape(area=(0, 0.68, 1, 1), padding=(48, 36, 48, 36), lines=4),
        ),
        Template(
            name="left-panel",
            area=(0, 0, 0.42, 1),
            padding=(40, 40, 40, 40),
            lines=5,
            tall=Shape(area=(0, 0.58, 1, 1), padding=(48, 40, 48, 40), lines=5),
        ),
        Template(
            name="center-box",
            area=(0.125, 142 / 630, 0.875, 488 / 630),
            padding=(50, 50, 50, 50),
            lines=4,
            align="center",
            tall=Shape(area=(0.07, 0.29, 0.93, 0.71), padding=(40, 44, 40, 44), lines=5, align="center"),
        ),
        Template(
            name="overlay-bottom",
            backdrop="glow",
            area=(0, 430 / 630, 1, 1),
            padding=(60, 0, 60, 40),
            lines=2,
            anchor="bottom",
            glow=(1200, 64, 1200, 630),
            tall=Shape(area=(0, 0.62, 1, 1), padding=(48, 0, 48, 48), lines=4, anchor="bottom"),
        ),
        Template(
            name="overlay-center",
            backdrop="glow",
            area=(0.075, 0.25, 0.925, 0.75),
            padding=(0, 0, 0, 0),
            lines=3,
            align="center",
            tall=Shape(area=(0.075, 0.25, 0.925, 0.75), padding=(0, 0, 0, 0), lines=5, align="center"),
        ),
        Template(
            name="gradient-scrim",
            backdrop="scrim",
            colour="deep",
            area=(0, 0.35, 1, 1),
            padding=(64, 0, 160, 56),
            lines=3,
            anchor="bottom",
            largest=92,
            leading=1.12,
            mark="rule",
            tall=Shape(area=(0, 0.45, 1, 1), padding=(52, 0, 52, 60), lines=5, anchor="bottom"),
        ),
        Template(
            name="split",
            colour="deep",
            opacity=1,
            area=(0, 0, 0.46, 1),
            padding=(56, 56, 44, 56),
            picture=(0.46, 0, 1, 1),
            lines=5,
            largest=76,
            leading=1.12,
            mark="rule",
            tall=Shape(area=(0, 0.56, 1, 1), padding=(52, 48, 52, 48), picture=(0, 0, 1, 0.56), lines=5),
        ),
        Template(
            name="cover",
            colour="deep",
            opacity=0.5,
            area=(0, 0, 1, 1),
            padding=(64, 56, 64, 56),
            lines=4,
            largest=160,
            least=36,
            leading=1.02,
            anchor="bottom",
            tall=Shape(area=(0, 0, 1, 1), padding=(52, 60, 52, 64), lines=7, anchor="bottom"),
        ),
        Template(
            name="framed-card",
            colour="#fbfaf6",
            opacity=1,
            text="#15171c",
            area=(0, 0.3, 0.72, 1),
            padding=(56, 30, 44, 40),
            lines=4,
            anchor="bottom",
            fit="both",
            frame=22,
            largest=64,
            least=30,
            leading=1.14,
            mark="bar",
            tall=Shape(area=(0, 0.5, 0.94, 1), padding=(52, 36, 40, 48), lines=6, anchor="bottom"),
        ),
        Template(
            name="lower-third",
            colour="#0d1015",
            opacity=0.9,
            area=(0, 0.45, 0.86, 0.92),
            padding=(64, 26, 40, 26),
            lines=2,
            anchor="bottom",
            fit="both",
            largest=58,
            least=28,
            leading=1.14,
            mark="bar",
            tall=Shape(area=(0, 0.5, 0.95, 0.93), padding=(48, 28, 36, 28), lines=4, anchor="bottom"),
        ),
    )
}
