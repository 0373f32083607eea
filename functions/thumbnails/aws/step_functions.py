"""Step Functions: executions of the three state machines, started, found, listed, read and stopped."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Self, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from thumbnails.errors import InvalidBatch, OrchestrationUnavailable, quoted
from thumbnails.requests.models import Kind
from thumbnails.runs.naming import run_of

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

P = ParamSpec("P")
R = TypeVar("R")

#: As Step Functions names them.
Status = Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"]
CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=5, read_timeout=10)
#: Step Functions' own limit for an execution's input, in bytes.
INPUT_BYTES = 262_144
#: A name that no execution may have is one that none has.
_NOT_THERE = ("ExecutionDoesNotExist", "InvalidArn", "InvalidName", "ValidationException")
_REFUSED_INPUT = ("InvalidExecutionInput", "ValidationException")


@dataclass(frozen=True)
class Execution:
    """An execution as Step Functions describes it; a listing has neither input, nor output, nor error.

    Attributes:
        forgotten: Step Functions no longer knows it: it is put together from what the bucket holds, and has no history.
    """

    name: str
    task: Kind
    status: Status
    started: datetime
    stopped: datetime | None = None
    request: Any = None
    output: Any = None
    error: str = ""
    cause: str = ""
    forgotten: bool = False

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.status == "RUNNING"

    @property
    def run_id(self) -> str:
        """The run that it makes, or resumes."""
        return run_of(self.request, self.name)


@dataclass(frozen=True)
class RowCounts:
    """How many of a Distributed Map's rows are under way, done, and done without an image."""

    running: int = 0
    done: int = 0
    failed: int = 0


def input_of(request: object) -> str:
    """A request as an execution's input, or a function's event.

    Raises:
        InvalidBatch: it is larger than an execution takes.
    """
    # As it is, because an escaped letter of most scripts has twice the bytes.
    text = json.dumps(request, ensure_ascii=False)
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        # Half a character has no other form; the request's checks say so.
        text = json.dumps(request)
        size = len(text)
    if size > INPUT_BYTES:
        raise InvalidBatch(f"the request has {size} bytes; an execution takes at most {INPUT_BYTES}")
    return text


def fits_an_execution(request: object) -> bool:
    """Whether a request is small enough to be an execution's input."""
    return len(json.dumps(request)) <= INPUT_BYTES


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
    """The executions of the state machines.

    Args:
        client: for every call.
        machines: each task's ARN.
    """

    def __init__(self, client: "SFNClient", machines: Mapping[Kind, str]) -> None:
        self._client = client
        self._machines = machines

    @classmethod
    def connect(cls, machines: Mapping[Kind, str]) -> Self:
        """The executions of these state machines, by the process's own credentials."""
        return cls(boto3.client("stepfunctions", config=CONFIG), machines)

    @property
    def tasks(self) -> tuple[Kind, ...]:
        """What can be started here."""
        return tuple(self._machines)

    @_as_own_error
    def start(self, task: Kind, name: str, request: object) -> bool:
        """Start an execution; False where an execution of this name has another input or has ended.

        Raises:
            InvalidBatch: Step Functions takes no such input: it is too large, or not JSON.
        """
        text = input_of(request)
        try:
            self._client.start_execution(stateMachineArn=self._machines[task], name=name, input=text)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            if code == "ExecutionAlreadyExists":
                return False
            if code in _REFUSED_INPUT:
                raise InvalidBatch(f"{name} cannot be started: {quoted(str(error), 200)}") from error
            raise
        return True

    @_as_own_error
    def find(self, name: str, task: Kind | None = None) -> Execution | None:
        """The execution of this name, or None; of any task where none is named."""
        for kind in (task,) if task else self.tasks:
            try:
                answer = self._client.describe_execution(executionArn=self._arn(kind, name))
            except ClientError as error:
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

    def newest_first(self, task: Kind, *, running: bool = False, at_once: int = 1000) -> Iterator[Execution]:
        """A task's executions, listed as they are asked for, ``at_once`` with each call: a thousand at most."""
        token: str | None = None
        while True:
            page, token = self._list(task, running, at_once, token)
            yield from page
            if not token:
                return

    @_as_own_error
    def _list(self, task: Kind, running: bool, at_once: int, token: str | None) -> tuple[list[Execution], str | None]:
        choice: Any = {"statusFilter": "RUNNING"} if running else {}
        if token:
            choice["nextToken"] = token
        answer = self._client.list_executions(stateMachineArn=self._machines[task], maxResults=at_once, **choice)
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
    def row_counts(self, execution: Execution) -> RowCounts:
        """How far the rows of a campaign's execution are, as its Map counts them."""
        runs = self._client.list_map_runs(executionArn=self.arn(execution))["mapRuns"]
        if not runs:
            return RowCounts()
        counts = self._client.describe_map_run(mapRunArn=runs[0]["mapRunArn"])["itemCounts"]
        failed = counts["failed"] + counts["timedOut"] + counts["aborted"]
        return RowCounts(counts["running"], counts["succeeded"] + failed, failed)

    @_as_own_error
    def stop(self, execution: Execution) -> None:
        """Stop a running execution; images that are finished stay."""
        self._client.stop_execution(
            executionArn=self._arn(execution.task, execution.name), error="Stopped", cause="stopped by a person"
        )

    def arn(self, execution: Execution) -> str:
        """An execution's ARN."""
        return self._arn(execution.task, execution.name)

    def _arn(self, task: Kind, name: str) -> str:
        return self._machines[task].replace(":stateMachine:", ":execution:") + f":{name}"
