"""The stack itself: what it leaves behind, and what it says when it cannot start."""

import shutil
from collections.abc import Iterator

import boto3
import psutil
import pytest

from tests.integration.application import Application, create_function
from thumbs.command_error import CommandError
from thumbs.stack.deploy import CREDENTIALS, REGION
from thumbs.stack.processes import Stack, answers, free_port, is_free

SPAWNING = "import subprocess\ndef handler(event, context):\n    return subprocess.Popen(['sleep', '300']).pid\n"


def quiet(_line: str) -> None:
    pass


@pytest.fixture
def second(deployed: Application) -> Iterator[Stack]:
    """Another stack beside the tests' own, not started."""
    stack = Stack(deployed.stack.home / "second", free_port())
    yield stack
    stack.stop(quiet)
    shutil.rmtree(stack.home)


def processes_of(stack: Stack) -> list[str]:
    """The command lines that name a stack's home."""
    found = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [line for line in found if str(stack.home) in line]


def test_a_stack_leaves_no_process_and_no_port_when_it_stops(second: Stack) -> None:
    second.start(quiet)
    services = [second.service(name) for name in ("localstack", "image_api")]
    client = boto3.client(
        "lambda",
        endpoint_url=second.endpoint,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
    create_function(client, "spawning", "app.handler", {"app.py": SPAWNING})
    spawned = int(client.invoke(FunctionName="spawning")["Payload"].read())
    client.close()
    family = [psutil.Process(spawned)]
    for service in services:
        assert service
        assert service.process
        family += [service.process, *service.process.children(recursive=True)]
    assert processes_of(second)

    assert second.stop(quiet) is True
    psutil.wait_procs(family, timeout=3)
    assert [process for process in family if process.is_running()] == []
    assert processes_of(second) == []
    assert all(service and is_free(service.port) for service in services)
    assert second.image_api_url is None
    assert second.stop(quiet) is False


def test_a_stack_that_runs_is_not_started_again(deployed: Application) -> None:
    stack = deployed.stack
    before = [stack.service(name) for name in ("localstack", "image_api")]
    lines: list[str] = []
    Stack(stack.home, stack.port).start(lines.append)
    assert lines == []
    assert [stack.service(name) for name in ("localstack", "image_api")] == before


def test_a_stack_that_runs_on_another_port_says_so(deployed: Application) -> None:
    port = deployed.stack.port
    with pytest.raises(CommandError) as refused:
        Stack(deployed.stack.home, free_port()).start(quiet)
    assert str(refused.value).startswith(f"this stack already runs on port {port}: ")
    assert answers(f"{deployed.stack.endpoint}/_localstack/health")


def test_a_taken_port_is_named_with_its_holder(deployed: Application, second: Stack) -> None:
    taken = Stack(second.home, deployed.stack.port)
    holder = deployed.stack.service("localstack")
    assert holder
    with pytest.raises(CommandError) as refused:
        taken.start(quiet)
    assert str(refused.value) == (
        f"port {taken.port} is taken by {psutil.Process(holder.pid).name()} (pid {holder.pid}), which is not this "
        "stack: stop it, or choose another port with THUMBS_PORT"
    )
    assert processes_of(taken) == []


def test_everything_listens_on_loopback_alone(deployed: Application) -> None:
    for name in ("localstack", "image_api"):
        service = deployed.stack.service(name)
        assert service
        assert service.process
        listening = [
            connection.laddr
            for process in (service.process, *service.process.children(recursive=True))
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert service.port in [address.port for address in listening]
        assert {address.ip for address in listening} <= {"127.0.0.1", "::1"}
