"""A run's beginning and end, and how it is resumed."""

import json
from typing import Any

import pytest

from tests.unit.memory_store import MemoryStore
from tests.unit.opened import open_run
from thumbnails.aws.s3 import Stored
from thumbnails.errors import AllImagesFailed, InvalidBatch, StorageUnavailable
from thumbnails.images.digests import picture_of
from thumbnails.keys import image_key, original_key
from thumbnails.requests.models import Batch
from thumbnails.runs.collect import collect_run
from thumbnails.runs.open import at_once

GPT, DALLE = "gpt-image-1", "dall-e-3"
BATCH: dict[str, Any] = {"prompts": ["First title", "Second title"], "models": [GPT, DALLE]}
CHECKED = Batch.model_validate(BATCH).model_dump(mode="json")
CAP = 50
#: The same as the state machine reads it.
READ = {
    **{name: value for name, value in CHECKED.items() if name not in ("prompts", "models", "only")},
    "rows": [
        {"row": row, "title": title, "cells": [{"column": 0, "model": GPT}, {"column": 1, "model": DALLE}]}
        for row, title in enumerate(BATCH["prompts"])
    ],
}


def made(row: int, column: int) -> dict[str, Any]:
    return {
        "row": row,
        "column": column,
        "key": f"{row}-{column}.jpg",
        "paid_calls": 1,
        "warnings": [],
    }


def failed(row: int, column: int) -> dict[str, Any]:
    cause = json.dumps({"errorType": "PictureRefused", "errorMessage": "no"})
    return {"row": row, "column": column, "failure": {"Error": "PictureRefused", "Cause": cause}}


def store_image(store: MemoryStore, row: int, paid_by: str) -> str:
    """The finished image of a row's first model; its key."""
    key = image_key("run-1", row, BATCH["prompts"][row], GPT)
    store.put(key, b"jpeg", "image/jpeg", {"paid-by": paid_by, "warnings": "cut"})
    return key


PLACES = [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_an_accepted_request_is_stored_under_the_executions_name(store: MemoryStore) -> None:
    run = open_run("generateBatch", "run-1", BATCH, store, CAP)
    assert run == {"run_id": "run-1", "execution": "run-1", **READ}
    assert store.json("runs/run-1/request.json") == CHECKED


def test_one_title_is_row_0(store: MemoryStore) -> None:
    run = open_run("generateThumbnails", "run-1", {"title": "A title", "models": [GPT]}, store, CAP)
    assert (run["row"], run["title"]) == (0, "A title")


ENVELOPE = {"version": "0", "id": "1", "detail-type": "thumbnails wanted", "source": "blog", "detail": BATCH}
S3_ENVELOPE = {
    "detail-type": "Object Created",
    "source": "aws.s3",
    "detail": {"bucket": {"name": "blog"}, "object": {"key": "drafts/batch.json", "size": 9}},
}


@pytest.mark.parametrize(
    "event", [ENVELOPE, {**ENVELOPE, "detail": [BATCH["prompts"], BATCH["models"]]}, S3_ENVELOPE], ids=str
)
def test_the_request_inside_an_envelope_is_the_one_that_is_stored(store: MemoryStore, event: object) -> None:
    store.elsewhere["blog", "drafts/batch.json"] = Stored(json.dumps(BATCH).encode(), {})
    assert open_run("generateBatch", "run-1", event, store, CAP)["rows"] == READ["rows"]
    assert store.json("runs/run-1/request.json") == CHECKED


@pytest.mark.parametrize("detail", [None, [], "text", {}, {"bucket": {"name": "blog"}}, {"bucket": "b", "object": "o"}])
def test_an_s3_event_without_an_object_is_refused(store: MemoryStore, detail: object) -> None:
    with pytest.raises(InvalidBatch, match=r"^the S3 event names no object"):
        open_run("generateBatch", "run-1", {**S3_ENVELOPE, "detail": detail}, store, CAP)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"detail": BATCH}, "unknown field 'detail'"),
        ({**ENVELOPE, "detail": None}, "a request is an object"),
        (S3_ENVELOPE, "there is no s3://blog/drafts/batch.json"),
    ],
)
def test_an_envelope_without_a_request_is_refused(store: MemoryStore, event: object, message: str) -> None:
    with pytest.raises(InvalidBatch) as refused:
        open_run("generateBatch", "run-1", event, store, CAP)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize("event", [{}, {"prompts": ["A title"], "models": ["none"]}, "text", {"resume": "run-0"}])
def test_a_refused_request_leaves_nothing_behind(store: MemoryStore, event: object) -> None:
    with pytest.raises(InvalidBatch):
        open_run("generateBatch", "run-1", event, store, CAP)
    assert store.objects == {}


def test_a_resumed_run_keeps_its_id_and_request_and_names_the_new_execution(store: MemoryStore) -> None:
    open_run("generateBatch", "run-1", BATCH, store, CAP)
    run = open_run("generateBatch", "again", {"resume": "run-1"}, store, CAP)
    assert run == {"run_id": "run-1", "execution": "again", **READ}
    assert store.under("runs/") == ["runs/run-1/request.json"]


def test_a_resumed_run_may_repeat_its_request(store: MemoryStore) -> None:
    open_run("generateBatch", "run-1", BATCH, store, CAP)
    assert open_run("generateBatch", "again", {**BATCH, "resume": "run-1"}, store, CAP)["run_id"] == "run-1"


@pytest.mark.parametrize(
    ("task", "event", "message"),
    [
        ("generateBatch", {"resume": "run-2"}, "there is no s3://memory/runs/run-2/request.json"),
        ("generateBatch", {"resume": "run-1", **BATCH, "font": "lora"}, "run 'run-1' was started with another request"),
        ("generateBatch", {"resume": "run-1", "font": "lora"}, "prompts must contain at least one title"),
        ("generateBatch", {"resume": "../run-1"}, "resume must be the id of a run"),
        ("generateBatch", {"resume": ""}, "resume must be the id of a run"),
        ("generateBatch", {"resume": ["run-1"]}, "resume must be the id of a run"),
        ("generateThumbnails", {"resume": "run-1"}, "unknown field 'prompts'"),
    ],
)
def test_a_run_that_cannot_be_resumed_says_why(store: MemoryStore, task: Any, event: object, message: str) -> None:
    open_run("generateBatch", "run-1", BATCH, store, CAP)
    with pytest.raises(InvalidBatch) as refused:
        open_run(task, "again", event, store, CAP)
    assert str(refused.value).startswith(message)
    assert store.json("runs/run-1/request.json") == CHECKED


def test_a_whole_request_begins_the_run_that_it_resumes(store: MemoryStore) -> None:
    asked = {**BATCH, "resume": "campaign-7"}
    run = open_run("generateBatch", "campaign-redrive-ab12-7", asked, store, CAP)
    assert run == {"run_id": "campaign-7", "execution": "campaign-redrive-ab12-7", **READ}
    assert store.json("runs/campaign-7/request.json") == CHECKED
    assert open_run("generateBatch", "again", asked, store, CAP)["run_id"] == "campaign-7"
    with pytest.raises(InvalidBatch, match="was started with another request"):
        open_run("generateBatch", "again", {**asked, "style": "neon"}, store, CAP)


def test_resume_null_is_a_new_run(store: MemoryStore) -> None:
    assert open_run("generateBatch", "run-1", {**BATCH, "resume": None}, store, CAP)["run_id"] == "run-1"


def test_the_cap_of_today_holds_for_a_resumed_run(store: MemoryStore) -> None:
    open_run("generateBatch", "run-1", BATCH, store, CAP)
    with pytest.raises(InvalidBatch, match="capped at 3"):
        open_run("generateBatch", "again", {"resume": "run-1"}, store, 3)


def test_the_manifest_is_the_result(store: MemoryStore) -> None:
    open_run("generateBatch", "run-1", BATCH, store, CAP)
    result = collect_run("generateBatch", "run-1", "run-1", [made(*place) for place in PLACES], store)
    assert result["results"] == [["memory://0-0.jpg", "memory://0-1.jpg"], ["memory://1-0.jpg", "memory://1-1.jpg"]]
    assert store.json("runs/run-1/manifest.json") == result


def test_the_manifest_of_a_total_failure_is_stored_before_the_run_fails(store: MemoryStore) -> None:
    open_run("generateBatch", "run-1", BATCH, store, CAP)
    with pytest.raises(AllImagesFailed) as total:
        collect_run("generateBatch", "run-1", "run-1", [failed(*place) for place in PLACES], store)
    assert str(total.value) == f"{GPT}: PictureRefused: no (2×)\n{DALLE}: PictureRefused: no (2×)"
    manifest = store.json("runs/run-1/manifest.json")
    assert manifest["results"] == [[None, None], [None, None]]
    assert len(manifest["failures"]) == 4


def test_an_image_that_is_in_the_bucket_has_not_failed(store: MemoryStore) -> None:
    open_run("generateBatch", "run-1", BATCH, store, CAP)
    first, second = (store_image(store, row, paid_by) for row, paid_by in enumerate(["again", "run-1"]))
    given = [failed(0, 0), made(0, 1), failed(1, 0), failed(1, 1)]
    result = collect_run("generateBatch", "run-1", "again", given, store)
    assert [row[0] for row in result["results"]] == [f"memory://{first}", f"memory://{second}"]
    assert [(failure["row"], failure["column"]) for failure in result["failures"]] == [(1, 1)]
    assert [(warning["row"], warning["message"]) for warning in result["warnings"]] == [(0, "cut"), (1, "cut")]
    # The first was paid for by this execution, the second by an earlier one, and (0, 1) says so itself.
    assert result["images"] == {"total": 4, "succeeded": 3, "failed": 1, "paid_calls": 2}


def test_a_picture_that_was_stored_and_never_drawn_on_was_paid_for(store: MemoryStore) -> None:
    open_run("generateBatch", "run-1", BATCH, store, CAP)
    for row, paid_by in enumerate(["again", "run-1"]):
        title = BATCH["prompts"][row]
        key = original_key(picture_of(title, GPT, Batch()).digest, "run-1", row, 0)
        store.put(key, b"jpeg", "image/jpeg", {"paid-by": paid_by})
    cut_off = {"Error": "States.Timeout", "Cause": ""}
    given = [{"row": row, "column": 0, "failure": cut_off} for row in range(2)] + [made(0, 1), made(1, 1)]
    images = collect_run("generateBatch", "run-1", "again", given, store)["images"]
    assert images == {"total": 4, "succeeded": 2, "failed": 2, "paid_calls": 3}


def test_as_many_rows_at_once_as_there_is_room_for_their_models() -> None:
    batch = Batch(prompts=["A title"] * 25, models=[GPT, DALLE])
    assert at_once(batch, 50) == {"rows_at_once": 25, "models_at_once": 2}
    assert at_once(batch, 11) == {"rows_at_once": 5, "models_at_once": 2}
    assert at_once(batch, 1) == {"rows_at_once": 1, "models_at_once": 1}


def test_a_manifest_that_could_not_be_stored_fails_the_collection(store: MemoryStore) -> None:
    open_run("generateBatch", "run-1", BATCH, store, CAP)
    store.unwritable["manifest.json"] = StorageUnavailable("S3 could not put")
    with pytest.raises(StorageUnavailable):
        collect_run("generateBatch", "run-1", "run-1", [made(*place) for place in PLACES], store)


def test_a_refused_file_of_the_inbox_is_kept_with_the_reason() -> None:
    store = MemoryStore()
    store.elsewhere["blog", "inbox/mine.json"] = Stored(b'{"prompts": []}', {})
    detail = {"bucket": {"name": "blog"}, "object": {"key": "inbox/mine.json", "version-id": "v1"}}
    event = {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}
    with pytest.raises(InvalidBatch):
        open_run("generateBatch", "inbox-v1", event, store, 50)
    assert store.objects["rejected/inbox-v1/mine.json"].body == b'{"prompts": []}'
    assert store.objects["rejected/inbox-v1/reason.txt"].body == b"prompts must contain at least one title\n"


MISTAKES = {"prompts": ["A title", "ab"], "models": ["gpt-5"], "style": "glossy"}


def test_an_execution_names_every_mistake_of_its_request(store: MemoryStore) -> None:
    with pytest.raises(InvalidBatch) as refused:
        open_run("generateBatch", "run-1", MISTAKES, store, CAP)
    title, model, style = str(refused.value).split("; also: ")
    assert title == "prompts[1]: a title has 3 to 200 characters, this one has 2"
    assert model.startswith("unknown model 'gpt-5'; choose from: ")
    assert style.startswith("unknown style 'glossy'; choose from: ")
    assert len(refused.value.problems) == 3


def test_of_very_many_mistakes_as_many_are_named_as_one_line_holds(store: MemoryStore) -> None:
    with pytest.raises(InvalidBatch) as refused:
        open_run("generateBatch", "run-1", {"prompts": ["ab"] * 50, "models": [GPT]}, store, CAP)
    message = str(refused.value)
    named = message.count("a title has 3 to 200 characters")
    assert 900 < len(message) < 1020
    assert message.endswith(f"; and {50 - named} more")


def test_what_the_contract_says_word_for_word_stands_alone(store: MemoryStore) -> None:
    with pytest.raises(InvalidBatch, match=r"^prompts must contain at least one title$"):
        open_run("generateBatch", "run-1", [[], [], "glossy"], store, CAP)


def test_a_refused_file_from_elsewhere_is_not_kept() -> None:
    store = MemoryStore()
    store.elsewhere["blog", "scheduled/mine.json"] = Stored(b"[", {})
    detail = {"bucket": {"name": "blog"}, "object": {"key": "scheduled/mine.json"}}
    event = {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}
    with pytest.raises(InvalidBatch):
        open_run("generateBatch", "schedule-1", event, store, 50)
    assert store.under() == []
