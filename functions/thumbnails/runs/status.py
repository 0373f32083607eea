"""How far a run is: every cell's state, from its newest execution's history and from what the bucket holds.

A campaign is a run too: it has rows in place of cells. A run whose executions are forgotten is what the bucket holds.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import ValidationError

from thumbnails.aws.s3 import Store
from thumbnails.aws.step_functions import Execution, Executions, RowCounts
from thumbnails.errors import AllImagesFailed, CampaignCutShort, DailyBudgetExceeded, InvalidBatch
from thumbnails.keys import IMAGE_ENDINGS, campaign_key, campaign_prefix, manifest_key, request_key, run_prefix
from thumbnails.requests.checks import parse_request
from thumbnails.requests.events import request_in
from thumbnails.requests.models import CAMPAIGN, Kind, Place, Request, Task, key_of, stored_request, variants_of
from thumbnails.runs.collect import made_image
from thumbnails.runs.failures import failure_of
from thumbnails.runs.naming import is_run_id, may_resume, resumed_by
from thumbnails.runs.remembered import remembered, remembered_rows

State = Literal["pending", "running", "succeeded", "failed", "deleted"]

#: The states of the Maps that begin and end a cell.
MAKE = "Generate Thumbnail"
RECORD = ("Record Failure", "Record Fault")


@dataclass(frozen=True)
class Seen:
    """What a history says of one cell; ``waits`` is between two tries, ``usd`` what its pictures cost."""

    state: State
    error: str = ""
    message: str = ""
    waits: bool = False
    usd: float | None = None


@dataclass(frozen=True)
class CellStatus:
    """One cell: ``key`` is its image's, whether that is there yet or not; ``waits`` is between two tries.

    ``usd`` is what the run paid for it in US dollars, None where that is not known yet or not any more. ``variants``
    are the keys of its other pictures that are there, ``formats`` those of its first one in the request's other
    formats.
    """

    row: int
    column: int
    title: str
    model: str
    key: str
    state: State
    error: str = ""
    message: str = ""
    waits: bool = False
    usd: float | None = None
    variants: tuple[str, ...] = ()
    formats: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CampaignRows:
    """How many rows a campaign has, and how far those are that its newest execution makes."""

    total: int
    counts: RowCounts


@dataclass(frozen=True)
class RunStatus:
    """A run as it stands.

    Attributes:
        run_id: the run's.
        execution: its newest execution.
        request: what was asked for; None for a campaign, and where the request was never accepted.
        cells: every cell; none for a campaign, and where the request was never accepted.
        rows: of a campaign that was accepted.
        images: the keys of the run's finished images.
    """

    run_id: str
    execution: Execution
    request: Request | None = None
    cells: list[CellStatus] = field(default_factory=list)
    rows: CampaignRows | None = None
    images: Collection[str] = ()

    @property
    def is_campaign(self) -> bool:
        """Whether it is a campaign."""
        return self.execution.task == CAMPAIGN

    def count(self, state: State) -> int:
        """How many cells are in a state."""
        return sum(cell.state == state for cell in self.cells)


def get_status(run_id: str, executions: Executions, store: Store, cap: int) -> RunStatus | None:
    """A run as it stands, or None where there is none of this id.

    Args:
        run_id: the run's id, or the name of an execution that resumes it.
        executions: where executions are found.
        store: the bucket.
        cap: the most images that one run may make.
    """
    execution = newest_execution(run_id, executions, store)
    if execution is None:
        return None
    run_id = execution.run_id
    if execution.task == CAMPAIGN:
        return RunStatus(run_id, execution, rows=_rows(run_id, execution, executions, store))
    request = _request(execution.task, run_id, execution, store, cap)
    if request is None:
        return RunStatus(run_id, execution)
    images = {item.key for item in store.listed(run_prefix(run_id)) if item.key.endswith(IMAGE_ENDINGS)}
    cells = _cells(run_id, request, execution, executions, store, images)
    return RunStatus(run_id, execution, request, cells, images=images)


def refresh(status: RunStatus, executions: Executions, store: Store, cap: int) -> RunStatus:
    """The same run a moment later, for someone who follows its newest execution.

    While that runs it is asked alone: what it has finished is in its history. At its end the bucket is looked at again.
    """
    execution = executions.find(status.execution.name, status.execution.task) or status.execution
    if status.rows and execution.is_running:
        return replace(status, execution=execution, rows=replace(status.rows, counts=executions.row_counts(execution)))
    if status.request is None or not execution.is_running:
        return get_status(execution.name, executions, store, cap) or replace(status, execution=execution)
    seen = read_history(executions.history(execution))
    images = set(status.images)
    for cell in status.cells:
        if _made(seen.get((cell.row, cell.column))):
            images |= {
                key_of(status.request, status.run_id, cell.row, cell.title, cell.model, number)
                for number in range(variants_of(status.request, cell.model))
            }
    cells = cells_of(status.run_id, status.request, execution, seen, images)
    return replace(status, execution=execution, cells=cells)


def get_result(status: RunStatus, store: Store) -> dict[str, Any] | None:
    """The result of a run as it stands, in the contract's shape, with URLs that open from now on.

    An image that was deleted since is null. None while the run goes on, and where it ended without a result.
    """
    execution = status.execution
    stored: Any = execution.output if execution.status == "SUCCEEDED" else None
    # The output of a large run is short, and has the key of the whole.
    shortened = bool(stored and status.request and "manifest_key" in stored)
    collected = (AllImagesFailed.__name__, CampaignCutShort.__name__, DailyBudgetExceeded.__name__)
    if shortened or execution.error in collected:
        stored = get_manifest(status, store) or stored
    if stored is None:
        return None
    result: dict[str, Any] = stored
    if status.request is None:
        return result
    there = [cell for cell in status.cells if cell.state == "succeeded"]
    images = {
        (cell.row, cell.column): made_image(
            (cell.row, cell.column), (cell.key, *cell.variants), status.run_id, status.request, store.url
        )
        for cell in there
    }
    return {**result, **status.request.result(images)}


def get_manifest(status: RunStatus, store: Store) -> dict[str, Any] | None:
    """A run's stored result, None before it has one."""
    of_campaign = campaign_prefix(status.run_id) + "manifest.json"
    stored = store.get(of_campaign if status.is_campaign else manifest_key(status.run_id))
    manifest: dict[str, Any] | None = json.loads(stored.body) if stored else None
    return manifest


def was_accepted(status: RunStatus, store: Store) -> bool:
    """Whether a run's request passed its checks."""
    return store.metadata((campaign_key if status.is_campaign else request_key)(status.run_id)) is not None


def newest_execution(run_id: str, executions: Executions, store: Store) -> Execution | None:
    """The execution that made or resumed a run last; one that runs before one that has ended.

    A campaign's row that only a resumed campaign came to has no execution of its own name: the bucket knows its newest.
    Where Step Functions has forgotten them all, it is what the bucket holds of the run.
    """
    if not is_run_id(run_id):
        return None
    named = executions.find(run_id)
    if named is None:
        noted = _noted(run_id, store)
        named = executions.find(noted) if noted not in (None, run_id) else None
    if named is None:
        resumed, whole = resumed_by(run_id)
        named = remembered(run_id, store) or (remembered(resumed, store) if whole else None)
    if named is None:
        return None
    run_id = named.run_id
    noted = _noted(run_id, store, named.task)
    if noted is None and named.task == CAMPAIGN and store.metadata(campaign_key(run_id)) is not None:
        return _newest_of_old_campaign(named, executions)
    noted = noted or run_id
    newest = named if named.name == noted else executions.find(noted, named.task) or named
    # One that was started a moment ago has not noted itself yet.
    return newest if newest.is_running else _running(named, executions) or newest


def _noted(run_id: str, store: Store, task: Kind = "generateBatch") -> str | None:
    return (store.metadata((campaign_key if task == CAMPAIGN else request_key)(run_id)) or {}).get("execution")


def _newest_of_old_campaign(named: Execution, executions: Executions) -> Execution:
    """The newest execution of a campaign that was stored before campaigns named theirs."""
    for listed in executions.newest_first(CAMPAIGN):
        if listed.name == named.run_id or may_resume(listed.name, named.run_id):
            found = executions.find(listed.name, CAMPAIGN)
            if found and found.run_id == named.run_id:
                return found
    return named


def _running(named: Execution, executions: Executions) -> Execution | None:
    for listed in executions.newest_first(named.task, running=True):
        if listed.name == named.run_id or may_resume(listed.name, named.run_id):
            execution = executions.find(listed.name, named.task)
            if execution and execution.run_id == named.run_id and execution.is_running:
                return execution
    return None


def _request(task: Task, run_id: str, execution: Execution, store: Store, cap: int) -> Request | None:
    """The checked request; before it is stored, the one that was asked for, where it can be accepted."""
    stored = store.get(request_key(run_id))
    if stored is None and execution.error == InvalidBatch.__name__:
        # What was refused may look right here: what a brand has is known where it is checked.
        return None
    try:
        if stored:
            return stored_request(task, json.loads(stored.body))
        asked = request_in(execution.request)
        if isinstance(asked, dict):
            asked = {name: value for name, value in asked.items() if name != "resume"}
        return parse_request(task, asked, cap)
    except (InvalidBatch, ValidationError):
        return None


def _rows(campaign_id: str, execution: Execution, executions: Executions, store: Store) -> CampaignRows | None:
    stored = store.get(campaign_key(campaign_id))
    if stored is None:
        return None
    counts = remembered_rows(campaign_id, store) if execution.forgotten else executions.row_counts(execution)
    return CampaignRows(json.loads(stored.body)["rows"], counts)


def read_history(events: Iterable[Mapping[str, Any]]) -> dict[Place, Seen]:
    """Every cell that was begun, out of an execution's events in their order."""
    seen: dict[Place, Seen] = {}
    cells: dict[int, Place] = {}
    for event in events:
        entered, exited = event.get("stateEnteredEventDetails"), event.get("stateExitedEventDetails")
        place = cells.get(event.get("previousEventId", 0))
        if entered and entered["name"] == MAKE:
            cell = json.loads(entered.get("input") or "{}")
            place = (cell["row"], cell["column"])
            seen[place] = Seen("running")
        elif place and exited and exited["name"] in (MAKE, *RECORD):
            ended = json.loads(exited.get("output") or "{}")
            failure = failure_of(ended) if "failure" in ended else None
            if "wait_seconds" in ended:
                seen[place] = Seen("running", waits=True)
            else:
                made = Seen("succeeded", usd=ended.get("usd"))
                seen[place] = Seen("failed", failure["error"], failure["message"]) if failure else made
        elif (
            place
            and seen[place].state == "running"
            and event["type"] in ("TaskFailed", "TaskTimedOut", "TaskScheduled")
        ):
            # Only while it runs: the tasks behind the Map follow from its cells too.
            seen[place] = Seen("running", waits=event["type"] != "TaskScheduled")
        if place:
            cells[event["id"]] = place
    return seen


def read_result(result: Mapping[str, Any], places: Collection[Place]) -> dict[Place, Seen]:
    """Every cell of a run that has a result."""
    # One that is too large for an output has no costs of cells, and one from before they were counted none at all.
    rows = result.get("costs", {}).get("cells")
    usd = {(row, column): rows[row][column]["usd"] for row, column in places} if rows else {}
    failed = {
        place: Seen("failed", failure["error"], failure["message"], usd=usd.get(place))
        for failure in result["failures"]
        for place in [(failure["row"], failure["column"])]
    }
    return {place: failed.get(place) or Seen("succeeded", usd=usd.get(place)) for place in places}


def _cells(
    run_id: str,
    request: Request,
    execution: Execution,
    executions: Executions,
    store: Store,
    images: Collection[str],
) -> list[CellStatus]:
    places = request.places
    # A result is shorter than the history that led to it.
    if execution.status == "SUCCEEDED":
        seen = read_result(execution.output, places)
    elif (
        execution.forgotten
        and execution.error == AllImagesFailed.__name__
        and (stored := store.get(manifest_key(run_id)))
    ):
        seen = read_result(json.loads(stored.body), places)
    else:
        seen = {} if execution.forgotten else read_history(executions.history(execution))
    return cells_of(run_id, request, execution, seen, images)


def cells_of(
    run_id: str,
    request: Request,
    execution: Execution,
    seen: Mapping[Place, Seen],
    images: Collection[str],
) -> list[CellStatus]:
    """Put together what is known of every cell.

    Args:
        run_id: the run.
        request: the run's checked request.
        execution: its newest execution.
        seen: what that execution's history or result says.
        images: the keys of the run's finished images.
    """
    found = []
    for row, column in request.places:
        title, model = request.titles[row], request.models[column]
        first, *others = [
            key_of(request, run_id, row, title, model, number) for number in range(variants_of(request, model))
        ]
        now = _state(seen.get((row, column)), first in images, execution)
        # The first format's image is stored last: where it is, the others are.
        others_of = request.formats[1:] if now.state == "succeeded" else []
        found.append(
            CellStatus(
                row=row,
                column=column,
                title=title,
                model=model,
                key=first,
                state=now.state,
                error=now.error,
                message=now.message,
                waits=now.waits,
                usd=now.usd,
                variants=tuple(key for key in others if key in images),
                formats={form: key_of(request, run_id, row, title, model, form=form) for form in others_of},
            )
        )
    return found


def _state(seen: Seen | None, there: bool, execution: Execution) -> Seen:
    if there:
        # Also where a resumed run has not come to this cell yet.
        return Seen("succeeded", usd=seen.usd if seen else None)
    if seen and seen.state == "failed":
        return seen
    if seen and seen.state == "succeeded":
        return Seen("deleted", message="the image was deleted", usd=seen.usd)
    if execution.is_running:
        return seen or Seen("pending")
    # Nothing comes any more.
    return Seen("failed", execution.error or execution.status, execution.cause or "the run ended before this image")


def _made(seen: Seen | None) -> bool:
    return bool(seen and seen.state == "succeeded")
