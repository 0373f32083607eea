"""The stack on this machine, as far as it needs no socket: its state file, its processes, and what a person is told."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from thumbs.command_error import CommandError
from thumbs.stack import deploy, processes
from thumbs.stack.processes import Service, Stack, last_line, wait_for_end


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path / "home", 4599)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def reports() -> tuple[list[str], Callable[[str], None]]:
    lines: list[str] = []
    return lines, lines.append


def test_a_stack_that_was_never_started_is_down(stack: Stack) -> None:
    assert stack.state() == {}
    assert stack.image_api_url is None
    lines, report = reports()
    assert stack.stop(report) is False
    assert lines == []


def test_notes_are_changed_one_by_one(stack: Stack) -> None:
    with stack.locked():
        stack.note(a=1, b={"c": 2})
        stack.note(a=None, d=3)
    assert stack.state() == {"b": {"c": 2}, "d": 3}


def test_a_process_is_known_by_its_start_and_not_by_its_id_alone() -> None:
    me = psutil.Process()
    assert Service(me.pid, me.create_time(), 1).process == me
    assert Service(me.pid, me.create_time() - 5, 1).process is None


def test_a_process_that_has_ended_is_not_waited_for_until_its_parent_asks() -> None:
    with subprocess.Popen(["true"]) as ended, subprocess.Popen(["cat"], stdin=subprocess.PIPE) as running:
        found = [psutil.Process(ended.pid), psutil.Process(running.pid)]
        assert wait_for_end(found[:1], 60) == []
        # Nobody has asked: it is still there, and psutil would wait for it.
        assert found[0].status() == psutil.STATUS_ZOMBIE
        assert wait_for_end(found, 0) == found[1:]
        running.kill()


def test_a_process_of_another_that_took_the_id_is_left_alone(stack: Stack) -> None:
    with stack.locked():
        stack.note(localstack={"pid": os.getpid(), "started": 1.0, "port": 4599})
    lines, report = reports()
    assert stack.stop(report) is False
    assert lines == []
    assert psutil.Process().is_running()


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00" * 64])
def test_notes_that_a_crash_has_spoilt_are_none(stack: Stack, text: str) -> None:
    with stack.locked():
        (stack.home / "stack.json").write_text(text)
        assert stack.state() == {}
        stack.note(a=1)
    assert stack.state() == {"a": 1}


@pytest.mark.parametrize("ours", [True, False], ids=["of this stack", "of another"])
@pytest.mark.parametrize("mark", ["THUMBS_STACK", "TMPDIR"])
def test_what_a_crash_left_is_ended_and_nothing_else(stack: Stack, mark: str, ours: bool) -> None:
    home = stack.home if ours else stack.home.with_name("another")
    value = str(home / "localstack" / "tmp") if mark == "TMPDIR" else str(home)
    with subprocess.Popen(["/bin/sleep", "300"], env={mark: value}) as process:
        # Before it is another program, it has this one's environment; for a moment then, none.
        wait_until(lambda: psutil.Process(process.pid).environ() == {mark: value})
        stack.stop(lambda _line: None)
        # A child keeps its id until it is waited for; who else has done that took its status along, and leaves 0.
        if ours:
            assert process.wait(60) in (0, -signal.SIGKILL)
        else:
            assert process.poll() is None
            process.kill()


def test_what_a_stack_starts_keeps_its_files_at_home(stack: Stack) -> None:
    given = stack.environment()
    assert {Path(given[name]).parent for name in ("TMPDIR", "XDG_CACHE_HOME")} == {stack.home}
    assert Path(given["TMPDIR"]).is_dir()
    assert given["THUMBS_STACK"] == str(stack.home)


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "4566 "])
def test_a_port_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("THUMBS_PORT", port)
    with pytest.raises(CommandError, match=r"^THUMBS_PORT is .*: give a port number from 1 to 65535"):
        Stack.of_this_project()


def test_the_environment_names_home_and_port(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("THUMBS_PORT", "4600")
    monkeypatch.setenv("THUMBS_HOME", str(tmp_path))
    found = Stack.of_this_project()
    assert (found.endpoint, found.home) == ("http://localhost:4600", tmp_path)


def test_a_container_listens_where_its_published_ports_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Stack.of_this_project().hosts == ("127.0.0.1",)
    monkeypatch.setenv("THUMBS_BRIDGE", "lo")
    assert Stack.of_this_project().hosts == ("127.0.0.1", "127.0.0.1")
    monkeypatch.setenv("THUMBS_BRIDGE", "eth99")
    with pytest.raises(CommandError, match=r"^THUMBS_BRIDGE is 'eth99', and there is no such interface: unset it$"):
        _ = Stack.of_this_project().hosts


def test_a_stack_listens_on_loopback_and_where_it_is_asked_to_on_the_bridge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = [SimpleNamespace(family=socket.AF_INET6, address="fe80::1%docker0")]
    addresses.append(SimpleNamespace(family=socket.AF_INET, address="172.17.0.1"))
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {"docker0": addresses})
    assert Stack(tmp_path, 4599).hosts == ("127.0.0.1",)
    assert Stack(tmp_path, 4599, bridge=True).hosts == ("127.0.0.1", "172.17.0.1")


def test_without_a_bridge_nothing_is_started(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "net_if_addrs", dict)
    with pytest.raises(
        CommandError, match=r"^there is no Docker bridge on this machine: start Docker: it makes docker0$"
    ):
        Stack(stack.home, stack.port, bridge=True).start(lambda _line: None)
    assert stack.state() == {}


def test_a_stack_that_runs_without_the_bridge_has_to_go_down_first(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = SimpleNamespace(family=socket.AF_INET, address="172.17.0.1")
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {"docker0": [address]})
    asked: list[str] = []
    monkeypatch.setattr("thumbs.stack.processes.answers", asked.append)
    me = psutil.Process()
    with stack.locked():
        stack.note(localstack={"pid": me.pid, "started": me.create_time(), "port": stack.port})
    with pytest.raises(CommandError) as refused:
        Stack(stack.home, stack.port, bridge=True).start(lambda _line: None)
    assert str(refused.value) == (
        "this stack runs and does not listen on Docker's bridge, 172.17.0.1: "
        "`thumbs down` stops it, then `thumbs up --bridge`"
    )
    assert asked == ["http://172.17.0.1:4599/_localstack/health"]


@pytest.mark.parametrize(
    ("text", "line"), [("", "it printed nothing"), ("\n \n", "it printed nothing"), ("first\n last \n\n", "last")]
)
def test_the_last_line_of_a_log_is_the_one_that_says_something(tmp_path: Path, text: str, line: str) -> None:
    log = tmp_path / "log"
    log.write_text(text)
    assert last_line(log) == line


def test_without_sam_a_deployment_says_what_to_run(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(deploy, "PROJECT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError, match=r"^the AWS SAM CLI is not installed: run `make setup`$"):
        deploy.deploy(stack, lambda _line: None)


def test_a_failing_sam_says_its_last_line_and_where_the_rest_is(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sam = tmp_path / ".venv-sam" / "bin" / "sam"
    sam.parent.mkdir(parents=True)
    sam.write_text(
        '#!/bin/sh\necho "no template"\necho "Error: $1 of $AWS_ACCESS_KEY_ID at $AWS_ENDPOINT_URL"\nexit 1\n'
    )
    sam.chmod(0o755)
    monkeypatch.setattr(deploy, "PROJECT", tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-person's-own")
    with pytest.raises(CommandError) as failed:
        deploy.deploy(stack, lambda _line: None)
    assert str(failed.value) == (
        f"sam build failed: Error: build of test at http://localhost:4599 (all of it: {stack.logs / 'build.log'})"
    )
    assert "no template" in (stack.logs / "build.log").read_text()


def test_a_full_disk_is_told_with_what_is_needed_before_anything_starts(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "ROOM_BYTES", 10**21)
    words = (
        rf"^\d+\.\d MB are free on the disk that holds {stack.home}, and the stack needs {10**15 + 400} MB: make room"
    )
    with pytest.raises(CommandError, match=words):
        stack.start(lambda _line: None)
    stack.built.mkdir(parents=True)
    with pytest.raises(CommandError, match=rf"needs {10**15} MB: make room, or set THUMBS_HOME to a folder on another"):
        stack.start(lambda _line: None)
    assert stack.state() == {}


@pytest.mark.parametrize("command", ["up", "down"])
def test_a_home_that_cannot_be_written_is_one_line(tmp_path: Path, command: str) -> None:
    home = tmp_path / "a-file" / "home"
    (tmp_path / "a-file").touch()
    environment = {**os.environ, "THUMBS_HOME": str(home), "THUMBS_PORT": "4599", "AWS_ENDPOINT_URL": ""}
    del environment["AWS_ENDPOINT_URL"]
    done = subprocess.run(
        [Path(sys.executable).parent / "thumbs", command], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"✗ the stack keeps its files in {home}, which cannot be written (Not a directory): "
        "make room where it is full, or set THUMBS_HOME to another folder\n"
    )


def test_a_port_for_root_alone_is_called_so(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(processes, "is_free", refuse)
    stack.built.mkdir(parents=True)
    with pytest.raises(
        CommandError, match=r"^port 4599 is one that only root may listen on: choose one from 1024 on with THUMBS_PORT$"
    ):
        stack.start(lambda _line: None)


def test_a_stack_that_goes_down_keeps_its_buckets_until_somebody_throws_them_away(stack: Stack) -> None:
    kept = stack.buckets / "pictures" / "one"
    kept.parent.mkdir(parents=True)
    kept.touch()
    stack.stop(lambda _line: None)
    assert kept.exists()
    stack.delete_buckets()
    assert not stack.buckets.exists()
