"""Gemini's generateContent (https://ai.google.dev/api/generate-content)."""

import io
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache
from tempfile import TemporaryFile
from typing import Any

import httpx2
from google import genai
from google.genai import errors, types

from thumbnails.catalog import Order
from thumbnails.catalog.prices import BATCH_SHARE, Usage
from thumbnails.errors import (
    PictureRefused,
    ProviderTimeout,
    ProviderUnreachable,
    ThumbnailError,
    UnusableAnswer,
)
from thumbnails.images.providers import KEY_NAMES, tls_context, without_key
from thumbnails.images.providers.answers import WORDS, Answer, Said, count, decoded, error_of
from thumbnails.images.providers.batches import Asked, Look, Result

#: Reasons to end without a picture that are a fault. All others are the model's policy: those that it has
#: (https://ai.google.dev/api/generate-content#FinishReason), and those to come.
FAULTS = (
    "",
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "NO_IMAGE",
    "MALFORMED_FUNCTION_CALL",
    "MALFORMED_RESPONSE",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
    "CONTINUATION",
)
#: Ends at which a model that has only words to say has chosen them.
IN_WORDS = ("", "STOP", "NO_IMAGE")


@lru_cache(maxsize=4)
def _client(key: str, base_url: str | None, seconds: float, version: str | None = None) -> genai.Client:
    # Without retry options this SDK makes one attempt.
    tls = tls_context()
    options = types.HttpOptions(
        base_url=base_url,
        api_version=version,
        timeout=int(seconds * 1000),
        client_args={"verify": tls},
        # Never used; but it reads the certificates again, twice, unless it is given a context under both of its names.
        async_client_args={"verify": tls, "ssl": tls},
    )
    return genai.Client(api_key=key, vertexai=False, http_options=options)


def warm_up(order: Order) -> None:
    """Make a call whose answer never leaves this process: the SDK builds much of itself at its first one."""
    part = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    body = {"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}]}
    answer = httpx2.Response(200, json=body)
    http = httpx2.Client(transport=httpx2.MockTransport(lambda _: answer))
    options = types.HttpOptions(base_url="http://warm-up.invalid", httpx_client=http)
    _generate(genai.Client(api_key="none", vertexai=False, http_options=options), order, "", 1.0)


def generate(order: Order, prompt: str, key: str, base_url: str, seconds: float) -> Answer:
    """Make one picture; see ``generate_picture``."""
    client = _client(key, base_url or None, seconds)
    return _generate(client, order, prompt, seconds)


def listed(key: str, base_url: str, seconds: float) -> dict[str, date | None]:
    """The models that Gemini lists, which names no ends; see ``listed_models``."""
    client = _client(key, base_url or None, seconds)
    try:
        names = [model.name or "" for model in client.models.list()]
    except errors.APIError as error:
        raise _error("the list of models", error) from error
    except httpx2.HTTPError as error:
        raise ProviderUnreachable(f"no connection to Gemini for the list of models: {error}") from error
    return {name.removeprefix("models/"): None for name in names}


def _generate(client: genai.Client, order: Order, prompt: str, seconds: float) -> Answer:
    model = order.model.id
    # As it came: the SDK's own types are stricter than what Gemini sends.
    config = types.GenerateContentConfig.model_validate({**order.parameters, "should_return_http_response": True})
    try:
        answer = client.models.generate_content(model=model, contents=prompt, config=config)
        http = answer.sdk_http_response
        body = json.loads((http.body if http else None) or "{}")
    except errors.APIError as error:
        raise _error(model, error) from error
    except httpx2.TimeoutException as error:
        raise ProviderTimeout(f"{model} did not answer within {seconds:g} s") from error
    except httpx2.TransportError as error:
        raise ProviderUnreachable(f"no connection to Gemini for {model}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise UnusableAnswer(f"{model} answered with something that is not JSON") from error
    return _answer(model, body)


def _answer(model: str, body: Any) -> Answer:
    if not isinstance(body, dict):
        raise UnusableAnswer(f"{model} answered with something other than a picture")
    if isinstance(body.get("error"), dict):
        raise error_of(_said(200, body["error"]), model, "Gemini", KEY_NAMES["google"])
    for part in _parts(body):
        inline = part.get("inlineData") or part.get("inline_data")
        # What is marked as a thought is a draft: the picture comes after it.
        if isinstance(inline, dict) and inline.get("data") and not part.get("thought"):
            return Answer((decoded(inline["data"], model),), _usage(body.get("usageMetadata")))
    raise _without_picture(model, body)


def _candidates(body: dict[str, Any]) -> list[dict[str, Any]]:
    found = body.get("candidates")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _parts(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for candidate in _candidates(body):
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        yield from (part for part in parts or () if isinstance(part, dict)) if isinstance(parts, list) else ()


def _without_picture(model: str, body: dict[str, Any]) -> ThumbnailError:
    """Why there is none, in the model's own words where it has some."""
    feedback = body.get("promptFeedback")
    feedback = feedback if isinstance(feedback, dict) else {}
    candidates = _candidates(body)
    said = [part["text"] for part in _parts(body) if isinstance(part.get("text"), str) and not part.get("thought")]
    said += [str(one["finishMessage"]) for one in candidates if one.get("finishMessage")]
    said += [str(feedback["blockReasonMessage"])] if feedback.get("blockReasonMessage") else []
    words = " ".join(" ".join(said).split())[:WORDS]
    ends = [str(one.get("finishReason") or "") for one in candidates]
    blocked = str(feedback.get("blockReason") or "")
    reasons = ", ".join(reason for reason in (*ends, blocked) if reason) or "no reason given"
    sentence = f": {words}" if words else ""
    if blocked or any(end not in FAULTS for end in ends):
        return PictureRefused(f"{model} refuses this picture ({reasons}){sentence}")
    if words and all(end in IN_WORDS for end in ends):
        return PictureRefused(f"{model} answers in words and draws nothing ({reasons}){sentence}")
    return UnusableAnswer(f"{model} answered without a picture ({reasons}){sentence}")


def _usage(usage: Any) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    given = _by_modality(usage.get("promptTokensDetails"))
    made = _by_modality(usage.get("candidatesTokensDetails"))
    images_in, images_out = given.get("IMAGE", 0), made.get("IMAGE", 0)
    return Usage(
        text_in=max(0, count(usage.get("promptTokenCount")) - images_in),
        image_in=images_in,
        text_out=max(0, count(usage.get("candidatesTokenCount")) - images_out) + count(usage.get("thoughtsTokenCount")),
        image_out=images_out,
    )


def _by_modality(details: Any) -> dict[str, int]:
    found = [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    return {str(one.get("modality")): count(one.get("tokenCount")) for one in found}


def _said(status: int, error: dict[str, Any]) -> Said:
    """An error of Google's (https://google.aip.dev/193): reasons, quotas and how long to wait stand in its details."""
    names: list[object] = [error.get("status")]
    wait: float | None = None
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if not isinstance(detail, dict):
            continue
        names.append(detail.get("reason"))
        delay = detail.get("retryDelay")
        # A Duration in JSON: seconds with an "s" behind them.
        if isinstance(delay, str) and re.fullmatch(r"\d+(\.\d+)?s", delay):
            wait = float(delay[:-1])
        violations = detail.get("violations")
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, dict):
                names.append(violation.get("quotaId"))
                value = violation.get("quotaValue")
                names += [f"quota_value:{value}"] if value is not None else []
    code = error.get("code")
    return Said.of(code if status < 400 and type(code) is int else status, names, error.get("message"), wait)


def _error(model: str, error: errors.APIError) -> ThumbnailError:
    details: Any = error.details
    if isinstance(details, list):
        details = details[0] if details else {}
    inner = details.get("error") if isinstance(details, dict) else None
    given = inner if isinstance(inner, dict) else {"status": error.status, "message": error.message or str(details)}
    return error_of(_said(error.code, given), model, "Gemini", KEY_NAMES["google"])


#: States in which nothing more happens to a batch (https://ai.google.dev/gemini-api/docs/batch-api).
ENDED = {
    "BATCH_STATE_SUCCEEDED": "completed",
    "BATCH_STATE_FAILED": "failed",
    "BATCH_STATE_CANCELLED": "cancelled",
    "BATCH_STATE_EXPIRED": "expired",
}
GEMINI = "https://generativelanguage.googleapis.com"
#: The version of the API that is documented to have them.
BATCH_VERSION = "v1beta"


@dataclass(frozen=True)
class Batches:
    """Gemini's batches (https://ai.google.dev/gemini-api/docs/batch-api); see ``batches.Batches``."""

    key: str
    base_url: str
    seconds: float

    @property
    def _client(self) -> genai.Client:
        return _client(self.key, self.base_url or None, self.seconds, BATCH_VERSION)

    def submit(self, name: str, asked: Sequence[Asked]) -> str:
        """Upload a file of requests and have a batch made of it."""
        body = "".join(json.dumps(_line(one)) + "\n" for one in asked).encode()
        with without_key(self.key), self._errors():
            file = self._client.files.upload(
                file=io.BytesIO(body), config={"mime_type": "application/jsonl", "display_name": name}
            )
            batch = self._client.batches.create(
                model=asked[0].order.model.id, src=str(file.name), config={"display_name": name}
            )
        return str(batch.name)

    def find(self, name: str, since: datetime) -> str | None:
        """The batch of a display name; Gemini lists the newest first."""
        with without_key(self.key), self._errors():
            for batch in self._client.batches.list(config={"page_size": 100}):
                if batch.display_name == name:
                    return batch.name
                if batch.create_time and batch.create_time < since:
                    break
        return None

    def look(self, batch: str) -> Look:
        """Where a batch stands. Not by the SDK, which leaves out why a batch failed."""
        with without_key(self.key), self._errors():
            url = f"{self.base_url or GEMINI}/{BATCH_VERSION}/{batch}"
            answer = httpx2.get(url, headers={"x-goog-api-key": self.key}, timeout=self.seconds, verify=tls_context())
            if answer.status_code >= 400:
                raise errors.APIError(answer.status_code, _object(answer.text))
        found = _object(answer.text)
        about, failure = found.get("metadata") or {}, found.get("error")
        output = (found.get("response") or {}).get("responsesFile") or (about.get("output") or {}).get("responsesFile")
        state = str(about.get("state"))
        error = error_of(_said(200, failure), "the batch", "Gemini", KEY_NAMES["google"]) if failure else None
        return Look(state in ENDED, ENDED.get(state, "open"), (output,) if output else (), error)

    def cancel(self, batch: str) -> None:
        """Have no more of a batch made."""
        with without_key(self.key), self._errors():
            self._client.batches.cancel(name=batch)

    def results(self, model: str, look: Look) -> Iterator[Result]:
        """What became of each request that was worked on."""
        for name in look.files:
            with TemporaryFile() as file:
                with without_key(self.key), self._errors():
                    self._client.files.download(file=name, destination=file)
                file.seek(0)
                for line in file:
                    if line.strip():
                        yield self._result(model, line)

    def _result(self, model: str, line: bytes) -> Result:
        found = _object(line)
        asked = str(found.get("key"))
        failure = found.get("error") or found.get("status")
        try:
            with without_key(self.key):
                if isinstance(failure, dict):
                    raise error_of(_said(200, failure), model, "Gemini", KEY_NAMES["google"])
                return asked, replace(_answer(model, found.get("response")), share=BATCH_SHARE)
        except ThumbnailError as error:
            return asked, error

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the SDK's errors about a batch into those of the tree."""
        try:
            yield
        except errors.APIError as error:
            raise _error("the batch", error) from error
        except httpx2.TimeoutException as error:
            raise ProviderTimeout(f"Gemini did not answer for the batch within {self.seconds:g} s") from error
        except (httpx2.HTTPError, KeyError) as error:
            raise ProviderUnreachable(f"no connection to Gemini for the batch: {error}") from error


def _line(asked: Asked) -> dict[str, Any]:
    config = types.GenerateContentConfig.model_validate(dict(asked.order.parameters))
    return {
        "key": asked.id,
        "request": {
            "contents": [{"role": "user", "parts": [{"text": asked.prompt}]}],
            "generationConfig": config.model_dump(mode="json", by_alias=True, exclude_none=True),
        },
    }


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
