"""Bad input by every way in, against the deployed stack: a correct run or a refusal, nothing paid for the refused.

What is generated is the same every time. ``tests/unit/test_fuzz.py`` tries far more of it, without a stack.
"""

# hypothesis is not followed by mypy.
# mypy: disable-error-code="untyped-decorator"

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

from tests import nasty
from tests.integration.application import GPT, Application, FinishedRun
from tests.integration.http_api import HttpApi
from tests.integration.test_events import ask, drop, run_named
from tests.unit.memory_store import MemoryStore
from thumbnails.errors import InvalidBatch
from thumbnails.requests.checks import parse_cell
from thumbnails.requests.models import Task
from thumbnails.runs.naming import RUN_ID
from thumbnails.runs.open import open_run
from thumbnails.strict_json import NotJson, read_json
from thumbs.cli.application import Application as Command

CAP = 50
# The same properties hold of the domain, by the thousand, in unit/test_fuzz.py.
pytestmark = pytest.mark.nightly
TASKS: tuple[Task, ...] = ("generateBatch", "generateThumbnails")
#: Everything that the application ever writes, and what writers drop.
KNOWN = re.compile(
    rf"runs/{RUN_ID.strip('^$')}/(request\.json|manifest\.json|claim\.json|archive\.zip|\d+-[a-z0-9-]+/[a-z0-9.-]+\.jpg)"
    rf"|originals/[0-9a-f]{{64}}/{RUN_ID.strip('^$')}/\d+-\d+|rejected/[A-Za-z0-9_.-]+/[^/\\]+"
    rf"|gallery/\d{{13}}/{RUN_ID.strip('^$')}|spent/.*|(inbox|scheduled)/.*",
    re.DOTALL,
)


def drawn(strategy: SearchStrategy[Any], count: int) -> list[Any]:
    """Examples of a strategy, the same every time."""
    found: list[Any] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


def images_of(task: Task, request: object) -> int:
    """How many images a request is worth; none where it is refused."""
    try:
        _, run = open_run(task, "run-1", request, MemoryStore(), CAP)
    except InvalidBatch:
        return 0
    return len(run.titles) * len(run.models)


def as_json(values: list[Any]) -> list[Any]:
    """Those that JSON can carry."""
    found = []
    for value in values:
        try:
            found.append(read_json(json.dumps(value).encode()))
        except NotJson:
            continue
    return found


def is_sentence(message: str) -> None:
    # An execution names every problem of its request.
    assert 0 < len(message) <= 1013
    assert message.isprintable()
    assert "Traceback" not in message and 'File "' not in message


def is_right(done: FinishedRun, images: int) -> None:
    """What is worth images has them all; what is not was refused."""
    if images:
        assert (done.status, done.cause) == ("SUCCEEDED", "")
        assert done.output["images"]["succeeded"] == images
    else:
        assert (done.status, done.error) == ("FAILED", "InvalidBatch"), done.cause
        is_sentence(done.cause)


@pytest.fixture
def bucket_is_tidy(app: Application) -> Callable[[], None]:
    before = set(app.keys(""))

    def check() -> None:
        stray = [key for key in app.keys("") if key not in before and not KNOWN.fullmatch(key)]
        assert stray == []

    return check


@pytest.mark.parametrize("task", TASKS)
def test_executions(app: Application, bucket_is_tidy: Callable[[], None], task: Task) -> None:
    first = "prompts" if task == "generateBatch" else "title"
    every = [*nasty.REQUESTS, *as_json(drawn(nasty.asked(first), 8))]
    started = [(app.start(task, request), images_of(task, request)) for request in every]
    for arn, images in started:
        is_right(app.wait(arn), images)
    assert app.image_api.calls()["paid"] == sum(images for _, images in started)
    bucket_is_tidy()


@pytest.mark.parametrize("name", [".", "..", ".hidden"])
def test_an_execution_whose_name_leads_elsewhere(
    app: Application, bucket_is_tidy: Callable[[], None], name: str
) -> None:
    is_right(app.run("generateBatch", [["A title"], [GPT]], name), 0)
    assert app.image_api.calls()["requests"] == 0
    bucket_is_tidy()


@pytest.mark.parametrize("path", ["/batches", "/thumbnails"])
def test_bodies(app: Application, bucket_is_tidy: Callable[[], None], path: str) -> None:
    url = Command(app.stack.endpoint).api_url
    first = "prompts" if path == "/batches" else "title"
    by_hand = [json.dumps(request).encode() for request in nasty.REQUESTS]
    every = [*nasty.BODIES, *by_hand, b"x" * 1_000_000, *drawn(nasty.bodies(first), 16)]

    def post(body: bytes) -> tuple[int, Any]:
        return HttpApi(url)("POST", path, body)

    with ThreadPoolExecutor(4) as posts:
        answers = list(posts.map(post, every))
    runs = []
    for status, answer in answers:
        assert status < 500, answer
        if status == 202:
            runs.append(HttpApi(url).ended(answer["run_id"]))
        else:
            assert 400 <= status < 500
            is_sentence(answer["message"])
    for run in runs:
        assert (run["status"], run["counts"]["succeeded"]) == ("SUCCEEDED", run["counts"]["total"])
    assert app.image_api.calls()["paid"] == sum(run["counts"]["total"] for run in runs)
    bucket_is_tidy()


def test_files_of_the_inbox(app: Application, bucket_is_tidy: Callable[[], None]) -> None:
    names = ("reason.txt", "a/b/../..", "%2e%2e", "x" * 1018, "line\nbreak", "日本語" * 30, "🚀.json", "back\\slash")
    bodies = [*nasty.BODIES[:16], b'"' + b"x" * nasty.MEGABYTES_10 + b'"']
    dropped = [drop(app, names[number % len(names)], body) for number, body in enumerate(bodies)]
    for name, body in zip(dropped, bodies, strict=True):
        is_right(app.wait(run_named(app, name)), 0)
        kept = [key for key in app.keys(f"rejected/{name}/") if not key.endswith("/reason.txt")]
        assert [app.read(key) for key in kept] == [body]
        is_sentence(app.read(f"rejected/{name}/reason.txt").decode().removesuffix("\n"))
    assert app.image_api.calls()["requests"] == 0
    bucket_is_tidy()


def test_events_of_the_bus(app: Application, bucket_is_tidy: Callable[[], None]) -> None:
    # An event is an object, and LocalStack's rules take seconds over the largest.
    by_hand = [one for one in nasty.REQUESTS if isinstance(one, dict) and len(json.dumps(one)) < 60_000]
    every = by_hand + as_json(drawn(nasty.requests("prompts"), 8))
    sent = [(ask(app, request), images_of("generateBatch", request)) for request in every]
    for identity, images in sent:
        is_right(app.wait(run_named(app, f"event-{identity}")), images)
    assert app.image_api.calls()["paid"] == sum(images for _, images in sent)
    bucket_is_tidy()


def test_cells(app: Application, bucket_is_tidy: Callable[[], None]) -> None:
    good = {"title": "A title", "model": GPT}
    every: list[Any] = [{**good, "title": text} for text in nasty.STRINGS if len(text) < 1_000]
    every += [*nasty.REQUESTS, *as_json(drawn(nasty.values, 10))]
    places: list[dict[str, Any]] = [
        {"run_id": ".."},
        {"run_id": "a/b"},
        {"row": -1},
        {"row": 10**30},
        {"column": 1.5},
        {"execution": "/"},
    ]
    every += [{**good, **place} for place in places]
    paid = 0
    for event in every:
        answer = app.invoke("generateThumbnail", event)
        try:
            parse_cell(event, run_id="r")
        except InvalidBatch:
            assert answer.function_error and answer.payload["errorType"] == "InvalidBatch", answer.payload
            is_sentence(answer.payload["errorMessage"])
        else:
            assert not answer.function_error, answer.payload
            paid += 1
    assert app.image_api.calls()["paid"] == paid
    bucket_is_tidy()
