"""What a run would pay, what was paid, and what pictures took, which makes the next estimate better.

Every paid call is noted in the bucket. A note is an empty object whose key says it all, so that a day's spending is one
listing. It says what a call cost, not whose budget it was in: a call that the process did not outlive has none.
"""

import json
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from thumbnails.aws.s3 import Store
from thumbnails.catalog import MODELS, Order
from thumbnails.catalog.models import today
from thumbnails.catalog.prices import Cost, Measured, Usage, kind_of
from thumbnails.errors import StorageUnavailable
from thumbnails.images.digests import picture_of
from thumbnails.images.redraw import drawn_titles
from thumbnails.keys import SPENT, measured_key, original_key, run_prefix
from thumbnails.requests.estimate import cell_usd
from thumbnails.requests.models import Request, key_of

#: Dollars are kept in millionths.
MICRO = 1_000_000
#: So many pictures make an average; older ones count for half then.
MOST_PICTURES = 1000
#: Originals that are looked for at the same time: as many as the S3 client has connections.
READERS = 10

_NOTE = re.compile(
    rf"{SPENT}(?P<day>[\d-]{{10}})/(?P<model>[^/]+)/(?P<quality>[a-z]+)-(?P<size>\d+x\d+)/(?P<run_id>[^/]+)/"
    r"(?P<row>\d+)-(?P<column>\d+)\.(?P<pictures>\d+)\.(?P<tokens>\d+\.\d+\.\d+\.\d+)\.(?P<micro>\d+)\.[0-9a-f]+"
)


@dataclass(frozen=True)
class Spent:
    """One paid call.

    Attributes:
        day: on which it was paid, in UTC.
        model: who was called.
        quality: what was asked for.
        size: what was asked for.
        run_id: the run.
        row: the cell's row.
        column: the cell's column.
        pictures: how many came; 0 where the answer could not be used.
        usage: tokens.
        usd: US dollars at list prices.
    """

    day: date
    model: str
    quality: str
    size: str
    run_id: str
    row: int
    column: int
    pictures: int
    usage: Usage
    usd: float


def note_spending(store: Store, run_id: str, row: int, column: int, order: Order, pictures: int, cost: Cost) -> None:
    """Note a paid call.

    Raises:
        StorageUnavailable: the bucket could not be written.
    """
    used = cost.usage or Usage()
    tokens = f"{used.text_in}.{used.image_in}.{used.text_out}.{used.image_out}"
    facts = f"{row}-{column}.{pictures}.{tokens}.{round(cost.usd * MICRO)}.{secrets.token_hex(4)}"
    place = f"{order.model.id}/{order.quality}-{order.size}/{run_id}"
    store.put(f"{SPENT}{today()}/{place}/{facts}", b"", "application/octet-stream")


def spent(store: Store, first: date, last: date | None = None) -> Iterator[Spent]:
    """Every paid call of some days, the days in their order.

    Args:
        store: the bucket.
        first: the first day.
        last: the last one; the same where left out.
    """
    day = first
    while day <= (last or first):
        for item in store.listed(f"{SPENT}{day}/"):
            if found := _NOTE.fullmatch(item.key):
                yield _spent(found)
        day += timedelta(days=1)


def unpaid_usd(run_id: str, request: Request, store: Store, *, begun: bool) -> float:
    """What an execution of a run will pay, in US dollars: for each image that is not there, nor its original.

    Args:
        run_id: the run's id.
        request: its checked request.
        store: the bucket.
        begun: whether an earlier execution may have made some of it.
    """
    there = {item.key for item in store.listed(run_prefix(run_id))} if begun else set()
    measured = measured_tokens(store, request.models)
    drawn = drawn_titles(store, request)
    shared = request.reuse or bool(request.redraw)
    missing = [
        (row, column, request.models[column])
        for row, column in request.places
        if key_of(request, run_id, row, request.titles[row], request.models[column]) not in there
    ]

    def usd(cell: tuple[int, int, str]) -> float:
        row, column, model = cell
        if (begun or shared) and model in MODELS:
            digest = picture_of(drawn[row], model, request).digest
            # Of the keys that begin so this one is the first.
            own = original_key(digest, run_id, row, column)
            if store.first_key(own) == own or (shared and store.first_key(f"originals/{digest}/")):
                return 0.0
        return cell_usd(drawn[row], model, request, measured)

    with ThreadPoolExecutor(READERS) as pool:
        return sum(pool.map(usd, missing))


def _spent(found: re.Match[str]) -> Spent:
    return Spent(
        day=date.fromisoformat(found["day"]),
        model=found["model"],
        quality=found["quality"],
        size=found["size"],
        run_id=found["run_id"],
        row=int(found["row"]),
        column=int(found["column"]),
        pictures=int(found["pictures"]),
        usage=Usage(*map(int, found["tokens"].split("."))),
        usd=int(found["micro"]) / MICRO,
    )


def measured_tokens(store: Store, models: Iterable[str]) -> Measured:
    """What pictures of these models took so far; nothing of a model that is billed by the picture, or new.

    Raises:
        StorageUnavailable: the bucket could not be read.
    """
    found: dict[tuple[str, str], float] = {}
    for model in models:
        if model in MODELS and MODELS[model].price.picture is None:
            for kind, sums in _sums(store, model).items():
                found[model, kind] = sums["tokens"] / sums["pictures"]
    return found


def learn(store: Store, made: Sequence[tuple[Order, Usage]]) -> None:
    """Take what pictures took into the averages.

    Two runs that end at the same moment may lose one's pictures, which an average bears. So does an estimate bear that
    the bucket cannot be written.

    Args:
        store: the bucket.
        made: what was asked for, and what all pictures of the cell took.
    """
    by_model: dict[str, list[tuple[Order, Usage]]] = {}
    for order, usage in made:
        if order.model.price.picture is None:
            by_model.setdefault(order.model.id, []).append((order, usage))
    try:
        for model, pictures in by_model.items():
            sums = _sums(store, model)
            for order, usage in pictures:
                one = sums.setdefault(kind_of(order), {"pictures": 0, "tokens": 0})
                if one["pictures"] >= MOST_PICTURES:
                    one |= {name: value / 2 for name, value in one.items()}
                one["pictures"] += order.pictures
                one["tokens"] += usage.image_out + usage.text_out
            store.put_json(measured_key(model), sums)
    except StorageUnavailable:
        return


def _sums(store: Store, model: str) -> dict[str, dict[str, Any]]:
    stored = store.get(measured_key(model))
    sums: dict[str, dict[str, Any]] = json.loads(stored.body) if stored else {}
    return sums
