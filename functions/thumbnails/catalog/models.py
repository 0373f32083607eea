"""The image models, as data: ``models.json`` has one entry for each, and no code names a model.

An entry's fields are those of ``Model``. Its sizes are those that this product asks for, not all that the provider
takes; each goes with the provider's own parameters for it, and so does each quality. Prices are list prices in US
dollars; ``checked`` is the ISO date on which somebody last held the entry against the provider's own pages.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

Provider = Literal["openai", "google", "bedrock"]
Quality = Literal["draft", "standard", "high"]
State = Literal["living", "ending", "retired"]

PROVIDERS: tuple[Provider, ...] = get_args(Provider)
QUALITIES: tuple[Quality, ...] = get_args(Quality)
DEFAULT_QUALITY: Quality = "standard"
#: Width and height of what is drawn, in pixels.
CANVAS = (1200, 630)
#: So long before its end a model is warned of.
NOTICE = timedelta(days=30)


def bedrock_url(region: str) -> str:
    """Bedrock's endpoint in an AWS region (https://docs.aws.amazon.com/general/latest/gr/bedrock.html)."""
    return f"https://bedrock-runtime.{region}.amazonaws.com"


@dataclass(frozen=True)
class Price:
    """US dollars: for a picture, or for a million tokens of each kind where the provider bills tokens."""

    picture: float | None = None
    text_in: float = 0.0
    image_in: float = 0.0
    image_out: float = 0.0


@dataclass(frozen=True)
class Order:
    """One picture as a provider is asked for it.

    Attributes:
        model: the model.
        quality: the catalogue's name of the quality.
        width: pixels.
        height: pixels.
        parameters: the provider's own request parameters.
        pictures: how many of it, in one call.
    """

    model: "Model"
    quality: Quality
    width: int
    height: int
    parameters: Mapping[str, object]
    pictures: int = 1

    @property
    def size(self) -> str:
        """The size as people write it: ``1536x816``."""
        return f"{self.width}x{self.height}"


@dataclass(frozen=True)
class Model:
    """One image model.

    Attributes:
        id: the provider's own name of it.
        label: its name for people.
        provider: who is called for it.
        parameters: request parameters of every call.
        sizes: ``1536x816`` → the parameters that ask for this size.
        qualities: ``draft``, ``standard``, ``high`` → the parameters that ask for it.
        price: list price.
        scales: how many times as wide and high as its size a picture of this quality is; once where left out.
        tokens: how many tokens of picture the provider bills, see ``prices.picture_tokens``; empty where it bills
            pictures.
        variants: the most pictures that one call makes.
        batch: whether the provider's half-price batch takes it.
        retired: the day on which the provider shuts it down, where that is known.
        successor: the model to take in its place.
        checked: the day on which this entry was checked.
    """

    id: str
    label: str
    provider: Provider
    parameters: Mapping[str, object]
    sizes: Mapping[str, Mapping[str, object]]
    qualities: Mapping[Quality, Mapping[str, object]]
    price: Price
    checked: date
    scales: Mapping[Quality, int] = field(default_factory=dict)
    tokens: Mapping[str, Any] = field(default_factory=dict)
    variants: int = 1
    batch: bool = False
    retired: date | None = None
    successor: str | None = None

    def state(self, day: date | None = None) -> State:
        """Whether the provider serves it on a day (today where left out): ``ending`` is less than thirty days."""
        if self.retired is None:
            return "living"
        day = day or today()
        if day >= self.retired:
            return "retired"
        return "ending" if day >= self.retired - NOTICE else "living"

    def notice(self, day: date | None = None) -> str | None:
        """What whoever names the model should know on a day about its end; None where that is not near."""
        if self.state(day) != "ending":
            return None
        return f"{self.id} is shut down by its provider on {self.retired}{self._instead()}"

    def refusal(self) -> str:
        """Why a retired model is refused, and what to take in its place."""
        return f"model {self.id!r} was shut down by its provider on {self.retired}{self._instead()}"

    def _instead(self) -> str:
        return f"; use {self.successor!r}" if self.successor else ""

    def order(self, quality: Quality = DEFAULT_QUALITY, formats: Sequence[tuple[int, int]] = (CANVAS,)) -> Order:
        """What to ask for so that the least of a picture is thrown away.

        Args:
            quality: the catalogue's name of the quality.
            formats: width and height of everything that is to be cut from the picture.
        """
        width, height = min(self._edges, key=lambda size: max(_waste(size, wanted) for wanted in formats))
        parameters = merged(self.parameters, self.sizes[f"{width}x{height}"], self.qualities[quality])
        scale = self.scales.get(quality, 1)
        return Order(self, quality, width * scale, height * scale, parameters)

    @cached_property
    def _edges(self) -> list[tuple[int, int]]:
        return [(int(width), int(height)) for width, height in (size.split("x") for size in self.sizes)]


def _waste(size: tuple[int, int], wanted: tuple[int, int]) -> tuple[bool, float, int]:
    """What speaks against a size: that it has to be enlarged by more than a third, the share that is cut off, its
    pixels."""
    scale = min(size[0] / wanted[0], size[1] / wanted[1])
    kept = wanted[0] * wanted[1] * scale * scale / (size[0] * size[1])
    return scale < 0.75, round(1 - kept, 4), size[0] * size[1]


def merged(*parts: Mapping[str, object]) -> dict[str, object]:
    """Parameters put together; objects within them too."""
    whole: dict[str, object] = {}
    for part in parts:
        for name, value in part.items():
            before = whole.get(name)
            both = isinstance(before, dict) and isinstance(value, dict)
            whole[name] = merged(before, value) if both else value  # type: ignore[arg-type]
    return whole


def today() -> date:
    """The day in UTC, in which providers name their ends."""
    return datetime.now(UTC).date()


def notices(models: Iterable[str], day: date | None = None) -> list[str]:
    """A sentence on each of these models that is near its end; one that is not in the catalogue has none."""
    return [notice for name in models if (model := MODELS.get(name)) and (notice := model.notice(day))]


def _model(entry: dict[str, Any]) -> Model:
    days = {name: date.fromisoformat(entry[name]) for name in ("checked", "retired") if entry.get(name)}
    return Model(**{**entry, **days, "price": Price(**entry["price"])})


def read_models(text: str) -> dict[str, Model]:
    """The models of a catalogue's JSON text, by their ids."""
    return {model.id: model for model in map(_model, json.loads(text))}


MODELS = read_models(Path(__file__).with_name("models.json").read_text(encoding="utf-8"))
