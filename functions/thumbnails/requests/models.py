"""The shapes of a request: what it may say, what is taken where it says nothing, and what its result looks like.

Only ``checks`` makes one from what somebody sent.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from thumbnails.catalog import (
    DEFAULT_FONT,
    DEFAULT_FORMAT,
    DEFAULT_OUTPUT,
    DEFAULT_QUALITY,
    DEFAULT_STYLE,
    DEFAULT_TEMPLATE,
    FORMATS,
    MODELS,
    OUTPUTS,
    Model,
    Order,
    Output,
    Quality,
)
from thumbnails.images.overlay.templates import Typography
from thumbnails.keys import image_key
from thumbnails.runs.naming import RUN_ID

Task = Literal["generateBatch", "generateThumbnails"]
CAMPAIGN: Literal["generateCampaign"] = "generateCampaign"
#: What a run is started as.
Kind = Literal["generateBatch", "generateThumbnails", "generateCampaign"]

TITLE_CHARACTERS = (3, 200)
EXTRA_PROMPT_CHARACTERS = 500
#: Of the words above the title, and of the line below it.
KICKER_CHARACTERS, AUTHOR_CHARACTERS = 40, 80
CONTEXT_CHARACTERS = 2500
#: Seconds that one image may wait for its provider's pace: unless the request says otherwise, and at most.
WAIT_SECONDS, MOST_WAIT_SECONDS = 900, 3600
#: Pictures of one title by one model, at most.
MOST_VARIANTS = 4
#: More prompts than the largest cap takes; what comes after a cell's place.
MOST_PLACES = 1_000_000
#: The items of the positional form, in order, after the one that names the titles.
POSITIONS = ("models", "style", "template", "font", "context", "extra_prompt")

#: What becomes of a picture that no half-price batch made.
Stragglers = Literal["fail", "live"]

#: What becomes of a title with letters that no font has.
MissingGlyphs = Literal["refuse", "allow"]

#: A cell's row and column.
Place = tuple[int, int]


def _plain_text(text: str) -> str:
    """Trim, and turn line breaks, tabs and other control characters into single spaces."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("contains an incomplete character (an unpaired surrogate)") from None
    return " ".join("".join(character if character.isprintable() else _blank(character) for character in text).split())


def _blank(character: str) -> str:
    # Joiners and direction marks are not printable, but writing needs them.
    return character if ord(character) > 0x9F and not character.isspace() else " "


Text = Annotated[StrictStr, AfterValidator(_plain_text)]
WaitSeconds = Annotated[StrictInt, Field(ge=0, le=MOST_WAIT_SECONDS)]
Variants = Annotated[StrictInt, Field(ge=1, le=MOST_VARIANTS)]
Index = Annotated[StrictInt, Field(ge=0, lt=MOST_PLACES)]
#: A run's id, or nothing.
RunId = Annotated[StrictStr, Field(pattern=f"{RUN_ID}|^$")]


class Options(BaseModel):
    """What one request says once for all of its images.

    ``redraw`` names a run whose pictures are drawn on again, row by row and model by model, whatever the titles say.
    ``variants`` pictures are made of each title by each model whose API makes several a call, one by any other.
    ``only`` names the cells that are made, by row and column from 0; all of them where it is empty. ``formats`` are
    those that each picture is finished in; ``drawn_for`` those by which the size of the model's picture is chosen, the
    same where it is empty.
    ``missing_glyphs`` says whether a title is refused, or drawn without them, where no font has some of its letters,
    and ``typography`` whether its straight quotes and apostrophes become those of its language. ``kicker`` stands above
    every title, ``author`` below it.
    ``brand`` names a kit of the bucket, whose templates and fonts may be named beside the catalogue's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: list[Text] = []
    style: Text = DEFAULT_STYLE
    template: Text = DEFAULT_TEMPLATE
    font: Text = DEFAULT_FONT
    context: Text = ""
    extra_prompt: Text = ""
    reuse: StrictBool = False
    max_wait_seconds: WaitSeconds = WAIT_SECONDS
    redraw: RunId = ""
    quality: Quality = DEFAULT_QUALITY
    variants: Variants = 1
    formats: list[Text] = [DEFAULT_FORMAT]
    drawn_for: list[Text] = []
    output: Output = DEFAULT_OUTPUT
    kicker: Text = ""
    author: Text = ""
    brand: Text = ""
    only: list[tuple[Index, Index]] = []
    missing_glyphs: MissingGlyphs = "refuse"
    typography: Typography = "as-is"

    @property
    def titles(self) -> list[str]:
        """The titles, one a row."""
        return []

    @property
    def places(self) -> list[Place]:
        """The cells that are made, row by row."""
        chosen = set(self.only)
        every = ((row, column) for row in range(len(self.titles)) for column in range(len(self.models)))
        return [place for place in every if not chosen or place in chosen]

    @property
    def images(self) -> int:
        """How many images are made."""
        return sum(variants_of(self, self.models[column]) for _, column in self.places)

    def rows_for_map(self) -> list[dict[str, Any]]:
        """The rows that are made, each with its cells, as the state machines' Maps read them."""
        cells: dict[int, list[dict[str, Any]]] = {}
        for row, column in self.places:
            cells.setdefault(row, []).append({"column": column, "model": self.models[column]})
        return [{"row": row, "title": self.titles[row], "cells": cells[row]} for row in cells]


def order_of(model: Model, options: "Options | Cell") -> Order:
    """What a model is asked for: of the sizes that it draws, the one of which the formats throw the least away."""
    names = options.drawn_for or options.formats
    sizes = [(FORMATS[name].width, FORMATS[name].height) for name in names if name in FORMATS]
    return model.order(options.quality, sizes or [(FORMATS[DEFAULT_FORMAT].width, FORMATS[DEFAULT_FORMAT].height)])


def key_of(
    options: "Options | Cell", run_id: str, row: int, title: str, model: str, variant: int = 0, form: str = ""
) -> str:
    """The key of a cell's finished image in a format, the request's first where none is named."""
    form = form or options.formats[0]
    named = "" if form == DEFAULT_FORMAT else form
    return image_key(run_id, row, title, model, variant, named, OUTPUTS[options.output])


def variants_of(options: "Options | Cell", model: str) -> int:
    """How many pictures of a title are made by a model."""
    return min(options.variants, MODELS[model].variants) if model in MODELS else 1


class Batch(Options):
    """N prompts × M models."""

    task: ClassVar[Task] = "generateBatch"
    #: The field that holds the titles.
    first: ClassVar[str] = "prompts"

    prompts: list[Text] = []

    @property
    def titles(self) -> list[str]:
        """The titles, one a row."""
        return self.prompts

    @staticmethod
    def as_first(title: str) -> list[str]:
        """One title as the first field holds it."""
        return [title]

    @staticmethod
    def place(row: int) -> str:
        """Where a row's title is in the request."""
        return f"prompts[{row}]"

    def for_map(self) -> dict[str, Any]:
        """The request as the state machine's Map reads it."""
        return {**self.model_dump(exclude={"prompts", "models", "only"}), "rows": self.rows_for_map()}

    def result(self, images: Mapping[Place, Mapping[str, Any]]) -> dict[str, Any]:
        """The part of a run's result that is of this shape.

        Args:
            images: ``image_url`` and more of each finished image, by its place; ``variants`` are the URLs of all
                pictures of the cell, ``formats`` those of its first picture in the other formats, by their names.
        """
        columns = range(len(self.models))
        matrix = [
            [images.get((row, column), {}).get("image_url") for column in columns] for row in range(len(self.prompts))
        ]
        made: dict[str, Any] = {"prompts": self.prompts, "models": self.models, "results": matrix}
        if others := self.formats[1:]:
            made["formats"] = {
                name: [
                    [images.get((row, column), {}).get("formats", {}).get(name) for column in columns]
                    for row in range(len(matrix))
                ]
                for name in others
            }
        if self.variants == 1:
            return made
        urls = [[images.get((row, column), {}).get("variants", []) for column in columns] for row in range(len(matrix))]
        return {**made, "variants": urls}


class Thumbnails(Options):
    """One title × M models."""

    task: ClassVar[Task] = "generateThumbnails"
    #: The field that holds the title.
    first: ClassVar[str] = "title"

    title: Text = ""

    @property
    def titles(self) -> list[str]:
        """The one title; none where it is empty."""
        return [self.title] if self.title else []

    @staticmethod
    def as_first(title: str) -> str:
        """One title as the first field holds it."""
        return title

    @staticmethod
    def place(_row: int) -> str:
        """Where the title is in the request."""
        return "title"

    def for_map(self) -> dict[str, Any]:
        """The request as the state machine's Map reads it: the same as a batch's inner one, which has a row."""
        return {**self.model_dump(exclude={"models", "only"}), **self.rows_for_map()[0]}

    def result(self, images: Mapping[Place, Mapping[str, Any]]) -> dict[str, Any]:
        """The part of a run's result that is of this shape.

        Args:
            images: ``model``, ``image_url``, ``key``, ``variants`` and ``formats`` of each finished image, by its
                place.
        """
        named = {name: getattr(self, name) for name in ("title", "style", "template", "font")}
        kept = ["model", "image_url", "key"]
        kept += [name for name, has in (("variants", self.variants > 1), ("formats", len(self.formats) > 1)) if has]
        made = [
            {**{name: images[place][name] for name in kept}, "row": 0, "column": place[1]} for place in sorted(images)
        ]
        return {**named, "results": made}


Request = Batch | Thumbnails
SHAPES: dict[Task, type[Batch] | type[Thumbnails]] = {"generateBatch": Batch, "generateThumbnails": Thumbnails}


class Campaign(BaseModel):
    """A file of rows, one title × M models each; what a row leaves out is taken from here.

    ``max_images`` is the campaign's own budget: there is no other cap. ``max_concurrency`` rows are made at a time, and
    above ``tolerated_failure_percentage`` of rows without any image the rest is not begun.

    With ``economy`` its pictures are asked for in the providers' batches, at half price and within a day;
    ``stragglers`` says whether those that no batch made are asked for one by one, at the whole price, or fail.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Text
    max_images: Annotated[StrictInt, Field(ge=1)]
    max_concurrency: Annotated[StrictInt, Field(ge=1, le=10_000)] = 20
    tolerated_failure_percentage: Annotated[float, Field(strict=True, ge=0, le=100)] = 5.0
    economy: StrictBool = False
    stragglers: Stragglers = "fail"
    models: list[Text] | None = None
    style: Text | None = None
    template: Text | None = None
    font: Text | None = None
    context: Text | None = None
    extra_prompt: Text | None = None
    reuse: StrictBool | None = None
    max_wait_seconds: WaitSeconds | None = None
    quality: Quality | None = None
    formats: list[Text] | None = None
    output: Output | None = None
    kicker: Text | None = None
    author: Text | None = None
    missing_glyphs: MissingGlyphs | None = None
    typography: Typography | None = None
    brand: Text | None = None

    @property
    def defaults(self) -> dict[str, Any]:
        """What a row that does not say it has."""
        return self.model_dump(include=set(Options.model_fields), exclude_none=True)


class Cell(BaseModel):
    """One cell of the matrix: what ``generateThumbnail`` takes. A person who calls it alone gives title and model.

    ``economy`` says what becomes of it where its campaign's half-price batch has not made its picture; empty where it
    was in none. ``waits`` is how often it has waited for its provider's pace, and ``waited_seconds`` for how long. One
    that is called alone has no state machine to wait in.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Text
    model: Text
    style: Text = DEFAULT_STYLE
    template: Text = DEFAULT_TEMPLATE
    font: Text = DEFAULT_FONT
    context: Text = ""
    extra_prompt: Text = ""
    reuse: StrictBool = False
    max_wait_seconds: WaitSeconds = 0
    waits: Annotated[StrictInt, Field(ge=0)] = 0
    waited_seconds: Annotated[StrictInt, Field(ge=0)] = 0
    redraw: RunId = ""
    economy: Literal["", Stragglers] = ""
    quality: Quality = DEFAULT_QUALITY
    variants: Variants = 1
    formats: list[Text] = [DEFAULT_FORMAT]
    drawn_for: list[Text] = []
    output: Output = DEFAULT_OUTPUT
    kicker: Text = ""
    author: Text = ""
    missing_glyphs: MissingGlyphs = "refuse"
    typography: Typography = "as-is"
    brand: Text = ""
    run_id: Annotated[StrictStr, Field(pattern=RUN_ID)] = ""
    execution: Annotated[StrictStr, Field(pattern=RUN_ID)] = ""
    row: Index = 0
    column: Index = 0


def stored_request(task: Task, value: object) -> Request:
    """A request as the bucket keeps it: it was checked when it was accepted, when the cap and the catalogue may have
    been others.

    Raises:
        pydantic.ValidationError: somebody else wrote it.
    """
    return SHAPES[task].model_validate(value)
