"""Runs that Step Functions has forgotten: shown, listed and redriven from what the bucket holds of them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.memory_executions import MemoryExecutions
from tests.unit.memory_store import MemoryStore
from tests.unit.opened import open_run
from thumbnails.errors import InvalidBatch
from thumbnails.keys import image_key
from thumbnails.requests.models import Task
from thumbnails.runs.collect import collect_run
from thumbnails.runs.listing import ListedRun, list_runs
from thumbnails.runs.naming import redrive_name
from thumbnails.runs.remembered import CAUSE
from thumbnails.runs.resume import NothingToRedrive, RunUnderWay, redrive
from thumbnails.runs.status import RunStatus, get_result, get_status
from thumbnails.runs.stop import RunHasEnded, stop_run
from thumbnails.runs.submit import RunExists, start_run, submit

GPT, DALLE = "gpt-image-1", "dall-e-3"
BATCH = {"prompts": ["First title", "Second title"], "models": [GPT]}
ROW = {"title": "A title", "models": [GPT, DALLE]}
FAILURE = {"Error": "PictureRefused", "Cause": "no"}


def make(store: MemoryStore, run_id: str, request: Any, made: int, *, whole: bool = True, by: str = "") -> None:
    """A run that made its first ``made`` images, and came to its end where it is ``whole``."""
    task: Task = "generateBatch" if "prompts" in request else "generateThumbnails"
    open_run(task, by or run_id, {"resume": run_id} if by else request, store, 50)
    cells: list[dict[str, Any]] = []
    titles = request.get("prompts") or [request["title"]]
    for row, title in enumerate(titles):
        for column, model in enumerate(request["models"]):
            cell = {"row": row, "column": column, "title": title, "model": model}
            if len(cells) < made:
                key = image_key(run_id, row, title, model)
                store.put(key, b"a picture", "image/jpeg")
                cells.append({**cell, "key": key, "image_url": "", "paid_calls": 1})
            else:
                cells.append({**cell, "failure": FAILURE})
    if whole:
        try:
            collect_run(task, run_id, run_id, cells, store)
        except Exception as error:
            assert type(error).__name__ == "AllImagesFailed"


def shown(run_id: str, executions: MemoryExecutions, store: MemoryStore) -> RunStatus:
    found = get_status(run_id, executions, store, 50)
    assert found is not None
    return found


def listed(executions: MemoryExecutions, store: MemoryStore, **how: Any) -> list[ListedRun]:
    return list_runs(executions, store, 20, **how)[0]


def test_a_finished_run_is_shown_with_its_result_and_there_is_nothing_to_redrive(
    executions: MemoryExecutions, store: MemoryStore
) -> None:
    make(store, "run-1", BATCH, 2)
    run = shown("run-1", executions, store)
    assert (run.execution.status, run.execution.forgotten, run.execution.task) == ("SUCCEEDED", True, "generateBatch")
    assert [cell.state for cell in run.cells] == ["succeeded", "succeeded"]
    result = get_result(run, store)
    assert result is not None
    assert result["results"][0] == [f"memory://runs/run-1/0-first-title/{GPT}.jpg"]
    with pytest.raises(NothingToRedrive):
        redrive(run, executions, store)
    with pytest.raises(RunHasEnded):
        stop_run(run, executions)


def test_a_failed_cell_keeps_its_reason_and_a_redrive_makes_it(
    executions: MemoryExecutions, store: MemoryStore
) -> None:
    make(store, "run-1", BATCH, 1)
    run = shown("run-1", executions, store)
    assert [(cell.state, cell.error, cell.message) for cell in run.cells] == [
        ("succeeded", "", ""),
        ("failed", "PictureRefused", "no"),
    ]
    name = redrive(run, executions, store)
    assert executions.all[name].request == {"resume": "run-1"}
    # Before it has noted itself, and after.
    for _ in range(2):
        again = shown("run-1", executions, store)
        assert (again.execution.name, again.execution.is_running) == (name, True)
        with pytest.raises(RunUnderWay):
            redrive(again, executions, store)
        (one,) = listed(executions, store)
        assert (one.run_id, one.execution, one.forgotten) == ("run-1", name, False)
        open_run("generateBatch", name, {"resume": "run-1"}, store, 50)


@pytest.mark.parametrize("by", ["", "run-1-redrive-ab12"], ids=["run", "redrive"])
def test_a_run_that_was_cut_off_says_so_and_is_redriven(
    executions: MemoryExecutions, store: MemoryStore, by: str
) -> None:
    if by:
        # Its first execution came to an end, with a result that is not the run's any more.
        make(store, "run-1", BATCH, 0)
    make(store, "run-1", BATCH, 1, whole=False, by=by)
    for asked in {"run-1", by or "run-1"}:
        run = shown(asked, executions, store)
        execution = run.execution
        assert (run.run_id, execution.name, execution.status) == ("run-1", by or "run-1", "ABORTED")
        assert (execution.error, execution.cause) == ("ExecutionForgotten", CAUSE)
        assert [(cell.state, cell.error) for cell in run.cells] == [("succeeded", ""), ("failed", "ExecutionForgotten")]
        assert get_result(run, store) is None
    assert redrive(run, executions, store) == redrive_name("run-1", by or "run-1")


def test_a_run_without_an_image_has_failed_and_says_why(executions: MemoryExecutions, store: MemoryStore) -> None:
    make(store, "run-1", ROW, 0)
    run = shown("run-1", executions, store)
    assert (run.execution.task, run.execution.status, run.execution.error) == (
        "generateThumbnails",
        "FAILED",
        "AllImagesFailed",
    )
    assert run.execution.cause == f"{GPT}: PictureRefused: no\n{DALLE}: PictureRefused: no"
    assert [cell.message for cell in run.cells] == ["no", "no"]
    result = get_result(run, store)
    assert result is not None
    assert result["images"]["failed"] == 2


def test_an_image_that_was_deleted_is_not_there(executions: MemoryExecutions, store: MemoryStore) -> None:
    make(store, "run-1", BATCH, 2)
    store.delete(f"runs/run-1/0-first-title/{GPT}.jpg")
    assert [cell.state for cell in shown("run-1", executions, store).cells] == ["deleted", "succeeded"]


def test_what_was_claimed_and_never_opened_is_redriven_with_its_request(
    executions: MemoryExecutions, store: MemoryStore
) -> None:
    def send(to: MemoryExecutions) -> str:
        wanted: Any = {"cap": 50, "read_page": None, "moderate": lambda *_: [], "store": store, "executions": to}
        return submit("generateBatch", BATCH, "key-1", **wanted).run_id

    run_id = send(MemoryExecutions())
    run = shown(run_id, executions, store)
    assert [cell.title for cell in run.cells] == ["First title", "Second title"]
    assert (run.execution.status, [one.run_id for one in listed(executions, store)]) == ("ABORTED", [run_id])
    name = redrive(run, executions, store)
    opened = open_run("generateBatch", name, executions.all[name].request, store, 50)
    assert opened["run_id"] == run_id
    assert store.json(f"runs/{run_id}/request.json")["prompts"] == ["First title", "Second title"]
    # The same request, sent again, is still the same run.
    assert send(executions) == run_id


def test_forgotten_runs_are_listed_behind_the_others_newest_first_a_page_at_a_time(
    executions: MemoryExecutions, store: MemoryStore
) -> None:
    for number in range(5):
        make(store, f"old-{'abcde'[number]}", BATCH, number % 3, whole=number != 1)
    executions.start("generateBatch", "new", BATCH)
    executions.start("generateBatch", redrive_name("old-c", "old-c"), {"resume": "old-c"})
    for name, execution in executions.all.items():
        executions.all[name] = replace(execution, started=execution.started + timedelta(days=1))
    found: list[ListedRun] = []
    mark = None
    for _ in range(4):
        page, mark = list_runs(executions, store, 2, mark)
        found += page
        if mark is None:
            break
    assert mark is None
    assert [(run.run_id, run.status, run.forgotten) for run in found] == [
        ("old-c", "RUNNING", False),
        ("new", "RUNNING", False),
        ("old-e", "SUCCEEDED", True),
        ("old-d", "FAILED", True),
        ("old-b", "ABORTED", True),
        ("old-a", "FAILED", True),
    ]


def campaign(store: MemoryStore, *, manifest: dict[str, Any] | None = None, resumed: bool = False) -> None:
    store.put_json("campaigns/spring/campaign.json", {"rows": 3, "images": 6})
    make(store, "spring-0", {**ROW, "resume": "spring-0"}, 2)
    make(store, "spring-1", {**ROW, "resume": "spring-1"}, 1, whole=False)
    if manifest:
        rows = {"total": 3, "succeeded": 1, "partly": 0, "failed": 1, "pending": 1}
        images = {"total": 6, "succeeded": 2, "failed": 2, "pending": 2}
        store.put_json("campaigns/spring/manifest.json", {"rows": rows, "images": images, "failures": [], **manifest})
    if resumed:
        store.put_json("campaigns/spring/rows/spring-redrive-ab12.json", [])


@pytest.mark.parametrize(
    ("how", "status", "error", "done", "name"),
    [
        ({}, "ABORTED", "ExecutionForgotten", 1, "spring"),
        ({"manifest": {"failure": {"Error": "e", "Cause": "too many"}}}, "FAILED", "CampaignCutShort", 2, "spring"),
        ({"manifest": {"a": 1}}, "SUCCEEDED", "", 2, "spring"),
        ({"manifest": {"a": 1}, "resumed": True}, "ABORTED", "ExecutionForgotten", 2, "spring-redrive-ab12"),
    ],
    ids=["cut off", "cut short", "at its end", "redrive cut off"],
)
def test_a_campaign_is_one_run(
    executions: MemoryExecutions, store: MemoryStore, how: Any, status: str, error: str, done: int, name: str
) -> None:
    campaign(store, **how)
    run = shown("spring", executions, store)
    assert (run.is_campaign, run.execution.name, run.execution.status) == (True, name, status)
    assert run.execution.error == error
    assert run.rows is not None
    assert (run.rows.total, run.rows.counts.done, run.rows.counts.running) == (3, done, 0)
    assert [one.run_id for one in listed(executions, store)] == ["spring"]
    every = {one.run_id for one in listed(executions, store, every_execution=True)}
    assert every == {"spring", "spring-0", "spring-1"}
    started = redrive(run, executions, store)
    assert executions.all[started].request == {"resume": "spring"}
    again = shown("spring", executions, store)
    assert (again.execution.name, again.execution.is_running) == (started, True)


def test_the_name_of_a_forgotten_run_is_taken(executions: MemoryExecutions, store: MemoryStore) -> None:
    make(store, "run-1", BATCH, 2)
    with pytest.raises(RunExists, match="there is already a run called 'run-1'"):
        start_run("generateBatch", BATCH, "run-1", executions, store)
    # Who starts the state machine itself may do the same again, which pays for nothing, and nothing else.
    open_run("generateBatch", "run-1", BATCH, store, 50)
    with pytest.raises(InvalidBatch, match="there is already a run called 'run-1', with another request"):
        open_run("generateBatch", "run-1", {**BATCH, "style": "neon"}, store, 50)


def test_a_run_that_neither_knows_is_none(executions: MemoryExecutions, store: MemoryStore) -> None:
    store.put("runs/stray/archive.zip", b"", "application/zip")
    assert get_status("stray", executions, store, 50) is None
    assert listed(executions, store) == []
