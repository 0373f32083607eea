"""What a picture costs: by the catalogue before it is made, by the provider's ``usage`` afterwards.

OpenAI bills tokens (https://platform.openai.com/docs/pricing): those of the prompt, and those of the picture, whose
number follows from its size and quality. Google and Bedrock bill the picture.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, astuple, dataclass
from typing import Any

from thumbnails.catalog.models import Model, Order

MILLION = 1_000_000
#: The part of the list price that OpenAI's and Gemini's batches cost.
BATCH_SHARE = 0.5
#: Bytes of UTF-8 that one token of a prompt stands for, nearly, in any script.
TOKEN_BYTES = 4
#: Tokens that a picture took so far, by the model and the kind of picture, where that was measured.
Measured = Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class Usage:
    """Tokens of one call, as its provider counted them."""

    text_in: int = 0
    image_in: int = 0
    text_out: int = 0
    image_out: int = 0

    def as_json(self) -> dict[str, int]:
        """By kind."""
        return asdict(self)


@dataclass(frozen=True)
class Cost:
    """What a picture cost in US dollars, and the tokens that its provider counted; None where it counts none."""

    usd: float = 0.0
    usage: Usage | None = None

    def as_json(self) -> dict[str, Any]:
        """As a cell's answer has it."""
        return {"usd": round(self.usd, 6), "tokens": self.usage.as_json() if self.usage else None}

    def as_metadata(self) -> str:
        """As the objects that it was paid for have it: dollars, then tokens by kind."""
        return " ".join(
            [f"{self.usd:.6f}", *(str(one) for one in astuple(self.usage))] if self.usage else [f"{self.usd:.6f}"]
        )

    @classmethod
    def of(cls, metadata: Mapping[str, str]) -> "Cost":
        """What an object's metadata says; nothing where it says nothing."""
        usd, *tokens = metadata.get("cost", "0").split(" ")
        return cls(float(usd), Usage(*map(int, tokens)) if tokens else None)


def sum_of(costs: Iterable[Cost]) -> Cost:
    """What several pictures cost together."""
    every = list(costs)
    counted = [astuple(cost.usage) for cost in every if cost.usage]
    return Cost(sum(cost.usd for cost in every), Usage(*map(sum, zip(*counted, strict=True))) if counted else None)


def cost_usd(model: Model, usage: Usage | None, pictures: int = 1, order: Order | None = None) -> float:
    """What a call cost at list prices, in US dollars.

    Args:
        model: who was called.
        usage: what the answer says; None where it says nothing.
        pictures: how many it holds.
        order: what was asked for; the cost of an answer without usage is that of the catalogue.
    """
    price = model.price
    if price.picture is not None:
        return price.picture * pictures
    if usage is None:
        image_out = picture_tokens(order or model.order()) * pictures
        usage = Usage(image_out=image_out)
    # Every token that an image model gives is billed as the picture's.
    out = usage.image_out + usage.text_out
    return (price.text_in * usage.text_in + price.image_in * usage.image_in + price.image_out * out) / MILLION


def estimate_usd(order: Order, prompt: str, pictures: int = 1, measured: Measured | None = None) -> float:
    """What a call will cost, in US dollars.

    Args:
        order: what is asked for.
        prompt: the whole provider prompt.
        pictures: how many.
        measured: what pictures took so far; one of a kind that was not measured costs what the catalogue says.
    """
    usage = None
    if order.model.price.picture is None:
        each = (measured or {}).get((order.model.id, kind_of(order)), picture_tokens(order))
        usage = Usage(text_in=prompt_tokens(prompt), image_out=round(each * pictures))
    return cost_usd(order.model, usage, pictures)


def kind_of(order: Order) -> str:
    """What pictures are compared by, within a model: ``standard-1536x816``."""
    return f"{order.quality}-{order.size}"


def picture_usd(order: Order) -> float:
    """A picture's price by the catalogue, without its prompt, in US dollars."""
    return cost_usd(order.model, None, 1, order)


def prompt_tokens(prompt: str) -> int:
    """Tokens of a text, nearly."""
    return max(1, math.ceil(len(prompt.encode()) / TOKEN_BYTES))


def picture_tokens(order: Order) -> int:
    """Tokens of a picture, as OpenAI counts them; 0 for a model that is billed by the picture.

    gpt-image-1 has a table. Its successors lay a grid over the picture, whose longer edge has a number of cells that
    the quality decides, and count a cell dearer on a larger picture.
    """
    tokens = order.model.tokens
    if "by_size" in tokens:
        return int(tokens["by_size"][order.size][order.quality])
    if "grid" not in tokens:
        return 0
    return grid_tokens(order.width, order.height, tokens["grid"][order.quality])


def grid_tokens(width: int, height: int, cells: int) -> int:
    """Tokens of a picture whose longer edge has so many cells."""
    across = round(cells * min(width, height) / max(width, height))
    return math.ceil(cells * across * (2_000_000 + width * height) / 4_000_000)
