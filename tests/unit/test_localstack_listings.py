"""Listings of the embedded stack: what they answer is LocalStack's own answer, at a cost that doesn't grow."""

import base64
import io
import itertools
import json
import os
import signal
import traceback
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest

from tests.embedded_s3 import Call, embedded_s3

#: In every order of theirs: below, at and above a slash, parts of each other, in scripts beyond ASCII.
KEYS = [
    *("a", "a/", "a/b", "a/b/c", "a/b/d", "a-b", "a b", "a0", "ab", "b/=x", "b/x y", "b/x%20y", "b/(1)", "b/é"),
    *("runs/1/0.jpg", "runs/1/1.jpg", "runs/10/0.jpg", "runs/2/0.jpg", "runs/ü/0.jpg", "runs/𝔘/0.jpg", "runs/語/0.jpg"),
    *(f"many/{number:03d}" for number in range(40)),
    *("z", "zz/last"),
]
PREFIXES = ["", "a", "b/", "runs/", "runs/1", "many/02", "none/", "z"]


@pytest.fixture(scope="module", autouse=True)
def localstack() -> None:
    """Imported once, for all forks."""
    with warnings.catch_warnings(action="ignore"):
        from localstack.aws.spec import load_service

        import thumbs.localstack.listings
        import thumbs.localstack.speedups  # noqa: F401

        load_service("s3")


def in_a_process(folder: Path, patch: Callable[[], None] | None, work: Callable[[Call], Any]) -> Any:
    """What ``work`` gives with the S3 of a process of its own, whose listings are patched or as LocalStack has them."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            told = {"gives": work(embedded_s3(folder, patch))}
        except BaseException:
            told = {"fails": traceback.format_exc()}
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(json.dumps(told, default=str).encode())
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = json.loads(pipe.read())
    os.waitpid(child, 0)
    assert "fails" not in told, told["fails"]
    return told["gives"]


def keys_in_order() -> None:
    """What is tested."""
    from thumbs.localstack import listings

    listings.keep_keys_in_order()


def fill(call: Call, bucket: str, versioned: bool) -> None:
    """Keys in no order, listed in between; some replaced, some deleted, some deleted and put again."""
    call("CreateBucket", Bucket=bucket)
    keys = sorted(KEYS, key=lambda key: sha256(key.encode()).digest())

    def put(key: str) -> Any:
        return call("PutObject", Bucket=bucket, Key=key, Body=io.BytesIO(key.encode()))

    for key in keys[:20]:
        put(key)
    call("ListObjectsV2", Bucket=bucket)
    if versioned:
        # What is there has no version of its own.
        call("PutBucketVersioning", Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in keys[20:]:
        put(key)
    for key in ("many/003", "many/039", "runs/1/0.jpg", "runs/2/0.jpg", "zz/last", "a/b"):
        call("DeleteObject", Bucket=bucket, Key=key)
    call("ListObjectsV2", Bucket=bucket)
    for key in ("many/003", "many/004", "a/b", "not/deleted"):
        put(key)
    if versioned:
        call("DeleteObject", Bucket=bucket, Key="many/005", VersionId=put("many/005")["VersionId"])
    call("DeleteObjects", Bucket=bucket, Delete={"Objects": [{"Key": "not/deleted"}, {"Key": "never/there"}]})


def without_moments(answer: Any) -> Any:
    """An answer without what differs between two buckets: moments and the ids of versions."""
    if isinstance(answer, dict):
        return {
            name: without_moments(value)
            for name, value in answer.items()
            if name not in ("LastModified", "VersionId", "NextVersionIdMarker")
        }
    return [without_moments(one) for one in answer] if isinstance(answer, list) else answer


def answers(call: Call) -> Any:
    """Every listing over every way to ask for it, on two buckets; tokens are followed to the end."""
    found = []
    for bucket, versioned in (("plain", False), ("versioned", True)):
        fill(call, bucket, versioned)
        for prefix, delimiter, most in itertools.product(PREFIXES, ("", "/", "/0"), (None, 1, 3)):
            given: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": most, "Delimiter": delimiter}
            for after in (None, "", "a/b", "runs/1/0.jpg", "many/020", "zzz", "é"):
                found.append(call("ListObjectsV2", **given, StartAfter=after))
                if versioned:
                    found.append(call("ListObjects", **given, Marker=after))
                    found.append(call("ListObjectVersions", **given, KeyMarker=after))
            token, pages = None, 0
            while (pages := pages + 1) < 100:
                answer = call("ListObjectsV2", **given, ContinuationToken=token, StartAfter="a", FetchOwner=True)
                found.append(answer)
                if not (token := answer.get("NextContinuationToken")):
                    break
    return without_moments(found)


def test_what_a_listing_answers_is_what_localstack_answers(tmp_path: Path) -> None:
    own = in_a_process(tmp_path / "own", None, answers)
    ours = in_a_process(tmp_path / "ours", keys_in_order, answers)
    assert len(own) > 2000
    for one, other in zip(own, ours, strict=True):
        assert one == other


def test_in_url_encoding_pages_have_every_key_once(tmp_path: Path) -> None:
    """LocalStack compares keys in their encoding there, and loses some."""

    def turned(call: Call) -> Any:
        fill(call, "plain", False)
        asked: dict[str, Any] = {"Bucket": "plain", "EncodingType": "url", "MaxKeys": 3}
        by_token: list[str] = []
        answer = call("ListObjectsV2", **asked)
        by_token += [one["Key"] for one in answer["Contents"]]
        while token := answer.get("NextContinuationToken"):
            answer = call("ListObjectsV2", **asked, ContinuationToken=token)
            assert answer["ContinuationToken"] == token
            by_token += [one["Key"] for one in answer["Contents"]]
        every = [one["Key"] for one in call("ListObjectsV2", Bucket="plain")["Contents"]]
        by_key: list[str] = []
        for key in ["", *every]:
            answer = call("ListObjectsV2", **{**asked, "MaxKeys": 1}, StartAfter=key)
            by_key += [one["Key"] for one in answer.get("Contents", [])]
        return every, by_token, by_key

    every, by_token, by_key = in_a_process(tmp_path, keys_in_order, turned)
    assert every == sorted(every)
    assert by_token == by_key == [quote(key) for key in every]


def test_a_token_of_no_page_is_refused_as_localstack_refuses_it(tmp_path: Path) -> None:
    def ask(call: Call) -> Any:
        fill(call, "plain", False)
        for token in ("", "no base64!", base64.urlsafe_b64encode(b"\xff").decode()):
            try:
                yield str(call("ListObjectsV2", Bucket="plain", ContinuationToken=token))
            except Exception as error:
                yield repr(error)

    own = in_a_process(tmp_path / "own", None, lambda call: [*ask(call)])
    ours = in_a_process(tmp_path / "ours", keys_in_order, lambda call: [*ask(call)])
    assert own == ours
    assert all("Error" in one or "Invalid" in one for one in ours)


def test_a_listing_looks_at_no_more_objects_than_it_may_answer(tmp_path: Path) -> None:
    def looked_at(call: Call) -> Any:
        from localstack.services.s3 import models

        fill(call, "versioned", True)
        looks: list[str] = []
        get = models.VersionedKeyStore.get

        def counted(self: Any, key: str, *more: Any) -> Any:
            looks.append(key)
            return get(self, key, *more)

        models.VersionedKeyStore.get = counted
        counts = []
        for asked in (
            {"Prefix": "many/", "MaxKeys": 5},
            {"Prefix": "many/", "MaxKeys": 5, "StartAfter": "many/030"},
            {"Prefix": "runs/1/"},
            {"Delimiter": "/", "MaxKeys": 50},
        ):
            looks.clear()
            call("ListObjectsV2", Bucket="versioned", **asked)
            counts.append(len(set(looks)))
        return counts

    # One more than the answer has, and with a delimiter one of each folder, beside what was deleted.
    assert in_a_process(tmp_path, keys_in_order, looked_at) == [6, 6, 2, 14]


def executions_listed(_: Call) -> Any:
    """Every page of a state machine's executions, by the sizes of pages, and how many of them were described."""
    from localstack.aws.api import RequestContext
    from localstack.http import Request
    from localstack.services.stepfunctions import provider
    from localstack.services.stepfunctions.backend.execution import Execution

    step_functions = provider.StepFunctionsProvider()
    context = RequestContext(Request())
    context.region, context.account_id = "us-east-1", "000000000000"
    store = step_functions.get_store(context)
    machines = [f"arn:aws:states:us-east-1:000000000000:stateMachine:{name}" for name in "ab"]
    for arn in machines:
        store.state_machines[arn] = SimpleNamespace(arn=arn, sm_type="STANDARD")
    for number in range(400):
        arn = machines[number % 2]
        execution = object.__new__(Execution)
        # Each third begins at the moment of the one before it, some a little earlier than the one before.
        began = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number - number % 3 - 5 * (number % 7 == 0))
        vars(execution).update(
            state_machine=store.state_machines[arn],
            state_machine_arn=arn,
            state_machine_version_arn=None,
            state_machine_alias_arn=None,
            exec_arn=f"{arn.replace('stateMachine', 'execution')}:{number}",
            name=str(number),
            exec_status="RUNNING" if number % 5 == 0 else "SUCCEEDED",
            start_date=began,
            stop_date=None,
        )
        store.executions[execution.exec_arn] = execution
    described: list[Any] = []
    item = Execution.to_execution_list_item

    def describe(self: Any) -> Any:
        described.append(self)
        return item(self)

    Execution.to_execution_list_item = describe
    found = []
    for status, most in itertools.product((None, "RUNNING", "FAILED"), (None, 1, 7, 1000)):
        token = None
        while True:
            asked = {"state_machine_arn": machines[0], "status_filter": status, "max_results": most}
            described.clear()
            answer = step_functions.list_executions(context, **asked, next_token=token)
            found.append(([one["name"] for one in answer["executions"]], answer["nextToken"], len(described)))
            if not (token := answer["nextToken"]):
                break
    stale = step_functions.list_executions(context, state_machine_arn=machines[0], next_token="bm9uZQ==")
    return [*found, [[one["name"] for one in stale["executions"]], stale["nextToken"], 0]]


def test_what_a_page_of_executions_answers_is_what_localstack_answers(tmp_path: Path) -> None:
    from thumbs.localstack import listings

    own = in_a_process(tmp_path / "own", None, executions_listed)
    ours = in_a_process(tmp_path / "ours", listings.describe_listed_executions_alone, executions_listed)
    assert [page[:2] for page in own] == [page[:2] for page in ours]
    assert len(own) > 200
    # Of the 200 that there are: pages of one and of seven.
    assert {page[2] for page in own if len(page[0]) == 7} == {200, 40}
    assert max(page[2] for page in ours if len(page[0]) == 7) == 7 + listings.BESIDE
