"""The functions in containers, as SAM runs them: a batch over HTTP from request to picture, and every event file."""

import io
import json
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest
from PIL import Image

from tests.integration.application import GPT, RUN_SECONDS, Application, execution_arn, opened, wait_for
from tests.sam_local.conftest import SamLocal
from thumbs.stack.processes import PROJECT

EVENTS = PROJECT / "events"
TITLE = "Why fan-out beats sequential"
BATCH = {"prompts": [TITLE, "Three retries with backoff"], "models": ["gemini-3-pro-image-preview", GPT]}


def call(method: str, url: str, body: object = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """Status and JSON of an HTTP call."""
    data = None if body is None else json.dumps(body).encode()
    named = {"Content-Type": "application/json", **(headers or {})}
    request = Request(url, data, named, method=method)  # noqa: S310 - our own URL
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read())


def assert_thumbnail(url: str) -> None:
    with Image.open(io.BytesIO(opened(url))) as picture:
        assert (picture.format, picture.size) == ("JPEG", (1200, 630))


def run_of(app: Application, task: str, name: str) -> str:
    """The status of a run at its end."""
    return app.wait(execution_arn(name, task)).status


def test_a_batch_is_posted_followed_and_opened_over_http(api: str) -> None:
    status, accepted = call("POST", f"{api}/batches", BATCH)
    assert (status, accepted["kind"]) == (202, "generateBatch")
    assert accepted["status_url"] == f"{api}/runs/{accepted['run_id']}"

    def ended() -> Any:
        found, run = call("GET", accepted["status_url"])
        assert found == 200, run
        return None if run["status"] == "RUNNING" else run

    run = wait_for(f"the end of {accepted['run_id']}", ended, RUN_SECONDS)
    assert (run["status"], run["error"], run["counts"]["succeeded"]) == ("SUCCEEDED", None, 4)
    assert [(cell["row"], cell["column"], cell["state"]) for cell in run["cells"]] == [
        (row, column, "succeeded") for row in range(2) for column in range(2)
    ]
    for cell in run["cells"]:
        assert_thumbnail(cell["image_url"])


def test_the_page_and_its_files_are_served(api: str) -> None:
    with build_opener(ProxyHandler({})).open(f"{api}/") as answer:
        page = answer.read().decode()
    assert '<base href="/">' in page
    script = page.partition('module" src="')[2].partition('"')[0]
    with build_opener(ProxyHandler({})).open(f"{api}/{script}") as answer:
        assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    status, drawn = call("POST", f"{api}/preview", {"title": TITLE})
    assert (status, drawn["warnings"]) == (200, [])


def test_a_batch_that_breaks_the_contract_is_refused_over_http(api: str) -> None:
    status, refusal = call("POST", f"{api}/batches", {**BATCH, "font": "comic-sans"})
    assert (status, refusal["code"]) == (422, "invalid_request")
    assert "comic-sans" in refusal["message"]


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example:3000"}, {"Origin": "https://evil.example"}, {"Origin": "null"}],
    ids=["DNS rebinding", "foreign origin", "null origin"],
)
def test_pages_of_other_sites_are_refused_over_http(api: str, headers: dict[str, str]) -> None:
    status, refusal = call("POST", f"{api}/batches", BATCH, headers)
    assert status == 403
    assert refusal["code"] == ("foreign_host" if "Host" in headers else "foreign_origin")


@pytest.mark.nightly
def test_a_batch_is_checked_and_collected(sam_local: SamLocal, app: Application) -> None:
    event = json.loads((EVENTS / "validateBatch.json").read_text())
    checked = sam_local.invoke("ValidateBatchFunction", EVENTS / "validateBatch.json")
    assert checked["run_id"] == event["execution"]
    (row,) = checked["rows"]
    models = [cell["model"] for cell in row["cells"]]
    assert ([row["title"]], models) == (event["request"]["prompts"], event["request"]["models"])
    assert checked["style"] == event["request"]["style"]
    assert f"runs/{event['execution']}/request.json" in app.keys(f"runs/{event['execution']}/")

    result = sam_local.invoke("CollectBatchFunction", EVENTS / "collectBatch.json")
    assert result["images"] == {"total": 2, "succeeded": 1, "failed": 1, "paid_calls": 1}
    assert [failure["error"] for failure in result["failures"]] == ["PictureRefused"]
    assert app.manifest(event["execution"]) == result


def test_a_campaign_without_batches_waits_for_none(sam_local: SamLocal) -> None:
    looked = sam_local.invoke("BatchCampaignFunction", EVENTS / "batchCampaign.json")
    assert looked == {"open": 0, "wait_seconds": 0}


@pytest.mark.nightly
def test_a_thumbnail_is_made(sam_local: SamLocal) -> None:
    image = sam_local.invoke("GenerateThumbnailFunction", EVENTS / "generateThumbnail.json")
    assert image.get("paid_calls") == 1, image
    assert_thumbnail(image["image_url"])


@pytest.mark.nightly
def test_an_event_starts_a_run(sam_local: SamLocal, app: Application) -> None:
    started = sam_local.invoke("StartBatchFunction", EVENTS / "startBatch.json")
    assert started["started"] is True, started
    assert run_of(app, "generateBatch", started["run_id"]) == "SUCCEEDED"


@pytest.mark.nightly
def test_the_api_answers_a_proxy_event(sam_local: SamLocal, app: Application) -> None:
    health = sam_local.invoke("ApiFunction", EVENTS / "api-health.json")
    assert (health["statusCode"], json.loads(health["body"])) == (200, {"status": "ok"})

    accepted = sam_local.invoke("ApiFunction", EVENTS / "api-batches.json")
    assert accepted["statusCode"] == 202, accepted
    assert run_of(app, "generateBatch", json.loads(accepted["body"])["run_id"]) == "SUCCEEDED"


@pytest.mark.nightly
def test_a_refusal_is_the_functions_own_error(sam_local: SamLocal, tmp_path: Path) -> None:
    event = tmp_path / "unknown-model.json"
    event.write_text(json.dumps({"title": TITLE, "model": "crayon-1"}))
    # `sam local invoke` exits with 0 all the same.
    refused = sam_local.invoke("GenerateThumbnailFunction", event)
    assert refused["errorType"] == "InvalidBatch"
    assert "crayon-1" in refused["errorMessage"]
