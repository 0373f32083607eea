"""A person's machine: where the stack writes and listens, and what becomes of it when one of its processes is killed.

The stack is the one that the tests before these have used. Each test but the last two leaves it running.
"""

import json
import os
import socket
import subprocess

import psutil
import pytest

from tests.integration.application import BUCKET, DALLE, GPT, RUN_SECONDS, Application, create_function, wait_for
from tests.integration.conftest import say
from tests.integration.machine import REQUEST, THUMBS, Machine, last_changes
from thumbs.image_api.control import ImageApiControl
from thumbs.stack.processes import PROJECT

SPAWNING = "import subprocess\ndef handler(event, context):\n    return subprocess.Popen(['sleep', '300']).pid\n"
#: Starting LocalStack and deploying, on a busy machine.
UP_SECONDS = 180


def kill(process: psutil.Process) -> None:
    process.kill()
    process.wait(20)


def left(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run a while later."""
    return psutil.wait_procs(processes, timeout=20)[1]


def test_it_writes_in_its_own_folder_alone(machine: Machine) -> None:
    machine.works()
    s3 = Application(machine.stack).s3
    # Larger than what LocalStack would keep in memory.
    s3.put_object(Bucket=BUCKET, Key="large", Body=bytes(600_000))
    objects = machine.stack.functions_folder / "s3" / BUCKET
    assert max(file.stat().st_size for file in objects.iterdir()) == 600_000
    s3.delete_object(Bucket=BUCKET, Key="large")
    assert list(machine.person.rglob("*")) == []
    assert list(machine.temporary.rglob("*")) == []
    assert last_changes() == machine.before


def test_it_listens_on_loopback_alone(machine: Machine) -> None:
    listening = [
        connection.laddr
        for process in machine.processes()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    ports = {service.port for service in map(machine.stack.service, ("localstack", "image_api")) if service}
    # The services' and, for every environment that waits for an event, its Runtime API's.
    assert ports < {address.port for address in listening}
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_every_process_runs_as_the_person(machine: Machine) -> None:
    assert {tuple(process.uids()) for process in machine.processes()} == {(os.getuid(),) * 3}


def under_way(app: Application) -> str:
    """The ARN of a run that has its second image, and whose first model never answers."""
    app.image_api.add_fault("hang", model=DALLE)
    arn = app.start("generateBatch", {"prompts": ["In the middle"], "models": [DALLE, GPT]})
    second = f"runs/{arn.rpartition(':')[2]}/0-in-the-middle/{GPT}.jpg"
    wait_for("the second image", lambda: second if second in app.keys("runs/") else None, RUN_SECONDS)
    wait_for("the call that hangs", lambda: True if app.image_api.calls()["in_flight"] == 1 else None, RUN_SECONDS)
    return arn


@pytest.mark.parametrize("killed", ["function", "template"])
def test_a_function_that_is_killed_in_a_run_loses_its_own_cell_alone(machine: Machine, killed: str) -> None:
    app = Application(machine.stack)
    app.image_api.reset()
    arn = under_way(app)
    template = machine.template()
    environments = template.children()
    for process in environments if killed == "function" else [template]:
        process.kill()
    assert left(environments) == []
    done = app.wait(arn)
    app.image_api.reset()
    app.close()
    assert (done.status, done.output["results"][0][0]) == ("SUCCEEDED", None)
    assert done.output["results"][0][1]
    (failure,) = done.output["failures"]
    assert (failure["row"], failure["column"], failure["prompt"], failure["model"], failure["error"]) == (
        0,
        0,
        "In the middle",
        DALLE,
        "Runtime.ExitError",
    )
    assert template.is_running() == (killed == "function")
    machine.works()


def spawned(app: Application, name: str) -> psutil.Process:
    """A process that a function has started and left running."""
    create_function(app.functions, name, "app.handler", {"app.py": SPAWNING})
    return psutil.Process(int(app.invoke(name, {}).payload))


def test_what_a_killed_template_s_functions_had_started_ends_too(machine: Machine) -> None:
    app = Application(machine.stack)
    process = spawned(app, "spawning")
    app.close()
    (template,) = [one for one in machine.process("localstack").children() if process in one.children(recursive=True)]
    kill(template)
    assert left([process]) == []


def test_a_killed_image_api_is_started_again_where_the_functions_look_for_it(machine: Machine) -> None:
    localstack, image_api = machine.process("localstack"), machine.process("image_api")
    url = machine.stack.image_api_url
    kill(image_api)
    status = machine.thumbs("status")
    assert status.returncode == 1
    assert f"image_api ended unexpectedly; `thumbs up` starts it again. Logs: {machine.stack.logs}\n" in status.stdout
    start = machine.thumbs("start", "generateBatch", "--input", json.dumps(REQUEST))
    assert (start.returncode, start.stdout) == (1, "")
    assert start.stderr == (
        f"✗ the offline image API has ended: `thumbs up` starts it again; its log is in {machine.stack.logs}\n"
    )
    # What needs no model still answers.
    assert machine.thumbs("runs").returncode == 0
    said = machine.up()
    assert said[0] == f"✓ the offline image API runs on {url}"
    assert len(said) == 2
    assert machine.process("localstack") == localstack
    machine.works()


def test_an_image_api_whose_port_was_taken_meanwhile_is_found_at_another(machine: Machine) -> None:
    localstack, image_api = machine.process("localstack"), machine.process("image_api")
    service = machine.stack.service("image_api")
    assert service
    kill(image_api)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", service.port))
        other.listen()
        assert "✓ the application is deployed" in machine.up()
        machine.works()
    found = machine.stack.service("image_api")
    assert found
    assert found.port != service.port
    assert machine.process("localstack") == localstack


def test_a_killed_localstack_takes_its_children_along_and_the_next_up_starts_anew_though_one_is_killed(
    machine: Machine,
) -> None:
    app = Application(machine.stack)
    app.image_api.reset()
    under_way(app)
    process = spawned(app, "spawning-again")
    app.close()
    localstack, image_api = machine.process("localstack"), machine.process("image_api")
    children = localstack.children(recursive=True)
    unpacked = set(machine.stack.functions_folder.glob("lambda/*/*"))
    assert process in children
    assert unpacked
    kill(localstack)
    assert left(children) == []
    ImageApiControl(machine.stack.image_api_url or "").reset()

    status = machine.thumbs("status")
    assert status.returncode == 1
    assert f"localstack ended unexpectedly; `thumbs up` starts it again. Logs: {machine.stack.logs}\n" in status.stdout
    for arguments in (["start", "generateBatch", "--input", json.dumps(REQUEST)], ["runs"]):
        done = machine.thumbs(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            "✗ LocalStack has ended: start it with `thumbs up`, or set AWS_ENDPOINT_URL= (empty) to use AWS\n"
        )

    # The next one is cut off too.
    first = subprocess.Popen(
        [THUMBS, "up", "--latency", "0"],
        env=machine.environment,
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for("the deployment", lambda: True if machine.stack.state().get("deploying") else None, UP_SECONDS)
        begun = Application(machine.stack)
        wait_for("its first function", lambda: begun.function_names() or None, UP_SECONDS)
        begun.close()
    finally:
        first.kill()
        first.wait()
    sam = [
        one
        for one in psutil.process_iter(["cmdline"])
        if str(machine.stack.built / "local.yaml") in (one.info["cmdline"] or ())
    ]
    localstack = machine.process("localstack")
    assert "✓ the application is deployed" in machine.up()
    assert left(sam) == []
    # What was up stayed up, and what the dead LocalStack had unpacked is gone.
    assert (machine.process("image_api"), machine.process("localstack")) == (image_api, localstack)
    assert not unpacked & set(machine.stack.functions_folder.glob("lambda/*/*"))
    machine.works()


def test_processes_that_nobody_knows_any_more_are_ended_by_the_next_start(machine: Machine) -> None:
    family = machine.processes()
    # As a crash of the machine itself can leave them.
    (machine.stack.home / "stack.json").write_text("")
    (machine.stack.home / "stack.json.part").write_text('{"localstack": {"pid"')
    machine.stack.start(say)
    assert left(family) == []
    assert not (machine.stack.home / "stack.json.part").exists()
    assert not machine.stack.is_deployed()


def test_a_stack_that_goes_down_leaves_neither_a_process_nor_a_temporary_file(machine: Machine) -> None:
    family = machine.processes()
    assert machine.thumbs("down").returncode == 0
    assert left(family) == []
    assert not machine.stack.functions_folder.exists()
    assert not (machine.stack.home / "tmp").exists()
    assert list(machine.person.rglob("*")) + list(machine.temporary.rglob("*")) == []
    status = machine.thumbs("status")
    assert "ended unexpectedly" not in status.stdout
