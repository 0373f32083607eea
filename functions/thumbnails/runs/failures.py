"""Failures as Step Functions hands them on, in words for a person."""

import json
from collections.abc import Mapping
from typing import Any

from thumbnails.errors import UnusableAnswer, cut

#: Of a failed image's message: two hundred of them fit into a state, in any script.
MESSAGE_BYTES = 600
#: Of the words on a run without an image: Step Functions cuts a cause after 32 KiB, where a letter may take three times
#: its bytes.
CAUSE_BYTES = 8000
#: Failures after a provider answered with something other than a picture: it may have billed them.
BILLED = {UnusableAnswer.__name__, *(error.__name__ for error in UnusableAnswer.__subclasses__())}

#: What Lambda's and Step Functions' own errors mean to a person.
MEANINGS = {
    "States.Timeout": "the image took longer than the state machine waits for it",
    "Sandbox.Timedout": "the image took longer than the function may run",
    "Runtime.ExitError": "the function's process ended before it could answer",
    "Lambda.TooManyRequestsException": "Lambda had no room for the call, in spite of the retries",
}


def failure_of(cell: Mapping[str, Any]) -> dict[str, str]:
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
    """Why not one image could be made, a line a model; of many reasons the first.

    Args:
        reasons: how often each (model, reason) was met, in the order in which they are to be said.
    """
    by_model: dict[str, list[str]] = {}
    for (model, reason), count in reasons.items():
        by_model.setdefault(model, []).append(f"{reason} ({count}×)" if count > 1 else reason)
    room = CAUSE_BYTES // max(1, len(by_model))
    return "\n".join(cut(f"{model}: {'; '.join(words)}", room) for model, words in by_model.items())
