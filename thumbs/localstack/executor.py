"""LocalStack's plugin: runs every Lambda execution environment as a process, and answers as Lambda does.

The error shapes are Lambda's own: what the handler raises comes from awslambdaric as it is; what the process cannot
report itself is ``Sandbox.Timedout`` (it ran out of time and was killed) and ``Runtime.ExitError`` (it ended).
"""

import itertools
import json
import math
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from localstack import config
from localstack.services.lambda_.invocation.execution_environment import ExecutionEnvironment
from localstack.services.lambda_.invocation.lambda_models import FunctionVersion, InvocationResult
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

from thumbs.localstack import PLAIN
from thumbs.localstack.runtime_packages import link_runtime_packages
from thumbs.localstack.sandbox import Event, Happening, Sandbox
from thumbs.localstack.zygote import Zygote

#: Lambda gives the initialisation 10 s of its own, and then the function's timeout once more.
INIT_SECONDS = 10.0
#: A process serves so many invocations and gives way to a fresh fork, as Lambda replaces its environments every few
#: hours: with each invocation it has copied more of the pages that it shared and kept the largest of what it met.
INVOCATIONS_PER_PROCESS = 8
#: By it a function of the stack knows the disk that its pictures go to.
BUCKET_FOLDER = "BUCKET_FOLDER"
#: What a function needs of this machine to reach the outside; everything else it sees is what Lambda would show it.
FROM_THE_HOST = ("PATH", "SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", BUCKET_FOLDER)

_zygotes: dict[str, Zygote] = {}
_zygotes_lock = threading.Lock()
_executors = itertools.count()


class ProcessExecutorPlugin(RuntimeExecutorPlugin):
    """Found by its entry point, chosen by ``LAMBDA_RUNTIME_EXECUTOR=process``."""

    name = "process"

    def load(self, *_args: Any, **_kwargs: Any) -> type[RuntimeExecutor]:
        return ProcessExecutor


class ProcessExecutor(RuntimeExecutor):
    """One execution environment: a sandbox that serves one invocation after the other, replaced when it ends."""

    def __init__(self, id: str, function_version: FunctionVersion) -> None:
        super().__init__(id, function_version)
        self._environment: dict[str, str] = {}
        self._sandbox: Sandbox | None = None
        self._sandboxes = 0
        self._left = 0
        # First lives differ, or one later batch would replace all that a batch started.
        self._life = 1 + next(_executors) % INVOCATIONS_PER_PROCESS
        # Only in a plain stack: there every environment imports the handler for itself.
        self._own_zygote: Zygote | None = None

    def start(self, env_vars: dict[str, str]) -> None:
        """Fork the process and let it initialise; a failure there is the first invocation's answer, as on Lambda."""
        self._environment = _process_environment(self.function_version, env_vars)
        self._sandbox = self._fork()

    def stop(self) -> None:
        """End the process; an invocation that it is serving ends with ``Runtime.ExitError``."""
        # LocalStack keeps the environments of replaced versions: their files must not stay open with them.
        sandbox, self._sandbox = self._sandbox, None
        if sandbox:
            sandbox.kill()
        if self._own_zygote:
            self._own_zygote.stop()

    def get_address(self) -> str:
        return "127.0.0.1"

    def get_endpoint_from_executor(self) -> str:
        return "127.0.0.1"

    def get_runtime_endpoint(self) -> str:
        return ""

    def get_logs(self) -> str:
        """What the process printed and no invocation has taken yet."""
        return self._sandbox.output() if self._sandbox else ""

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        """Serve one invocation, whatever becomes of the process.

        Args:
            payload: LocalStack's ``invoke-id``, ``invoked-function-arn``, ``trace-id`` and ``payload``.
        """
        seconds = float(self.function_version.config.timeout)
        event = Event(
            request_id=payload["invoke-id"],
            function_arn=payload["invoked-function-arn"],
            trace_id=payload["trace-id"],
            payload=payload["payload"].encode(),
            seconds=seconds,
        )
        sandbox = self._living_sandbox()
        cold, end = not sandbox.ready, None
        log = [f"START RequestId: {event.request_id} Version: {self.function_version.id.qualifier}"]
        if cold:
            end = sandbox.initialise(INIT_SECONDS + seconds)
            log.append(sandbox.import_output())
        started = time.perf_counter()
        if sandbox.ready:
            sandbox.send(event)
            end = sandbox.wait(seconds)
        milliseconds = (time.perf_counter() - started) * 1000
        memory = sandbox.peak_memory_mb()
        if end is None or end.kind == "init_error":
            sandbox.end()
        if end is None or end.kind in ("exit", "init_error"):
            self._sandbox = None
        log.append(sandbox.output())
        is_error, body, line = _answer(event, end)
        report = (
            f"REPORT RequestId: {event.request_id}\tDuration: {milliseconds:.2f} ms\t"
            f"Billed Duration: {math.ceil(milliseconds)} ms\t"
            f"Memory Size: {self.function_version.config.memory_size} MB\tMax Memory Used: {memory} MB"
        )
        if cold:
            report += f"\tInit Duration: {(started - sandbox.started) * 1000:.2f} ms"
        log += [line, f"END RequestId: {event.request_id}", report]
        text = "".join(part if part.endswith("\n") else part + "\n" for part in log if part)
        return InvocationResult(event.request_id, body, is_error=is_error, logs=text)

    def _living_sandbox(self) -> Sandbox:
        sandbox = self._sandbox
        if sandbox and self._left == 0 and not PLAIN:
            sandbox.kill()
            sandbox = None
        if sandbox is None or (sandbox.ready and sandbox.has_ended()):
            sandbox = self._sandbox = self._fork()
        self._left -= 1
        return sandbox

    def _fork(self) -> Sandbox:
        self._sandboxes += 1
        self._left, self._life = self._life, INVOCATIONS_PER_PROCESS
        if PLAIN:
            if self._own_zygote:
                self._own_zygote.stop()
            zygote = self._own_zygote = _zygote(self.function_version, self._environment, snapshot=False)
        else:
            zygote = _zygote_for(self.function_version, lambda: self._environment)
        return Sandbox(f"{self.id}-{self._sandboxes}", zygote, self._environment)

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        """Unpack the code and start the zygote, so that the first invocation finds the handler imported."""
        code = function_version.config.code
        code.prepare_for_execution()
        if PLAIN:
            return

        def environment() -> dict[str, str]:
            # LocalStack's own account of the variables, for an environment that is never started.
            probe = ExecutionEnvironment(function_version, "on-demand", lambda *_: None, "")
            return _process_environment(function_version, probe.get_environment_variables())

        _zygote_for(function_version, environment)

    @classmethod
    def cleanup_version(cls, function_version: FunctionVersion) -> None:
        """End the version's zygote and with it every environment. The code stays: a successor may share it."""
        with _zygotes_lock:
            zygote = _zygotes.pop(_key(function_version), None)
        if zygote:
            zygote.stop()


def _key(function_version: FunctionVersion) -> str:
    return f"{function_version.qualified_arn}:{function_version.config.internal_revision}"


def _zygote_for(function_version: FunctionVersion, environment: Callable[[], dict[str, str]]) -> Zygote:
    key = _key(function_version)
    with _zygotes_lock:
        zygote = _zygotes.get(key)
        if zygote is None or not zygote.alive:
            zygote = _zygotes[key] = _zygote(function_version, environment(), snapshot=True)
        return zygote


def _zygote(function_version: FunctionVersion, environment: dict[str, str], *, snapshot: bool) -> Zygote:
    runtime = Path(tempfile.gettempdir()) / "python-runtime"
    link_runtime_packages(runtime)
    code = Path(function_version.config.code.get_unzipped_code_location())
    return Zygote(function_version.config.handler, code, runtime, environment, snapshot=snapshot)


def _process_environment(function_version: FunctionVersion, env_vars: dict[str, str]) -> dict[str, str]:
    code = str(function_version.config.code.get_unzipped_code_location())
    host = {name: os.environ[name] for name in FROM_THE_HOST if name in os.environ}
    lambdas = {name: str(value) for name, value in env_vars.items()}
    if not lambdas.get("AWS_ENDPOINT_URL"):
        # A function that declares it empty, so that `sam local` may set it, has hidden what LocalStack says.
        lambdas["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{config.GATEWAY_LISTEN[0].port}"
    return {
        **host,
        "LANG": "en_US.UTF-8",
        "TMPDIR": tempfile.gettempdir(),
        # The person's own AWS profile is none of a function's business.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        **lambdas,
        "LAMBDA_TASK_ROOT": code,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function_version.config.runtime}",
    }


def _answer(event: Event, end: Happening | None) -> tuple[bool, bytes, str]:
    """Lambda's answer to how an invocation ended: is it an error, the payload, and a line for the log."""
    if end is None:
        message = f"Task timed out after {event.seconds:.2f} seconds"
        error = {"errorType": "Sandbox.Timedout", "errorMessage": f"RequestId: {event.request_id} Error: {message}"}
        return True, json.dumps(error).encode(), f"{event.request_id} {message}"
    if end.kind == "exit":
        reason = _exit_reason(end.status)
        message = f"RequestId: {event.request_id} Error: Runtime exited {reason}"
        error = {"errorType": "Runtime.ExitError", "errorMessage": message}
        return True, json.dumps(error).encode(), message
    return end.kind != "response", end.body, ""


def _exit_reason(status: int | None) -> str:
    if status is None:
        return "with error: signal: killed"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"with error: signal: {'killed' if number == signal.SIGKILL else number}"
    code = os.WEXITSTATUS(status)
    return f"with error: exit status {code}" if code else "without providing a reason"
