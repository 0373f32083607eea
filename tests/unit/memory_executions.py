"""Step Functions in memory: executions start, and tests say how they go on."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

from tests.unit.memory_store import NEW_YEAR
from thumbnails.aws.step_functions import Execution, Executions, RowCounts
from thumbnails.requests.models import Kind


class MemoryExecutions(Executions):
    """Keeps executions in a dict, each a second younger than the one before.

    Attributes:
        all: every execution by its name, oldest first.
        events: the history of an execution, by its name.
        calls: how often it was asked to list or to find executions.
        rows: how far the rows of a campaign's execution are, by its name.
    """

    def __init__(self) -> None:
        self._machines = {task: f"arn:aws:states:r:1:stateMachine:{task}" for task in get_args(Kind)}
        self.rows: dict[str, RowCounts] = {}
        self.all: dict[str, Execution] = {}
        self.calls: Counter[str] = Counter()
        self.events: dict[str, list[Mapping[str, Any]]] = {}

    def start(self, task: Kind, name: str, request: object) -> bool:
        there = self.all.get(name)
        if there:
            return there.is_running and there.request == request
        # A day younger than what a store in memory has from the start.
        started = NEW_YEAR + timedelta(days=1) + timedelta(seconds=len(self.all))
        self.all[name] = Execution(name, task, "RUNNING", started, request=request)
        return True

    def end(self, name: str, **how: Any) -> None:
        """Let an execution end: ``status``, and what it then has."""
        self.all[name] = replace(self.all[name], stopped=self.all[name].started, **how)

    def find(self, name: str, task: Kind | None = None) -> Execution | None:
        self.calls["find"] += 1
        found = self.all.get(name)
        return found if found and task in (None, found.task) else None

    def newest_first(self, task: Kind, *, running: bool = False, at_once: int = 1000) -> Iterator[Execution]:
        there = [one for one in reversed(self.all.values()) if one.task == task and (one.is_running or not running)]
        there.sort(key=lambda one: one.started, reverse=True)
        for count, execution in enumerate(there or [None]):
            # A call for each page, and one where there is nothing.
            self.calls["list"] += count % at_once == 0
            if execution:
                yield replace(execution, request=None, output=None)

    def history(self, execution: Execution) -> Iterable[Mapping[str, Any]]:
        return self.events.get(execution.name, [])

    def stop(self, execution: Execution) -> None:
        self.end(execution.name, status="ABORTED", error="Stopped", cause="stopped by a person")

    def row_counts(self, execution: Execution) -> RowCounts:
        return self.rows.get(execution.name, RowCounts())
