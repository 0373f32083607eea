"""What a page of the gallery costs, over what the bucket holds: the first page and the last, on the embedded stack.

    python -m tests.bench.bench_gallery [--runs 200] [--images 50] [--limit 24]

Objects of a few bytes stand for the images; a stack of its own is started, filled and removed.
"""

import argparse
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3

from tests.integration.conftest import new_stack, remove, say
from thumbnails.aws.s3 import Store
from thumbnails.keys import gallery_key, image_key
from thumbnails.runs.gallery import Mark, newest_images
from thumbs.stack.deploy import CREDENTIALS, REGION

BUCKET = "bench-gallery"
TRIES = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--images", type=int, default=50, help="of each run")
    parser.add_argument("--limit", type=int, default=24, help="images of a page")
    given = parser.parse_args()
    stack = new_stack("-gallery")
    try:
        stack.start(say)
        session = boto3.session.Session(
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )
        client = session.client("s3", endpoint_url=stack.endpoint)
        client.create_bucket(Bucket=BUCKET)
        calls: list[str] = []
        client.meta.events.register("before-call.s3", lambda model, **_: calls.append(model.name))
        store = Store(client, client, BUCKET, 60)
        print("| images in the bucket | page | calls | median ms |\n|--:|---|--:|--:|")
        measure(store, calls, 0, given)
        for filled in (given.runs // 10, given.runs):
            fill(store, filled, given.images)
            measure(store, calls, filled * given.images, given)
    finally:
        remove(stack)


def fill(store: Store, runs: int, images: int) -> None:
    """Have so many runs in the bucket, with so many images each."""
    keys = [
        key
        for run in range(runs)
        for key in (
            gallery_key(f"run-{run}", 1_700_000_000 + run),
            *(image_key(f"run-{run}", row, "A title of a few words", "gpt-image-1") for row in range(images)),
        )
    ]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: store.put_new(key, b"x", "image/jpeg"), keys))


def measure(store: Store, calls: list[str], images: int, given: Any) -> None:
    """Print what the first page and the last one cost."""
    marks: list[Mark | None] = [None]
    while marks[-1] or len(marks) == 1:
        _, mark = newest_images(store, given.limit, marks[-1])
        if mark is None:
            break
        marks.append(mark)
    for name, mark in (("first", marks[0]), ("last", marks[-1])):
        spent = []
        for _ in range(TRIES):
            calls.clear()
            began = time.perf_counter()
            newest_images(store, given.limit, mark)
            spent.append((time.perf_counter() - began) * 1000)
        print(f"| {images} | {name} | {len(calls)} | {statistics.median(spent):.0f} |", flush=True)


if __name__ == "__main__":
    main()
