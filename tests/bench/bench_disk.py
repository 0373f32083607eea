"""What it costs that S3's objects are on the disk before S3 answers: ``make bench-disk``.

Stores what a batch of 25 × 2 stores, by as many threads as its functions, once as it is and once with flushes that do
nothing, in processes of their own.
"""

import io
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from tests.embedded_s3 import embedded_s3

IMAGES = 50
#: As the offline image API and the overlay make them, in bytes.
ORIGINAL, IMAGE, REQUEST = 150_000, 75_000, 3_000
ROUNDS = 5


def store_batch(number: int, call: Any) -> list[float]:
    """Store a batch; how long each object took, in seconds."""

    def put(key: str, size: int) -> float:
        began = time.perf_counter()
        call("PutObject", Bucket="bench", Key=f"{number}/{key}", Body=io.BytesIO(os.urandom(size)))
        return time.perf_counter() - began

    def cell(image: int) -> list[float]:
        return [put(f"originals/{image}", ORIGINAL), put(f"runs/{image}.jpg", IMAGE)]

    with ThreadPoolExecutor(IMAGES) as functions:
        cells = list(functions.map(cell, range(IMAGES)))
    return [put("request.json", REQUEST), put("manifest.json", REQUEST), *(one for both in cells for one in both)]


def measure(flushes: bool) -> None:
    """Print the figures of one way as JSON."""
    if not flushes:
        os.fsync = lambda fd: None  # noqa: ARG005
    # On the project's own disk: a temporary folder may be memory.
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as folder:
        call = embedded_s3(Path(folder))
        call("CreateBucket", Bucket="bench")
        walls, objects = [], []
        for number in range(ROUNDS):
            began = time.perf_counter()
            objects += store_batch(number, call)
            walls.append(time.perf_counter() - began)
    print(json.dumps({"batch_seconds": median(walls), "object_ms": median(objects) * 1000}))


def main() -> None:
    """Measure both ways, one after the other."""
    if len(sys.argv) > 1:
        measure(sys.argv[1] == "flushes")
        return
    for way in ("flushes", "no-flushes"):
        run = subprocess.run([sys.executable, "-m", "tests.bench.bench_disk", way], stdout=subprocess.PIPE, check=True)
        found = json.loads(run.stdout.splitlines()[-1])
        batch, one = found["batch_seconds"], found["object_ms"]
        print(
            f"{way:<11}  {2 * IMAGES + 2} objects in {batch:.2f} s, one in {one:.1f} ms (medians of {ROUNDS} batches)"
        )


if __name__ == "__main__":
    main()
