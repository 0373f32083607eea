"""A campaign, from a file in the bucket to its manifest."""

import csv
import io
import json
import uuid
from typing import Any

import pytest

from tests.integration.application import BUCKET, DALLE, GEMINI, GPT, Application, FinishedRun

TITLES = [f"Campaign title number {number}" for number in range(6)]


def run(app: Application, rows: object, *, name: str | None = None, **asked: Any) -> FinishedRun:
    """Put a file of rows into the bucket and run it: text is CSV, anything else JSON."""
    name = name or f"campaign-{uuid.uuid4().hex[:8]}"
    kind = "csv" if isinstance(rows, str) else "json"
    body = rows if isinstance(rows, str) else json.dumps(rows)
    app.s3.put_object(Bucket=BUCKET, Key=f"campaigns/{name}.{kind}", Body=body.encode())
    return app.run("generateCampaign", {"file": f"campaigns/{name}.{kind}", **asked}, name)


def as_csv(titles: list[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["title"])
    writer.writerows([title] for title in titles)
    return text.getvalue()


def manifest(app: Application, campaign: str) -> Any:
    return json.loads(app.read(f"campaigns/{campaign}/manifest.json"))


def records(app: Application, campaign: str) -> list[dict[str, Any]]:
    lines = app.read(f"campaigns/{campaign}/images.jsonl").decode().splitlines()
    return sorted(map(json.loads, lines), key=lambda record: (record["row"], record["column"]))


@pytest.mark.smoke
def test_every_title_is_drawn_by_every_model(app: Application) -> None:
    titles = [*TITLES[:5], TITLES[0]]
    done = run(app, "\ufeff" + as_csv(titles), models=[GPT, DALLE], max_images=12, max_concurrency=3)
    assert (done.status, done.error, done.cause) == ("SUCCEEDED", "", "")
    assert done.output["images"] == {"total": 12, "succeeded": 12, "failed": 0, "pending": 0, "paid_calls": 12}
    assert done.output["rows"] == {"total": 6, "succeeded": 6, "partly": 0, "failed": 0, "pending": 0}
    found = records(app, done.name)
    assert [(image["title"], image["model"]) for image in found] == [(t, m) for t in titles for m in (GPT, DALLE)]
    assert len({image["key"] for image in found}) == 12
    for image in found:
        assert app.read(image["key"]).startswith(b"\xff\xd8")
    stored = manifest(app, done.name)
    assert {name: stored[name] for name in done.output} == done.output
    assert (stored["max_images"], stored["failures"]) == (12, [])
    assert app.image_api.calls()["paid"] == 12


@pytest.mark.parametrize(
    ("rows", "asked", "cause"),
    [
        ("title\nA good title\nab\n", {"max_images": 9}, "1 of 2 rows are refused: row 3: 'title': a title has 3 to"),
        (as_csv(TITLES), {}, "a campaign needs max_images, the most images that it may make and pay for"),
        (as_csv(TITLES), {"max_images": 5}, "asks for 6 images; max_images allows 5"),
        (
            [{"title": "A title"}, {"title": "A title", "models": ["none"]}],
            {"max_images": 9},
            "row 2: 'models': unknown model",
        ),
    ],
)
def test_a_refused_campaign_costs_nothing(app: Application, rows: object, asked: dict[str, Any], cause: str) -> None:
    done = run(app, rows, models=[GPT], **asked)
    assert (done.status, done.error) == ("FAILED", "InvalidBatch")
    assert cause in done.cause
    assert app.image_api.calls()["requests"] == 0


def test_a_model_that_fails_leaves_its_mark_and_resuming_pays_for_its_images_alone(app: Application) -> None:
    app.image_api.add_fault("refusal", model=DALLE, prompt_contains=TITLES[1])
    first = run(app, as_csv(TITLES), models=[GPT, DALLE], max_images=12, tolerated_failure_percentage=0)
    assert first.status == "SUCCEEDED"
    assert first.output["images"] == {"total": 12, "succeeded": 11, "failed": 1, "pending": 0, "paid_calls": 11}
    assert first.output["rows"]["partly"] == 1
    (failure,) = manifest(app, first.name)["failures"]
    assert (failure["row"], failure["column"], failure["model"]) == (1, 1, DALLE)
    assert failure["error"] == "PictureRefused"

    app.image_api.reset()
    again = app.run("generateCampaign", {"resume": first.name})
    assert again.status == "SUCCEEDED"
    assert again.output["campaign_id"] == first.name
    assert again.output["images"] == {"total": 12, "succeeded": 12, "failed": 0, "pending": 0, "paid_calls": 1}
    assert [(call["model"], call["requests"]) for call in app.image_api.calls()["by_prompt"]] == [(DALLE, 1)]
    assert len(records(app, first.name)) == 12

    app.image_api.clear_calls()
    once_more = app.run("generateCampaign", {"resume": first.name})
    assert (once_more.status, once_more.output["images"]["paid_calls"]) == ("SUCCEEDED", 0)
    assert app.image_api.calls()["requests"] == 0


def test_rows_that_fail_within_the_tolerance_are_in_the_manifest(app: Application) -> None:
    app.image_api.add_fault("refusal", prompt_contains=TITLES[2])
    done = run(app, as_csv(TITLES), models=[GPT], max_images=6, tolerated_failure_percentage=20)
    assert (done.status, done.output["rows"]["failed"], done.output["images"]["succeeded"]) == ("SUCCEEDED", 1, 5)
    (failure,) = manifest(app, done.name)["failures"]
    assert (failure["title"], failure["error"]) == (TITLES[2], "PictureRefused")


def test_above_the_tolerance_a_campaign_fails_and_keeps_its_manifest(app: Application) -> None:
    for title in TITLES[:2]:
        app.image_api.add_fault("refusal", prompt_contains=title)
    done = run(app, as_csv(TITLES), models=[GPT], max_images=6, tolerated_failure_percentage=20)
    assert (done.status, done.error) == ("FAILED", "CampaignCutShort")
    assert done.cause.startswith("States.ExceedToleratedFailureThreshold: ")
    stored = manifest(app, done.name)
    assert {failure["title"] for failure in stored["failures"]} == set(TITLES[:2])
    assert stored["images"]["succeeded"] == stored["images"]["paid_calls"] == 4


def test_a_campaign_without_any_image_says_why(app: Application) -> None:
    app.image_api.add_fault("key_rejected")
    done = run(app, as_csv(TITLES[:2]), models=[GPT], max_images=2)
    assert (done.status, done.error) == ("FAILED", "AllImagesFailed")
    assert done.cause.startswith(f"{GPT}: ProviderMisconfigured: ")
    assert manifest(app, done.name)["images"]["failed"] == 2


def test_a_campaign_at_half_price_pays_the_whole_for_its_stragglers_alone(app: Application) -> None:
    app.image_api.set_batch_seconds(0.5)
    app.image_api.add_fault("batch_lost", times=1)
    app.image_api.add_fault("batch_expired", model=GPT, prompt_contains=TITLES[2], times=1)
    asked: dict[str, Any] = {"models": [GPT, GEMINI], "max_images": 6, "economy": True, "stragglers": "live"}
    done = run(app, as_csv(TITLES[:3]), **asked)
    assert (done.status, done.error, done.cause) == ("SUCCEEDED", "", "")
    assert done.output["images"] == {"total": 6, "succeeded": 6, "failed": 0, "pending": 0, "paid_calls": 6}
    calls = app.image_api.calls()
    # The straggler is asked for once in vain by its batch, which does not work on it.
    assert (calls["requests"], calls["paid"]) == (6, 6)
    cost = {(one["row"], one["model"]): one["usd"] for one in records(app, done.name)}
    assert cost[2, GPT] == pytest.approx(2 * cost[1, GPT], rel=0.02)
    assert cost[2, GEMINI] == cost[1, GEMINI]
    for image in records(app, done.name):
        assert app.read(image["key"]).startswith(b"\xff\xd8")


def test_a_campaign_at_half_price_names_models_that_batches_take(app: Application) -> None:
    done = run(app, as_csv(TITLES), models=[DALLE], max_images=9, economy=True)
    assert (done.status, done.error) == ("FAILED", "InvalidBatch")
    assert "no provider makes 'dall-e-3' in a batch" in done.cause
