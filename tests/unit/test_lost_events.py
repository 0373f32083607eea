"""Events that started no run: what the queue and the inbox say of them, and how their runs are started after all."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.unit.memory_executions import MemoryExecutions
from tests.unit.memory_store import MemoryStore
from tests.unit.opened import open_run
from thumbnails.aws.queue import Queue
from thumbnails.aws.step_functions import INPUT_BYTES
from thumbnails.keys import S3Object
from thumbnails.runs.lost import Lost, find_lost, start_again
from thumbnails.runs.submit import start_for_event

SCHEDULED = S3Object("memory", "scheduled/batch.json", None)
BATCH = {"prompts": ["A title"], "models": ["gpt-image-1"]}
REQUESTED: dict[str, Any] = {"id": "e1", "source": "blog", "detail-type": "BatchRequested", "detail": BATCH}
FILE = {"bucket": {"name": "memory"}, "object": {"key": "inbox/a.json", "version-id": "v1"}}
DROPPED: dict[str, Any] = {"id": "e2", "source": "aws.s3", "detail-type": "Object Created", "detail": FILE}
#: Long after every file in memory was written.
LATER = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def sqs() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("sqs")


@pytest.fixture
def url(sqs: Any) -> str:
    made: str = sqs.create_queue(QueueName="lost-events")["QueueUrl"]
    return made


def undelivered(sqs: Any, url: str, event: object) -> None:
    """Put an event into the queue as EventBridge does."""
    said = {"RULE_ARN": "arn:rule", "ERROR_CODE": "NO_RESOURCE", "ERROR_MESSAGE": "Function not found"}
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in said.items()}
    body = event if isinstance(event, str) else json.dumps(event)
    sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)


def failed(sqs: Any, url: str, event: object, answer: object) -> None:
    """Put an event into the queue as Lambda does."""
    context = {"condition": "RetriesExhausted", "approximateInvokeCount": 3}
    record = {"version": "1.0", "requestContext": context, "requestPayload": event, "responsePayload": answer}
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps(record))


def look(queue: Queue | None, executions: MemoryExecutions, store: MemoryStore, now: datetime = LATER) -> list[Lost]:
    return find_lost(queue, executions, store, SCHEDULED, now)


def test_an_event_that_was_not_delivered_is_listed_with_the_reason_and_started(
    sqs: Any, url: str, executions: MemoryExecutions, store: MemoryStore
) -> None:
    undelivered(sqs, url, REQUESTED)
    queue = Queue(sqs, url)
    (lost,) = look(queue, executions, store)
    assert (lost.run_id, lost.what) == ("event-e1", "BatchRequested from blog")
    assert lost.reason == "NO_RESOURCE: Function not found"
    assert start_again(lost, queue, executions, store, SCHEDULED)
    assert executions.all["event-e1"].request == REQUESTED
    assert len(queue) == 0


def test_an_event_on_which_the_function_failed_for_good_is_listed_with_its_error_and_started(
    sqs: Any, url: str, executions: MemoryExecutions, store: MemoryStore
) -> None:
    failed(sqs, url, DROPPED, {"errorType": "OrchestrationUnavailable", "errorMessage": "Step Functions could not\n x"})
    queue = Queue(sqs, url)
    (lost,) = look(queue, executions, store)
    assert (lost.run_id, lost.what) == ("inbox-v1", "inbox/a.json")
    assert lost.reason == "OrchestrationUnavailable: Step Functions could not\\n x"
    assert start_again(lost, queue, executions, store, SCHEDULED)
    assert list(executions.all) == ["inbox-v1"]


def test_an_event_that_was_never_tried_has_the_condition_as_its_reason(
    sqs: Any, url: str, executions: MemoryExecutions, store: MemoryStore
) -> None:
    failed(sqs, url, REQUESTED, None)
    assert [lost.reason for lost in look(Queue(sqs, url), executions, store)] == ["RetriesExhausted"]


def test_two_messages_of_one_event_are_one_run(
    sqs: Any, url: str, executions: MemoryExecutions, store: MemoryStore
) -> None:
    undelivered(sqs, url, DROPPED)
    undelivered(sqs, url, {**DROPPED, "id": "another delivery"})
    queue = Queue(sqs, url)
    (lost,) = look(queue, executions, store)
    assert start_again(lost, queue, executions, store, SCHEDULED)
    assert len(queue) == 0


def test_an_event_whose_run_was_started_meanwhile_is_forgotten(
    sqs: Any, url: str, executions: MemoryExecutions, store: MemoryStore
) -> None:
    undelivered(sqs, url, REQUESTED)
    executions.start("generateBatch", "event-e1", REQUESTED)
    executions.end("event-e1", status="SUCCEEDED")
    queue = Queue(sqs, url)
    (lost,) = look(queue, executions, store)
    assert not start_again(lost, queue, executions, store, SCHEDULED)
    assert len(queue) == 0


@pytest.mark.parametrize("body", ["{", "[]", '"text"', '{"id": 1}', "null", '{"requestPayload": null}'])
def test_a_message_that_holds_no_event_is_shown_and_starts_nothing(
    sqs: Any, url: str, executions: MemoryExecutions, store: MemoryStore, body: str
) -> None:
    undelivered(sqs, url, body)
    undelivered(sqs, url, body)
    found = look(Queue(sqs, url), executions, store)
    assert [(lost.run_id, lost.what) for lost in found] == [("", "a message that holds no event")] * 2


def test_what_somebody_only_looked_at_is_there_for_others(
    sqs: Any, url: str, executions: MemoryExecutions, store: MemoryStore
) -> None:
    undelivered(sqs, url, REQUESTED)
    queue = Queue(sqs, url)
    found = look(queue, executions, store)
    assert look(queue, executions, store) == []
    queue.release(message for lost in found for message in lost.messages)
    assert len(look(queue, executions, store)) == len(queue) == 1


def test_a_file_of_the_inbox_without_a_run_is_lost_and_started(
    executions: MemoryExecutions, store: MemoryStore
) -> None:
    for name in ("a", "b"):
        store.put(f"inbox/{name}.json", json.dumps([[name], []]).encode(), "application/json")
    first, second = store.versions("inbox/")
    executions.start("generateBatch", f"inbox-{first.version}", {})
    (lost,) = look(None, executions, store)
    assert (lost.run_id, lost.what, lost.messages) == (f"inbox-{second.version}", "inbox/b.json", ())
    assert start_again(lost, None, executions, store, SCHEDULED)
    assert executions.all[lost.run_id].request["detail"] == {
        "bucket": {"name": "memory"},
        "object": {"key": "inbox/b.json", "version-id": second.version},
    }
    assert look(None, executions, store) == []


@pytest.mark.parametrize("left", ["runs/inbox-{}/request.json", "rejected/inbox-{}/reason.txt"])
def test_a_file_whose_execution_is_forgotten_is_not_lost(
    executions: MemoryExecutions, store: MemoryStore, left: str
) -> None:
    store.put("inbox/a.json", b"[]", "application/json")
    store.put(left.format(store.versions("inbox/")[0].version), b"{}", "application/json")
    assert look(None, executions, store) == []


def test_a_file_that_is_on_its_way_or_older_than_the_queue_keeps_events_is_not_lost(
    executions: MemoryExecutions, store: MemoryStore
) -> None:
    store.put("inbox/a.json", b"[]", "application/json")
    dropped = store.versions("inbox/")[0].modified
    assert look(None, executions, store, dropped + timedelta(seconds=30)) == []
    assert len(look(None, executions, store, dropped + timedelta(seconds=90))) == 1
    assert look(None, executions, store, dropped + timedelta(days=15)) == []


def test_an_event_that_is_too_large_for_an_execution_is_a_run_that_reads_it_in_the_bucket(
    executions: MemoryExecutions, store: MemoryStore
) -> None:
    batch = {"prompts": ["\N{GRINNING FACE}" * 200] * 120, "models": ["gpt-image-1"]}
    event = {**REQUESTED, "detail": batch}
    assert len(json.dumps(event)) > INPUT_BYTES
    for _ in range(2):
        # Delivered twice, it is one run.
        assert start_for_event(event, SCHEDULED, executions, store) == ("event-e1", True)
    store.elsewhere["memory", "runs/event-e1/event.json"] = store.objects["runs/event-e1/event.json"]
    run = open_run("generateBatch", "event-e1", executions.all["event-e1"].request, store, 200)
    assert [row["title"] for row in run["rows"]] == batch["prompts"]


def test_versions_are_those_of_objects_that_are_there(sqs: Any) -> None:
    from thumbnails.aws.s3 import Store

    client = boto3.client("s3")
    client.create_bucket(Bucket="images")
    client.put_bucket_versioning(Bucket="images", VersioningConfiguration={"Status": "Enabled"})
    store = Store(client, client, "images", 60)
    kept = [store.put_version("inbox/kept.json", body) for body in (b"1", b"2")]
    store.put_version("inbox/deleted.json", b"3")
    store.delete("inbox/deleted.json")
    store.put_version("elsewhere", b"4")
    assert sorted(one.version for one in store.versions("inbox/")) == sorted(kept)


def test_who_lists_runs_is_told_of_the_newest_files_alone(executions: MemoryExecutions, store: MemoryStore) -> None:
    for number in range(5):
        store.put_version(f"inbox/{number}.json", str(number).encode())
    store.listings.clear()
    found = find_lost(None, executions, store, SCHEDULED, LATER, 2)
    assert [one.what for one in found] == ["inbox/3.json", "inbox/4.json"]
    assert len(store.listings) == 1
