"""How many execution environments may work at once, and who waits for a place how long.

An environment is a process of this machine, so there is an end to them. An account would start more, or answer with a
throttle; here a call waits its turn, before its task and so its timeouts begin. What is free goes to whoever has least,
so that a small run behind a large one does not wait for its end.
"""

import contextlib
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

#: What an environment that draws takes of memory, its shared pages counted once, and its part of LocalStack's.
ENVIRONMENT_BYTES = 40 << 20
#: Most of an environment's time passes in waiting for a provider.
ENVIRONMENTS_PER_CORE = 32
#: Places of their own for what a person waits for: the HTTP API, and what starts runs.
DIRECT = 16
#: How often a call that waits looks whether it is still wanted: there may be a thousand.
LOOK_SECONDS = 5.0


def fitting_environments(memory_bytes: int, cores: int) -> int:
    """How many environments a machine has room for: in half of its memory, and for its cores.

    Args:
        memory_bytes: the machine's memory.
        cores: its processors.
    """
    return max(4, min(memory_bytes // 2 // ENVIRONMENT_BYTES, cores * ENVIRONMENTS_PER_CORE))


class _Waiting:
    """A call that waits: woken when it has its place."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.placed = threading.Event()


class Places:
    """So many places; what is free goes to the family that holds fewest, among equals to the call that came first.

    Args:
        most: how many may be taken at once.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        # Families in any order, each one's calls in the order in which they came.
        self._waiting: OrderedDict[str, deque[_Waiting]] = OrderedDict()
        #: How many calls there were.
        self.asked = 0

    @property
    def taken(self) -> int:
        """How many are taken."""
        return self._held.total()

    @contextlib.contextmanager
    def place(self, family: str, is_wanted: Callable[[], bool] = lambda: True) -> Iterator[bool]:
        """Wait for a place and keep it for the block.

        Args:
            family: whose the call is.
            is_wanted: asked while it waits, and when it has its place.

        Yields:
            Whether the call has a place and is still wanted.
        """
        with self._lock:
            waiting = _Waiting(self.asked)
            self._waiting.setdefault(family, deque()).append(waiting)
            self._fill()
            self.asked += 1
        while not waiting.placed.wait(LOOK_SECONDS) and is_wanted():
            pass
        try:
            yield waiting.placed.is_set() and is_wanted()
        finally:
            with self._lock:
                if waiting.placed.is_set():
                    self._held[family] -= 1
                    # A family that is gone leaves nothing behind.
                    self._held += Counter()
                else:
                    self._forget(family, waiting)
                self._fill()

    def _fill(self) -> None:
        while self._waiting and self.taken < self.most:
            family = min(self._waiting, key=lambda name: (self._held[name], self._waiting[name][0].number))
            first = self._waiting[family][0]
            self._forget(family, first)
            self._held[family] += 1
            first.placed.set()

    def _forget(self, family: str, waiting: _Waiting) -> None:
        self._waiting[family].remove(waiting)
        if not self._waiting[family]:
            del self._waiting[family]


#: What a thread does: ``has_place`` in a task that has one, ``family`` while it starts another execution.
_here = threading.local()
#: The execution that a person started, by those that it started itself.
_families: dict[str, str] = {}


def bound_environments(most: int) -> None:
    """Let whatever invokes a function wait for a place, before LocalStack runs.

    A task's family is the execution that a person started: what that one starts belongs to it.

    Args:
        most: how many environments may work for executions at once.
    """
    _queue_tasks(Places(most))
    _know_families()
    _queue_direct_calls(Places(DIRECT))


def _family_of(env: Any) -> str:
    arn = str(env.states.context_object.context_object_data["Execution"]["Id"])
    return _families.get(arn, arn)


def _queue_tasks(places: Places) -> None:
    from localstack.services.stepfunctions.asl.component.state.state_execution.state_task import lambda_eval_utils
    from localstack.services.stepfunctions.asl.component.state.state_execution.state_task.service import (
        state_task_service_lambda,
    )
    from localstack.services.stepfunctions.asl.component.state.state_execution.state_task.state_task_lambda import (
        StateTaskLambda,
    )

    def wait_and_evaluate(evaluate: Callable[..., None]) -> Callable[..., None]:
        def evaluate_in_place(self: Any, env: Any) -> None:
            with places.place(_family_of(env), env.is_running) as placed:
                if placed:
                    evaluate(self, env)
                else:
                    # Its execution was stopped: nothing takes up what it leaves.
                    env.stack.append(None)

        return evaluate_in_place

    for task in (state_task_service_lambda.StateTaskServiceLambda, StateTaskLambda):
        task._evaluate_with_timeout = wait_and_evaluate(task._evaluate_with_timeout)
    invoke = lambda_eval_utils.execute_lambda_function_integration

    def invoke_in_place(*arguments: Any, **named: Any) -> None:
        _here.has_place = True
        try:
            invoke(*arguments, **named)
        finally:
            _here.has_place = False

    lambda_eval_utils.execute_lambda_function_integration = invoke_in_place


def _know_families() -> None:
    from localstack.services.stepfunctions.asl.component.state.state_execution.state_task.service import (
        state_task_service_sfn,
    )
    from localstack.services.stepfunctions.backend.execution import Execution

    call = state_task_service_sfn.StateTaskServiceSfn._eval_service_task
    start = Execution.start

    def call_for_family(self: Any, env: Any, *arguments: Any, **named: Any) -> None:
        _here.family = _family_of(env)
        try:
            call(self, env, *arguments, **named)
        finally:
            _here.family = None

    def start_in_family(self: Any) -> None:
        # LocalStack's services call each other in one thread.
        if family := getattr(_here, "family", None):
            _families[self.exec_arn] = family
        start(self)

    state_task_service_sfn.StateTaskServiceSfn._eval_service_task = call_for_family
    Execution.start = start_in_family


def _queue_direct_calls(places: Places) -> None:
    from localstack.services.lambda_.invocation.assignment import AssignmentService

    get_environment = AssignmentService.get_environment

    @contextlib.contextmanager
    def get_environment_in_place(self: Any, manager: str, version: Any, kind: str) -> Iterator[Any]:
        with contextlib.ExitStack() as stack:
            if not getattr(_here, "has_place", False):
                stack.enter_context(places.place(manager))
            yield stack.enter_context(get_environment(self, manager, version, kind))

    AssignmentService.get_environment = get_environment_in_place


def memory_bytes() -> int:
    """The memory that this process may use: the machine's, or less where a control group says so."""
    limits = [psutil.virtual_memory().total]
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            limits.append(int(Path(name).read_text()))
    return min(limits)
