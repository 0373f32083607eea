"""The command `thumbs` of a person whose stack is the tests'."""

import io
import os
import subprocess
import sys
import uuid
from contextlib import redirect_stderr, redirect_stdout

import pytest

from tests.integration.application import Application
from tests.integration.machine import THUMBS
from thumbs.cli.main import main
from thumbs.stack.processes import PROJECT


def environment(endpoint: str, **more: str) -> dict[str, str]:
    """A person's, whose command talks to an endpoint and who has no screen."""
    ours = ("AWS_", "DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    mine = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**mine, "AWS_ENDPOINT_URL": endpoint, "COLUMNS": "120", **more}


def as_a_process(app: Application, *arguments: str, typed: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end as a person does."""
    return subprocess.run(
        [THUMBS, *arguments],
        input=typed,
        env=environment(app.stack.endpoint, **more),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )


def thumbs(app: Application, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the same in this process, which spares half a second's start for each; one at a time."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as changed, redirect_stdout(out), redirect_stderr(err):
        changed.setattr(sys, "argv", ["thumbs", *arguments])
        mine = environment(app.stack.endpoint)
        for name in os.environ.keys() - mine.keys():
            changed.delenv(name)
        for name, value in mine.items():
            changed.setenv(name, value)
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


def new_name() -> str:
    """A run's, which no other test uses."""
    return f"typed-{uuid.uuid4().hex[:8]}"
