"""The provider's pace: who waits, for how long, and when a cell gives up."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.unit.memory_store import MemoryStore
from thumbnails.catalog import Order
from thumbnails.errors import ProviderRateLimited, ProviderTooSlow
from thumbnails.images.cell import Image
from thumbnails.images.pace import MOST_STEP_SECONDS, Pause, make_or_wait, turn
from thumbnails.images.providers.answers import Answer
from thumbnails.keys import image_key
from thumbnails.requests.models import Cell
from thumbs.image_api.faults import Fault, FaultBook

GPT = "gpt-image-1"


def cell(row: int = 0, run_id: str = "run-1", **given: Any) -> Cell:
    asked = {"title": f"Title {row}", "model": GPT, "run_id": run_id, "execution": run_id, "row": row}
    return Cell.model_validate({"max_wait_seconds": 900, **asked, **given})


def limited(seconds: float | None) -> Callable[[Order, str], Answer]:
    def generate(_order: Order, _prompt: str) -> Answer:
        raise ProviderRateLimited("too many requests", seconds)

    return generate


def pause(asked: float, store: MemoryStore | None = None, **given: Any) -> Pause:
    found = make_or_wait(cell(**given), store or MemoryStore(), limited(asked))
    assert isinstance(found, Pause)
    return found


def test_a_cell_waits_as_long_as_the_provider_says_and_is_asked_for_again() -> None:
    waiting = pause(6.2)
    assert waiting.seconds == 7
    assert waiting.cell == cell(waits=1, waited_seconds=7)
    # What the state machine hands on is a cell again.
    answer = waiting.as_json()
    assert (answer["wait_seconds"], Cell.model_validate(answer["cell"])) == (7, waiting.cell)


def test_nobody_is_sent_back_at_once() -> None:
    assert pause(0).seconds == 1


def test_cells_come_back_one_by_one() -> None:
    assert [pause(2, row=row).seconds for row in range(4)] == [2, 4, 6, 8]
    # The end of a minute is no pace.
    assert pause(40, row=2).seconds == 40 + 2 * MOST_STEP_SECONDS


def test_rows_that_have_their_image_are_not_waited_for() -> None:
    store = MemoryStore()
    for row, model in [(0, GPT), (2, GPT), (3, "dall-e-3"), (7, GPT)]:
        store.put(image_key("run-1", row, f"Title {row}", model), b"jpeg", "image/jpeg")
    # Of rows 0 to 3 one and three are missing.
    assert pause(2, store, row=4).seconds == 2 + 2 * 2


def test_the_waits_spread_out_from_try_to_try() -> None:
    longest = [max(turn(2, 0, waits) for _ in range(300)) for waits in range(8)]
    assert longest[0] == 2
    bounds = [2 + 2 * (2 ** min(waits, 5) - 1) for waits in range(8)]
    assert all(bound * 0.8 < found <= bound for found, bound in zip(longest[1:], bounds[1:], strict=True))


def test_a_turn_beyond_the_bound_is_tried_at_the_bound() -> None:
    assert pause(12, row=100, max_wait_seconds=60).seconds == 60
    assert pause(12, row=100, max_wait_seconds=60, waits=1, waited_seconds=40).seconds == 20


def test_a_provider_that_asks_for_more_than_the_bound_is_not_waited_for() -> None:
    with pytest.raises(ProviderTooSlow, match=r"asks for 12 s more; this image has waited 49 of the 60 s") as slow:
        make_or_wait(cell(max_wait_seconds=60, waited_seconds=49), MemoryStore(), limited(12))
    assert "max_wait_seconds" in str(slow.value)


@pytest.mark.parametrize(("asked", "bound"), [(None, 900), (12, 0)], ids=["no word of it", "nobody to wait"])
def test_without_a_wait_it_is_an_error_that_is_retried(asked: float | None, bound: int) -> None:
    with pytest.raises(ProviderRateLimited):
        make_or_wait(cell(max_wait_seconds=bound), MemoryStore(), limited(asked))


# Whole runs, in a time of their own.


class Accepted(Exception):
    """The provider has begun to draw."""


@dataclass
class Played:
    """How a run went: when its last image was there, how many have failed, and how often the provider said no."""

    seconds: float = 0.0
    failed: int = 0
    refusals: int = 0


def played(cells: list[Cell], refuses: Callable[[float], float | None], latency: float = 20.0) -> Played:
    """Play the state machine: every cell at once, then as it is told.

    Args:
        cells: the run's.
        refuses: for a moment, what the provider answers: None draws, a number of seconds is a 429.
        latency: seconds that a picture takes.
    """
    store, found, now = MemoryStore(), Played(), 0.0

    def generate(_order: Order, _prompt: str) -> Answer:
        asked = refuses(now)
        if asked is None:
            raise Accepted
        found.refusals += 1
        raise ProviderRateLimited("too many requests", asked)

    order = list(range(len(cells)))
    # (when, order, cell, whether its image is there)
    events: list[tuple[float, int, Cell, bool]] = [(0.0, n, one, False) for n, one in zip(order, cells, strict=True)]
    while events:
        now, n, one, there = heapq.heappop(events)
        if there:
            store.put(image_key(one.run_id, one.row, one.title, one.model), b"jpeg", "image/jpeg")
            found.seconds = now
            continue
        try:
            answer = make_or_wait(one, store, generate)
        except Accepted:
            heapq.heappush(events, (now + latency, n, one, True))
            continue
        except ProviderTooSlow:
            found.failed += 1
            continue
        assert not isinstance(answer, Image)
        # Step Functions and Lambda take their time too.
        heapq.heappush(events, (now + answer.seconds + 0.1, n, answer.cell, False))
    return found


def bucket(calls: int, seconds: float) -> Callable[[float], float | None]:
    """A provider whose quota fills up evenly, as OpenAI's; the offline image API's own."""
    now = 0.0
    book = FaultBook(clock=lambda: now)
    book.add(Fault("rate_limit", pace=calls, per=seconds))

    def refuses(moment: float) -> float | None:
        nonlocal now
        now = moment
        struck = book.strike(GPT, "a prompt")
        return struck.retry_after if struck else None

    return refuses


def window(calls: int, seconds: float) -> Callable[[float], float | None]:
    """A provider whose quota is whole again with each minute, as Gemini's."""
    used: dict[int, int] = {}

    def refuses(moment: float) -> float | None:
        this = int(moment // seconds)
        used[this] = used.get(this, 0) + 1
        return None if used[this] <= calls else (this + 1) * seconds - moment

    return refuses


@pytest.mark.parametrize("provider", [bucket, window])
def test_25_titles_at_five_a_minute_are_25_of_25_in_about_five_minutes(
    provider: Callable[[int, float], Callable[[float], float | None]],
) -> None:
    found = played([cell(row) for row in range(25)], provider(5, 60))
    assert found.failed == 0
    # Twenty cannot know before they are told.
    assert 20 <= found.refusals <= 30
    assert 240 <= found.seconds <= 390


def test_a_run_without_patience_has_what_the_first_minute_gave() -> None:
    found = played([cell(row, max_wait_seconds=5) for row in range(25)], bucket(5, 60))
    assert (found.failed, found.refusals) == (20, 20)


def test_rows_of_a_campaign_which_know_nothing_of_each_other_find_their_turns() -> None:
    rows = [cell(0, f"campaign-{number}") for number in range(20)]
    found = played(rows, bucket(5, 60))
    assert found.failed == 0
    assert found.refusals <= 20 * 6
    assert found.seconds <= 600
