"""Faults set from outside, which call each one strikes, and the count of calls that tests read.

Nothing here knows HTTP. Whether a fault with a ``rate`` strikes is decided by a generator seeded with the seed, the
fault, the model, the prompt and how often that pair has called: it never depends on which of 50 concurrent calls came
first.
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from math import ceil
from typing import Any, Literal, get_args

FaultName = Literal[
    "rate_limit",
    "insufficient_quota",
    "server_error",
    "unavailable",
    "key_rejected",
    "forbidden",
    "refusal",
    "not_json",
    "no_picture",
    "hang",
    "reset",
    "broken_json",
    "truncated_picture",
    "not_a_picture",
    "huge_picture",
    "odd_mode",
    "batch_failed",
    "batch_expired",
    "batch_cancelled",
    "batch_lost",
]
FAULT_NAMES: tuple[FaultName, ...] = get_args(FaultName)

VARIANTS: dict[FaultName, tuple[str, ...]] = {
    "odd_mode": ("cmyk", "palette", "16bit", "alpha", "gray", "gray_alpha", "one_bit"),
    "refusal": (
        "moderation_blocked",
        "content_policy_violation",
        "prompt_blocked",
        "IMAGE_SAFETY",
        "PROHIBITED_CONTENT",
        "SAFETY",
        "Filter reason: prompt",
        "Filter reason: output image",
    ),
    "unavailable": ("not_ready",),
    "no_picture": ("empty", "text", "null"),
}


class InvalidFault(ValueError):
    """A fault, or a setting, that the control API cannot take. The message says why."""


@dataclass(frozen=True)
class Fault:
    """One fault and the calls that it strikes.

    It strikes the calls that ``model`` and ``prompt_contains`` let through, past the first ``after`` of them: the next
    ``times``, or the first ``times_each`` of every (model, prompt), or a share ``rate`` of them, or those that come
    faster than ``pace`` calls in ``per`` seconds, or 60; with none of these, all. A pace is a bucket of so many tokens
    that fills up evenly, and sets ``retry_after``, in whole seconds, to when there is one.
    """

    fault: FaultName
    rate: float | None = None
    times: int | None = None
    times_each: int | None = None
    pace: int | None = None
    per: float | None = None
    after: int = 0
    model: str | None = None
    prompt_contains: str | None = None
    variant: str = ""
    retry_after: float | None = None
    delay: float | None = None
    seconds: float | None = None

    @classmethod
    def from_json(cls, value: Any) -> "Fault":
        """A fault from the control API's JSON, checked."""
        if not isinstance(value, dict):
            raise InvalidFault("a fault is a JSON object")
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(value) - known):
            raise InvalidFault(f"unknown fields {unknown}; a fault has {sorted(known)}")
        given = {name: item for name, item in value.items() if item is not None}
        name = given.get("fault")
        if name not in FAULT_NAMES:
            raise InvalidFault(f"unknown fault {name!r}; there are {', '.join(FAULT_NAMES)}")
        for field in ("rate", "per", "retry_after", "delay", "seconds"):
            _number(given, field)
        for field in ("times", "times_each", "after"):
            if field in given and (type(given[field]) is not int or given[field] < 0):
                raise InvalidFault(f"{field} is a whole number, 0 or more")
        for field in ("model", "prompt_contains", "variant"):
            if field in given and not isinstance(given[field], str):
                raise InvalidFault(f"{field} is a string")
        if "pace" in given and (type(given["pace"]) is not int or given["pace"] < 1 or not given.get("per", 1)):
            raise InvalidFault("pace is a whole number of calls, 1 or more, in per seconds, more than 0")
        if not 0 <= given.get("rate", 0) <= 1:
            raise InvalidFault("rate is a share from 0 to 1")
        if sum(field in given for field in ("rate", "times", "times_each", "pace")) > 1:
            raise InvalidFault("rate, times, times_each and pace exclude each other")
        variants = VARIANTS.get(name, ())
        if given.get("variant") and given["variant"] not in variants:
            raise InvalidFault(f"{name} has the variants {list(variants)}")
        return cls(**given)

    def to_json(self) -> dict[str, Any]:
        """The fault as the control API shows it, without what it leaves open."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "")}


def _number(given: dict[str, Any], field: str) -> None:
    value = given.get(field, 0)
    # A NaN fails the comparison as well.
    if type(value) not in (int, float) or not 0 <= value < float("inf"):
        raise InvalidFault(f"{field} is a number, 0 or more")


class FaultBook:
    """The faults that are set, in order; the first that strikes a call decides its answer."""

    def __init__(self, seed: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self.seed = seed
        self._clock = clock
        self._entries: dict[int, _Entry] = {}
        self._next_id = 1

    def add(self, fault: Fault) -> int:
        """Set a fault and return its number."""
        number = self._next_id
        self._next_id += 1
        self._entries[number] = _Entry(fault, self._clock)
        return number

    def remove(self, number: int) -> bool:
        """Take one fault back; False if there is none of that number."""
        return self._entries.pop(number, None) is not None

    def clear(self) -> None:
        """Take every fault back and number the next one 1, so that the same faults decide the same again."""
        self._entries.clear()
        self._next_id = 1

    def holds(self, fault: Fault) -> bool:
        """Whether this very fault is still set."""
        return any(entry.fault is fault for entry in self._entries.values())

    def listed(self) -> list[dict[str, Any]]:
        """Every fault with its number and how many calls it matched and struck."""
        return [
            {"id": number, **entry.fault.to_json(), "matched": entry.matched, "struck": entry.struck}
            for number, entry in self._entries.items()
        ]

    def strike(self, model: str, prompt: str) -> Fault | None:
        """The fault that strikes this call, if one does. Every call is asked about exactly once."""
        struck: Fault | None = None
        for number, entry in self._entries.items():
            if struck is None and entry.strikes(f"{self.seed}/{number}", model, prompt):
                struck = entry.answer
        return struck


class _Entry:
    def __init__(self, fault: Fault, clock: Callable[[], float]) -> None:
        self.fault = fault
        #: The fault as the last call that it struck is answered.
        self.answer = fault
        self._clock = clock
        self._tokens = float(fault.pace or 0)
        self._filled = clock()
        self.matched = 0
        self.struck = 0
        self._matched_each: Counter[tuple[str, str]] = Counter()

    def strikes(self, seed: str, model: str, prompt: str) -> bool:
        fault = self.fault
        if fault.model not in (None, model) or (fault.prompt_contains or "") not in prompt:
            return False
        self.matched += 1
        self._matched_each[model, prompt] += 1
        nth = self._matched_each[model, prompt]
        if self.matched <= fault.after:
            hit = False
        elif fault.times is not None:
            hit = self.struck < fault.times
        elif fault.times_each is not None:
            hit = nth <= fault.times_each
        elif fault.pace is not None:
            hit = self._too_fast(fault.pace, fault.pace / (fault.per or 60.0))
        elif fault.rate is not None:
            hit = random.Random(f"{seed}/{model}/{prompt}/{nth}").random() < fault.rate  # noqa: S311 (no secret)
        else:
            hit = True
        self.struck += hit
        return hit

    def _too_fast(self, most: int, per_second: float) -> bool:
        now = self._clock()
        self._tokens = min(most, self._tokens + (now - self._filled) * per_second)
        self._filled = now
        # As many as were counted together make one, whatever is lost in the addition.
        if self._tokens > 1 - 1e-9:
            self._tokens -= 1
            return False
        self.answer = replace(self.fault, retry_after=float(ceil((1 - self._tokens) / per_second)))
        return True


class Ledger:
    """How many calls came in, and how many a provider would bill, by model and by (model, prompt)."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str]] = Counter()
        self._paid: Counter[tuple[str, str]] = Counter()
        self._in_flight = 0
        self._peak = 0
        self._first = self._last = 0.0

    def clear(self) -> None:
        """Forget the counts; calls in flight stay in flight."""
        self._requests.clear()
        self._paid.clear()
        self._peak = self._in_flight

    def arrive(self, model: str, prompt: str) -> None:
        """A call came in."""
        self._last = time.monotonic()
        if not self._requests:
            self._first = self._last
        self._requests[model, prompt] += 1
        self._in_flight += 1
        self._peak = max(self._peak, self._in_flight)

    def leave(self) -> None:
        """A call was answered, or its client went away."""
        self._in_flight -= 1

    def pay(self, model: str, prompt: str) -> None:
        """A provider would bill this call."""
        self._paid[model, prompt] += 1

    def to_json(self) -> dict[str, Any]:
        """The counts as ``GET /_control/calls`` answers them."""
        by_model: dict[str, dict[str, int]] = {}
        for name, counts in (("requests", self._requests), ("paid", self._paid)):
            for (model, _), count in counts.items():
                by_model.setdefault(model, {"requests": 0, "paid": 0})[name] += count
        return {
            "requests": self._requests.total(),
            "paid": self._paid.total(),
            "in_flight": self._in_flight,
            "peak_concurrency": self._peak,
            "seconds": round(self._last - self._first, 3) if self._requests else 0.0,
            "by_model": by_model,
            "by_prompt": [
                {"model": model, "prompt": prompt, "requests": count, "paid": self._paid[model, prompt]}
                for (model, prompt), count in self._requests.items()
            ],
        }
