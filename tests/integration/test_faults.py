"""What can go wrong in a batch, one row a fault: every other cell is finished and in its place, every failed cell is
named with its reason, nothing is paid twice, and a redrive pays for what is missing alone.

``make test-faults`` runs all rows and prints them as a table.
"""

import io
import json
import queue
import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psutil
import pytest
from PIL import Image

from tests.integration.application import (
    BUCKET,
    DALLE,
    GEMINI,
    GPT,
    GPT2,
    RUN_SECONDS,
    Application,
    FinishedRun,
    deployed_name,
    opened,
    wait_for,
)
from tests.integration.conftest import PROVIDER_SECONDS
from tests.integration.fault_proxy import Effect, FaultProxy, Rule
from tests.integration.test_events import run_named
from thumbnails.runs.failures import BILLED
from thumbs.stack.deploy import REGION

#: Rows that are tried at the same time are told apart by their titles.
TITLES = [[f"{place} of {colour}" for place in ("First", "Second", "Third")] for colour in ("red", "green", "blue")]
MODELS = [GPT, GEMINI]
CELLS = [(row, column) for row in range(3) for column in range(len(MODELS))]
#: The cells that most faults strike: one title, by both providers; or one model; or one cell.
ROW = [(1, 0), (1, 1)]
COLUMN = [(0, 0), (1, 0), (2, 0)]
CELL = [(1, 0)]
#: Objects of a run, all of its second title.
ORIGINAL = r"/[^/]+/originals/[^/]+/RUN/1-\d"
FINISHED = r"/[^/]+/runs/RUN/1-[^/]+/[^/]+\.jpg"

Cell = tuple[int, int]


@dataclass(frozen=True)
class Scene:
    """Where a fault is set: the application, the proxy between its functions and S3, and a batch of three titles."""

    app: Application
    s3: FaultProxy
    titles: list[str]
    run_id: str = ""

    @property
    def request(self) -> dict[str, Any]:
        """The batch."""
        return {"prompts": self.titles, "models": MODELS}


Strike = Callable[[Scene], AbstractContextManager[None]]
Run = Callable[[Scene], FinishedRun]


@dataclass(frozen=True)
class Fault:
    """A row of the table: a fault, how it is set, and what becomes of a batch of three titles by two models.

    Attributes:
        strike: sets the fault, and takes it back.
        struck: the cells that it strikes.
        error: how their failures are called; empty where they recover.
        message: what their failures' messages hold.
        requests: how many calls each of them makes; None where that is chance.
        paid: how many of these a provider would bill.
        owed: how many a redrive pays for each.
        run: how the batch is made.
        status: how its execution ends, and with which error.
        as_drawn: whether the struck cells' pictures are those of a batch without a fault.
        alone: whether it is felt by other batches too, which none may be under way then.
    """

    name: str
    strike: Strike
    struck: list[Cell]
    error: str = ""
    message: str = ""
    requests: int | None = 1
    paid: int = 1
    owed: int = 0
    run: Run = lambda scene: scene.app.run("generateBatch", scene.request, scene.run_id)
    status: tuple[str, str] = ("SUCCEEDED", "")
    as_drawn: bool = True
    alone: bool = False


# How a fault is set.


@contextmanager
def nothing(_scene: Scene) -> Iterator[None]:
    """No fault in any part: the row is about how the batch is started or ended."""
    yield


def provider(fault: str, **setting: Any) -> Strike:
    """A fault of both providers, for the second title."""

    @contextmanager
    def strike(scene: Scene) -> Iterator[None]:
        number = scene.app.image_api.add_fault(fault, prompt_contains=f'"{scene.titles[1]}"', **setting)
        try:
            yield
        finally:
            scene.app.image_api.remove_fault(number)

    return strike


def s3(effect: Effect, method: str, path: str, times: int | None = None, seconds: float = 0.0) -> Strike:
    """A fault between the functions and S3; ``times`` of each object."""

    @contextmanager
    def strike(scene: Scene) -> Iterator[None]:
        rule = Rule(effect, method, path.replace("RUN", re.escape(scene.run_id)), times, seconds=seconds)
        with scene.s3.striking(rule):
            yield
        assert rule.struck, "nothing was struck"
        assert times is None or set(rule.struck.values()) == {times}

    return strike


def configured(timeout: int | None = None, **variables: str) -> Strike:
    """Another configuration of the function that makes an image."""
    return lambda scene: scene.app.configured("generateThumbnail", timeout, **variables)


@contextmanager
def refused_connection(scene: Scene) -> Iterator[None]:
    """OpenAI's port is closed: it is bound, so that nobody else may have it, and nothing listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        with scene.app.configured("generateThumbnail", OPENAI_BASE_URL=url):
            yield


@contextmanager
def killed_while_the_provider_works(scene: Scene) -> Iterator[None]:
    """The process is killed when the provider has made the picture and before it has sent it."""
    app = scene.app
    with FaultProxy(app.stack.image_api_url or "", lambda port: kill(app, port)) as proxy:
        proxy.rules.append(Rule("kill_after", "POST", "/v1/images/generations", body=scene.titles[1].encode()))
        with app.configured("generateThumbnail", OPENAI_BASE_URL=f"{proxy.url}/v1"):
            yield


@contextmanager
def hanging_longer_than_the_function(scene: Scene) -> Iterator[None]:
    """The provider hangs, and the function's time is over before the provider's."""
    with provider("hang")(scene), scene.app.configured("generateThumbnail", timeout=int(PROVIDER_SECONDS) - 2):
        yield


@contextmanager
def reserved(scene: Scene, executions: int) -> Iterator[None]:
    """Lambda runs so many of the function at once and turns the others away."""
    name = deployed_name("generateThumbnail")
    scene.app.functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=executions)
    try:
        yield
    finally:
        scene.app.functions.delete_function_concurrency(FunctionName=name)


def kill(app: Application, port: int) -> None:
    """SIGKILL the one process of the stack that holds this local port of a connection."""
    localstack = app.stack.service("localstack")
    assert localstack
    assert localstack.process
    for process in localstack.process.children(recursive=True):
        try:
            holds = any(connection.laddr.port == port for connection in process.net_connections("tcp"))
        except psutil.Error:
            continue  # It has ended meanwhile: other rows kill too.
        if holds:
            process.kill()
            return
    raise AssertionError(f"no process of the stack holds port {port}")


# How a batch is made, where that is what the row is about.


def started_twice(scene: Scene) -> FinishedRun:
    """The same start while it runs, and again when it has ended."""
    first, second = (scene.app.start("generateBatch", scene.request, scene.run_id) for _ in range(2))
    assert first == second
    done = scene.app.wait(first)
    with pytest.raises(scene.app.states.exceptions.ExecutionAlreadyExists):
        scene.app.start("generateBatch", {**scene.request, "style": "neon"}, scene.run_id)
    return done


def throttled(scene: Scene) -> FinishedRun:
    """A batch of which Lambda has turned calls away."""
    done = scene.app.run("generateBatch", scene.request, scene.run_id)
    history = scene.app.states.get_execution_history(executionArn=done.arn, maxResults=1000)["events"]
    errors = [event["taskFailedEventDetails"]["error"] for event in history if event["type"] == "TaskFailed"]
    assert "Lambda.TooManyRequestsException" in errors
    return done


def freed(scene: Scene) -> FinishedRun:
    """A batch that has room only after every cell was turned away."""
    arn = scene.app.start("generateBatch", scene.request, scene.run_id)

    def all_turned_away() -> bool | None:
        history = scene.app.states.get_execution_history(executionArn=arn, maxResults=1000)["events"]
        return True if sum(event["type"] == "TaskFailed" for event in history) >= len(CELLS) else None

    wait_for("every cell turned away", all_turned_away, RUN_SECONDS)
    scene.app.functions.delete_function_concurrency(FunctionName=deployed_name("generateThumbnail"))
    return scene.app.wait(arn)


def delivered_thrice(scene: Scene) -> FinishedRun:
    """A file of the inbox whose event S3 delivers, and which is delivered twice more while its run is under way."""
    app = scene.app
    version = app.s3.put_object(Bucket=BUCKET, Key="inbox/thrice.json", Body=json.dumps(scene.request))["VersionId"]
    item = {"key": "inbox/thrice.json", "version-id": version}
    envelope = {"version": "0", "source": "aws.s3", "account": "000000000000", "time": "2026-01-01T00:00:00Z"}
    detail = {"bucket": {"name": BUCKET}, "object": item}
    event = {**envelope, "region": REGION, "resources": [], "detail-type": "Object Created", "detail": detail}
    arn = run_named(app, f"inbox-{version}")
    for delivery in ("two", "three"):
        assert app.invoke("startBatch", {**event, "id": delivery}).payload["started"] is False
    return app.wait(arn)


def stopped(scene: Scene) -> FinishedRun:
    """Stopped when every call has come in and every cell that is not struck is there."""
    app = scene.app
    app.image_api.clear_calls()
    arn = app.start("generateBatch", scene.request, scene.run_id)

    def midway() -> bool | None:
        there = len(finished_keys(app, scene.run_id)) == len(CELLS) - len(ROW)
        return True if there and app.image_api.calls()["requests"] >= len(CELLS) else None

    wait_for("the middle of the batch", midway, RUN_SECONDS)
    app.states.stop_execution(executionArn=arn)
    return app.wait(arn)


UNAVAILABLE = "StorageUnavailable"
EXITED, KILLED = "Runtime.ExitError", "the function's process ended before it could answer"
UNUSABLE, UNOPENED = "UnusableAnswer", "UnusablePicture"
REQUEST_FILE, MANIFEST = r"/[^/]+/runs/RUN/request\.json", r"/[^/]+/runs/RUN/manifest\.json"
FIRST, FIRST_TWO = {"times_each": 1}, {"times_each": 2}

FAULTS = [
    Fault("no fault", nothing, []),
    # The provider, for a while.
    Fault("429 twice", provider("rate_limit", **FIRST_TWO), ROW, requests=3),
    Fault("429 with Retry-After", provider("rate_limit", **FIRST, retry_after=1), ROW, requests=2),
    Fault("429 by pace", provider("rate_limit", pace=1, per=2), ROW, requests=None),
    Fault("500", provider("server_error", **FIRST), ROW, requests=2),
    Fault("503", provider("unavailable", **FIRST), ROW, requests=2),
    Fault("reset in mid-body", provider("reset", **FIRST), ROW, requests=2, paid=2),
    Fault("hang past the timeout", provider("hang", **FIRST), ROW, requests=2, paid=2),
    # The provider, for good.
    Fault(
        "429 for good",
        provider("rate_limit"),
        ROW,
        "ProviderRateLimited",
        "has too many requests",
        requests=3,
        paid=0,
        owed=1,
    ),
    Fault(
        "hang for good",
        provider("hang"),
        ROW,
        "ProviderTimeout",
        f"did not answer within {PROVIDER_SECONDS} s",
        requests=3,
        paid=3,
        owed=1,
    ),
    Fault(
        "connection refused",
        refused_connection,
        COLUMN,
        "ProviderUnreachable",
        "no connection to OpenAI for",
        requests=0,
        paid=0,
        owed=1,
        alone=True,
    ),
    Fault("refusal by policy", provider("refusal"), ROW, "PictureRefused", "refuses this picture", paid=0, owed=1),
    Fault(
        "key missing",
        configured(OPENAI_API_KEY=""),
        COLUMN,
        "ProviderMisconfigured",
        "needs a key and there is none: set OPENAI_API_KEY",
        requests=0,
        paid=0,
        owed=1,
        alone=True,
    ),
    Fault("key rejected", provider("key_rejected"), ROW, "ProviderMisconfigured", "provider rejects", paid=0, owed=1),
    Fault("model not open", provider("forbidden"), ROW, "ProviderMisconfigured", "HTTP 403", paid=0, owed=1),
    Fault("quota used up", provider("insufficient_quota", model=GPT), CELL, "ProviderMisconfigured", "quota", 1, 0, 1),
    # Answers that are none.
    Fault("a page in place of JSON", provider("not_json"), ROW, UNUSABLE, "answered", paid=0, owed=1),
    Fault("broken JSON", provider("broken_json"), ROW, UNUSABLE, "not JSON", owed=1),
    *(
        Fault(f"200 without a picture ({kind})", provider("no_picture", variant=kind), ROW, UNUSABLE, paid=0, owed=1)
        for kind in ("empty", "null")
    ),
    # What Gemini says in place of a picture is a refusal.
    Fault(
        "200 without a picture (text)",
        provider("no_picture", variant="text", model=GPT),
        CELL,
        UNUSABLE,
        paid=0,
        owed=1,
    ),
    Fault("truncated picture", provider("truncated_picture"), ROW, UNOPENED, "picture", owed=1),
    Fault("bytes that are no picture", provider("not_a_picture"), ROW, UNOPENED, "picture", owed=1),
    Fault("60-megapixel picture", provider("huge_picture"), ROW, UNOPENED, "picture", owed=1),
    *(
        Fault(f"picture in an odd mode ({mode})", provider("odd_mode", variant=mode), ROW, as_drawn=False)
        for mode in ("cmyk", "palette", "16bit", "alpha", "gray", "gray_alpha", "one_bit")
    ),
    # The function.
    Fault("killed while the provider works", killed_while_the_provider_works, CELL, EXITED, KILLED, owed=1, alone=True),
    Fault("killed after the original is stored", s3("kill_after", "PUT", ORIGINAL), ROW, EXITED, KILLED),
    Fault("killed before the image is uploaded", s3("kill_before", "PUT", FINISHED), ROW, EXITED, KILLED),
    # It is in the bucket, and whoever collects finds it there.
    Fault("killed after the image is uploaded", s3("kill_after", "PUT", FINISHED), ROW),
    Fault(
        "function out of time",
        hanging_longer_than_the_function,
        ROW,
        "Sandbox.Timedout",
        "the image took longer than the function may run",
        owed=1,
        alone=True,
    ),
    Fault("Lambda runs two at once", lambda scene: reserved(scene, 2), [], run=throttled, alone=True),
    Fault("Lambda runs none for a while", lambda scene: reserved(scene, 0), [], run=freed, alone=True),
    # S3. Its client tries three times, and the state machine three times that.
    Fault("S3 503 at the look, twice", s3("slow_down", "HEAD", FINISHED, 2), ROW),
    Fault("S3 503 at the look, for good", s3("slow_down", "HEAD", FINISHED), ROW, UNAVAILABLE, "S3", 0, 0, 1),
    Fault("S3 503 at the original, twice", s3("slow_down", "PUT", ORIGINAL, 2), ROW),
    Fault("S3 503 at the original, a whole try", s3("slow_down", "PUT", ORIGINAL, 3), ROW, requests=2, paid=2),
    Fault("S3 503 at the original, for good", s3("slow_down", "PUT", ORIGINAL), ROW, UNAVAILABLE, "SlowDown", 3, 3, 1),
    Fault("S3 503 at the image, a whole try", s3("slow_down", "PUT", FINISHED, 3), ROW),
    Fault("S3 503 at the image, for good", s3("slow_down", "PUT", FINISHED), ROW, UNAVAILABLE, "SlowDown"),
    Fault("S3 cuts the original off", s3("cut_before", "PUT", ORIGINAL, 2), ROW),
    Fault("S3 stores the original, its answer is lost", s3("cut_after", "PUT", ORIGINAL, 2), ROW),
    Fault("S3 stores the image, its answer is lost", s3("cut_after", "PUT", FINISHED, 3), ROW),
    Fault("S3 takes 2 s for the original", s3("delay", "PUT", ORIGINAL, seconds=2), ROW),
    Fault("S3 takes longer than its client waits", s3("delay", "PUT", ORIGINAL, 1, seconds=25), ROW),
    Fault("S3 503 at the request, a whole try", s3("slow_down", "PUT", REQUEST_FILE, 3), []),
    Fault("S3 503 at the manifest, a whole try", s3("slow_down", "PUT", MANIFEST, 3), []),
    Fault(
        "S3 503 at the manifest, for good",
        s3("slow_down", "PUT", MANIFEST),
        [],
        status=("FAILED", UNAVAILABLE),
    ),
    # Starts and stops.
    Fault("started twice under one name", nothing, [], run=started_twice),
    Fault("inbox event delivered three times", nothing, [], run=delivered_thrice),
    Fault(
        "stopped between two tries",
        provider("rate_limit"),
        ROW,
        requests=None,
        paid=0,
        owed=1,
        run=stopped,
        status=("ABORTED", ""),
        alone=True,
    ),
    Fault(
        "stopped while the provider works",
        provider("hang", seconds=3),
        ROW,
        run=stopped,
        status=("ABORTED", ""),
        alone=True,
    ),
]
#: Rows that wait long, for two retries of every struck cell or for a timeout, and rows of which another of their kind
#: and the unit tests have the rest.
NIGHTLY = {
    *("200 without a picture (null)", "200 without a picture (empty)"),
    *(f"picture in an odd mode ({mode})" for mode in ("palette", "16bit", "gray", "gray_alpha", "one_bit")),
    "hang for good",
    "connection refused",
    "S3 503 at the look, for good",
    "S3 503 at the original, for good",
    "S3 503 at the image, for good",
    "S3 takes longer than its client waits",
    "S3 503 at the manifest, for good",
}


@dataclass(frozen=True)
class Outcome:
    """What became of a batch under a fault, and of its redrive: how each ended, and the calls of its cells."""

    done: FinishedRun
    there: list[str]
    result: Any
    calls: dict[Cell, tuple[int, int]]
    again: FinishedRun
    calls_again: dict[Cell, tuple[int, int]]


@pytest.fixture(scope="module")
def scenes(deployed: Application) -> Iterator[list[Scene]]:
    """The application with a proxy between its functions and S3, and a batch for each of those that run together."""
    functions = ("validateBatch", "generateThumbnail", "collectBatch")
    deployed.image_api.reset()
    with ExitStack() as stack:
        proxy = stack.enter_context(FaultProxy(deployed.stack.endpoint, lambda port: kill(deployed, port)))
        for name in functions:
            stack.enter_context(deployed.configured(name, AWS_ENDPOINT_URL=proxy.url))
        yield [Scene(deployed, proxy, titles) for titles in TITLES]


@pytest.fixture(scope="module")
def as_drawn(scenes: list[Scene]) -> dict[str, dict[Cell, bytes]]:
    """Every cell's image, by its batch's first title, as a batch without a fault makes it; no two are the same."""
    drawn = {}
    for scene in scenes:
        result = scene.app.succeed("generateBatch", scene.request)
        drawn[scene.titles[0]] = {(row, column): opened(result["results"][row][column]) for row, column in CELLS}
    assert len({image for images in drawn.values() for image in images.values()}) == len(CELLS) * len(TITLES)
    return drawn


@pytest.fixture(scope="module")
def under_way(
    scenes: list[Scene], as_drawn: object, request: pytest.FixtureRequest
) -> Iterator[dict[str, Future[tuple[Scene, Outcome]]]]:
    """The rows of this test run that may be tried together, so many at a time as there are batches."""
    free: queue.SimpleQueue[Scene] = queue.SimpleQueue()
    for scene in scenes:
        free.put(scene)

    def try_next(fault: Fault) -> tuple[Scene, Outcome]:
        scene = free.get()
        try:
            return tried(scene, fault)
        finally:
            free.put(scene)

    collected: list[Any] = request.session.items
    names = [item.callspec.params["fault"].name for item in collected if is_row(item)]
    rows = [fault for fault in FAULTS if fault.name in names and not fault.alone]
    with ThreadPoolExecutor(len(scenes)) as together:
        yield {fault.name: together.submit(try_next, fault) for fault in rows}


def is_row(item: Any) -> bool:
    """Whether a test is a row of the table."""
    return hasattr(item, "callspec") and isinstance(item.callspec.params.get("fault"), Fault)


def tried(place: Scene, fault: Fault) -> tuple[Scene, Outcome]:
    """Make a batch under a fault, and redrive it when the fault is gone."""
    scene = replace(place, run_id=f"struck-{FAULTS.index(fault)}")
    app = scene.app
    before = calls_of(scene)
    with fault.strike(scene):
        if fault.run is stopped:
            before = {}
        done = fault.run(scene)
        if fault.alone:
            wait_for("the last call's end", lambda: None if app.image_api.calls()["in_flight"] else True, RUN_SECONDS)
        after = calls_of(scene)
    there = finished_keys(app, done.name)
    result = done.output or app.manifest(done.name)
    again = app.run("generateBatch", {"resume": done.name})
    outcome = Outcome(done, there, result, since(before, after), again, since(after, calls_of(scene)))
    return replace(scene, run_id=done.name), outcome


def calls_of(scene: Scene) -> dict[Cell, tuple[int, int]]:
    """How many calls came in for a batch's cells so far, and how many were paid."""
    counts = {}
    for call in scene.app.image_api.calls()["by_prompt"]:
        title = call["prompt"].split('titled "', 1)[1].split('"', 1)[0]
        if title in scene.titles:
            counts[scene.titles.index(title), MODELS.index(call["model"])] = call["requests"], call["paid"]
    return counts


def since(before: dict[Cell, tuple[int, int]], after: dict[Cell, tuple[int, int]]) -> dict[Cell, tuple[int, int]]:
    """The calls of the cells that had any between two counts."""
    grown = {}
    for cell, (requests, paid) in after.items():
        had = before.get(cell, (0, 0))
        if (requests, paid) != had:
            grown[cell] = requests - had[0], paid - had[1]
    return grown


def finished_keys(app: Application, run_id: str) -> list[str]:
    """The finished images of a run in the bucket."""
    return [key for key in app.keys(f"runs/{run_id}/") if key.endswith(".jpg")]


def assert_in_place(result: dict[str, Any], cells: list[Cell], images: dict[Cell, bytes]) -> None:
    """These cells' URLs open, and each is the image of its own title and model."""
    for row, column in cells:
        assert (
            f"/{row}-{result['prompts'][row].lower().replace(' ', '-')}/{MODELS[column]}.jpg?"
            in result["results"][row][column]
        )
        assert opened(result["results"][row][column]) == images[row, column]


@pytest.mark.parametrize(
    "fault",
    [pytest.param(row, id=row.name, marks=[pytest.mark.nightly] if row.name in NIGHTLY else []) for row in FAULTS],
)
def test_a_fault_loses_no_other_cell_and_nothing_is_paid_twice(
    scenes: list[Scene],
    as_drawn: dict[str, dict[Cell, bytes]],
    under_way: dict[str, Future[tuple[Scene, Outcome]]],
    fault: Fault,
    record_property: Callable[[str, object], None],
) -> None:
    if fault.alone:
        wait(under_way.values())
        scene, outcome = tried(scenes[0], fault)
    else:
        scene, outcome = under_way[fault.name].result()
    app, run_id, images = scene.app, scene.run_id, as_drawn[scene.titles[0]]
    failed = fault.struck if fault.error else []
    done, there, result, calls = outcome.done, outcome.there, outcome.result, outcome.calls
    again, calls_again = outcome.again, outcome.calls_again

    others = [cell for cell in CELLS if cell not in fault.struck]
    paid, paid_again = (sum(found for _, found in made.values()) for made in (calls, calls_again))
    expected = len(others) + len(fault.struck) * fault.paid
    expected_again = len(fault.struck) * fault.owed
    record_property(
        "fault",
        {
            "fault": fault.name,
            "cells": len(CELLS),
            "succeeded": result["images"]["succeeded"] if result else len(there),
            "failed": len(result["failures"]) if result else "–",
            "paid calls": paid,
            "expected": expected,
            "paid by redrive": paid_again,
            "expected of it": expected_again,
        },
    )

    assert (done.status, done.error) == fault.status
    assert paid == expected
    for cell in CELLS:
        requests, paid_each = calls.get(cell, (0, 0))
        wanted = (fault.requests, fault.paid) if cell in fault.struck else (1, 1)
        assert (requests if wanted[0] is not None else None, paid_each) == wanted
    if result:
        assert [(failure["row"], failure["column"]) for failure in result["failures"]] == failed
        for failure in result["failures"]:
            assert (failure["prompt"], failure["model"]) == (scene.titles[failure["row"]], MODELS[failure["column"]])
            assert failure["error"] == fault.error
            assert fault.message in failure["message"]
            assert failure["message"].strip()
            assert "offline" not in failure["message"], "the key is shown"
            assert "\n" not in failure["message"]
        assert result["images"] == {
            "total": len(CELLS),
            "succeeded": len(CELLS) - len(failed),
            "failed": len(failed),
            # What was stored and not drawn on was paid for too, and a redrive does not owe it.
            "paid_calls": len(CELLS) - len(failed) + (len(failed) if fault.error in BILLED or not fault.owed else 0),
        }
        assert_in_place(result, others, images)
        assert all(result["results"][row][column] is None for row, column in failed)

    assert again.status == "SUCCEEDED", again.cause
    assert paid_again == expected_again
    assert set(calls_again) == (set(fault.struck) if fault.owed else set())
    assert (again.output["run_id"], again.output["failures"]) == (run_id, [])
    assert_in_place(again.output, CELLS if fault.as_drawn else others, images)
    for row, column in fault.struck:
        with Image.open(io.BytesIO(opened(again.output["results"][row][column]))) as picture:
            picture.load()
            assert (picture.format, picture.size) == ("JPEG", (1200, 630))
    assert again.output["images"]["succeeded"] == len(CELLS)
    assert app.manifest(run_id) == again.output


def test_a_run_keeps_its_providers_pace(app: Application) -> None:
    app.image_api.add_fault("rate_limit", pace=4, per=4)
    titles = [f"Title {number}" for number in range(8)]
    arn = app.start("generateBatch", {"prompts": titles, "models": [GPT]})
    done = app.wait(arn)
    assert done.output["images"] == {"total": 8, "succeeded": 8, "failed": 0, "paid_calls": 8}
    (pace,) = app.image_api.faults()
    waits = [answer["wait_seconds"] for answer in app.task_outputs(arn) if "wait_seconds" in answer]
    assert len(waits) == pace["struck"] >= 4
    # Nobody slept in a function, or was tried again by a retrier.
    history = app.states.get_execution_history(executionArn=arn, maxResults=1000)["events"]
    assert sum(event["type"] == "WaitStateEntered" for event in history) == len(waits)
    assert not [event for event in history if event["type"] == "TaskFailed"]


def test_one_failing_model_leaves_the_other_columns_whole(app: Application) -> None:
    app.image_api.add_fault("refusal", model=GPT)
    result = app.succeed("generateBatch", {"prompts": ["First title", "Second title"], "models": [GEMINI, GPT, DALLE]})
    assert [[bool(url) for url in row] for row in result["results"]] == [[True, False, True]] * 2
    assert [(failure["row"], failure["column"], failure["model"]) for failure in result["failures"]] == [
        (0, 1, GPT),
        (1, 1, GPT),
    ]
    assert result["images"] == {"total": 6, "succeeded": 4, "failed": 2, "paid_calls": 4}


def test_one_title_with_a_failing_model_keeps_the_others(app: Application) -> None:
    app.image_api.add_fault("refusal", model=GPT)
    result = app.succeed("generateThumbnails", {"title": "A title", "models": [GPT, DALLE]})
    assert [image["model"] for image in result["results"]] == [DALLE]
    assert [(failure["model"], failure["error"]) for failure in result["failures"]] == [(GPT, "PictureRefused")]


@pytest.mark.parametrize(
    ("task", "request_part"),
    [("generateBatch", {"prompts": ["First title", "Second title"]}), ("generateThumbnails", {"title": "First title"})],
)
def test_a_run_without_an_image_fails_and_says_why_model_by_model(
    app: Application, task: str, request_part: dict[str, Any]
) -> None:
    app.image_api.add_fault("refusal", model=GPT2)
    app.image_api.add_fault("key_rejected", model=GEMINI)
    done = app.run(task, {**request_part, "models": [GPT2, GEMINI]})
    assert (done.status, done.error) == ("FAILED", "AllImagesFailed")
    first, second = done.cause.splitlines()
    assert first.startswith(f"{GPT2}: PictureRefused: ")
    assert second.startswith(f"{GEMINI}: ProviderMisconfigured: ")
    assert second.endswith("(2×)") == (task == "generateBatch")
    manifest = app.manifest(done.name)
    assert manifest["images"]["succeeded"] == 0
    assert {failure["error"] for failure in manifest["failures"]} == {"PictureRefused", "ProviderMisconfigured"}
