"""Runs, newest first, a page at a time: executions that resume a run are the run's, not runs of their own."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from thumbnails.executions import TASKS, Execution, Executions, Status, resumed_by
from thumbnails.request import Task

#: Where a page ended: the start of its last item in seconds, and the execution's name.
Mark = tuple[float, str]


@dataclass(frozen=True)
class ListedRun:
    """A run, as its newest execution shows it."""

    run_id: str
    task: Task
    status: Status
    started: datetime
    stopped: datetime | None
    mark: Mark


def list_runs(executions: Executions, most: int, after: Mark | None) -> tuple[list[ListedRun], Mark | None]:
    """A page of runs, and where it ended where more may follow.

    Args:
        executions: of both state machines.
        most: how many a page holds.
        after: where the page before ended. Every page is looked for from the newest on, so that runs which start
            meanwhile shift nothing.
    """
    page: list[ListedRun] = []
    seen: set[str] = set()
    for run in _runs(executions):
        if run.run_id in seen:
            continue
        seen.add(run.run_id)
        if after is not None and _order(run.mark) <= _order(after):
            continue
        if len(page) == most:
            return page, page[-1].mark
        page.append(run)
    return page, None


def _runs(executions: Executions) -> Iterator[ListedRun]:
    every = heapq.merge(
        *(executions.newest_first(task) for task in TASKS), key=lambda execution: -execution.started.timestamp()
    )
    for execution in every:
        run_id, whole = resumed_by(execution.name)
        if not whole:
            run_id = _look_up(execution, executions)
        mark = (execution.started.timestamp(), execution.name)
        yield ListedRun(run_id, execution.task, execution.status, execution.started, execution.stopped, mark)


def _look_up(execution: Execution, executions: Executions) -> str:
    described = executions.find(execution.name, execution.task)
    return described.run_id if described else execution.name


def _order(mark: Mark) -> tuple[float, str]:
    return -mark[0], mark[1]
