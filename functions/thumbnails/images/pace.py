"""The provider's pace: how long a cell that was turned away waits before it asks again, and when it gives up.

Nobody keeps the pace for all: each cell works out its own turn. It waits for as long as the provider says, and then for
the earlier rows of its model that have no image yet, a step each, so that those whom one wall has stopped come back one
by one. Where that is not enough, because other runs share the pace, the waits spread out further from try to try.
"""

import math
import random
from dataclasses import dataclass
from typing import Any

from thumbnails.aws.s3 import Store
from thumbnails.errors import ProviderRateLimited, ProviderTooSlow
from thumbnails.images.cell import Generate, Image, make_thumbnail
from thumbnails.keys import run_prefix
from thumbnails.requests.models import Cell, key_of

#: Five images a minute is the slowest pace among the providers' tiers; a longer wait is for a whole minute's end.
MOST_STEP_SECONDS = 12.0
#: The spread doubles with each try, so often.
MOST_DOUBLINGS = 5


@dataclass(frozen=True)
class Pause:
    """A cell that waits: for how many seconds, and what is asked for then."""

    seconds: int
    cell: Cell

    def as_json(self) -> dict[str, Any]:
        """For the state machine, whose Wait state hands the cell on."""
        return {"wait_seconds": self.seconds, "cell": self.cell.model_dump()}


def make_or_wait(cell: Cell, store: Store, generate: Generate) -> Image | Pause:
    """Make one image, or find it, or say how long its provider wants to be left alone.

    Raises:
        ProviderTooSlow: the provider asks for more than what is left of the cell's ``max_wait_seconds``.
        ThumbnailError: of any other kind; ``ProviderRateLimited`` where the provider does not say for how long.
    """
    try:
        return make_thumbnail(cell, store, generate)
    except ProviderRateLimited as error:
        if error.retry_after is None or not cell.max_wait_seconds:
            raise
        left = cell.max_wait_seconds - cell.waited_seconds
        if math.ceil(error.retry_after) > left:
            raise ProviderTooSlow(
                f"{error} (asks for {error.retry_after:g} s more; this image has waited {cell.waited_seconds} of the "
                f"{cell.max_wait_seconds} s that max_wait_seconds allows)"
            ) from error
        # Whoever is told to come back at once would be told so again and again.
        seconds = max(1, min(left, math.ceil(turn(error.retry_after, _rank(cell, store), cell.waits))))
    waited = {"waits": cell.waits + 1, "waited_seconds": cell.waited_seconds + seconds}
    return Pause(seconds, cell.model_copy(update=waited))


def turn(asked: float, rank: int, waits: int) -> float:
    """Seconds until a cell's turn.

    Args:
        asked: what the provider asks for.
        rank: how many cells come before this one.
        waits: how often it has waited in vain.
    """
    step = min(asked, MOST_STEP_SECONDS)
    spread = 2 ** min(waits, MOST_DOUBLINGS) - 1
    return asked + step * (rank + random.uniform(0, spread))  # noqa: S311 # nosec B311 # no secret


def _rank(cell: Cell, store: Store) -> int:
    """How many earlier rows of this model have no image yet."""
    if not cell.row:
        return 0
    prefix = run_prefix(cell.run_id)
    # Only the title's part of a key differs between rows.
    ending = key_of(cell, "", 0, "", cell.model).rpartition("/")[2]
    made = {item.key for item in store.listed(prefix) if item.key.endswith(ending)}
    rows = {int(key.removeprefix(prefix).partition("-")[0]) for key in made}
    return cell.row - len({row for row in rows if row < cell.row})
