"""OpenAI's Images API (https://platform.openai.com/docs/api-reference/images/create)."""

import json
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Any

import httpx2
import openai

from thumbnails.catalog import Order
from thumbnails.catalog.prices import Usage
from thumbnails.errors import ProviderTimeout, ProviderUnreachable, ThumbnailError, UnusableAnswer
from thumbnails.images.providers import KEY_NAMES, retry_after, tls_context
from thumbnails.images.providers.answers import Answer, Said, count, decoded, error_of

BASE_URL = "https://api.openai.com/v1"
CONNECT_SECONDS = 10.0


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
    parameters: dict[str, Any] = {"model": model, "prompt": prompt, "n": order.pictures, **order.parameters}
    try:
        # As it came: the SDK's own types are stricter than what providers send.
        raw = client.images.with_raw_response.generate(**parameters)
        body = json.loads(raw.text)
    except openai.OpenAIError as error:
        raise _error(model, error, seconds) from error
    except (ValueError, RecursionError) as error:
        raise UnusableAnswer(f"{model} answered with something that is not JSON") from error
    if not isinstance(body, dict):
        raise UnusableAnswer(f"{model} answered with something other than a picture")
    if isinstance(body.get("error"), dict):
        # What stands between this and OpenAI may give an error with a status of success.
        raise error_of(_said(200, body["error"], raw.headers), model, "OpenAI", KEY_NAMES["openai"])
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
