"""What the API answers, as it is validated and documented."""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel

from thumbnails.aws.step_functions import Status
from thumbnails.catalog import DEFAULT_FORMAT, DEFAULT_OUTPUT
from thumbnails.requests.models import Kind, Task


class ProblemOut(BaseModel):
    """One thing that is wrong, and the field that it is in; empty for the whole request."""

    field: str
    message: str


class Error(BaseModel):
    """Every error: a stable code, a sentence, and every problem of the request."""

    code: str
    message: str
    problems: list[ProblemOut] = []


class Accepted(BaseModel):
    """A run that was started. The cost is an estimate in US dollars."""

    run_id: str
    kind: Task
    status_url: str
    estimated_cost_usd: float
    warnings: list[str] = []


class Redriven(BaseModel):
    """A run whose missing images are being made."""

    run_id: str
    kind: Kind
    status_url: str


class Plan(BaseModel):
    """What a request would make and cost; nothing was started."""

    kind: Task
    titles: list[str]
    models: list[str]
    style: str
    template: str
    font: str
    context: str
    extra_prompt: str
    reuse: bool
    redraw: str
    quality: str
    variants: int
    formats: list[str]
    output: str
    kicker: str
    author: str
    brand: str
    only: list[tuple[int, int]]
    images: int
    estimated_cost_usd: float
    warnings: list[str]


class Draft(BaseModel):
    """What a file says of a batch; null or empty where it says nothing."""

    prompts: list[str] = []
    models: list[str] = []
    style: str | None = None
    template: str | None = None
    font: str | None = None
    context: str | None = None
    extra_prompt: str | None = None
    formats: list[str] = []
    kicker: str | None = None
    author: str | None = None
    brand: str | None = None


class Counts(BaseModel):
    """How many cells are in which state."""

    total: int
    pending: int
    running: int
    succeeded: int
    failed: int
    deleted: int


class Variant(BaseModel):
    """Another picture of a cell."""

    key: str
    image_url: str


class Cell(BaseModel):
    """One image: its URL once it is there, an error and a message where it failed.

    ``usd`` is what was paid for it; ``waits`` is between two tries; ``variants`` are the cell's other pictures,
    ``formats`` the URLs of its first one in the run's other formats.
    """

    row: int
    column: int
    title: str
    model: str
    state: Literal["pending", "running", "succeeded", "failed", "deleted"]
    key: str | None = None
    image_url: str | None = None
    error: str | None = None
    message: str | None = None
    usd: float | None = None
    waits: bool = False
    variants: list[Variant] = []
    formats: dict[str, str] = {}


class Rows(BaseModel):
    """How far a campaign's rows are: of all, those that its newest execution makes, and has made without an image."""

    total: int
    running: int
    done: int
    failed: int


class Run(BaseModel):
    """A run, while it goes on and after; no cells where its request was never accepted, rows only of a campaign.

    One that is ``forgotten`` has no history any more: it is what the bucket holds.
    """

    run_id: str
    kind: Kind
    status: Status
    started_at: datetime
    ended_at: datetime | None
    error: str | None
    message: str | None
    forgotten: bool = False
    titles: list[str]
    models: list[str]
    formats: list[str] = [DEFAULT_FORMAT]
    output: str = DEFAULT_OUTPUT
    kicker: str = ""
    author: str = ""
    style: str | None
    template: str | None
    font: str | None
    redraw: str | None
    brand: str | None
    counts: Counts
    cells: list[Cell]
    rows: Rows | None = None


class RunSummary(BaseModel):
    """A run in a list, as its newest execution shows it, or as the bucket does where that is forgotten."""

    run_id: str
    kind: Kind
    status: Status
    started_at: datetime
    ended_at: datetime | None
    status_url: str
    forgotten: bool = False


class Runs(BaseModel):
    """A page of runs, newest first; no ``next_cursor`` on the last one."""

    runs: list[RunSummary]
    next_cursor: str | None


class Stopped(BaseModel):
    """A run that was told to stop; its finished images stay."""

    run_id: str
    status: Literal["ABORTED"]


class Image(BaseModel):
    """A finished image."""

    key: str
    image_url: str
    run_id: str
    row: int
    model: str
    format: str
    bytes: int
    created_at: datetime


class Images(BaseModel):
    """A page of images, newest first; no ``next_cursor`` on the last one."""

    images: list[Image]
    next_cursor: str | None


class Archive(BaseModel):
    """A ZIP of a run's finished images."""

    run_id: str
    archive_url: str


class ModelPrice(BaseModel):
    """List prices in US dollars: of a picture, or of a million tokens where ``picture`` is null."""

    picture: float | None
    text_in: float
    image_in: float
    image_out: float


class Preview(BaseModel):
    """A thumbnail as a run would make it, in base64, and what the writer should look at."""

    image: str
    media_type: str
    warnings: list[str]


class Winner(BaseModel):
    """What was chosen in a row: its image, its alternative text, and the tags that show it."""

    row: int
    title: str
    model: str
    key: str
    image_url: str
    download_url: str
    file: str
    alt: str
    tags: list[str]
    chosen_at: datetime


class Winners(BaseModel):
    """What was chosen of a run, row by row."""

    run_id: str
    winners: list[Winner]


class TakenWinners(Winners):
    """The winners, copied to where they stay, and a ZIP of them."""

    archive_url: str


class WinRate(BaseModel):
    """How often a model was chosen, of the rows in which it stood to choose from and something was."""

    model: str
    wins: int
    rows: int


class WinRates(BaseModel):
    """Every model that ever stood to choose from, the one that wins most often first."""

    models: list[WinRate]


class ListedBrand(BaseModel):
    """A brand kit in a list."""

    name: str
    bytes: int
    modified_at: datetime


class Brands(BaseModel):
    """The brand kits, by name."""

    brands: list[ListedBrand]


class BrandFont(BaseModel):
    """A font of a brand kit, and the scripts whose letters it has."""

    name: str
    licence: str
    scripts: list[str]


class Brand(BaseModel):
    """A brand kit that was put, without its files.

    ``version`` is the bucket's, ``digest`` the SHA-256 of the document, ``contrast`` that of text on background, and
    ``logo`` its width and height in pixels.
    """

    name: str
    version: str
    digest: str
    bytes: int
    colours: dict[str, str]
    contrast: float
    fonts: list[BrandFont]
    logo: tuple[int, int] | None
    line: str
    kicker: str
    corner: str
    emoji: str
    templates: list[str]


class ModelOut(BaseModel):
    """An image model.

    ``price_usd`` is one picture at ``standard`` quality, about, and ``prices_usd`` at each quality. ``state`` is
    ``ending`` in the thirty days before ``retired``, and ``notice`` says so.
    """

    id: str
    label: str
    provider: str
    state: Literal["living", "ending", "retired"]
    retired: date | None
    successor: str | None
    notice: str | None
    width: int
    height: int
    price: ModelPrice
    price_usd: float
    prices_usd: dict[str, float]
    checked: date
    batch: bool
    variants: int


class Limits(BaseModel):
    """What a request may hold at most."""

    images_per_run: int
    title_characters: tuple[int, int]
    context_characters: int
    extra_prompt_characters: int
    kicker_characters: int
    author_characters: int
    body_bytes: int


class Defaults(BaseModel):
    """What is taken where a request says nothing."""

    style: str
    template: str
    font: str


class Budget(BaseModel):
    """A UTC day's money in US dollars; every field null where no budget is set."""

    day: str | None = None
    limit_usd: float | None = None
    paid_usd: float | None = None
    reserved_usd: float | None = None
    left_usd: float | None = None
    starts_anew: datetime | None = None


class FormatOut(BaseModel):
    """A format, in pixels."""

    name: str
    width: int
    height: int


class Options(BaseModel):
    """Everything that may be asked for."""

    models: list[ModelOut]
    styles: list[str]
    templates: list[str]
    fonts: list[str]
    formats: list[FormatOut]
    outputs: list[str]
    defaults: Defaults
    limits: Limits
    moderation: bool


class Health(BaseModel):
    """The API answers."""

    status: Literal["ok"]
