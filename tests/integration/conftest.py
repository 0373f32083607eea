"""Integration tests talk to a stack of their own: started and deployed once, stopped and removed at the end."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.application import Application
from thumbs.stack.deploy import deploy
from thumbs.stack.processes import PROJECT, Stack, free_port

#: Enough for every picture of a run on a busy machine; a call that hangs lasts longer.
PROVIDER_SECONDS = "5"


def pytest_configure(config: pytest.Config) -> None:
    """A stack outlives the object that started it, by design."""
    config.addinivalue_line("filterwarnings", r"ignore:subprocess \d+ is still running:ResourceWarning")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--fault-table`` prints what test_faults.py found, as docs/reliability.md has it."""
    parser.addoption("--fault-table", action="store_true", help="print the table of faults at the end")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The table of faults: a row per test that says what it found."""
    if not config.getoption("fault_table"):
        return
    found = [
        {**dict(report.user_properties)["fault"], "verdict": "holds" if outcome == "passed" else "BROKEN"}
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, ())
        if report.when == "call" and "fault" in dict(report.user_properties)
    ]
    if not found:
        return
    rows = [list(found[0]), *([str(value) for value in row.values()] for row in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rows.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:-1]), "-" * widths[-1]])
    terminalreporter.section("faults")
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


def remove_orphans(homes: Path) -> None:
    """End the stacks of test runs that were killed before they could do it themselves."""
    for home in homes.glob("test-*"):
        pid = home.name.removeprefix("test-").partition("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            remove(Stack(home, 0))


@pytest.fixture(scope="session")
def deployed() -> Iterator[Application]:
    """The application, deployed to a stack of this test run's own."""
    homes = PROJECT / ".thumbs"
    remove_orphans(homes)
    stack = Stack(homes / f"test-{os.getpid()}", free_port(), latency=0.05)
    try:
        stack.start(say)
        deploy(stack, say, {"ProviderTimeoutSeconds": PROVIDER_SECONDS})
        application = Application(stack)
        yield application
        application.close()
    finally:
        remove(stack)


@pytest.fixture
def app(deployed: Application) -> Application:
    """The application, with an image API that has no faults, its first latency and no counts."""
    deployed.image_api.reset()
    return deployed
