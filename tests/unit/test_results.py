"""Cells → matrix, failures and totals."""

# hypothesis is not followed by mypy.
# mypy: disable-error-code="untyped-decorator"

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thumbnails.catalog import MODELS as CATALOGUE
from thumbnails.errors import AllImagesFailed
from thumbnails.requests.models import Batch, Thumbnails
from thumbnails.runs.collect import raise_if_all_failed, result_of
from thumbnails.runs.failures import total_failure_words

PROMPTS = ["First title", "Second title", "First title"]
MODELS = ["gpt-image-1", "dall-e-3"]
REQUEST = {"prompts": PROMPTS, "models": MODELS, "style": "anime", "template": "left-panel", "font": "lora"}
ONE = {"title": "First title", "models": MODELS, "style": "anime", "template": "left-panel", "font": "lora"}


def made(row: int, column: int, **changes: Any) -> dict[str, Any]:
    return {
        "run_id": "run-1",
        "row": row,
        "column": column,
        "key": f"key-{row}-{column}",
        "paid_calls": 1,
        "warnings": [],
        **changes,
    }


def failed(row: int, column: int, error: str = "ProviderUnavailable", cause: object = None) -> dict[str, Any]:
    cause = cause if isinstance(cause, str) else json.dumps({"errorType": error, "errorMessage": "no luck"})
    return {"run_id": "run-1", "row": row, "column": column, "failure": {"Error": error, "Cause": cause}}


def cells(change: Callable[[int, int], dict[str, Any] | None] = lambda _row, _column: None) -> list[dict[str, Any]]:
    places = [(row, column) for row in range(len(PROMPTS)) for column in range(len(MODELS))]
    return [change(*place) or made(*place) for place in places]


def url(key: str) -> str:
    return key.replace("key", "url")


def collected(given_cells: list[dict[str, Any]]) -> dict[str, Any]:
    return result_of("run-1", Batch.model_validate(REQUEST), given_cells, url)


@given(st.permutations(cells(lambda row, column: failed(row, column) if (row, column) == (1, 0) else None)))
def test_the_matrix_does_not_depend_on_which_cell_came_first(given_cells: list[dict[str, Any]]) -> None:
    result = collected(given_cells)
    assert result["results"] == [["url-0-0", "url-0-1"], [None, "url-1-1"], ["url-2-0", "url-2-1"]]
    assert result["failures"] == [
        {
            "row": 1,
            "column": 0,
            "prompt": "Second title",
            "model": "gpt-image-1",
            "error": "ProviderUnavailable",
            "message": "no luck",
        }
    ]
    assert (result["run_id"], result["prompts"], result["models"]) == ("run-1", PROMPTS, MODELS)
    assert result["images"] == {"total": 6, "succeeded": 5, "failed": 1, "paid_calls": 5}


def test_failures_stand_in_the_order_of_the_request() -> None:
    result = collected([failed(2, 1), made(2, 0), failed(1, 1), made(1, 0), failed(0, 1), made(0, 0)])
    assert [(failure["row"], failure["column"]) for failure in result["failures"]] == [(0, 1), (1, 1), (2, 1)]
    assert [row[1] for row in result["results"]] == [None] * 3
    raise_if_all_failed(result)


def test_warnings_say_where_they_belong() -> None:
    result = collected(
        cells(lambda row, column: made(row, column, warnings=["cut"]) if (row, column) == (1, 1) else None)
    )
    assert result["warnings"] == [
        {"row": 1, "column": 1, "prompt": "Second title", "model": "dall-e-3", "message": "cut"}
    ]


def test_a_model_near_its_end_is_warned_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = replace(CATALOGUE["gpt-image-2"], retired=date(2027, 1, 1), successor="gpt-image-2.5-flare")
    monkeypatch.setitem(CATALOGUE, "dall-e-3", replace(ends, id="dall-e-3"))
    request = Batch.model_validate(REQUEST)
    assert result_of("run-1", request, cells(), str, date(2026, 12, 1))["warnings"] == []
    (warning,) = result_of("run-1", request, cells(), str, date(2026, 12, 2))["warnings"]
    assert (warning["row"], warning["column"], warning["model"]) == (0, 1, "dall-e-3")
    assert warning["message"] == "dall-e-3 is shut down by its provider on 2027-01-01; use 'gpt-image-2.5-flare'"


@pytest.mark.parametrize(
    ("first", "paid"),
    [
        (made(0, 0), 6),
        (made(0, 0, paid_calls=0), 5),
        (failed(0, 0, "PictureRefused"), 5),
        (failed(0, 0, "ProviderTimeout"), 5),
        (failed(0, 0, "UnusableAnswer"), 6),
        (failed(0, 0, "UnusablePicture"), 6),
    ],
)
def test_paid_calls_are_the_images_paid_for_and_the_answers_that_were_no_picture(
    first: dict[str, Any], paid: int
) -> None:
    assert collected([first, *cells()[1:]])["images"]["paid_calls"] == paid


@pytest.mark.parametrize(
    "given_cells",
    [cells()[1:], [*cells(), made(0, 0)], [*cells()[1:], made(1, 1)], [*cells()[1:], made(3, 0)], []],
    ids=["missing", "too many", "twice", "outside", "none"],
)
def test_a_cell_too_few_or_too_many_is_an_error(given_cells: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="6 cells were asked for"):
        collected(given_cells)


@pytest.mark.parametrize(
    ("failure", "error", "message"),
    [
        ({"Error": "PictureRefused", "Cause": '{"errorMessage": "no"}'}, "PictureRefused", "no"),
        ({"Error": "PictureRefused", "Cause": "plain words"}, "PictureRefused", "plain words"),
        ({"Error": "PictureRefused", "Cause": '["a list"]'}, "PictureRefused", '["a list"]'),
        ({"Error": "PictureRefused", "Cause": '{"errorType": "x"}'}, "PictureRefused", "no reason given"),
        ({"Error": "PictureRefused", "Cause": '{"errorMessage": null}'}, "PictureRefused", "no reason given"),
        ({"Error": "PictureRefused", "Cause": None}, "PictureRefused", "no reason given"),
        ({"Error": "PictureRefused"}, "PictureRefused", "no reason given"),
        ({"Error": None, "Cause": "null"}, "Unknown", "null"),
        ({}, "Unknown", "no reason given"),
        (
            {"Error": "States.Timeout", "Cause": ""},
            "States.Timeout",
            "the image took longer than the state machine waits for it",
        ),
        (
            {"Error": "Sandbox.Timedout", "Cause": '{"errorMessage": "RequestId: 1 Error: Task timed out"}'},
            "Sandbox.Timedout",
            "the image took longer than the function may run",
        ),
    ],
)
def test_every_cause_gives_an_error_and_a_message(failure: dict[str, Any], error: str, message: str) -> None:
    result = collected([{"run_id": "run-1", "row": 0, "column": 0, "failure": failure}, *cells()[1:]])
    assert (result["failures"][0]["error"], result["failures"][0]["message"]) == (error, message)


def test_a_run_without_an_image_fails_and_says_why_model_by_model() -> None:
    def reason(row: int, column: int) -> dict[str, Any]:
        if column == 0:
            return failed(row, column, "ProviderTimeout", json.dumps({"errorMessage": "too slow"}))
        words = "no thanks" if row else "no"
        return failed(row, column, "PictureRefused", json.dumps({"errorMessage": words}))

    with pytest.raises(AllImagesFailed) as total:
        raise_if_all_failed(collected(cells(reason)))
    assert str(total.value).splitlines() == [
        "gpt-image-1: ProviderTimeout: too slow (3×)",
        "dall-e-3: PictureRefused: no; PictureRefused: no thanks (2×)",
    ]


def test_a_cause_has_room_for_every_model_however_many_reasons_there_are() -> None:
    reasons = {(MODELS[n % 2], f"ProviderUnavailable: {n} {'題' * 190}"): 1 for n in range(200)}
    first, second = total_failure_words(reasons).splitlines()
    assert first.startswith("gpt-image-1: ProviderUnavailable: 0 題")
    assert second.startswith("dall-e-3: ProviderUnavailable: 1 題")
    assert first.endswith("…")
    # As the function says it to Step Functions, which cuts it after 32 KiB.
    assert len(json.dumps({"errorMessage": f"{first}\n{second}"})) < 24 << 10


def test_one_image_saves_the_run() -> None:
    raise_if_all_failed(collected(cells(lambda row, column: failed(row, column) if row + column else None)))


def test_one_title_gives_a_list_of_images_in_the_order_of_the_models() -> None:
    result = result_of("run-1", Thumbnails.model_validate(ONE), [made(0, 1, usd=0.05), made(0, 0, usd=0.05)], url)
    assert result.pop("costs")["cells"] == [[{"usd": 0.05, "tokens": None}] * 2]
    assert result == {
        "run_id": "run-1",
        "title": "First title",
        "style": "anime",
        "template": "left-panel",
        "font": "lora",
        "results": [
            {"model": "gpt-image-1", "image_url": "url-0-0", "key": "key-0-0", "row": 0, "column": 0},
            {"model": "dall-e-3", "image_url": "url-0-1", "key": "key-0-1", "row": 0, "column": 1},
        ],
        "failures": [],
        "warnings": [],
        "images": {"total": 2, "succeeded": 2, "failed": 0, "paid_calls": 2},
    }


def test_a_failed_model_of_one_title_is_among_the_failures_alone() -> None:
    result = result_of("run-1", Thumbnails.model_validate(ONE), [failed(0, 0), made(0, 1)], url)
    assert [image["model"] for image in result["results"]] == ["dall-e-3"]
    assert [failure["model"] for failure in result["failures"]] == ["gpt-image-1"]
