"""More runs at once than the machine has room for: is anything lost, how much memory does it take, who waits how long?

The second half of ``make soak``; ``python -m tests.bench.burst`` runs it by itself on a stack of its own. One batch of
fifty and a minute's rest; then twenty batches of fifty, forty runs of 3 × 2, and a run of 3 × 2 that starts behind
twenty batches. The memory is that of everything (LocalStack, its zygotes and environments, the offline image API), each
shared page counted once. The exit status is 1 where a promise breaks.
"""

import argparse
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil

from tests.integration.application import GEMINI, GPT, Application
from tests.integration.conftest import remove
from thumbs.stack.deploy import deploy
from thumbs.stack.processes import PROJECT, Stack, free_port

MODELS = [GPT, GEMINI]
LATENCY_SECONDS = 2.0
MEGABYTE = 1 << 20
#: What everything may take at most, in a burst and a minute after it.
MOST_MB, RESTED_MB = 4096, 1024
REST_SECONDS = 60
SAMPLE_SECONDS = 1.0
#: Far more than any burst takes.
RUN_SECONDS = 1800


@dataclass
class Watched:
    """What a watcher saw of the stack's processes."""

    most_mb: float = 0.0
    most_processes: int = 0
    _end: threading.Event = field(default_factory=threading.Event)


def processes_of(stack: Stack) -> list[psutil.Process]:
    """LocalStack, the image API, and all that they started."""
    found: list[psutil.Process] = []
    for name in ("localstack", "image_api"):
        service = stack.service(name)
        if not service or not service.process:
            raise SystemExit(f"{name} has ended")
        found += [service.process, *service.process.children(recursive=True)]
    return found


def memory_mb(processes: list[psutil.Process]) -> float:
    """The proportional set size of processes."""
    total = 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue  # It has ended.
    return total / MEGABYTE


@contextmanager
def watched(stack: Stack) -> Iterator[Watched]:
    """Look at the stack's processes again and again meanwhile."""
    seen = Watched()

    def look() -> None:
        while not seen._end.wait(SAMPLE_SECONDS):
            processes = processes_of(stack)
            seen.most_processes = max(seen.most_processes, len(processes))
            seen.most_mb = max(seen.most_mb, memory_mb(processes))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        seen._end.set()
        thread.join()


def request(run: str, rows: int) -> dict[str, Any]:
    """A batch whose titles are no other's."""
    return {"prompts": [f"Title {row} of run {run}" for row in range(rows)], "models": MODELS}


def seconds_of(app: Application, arn: str) -> float:
    """How long an execution took, by its own account."""
    found = app.states.describe_execution(executionArn=arn)
    return float((found["stopDate"] - found["startDate"]).total_seconds())


def burst(app: Application, number: int, label: str, runs: int, rows: int, behind: int = 0) -> dict[str, object]:
    """Start runs at once, and see them to their end.

    Args:
        app: the application.
        number: a part of its runs' names.
        label: what it is called.
        runs: how many.
        rows: each one's titles, drawn by two models.
        behind: so many more batches of fifty start before them, and are stopped when the runs have ended.
    """
    app.image_api.reset()
    with watched(app.stack) as seen:
        large = [
            app.start("generateBatch", request(f"{label} before {n}", 25), f"burst-{number}-large-{n}")
            for n in range(behind)
        ]
        if behind:
            time.sleep(LATENCY_SECONDS)
        started = time.monotonic()
        arns = [app.start("generateBatch", request(f"{label} {n}", rows), f"burst-{number}-{n}") for n in range(runs)]
        done = [app.wait(arn, RUN_SECONDS) for arn in arns]
        took = time.monotonic() - started
        whole = [app.wait(arn, RUN_SECONDS) for arn in large]
    times = sorted(seconds_of(app, arn) for arn in arns)
    images = sum(one.output["images"]["succeeded"] if one.output else 0 for one in (*done, *whole))
    return {
        "burst": label,
        "runs": runs + behind,
        "images": images,
        "of": (runs * rows + behind * 25) * len(MODELS),
        "paid": app.image_api.calls()["paid"],
        "first run s": round(times[0], 1),
        "last run s": round(times[-1], 1),
        "all s": round(took, 1),
        "processes": seen.most_processes,
        "memory MB": round(seen.most_mb),
    }


def print_table(rows: list[dict[str, object]]) -> None:
    """As Markdown."""
    cells = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    cells.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    for first, *others in cells:
        print(f"| {' | '.join([first.ljust(widths[0]), *map(str.rjust, others, widths[1:])])} |")


def bursts(app: Application) -> bool:
    """All bursts; whether every promise held."""
    rows = [burst(app, 0, "1 of 25 × 2", 1, 25)]
    time.sleep(REST_SECONDS)
    rested, left = memory_mb(processes_of(app.stack)), len(processes_of(app.stack))
    rows += [
        burst(app, 1, "20 of 25 × 2", 20, 25),
        burst(app, 2, "40 of 3 × 2", 40, 3),
        burst(app, 3, "3 × 2 behind 20 of 25 × 2", 1, 3, behind=20),
    ]
    print_table(rows)
    print(f"{REST_SECONDS} s after the first: {rested:.0f} MB in {left} processes")
    verdicts = {
        "every image of every run is there": all(row["images"] == row["of"] for row in rows),
        "each was paid once": all(row["paid"] == row["of"] for row in rows),
        f"everything takes at most {MOST_MB} MB": all(float(str(row["memory MB"])) <= MOST_MB for row in rows),
        f"and less than {RESTED_MB} MB when it has rested": rested < RESTED_MB,
        "a small run does not wait for the end of the large ones": float(str(rows[3]["last run s"]))
        < float(str(rows[1]["last run s"])) / 2,
    }
    for sentence, holds in verdicts.items():
        print("holds " if holds else "BROKEN", sentence)
    return all(verdicts.values())


def main() -> int:
    """Start a stack, burst it, remove it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.burst", description=(__doc__ or "").split("\n")[0])
    parser.parse_args()
    stack = Stack(PROJECT / ".thumbs" / f"burst-{os.getpid()}", free_port(), LATENCY_SECONDS)
    try:
        stack.start(print)
        deploy(stack, print)
        return 0 if bursts(Application(stack)) else 1
    finally:
        remove(stack)


if __name__ == "__main__":
    sys.exit(main())
