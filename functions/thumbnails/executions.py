"""Step Functions: executions of the two state machines, and how those that resume a run are named."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, get_args

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from thumbnails.errors import OrchestrationUnavailable
from thumbnails.request import RUN_ID, Task

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

P = ParamSpec("P")
R = TypeVar("R")

#: As Step Functions names them.
Status = Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"]
TASKS: tuple[Task, ...] = get_args(Task)
NAME_CHARACTERS = 80
_NOT_THERE = ("ExecutionDoesNotExist", "InvalidArn", "InvalidName", "ValidationException")
_SUFFIX = "-redrive-"
_ROOM = NAME_CHARACTERS - len(_SUFFIX) - 5
_REDRIVE = re.compile(rf"(.+){_SUFFIX}[0-9a-f]{{4}}")


def redrive_name(run_id: str, newest: str) -> str:
    """What the execution that resumes a run is called.

    Args:
        run_id: the run.
        newest: the run's newest execution so far. Two who resume it at the same time choose the same name, and Step
            Functions starts one execution for both.
    """
    return f"{run_id[:_ROOM]}{_SUFFIX}{hashlib.sha256(newest.encode()).hexdigest()[:4]}"


def may_resume(name: str, run_id: str) -> bool:
    """Whether an execution's name is one that resumes a run; a long id stands in it shortened."""
    found = _REDRIVE.fullmatch(name)
    return bool(found and found[1] == run_id[:_ROOM])


def resumed_by(name: str) -> tuple[str, bool]:
    """The run that an execution of this name makes or resumes, and whether that is the run's whole id."""
    found = _REDRIVE.fullmatch(name)
    return (found[1], len(found[1]) < _ROOM) if found else (name, True)


def run_of(request: object, name: str) -> str:
    """The run that an execution of this name and input makes, or resumes."""
    resumed = request.get("resume") if isinstance(request, dict) else None
    # What is no run's id was refused, and leads nowhere.
    return resumed if isinstance(resumed, str) and re.fullmatch(RUN_ID, resumed) else name


@dataclass(frozen=True)
class Execution:
    """An execution as Step Functions describes it; a listing has neither input, nor output, nor error."""

    name: str
    task: Task
    status: Status
    started: datetime
    stopped: datetime | None = None
    request: Any = None
    output: Any = None
    error: str = ""
    cause: str = ""

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.status == "RUNNING"

    @property
    def run_id(self) -> str:
        """The run that it makes, or resumes."""
        return run_of(self.request, self.name)


def _as_own_error(call: Callable[P, R]) -> Callable[P, R]:
    @wraps(call)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return call(*args, **kwargs)
        except (BotoCoreError, ClientError) as error:
            what = call.__name__.strip("_").replace("_", " ")
            raise OrchestrationUnavailable(f"Step Functions could not {what}: {error}") from error

    return wrapper


class Executions:
    """The executions of both state machines.

    Args:
        machines: each task's ARN.
    """

    def __init__(self, machines: Mapping[Task, str]) -> None:
        config = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=5, read_timeout=10)
        self._machines = machines
        self._client: SFNClient = boto3.client("stepfunctions", config=config)

    @_as_own_error
    def start(self, task: Task, name: str, request: object) -> bool:
        """Start an execution; False where an execution of this name has another input or has ended."""
        try:
            self._client.start_execution(stateMachineArn=self._machines[task], name=name, input=json.dumps(request))
        except self._client.exceptions.ExecutionAlreadyExists:
            return False
        return True

    @_as_own_error
    def find(self, name: str, task: Task | None = None) -> Execution | None:
        """The execution of this name, or None; of either task where none is named."""
        for kind in (task,) if task else TASKS:
            try:
                answer = self._client.describe_execution(executionArn=self._arn(kind, name))
            except ClientError as error:
                # A name that no execution may have is one that none has.
                if error.response.get("Error", {}).get("Code") in _NOT_THERE:
                    continue
                raise
            return Execution(
                name=name,
                task=kind,
                status=answer["status"],
                started=answer["startDate"],
                stopped=answer.get("stopDate"),
                request=json.loads(answer.get("input") or "null"),
                output=json.loads(answer.get("output") or "null"),
                error=answer.get("error", ""),
                cause=answer.get("cause", ""),
            )
        return None

    def newest_first(self, task: Task, *, running: bool = False) -> Iterator[Execution]:
        """A task's executions, listed as they are asked for."""
        token: str | None = None
        while True:
            page, token = self._list(task, running, token)
            yield from page
            if not token:
                return

    @_as_own_error
    def _list(self, task: Task, running: bool, token: str | None) -> tuple[list[Execution], str | None]:
        choice: Any = {"statusFilter": "RUNNING"} if running else {}
        if token:
            choice["nextToken"] = token
        answer = self._client.list_executions(stateMachineArn=self._machines[task], maxResults=1000, **choice)
        found = [
            Execution(item["name"], task, item["status"], item["startDate"], item.get("stopDate"))
            for item in answer["executions"]
        ]
        return found, answer.get("nextToken")

    @_as_own_error
    def history(self, execution: Execution) -> Iterable[Mapping[str, Any]]:
        """Every event of an execution so far, oldest first."""
        pages = self._client.get_paginator("get_execution_history").paginate(
            executionArn=self._arn(execution.task, execution.name), PaginationConfig={"PageSize": 1000}
        )
        return [event for page in pages for event in page["events"]]

    @_as_own_error
    def stop(self, execution: Execution) -> None:
        """Stop a running execution; images that are finished stay."""
        self._client.stop_execution(
            executionArn=self._arn(execution.task, execution.name), error="Stopped", cause="stopped by a person"
        )

    def _arn(self, task: Task, name: str) -> str:
        return self._machines[task].replace(":stateMachine:", ":execution:") + f":{name}"


@lru_cache(maxsize=1)
def executions() -> Executions:
    """Those of the state machines that the environment names; one client for the life of the process."""
    return Executions(
        {
            "generateBatch": os.environ["GENERATE_BATCH_ARN"],
            "generateThumbnails": os.environ["GENERATE_THUMBNAILS_ARN"],
        }
    )
