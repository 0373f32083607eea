"""Winners: the image that a person chose in each row of a run, with its alternative text, and where it goes from there.

winners/<run_id>/choice.json       a star per row, written on a condition, so that two who choose lose nothing
winners/<run_id>/<row>-<slug>.jpg  a copy that stays when the run's lifetime ends
winners/<run_id>/winners.json      the winners with their texts and tags
winners/<run_id>/winners.zip       all of it, packed
"""

import html
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from thumbnails.aws.bus import Bus
from thumbnails.aws.s3 import Store
from thumbnails.catalog import DEFAULT_FORMAT, DEFAULT_OUTPUT, FORMATS, OUTPUTS, Output
from thumbnails.errors import Problem, ThumbnailError
from thumbnails.keys import S3Object, slug
from thumbnails.runs.status import CellStatus, RunStatus

WINNERS = "winners/"
ALT_CHARACTERS = 500
#: Writers at once, each of whom goes before once, are fewer than this.
TRIES = 20
READERS = 8


class NoSuchWinner(ThumbnailError):
    """What was chosen is no finished image of the run."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class NoWinners(ThumbnailError):
    """Nothing was chosen in the run."""


class ChoiceContended(ThumbnailError):
    """Others wrote their choices at every try."""


class Star(BaseModel):
    """What was chosen in a row."""

    model_config = ConfigDict(frozen=True)

    model: str
    alt: str
    chosen_at: datetime


class Choice(BaseModel):
    """A run's stars by row, and the models that stood to choose from."""

    model_config = ConfigDict(frozen=True)

    models: list[str]
    stars: dict[int, Star] = Field(default_factory=dict)


@dataclass(frozen=True)
class Winner:
    """A row's winner: ``cell`` is its cell, ``copy_key`` where its copy stays."""

    cell: CellStatus
    star: Star
    copy_key: str
    format: str = DEFAULT_FORMAT
    output: Output = DEFAULT_OUTPUT

    @property
    def file_name(self) -> str:
        """What its file is called for those who take it home."""
        return self.copy_key.rpartition("/")[2]

    def tags(self, base_url: str) -> list[str]:
        """The tags that show it where the page is linked to.

        Args:
            base_url: where its file will be; empty for beside the page.
        """
        url, alt = html.escape(base_url + self.file_name), html.escape(self.star.alt)
        canvas, kind = FORMATS[self.format], f"image/{self.output}"
        size = {"image:width": canvas.width, "image:height": canvas.height}
        og = {"image": url, "image:type": kind, **size, "image:alt": alt}
        twitter = {"card": "summary_large_image", "image": url, "image:alt": alt}
        return [
            *(f'<meta property="og:{name}" content="{value}">' for name, value in og.items()),
            *(f'<meta name="twitter:{name}" content="{value}">' for name, value in twitter.items()),
        ]


def suggested_alt(title: str, style: str | None) -> str:
    """A first alternative text: what is written, and how it is drawn."""
    return f"“{title}”" + (f", in a {style.replace('-', ' ')} style" if style else "")


def choose(status: RunStatus, row: int, model: str | None, alt: str | None, store: Store) -> None:
    """Set or change a row's star.

    Args:
        status: the run.
        row: which of its rows.
        model: whose image; None leaves the one that is chosen.
        alt: the alternative text; None leaves what is there, or suggests one.
        store: the bucket.

    Raises:
        NoSuchWinner: there is no such finished image, or nothing is chosen whose text could be changed.
        ChoiceContended: others wrote at every try.
    """
    if model is not None and not any(
        cell.row == row and cell.model == model and cell.state == "succeeded" for cell in status.cells
    ):
        raise NoSuchWinner(Problem("model", f"row {row} has no finished image by {model!r}"))

    def change(stars: dict[int, Star]) -> dict[int, Star]:
        before = stars.get(row)
        if model is None and before is None:
            raise NoSuchWinner(Problem("row", f"row {row} has no winner whose text could be changed"))
        title = next(cell.title for cell in status.cells if cell.row == row)
        style = status.request.style if status.request else None
        text = alt if alt is not None else before.alt if before else suggested_alt(title, style)
        chosen = model or (before.model if before else "")
        return {**stars, row: Star(model=chosen, alt=text, chosen_at=datetime.now(UTC))}

    _change(status, change, store)


def unchoose(status: RunStatus, row: int, store: Store) -> None:
    """Take a row's star away, where it has one.

    Raises:
        ChoiceContended: others wrote at every try.
    """
    _change(status, lambda stars: {at: star for at, star in stars.items() if at != row}, store)


def _change(status: RunStatus, change: Callable[[dict[int, Star]], dict[int, Star]], store: Store) -> None:
    key = _folder(status.run_id) + "choice.json"
    for _ in range(TRIES):
        stored = store.get(key)
        before = Choice.model_validate_json(stored.body) if stored else Choice(models=[])
        models = status.request.models if status.request else before.models
        after = Choice(models=models, stars=dict(sorted(change(before.stars).items())))
        if after == before:
            return
        if store.put_over(key, after.model_dump_json().encode(), "application/json", stored.etag if stored else ""):
            return
    raise ChoiceContended("others are choosing in this run at the same moment: try again")


def get_winners(status: RunStatus, store: Store) -> list[Winner]:
    """The winners of a run whose images are there, row by row."""
    stored = store.get(_folder(status.run_id) + "choice.json")
    stars = Choice.model_validate_json(stored.body).stars if stored else {}
    cells = {(cell.row, cell.model): cell for cell in status.cells if cell.state == "succeeded"}
    asked = status.request
    kind = (asked.formats[0], asked.output) if asked else (DEFAULT_FORMAT, DEFAULT_OUTPUT)
    return [
        Winner(cell, star, f"{_folder(status.run_id)}{row}-{slug(cell.title)}.{OUTPUTS[kind[1]]}", *kind)
        for row, star in stars.items()
        if (cell := cells.get((row, star.model)))
    ]


def take(status: RunStatus, base_url: str, store: Store, bus: Bus) -> list[Winner]:
    """Copy the winners to where they stay, write their manifest and their ZIP, and tell the bus.

    Args:
        status: the run.
        base_url: where the pictures will be on the web, for the tags; empty for beside the page.
        store: the bucket.
        bus: is told ``WinnersChosen``.

    Raises:
        NoWinners: nothing was chosen.
    """
    winners = get_winners(status, store)
    if not winners:
        raise NoWinners(f"no image of run {status.run_id} is chosen yet")
    for winner in winners:
        store.copy(S3Object(store.bucket, winner.cell.key, None), winner.copy_key)
    manifest = {"run_id": status.run_id, "winners": [_entry(winner, base_url) for winner in winners]}
    store.put_json(_folder(status.run_id) + "winners.json", manifest)
    store.put(archive_key(status.run_id), _pack(winners, manifest, base_url, store), "application/zip")
    bus.tell("WinnersChosen", {**manifest, "bucket": store.bucket})
    return winners


def archive_key(run_id: str) -> str:
    """The key of the ZIP of a run's winners."""
    return _folder(run_id) + "winners.zip"


def _entry(winner: Winner, base_url: str) -> dict[str, Any]:
    cell = winner.cell
    return {
        "row": cell.row,
        "title": cell.title,
        "model": cell.model,
        "key": winner.copy_key,
        "file": winner.file_name,
        "alt": winner.star.alt,
        "tags": winner.tags(base_url),
    }


def _pack(winners: Sequence[Winner], manifest: dict[str, Any], base_url: str, store: Store) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as file, ThreadPoolExecutor(READERS) as readers:
        keys = [winner.copy_key for winner in winners]
        for winner, stored in zip(winners, readers.map(store.get, keys), strict=True):
            if stored is not None:
                file.writestr(winner.file_name, stored.body)
        file.writestr("winners.json", json.dumps(manifest, ensure_ascii=False, indent=2))
        file.writestr("tags.html", "\n".join(_tag_lines(winners, base_url)))
    return packed.getvalue()


def _tag_lines(winners: Sequence[Winner], base_url: str) -> Iterator[str]:
    for winner in winners:
        # No title ends the comment that names it.
        yield f"<!-- {html.escape(winner.cell.title).replace('--', '&#45;-')} -->"
        yield from winner.tags(base_url)
        yield ""


@dataclass(frozen=True)
class WinRate:
    """How often a model's image was chosen, of the rows in which it stood to choose from and something was."""

    model: str
    wins: int
    rows: int


def win_rates(store: Store) -> list[WinRate]:
    """Every model that ever stood to choose from, the one that wins most often first."""
    keys = [item.key for item in store.listed(WINNERS) if item.key.endswith("/choice.json")]
    with ThreadPoolExecutor(READERS) as readers:
        choices = [Choice.model_validate_json(stored.body) for stored in readers.map(store.get, keys) if stored]
    wins: dict[str, int] = {}
    rows: dict[str, int] = {}
    for choice in choices:
        # Who runs alone wins nothing.
        if len(choice.models) < 2:
            continue
        for star in choice.stars.values():
            wins[star.model] = wins.get(star.model, 0) + 1
        for model in choice.models:
            rows[model] = rows.get(model, 0) + len(choice.stars)
    found = [WinRate(model, wins.get(model, 0), stood) for model, stood in rows.items() if stood]
    return sorted(found, key=lambda rate: (-rate.wins / rate.rows, rate.model))


def _folder(run_id: str) -> str:
    return f"{WINNERS}{run_id}/"
