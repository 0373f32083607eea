"""One cell of the matrix: model call, overlay, upload, and never a second payment for a picture that is there."""

import io
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from PIL import Image as Canvas

from thumbnails import errors
from thumbnails.aws.s3 import Store
from thumbnails.catalog import DEFAULT_FONT, DEFAULT_TEMPLATE, Order
from thumbnails.catalog.prices import Cost, cost_usd, picture_usd
from thumbnails.errors import BatchGaveUp, UnusableAnswer, UnusablePicture
from thumbnails.images.digests import image_digest, picture_of
from thumbnails.images.overlay.compose import draw_overlay, prepare_title
from thumbnails.images.overlay.picture import open_picture, size_of
from thumbnails.images.providers.answers import Answer
from thumbnails.images.redraw import drawn_title
from thumbnails.keys import batch_failure_key, image_key, original_key
from thumbnails.requests.models import Cell
from thumbnails.runs.costs import note_spending

#: What has to be free before a picture is paid for: fifty at a time of 2 MB, of which each one knows the disk alone.
ROOM_BYTES = 100_000_000
#: Of the shape asked for, what a picture may be wider or narrower, and of the edges, how much of them it has to have.
SHAPE, SMALLER = 0.05, 0.75

#: Calls a provider: (order, prompt) → the picture as it came, and what it cost.
Generate = Callable[[Order, str], Answer]


@dataclass(frozen=True)
class Image:
    """A finished cell.

    Attributes:
        paid_calls: 1 where this execution paid for the picture, else 0.
        provider_seconds: how long the model took, None where it was not called.
        warnings: what the writer should look at, a sentence each.
        cost: what this run paid for the picture, in whichever execution; nothing for another run's.
    """

    cell: Cell
    key: str
    image_url: str
    paid_calls: int
    provider_seconds: float | None
    warnings: tuple[str, ...]
    cost: Cost = field(default_factory=Cost)

    def as_json(self) -> dict[str, Any]:
        """Keys and small metadata, for the state machine."""
        cell = self.cell
        return {
            "run_id": cell.run_id,
            "row": cell.row,
            "column": cell.column,
            "title": cell.title,
            "model": cell.model,
            "key": self.key,
            "image_url": self.image_url,
            "paid_calls": self.paid_calls,
            "warnings": list(self.warnings),
            **self.cost.as_json(),
        }


def make_thumbnail(cell: Cell, store: Store, generate: Generate) -> Image:
    """Make one image, or find it.

    What this cell already has is taken in this order: its finished image, its own original, and, where the request says
    ``reuse`` or ``redraw``, any run's original of the same picture. Only then, and where there is room for a picture,
    is the model called, and its picture is stored before anything is drawn on it. The title is set while the model
    draws.

    Args:
        cell: what to draw.
        store: where to look and to keep.
        generate: calls the model's provider.

    Raises:
        ThumbnailError: of any kind in ``thumbnails.errors``.
    """
    title = drawn_title(store, cell.redraw, cell.row) if cell.redraw else cell.title
    asked = picture_of(title, cell.model, cell)
    order, prompt, of_picture = asked.order, asked.prompt, asked.digest
    of_image = image_digest(of_picture, cell)
    key = image_key(cell.run_id, cell.row, cell.title, cell.model)

    found = store.metadata(key)
    if found is not None and found.get("digest") == of_image:
        warnings = tuple(line for line in found.get("warnings", "").split("\n") if line)
        paid_calls = int(found.get("paid-by") == cell.execution)
        return Image(cell, key, store.url(key), paid_calls, None, warnings, Cost.of(found))

    own = original_key(of_picture, cell.run_id, cell.row, cell.column)
    original = store.get(own)
    cost = Cost.of(original.metadata) if original else Cost()
    if original is None and (cell.reuse or cell.redraw) and (other := store.first_key(f"originals/{of_picture}/")):
        original = store.get(other)
    if original is not None and original.metadata.get("paid-by") != cell.execution and not _opens(original.body):
        # What nobody can open fails its own execution; a later one has it made again.
        original = None
    seconds = None
    if original is None and cell.economy:
        _raise_what_the_batch_says(cell, store)
    if original is None:
        store.check_room(ROOM_BYTES)
        with ThreadPoolExecutor(1) as meanwhile:
            meanwhile.submit(prepare_title, cell.title, cell.template, cell.font)
            started = time.perf_counter()
            try:
                answer = generate(order, prompt)
            except UnusableAnswer as error:
                # It may have been billed, and nobody says how much.
                error.usd = picture_usd(order)
                note_spending(store, cell.run_id, cell.row, cell.column, order, 0, Cost(error.usd))
                raise
            seconds = time.perf_counter() - started
        picture, paid_by = answer.pictures[0], cell.execution
        usd = cost_usd(order.model, answer.usage, len(answer.pictures), order) * answer.share
        cost = Cost(usd, answer.usage)
        paid = {"paid-by": paid_by, "cost": cost.as_metadata()}
        store.put(own, picture, _content_type(picture), {"model": cell.model, **paid})
        note_spending(store, cell.run_id, cell.row, cell.column, order, len(answer.pictures), cost)
    else:
        picture, paid_by = original.body, original.metadata.get("paid-by", "")

    try:
        finished = draw_overlay(picture, cell.title, cell.template, cell.font)
    except UnusablePicture as error:
        error.usd = cost.usd if seconds is not None else 0.0
        raise
    warnings = (*_size_warnings(picture, order), *finished.warnings)
    metadata = {
        "digest": of_image,
        "paid-by": paid_by,
        "warnings": "\n".join(warnings),
        "cost": cost.as_metadata(),
    }
    store.put(key, finished.jpeg, "image/jpeg", metadata)
    return Image(cell, key, store.url(key), int(paid_by == cell.execution), seconds, warnings, cost)


def _raise_what_the_batch_says(cell: Cell, store: Store) -> None:
    """Why a half-price batch has no picture of a cell, unless the picture may be asked for now, at the whole price."""
    stored = store.get(batch_failure_key(cell.run_id, cell.column))
    said = json.loads(stored.body) if stored else {}
    error = getattr(errors, said.get("error", ""), BatchGaveUp)
    if cell.economy == "live" and error is BatchGaveUp:
        return
    raise error(said.get("message") or f"{cell.model} has not made this picture in a batch")


def _size_warnings(picture: bytes, order: Order) -> Iterator[str]:
    """What is lost because the provider drew another size than it was asked for."""
    width, height = size_of(picture)
    drawn = f"{order.model.id} drew {width}x{height} where {order.size} was asked for"
    if not 1 - SHAPE <= width * order.height / (height * order.width) <= 1 + SHAPE:
        yield f"{drawn}: more of the picture is cut off"
    if min(width / order.width, height / order.height) < SMALLER:
        yield f"{drawn}: the picture is enlarged and less sharp"


def warm_up() -> None:
    """Draw a title on a blank picture, ahead of the first image: fonts and codecs are loaded by use."""
    blank = io.BytesIO()
    Canvas.new("RGB", (64, 36)).save(blank, "JPEG")
    draw_overlay(blank.getvalue(), "A title of several words, drawn for practice", DEFAULT_TEMPLATE, DEFAULT_FONT)


def _opens(picture: bytes) -> bool:
    try:
        open_picture(picture)
    except UnusablePicture:
        return False
    return True


def _content_type(picture: bytes) -> str:
    if picture.startswith(b"\x89PNG"):
        return "image/png"
    if picture.startswith(b"\xff\xd8"):
        return "image/jpeg"
    return "image/webp" if picture[8:12] == b"WEBP" else "application/octet-stream"
