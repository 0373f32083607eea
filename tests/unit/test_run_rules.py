"""Rules about runs that the command and the API share: found, listed, resumed, stopped, and shown with their result."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from entry.settings import ApiSettings, settings
from tests.unit.memory_executions import MemoryExecutions
from tests.unit.memory_store import MemoryStore
from tests.unit.opened import open_run
from thumbnails.aws.s3 import Stored
from thumbnails.aws.step_functions import RowCounts
from thumbnails.keys import digest
from thumbnails.requests.models import Task
from thumbnails.runs.listing import list_runs
from thumbnails.runs.naming import redrive_name
from thumbnails.runs.resume import NothingToRedrive, RunNeverAccepted, RunUnderWay, redrive
from thumbnails.runs.status import RunStatus, get_result, get_status
from thumbnails.runs.stop import RunHasEnded, stop_rows, stop_run
from thumbnails.runs.submit import RunExists, start_run, submit

GPT = "gpt-image-1"
BATCH = {"prompts": ["First title", "Second title"], "models": [GPT]}
ROW = {"title": "A title", "models": [GPT]}


def status(run_id: str, executions: MemoryExecutions, store: MemoryStore) -> RunStatus:
    found = get_status(run_id, executions, store, 50)
    assert found is not None
    return found


def begin(task: Task, name: str, request: Any, executions: MemoryExecutions, store: MemoryStore) -> None:
    executions.start(task, name, request)
    open_run(task, name, request, store, 50, executions.all[name].started)


def test_a_redriven_run_is_shown_by_either_name_as_its_newest_execution_has_it(
    executions: MemoryExecutions, store: MemoryStore
) -> None:
    begin("generateBatch", "run-1", BATCH, executions, store)
    executions.end("run-1", status="FAILED", error="AllImagesFailed", cause="why")
    name = redrive(status("run-1", executions, store), executions, store)
    open_run("generateBatch", name, {"resume": "run-1"}, store, 50)
    for asked in ("run-1", name):
        shown = status(asked, executions, store)
        assert (shown.run_id, shown.execution.name, shown.execution.status) == ("run-1", name, "RUNNING")
    (listed,), _ = list_runs(executions, store, 20)
    assert (listed.run_id, listed.execution, listed.status) == ("run-1", name, "RUNNING")
    every, _ = list_runs(executions, store, 20, every_execution=True)
    assert [one.execution for one in every] == [name, "run-1"]


def test_two_who_redrive_at_the_same_moment_start_one_execution(
    executions: MemoryExecutions, store: MemoryStore
) -> None:
    begin("generateBatch", "run-1", BATCH, executions, store)
    executions.end("run-1", status="ABORTED")
    seen = status("run-1", executions, store)
    assert redrive(seen, executions, store) == redrive(seen, executions, store) == redrive_name("run-1", "run-1")
    assert len(executions.all) == 2


def test_a_redrive_is_refused_while_the_run_goes_on_before_it_was_accepted_and_when_it_is_whole(
    executions: MemoryExecutions, store: MemoryStore
) -> None:
    begin("generateBatch", "run-1", BATCH, executions, store)
    with pytest.raises(RunUnderWay, match=r"^run-1 is under way: wait for it, or stop it$"):
        redrive(status("run-1", executions, store), executions, store)
    executions.start("generateBatch", "refused", {})
    executions.end("refused", status="FAILED", error="InvalidBatch", cause="no titles")
    with pytest.raises(RunNeverAccepted, match="was never accepted: no titles"):
        redrive(status("refused", executions, store), executions, store)
    for row, slug in enumerate(("first-title", "second-title")):
        store.put(f"runs/run-1/{row}-{slug}/{GPT}.jpg", b"jpeg", "image/jpeg")
    executions.end("run-1", status="ABORTED")
    with pytest.raises(NothingToRedrive, match="run run-1 has all of its images"):
        redrive(status("run-1", executions, store), executions, store)


def test_a_result_has_the_images_that_are_there_now(executions: MemoryExecutions, store: MemoryStore) -> None:
    begin("generateBatch", "run-1", BATCH, executions, store)
    store.put(f"runs/run-1/1-second-title/{GPT}.jpg", b"jpeg", "image/jpeg")
    output = {"run_id": "run-1", "results": [["old"], ["old"]], "failures": [], "images": {"total": 2}}
    assert get_result(status("run-1", executions, store), store) is None
    executions.end("run-1", status="SUCCEEDED", output=output)
    shown = status("run-1", executions, store)
    assert [cell.state for cell in shown.cells] == ["deleted", "succeeded"]
    result = get_result(shown, store)
    assert result is not None
    assert result["results"] == [[None], [f"memory://runs/run-1/1-second-title/{GPT}.jpg"]]


def campaign(executions: MemoryExecutions, store: MemoryStore) -> None:
    """A campaign of three rows that was cut short after its first row, and resumed for the others."""
    executions.start("generateCampaign", "spring", {"file": "campaigns/posts.csv", "max_images": 3})
    store.put_json("campaigns/spring/campaign.json", {"rows": 3, "images": 3})
    begin("generateThumbnails", "spring-0", {**ROW, "resume": "spring-0"}, executions, store)
    executions.end("spring", status="FAILED", error="CampaignCutShort", cause="too many")
    executions.end("spring-0", status="FAILED", error="AllImagesFailed", cause="why")
    executions.start("generateCampaign", "spring-redrive-ab12", {"resume": "spring"})
    begin("generateThumbnails", "spring-redrive-ab12-2", {**ROW, "resume": "spring-2"}, executions, store)


def test_a_campaign_is_one_run_with_its_newest_state_and_its_rows_are_not_listed(
    executions: MemoryExecutions, store: MemoryStore
) -> None:
    campaign(executions, store)
    executions.rows["spring-redrive-ab12"] = RowCounts(running=1, done=1, failed=0)
    executions.start("generateThumbnails", "mine-7", ROW)
    listed, _ = list_runs(executions, store, 20)
    assert [one.run_id for one in listed] == ["mine-7", "spring"]
    every, _ = list_runs(executions, store, 20, every_execution=True)
    assert len(every) == len(executions.all)
    shown = status("spring", executions, store)
    assert (shown.execution.name, shown.is_campaign) == ("spring-redrive-ab12", True)
    assert shown.rows is not None
    assert (shown.rows.total, shown.rows.counts.running, shown.rows.counts.done) == (3, 1, 1)


def test_a_row_that_only_a_redrive_came_to_is_found_by_its_run(
    executions: MemoryExecutions, store: MemoryStore
) -> None:
    campaign(executions, store)
    shown = status("spring-2", executions, store)
    assert (shown.run_id, shown.execution.name) == ("spring-2", "spring-redrive-ab12-2")
    assert [cell.title for cell in shown.cells] == ["A title"]


def test_a_campaign_whose_rows_outlive_it_is_not_resumed_until_they_are_stopped(
    executions: MemoryExecutions, store: MemoryStore
) -> None:
    campaign(executions, store)
    stop_run(status("spring", executions, store), executions)
    with pytest.raises(RunUnderWay, match="spring-redrive-ab12-2 is under way"):
        redrive(status("spring", executions, store), executions, store)
    assert stop_rows("spring", executions) == ["spring-redrive-ab12-2"]
    assert stop_rows("spring", executions) == []
    with pytest.raises(RunHasEnded, match="run spring has ended: ABORTED"):
        stop_run(status("spring", executions, store), executions)
    assert redrive(status("spring", executions, store), executions, store).startswith("spring-redrive-")


def test_a_name_that_is_taken_starts_nothing(executions: MemoryExecutions, store: MemoryStore) -> None:
    start_run("generateBatch", BATCH, "run-1", executions, store)
    with pytest.raises(RunExists, match="there is already a run called 'run-1'"):
        start_run("generateBatch", {**BATCH, "style": "neon"}, "run-1", executions, store)


def test_a_claim_of_before_is_still_read(executions: MemoryExecutions, store: MemoryStore) -> None:
    def once() -> str:
        wanted: Any = {
            "cap": 50,
            "read_page": None,
            "moderate": lambda *_: [],
            "store": store,
            "executions": executions,
        }
        return submit("generateBatch", BATCH, "key-1", **wanted).run_id

    run_id = once()
    claim = store.json(f"runs/{run_id}/claim.json")
    assert claim["asked"] == digest("generateBatch", BATCH)
    del store.objects[f"runs/{run_id}/claim.json"]
    store.objects[f"runs/{run_id}/asked.json"] = Stored(json.dumps(claim).encode(), {})
    assert once() == run_id
    assert f"runs/{run_id}/claim.json" not in store.objects


def test_a_setting_that_is_missing_shows_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    settings.cache_clear()
    with pytest.raises(ValidationError) as refused:
        settings(ApiSettings)
    assert "bucket" in str(refused.value) and "sk-planted" not in str(refused.value)


def test_a_run_whose_brand_was_refused_has_no_cells_to_make_again(
    executions: MemoryExecutions, store: MemoryStore
) -> None:
    executions.start("generateBatch", "run-1", {**BATCH, "brand": "nobody"})
    executions.end("run-1", status="FAILED", error="InvalidBatch", cause="there is no brand kit 'nobody'")
    assert status("run-1", executions, store).cells == []
