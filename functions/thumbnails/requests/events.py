"""Events that carry a request: how it is unwrapped, and which run it starts.

An event is an EventBridge envelope: S3's "Object Created", whose request is the file that was put, a schedule's, or any
other, whose ``detail`` is the request. S3 and EventBridge deliver at least once, so that a run's name is made from what
is the same in every delivery: an object's version (its sequencer where the bucket keeps none) or an event's id.
"""

import re
from typing import Any, TypeGuard

from thumbnails.errors import InvalidBatch, quoted
from thumbnails.keys import KEY_BYTES, S3Object
from thumbnails.runs.naming import run_id_for_event

#: What S3 takes.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_VERSION = re.compile(r"[!-~]{1,1024}")


def request_in(event: object) -> object:
    """The request inside an EventBridge envelope (its ``detail``), or the event itself where it is no envelope."""
    return event["detail"] if _is_envelope(event) else event


def file_in(event: object) -> S3Object | None:
    """The request file that an S3 "Object Created" event names; None for any other event.

    Raises:
        InvalidBatch: it is such an event and names no object.
    """
    if not (_is_envelope(event) and event.get("source") == "aws.s3"):
        return None
    bucket, key = _named(event["detail"], "bucket", "name"), _named(event["detail"], "object", "key")
    version = _named(event["detail"], "object", "version-id")
    if not (isinstance(bucket, str) and isinstance(key, str) and bucket and key and isinstance(version, str | None)):
        raise InvalidBatch("the S3 event names no object: it needs detail.bucket.name and detail.object.key")
    if not (_BUCKET.fullmatch(bucket) and _is_key(key) and (version is None or _VERSION.fullmatch(version))):
        raise InvalidBatch(f"the S3 event names an object that no bucket can hold: {quoted(key)}")
    return S3Object(bucket, key, version)


def run_for(event: dict[str, Any], scheduled: S3Object) -> tuple[str, dict[str, Any]]:
    """The run that an event starts, and its execution's input.

    Args:
        event: the envelope.
        scheduled: the request file that the schedule runs.
    """
    if event["source"] == "aws.s3":
        version = _named(event["detail"], "object", "version-id") or _named(event["detail"], "object", "sequencer")
        # One that names no file starts a run all the same, which says so.
        return run_for_file(version) if isinstance(version, str) else run_id_for_event("event", event["id"]), event
    if event["detail-type"] == "Scheduled Event":
        return run_id_for_event("schedule", event["id"]), reference_to(scheduled)
    return run_id_for_event("event", event["id"]), event


def reference_to(file: S3Object) -> dict[str, Any]:
    """The input of an execution whose request is a file."""
    version = {"version-id": file.version} if file.version else {}
    detail = {"bucket": {"name": file.bucket}, "object": {"key": file.key, **version}}
    return {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}


def event_of_file(file: S3Object) -> dict[str, Any]:
    """S3's event of a version of a file, as far as a run needs it."""
    return {"id": str(file.version), **reference_to(file)}


def run_for_file(version: str) -> str:
    """The run that a version of a file in the inbox starts."""
    return run_id_for_event("inbox", version)


def _named(detail: object, part: str, name: str) -> object:
    """A field of a part of the detail, None where either is not there."""
    found = detail.get(part) if isinstance(detail, dict) else None
    return found.get(name) if isinstance(found, dict) else None


def _is_key(key: str) -> bool:
    try:
        return len(key.encode()) <= KEY_BYTES
    except UnicodeEncodeError:
        return False


def _is_envelope(event: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(event, dict) and "detail-type" in event and "detail" in event
