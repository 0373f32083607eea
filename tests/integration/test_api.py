"""Every route over HTTP, against the deployed stack."""

import io
import json
import os
import subprocess
import sys
import zipfile
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image

from tests.integration.application import DALLE, GPT, GPT2, RUN_SECONDS, Application, opened, wait_for
from tests.integration.http_api import HttpApi

TITLES = ["First title", "Second title"]
BATCH = {"prompts": TITLES, "models": [GPT, DALLE]}
#: Generated requests for each route; `make fuzz` tries more of them.
EXAMPLES = str(2 * int(os.environ.get("FUZZ", "1")))
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_health_options_and_the_document_are_there(api: HttpApi) -> None:
    assert api("GET", "/health") == (200, {"status": "ok"})
    status, options = api("GET", "/options")
    assert status == 200
    assert {model["id"]: (model["price_usd"], model["state"]) for model in options["models"]}[DALLE] == (
        0.08,
        "retired",
    )
    assert options["limits"]["images_per_run"] == 50
    checked_in = json.loads((Path(__file__).parents[2] / "docs/openapi.json").read_text())
    assert api("GET", "/openapi.json") == (200, checked_in)


def test_a_batch_of_25_titles_by_2_models_is_followed_to_its_end(api: HttpApi) -> None:
    titles = [f"Title number {row}" for row in range(25)]
    status, accepted = api("POST", "/batches", {"prompts": titles, "models": [GPT, GPT2]})
    assert status == 202
    assert accepted["kind"] == "generateBatch"
    # 1568 and 1017 tokens of picture at $40 and $30 a million, and those of the prompt.
    assert 25 * (0.0627 + 0.0305) < accepted["estimated_cost_usd"] < 25 * (0.064 + 0.032)
    # The link that the answer gives is the one to follow.
    status, run = api("GET", accepted["status_url"])
    assert (status, run["run_id"], run["counts"]["total"]) == (200, accepted["run_id"], 50)
    run = api.ended(accepted["run_id"])
    assert run["status"] == "SUCCEEDED"
    assert (run["counts"]["succeeded"], run["counts"]["failed"]) == (50, 0)
    assert [(cell["row"], cell["column"]) for cell in run["cells"]] == [
        (row, col) for row in range(25) for col in (0, 1)
    ]
    with Image.open(io.BytesIO(opened(run["cells"][-1]["image_url"]))) as picture:
        assert (picture.size, picture.format) == ((1200, 630), "JPEG")


def test_cells_fill_in_while_a_run_goes_on(app: Application, api: HttpApi) -> None:
    app.image_api.add_fault("hang")
    status, accepted = api("POST", "/thumbnails", {"title": "A slow title", "models": [GPT, DALLE]})
    assert status == 202

    def running() -> Any:
        run = api("GET", f"/runs/{accepted['run_id']}")[1]
        return run if run["counts"]["running"] else None

    run = wait_for("a running cell", running, RUN_SECONDS)
    assert (run["status"], run["kind"], run["titles"]) == ("RUNNING", "generateThumbnails", ["A slow title"])
    app.image_api.clear_faults()
    assert api.ended(accepted["run_id"])["counts"]["succeeded"] == 2


def test_failed_cells_say_why_and_are_run_again_alone(app: Application, api: HttpApi) -> None:
    fault = app.image_api.add_fault("refusal", prompt_contains=TITLES[1], model=GPT)
    run = api.run(BATCH)
    assert run["counts"] == {"total": 4, "pending": 0, "running": 0, "succeeded": 3, "failed": 1, "deleted": 0}
    failed = run["cells"][2]
    assert (failed["state"], failed["error"], failed["image_url"]) == ("failed", "PictureRefused", None)
    assert "refuses this picture" in failed["message"]

    app.image_api.remove_fault(fault)
    app.image_api.clear_calls()
    status, again = api("POST", f"/runs/{run['run_id']}/redrive")
    assert (status, again["run_id"]) == (202, run["run_id"])
    assert api.ended(run["run_id"])["counts"]["succeeded"] == 4
    assert app.image_api.calls()["paid"] == 1
    status, answer = api("POST", f"/runs/{run['run_id']}/redrive")
    assert (status, answer["code"]) == (409, "nothing_to_redrive")


def test_a_run_is_stopped_and_resumed(app: Application, api: HttpApi) -> None:
    app.image_api.add_fault("hang")
    run_id = api("POST", "/batches", BATCH)[1]["run_id"]
    wait_for("a running cell", lambda: api("GET", f"/runs/{run_id}")[1]["counts"]["running"] or None, RUN_SECONDS)
    assert api("POST", f"/runs/{run_id}/redrive")[1]["code"] == "run_under_way"
    assert api("DELETE", f"/runs/{run_id}") == (200, {"run_id": run_id, "status": "ABORTED"})
    app.image_api.clear_faults()
    run = api.ended(run_id)
    # LocalStack lets some runs that are stopped within a Map end as FAILED.
    assert run["status"] in ("ABORTED", "FAILED")
    assert {cell["state"] for cell in run["cells"]} <= {"failed", "succeeded"}
    assert api("DELETE", f"/runs/{run_id}")[1]["code"] == "run_has_ended"

    status, answer = api("POST", f"/runs/{run_id}/redrive")
    # What was under way when the run was stopped may land all the same.
    assert status == 202 or answer["code"] == "nothing_to_redrive"
    assert api.ended(run_id)["counts"]["succeeded"] == 4


@pytest.mark.smoke
def test_the_same_request_with_the_same_key_starts_once(app: Application, api: HttpApi) -> None:
    body = {"title": "Only once", "models": [GPT]}
    first = api("POST", "/thumbnails", body, Idempotency_Key="a key")
    assert first == api("POST", "/thumbnails", body, Idempotency_Key="a key")
    run = api.ended(first[1]["run_id"])
    assert run["counts"]["succeeded"] == 1
    assert first == api("POST", "/thumbnails", body, Idempotency_Key="a key")
    assert app.image_api.calls()["paid"] == 1
    status, answer = api("POST", "/thumbnails", {**body, "font": "lora"}, Idempotency_Key="a key")
    assert (status, answer["code"]) == (409, "idempotency_key_reused")


def test_a_refused_request_names_every_problem_and_starts_nothing(app: Application, api: HttpApi) -> None:
    before = api("GET", "/runs")[1]["runs"][:1]
    status, answer = api("POST", "/batches", {"prompts": ["A", 5], "models": ["none"], "font": "f", "x": 1})
    assert (status, answer["code"]) == (422, "invalid_request")
    assert [problem["field"] for problem in answer["problems"]] == ["prompts[1]", "x", "models[0]", "font"]
    assert api("POST", "/batches", b"{")[1]["code"] == "malformed_json"
    assert api("POST", "/batches", b'"' + b"x" * 70000 + b'"')[0] == 413
    assert api("GET", "/runs")[1]["runs"][:1] == before
    assert app.image_api.calls()["requests"] == 0


def test_a_dry_run_says_what_it_would_cost_and_starts_nothing(app: Application, api: HttpApi) -> None:
    before = api("GET", "/runs")[1]["runs"][:1]
    status, plan = api("POST", "/batches?dry_run=true", BATCH)
    assert (status, plan["images"]) == (200, 4)
    assert 0.286 < plan["estimated_cost_usd"] < 0.29
    assert (plan["titles"], plan["style"]) == (TITLES, "photorealistic")
    assert api("GET", "/runs")[1]["runs"][:1] == before
    assert app.image_api.calls()["requests"] == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0"])
def test_an_inward_page_is_never_fetched(api: HttpApi, host: str) -> None:
    status, plan = api("POST", "/batches?dry_run=true", {**BATCH, "blog_url": f"http://{host}/secret"})
    assert status == 200
    assert plan["warnings"] == ["blog_url: the page could not be read: its address is not a public one"]
    for url in (f"http://{host}/secret", f"http://{host}:4566/secret"):
        status, answer = api("POST", "/batches?dry_run=true", {"models": [GPT], "blog_url": url})
        assert (status, answer["problems"][0]["field"]) == (422, "blog_url")


def test_a_page_that_cannot_be_read_does_not_fail_the_run(api: HttpApi) -> None:
    status, accepted = api("POST", "/batches", {**BATCH, "blog_url": "http://169.254.169.254/latest/meta-data"})
    assert (status, len(accepted["warnings"])) == (202, 1)
    assert api.ended(accepted["run_id"])["status"] == "SUCCEEDED"


def test_runs_are_listed_newest_first_in_pages(api: HttpApi) -> None:
    made = [api.run({"title": f"Listed {number}", "models": [GPT]}, "/thumbnails")["run_id"] for number in range(3)]
    found: list[str] = []
    cursor = ""
    while len(found) < 3:
        status, page = api("GET", f"/runs?limit=2{cursor}")
        assert status == 200
        found += [run["run_id"] for run in page["runs"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert found[:3] == made[::-1]
    assert api("GET", "/runs?cursor=none")[0] == 422


def test_images_are_listed_newest_first_deleted_and_packed(app: Application, api: HttpApi) -> None:
    run_id = api.run(BATCH)["run_id"]
    pages = [api("GET", f"/images?run_id={run_id}&limit=3")[1]]
    pages.append(api("GET", f"/images?run_id={run_id}&limit=3&cursor={pages[0]['next_cursor']}")[1])
    images = [image for page in pages for image in page["images"]]
    assert sorted(image["key"] for image in images) == app.keys(f"runs/{run_id}/0-") + app.keys(f"runs/{run_id}/1-")
    assert pages[1]["next_cursor"] is None
    assert [image["created_at"] for image in images] == sorted((image["created_at"] for image in images), reverse=True)
    assert opened(images[0]["image_url"]).startswith(b"\xff\xd8")
    gallery = api("GET", "/images?limit=100")[1]["images"]
    by_run = [
        (run, [image["created_at"] for image in images]) for run, images in groupby(gallery, key=itemgetter("run_id"))
    ]
    assert by_run[0][0] == run_id
    assert len({run for run, _ in by_run}) == len(by_run)
    assert all(created == sorted(created, reverse=True) for _, created in by_run)
    assert {image["key"] for image in images} <= {image["key"] for image in gallery}

    status, packed = api("GET", f"/runs/{run_id}/archive")
    assert status == 200
    with zipfile.ZipFile(io.BytesIO(opened(packed["archive_url"]))) as file:
        assert sorted(f"runs/{run_id}/{name}" for name in file.namelist()) == sorted(image["key"] for image in images)

    key = images[0]["key"]
    assert api("DELETE", f"/images/{quote(key)}") == (204, None)
    assert api("DELETE", f"/images/{quote(key)}")[0] == 404
    assert key not in app.keys(f"runs/{run_id}/")
    run = api("GET", f"/runs/{run_id}")[1]
    assert (run["counts"]["succeeded"], run["counts"]["deleted"]) == (3, 1)


def test_nothing_but_a_finished_image_is_deleted(app: Application, api: HttpApi) -> None:
    run_id = api.run({"title": "A title", "models": [GPT]}, "/thumbnails")["run_id"]
    before = app.keys()
    others = [key for key in before if not (key.startswith("runs/") and key.endswith(".jpg"))]
    for key in [*others[:3], f"runs/{run_id}/manifest.json", f"runs/{run_id}/../{run_id}/request.json"]:
        assert api("DELETE", f"/images/{quote(key)}")[0] == 404
        assert api("DELETE", f"/images/{quote(key, safe='')}")[0] == 404
    assert app.keys() == before


def test_a_run_without_an_image_has_no_archive(app: Application, api: HttpApi) -> None:
    app.image_api.add_fault("key_rejected")
    run = api.run({"title": "A title", "models": [GPT]}, "/thumbnails")
    assert (run["status"], run["error"], run["cells"][0]["error"]) == (
        "FAILED",
        "AllImagesFailed",
        "ProviderMisconfigured",
    )
    assert api("GET", f"/runs/{run['run_id']}/archive")[1]["code"] == "no_images"


@pytest.mark.parametrize("path", ["/none", "/web", "/runs/none", "/runs/none/archive", "/runs/a%2Fb"])
def test_what_is_not_there_is_an_error_in_json(api: HttpApi, path: str) -> None:
    status, answer = api("GET", path)
    assert (status, answer["code"]) == (404, "not_found")


def test_pages_of_its_own_origin_may_ask(app: Application, api: HttpApi) -> None:
    own = app.stack.endpoint
    status, _ = api("OPTIONS", "/batches", Origin=own, Access_Control_Request_Method="POST")
    assert (status, api.headers["Access-Control-Allow-Origin"]) == (204, own)


def test_moderation_refuses_before_anything_is_paid(app: Application, api: HttpApi) -> None:
    app.image_api.set_flagged_marker("marker")
    body = {"prompts": ["A title", "A marker here"], "models": [GPT]}
    with app.configured("api", MODERATION="on", OPENAI_API_KEY="offline"):
        status, answer = api("POST", "/batches", body)
        assert (status, answer["code"]) == (400, "content_flagged")
        assert answer["problems"] == [
            {"field": "prompts[1]", "message": "prompts[1] is flagged by moderation: violence"}
        ]
        assert api("POST", "/batches?dry_run=true", body)[0] == 200
        assert app.image_api.calls()["requests"] == 0
        assert api.run(BATCH)["counts"]["succeeded"] == 4


@pytest.mark.nightly
def test_the_document_holds_for_generated_requests(api: HttpApi, tmp_path: Path) -> None:
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{api.url}/openapi.json", "--url", api.url),
        *("--checks", CHECKS, "--phases", "examples,fuzzing", "--max-examples", EXAMPLES),
        *("--seed", "1", "--no-color", "--generation-database", "none", "--request-timeout", "40"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-1000:]
