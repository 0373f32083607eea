"""The day's budget: what a run may pay is reserved before it is accepted, and settled to what it paid when it ends.

One object of the bucket holds a UTC day. S3 writes it only over what the writer has read (``If-Match``,
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html), so that runs which start at the same
moment cannot pass the budget together. A run counts on the day on which it was accepted. What an execution has reserved
and never settled, because it was stopped or lost, stays until that day ends, or until the run is resumed on it.
"""

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from thumbnails.aws.s3 import Store
from thumbnails.errors import DailyBudgetExceeded, StorageUnavailable
from thumbnails.keys import budget_key

#: Writers of one day that may be faster before one gives up; the state machine tries again then.
TRIES = 100
#: The longest wait between two of them, in seconds.
WAIT_SECONDS = 0.2
#: US dollars have this many decimals here: a millionth of one is less than any call costs.
DECIMALS = 6
#: Of a stored request's metadata: the day on which its newest execution has reserved.
BUDGET_DAY = "budget-day"


@dataclass(frozen=True)
class Day:
    """A day's money, in US dollars.

    Attributes:
        date: the UTC day in ISO form.
        limit_usd: what may be paid in it; 0 for no limit.
        paid_usd: what runs have paid that have ended.
        reserved: what each execution may still pay, by its name.
    """

    date: str
    limit_usd: float
    paid_usd: float = 0.0
    reserved: dict[str, float] = field(default_factory=dict)

    @property
    def reserved_usd(self) -> float:
        """What executions may still pay."""
        return round(sum(self.reserved.values()), DECIMALS)

    @property
    def left_usd(self) -> float:
        """What may still be reserved; never less than nothing."""
        return max(0.0, round(self.limit_usd - self.paid_usd - self.reserved_usd, DECIMALS))

    @property
    def ends(self) -> datetime:
        """When the budget starts anew."""
        return datetime.fromisoformat(self.date).replace(tzinfo=UTC) + timedelta(days=1)


@dataclass(frozen=True)
class Reservation:
    """What an execution may pay, and the day on which it counts; no day where there is no budget."""

    date: str
    usd: float


def utc_now() -> datetime:
    """The time by this machine's clock."""
    return datetime.now(UTC)


class Budget:
    """What all runs together may pay in a UTC day.

    Args:
        store: the bucket; None where there is no limit.
        limit_usd: US dollars; 0 for no limit, and then nothing is counted.
        now: tells the time.
    """

    def __init__(self, store: Store | None, limit_usd: float, now: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._limit = limit_usd
        self._now = now

    @property
    def is_set(self) -> bool:
        """Whether there is a limit."""
        return self._limit > 0 and self._store is not None

    def today(self) -> Day:
        """The day as it stands."""
        day, _ = self._read(self._now().date().isoformat())
        return day

    def check(self, usd: float) -> None:
        """Refuse what today's budget does not hold any more. Nothing is reserved: only ``reserve`` has the last word.

        Raises:
            DailyBudgetExceeded: there is less left.
        """
        if self.is_set and round(usd, DECIMALS) > (day := self.today()).left_usd:
            raise _exceeded(usd, day)

    def reserve(self, execution: str, usd: float, *, least: float | None = None, ended: str = "") -> Reservation:
        """Reserve what an execution may pay, before it pays anything; once, however often it is asked for.

        Args:
            execution: its name.
            usd: what it pays at most, in US dollars.
            least: take what is left where that is less than ``usd``, and at least this.
            ended: an execution of the same run that has ended. What it has reserved and never settled, less what is to
                be made again, is what it paid.

        Returns:
            What is reserved; ``usd``, or less where ``least`` allows it.

        Raises:
            DailyBudgetExceeded: there is less left.
        """
        if not self.is_set:
            return Reservation("", usd)
        date = self._now().date().isoformat()
        taken = usd = round(usd, DECIMALS)

        def take(day: Day) -> Day | None:
            nonlocal taken
            if execution in day.reserved:
                taken = day.reserved[execution]
                return None
            reserved, paid = dict(day.reserved), day.paid_usd
            if ended in reserved:
                paid += max(0.0, reserved.pop(ended) - usd)
            left = Day(date, self._limit, paid, reserved).left_usd
            taken = round(min(usd, left) if least is not None else usd, DECIMALS)
            if taken > left or (least is not None and taken < min(least, usd)):
                raise _exceeded(usd if least is None else least, day)
            return Day(date, self._limit, paid, {**reserved, execution: taken})

        self._change(date, take)
        return Reservation(date, taken)

    def settle(self, date: str, execution: str, usd: float) -> None:
        """Count what an execution paid in place of what it reserved; once, however often it is told.

        Args:
            date: the day on which it has reserved; empty where there was no budget.
            execution: its name.
            usd: what it paid, in US dollars.
        """
        if not date:
            return

        def give_back(day: Day) -> Day | None:
            if execution not in day.reserved:
                return None
            reserved = {name: kept for name, kept in day.reserved.items() if name != execution}
            return Day(date, day.limit_usd, day.paid_usd + usd, reserved)

        self._change(date, give_back)

    @property
    def _bucket(self) -> Store:
        if self._store is None:
            raise ValueError("a budget without a bucket counts nothing")
        return self._store

    def _change(self, date: str, change: Callable[[Day], Day | None]) -> None:
        """Write a day as ``change`` makes it of the one that stands; None leaves it as it is."""
        for _ in range(TRIES):
            before, etag = self._read(date)
            after = change(before)
            if after is None:
                return
            value: dict[str, Any] = {
                "paid_usd": round(after.paid_usd, DECIMALS),
                "reserved": {name: round(usd, DECIMALS) for name, usd in after.reserved.items()},
            }
            body = json.dumps(value, ensure_ascii=False, indent=2).encode()
            if self._bucket.put_over(budget_key(date), body, "application/json", etag):
                return
            # Somebody else was faster. Those who wait wait differently long.
            time.sleep(WAIT_SECONDS * secrets.randbelow(1000) / 1000)
        raise StorageUnavailable(f"the budget of {date} is being written by too many at once")

    def _read(self, date: str) -> tuple[Day, str]:
        stored = self._bucket.get(budget_key(date))
        if stored is None:
            return Day(date, self._limit), ""
        value = json.loads(stored.body)
        return Day(date, self._limit, value["paid_usd"], value["reserved"]), stored.etag


#: For whoever counts nothing.
NO_BUDGET = Budget(None, 0)


def _exceeded(usd: float, day: Day) -> DailyBudgetExceeded:
    return DailyBudgetExceeded(usd, day.left_usd, day.limit_usd, day.ends)
