"""The API's routes without AWS behind them: errors, bodies, links, CORS, the document; what a cold start imports."""

import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api import run_routes
from entry.settings import settings
from tests.unit.api_gateway import ApiGateway, served
from tests.unit.memory_executions import MemoryExecutions
from tests.unit.memory_store import MemoryStore
from tests.unit.opened import open_run
from thumbnails.blog.text import Page
from thumbnails.errors import Problem
from thumbnails.runs.budget import Budget

PROJECT = Path(__file__).parents[2]
GPT = "gpt-image-1"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, executions: MemoryExecutions, store: MemoryStore) -> Iterator[ApiGateway]:
    gateway = ApiGateway(store, executions)
    with served(monkeypatch, [gateway]):
        yield gateway


BATCH = json.dumps({"prompts": ["A title"], "models": [GPT]})


def test_a_request_is_accepted_in_base64_too(api: ApiGateway) -> None:
    status, accepted = api("POST", "/batches", base64.b64encode(BATCH.encode()).decode(), isBase64Encoded=True)
    assert status == 202
    assert accepted["status_url"] == f"https://api.example/v1/runs/{accepted['run_id']}"
    assert 0.063 < accepted["estimated_cost_usd"] < 0.064


@pytest.mark.parametrize(
    ("body", "encoded"),
    [
        ("", False),
        (None, False),
        ("{", False),
        ("[" * 50000, False),
        ("1" * 5000, False),
        ("no base64 ä", True),
        (base64.b64encode(b"\xff\xfe").decode(), True),
    ],
)
def test_a_body_that_is_not_json_is_refused(api: ApiGateway, body: str | None, encoded: bool) -> None:
    status, answer = api("POST", "/batches", body, isBase64Encoded=encoded)
    assert (status, answer["code"], answer["problems"]) == (400, "malformed_json", [])


@pytest.mark.parametrize("body", [f'"{"x" * 65536}"', base64.b64encode(b"x" * 65537).decode()])
def test_a_body_that_is_too_large_is_refused(api: ApiGateway, body: str) -> None:
    status, answer = api("POST", "/batches", body, isBase64Encoded=not body.startswith('"'))
    assert (status, answer["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; a=b", ""])
def test_what_a_form_can_send_is_refused(api: ApiGateway, kind: str) -> None:
    assert api("POST", "/batches", BATCH, headers={"content-type": kind})[0] == 415
    assert list(api.executions.newest_first("generateBatch")) == []


OTHER_SITE = "https://blog.example"


@pytest.fixture
def settings_of_test() -> Iterator[None]:
    """Settings are read from the environment as the test has it, and forgotten after it."""
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.parametrize(
    ("cors_origin", "method", "path", "headers", "status"),
    [
        ("*", "POST", "/batches", {"origin": OTHER_SITE}, 202),
        (OTHER_SITE, "POST", "/batches", {"origin": OTHER_SITE}, 202),
        (OTHER_SITE, "POST", "/batches", {"origin": "https://api.example", "sec-fetch-site": "same-origin"}, 202),
        (OTHER_SITE, "POST", "/batches", {}, 202),
        (OTHER_SITE, "POST", "/batches", {"origin": "https://evil.example"}, 403),
        (OTHER_SITE, "POST", "/batches", {"origin": "https://api.example.evil.example"}, 403),
        (OTHER_SITE, "POST", "/batches", {"origin": "https://api.example@evil.example"}, 403),
        (OTHER_SITE, "POST", "/batches", {"origin": "https://api.example:444"}, 403),
        (OTHER_SITE, "POST", "/batches", {"origin": "https://[api.example"}, 403),
        (OTHER_SITE, "POST", "/batches", {"origin": "null"}, 403),
        (OTHER_SITE, "POST", "/batches", {"sec-fetch-site": "cross-site"}, 403),
        (OTHER_SITE, "POST", "/batches", {"sec-fetch-site": "Same-Site"}, 403),
        (OTHER_SITE, "GET", "/options", {"sec-fetch-site": "cross-site"}, 200),
        (OTHER_SITE, "GET", "/options", {"origin": "https://evil.example"}, 403),
    ],
)
@pytest.mark.usefixtures("settings_of_test")
def test_pages_of_other_sites_are_refused_where_cors_names_an_origin(
    api: ApiGateway,
    monkeypatch: pytest.MonkeyPatch,
    cors_origin: str,
    method: str,
    path: str,
    headers: dict[str, str],
    status: int,
) -> None:
    monkeypatch.setenv("CORS_ORIGIN", cors_origin)
    found, answer = api(method, path, BATCH if method == "POST" else None, headers=headers)
    assert (found, answer.get("code")) == (status, "foreign_origin" if status == 403 else None)
    assert len(list(api.executions.newest_first("generateBatch"))) == (status == 202)


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        *((host, None, 202) for host in ("127.0.0.1:3000", "localhost:3000", "LOCALHOST:3000", "[::1]:3000")),
        *((host, None, 403) for host in ("evil.example:3000", "localhost.evil.example", "[::2]:3000", "")),
        ("127.0.0.1:3000", "http://127.0.0.1:3000", 202),
        ("127.0.0.1:3000", "http://localhost:3000", 403),
        ("127.0.0.1:3000", "https://evil.example", 403),
    ],
)
@pytest.mark.usefixtures("settings_of_test")
def test_sam_local_answers_this_machine_s_programs_and_its_own_pages_alone(
    api: ApiGateway, monkeypatch: pytest.MonkeyPatch, host: str, origin: str | None, status: int
) -> None:
    monkeypatch.setenv("AWS_SAM_LOCAL", "true")
    headers = {"host": host} if origin is None else {"host": host, "origin": origin}
    assert api("POST", "/batches", BATCH, headers=headers)[0] == status


def test_every_problem_comes_at_once_with_its_field(api: ApiGateway) -> None:
    status, answer = api("POST", "/thumbnails", json.dumps({"title": "A", "models": ["none"], "font": "f"}))
    assert (status, answer["code"]) == (422, "invalid_request")
    assert [problem["field"] for problem in answer["problems"]] == ["title", "models[0]", "font"]
    assert (
        answer["message"]
        == answer["problems"][0]["message"]
        == "title: a title has 3 to 200 characters, this one has 1"
    )


def test_problems_of_the_query_come_with_their_field(api: ApiGateway) -> None:
    status, answer = api(
        "GET", "/runs", queryStringParameters={"limit": "x"}, multiValueQueryStringParameters={"limit": ["x"]}
    )
    assert (status, answer["code"], answer["problems"][0]["field"]) == (422, "invalid_request", "query.limit")
    query = {"cursor": "bm9uZQ"}
    status, answer = api("GET", "/runs", queryStringParameters=query)
    assert (status, answer["problems"][0]["field"]) == (422, "cursor")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/runs/none", 404, "not_found"),
        ("DELETE", "/images/runs/r/0-a/dall-e-3.jpg", 404, "not_found"),
        ("DELETE", "/images/runs/r/manifest.json", 404, "not_found"),
        ("PUT", "/runs", 405, "method_not_allowed"),
        ("DELETE", "/batches", 405, "method_not_allowed"),
    ],
)
def test_what_is_not_there_is_an_error_in_json(api: ApiGateway, method: str, path: str, status: int, code: str) -> None:
    found, answer = api(method, path)
    assert (found, answer["code"]) == (status, code)
    assert set(answer) == {"code", "message", "problems"}


def test_a_fault_is_an_error_in_json_without_a_trace(api: ApiGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(run_routes, "executions", broken)
    status, answer = api("GET", "/runs")
    assert (status, answer["code"]) == (500, "internal_error")
    assert "secret" not in api.answer["body"]


def test_a_run_is_started_listed_stopped_and_resumed(
    api: ApiGateway, executions: MemoryExecutions, store: MemoryStore
) -> None:
    run_id = api("POST", "/batches", BATCH)[1]["run_id"]
    open_run("generateBatch", run_id, json.loads(BATCH), store, 50)
    assert api("POST", f"/runs/{run_id}/redrive")[1]["code"] == "run_under_way"
    assert api("GET", "/runs")[1]["runs"][0]["run_id"] == run_id
    assert api("GET", f"/runs/{run_id}/archive")[1]["code"] == "no_images"
    assert api("DELETE", f"/runs/{run_id}") == (200, {"run_id": run_id, "status": "ABORTED"})
    assert api("DELETE", f"/runs/{run_id}")[1]["code"] == "run_has_ended"
    assert api("GET", f"/runs/{run_id}")[1]["cells"][0]["error"] == "Stopped"
    assert api("POST", f"/runs/{run_id}/redrive")[0] == 202
    assert api("POST", f"/runs/{run_id}/redrive")[1]["code"] == "run_under_way"
    assert [execution.run_id for execution in executions.all.values()] == [run_id, run_id]


def test_what_the_days_budget_does_not_hold_is_refused_until_the_day_ends(
    monkeypatch: pytest.MonkeyPatch, executions: MemoryExecutions, store: MemoryStore
) -> None:
    gateway = ApiGateway(store, executions)
    with served(monkeypatch, [gateway], DAILY_BUDGET_USD="0.1"):
        assert gateway("POST", "/batches", BATCH)[0] == 202
        Budget(store, 0.1).reserve("run-1", 0.063)
        status, answer = gateway("POST", "/batches", BATCH)
        assert (status, answer["code"]) == (429, "daily_budget_exceeded")
        # An HTTP date: midnight, UTC.
        assert re.search(r" 00:00:00 GMT", str(gateway.answer["multiValueHeaders"]["Retry-After"]))
        told = gateway("GET", "/budget")[1]
    assert told["limit_usd"] == 0.1
    assert (told["paid_usd"], told["reserved_usd"], told["left_usd"]) == (0, 0.063, 0.037)
    assert told["starts_anew"].startswith(str(datetime.fromisoformat(told["day"]).date() + timedelta(days=1)))


def test_where_there_is_no_budget_there_is_nothing_to_tell(api: ApiGateway) -> None:
    assert set(api("GET", "/budget")[1].values()) == {None}


def test_a_refused_run_cannot_be_resumed(api: ApiGateway, executions: MemoryExecutions) -> None:
    executions.start("generateBatch", "refused", {"prompts": []})
    executions.end("refused", status="FAILED", error="InvalidBatch", cause="no titles")
    assert api("POST", "/runs/refused/redrive")[1]["code"] == "run_never_accepted"


def test_a_link_is_that_of_the_stack_on_this_machine(api: ApiGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLIC_ENDPOINT_URL", "http://localhost:4566")
    for host, base in [
        ("localhost:4566", "http://localhost:4566/_aws/execute-api/abc/v1"),
        (
            "abc.execute-api.localhost.localstack.cloud:4566",
            "http://abc.execute-api.localhost.localstack.cloud:4566/v1",
        ),
        ("127.0.0.1:3000", "http://127.0.0.1:3000/v1"),
    ]:
        accepted = api("POST", "/batches", BATCH, headers={"host": host})[1]
        assert accepted["status_url"] == f"{base}/runs/{accepted['run_id']}"


def test_a_page_elsewhere_may_use_the_api(api: ApiGateway) -> None:
    status, _ = api("OPTIONS", "/batches", headers={"Origin": "https://blog.example"})
    headers = {name: str(value) for name, value in api.answer["multiValueHeaders"].items()}
    assert status == 204
    assert "DELETE" in headers["Access-Control-Allow-Methods"]
    assert "Idempotency-Key" in headers["Access-Control-Allow-Headers"]


PAGE = {"models": ["gpt-image-1"], "blog_url": "https://blog.example/post"}


@pytest.mark.parametrize(
    ("mode", "body", "asked"),
    [("off", PAGE, False), ("pages", PAGE, True), ("pages", BATCH, False), ("on", PAGE, True), ("on", BATCH, True)],
)
def test_a_strangers_page_is_moderated_unless_that_is_off(
    api: ApiGateway, monkeypatch: pytest.MonkeyPatch, mode: str, body: Any, asked: bool
) -> None:
    judged: list[str | None] = []

    def judge(texts: Mapping[str, str], key: str | None, _base_url: str) -> list[Problem]:
        judged.append(key)
        return [Problem(place, "flagged") for place in texts]

    monkeypatch.setenv("MODERATION", mode)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-given")
    settings.cache_clear()
    monkeypatch.setattr(run_routes, "moderate", judge)
    monkeypatch.setattr(run_routes, "read_page", lambda _url: Page("A page's title", "Its text."))
    status, _ = api("POST", "/batches", body if isinstance(body, str) else json.dumps(body))
    assert (status, judged) == ((400, ["sk-given"]) if asked else (202, []))


def test_a_page_that_cannot_be_moderated_is_a_problem_of_its_url(
    api: ApiGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODERATION", "pages")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    settings.cache_clear()
    monkeypatch.setattr(run_routes, "read_page", lambda _url: Page("A page's title", "Its text."))
    status, answer = api("POST", "/batches", json.dumps(PAGE))
    assert (status, [problem["field"] for problem in answer["problems"]]) == (422, ["blog_url"])
    assert "OPENAI_API_KEY" in answer["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/images", 200),
        ("GET", "/health", 200),
        ("GET", "/runs/none", 404),
        ("GET", "/nothing", 404),
        ("OPTIONS", "/runs", 204),
    ],
)
def test_no_answer_may_be_kept_or_taken_for_another_type(api: ApiGateway, method: str, path: str, status: int) -> None:
    assert api(method, path)[0] == status
    headers = api.answer["multiValueHeaders"]
    assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == (["no-store"], ["nosniff"])


def test_a_run_that_is_asked_for_again_by_its_tag_is_not_kept_either(api: ApiGateway) -> None:
    run_id = api("POST", "/batches", BATCH)[1]["run_id"]
    api("GET", f"/runs/{run_id}")
    headers = api.answer["multiValueHeaders"]
    assert headers["Cache-Control"] == ["no-store"]
    assert api("GET", f"/runs/{run_id}", headers={"if-none-match": headers["ETag"][0]})[0] == 304
    assert api.answer["multiValueHeaders"]["Cache-Control"] == ["no-store"]


def test_the_document_is_current(api: ApiGateway) -> None:
    checked_in = json.loads((PROJECT / "docs/openapi.json").read_text())
    assert api("GET", "/openapi.json")[1] == checked_in, "write it anew: make openapi"


def test_a_cold_start_imports_neither_pillow_nor_an_sdk() -> None:
    heavy = {"PIL", "openai", "google.genai", "httpx2"}
    code = f"import sys, api.app; print({heavy} & set(sys.modules))"
    environment = {"PYTHONPATH": str(PROJECT / "functions"), "POWERTOOLS_TRACE_DISABLED": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
