"""`sam local` against a stack of the tests' own that listens on Docker's bridge too."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.application import Application, wait_for
from tests.integration.conftest import new_stack, remove, say
from thumbs.stack.deploy import CREDENTIALS, deploy
from thumbs.stack.processes import LOOPBACK, PROJECT, Stack, answers, bridge_address, free_port, last_line
from thumbs.stack.sam_local import write_variables

SAM = PROJECT / ".venv-sam" / "bin" / "sam"
#: Building the image that the functions run in is most of it.
IMAGE_SECONDS = 600
#: Starting a container for each function, on a busy machine.
START_SECONDS = 240
INVOKE_SECONDS = 180
STOP_SECONDS = 60


def pytest_configure(config: pytest.Config) -> None:
    """A stack outlives the object that started it, by design."""
    config.addinivalue_line("filterwarnings", r"ignore:subprocess \d+ is still running:ResourceWarning")


class SamLocal:
    """``sam local`` as a person types it, pointed at a stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._variables = write_variables(stack)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self.environment = {**kept, **CREDENTIALS, "SAM_CLI_TELEMETRY": "0"}

    def command(self, *arguments: str) -> list[str]:
        """A command line."""
        # What samconfig.toml says for the project's own stack, but for where this one is.
        here = ["--template", str(self.stack.built / "template.yaml"), "--env-vars", str(self._variables)]
        return [str(SAM), "local", *arguments, "--config-file", str(PROJECT / "samconfig.toml"), *here]

    def invoke(self, function: str, event: Path) -> Any:
        """What a function answers to the event in a file; its error object where it raised."""
        log = self.stack.logs / f"invoke-{event.stem}.log"
        try:
            with log.open("wb") as errors:
                done = subprocess.run(
                    self.command("invoke", function, "--event", str(event)),
                    cwd=PROJECT,
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    timeout=INVOKE_SECONDS,
                    check=False,
                )
        finally:
            remove_containers(log)
        assert done.returncode == 0, log.read_text(errors="replace")
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def docker() -> None:
    """A Docker daemon that holds the image of the runtime."""
    asked = None
    if shutil.which("docker"):
        asked = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=60, check=False)
    if asked is None or asked.returncode:
        pytest.skip("no Docker daemon answers here; .ci/sam-local starts one")
    image = PROJECT / "tests" / "sam_local" / "image.sh"
    subprocess.run([str(image)], timeout=IMAGE_SECONDS, check=True)


@pytest.fixture(scope="session")
def app(docker: None) -> Iterator[Application]:
    """The application, on a stack that containers reach."""
    stack = new_stack(port=free_port(hosts=(LOOPBACK, bridge_address())), latency=0.05, bridge=True)
    try:
        stack.start(say)
        deploy(stack, say)
        application = Application(stack)
        yield application
        application.close()
    finally:
        remove(stack)


@pytest.fixture(scope="session")
def sam_local(app: Application) -> SamLocal:
    """``sam local`` beside the stack."""
    return SamLocal(app.stack)


@pytest.fixture(scope="session")
def api(sam_local: SamLocal) -> Iterator[str]:
    """The URL of ``sam local start-api``."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    log = sam_local.stack.logs / "start-api.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            sam_local.command("start-api", "--port", str(port)),
            cwd=PROJECT,
            env=sam_local.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def up() -> bool | None:
        assert process.poll() is None, f"sam local start-api ended: {last_line(log)}"
        return True if answers(f"{url}/health") else None

    try:
        wait_for(f"sam local start-api (its log: {log})", up, START_SECONDS)
        yield url
    finally:
        # SAM removes its containers at SIGTERM.
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        remove_containers(log)


def remove_containers(log: Path) -> None:
    """Remove what is left of the containers that a SAM command said it started."""
    started = re.findall(r"SAM_CONTAINER_ID: ([0-9a-f]{12,})", log.read_text(errors="replace"))
    if started:
        subprocess.run(["docker", "rm", "--force", *started], capture_output=True, timeout=STOP_SECONDS, check=False)
