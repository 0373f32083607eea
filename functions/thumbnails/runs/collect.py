"""A run's end: cells → the matrix, the failures and the manifest."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from typing import Any

from thumbnails.aws.s3 import Store
from thumbnails.catalog import MODELS, Order, notices
from thumbnails.catalog.prices import Cost, Usage, picture_usd, sum_of
from thumbnails.errors import AllImagesFailed, cut
from thumbnails.images.digests import picture_of
from thumbnails.images.redraw import drawn_titles
from thumbnails.keys import manifest_key, original_key, request_key, run_prefix
from thumbnails.requests.estimate import estimate
from thumbnails.requests.models import Place, Request, Task, key_of, order_of, stored_request, variants_of
from thumbnails.runs.budget import BUDGET_DAY, NO_BUDGET, Budget
from thumbnails.runs.costs import learn, measured_tokens
from thumbnails.runs.failures import BILLED, failure_of, total_failure_words

#: Of an execution's output: Step Functions carries 256 KiB, and its states hold this and a little more.
OUTPUT_BYTES = 180 << 10
#: Of a title or a message in an output that would be larger.
SHORT_BYTES = 160
#: Failed cells that are looked up at a time.
LOOKERS = 16


def collect_run(
    task: Task, run_id: str, execution: str, cells: list[dict[str, Any]], store: Store, budget: Budget = NO_BUDGET
) -> dict[str, Any]:
    """Collect a run's cells, write the manifest, settle with the day's budget and give the result.

    The result is given as far as an execution's output has room for it.

    Args:
        task: the state machine.
        run_id: the run's id.
        execution: the execution that comes to its end, which paid for what it made.
        cells: a finished image or a failure for each cell, in any order.
        store: the bucket.
        budget: the day's.

    Raises:
        AllImagesFailed: no cell has an image; the manifest is written all the same.
    """
    request = stored_request(task, store.read_request(request_key(run_id)))
    cells = _looked_up(cells, run_id, execution, request, store)
    result = result_of(run_id, request, cells, store.url)
    # By what was known before it.
    result["costs"]["estimated_usd"] = estimate(request, measured_tokens(store, request.models)).usd
    store.put_json(manifest_key(run_id), result)
    learn(store, list(_measured(cells, request)))
    if budget.is_set:
        noted = store.metadata(request_key(run_id)) or {}
        budget.settle(noted.get(BUDGET_DAY, ""), noted.get("execution", run_id), result["costs"]["paid_usd"])
    raise_if_all_failed(result)
    return output_of(result, request, cells, store)


def result_of(
    run_id: str,
    request: Request,
    cells: list[dict[str, Any]],
    url: Callable[[str], str],
    day: date | None = None,
) -> dict[str, Any]:
    """The result of a run, as the contract has it.

    Args:
        run_id: the run's id.
        request: its checked request.
        cells: a finished image or a failure for each cell, in any order.
        url: presigns a key.
        day: the day on which it is made; today where left out.

    Raises:
        ValueError: a cell is missing or there twice.
    """
    titles, models = request.titles, request.models
    at = {(cell["row"], cell["column"]): cell for cell in cells}
    places = request.places
    if len(at) != len(cells) or set(at) != set(places):
        raise ValueError(f"{len(places)} cells were asked for, {len(cells)} came back")

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
    succeeded = sum(1 + len(cell.get("variants", ())) for cell in cells if "failure" not in cell)
    images = {
        "total": request.images,
        "succeeded": succeeded,
        "failed": request.images - succeeded,
        "paid_calls": sum(_paid_calls(cell) for cell in cells),
    }
    return {
        "run_id": run_id,
        **request.result(_made(run_id, cells, request, url)),
        "failures": failures,
        "warnings": warnings,
        "images": images,
        "costs": costs_of(request, at),
    }


def costs_of(request: Request, at: Mapping[Place, Mapping[str, Any]]) -> dict[str, Any]:
    """What the run's images cost, in US dollars at list prices, and the tokens that their providers counted.

    Args:
        request: the run's checked request.
        at: a finished image or a failure by its place.
    """
    rows = [
        [_cost(at.get((row, column), {}), model, request) for column, model in enumerate(request.models)]
        for row in range(len(request.titles))
    ]
    by_model = {model: round(sum(row[column]["usd"] for row in rows), 6) for column, model in enumerate(request.models)}
    paid = sum(rows[row][column]["usd"] for (row, column), cell in at.items() if _paid_calls(cell))
    return {"usd": round(sum(by_model.values()), 6), "paid_usd": round(paid, 6), "by_model": by_model, "cells": rows}


def _cost(cell: Mapping[str, Any], model: str, request: Request) -> dict[str, Any]:
    usd, tokens = cell.get("usd"), cell.get("tokens")
    if not usd:
        # An answer that could not be used may have been billed, and nobody says how much.
        pictures = variants_of(request, model) if _paid_calls(cell) and model in MODELS else 0
        usd = pictures and pictures * picture_usd(order_of(MODELS[model], request))
    return {"usd": round(usd, 6), "tokens": tokens}


def _measured(cells: list[dict[str, Any]], request: Request) -> Iterator[tuple[Order, Usage]]:
    """What the pictures took that this execution paid for."""
    for cell in cells:
        model = MODELS.get(request.models[cell["column"]])
        if model and cell.get("paid_calls") and cell.get("tokens"):
            order = replace(order_of(model, request), pictures=1 + len(cell.get("variants", ())))
            yield order, Usage(**cell["tokens"])


def output_of(result: dict[str, Any], request: Request, cells: list[dict[str, Any]], store: Store) -> dict[str, Any]:
    """The result as the output of an execution.

    One that is too large names its images by ``s3://`` in place of presigned URLs, cuts titles and messages short,
    leaves the warnings out, and has the key of the manifest, which has them all.
    """
    if len(json.dumps(result, ensure_ascii=False).encode()) <= OUTPUT_BYTES:
        return result
    named = request.result(_made(result["run_id"], cells, request, lambda key: f"s3://{store.bucket}/{key}"))
    if "prompts" in named:
        named["prompts"] = [cut(title, SHORT_BYTES) for title in named["prompts"]]
    failures = [
        {**failure, "prompt": cut(failure["prompt"], SHORT_BYTES), "message": cut(failure["message"], SHORT_BYTES)}
        for failure in result["failures"]
    ]
    run_id = result["run_id"]
    costs = {name: value for name, value in result["costs"].items() if name != "cells"}
    shortened = {"run_id": run_id, **named, "failures": failures, "images": result["images"], "costs": costs}
    return {**shortened, "manifest_key": manifest_key(run_id)}


def _looked_up(
    cells: list[dict[str, Any]], run_id: str, execution: str, request: Request, store: Store
) -> list[dict[str, Any]]:
    """The cells as the bucket knows them: one that failed may have been stored all the same, or paid for.

    The function's last word can be lost: it was cut off at its time, or Lambda had no room for the call that would have
    found an earlier execution's image.
    """
    if not any("failure" in cell for cell in cells):
        return cells
    there = {item.key for item in store.listed(run_prefix(run_id))}

    def look(cell: dict[str, Any]) -> dict[str, Any]:
        return _found(cell, run_id, execution, request, there, store) if "failure" in cell else cell

    with ThreadPoolExecutor(LOOKERS) as pool:
        return list(pool.map(look, cells))


def _found(
    cell: dict[str, Any], run_id: str, execution: str, request: Request, there: Collection[str], store: Store
) -> dict[str, Any]:
    row, column = cell["row"], cell["column"]
    title, model = request.titles[row], request.models[column]
    own = [key for key in _keys(run_id, row, title, model, request) if key in there]
    if own:
        looked = [store.metadata(key) or {} for key in own]
        warnings = [line for metadata in looked for line in metadata.get("warnings", "").split("\n") if line]
        paid = int(any(metadata.get("paid-by") == execution for metadata in looked))
        found = {"row": row, "column": column, "key": own[0], "variants": own[1:], "paid_calls": paid}
        return {**found, "warnings": warnings, **sum_of([Cost.of(metadata) for metadata in looked]).as_json()}
    if model not in MODELS:
        return cell
    digest = picture_of(drawn_titles(store, request)[row], model, request).digest
    original = store.metadata(original_key(digest, run_id, row, column))
    if original is None:
        return {**cell, "paid_calls": 0}
    return {**cell, "paid_calls": int(original.get("paid-by") == execution), **Cost.of(original).as_json()}


def _keys(run_id: str, row: int, title: str, model: str, request: Request) -> list[str]:
    return [key_of(request, run_id, row, title, model, variant) for variant in range(variants_of(request, model))]


def _paid_calls(cell: Mapping[str, Any]) -> int:
    billed = "failure" in cell and failure_of(cell)["error"] in BILLED
    return max(int(billed), int(cell.get("paid_calls", 0)))


def _made(
    run_id: str, cells: list[dict[str, Any]], request: Request, url: Callable[[str], str]
) -> dict[Place, dict[str, Any]]:
    return {
        (cell["row"], cell["column"]): made_image(
            (cell["row"], cell["column"]), (cell["key"], *cell.get("variants", ())), run_id, request, url
        )
        for cell in cells
        if "failure" not in cell
    }


def made_image(
    place: Place, keys: Sequence[str], run_id: str, request: Request, url: Callable[[str], str]
) -> dict[str, Any]:
    """What a result says of a finished cell.

    Args:
        place: the cell's.
        keys: of its pictures in the request's first format.
        run_id: the run's id.
        request: its checked request.
        url: presigns a key.
    """
    row, column = place
    title, model = request.titles[row], request.models[column]
    return {
        "model": model,
        "key": keys[0],
        "image_url": url(keys[0]),
        "variants": [url(key) for key in keys] if request.variants > 1 else [],
        # A cell's other formats are there when its first one is.
        "formats": {form: url(key_of(request, run_id, row, title, model, form=form)) for form in request.formats[1:]},
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
