"""The API's handler, called as API Gateway calls it, over a bucket and executions in memory."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from api import app, brand_routes, image_routes, page_routes, run_routes, winner_routes
from api.app import handler
from entry.settings import Settings, settings
from tests.unit.memory_executions import MemoryExecutions
from tests.unit.memory_store import MemoryStore
from thumbnails.runs.budget import Budget

SETTINGS = {
    "BUCKET": "memory",
    "URL_SECONDS": "60",
    "BATCH_CAP": "50",
    "OPENAI_BASE_URL": "http://offline.invalid/v1",
    "GOOGLE_GEMINI_BASE_URL": "http://offline.invalid",
    "GENERATE_BATCH_ARN": "arn:batch",
    "GENERATE_THUMBNAILS_ARN": "arn:thumbnails",
    "GENERATE_CAMPAIGN_ARN": "arn:campaign",
}
CONTEXT = SimpleNamespace(function_name="api", memory_limit_in_mb=1, invoked_function_arn="a:b", aws_request_id="1")


class ApiGateway:
    """Sends requests to the handler; ``answer`` is the last one as the handler gave it."""

    def __init__(self, store: MemoryStore, executions: MemoryExecutions) -> None:
        self.store = store
        self.executions = executions
        self.answer: dict[str, Any] = {}

    def __call__(self, method: str, path: str, body: str | bytes | None = None, **event: Any) -> tuple[int, Any]:
        self.answer = handler(
            {
                "httpMethod": method,
                "path": path,
                "headers": {"host": "api.example", "content-type": "application/json", **event.pop("headers", {})},
                "queryStringParameters": None,
                "multiValueQueryStringParameters": {},
                "multiValueHeaders": {},
                "requestContext": {"path": f"/v1{path}", "apiId": "abc", "stage": "v1"},
                "body": base64.b64encode(body).decode() if isinstance(body, bytes) else body,
                "isBase64Encoded": isinstance(body, bytes),
                **event,
            },
            CONTEXT,
        )
        # What Lambda itself would refuse to pass on.
        assert len(json.dumps(self.answer)) < 1_000_000
        body = self.answer["body"]
        is_json = "json" in "".join(self.answer["multiValueHeaders"].get("Content-Type", ["json"]))
        return self.answer["statusCode"], json.loads(body) if body and is_json else body or None


@contextmanager
def served(patch: pytest.MonkeyPatch, now: list[ApiGateway], **variables: str) -> Iterator[None]:
    """The API's routes over the clients of ``now[0]``, and the settings of a deployment."""
    for name, value in {**SETTINGS, **variables}.items():
        patch.setenv(name, value)
    settings.cache_clear()
    for module in (run_routes, image_routes, page_routes, winner_routes, brand_routes):
        patch.setattr(module, "store", lambda: now[0].store)
    patch.setattr(run_routes, "executions", lambda: now[0].executions)
    for asked in (app, run_routes):
        patch.setattr(asked, "budget", lambda: Budget(now[0].store, settings(Settings).daily_budget_usd))
    yield
    settings.cache_clear()
