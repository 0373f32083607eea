"""Runs that an event starts, and the events that a run sends out."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest

from tests.integration.application import BUCKET, DALLE, GEMINI, GPT, RUN_SECONDS, Application, wait_for
from thumbs.stack.deploy import CREDENTIALS, REGION, STACK_NAME

EVENT_SECONDS = RUN_SECONDS
REQUEST = {"prompts": ["Dropped by a writer", "Read by a machine"], "models": [GPT, DALLE]}
LARGEST = {"prompts": [f"Title number {row} of twenty-five" for row in range(25)], "models": [GPT, GEMINI]}


def client(app: Application, service: str) -> Any:
    """An AWS client of a service that only these tests use."""
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=app.stack.endpoint,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )


def run_named(app: Application, name: str) -> str:
    """The ARN of a run that an event is about to start."""
    machine = next(
        found["stateMachineArn"]
        for found in app.states.list_state_machines()["stateMachines"]
        if found["name"] == f"{STACK_NAME}-generateBatch"
    )

    def started() -> str | None:
        executions = app.listing.list_executions(stateMachineArn=machine)["executions"]
        return next((found["executionArn"] for found in executions if found["name"] == name), None)

    return wait_for(f"run {name}", started, EVENT_SECONDS)


def drop(app: Application, name: str, body: bytes) -> str:
    """Put a file into the inbox; the name of its run."""
    return "inbox-" + app.s3.put_object(Bucket=BUCKET, Key=f"inbox/{name}", Body=body)["VersionId"]


def ask(app: Application, request: object) -> str:
    """Put a request on the bus; the event's id."""
    events = client(app, "events")
    entry = {"Source": STACK_NAME, "DetailType": "BatchRequested", "Detail": json.dumps(request, ensure_ascii=False)}
    sent: str = events.put_events(Entries=[entry])["Entries"][0]["EventId"]
    events.close()
    return sent


@contextmanager
def heard(app: Application) -> Iterator[Any]:
    """A queue that hears what runs tell the bus; calling it gives the event of one run."""
    events, queues, name = client(app, "events"), client(app, "sqs"), f"heard-{uuid.uuid4().hex[:8]}"
    url = queues.create_queue(QueueName=name)["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [STACK_NAME]}))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])

    def event_of(execution: str) -> Any:
        def received() -> Any:
            answer = queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            found = [json.loads(message["Body"]) for message in answer.get("Messages", ())]
            return next((event for event in found if event["detail"]["execution"] == execution), None)

        return wait_for(f"the event of {execution}", received, EVENT_SECONDS)

    try:
        yield event_of
    finally:
        events.remove_targets(Rule=name, Ids=["queue"])
        events.delete_rule(Name=name)
        queues.delete_queue(QueueUrl=url)
        events.close()
        queues.close()


@pytest.mark.smoke
def test_a_dropped_file_starts_a_run_and_the_bus_hears_its_end(app: Application) -> None:
    with heard(app) as event_of:
        name = drop(app, "batch.json", json.dumps(REQUEST).encode())
        done = app.wait(run_named(app, name))
        event = event_of(name)
    assert done.status == "SUCCEEDED"
    assert all(url for row in done.output["results"] for url in row)
    assert event["detail-type"] == "BatchCompleted"
    assert event["detail"] == {
        "run_id": name,
        "execution": name,
        "images": {"total": 4, "succeeded": 4, "failed": 0, "paid_calls": 4},
        "manifest_key": f"runs/{name}/manifest.json",
    }


def test_a_positional_file_is_as_good(app: Application) -> None:
    done = app.wait(run_named(app, drop(app, "batch.json", json.dumps([["Dropped by a writer"], [GPT]]).encode())))
    assert done.output["prompts"] == ["Dropped by a writer"]


@pytest.mark.parametrize("name", ["my batch.json", "Entwürfe/日本語 100%.json", "a+b%20c.json"])
def test_a_file_of_any_name_is_read(app: Application, name: str) -> None:
    done = app.wait(run_named(app, drop(app, name, json.dumps([["Dropped by a writer"], [GPT]]).encode())))
    assert (done.status, done.cause) == ("SUCCEEDED", "")


def test_a_refused_file_is_a_failed_run_and_a_copy_with_the_reason(app: Application) -> None:
    with heard(app) as event_of:
        name = drop(app, "half.json", b'{"prompts": [')
        done = app.wait(run_named(app, name))
        event = event_of(name)
    assert (done.status, done.error) == ("FAILED", "InvalidBatch")
    assert f"s3://{BUCKET}/inbox/half.json is not JSON" in done.cause
    assert (event["detail-type"], event["detail"]["cause"]) == ("BatchFailed", done.cause)
    copy, reason = (
        app.s3.get_object(Bucket=BUCKET, Key=f"rejected/{name}/{file}")["Body"].read()
        for file in ("half.json", "reason.txt")
    )
    assert copy == b'{"prompts": ['
    assert reason.decode() == done.cause + "\n"
    assert app.image_api.calls()["requests"] == 0


def test_the_bus_hears_of_a_run_without_an_image(app: Application) -> None:
    app.image_api.add_fault("refusal")
    with heard(app) as event_of:
        done = app.run("generateBatch", REQUEST)
        event = event_of(done.name)
    assert (done.status, done.error) == ("FAILED", "AllImagesFailed")
    assert event["detail-type"] == "BatchFailed"
    assert event["detail"]["cause"] == done.cause
    assert event["detail"]["images"] == {"total": 4, "succeeded": 0, "failed": 4}
    assert event["detail"]["manifest_key"] == f"runs/{done.name}/manifest.json"


def test_one_version_of_a_file_starts_one_run_however_often_it_is_delivered(app: Application) -> None:
    name = drop(app, "again.json", json.dumps({"prompts": ["Delivered thrice"], "models": [GPT]}).encode())
    app.wait(run_named(app, name))
    version = name.removeprefix("inbox-")
    item = {"key": "inbox/again.json", "version-id": version}
    for delivery in ("one", "two", "three"):
        event: dict[str, Any] = {
            "version": "0",
            "id": delivery,
            "source": "aws.s3",
            "account": "000000000000",
            "time": "2026-01-01T00:00:00Z",
            "region": REGION,
            "resources": [],
            "detail-type": "Object Created",
            "detail": {"bucket": {"name": BUCKET}, "object": item},
        }
        assert app.invoke("startBatch", event).payload == {"run_id": name, "started": False}
    assert app.requests_by_title() == {"Delivered thrice": (1, 1)}


@pytest.mark.smoke
def test_a_request_on_the_bus_starts_a_run(app: Application) -> None:
    done = app.wait(run_named(app, f"event-{ask(app, {'prompts': ['Asked for on the bus'], 'models': [GEMINI]})}"))
    assert done.output["prompts"] == ["Asked for on the bus"]


def test_the_largest_batch_goes_through_the_inbox(app: Application) -> None:
    done = app.wait(run_named(app, drop(app, "largest.json", json.dumps(LARGEST).encode())))
    assert (done.status, done.output["images"]["succeeded"]) == ("SUCCEEDED", 50)


def test_the_largest_batch_goes_over_the_bus(app: Application) -> None:
    done = app.wait(run_named(app, f"event-{ask(app, LARGEST)}"))
    assert (done.status, done.output["images"]["succeeded"]) == ("SUCCEEDED", 50)


def test_the_schedule_is_there_and_off_and_runs_the_file_of_the_bucket(app: Application) -> None:
    events = client(app, "events")
    rules = [rule for rule in events.list_rules()["Rules"] if rule.get("ScheduleExpression")]
    events.close()
    assert [(rule["ScheduleExpression"], rule["State"]) for rule in rules] == [("rate(7 days)", "DISABLED")]
    app.s3.put_object(Bucket=BUCKET, Key="scheduled/batch.json", Body=json.dumps([["Every week"], [GPT]]).encode())
    tick = {
        "version": "0",
        "id": f"tick-{uuid.uuid4().hex[:8]}",
        "source": "aws.events",
        "account": "000000000000",
        "time": "2026-01-01T00:00:00Z",
        "region": REGION,
        "resources": [],
        "detail-type": "Scheduled Event",
        "detail": {},
    }
    started = app.invoke("startBatch", tick).payload
    assert started == {"run_id": f"schedule-{tick['id']}", "started": True}
    assert app.wait(run_named(app, started["run_id"])).output["prompts"] == ["Every week"]
