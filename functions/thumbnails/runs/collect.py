"""A run's end: cells → the matrix, the failures and the manifest."""

from datetime import date
from typing import Any

from thumbnails.aws.s3 import Store
from thumbnails.catalog import notices
from thumbnails.errors import AllImagesFailed
from thumbnails.keys import manifest_key, request_key
from thumbnails.requests.models import Request, Task, stored_request
from thumbnails.runs.failures import BILLED, failure_of, total_failure_words


def collect_run(task: Task, run_id: str, cells: list[dict[str, Any]], store: Store) -> dict[str, Any]:
    """Collect a run's cells, write the manifest and give the result.

    Raises:
        AllImagesFailed: no cell has an image; the manifest is written all the same.
    """
    request = stored_request(task, store.read_request(request_key(run_id)))
    result = result_of(run_id, request, cells)
    store.put_json(manifest_key(run_id), result)
    raise_if_all_failed(result)
    return result


def result_of(run_id: str, request: Request, cells: list[dict[str, Any]], day: date | None = None) -> dict[str, Any]:
    """The result of a run, as the contract has it.

    Args:
        run_id: the run's id.
        request: its checked request.
        cells: a finished image or a failure for each cell, in any order.
        day: the day on which it is made; today where left out.

    Raises:
        ValueError: a cell is missing or there twice.
    """
    titles, models = request.titles, request.models
    at = {(cell["row"], cell["column"]): cell for cell in cells}
    places = [(row, column) for row in range(len(titles)) for column in range(len(models))]
    if len(at) != len(cells) or set(at) != set(places):
        raise ValueError(f"{len(titles)} × {len(models)} cells were asked for, {len(cells)} came back")

    failures = [
        {"row": row, "column": column, "prompt": titles[row], "model": models[column], **failure_of(at[row, column])}
        for row, column in places
        if "failure" in at[row, column]
    ]
    # Once for each column: what is said of a model is said of all its images.
    warnings = [
        {"row": 0, "column": column, "prompt": titles[0], "model": model, "message": notice}
        for column, model in enumerate(models)
        for notice in notices([model], day)
    ]
    warnings += [
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
    made = {place: cell for place, cell in at.items() if "failure" not in cell}
    return {
        "run_id": run_id,
        **request.result(made),
        "failures": failures,
        "warnings": warnings,
        "images": images,
    }


def raise_if_all_failed(result: dict[str, Any]) -> None:
    """Let a run without a single image fail.

    Raises:
        AllImagesFailed: says why, model by model.
    """
    if result["images"]["succeeded"]:
        return
    reasons: dict[tuple[str, str], int] = {}
    for failure in result["failures"]:
        reason = failure["model"], f"{failure['error']}: {failure['message']}"
        reasons[reason] = reasons.get(reason, 0) + 1
    raise AllImagesFailed(total_failure_words(reasons))
