"""Bad input by every way in, without a socket: a correct run or a refusal in one sentence, and no third thing.

``make fuzz`` tries many more inputs than the suite does (``FUZZ`` times), others each time, and prints how many.
"""

# hypothesis is not followed by mypy.
# mypy: disable-error-code="untyped-decorator"

import io
import json
import os
import posixpath
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from api import run_routes
from api.http import BODY_BYTES
from tests import nasty
from tests.unit.api_gateway import ApiGateway, served
from tests.unit.memory_executions import MemoryExecutions
from tests.unit.memory_store import MemoryStore
from tests.unit.opened import open_run
from thumbnails.aws.s3 import REQUEST_BYTES, Stored
from thumbnails.aws.step_functions import INPUT_BYTES
from thumbnails.blog.text import Page
from thumbnails.campaigns.open import open_campaign
from thumbnails.catalog import FONTS, MODELS, STYLES, TEMPLATES
from thumbnails.errors import InvalidBatch, StorageUnavailable
from thumbnails.images.cell import make_thumbnail
from thumbnails.images.providers.answers import Answer
from thumbnails.keys import INDEXED, S3Object, image_key, original_key
from thumbnails.requests.checks import parse_cell
from thumbnails.requests.events import run_for
from thumbnails.requests.models import Task, stored_request
from thumbnails.runs.collect import collect_run
from thumbnails.strict_json import NotJson, read_json
from thumbs.cli import main as cli
from thumbs.cli.application import Application

CAP = 12
GPT = "gpt-image-1"
#: The longest sentence names a value and lists every font.
SENTENCE = 500
#: An execution's cause names several problems.
CAUSE = 2 * SENTENCE + len("; and 99 more")
#: Many times the suite's examples, under `make fuzz`.
TIMES = float(os.environ.get("FUZZ", "0.4"))
TASKS: tuple[Task, ...] = ("generateBatch", "generateThumbnails")
FIRST = {"generateBatch": "prompts", "generateThumbnails": "title"}
tally: Counter[tuple[str, str]] = Counter()


def fuzz(examples: int, **strategies: Any) -> Callable[[Any], Any]:
    """A property over generated input; the same input every time, but under `make fuzz`."""
    chosen = settings(
        max_examples=round(examples * TIMES),
        derandomize=TIMES <= 1,
        database=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    return lambda test: chosen(given(**strategies)(test))


@pytest.fixture(scope="module", autouse=True)
def counted(pytestconfig: pytest.Config) -> Iterator[None]:
    """What `make fuzz` says at the end."""
    tally.clear()
    yield
    lines = [("property", "tried", "refused", "accepted")]
    for name in sorted({name for name, _ in tally}):
        refused, accepted = tally[name, "refused"], tally[name, "accepted"]
        lines.append((name, f"{refused + accepted:,}", f"{refused:,}", f"{accepted:,}"))
    refused, accepted = (sum(many for (_, how), many in tally.items() if how == one) for one in ("refused", "accepted"))
    lines.append(("in all", f"{refused + accepted:,}", f"{refused:,}", f"{accepted:,}"))
    if TIMES > 1:
        with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print()
            for name, *counts in lines:
                print(f"{name:<24}" + "".join(f"{count:>10}" for count in counts))


def is_sentence(message: str, most: int = SENTENCE) -> None:
    """One short line that a terminal, a log and JSON can carry, without a trace in it."""
    assert 0 < len(message) <= most, message[:600]
    assert message.isprintable(), message
    assert "Traceback" not in message and 'File "' not in message
    message.encode()


def refusal_is_clear(property_: str, refusal: InvalidBatch) -> None:
    tally[property_, "refused"] += 1
    is_sentence(str(refusal), CAUSE)
    assert len(refusal.problems) <= 100
    assert str(refusal).startswith(refusal.problems[0].message)
    for problem in refusal.problems:
        is_sentence(problem.message)
        assert len(problem.field) <= 100
        json.dumps(problem).encode()


def stays_under(keys: list[str], *prefixes: str) -> None:
    """Every key is under a prefix, in a browser too, and one that S3 takes."""
    for key in keys:
        assert key.startswith(prefixes), key
        assert posixpath.normpath(key) == key
        assert "\\" not in key and key.isprintable()
        assert len(key.encode()) <= 1024


def is_within_the_contract(task: Task, run: dict[str, Any]) -> None:
    rows = run["rows"] if task == "generateBatch" else [run]
    assert 1 <= sum(len(row["cells"]) for row in rows) <= CAP
    for row in rows:
        title, models = row["title"], [cell["model"] for cell in row["cells"]]
        assert 3 <= len(title) <= 200
        assert title == title.strip()
        assert not any(character < " " or "\x7f" <= character <= "\x9f" for character in title)
        assert any(character.isprintable() and not character.isspace() for character in title)
        title.encode()
        assert set(models) <= set(MODELS) and len(set(models)) == len(models)
    assert run["style"] in STYLES and run["template"] in TEMPLATES and run["font"] in FONTS
    assert len(run["context"]) <= 2500 and len(run["extra_prompt"]) <= 500
    assert run["reuse"] in (True, False)
    json.loads(json.dumps(run))


def opened(property_: str, task: Task, execution: str, event: object, store: MemoryStore) -> dict[str, Any] | None:
    """A run within the contract, whose request alone is stored; None for one that is refused with a clear sentence."""
    before = len(store.writes)
    try:
        run = open_run(task, execution, event, store, CAP)
    except InvalidBatch as refusal:
        refusal_is_clear(property_, refusal)
        stays_under(store.writes[before:], f"rejected/{execution}/")
        return None
    tally[property_, "accepted"] += 1
    is_within_the_contract(task, run)
    *entries, kept = store.writes[before:]
    for index, entry in zip(("gallery", "begun"), entries, strict=True):
        assert re.fullmatch(rf"{index}/\d{{13}}/{re.escape(run['run_id'])}", entry)
    assert [kept] == [f"runs/{run['run_id']}/request.json"]
    return run


@pytest.mark.parametrize("task", TASKS)
@fuzz(250, data=st.data())
def test_a_request_in_any_form(task: Task, data: st.DataObject) -> None:
    opened("state machine input", task, "run-1", data.draw(nasty.asked(FIRST[task])), MemoryStore())


@pytest.mark.parametrize("task", TASKS)
def test_the_requests_that_were_written_by_hand(task: Task) -> None:
    for request in nasty.REQUESTS:
        assert opened("by hand", task, "run-1", request, MemoryStore()) is None


@pytest.mark.parametrize("where", ["title", "field", "name", "model", "context", "resume", "key"])
def test_ten_megabytes_are_refused_without_being_said_again(where: str) -> None:
    huge = "x" * nasty.MEGABYTES_10
    good = {"prompts": ["A title"], "models": [GPT]}
    request = {
        "title": {**good, "prompts": [huge]},
        "field": {**good, huge: 1},
        "name": {**good, "font": huge},
        "model": {**good, "models": [huge]},
        "context": {**good, "context": huge},
        "resume": {**good, "resume": huge},
        "key": {"detail-type": "", "source": "aws.s3", "detail": {"bucket": {"name": "b"}, "object": {"key": huge}}},
    }[where]
    assert opened("10 MB", "generateBatch", "run-1", request, MemoryStore()) is None


@pytest.mark.parametrize("field", ["prompts", "models"])
def test_thirty_thousand_items_are_not_checked_one_against_another(field: str) -> None:
    request = {"prompts": ["A title"], "models": [GPT], field: [f"item {number}" for number in range(30_000)]}
    started = time.process_time()
    with pytest.raises(InvalidBatch, match=f"^batch is capped at {CAP} generated images$") as refused:
        open_run("generateBatch", "run-1", request, MemoryStore(), CAP)
    refusal_is_clear("30,000 items", refused.value)
    # CPU time of this process alone: one against another they take five times as long.
    assert time.process_time() - started < 2


NAMES = st.sampled_from(["..", ".", "...", "a/b", "run-1\n", "run 1", "läuft", "a" * 81, ".hidden"]) | st.text(
    st.sampled_from("ab.-_=@+!()' /\\%\x00\nä"), max_size=90
)


@fuzz(300, execution=NAMES | nasty.texts)
@example(execution="..")
def test_an_execution_of_any_name(execution: str) -> None:
    opened("execution's name", "generateBatch", execution, [["A title"], [GPT]], MemoryStore())


@fuzz(300, resume=NAMES | nasty.values, rest=nasty.requests("prompts") | st.just({}))
@example(resume="..", rest={})
@example(resume=".", rest={})
def test_a_run_of_any_name_is_resumed_or_refused(resume: object, rest: dict[str, Any]) -> None:
    store = MemoryStore()
    # What a name that leads elsewhere would find.
    for key in ("request.json", "runs/../request.json", "runs/./request.json", "runs/request.json"):
        store.objects[key] = Stored(b'{"prompts": ["A title"], "models": ["gpt-image-1"]}', {})
    opened("resume", "generateBatch", "again", {**rest, "resume": resume}, store)


FILE_NAMES = st.sampled_from(
    ["..", ".", "", "reason.txt", "a/../..", "%2e%2e", "..\\x", "nul\x00", "line\nbreak", "ü" * 509, "batch.json"]
)
FILE_EVENT: dict[str, Any] = {"source": "aws.s3", "detail-type": "Object Created"}


def dropped(name: str, body: bytes) -> tuple[MemoryStore, dict[str, Any]]:
    store = MemoryStore()
    store.elsewhere["blog", f"inbox/{name}"] = Stored(body, {})
    detail = {"bucket": {"name": "blog"}, "object": {"key": f"inbox/{name}", "version-id": "v1"}}
    return store, {**FILE_EVENT, "detail": detail}


@fuzz(400, name=FILE_NAMES | nasty.texts, body=nasty.bodies("prompts"))
@example(name="reason.txt", body=b"{")
@example(name="..", body=b"{")
@example(name="x" * 1018, body=b"{")
def test_a_file_of_any_name_with_anything_in_it(name: str, body: bytes) -> None:
    store, event = dropped(name, body)
    run = opened("request file", "generateBatch", "inbox-v1", event, store)
    written = store.under("rejected/")
    if run or not written:
        return
    # The file itself and the reason, neither over the other.
    reason = store.objects["rejected/inbox-v1/reason.txt"].body.decode()
    assert reason.endswith("\n") and reason.count("\n") == 1
    assert [store.objects[key].body for key in written if not key.endswith("/reason.txt")] == [body]


@pytest.mark.parametrize("body", [b" " * (REQUEST_BYTES + 1), b'"' + b"x" * nasty.MEGABYTES_10 + b'"', *nasty.BODIES])
def test_a_file_that_is_no_json_is_refused(body: bytes) -> None:
    store, event = dropped("batch.json", body)
    assert opened("files by hand", "generateBatch", "inbox-v1", event, store) is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_file_as_any_editor_saves_it_is_read(encoding: str) -> None:
    store, event = dropped("batch.json", '{"prompts": ["Über uns"], "models": ["gpt-image-1"]}'.encode(encoding))
    run = opened("files by hand", "generateBatch", "inbox-v1", event, store)
    assert run and run["rows"][0]["title"] == "Über uns"


DETAILS = st.fixed_dictionaries(
    {
        "bucket": st.fixed_dictionaries({"name": nasty.texts | st.just("blog")}) | nasty.values,
        "object": st.fixed_dictionaries(
            {"key": nasty.texts}, optional={"version-id": nasty.values, "sequencer": nasty.values}
        ),
    }
)


@fuzz(300, detail=DETAILS | nasty.values)
def test_an_event_of_a_file_that_cannot_be(detail: object) -> None:
    event = {**FILE_EVENT, "detail": detail}
    opened("S3 event", "generateBatch", "inbox-1", event, MemoryStore())
    name, _ = run_for({"id": "e1", **event}, S3Object("blog", "scheduled/batch.json", None))
    assert 1 <= len(name) <= 80
    stays_under([f"runs/{name}/x"], f"runs/{name}/")


@fuzz(400, body=nasty.bodies("prompts"))
@example(body=b'{"a": 1, "a": 2}')
def test_json_is_read_as_it_is_meant_or_refused(body: bytes) -> None:
    try:
        value = read_json(body)
    except NotJson as problem:
        tally["reading JSON", "refused"] += 1
        is_sentence(str(problem))
    else:
        tally["reading JSON", "accepted"] += 1
        assert value == json.loads(body)


ROWS_IN_JSON = st.lists(nasty.requests("title") | nasty.values, max_size=5).map(
    lambda rows: json.dumps(rows).encode()
) | nasty.bodies("title")


def begun(property_: str, execution: str, event: object, store: MemoryStore) -> None:
    """A campaign within its budget, whose rows are within the contract, or a clear refusal that leaves nothing."""
    before = len(store.writes)
    try:
        campaign = open_campaign(execution, event, store, CAP)
    except InvalidBatch as refusal:
        tally[property_, "refused"] += 1
        # It names up to five rows, each with all of its problems.
        assert str(refusal).isprintable() and len(str(refusal)) <= 5 * CAUSE
        assert store.writes[before:] == []
        return
    tally[property_, "accepted"] += 1
    stays_under(store.writes[before:], f"campaigns/{campaign['campaign_id']}/", "begun/")
    items = store.json(campaign["items_key"])
    assert [item["row"] for item in items] == list(range(campaign["rows"]))
    images = 0
    for item in items:
        assert item["request"].pop("resume") == f"{execution}-{item['row']}"
        request = stored_request("generateThumbnails", item["request"])
        is_within_the_contract("generateThumbnails", request.for_map())
        images += len(item["request"]["models"])
    assert images <= store.json(f"campaigns/{execution}/campaign.json")["max_images"]
    assert 1 <= campaign["max_concurrency"] <= 10_000
    assert 0 <= campaign["tolerated_failure_percentage"] <= 100


@fuzz(400, event=nasty.campaigns(), table=nasty.tables(), rows=ROWS_IN_JSON)
def test_a_campaign_and_a_file_of_any_kind(event: object, table: bytes, rows: bytes) -> None:
    store = MemoryStore()
    store.objects["campaigns/posts.csv"], store.objects["campaigns/posts.json"] = Stored(table, {}), Stored(rows, {})
    begun("campaign", "spring", event, store)


@fuzz(200, execution=NAMES | nasty.texts, resume=st.none() | NAMES | nasty.values)
@example(execution="..", resume=None)
@example(execution="spring", resume="..")
def test_a_campaign_of_any_name(execution: str, resume: object) -> None:
    store = MemoryStore()
    for key in ("campaign.json", "campaigns/../campaign.json", "campaigns/./campaign.json", "campaigns/campaign.json"):
        store.objects[key] = Stored(b'{"rows": 1, "max_images": 1}', {})
    store.objects["campaigns/posts.csv"] = Stored(b"title,models\nA title,gpt-image-1\n", {})
    asked = {"file": "campaigns/posts.csv", "max_images": 1} if resume is None else {"resume": resume}
    begun("campaign's name", execution, asked, store)


@pytest.mark.parametrize(
    "body",
    [
        b'[{"title": "A title", "models": ["gpt-image-1"], "models": ["dall-e-3"]}]',
        b'[{"title": "A title", "models": ["gpt-image-1"], "context": {"a": 1, "a": 2}}]',
        b'[{"title": "A title", "models": ["gpt-image-1"]}, NaN]',
        b'[{"title": "A title", "models": ["gpt-image-1"], "reuse": 1e999}]',
        b'[{"title": "A title", "models": ["gpt-image-1"], "reuse": ' + b"1" * 5_000 + b"}]",
        b'[{"title": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
        b'[{"title": "' + b"x" * nasty.MEGABYTES_10 + b'", "models": ["gpt-image-1"]}]',
        *nasty.BODIES,
    ],
)
def test_a_campaign_of_a_file_that_no_row_can_be_made_of(body: bytes) -> None:
    store = MemoryStore()
    store.objects["campaigns/posts.json"] = Stored(body, {})
    begun("campaign by hand", "spring", {"file": "campaigns/posts.json", "max_images": 40}, store)
    assert store.writes == []


@pytest.fixture(scope="module")
def api() -> Iterator[Callable[[], ApiGateway]]:
    """A new API for each input."""
    now: list[ApiGateway] = []

    def new() -> ApiGateway:
        now[:] = [ApiGateway(MemoryStore(), MemoryExecutions())]
        return now[0]

    with pytest.MonkeyPatch.context() as patch, served(patch, now, BATCH_CAP=str(CAP)):
        patch.setattr(run_routes, "read_page", lambda _url: Page("A page's title", "Its text."))
        yield new


def answered(property_: str, answer: tuple[int, Any]) -> None:
    """Success, or an error as the document has it; never a fault."""
    status, body = answer
    assert status < 500, body
    tally[property_, "accepted" if status < 400 else "refused"] += 1
    if status >= 400:
        assert set(body) == {"code", "message", "problems"}
        is_sentence(body["message"])
        for problem in body["problems"]:
            is_sentence(problem["message"])


@pytest.mark.parametrize("path", ["/batches", "/thumbnails"])
@fuzz(200, data=st.data())
def test_a_body_of_any_kind(api: Callable[[], ApiGateway], path: str, data: st.DataObject) -> None:
    first = "prompts" if path == "/batches" else "title"
    body = data.draw(nasty.bodies(first))
    key = data.draw(st.none() | nasty.texts)
    one = api()
    headers = {"host": "api.example"} | ({"Idempotency-Key": key} if key else {})
    multi = {name: [value] for name, value in headers.items()}
    answered("HTTP body", one("POST", path, body, headers=headers, multiValueHeaders=multi))
    stays_under(one.store.writes, "runs/once-", "begun/")
    for execution in one.executions.all.values():
        assert execution.task != "generateCampaign"
        assert opened("what HTTP starts", execution.task, execution.name, execution.request, one.store) is not None


@pytest.mark.parametrize("path", ["/batches", "/thumbnails"])
def test_the_bodies_that_were_written_by_hand(api: Callable[[], ApiGateway], path: str) -> None:
    largest = b"[[" + b"1," * 32_000 + b"1]]", b"{" + b",".join(b'"%d":1' % n for n in range(6_000)) + b"}"
    same = b'{"title": "A title", "models": [' + b",".join(b'"m%d"' % n for n in range(8_000)) + b"]}"
    for body in (*nasty.BODIES, *(json.dumps(one).encode() for one in nasty.REQUESTS), *largest, same):
        one = api()
        answer = one("POST", path, body)
        answered("HTTP by hand", answer)
        assert answer[0] >= 400
        assert not one.executions.all
    text = api()("POST", path, "half \ud800")
    assert (text[0], text[1]["code"]) == (400, "malformed_json")
    assert api()("POST", path, b"x" * (BODY_BYTES + 1))[0] == 413


def test_a_key_that_is_duplicated_is_named(api: Callable[[], ApiGateway]) -> None:
    body = b'{"prompts": ["A title"], "models": ["gpt-image-1"], "models": ["dall-e-3"]}'
    status, answer = api()("POST", "/batches", body)
    assert (status, answer["code"]) == (400, "malformed_json")
    assert answer["message"] == "the body is not JSON: the key 'models' is duplicated in one object"


def test_a_body_nested_to_any_depth_is_no_fault(api: Callable[[], ApiGateway]) -> None:
    for depth in (10, 49, 60, 500, 700, 800, 900, 950, 990, 1_000, 10_000):
        answer = api()("POST", "/batches", b'{"a":' * depth + b"1" + b"}" * depth)
        answered("HTTP by hand", answer)
        assert answer[0] in (400, 422)


ROUTES = ["GET /runs/{}", "DELETE /runs/{}", "POST /runs/{}/redrive", "GET /runs/{}/archive"]
ROUTES += ["DELETE /images/runs/{}/0-a/dall-e-3.jpg", "GET /images/{}", "GET /{}", "PUT /{}"]


@fuzz(200, route=st.sampled_from(ROUTES), name=NAMES | nasty.texts)
@example(route="DELETE /images/runs/{}/0-a/dall-e-3.jpg", name="..")
def test_a_path_of_any_kind(api: Callable[[], ApiGateway], route: str, name: str) -> None:
    method, _, path = route.partition(" ")
    one = api()
    # What a name that leads elsewhere would find.
    for key in ("runs/../0-a/dall-e-3.jpg", "0-a/dall-e-3.jpg"):
        one.store.put(key, b"", "image/jpeg")
    answered("HTTP path", one(method, path.format(quote(name, safe="", errors="replace"))))
    # That there is nothing from before the index of runs is noted by the first listing.
    written = [key for key in one.store.writes if key != INDEXED]
    assert len(written) == len(one.store.objects.keys() - {INDEXED}) == 2


@fuzz(100, name=st.sampled_from(["limit", "cursor", "run_id"]), value=NAMES | nasty.texts)
def test_a_query_of_any_kind(api: Callable[[], ApiGateway], name: str, value: str) -> None:
    query: dict[str, Any] = {"queryStringParameters": {name: value}, "multiValueQueryStringParameters": {name: [value]}}
    path = "/images" if name == "run_id" else "/runs"
    answered("HTTP query", api()("GET", path, **query))
    if name == "cursor":
        answered("HTTP query", api()("GET", "/images", **query))


@fuzz(150, resume=NAMES | nasty.texts)
@example(resume="\ud800")
@example(resume="x" * 5_000)
def test_a_run_that_was_refused_for_what_it_resumes_is_shown(api: Callable[[], ApiGateway], resume: str) -> None:
    one = api()
    one.executions.start("generateBatch", "refused", {"resume": resume})
    one.executions.end("refused", status="FAILED", error="InvalidBatch", cause="resume must be the id of a run")
    status, run = one("GET", "/runs/refused")
    answered("refused runs over HTTP", (status, run))
    stays_under([f"runs/{run['run_id']}/x"], "runs/")


PLACES = nasty.values | st.integers(-1, 60) | st.sampled_from([10**6, 10**1100, True, "3", 1.0])


@fuzz(
    400,
    cell=st.fixed_dictionaries(
        {"title": nasty.titles, "model": st.sampled_from([*MODELS, "../x"])},
        optional={
            "run_id": NAMES | st.just("run-1"),
            "execution": NAMES | nasty.values,
            "row": PLACES,
            "column": PLACES,
            "font": st.sampled_from(sorted(FONTS)),
        },
    )
    | nasty.values,
)
@example(cell={"title": "A title", "model": GPT, "run_id": ".."})
@example(cell={"title": "A title", "model": GPT, "run_id": "."})
@example(cell={"title": "A title", "model": GPT, "row": 10**1100})
@example(cell={"title": "A title", "model": GPT, "execution": "\ud800"})
@example(cell={"title": "A title", "model": GPT, "execution": "x" * 3_000})
def test_a_cell_of_any_kind(cell: object) -> None:
    try:
        parsed = parse_cell(cell, run_id="request-1")
    except InvalidBatch as refusal:
        refusal_is_clear("cell", refusal)
        return
    tally["cell", "accepted"] += 1
    own = (parsed.run_id, parsed.row)
    stays_under([image_key(*own, parsed.title, parsed.model)], f"runs/{parsed.run_id}/{parsed.row}-")
    stays_under([original_key("d", *own, parsed.column)], f"originals/d/{parsed.run_id}/")
    assert image_key(*own, parsed.title, parsed.model).count("/") == 3
    assert len(quote(parsed.execution)) < 300


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (192, 108), "teal").save(buffer, "JPEG")
    return buffer.getvalue()


PICTURE = picture()


def is_made(property_: str, title: str, template: str, font: str) -> None:
    """A cell from its event to its objects."""
    event = {"title": title, "model": GPT, "template": template, "font": font, "run_id": "run-1", "row": 3}
    try:
        cell = parse_cell(event, run_id="unused")
    except InvalidBatch as refusal:
        refusal_is_clear(property_, refusal)
        return
    tally[property_, "accepted"] += 1
    store = MemoryStore()
    started = time.process_time()
    made = make_thumbnail(cell, store, lambda _order, _prompt: Answer((PICTURE,)))
    # CPU time of this process alone; a tenth of it is usual.
    assert time.process_time() - started < 5
    stays_under(store.writes, "originals/", "runs/run-1/3-", "spent/")
    assert len(store.writes) == 3
    with Image.open(io.BytesIO(store.objects[made.key].body)) as finished:
        assert (finished.format, finished.size) == ("JPEG", (1200, 630))
        finished.load()
    # What S3 takes with an object, names and all.
    for stored in store.objects.values():
        assert sum(len(name) + len(quote(value)) for name, value in stored.metadata.items()) < 2_000
    json.dumps(made.as_json())


@fuzz(40, title=nasty.titles, template=st.sampled_from(sorted(TEMPLATES)), font=st.sampled_from(sorted(FONTS)))
def test_any_title_becomes_a_picture(title: str, template: str, font: str) -> None:
    is_made("whole cell", title, template, font)


@pytest.mark.parametrize("number", range(len(nasty.STRINGS)))
def test_the_titles_that_were_written_by_hand(number: int) -> None:
    is_made("whole cell by hand", nasty.STRINGS[number], sorted(TEMPLATES)[number % len(TEMPLATES)], "inter")


@pytest.fixture(scope="module")
def thumbs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., tuple[int, str]]]:
    """The command as a person runs it, with no stack: exit status, and what it says on standard error."""
    home = tmp_path_factory.mktemp("home")

    def run(*arguments: str, typed: bytes = b"") -> tuple[int, str]:
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stderr(said), redirect_stdout(io.StringIO()):
            patch.delenv("AWS_ENDPOINT_URL", raising=False)
            patch.setenv("THUMBS_HOME", str(home))
            patch.setattr(sys, "argv", ["thumbs", *arguments])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed)))
            with pytest.raises(SystemExit) as ended:
                cli.main()
        return int(ended.value.code or 0), said.getvalue()

    yield run


def is_refused(property_: str, done: tuple[int, str]) -> str:
    """Exit status 1 or 2, and one line that says why."""
    status, said = done
    tally[property_, "refused"] += 1
    assert status in (1, 2)
    assert said.startswith("✗ ") and said.endswith("\n")
    is_sentence(said[:-1])
    return said[2:-1]


NO_STACK = "the stack is not running: start it with `thumbs up`, or set AWS_ENDPOINT_URL= (empty) to use AWS"


@fuzz(150, body=nasty.bodies("prompts"), task=st.sampled_from([*TASKS, "generateThumbnail"]))
def test_the_command_with_any_file(
    thumbs: Callable[..., tuple[int, str]], tmp_path_factory: pytest.TempPathFactory, body: bytes, task: Task
) -> None:
    said = is_refused("thumbs start", thumbs("start", task, "--input-file", "-", typed=body))
    try:
        read_json(body)
    except NotJson as problem:
        # What does not even begin as JSON may be told by its kind.
        assert said == f"- is not JSON: {problem}" or said.startswith("-: ")
    else:
        assert said == NO_STACK


@pytest.mark.parametrize("body", nasty.BODIES)
def test_the_command_with_no_json(thumbs: Callable[..., tuple[int, str]], tmp_path: Path, body: bytes) -> None:
    file = tmp_path / "batch.json"
    file.write_bytes(body)
    line = is_refused("thumbs start", thumbs("start", "generateBatch", "--input-file", str(file)))
    assert line.startswith(
        (f"{file} is not JSON: ", f"{file}: line 1 is not UTF-8, ", f"{file}: the file is a workbook")
    )
    if b"\x00" not in body:
        typed = thumbs("start", "generateBatch", "--input", os.fsdecode(body))
        assert is_refused("thumbs start", typed).startswith("--input is not JSON: ")


@pytest.mark.parametrize("command", [["start", "generateBatch", "--input-file"], ["drop"]])
def test_the_command_with_files_that_cannot_be_read(
    thumbs: Callable[..., tuple[int, str]], tmp_path: Path, command: list[str]
) -> None:
    large = tmp_path / "large.json"
    large.write_bytes(b"[" + b" " * nasty.MEGABYTES_10 + b"]")
    said = is_refused("thumbs start and drop", thumbs(*command, str(large)))
    assert said == f"{large} is larger than {REQUEST_BYTES} bytes: no request is"
    endless = is_refused("thumbs start and drop", thumbs(*command, "/dev/zero"))
    assert endless.startswith("/dev/zero is larger than")
    for name in (str(tmp_path), "/nowhere", "x" * 5_000, "line\nbreak", "half\udcff"):
        assert "cannot be read" in is_refused("thumbs start and drop", thumbs(*command, name))


@pytest.mark.parametrize("task", [*TASKS, "generateThumbnail"])
def test_the_command_sends_no_more_than_an_execution_takes(
    thumbs: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    monkeypatch.setattr(Application, "from_environment", lambda: Application("http://localhost:1"))
    said = is_refused("thumbs start", thumbs("start", task, "--input", f'["{"x" * INPUT_BYTES}"]'))
    assert said == f"the request has {INPUT_BYTES + 4} bytes; an execution takes at most {INPUT_BYTES}"


@pytest.mark.parametrize("name", ["..", ".hidden", "a/b", "läuft", "x" * 81, "line\nbreak", "half\udcff"])
def test_the_command_with_a_name_that_no_run_can_have(
    thumbs: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(Application, "from_environment", lambda: Application("http://localhost:1"))
    said = is_refused("thumbs start", thumbs("start", "generateBatch", "--name", name, "--input", "[]"))
    assert said.startswith("a run cannot be called '")


@pytest.mark.parametrize("name", ["line\nbreak.json", "half\udcff.json", "bell\x07"])
def test_a_dropped_file_whose_name_no_bucket_takes(
    thumbs: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setattr(Application, "from_environment", lambda: Application("http://localhost:1"))
    (tmp_path / name).write_bytes(b"[]")
    said = is_refused("thumbs drop", thumbs("drop", str(tmp_path / name)))
    assert said.endswith(" cannot be the name of an object: give the file a shorter, plainer name")


@pytest.mark.parametrize("title", [one for one in nasty.STRINGS if "\x00" not in one and not one.startswith("-")])
def test_a_preview_of_any_title(
    thumbs: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, title: str
) -> None:
    # The picture below is the offline image API's, and slow to draw: the titles are what is looked at.
    monkeypatch.setattr("thumbs.cli.preview.preview_sheet", lambda *_: b"sheet")
    sheet = tmp_path / "sheet.jpg"
    try:
        is_fine = bool(open_run("generateBatch", "r", [[title], [GPT]], MemoryStore(), CAP))
    except InvalidBatch:
        is_fine = False
    if not is_fine:
        is_refused("thumbs preview", thumbs("preview", title, "--output", str(sheet)))
        assert not sheet.exists()


def test_a_manifest_is_not_lost_for_a_wild_title() -> None:
    store = MemoryStore()
    title = "\u202e" + "".join(map(chr, range(0x12000, 0x12000 + 190)))
    open_run("generateBatch", "run-1", [[title], [GPT]], store, CAP)
    cell = make_thumbnail(
        parse_cell({"title": title, "model": GPT, "run_id": "run-1"}, run_id=""), store, lambda *_: Answer((PICTURE,))
    )
    assert collect_run("generateBatch", "run-1", "run-1", [cell.as_json()], store)["images"]["succeeded"] == 1
    stays_under(store.writes, "runs/run-1/", "originals/", "gallery/", "begun/", "spent/")


def test_storage_that_fails_is_no_refusal() -> None:
    """The properties above can tell the two apart."""
    store = MemoryStore()
    store.unwritable["request.json"] = StorageUnavailable("S3 could not put")
    with pytest.raises(StorageUnavailable):
        opened("-", "generateBatch", "run-1", [["A title"], [GPT]], store)
