"""Failures as Step Functions hands them on, in words for a person."""

import json
from typing import Any

from thumbnails.errors import UnusableAnswer

#: Failures after a provider answered with something other than a picture: it may have billed them.
BILLED = {UnusableAnswer.__name__, *(error.__name__ for error in UnusableAnswer.__subclasses__())}

#: Step Functions takes a cause of 32,768 characters.
CAUSE_CHARACTERS = 32_000

#: What Lambda's and Step Functions' own errors mean to a person.
MEANINGS = {
    "States.Timeout": "the image took longer than the state machine waits for it",
    "Sandbox.Timedout": "the image took longer than the function may run",
    "Runtime.ExitError": "the function's process ended before it could answer",
    "Lambda.TooManyRequestsException": "Lambda had no room for the call, in spite of the retries",
}


def failure_of(cell: dict[str, Any]) -> dict[str, str]:
    """Error name and message out of what Step Functions caught: the cause is the Lambda's error object as a string."""
    error = cell["failure"].get("Error") or "Unknown"
    cause = cell["failure"].get("Cause") or ""
    try:
        parsed = json.loads(cause)
    except ValueError:
        parsed = None
    message = parsed.get("errorMessage") if isinstance(parsed, dict) else cause
    return {"error": error, "message": MEANINGS.get(error) or message or "no reason given"}


def total_failure_words(reasons: dict[tuple[str, str], int]) -> str:
    """Why not one image could be made, a line a model.

    Args:
        reasons: how often each (model, reason) was met, in the order in which they are to be said.
    """
    by_model: dict[str, list[str]] = {}
    for (model, reason), count in reasons.items():
        by_model.setdefault(model, []).append(f"{reason} ({count}×)" if count > 1 else reason)
    whole = "\n".join(f"{model}: {'; '.join(words)}" for model, words in by_model.items())
    return whole if len(whole) <= CAUSE_CHARACTERS else whole[: CAUSE_CHARACTERS - 1] + "…"
