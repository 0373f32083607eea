"""The floor under a batch: ``asyncio.gather`` over the application's own domain code, in one process.

Reads one line ``ROWS COLUMNS RUN`` after the other and answers each with a JSON line: the wall time, the processor
time of this process, and its peak PSS in MB. The environment is the generateThumbnail function's own.
"""

import asyncio
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.bench.batch_requests import MODELS, TITLES
from thumbnails.aws.s3 import bucket_store
from thumbnails.aws.secrets import provider_key
from thumbnails.catalog import Model
from thumbnails.images.cell import make_thumbnail, warm_up
from thumbnails.images.providers import generate_picture, warm_up_adapters
from thumbnails.requests.checks import parse_cell


def make(run: str, row: int, column: int) -> None:
    event = {"title": TITLES[row], "model": MODELS[column], "row": row, "column": column, "run_id": run}

    def generate(model: Model, prompt: str) -> bytes:
        return generate_picture(model, prompt, provider_key, float(os.environ["PROVIDER_TIMEOUT_SECONDS"]))

    make_thumbnail(parse_cell(event, run_id=run), bucket_store(), generate)


async def gather(run: str, rows: int, columns: int) -> float:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(rows * columns))
    started = time.perf_counter()
    await asyncio.gather(
        *(asyncio.to_thread(make, run, row, column) for row in range(rows) for column in range(columns))
    )
    return time.perf_counter() - started


def main() -> None:
    warm_up_adapters()
    bucket_store().warm_up()
    warm_up()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        rows, columns, run = line.split()
        spent = time.process_time()
        wall = asyncio.run(gather(run, int(rows), int(columns)))
        print(json.dumps({"wall": wall, "cpu": time.process_time() - spent}), flush=True)


if __name__ == "__main__":
    main()
