"""Half price: a campaign's pictures asked for in the providers' batches, each batch submitted once.

Before a batch is submitted it is noted in the bucket, by a write that only one can make, under a name that nobody else
gives. Whoever finds a note that does not say what became of it asks the provider for a batch of that name before it
submits one. The pictures that come are stored and drawn on as any cell's are, so that the rows, which are made
afterwards, find them finished.
"""

import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from thumbnails.aws.s3 import Store
from thumbnails.campaigns.open import stored_rows
from thumbnails.catalog import MODELS, Provider
from thumbnails.errors import (
    BatchGaveUp,
    InvalidBatch,
    PermanentError,
    ProviderMisconfigured,
    StorageUnavailable,
    ThumbnailError,
    TransientError,
    cut,
)
from thumbnails.images.cell import Image, make_thumbnail
from thumbnails.images.digests import picture_of
from thumbnails.images.providers.answers import Answer
from thumbnails.images.providers.batches import Asked, Batches, Look
from thumbnails.images.redraw import drawn_title
from thumbnails.keys import (
    batch_failure_key,
    batch_rows_key,
    batches_prefix,
    original_key,
)
from thumbnails.requests.models import Cell, Options, key_of
from thumbnails.runs.failures import MESSAGE_BYTES

#: So many pictures of a batch are stored and drawn on in one invocation; the providers take far more
#: (OpenAI 50,000 requests and 200 MB, Gemini 2 GB).
MOST_PICTURES = 500
#: What both providers promise, and what a batch that is older is cancelled after.
WINDOW = timedelta(hours=24)
#: What the clocks of two machines may differ by.
CLOCKS = timedelta(hours=1)
#: An invocation begins nothing that needs more than this.
SECONDS_FOR_A_BATCH = 300.0
SECONDS_FOR_A_SUBMISSION = 120.0
#: Between two looks at a batch, in seconds: a tenth of its age.
SHORTEST_WAIT, LONGEST_WAIT = 1, 600

BatchesOf = Callable[[Provider], Batches]
#: Told of a model's picture, or of why there is none.
Report = Callable[[str, Image | ThumbnailError], None]


@dataclass(frozen=True)
class Record:
    """A batch as the bucket knows it.

    Attributes:
        number: its own within the campaign.
        name: the provider knows it by this.
        execution: the campaign's execution that made it.
        model: whose pictures.
        made: when it was noted, in ISO form.
        state: ``submitting`` from then on, ``open`` while the provider has it, ``settled`` once its pictures are taken.
        id: the provider's own of it; empty before it is known.
        outcome: how it ended.
        cancelled: whether it was cancelled because it took longer than a day.
    """

    number: int
    name: str
    execution: str
    model: str
    made: str
    state: Literal["submitting", "open", "settled"] = "submitting"
    id: str = ""
    outcome: str = ""
    cancelled: bool = False

    @property
    def provider(self) -> Provider:
        """Whose batch it is."""
        return MODELS[self.model].provider


@dataclass(frozen=True)
class Economy:
    """The half-price batches of one campaign.

    Args:
        campaign_id: the campaign.
        execution: the execution that is at work.
        store: the bucket.
        batches_of: a provider's batches.
        seconds_left: how long this invocation may still take.
        report: is told of every picture that is paid for, and of every failure that is noted.
        now: tells the time.
    """

    campaign_id: str
    execution: str
    store: Store
    batches_of: BatchesOf
    seconds_left: Callable[[], float]
    report: Report = lambda _model, _result: None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def submit(self, items_key: str) -> bool:
        """Have every picture that is not there made in some batch; whether that is done, or wants another call.

        Args:
            items_key: the rows that the execution has to make.

        Raises:
            TransientError: the provider or the bucket gave no answer; another call goes on where this one ended.
        """
        records = self._records()
        for record in records:
            if record.state == "submitting":
                self._submit(record, begun=True)
        taken = {
            (row["row"], column)
            for record in records
            if record.state != "settled" or record.execution == self.execution
            for row in self._rows_of(record.number)
            for column in row["columns"]
        }
        number = len(records)
        waiting: dict[str, dict[int, dict[str, Any]]] = {}
        for item, column, model in self._missing(items_key, taken):
            rows = waiting.setdefault(model, {})
            rows.setdefault(item["row"], {**item, "columns": []})["columns"].append(column)
            if len(rows) >= MOST_PICTURES:
                if self.seconds_left() < SECONDS_FOR_A_SUBMISSION:
                    return False
                self._begin(number, model, list(waiting.pop(model).values()))
                number += 1
        for model, rows in waiting.items():
            if self.seconds_left() < SECONDS_FOR_A_SUBMISSION:
                return False
            self._begin(number, model, list(rows.values()))
            number += 1
        return True

    def check(self) -> tuple[int, int]:
        """Take what batches have made that have ended.

        Returns:
            How many have not, and after how many seconds to look again.

        Raises:
            TransientError: the provider or the bucket gave no answer; another call goes on where this one ended.
        """
        left, waits = 0, []
        for record in self._records():
            if record.state == "settled":
                continue
            batches = self.batches_of(record.provider)
            look = batches.look(record.id)
            age = self.now() - datetime.fromisoformat(record.made)
            if look.ended and self.seconds_left() >= SECONDS_FOR_A_BATCH:
                self._settle(record, look)
                continue
            left += 1
            waits.append(SHORTEST_WAIT if look.ended else int(age.total_seconds() / 10))
            if not look.ended and age > WINDOW and not record.cancelled:
                batches.cancel(record.id)
                self._keep(replace(record, cancelled=True))
        return left, max(SHORTEST_WAIT, min(LONGEST_WAIT, *waits)) if waits else 0

    def _records(self) -> list[Record]:
        found = [self.store.get(item.key) for item in self.store.listed(batches_prefix(self.campaign_id))]
        return [Record(**json.loads(stored.body)) for stored in found if stored]

    def _record_key(self, number: int) -> str:
        return f"{batches_prefix(self.campaign_id)}{number:06d}.json"

    def _keep(self, record: Record) -> None:
        self.store.put_json(self._record_key(record.number), asdict(record))

    def _rows_of(self, number: int) -> list[dict[str, Any]]:
        stored = self.store.get(batch_rows_key(self.campaign_id, number))
        rows: list[dict[str, Any]] = json.loads(stored.body) if stored else []
        return rows

    def _missing(self, items_key: str, taken: set[tuple[int, int]]) -> Iterator[tuple[dict[str, Any], int, str]]:
        """Every cell whose picture no batch is asked for and which is not there: its row, column and model."""
        for item in stored_rows(items_key, self.store):
            for column, model in enumerate(item["request"]["models"]):
                if (item["row"], column) not in taken and not self._is_there(item, column):
                    yield {"row": item["row"], "request": item["request"]}, column, model

    def _is_there(self, item: dict[str, Any], column: int) -> bool:
        cell = self._cell(item, column)
        shared = cell.reuse or bool(cell.redraw)
        if self.execution == self.campaign_id and not shared:
            return False
        if self.store.metadata(batch_failure_key(cell.run_id, column)) is not None:
            # What came for it may be stored and no picture.
            return False
        title = drawn_title(self.store, cell.redraw, 0) if cell.redraw else cell.title
        digest = picture_of(title, cell.model, cell).digest
        own = original_key(digest, cell.run_id, 0, column)
        return (
            self.store.metadata(key_of(cell, cell.run_id, 0, cell.title, cell.model)) is not None
            or self.store.metadata(own) is not None
            or (shared and self.store.first_key(f"originals/{digest}/") is not None)
        )

    def _cell(self, item: dict[str, Any], column: int) -> Cell:
        """A row's cell as its own execution makes it."""
        request, row = item["request"], item["row"]
        shared = Options.model_fields.keys() & Cell.model_fields.keys()
        options = {name: value for name, value in request.items() if name in shared}
        return Cell(
            title=request["title"],
            model=request["models"][column],
            run_id=f"{self.campaign_id}-{row}",
            execution=f"{self.execution}-{row}",
            column=column,
            **options,
        )

    def _begin(self, number: int, model: str, rows: Sequence[dict[str, Any]]) -> None:
        name = f"{self.campaign_id}.{number}.{secrets.token_hex(4)}"
        record = Record(number, name, self.execution, model, self.now().isoformat())
        for row in rows:
            for column in row["columns"]:
                self.store.delete(batch_failure_key(f"{self.campaign_id}-{row['row']}", column))
        self.store.put_json(batch_rows_key(self.campaign_id, number), rows)
        noted = json.dumps(asdict(record), indent=2).encode()
        if not self.store.put_new(self._record_key(number), noted, "application/json"):
            raise StorageUnavailable(f"batch {number} of {self.campaign_id} is being submitted by somebody else")
        self._submit(record)

    def _submit(self, record: Record, *, begun: bool = False) -> None:
        """Submit a batch, unless somebody who did not come to note it has done so."""
        since = datetime.fromisoformat(record.made) - CLOCKS
        try:
            batches = self.batches_of(record.provider)
            found = batches.find(record.name, since) if begun else None
            found = found or batches.submit(record.name, list(self._asked(record.number)))
        except PermanentError as error:
            self._settle(record, Look(True, "failed", error=error))
            return
        self._keep(replace(record, state="open", id=found))

    def _asked(self, number: int) -> Iterator[Asked]:
        for row in self._rows_of(number):
            for column in row["columns"]:
                cell = self._cell(row, column)
                title = drawn_title(self.store, cell.redraw, 0) if cell.redraw else cell.title
                picture = picture_of(title, cell.model, cell)
                yield Asked(f"{row['row']}-{column}", picture.order, picture.prompt)

    def _settle(self, record: Record, look: Look) -> None:
        """Store and draw what a batch has made, and note why it has not made the rest."""
        cells = {
            f"{row['row']}-{column}": self._cell(row, column)
            for row in self._rows_of(record.number)
            for column in row["columns"]
        }
        if look.files:
            for asked, result in self.batches_of(record.provider).results(record.model, look):
                if isinstance(result, BatchGaveUp):
                    # It was not worked on; the batch as a whole says why.
                    continue
                if (cell := cells.pop(asked, None)) is not None:
                    self._take(cell, result)
        for cell in cells.values():
            self._fail(cell, _failure(record, look))
        self._keep(replace(record, state="settled", outcome=look.outcome))

    def _take(self, cell: Cell, result: Answer | ThumbnailError) -> None:
        def answer(_order: object, _prompt: str) -> Answer:
            if isinstance(result, ThumbnailError):
                raise result
            return result

        try:
            self.report(cell.model, make_thumbnail(cell, self.store, answer))
        except StorageUnavailable:
            raise
        except (PermanentError, TransientError, InvalidBatch) as error:
            self._fail(cell, error)

    def _fail(self, cell: Cell, error: ThumbnailError) -> None:
        passing = isinstance(error, TransientError)
        noted = {
            "error": BatchGaveUp.__name__ if passing else type(error).__name__,
            "message": cut(str(error), MESSAGE_BYTES),
        }
        self.store.put_json(batch_failure_key(cell.run_id, cell.column), noted)
        self.report(cell.model, error)


def _failure(record: Record, look: Look) -> ThumbnailError:
    """Why a batch has not made a picture: what is wrong with the account, or that it ended before."""
    if isinstance(look.error, ProviderMisconfigured):
        return look.error
    why = f": {look.error}" if look.error else ""
    late = ", because it took longer than a day" if record.cancelled else ""
    return BatchGaveUp(f"{record.model}'s batch ended ({look.outcome}{late}) without this picture{why}")
