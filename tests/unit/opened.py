"""A run that is opened, as its state machine sees it."""

from datetime import datetime
from typing import Any

from tests.unit.memory_store import MemoryStore
from thumbnails.aws.s3 import Store
from thumbnails.requests.models import Task
from thumbnails.runs import open as opening


def open_run(
    task: Task, execution: str, event: object, store: Store, cap: int, started: datetime | None = None
) -> dict[str, Any]:
    """What ``validateBatch`` answers; the execution starts at the next moment of a store in memory."""
    if started is None and isinstance(store, MemoryStore):
        started = store.now
    run_id, request = opening.open_run(task, execution, event, store, cap, started=started)
    return {"run_id": run_id, "execution": execution, **request.for_map()}
