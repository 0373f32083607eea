"""What Lambda has no room for waits: on paper, by the definition's own retrier."""

import pytest

from tests.throttling import HISTORY_EVENTS, on_paper, throttle_retrier


@pytest.mark.parametrize(
    ("images", "environments", "seconds", "at_once", "longest"),
    [
        # A new account: 25 × 2 images of 20 s by ten environments are five rounds.
        (50, 10, 20, 50, 150),
        (50, 10, 20, 10, 101),
        (50, 2, 20, 50, 600),
        (50, 10, 60, 50, 360),
        # The largest cap, and the longest that a provider may take.
        (200, 10, 60, 50, 1300),
        (200, 10, 140, 50, 2950),
        (200, 2, 60, 2, 6001),
        (50, 1000, 60, 50, 60),
    ],
)
def test_every_run_ends_soon_after_its_rounds_and_within_its_history(
    images: int, environments: int, seconds: int, at_once: int, longest: int
) -> None:
    for seed in range(5):
        found = on_paper(images, environments, seconds, at_once, throttle_retrier(), seed)
        assert found.seconds <= longest
        assert found.events < HISTORY_EVENTS


def test_a_retrier_that_soon_gives_up_loses_images() -> None:
    hasty = throttle_retrier() | {"MaxAttempts": 5, "MaxDelaySeconds": 20}
    with pytest.raises(ValueError, match="was given up after"):
        on_paper(50, 10, 20, 50, hasty, 0)
