"""A run's beginning and its end: the request is stored when it is accepted, the result when all cells are there."""

import re
from typing import Any

from thumbnails.errors import InvalidBatch
from thumbnails.request import RUN_ID, Task, check_run_id, object_in, parse_request, request_in
from thumbnails.results import collect, refuse_total_failure
from thumbnails.store import S3Object, Store, run_prefix

#: A file that is dropped here starts a run.
INBOX = "inbox/"
REJECTED = "rejected/"
REASON = "reason.txt"
#: Of a refused file's name, so that the copy's key is one that S3 takes, in any script.
NAME_CHARACTERS = 200


def open_run(task: Task, execution: str, event: object, store: Store, cap: int) -> dict[str, Any]:
    """Check a request, store it, and say what is to be made.

    A request that names a run under ``resume`` is that run's own, taken from the bucket: its prefix and id stay, and
    cells that are finished are found there. With a whole request beside it, it begins a run that is not there yet.

    Args:
        task: the state machine that was started.
        execution: the execution's name; the run's id, unless it resumes another.
        event: a request or an envelope around one.
        store: where requests are kept.
        cap: the most images that one run may make.

    Raises:
        InvalidBatch: the request breaks the contract; nothing was paid. A file of the inbox that holds such a request
            is copied under ``rejected/``, with the reason beside it.
    """
    check_run_id(execution)
    named = object_in(event)
    source = S3Object(*named) if named else None
    try:
        return _open_run(task, execution, source or request_in(event), store, cap)
    except InvalidBatch as refusal:
        if source and source.key.startswith(INBOX):
            _reject(source, execution, refusal, store)
        raise


def _open_run(task: Task, execution: str, asked: object, store: Store, cap: int) -> dict[str, Any]:
    value = store.read_request(asked.key, asked.bucket, asked.version) if isinstance(asked, S3Object) else asked
    run_id = execution
    if isinstance(value, dict) and value.get("resume") is not None:
        value = dict(value)
        run_id = value.pop("resume")
        value = _resumed(task, run_id, value, store, cap)
    request = parse_request(task, value, cap).model_dump()
    # The newest execution's name tells whoever looks at the run whose history is the run's.
    store.put_json(run_prefix(run_id) + "request.json", request, {"execution": execution})
    row = {"row": 0} if task == "generateThumbnails" else {}
    return {"run_id": run_id, "execution": execution, **row, **request}


def close_run(task: Task, run_id: str, cells: list[dict[str, Any]], store: Store) -> dict[str, Any]:
    """Collect a run's cells, store the manifest and give the result.

    Raises:
        AllImagesFailed: no cell has an image; the manifest is stored all the same.
    """
    request = store.read_request(run_prefix(run_id) + "request.json")
    result = collect(task, run_id, request, cells)
    store.put_json(run_prefix(run_id) + "manifest.json", result)
    refuse_total_failure(result)
    return result


def _reject(source: S3Object, execution: str, refusal: InvalidBatch, store: Store) -> None:
    """Keep a copy of a refused file with the reason beside it, where no file starts a run."""
    folder = f"{REJECTED}{execution}/"
    store.copy(source, folder + _copy_name(source.key.rpartition("/")[2]))
    store.put(folder + REASON, f"{refusal}\n".encode(), "text/plain; charset=utf-8")


def _copy_name(name: str) -> str:
    """A file's own name, where it can stand beside the reason and lead nowhere else."""
    kept = "".join(one if one.isprintable() and one != "\\" else "-" for one in name)[-NAME_CHARACTERS:]
    return "file" if kept in ("", ".", "..", REASON) else kept


def _resumed(task: Task, run_id: object, given: dict[str, Any], store: Store, cap: int) -> object:
    if not isinstance(run_id, str) or not re.fullmatch(RUN_ID, run_id):
        raise InvalidBatch("resume must be the id of a run")
    if given and store.notes(run_prefix(run_id) + "request.json") is None:
        return given
    stored = store.read_request(run_prefix(run_id) + "request.json")
    if given and parse_request(task, given, cap).model_dump() != stored:
        raise InvalidBatch(f"run {run_id!r} was asked for something else; resume it without a request of your own")
    return stored
