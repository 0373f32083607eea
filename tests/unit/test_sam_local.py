"""What `sam local` is told about a stack, without a stack."""

import json
import re
import stat
from pathlib import Path
from typing import Any

import psutil
import pytest
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from api.http import link
from entry.settings import settings
from tests.unit.api_gateway import SETTINGS
from thumbs.command_error import CommandError
from thumbs.stack import sam_local
from thumbs.stack.processes import PROJECT, Stack

EVENTS = {file.stem: json.loads(file.read_text()) for file in (PROJECT / "events").iterdir()}


class Formation:
    def get_paginator(self, _name: str) -> "Formation":
        return self

    def paginate(self, **_names: str) -> list[dict[str, Any]]:
        resources = [("Bucket", "AWS::S3::Bucket", "pictures"), ("ApiFunction", "AWS::Lambda::Function", "api")]
        keys = ("LogicalResourceId", "ResourceType", "PhysicalResourceId")
        return [{"StackResourceSummaries": [dict(zip(keys, resource, strict=True))]} for resource in resources]


class Functions:
    def get_function_configuration(self, FunctionName: str) -> dict[str, Any]:
        assert FunctionName == "api"
        variables = {"OPENAI_BASE_URL": "http://127.0.0.1:4601/v1", "PUBLIC_ENDPOINT_URL": "http://localhost:4600"}
        return {"Environment": {"Variables": {**variables, "AWS_ENDPOINT_URL": ""}}}


class Session:
    def __init__(self, **_credentials: str) -> None:
        pass

    def client(self, service: str, **_options: str) -> object:
        return {"cloudformation": Formation, "lambda": Functions}[service]()


def test_variables_name_the_bridge_in_place_of_loopback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sam_local, "bridge_address", lambda: "172.17.0.1")
    monkeypatch.setattr("boto3.session.Session", Session)
    file = sam_local.write_variables(Stack(tmp_path, 4600, bridge=True))
    assert json.loads(file.read_text()) == {
        "ApiFunction": {
            "OPENAI_BASE_URL": "http://172.17.0.1:4601/v1",
            "PUBLIC_ENDPOINT_URL": "http://localhost:4600",
            "AWS_ENDPOINT_URL": "http://172.17.0.1:4600",
        }
    }
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_without_a_bridge_there_are_no_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "net_if_addrs", dict)
    with pytest.raises(CommandError, match="there is no Docker bridge"):
        sam_local.write_variables(Stack(tmp_path, 4600))
    assert list(tmp_path.iterdir()) == []


def test_variables_go_with_the_localstack_that_they_name(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home", 4600)
    with stack.locked():
        stack.sam_local_variables.write_text("{}")
    stack.stop(lambda _line: None)
    assert not stack.sam_local_variables.exists()


def test_every_function_has_an_event() -> None:
    functions = re.findall(
        r"^ +FunctionName: !Sub \"\$\{AWS::StackName\}-(\w+)\"$", (PROJECT / "template.yaml").read_text(), re.MULTILINE
    )
    assert functions
    assert {stem.partition("-")[0] for stem in EVENTS} == set(functions)


def test_the_api_has_an_event_to_look_and_one_to_ask() -> None:
    asked = {stem: (event["httpMethod"], event["path"]) for stem, event in EVENTS.items() if stem.startswith("api-")}
    assert asked == {"api-health": ("GET", "/health"), "api-batches": ("POST", "/batches")}


def test_a_link_leaves_out_the_pattern_that_sam_local_gives_as_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**SETTINGS, "PUBLIC_ENDPOINT_URL": "http://localhost:4566"}.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    event = EVENTS["api-batches"]
    context = {**event["requestContext"], "path": "/{proxy+}"}
    asked = APIGatewayProxyEvent({**event, "headers": {"Host": "127.0.0.1:3000"}, "requestContext": context})
    try:
        assert link(asked, "/runs/one") == "http://127.0.0.1:3000/runs/one"
    finally:
        settings.cache_clear()
