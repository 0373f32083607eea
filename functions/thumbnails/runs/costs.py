"""What a run would pay before it begins, and what it has paid at its end."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from thumbnails.aws.s3 import Store
from thumbnails.catalog import MODELS
from thumbnails.images.digests import picture_digest
from thumbnails.keys import image_key, original_key, run_prefix
from thumbnails.requests.models import Request
from thumbnails.requests.price import picture_usd, prompt_of
from thumbnails.runs.failures import BILLED

#: Originals that are looked for at the same time: as many as the S3 client has connections.
READERS = 10


def unpaid_usd(run_id: str, request: Request, store: Store, *, begun: bool) -> float:
    """What an execution of a run pays at most, in US dollars: for each image that is not there, nor its original.

    Args:
        run_id: the run's id.
        request: its checked request.
        store: the bucket.
        begun: whether an earlier execution may have made some of it.
    """
    there = {item.key for item in store.listed(run_prefix(run_id))} if begun else set()
    missing = [
        (row, column, model, prompt_of(request, title))
        for row, title in enumerate(request.titles)
        for column, model in enumerate(request.models)
        if image_key(run_id, row, title, model) not in there
    ]

    def usd(cell: tuple[int, int, str, str]) -> float:
        row, column, model, prompt = cell
        found = (begun or request.reuse) and _has_original(run_id, row, column, model, prompt, request.reuse, store)
        return 0.0 if found else picture_usd(model, prompt)

    with ThreadPoolExecutor(READERS) as pool:
        return sum(pool.map(usd, missing))


def paid_usd(request: Request, cells: Iterable[Mapping[str, Any]]) -> float:
    """What an execution has paid, in US dollars: what a cell says of itself, or else its calls at list prices."""
    usd = 0.0
    for cell in cells:
        failure = cell.get("failure") or {}
        calls = int(failure.get("Error") in BILLED) if failure else cell.get("paid_calls", 0)
        if "cost_usd" in cell:
            usd += cell["cost_usd"]
        elif calls:
            prompt = prompt_of(request, request.titles[cell["row"]])
            usd += calls * picture_usd(request.models[cell["column"]], prompt)
    return usd


def _has_original(run_id: str, row: int, column: int, model: str, prompt: str, reuse: bool, store: Store) -> bool:
    of_picture = picture_digest(MODELS[model], prompt)
    # Of the keys that begin so this one is the first.
    own = original_key(of_picture, run_id, row, column)
    return store.first_key(own) == own or (reuse and store.first_key(f"originals/{of_picture}/") is not None)
