"""Integration tests talk to a stack of their own: started and deployed once, stopped and removed at the end."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.application import Application
from thumbs.deploy import deploy
from thumbs.stack import PROJECT, Stack, free_port

#: Enough for every picture of a run on a busy machine; a call that hangs lasts longer.
PROVIDER_SECONDS = "5"


def pytest_configure(config: pytest.Config) -> None:
    """A stack outlives the object that started it, by design."""
    config.addinivalue_line("filterwarnings", r"ignore:subprocess \d+ is still running:ResourceWarning")


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
