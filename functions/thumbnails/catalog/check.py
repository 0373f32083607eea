"""The catalogue held against what a provider lists itself."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Literal, NamedTuple

from thumbnails.catalog.models import MODELS, Model, Provider, today

#: What image models are called.
_DRAWS = re.compile(r"image|dall-e|banana|stable|sd3", re.IGNORECASE)


class Difference(NamedTuple):
    """One thing in which a provider's list and the catalogue differ, and a sentence on it."""

    kind: Literal["new", "gone", "changed"]
    model: str
    message: str


def differences(
    provider: Provider,
    listed: Mapping[str, date | None],
    models: Mapping[str, Model] = MODELS,
    day: date | None = None,
) -> list[Difference]:
    """What is new at a provider, gone from it, or ends on another day than the catalogue says.

    Args:
        provider: whose list it is.
        listed: the models that it lists, with the day on which each is shut down where it names one.
        models: the catalogue.
        day: the day on which it is asked; today where left out.
    """
    day = day or today()
    found = []
    for model in models.values():
        if model.provider != provider:
            continue
        ended = model.state(day) == "retired"
        if model.id not in listed:
            if not ended:
                message = f"{provider} does not list it any more, or not to this account"
                found.append(Difference("gone", model.id, message))
            continue
        ends = listed[model.id]
        if ends and ends != model.retired:
            message = f"{provider} shuts it down on {ends}; the catalogue says {model.retired or 'nothing of an end'}"
            found.append(Difference("changed", model.id, message))
        elif ended and not ends:
            message = f"{provider} lists it; the catalogue says that it was shut down on {model.retired}"
            found.append(Difference("changed", model.id, message))
    for name, ends in listed.items():
        if name not in models and _DRAWS.search(name):
            end = f", and ends on {ends}" if ends else ""
            found.append(Difference("new", name, f"{provider} lists it{end}; the catalogue does not have it"))
    return found
