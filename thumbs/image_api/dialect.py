"""What the providers' dialects have in common: the order for a picture, an error, the questions asked of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from thumbs.image_api.faults import Fault

PictureFormat = Literal["jpeg", "png", "webp"]
MEDIA_TYPES: dict[PictureFormat, str] = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}


@dataclass(frozen=True)
class Order:
    """A picture that was asked for, in the provider's own words and size."""

    model: str
    prompt: str
    width: int
    height: int
    format: PictureFormat
    quality: int = 85
    as_url: bool = False
    #: How many pictures the answer holds, and which of them this one is.
    pictures: int = 1
    number: int = 0
    # What the answer repeats or depends on, besides the picture: quality name, response modalities, …
    extras: Mapping[str, Any] = field(default_factory=dict, compare=False)


class ProviderError(Exception):
    """An answer that is no success: its status, its body in the provider's shape, and its headers."""

    def __init__(self, status: int, payload: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        super().__init__(status, payload)
        self.status = status
        self.payload = payload
        self.headers = headers or {}


class Dialect(Protocol):
    """How one provider reads requests and shapes its answers."""

    def check_key(self, headers: Mapping[str, str], rejected_keys: list[str]) -> None:
        """Raise the provider's error for a key that is missing or rejected."""

    def names(self, body: Any, path_model: str) -> tuple[str, str]:
        """The model and the prompt as far as a request names them, for the count of calls; never raises."""

    def order(self, body: Any, path_model: str) -> Order:
        """The picture that a request asks for, or the provider's error for a bad request."""

    def bad_json(self) -> ProviderError:
        """The error for a body that is not JSON."""

    def answer(self, order: Order, picture: bytes, url: str) -> dict[str, Any]:
        """The body of a success."""

    def without_picture(self, order: Order, variant: str) -> dict[str, Any]:
        """The body of a success that holds no picture."""

    def refusal(self, order: Order, variant: str) -> tuple[int, dict[str, Any]]:
        """Status and body with which the provider refuses a prompt or a picture by policy."""

    def fault(self, fault: Fault) -> ProviderError:
        """The error answer of a fault that strikes before a picture is made."""


def rejected(key: str, rejected_keys: list[str]) -> bool:
    """Whether a key is one that the control API says the provider turns away."""
    return any(part in key for part in rejected_keys)


def is_text(value: Any) -> bool:
    """Whether a value is a string with something in it."""
    return isinstance(value, str) and bool(value.strip())
