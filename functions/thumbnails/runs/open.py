"""A run's beginning: its request is found, checked and stored, or refused before anything is paid for."""

import json
from collections.abc import Collection
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from thumbnails.aws.s3 import Store
from thumbnails.brands.kits import brands_in
from thumbnails.catalog import Provider
from thumbnails.errors import DailyBudgetExceeded, InvalidBatch, quoted
from thumbnails.images.redraw import resolve_redraw
from thumbnails.keys import INBOX, REJECTED, S3Object, campaign_budget_key, campaign_key, request_key
from thumbnails.requests.checks import parse_request, with_every_problem
from thumbnails.requests.events import file_in, request_in
from thumbnails.requests.models import Request, Task, stored_request
from thumbnails.runs.begun import note_begun
from thumbnails.runs.budget import BUDGET_DAY, NO_BUDGET, Budget
from thumbnails.runs.costs import unpaid_usd
from thumbnails.runs.gallery import show_in_gallery
from thumbnails.runs.naming import campaign_of_row, check_run_id, is_run_id
from thumbnails.strict_json import NotJson
from thumbnails.tables.requests import request_in_file

REASON = "reason.txt"
#: Of a refused file's name, so that the copy's key is one that S3 takes, in any script.
FILE_NAME_CHARACTERS = 200


def open_run(
    task: Task,
    execution: str,
    event: object,
    store: Store,
    cap: int,
    budget: Budget = NO_BUDGET,
    real: Collection[Provider] = (),
    started: datetime | None = None,
) -> tuple[str, Request]:
    """Check a request and store it: the run's id, and what is to be made.

    A request that names a run under ``resume`` is that run's own, taken from the bucket: its prefix and id stay, and
    cells that are finished are found there. With a whole request beside it, it begins a run that is not there yet.

    Args:
        task: the state machine that was started.
        execution: the execution's name; the run's id, unless it resumes another.
        event: a request or an envelope around one.
        store: where requests are kept.
        cap: the most images that one run may make.
        budget: the day's; what the run may pay is reserved.
        real: the providers that are called themselves.
        started: the execution's start; None for now.

    Raises:
        InvalidBatch: the request breaks the contract; the message names every problem, and nothing was paid. A file of
            the inbox that holds such a request is copied under ``rejected/``, with the reason beside it.
        DailyBudgetExceeded: the day's budget has less left than the run may pay; it can be resumed another day.
    """
    check_run_id(execution)
    source = file_in(event)
    try:
        return _open_run(task, execution, source or request_in(event), store, cap, budget, real, started)
    except InvalidBatch as error:
        # An execution has one cause, and a file one reason: they say it all at once.
        refusal = with_every_problem(error)
        if source and source.key.startswith(INBOX):
            _reject(source, execution, refusal, store)
        raise refusal from None


def _open_run(
    task: Task,
    execution: str,
    asked: object,
    store: Store,
    cap: int,
    budget: Budget,
    real: Collection[Provider],
    started: datetime | None,
) -> tuple[str, Request]:
    value = _in_file(task, asked, store) if isinstance(asked, S3Object) else asked
    run_id, begins = execution, True
    if isinstance(value, dict) and value.get("resume") is not None:
        value = dict(value)
        run_id = value.pop("resume")
        value, begins = _resumed(task, run_id, value, store, cap)
    request = resolve_redraw(store, parse_request(task, value, cap, real, brands_in(store)))
    stored = store.get(request_key(run_id)) if run_id == execution else None
    if stored and _as_stored(task, json.loads(stored.body)) != request:
        # Step Functions has forgotten it, or it would have refused the name.
        raise InvalidBatch(f"there is already a run called {run_id!r}, with another request; choose another name")
    if begins:
        show_in_gallery(run_id, started, store)
    # The newest execution's name tells whoever looks at the run whose history is the run's.
    noted = {"execution": execution}
    if not _is_row(run_id, execution, store):
        noted |= note_begun(run_id, started, store)
    try:
        if date := _reserve(run_id, execution, request, store, budget):
            noted[BUDGET_DAY] = date
    except DailyBudgetExceeded:
        # A request that is right is kept: the run is resumed when there is a budget again.
        store.put_json(request_key(run_id), request.model_dump(), noted)
        raise
    store.put_json(request_key(run_id), request.model_dump(), noted)
    return run_id, request


def _is_row(run_id: str, execution: str, store: Store) -> bool:
    row = campaign_of_row(run_id, execution)
    return row is not None and store.metadata(campaign_key(row[0])) is not None


def stragglers_of(run_id: str, execution: str, store: Store) -> str:
    """What becomes of pictures that no half-price batch made; empty for a run that is no row of such a campaign.

    A row that is resumed alone is none: whoever asks for that wants it now.
    """
    row = campaign_of_row(run_id, execution)
    stored = store.get(campaign_key(row[0])) if row else None
    checked = json.loads(stored.body) if stored else {}
    return str(checked["stragglers"]) if checked.get("economy") else ""


def _in_file(task: Task, file: S3Object, store: Store) -> object:
    try:
        return request_in_file(file.key, store.request_file(file.key, file.bucket, file.version), task)
    except NotJson as error:
        raise InvalidBatch(f"{quoted(f's3://{file.bucket}/{file.key}', 200)[1:-1]} is not JSON: {error}") from None


def at_once(request: Request, images: int) -> dict[str, int]:
    """How many rows, and in each of them how many models, a run makes at once: ``images`` at most, and one at least."""
    models = min(images, len(request.models))
    return {"rows_at_once": max(1, images // len(request.models)), "models_at_once": models}


def _reserve(run_id: str, execution: str, request: Request, store: Store, budget: Budget) -> str:
    """Reserve what the run may pay; the day on which it counts, empty where nothing is counted."""
    if not budget.is_set:
        return ""
    row = campaign_of_row(run_id, execution)
    if row and store.metadata(campaign_budget_key(*row)) is not None:
        # Its campaign has reserved for all of its rows.
        return ""
    before = (store.metadata(request_key(run_id)) or {}).get("execution", execution)
    usd = unpaid_usd(run_id, request, store, begun=before != execution)
    return budget.reserve(execution, usd, ended=before if before != execution else "").date


def _reject(source: S3Object, execution: str, refusal: InvalidBatch, store: Store) -> None:
    """Keep a copy of a refused file with the reason beside it, where no file starts a run."""
    folder = f"{REJECTED}{execution}/"
    store.copy(source, folder + _copy_name(source.key.rpartition("/")[2]))
    store.put(folder + REASON, f"{refusal}\n".encode(), "text/plain; charset=utf-8")


def _copy_name(name: str) -> str:
    """A file's own name, where it can stand beside the reason and lead nowhere else."""
    kept = "".join(one if one.isprintable() and one != "\\" else "-" for one in name)[-FILE_NAME_CHARACTERS:]
    return "file" if kept in ("", ".", "..", REASON) else kept


def _resumed(task: Task, run_id: object, given: dict[str, Any], store: Store, cap: int) -> tuple[object, bool]:
    """The request of a run that is resumed, and whether the run is not there yet and begins with it."""
    if not isinstance(run_id, str) or not is_run_id(run_id):
        raise InvalidBatch("resume must be the id of a run")
    if given and store.metadata(request_key(run_id)) is None:
        return given, True
    stored = store.read_request(request_key(run_id))
    if given and parse_request(task, given, cap, brands=brands_in(store)) != _as_stored(task, stored):
        raise InvalidBatch(f"run {run_id!r} was started with another request; resume it without a request of your own")
    return stored, False


def _as_stored(task: Task, stored: object) -> Request | None:
    """The stored request with what has been added to requests since."""
    try:
        return stored_request(task, stored)
    except ValidationError:
        return None
