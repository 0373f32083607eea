"""A run that is opened, as its state machine sees it."""

from typing import Any

from thumbnails.aws.s3 import Store
from thumbnails.requests.models import Task
from thumbnails.runs import open as opening


def open_run(task: Task, execution: str, event: object, store: Store, cap: int) -> dict[str, Any]:
    """What ``validateBatch`` answers."""
    run_id, request = opening.open_run(task, execution, event, store, cap)
    return {"run_id": run_id, "execution": execution, **request.for_map()}
