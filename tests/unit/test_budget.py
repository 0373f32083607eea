"""The day's budget: reserved before a run is accepted, settled at its end, never passed by many runs together."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.memory_executions import MemoryExecutions
from tests.unit.memory_store import MemoryStore
from thumbnails.aws.s3 import Stored
from thumbnails.campaigns.collect import collect_campaign
from thumbnails.campaigns.open import open_campaign
from thumbnails.catalog import MODELS
from thumbnails.errors import DailyBudgetExceeded, InvalidBatch
from thumbnails.images.digests import picture_of
from thumbnails.keys import original_key
from thumbnails.requests.estimate import cell_usd
from thumbnails.requests.models import Batch
from thumbnails.runs.budget import Budget
from thumbnails.runs.collect import collect_run
from thumbnails.runs.open import open_run
from thumbnails.runs.resume import redrive
from thumbnails.runs.status import get_status
from thumbnails.runs.submit import submit

GPT, DALLE = "gpt-image-1", "dall-e-3"
#: What one picture of each costs.
A, B = (cell_usd("First title", model, Batch()) for model in (GPT, DALLE))
BATCH = {"prompts": ["First title", "Second title"], "models": [GPT, DALLE]}
COST = sum(cell_usd(title, model, Batch()) for title in BATCH["prompts"] for model in BATCH["models"])
CAP = 50
DAY = "budget/2026-11-26.json"


def near(usd: float) -> Any:
    """Titles of other lengths cost some millionths more or less."""
    return pytest.approx(usd, abs=1e-4)


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 26, 23, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def budget_of(store: MemoryStore, clock: Clock) -> Callable[[float], Budget]:
    return lambda usd: Budget(store, usd, clock)


def cells(paid_calls: int = 1, *, failed: str = "") -> list[dict[str, Any]]:
    """Every cell of the batch; the last one failed, where it is said with which error."""
    found: list[dict[str, Any]] = [
        {"row": row, "column": column, "key": "k", "paid_calls": paid_calls, "warnings": [], "usd": usd}
        for row in range(2)
        for column, usd in enumerate((A, B))
    ]
    if failed:
        found[3] = {"row": 1, "column": 1, "failure": {"Error": failed, "Cause": "{}"}}
    return found


def day(store: MemoryStore) -> Any:
    """What was paid on the day, and what each execution has reserved."""
    value = store.json(DAY)
    return value["paid_usd"], value["reserved"]


def test_a_run_reserves_what_it_may_pay_and_settles_to_what_it_paid(
    store: MemoryStore, budget_of: Callable[[float], Budget]
) -> None:
    budget = budget_of(1)
    open_run("generateBatch", "run-1", BATCH, store, CAP, budget)
    assert day(store) == (0, {"run-1": near(COST)})
    collect_run("generateBatch", "run-1", "run-1", cells(failed="PictureRefused"), store, budget)
    assert day(store) == (near(COST - B), {})
    # A state machine may ask for either again.
    collect_run("generateBatch", "run-1", "run-1", cells(failed="PictureRefused"), store, budget)
    assert day(store) == (near(COST - B), {})


def test_an_answer_without_a_picture_was_billed_and_a_cell_may_know_its_cost_better(
    store: MemoryStore, budget_of: Callable[[float], Budget]
) -> None:
    budget = budget_of(1)
    open_run("generateBatch", "run-1", BATCH, store, CAP, budget)
    made = cells(failed="UnusableAnswer")
    made[0]["usd"] = 0.2
    collect_run("generateBatch", "run-1", "run-1", made, store, budget)
    assert day(store) == (near(0.2 + A + 2 * B), {})


def test_a_retried_validation_reserves_once(store: MemoryStore, budget_of: Callable[[float], Budget]) -> None:
    for _ in range(3):
        open_run("generateBatch", "run-1", BATCH, store, CAP, budget_of(COST))
    assert day(store) == (0, {"run-1": near(COST)})


def test_what_the_budget_does_not_hold_is_refused_with_what_is_left_and_when_it_starts_anew(
    store: MemoryStore, budget_of: Callable[[float], Budget]
) -> None:
    budget = budget_of(COST + 0.1)
    open_run("generateBatch", "run-1", BATCH, store, CAP, budget)
    with pytest.raises(DailyBudgetExceeded) as refused:
        open_run("generateBatch", "run-2", BATCH, store, CAP, budget)
    assert str(refused.value) == (
        f"this may cost {COST:.3f} US dollars, and 0.100 of the day's {COST + 0.1:.2f} are left; "
        "the budget starts anew at 2026-11-27T00:00Z"
    )
    assert day(store) == (0, {"run-1": near(COST)})


def test_the_day_after_there_is_a_budget_again_and_the_refused_run_is_resumed(
    store: MemoryStore, clock: Clock, budget_of: Callable[[float], Budget]
) -> None:
    budget, executions = budget_of(COST), MemoryExecutions()
    open_run("generateBatch", "run-1", BATCH, store, CAP, budget)
    executions.start("generateBatch", "run-2", BATCH)
    with pytest.raises(DailyBudgetExceeded):
        open_run("generateBatch", "run-2", BATCH, store, CAP, budget)
    executions.end("run-2", status="FAILED", error="DailyBudgetExceeded", cause="no")
    status = get_status("run-2", executions, store, CAP)
    assert status
    with pytest.raises(DailyBudgetExceeded):
        redrive(status, executions, store, budget)
    clock.now = datetime(2026, 11, 27, 0, 0, 1, tzinfo=UTC)
    name = redrive(status, executions, store, budget)
    assert open_run("generateBatch", name, {"resume": "run-2"}, store, CAP, budget)[0] == "run-2"
    assert store.json("budget/2026-11-27.json")["reserved"] == {name: near(COST)}


def test_a_run_counts_on_the_day_on_which_it_was_accepted(
    store: MemoryStore, clock: Clock, budget_of: Callable[[float], Budget]
) -> None:
    budget = budget_of(COST)
    open_run("generateBatch", "run-1", BATCH, store, CAP, budget)
    clock.now = datetime(2026, 11, 27, 0, 5, tzinfo=UTC)
    collect_run("generateBatch", "run-1", "run-1", cells(), store, budget)
    assert day(store) == (near(COST), {})
    assert "budget/2026-11-27.json" not in store.objects


def test_a_resumed_run_reserves_for_what_is_missing_and_the_execution_before_it_is_settled(
    store: MemoryStore, budget_of: Callable[[float], Budget]
) -> None:
    budget = budget_of(COST + A)
    run_id, request = open_run("generateBatch", "run-1", BATCH, store, CAP, budget)
    # Stopped after it had made one image and paid for the original of another.
    store.put("runs/run-1/0-first-title/gpt-image-1.jpg", b"", "image/jpeg")
    digest = picture_of("First title", DALLE, request).digest
    store.put(original_key(digest, run_id, 0, 1), b"", "image/jpeg")
    open_run("generateBatch", "again", {"resume": "run-1"}, store, CAP, budget)
    assert day(store) == (near(A + B), {"again": near(A + B)})


def test_a_run_whose_images_are_there_costs_nothing_even_when_the_budget_is_used_up(
    store: MemoryStore, budget_of: Callable[[float], Budget]
) -> None:
    budget = budget_of(COST)
    open_run("generateBatch", "run-1", BATCH, store, CAP, budget)
    collect_run("generateBatch", "run-1", "run-1", cells(), store, budget)
    assert budget.today().left_usd == 0
    for slug in ("0-first-title", "1-second-title"):
        for model in (GPT, DALLE):
            store.put(f"runs/run-1/{slug}/{model}.jpg", b"", "image/jpeg")
    open_run("generateBatch", "again", {"resume": "run-1"}, store, CAP, budget)
    assert day(store) == (near(COST), {"again": 0})


def test_a_run_that_reuses_originals_reserves_for_the_others_alone(
    store: MemoryStore, budget_of: Callable[[float], Budget]
) -> None:
    _, request = open_run("generateBatch", "run-1", BATCH, store, CAP)
    for title in request.titles:
        digest = picture_of(title, GPT, request).digest
        store.put(original_key(digest, "any", 0, 0), b"", "image/jpeg")
    open_run("generateBatch", "run-2", {**BATCH, "reuse": True}, store, CAP, budget_of(1))
    assert day(store) == (0, {"run-2": near(2 * B)})


def test_without_a_budget_nothing_is_counted(store: MemoryStore, budget_of: Callable[[float], Budget]) -> None:
    budget = budget_of(0)
    open_run("generateBatch", "run-1", BATCH, store, CAP, budget)
    collect_run("generateBatch", "run-1", "run-1", cells(), store, budget)
    assert store.under("budget/") == []


def test_a_refused_request_reserves_nothing(store: MemoryStore, budget_of: Callable[[float], Budget]) -> None:
    with pytest.raises(InvalidBatch):
        open_run("generateBatch", "run-1", {**BATCH, "models": ["none"]}, store, CAP, budget_of(1))
    assert store.under("budget/") == []


def test_a_model_that_is_not_in_the_catalogue_any_more_counts_as_the_dearest() -> None:
    assert cell_usd("First title", "gone", Batch()) == max(cell_usd("First title", one, Batch()) for one in MODELS)


class ContestedStore(MemoryStore):
    """Several threads at once, each between its reading and its writing when the others read."""

    def __init__(self, threads: int) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._first = threading.Barrier(threads)
        self._read = threading.local()

    def get(self, *args: Any, **kwargs: Any) -> Stored | None:
        with self._lock:
            found = super().get(*args, **kwargs)
        if not hasattr(self._read, "once"):
            self._read.once = True
            self._first.wait(10)
        return found

    def put_over(self, *args: Any) -> bool:
        with self._lock:
            return super().put_over(*args)


def test_twenty_that_start_at_once_do_not_pass_the_budget_together(clock: Clock) -> None:
    store = ContestedStore(20)
    accepted: list[str] = []
    refused: list[str] = []

    def start(name: str) -> None:
        try:
            Budget(store, 5 * COST, clock).reserve(name, COST)
            accepted.append(name)
        except DailyBudgetExceeded:
            refused.append(name)

    threads = [threading.Thread(target=start, args=(f"run-{number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(accepted), len(refused)) == (5, 15)
    assert set(store.json(DAY)["reserved"]) == set(accepted)


def test_over_http_a_request_is_refused_before_a_run_begins(
    store: MemoryStore, budget_of: Callable[[float], Budget]
) -> None:
    executions = MemoryExecutions()
    ways: dict[str, Any] = {"cap": CAP, "read_page": None, "moderate": lambda *_: [], "store": store}
    with pytest.raises(DailyBudgetExceeded):
        submit("generateBatch", BATCH, "key", executions=executions, budget=budget_of(COST - 0.01), **ways)
    assert not executions.all
    # The key is as good as new.
    submit("generateBatch", BATCH, "key", executions=executions, budget=budget_of(COST), **ways)
    assert len(executions.all) == 1


# Campaigns.

ROWS = [{"title": f"Title number {row}"} for row in range(4)]
ROW = A + B


def begin(store: MemoryStore, budget: Budget, execution: str = "camp") -> dict[str, Any]:
    store.put("campaigns/posts.json", json.dumps(ROWS).encode(), "text/plain")
    asked = {"file": "campaigns/posts.json", "max_images": 100, "models": [GPT, DALLE]}
    return open_campaign(execution, asked, store, CAP, budget)


def write_results(store: MemoryStore, opened: dict[str, Any], rows: list[int]) -> None:
    """As Step Functions writes them: every row is made, and paid for."""
    prefix = opened["results_prefix"] + "map/"
    given = {item["row"]: item for item in store.json(opened["items_key"])}
    made = {"failures": [], "paid_calls": 2, "paid_usd": ROW, "by_model": {GPT: A, DALLE: B}}
    records = [{"Input": json.dumps(given[row]), "Output": json.dumps(made)} for row in rows]
    store.put(prefix + "SUCCEEDED_0.json", json.dumps(records).encode(), "application/json")
    manifest = {"ResultFiles": {"SUCCEEDED": [{"Key": prefix + "SUCCEEDED_0.json"}], "FAILED": []}}
    store.put(prefix + "manifest.json", json.dumps(manifest).encode(), "application/json")


def test_a_campaign_reserves_once_for_all_of_its_rows_and_settles(
    store: MemoryStore, budget_of: Callable[[float], Budget]
) -> None:
    budget = budget_of(1)
    opened = begin(store, budget)
    assert (opened["rows"], opened["failure"]) == (4, None)
    assert day(store) == (0, {"camp": near(4 * ROW)})
    for item in store.json(opened["items_key"]):
        open_run("generateThumbnails", f"camp-{item['row']}", item["request"], store, CAP, budget)
    assert day(store) == (0, {"camp": near(4 * ROW)})
    write_results(store, opened, [0, 1, 2, 3])
    collect_campaign("camp", "camp", 4, None, store, budget)
    assert day(store) == (near(4 * ROW), {})


def test_a_campaign_that_meets_the_budget_pauses_behind_the_rows_that_it_holds_and_is_resumed(
    store: MemoryStore, clock: Clock, budget_of: Callable[[float], Budget]
) -> None:
    budget = budget_of(2.5 * ROW)
    opened = begin(store, budget)
    assert opened["rows"] == 2
    assert opened["failure"] == {
        "Error": "DailyBudgetExceeded",
        "Cause": "2 of 4 rows wait for a day whose budget holds them; a redrive makes them",
    }
    assert [item["row"] for item in store.json(opened["items_key"])] == [0, 1]
    write_results(store, opened, [0, 1])
    result = collect_campaign("camp", "camp", 2, opened["failure"], store, budget)
    assert (result["rows"]["succeeded"], result["rows"]["pending"]) == (2, 2)
    assert day(store) == (near(2 * ROW), {})
    clock.now = datetime(2026, 11, 27, tzinfo=UTC)
    again = open_campaign("again", {"resume": "camp"}, store, CAP, budget)
    assert (again["rows"], again["failure"]) == (2, None)
    assert [item["row"] for item in store.json(again["items_key"])] == [2, 3]


def test_a_campaign_whose_first_row_is_too_dear_makes_none_and_can_be_resumed(
    store: MemoryStore, clock: Clock, budget_of: Callable[[float], Budget]
) -> None:
    budget = budget_of(ROW + 0.01)
    open_run("generateBatch", "run-1", {"prompts": ["One title"], "models": [GPT]}, store, CAP, budget)
    with pytest.raises(DailyBudgetExceeded):
        begin(store, budget)
    clock.now = datetime(2026, 11, 27, tzinfo=UTC)
    assert open_campaign("again", {"resume": "camp"}, store, CAP, budget)["rows"] == 1


def test_a_run_that_is_called_like_a_row_reserves_for_itself(
    store: MemoryStore, budget_of: Callable[[float], Budget]
) -> None:
    asked = {"title": "A title", "models": [GPT], "resume": "camp-0"}
    open_run("generateThumbnails", "camp-0", asked, store, CAP, budget_of(1))
    assert day(store) == (0, {"camp-0": near(A)})
