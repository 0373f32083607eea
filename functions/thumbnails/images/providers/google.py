"""Gemini's generateContent (https://ai.google.dev/api/generate-content)."""

from datetime import date
from functools import lru_cache

import httpx2
from google import genai
from google.genai import errors, types

from thumbnails.catalog import Model, Order
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

#: Reasons to end without a picture that are the model's policy and not a fault.
REFUSALS = ("SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "RECITATION")


@lru_cache(maxsize=4)
def _client(key: str, base_url: str | None, seconds: float) -> genai.Client:
    # Without retry options this SDK makes one attempt.
    tls = tls_context()
    options = types.HttpOptions(
        base_url=base_url,
        timeout=int(seconds * 1000),
        client_args={"verify": tls},
        # Never used; but it reads the certificates again, twice, unless it is given a context under both of its names.
        async_client_args={"verify": tls, "ssl": tls},
    )
    return genai.Client(api_key=key, vertexai=False, http_options=options)


def warm_up(order: Order) -> None:
    """Make a call whose answer never leaves this process: the SDK builds much of itself at its first one."""
    part = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    body = {
        "candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1},
        "modelVersion": order.model.id,
        "responseId": "warm-up",
    }
    answer = httpx2.Response(200, json=body)
    http = httpx2.Client(transport=httpx2.MockTransport(lambda _: answer))
    options = types.HttpOptions(base_url="http://warm-up.invalid", httpx_client=http)
    _generate(genai.Client(api_key="none", vertexai=False, http_options=options), order, "", 1.0)


def generate(order: Order, prompt: str, key: str, base_url: str, seconds: float) -> bytes:
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


def _generate(client: genai.Client, order: Order, prompt: str, seconds: float) -> bytes:
    model = order.model
    config = types.GenerateContentConfig.model_validate(dict(order.parameters))
    try:
        answer = client.models.generate_content(model=model.id, contents=prompt, config=config)
    except errors.APIError as error:
        raise _error(model.id, error) from error
    except httpx2.TimeoutException as error:
        raise ProviderTimeout(f"{model.id} did not answer within {seconds:g} s") from error
    except httpx2.TransportError as error:
        raise ProviderUnreachable(f"no connection to Gemini for {model.id}: {error}") from error
    except ValueError as error:
        raise UnusableAnswer(f"{model.id} answered with something that is not JSON") from error
    return _picture(model, answer)


def _picture(model: Model, answer: types.GenerateContentResponse) -> bytes:
    candidates = answer.candidates or []
    for candidate in candidates:
        for part in (candidate.content and candidate.content.parts) or []:
            if part.inline_data and part.inline_data.data:
                return part.inline_data.data
    reasons = [candidate.finish_reason for candidate in candidates]
    if answer.prompt_feedback:
        reasons.append(answer.prompt_feedback.block_reason)  # type: ignore[arg-type]
    names = [reason.name for reason in reasons if reason is not None]
    if any(refusal in name for name in names for refusal in REFUSALS):
        raise PictureRefused(f"{model.id} refuses this picture: {', '.join(names)}")
    raise UnusableAnswer(f"{model.id} answered without a picture: {', '.join(names) or 'no reason given'}")


def _error(model: str, error: errors.APIError) -> ThumbnailError:
    words = str(error.message or error.status or "")
    status = error.code
    if status in (401, 403) or "API_KEY_INVALID" in str(error.details) or "API key not valid" in words:
        return ProviderMisconfigured(f"Gemini rejects the key for {model} (HTTP {status}): check GEMINI_API_KEY")
    if status == 404:
        return ProviderMisconfigured(f"{model} is not open to this Gemini key: {words}")
    if status == 429:
        return ProviderRateLimited(f"Gemini has too many requests for {model}: {words}")
    if status in (408, 504):
        return ProviderTimeout(f"Gemini gave up waiting for {model}: {words}")
    if status >= 500:
        return ProviderUnavailable(f"Gemini failed on {model} (HTTP {status}): {words}")
    return ProviderRejectedRequest(f"Gemini rejects the request for {model} (HTTP {status}): {words}")
