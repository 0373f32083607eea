"""A person's machine: where the stack writes and listens, and what becomes of it when one of its processes is killed.

The stack is the one that the tests before these have used. Each test but the last two leaves it running.
"""

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.integration.application import (
    BUCKET,
    GEMINI,
    GPT,
    RUN_SECONDS,
    Application,
    create_function,
    execution_arn,
    wait_for,
)
from tests.integration.conftest import say
from tests.integration.http_api import HttpApi
from tests.integration.machine import REQUEST, THUMBS, Machine, last_changes
from thumbs.cli.application import Application as Command
from thumbs.stack.processes import PROJECT, wait_for_end

Record = Callable[[str, object], None]
#: Calls to a model that are under way when something is killed.
IN_FLIGHT = 3

SPAWNING = "import subprocess\ndef handler(event, context):\n    return subprocess.Popen(['sleep', '300']).pid\n"
#: Starting LocalStack and deploying, on a busy machine.
UP_SECONDS = 180


def kill(process: psutil.Process) -> None:
    process.kill()
    assert wait_for_end([process], 20) == []


def everything(app: Application) -> list[tuple[str, str, str, int, bool]]:
    """Every version of every object in the bucket, and which one is its newest."""
    pages = app.s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET)
    return [
        (found["Key"], found["VersionId"], found["ETag"], found["Size"], found["IsLatest"])
        for page in pages
        for found in page.get("Versions", ())
    ]


class Disk:
    """The disk that holds the buckets, once it is made a small one: a file system in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._is_small = False

    def become_small(self) -> None:
        """Move the buckets of a stack that does not run to a file system with room for 200 MB more, where one may."""
        aside = self._folder.with_name("aside")
        self._folder.rename(aside)
        self._folder.mkdir()
        held = sum(file.stat().st_blocks * 512 for file in aside.rglob("*"))
        options = ["-t", "tmpfs", "-o", f"size={held + 200_000_000}", "tmpfs"]
        mounted = subprocess.run(["mount", *options, self._folder], capture_output=True, check=False)
        self._is_small = mounted.returncode == 0
        shutil.copytree(aside, self._folder, dirs_exist_ok=True)
        shutil.rmtree(aside)

    @contextmanager
    def filled(self, leaving: int = 0) -> Iterator[None]:
        """Fill it for a while, but for so many bytes."""
        if not self._is_small:
            pytest.skip("a small file system could not be mounted here")
        filler = self._folder / BUCKET / "tmp-filler"
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(self._folder).free - leaving)
        try:
            yield
        finally:
            filler.unlink()

    def go(self) -> None:
        """Unmount it."""
        if self._is_small:
            subprocess.run(["umount", "--lazy", self._folder], check=True)


@pytest.fixture(scope="module")
def disk(machine: Machine) -> Iterator[Disk]:
    found = Disk(machine.stack.buckets)
    yield found
    found.go()


def test_it_writes_in_its_own_folder_alone(machine: Machine) -> None:
    machine.works()
    s3 = Application(machine.stack).s3
    # Larger than what LocalStack would keep in memory.
    s3.put_object(Bucket=BUCKET, Key="large", Body=bytes(600_000))
    objects = machine.stack.buckets / BUCKET
    assert 600_000 < max(file.stat().st_size for file in objects.iterdir()) < 602_000
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


@dataclass
class Row:
    """A batch in which the last three calls are under way when something is killed.

    ``before`` are the calls that were paid until then. Those under way are paid in vain where ``in_vain`` says so.
    """

    machine: Machine
    run_id: str
    cells: int
    before: int = 0

    def begin(self, app: Application) -> None:
        """Start the batch, and wait until nothing but what hangs is left of it."""
        app.image_api.reset()
        app.image_api.add_fault("hang", after=self.cells - IN_FLIGHT)
        titles = [f"Title {number} of {self.run_id}" for number in range(self.cells // 2)]
        app.start("generateBatch", {"prompts": titles, "models": [GPT, GEMINI]}, self.run_id)
        self.wait(app)

    def wait(self, app: Application) -> None:
        """Until all images are stored but those of the calls that hang."""

        def there() -> bool | None:
            stored = [key for key in app.keys(f"runs/{self.run_id}/") if key.endswith(".jpg")]
            hanging = app.image_api.calls()["in_flight"]
            return True if (len(stored), hanging) == (self.cells - IN_FLIGHT, IN_FLIGHT) else None

        wait_for("the calls that hang", there, RUN_SECONDS)
        self.before = app.image_api.calls()["paid"]
        assert self.before == self.cells

    def end(self, app: Application, record: Record, killed: str, *, lost: int, counted: int = 0) -> None:
        """Redrive the run and compare what was paid for.

        Args:
            app: the application as it is after the kill.
            record: takes the row of the table.
            killed: what was killed.
            lost: calls that were under way and are lost.
            counted: calls that an image API that was killed had counted.
        """
        at_its_end = counted + app.image_api.calls()["paid"]
        app.image_api.clear_faults()
        done = self.machine.thumbs("redrive", self.run_id, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["images"]["succeeded"] == self.cells
        paid = counted + app.image_api.calls()["paid"]
        images = [key for key in app.keys(f"runs/{self.run_id}/") if key.endswith(".jpg")]
        row = {
            "killed": killed,
            "cells": self.cells,
            "under way": IN_FLIGHT,
            "lost of them": lost,
            "paid until the end": at_its_end,
            "by redrive": paid - at_its_end,
            "paid in all": paid,
            "expected": self.cells + lost,
        }
        record("crash", row)
        assert len(images) == self.cells
        assert paid == self.cells + lost


@pytest.fixture
def row(machine: Machine, request: pytest.FixtureRequest) -> Row:
    """A batch of 25 × 2 for the table, a smaller one for the rule."""
    titles = 25 if request.config.getoption("crash_table") else 4
    name = re.sub(r"[^a-z]+", "-", request.node.name).strip("-")
    return Row(machine, name[-50:].lstrip("-"), 2 * titles)


@pytest.mark.nightly
@pytest.mark.parametrize("killed", ["a function", "the zygote"])
def test_a_function_that_is_killed_in_a_run_loses_its_own_cells_alone(
    machine: Machine, row: Row, record_property: Record, killed: str
) -> None:
    app = Application(machine.stack)
    row.begin(app)
    zygote = machine.template()
    environments = zygote.children()
    for process in environments if killed == "a function" else [zygote]:
        process.kill()
    assert wait_for_end(environments, 20) == []
    done = app.wait(execution_arn(row.run_id))
    assert done.status == "SUCCEEDED"
    assert [failure["error"] for failure in done.output["failures"]] == ["Runtime.ExitError"] * IN_FLIGHT
    assert sum(url is None for urls in done.output["results"] for url in urls) == IN_FLIGHT
    assert bool(wait_for_end([zygote], 0)) == (killed == "a function")
    row.end(app, record_property, killed, lost=IN_FLIGHT)
    app.close()


@pytest.mark.nightly
def test_a_run_goes_on_without_the_command_that_follows_it(machine: Machine, row: Row, record_property: Record) -> None:
    app = Application(machine.stack)
    app.image_api.reset()
    app.image_api.add_fault("hang", after=row.cells - IN_FLIGHT)
    request = {"prompts": [f"Title {number}" for number in range(row.cells // 2)], "models": [GPT, GEMINI]}
    follower = subprocess.Popen(
        [THUMBS, "start", "generateBatch", "--input", json.dumps(request), "--name", row.run_id],
        env=machine.environment,
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        row.wait(app)
    finally:
        follower.kill()
        follower.wait()
    app.image_api.clear_faults()
    app.wait(execution_arn(row.run_id))
    row.end(app, record_property, "the command that follows", lost=0)
    app.close()


def test_a_killed_image_api_is_started_again_where_the_functions_look_for_it(
    machine: Machine, row: Row, record_property: Record
) -> None:
    localstack, image_api = machine.process("localstack"), machine.process("image_api")
    url = machine.stack.image_api_url
    app = Application(machine.stack)
    row.begin(app)
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
    assert [line.partition(":")[0] for line in said[1:]] == ["The stack is up", "The page"]
    assert machine.process("localstack") == localstack
    app.wait(execution_arn(row.run_id))
    # A try that came after the start has made its image already.
    row.end(app, record_property, "the image API", lost=IN_FLIGHT, counted=row.before)
    app.close()


def spawned(app: Application, name: str) -> psutil.Process:
    """A process that a function has started and left running."""
    create_function(app.functions, name, "app.handler", {"app.py": SPAWNING})
    return psutil.Process(int(app.invoke(name, {}).payload))


@pytest.mark.nightly
def test_what_a_killed_template_s_functions_had_started_ends_too(machine: Machine) -> None:
    app = Application(machine.stack)
    process = spawned(app, "spawning")
    app.close()
    (template,) = [one for one in machine.process("localstack").children() if process in one.children(recursive=True)]
    kill(template)
    assert wait_for_end([process], 20) == []


@pytest.mark.nightly
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


def test_a_killed_localstack_takes_its_children_along_and_what_was_paid_for_stays(
    machine: Machine, row: Row, record_property: Record, disk: Disk
) -> None:
    app = Application(machine.stack)
    row.begin(app)
    process = spawned(app, "spawning-again")
    app.s3.put_object(
        Bucket=BUCKET, Key="kept", Body=b"kept", Metadata={"a": "b"}, Tagging="c=d", CacheControl="no-store"
    )
    before = everything(app)
    app.close()
    localstack, image_api = machine.process("localstack"), machine.process("image_api")
    children = localstack.children(recursive=True)
    unpacked = set(machine.stack.functions_folder.glob("lambda/*/*"))
    assert process in children
    assert unpacked
    kill(localstack)
    assert wait_for_end(children, 20) == []

    status = machine.thumbs("status")
    assert status.returncode == 1
    assert f"localstack ended unexpectedly; `thumbs up` starts it again. Logs: {machine.stack.logs}\n" in status.stdout
    for arguments in (["start", "generateBatch", "--input", json.dumps(REQUEST)], ["runs"]):
        done = machine.thumbs(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            "✗ LocalStack has ended: start it with `thumbs up`, or set AWS_ENDPOINT_URL= (empty) to use AWS\n"
        )

    disk.become_small()
    # The next start is cut off too.
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
    finally:
        first.kill()
        first.wait()
    sam = [
        one
        for one in psutil.process_iter(["cmdline"])
        if str(machine.stack.built / "local.json") in (one.info["cmdline"] or ())
    ]
    localstack = machine.process("localstack")
    assert "✓ the application is deployed" in machine.up()
    assert wait_for_end(sam, 20) == []
    # What was up stayed up, and what the dead LocalStack had unpacked is gone.
    assert (machine.process("image_api"), machine.process("localstack")) == (image_api, localstack)
    assert not unpacked & set(machine.stack.functions_folder.glob("lambda/*/*"))

    app = Application(machine.stack)
    assert everything(app) == before
    found = app.s3.get_object(Bucket=BUCKET, Key="kept")
    assert (found["Metadata"], found["CacheControl"], found["Body"].read()) == ({"a": "b"}, "no-store", b"kept")
    assert app.s3.get_object_tagging(Bucket=BUCKET, Key="kept")["TagSet"] == [{"Key": "c", "Value": "d"}]
    listed = {run["run_id"]: run for run in json.loads(machine.thumbs("runs", "--json").stdout)}
    assert (listed[row.run_id]["status"], listed[row.run_id]["forgotten"]) == ("ABORTED", True)
    shown = machine.thumbs("show", row.run_id)
    assert shown.returncode == 1
    assert f"{row.run_id}: its history is gone, and the bucket shows what it holds\n" in shown.stdout
    assert shown.stderr == (
        f"✗ {row.run_id} is ABORTED: ExecutionForgotten: "
        "the run was cut off, and Step Functions no longer knows its execution\n"
    )
    status_code, run = HttpApi(Command(machine.stack.endpoint).api_url)("GET", f"/runs/{row.run_id}")
    assert (status_code, run["status"], run["forgotten"]) == (200, "ABORTED", True)
    assert run["counts"]["succeeded"] == row.cells - IN_FLIGHT
    row.end(app, record_property, "LocalStack", lost=IN_FLIGHT)
    app.close()


def test_on_a_disk_that_is_full_no_model_is_called_and_a_redrive_makes_the_images(machine: Machine, disk: Disk) -> None:
    app = Application(machine.stack)
    app.image_api.reset()
    with disk.filled(leaving=50_000_000):
        done = app.run("generateBatch", REQUEST, "on-a-full-disk")
        assert (done.status, done.error) == ("FAILED", "AllImagesFailed")
        folder = re.escape(str(machine.stack.buckets))
        words = rf"StorageUnavailable: \d+\.\d MB are free on the disk that holds {folder}, and images need 100 MB"
        assert re.search(words, done.cause)
        assert app.image_api.calls()["requests"] == 0
    redriven = machine.thumbs("redrive", "on-a-full-disk", "--json")
    assert json.loads(redriven.stdout)["images"]["succeeded"] == 4
    assert app.image_api.calls()["paid"] == 4
    app.close()


@pytest.mark.nightly
def test_a_disk_that_fills_in_the_middle_costs_the_calls_under_way_and_none_more(
    machine: Machine, row: Row, record_property: Record, disk: Disk
) -> None:
    app = Application(machine.stack)
    row.begin(app)
    with disk.filled():
        app.image_api.clear_faults()
        done = app.wait(execution_arn(row.run_id))
        # Not even the manifest could be written.
        assert (done.status, done.error) == ("FAILED", "StorageUnavailable")
        assert f"the disk that holds {machine.stack.buckets / BUCKET} is full (No space left on device)" in done.cause
        shown = machine.thumbs("show", row.run_id)
        assert shown.stdout.count("StorageUnavailable: 0.0 MB are free on the disk") == IN_FLIGHT
        assert app.image_api.calls()["requests"] == row.cells
    row.end(app, record_property, "nothing: the disk is full", lost=IN_FLIGHT)
    app.close()


def test_processes_that_nobody_knows_any_more_are_ended_by_the_next_start(machine: Machine) -> None:
    family = machine.processes()
    app = Application(machine.stack)
    before = everything(app)
    # As a crash of the machine itself can leave them.
    (machine.stack.home / "stack.json").write_text("")
    (machine.stack.home / "stack.json.part").write_text('{"localstack": {"pid"')
    machine.stack.start(say)
    assert wait_for_end(family, 20) == []
    assert not (machine.stack.home / "stack.json.part").exists()
    assert not machine.stack.is_deployed()
    assert everything(app) == before
    app.close()


def test_a_stack_that_goes_down_leaves_its_bucket_and_neither_a_process_nor_a_temporary_file(machine: Machine) -> None:
    family = machine.processes()
    refused = machine.thumbs("down", "--delete")
    assert (refused.returncode, refused.stderr) == (
        1,
        "✗ the bucket is thrown away when somebody says so: add --yes\n",
    )
    kept = list(machine.stack.buckets.rglob("*"))
    done = machine.thumbs("down")
    assert done.returncode == 0
    assert f"MB in {machine.stack.buckets}; `thumbs down --delete` throws it away\n" in done.stderr
    assert wait_for_end(family, 20) == []
    assert list(machine.stack.buckets.rglob("*")) == kept
    assert not machine.stack.functions_folder.exists()
    assert not (machine.stack.home / "tmp").exists()
    assert list(machine.person.rglob("*")) + list(machine.temporary.rglob("*")) == []
    status = machine.thumbs("status")
    assert "ended unexpectedly" not in status.stdout
    assert machine.thumbs("down", "--delete", "--yes").returncode == 0
    assert not any(machine.stack.buckets.rglob("*"))
