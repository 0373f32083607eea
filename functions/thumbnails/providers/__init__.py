"""The image providers: one module each, imported only when a cell needs it.

Every adapter has one function, ``generate(model, prompt, key, seconds) -> bytes``: it calls the provider once, without
retries of its own, and raises the errors of ``thumbnails.errors``.
"""

import importlib
import re
import ssl
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType

import httpx2

from thumbnails.catalog import MODELS, Model
from thumbnails.errors import ProviderMisconfigured

#: The environment variable (and the field of the secret) that holds each provider's key.
KEY_NAMES = {"openai": "OPENAI_API_KEY", "google": "GEMINI_API_KEY"}


def generate_picture(model: Model, prompt: str, key_for: Callable[[str], str | None], seconds: float) -> bytes:
    """Have one picture made by the model's provider; this is the call that costs money.

    Args:
        model: which one.
        prompt: the whole prompt.
        key_for: the key stored under a name of ``KEY_NAMES``, or None.
        seconds: how long the provider may take.

    Returns:
        The picture as the provider encoded it.

    Raises:
        TransientError: another try may succeed.
        PermanentError: none would.
    """
    name = KEY_NAMES[model.provider]
    key = key_for(name)
    if not key:
        raise ProviderMisconfigured(f"{model.id} needs a key and there is none: set {name}")
    picture: bytes = _adapter(model.provider).generate(model, prompt, key, seconds)
    return picture


def rehearse_adapters() -> None:
    """Import and use every provider's SDK ahead of the first call, for a process that others are made from."""
    tls_context()
    for model in {model.provider: model for model in MODELS.values()}.values():
        _adapter(model.provider).rehearse(model)


@lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """The one context of all clients: reading the certificates is most of what making a client costs."""
    return httpx2.create_ssl_context()


def _adapter(provider: str) -> ModuleType:
    return importlib.import_module(f"thumbnails.providers.{provider}")


def one_line(text: object, limit: int = 300) -> str:
    """A provider's words as one short line without anything that looks like a key."""
    line = " ".join(str(text).split())
    line = re.sub(r"\b(sk-|AIza)[\w*-]{4,}", "[key]", line)
    return line if len(line) <= limit else line[: limit - 1] + "…"
