"""Faults of the offline image API: what is taken, which calls are struck, and what is counted."""

from types import SimpleNamespace
from typing import Any

import pytest

from thumbs.image_api.faults import FAULT_NAMES, Fault, FaultBook, InvalidFault, Ledger
from thumbs.image_api.server import ImageApi, Settings


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ([], "JSON object"),
        ({}, "unknown fault None"),
        ({"fault": "meteor"}, "unknown fault 'meteor'"),
        ({"fault": "hang", "colour": 1}, "unknown fields ['colour']"),
        ({"fault": "hang", "rate": 1.5}, "rate is a share"),
        ({"fault": "hang", "rate": float("nan")}, "rate is a number"),
        ({"fault": "hang", "rate": True}, "rate is a number"),
        ({"fault": "hang", "seconds": float("inf")}, "seconds is a number"),
        ({"fault": "hang", "times": -1}, "times is a whole number"),
        ({"fault": "hang", "times": 1.0}, "times is a whole number"),
        ({"fault": "hang", "times": 1, "rate": 0.5}, "exclude each other"),
        ({"fault": "hang", "times": 1, "pace": 5}, "exclude each other"),
        ({"fault": "hang", "pace": 0}, "pace is a whole number"),
        ({"fault": "hang", "pace": 5, "per": 0}, "pace is a whole number"),
        ({"fault": "hang", "model": 3}, "model is a string"),
        ({"fault": "odd_mode", "variant": "sepia"}, "odd_mode has the variants"),
        ({"fault": "hang", "variant": "cmyk"}, "hang has the variants []"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(given: Any, complaint: str) -> None:
    with pytest.raises(InvalidFault) as refused:
        Fault.from_json(given)
    assert complaint in str(refused.value)


@pytest.mark.parametrize("name", FAULT_NAMES)
def test_a_fault_survives_json(name: str) -> None:
    given = {"fault": name, "times": 2, "after": 1, "model": "gpt-image-1", "prompt_contains": "sea"}
    assert Fault.from_json(given).to_json() == given


def struck(book: FaultBook, calls: list[tuple[str, str]]) -> list[str | None]:
    return [fault.fault if (fault := book.strike(*call)) else None for call in calls]


def test_a_fault_without_a_limit_strikes_every_call_and_the_first_in_the_list_decides() -> None:
    book = FaultBook()
    book.add(Fault("server_error", model="dall-e-3"))
    book.add(Fault("rate_limit"))
    assert struck(book, [("gpt-image-1", "a"), ("dall-e-3", "a")]) == ["rate_limit", "server_error"]
    assert [(fault["id"], fault["matched"], fault["struck"]) for fault in book.listed()] == [(1, 1, 1), (2, 1, 1)]


def test_times_after_model_and_prompt_choose_the_calls() -> None:
    book = FaultBook()
    book.add(Fault("reset", times=2, after=1, model="m", prompt_contains="sea"))
    calls = [("m", "a sea"), ("other", "a sea"), ("m", "a hill"), ("m", "a sea"), ("m", "seaside"), ("m", "a sea")]
    assert struck(book, calls) == [None, None, None, "reset", "reset", None]


def test_a_pace_strikes_what_is_faster_and_says_when_to_come_back() -> None:
    now = 0.0
    book = FaultBook(clock=lambda: now)
    book.add(Fault("rate_limit", pace=5, per=60))
    assert struck(book, [("m", "a")] * 7) == [None] * 5 + ["rate_limit"] * 2
    now = 3.5
    answer = book.strike("m", "a")
    assert answer
    # There is one every 12 seconds.
    assert answer.retry_after == 9
    now = 12
    assert struck(book, [("m", "a")] * 2) == [None, "rate_limit"]
    now = 1000
    assert struck(book, [("m", "a")] * 6) == [None] * 5 + ["rate_limit"]


def test_times_each_strikes_the_first_calls_of_every_cell() -> None:
    book = FaultBook()
    book.add(Fault("unavailable", times_each=1))
    calls = [("m", "a"), ("m", "b"), ("n", "a"), ("m", "a"), ("m", "b"), ("n", "a")]
    assert struck(book, calls) == ["unavailable"] * 3 + [None] * 3


def test_a_rate_strikes_its_share_and_does_not_depend_on_the_order_of_calls() -> None:
    calls = [("m", f"prompt {i}") for i in range(400)]

    def hit(seed: int, order: list[tuple[str, str]]) -> set[tuple[str, str]]:
        book = FaultBook(seed)
        book.add(Fault("server_error", rate=0.2))
        return {call for call in order if book.strike(*call)}

    first = hit(7, calls)
    assert 50 <= len(first) <= 110
    assert hit(7, calls[::-1]) == first
    assert hit(8, calls) != first


def test_a_rate_decides_anew_for_a_retry_and_the_same_after_a_clear() -> None:
    def run(book: FaultBook) -> list[str | None]:
        book.clear()
        book.add(Fault("hang", rate=0.5))
        return struck(book, [("m", "a")] * 40)

    book = FaultBook()
    first = run(book)
    assert {None, "hang"} == set(first)
    assert run(book) == first


def test_one_fault_can_be_taken_back() -> None:
    book = FaultBook()
    first, second = book.add(Fault("reset")), book.add(Fault("hang"))
    assert book.remove(first)
    assert not book.remove(first)
    assert [fault["id"] for fault in book.listed()] == [second]


def test_the_ledger_counts_by_model_and_prompt_and_keeps_the_peak() -> None:
    ledger = Ledger()
    for prompt in ("a", "a", "b"):
        ledger.arrive("m", prompt)
    ledger.pay("m", "a")
    ledger.leave()
    ledger.leave()
    counted = ledger.to_json()
    assert (counted["requests"], counted["paid"], counted["in_flight"], counted["peak_concurrency"]) == (3, 1, 1, 3)
    assert counted["by_model"] == {"m": {"requests": 3, "paid": 1}}
    assert {"model": "m", "prompt": "a", "requests": 2, "paid": 1} in counted["by_prompt"]
    ledger.clear()
    assert ledger.to_json()["requests"] == 0
    assert ledger.to_json()["peak_concurrency"] == 1


def test_the_ledger_knows_how_long_calls_kept_coming(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, clock = Ledger(), iter([100.0, 100.4, 102.5, 200.0])
    monkeypatch.setattr("thumbs.image_api.faults.time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert ledger.to_json()["seconds"] == 0
    for number in range(3):
        ledger.arrive("gpt-image-1", f"title {number}")
    assert ledger.to_json()["seconds"] == 2.5
    ledger.clear()
    ledger.arrive("gpt-image-1", "another")
    assert ledger.to_json()["seconds"] == 0


@pytest.mark.parametrize(
    "given",
    [
        [],
        {"speed": 1},
        {"latency": -1},
        {"latency": "1"},
        {"jitter": float("nan")},
        {"seed": 1.5},
        {"rejected_keys": [""]},
        {"flagged_marker": None},
    ],
)
def test_settings_that_make_no_sense_are_refused(given: Any) -> None:
    with pytest.raises(InvalidFault):
        Settings().changed(given)


def test_settings_keep_what_is_not_given() -> None:
    assert Settings(latency=2.0).changed({"seed": 3}) == Settings(latency=2.0, seed=3)


def test_a_seed_begins_the_jitter_anew() -> None:
    api = ImageApi()

    def latencies() -> list[float]:
        api._put_settings({"latency": 8, "jitter": 12, "seed": 25})
        return [api._seconds() for _ in range(50)]

    first = latencies()
    assert first == latencies()
    assert 8 <= min(first) < 9
    assert 19 < max(first) <= 20
