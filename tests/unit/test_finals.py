"""Drafts and finals: several pictures a cell, at the quality that is asked for, and chosen cells made again."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image as Canvas

from tests.unit.api_gateway import ApiGateway, served
from tests.unit.memory_executions import MemoryExecutions
from tests.unit.memory_store import MemoryStore
from thumbnails.catalog import Order
from thumbnails.catalog.models import today
from thumbnails.catalog.prices import Usage
from thumbnails.errors import DailyBudgetExceeded, InvalidBatch
from thumbnails.images.cell import make_thumbnail
from thumbnails.images.providers.answers import Answer
from thumbnails.requests.checks import parse_cell, parse_request
from thumbnails.requests.estimate import estimate
from thumbnails.runs.budget import Budget
from thumbnails.runs.collect import collect_run
from thumbnails.runs.costs import measured_tokens, spent
from thumbnails.runs.finalise import finalise
from thumbnails.runs.open import open_run
from thumbnails.runs.resume import RunNeverAccepted
from thumbnails.runs.status import RunStatus, get_status

GPT, GEMINI, FLASH = "gpt-image-2.5-flare", "gemini-3-pro-image", "gemini-nano-banana-2.1"
BATCH: dict[str, Any] = {"prompts": ["First title", "Second title"], "models": [GPT, GEMINI]}
CAP = 50


def picture(colour: str) -> bytes:
    buffer = io.BytesIO()
    Canvas.new("RGB", (1536, 816), colour).save(buffer, "JPEG")
    return buffer.getvalue()


PICTURES = tuple(map(picture, ("teal", "navy", "olive", "maroon")))


class Provider:
    """Makes as many pictures as it is asked for, unless it has less to give."""

    def __init__(self, most: int = 4) -> None:
        self.orders: list[Order] = []
        self.most = most

    def __call__(self, order: Order, _prompt: str) -> Answer:
        self.orders.append(order)
        pictures = PICTURES[: min(order.pictures, self.most)]
        return Answer(pictures, Usage(text_in=100, image_out=500 * len(pictures)) if order.model.id == GPT else None)


def cell(**changes: Any) -> Any:
    event = {"title": "First title", "model": GPT, "run_id": "run-1", "execution": "run-1", **changes}
    return parse_cell(event, run_id="unused")


def drafted(store: MemoryStore, executions: MemoryExecutions, provider: Provider, **changes: Any) -> RunStatus:
    """A run that has ended with all of its images."""
    request = {**BATCH, "quality": "draft", **changes}
    executions.start("generateBatch", "run-1", request)
    _, opened = open_run("generateBatch", "run-1", request, store, CAP)
    given = {"quality": opened.quality, "variants": opened.variants}
    cells = [
        make_thumbnail(cell(**given, **found, row=row["row"], title=row["title"]), store, provider).as_json()
        for row in opened.rows_for_map()
        for found in row["cells"]
    ]
    result = collect_run("generateBatch", "run-1", "run-1", cells, store)
    executions.end("run-1", status="SUCCEEDED", output=result)
    status = get_status("run-1", executions, store, CAP)
    assert status
    return status


def test_a_cell_has_as_many_pictures_as_variants_for_one_call(store: MemoryStore) -> None:
    provider = Provider()
    image = make_thumbnail(cell(variants=3), store, provider)
    assert [order.pictures for order in provider.orders] == [3]
    keys = [f"runs/run-1/0-first-title/{GPT}{number}.jpg" for number in ("", ".v2", ".v3")]
    assert [image.key, *image.variants] == keys
    assert len({store.objects[key].body for key in keys}) == 3
    assert image.cost.usd == pytest.approx(100 * 5e-6 + 1500 * 30e-6)
    (note,) = spent(store, today())
    assert note.pictures == 3
    # Found, not paid for.
    assert make_thumbnail(cell(variants=3), store, provider).as_json() == image.as_json()
    assert len(provider.orders) == 1


def test_a_retry_pays_for_the_variants_that_are_missing_alone(store: MemoryStore) -> None:
    provider = Provider()
    first = make_thumbnail(cell(variants=3), store, provider)
    del store.objects[first.variants[1]]
    (original,) = [key for key in store.under("originals/") if key.endswith("/0-0.v3")]
    del store.objects[original]
    again = make_thumbnail(cell(variants=3), store, provider)
    assert [order.pictures for order in provider.orders] == [3, 1]
    assert again.variants == first.variants


def test_a_provider_that_makes_less_is_warned_of(store: MemoryStore, executions: MemoryExecutions) -> None:
    result = drafted(store, executions, Provider(most=1), models=[GPT], variants=2).execution.output
    assert result["images"] == {"total": 4, "succeeded": 2, "failed": 2, "paid_calls": 2}
    assert {warning["message"] for warning in result["warnings"]} == {f"{GPT} made 1 of 2 pictures"}


def test_variants_stand_beside_the_results_and_count_in_cap_and_estimate(
    store: MemoryStore, executions: MemoryExecutions
) -> None:
    status = drafted(store, executions, Provider(), variants=2)
    result = status.execution.output
    assert [[len(urls) for urls in row] for row in result["variants"]] == [[2, 1], [2, 1]]
    assert [[urls[0] for urls in row] for row in result["variants"]] == result["results"]
    assert result["images"] == {"total": 6, "succeeded": 6, "failed": 0, "paid_calls": 4}
    assert [len(one.variants) for one in status.cells] == [1, 0, 1, 0]
    request = parse_request("generateBatch", {**BATCH, "variants": 2}, 6)
    assert estimate(request).images == 6
    assert estimate(request).usd > estimate(parse_request("generateBatch", BATCH, CAP)).usd * 1.05
    with pytest.raises(InvalidBatch, match="batch is capped at 5 generated images"):
        parse_request("generateBatch", {**BATCH, "variants": 2}, 5)
    # What a picture took, whichever call it came in.
    assert measured_tokens(store, [GPT]) == {(GPT, "draft-1536x816"): 500}


def test_a_run_without_variants_has_the_result_that_it_always_had(
    store: MemoryStore, executions: MemoryExecutions
) -> None:
    assert "variants" not in drafted(store, executions, Provider()).execution.output


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quality": "best"}, "quality must be 'draft', 'standard' or 'high'"),
        ({"variants": 5}, "variants must be less than or equal to 4"),
        ({"variants": 0}, "variants must be greater than or equal to 1"),
        ({"only": [[2, 0]]}, r"only\[0\]: there is no row 2 with a column 0"),
        ({"only": [[0, 0], [0, 0]]}, r"only\[1\]: row 0, column 0 is named twice"),
    ],
)
def test_what_no_request_may_ask_for(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidBatch, match=message):
        parse_request("generateBatch", {**BATCH, **changes}, CAP)


def test_each_quality_is_asked_for_in_the_providers_words(store: MemoryStore) -> None:
    provider = Provider()
    for quality in ("draft", "standard", "high"):
        make_thumbnail(cell(quality=quality), store, provider)
    assert [order.parameters["quality"] for order in provider.orders] == ["low", "medium", "high"]
    assert {order.size for order in provider.orders} == {"1536x816"}


def test_finals_are_a_run_of_the_chosen_cells_and_the_drafts_stay(
    store: MemoryStore, executions: MemoryExecutions
) -> None:
    provider = Provider()
    drafts = drafted(store, executions, provider)
    before = {key: store.objects[key].body for key in store.under("runs/run-1/")}
    made = finalise(drafts, [(1, 0), (0, 1)], "high", executions, store, cap=CAP)
    assert finalise(drafts, [(0, 1), (1, 0), (1, 0)], "high", executions, store, cap=CAP).run_id == made.run_id
    assert made.estimate.images == 2
    run_id, request = open_run("generateBatch", made.run_id, executions.all[made.run_id].request, store, CAP)
    paid = len(provider.orders)
    cells = []
    for row in request.rows_for_map():
        for found in row["cells"]:
            event = {**found, "row": row["row"], "title": row["title"], "quality": request.quality}
            cells.append(make_thumbnail(cell(**event, run_id=run_id, execution=run_id), store, provider).as_json())
    assert [order.quality for order in provider.orders[paid:]] == ["high", "high"]
    result = collect_run("generateBatch", run_id, run_id, cells, store)
    assert [[bool(url) for url in row] for row in result["results"]] == [[False, True], [True, False]]
    assert (result["failures"], result["images"]["total"], result["images"]["paid_calls"]) == ([], 2, 2)
    executions.end(run_id, status="SUCCEEDED", output=result)
    status = get_status(run_id, executions, store, CAP)
    assert status
    assert [(one.row, one.column, one.state) for one in status.cells] == [(0, 1, "succeeded"), (1, 0, "succeeded")]
    assert {key: store.objects[key].body for key in store.under("runs/run-1/")} == before


def test_finals_that_would_be_the_drafts_again_or_that_nobody_may_pay_are_refused(
    store: MemoryStore, executions: MemoryExecutions
) -> None:
    drafts = drafted(store, executions, Provider(), models=[GPT, FLASH])
    started = len(executions.all)
    with pytest.raises(InvalidBatch, match=f"cell 1.2: {FLASH} draws the same at high as at draft"):
        finalise(drafts, [(0, 0), (0, 1)], "high", executions, store, cap=CAP)
    with pytest.raises(InvalidBatch, match="there is no row 7"):
        finalise(drafts, [(7, 0)], "high", executions, store, cap=CAP)
    with pytest.raises(InvalidBatch, match="at least one cell"):
        finalise(drafts, [], "high", executions, store, cap=CAP)
    with pytest.raises(DailyBudgetExceeded):
        finalise(drafts, [(0, 0)], "high", executions, store, cap=CAP, budget=Budget(store, 0.01))
    executions.start("generateBatch", "run-2", {"prompts": []})
    refused = get_status("run-2", executions, store, CAP)
    assert refused
    with pytest.raises(RunNeverAccepted):
        finalise(refused, [(0, 0)], "high", executions, store, cap=CAP)
    assert len(executions.all) == started + 1


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, executions: MemoryExecutions, store: MemoryStore) -> Iterator[ApiGateway]:
    gateway = ApiGateway(store, executions)
    with served(monkeypatch, [gateway]):
        yield gateway


def test_finals_over_http(api: ApiGateway, store: MemoryStore, executions: MemoryExecutions) -> None:
    drafted(store, executions, Provider(), variants=2)
    _, shown = api("GET", "/runs/run-1")
    assert [len(one["variants"]) for one in shown["cells"]] == [1, 0, 1, 0]
    status, accepted = api("POST", "/runs/run-1/finalise", json.dumps({"cells": [[0, 0]]}))
    assert (status, accepted["kind"]) == (202, "generateBatch")
    asked: Any = executions.all[accepted["run_id"]].request
    assert (asked["quality"], asked["only"], asked["variants"]) == ("high", [(0, 0)], 1)
    status, refused = api("POST", "/runs/run-1/finalise", json.dumps({"cells": [[9, 0]]}))
    assert (status, refused["code"]) == (422, "invalid_request")
    assert api("POST", "/runs/none/finalise", json.dumps({"cells": [[0, 0]]}))[0] == 404
