"""Runs on an account with few environments, and against a provider with a slow pace.

``make bench-limits`` measures them on the stack that is up, whose functions and image API are its own meanwhile;
``OPTIONS=--paper`` plays them with nothing but the definition's retrier, in a second. Each line is one run:

    lambda N    25 titles by two models, images of ``--latency`` seconds, ``generateThumbnail`` held to N environments
    redrive     the run before with half of its images deleted, under the same limit
    provider    25 titles at ``--pace`` images in ``--per`` seconds, and how often the provider said 429

The exit status is 1 where an image is missing.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.integration.application import BUCKET, GEMINI, GPT, Application
from tests.throttling import HISTORY_EVENTS, on_paper, throttle_retrier
from thumbs.stack.processes import Stack

TITLES = [f"Title number {number}" for number in range(25)]
FUNCTION = "generateThumbnail"
RUN_SECONDS = 3600.0
#: Images, environments, seconds of an image, images at once.
ON_PAPER = [
    (50, 10, 20, 50),
    (50, 10, 20, 10),
    (50, 2, 20, 50),
    (50, 2, 20, 2),
    (50, 10, 60, 50),
    (50, 10, 60, 10),
    (50, 1000, 60, 50),
    (200, 10, 60, 50),
    (200, 10, 60, 10),
    (200, 10, 140, 50),
    (200, 1000, 60, 50),
    (200, 1000, 60, 200),
    (1000, 10, 60, 40),
]


def paper() -> None:
    """Print the table of docs/deploy.md."""
    print("| images | environments | s an image | at once | ends after | throttles | events of 25,000 |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    for images, environments, seconds, at_once in ON_PAPER:
        found = on_paper(images, environments, seconds, at_once, throttle_retrier(), 0)
        # A campaign's rows have a history each.
        events = f"{found.events:,}" if images <= HISTORY_EVENTS // 50 else "–"
        print(
            f"| {images:,} | {environments:,} | {seconds} | {at_once} | {found.seconds:,.0f} s "
            f"| {found.throttles:,} | {events} |"
        )


@contextmanager
def reserved(app: Application, environments: int) -> Iterator[None]:
    """Lambda runs so many of the function at once and turns the others away."""
    app.functions.put_function_concurrency(FunctionName=FUNCTION, ReservedConcurrentExecutions=environments)
    try:
        yield
    finally:
        app.functions.delete_function_concurrency(FunctionName=FUNCTION)


def measured(app: Application, what: str, request: dict[str, Any], expected: int) -> str | None:
    """Make a run, print its line and give its id; None where an image is missing."""
    app.image_api.clear_calls()
    started = time.monotonic()
    done = app.wait(app.start("generateBatch", request), RUN_SECONDS)
    seconds = time.monotonic() - started
    images = (done.output or {}).get("images", {})
    pages = app.states.get_paginator("get_execution_history").paginate(executionArn=done.arn)
    events = [event for page in pages for event in page["events"]]
    errors = [event["taskFailedEventDetails"]["error"] for event in events if event["type"] == "TaskFailed"]
    throttles = errors.count("Lambda.TooManyRequestsException")
    said = sum(fault["struck"] for fault in app.image_api.faults())
    print(
        f"{what:<11} {images.get('succeeded', 0):>2} of {images.get('total', 0)} in {seconds:6.1f} s  "
        f"paid calls {images.get('paid_calls', 0)} (the provider counts {app.image_api.calls()['paid']})  "
        f"throttles {throttles}  429s {said}  events {len(events)}",
        flush=True,
    )
    whole = images.get("succeeded") == images.get("total") and images.get("paid_calls") == expected
    return done.output["run_id"] if whole else None


def limits(app: Application, environments: list[int], latency: float) -> bool:
    """Lambda's limit; whether every image was made."""
    batch = {"prompts": TITLES, "models": [GPT, GEMINI]}
    whole = True
    for many in environments:
        app.image_api.reset()
        app.image_api.set_latency(latency)
        with reserved(app, many):
            run_id = measured(app, f"lambda {many}", batch, 2 * len(TITLES))
            whole &= run_id is not None
            if run_id:
                keys = [key for key in app.keys(f"runs/{run_id}/") if key.endswith(f"{GPT}.jpg")]
                originals = [key for key in app.keys("originals/") if f"/{run_id}/" in key and key.endswith("-0")]
                for key in [*keys, *originals]:
                    app.s3.delete_object(Bucket=BUCKET, Key=key)
                whole &= measured(app, "redrive", {"resume": run_id}, len(TITLES)) is not None
    return whole


def provider(app: Application, pace: int, per: float, latency: float) -> bool:
    """The provider's pace; whether every image was made."""
    app.image_api.reset()
    app.image_api.set_latency(latency)
    app.image_api.add_fault("rate_limit", pace=pace, per=per)
    try:
        return measured(app, "provider", {"prompts": TITLES, "models": [GPT]}, len(TITLES)) is not None
    finally:
        app.image_api.reset()


def main() -> None:
    """Print a line for each run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--paper", action="store_true", help="play Lambda's limits on paper, without a stack")
    parser.add_argument("--environments", type=int, nargs="*", default=[10, 2])
    parser.add_argument("--at-once", type=int, default=50, help="the stack's ImageConcurrency")
    parser.add_argument("--latency", type=float, default=20.0)
    parser.add_argument("--pace", type=int, default=5, help="0 leaves the provider out")
    parser.add_argument("--per", type=float, default=60.0)
    given = parser.parse_args()
    if given.paper:
        paper()
        return
    app = Application(Stack.of_this_project())
    with app.configured("validateBatch", IMAGE_CONCURRENCY=str(given.at_once)):
        whole = limits(app, given.environments, given.latency)
        if given.pace:
            whole &= provider(app, given.pace, given.per, given.latency)
    sys.exit(not whole)


if __name__ == "__main__":
    main()
