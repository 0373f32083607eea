"""Half-price batches: a file of requests that a provider works off within a day, as OpenAI and Gemini have them."""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from thumbnails.catalog import Order, Provider
from thumbnails.errors import ProviderMisconfigured, ThumbnailError
from thumbnails.images.providers import KEY_NAMES
from thumbnails.images.providers.answers import Answer


@dataclass(frozen=True)
class Asked:
    """One picture of a batch, and the id by which its result is found."""

    id: str
    order: Order
    prompt: str


@dataclass(frozen=True)
class Look:
    """Where a batch stands.

    Attributes:
        ended: whether nothing more happens to it.
        outcome: ``completed``, ``expired``, ``cancelled`` or ``failed`` once it has ended.
        files: the provider's files that hold its results.
        error: why it failed as a whole, where it says so.
    """

    ended: bool
    outcome: str
    files: tuple[str, ...] = ()
    error: ThumbnailError | None = None


#: The id of what was asked for, and what came of it.
Result = tuple[str, Answer | ThumbnailError]


class Batches(Protocol):
    """A provider's batches. Every call raises the errors of ``thumbnails.errors``, in which no key is left."""

    def submit(self, name: str, asked: Sequence[Asked]) -> str:
        """Have a batch of pictures by one model made, which costs money: its id at the provider.

        Args:
            name: it is kept with the batch, to find it by.
            asked: the pictures.
        """

    def find(self, name: str, since: datetime) -> str | None:
        """The id of the batch of a name that was made after a moment; None where there is none."""

    def look(self, batch: str) -> Look:
        """Where a batch stands."""

    def cancel(self, batch: str) -> None:
        """Have no more of a batch made."""

    def results(self, model: str, look: Look) -> Iterator[Result]:
        """What became of each request that was worked on, in any order; nothing of the others."""


def batches_of(
    provider: Provider, key_for: Callable[[str], str | None], seconds: float, base_urls: Mapping[Provider, str]
) -> Batches:
    """A provider's batches.

    Args:
        provider: one whose batch takes models of the catalogue.
        key_for: the key stored under a name of ``KEY_NAMES``, or None.
        seconds: how long the provider may take for one answer.
        base_urls: by provider, another endpoint than its own.

    Raises:
        ProviderMisconfigured: there is no key.
    """
    name = KEY_NAMES[provider]
    key = key_for(name)
    if not key:
        raise ProviderMisconfigured(f"{provider}'s batches need a key and there is none: set {name}")
    adapter = importlib.import_module(f"thumbnails.images.providers.{provider}")
    batches: Batches = adapter.Batches(key, base_urls.get(provider, ""), seconds)
    return batches
