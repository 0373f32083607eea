"""What the API takes, beside requests for runs."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StrictInt, StrictStr, StringConstraints

from thumbnails.catalog import (
    DEFAULT_FONT,
    DEFAULT_FORMAT,
    DEFAULT_OUTPUT,
    DEFAULT_STYLE,
    DEFAULT_TEMPLATE,
    Output,
    Quality,
)
from thumbnails.runs.winners import ALT_CHARACTERS

#: File systems take no more.
FILE_NAME_CHARACTERS = 255


class Body(BaseModel):
    """What is not named here is a mistake."""

    model_config = ConfigDict(extra="forbid")


class Previewed(Body):
    """What is shown; over the picture of a run's cell where one is named, else over a sample."""

    title: str
    style: str = DEFAULT_STYLE
    template: str = DEFAULT_TEMPLATE
    font: str = DEFAULT_FONT
    format: str = DEFAULT_FORMAT
    output: Output = DEFAULT_OUTPUT
    kicker: str = ""
    author: str = ""
    brand: str = ""
    run_id: str = ""
    row: int = 0
    column: int = 0


class File(Body):
    """A file of titles as it is, in base64."""

    name: Annotated[StrictStr, StringConstraints(max_length=FILE_NAME_CHARACTERS)]
    content: StrictStr


class Chosen(Body):
    """What a person chooses in a row; what is left out stays as it is."""

    model: StrictStr | None = None
    alt: Annotated[StrictStr, StringConstraints(strip_whitespace=True, max_length=ALT_CHARACTERS)] | None = None


class Finals(Body):
    """Which cells are made again, by row and column from 0, and at which quality."""

    cells: list[tuple[StrictInt, StrictInt]]
    quality: Quality = "high"


class Taken(Body):
    """Where the pictures will be on the web."""

    base_url: Annotated[StrictStr, StringConstraints(pattern=r"^(https?://[^\s<>\"]{1,490}/)?$")] = ""
