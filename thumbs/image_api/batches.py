"""The half-price batches of OpenAI and Gemini, with their files and their life cycle.

OpenAI (https://platform.openai.com/docs/api-reference/batch): ``POST /v1/files``, ``GET /v1/files/{id}/content``,
``POST /v1/batches``, ``GET /v1/batches``, ``GET /v1/batches/{id}``, ``POST /v1/batches/{id}/cancel``. A batch is
validating, in progress, finalizing, then completed, expired, cancelled or failed; its output file holds what was
answered with 200, its error file the others.

Gemini (https://ai.google.dev/gemini-api/docs/batch-api): ``POST /upload/v1beta/files`` (resumable),
``POST /v1beta/models/{model}:batchGenerateContent``, ``GET /v1beta/batches``, ``GET /v1beta/batches/{id}``,
``POST /v1beta/batches/{id}:cancel``, ``GET /v1beta/files/{id}:download``. A batch is pending, running, then succeeded,
expired, cancelled or failed; only one that succeeded has results.

The pictures are drawn while a batch runs; it ends when they are and ``batch_seconds`` are over, whichever is later.
Every request of a batch counts as a call, and one that gave a picture as a paid one.
"""

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.parser import BytesParser
from email.policy import HTTP
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, Literal

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from thumbs.image_api import gemini_dialect, openai_dialect
from thumbs.image_api.dialect import Dialect, Order, ProviderError
from thumbs.image_api.faults import Fault

if TYPE_CHECKING:
    from thumbs.image_api.server import ImageApi

#: What OpenAI takes in one file: requests, and bytes.
OPENAI_LIMITS = (50_000, 200_000_000)
#: A batch that nobody has ended goes on for no longer, in seconds.
WINDOW = 86_400
CHUNK_BYTES = 1 << 20

Ending = Literal["completed", "expired", "cancelled", "failed"]
_GEMINI_STATES = {
    "validating": "PENDING",
    "in_progress": "RUNNING",
    "finalizing": "RUNNING",
    "cancelling": "RUNNING",
    "completed": "SUCCEEDED",
    "expired": "EXPIRED",
    "cancelled": "CANCELLED",
    "failed": "FAILED",
}


@dataclass
class _Line:
    """One request of a batch: its id, what it asks for or why that is refused, and the fault that strikes it."""

    id: str
    order: Order | ProviderError
    fault: Fault | None


@dataclass
class _Batch:
    """A batch and its requests."""

    id: str
    name: str
    model: str
    input_file: str
    lines: list[_Line]
    problem: str
    seconds: float
    made: float = field(default_factory=time.time)
    began: float = field(default_factory=time.monotonic)
    drawn: bool = False
    cancelled: bool = False
    outputs: list[tuple[str, int, dict[str, Any]]] = field(default_factory=list)
    #: Once it has ended.
    ended: Ending | None = None
    output_file: str = ""
    error_file: str = ""
    task: "asyncio.Task[None] | None" = None

    @property
    def ending(self) -> Ending:
        """How it ends."""
        struck = {line.fault.fault for line in self.lines if line.fault}
        if self.problem or "batch_failed" in struck:
            return "failed"
        if self.cancelled or "batch_cancelled" in struck:
            return "cancelled"
        return "expired" if "batch_expired" in struck else "completed"

    @property
    def state(self) -> str:
        """OpenAI's word for where it stands."""
        if self.ended:
            return self.ended
        share = (time.monotonic() - self.began) / self.seconds if self.seconds else 1.0
        if self.cancelled:
            return "cancelling"
        return "validating" if share < 0.2 else "in_progress" if share < 0.9 or not self.drawn else "finalizing"


class BatchApi:
    """The batches and files of one offline image API.

    Args:
        api: whose faults, counts and artist they use.
        openai: its dialect.
        gemini: its dialect.
    """

    def __init__(self, api: "ImageApi", openai: Dialect, gemini: Dialect) -> None:
        self._api = api
        self._openai = openai
        self._gemini = gemini
        self._files: dict[str, IO[bytes]] = {}
        self._batches: dict[str, _Batch] = {}

    def routes(self) -> list[Route]:
        """The providers' endpoints."""
        post = ["POST"]
        return [
            Route("/v1/files", self._upload_to_openai, methods=post),
            Route("/v1/files/{file}/content", self._openai_content),
            Route("/v1/batches", self._openai_batches, methods=["GET", "POST"]),
            Route("/v1/batches/{batch}", self._openai_batch),
            Route("/v1/batches/{batch}/cancel", self._openai_batch, methods=post),
            Route("/upload/v1beta/files", self._begin_upload_to_gemini, methods=post),
            Route("/upload/v1beta/files/{file}", self._upload_to_gemini, methods=post),
            Route("/v1beta/models/{model}:batchGenerateContent", self._make_gemini_batch, methods=post),
            Route("/v1beta/batches", self._gemini_batches),
            Route("/v1beta/batches/{batch}:cancel", self._gemini_batch, methods=post),
            Route("/v1beta/batches/{batch}", self._gemini_batch),
            Route("/v1beta/files/{file}:download", self._gemini_content),
        ]

    def clear(self) -> None:
        """No batches and no files."""
        self.close()
        self._batches.clear()

    def close(self) -> None:
        """Draw no more for any batch, and keep no file."""
        for batch in self._batches.values():
            if batch.task:
                batch.task.cancel()
        for file in self._files.values():
            file.close()
        self._files.clear()

    # OpenAI

    async def _upload_to_openai(self, request: Request) -> Response:
        if refused := self._refused(self._openai, request):
            return refused
        header = f"content-type: {request.headers.get('content-type', '')}\r\n\r\n".encode()
        form = BytesParser(policy=HTTP).parsebytes(header + await request.body())
        parts = {part.get_param("name", header="content-disposition"): part for part in form.iter_parts()}
        content = parts["file"].get_payload(decode=True) if "file" in parts else None
        if not isinstance(content, bytes):
            return _error(openai_dialect.error(400, "'file' is a required property"))
        if len(content) > OPENAI_LIMITS[1]:
            return _error(openai_dialect.error(413, f"The file is larger than {OPENAI_LIMITS[1]} bytes."))
        name = self._store(content)
        return _json(
            {
                "id": name,
                "object": "file",
                "bytes": len(content),
                "created_at": int(time.time()),
                "filename": "batch.jsonl",
                "purpose": "batch",
                "status": "processed",
            }
        )

    async def _openai_content(self, request: Request) -> Response:
        return self._refused(self._openai, request) or self._content(request, openai_dialect.error(404, "No such File"))

    async def _openai_batches(self, request: Request) -> Response:
        if refused := self._refused(self._openai, request):
            return refused
        if request.method == "GET":
            found = [batch for batch in reversed(self._batches.values()) if batch.id.startswith("batch_")]
            after = request.query_params.get("after")
            if after:
                found = found[[batch.id for batch in found].index(after) + 1 :]
            limit = int(request.query_params.get("limit", "20"))
            shown = [_openai_json(batch) for batch in found[:limit]]
            ends = {"first_id": shown[0]["id"], "last_id": shown[-1]["id"]} if shown else {}
            return _json({"object": "list", "data": shown, "has_more": len(found) > limit, **ends})
        try:
            given = json.loads(await request.body())
            file = self._files[given["input_file_id"]]
            name = (given.get("metadata") or {}).get("name", "")
        except (ValueError, KeyError, TypeError, AttributeError):
            return _error(openai_dialect.error(400, "Invalid input_file_id.", param="input_file_id"))
        if given.get("endpoint") != "/v1/images/generations" or given.get("completion_window") != "24h":
            return _error(openai_dialect.error(400, "Invalid endpoint or completion_window."))
        problem = ""
        lines = [self._line(self._openai, str(one.get("custom_id")), one.get("body"), "") for one in _lines(file)]
        models = {line.order.model for line in lines if isinstance(line.order, Order)}
        if not lines or len(lines) > OPENAI_LIMITS[0]:
            problem = f"A batch has 1 to {OPENAI_LIMITS[0]} requests."
        elif len(models) > 1:
            problem = "The file names several models; a batch is made by one."
        elif len({line.id for line in lines}) < len(lines):
            problem = "The file has a custom_id twice."
        batch = _Batch(
            f"batch_{uuid.uuid4().hex}",
            name,
            next(iter(models), ""),
            given["input_file_id"],
            lines,
            problem,
            self._api.settings.batch_seconds,
        )
        return self._begun(batch, self._openai, _openai_json(batch))

    async def _openai_batch(self, request: Request) -> Response:
        if refused := self._refused(self._openai, request):
            return refused
        batch = self._batches.get(request.path_params["batch"])
        if batch is None:
            return _error(openai_dialect.error(404, "No batch found with that id."))
        if request.method == "POST" and not batch.ended:
            batch.cancelled = True
        return _json(_openai_json(batch))

    # Gemini

    async def _begin_upload_to_gemini(self, request: Request) -> Response:
        if refused := self._refused(self._gemini, request):
            return refused
        name = f"file-{uuid.uuid4().hex[:12]}"
        url = f"{request.base_url}upload/v1beta/files/{name}?upload_id={name}"
        return Response("{}", headers={"x-goog-upload-url": url, "x-goog-upload-status": "active"})

    async def _upload_to_gemini(self, request: Request) -> Response:
        name = self._store(await request.body(), request.path_params["file"])
        file = {"name": f"files/{name}", "mimeType": "application/jsonl", "state": "ACTIVE"}
        return _json({"file": file}, headers={"x-goog-upload-status": "final"})

    async def _make_gemini_batch(self, request: Request) -> Response:
        if refused := self._refused(self._gemini, request):
            return refused
        model = request.path_params["model"]
        try:
            given = json.loads(await request.body())["batch"]
            file_name = given["inputConfig"]["fileName"].removeprefix("files/")
            file = self._files[file_name]
        except (ValueError, KeyError, TypeError, AttributeError):
            return _error(gemini_dialect.error(400, "Invalid input file."))
        lines = [self._line(self._gemini, str(one.get("key")), one.get("request"), model) for one in _lines(file)]
        name = str(given.get("displayName") or "")
        identity = f"batches/{uuid.uuid4().hex[:20]}"
        problem = "" if lines else "The file has no requests."
        batch = _Batch(identity, name, model, file_name, lines, problem, self._api.settings.batch_seconds)
        return self._begun(batch, self._gemini, _gemini_json(batch))

    async def _gemini_batches(self, request: Request) -> Response:
        if refused := self._refused(self._gemini, request):
            return refused
        found = [_gemini_json(one) for one in reversed(self._batches.values()) if one.id.startswith("batches/")]
        first = int(request.query_params.get("pageToken") or 0)
        size = int(request.query_params.get("pageSize") or 10)
        more = {"nextPageToken": str(first + size)} if len(found) > first + size else {}
        return _json({"operations": found[first : first + size], **more})

    async def _gemini_batch(self, request: Request) -> Response:
        if refused := self._refused(self._gemini, request):
            return refused
        batch = self._batches.get(f"batches/{request.path_params['batch']}")
        if batch is None:
            return _error(gemini_dialect.error(404, "Requested entity was not found."))
        if request.method == "POST":
            batch.cancelled = not batch.ended
            return _json({})
        return _json(_gemini_json(batch))

    async def _gemini_content(self, request: Request) -> Response:
        missing = gemini_dialect.error(404, "Requested entity was not found.")
        return self._refused(self._gemini, request) or self._content(request, missing)

    # Both

    def _refused(self, dialect: Dialect, request: Request) -> Response | None:
        try:
            dialect.check_key(request.headers, self._api.settings.rejected_keys)
        except ProviderError as error:
            return _error(error)
        return None

    def _store(self, content: bytes, name: str = "") -> str:
        name = name or f"file-{uuid.uuid4().hex}"
        self._files[name] = TemporaryFile()
        self._files[name].write(content)
        return name

    def _content(self, request: Request, missing: ProviderError) -> Response:
        file = self._files.get(request.path_params["file"])
        return StreamingResponse(_chunks(file)) if file else _error(missing)

    def _line(self, dialect: Dialect, identity: str, body: Any, model: str) -> _Line:
        try:
            order = dialect.order(body if isinstance(body, dict) else {}, model)
        except ProviderError as error:
            return _Line(identity, error, None)
        return _Line(identity, order, self._api.faults.strike(order.model, order.prompt))

    def _begun(self, batch: _Batch, dialect: Dialect, answer: dict[str, Any]) -> Response:
        from thumbs.image_api.server import ResetInMidBody

        self._batches[batch.id] = batch
        batch.task = asyncio.get_running_loop().create_task(self._work(batch, dialect))
        if any(line.fault and line.fault.fault == "batch_lost" for line in batch.lines):
            return ResetInMidBody(json.dumps(answer).encode())
        return _json(answer)

    async def _work(self, batch: _Batch, dialect: Dialect) -> None:
        await _until(batch, batch.began + batch.seconds * 0.2)
        partly = dialect is self._openai
        # Gemini gives no results of a batch that did not come to its end, and bills none.
        if batch.ending == "completed" or (partly and batch.ending != "failed"):
            for line in batch.lines:
                if batch.cancelled:
                    break
                if isinstance(line.order, ProviderError):
                    batch.outputs.append((line.id, line.order.status, line.order.payload))
                    continue
                struck = line.fault.fault if line.fault else ""
                if struck in ("batch_expired", "batch_cancelled"):
                    continue
                fault = None if struck.startswith("batch_") else line.fault
                status, body = await self._api.batched(dialect, line.order, fault)
                batch.outputs.append((line.id, status, body))
        batch.drawn = True
        await _until(batch, batch.began + batch.seconds)
        self._finish(batch, partly)

    def _finish(self, batch: _Batch, partly: bool) -> None:
        ending = batch.ending
        if ending == "completed" or (partly and ending != "failed"):
            good, bad = bytearray(), bytearray()
            for identity, status, body in batch.outputs:
                if partly:
                    target = good if status == 200 else bad
                    target += _openai_line(identity, {"status_code": status, "request_id": "", "body": body}, None)
                else:
                    said = {"response": body} if status == 200 else body
                    good += json.dumps({"key": identity, **said}).encode() + b"\n"
            done = {identity for identity, *_ in batch.outputs}
            for line in batch.lines:
                if partly and line.id not in done:
                    message = f"This request was not worked on: its batch is {ending}."
                    bad += _openai_line(line.id, None, {"code": f"batch_{ending}", "message": message})
            batch.output_file = self._store(bytes(good)) if good else ""
            batch.error_file = self._store(bytes(bad)) if bad else ""
        batch.outputs.clear()
        batch.ended = ending


async def _until(batch: _Batch, moment: float) -> None:
    """Wait, unless the batch is cancelled."""
    while not batch.cancelled and (left := moment - time.monotonic()) > 0:
        await asyncio.sleep(min(left, 0.05))


def _openai_line(identity: str, response: dict[str, Any] | None, error: dict[str, Any] | None) -> bytes:
    line = {"id": f"batch_req_{uuid.uuid4().hex}", "custom_id": identity, "response": response, "error": error}
    return json.dumps(line).encode() + b"\n"


def _openai_json(batch: _Batch) -> dict[str, Any]:
    errors = None
    if batch.ended == "failed":
        message = batch.problem or "The enqueued requests exceed the limit of your organization."
        errors = {"object": "list", "data": [{"code": "token_limit_exceeded", "message": message, "line": None}]}
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": "/v1/images/generations",
        "errors": errors,
        "input_file_id": batch.input_file,
        "completion_window": "24h",
        "status": batch.state,
        "output_file_id": batch.output_file or None,
        "error_file_id": batch.error_file or None,
        "created_at": int(batch.made),
        "expires_at": int(batch.made) + WINDOW,
        "request_counts": {"total": len(batch.lines), "completed": 0, "failed": 0},
        "metadata": {"name": batch.name},
    }


def _gemini_json(batch: _Batch) -> dict[str, Any]:
    made = datetime.fromtimestamp(batch.made, UTC).isoformat().replace("+00:00", "Z")
    metadata: dict[str, Any] = {
        "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
        "model": f"models/{batch.model}",
        "displayName": batch.name,
        "state": f"BATCH_STATE_{_GEMINI_STATES[batch.state]}",
        "createTime": made,
        "name": batch.id,
    }
    found: dict[str, Any] = {"name": batch.id, "metadata": metadata}
    if batch.ended:
        found["done"] = True
        if batch.output_file:
            output = {"responsesFile": f"files/{batch.output_file}"}
            metadata["output"] = output
            found["response"] = output
        elif batch.ended == "failed":
            message = batch.problem or "The batch could not be processed: resources are exhausted."
            found["error"] = {"code": 8, "message": message, "status": "RESOURCE_EXHAUSTED"}
    return found


def _lines(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    file.seek(0)
    for line in file:
        try:
            found = json.loads(line)
        except ValueError:
            found = {}
        yield found if isinstance(found, dict) else {}


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    at = 0
    while True:
        # Others may read the same file between two pieces.
        file.seek(at)
        if not (piece := file.read(CHUNK_BYTES)):
            return
        at += len(piece)
        yield piece


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(value), status, headers, media_type="application/json")


def _error(error: ProviderError) -> Response:
    return Response(json.dumps(error.payload), error.status, error.headers, media_type="application/json")
