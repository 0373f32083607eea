"""Batches of fifty, back to back, with every fifth call to a provider failing: is anything lost, does anything leak?

``make soak`` runs it on a stack of its own; ``make soak OPTIONS='--batches 5'`` is shorter. A batch is redriven until
it is complete. After each one the stack is counted: its processes, the descriptors and threads that these hold, the
files in its temporary folder, and its memory (the proportional set size, which counts a shared page once). The exit
status is 1 where a promise breaks.
"""

import argparse
import os
import re
import statistics
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.integration.application import BUCKET, GEMINI, GPT, Application, opened
from tests.integration.conftest import remove
from thumbs.deploy import deploy
from thumbs.stack import PROJECT, Stack, free_port

ROWS, MODELS = 25, [GPT, GEMINI]
CELLS = ROWS * len(MODELS)
LATENCY_SECONDS = 0.2
#: Each strikes so many of the calls that the one before it has let through; together every fifth.
TRANSIENT = ("rate_limit", "server_error", "unavailable", "reset")
RATE = 1 - 0.8 ** (1 / len(TRANSIENT))
#: What a provider bills although no picture arrives.
BILLED = "reset"
REDRIVES = 5
MEGABYTE = 1 << 20
#: Counting starts here: by then every environment that a batch wants is there.
SETTLED = 5
#: More than this in MB a batch, beyond what the stack is there to keep, is a leak.
LEAK_MB = 1.0


@dataclass(frozen=True)
class Count:
    """What the stack holds after a batch; memory in MB."""

    processes: int
    threads: int
    sockets: int
    pipes: int
    temporary: int
    other: int
    files: int
    localstack_mb: float
    functions_mb: float
    kept_mb: float

    @property
    def leaks(self) -> dict[str, int]:
        """Everything that may not grow from one batch to the next."""
        names = ("processes", "threads", "sockets", "pipes", "other", "files")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Batch:
    """What became of one batch."""

    failed: int
    redrives: int
    lost: list[str]
    requests: int
    paid: int
    expected: int


def make_batch(app: Application, number: int) -> Batch:
    """One batch with faults, redriven until it is complete."""
    app.image_api.reset()
    for fault in TRANSIENT:
        app.image_api.add_fault(fault, rate=RATE)
    run_id = f"soak-{number}"
    titles = [f"Batch {number}, title {row}" for row in range(ROWS)]
    done = app.run("generateBatch", {"prompts": titles, "models": MODELS}, run_id)
    lost = missing(done.output)
    failed, redrives = len(done.output["failures"]), 0
    while done.output["failures"] and redrives < REDRIVES:
        redrives += 1
        done = app.run("generateBatch", {"resume": run_id})
        lost += missing(done.output)
    lost += [f"{number}: {len(done.output['failures'])} cells still failed"] if done.output["failures"] else []
    lost += [url for row in done.output["results"] for url in row if url and not opened(url).startswith(b"\xff\xd8")]
    calls = app.image_api.calls()
    billed = sum(fault["struck"] for fault in app.image_api.faults() if fault["fault"] == BILLED)
    return Batch(failed, redrives, lost, calls["requests"], calls["paid"], CELLS + billed)


def missing(result: dict[str, Any]) -> list[str]:
    """The cells that have neither an image nor a failure with its reason."""
    named = {(failure["row"], failure["column"]) for failure in result["failures"] if failure["message"]}
    return [
        f"{result['run_id']}: {row}, {column}"
        for row in range(ROWS)
        for column in range(len(MODELS))
        if bool(result["results"][row][column]) == ((row, column) in named)
    ]


def count(app: Application) -> Count:
    """The stack as it stands."""
    service = app.stack.service("localstack")
    root = service.process if service else None
    if root is None:
        raise SystemExit("LocalStack has ended")
    functions = root.children(recursive=True)
    kinds: Counter[str] = Counter()
    for process in (root, *functions):
        kinds.update(kind_of(link) for link in (Path(f"/proc/{process.pid}/fd")).iterdir())
    folder = app.stack.home / "localstack" / "tmp"
    return Count(
        processes=1 + len(functions),
        threads=sum(process.num_threads() for process in (root, *functions)),
        sockets=kinds["socket"],
        pipes=kinds["pipe"],
        temporary=kinds["temporary"],
        other=kinds["other"],
        files=sum(1 for file in folder.rglob("*") if file.is_file()),
        localstack_mb=megabytes(root),
        functions_mb=sum(map(megabytes, functions)),
        kept_mb=stored_bytes(app) / MEGABYTE,
    )


def kind_of(link: Path) -> str:
    """What a descriptor is."""
    try:
        target = str(link.readlink())
    except FileNotFoundError:
        return "closed"
    if target.endswith("(deleted)"):
        return "temporary"
    return target.split(":", 1)[0] if re.match(r"(socket|pipe):", target) else "other"


def megabytes(process: psutil.Process) -> float:
    """A process's proportional set size."""
    return float(process.memory_full_info().pss) / MEGABYTE


def stored_bytes(app: Application) -> int:
    """What is in the bucket, every version of it."""
    pages = app.s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET)
    return sum(version["Size"] for page in pages for version in page.get("Versions", ()))


def slope(values: list[float]) -> float:
    """By how much a value grows from one batch to the next."""
    return statistics.linear_regression(range(len(values)), values).slope if len(values) > 1 else 0.0


HEAD = ["batch", "failed", "redrives", "lost", "requests", "paid", "expected"]
HEAD += ["processes", "threads", "sockets", "pipes", "temporary", "other", "files"]
HEAD += ["localstack_MB", "functions_MB", "bucket_MB"]


def print_row(values: list[object]) -> None:
    cells = [f"{value:.1f}" if isinstance(value, float) else str(value) for value in values]
    print("  ".join(cell.rjust(len(name)) for cell, name in zip(cells, HEAD, strict=True)), flush=True)


def soak(app: Application, batches: int) -> bool:
    """Run them all; whether every promise held."""
    print_row(list(HEAD))
    made: list[Batch] = []
    counts: list[Count] = []
    for number in range(1, batches + 1):
        batch = make_batch(app, number)
        found = count(app)
        made.append(batch)
        counts.append(found)
        what = [number, batch.failed, batch.redrives, len(batch.lost), batch.requests, batch.paid, batch.expected]
        print_row([*what, *vars(found).values()])

    settled = counts[min(SETTLED, batches) - 1 :]
    first, last = settled[0], settled[-1]
    grown = {name: last.leaks[name] - before for name, before in first.leaks.items() if last.leaks[name] > before}
    localstack, functions, bucket = (
        slope([getattr(found, name) for found in settled]) for name in ("localstack_mb", "functions_mb", "kept_mb")
    )
    print(f"\nper batch from batch {batches - len(settled) + 1}: LocalStack {localstack:+.2f} MB", end="")
    print(f" (of it the bucket's objects {bucket:.2f} MB), functions {functions:+.2f} MB")
    lost, failed = sum(len(batch.lost) for batch in made), sum(batch.failed for batch in made)
    verdicts = {
        f"no cell is lost: {batches * CELLS} cells, {failed} named as failed and redriven, {lost} lost": not lost,
        "paid calls are the cells and the calls that were billed and cut off": all(b.paid == b.expected for b in made),
        f"nothing grows but what is kept: {grown or 'processes, threads, sockets, pipes, files'}": not grown,
        f"memory beyond the bucket's objects: {localstack + functions - bucket:+.2f} MB a batch": (
            localstack + functions - bucket <= LEAK_MB
        ),
    }
    for sentence, holds in verdicts.items():
        print("holds " if holds else "BROKEN", sentence)
    for line in [line for batch in made for line in batch.lost]:
        print(line)
    return all(verdicts.values())


def main() -> int:
    """Start a stack, soak it, remove it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--batches", type=int, default=20, help="how many batches of fifty (default: 20)")
    options = parser.parse_args()
    stack = Stack(PROJECT / ".thumbs" / f"soak-{os.getpid()}", free_port(), LATENCY_SECONDS)
    try:
        stack.start(print)
        deploy(stack, print)
        app = Application(stack)
        return 0 if soak(app, options.batches) else 1
    finally:
        remove(stack)


if __name__ == "__main__":
    sys.exit(main())
