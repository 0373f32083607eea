"""OpenAI's Images API (https://platform.openai.com/docs/api-reference/images/create)."""

import base64
from datetime import date
from functools import lru_cache
from typing import Any

import httpx2
import openai

from thumbnails.catalog import Order
from thumbnails.errors import (
    PictureRefused,
    ProviderMisconfigured,
    ProviderRateLimited,
    ProviderRejectedRequest,
    ProviderTimeout,
    ProviderUnavailable,
    ProviderUnreachable,
    ThumbnailError,
    UnusableAnswer,
)
from thumbnails.images.providers import tls_context

BASE_URL = "https://api.openai.com/v1"
CONNECT_SECONDS = 10.0
REFUSALS = ("content_policy_violation", "moderation_blocked")


@lru_cache(maxsize=4)
def _client(key: str, base_url: str, seconds: float) -> openai.OpenAI:
    timeout = httpx2.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))
    http = openai.DefaultHttpxClient(verify=tls_context())
    return openai.OpenAI(api_key=key, base_url=base_url, max_retries=0, timeout=timeout, http_client=http)


#: An answer of the gpt-image models, with every field that they fill.
_ANSWER = {
    "created": 0,
    "background": "opaque",
    "output_format": "jpeg",
    "quality": "high",
    "size": "1536x1024",
    "data": [{"b64_json": "AAAA"}],
    "usage": {
        "input_tokens": 1,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": 1},
        "output_tokens": 1,
        "output_tokens_details": {"image_tokens": 1, "text_tokens": 0},
        "total_tokens": 2,
    },
}


def warm_up(order: Order) -> None:
    """Make a call whose answer never leaves this process: the SDK builds much of itself at its first one."""
    answer = httpx2.Response(200, json=_ANSWER)
    http = httpx2.Client(transport=httpx2.MockTransport(lambda _: answer))
    client = openai.OpenAI(api_key="none", base_url="http://warm-up.invalid", http_client=http)
    _generate(client, order, "", CONNECT_SECONDS)


def generate(order: Order, prompt: str, key: str, base_url: str, seconds: float) -> bytes:
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


def _generate(client: openai.OpenAI, order: Order, prompt: str, seconds: float) -> bytes:
    model = order.model
    parameters: dict[str, Any] = {"model": model.id, "prompt": prompt, "n": 1, **order.parameters}
    try:
        answer = client.images.generate(**parameters)
    except openai.OpenAIError as error:
        raise _error(model.id, error, seconds) from error
    except ValueError as error:
        raise UnusableAnswer(f"{model.id} answered with something that is not JSON") from error
    # The SDK passes on what came, whatever its own types promise.
    data = getattr(answer, "data", None)
    encoded = getattr(data[0], "b64_json", None) if isinstance(data, list) and data else None
    if not encoded or not isinstance(encoded, str):
        raise UnusableAnswer(f"{model.id} answered without a picture")
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise UnusableAnswer(f"{model.id} answered with a picture that is not base64") from error


def _error(model: str, error: openai.OpenAIError, seconds: float) -> ThumbnailError:
    if isinstance(error, openai.APITimeoutError):
        return ProviderTimeout(f"{model} did not answer within {seconds:g} s")
    if isinstance(error, openai.APIConnectionError):
        return ProviderUnreachable(f"no connection to OpenAI for {model}: {error.__cause__ or error}")
    if not isinstance(error, openai.APIStatusError):
        return UnusableAnswer(f"{model} answered with something other than a picture: {error}")
    words = error.body.get("message") if isinstance(error.body, dict) else error.message
    status = error.status_code
    if error.code in REFUSALS:
        return PictureRefused(f"{model} refuses this picture: {words}")
    if error.code == "insufficient_quota":
        return ProviderMisconfigured(f"the OpenAI account has no quota left for {model}: {words}")
    if status in (401, 403):
        return ProviderMisconfigured(f"OpenAI rejects the key for {model} (HTTP {status}): check OPENAI_API_KEY")
    if status == 404:
        return ProviderMisconfigured(f"{model} is not open to this OpenAI account: {words}")
    if status == 429:
        return ProviderRateLimited(f"OpenAI has too many requests for {model}: {words}")
    if status == 408:
        return ProviderTimeout(f"OpenAI gave up waiting for {model}: {words}")
    if status >= 500:
        return ProviderUnavailable(f"OpenAI failed on {model} (HTTP {status}): {words}")
    return ProviderRejectedRequest(f"OpenAI rejects the request for {model} (HTTP {status}): {words}")
