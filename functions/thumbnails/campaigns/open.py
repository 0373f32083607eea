"""A campaign's beginning: its file is checked, counted, held against its budget, and copied."""

import json
import re
from array import array
from collections.abc import Collection, Generator, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from itertools import accumulate, islice
from tempfile import TemporaryFile
from typing import IO, Any

import ijson

from thumbnails.aws.s3 import Store
from thumbnails.brands.kit import Brands
from thumbnails.brands.kits import brands_in
from thumbnails.catalog import MODELS, Provider
from thumbnails.catalog.prices import BATCH_SHARE, Measured
from thumbnails.errors import DailyBudgetExceeded, InvalidBatch, quoted
from thumbnails.keys import CAMPAIGNS, campaign_budget_key, campaign_key, campaign_prefix, results_prefix
from thumbnails.requests.checks import parse_campaign, parse_request
from thumbnails.requests.estimate import cell_usd
from thumbnails.requests.events import request_in
from thumbnails.requests.models import Campaign, Request, stored_request
from thumbnails.runs.begun import note_begun
from thumbnails.runs.budget import NO_BUDGET, Budget
from thumbnails.runs.costs import measured_tokens
from thumbnails.runs.naming import RUN_ID
from thumbnails.tables.requests import checked_rows
from thumbnails.tables.rows import NOT_OF_ROWS, Row, read_rows

#: A row's execution is called ``<campaign's execution>-<row>`` and has at most 80 characters. That of a campaign's
#: execution leaves room for the row, a campaign's id for ``-redrive-xxxx`` too.
EXECUTION_CHARACTERS = 73
ID_CHARACTERS = 60
FILE_MEBIBYTES = 256
ROWS = 500_000


def open_campaign(
    execution: str,
    event: object,
    store: Store,
    cap: int,
    budget: Budget = NO_BUDGET,
    real: Collection[Provider] = (),
    started: datetime | None = None,
) -> dict[str, Any]:
    """Check a campaign and its file, store the checked copy, and say what is to be made.

    Args:
        execution: the execution's name; the campaign's id, unless it resumes another.
        event: ``Campaign``'s fields, or ``{"resume": id}``; in an envelope or without.
        store: the bucket that holds the file.
        cap: the most images of one row.
        budget: the day's; what the rows may pay is reserved. Where it has less left, the first rows are made that it
            holds, and the campaign pauses behind them.
        real: the providers that are called themselves.
        started: the execution's start; None for now.

    Raises:
        InvalidBatch: the request or a row breaks the contract, or the rows ask for more than ``max_images``; nothing
            was paid.
        DailyBudgetExceeded: the day's budget has less left than the first row may pay; the campaign can be resumed
            another day.
    """
    asked = request_in(event)
    if isinstance(asked, dict) and asked.get("resume") is not None:
        return _resume(execution, asked, store, budget, started)
    _check_name(execution, ID_CHARACTERS, "a campaign's id, which is its execution's name,")
    brands = brands_in(store)
    campaign = parse_campaign(asked, real, brands)
    if not campaign.file.startswith(CAMPAIGNS):
        raise InvalidBatch(f"file is the key of a file under {CAMPAIGNS} in the application's bucket")
    key = campaign_prefix(execution) + "requests.json"
    with (
        _file(campaign.file, store) as file,
        TemporaryFile() as copy,
    ):
        rows = _checked_rows(campaign, file, cap, real, brands)
        costs, images = _copy_rows(execution, campaign, rows, copy, measured_tokens(store, MODELS))
        copy.seek(0)
        store.upload(key, copy, "application/json")
    checked = {**campaign.model_dump(exclude_none=True), "rows": len(costs), "images": images}
    _keep(execution, execution, checked, started, store)
    return _opened(execution, execution, key, costs, checked, store, budget)


@contextmanager
def _file(key: str, store: Store) -> Iterator[IO[bytes]]:
    with TemporaryFile() as file:
        size = store.download(key, file, FILE_MEBIBYTES << 20)
        if size is None:
            raise InvalidBatch(f"there is no s3://{store.bucket}/{key}")
        if size > FILE_MEBIBYTES << 20:
            raise InvalidBatch(f"{key} has {size >> 20} MiB; a campaign's file has at most {FILE_MEBIBYTES} MiB")
        file.seek(0)
        yield file


def check_file(campaign: Campaign, file: IO[bytes], cap: int, brands: Brands | None = None) -> int:
    """Check every row of a campaign's file, as the campaign itself will; how many images it asks for.

    Raises:
        InvalidBatch: a row breaks the contract, or the rows ask for more than ``max_images``.
    """
    return sum(request.images for request in _checked_rows(campaign, file, cap, (), brands))


def _copy_rows(
    campaign_id: str,
    campaign: Campaign,
    rows: Iterator[Request],
    copy: IO[bytes],
    measured: Measured,
) -> tuple["array[float]", int]:
    """Check every row and write it as Step Functions reads it; what each row costs, and how many images there are."""
    share = price_share(campaign.economy, campaign.stragglers)
    # US dollars of each row: eight bytes, where a list of floats has thirty-two.
    costs = array("d")
    images = 0
    with _items(copy) as write:
        for row, request in enumerate(rows):
            images += request.images
            costs.append(_missing_usd(request, 0, measured) * share)
            write({"row": row, "request": {**request.model_dump(), "resume": f"{campaign_id}-{row}"}})
    return costs, images


def _checked_rows(
    campaign: Campaign, file: IO[bytes], cap: int, real: Collection[Provider], brands: Brands | None
) -> Iterator[Request]:
    """The requests of a file's rows; only at the end is it known that every row is right.

    Raises:
        InvalidBatch: the file or a row breaks the contract, or the rows ask for more than ``max_images``.
    """
    images = count = 0
    with closing(read_rows(campaign.file, file)) as rows:
        for _, request in checked_rows(_at_most(ROWS, rows), lambda said: _checked(said, campaign, cap, real, brands)):
            count += 1
            images += request.images
            yield request
    if not count:
        raise InvalidBatch(f"{campaign.file} has no rows")
    if images > campaign.max_images:
        raise InvalidBatch(f"{campaign.file} asks for {images} images; max_images allows {campaign.max_images}")


def _at_most(most: int, rows: Iterator[Row]) -> Iterator[Row]:
    for count, row in enumerate(rows):
        if count == most:
            raise InvalidBatch(f"a campaign has at most {most:,} rows")
        yield row


def price_share(economy: bool, stragglers: str) -> float:
    """The part of the list price that a campaign's pictures cost at most."""
    return BATCH_SHARE if economy and stragglers == "fail" else 1.0


def _checked(
    said: dict[str, Any], campaign: Campaign, cap: int, real: Collection[Provider], brands: Brands | None
) -> Request:
    if other := [name for name in NOT_OF_ROWS if name in said]:
        raise InvalidBatch(f"{other[0]} is not for a campaign, whose rows have one image by each model")
    request = parse_request("generateThumbnails", {**campaign.defaults, **said}, cap, real, brands)
    if campaign.economy and (alone := [model for model in request.models if not MODELS[model].batch]):
        taken = ", ".join(model.id for model in MODELS.values() if model.batch and model.state() != "retired")
        raise InvalidBatch(f"economy: no provider makes {quoted(alone[0])} in a batch; choose from: {taken}")
    return request


@contextmanager
def _items(copy: IO[bytes]) -> Iterator[Any]:
    """Write values into a JSON array, one at a time."""
    before = b"[\n"

    def write(value: object) -> None:
        nonlocal before
        copy.write(before + json.dumps(value, ensure_ascii=False).encode())
        before = b",\n"

    yield write
    copy.write(b"[]\n" if before == b"[\n" else b"\n]\n")


def _keep(campaign_id: str, execution: str, checked: dict[str, Any], started: datetime | None, store: Store) -> None:
    """Store a campaign's checked request, with the name of the execution that is its newest now."""
    noted = note_begun(campaign_id, started, store)
    store.put_json(campaign_key(campaign_id), checked, {"execution": execution, **noted})


def _resume(
    execution: str, asked: dict[str, Any], store: Store, budget: Budget, started: datetime | None
) -> dict[str, Any]:
    campaign_id = asked["resume"]
    if len(asked) > 1:
        raise InvalidBatch("a campaign is resumed as it was asked for: resume stands alone")
    if not isinstance(campaign_id, str) or not re.fullmatch(RUN_ID, campaign_id):
        raise InvalidBatch("resume must be the id of a campaign")
    _check_name(execution, EXECUTION_CHARACTERS, "the name of an execution that resumes a campaign")
    if store.metadata(campaign_key(campaign_id)) is None:
        raise InvalidBatch(f"there is no campaign {campaign_id!r}")
    checked = store.read_request(campaign_key(campaign_id))
    key, costs = _missing_rows(campaign_id, execution, checked, store)
    _keep(campaign_id, execution, checked, started, store)
    return _opened(campaign_id, execution, key, costs, checked, store, budget)


def _missing_rows(
    campaign_id: str, execution: str, checked: dict[str, Any], store: Store
) -> tuple[str, "array[float]"]:
    """The rows that have not all of their images, and what each costs; all rows where no execution came to its end."""
    every = campaign_prefix(campaign_id) + "requests.json"
    measured = measured_tokens(store, MODELS)
    share = price_share(checked.get("economy", False), checked.get("stragglers", "fail"))
    # A bit for each column.
    made = [0] * checked["rows"]
    with TemporaryFile() as lines:
        if store.download(campaign_prefix(campaign_id) + "images.jsonl", lines) is None:
            return every, array(
                "d", (_missing_usd(_request_of(item), 0, measured) * share for item in stored_rows(every, store))
            )
        lines.seek(0)
        for line in lines:
            record = json.loads(line)
            if "key" in record:
                made[record["row"]] |= 1 << record["column"]
    key = f"{campaign_prefix(campaign_id)}rows/{execution}.json"
    costs = array("d")
    with TemporaryFile() as copy:
        with _items(copy) as write:
            for item in stored_rows(every, store):
                if made[item["row"]].bit_count() < len(item["request"]["models"]):
                    write(item)
                    costs.append(_missing_usd(_request_of(item), made[item["row"]], measured) * share)
        copy.seek(0)
        store.upload(key, copy, "application/json")
    return key, costs


def _request_of(item: dict[str, Any]) -> Request:
    asked = {name: value for name, value in item["request"].items() if name != "resume"}
    return stored_request("generateThumbnails", asked)


def _missing_usd(request: Request, made: int, measured: Measured) -> float:
    """What a row's images will cost, without those whose column's bit is set."""
    columns = (model for column, model in enumerate(request.models) if not made >> column & 1)
    return sum(cell_usd(request.titles[0], model, request, measured) for model in columns)


def stored_rows(key: str, store: Store) -> Generator[dict[str, Any], None, None]:
    """The rows of a checked copy, one at a time: each one's number and request."""
    with TemporaryFile() as file:
        store.download(key, file)
        file.seek(0)
        yield from ijson.items(file, "item", use_float=True)


def _affordable(
    campaign_id: str, execution: str, key: str, costs: "array[float]", store: Store, budget: Budget
) -> tuple[str, int, dict[str, str] | None]:
    """The first rows that the day's budget holds, how many they are, and why the campaign pauses behind them."""
    if not (budget.is_set and costs):
        return key, len(costs), None
    reserved = budget.reserve(execution, sum(costs), least=costs[0])
    store.put_json(campaign_budget_key(campaign_id, execution), {"date": reserved.date, "usd": reserved.usd})
    # What sums of floats are off by is far below a millionth of a dollar.
    rows = sum(so_far < reserved.usd + 1e-6 for so_far in accumulate(costs))
    if rows == len(costs):
        return key, rows, None
    first = f"{campaign_prefix(campaign_id)}rows/{execution}.json"
    with TemporaryFile() as copy:
        with _items(copy) as write, closing(stored_rows(key, store)) as stored:
            for item in islice(stored, rows):
                write(item)
        copy.seek(0)
        store.upload(first, copy, "application/json")
    cause = f"{len(costs) - rows} of {len(costs)} rows wait for a day whose budget holds them; a redrive makes them"
    return first, rows, {"Error": DailyBudgetExceeded.__name__, "Cause": cause}


def _check_name(name: str, characters: int, what: str) -> None:
    if len(name) > characters or not re.fullmatch(RUN_ID, name):
        raise InvalidBatch(f"{what} has at most {characters} characters: letters, digits and _ . = @ + ! ( ) ' -")


def _opened(
    campaign_id: str,
    execution: str,
    key: str,
    costs: "array[float]",
    checked: dict[str, Any],
    store: Store,
    budget: Budget,
) -> dict[str, Any]:
    key, rows, pause = _affordable(campaign_id, execution, key, costs, store, budget)
    return {
        "campaign_id": campaign_id,
        "execution": execution,
        "bucket": store.bucket,
        "items_key": key,
        "results_prefix": results_prefix(campaign_id, execution),
        "rows": rows,
        "max_concurrency": checked["max_concurrency"],
        "tolerated_failure_percentage": float(checked["tolerated_failure_percentage"]),
        "economy": checked.get("economy", False),
        # The Map's, where it fails.
        "failure": pause,
    }
