from typing import Any

import pytest
from botocore.exceptions import ClientError

from thumbnails.aws.step_functions import Executions
from thumbnails.errors import InvalidBatch
from thumbnails.keys import S3Object
from thumbnails.requests.events import run_for

SCHEDULED = S3Object("images", "scheduled/batch.json", None)
FILE = {"bucket": {"name": "b"}, "object": {"key": "inbox/a.json", "version-id": "v.1_x", "sequencer": "0A"}}
DROPPED: dict[str, Any] = {"id": "e1", "source": "aws.s3", "detail-type": "Object Created", "detail": FILE}
REQUESTED: dict[str, Any] = {"id": "e1", "source": "blog", "detail-type": "BatchRequested", "detail": {"prompts": []}}


def test_one_version_of_a_file_is_one_run_whatever_the_delivery() -> None:
    first, second = (run_for({**DROPPED, "id": delivery}, SCHEDULED) for delivery in ("e1", "e2"))
    assert first[0] == second[0] == "inbox-v.1_x"
    assert first[1]["detail"] == FILE


def test_a_bucket_without_versions_has_sequencers() -> None:
    detail = {"bucket": {"name": "b"}, "object": {"key": "inbox/a.json", "sequencer": "0A"}}
    assert run_for({**DROPPED, "detail": detail}, SCHEDULED)[0] == "inbox-0A"


def test_a_request_on_the_bus_is_one_run_by_its_id() -> None:
    assert run_for(REQUESTED, SCHEDULED) == ("event-e1", REQUESTED)


def test_the_schedule_runs_the_file_of_the_bucket() -> None:
    event = {"id": "tick-1", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}
    name, request = run_for(event, SCHEDULED)
    assert name == "schedule-tick-1"
    assert request["detail"] == {"bucket": {"name": "images"}, "object": {"key": "scheduled/batch.json"}}
    assert request["source"] == "aws.s3"


@pytest.mark.parametrize("identity", ["a" * 200, "a/b c:d"])
def test_a_name_is_one_that_step_functions_takes(identity: str) -> None:
    name, _ = run_for({**REQUESTED, "id": identity}, SCHEDULED)
    assert len(name) <= 80
    assert not set(name) & set("/ :")


@pytest.mark.parametrize("detail", [{}, {"object": "inbox/a.json"}, {"object": {"version-id": 7}}, [], None])
def test_a_file_event_without_a_file_starts_a_run_that_says_so(detail: object) -> None:
    event = {**DROPPED, "detail": detail}
    assert run_for(event, SCHEDULED) == ("event-e1", event)


@pytest.mark.parametrize("code", ["InvalidExecutionInput", "ValidationException"])
def test_an_input_that_step_functions_does_not_take_is_refused(code: str) -> None:
    class Steps:
        def start_execution(self, **_: object) -> None:
            raise ClientError({"Error": {"Code": code, "Message": "too\nlong"}}, "StartExecution")

    client: Any = Steps()
    with pytest.raises(InvalidBatch, match=r"^event-1 cannot be started: '.*too.*long'$"):
        Executions(client, {"generateBatch": "arn"}).start("generateBatch", "event-1", {})


def test_an_input_that_is_too_large_for_step_functions_is_not_sent() -> None:
    client: Any = None
    with pytest.raises(InvalidBatch, match=r"^the request has 300002 bytes; an execution takes at most 262144$"):
        Executions(client, {"generateBatch": "arn"}).start("generateBatch", "event-1", "a" * 300_000)
