"""What each part of ``thumbs.localstack.speedups`` is worth: a stack with all of them beside one that lacks it.

``python -m tests.bench.bench_speedups`` runs batches of 25 × 2 at an image latency of 1 s on both, in turns, so that a
machine whose speed drifts slows both alike; a figure is the median of the pairs. Names limit it to some parts.
"""

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path

import psutil

from tests.bench.bench_batch import aligned, batch, image_api, machine, pid, say, stack
from thumbs.image_api.control import ImageApiControl
from thumbs.localstack.speedups import PATCHES
from thumbs.stack.processes import PROJECT, Stack

SHAPE = (25, 2)
PAIRS = 5
COLUMNS = ("left out", "LocalStack CPU s", "with it", "wall s", "with it", "worth ms of CPU", "worth ms of wall")


def localstack_cpu(on: Stack) -> float:
    """Processor seconds of LocalStack itself, without its functions."""
    times = psutil.Process(pid(on)).cpu_times()
    return float(times.user + times.system)


def measure(on: Stack) -> tuple[float, float]:
    """One batch: LocalStack's processor time and the wall time, in seconds."""
    before = localstack_cpu(on)
    wall = batch(on, *SHAPE).wall
    return localstack_cpu(on) - before, wall


def compare(name: str, full: Stack, home: Path, api: ImageApiControl) -> list[str]:
    """The table's line for what is left out under ``name``."""
    with stack(home, api, name) as lacking:
        measure(lacking)
        pairs = [(measure(lacking), measure(full)) for _ in range(PAIRS)]
    cpu, cpu_full = (statistics.median(pair[which][0] for pair in pairs) for which in (0, 1))
    wall, wall_full = (statistics.median(pair[which][1] for pair in pairs) for which in (0, 1))
    worth = [statistics.median(one[at] - other[at] for one, other in pairs) * 1000 for at in (0, 1)]
    figures = [cpu, cpu_full, wall, wall_full]
    line = [name, *(f"{figure:.2f}" for figure in figures), *(f"{ms:+.0f}" for ms in worth)]
    say("  ".join(line))
    return line


def main() -> None:
    names = [patch.__name__ for patch in PATCHES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    chosen = parser.parse_args().names or names
    if unknown := set(chosen) - set(names):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    homes = PROJECT / ".thumbs"
    homes.mkdir(exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="bench-", dir=homes))
    try:
        with image_api(home) as api, stack(home / "full", api) as full:
            api.set_latency(1.0)
            for _ in range(2):
                batch(full, *SHAPE)
            lines = [compare(name, full, home / "lacking", api) for name in chosen]
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print(f"{aligned([list(COLUMNS), *lines])}\n\n{PAIRS} pairs of 25 × 2 at 1 s, {machine()}")


if __name__ == "__main__":
    main()
