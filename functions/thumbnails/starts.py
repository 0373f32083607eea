"""Which run an event starts. Its name is made from the event, so that a second delivery finds it started."""

import json
import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from thumbnails.errors import InvalidBatch, quoted

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

NAME_CHARACTERS = 80


def execution_for(event: dict[str, Any], scheduled_key: str) -> tuple[str, dict[str, Any]]:
    """The name of the execution that an event starts, and its input.

    S3 and EventBridge deliver at least once. An object's version (its sequencer where the bucket keeps none) and an
    event's id are the same in every delivery.

    Args:
        event: an EventBridge envelope: S3's "Object Created", a schedule's "Scheduled Event", or any other, whose
            ``detail`` is a request.
        scheduled_key: the request file that the schedule runs.
    """
    if event["source"] == "aws.s3":
        version = _version_in(event["detail"])
        # One that names no file starts a run all the same, which says so.
        return dropped_file_run(version) if version else _name("event", event["id"]), event
    if event["detail-type"] == "Scheduled Event":
        detail = {"bucket": {"name": os.environ["BUCKET"]}, "object": {"key": scheduled_key}}
        request = {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}
        return _name("schedule", event["id"]), request
    return _name("event", event["id"]), event


def dropped_file_run(version: str) -> str:
    """The run that a version of a file in the inbox starts."""
    return _name("inbox", version)


def _version_in(detail: object) -> str:
    item = detail.get("object") if isinstance(detail, dict) else None
    version = (item.get("version-id") or item.get("sequencer")) if isinstance(item, dict) else None
    return version if isinstance(version, str) else ""


def _name(kind: str, identity: str) -> str:
    return f"{kind}-{re.sub(r'[^A-Za-z0-9_.-]', '-', identity)}"[:NAME_CHARACTERS]


class StateMachine:
    """``generateBatch``, to be started.

    Args:
        arn: its ARN.
    """

    def __init__(self, arn: str) -> None:
        self._arn = arn
        self._client: SFNClient = boto3.client("stepfunctions")

    def start(self, name: str, request: object) -> bool:
        """Start an execution; False where one of this name was started before.

        Raises:
            InvalidBatch: Step Functions takes no such input, as it is too large or no JSON.
        """
        try:
            self._client.start_execution(stateMachineArn=self._arn, name=name, input=json.dumps(request))
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            if code == "ExecutionAlreadyExists":
                return False
            if code in ("InvalidExecutionInput", "ValidationException"):
                raise InvalidBatch(f"{name} cannot be started: {quoted(str(error), 200)}") from error
            raise
        return True


@lru_cache(maxsize=1)
def state_machine() -> StateMachine:
    """The state machine that the environment names; one client for the life of the process."""
    return StateMachine(os.environ["GENERATE_BATCH_ARN"])
