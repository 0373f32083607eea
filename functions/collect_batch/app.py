"""Cells → matrix + failures + manifest."""

from typing import Any

from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.parser import BaseModel, event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext

from thumbnails.request import Task
from thumbnails.runs import close_run
from thumbnails.store import bucket_store

logger = Logger()
tracer = Tracer(patch_modules=["botocore"])


class Event(BaseModel):
    """What the state machines send: the task, the run and a finished image or a failure for each cell."""

    task: Task
    run_id: str
    cells: list[dict[str, Any]]


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@event_parser(model=Event)
def handler(event: Event, _context: LambdaContext) -> dict[str, Any]:
    """Collect a run.

    Raises:
        AllImagesFailed: no cell has an image.
        StorageUnavailable: the bucket could not be read or written.
    """
    logger.append_keys(run_id=event.run_id, task=event.task)
    result = close_run(event.task, event.run_id, event.cells, bucket_store())
    logger.info("run collected", extra=result["images"])
    return result
