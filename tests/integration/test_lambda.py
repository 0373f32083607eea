"""The Lambda executor: every way in which a function can end has Lambda's own shape, and the next invocation works."""

import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest

from tests.integration.application import (
    GPT,
    RUN_SECONDS,
    Application,
    Invocation,
    create_function,
    deployed_name,
    wait_for,
)
from thumbs.localstack.executor import INVOCATIONS_PER_PROCESS
from thumbs.stack.deploy import CREDENTIALS, REGION, STACK_NAME

SOURCE = """
import os, signal, subprocess, sys, time
print("imported")

def handler(event, context):
    print("doing", event)
    do = event.get("do")
    if do == "sleep":
        time.sleep(event["seconds"])
    elif do == "os._exit":
        os._exit(event["status"])
    elif do == "sys.exit":
        sys.exit(event["status"])
    elif do == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif do == "raise":
        raise ValueError("no good: ü")
    elif do == "return":
        return object()
    elif do == "spawn":
        return subprocess.Popen(["sleep", "300"]).pid
    elif do == "context":
        return {
            "request": context.aws_request_id,
            "name": context.function_name,
            "memory": context.memory_limit_in_mb,
            "left": context.get_remaining_time_in_millis(),
            "host": sorted(name for name in os.environ if name.startswith(("THUMBS", "PYTEST", "VIRTUAL"))),
            "root": os.environ["LAMBDA_TASK_ROOT"] == os.getcwd(),
        }
    return os.getpid()
"""
BROKEN = {
    "no_module.py": "import there_is_no_such_module\n",
    "no_syntax.py": "def handler(:\n",
    "no_handler.py": "",
    "raises.py": "raise KeyError('at import')\n",
    "exits.py": "import sys\nsys.exit(4)\n",
}

Invoke = Callable[[object], Invocation]


def deleting(app: Application, handler: str, files: dict[str, str]) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    create_function(app.functions, name, handler, files)
    yield name
    app.functions.delete_function(FunctionName=name)


@pytest.fixture(scope="module")
def function(deployed: Application) -> Iterator[str]:
    """A function that does what its event says, with 3 s for it."""
    yield from deleting(deployed, "app.handler", {"app.py": SOURCE})


@pytest.fixture
def invoke(app: Application, function: str) -> Invoke:
    return lambda event: app.invoke(function, event)


def wait_for_end(pid: int) -> None:
    wait_for(f"the end of process {pid}", lambda: None if psutil.pid_exists(pid) else True, RUN_SECONDS)


EXITED = "RequestId: {id} Error: Runtime exited "


@pytest.mark.parametrize(
    ("event", "error", "message"),
    [
        (
            {"do": "sleep", "seconds": 60},
            "Sandbox.Timedout",
            "RequestId: {id} Error: Task timed out after 3.00 seconds",
        ),
        ({"do": "os._exit", "status": 0}, "Runtime.ExitError", EXITED + "without providing a reason"),
        ({"do": "os._exit", "status": 3}, "Runtime.ExitError", EXITED + "with error: exit status 3"),
        ({"do": "sys.exit", "status": 3}, "Runtime.ExitError", EXITED + "with error: exit status 3"),
        ({"do": "sys.exit", "status": 0}, "Runtime.ExitError", EXITED + "without providing a reason"),
        ({"do": "kill"}, "Runtime.ExitError", EXITED + "with error: signal: killed"),
    ],
    ids=str,
)
def test_an_end_without_an_answer_has_lambdas_error_shape_and_the_next_invocation_works(
    invoke: Invoke, event: dict[str, Any], error: str, message: str
) -> None:
    before = invoke({}).payload
    answer = invoke(event)
    assert answer.function_error == "Unhandled"
    assert answer.payload["errorType"] == error
    pattern = re.escape(message).replace(re.escape("{id}"), r"[0-9a-f-]{36}")
    assert re.fullmatch(pattern, answer.payload["errorMessage"])
    after = invoke({})
    assert after.function_error == ""
    assert after.payload != before
    wait_for_end(before)


def held(app: Application) -> dict[str, int]:
    """What LocalStack holds for the functions: processes, threads, and files that have no name."""
    service = app.stack.service("localstack")
    assert service
    assert service.process
    process = service.process
    return {
        "processes": len(process.children(recursive=True)),
        "threads": process.num_threads(),
        "files": sum("(deleted)" in target(link) for link in Path(f"/proc/{process.pid}/fd").iterdir()),
    }


def target(link: Path) -> str:
    """Where a descriptor leads; empty where it was closed meanwhile."""
    try:
        return str(link.readlink())
    except FileNotFoundError:
        return ""


@pytest.mark.parametrize("ending", ["killed", "configured anew"])
def test_environments_and_versions_that_end_leave_no_process_thread_or_file(
    app: Application, invoke: Invoke, function: str, ending: str
) -> None:
    rounds = 8

    def end_and_begin_again() -> None:
        if ending == "killed":
            invoke({"do": "kill"})
        else:
            app.functions.update_function_configuration(FunctionName=function, Description=uuid.uuid4().hex)
            app.wait_until_updated(function)
        wait_for("an answer", lambda: invoke({}).function_error == "" or None, RUN_SECONDS)

    # What the first round makes for good.
    end_and_begin_again()
    before = held(app)
    for _ in range(rounds):
        end_and_begin_again()

    def nothing_left() -> bool | None:
        # LocalStack's own pools may grow by a thread; a round leaves one of a kind at least, if it leaves any.
        return all(after < before[name] + rounds for name, after in held(app).items()) or None

    wait_for(f"the end of what {rounds} rounds began, with {before} before", nothing_left, RUN_SECONDS)


@pytest.mark.parametrize(
    "event", [{"do": "sleep", "seconds": 60}, {"do": "os._exit", "status": 3}, {"do": "kill"}], ids=str
)
def test_what_a_function_started_ends_with_its_environment(invoke: Invoke, event: dict[str, Any]) -> None:
    # A process at the beginning of its life: it isn't replaced before the event.
    invoke({"do": "kill"})
    started = invoke({"do": "spawn"}).payload
    assert psutil.pid_exists(started)
    invoke(event)
    wait_for_end(started)


@pytest.mark.parametrize(
    ("event", "error", "message"),
    [
        ({"do": "raise"}, "ValueError", "no good: ü"),
        (
            {"do": "return"},
            "Runtime.MarshalError",
            "Unable to marshal response: Object of type object is not JSON serializable",
        ),
    ],
    ids=str,
)
def test_an_exception_has_lambdas_error_shape_and_the_environment_lives_on(
    invoke: Invoke, event: dict[str, Any], error: str, message: str
) -> None:
    invoke({"do": "kill"})
    before = invoke({}).payload
    answer = invoke(event)
    assert answer.function_error == "Unhandled"
    assert (answer.payload["errorType"], answer.payload["errorMessage"]) == (error, message)
    assert invoke({}).payload == before


def test_an_exception_brings_its_stack_trace(invoke: Invoke) -> None:
    trace = "".join(invoke({"do": "raise"}).payload["stackTrace"])
    assert "app.py" in trace
    assert "ValueError" in trace


@pytest.mark.parametrize(
    ("module", "error", "message"),
    [
        ("no_module", "Runtime.ImportModuleError", "Unable to import module 'no_module': No module named "),
        ("no_file", "Runtime.ImportModuleError", "Unable to import module 'no_file': No module named "),
        ("no_syntax", "Runtime.UserCodeSyntaxError", "Syntax error in module 'no_syntax': "),
        ("no_handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'no_handler'"),
        ("raises", "KeyError", "'at import'"),
        ("exits", "Runtime.ExitError", "RequestId: "),
    ],
)
def test_a_function_that_cannot_start_says_why_every_time(
    app: Application, module: str, error: str, message: str
) -> None:
    for name in deleting(app, f"{module}.handler", BROKEN):
        for _ in range(2):
            answer = app.invoke(name, {})
            assert answer.function_error == "Unhandled"
            assert answer.payload["errorType"] == error
            assert answer.payload["errorMessage"].startswith(message)


def test_a_process_serves_a_life_of_invocations_and_gives_way_to_the_next(app: Application) -> None:
    for name in deleting(app, "app.handler", {"app.py": SOURCE}):
        served = Counter(app.invoke(name, {}).payload for _ in range(3 * INVOCATIONS_PER_PROCESS))
        first, *lives = served.values()
        assert 1 <= first <= INVOCATIONS_PER_PROCESS
        assert lives[:2] == [INVOCATIONS_PER_PROCESS, INVOCATIONS_PER_PROCESS]
        for ended in list(served)[:2]:
            wait_for_end(ended)


def test_invocations_at_once_have_an_environment_each(invoke: Invoke) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(invoke, [{"do": "sleep", "seconds": 1.5}] * 8))
    assert len({answer.payload for answer in answers}) == 8


def test_a_function_sees_lambdas_world_and_not_the_hosts(invoke: Invoke, function: str) -> None:
    seen = invoke({"do": "context"}).payload
    assert (seen["name"], seen["memory"], seen["root"], seen["host"]) == (function, "128", True, [])
    assert 0 < seen["left"] <= 3000
    assert re.fullmatch(r"[0-9a-f-]{36}", seen["request"])


def test_start_end_report_and_what_was_printed_reach_the_log(app: Application) -> None:
    for name in deleting(app, "app.handler", {"app.py": SOURCE}):
        app.invoke(name, {"do": "kill"})
        app.invoke(name, {"say": "needle-1"})
        app.invoke(name, {"do": "kill", "say": "needle-2"})
        app.invoke(name, {"say": "needle-3"})
        text = "\n".join(app.log_lines(name, "needle-3"))
        for line in ("START RequestId: ", "END RequestId: ", "REPORT RequestId: "):
            assert text.count(line) == 4
        assert "imported" in text
        assert "doing {'say': 'needle-1'}" in text
        assert "needle-2" in text
        assert "Runtime exited with error: signal: killed" in text
        assert text.count("Init Duration: ") == 3


def test_the_applications_log_says_which_cell_and_holds_no_key_and_no_picture(app: Application) -> None:
    result = app.succeed("generateBatch", {"prompts": ["A title"], "models": [GPT]})
    lines = app.log_lines("generateThumbnail", result["run_id"])
    (said,) = [line for line in lines if "image stored" in line and result["run_id"] in line]
    for field in ('"run_id":"', '"row":0', '"column":0', f'"model":"{GPT}"'):
        assert field in said.replace(": ", ":")
    assert any("PaidCalls" in line and "CloudWatchMetrics" in line for line in lines)
    assert not [line for line in lines if "offline" in line or len(line) > 5000]


def test_every_invocation_is_counted_as_a_metric(app: Application, invoke: Invoke) -> None:
    metrics: Any = boto3.client(
        "cloudwatch",
        endpoint_url=app.stack.endpoint,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )

    def counted() -> float:
        now = datetime.now(UTC)
        found = metrics.get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="Invocations",
            Dimensions=[{"Name": "FunctionName", "Value": deployed_name("collectBatch")}],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(minutes=1),
            Period=7200,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in found))

    before = counted()
    for _ in range(3):
        app.invoke("collectBatch", {})
    wait_for("three more invocations", lambda: counted() == before + 3 or None, RUN_SECONDS)
    metrics.close()


def test_every_package_is_small(app: Application) -> None:
    sizes = {
        one["FunctionName"].removeprefix(f"{STACK_NAME}-"): one["CodeSize"] / 1e6
        for one in app.functions.list_functions()["Functions"]
    }
    assert sizes["generateThumbnail"] <= 60
    assert max(sizes[name] for name in ("api", "validateBatch", "collectBatch", "startBatch")) <= 15
