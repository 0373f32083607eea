"""Runs, newest first, a page at a time.

Two lists are merged by the moments at which executions began: that of Step Functions, which knows a run from its first
moment on and one that is refused too, and the bucket's index, which knows what Step Functions has forgotten. An
execution that resumes a run is that run's newest state, and a campaign's row is the campaign's: neither is a run of its
own, unless they are asked for.

A page costs the same whatever else is stored: of each state machine it looks through a thousand executions at most, and
what is older comes from the index, where a page begins at the place at which the one before it ended.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from itertools import groupby, islice

from thumbnails.aws.s3 import Store
from thumbnails.aws.step_functions import Execution, Executions, Status
from thumbnails.keys import BEGUN, GALLERY, LAST_MOMENT, index_key, milliseconds, moment_in
from thumbnails.requests.models import CAMPAIGN, Kind
from thumbnails.runs.begun import entries_after, index_stored_runs, is_campaign_in, is_row, run_in
from thumbnails.runs.naming import campaign_execution_of, resumed_by
from thumbnails.runs.remembered import recall

#: Where a page ended: the start of its last item in milliseconds since 1970, and the run's id.
Mark = tuple[float, str]
#: Executions of each state machine that are looked through for a page; a campaign has half a million rows.
MOST_EXECUTIONS = 1000
#: How many a first page asks for at once: most of those who look want the newest.
FEW_EXECUTIONS = 100
#: Runs of the index that a page looks at beyond those it has room for: those that were resumed since, or deleted.
MOST_PASSED_OVER = 100


@dataclass(frozen=True)
class ListedRun:
    """A run, as its newest execution shows it; ``execution`` is that one's name, the run's where it is forgotten."""

    run_id: str
    execution: str
    task: Kind
    status: Status
    started: datetime
    stopped: datetime | None
    forgotten: bool = False


@dataclass(frozen=True)
class _Place:
    """Where a list has a run: what Step Functions says of it, or its key in an index of the bucket."""

    moment: datetime
    run_id: str
    run: ListedRun | None = None
    key: str = ""

    @property
    def mark(self) -> Mark:
        return float(milliseconds(self.moment)), self.run_id


def list_runs(
    executions: Executions, store: Store, most: int, after: Mark | None = None, *, every_execution: bool = False
) -> tuple[list[ListedRun], Mark | None]:
    """A page of runs, and where it ended where more may follow.

    A page may end before it is full, where many of the runs that it looks at have been deleted.

    Args:
        executions: of all state machines.
        store: the bucket. The first page of all gives runs from before there was an index their places in it.
        most: how many a page holds.
        after: where the page before ended. Every page is looked for from Step Functions' newest execution on, so that
            runs which start or are resumed meanwhile shift nothing.
        every_execution: list each execution that resumes a run, and each of a campaign's rows, too.
    """
    if after is None:
        index_stored_runs(store, lambda: _started(executions))
    elif not 0 <= after[0] <= LAST_MOMENT:
        return [], None  # No page ended there.
    places = _Places(executions, store, most, after, every_execution)
    page: list[ListedRun] = []
    passed_over = 0
    ended = after
    for place in places:
        if len(page) == most or passed_over == MOST_PASSED_OVER:
            return page, ended
        if run := place.run or places.read(place):
            page.append(run)
        else:
            passed_over += 1
        ended = place.mark
    return page, None


def newest_names(executions: Executions, store: Store, most: int) -> list[str]:
    """The ids of the newest runs, newest first, without a look at each."""
    index_stored_runs(store, lambda: _started(executions))
    return [place.run_id for place in islice(_Places(executions, store, most, None, False), most)]


class _Places:
    """The runs behind a mark, newest first, each once.

    Args:
        executions: of all state machines.
        store: the bucket.
        most: how many are wanted.
        after: the mark; None for the newest.
        every: each execution, and each of a campaign's rows.
    """

    def __init__(self, executions: Executions, store: Store, most: int, after: Mark | None, every: bool) -> None:
        self._executions = executions
        self._store = store
        self._at_once = min(1000, max(FEW_EXECUTIONS, most + 1))
        self._after = after
        self._every = every
        #: The state machines of which not every execution was seen so far.
        self._unread = set(executions.tasks)

    def __iter__(self) -> Iterator[_Place]:
        seen: set[str] = set()
        is_campaign = cache(lambda name: self._executions.find(name, CAMPAIGN) is not None)
        for place in heapq.merge(self._known(), *self._indexed(), key=_order):
            if place.run_id in seen and not (self._every and place.run):
                continue
            seen.add(place.run_id)
            if self._after is not None and _order(place) <= _order_of(self._after):
                continue
            if place.run and not self._every and self._is_row(place.run, is_campaign):
                continue
            yield place

    def read(self, place: _Place) -> ListedRun | None:
        """A run of the index as its newest execution shows it; None where it has a later place, or is not there."""
        found = recall(place.run_id, self._store)
        if found is None:
            return None
        execution, entry = found
        if entry and place.key.startswith(BEGUN) and entry != place.key:
            return None
        # Where every execution was seen, this one was not among them.
        known = self._executions.find(execution.name, execution.task) if self._unread else None
        if known and self._every:
            return None
        run = _listed(place.run_id, known or execution)
        return run if known else replace(run, execution=place.run_id, started=place.moment, forgotten=True)

    def _known(self) -> Iterator[_Place]:
        every = heapq.merge(*map(self._newest, self._executions.tasks), key=lambda one: -milliseconds(one.started))
        # Executions of one millisecond have no order of their own, and pages need one.
        for _, together in groupby(every, lambda one: milliseconds(one.started)):
            yield from sorted((_place(one, self._executions) for one in together), key=_order)

    def _newest(self, task: Kind) -> Iterator[Execution]:
        at_once = self._at_once if self._after is None and not self._every else 1000
        most = None if self._every else MOST_EXECUTIONS
        count = 0
        for execution in islice(self._executions.newest_first(task, at_once=at_once), most):
            count += 1
            yield execution
        if count != most:
            self._unread.discard(task)

    def _indexed(self) -> Iterator[Iterator[_Place]]:
        yield self._entries(BEGUN)
        if self._every:
            # Rows are in no index of runs, but in that of the gallery.
            is_campaign = is_campaign_in(self._store)
            yield (place for place in self._entries(GALLERY) if is_row(place.run_id, is_campaign))

    def _entries(self, index: str) -> Iterator[_Place]:
        after = index_key(index, int(self._after[0]), self._after[1]) if self._after else index
        for key in entries_after(self._store, index, after, self._at_once):
            if moment := moment_in(key):
                yield _Place(moment, run_in(key), key=key)

    def _is_row(self, run: ListedRun, is_campaign: Callable[[str], bool]) -> bool:
        """Whether a run is a campaign's row: its execution is named after one of the campaign's."""
        starter = campaign_execution_of(run.execution) if run.task == "generateThumbnails" else None
        return starter is not None and CAMPAIGN in self._executions.tasks and is_campaign(starter)


def _started(executions: Executions) -> dict[str, datetime]:
    """When the newest execution of each run began that Step Functions knows."""
    started: dict[str, datetime] = {}
    for task in executions.tasks:
        for execution in executions.newest_first(task):
            started.setdefault(_place(execution, executions).run_id, execution.started)
    return started


def _place(execution: Execution, executions: Executions) -> _Place:
    run_id, whole = resumed_by(execution.name)
    if not whole:
        described = executions.find(execution.name, execution.task)
        run_id = described.run_id if described else execution.name
    return _Place(execution.started, run_id, _listed(run_id, execution))


def _listed(run_id: str, execution: Execution) -> ListedRun:
    return ListedRun(run_id, execution.name, execution.task, execution.status, execution.started, execution.stopped)


def _order(place: _Place) -> tuple[float, str]:
    return _order_of(place.mark)


def _order_of(mark: Mark) -> tuple[float, str]:
    return -mark[0], mark[1]
