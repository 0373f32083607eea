"""Who gets a place, and when."""

import threading
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from thumbs.localstack.places import Places, fitting_environments

GB = 1 << 30


@pytest.mark.parametrize(
    ("memory", "cores", "fits"),
    [(24 * GB, 2, 64), (2 * GB, 2, 25), (GB // 4, 1, 4), (64 * GB, 16, 512), (4 * GB, 8, 51)],
)
def test_memory_and_cores_bound_the_environments(memory: int, cores: int, fits: int) -> None:
    assert fitting_environments(memory, cores) == fits


class Queue:
    """Calls that wait in threads; ``order`` is the order in which they got a place, and each keeps it until told."""

    def __init__(self, most: int) -> None:
        self.places = Places(most)
        self.order: list[str] = []
        self._changed = threading.Condition()
        self._ends: dict[str, threading.Event] = {}
        self._threads: list[threading.Thread] = []

    def call(self, family: str, name: str, is_wanted: Callable[[], bool] = lambda: True) -> None:
        """Queue up, and return when the call has its number."""
        end = self._ends[name] = threading.Event()

        def work() -> None:
            with self.places.place(family, is_wanted) as placed:
                with self._changed:
                    self.order.append(name if placed else f"{name} not wanted")
                    self._changed.notify_all()
                if placed:
                    end.wait()

        thread = threading.Thread(target=work, daemon=True)
        before = self.places.asked
        thread.start()
        self._threads.append(thread)
        while self.places.asked == before:
            thread.join(0.001)

    def after(self, count: int) -> list[str]:
        """The order, once so many have been told."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.order) >= count, 20)
            return list(self.order)

    def end(self, *names: str) -> None:
        for name in names:
            self._ends[name].set()

    def close(self) -> None:
        self.end(*self._ends)
        for thread in self._threads:
            thread.join(20)


def test_calls_of_one_run_come_in_order_and_no_more_at_once_than_there_are_places() -> None:
    with ExitStack() as stack:
        queue = Queue(2)
        stack.callback(queue.close)
        for name in "abcd":
            queue.call("run", name)
        assert sorted(queue.after(2)) == ["a", "b"]
        assert queue.places.taken == 2
        queue.end("b")
        assert queue.after(3)[2] == "c"
        queue.end("a")
        assert queue.after(4)[3] == "d"
    assert queue.places.taken == 0


def test_a_small_run_does_not_wait_for_the_end_of_a_large_one() -> None:
    with ExitStack() as stack:
        queue = Queue(2)
        stack.callback(queue.close)
        for number in range(6):
            queue.call("campaign", f"large {number}")
        for number in range(2):
            queue.call("small", f"small {number}")
        queue.after(2)
        queue.end(*queue.order)
        # One each, then whoever has fewest.
        assert set(queue.after(4)[2:]) == {"small 0", "large 2"}
        queue.end("large 2")
        assert queue.after(5)[4] == "large 3"
        queue.end("small 0")
        assert queue.after(6)[5] == "small 1"


def test_among_equals_who_came_first_is_first() -> None:
    with ExitStack() as stack:
        queue = Queue(1)
        stack.callback(queue.close)
        for family in ("a", "b", "c"):
            queue.call(family, family)
        for number, family in enumerate(("a", "b", "c"), 1):
            assert queue.after(number)[number - 1] == family
            queue.end(family)


def test_a_call_that_is_no_longer_wanted_takes_no_place() -> None:
    with ExitStack() as stack:
        queue = Queue(1)
        stack.callback(queue.close)
        stopped = threading.Event()
        queue.call("run", "first")
        queue.call("run", "stopped", lambda: not stopped.is_set())
        queue.call("run", "last")
        queue.after(1)
        stopped.set()
        assert queue.after(2)[1] == "stopped not wanted"
        queue.end("first")
        assert queue.after(3)[2] == "last"
