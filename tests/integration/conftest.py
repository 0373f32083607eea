"""Integration tests talk to a stack of their own: started and deployed once, stopped and removed at the end.

Several processes may run the tests side by side (`pytest -n`): each file belongs to a lane, each lane is run by one
process, in order, and each process has a stack of its own. No test sees another's faults, counts or configuration.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.integration.application import Application
from tests.integration.http_api import HttpApi
from tests.integration.machine import Machine, last_changes
from thumbs.cli.application import Application as Command
from thumbs.stack.deploy import build
from thumbs.stack.processes import PROJECT, Stack, free_port

#: Enough for every picture of a run on a busy machine; a call that hangs lasts longer.
PROVIDER_SECONDS = "10"
HOMES = PROJECT / ".thumbs"
#: Files that one process runs one after the other, because they share a stack.
LANES = {
    "machine": ("test_faults", "test_paying_once", "test_keys", "test_campaigns", "test_lambda", "test_image_api_sdks"),
    "application": (
        # The first reads all that the stack has written until then; the second lists all runs again and again.
        *("test_secrets", "test_one_domain", "test_command", "test_api", "test_fuzz", "test_stack", "test_events"),
        *("test_budget", "test_runs", "test_requests"),
    ),
    "browser": (
        *("test_page", "test_attacks", "test_lost_events", "test_batches"),
        # Nothing is left of the stack after these.
        "test_crashes",
    ),
}
#: What tests note a row of under this name.
TABLES = {"fault": "faults", "attack": "attacks", "crash": "crashes", "lost_event": "lost events"}
LANE_OF = {file: lane for lane, files in LANES.items() for file in files}


def pytest_configure(config: pytest.Config) -> None:
    """A stack outlives the object that started it, by design."""
    config.addinivalue_line("filterwarnings", r"ignore:subprocess \d+ is still running:ResourceWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The lanes first, the longest at the head: what is left is unit tests, which fill the gaps one by one."""
    files = list(LANE_OF)
    # Stable: within a file and among the unit tests the order stays.
    items.sort(key=lambda item: files.index(item.path.stem) if _lane(item.nodeid) else len(files))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Give each lane to one process, whole, and any other test to whichever has nothing to do."""
    config.option.loadscopereorder = False
    return Lanes(config, log)


class Lanes(LoadScopeScheduling):  # type: ignore[misc]
    """What belongs together is a lane, or a test by itself."""

    def _split_scope(self, nodeid: str) -> str:
        return _lane(nodeid) or nodeid


def _lane(nodeid: str) -> str | None:
    folder, _, file = nodeid.partition("::")[0].rpartition("/")
    return LANE_OF.get(file.removesuffix(".py")) if folder == "tests/integration" else None


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--fault-table`` and its like print what those tests found, as docs/reliability.md has it."""
    for row, rows in TABLES.items():
        parser.addoption(f"--{row}-table", action="store_true", help=f"print the table of {rows} at the end")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The tables that were asked for: a row per test that says what it found."""
    for row in TABLES:
        if config.getoption(f"{row}_table"):
            _print_table(terminalreporter, row)


def _print_table(terminalreporter: Any, row: str) -> None:
    found = [
        {**dict(report.user_properties)[row], "verdict": "holds" if outcome == "passed" else "BROKEN"}
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, ())
        if report.when == "call" and row in dict(report.user_properties)
    ]
    if not found:
        return
    rows = [list(found[0]), *([str(value) for value in row.values()] for row in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rows.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:-1]), "-" * widths[-1]])
    terminalreporter.section(TABLES[row])
    for first, *numbers, last in rows:
        middle = [cell.rjust(width) for cell, width in zip(numbers, widths[1:-1], strict=True)]
        cells = [first.ljust(widths[0]), *middle, last.ljust(widths[-1])]
        terminalreporter.write_line(f"| {' | '.join(cells)} |")


def say(line: str) -> None:
    print(line)


def remove(stack: Stack) -> None:
    """End a stack and all that it wrote."""
    stack.stop(say)
    shutil.rmtree(stack.home)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Keep the other processes of the test run from the same."""
    HOMES.mkdir(exist_ok=True)
    with (HOMES / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def remove_orphans() -> None:
    """End the stacks of test runs that were killed before they could do it themselves."""
    with locked("test-orphans"):
        for home in HOMES.glob("test-*"):
            pid = home.name.removeprefix("test-").partition("-")[0]
            if pid.isdecimal() and not psutil.pid_exists(int(pid)):
                # The small disk of a crash test.
                for disk in psutil.disk_partitions(all=True):
                    if Path(disk.mountpoint).is_relative_to(home):
                        subprocess.run(["umount", disk.mountpoint], check=True)
                remove(Stack(home, 0))


def new_stack(suffix: str = "", **settings: Any) -> Stack:
    """A stack of this process, not started, with the functions built: that is done once for all stacks."""
    remove_orphans()
    stack = Stack(HOMES / f"test-{os.getpid()}{suffix}", **{"port": free_port(), **settings})
    template = Stack(HOMES / "test-build", 0)
    with locked("test-build"):
        build(template, say)
        # SAM writes none of these files again: it removes them and makes new ones.
        shutil.copytree(
            template.built.parent, stack.built.parent, copy_function=os.link, ignore=shutil.ignore_patterns("cli")
        )
    return stack


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A stack of this process's own, brought up as a person does it."""
    stack = new_stack()
    person, temporary = tmp_path_factory.mktemp("person"), tmp_path_factory.mktemp("temporary")
    machine = Machine(stack, person, temporary, last_changes())
    try:
        machine.up()
        yield machine
    finally:
        remove(stack)


@pytest.fixture(scope="session")
def deployed(machine: Machine) -> Iterator[Application]:
    """The application on it, with little patience for providers."""
    application = Application(machine.stack)
    application.set_variables("generateThumbnail", PROVIDER_TIMEOUT_SECONDS=PROVIDER_SECONDS)
    yield application
    application.close()


@pytest.fixture
def app(deployed: Application) -> Application:
    """The application, with an image API that has no faults, its first latency and no counts."""
    deployed.image_api.reset()
    return deployed


@pytest.fixture
def api(app: Application) -> HttpApi:
    """The deployed HTTP API."""
    return HttpApi(Command(app.stack.endpoint).api_url)
