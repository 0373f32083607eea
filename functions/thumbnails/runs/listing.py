"""Runs, newest first, a page at a time.

An execution that resumes a run is that run's newest state, and a campaign's row is the campaign's: neither is a run of
its own, unless they are asked for. Runs that Step Functions has forgotten are older than all that it knows: they
follow, from the bucket, which is read where a page comes to them.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from thumbnails.aws.s3 import Store
from thumbnails.aws.step_functions import Execution, Executions, Status
from thumbnails.requests.models import CAMPAIGN, Kind
from thumbnails.runs.naming import campaign_execution_of, resumed_by
from thumbnails.runs.remembered import remembered, remembered_runs

#: Where a page ended: the start of its last item in seconds, and the execution's name.
Mark = tuple[float, str]


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

    @property
    def mark(self) -> Mark:
        """Where a page ends that ends with this run."""
        return self.started.timestamp(), self.execution


def list_runs(
    executions: Executions, store: Store, most: int, after: Mark | None = None, *, every_execution: bool = False
) -> tuple[list[ListedRun], Mark | None]:
    """A page of runs, and where it ended where more may follow.

    Args:
        executions: of all state machines.
        store: the bucket.
        most: how many a page holds.
        after: where the page before ended. Every page is looked for from the newest on, so that runs which start
            meanwhile shift nothing.
        every_execution: list each execution that resumes a run, and each of a campaign's rows, too.
    """
    page: list[ListedRun] = []
    seen: set[str] = set()
    campaigns: dict[str, bool] = {}
    for run in _runs(executions):
        if run.run_id in seen and not every_execution:
            continue
        seen.add(run.run_id)
        if after is not None and _order(run.mark) <= _order(after):
            continue
        if not every_execution and _is_row(run, executions, campaigns):
            continue
        if len(page) == most:
            return page, page[-1].mark
        page.append(run)
    runs, in_bucket = remembered_runs(store)
    for run_id, started in runs:
        mark = (started.timestamp(), run_id)
        is_row = campaign_execution_of(run_id) in in_bucket and not every_execution
        if run_id in seen or is_row or (after is not None and _order(mark) <= _order(after)):
            continue
        if len(page) == most:
            return page, page[-1].mark
        if found := remembered(run_id, store):
            page.append(ListedRun(run_id, run_id, found.task, found.status, started, found.stopped, forgotten=True))
    return page, None


def _runs(executions: Executions) -> Iterator[ListedRun]:
    every = heapq.merge(
        *(executions.newest_first(task) for task in executions.tasks), key=lambda one: -one.started.timestamp()
    )
    for execution in every:
        run_id, whole = resumed_by(execution.name)
        if not whole:
            run_id = _look_up(execution, executions)
        yield ListedRun(run_id, execution.name, execution.task, execution.status, execution.started, execution.stopped)


def _is_row(run: ListedRun, executions: Executions, campaigns: dict[str, bool]) -> bool:
    """Whether a run is a campaign's row: its execution is named after one of the campaign's.

    Args:
        run: any run.
        executions: of all state machines.
        campaigns: which names are known to be a campaign's execution, or known not to be.
    """
    starter = campaign_execution_of(run.execution) if run.task == "generateThumbnails" else None
    if starter is None or CAMPAIGN not in executions.tasks:
        return False
    if starter not in campaigns:
        campaigns[starter] = executions.find(starter, CAMPAIGN) is not None
    return campaigns[starter]


def _look_up(execution: Execution, executions: Executions) -> str:
    described = executions.find(execution.name, execution.task)
    return described.run_id if described else execution.name


def _order(mark: Mark) -> tuple[float, str]:
    return -mark[0], mark[1]
