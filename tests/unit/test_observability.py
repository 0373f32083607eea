"""A title's words, which are in the keys of its images, are in no log line and no trace."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from aws_xray_sdk.ext import boto_utils

import entry.observability
from entry.settings import settings
from generate_thumbnail import app
from tests.unit.memory_store import MemoryStore
from thumbnails.images.cell import Image
from thumbnails.requests.models import Cell

CONTEXT = SimpleNamespace(function_name="f", memory_limit_in_mb=1, invoked_function_arn="a:b", aws_request_id="r")
KEY = "runs/run-1/0-secret-launch/gpt-image-2.5-flare.jpg"


def test_an_image_is_logged_by_its_place_and_not_by_its_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def made(cell: Cell, *_: Any) -> Image:
        return Image(cell, KEY, "https://bucket.example/" + KEY, 1, 0.5, ())

    monkeypatch.setattr(app, "make_or_wait", made)
    monkeypatch.setattr(app, "store", MemoryStore)
    written: list[str] = []
    monkeypatch.setattr(entry.observability.metrics.provider, "namespace", "any")
    output = entry.observability.logger.handlers[0]
    monkeypatch.setattr(output, "emit", lambda record: written.append(output.format(record)))
    for name, value in {"BUCKET": "b", "URL_SECONDS": "60", "PROVIDER_TIMEOUT_SECONDS": "5"}.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    answer = app.handler({"title": "Secret launch", "model": "gpt-image-2.5-flare", "run_id": "run-1"}, CONTEXT)
    assert answer["key"] == KEY
    lines = [json.loads(line) for line in written]
    assert [(line["message"], line["run_id"], line["row"], line["model"]) for line in lines] == [
        ("image stored", "run-1", 0, "gpt-image-2.5-flare")
    ]
    assert "launch" not in "".join(written) + capsys.readouterr().out


@pytest.mark.parametrize("operation", ["PutObject", "GetObject", "CopyObject", "ListObjectsV2", "DeleteObject"])
def test_a_trace_of_a_call_to_s3_names_no_key(operation: str) -> None:
    assert entry.observability.tracer
    told: dict[str, object] = {}
    asked = [operation, {"Bucket": "b", "Key": KEY, "Prefix": KEY}]
    boto_utils._extract_whitelisted_params("s3", operation, told, asked, {}, {})
    assert told == {}
