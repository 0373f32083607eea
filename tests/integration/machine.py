"""A person's machine: a stack that was brought up by the command, with empty folders for their home and files."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.integration.application import DALLE, GPT
from thumbs.stack.processes import PROJECT, Stack

THUMBS = Path(sys.executable).parent / "thumbs"
REQUEST = {"prompts": ["Before the crash", "After the crash"], "models": [GPT, DALLE]}
HANDLER = "generate_thumbnail.app.handler"
#: Where LocalStack would write, had nobody told it otherwise.
NOT_ITS_OWN = [Path("/var/lib/localstack")]
NOT_ITS_OWN += [Path("/tmp", name) for name in ("localstack", "lambda", "localstack-s3-storage")]  # noqa: S108


@dataclass
class Machine:
    """A stack, and the folders that it must not write to."""

    stack: Stack
    person: Path
    temporary: Path
    before: dict[Path, int]

    @property
    def environment(self) -> dict[str, str]:
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "UV_"))}
        return {
            **mine,
            "HOME": str(self.person),
            "TMPDIR": str(self.temporary),
            "THUMBS_HOME": str(self.stack.home),
            "THUMBS_PORT": str(self.stack.port),
            "COLUMNS": "120",
        }

    def thumbs(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        return subprocess.run(
            [THUMBS, *arguments], env=self.environment, cwd=PROJECT, capture_output=True, text=True, check=False
        )

    def up(self) -> list[str]:
        """Bring the stack up; what the command said."""
        done = self.thumbs("up", "--latency", "0.05")
        assert done.returncode == 0, done.stderr
        return done.stderr.splitlines()

    def works(self) -> None:
        """A run makes all of its images."""
        done = self.thumbs("start", "generateBatch", "--json", "--input", json.dumps(REQUEST))
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["images"]["succeeded"] == 4

    def process(self, name: str) -> psutil.Process:
        service = self.stack.service(name)
        assert service
        assert service.process
        return service.process

    def processes(self) -> list[psutil.Process]:
        """Both services and all that they have started."""
        services = [self.process(name) for name in ("localstack", "image_api")]
        return [one for service in services for one in (service, *service.children(recursive=True))]

    def template(self) -> psutil.Process:
        """The zygote of the function that makes images."""
        (found,) = [one for one in self.process("localstack").children() if HANDLER in one.cmdline()]
        return found


def last_changes() -> dict[Path, int]:
    """When each of LocalStack's usual folders, and what is in it, was last written to."""
    found = [path for folder in NOT_ITS_OWN if folder.exists() for path in (folder, *folder.rglob("*"))]
    return {path: path.stat().st_mtime_ns for path in found}
