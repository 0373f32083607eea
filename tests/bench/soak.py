"""Batches of fifty, back to back, with every fifth call to a provider failing: is anything lost, does anything leak?

``make soak`` runs it on a stack of its own; ``make soak OPTIONS='--batches 5'`` is shorter. After each batch the stack
is counted: its processes, the descriptors and threads that these hold, the files in its temporary folder, and its
memory (the proportional set size, which counts a shared page once). Then the batch is redriven until it is complete.
The exit status is 1 where a promise breaks.
"""

import argparse
import os
import random
import re
import statistics
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.bench.burst import bursts
from tests.integration.application import BUCKET, GEMINI, GPT, Application, opened
from tests.integration.conftest import remove
from thumbs.stack.deploy import deploy
from thumbs.stack.processes import PROJECT, Stack, free_port

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
#: What counts as flat then: so much of the stack's memory a batch. LocalStack keeps what it is asked to keep.
FLAT = 0.001
#: More than this a batch, of anything that may not grow, is a leak.
LEAK = 0.5
#: A slope over fewer batches says nothing: from one to the next, memory goes up and down by a fortieth.
ENOUGH = 15
#: What titles are made of: of any length, as titles are, so that they are set in every size.
WORDS = "why how the serverless writer pictures money trust never twice cloud queue of in and with better observability"


@dataclass(frozen=True)
class Count:
    """What the stack holds after a batch.

    Attributes:
        sockets: descriptors, by kind, of LocalStack and the functions together; ``events`` are epoll and its kin,
            ``temporary`` files without a name.
        on_disk: files in the stack's temporary folder.
        localstack_mb: memory of LocalStack itself; ``functions_mb`` of all that it started.
        bucket_mb: the bucket's objects, on disk.
    """

    processes: int
    threads: int
    sockets: int
    pipes: int
    events: int
    files: int
    temporary: int
    on_disk: int
    localstack_mb: float
    functions_mb: float
    bucket_mb: float

    @property
    def leaks(self) -> dict[str, int]:
        """Everything that may not grow from one batch to the next."""
        names = ("processes", "threads", "sockets", "pipes", "events", "files", "temporary", "on_disk")
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


def make_batch(app: Application, number: int) -> tuple[Batch, Count]:
    """One batch with faults, redriven until it is complete; the stack is counted before that.

    A redrive finds nearly every cell done, and a function that draws nothing takes little memory.
    """
    app.image_api.reset()
    for fault in TRANSIENT:
        app.image_api.add_fault(fault, rate=RATE)
    run_id = f"soak-{number}"
    dice = random.Random(number)  # noqa: S311 - no secret
    titles = [" ".join(dice.choices(WORDS.split(), k=dice.randint(3, 12))) for _ in range(ROWS)]
    done = app.run("generateBatch", {"prompts": titles, "models": MODELS}, run_id)
    lost = missing(done.output)
    failed, redrives, found = len(done.output["failures"]), 0, count(app)
    while done.output["failures"] and redrives < REDRIVES:
        redrives += 1
        done = app.run("generateBatch", {"resume": run_id})
        lost += missing(done.output)
    lost += [f"{number}: {len(done.output['failures'])} cells still failed"] if done.output["failures"] else []
    lost += [url for row in done.output["results"] for url in row if url and not opened(url).startswith(b"\xff\xd8")]
    calls = app.image_api.calls()
    billed = sum(fault["struck"] for fault in app.image_api.faults() if fault["fault"] == BILLED)
    return Batch(failed, redrives, lost, calls["requests"], calls["paid"], CELLS + billed), found


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
        events=kinds["anon_inode"],
        files=kinds["file"],
        temporary=kinds["temporary"],
        on_disk=sum(1 for file in folder.rglob("*") if file.is_file()),
        localstack_mb=megabytes(root),
        functions_mb=sum(map(megabytes, functions)),
        bucket_mb=stored_bytes(app) / MEGABYTE,
    )


def kind_of(link: Path) -> str:
    """What a descriptor is."""
    try:
        target = str(link.readlink())
    except FileNotFoundError:
        return "closed"
    if target.endswith("(deleted)"):
        return "temporary"
    return target.split(":", 1)[0] if re.match(r"(socket|pipe|anon_inode):", target) else "file"


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
HEAD += ["processes", "threads", "sockets", "pipes", "events", "files", "temporary", "on_disk"]
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
        batch, found = make_batch(app, number)
        made.append(batch)
        counts.append(found)
        what = [number, batch.failed, batch.redrives, len(batch.lost), batch.requests, batch.paid, batch.expected]
        print_row([*what, *vars(found).values()])

    settling, settled = counts[:SETTLED], counts[min(SETTLED, batches) - 1 :]
    # Connections that are kept alive come and go, and LocalStack's pool of threads grows in a step when more calls meet
    # than ever before: a leak is there after most batches, adds up, and goes beyond the most there was at first.
    grown: dict[str, int] = {}
    for name, after in settled[-1].leaks.items():
        values = [found.leaks[name] for found in settled]
        beyond_most = after - max(found.leaks[name] for found in settling)
        adds_up = slope(list(map(float, values))) >= LEAK
        if beyond_most > 0 and adds_up and statistics.median(map(int.__sub__, values[1:], values)) >= 1:
            grown[name] = beyond_most
    print()
    memory = [found.localstack_mb + found.functions_mb for found in settled]
    localstack = slope([found.localstack_mb for found in settled])
    growth = slope(memory) / memory[0]
    print(f"from batch {SETTLED}: {slope(memory):+.2f} MB a batch, of it LocalStack {localstack:+.2f} MB")
    lost, failed = sum(len(batch.lost) for batch in made), sum(batch.failed for batch in made)
    verdicts = {
        f"no cell is lost: {batches * CELLS} cells, {failed} named as failed and redriven, {lost} lost": not lost,
        "paid calls are the cells and the calls that were billed and cut off": all(b.paid == b.expected for b in made),
        f"nothing grows but what is kept: {grown or ', '.join(settled[-1].leaks)}": not grown,
    }
    if batches >= SETTLED + ENOUGH:
        verdicts[f"memory is flat from batch {SETTLED} on: {growth:+.3%} a batch, at most {FLAT:.2%}"] = growth <= FLAT
    else:
        print(f"memory is judged from {SETTLED + ENOUGH} batches on")
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
        holds = soak(app, options.batches)
        app.close()
        # On a stack that has nothing behind it.
        stack.stop(print)
        stack.start(print)
        deploy(stack, print)
        return 0 if bursts(Application(stack)) and holds else 1
    finally:
        remove(stack)


if __name__ == "__main__":
    sys.exit(main())
