"""How far a run is: every cell's state, from the execution's own history and from what the bucket holds."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from thumbnails.errors import InvalidBatch
from thumbnails.executions import Execution, Executions, may_resume
from thumbnails.request import RUN_ID, Batch, Task, Thumbnails, parse_request, request_in
from thumbnails.results import failure_of
from thumbnails.store import Store, image_key, run_prefix

State = Literal["pending", "running", "succeeded", "failed", "deleted"]
Place = tuple[int, int]

MAKE = "Generate Thumbnail"
RECORD = "Record Failure"


@dataclass(frozen=True)
class Seen:
    """What a history says of one cell; ``waits`` is between two tries."""

    state: State
    error: str = ""
    message: str = ""
    waits: bool = False


@dataclass(frozen=True)
class CellProgress:
    """One cell: ``key`` is its image's, whether that is there yet or not."""

    row: int
    column: int
    title: str
    model: str
    key: str
    state: State
    error: str = ""
    message: str = ""


@dataclass(frozen=True)
class RunProgress:
    """A run as it stands: its newest execution and its cells, none where its request was never accepted."""

    run_id: str
    execution: Execution
    request: Batch | Thumbnails | None
    cells: list[CellProgress]

    def count(self, state: State) -> int:
        """How many cells are in a state."""
        return sum(cell.state == state for cell in self.cells)


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
        elif place and exited and exited["name"] in (MAKE, RECORD):
            ended = json.loads(exited.get("output") or "{}")
            failure = failure_of(ended) if "failure" in ended else None
            seen[place] = Seen("failed", failure["error"], failure["message"]) if failure else Seen("succeeded")
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


def read_result(result: Mapping[str, Any], places: Iterable[Place]) -> dict[Place, Seen]:
    """Every cell of a run that has a result."""
    failed = {
        (failure["row"], failure["column"]): Seen("failed", failure["error"], failure["message"])
        for failure in result["failures"]
    }
    return {place: failed.get(place) or Seen("succeeded") for place in places}


def cells_of(
    run_id: str,
    request: Batch | Thumbnails,
    execution: Execution,
    seen: Mapping[Place, Seen],
    images: Collection[str],
) -> list[CellProgress]:
    """Put together what is known of every cell.

    Args:
        run_id: the run.
        request: the run's checked request.
        execution: its newest execution.
        seen: what that execution's history or result says.
        images: the keys of the run's finished images.
    """
    found = []
    for row, title in enumerate(request.titles):
        for column, model in enumerate(request.models):
            key = image_key(run_id, row, title, model)
            now = _state(seen.get((row, column)), key in images, execution)
            found.append(CellProgress(row, column, title, model, key, now.state, now.error, now.message))
    return found


def _state(seen: Seen | None, there: bool, execution: Execution) -> Seen:
    if there:
        # Also where a resumed run has not come to this cell yet.
        return Seen("succeeded")
    if seen and seen.state == "failed":
        return seen
    if seen and seen.state == "succeeded":
        return Seen("deleted", message="the image was deleted")
    if execution.is_running:
        return seen or Seen("pending")
    # Nothing comes any more.
    return Seen("failed", execution.error or execution.status, execution.cause or "the run ended before this image")


def look_at(run_id: str, executions: Executions, store: Store, cap: int) -> RunProgress | None:
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
    request = _request(run_id, execution, store, cap)
    if request is None:
        return RunProgress(run_id, execution, None, [])
    images = {item.key for item in store.listed(run_prefix(run_id)) if item.key.endswith(".jpg")}
    places = [(row, column) for row in range(len(request.titles)) for column in range(len(request.models))]
    # A result is shorter than the history that led to it.
    if execution.status == "SUCCEEDED":
        seen = read_result(execution.output, places)
    else:
        seen = read_history(executions.history(execution))
    return RunProgress(run_id, execution, request, cells_of(run_id, request, execution, seen, images))


def newest_execution(run_id: str, executions: Executions, store: Store) -> Execution | None:
    """The execution that made or resumed a run last; one that runs before one that has ended."""
    named = executions.find(run_id) if re.fullmatch(RUN_ID, run_id) else None
    if named is None:
        return None
    run_id = named.run_id
    noted = (store.notes(run_prefix(run_id) + "request.json") or {}).get("execution", run_id)
    newest = named if noted == named.name else executions.find(noted, named.task) or named
    if newest.is_running:
        return newest
    # One that was started a moment ago has not noted itself yet.
    return _running(run_id, named.task, executions) or newest


def _running(run_id: str, task: Task, executions: Executions) -> Execution | None:
    for listed in executions.newest_first(task, running=True):
        if may_resume(listed.name, run_id):
            execution = executions.find(listed.name, task)
            if execution and execution.run_id == run_id and execution.is_running:
                return execution
    return None


def _request(run_id: str, execution: Execution, store: Store, cap: int) -> Batch | Thumbnails | None:
    """The checked request; before it is stored, the one that was asked for, where it can be accepted."""
    stored = store.get(run_prefix(run_id) + "request.json")
    asked = json.loads(stored.body) if stored else request_in(execution.request)
    try:
        # The cap was another when an older run was accepted.
        return parse_request(execution.task, asked, max(cap, 1 << 20) if stored else cap)
    except InvalidBatch:
        return None
