"""A run on an account with few environments, on paper: Lambda's limit and the definition's own retrier in a time of
their own.
"""

import heapq
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Of one execution; it fails at the next one (https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html).
HISTORY_EVENTS = 25_000
#: Scheduled, started and failed for a throttle; the same for an image, and the states around it.
EVENTS_OF_A_THROTTLE, EVENTS_OF_AN_IMAGE = 3, 12
DEFINITION = Path(__file__).parents[1] / "statemachine" / "generate_batch.asl.json"


@dataclass(frozen=True)
class Paper:
    """How a run goes: seconds until its last image, calls that Lambda has turned away, events of its history."""

    seconds: float
    throttles: int
    events: int


def throttle_retrier() -> dict[str, Any]:
    """What an image's state does where Lambda has no room."""
    batch = json.loads(DEFINITION.read_text())["States"]["Generate Batch"]
    image = batch["ItemProcessor"]["States"]["Generate Thumbnails"]["ItemProcessor"]["States"]["Generate Thumbnail"]
    found: dict[str, Any] = image["Retry"][0]
    return found


def on_paper(images: int, environments: int, seconds: float, at_once: int, retrier: dict[str, Any], seed: int) -> Paper:
    """Play one run.

    Args:
        images: how many it makes.
        environments: how many Lambda runs at a time.
        seconds: that one image takes.
        at_once: the stack's ``ImageConcurrency``.
        retrier: the definition's, for throttles.
        seed: of its jitter.

    Raises:
        ValueError: the retrier gave up.
    """
    dice = random.Random(seed)  # noqa: S311 (no secret)
    # (when it is tried, which image, how often it was turned away)
    tries = [(0.0, image, 0) for image in range(min(at_once, images))]
    begun, throttles, last = len(tries), 0, 0.0
    busy: list[float] = []
    while tries:
        now, image, before = heapq.heappop(tries)
        while busy and busy[0] <= now:
            heapq.heappop(busy)
        if len(busy) < environments:
            last = now + seconds
            heapq.heappush(busy, last)
            if begun < images:
                heapq.heappush(tries, (last, begun, 0))
                begun += 1
            continue
        if before == retrier["MaxAttempts"]:
            raise ValueError(f"image {image} was given up after {now:g} s")
        throttles += 1
        growing = retrier["IntervalSeconds"] * retrier["BackoffRate"] ** min(before, 60)
        wait = dice.uniform(0, min(retrier["MaxDelaySeconds"], growing))
        heapq.heappush(tries, (now + wait, image, before + 1))
    return Paper(last, throttles, throttles * EVENTS_OF_A_THROTTLE + images * EVENTS_OF_AN_IMAGE)
