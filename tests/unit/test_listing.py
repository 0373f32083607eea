"""Listings of runs: what a page costs over what is stored, and that turning pages loses and repeats nothing."""

import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.unit.memory_executions import MemoryExecutions
from tests.unit.memory_store import NEW_YEAR, MemoryStore
from tests.unit.opened import open_run
from thumbnails.campaigns.open import open_campaign
from thumbnails.errors import StorageUnavailable
from thumbnails.keys import BEGUN, INDEXED, campaign_key, claim_key, image_key, moment_in, request_key
from thumbnails.runs import begun
from thumbnails.runs.begun import index_stored_runs
from thumbnails.runs.gallery import newest_images
from thumbnails.runs.listing import MOST_EXECUTIONS, MOST_PASSED_OVER, ListedRun, Mark, list_runs, newest_names
from thumbnails.runs.naming import redrive_name
from thumbnails.runs.resume import redrive
from thumbnails.runs.status import get_status
from thumbnails.runs.submit import submit

GPT = "gpt-image-1"
BATCH = {"prompts": ["A title"], "models": [GPT]}
ROW = {"title": "A title", "models": [GPT]}
MANIFEST = {"results": [["url"]], "failures": [], "images": {"total": 1, "succeeded": 1, "failed": 0}}


def make(store: MemoryStore, run_id: str, started: datetime | None = None, *, whole: bool = True) -> None:
    """A run of one image, made or not, that is forgotten."""
    open_run("generateBatch", run_id, BATCH, store, 50, started)
    if whole:
        store.put(image_key(run_id, 0, "A title", GPT), b"a picture", "image/jpeg")
        store.put_json(f"runs/{run_id}/manifest.json", MANIFEST)


def start(
    executions: MemoryExecutions, store: MemoryStore, task: Any, name: str, request: Any, started: Any = None
) -> None:
    """An execution that is under way and whose request is stored."""
    executions.start(task, name, request)
    if started:
        executions.all[name] = replace(executions.all[name], started=started)
    open_run(task, name, request, store, 50, executions.all[name].started)


def pages(
    executions: MemoryExecutions, store: MemoryStore, most: int, meanwhile: Callable[[], Any] = lambda: None, **how: Any
) -> list[ListedRun]:
    """Every run, as one sees them who turns the pages."""
    found: list[ListedRun] = []
    mark: Mark | None = None
    for _ in range(100):
        page, mark = list_runs(executions, store, most, mark, **how)
        assert len(page) <= most
        found += page
        if mark is None:
            return found
        meanwhile()
    raise AssertionError("the pages have no end")


def cost(executions: MemoryExecutions, store: MemoryStore, look: Callable[[], object]) -> tuple[Counter[str], ...]:
    """How often S3 and Step Functions are asked."""
    store.calls.clear()
    executions.calls.clear()
    look()
    return store.calls.copy(), executions.calls.copy()


def test_what_a_page_costs_does_not_grow_with_what_it_does_not_show() -> None:
    costs: dict[str, list[Any]] = {}
    for stored in (100, 1000):
        store, executions = MemoryStore(), MemoryExecutions()
        for number in range(stored):
            make(store, f"run-{number}", whole=number != stored - 25)
        # Whether the runs are indexed is noted by the first look of all.
        list_runs(executions, store, 1)
        marks: list[Mark | None] = [None]
        while mark := list_runs(executions, store, 20, marks[-1])[1]:
            marks.append(mark)
        cut_off = f"run-{stored - 25}"

        def resume(run_id: str = cut_off, store: MemoryStore = store, known: Any = executions) -> None:
            status = get_status(run_id, known, store, 50)
            assert status is not None
            redrive(status, known, store)

        looks: dict[str, Callable[[], object]] = {
            "first page": lambda: list_runs(executions, store, 20),  # noqa: B023 - it is called in this round
            "middle page": lambda: list_runs(executions, store, 20, marks[len(marks) // 2]),  # noqa: B023
            "last page": lambda: list_runs(executions, store, 20, marks[-1]),  # noqa: B023
            "names": lambda: newest_names(executions, store, 50),  # noqa: B023
            "images": lambda: newest_images(store, 20),  # noqa: B023
            "run": lambda: get_status("run-1", executions, store, 50),  # noqa: B023
            "redrive": resume,
        }
        for name, look in looks.items():
            costs.setdefault(name, []).append(cost(executions, store, look))
    for name, (few, many) in costs.items():
        assert few == many, name
    # Three calls for each run, one for the index, and whether all runs are in it.
    assert costs["first page"][0] == ({"list": 21, "get": 41}, {"list": 3})


def test_turning_pages_loses_and_repeats_nothing(executions: MemoryExecutions, store: MemoryStore) -> None:
    """Also among executions of one millisecond, and while others begin and are resumed."""
    for number in range(7):
        make(store, f"old-{number}", NEW_YEAR, whole=number % 2 == 0)
    make(store, "older", NEW_YEAR - timedelta(seconds=1))
    moment = NEW_YEAR + timedelta(days=1)
    for number in range(6):
        task = "generateBatch" if number % 2 else "generateThumbnails"
        # All but the first and the last in one millisecond, which Step Functions may know more exactly.
        together = timedelta(seconds=number % 5 == 0, microseconds=number)
        start(executions, store, task, f"new-{number}", [ROW, BATCH][number % 2], moment + together)
    refused = [f"refused-{number}" for number in range(3)]
    for number, name in enumerate(refused):
        # The bucket knows nothing of them.
        executions.start("generateBatch", name, {})
        started = moment + timedelta(microseconds=10 * number)
        executions.all[name] = replace(executions.all[name], started=started, status="FAILED")
    wanted = {*(f"old-{number}" for number in range(7)), *(f"new-{number}" for number in range(6)), "older", *refused}
    later = iter(range(100))

    def meanwhile() -> None:
        start(executions, store, "generateBatch", f"later-{next(later)}", BATCH)

    for most in (1, 2, 3, 20):
        names = [run.run_id for run in pages(executions, store, most, meanwhile)]
        assert sorted(names) == sorted(wanted)
        assert names[-1] == "older"
        # Those that began meanwhile are seen by who looks again.
        wanted = {*wanted, *(name for name in executions.all if name.startswith("later"))}
    # A resume moves a run up: who is past its new place doesn't see it again.
    first, mark = list_runs(executions, store, 3)
    for name in ("old-1", "old-3"):
        executions.start("generateBatch", redrive_name(name, name), {"resume": name})
    rest: list[str] = []
    while mark:
        page, mark = list_runs(executions, store, 3, mark)
        rest += [run.run_id for run in page]
    assert not {run.run_id for run in first} & set(rest)
    assert {"old-1", "old-3"} & set(rest) == set()
    assert [run.run_id for run in list_runs(executions, store, 2)[0]] == ["old-3", "old-1"]


def test_a_run_that_was_resumed_is_listed_once_at_its_newest_place(
    executions: MemoryExecutions, store: MemoryStore
) -> None:
    for name in ("a", "b", "c"):
        make(store, name)
    for newest in ("a", "a-redrive-0001"):
        open_run("generateBatch", redrive_name("a", newest), {"resume": "a"}, store, 50)
    assert len(store.under(BEGUN)) == 5
    for most in (1, 2, 20):
        assert [run.run_id for run in pages(executions, store, most)] == ["a", "c", "b"]
        assert [run.run_id for run in pages(executions, store, most, every_execution=True)] == ["a", "c", "b"]
    run = list_runs(executions, store, 1)[0][0]
    assert (run.forgotten, run.status) == (True, "ABORTED")


def test_a_second_try_of_the_same_execution_has_the_same_entry(store: MemoryStore) -> None:
    for _ in range(2):
        make(store, "a", NEW_YEAR)
    assert store.under(BEGUN) == ["begun/8232774399999/a"]
    assert len(store.under("gallery/")) == 1


def test_a_campaign_has_a_place_and_its_rows_have_none_unless_they_are_asked_for(
    executions: MemoryExecutions, store: MemoryStore
) -> None:
    store.put_json("campaigns/posts.json", [ROW, ROW])
    open_campaign("spring", {"file": "campaigns/posts.json", "max_images": 2}, store, 50, started=store.now)
    for row in range(2):
        open_run("generateThumbnails", f"spring-{row}", {**ROW, "resume": f"spring-{row}"}, store, 50)
    make(store, "spring-like-7")
    open_campaign("spring-redrive-ab12", {"resume": "spring"}, store, 50, started=store.now)
    assert [key.rpartition("/")[2] for key in store.under(BEGUN)] == ["spring", "spring-like-7", "spring"]
    for most in (1, 2, 20):
        listed = pages(executions, store, most)
        assert [(run.run_id, run.task) for run in listed] == [
            ("spring", "generateCampaign"),
            ("spring-like-7", "generateBatch"),
        ]
        every = [run.run_id for run in pages(executions, store, most, every_execution=True)]
        assert every == ["spring", "spring-like-7", "spring-1", "spring-0"]
    shown = get_status("spring", executions, store, 50)
    assert shown is not None
    assert (shown.execution.name, shown.execution.forgotten) == ("spring-redrive-ab12", True)
    assert shown.execution.started == moment_in(store.under(BEGUN)[0])


def test_a_row_that_is_resumed_alone_is_a_run(executions: MemoryExecutions, store: MemoryStore) -> None:
    store.put_json(campaign_key("spring"), {"rows": 1})
    open_run("generateThumbnails", "spring-0", {**ROW, "resume": "spring-0"}, store, 50)
    open_run("generateThumbnails", "spring-0-redrive-ab12", {"resume": "spring-0"}, store, 50)
    assert [run.run_id for run in pages(executions, store, 20)] == ["spring-0", "spring"]


def test_a_claim_has_a_place_until_its_run_begins(executions: MemoryExecutions, store: MemoryStore) -> None:
    wanted: Any = {"cap": 50, "read_page": None, "moderate": lambda *_: [], "store": store}
    for _ in range(2):
        run_id = submit("generateBatch", BATCH, "key-1", **wanted, executions=MemoryExecutions()).run_id
    assert [run.run_id for run in pages(executions, store, 20)] == [run_id]
    open_run("generateBatch", run_id, BATCH, store, 50, datetime.now(NEW_YEAR.tzinfo) + timedelta(seconds=1))
    assert len(store.under(BEGUN)) == 2
    for most in (1, 20):
        assert [run.run_id for run in pages(executions, store, most)] == [run_id]


def test_the_rows_of_a_campaign_hide_no_run(executions: MemoryExecutions, store: MemoryStore) -> None:
    """However many executions of rows are newer than a run, a page looks through a bounded number of them."""
    for name in ("first", "second"):
        start(executions, store, "generateThumbnails", name, ROW)
    executions.end("first", status="SUCCEEDED")
    executions.start("generateCampaign", "spring", {})
    for row in range(3 * MOST_EXECUTIONS):
        executions.start("generateThumbnails", f"spring-{row}", ROW)
    list_runs(executions, store, 1)
    found, mark = None, None
    asked = cost(executions, store, lambda: list_runs(executions, store, 20))
    # Ten lists of a hundred, one of each other state machine; whether one of the rows is one; the two runs.
    assert asked[1] == {"list": 12, "find": 3}
    found, mark = list_runs(executions, store, 20)
    assert mark is None
    assert [(run.run_id, run.status, run.forgotten) for run in found] == [
        ("spring", "RUNNING", False),
        ("second", "RUNNING", False),
        ("first", "SUCCEEDED", False),
    ]
    assert [run.run_id for run in pages(executions, store, 1)] == ["spring", "second", "first"]
    assert len(list_runs(executions, store, 9999, every_execution=True)[0]) == len(executions.all)


def test_where_many_runs_were_deleted_a_page_ends_early_and_the_next_goes_on(
    executions: MemoryExecutions, store: MemoryStore
) -> None:
    make(store, "oldest")
    for number in range(MOST_PASSED_OVER + 1):
        make(store, f"gone-{number}")
        for key in store.under(f"runs/gone-{number}/"):
            store.delete(key)
    page, mark = list_runs(executions, store, 20)
    assert page == []
    assert mark is not None
    assert [run.run_id for run in list_runs(executions, store, 20, mark)[0]] == ["oldest"]


@pytest.mark.parametrize("when", [math.nan, math.inf, -math.inf, -1.0, 1e300, 9_999_999_999_999.0, 0.0])
def test_a_mark_of_no_page_leads_nowhere(when: float, executions: MemoryExecutions, store: MemoryStore) -> None:
    make(store, "a")
    assert len(list_runs(executions, store, 20, (when, "../runs/"))[0]) == (when == 9_999_999_999_999)


# Runs from before there was an index.


def unindexed(store: MemoryStore, run_id: str, execution: str = "", task: str = "generateBatch") -> None:
    """A run as it was stored then."""
    request = BATCH if task == "generateBatch" else ROW
    store.put_json(request_key(run_id), request, {"execution": execution or run_id})


def old_bucket(store: MemoryStore) -> None:
    for name in ("d", "b", "c", "a"):
        unindexed(store, f"old-{name}")
    store.put(claim_key("once-1"), json.dumps({"request": BATCH}).encode(), "application/json")
    store.put("campaigns/posts.csv", b"", "text/csv")
    store.put_json(campaign_key("spring"), {"rows": 2})
    for row in range(2):
        unindexed(store, f"spring-{row}", task="generateThumbnails")
    unindexed(store, "old-b", "old-b-redrive-ab12")
    store.put("runs/stray/archive.zip", b"", "application/zip")


OLD = ["old-b", "spring", "once-1", "old-a", "old-c", "old-d"]


def test_runs_from_before_there_was_an_index_are_listed(executions: MemoryExecutions, store: MemoryStore) -> None:
    old_bucket(store)
    make(store, "new", NEW_YEAR + timedelta(days=1))
    for _ in range(2):
        assert [run.run_id for run in pages(executions, store, 2)] == ["new", *OLD]
    assert len(store.under(BEGUN)) == len(OLD) + 1
    # One that is resumed now has a later place.
    open_run("generateBatch", "old-d-redrive-ab12", {"resume": "old-d"}, store, 50, NEW_YEAR + timedelta(days=2))
    assert [run.run_id for run in pages(executions, store, 2)] == ["old-d", "new", *OLD[:-1]]


def test_one_that_step_functions_knows_stands_where_it_has_it(executions: MemoryExecutions, store: MemoryStore) -> None:
    start(executions, store, "generateBatch", "older", BATCH)
    executions.start("generateBatch", "run-1", BATCH)
    start(executions, store, "generateBatch", "newer", BATCH)
    unindexed(store, "run-1")
    assert [run.run_id for run in pages(executions, store, 1)] == ["newer", "run-1", "older"]
    forgotten = MemoryExecutions()
    assert [run.run_id for run in pages(forgotten, store, 1)] == ["newer", "run-1", "older"]


@pytest.mark.parametrize("fails_at", ["begun/", "begun.json"])
def test_what_cut_the_indexing_off_does_not_lose_a_run(
    fails_at: str, executions: MemoryExecutions, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(begun, "FOLDERS", 2)
    old_bucket(store)
    puts = store.put
    cuts = 0

    def fail(key: str, *given: Any) -> None:
        nonlocal cuts
        if key.startswith(fails_at) and key not in tried:
            tried.add(key)
            cuts += 1
            raise StorageUnavailable("cut off")
        puts(key, *given)

    monkeypatch.setattr(store, "put", fail)
    tried: set[str] = set()
    for _ in range(20):
        try:
            found = pages(executions, store, 20)
            break
        except StorageUnavailable:
            continue
    assert cuts
    assert [run.run_id for run in found] == OLD
    # And it is done once.
    before = len(store.writes)
    index_stored_runs(store, dict)
    assert len(store.writes) == before


def test_indexing_goes_on_behind_what_it_has_done(store: MemoryStore) -> None:
    old_bucket(store)
    store.put_json(INDEXED, {"prefix": "runs/", "through": "old-c"})
    index_stored_runs(store, dict)
    assert {key.rpartition("/")[2] for key in store.under(BEGUN)} == {"old-d", "once-1", "spring"}
