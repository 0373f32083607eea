"""The image providers: one module each, imported only when a cell needs it.

Every adapter has one function, ``generate(order, prompt, key, base_url, seconds) -> Answer``: it calls the provider
once, without retries of its own, and raises the errors of ``thumbnails.errors`` with the provider's words as they came.
Only ``generate_picture`` lets them out: as one short line in which no key is left.
"""

import importlib
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from types import ModuleType

import httpx2

from thumbnails.catalog import MODELS, Order, Provider
from thumbnails.errors import ProviderMisconfigured, ThumbnailError
from thumbnails.images.providers.answers import Answer

#: The environment variable (and the field of the secret) that holds each provider's key; Bedrock has none, but the
#: permissions of whoever calls it.
KEY_NAMES: dict[Provider, str] = {"openai": "OPENAI_API_KEY", "google": "GEMINI_API_KEY"}
#: A provider's key, whole or as providers abbreviate it: ``sk-ab****yz``, ``sk-...wxyz``.
LOOKS_LIKE_A_KEY = re.compile(r"\b(?:sk-|AIza)[\w*.…-]{2,}[\w*]")


def generate_picture(
    order: Order,
    prompt: str,
    key_for: Callable[[str], str | None],
    seconds: float,
    base_urls: Mapping[Provider, str] | None = None,
    renewed_key_for: Callable[[str], str | None] = lambda _: None,
) -> Answer:
    """Have one picture made by the model's provider; this is the call that costs money.

    Args:
        order: which model, and the picture that it is asked for.
        prompt: the whole prompt.
        key_for: the key stored under a name of ``KEY_NAMES``, or None.
        seconds: how long the provider may take.
        base_urls: by provider, another endpoint than its own; Bedrock's own is one of a region's, and always named.
        renewed_key_for: the key as it is stored now, where the one before is rejected: it may have been rotated.

    Returns:
        The picture as the provider encoded it, and what it counted.

    Raises:
        TransientError: another try may succeed.
        PermanentError: none would.
    """
    model = order.model
    name = KEY_NAMES.get(model.provider)
    key = (name and (key_for(name) or renewed_key_for(name))) or ""
    if name and not key:
        raise ProviderMisconfigured(f"{model.id} needs a key and there is none: set {name}")
    base_url = (base_urls or {}).get(model.provider, "")
    try:
        return _call(order, prompt, key, base_url, seconds)
    except ProviderMisconfigured:
        renewed = renewed_key_for(name) if name else None
        if not renewed or renewed == key:
            raise
    return _call(order, prompt, renewed, base_url, seconds)


def _call(order: Order, prompt: str, key: str, base_url: str, seconds: float) -> Answer:
    with without_key(key):
        answer: Answer = _adapter(order.model.provider).generate(order, prompt, key, base_url, seconds)
    return answer


@contextmanager
def without_key(key: str) -> Iterator[None]:
    """Let errors out as one short line in which no key is left."""
    try:
        yield
    except ThumbnailError as error:
        # A copy, without the cause: that is the SDK's error, which holds the request and its key.
        bare = copy(error)
        bare.args = (one_line(error, key),)
        raise bare from None
    except Exception as error:
        # The SDK's own fault; what it says may quote the request.
        raise RuntimeError(one_line(f"{type(error).__name__}: {error}", key)).with_traceback(
            error.__traceback__
        ) from None


def listed_models(
    provider: Provider, key_for: Callable[[str], str | None], seconds: float, base_url: str = ""
) -> dict[str, date | None]:
    """The models that a provider lists itself, with the day on which each is shut down where it names one.

    Args:
        provider: who is asked; asking costs nothing.
        key_for: the key stored under a name of ``KEY_NAMES``, or None.
        seconds: how long the provider may take.
        base_url: another endpoint than its own.

    Raises:
        ThumbnailError: it gave no list.
    """
    name = KEY_NAMES.get(provider)
    key = (name and key_for(name)) or ""
    if name and not key:
        raise ProviderMisconfigured(f"{provider} is not asked: {name} is not set")
    try:
        listed: dict[str, date | None] = _adapter(provider).listed(key, base_url, seconds)
    except ThumbnailError as error:
        raise type(error)(one_line(error, key)) from None
    return listed


def warm_up_adapters() -> None:
    """Import and use every provider's SDK ahead of the first call, for a process that others are made from."""
    tls_context()
    for model in {model.provider: model for model in MODELS.values()}.values():
        _adapter(model.provider).warm_up(model.order())


@lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """The one context of all clients: reading the certificates is most of what making a client costs."""
    return httpx2.create_ssl_context()


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as an answer's headers have it, None where they do not say.

    ``Retry-After`` (RFC 9110, section 10.2.3) is a number of seconds or a date; OpenAI adds ``retry-after-ms``.
    """
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        return max(0.0, float(headers["retry-after"]))
    except KeyError:
        return None
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(headers["retry-after"]) - datetime.now(UTC)).total_seconds())
    except (KeyError, TypeError, ValueError):
        return None


def _adapter(provider: str) -> ModuleType:
    return importlib.import_module(f"thumbnails.images.providers.{provider}")


def one_line(text: object, key: str, limit: int = 600) -> str:
    """A provider's words as one short line without the key, or anything that looks like one."""
    line = " ".join(str(text).split())
    line = line.replace(key, "[key]") if key else line
    # Before it is cut: half a key is no longer found.
    line = LOOKS_LIKE_A_KEY.sub("[key]", line)
    return line if len(line) <= limit else line[: limit - 1] + "…"
