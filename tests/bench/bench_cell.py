"""Where one image's processor time goes in its function: ``make bench-cell``.

The handler runs in this process with what the deployed function's environment says, against the S3 of a stack of the
benchmark's own and its image API. Each part is counted in the time of the thread that does it, so that the table adds
up to the whole.
``--runs N`` images are made after a few that nobody counts; each figure is the median over them.
"""

import argparse
import contextlib
import io
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.bench_batch import image_api, stack
from tests.bench.bench_cold_start import environment
from tests.bench.bench_overlay import MEMORY, TITLE, show
from thumbs.stack.processes import PROJECT

MODEL, STYLE, TEMPLATE = "gpt-image-1", "photorealistic", "bottom-bar"
UNCOUNTED = 4
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
#: What a put of a cell is, by how its key begins.
PUTS = {"originals/": "the original", "spent/": "the note of what it cost", "runs/": "the image"}


class Parts:
    """Milliseconds of processor time by part; none of them is within another."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)

    def count(self, owner: Any, name: str, part: str | Callable[..., str]) -> None:
        """Have a function or a method counted as a part, or as the one that its arguments say."""
        counted = getattr(owner, name)

        def timed(*given: Any, **named: Any) -> Any:
            started = time.thread_time()
            try:
                return counted(*given, **named)
            finally:
                called = part if isinstance(part, str) else part(*given)
                self.spent[called] += 1000 * (time.thread_time() - started)

        setattr(owner, name, timed)


class Context:
    function_name, memory_limit_in_mb, invoked_function_arn, aws_request_id = "f", 1024, "arn", "r"


def measured(runs: int) -> list[dict[str, float]]:
    """The parts of each image, and the ``whole``."""
    from generate_thumbnail import app
    from thumbnails.aws.s3 import Store
    from thumbnails.images import cell

    app.prepare()
    parts = Parts()
    parts.count(app, "parse_cell", "the request's check")
    parts.count(app, "generate_picture", "the model's SDK: call, answer, base64")
    parts.count(cell, "prepare_title", "the title, set while the model draws")
    parts.count(cell, "draw_formats", "the overlay")
    parts.count(Store, "metadata", "S3: HEAD of the image")
    parts.count(Store, "get", "S3: GET of the original")
    kinds = PUTS.items()
    parts.count(Store, "put", lambda _, key, *__: f"S3: PUT of {next(v for k, v in kinds if key.startswith(k))}")
    parts.count(Store, "url", "the presigned URL")
    run_id = f"cell-{uuid.uuid4().hex[:12]}"
    found = []
    for number in range(UNCOUNTED + runs):
        parts.spent.clear()
        started = time.process_time()
        request = {"title": f"{TITLE} {number}", "model": MODEL, "style": STYLE, "template": TEMPLATE}
        app.handler({**request, "run_id": run_id, "execution": run_id, "row": number, "column": 0}, Context())
        whole = 1000 * (time.process_time() - started)
        rest = whole - sum(parts.spent.values())
        found.append({**parts.spent, "logs, metrics, traces, threads, waiting": rest, "the whole": whole})
    return found[UNCOUNTED:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    if not MEMORY.items() <= os.environ.items():
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **MEMORY})  # noqa: S606
    sys.path.insert(0, str(PROJECT / "functions"))
    homes = PROJECT / ".thumbs"
    homes.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=homes) as folder,
        image_api(Path(folder)) as api,
        stack(Path(folder), api) as on,
        contextlib.redirect_stdout(io.StringIO()),  # the function's own log
    ):
        os.environ.update(environment(on))
        del os.environ["POWERTOOLS_TRACE_DISABLED"]  # on the stack it is traced
        os.environ.update(LAMBDA_TASK_ROOT="/var/task", _X_AMZN_TRACE_ID=TRACE)
        found = measured(options.runs)
    rows = [["part", "ms of processor time"]]
    rows += [[part, f"{statistics.median(one[part] for one in found):.1f}"] for part in found[0]]
    show(rows, options.markdown)


if __name__ == "__main__":
    main()
