"""A bad request ends as FAILED with InvalidBatch, says why, and costs nothing."""

from typing import Any

import pytest

from tests.integration.application import GEMINI, GPT, Application, FinishedRun
from thumbnails import catalog

EMPTY_PROMPTS = "prompts must contain at least one title"
EMPTY_MODELS = "models must contain at least one model"
TOO_MANY = "batch is capped at 50 generated images"
MODELS = ", ".join(catalog.MODELS)
TEMPLATES = ", ".join(catalog.TEMPLATES)


def batch(**changes: Any) -> dict[str, Any]:
    return {"prompts": ["A title"], "models": [GPT], **changes}


REFUSED: dict[str, tuple[str, object, str]] = {
    "no prompts": ("generateBatch", batch(prompts=[]), EMPTY_PROMPTS),
    "no prompts and no models": ("generateBatch", [[], []], EMPTY_PROMPTS),
    "no models": ("generateBatch", batch(models=[]), EMPTY_MODELS),
    "fifty-one": ("generateBatch", batch(prompts=["A title"] * 51), TOO_MANY),
    "fifty-two by two models": ("generateBatch", [["A title"] * 26, [GPT, GEMINI]], TOO_MANY),
    "short title": (
        "generateBatch",
        batch(prompts=["A title", " ab "]),
        "prompts[1]: a title has 3 to 200 characters, this one has 2",
    ),
    "long title": (
        "generateBatch",
        batch(prompts=["x" * 201]),
        "prompts[0]: a title has 3 to 200 characters, this one has 201",
    ),
    "long wishes": (
        "generateBatch",
        batch(extra_prompt="x" * 501),
        "extra_prompt has at most 500 characters, this one has 501",
    ),
    "long context": (
        "generateBatch",
        batch(context="x" * 2501),
        "context has at most 2500 characters, this one has 2501",
    ),
    "unknown model": ("generateBatch", batch(models=["gpt-5"]), f"unknown model 'gpt-5'; choose from: {MODELS}"),
    "unknown template": ("generateBatch", batch(template="top"), f"unknown template 'top'; choose from: {TEMPLATES}"),
    "wrong type": ("generateBatch", batch(prompts="A title"), "prompts must be a list of strings"),
    "no request": (
        "generateBatch",
        "A title",
        "a request is an object with prompts and models, or an array that starts with the two",
    ),
    "unknown run": (
        "generateBatch",
        {"resume": "no-such-run"},
        "there is no s3://fan-out-thumbnails-000000000000-us-east-1/runs/no-such-run/request.json",
    ),
    "one title without one": ("generateThumbnails", {"models": [GPT]}, EMPTY_PROMPTS),
    "one title without models": ("generateThumbnails", ["A title", []], EMPTY_MODELS),
}


@pytest.fixture(scope="module")
def refused(deployed: Application) -> dict[str, FinishedRun]:
    """All of them at once."""
    deployed.image_api.reset()
    started = {name: deployed.start(task, request) for name, (task, request, _) in REFUSED.items()}
    return {name: deployed.wait(arn) for name, arn in started.items()}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_request_fails_and_says_why(refused: dict[str, FinishedRun], name: str) -> None:
    done = refused[name]
    assert (done.status, done.error, done.cause) == ("FAILED", "InvalidBatch", REFUSED[name][2])


def test_bad_requests_ask_no_model_and_leave_nothing(deployed: Application, refused: dict[str, FinishedRun]) -> None:
    assert deployed.image_api.calls()["requests"] == 0
    for done in refused.values():
        assert deployed.keys(f"runs/{done.name}/") == []
