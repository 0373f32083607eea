"""OpenAI's Images API (https://platform.openai.com/docs/api-reference/images/create)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache
from tempfile import TemporaryFile
from typing import Any, Literal

import httpx2
import openai

from thumbnails.catalog import Order
from thumbnails.catalog.prices import BATCH_SHARE, Usage
from thumbnails.errors import (
    BatchGaveUp,
    ProviderTimeout,
    ProviderUnreachable,
    ThumbnailError,
    UnusableAnswer,
)
from thumbnails.images.providers import KEY_NAMES, retry_after, tls_context, without_key
from thumbnails.images.providers.answers import Answer, Said, count, decoded, error_of
from thumbnails.images.providers.batches import Asked, Look, Result

BASE_URL = "https://api.openai.com/v1"
CONNECT_SECONDS = 10.0
#: Of the requests in a batch.
ENDPOINT: Literal["/v1/images/generations"] = "/v1/images/generations"


@lru_cache(maxsize=4)
def _client(key: str, base_url: str, seconds: float) -> openai.OpenAI:
    timeout = httpx2.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))
    http = openai.DefaultHttpxClient(verify=tls_context())
    return openai.OpenAI(api_key=key, base_url=base_url, max_retries=0, timeout=timeout, http_client=http)


def warm_up(order: Order) -> None:
    """Make a call whose answer never leaves this process: the SDK builds much of itself at its first one."""
    answer = httpx2.Response(200, json={"created": 0, "data": [{"b64_json": "AAAA"}]})
    http = httpx2.Client(transport=httpx2.MockTransport(lambda _: answer))
    client = openai.OpenAI(api_key="none", base_url="http://warm-up.invalid", http_client=http)
    _generate(client, order, "", CONNECT_SECONDS)


def generate(order: Order, prompt: str, key: str, base_url: str, seconds: float) -> Answer:
    """Make one picture; see ``generate_picture``."""
    client = _client(key, base_url or BASE_URL, seconds)
    return _generate(client, order, prompt, seconds)


def listed(key: str, base_url: str, seconds: float) -> dict[str, date | None]:
    """The models that OpenAI lists; see ``listed_models``."""
    client = _client(key, base_url or BASE_URL, seconds)
    try:
        found = list(client.models.list())
    except openai.OpenAIError as error:
        raise _error("the list of models", error, seconds) from error
    # A day, or a moment on it.
    days = {one.id: str(getattr(one, "shutdown_date", None) or "")[:10] for one in found}
    return {name: date.fromisoformat(day) if day else None for name, day in days.items()}


def _generate(client: openai.OpenAI, order: Order, prompt: str, seconds: float) -> Answer:
    model = order.model.id
    try:
        # As it came: the SDK's own types are stricter than what providers send.
        raw = client.images.with_raw_response.generate(**_parameters(order, prompt))
        body = json.loads(raw.text)
    except openai.OpenAIError as error:
        raise _error(model, error, seconds) from error
    except (ValueError, RecursionError) as error:
        raise UnusableAnswer(f"{model} answered with something that is not JSON") from error
    return _answer(model, body, raw.headers)


def _parameters(order: Order, prompt: str) -> dict[str, Any]:
    return {"model": order.model.id, "prompt": prompt, "n": order.pictures, **order.parameters}


def _answer(model: str, body: Any, headers: Mapping[str, str]) -> Answer:
    if not isinstance(body, dict):
        raise UnusableAnswer(f"{model} answered with something other than a picture")
    if isinstance(body.get("error"), dict):
        # What stands between this and OpenAI may give an error with a status of success.
        raise error_of(_said(200, body["error"], headers), model, "OpenAI", KEY_NAMES["openai"])
    data = body.get("data")
    items = [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []
    encoded = [item.get("b64_json") or _inline(item.get("url")) for item in items]
    pictures = tuple(decoded(one, model) for one in encoded if one)
    if not pictures:
        raise UnusableAnswer(f"{model} answered without a picture")
    return Answer(pictures, _usage(body.get("usage")))


def _inline(url: object) -> str | None:
    """A picture that stands in its own URL."""
    return url if isinstance(url, str) and url.startswith("data:") else None


def _usage(usage: Any) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    given, made = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    images_in = count(given.get("image_tokens")) if isinstance(given, dict) else 0
    out = count(usage.get("output_tokens"))
    # The Images endpoint may leave the details out: then all of the output is the picture's.
    text_out = count(made.get("text_tokens")) if isinstance(made, dict) else 0
    return Usage(
        text_in=max(0, count(usage.get("input_tokens")) - images_in),
        image_in=images_in,
        text_out=text_out,
        image_out=max(0, out - text_out),
    )


def _said(status: int, error: dict[str, Any], headers: Mapping[str, str]) -> Said:
    code = error.get("code")
    if status < 400 and type(code) is int:
        status = code
    names = (code, error.get("type"), error.get("status"))
    return Said.of(status, names, error.get("message"), retry_after(headers))


def _error(model: str, error: openai.OpenAIError, seconds: float) -> ThumbnailError:
    if isinstance(error, openai.APITimeoutError):
        return ProviderTimeout(f"{model} did not answer within {seconds:g} s")
    if isinstance(error, openai.APIConnectionError):
        return ProviderUnreachable(f"no connection to OpenAI for {model}: {error.__cause__ or error}")
    if not isinstance(error, openai.APIStatusError):
        return UnusableAnswer(f"{model} answered with something other than a picture: {error}")
    body = error.body if isinstance(error.body, dict) else {"message": error.response.text}
    inner = body.get("error")
    said = _said(error.status_code, inner if isinstance(inner, dict) else body, error.response.headers)
    return error_of(said, model, "OpenAI", KEY_NAMES["openai"])


@dataclass(frozen=True)
class Batches:
    """OpenAI's Batch API (https://platform.openai.com/docs/api-reference/batch); see ``batches.Batches``."""

    key: str
    base_url: str
    seconds: float

    @property
    def _client(self) -> openai.OpenAI:
        return _client(self.key, self.base_url or BASE_URL, self.seconds)

    def submit(self, name: str, asked: Sequence[Asked]) -> str:
        """Upload a file of requests and have a batch made of it."""
        lines = (
            {"custom_id": one.id, "method": "POST", "url": ENDPOINT, "body": _parameters(one.order, one.prompt)}
            for one in asked
        )
        body = "".join(json.dumps(line) + "\n" for line in lines).encode()
        with without_key(self.key), self._errors():
            file = self._client.files.create(file=(f"{name}.jsonl", body), purpose="batch")
            batch = self._client.batches.create(
                input_file_id=file.id,
                endpoint=ENDPOINT,
                completion_window="24h",
                metadata={"name": name},
            )
        return batch.id

    def find(self, name: str, since: datetime) -> str | None:
        """The batch whose metadata has the name; OpenAI lists the newest first."""
        with without_key(self.key), self._errors():
            for batch in self._client.batches.list(limit=100):
                if (batch.metadata or {}).get("name") == name:
                    return batch.id
                if batch.created_at < since.timestamp():
                    break
        return None

    def look(self, batch: str) -> Look:
        """Where a batch stands; what an expired or cancelled one has made is in its files too."""
        with without_key(self.key), self._errors():
            found = self._client.batches.retrieve(batch)
        files = tuple(file for file in (found.output_file_id, found.error_file_id) if file)
        error = None
        for one in (found.errors.data if found.errors else None) or ():
            said = Said.of(400, [one.code], one.message)
            error = error_of(said, "the batch", "OpenAI", KEY_NAMES["openai"])
        return Look(found.status in ("completed", "expired", "cancelled", "failed"), found.status, files, error)

    def cancel(self, batch: str) -> None:
        """Have no more of a batch made."""
        with without_key(self.key), self._errors():
            self._client.batches.cancel(batch)

    def results(self, model: str, look: Look) -> Iterator[Result]:
        """What became of each request that was worked on."""
        for file_id in look.files:
            with TemporaryFile() as file:
                with (
                    without_key(self.key),
                    self._errors(),
                    self._client.files.with_streaming_response.content(file_id) as content,
                ):
                    for chunk in content.iter_bytes(1 << 20):
                        file.write(chunk)
                file.seek(0)
                for line in file:
                    if line.strip():
                        yield self._result(model, line)

    def _result(self, model: str, line: bytes) -> Result:
        try:
            found = json.loads(line)
        except ValueError:
            return "", UnusableAnswer(f"{model} answered with something that is not JSON")
        asked = str(found.get("custom_id"))
        answer, error = found.get("response"), found.get("error")
        try:
            with without_key(self.key):
                if isinstance(error, dict) and not answer:
                    raise BatchGaveUp(f"{model} was not asked: {error.get('message') or error.get('code')}")
                status, body = answer.get("status_code", 200), answer.get("body")
                if status >= 400:
                    inner = body.get("error") if isinstance(body, dict) else None
                    said = _said(status, inner if isinstance(inner, dict) else {"message": str(body)}, {})
                    raise error_of(said, model, "OpenAI", KEY_NAMES["openai"])
                return asked, replace(_answer(model, body, {}), share=BATCH_SHARE)
        except ThumbnailError as failure:
            return asked, failure

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the SDK's errors about a batch into those of the tree."""
        try:
            yield
        except openai.OpenAIError as error:
            raise _error("the batch", error, self.seconds) from error
        except httpx2.HTTPError as error:
            raise ProviderUnreachable(f"the connection to OpenAI broke: {error}") from error
