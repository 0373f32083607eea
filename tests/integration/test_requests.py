"""A bad request ends as FAILED with InvalidBatch, says why, and costs nothing."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.application import BUCKET, GEMINI, GPT, Application, FinishedRun
from tests.integration.command import new_name, thumbs
from tests.integration.http_api import HttpApi
from tests.integration.test_events import ask, drop, run_named
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


#: A letter of a script that no font has, and what says so.
UNDRAWABLE = "A title in Toto \U0001e290"
NO_FONT = "no font has '\U0001e290' (U+1E290"


def test_letters_that_no_font_has_are_refused_by_every_way_in(app: Application, api: HttpApi, tmp_path: Path) -> None:
    wanted = batch(prompts=["A title", UNDRAWABLE])
    alone = {"title": UNDRAWABLE, "models": [GPT]}
    rows = f"title\nA title\n{UNDRAWABLE}\n"
    file = tmp_path / "titles.csv"
    file.write_text(rows)
    sheet = base64.b64encode(rows.encode()).decode()
    name = new_name()
    app.s3.put_object(Bucket=BUCKET, Key=f"campaigns/{name}.csv", Body=rows.encode())
    campaign = {"file": f"campaigns/{name}.csv", "models": [GPT], "max_images": 9}
    said = {
        "HTTP": json.dumps(api("POST", "/batches", wanted), ensure_ascii=False),
        "HTTP, one title": json.dumps(api("POST", "/thumbnails", alone), ensure_ascii=False),
        "a dry run": json.dumps(api("POST", "/batches?dry_run=true", wanted), ensure_ascii=False),
        "the page's files": json.dumps(
            api("POST", "/files", {"name": file.name, "content": sheet}), ensure_ascii=False
        ),
        "an execution": app.run("generateBatch", wanted).cause,
        "an execution, one title": app.run("generateThumbnails", alone).cause,
        "a campaign": app.run("generateCampaign", campaign, name).cause,
        "a dropped file": app.wait(run_named(app, drop(app, "toto.json", json.dumps(wanted).encode()))).cause,
        "the bus": app.wait(run_named(app, f"event-{ask(app, wanted)}")).cause,
        "the command": thumbs(app, "start", "generateBatch", "--input", json.dumps(wanted)).stderr,
        "the command's dry run": thumbs(
            app, "start", "generateBatch", "--dry-run", "--input", json.dumps(wanted)
        ).stderr,
        "the command's campaign": thumbs(app, "campaign", str(file), "--models", GPT, "--max-images", "9").stderr,
    }
    assert {way: told for way, told in said.items() if NO_FONT not in " ".join(told.split())} == {}
    assert app.image_api.calls()["requests"] == 0
