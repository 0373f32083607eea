"""The cap and every other check on a request, before anything is paid for."""

import os
from typing import Any

from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.parser import BaseModel, event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext

from thumbnails.request import Task
from thumbnails.runs import open_run
from thumbnails.store import bucket_store

logger = Logger()
tracer = Tracer(patch_modules=["botocore"])


class Event(BaseModel):
    """What the state machines send: the task, the execution's name and its whole input."""

    task: Task
    execution: str
    request: Any


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@event_parser(model=Event)
def handler(event: Event, _context: LambdaContext) -> dict[str, Any]:
    """Accept or refuse a request.

    Raises:
        InvalidBatch: the request breaks the contract.
        StorageUnavailable: the bucket could not be read or written.
    """
    logger.append_keys(run_id=event.execution, task=event.task)
    run = open_run(event.task, event.execution, event.request, bucket_store(), int(os.environ["BATCH_CAP"]))
    logger.info("request accepted", extra={"titles": len(run.get("prompts", "1")), "models": run["models"]})
    return run
