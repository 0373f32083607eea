"""Wall time of a batch over its size, beside its floor, a loop, and stock LocalStack.

``python -m tests.bench.bench_batch`` prints the table and the goals; ``--docs`` writes docs/batch-benchmark.md and the
plot beside it; ``--quick`` takes one warm batch of 25 × 2 at 10 s, two minutes in all. Image latency is that of the
offline image API, which has drawn every picture before the first measurement, so that its own work is none of the
figures. The same pictures, overlay, S3 and state machines in all.

    floor        asyncio.gather over the domain code, in one process with a thread per image
    loop         one image after the other: the floor's single image times the number of images
    this stack   the state machine on the embedded LocalStack with this project's executor and ``speed`` patches
    stock        the same without them (THUMBS_PLAIN=1): a process start per environment, LocalStack unchanged

Warm is the median of three batches, after one for the memory; cold is the first batch of a stack of its own.
Stock is measured with a single image and with 25 × 2 alone: its cold batches take minutes. A spread is what a person
sees of real models: latencies drawn evenly from 8 to 20 s, by a seed, and what the batch takes beyond the longest.
Wall time is from the call of StartExecution to the execution's stop date, both by this machine's clock.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import IO, Any

import boto3
import psutil

from tests.bench.batch_requests import MODELS, TITLES
from thumbs.image_api.control import ImageApiControl
from thumbs.stack.deploy import CREDENTIALS, REGION, STACK_NAME, deploy
from thumbs.stack.processes import PROJECT, Stack, free_port

SHAPES = ((1, 1), (3, 2), (25, 2), (50, 1))
STOCK_SHAPES = QUICK_SHAPES = ((1, 1), (25, 2))
LATENCIES = (1.0, 10.0)
#: How many warm batches make a figure; a further one before them is for the memory.
REPEATS = 3
#: Of a spread, in seconds: the shortest latency and how much longer the longest may be; and the seed of the draw.
SHORTEST, SPREAD, SEED = 8.0, 12.0, 25
#: Step Functions Standard, us-east-1, USD for one state transition (list price, noted 2026-11).
TRANSITION_USD = 0.025 / 1000
FLOOR, LOOP, OURS, PLAIN = "floor", "loop", "this stack", "stock"
MACHINE = f"arn:aws:states:{REGION}:000000000000:stateMachine:{STACK_NAME}-generateBatch"


@dataclass
class Row:
    """One line of the table; times in seconds, memory in MB.

    ``calling`` is from the first call of a model to the last.
    """

    way: str
    latency: float
    rows: int
    columns: int
    warm: bool
    wall: float
    first_cell: float | None = None
    cpu: float | None = None
    pss: float | None = None
    transitions: int | None = None
    calling: float | None = None
    ratio: float = 0.0
    added_ms: float | None = None

    @property
    def images(self) -> int:
        return self.rows * self.columns


@dataclass
class Goal:
    """A goal of the benchmark: what is asked, the figure, and whether it is met."""

    what: str
    limit: str
    figure: str
    met: bool


@dataclass
class Bench:
    """One run of the benchmark, and what it has found so far."""

    home: Path
    quick: bool
    table: list[Row] = field(default_factory=list)
    beyond_slowest: float | None = None

    @property
    def latencies(self) -> Sequence[float]:
        return LATENCIES[-1:] if self.quick else LATENCIES

    @property
    def repeats(self) -> int:
        return 1 if self.quick else REPEATS

    def run(self) -> None:
        with image_api(self.home) as api:
            with stack(self.home, api) as ours:
                with Floor(ours) as floor:
                    api.set_latency(0)
                    for shape in ((50, 1), (25, 2)):
                        floor.batch(*shape)
                    self.each(lambda latency, shape: self.floor(floor, ours, api, latency, shape))
                self.each(lambda latency, shape: self.warm(OURS, ours, api, latency, shape))
                self.spread(ours, api)
            if not self.quick:
                self.each(lambda latency, shape: self.cold(OURS, api, latency, shape))
                with stack(self.home, api, "1") as plain:
                    self.each(lambda latency, shape: self.warm(PLAIN, plain, api, latency, shape), STOCK_SHAPES)
                self.each(lambda latency, shape: self.cold(PLAIN, api, latency, shape), STOCK_SHAPES)
        self.loop()
        self.compare()

    def each(self, measure: Callable[[float, tuple[int, int]], None], shapes: Sequence[tuple[int, int]] = ()) -> None:
        for latency in self.latencies:
            for shape in shapes or (QUICK_SHAPES if self.quick else SHAPES):
                measure(latency, shape)

    def add(self, row: Row) -> None:
        self.table.append(row)
        kind = "warm" if row.warm else "cold"
        say(f"{row.way}, {kind}, {row.rows} × {row.columns} at {row.latency:g} s: {row.wall:.2f} s")

    def floor(self, floor: "Floor", on: Stack, api: ImageApiControl, latency: float, shape: tuple[int, int]) -> None:
        api.set_latency(latency)
        with peak_pss([floor.process.pid, pid(on)]) as peak:
            floor.batch(*shape)
        found = []
        for _ in range(self.repeats):
            before = tree_cpu(on)
            answer = floor.batch(*shape)
            found.append((answer["wall"], answer["cpu"] + tree_cpu(on) - before))
        wall, cpu = median_run(found)
        self.add(Row(FLOOR, latency, *shape, True, wall, cpu=cpu, pss=peak[0]))

    def warm(self, way: str, on: Stack, api: ImageApiControl, latency: float, shape: tuple[int, int]) -> None:
        api.set_latency(latency)
        with peak_pss([pid(on)]) as peak:
            batch(on, *shape)
        found = [batch(on, *shape) for _ in range(self.repeats)]
        wall = statistics.median(one.wall for one in found)
        row = Row(way, latency, *shape, True, wall, transitions=found[0].transitions)
        row.first_cell = statistics.median(one.first_cell or 0.0 for one in found)
        row.cpu = statistics.median(one.cpu or 0.0 for one in found)
        row.pss = peak[0]
        self.add(row)

    def spread(self, on: Stack, api: ImageApiControl) -> None:
        dice = random.Random(SEED)  # noqa: S311 (no secret)
        slowest = SHORTEST + SPREAD * max(dice.random() for _ in range(50))
        api.set_latency(SHORTEST, SPREAD)
        beyond = []
        for _ in range(self.repeats):
            # Draws the latencies anew.
            api.set_seed(SEED)
            beyond.append(batch(on, 25, 2).wall - slowest)
        self.beyond_slowest = statistics.median(beyond)
        say(
            f"{OURS}, 25 × 2 at {SHORTEST:g} to {SHORTEST + SPREAD:g} s: {self.beyond_slowest:.2f} s beyond the slowest"
        )

    def cold(self, way: str, api: ImageApiControl, latency: float, shape: tuple[int, int]) -> None:
        api.set_latency(latency)
        with stack(self.home, api, "1" if way == PLAIN else "") as fresh:
            api.clear_calls()
            found = batch(fresh, *shape)
            found.calling = api.calls()["seconds"]
        found.way, found.latency, found.warm = way, latency, False
        self.add(found)

    def loop(self) -> None:
        for row in [row for row in self.table if row.way == FLOOR]:
            single = self.find(FLOOR, row.latency, (1, 1))
            self.table.append(Row(LOOP, row.latency, row.rows, row.columns, True, single.wall * row.images))

    def compare(self) -> None:
        for row in self.table:
            single = self.find(row.way, row.latency, (1, 1), row.warm)
            row.ratio = row.wall / single.wall
            if row.images > 1:
                row.added_ms = (row.wall - single.wall) / (row.images - 1) * 1000

    def find(self, way: str, latency: float, shape: tuple[int, int], warm: bool = True) -> Row:
        return next(
            row
            for row in self.table
            if (row.way, row.latency, (row.rows, row.columns), row.warm) == (way, latency, shape, warm)
        )

    def goals(self) -> list[Goal]:
        long, short = LATENCIES[-1], LATENCIES[0]
        ours = [row for row in self.table if row.way == OURS and row.warm]
        warm, floor = self.find(OURS, long, (25, 2)), self.find(FLOOR, long, (25, 2))
        added = max(row.added_ms or 0.0 for row in ours if row.images >= 20)
        first = max(row.first_cell or 0.0 for row in ours)
        beyond = self.beyond_slowest or 0.0
        at = f"at {long:g} s"
        goals = [
            at_most(f"25 × 2 {at}, warm, to the single image", 1.10, warm.ratio),
            at_most(f"25 × 2 {at}, warm, to the asyncio floor", 1.04, warm.wall / floor.wall),
            at_most("added for each further image, warm, 20 images and more", 20, added, "{:.0f} ms"),
            at_most("first cell after StartExecution, warm, worst shape", 0.4, first, "{:.2f} s"),
            at_most(f"25 × 2 at {SHORTEST:g} to {SHORTEST + SPREAD:g} s, beyond the slowest", 0.3, beyond, "{:.2f} s"),
        ]
        if self.quick:
            return goals
        cold = self.find(OURS, long, (50, 1), False)
        calling = cold.calling or 0.0
        # The function's 30 ms and LocalStack's 12; the batch's own two functions are cold too.
        environment = ((cold.cpu or 0.0) - (self.find(OURS, long, (50, 1)).cpu or 0.0)) / cold.images * 1000
        plain = self.find(PLAIN, long, (25, 2))
        less = (plain.wall - long) / (warm.wall - long)
        return [
            *goals,
            at_most(f"25 × 2 {at}, cold, to the single image cold", 1.20, self.find(OURS, long, (25, 2), False).ratio),
            at_most(f"50 × 1 {at}, warm, to the single image", 1.10, self.find(OURS, long, (50, 1)).ratio),
            at_most(f"50 × 1 {at}, cold, to the single image cold", 1.20, self.find(OURS, long, (50, 1), False).ratio),
            at_most(f"the last of fifty models is called after the first, 50 × 1 {at}, cold", 0.9, calling, "{:.2f} s"),
            at_most("processor time of an environment, cold beyond warm, 50 × 1", 42, environment, "{:.0f} ms"),
            at_most(f"3 × 2 at {short:g} s, warm", 1.25, self.find(OURS, short, (3, 2)).ratio),
            Goal(f"less overhead than stock LocalStack, 25 × 2 {at}, warm", "≥ 4 ×", f"{less:.1f} ×", less >= 4),
        ]


def at_most(what: str, limit: float, figure: float, form: str = "{:.2f} ×") -> Goal:
    return Goal(what, f"≤ {form.format(limit)}", form.format(figure), figure <= limit)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def median_run(found: list[tuple[float, float]]) -> tuple[float, float]:
    return statistics.median(wall for wall, _ in found), statistics.median(cpu for _, cpu in found)


@contextmanager
def image_api(home: Path) -> Iterator[ImageApiControl]:
    """An image API of the benchmark's own, which outlives the stacks."""
    port = free_port()
    with (home / "image-api.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "thumbs.image_api", "--port", str(port), "--latency", "0"], stdout=log, stderr=log
        )
    control = ImageApiControl(f"http://127.0.0.1:{port}")
    try:
        deadline = time.monotonic() + 30
        while not control.healthy():
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit(f"the image API did not start: see {home / 'image-api.log'}")
            time.sleep(0.1)
        yield control
    finally:
        process.terminate()
        process.wait()


@contextmanager
def stack(home: Path, api: ImageApiControl, left_out: str = "") -> Iterator[Stack]:
    """A fresh stack with the application on it; what SAM built is kept for the next one in ``home``.

    ``left_out`` is what ``THUMBS_PLAIN`` says: 1 for stock LocalStack.
    """
    os.environ["THUMBS_PLAIN"] = left_out
    fresh = Stack(home / "stack", free_port(), latency=0)
    try:
        fresh.start(lambda _: None)
        urls = {"OpenAIBaseUrl": f"{api.base_url}/v1", "GeminiBaseUrl": api.base_url}
        deploy(fresh, lambda _: None, urls)
        yield fresh
    finally:
        fresh.stop(lambda _: None)


def client(on: Stack, service: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=on.endpoint,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )


def batch(on: Stack, rows: int, columns: int) -> Row:
    """Run one batch through the state machine; every image of it has to be made."""
    steps = client(on, "stepfunctions")
    request = {"prompts": TITLES[:rows], "models": MODELS[:columns]}
    spent, started = tree_cpu(on), time.time()
    arn = steps.start_execution(stateMachineArn=MACHINE, input=json.dumps(request))["executionArn"]
    while (found := steps.describe_execution(executionArn=arn))["status"] == "RUNNING":
        time.sleep(0.25)
    cpu = tree_cpu(on) - spent
    output = json.loads(found.get("output") or "{}")
    images = output.get("images", {})
    if images.get("succeeded") != rows * columns or images.get("paid_calls") != rows * columns:
        why = found.get("cause") or output.get("failures")
        raise SystemExit(f"{rows} × {columns} ended as {found['status']} with {images}: {why}")
    events = [
        event
        for page in steps.get_paginator("get_execution_history").paginate(executionArn=arn)
        for event in page["events"]
    ]
    entered = [event for event in events if event["type"].endswith("StateEntered")]
    cells = [e for e in entered if e["stateEnteredEventDetails"]["name"] == "Generate Thumbnail"]
    wall = found["stopDate"].timestamp() - started
    first = min(event["timestamp"] for event in cells).timestamp() - started
    return Row(OURS, 0, rows, columns, True, wall, first, cpu, transitions=len(entered))


class Floor:
    """The floor's process, with the environment of the deployed function."""

    def __init__(self, on: Stack) -> None:
        variables = client(on, "lambda").get_function_configuration(FunctionName=f"{STACK_NAME}-generateThumbnail")
        environment = {
            **os.environ,
            **CREDENTIALS,
            **variables["Environment"]["Variables"],
            "AWS_ENDPOINT_URL": on.endpoint,
            "PYTHONPATH": str(PROJECT / "functions"),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.floor"],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._runs = 0
        self._answer()

    def __enter__(self) -> "Floor":
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe(self.process.stdin).close()
        self.process.wait()
        self._pipe(self.process.stdout).close()

    def batch(self, rows: int, columns: int) -> dict[str, float]:
        """Make one batch; its wall and processor time."""
        self._runs += 1
        pipe = self._pipe(self.process.stdin)
        pipe.write(f"{rows} {columns} floor-{self._runs}\n")
        pipe.flush()
        return self._answer()

    def _answer(self) -> dict[str, float]:
        line = self._pipe(self.process.stdout).readline()
        if not line:
            raise SystemExit("the floor's process ended")
        answer: dict[str, float] = json.loads(line)
        return answer

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


def pid(on: Stack) -> int:
    service = on.service("localstack")
    if service is None:
        raise SystemExit("the stack has ended")
    return service.pid


def tree(root: int) -> list[psutil.Process]:
    process = psutil.Process(root)
    return [process, *process.children(recursive=True)]


def tree_cpu(on: Stack) -> float:
    """Processor seconds of LocalStack and all of its living functions; the image API is no part of it."""
    total = 0.0
    for process in tree(pid(on)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


@contextmanager
def peak_pss(roots: list[int]) -> Iterator[list[float]]:
    """The highest PSS in MB of some process trees, looked at four times a second: it slows what it looks at."""
    peak, done = [0.0], threading.Event()

    def look() -> None:
        while not done.wait(0.25):
            total = 0
            for process in [one for root in roots for one in tree(root)]:
                try:
                    lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
                except OSError:
                    continue
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
            peak[0] = max(peak[0], total / 1024)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


COLUMNS = (
    "way",
    "latency",
    "shape",
    "",
    "wall s",
    "ratio",
    "+ms/image",
    "first cell s",
    "CPU s",
    "PSS MB",
    "states",
    "USD",
)


def cells_of(row: Row) -> list[str]:
    def figure(value: float | None, form: str) -> str:
        return "–" if value is None else format(value, form)

    usd = None if row.transitions is None else row.transitions * TRANSITION_USD
    return [
        row.way,
        f"{row.latency:g} s",
        f"{row.rows} × {row.columns}",
        "warm" if row.warm else "cold",
        f"{row.wall:.2f}",
        f"{row.ratio:.2f}",
        figure(row.added_ms, ".0f"),
        figure(row.first_cell, ".2f"),
        figure(row.cpu, ".1f"),
        figure(row.pss, ".0f"),
        figure(row.transitions, "d"),
        figure(usd, ".5f"),
    ]


def aligned(lines: list[list[str]]) -> str:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def markdown(lines: list[list[str]]) -> str:
    rule = ["---", *["--:"] * (len(lines[0]) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (lines[0], rule, *lines[1:]))


def machine() -> str:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = psutil.virtual_memory().total / 2**30
    return f"{models[0].split(':')[1].strip() if models else 'unknown'}, {os.cpu_count()} cores, {memory:.0f} GiB"


def plot(bench: Bench, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(bench.latencies), figsize=(11, 4.2), constrained_layout=True, squeeze=False)
    looks = [
        (OURS, True, "#1f6feb", "-", "this stack, warm"),
        (OURS, False, "#1f6feb", "--", "this stack, cold"),
        (FLOOR, True, "#2da44e", "-", "asyncio floor"),
        (PLAIN, True, "#cf222e", "-", "stock LocalStack, warm"),
        (LOOP, True, "#8c959f", ":", "one after the other"),
    ]
    for panel, latency in zip(panels[0], bench.latencies, strict=True):
        for way, warm, colour, style, label in looks:
            rows = [row for row in bench.table if (row.way, row.latency, row.warm) == (way, latency, warm)]
            points = sorted((row.images, row.wall) for row in rows)
            if not points:
                continue
            panel.plot(*zip(*points, strict=True), color=colour, linestyle=style, marker=".", label=label)
        single = bench.find(OURS, latency, (1, 1)).wall
        panel.axhline(single, color="black", linewidth=0.8, label="the single image")
        # What is far above is in the table alone.
        worst = max(row.wall for row in bench.table if row.latency == latency and row.way != LOOP and row.warm)
        panel.set(xlim=(0, 51), ylim=(0, worst * 1.15), xlabel="images", ylabel="seconds")
        panel.set_title(f"image latency {latency:g} s")
        panel.grid(alpha=0.25)
    panels[0][0].legend(fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", action="store_true", help="write docs/batch-benchmark.md and .png")
    parser.add_argument("--quick", action="store_true", help="one warm batch of 25 × 2, two minutes in all")
    options = parser.parse_args()
    homes = PROJECT / ".thumbs"
    homes.mkdir(exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="bench-", dir=homes))
    bench = Bench(home, options.quick)
    started = time.monotonic()
    try:
        bench.run()
    finally:
        shutil.rmtree(home, ignore_errors=True)
    order = (FLOOR, LOOP, OURS, PLAIN)
    rows = sorted(bench.table, key=lambda row: (row.latency, order.index(row.way), not row.warm, row.images, row.rows))
    table = [list(COLUMNS), *(cells_of(row) for row in rows)]
    goals = [["goal", "asked", "found", ""]]
    goals += [[goal.what, goal.limit, goal.figure, "met" if goal.met else "missed"] for goal in bench.goals()]
    made = f"{date.today()}, {machine()}, {(time.monotonic() - started) / 60:.0f} minutes"
    print(f"{aligned(table)}\n\n{aligned(goals)}\n\n{made}")
    if options.docs and not options.quick:
        intro = f"Made by `make bench-docs` on {made}. What each column and way is: `tests/bench/bench_batch.py`."
        picture = "![Wall time over the number of images](batch-benchmark.png)"
        page = f"# A batch over its size\n\n{intro}\n\n{picture}\n\n{markdown(goals)}\n\n{markdown(table)}\n"
        (PROJECT / "docs" / "batch-benchmark.md").write_text(page)
        plot(bench, PROJECT / "docs" / "batch-benchmark.png")


if __name__ == "__main__":
    main()
