"""One cell of the matrix: model call, overlay, upload, and never a second payment for a picture that is there."""

import io
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image as Canvas

from thumbnails import errors
from thumbnails.aws.s3 import Store
from thumbnails.brands.fonts import open_font
from thumbnails.brands.kit import Kit
from thumbnails.brands.kits import brands_in
from thumbnails.catalog import DEFAULT_FONT, DEFAULT_TEMPLATE, Order
from thumbnails.catalog.prices import Cost, cost_usd, sum_of
from thumbnails.errors import BatchGaveUp, InvalidBatch, UnusableAnswer, UnusablePicture
from thumbnails.images.digests import Picture, image_digest, picture_of
from thumbnails.images.overlay.compose import Words, draw_formats, draw_overlay, prepare_title
from thumbnails.images.overlay.picture import open_picture, size_of
from thumbnails.images.providers.answers import Answer
from thumbnails.images.redraw import drawn_title
from thumbnails.images.words import words_of
from thumbnails.keys import batch_failure_key, original_key
from thumbnails.requests.checks import brand_of
from thumbnails.requests.models import MOST_VARIANTS, Cell, key_of, variants_of
from thumbnails.runs.costs import note_spending

#: What has to be free before a picture is paid for: fifty at a time of 2 MB, of which each one knows the disk alone.
ROOM_BYTES = 100_000_000
#: Of the shape asked for, what a picture may be wider or narrower, and of the edges, how much of them it has to have.
SHAPE, SMALLER = 0.05, 0.75

#: Calls a provider: (order, prompt) → the picture as it came, and what it cost.
Generate = Callable[[Order, str], Answer]


@dataclass(frozen=True)
class Drawn:
    """One finished picture of a cell.

    Attributes:
        key: the image's key.
        paid_by: the execution that paid for it.
        warnings: what the writer should look at, a sentence each.
        cost: what this run paid for it, in whichever execution; nothing for another run's.
    """

    key: str
    paid_by: str
    warnings: tuple[str, ...]
    cost: Cost


@dataclass(frozen=True)
class Image:
    """A finished cell.

    Attributes:
        key: the first picture's.
        paid_calls: 1 where this execution paid for the cell, else 0.
        provider_seconds: how long the model took, None where it was not called.
        warnings: what the writer should look at, a sentence each.
        cost: what this run paid for the cell, in whichever execution; nothing for another run's pictures.
        variants: the keys of its other pictures.
    """

    cell: Cell
    key: str
    image_url: str
    paid_calls: int
    provider_seconds: float | None
    warnings: tuple[str, ...]
    cost: Cost = field(default_factory=Cost)
    variants: tuple[str, ...] = ()

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
            "variants": list(self.variants),
            "paid_calls": self.paid_calls,
            "warnings": list(self.warnings),
            **self.cost.as_json(),
        }


def make_thumbnail(cell: Cell, store: Store, generate: Generate) -> Image:
    """Make one cell's image, or its variants in one call, or find them.

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
    cell, kit = brand_of(cell, brands_in(store))
    title = drawn_title(store, cell.redraw, cell.row) if cell.redraw else cell.title
    asked = picture_of(title, cell.model, cell)
    of_image = image_digest(asked.digest, cell, kit)
    wanted = variants_of(cell, cell.model)
    keys = [_key(cell, variant) for variant in range(wanted)]

    drawn = {variant: found for variant, key in enumerate(keys) if (found := _finished(key, of_image, store))}
    originals = _originals(cell, asked, [variant for variant in range(wanted) if variant not in drawn], store)
    missing = [variant for variant in range(wanted) if variant not in drawn and variant not in originals]
    seconds = None
    if kit and (missing or originals):
        _try_fonts(kit)
    words = words_of(cell.title, cell, kit)
    if missing and cell.economy:
        _raise_what_the_batch_says(cell, store)
    if missing:
        started = time.perf_counter()
        originals |= _paid(cell, asked, words, missing, store, generate)
        seconds = time.perf_counter() - started
    for variant, original in originals.items():
        try:
            drawn[variant] = _draw(cell, words, variant, of_image, original, asked.order, store)
        except UnusablePicture as error:
            error.usd = sum_of([one.cost for one in originals.values()]).usd if seconds is not None else 0.0
            raise
    pictures = [drawn[variant] for variant in sorted(drawn)]
    warnings = [warning for picture in pictures for warning in picture.warnings]
    if len(pictures) < wanted:
        warnings.append(f"{cell.model} made {len(pictures)} of {wanted} pictures")
    return Image(
        cell,
        pictures[0].key,
        store.url(pictures[0].key),
        int(any(picture.paid_by == cell.execution for picture in pictures)),
        seconds,
        tuple(dict.fromkeys(warnings)),
        sum_of([picture.cost for picture in pictures]),
        tuple(picture.key for picture in pictures[1:]),
    )


@dataclass(frozen=True)
class _Original:
    picture: bytes
    paid_by: str
    cost: Cost


def _finished(key: str, of_image: str, store: Store) -> Drawn | None:
    found = store.metadata(key)
    if found is None or found.get("digest") != of_image:
        return None
    warnings = tuple(line for line in found.get("warnings", "").split("\n") if line)
    return Drawn(key, found.get("paid-by", ""), warnings, Cost.of(found))


def _originals(cell: Cell, asked: Picture, variants: list[int], store: Store) -> dict[int, _Original]:
    """The pictures that are there, of the variants that are not finished."""
    place = cell.run_id, cell.row, cell.column
    own = [original_key(asked.digest, *place, variant) for variant in range(MOST_VARIANTS)]
    prefix = f"originals/{asked.digest}/"
    found: dict[int, _Original] = {}
    others: list[str] | None = None
    for variant in variants:
        stored, cost = store.get(own[variant]), None
        if stored is None and (cell.reuse or cell.redraw):
            if others is None:
                keys = store.keys_after(prefix, prefix, 2 * MOST_VARIANTS)
                others = [key for key in keys if key not in own]
            stored, cost = (store.get(others.pop(0)) if others else None), Cost()
        if stored is None:
            continue
        paid_by = stored.metadata.get("paid-by", "")
        # What nobody can open fails its own execution; a later one has it made again.
        if paid_by == cell.execution or _opens(stored.body):
            found[variant] = _Original(stored.body, paid_by, cost or Cost.of(stored.metadata))
    return found


def _paid(
    cell: Cell, asked: Picture, words: Words, variants: list[int], store: Store, generate: Generate
) -> dict[int, _Original]:
    """Have the model draw these variants in one call, and store what comes before anything is drawn on it."""
    store.check_room(ROOM_BYTES)
    order = replace(asked.order, pictures=len(variants))
    with ThreadPoolExecutor(1) as meanwhile:
        meanwhile.submit(prepare_title, words, cell.formats)
        try:
            answer = generate(order, asked.prompt)
        except UnusableAnswer as error:
            # It may have been billed, and nobody says how much.
            error.usd = cost_usd(order.model, None, order.pictures, order)
            note_spending(store, cell.run_id, cell.row, cell.column, order, 0, Cost(error.usd))
            raise
    pictures = answer.pictures
    if len(variants) > 1:
        # Of several those count that can be opened; where none can, the first says why.
        pictures = tuple(picture for picture in pictures if _opens(picture)) or pictures[:1]
    usd = cost_usd(order.model, answer.usage, len(answer.pictures), order) * answer.share
    cost = Cost(usd, answer.usage)
    made: dict[int, _Original] = {}
    for variant, picture in zip(variants, pictures, strict=False):
        # One call has one bill: its first picture has it.
        made[variant] = _Original(picture, cell.execution, Cost() if made else cost)
        paid = {"model": cell.model, "paid-by": cell.execution, "cost": made[variant].cost.as_metadata()}
        key = original_key(asked.digest, cell.run_id, cell.row, cell.column, variant)
        store.put(key, picture, _content_type(picture), paid)
    note_spending(store, cell.run_id, cell.row, cell.column, order, len(answer.pictures), cost)
    return made


def _draw(
    cell: Cell, words: Words, variant: int, of_image: str, original: _Original, order: Order, store: Store
) -> Drawn:
    """Finish one picture in every format. The first format's image is stored last: where it is, the others are."""
    finished = draw_formats(original.picture, words, cell.formats, cell.output)
    said = _size_warnings(original.picture, order)
    warnings = dict.fromkeys([*said, *(warning for one in finished for warning in one.warnings)])
    drawn = Drawn(_key(cell, variant), original.paid_by, tuple(warnings), original.cost)
    metadata = {
        "digest": of_image,
        "paid-by": drawn.paid_by,
        "warnings": "\n".join(drawn.warnings),
        "cost": drawn.cost.as_metadata(),
    }
    for form, one in reversed(list(zip(cell.formats, finished, strict=True))):
        store.put(_key(cell, variant, form), one.file, f"image/{cell.output}", metadata)
    return drawn


def _try_fonts(kit: Kit) -> None:
    """Draw with a kit's fonts before anything is paid: whoever wrote the kit's object may have checked nothing."""
    for font in kit.fonts:
        try:
            open_font(font.data, font.coverage)
        except ValueError as error:
            raise InvalidBatch(f"the brand's font {font.name}: the file {error}") from None


def _key(cell: Cell, variant: int, form: str = "") -> str:
    return key_of(cell, cell.run_id, cell.row, cell.title, cell.model, variant, form)


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
