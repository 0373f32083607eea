"""What the pages of runs and images cost over how many runs are stored: ``make bench-growth``.

On a stack of its own, over 10, 1,000 and 10,000 runs that Step Functions has forgotten, each with a request, a
manifest, two originals, two images and its entries in the indexes: S3's own operations write them into the bucket's
folder while the stack is down. Then what each page asks of S3 and Step Functions, and how long it takes.

    show, runs     what ``thumbs show`` and ``thumbs runs`` do, without the command's own start
    GET …          over HTTP, with the function that is warm
    redrive        of a run that lacks an image: until its execution is started, and until that has ended

Pages hold five runs or six images, so that ten runs have more than one. ``--docs`` writes docs/growth.md and .png.
"""

import argparse
import base64
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.bench.bench_batch import machine, markdown
from tests.embedded_s3 import embedded_s3
from tests.integration.application import BUCKET, GEMINI, GPT
from tests.integration.http_api import HttpApi
from tests.unit.memory_store import MemoryStore
from tests.unit.opened import open_run
from thumbnails.images.digests import picture_of
from thumbnails.keys import begun_key, gallery_key, image_key, original_key
from thumbnails.requests.models import stored_request
from thumbnails.runs.collect import collect_run
from thumbnails.runs.gallery import newest_images
from thumbnails.runs.listing import list_runs
from thumbnails.runs.resume import redrive
from thumbs.cli.application import Application
from thumbs.stack.deploy import deploy
from thumbs.stack.processes import PROJECT, Stack, free_port

SIZES = (10, 1000, 10_000)
RUNS, IMAGES = 5, 6
#: How often each page is asked for, and how many runs of each size lack an image.
TRIES, LACKING = 25, 5
MODELS = [GPT, GEMINI]
TITLE = "A title of a few words"
BATCH = {"prompts": [TITLE], "models": MODELS}
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@dataclass(frozen=True)
class Figure:
    """What one page cost at one size."""

    calls: str
    ms: float


def name_of(number: int) -> str:
    """A run's id."""
    return f"run-{number:06d}"


def start_of(number: int) -> datetime:
    """When it began: each a minute after the one before."""
    return FIRST + timedelta(minutes=number)


def objects(number: int, images: int = len(MODELS)) -> list[tuple[str, bytes, str, dict[str, str]]]:
    """What a run leaves in the bucket."""
    store = MemoryStore()
    run_id = name_of(number)
    open_run("generateBatch", run_id, BATCH, store, 50, start_of(number))
    request = stored_request("generateBatch", store.json(f"runs/{run_id}/request.json"))
    cells: list[dict[str, Any]] = []
    for column, model in enumerate(MODELS):
        cell = {"row": 0, "column": column, "title": TITLE, "model": model}
        if column >= images:
            cells.append({**cell, "failure": {"Error": "ProviderUnavailable", "Cause": "no answer"}})
            continue
        key = image_key(run_id, 0, TITLE, model)
        store.put(original_key(picture_of(TITLE, model, request).digest, run_id, 0, column), PICTURE, "image/png")
        store.put(key, PICTURE, "image/jpeg")
        cells.append({**cell, "key": key, "image_url": "", "paid_calls": 1})
    collect_run("generateBatch", run_id, run_id, cells, store)
    return [(key, one.body, store.content_types[key], one.metadata) for key, one in store.objects.items()]


def fill(buckets: Path, first: int, last: int) -> None:
    """Store runs in the folder of a stack that is down, the oldest of them without one image each; end the process."""
    # What is measured is not how long it lasts.
    os.fsync = lambda fd: None  # noqa: ARG005
    call = embedded_s3(buckets)
    from localstack.services.s3 import provider

    provider.S3Provider._notify = lambda *_, **__: None
    like = [objects(0), objects(0, 1)]
    for number in range(first, last):
        for key, body, kind, metadata in like[number < first + LACKING]:
            call(
                "PutObject",
                Bucket=BUCKET,
                Key=renamed(key, number),
                Body=io.BytesIO(renamed(body.decode("latin-1"), number).encode("latin-1")),
                ContentType=kind,
                Metadata={name: renamed(value, number) for name, value in metadata.items()},
            )


def renamed(text: str, number: int) -> str:
    """The first run's text as another run's."""
    for old, new in (
        (begun_key(name_of(0), start_of(0)), begun_key(name_of(number), start_of(number))),
        (gallery_key(name_of(0), start_of(0)), gallery_key(name_of(number), start_of(number))),
        (name_of(0), name_of(number)),
    ):
        text = text.replace(old, new)
    return text


class Growth:
    """The measurement, over all sizes.

    Attributes:
        found: what each page cost, by what is done and by how many runs are stored.
    """

    def __init__(self, home: Path) -> None:
        self.stack = Stack(home, free_port(), latency=0.0)
        self.found: dict[str, dict[int, Figure]] = {}

    def run(self) -> None:
        """Fill and measure, size by size."""
        self._up()
        stored = 0
        for size in SIZES:
            self.stack.stop(lambda _: None)
            arguments = ["--fill", str(self.stack.buckets), str(stored), str(size)]
            subprocess.run([sys.executable, "-m", "tests.bench.bench_growth", *arguments], check=True, cwd=PROJECT)
            self._up()
            self._measure(size, stored)
            stored = size

    def _up(self) -> None:
        self.stack.start(lambda _: None)
        deploy(self.stack, lambda _: None)

    def _measure(self, size: int, before: int) -> None:
        application = Application(self.stack.endpoint)
        executions, store = application.executions, application.store
        api = HttpApi(application.api_url)
        calls: Counter[str] = Counter()
        for client in (store._client, executions._client):
            client.meta.events.register(
                "before-call", lambda model, **_: calls.update([model.service_model.service_name])
            )

        pages: dict[str, Callable[[], object]] = {}
        asked: dict[str, str] = {}

        def note(what: str, look: Callable[[], object], path: str = "") -> None:
            look()
            calls.clear()
            look()
            asked[what] = f"{calls['s3']} + {calls['stepfunctions']}"
            pages[what] = (lambda: got(api, path)) if path else look

        middle, last = name_of(size // 2), name_of(RUNS)
        after = {
            "first": None,
            "middle": (float(milliseconds_of(size // 2)), middle),
            "last": (float(milliseconds_of(RUNS)), last),
        }
        shown = name_of(size - 1)
        note("show", lambda: application.find(shown))
        note("GET /runs/{id}", lambda: application.find(shown), f"/runs/{shown}")
        note("runs", lambda: list_runs(executions, store, RUNS))
        for page, mark in after.items():
            path = f"/runs?limit={RUNS}" + (f"&cursor={cursor(mark)}" if mark else "")
            note(f"GET /runs, {page} page", lambda mark=mark: list_runs(executions, store, RUNS, mark), path)  # type: ignore[misc]
        end = (0.0, gallery_key(name_of(IMAGES // 2), start_of(IMAGES // 2)))
        for page, place in (("first", None), ("last", end)):
            path = f"/images?limit={IMAGES}" + (f"&cursor={cursor(place)}" if place else "")
            note(f"GET /images, {page} page", lambda place=place: newest_images(store, IMAGES, place), path)  # type: ignore[misc]
        # Page after page, again and again: what else the machine does for some seconds falls to all of them.
        spent: dict[str, list[float]] = {what: [] for what in pages}
        for _ in range(TRIES):
            for what, look in pages.items():
                spent[what].append(timed(look))
        for what, ms in spent.items():
            self._note(what, size, Figure(asked[what], statistics.median(ms)))
        started, ended = [], []
        for number in range(before, before + LACKING):
            calls.clear()
            run_id = name_of(number)
            began = time.perf_counter()
            name = redrive(application.find(run_id), executions, store)
            started.append((time.perf_counter() - began) * 1000)
            until_started = f"{calls['s3']} + {calls['stepfunctions']}"
            while (now := executions.find(name, "generateBatch")) and now.is_running:
                time.sleep(0.005)
            ended.append((time.perf_counter() - began) * 1000)
            if now is None or now.status != "SUCCEEDED":
                raise SystemExit(f"{name} is {now}")
        self._note("redrive, started", size, Figure(until_started, statistics.median(started)))
        self._note("redrive, ended", size, Figure("", statistics.median(ended)))

    def _note(self, what: str, size: int, figure: Figure) -> None:
        self.found.setdefault(what, {})[size] = figure
        print(f"{size:>6}  {what:<24} {figure.calls:>8}  {figure.ms:7.1f} ms", flush=True)

    def table(self) -> list[list[str]]:
        """Heads and rows."""
        heads = ["", "calls to S3 + Step Functions", *(f"ms at {size:,} runs" for size in SIZES)]
        rows = []
        for what, figures in self.found.items():
            calls = dict.fromkeys(figure.calls for figure in figures.values())
            rows.append([what, " / ".join(calls), *(f"{figures[size].ms:.0f}" for size in SIZES)])
        return [heads, *rows]

    def plot(self, path: Path) -> None:
        """The milliseconds over the number of runs."""
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot

        figure, panels = pyplot.subplots(1, 3, figsize=(11, 4.2), constrained_layout=True)
        groups = {
            "a run, and its redrive": ["show", "GET /runs/{id}", "redrive, started", "redrive, ended"],
            "pages of runs": ["runs", *(what for what in self.found if what.startswith("GET /runs,"))],
            "pages of images": [what for what in self.found if what.startswith("GET /images")],
        }
        for panel, (title, names) in zip(panels, groups.items(), strict=True):
            for what, colour in zip(names, ("#1f6feb", "#2da44e", "#cf222e", "#8250df"), strict=False):
                points = [(size, self.found[what][size].ms) for size in SIZES]
                panel.plot(*zip(*points, strict=True), color=colour, marker=".", label=what)
            top = max(one.ms for what in names for one in self.found[what].values())
            panel.set(xscale="log", ylim=(0, top * 1.4), xlabel="stored runs", ylabel="ms")
            panel.set_title(title)
            panel.grid(alpha=0.25)
            panel.legend(fontsize=8, loc="upper left")
        figure.savefig(path, dpi=110)


def milliseconds_of(number: int) -> int:
    """When a run began, as a mark has it."""
    return int(start_of(number).timestamp() * 1000)


def cursor(mark: tuple[float, str] | None) -> str:
    """A mark as the API writes it."""
    return base64.urlsafe_b64encode(json.dumps(mark).encode()).decode().rstrip("=")


def timed(look: Callable[[], object]) -> float:
    """How long it takes, in milliseconds."""
    began = time.perf_counter()
    look()
    return (time.perf_counter() - began) * 1000


def got(api: HttpApi, path: str) -> None:
    """One page over HTTP.

    Raises:
        SystemExit: there is none.
    """
    status, answer = api("GET", path)
    if status != 200:
        raise SystemExit(f"{path}: {status} {answer}")


def main() -> None:
    """Measure, print, and write the page where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", action="store_true", help="write docs/growth.md and docs/growth.png")
    parser.add_argument("--fill", nargs=3, metavar=("FOLDER", "FIRST", "LAST"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.fill:
        fill(Path(given.fill[0]), int(given.fill[1]), int(given.fill[2]))
        return
    home = PROJECT / ".thumbs" / "bench-growth"
    shutil.rmtree(home, ignore_errors=True)
    growth = Growth(home)
    began = time.monotonic()
    try:
        growth.run()
    finally:
        growth.stack.stop(lambda _: None)
        shutil.rmtree(home, ignore_errors=True)
    table = growth.table()
    made = f"{date.today()}, {machine()}, {(time.monotonic() - began) / 60:.1f} minutes"
    print(f"\n{markdown(table)}\n\n{made}")
    if given.docs:
        growth.plot(PROJECT / "docs" / "growth.png")
        intro = (PROJECT / "docs" / "growth.md").read_text().partition("\n## Measured\n")[0]
        told = f"Made by `make bench-growth` on {made}; medians of {TRIES}, of {LACKING} for a redrive."
        page = f"{intro}\n## Measured\n\n{told}\n\n![Milliseconds over stored runs](growth.png)\n\n{markdown(table)}\n"
        (PROJECT / "docs" / "growth.md").write_text(page)


if __name__ == "__main__":
    main()
