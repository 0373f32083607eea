"""The floor under a batch: ``asyncio.gather`` over the application's own domain code, in one process.

Reads one line ``ROWS COLUMNS RUN`` after the other and answers each with a JSON line: the wall time, the processor
time of this process, and its peak PSS in MB. The environment is the generateThumbnail function's own.
"""

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from entry.clients import provider_keys, store
from entry.settings import CellSettings, settings
from tests.bench.batch_requests import MODELS, TITLES
from thumbnails.catalog import Order
from thumbnails.images.cell import make_thumbnail, warm_up
from thumbnails.images.providers import generate_picture, warm_up_adapters
from thumbnails.images.providers.answers import Answer
from thumbnails.requests.checks import parse_cell


def make(run: str, row: int, column: int) -> None:
    event = {"title": TITLES[row], "model": MODELS[column], "row": row, "column": column, "run_id": run}

    def generate(order: Order, prompt: str) -> Answer:
        given = settings(CellSettings)
        keys = provider_keys(given).get
        return generate_picture(order, prompt, keys, given.provider_timeout_seconds, given.base_urls)

    make_thumbnail(parse_cell(event, run_id=run), store(), generate)


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
    store().warm_up()
    warm_up()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        rows, columns, run = line.split()
        spent = time.process_time()
        wall = asyncio.run(gather(run, int(rows), int(columns)))
        print(json.dumps({"wall": wall, "cpu": time.process_time() - spent}), flush=True)


if __name__ == "__main__":
    main()
