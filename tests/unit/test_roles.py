"""Each function's role against the calls that the function makes: every one is recorded, and the role has to allow it.

The handlers run as they are, over moto's S3, Step Functions and Secrets Manager; what they ask, and what URLs they
sign, is recorded where botocore builds it and held against the template's statements, as IAM would decide.
"""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import boto3
import pytest
from aws_lambda_powertools.utilities.parameters import clear_caches
from moto import mock_aws
from moto.iam.access_control import IAMPolicyStatement, PermissionResult
from PIL import Image

import api.app
import batch_campaign.app
import collect_batch.app
import collect_campaign.app
import generate_thumbnail.app
import start_batch.app
import validate_batch.app
import validate_campaign.app
from entry import clients
from entry.settings import settings
from tests.unit.test_access import listed, plain, statements
from thumbnails.brands import kits
from thumbnails.catalog.prices import BATCH_SHARE, Usage
from thumbnails.errors import DailyBudgetExceeded, PictureRefused, ThumbnailError
from thumbnails.images.digests import picture_of
from thumbnails.images.providers.answers import Answer
from thumbnails.images.providers.batches import Asked, Look, Result
from thumbnails.keys import image_key, original_key
from thumbnails.requests.events import run_for_file
from thumbnails.requests.models import Batch

ACCOUNT, REGION, BUCKET = "123456789012", "us-east-1", "images"
STATES = f"arn:aws:states:{REGION}:{ACCOUNT}"
MACHINES = ("generateBatch", "generateThumbnails", "generateCampaign")
GPT = "gpt-image-2.5-flare"
REQUEST = {"prompts": ["First title", "Second title"], "models": [GPT]}
BRAND = {"colours": {"text": "#ffffff", "background": "#000000", "accent": "#ff0000"}}
CONTEXT = SimpleNamespace(
    function_name="f",
    memory_limit_in_mb=1,
    invoked_function_arn="a:b",
    aws_request_id="alone-1",
    get_remaining_time_in_millis=lambda: 900_000,
)

#: The calls that a function may make are named as botocore names them, the permissions as IAM does.
ACTIONS = {
    "HeadObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "CopyObject": "s3:PutObject",
}
#: What the template's references stand for.
NAMES = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::StackName": "stack",
    "ImageBucket.Arn": f"arn:aws:s3:::{BUCKET}",
    **{f"{name[0].upper()}{name[1:]}StateMachine": f"{STATES}:stateMachine:stack-{name}" for name in MACHINES},
    **{f"{name[0].upper()}{name[1:]}StateMachine.Name": f"stack-{name}" for name in MACHINES},
}

#: (action, ARN), one by one.
Needs = set[tuple[str, str]]


class Account:
    """An account in memory with the stack's bucket, state machines and secret, and what is asked of it."""

    def __init__(self) -> None:
        self.needs: Needs = set()
        self.s3 = boto3.client("s3")
        self.s3.create_bucket(Bucket=BUCKET)
        self.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        secret = json.dumps({"OPENAI_API_KEY": "sk-secret"})
        self.secret: str = boto3.client("secretsmanager").create_secret(Name="keys", SecretString=secret)["ARN"]
        role = f"arn:aws:iam::{ACCOUNT}:role/any"
        definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
        for name in MACHINES:
            boto3.client("stepfunctions").create_state_machine(
                name=f"stack-{name}", definition=definition, roleArn=role
            )

    def record(self, params: dict[str, Any], model: Any, **_: object) -> None:
        """Note what IAM would be asked for a call."""
        service, call = model.service_model.endpoint_prefix, model.name
        if service == "s3":
            self.needs |= of_s3(call, params)
            if call in ("GetObject", "HeadObject") and not self.holds(params["Key"]):
                # Or S3 says of an object that is not there that it is forbidden.
                self.needs.add(("s3:ListBucket", f"arn:aws:s3:::{BUCKET}"))
        elif service == "states":
            arn = next(params[key] for key in ("stateMachineArn", "executionArn", "mapRunArn") if key in params)
            self.needs.add((f"states:{call}", arn))
        elif service == "events":
            buses = {f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{one['EventBusName']}" for one in params["Entries"]}
            self.needs |= {(f"events:{call}", bus) for bus in buses}
        else:
            assert service == "secretsmanager"
            self.needs.add((f"secretsmanager:{call}", params["SecretId"]))

    def holds(self, key: str) -> bool:
        """Whether an object is there."""
        return any(one["Key"] == key for one in self.s3.list_objects_v2(Bucket=BUCKET, Prefix=key).get("Contents", ()))

    def put(self, key: str, value: object) -> str:
        """Put an object as a person does; the version's id."""
        body = value if isinstance(value, str) else json.dumps(value)
        return self.s3.put_object(Bucket=BUCKET, Key=key, Body=body.encode())["VersionId"]


def of_s3(call: str, params: dict[str, Any]) -> Needs:
    bucket = f"arn:aws:s3:::{params['Bucket']}"
    action = ACTIONS.get(call, f"s3:{call}")
    if call == "GetObject" and params.get("VersionId"):
        action = "s3:GetObjectVersion"
    needs = {(action, bucket if action == "s3:ListBucket" else f"{bucket}/{params['Key']}")}
    if call == "CopyObject":
        source, _, version = unquote(params["CopySource"]).partition("?versionId=")
        needs.add(("s3:GetObjectVersion" if version else "s3:GetObject", f"arn:aws:s3:::{source}"))
        assert params["TaggingDirective"] == "REPLACE"  # Else the tags' own permissions are needed.
    return needs


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    with mock_aws():
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        found = Account()
        boto3.setup_default_session()
        assert boto3.DEFAULT_SESSION
        boto3.DEFAULT_SESSION.events.register("before-parameter-build", found.record)
        for name, value in {
            "BUCKET": BUCKET,
            "URL_SECONDS": "60",
            "BATCH_CAP": "50",
            "IMAGE_CONCURRENCY": "10",
            "DAILY_BUDGET_USD": "20",
            "SCHEDULED_KEY": "scheduled/batch.json",
            "PROVIDER_TIMEOUT_SECONDS": "5",
            "PROVIDER_KEYS_SECRET": found.secret,
            "MODERATION": "on",
            **{f"{machine}_ARN": arn for machine, arn in machine_arns().items()},
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        forget()
        yield found
    forget()
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


def machine_arns() -> dict[str, str]:
    names = ("GENERATE_BATCH", "GENERATE_THUMBNAILS", "GENERATE_CAMPAIGN")
    return {name: f"{STATES}:stateMachine:stack-{machine}" for name, machine in zip(names, MACHINES, strict=True)}


def forget() -> None:
    """Settings, clients and secrets are kept for a process's life."""
    kits._read.clear()
    for kept in (settings, clients.store, clients.budget, clients.executions, clients.batches, clients.bus):
        kept.cache_clear()
    clear_caches()  # type: ignore[no-untyped-call]


def refused(role: str, account: Account) -> Needs:
    """What the role does not allow of what was asked."""
    names = {**NAMES, "ProviderKeysSecretArn": account.secret}

    def filled(value: Any) -> str:
        text = str(plain(value))
        for name, meant in names.items():
            text = text.replace(f"${{{name}}}", meant)
        return text

    allowed = [
        IAMPolicyStatement({**one, "Resource": [filled(resource) for resource in listed(one["Resource"])]})
        for one in statements(role)
    ]
    assert account.needs
    return {
        (action, arn)
        for action, arn in account.needs
        if not any(one.is_action_permitted(action, arn) == PermissionResult.PERMITTED for one in allowed)
    }


def call(handler: Callable[[Any, Any], Any], event: object) -> Any:
    """What a handler answers, or the error that it is there to raise."""
    try:
        return handler(event, CONTEXT)
    except ThumbnailError as error:
        return error


def file_event(key: str, version: str | None) -> dict[str, Any]:
    found = {"key": key, "version-id": version} if version else {"key": key}
    return {
        "detail-type": "Object Created",
        "source": "aws.s3",
        "detail": {"bucket": {"name": BUCKET}, "object": found},
    }


def checked(execution: str, request: object, task: str = "generateBatch") -> Any:
    return call(validate_batch.app.handler, {"task": task, "execution": execution, "request": request})


def test_validate_batch_may_do_what_it_does(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checked("run-1", REQUEST)["run_id"] == "run-1"
    assert checked("run-2", {"resume": "run-1"})["run_id"] == "run-1"
    assert checked("run-3", {"resume": "camp-0", "title": "A title", "models": [GPT]}, "generateThumbnails")
    good, bad = account.put("inbox/good.json", REQUEST), account.put("inbox/bad.json", {"prompts": []})
    assert checked(run_for_file(good), file_event("inbox/good.json", good))["run_id"]
    assert "at least one title" in str(checked(run_for_file(bad), file_event("inbox/bad.json", bad)))
    assert account.s3.list_objects_v2(Bucket=BUCKET, Prefix="rejected/")["KeyCount"] == 2
    assert "there is no" in str(checked("schedule-1", file_event("scheduled/batch.json", None)))
    assert checked("run-4", {**REQUEST, "redraw": "run-1", "template": "left-panel"})["run_id"] == "run-4"
    account.put("runs/run-5/event.json", REQUEST)
    assert checked("run-5", file_event("runs/run-5/event.json", None))["run_id"] == "run-5"
    account.put("campaigns/camp/budget/camp.json", {"date": "2026-01-01", "usd": 1})
    assert checked("camp-1", {"title": "A title", "models": [GPT]}, "generateThumbnails")["run_id"] == "camp-1"
    account.put("brands/acme.json", BRAND)
    assert checked("run-6", {**REQUEST, "brand": "acme"})["brand"] == "acme"
    assert "there is no brand kit 'none'; choose from: acme" in str(checked("run-7", {**REQUEST, "brand": "none"}))
    monkeypatch.setenv("DAILY_BUDGET_USD", "0.000001")
    forget()
    assert isinstance(checked("dear", REQUEST), DailyBudgetExceeded)
    assert refused("ValidateBatchRole", account) == set()


def picture() -> bytes:
    body = io.BytesIO()
    Image.new("RGB", (1536, 1024)).save(body, "JPEG")
    return body.getvalue()


def test_generate_thumbnail_may_do_what_it_does(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn(_model: object, _prompt: str, key_for: Callable[[str], str], *given: Any) -> Answer:
        renewed_key_for = given[-1]
        assert key_for("OPENAI_API_KEY") == renewed_key_for("OPENAI_API_KEY") == "sk-secret"
        return Answer((picture(),), Usage(text_in=200, image_out=600))

    monkeypatch.setattr(generate_thumbnail.app, "generate_picture", drawn)
    monkeypatch.setattr(generate_thumbnail.app.metrics.provider, "namespace", "any")  # type: ignore[attr-defined]
    cell = {"title": "First title", "model": GPT, "run_id": "run-1", "execution": "run-1"}
    assert call(generate_thumbnail.app.handler, cell)["paid_calls"] == 1
    assert call(generate_thumbnail.app.handler, cell)["paid_calls"] == 1
    reused = {**cell, "run_id": "run-2", "execution": "run-2", "reuse": True}
    assert call(generate_thumbnail.app.handler, reused)["paid_calls"] == 0
    assert call(generate_thumbnail.app.handler, {"title": "On its own", "model": GPT})["run_id"] == "alone-1"
    checked_by_another = account.needs.copy()
    checked("run-1", REQUEST)
    account.needs = checked_by_another
    redrawn = {**cell, "run_id": "run-3", "execution": "run-3", "redraw": "run-1"}
    assert call(generate_thumbnail.app.handler, redrawn)["paid_calls"] == 0
    assert call(generate_thumbnail.app.handler, {**cell, "variants": 2, "row": 1})["paid_calls"] >= 1
    account.put("brands/acme.json", BRAND)
    assert call(generate_thumbnail.app.handler, {**cell, "brand": "acme", "row": 2})["paid_calls"] == 1
    assert "choose from: acme" in str(call(generate_thumbnail.app.handler, {**cell, "brand": "none", "row": 3}))
    assert refused("GenerateThumbnailRole", account) == set()


def test_collect_batch_may_do_what_it_does(account: Account) -> None:
    checked("run-1", REQUEST)
    account.needs.clear()
    cells = [
        {
            "row": 0,
            "column": 0,
            "key": f"runs/run-1/0-first-title/{GPT}.jpg",
            "image_url": "https://a",
            "paid_calls": 1,
        },
        {"row": 1, "column": 0, "failure": {"Error": "PictureRefused", "Cause": "{}"}},
    ]
    event = {"task": "generateBatch", "run_id": "run-1", "execution": "run-1", "cells": cells}
    assert call(collect_batch.app.handler, event)["images"]["succeeded"] == 1
    assert refused("CollectBatchRole", account) == set()


def test_start_batch_may_do_what_it_does(account: Account) -> None:
    rest = {
        "id": "e1",
        "account": ACCOUNT,
        "time": "2026-01-01T00:00:00Z",
        "region": REGION,
        "resources": [],
        "version": "0",
    }
    event = {**rest, "source": "stack", "detail-type": "BatchRequested", "detail": REQUEST}
    assert call(start_batch.app.handler, event)["started"] is True
    large = {"prompts": ["First title"], "models": [GPT], "context": "x" * 300_000}
    assert call(start_batch.app.handler, {**event, "id": "e2", "detail": large})["started"] is True
    assert account.s3.list_objects_v2(Bucket=BUCKET, Prefix="runs/")["KeyCount"] == 1
    assert refused("StartBatchRole", account) == set()


def test_validate_and_collect_campaign_may_do_what_they_do(account: Account) -> None:
    account.put("campaigns/posts.csv", "title\nFirst title\nSecond title\n")
    account.put("brands/acme.json", BRAND)
    request = {"file": "campaigns/posts.csv", "models": [GPT], "max_images": 2, "brand": "acme"}
    opened = call(validate_campaign.app.handler, {"execution": "camp", "request": request})
    assert opened["rows"] == 2
    assert "there is no" in str(
        call(validate_campaign.app.handler, {"execution": "c2", "request": {**request, "file": "campaigns/none.json"}})
    )
    assert refused("ValidateCampaignRole", account) == set()
    account.needs.clear()
    event = {"campaign_id": "camp", "execution": "camp", "rows": 2, "failure": {"Error": "States.Any", "Cause": "c"}}
    call(collect_campaign.app.handler, event)
    assert refused("CollectCampaignRole", account) == set()
    account.needs.clear()
    call(validate_campaign.app.handler, {"execution": "again", "request": {"resume": "camp"}})
    assert refused("ValidateCampaignRole", account) == set()


class OneBatch:
    """A provider whose batch has made one picture and refused the other."""

    def submit(self, _name: str, asked: Sequence[Asked]) -> str:
        self.asked = [one.id for one in asked]
        return "batch-1"

    def find(self, _name: str, _since: object) -> None:
        """Nobody has submitted any."""

    def look(self, _batch: str) -> Look:
        return Look(True, "completed", ("file",))

    def results(self, _model: str, _look: Look) -> Iterator[Result]:
        yield self.asked[0], Answer((picture(),), Usage(text_in=200, image_out=600), BATCH_SHARE)
        yield self.asked[1], PictureRefused("no")


def test_batch_campaign_may_do_what_it_does(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.put("campaigns/posts.csv", "title,reuse\nFirst title,true\nSecond title,false\n")
    request = {"file": "campaigns/posts.csv", "models": [GPT], "max_images": 2, "economy": True, "brand": "acme"}
    account.put("brands/acme.json", BRAND)
    opened = call(validate_campaign.app.handler, {"execution": "camp", "request": request})
    account.needs.clear()
    batches = OneBatch()

    def batches_of(_provider: str, key_for: Callable[[str], str], *_: object) -> OneBatch:
        assert key_for("OPENAI_API_KEY") == "sk-secret"
        return batches

    monkeypatch.setattr(batch_campaign.app, "batches_of", batches_of)
    monkeypatch.setattr(batch_campaign.app.metrics.provider, "namespace", "any")  # type: ignore[attr-defined]
    step = {"campaign_id": "camp", "execution": "camp", "items_key": opened["items_key"]}
    assert call(batch_campaign.app.handler, {**step, "step": "submit"}) == {"open": 0, "wait_seconds": 0}
    assert call(batch_campaign.app.handler, {**step, "step": "check"}) == {"open": 0, "wait_seconds": 0}
    assert refused("BatchCampaignRole", account) == set()
    account.needs.clear()
    cells = [
        {
            "title": title,
            "model": GPT,
            "run_id": f"camp-{row}",
            "execution": f"camp-{row}",
            "economy": "fail",
            "brand": "acme",
        }
        for row, title in enumerate(["First title", "Second title"])
    ]
    made, failed = (call(generate_thumbnail.app.handler, cell) for cell in cells)
    assert (made["paid_calls"], made["usd"]) == (1, pytest.approx((200 * 5 + 600 * 30) / 2e6))
    assert isinstance(failed, PictureRefused)
    assert refused("GenerateThumbnailRole", account) == set()


def test_the_api_may_do_what_it_does(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.run_routes.moderate", lambda *_: [])
    for row in range(2):
        account.s3.put_object(Bucket=BUCKET, Key=f"runs/run-1/{row}-first-title/{GPT}.jpg", Body=picture())
    account.put("gallery/8000000000000/run-1", "")
    account.needs.clear()

    def asked(method: str, path: str, body: object = None, **headers: str) -> Any:
        event = {
            "httpMethod": method,
            "path": path,
            "headers": {"host": "api.example", "content-type": "application/json", **headers},
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "queryStringParameters": None,
            "multiValueQueryStringParameters": {},
            "requestContext": {"path": f"/v1{path}", "apiId": "abc", "stage": "v1"},
            "body": json.dumps(body) if body else None,
            "isBase64Encoded": False,
        }
        answer = call(api.app.handler, event)
        is_json = answer["body"] and "json" in str(answer["multiValueHeaders"])
        return json.loads(answer["body"]) if is_json else answer["statusCode"]

    run_id = asked("POST", "/batches", REQUEST, **{"Idempotency-Key": "k"})["run_id"]
    asked("POST", "/thumbnails", {"title": "A title", "models": [GPT]})
    assert len(asked("GET", "/images")["images"]) == 2
    for method, path in [
        ("GET", "/runs"),
        ("GET", "/"),
        ("GET", "/health"),
        ("GET", "/options"),
        ("GET", "/budget"),
        ("GET", f"/runs/{run_id}"),
        ("GET", "/runs/none"),
        ("POST", f"/runs/{run_id}/redrive"),
        ("DELETE", f"/runs/{run_id}"),
        ("GET", "/runs/run-1/archive"),
        ("GET", "/win-rates"),
        ("DELETE", f"/images/runs/run-1/0-first-title/{GPT}.jpg"),
    ]:
        asked(method, path)
    prepared = account.needs.copy()
    checked(run_id, REQUEST)
    digest = picture_of("First title", GPT, Batch.model_validate(REQUEST)).digest
    account.s3.put_object(Bucket=BUCKET, Key=original_key(digest, run_id, 0, 0), Body=picture())
    account.s3.put_object(Bucket=BUCKET, Key=image_key(run_id, 0, "First title", GPT), Body=picture())
    account.needs = prepared
    assert asked("PUT", "/brands/acme", BRAND)["version"]
    assert asked("GET", "/brands/acme") == BRAND
    assert [one["name"] for one in asked("GET", "/brands")["brands"]] == ["acme"]
    assert asked("GET", "/brands/none")["code"] == "not_found"
    assert asked("POST", "/batches", {**REQUEST, "brand": "acme"})["run_id"]
    assert asked("POST", "/batches", {**REQUEST, "brand": "none"})["code"] == "invalid_request"
    assert asked("POST", "/preview", {"title": "Any title"})["image"]
    assert asked("POST", "/preview", {"title": "Any title", "run_id": run_id})["image"]
    assert asked("PUT", f"/runs/{run_id}/winners/0", {"model": GPT})["winners"]
    assert asked("GET", f"/runs/{run_id}/winners")["winners"]
    taken = asked("POST", f"/runs/{run_id}/winners", {"base_url": ""})
    assert "archive_url" in taken, taken
    assert asked("DELETE", f"/runs/{run_id}/winners/0")["winners"] == []
    assert asked("POST", f"/runs/{run_id}/finalise", {"cells": [[0, 0]], "quality": "high"})["run_id"]
    assert {
        "states:StartExecution",
        "states:ListExecutions",
        "states:DescribeExecution",
        "s3:DeleteObject",
        "events:PutEvents",
    } <= {action for action, _ in account.needs}
    assert refused("ApiRole", account) == set()
