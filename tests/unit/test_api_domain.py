"""What stands behind the API's routes: submissions, progress, listings, the gallery, moderation, estimates."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.memory_executions import MemoryExecutions
from tests.unit.memory_store import MemoryStore
from tests.unit.opened import open_run
from thumbnails.blog.page import PageUnreadable
from thumbnails.blog.text import Page
from thumbnails.errors import InvalidBatch, ModerationUnavailable, Problem
from thumbnails.keys import gallery_key
from thumbnails.requests.checks import parse_request
from thumbnails.requests.estimate import estimate
from thumbnails.requests.models import Batch
from thumbnails.requests.moderation import moderate
from thumbnails.runs.archive import archive
from thumbnails.runs.gallery import (
    GalleryImage,
    Mark,
    finished_images,
    images_of_run,
    is_image_key,
    newest_images,
)
from thumbnails.runs.listing import list_runs
from thumbnails.runs.naming import may_resume, redrive_name, resumed_by, run_id_for_key
from thumbnails.runs.status import Seen, get_status, read_history
from thumbnails.runs.submit import ContentFlagged, IdempotencyKeyReused, Submitted, check, submit

GPT, GPT2, DALLE = "gpt-image-1", "gpt-image-2", "dall-e-3"
CAP = 50
BATCH = {"prompts": ["First title", "Second title"], "models": [GPT, DALLE]}
URL = "https://blog.example/post"


def problems(value: object, task: Any = "generateBatch") -> list[tuple[str, str]]:
    with pytest.raises(InvalidBatch) as refused:
        parse_request(task, value, CAP)
    assert str(refused.value) == refused.value.problems[0].message
    return [(problem.field, problem.message) for problem in refused.value.problems]


def test_every_problem_of_a_request_is_named_with_its_field() -> None:
    found = problems(
        {
            "prompts": ["A", 5, "A title"],
            "models": ["none", DALLE, DALLE],
            "style": 1,
            "font": "f",
            "context": "x" * 2501,
        }
    )
    assert [field for field, _ in found] == ["style", "prompts[1]", "context", "models[0]", "font", "models[2]"]
    found = problems({"prompts": ["A", "A title"], "models": [], "extra": 1, "template": "t"})
    assert [field for field, _ in found] == ["extra", "models", "prompts[0]", "template"]


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        ({}, ["title", "models"]),
        ({"title": "  ", "models": [GPT]}, ["title"]),
        ({"title": 1, "models": []}, ["title", "models"]),
    ],
)
def test_a_title_is_named_where_it_is_missing(value: object, fields: list[str]) -> None:
    assert [field for field, _ in problems(value, "generateThumbnails")] == fields


def test_an_estimate_is_the_sum_of_list_prices_and_the_prompts_tokens() -> None:
    found = estimate(Batch(prompts=["One title", "Another"], models=[GPT, GPT2, DALLE]))
    pictures = 1568 * 40e-6 + 1017 * 30e-6 + 0.08
    assert found.images == 6
    assert found.usd == pytest.approx(2 * pictures, abs=0.003)
    assert found.usd > 2 * pictures
    longer = estimate(Batch(prompts=["One title"], models=[GPT2], context="x" * 2500)).usd
    assert longer - estimate(Batch(prompts=["One title"], models=[GPT2])).usd == pytest.approx(
        2500 / 4 * 5e-6, rel=0.05
    )


# Pages.


def unreadable(_url: str) -> Page:
    raise PageUnreadable("its address is not a public one")


def test_a_page_gives_title_and_context_where_the_request_has_none() -> None:
    checked = check(
        "generateBatch", {"blog_url": f" {URL} ", "models": [GPT]}, CAP, lambda url: Page(f"At {url}", "Text")
    )
    assert (checked.request.titles, checked.request.context, checked.warnings) == ([f"At {URL}"], "Text", [])


def test_what_the_request_says_itself_stays() -> None:
    asked = {"blog_url": URL, "title": "My own", "context": "Mine", "models": [GPT]}
    checked = check("generateThumbnails", asked, CAP, lambda _: Page("Theirs", "Theirs"))
    assert (checked.request.titles, checked.request.context) == (["My own"], "Mine")


def test_a_page_that_cannot_be_read_is_a_warning() -> None:
    checked = check("generateBatch", {**BATCH, "blog_url": URL}, CAP, unreadable)
    assert checked.warnings == ["blog_url: the page could not be read: its address is not a public one"]
    assert checked.request == Batch(**BATCH)  # type: ignore[arg-type]


@pytest.mark.parametrize("read", [unreadable, lambda _: Page("", "Text"), lambda _: Page("x", "Text")])
def test_without_a_title_the_request_is_refused(read: Any) -> None:
    with pytest.raises(InvalidBatch, match="give a title of your own") as refused:
        check("generateBatch", {"blog_url": URL, "models": [GPT]}, CAP, read)
    assert [problem.field for problem in refused.value.problems] == ["blog_url"]


def test_a_page_is_not_fetched_for_a_request_that_is_refused_anyway() -> None:
    def read(_url: str) -> Page:
        raise AssertionError

    with pytest.raises(InvalidBatch) as refused:
        check("generateBatch", {"blog_url": "ftp://x", "models": ["none"], "font": "f"}, CAP, read)
    assert [problem.field for problem in refused.value.problems] == ["blog_url", "models[0]", "font"]
    with pytest.raises(InvalidBatch):
        check("generateBatch", {"blog_url": URL, "models": ["none"]}, CAP, read)


# Submissions.


def unflagged(_texts: Mapping[str, str], _from_page: bool) -> list[Problem]:
    return []


def send(
    store: MemoryStore, executions: MemoryExecutions, value: object = BATCH, key: str = "", **ways: Any
) -> Submitted:
    ways = {"read_page": unreadable, "moderate": unflagged, **ways}
    return submit("generateBatch", value, key, cap=CAP, store=store, executions=executions, **ways)


def test_a_request_without_a_key_starts_a_run_each_time(store: MemoryStore, executions: MemoryExecutions) -> None:
    assert send(store, executions).run_id != send(store, executions).run_id
    assert len(executions.all) == 2
    assert store.objects == {}


def test_the_same_request_with_the_same_key_starts_once(store: MemoryStore, executions: MemoryExecutions) -> None:
    first = send(store, executions, key="k")
    assert send(store, executions, key="k") == first
    executions.end(first.run_id, status="SUCCEEDED")
    assert send(store, executions, key="k") == first
    assert list(executions.all) == [run_id_for_key("k")]
    assert send(store, executions, key="other").run_id != first.run_id


def test_a_key_stands_for_one_request(store: MemoryStore, executions: MemoryExecutions) -> None:
    send(store, executions, key="k")
    with pytest.raises(IdempotencyKeyReused):
        send(store, executions, {**BATCH, "font": "lora"}, key="k")
    assert len(executions.all) == 1


def test_the_first_reading_of_a_page_decides(store: MemoryStore, executions: MemoryExecutions) -> None:
    asked = {"blog_url": URL, "models": [GPT]}
    send(store, executions, asked, "k", read_page=lambda _: Page("A first title", ""))
    send(store, executions, asked, "k", read_page=lambda _: Page("Another title", ""))
    assert executions.all[run_id_for_key("k")].request["prompts"] == ["A first title"]


def test_a_run_that_was_claimed_and_never_started_starts_at_the_next_delivery(
    store: MemoryStore, executions: MemoryExecutions
) -> None:
    send(store, executions, key="k")
    executions.all.clear()
    send(store, executions, key="k")
    assert list(executions.all) == [run_id_for_key("k")]


def test_what_moderation_flags_starts_nothing(store: MemoryStore, executions: MemoryExecutions) -> None:
    def flag(texts: Mapping[str, str], _from_page: bool) -> list[Problem]:
        return [Problem(place, f"{place}: {text}") for place, text in texts.items() if "Second" in text]

    with pytest.raises(ContentFlagged) as flagged:
        send(store, executions, key="k", moderate=flag)
    assert flagged.value.problems == (Problem("prompts[1]", "prompts[1]: Second title"),)
    assert (executions.all, store.objects) == ({}, {})


@pytest.mark.parametrize(
    ("given", "page", "from_page"),
    [
        ({**BATCH}, None, False),
        ({"models": [GPT], "blog_url": URL}, Page("A page's title", ""), True),
        ({**BATCH, "blog_url": URL}, Page("A page's title", "Its text."), True),
        ({**BATCH, "blog_url": URL, "context": "My own"}, Page("A page's title", "Its text."), False),
    ],
    ids=["no page", "the page's title", "the page's text", "a page that gives nothing"],
)
def test_moderation_is_told_of_text_that_is_a_strangers(
    store: MemoryStore, executions: MemoryExecutions, given: object, page: Page, from_page: bool
) -> None:
    told: list[bool] = []

    def judge(_texts: Mapping[str, str], strangers: bool) -> list[Problem]:
        told.append(strangers)
        return []

    send(store, executions, given, moderate=judge, read_page=lambda _: page)
    assert told == [from_page]


# Moderation.


def judged(*results: object, status: int = 200) -> Any:
    return lambda _url, _headers, _body: (status, json.dumps({"results": results}).encode())


def test_moderation_names_place_and_category() -> None:
    bad = {"flagged": True, "categories": {"violence": True, "hate": False, "self-harm": True}}
    good = {"flagged": False, "categories": {"violence": False}}
    found = moderate({"prompts[0]": "a", "context": "", "prompts[1]": "b"}, "key", "", judged(good, bad))
    assert found == [Problem("prompts[1]", "prompts[1] is flagged by moderation: violence, self-harm")]


@pytest.mark.parametrize(
    "sent",
    [judged(status=500), judged(), judged(1), judged({"flagged": True}), lambda *_: (200, b"no JSON")],
    ids=["status", "too few", "shape", "no categories", "no JSON"],
)
def test_without_a_judgement_nothing_may_be_paid(sent: Any) -> None:
    with pytest.raises(ModerationUnavailable):
        moderate({"title": "a"}, "key", "", sent)


def test_moderation_without_a_key_gives_no_judgement() -> None:
    with pytest.raises(ModerationUnavailable, match="OPENAI_API_KEY"):
        moderate({"title": "a"}, None, "")


# Names of executions.


@pytest.mark.parametrize("run_id", ["run-1", "x" * 65, "y" * 80, "a-redrive-0000"])
def test_an_execution_that_resumes_a_run_is_known_by_its_name(run_id: str) -> None:
    name = redrive_name(run_id, "newest")
    assert len(name) <= 80
    assert may_resume(name, run_id)
    assert not may_resume(name, "run-2")
    assert not may_resume(run_id, run_id)
    found, whole = resumed_by(name)
    assert found == run_id if whole else run_id.startswith(found)


def test_two_who_resume_at_once_choose_one_name_and_the_next_another() -> None:
    assert redrive_name("run-1", "run-1") == redrive_name("run-1", "run-1")
    assert redrive_name("run-1", redrive_name("run-1", "run-1")) != redrive_name("run-1", "run-1")


# Progress.


def entered(number: int, before: int, row: int, column: int) -> dict[str, Any]:
    details = {"name": "Generate Thumbnail", "input": json.dumps({"row": row, "column": column})}
    return {"id": number, "previousEventId": before, "type": "TaskStateEntered", "stateEnteredEventDetails": details}


def exited(number: int, before: int, output: object, name: str = "Generate Thumbnail") -> dict[str, Any]:
    details = {"name": name, "output": json.dumps(output)}
    return {"id": number, "previousEventId": before, "type": "TaskStateExited", "stateExitedEventDetails": details}


REFUSED = {"failure": {"Error": "PictureRefused", "Cause": json.dumps({"errorMessage": "no"})}}


def test_a_history_tells_every_cells_state() -> None:
    events: list[dict[str, Any]] = [
        {"id": 1, "previousEventId": 0, "type": "ExecutionStarted"},
        entered(2, 1, 0, 0),
        entered(3, 1, 0, 1),
        entered(4, 1, 1, 0),
        {"id": 5, "previousEventId": 3, "type": "TaskScheduled"},
        exited(6, 2, {}),
        exited(7, 5, REFUSED),
        exited(8, 7, REFUSED, "Record Failure"),
    ]
    assert read_history(events) == {
        (0, 0): Seen("succeeded"),
        (0, 1): Seen("failed", "PictureRefused", "no"),
        (1, 0): Seen("running"),
    }


def test_a_cell_waits_between_two_tries() -> None:
    events: list[dict[str, Any]] = [
        {"id": 1, "previousEventId": 0, "type": "ExecutionStarted"},
        entered(2, 1, 0, 0),
        {"id": 3, "previousEventId": 2, "type": "TaskScheduled"},
        {"id": 4, "previousEventId": 3, "type": "TaskFailed"},
    ]
    assert read_history(events) == {(0, 0): Seen("running", waits=True)}
    again = {"id": 5, "previousEventId": 4, "type": "TaskScheduled"}
    assert read_history([*events, again]) == {(0, 0): Seen("running")}
    made = [*events, again, exited(6, 5, {})]
    assert read_history(made) == {(0, 0): Seen("succeeded")}
    collecting = {"id": 7, "previousEventId": 6, "type": "TaskScheduled"}
    assert read_history([*made, collecting]) == {(0, 0): Seen("succeeded")}


def states(run_id: str, executions: MemoryExecutions, store: MemoryStore) -> list[tuple[str, str]]:
    run = get_status(run_id, executions, store, CAP)
    assert run
    return [(cell.state, cell.error) for cell in run.cells]


def begun(store: MemoryStore, executions: MemoryExecutions, run_id: str = "run-1") -> None:
    executions.start("generateBatch", run_id, BATCH)
    open_run("generateBatch", run_id, BATCH, store, CAP)


def make(store: MemoryStore, row: int, title: str, model: str, run_id: str = "run-1") -> None:
    store.put(f"runs/{run_id}/{row}-{title}/{model}.jpg", b"jpeg", "image/jpeg")


def test_a_run_is_pending_before_its_request_is_stored(store: MemoryStore, executions: MemoryExecutions) -> None:
    executions.start("generateBatch", "run-1", BATCH)
    assert states("run-1", executions, store) == [("pending", "")] * 4


def test_a_run_that_was_never_there_is_none(store: MemoryStore, executions: MemoryExecutions) -> None:
    assert get_status("run-1", executions, store, CAP) is None


def test_a_refused_run_has_no_cells(store: MemoryStore, executions: MemoryExecutions) -> None:
    executions.start("generateBatch", "run-1", {"prompts": []})
    executions.end("run-1", status="FAILED", error="InvalidBatch", cause="no")
    run = get_status("run-1", executions, store, CAP)
    assert run
    assert (run.request, run.cells, run.execution.error) == (None, [], "InvalidBatch")


def test_images_land_one_by_one(store: MemoryStore, executions: MemoryExecutions) -> None:
    begun(store, executions)
    make(store, 0, "first-title", GPT)
    executions.events["run-1"] = [entered(2, 1, 0, 1), entered(3, 1, 1, 0), exited(4, 3, REFUSED)]
    assert states("run-1", executions, store) == [
        ("succeeded", ""),
        ("running", ""),
        ("failed", "PictureRefused"),
        ("pending", ""),
    ]


def test_what_a_stopped_run_did_not_make_has_failed(store: MemoryStore, executions: MemoryExecutions) -> None:
    begun(store, executions)
    make(store, 0, "first-title", GPT)
    executions.stop(executions.all["run-1"])
    assert states("run-1", executions, store) == [("succeeded", "")] + [("failed", "Stopped")] * 3


def test_a_finished_run_is_read_from_its_result(store: MemoryStore, executions: MemoryExecutions) -> None:
    begun(store, executions)
    for row, title in enumerate(["first-title", "second-title"]):
        make(store, row, title, GPT)
    failure = {"row": 0, "column": 1, "error": "PictureRefused", "message": "no"}
    executions.end("run-1", status="SUCCEEDED", output={"failures": [failure]})
    assert states("run-1", executions, store) == [
        ("succeeded", ""),
        ("failed", "PictureRefused"),
        ("succeeded", ""),
        # It has no failure and no image any more.
        ("deleted", ""),
    ]


def test_a_resumed_run_shows_its_newest_execution(store: MemoryStore, executions: MemoryExecutions) -> None:
    begun(store, executions)
    executions.end("run-1", status="FAILED", error="AllImagesFailed")
    make(store, 0, "first-title", GPT)
    again = redrive_name("run-1", "run-1")
    executions.start("generateBatch", again, {"resume": "run-1"})
    # Before it has noted itself as the newest, and after.
    for _ in range(2):
        for name in ("run-1", again):
            run = get_status(name, executions, store, CAP)
            assert run
            assert (run.run_id, run.execution.name) == ("run-1", again)
            assert [cell.state for cell in run.cells] == ["succeeded", "pending", "pending", "pending"]
        open_run("generateBatch", again, {"resume": "run-1"}, store, CAP)
    executions.end(again, status="SUCCEEDED", output={"failures": []})
    run = get_status("run-1", executions, store, CAP)
    assert run
    assert run.execution.name == again


def test_executions_that_resume_each_other_end_the_look(store: MemoryStore, executions: MemoryExecutions) -> None:
    executions.start("generateBatch", "a", {"resume": "b"})
    executions.start("generateBatch", "b", {"resume": "a"})
    assert get_status("a", executions, store, CAP)


# Listings.


def test_runs_are_listed_newest_first_and_once(executions: MemoryExecutions, store: MemoryStore) -> None:
    long = "x" * 80
    for name in ("run-1", "run-2", long):
        executions.start("generateBatch", name, BATCH)
    executions.start("generateThumbnails", "run-3", {})
    executions.start("generateBatch", redrive_name("run-1", "run-1"), {"resume": "run-1"})
    executions.start("generateBatch", redrive_name(long, long), {"resume": long})
    found: list[str] = []
    mark = None
    for _ in range(3):
        page, mark = list_runs(executions, store, 2, mark)
        found += [run.run_id for run in page]
        executions.start("generateBatch", f"new-{len(found)}", BATCH)
        if mark is None:
            break
    assert found == [long, "run-1", "run-3", "run-2"]


# The gallery.


@pytest.mark.parametrize(
    ("key", "good"),
    [
        ("runs/run-1/0-a-title/dall-e-3.jpg", True),
        ("runs/run 1 (2)/12-a/gpt-image-1.jpg", True),
        ("runs/run-1/manifest.json", False),
        ("runs/run-1/0-a-title/other.jpg", False),
        ("runs/run-1/0-a-title/dall-e-3.jpg.jpg", False),
        ("runs/a/b/0-a-title/dall-e-3.jpg", False),
        ("originals/x/0-a-title/dall-e-3.jpg", False),
        ("runs/run-1/0-a-title/dall-e-3.jpg\n", False),
        ("/runs/run-1/0-a-title/dall-e-3.jpg", False),
    ],
)
def test_only_a_finished_images_key_is_one(key: str, good: bool) -> None:
    assert is_image_key(key) is good


def shown(store: MemoryStore, run_id: str, moment: float) -> None:
    """Have the gallery know a run that began at a moment."""
    store.put(gallery_key(run_id, datetime.fromtimestamp(moment, UTC)), b"", "application/octet-stream")


def pages(look: Callable[[Mark | None], tuple[list[GalleryImage], Mark | None]]) -> list[list[tuple[str, int]]]:
    """Every page of a gallery, as (run, row)."""
    found: list[list[tuple[str, int]]] = []
    mark: Mark | None = None
    while mark or not found:
        page, mark = look(mark)
        found.append([(image.run_id, image.row) for image in page])
    return found


def test_a_runs_images_are_shown_newest_first(store: MemoryStore) -> None:
    make(store, 0, "a-title", GPT, "run-1")
    make(store, 0, "a-title", GPT, "run-2")
    store.put("runs/run-1/manifest.json", b"{}", "application/json")
    for row in range(1, 5):
        make(store, row, "b-title", DALLE, "run-1")
    assert [image.row for image in finished_images(store, "run-1")] == [4, 3, 2, 1, 0]
    assert finished_images(store, "run") == []
    assert pages(lambda after: images_of_run(store, "run-1", 2, after)) == [
        [("run-1", 4), ("run-1", 3)],
        [("run-1", 2), ("run-1", 1)],
        [("run-1", 0)],
    ]


def test_the_gallery_shows_the_newest_runs_images_first(store: MemoryStore) -> None:
    for number, images in enumerate((1, 3, 0, 2)):
        shown(store, f"run-{number}", 1_700_000_000.5 + number)
        for row in range(images):
            make(store, row, "a-title", GPT, f"run-{number}")
    every = [("run-3", 1), ("run-3", 0), ("run-1", 2), ("run-1", 1), ("run-1", 0), ("run-0", 0)]
    for most in range(1, 9):
        found = pages(lambda after, most=most: newest_images(store, most, after))  # type: ignore[misc]
        assert [image for page in found for image in page] == every
        assert max(map(len, found)) <= most


def test_a_run_that_begins_meanwhile_shifts_no_page_of_the_gallery(store: MemoryStore) -> None:
    for number in range(2):
        shown(store, f"run-{number}", 1_700_000_000 + number)
        make(store, 0, "a-title", GPT, f"run-{number}")
        make(store, 1, "a-title", GPT, f"run-{number}")
    first, mark = newest_images(store, 1)
    shown(store, "run-9", 1_800_000_000)
    make(store, 0, "a-title", GPT, "run-9")
    store.delete(first[0].listed.key)
    rest, mark = newest_images(store, 9, mark)
    assert [(image.run_id, image.row) for image in rest] == [("run-1", 0), ("run-0", 1), ("run-0", 0)]
    assert mark is None


def test_a_page_of_the_gallery_costs_a_listing_of_runs_and_one_of_each_that_it_shows(store: MemoryStore) -> None:
    for number in range(300):
        shown(store, f"run-{number}", 1_700_000_000 + number)
        make(store, 0, "a-title", GPT, f"run-{number}")
    mark: Mark | None = None
    for page in range(30):
        store.listings.clear()
        images, mark = newest_images(store, 10, mark)
        assert [image.run_id for image in images] == [f"run-{299 - 10 * page - place}" for place in range(10)]
        assert store.listings == ["gallery/", *(f"runs/{image.run_id}/" for image in images)]


def test_a_run_is_shown_from_its_beginning_on_and_once(store: MemoryStore) -> None:
    open_run("generateBatch", "run-1", BATCH, store, CAP)
    open_run("generateBatch", "redrive-1-of-run-1", {"resume": "run-1"}, store, CAP)
    open_run("generateThumbnails", "row", {"resume": "camp-0", "title": "A title", "models": [GPT]}, store, CAP)
    assert sorted(key.rpartition("/")[2] for key in store.under("gallery/")) == ["camp-0", "run-1"]


@pytest.mark.parametrize(
    "name", ["", "gallery/", "gallery/x", "gallery/x/..//runs/y", "runs/", "//", "gallery/0/a/b//c"]
)
def test_a_cursor_that_nobody_gave_shows_no_more_than_the_gallery(store: MemoryStore, name: str) -> None:
    store.put("secret/0/run-1", b"", "text/plain")
    images, mark = newest_images(store, 5, (0.0, name))
    assert (images, mark) == ([], None)
    assert all(prefix.startswith(("gallery/", "runs/")) for prefix in store.listings)


def test_an_archive_is_made_once_for_the_same_images(store: MemoryStore) -> None:
    assert archive(store, "run-1") is None
    make(store, 0, "a-title", GPT)
    make(store, 1, "b-title", DALLE)
    key = archive(store, "run-1")
    assert key == "runs/run-1/archive.zip" == archive(store, "run-1")
    assert store.writes.count(key) == 1
    with zipfile.ZipFile(io.BytesIO(store.objects[key].body)) as packed:
        assert packed.namelist() == [f"0-a-title/{GPT}.jpg", f"1-b-title/{DALLE}.jpg"]
    make(store, 2, "c-title", DALLE)
    archive(store, "run-1")
    assert store.writes.count(key) == 2
