"""The deployed API over HTTP, as a program on this machine uses it."""

import json
import urllib.request
from typing import Any
from urllib.error import HTTPError

from tests.integration.application import RUN_SECONDS, wait_for


class HttpApi:
    """Its routes, called one by one."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.headers: dict[str, str] = {}
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of an answer; ``body`` is sent as JSON, bytes as they are."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        named = {"Content-Type": "application/json", **{name.replace("_", "-"): it for name, it in headers.items()}}
        url = path if path.startswith("http") else self.url + path
        request = urllib.request.Request(url, data, named, method=method)  # noqa: S310 - the stack's own
        try:
            with self._opener.open(request, timeout=RUN_SECONDS) as answer:
                status, raw, self.headers = answer.status, answer.read(), dict(answer.headers)
        except HTTPError as error:
            with error:
                status, raw, self.headers = error.code, error.read(), dict(error.headers)
        return status, json.loads(raw) if raw else None

    def ended(self, run_id: str) -> Any:
        """A run at its end."""

        def look() -> Any:
            status, run = self("GET", f"/runs/{run_id}")
            assert status == 200, run
            return None if run["status"] == "RUNNING" else run

        return wait_for(f"the end of {run_id}", look, RUN_SECONDS)

    def run(self, body: object, path: str = "/batches") -> Any:
        """Start a run and follow it to its end."""
        status, accepted = self("POST", path, body)
        assert status == 202, accepted
        return self.ended(accepted["run_id"])
