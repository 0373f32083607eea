"""Events that started no run: those that lie in the queue of lost events, and files of the inbox that no run is for.

The queue holds two kinds of messages: an event that EventBridge could not deliver, with the reason in the message's
attributes (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html), and Lambda's record of an
invocation that failed for good, around the event
(https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from thumbnails.aws.queue import Message, Queue
from thumbnails.aws.s3 import Store
from thumbnails.aws.step_functions import Executions
from thumbnails.errors import InvalidBatch, quoted
from thumbnails.keys import INBOX, REJECTED, S3Object, run_prefix
from thumbnails.requests.events import event_of_file, file_in, run_for, run_for_file
from thumbnails.runs.submit import start_for_event

#: As long as SQS keeps a message.
LOOK_BACK = timedelta(days=14)
#: A file that is younger may be on its way to its run.
ON_ITS_WAY = timedelta(seconds=60)
REASON_CHARACTERS = 300
#: Of a file: its event may also be one that startBatch still fails on.
UNHEARD = "no run has started for it, and no event of it is kept so far"


@dataclass(frozen=True)
class Lost:
    """An event that started no run.

    Attributes:
        run_id: the run that it starts; empty where it is no event that can start one.
        what: the file, or who asked.
        since: when it was lost, or when the file was dropped.
        reason: why, as far as anybody knows.
        event: the event itself.
        messages: the queue's messages that hold it; none for a file that only the inbox knows of.
    """

    run_id: str
    what: str
    since: datetime
    reason: str
    event: dict[str, Any]
    messages: tuple[Message, ...] = field(default=(), repr=False)


def find_lost(
    queue: Queue | None,
    executions: Executions,
    store: Store,
    scheduled: S3Object,
    now: datetime,
    most_files: int | None = None,
) -> list[Lost]:
    """Every event that started no run, oldest first.

    The queue's messages stay hidden from others for a minute, unless they are released.

    Args:
        queue: of lost events; None where the application has none.
        executions: where runs are found.
        store: the bucket.
        scheduled: the request file that the schedule runs.
        now: the time.
        most_files: of the inbox, the newest, that are looked at; None for all.
    """
    found: dict[str, Lost] = {}
    for message in queue.receive() if queue else ():
        lost = _in_message(message, scheduled)
        same = found.get(lost.run_id)
        # Two deliveries of one event are one run.
        messages = (*(same.messages if same else ()), message)
        found[lost.run_id or message.receipt] = Lost(
            lost.run_id, lost.what, same.since if same else lost.since, lost.reason, lost.event, messages
        )
    for lost in _files_without_a_run(executions, store, now, most_files):
        found.setdefault(lost.run_id, lost)
    return sorted(found.values(), key=lambda lost: lost.since)


def start_again(lost: Lost, queue: Queue | None, executions: Executions, store: Store, scheduled: S3Object) -> bool:
    """Start the run of a lost event and forget the event; False where its run was started before.

    Raises:
        InvalidBatch: Step Functions takes no such request.
        OrchestrationUnavailable: Step Functions could not be asked.
    """
    _, started = start_for_event(lost.event, scheduled, executions, store)
    for message in lost.messages:
        if queue:
            queue.delete(message)
    return started


def _in_message(message: Message, scheduled: S3Object) -> Lost:
    event, reason = _event_and_reason(message)
    if not _is_event(event):
        return Lost("", "a message that holds no event", message.sent, reason, {}, (message,))
    run_id, _ = run_for(event, scheduled)
    return Lost(run_id, _what(event), message.sent, quoted(reason, REASON_CHARACTERS)[1:-1], event, (message,))


def _event_and_reason(message: Message) -> tuple[Any, str]:
    body, answer = message.body, message.attributes
    names = ("ERROR_CODE", "ERROR_MESSAGE")
    if isinstance(body, dict) and "requestPayload" in body:
        answer = body.get("responsePayload") or {"errorType": (body.get("requestContext") or {}).get("condition")}
        body, names = body["requestPayload"], ("errorType", "errorMessage")
    return body, ": ".join(str(answer[name]) for name in names if answer.get(name)) or "no reason given"


def _is_event(value: object) -> bool:
    return isinstance(value, dict) and {"id", "source", "detail-type", "detail"} <= set(value)


def _what(event: dict[str, Any]) -> str:
    try:
        file = file_in(event)
    except InvalidBatch:
        # It starts a run all the same, which says so.
        file = None
    if file:
        return file.key
    return f"{quoted(str(event['detail-type']))[1:-1]} from {quoted(str(event['source']))[1:-1]}"


def _files_without_a_run(executions: Executions, store: Store, now: datetime, most: int | None) -> Iterator[Lost]:
    """Every version of a file that is in the inbox and that no run is for."""
    since = now - LOOK_BACK
    versions = [one for one in store.versions(INBOX) if since < one.modified < now - ON_ITS_WAY]
    versions = sorted(versions, key=lambda one: one.modified, reverse=True)[:most]
    if not versions:
        return
    started = _names_since(min(one.modified for one in versions), executions)
    for one in versions:
        run_id = run_for_file(one.version)
        if run_id not in started and not _left_something(run_id, store):
            event = event_of_file(S3Object(store.bucket, one.key, one.version))
            yield Lost(run_id, one.key, one.modified, UNHEARD, event)


def _left_something(run_id: str, store: Store) -> bool:
    """Whether the bucket knows of a run whose execution Step Functions has forgotten: accepted, or refused."""
    return store.first_key(run_prefix(run_id)) is not None or store.first_key(f"{REJECTED}{run_id}/") is not None


def _names_since(when: datetime, executions: Executions) -> set[str]:
    names = set()
    for execution in executions.newest_first("generateBatch"):
        # Whose clock is ahead is not known.
        if execution.started < when - ON_ITS_WAY:
            break
        names.add(execution.name)
    return names
