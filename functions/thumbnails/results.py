"""Cells → the matrix, the failures and the manifest."""

import json
from typing import Any

from thumbnails.errors import AllImagesFailed, UnusableAnswer
from thumbnails.request import Task

#: Failures after a provider answered with something else than a picture: it may have billed them.
BILLED = {UnusableAnswer.__name__, *(error.__name__ for error in UnusableAnswer.__subclasses__())}

#: What Lambda's and Step Functions' own errors mean to a person.
MEANINGS = {
    "States.Timeout": "the image took longer than the state machine waits for it",
    "Sandbox.Timedout": "the image took longer than the function may run",
    "Runtime.ExitError": "the function's process ended before it could answer",
    "Lambda.TooManyRequestsException": "Lambda had no room for the call, in spite of the retries",
}


def collect(task: Task, run_id: str, request: dict[str, Any], cells: list[dict[str, Any]]) -> dict[str, Any]:
    """The result of a run, as the contract has it.

    Args:
        task: which of the two shapes.
        run_id: the run's name.
        request: the checked request: ``prompts`` or ``title``, ``models``, ``style``, ``template``, ``font``.
        cells: a finished image or a failure for each cell, in any order.

    Raises:
        ValueError: a cell is missing or there twice.
    """
    titles = request["prompts"] if task == "generateBatch" else [request["title"]]
    models = request["models"]
    at = {(cell["row"], cell["column"]): cell for cell in cells}
    places = [(row, column) for row in range(len(titles)) for column in range(len(models))]
    if len(at) != len(cells) or set(at) != set(places):
        raise ValueError(f"{len(titles)} × {len(models)} cells were asked for, {len(cells)} came back")

    failures = [
        {"row": row, "column": column, "prompt": titles[row], "model": models[column], **failure_of(at[row, column])}
        for row, column in places
        if "failure" in at[row, column]
    ]
    warnings = [
        {"row": row, "column": column, "prompt": titles[row], "model": models[column], "message": message}
        for row, column in places
        for message in at[row, column].get("warnings", ())
    ]
    billed = sum(failure["error"] in BILLED for failure in failures)
    images = {
        "total": len(cells),
        "succeeded": len(cells) - len(failures),
        "failed": len(failures),
        "paid_calls": billed + sum(cell.get("paid_calls", 0) for cell in cells),
    }
    if task == "generateBatch":
        matrix = [[at[row, column].get("image_url") for column in range(len(models))] for row in range(len(titles))]
        head: dict[str, Any] = {"run_id": run_id, "prompts": titles, "models": models, "results": matrix}
    else:
        names = ("model", "image_url", "key", "row", "column")
        made = [{name: at[place][name] for name in names} for place in places if "failure" not in at[place]]
        head = {"run_id": run_id, **{name: request[name] for name in ("title", "style", "template", "font")}}
        head["results"] = made
    return {**head, "failures": failures, "warnings": warnings, "images": images}


def refuse_total_failure(result: dict[str, Any]) -> None:
    """Let a run without a single image fail.

    Raises:
        AllImagesFailed: says why, model by model.
    """
    if result["images"]["succeeded"]:
        return
    reasons: dict[str, dict[str, int]] = {}
    for failure in result["failures"]:
        of_model = reasons.setdefault(failure["model"], {})
        reason = f"{failure['error']}: {failure['message']}"
        of_model[reason] = of_model.get(reason, 0) + 1
    lines = [
        f"{model}: " + "; ".join(f"{reason} ({count}×)" if count > 1 else reason for reason, count in of_model.items())
        for model, of_model in reasons.items()
    ]
    raise AllImagesFailed("\n".join(lines))


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
