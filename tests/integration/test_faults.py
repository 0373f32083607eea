"""What a provider can do wrong: what is tried again, what is not, what it costs and what the run says."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.integration.application import DALLE, GEMINI, GPT, GPT2, Application, without_query

MODELS = [GPT, GEMINI]
#: One call and two retries.
ATTEMPTS = 3


@dataclass(frozen=True)
class Case:
    """A fault, how it is set, and what becomes of a cell that it strikes.

    Attributes:
        fault: the image API's name of it.
        requests: how many calls the cell makes.
        paid: how many of them a provider would bill.
        error: the failure's name; empty where the cell recovers.
        setting: which calls the fault strikes; all, if nothing is said.
    """

    fault: str
    requests: int
    paid: int
    error: str = ""
    setting: dict[str, Any] = field(default_factory=dict)


FIRST, FIRST_TWO = {"times_each": 1}, {"times_each": 2}
CASES = {
    "Nothing goes wrong here": Case("", 1, 1),
    "Limited twice": Case("rate_limit", 3, 1, setting=FIRST_TWO),
    "Broken server once": Case("server_error", 2, 1, setting=FIRST),
    "Unavailable once": Case("unavailable", 2, 1, setting=FIRST),
    "Hanging once": Case("hang", 2, 2, setting=FIRST),
    "Cut off once": Case("reset", 2, 2, setting=FIRST),
    "Limited for ever": Case("rate_limit", ATTEMPTS, 0, "ProviderRateLimited"),
    "Hanging for ever": Case("hang", ATTEMPTS, ATTEMPTS, "ProviderTimeout"),
    "Refused for its content": Case("refusal", 1, 0, "PictureRefused"),
    "Rejected key": Case("key_rejected", 1, 0, "ProviderMisconfigured"),
    "Forbidden model": Case("forbidden", 1, 0, "ProviderMisconfigured"),
    "A page in place of JSON": Case("not_json", 1, 0, "UnusableAnswer"),
    "No picture in the answer": Case("no_picture", 1, 0, "UnusableAnswer"),
    "Broken JSON": Case("broken_json", 1, 1, "UnusableAnswer"),
    "Half a picture": Case("truncated_picture", 1, 1, "UnusablePicture"),
    "Bytes that are no picture": Case("not_a_picture", 1, 1, "UnusablePicture"),
    "A picture of sixty megapixels": Case("huge_picture", 1, 1, "UnusablePicture"),
    "A picture in grey": Case("odd_mode", 1, 1, setting={"variant": "gray"}),
}
TITLES = list(CASES)
CELLS = [(row, column) for row in range(len(TITLES)) for column in range(len(MODELS))]


@pytest.fixture(scope="module")
def struck(deployed: Application) -> dict[str, Any]:
    """One run in which every row meets a fault of its own, with the calls that came in."""
    deployed.image_api.reset()
    for title, case in CASES.items():
        if case.fault:
            deployed.image_api.add_fault(case.fault, prompt_contains=f'"{title}"', **case.setting)
    result = deployed.succeed("generateBatch", {"prompts": TITLES, "models": MODELS}, "the-struck-run")
    counts = deployed.image_api.calls()["by_prompt"]
    calls = {(call["prompt"].split('"')[1], call["model"]): (call["requests"], call["paid"]) for call in counts}
    return {"result": result, "calls": calls}


@pytest.mark.parametrize(
    ("row", "column"), [pytest.param(*cell, id=f"{TITLES[cell[0]]}, {MODELS[cell[1]]}") for cell in CELLS]
)
def test_a_fault_costs_what_it_must_and_spoils_its_own_cell_alone(
    struck: dict[str, Any], row: int, column: int
) -> None:
    title, model = TITLES[row], MODELS[column]
    case, result = CASES[title], struck["result"]
    assert struck["calls"][title, model] == (case.requests, case.paid)
    failures = [failure for failure in result["failures"] if (failure["row"], failure["column"]) == (row, column)]
    if not case.error:
        assert without_query(result["results"][row][column]).endswith(f"/{model}.jpg")
        assert failures == []
        return
    assert result["results"][row][column] is None
    (failure,) = failures
    assert (failure["prompt"], failure["model"], failure["error"]) == (title, model, case.error)
    assert model in failure["message"] or "picture" in failure["message"]
    assert "offline" not in failure["message"], "the key is shown"
    assert "\n" not in failure["message"]


def test_the_totals_count_every_cell(struck: dict[str, Any]) -> None:
    failed = sum(bool(case.error) for case in CASES.values()) * len(MODELS)
    images = struck["result"]["images"]
    assert (images["total"], images["failed"]) == (len(CELLS), failed)
    assert images["succeeded"] == len(CELLS) - failed


def test_the_run_says_what_it_knows_to_be_paid(struck: dict[str, Any]) -> None:
    pictures = sum(not case.error for case in CASES.values())
    spoilt = sum(case.error in ("UnusableAnswer", "UnusablePicture") for case in CASES.values())
    assert struck["result"]["images"]["paid_calls"] == (pictures + spoilt) * len(MODELS)


def test_the_manifest_of_a_run_with_failures_is_its_output(app: Application, struck: dict[str, Any]) -> None:
    assert app.manifest("the-struck-run") == struck["result"]


def test_one_failing_model_leaves_the_other_columns_whole(app: Application) -> None:
    app.image_api.add_fault("refusal", model=GPT)
    result = app.succeed("generateBatch", {"prompts": ["First title", "Second title"], "models": [GEMINI, GPT, DALLE]})
    assert [[bool(url) for url in row] for row in result["results"]] == [[True, False, True]] * 2
    assert [(failure["row"], failure["column"], failure["model"]) for failure in result["failures"]] == [
        (0, 1, GPT),
        (1, 1, GPT),
    ]
    assert result["images"] == {"total": 6, "succeeded": 4, "failed": 2, "paid_calls": 4}


def test_one_title_with_a_failing_model_keeps_the_others(app: Application) -> None:
    app.image_api.add_fault("refusal", model=GPT)
    result = app.succeed("generateThumbnails", {"title": "A title", "models": [GPT, DALLE]})
    assert [image["model"] for image in result["results"]] == [DALLE]
    assert [(failure["model"], failure["error"]) for failure in result["failures"]] == [(GPT, "PictureRefused")]


@pytest.mark.parametrize(
    ("task", "request_part"),
    [("generateBatch", {"prompts": ["First title", "Second title"]}), ("generateThumbnails", {"title": "First title"})],
)
def test_a_run_without_an_image_fails_and_says_why_model_by_model(
    app: Application, task: str, request_part: dict[str, Any]
) -> None:
    app.image_api.add_fault("refusal", model=GPT2)
    app.image_api.add_fault("key_rejected", model=GEMINI)
    done = app.run(task, {**request_part, "models": [GPT2, GEMINI]})
    assert (done.status, done.error) == ("FAILED", "AllImagesFailed")
    first, second = done.cause.splitlines()
    assert first.startswith(f"{GPT2}: PictureRefused: ")
    assert second.startswith(f"{GEMINI}: ProviderMisconfigured: ")
    assert second.endswith("(2×)") == (task == "generateBatch")
    manifest = app.manifest(done.name)
    assert manifest["images"]["succeeded"] == 0
    assert {failure["error"] for failure in manifest["failures"]} == {"PictureRefused", "ProviderMisconfigured"}


def test_a_function_that_runs_out_of_time_loses_its_own_cell_alone(app: Application) -> None:
    app.image_api.add_fault("hang", model=GPT)
    with app.configured("generateThumbnail", timeout=2):
        result = app.succeed("generateBatch", {"prompts": ["A title"], "models": [GPT, DALLE]})
    (failure,) = result["failures"]
    assert (failure["model"], failure["error"]) == (GPT, "Sandbox.Timedout")
    assert failure["message"] == "the image took longer than the function may run"
    assert result["results"][0][1]
    # Nobody knows whether it was billed: it is not tried again.
    assert app.image_api.calls()["by_model"][GPT]["requests"] == 1
