"""The command `thumbs`, run as a person runs it, against the deployed stack."""

import base64
import json
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.application import DALLE, GPT, RUN_SECONDS, Application, execution_arn, machine_arn, wait_for
from tests.integration.command import as_a_process, environment, new_name, thumbs
from tests.integration.fault_proxy import Effect, FaultProxy, Rule
from tests.integration.http_api import HttpApi
from tests.integration.machine import THUMBS
from thumbs.stack.processes import PROJECT

REQUEST = {"prompts": ["Typed by a person", "Read by a person"], "models": [GPT, DALLE]}


@pytest.mark.smoke
def test_a_run_ends_with_a_table_and_links_that_open(app: Application, api: HttpApi) -> None:
    example = PROJECT / "examples" / "batch.json"
    request = json.loads(example.read_text())
    done = as_a_process(app, "start", "generateBatch", "--input-file", str(example))
    assert (done.returncode, done.stderr) == (0, "")
    for shown in (*request["prompts"], *request["models"], "6 of 6 images", "(6 paid calls, $", "1.1 ↗", "3.2 ↗"):
        assert shown in done.stdout
    *urls, page = [word for word in done.stdout.split() if word.startswith(app.stack.endpoint)]
    assert len(urls) == 6
    assert page.startswith(f"{api.url}/#/run/")
    for url in urls:
        with urllib.request.urlopen(url) as answer:  # noqa: S310 - it starts with the stack's own address
            assert answer.headers["Content-Type"] == "image/jpeg"


def test_json_is_the_bare_result(app: Application, tmp_path: Path) -> None:
    file = tmp_path / "batch.json"
    file.write_text(json.dumps([REQUEST["prompts"], REQUEST["models"], "sketch"]))
    done = as_a_process(app, "start", "generateBatch", "--input-file", str(file), "--json")
    result = json.loads(done.stdout)
    assert [len(row) for row in result["results"]] == [2, 2]
    assert result["failures"] == []


def test_a_request_may_come_by_standard_input(app: Application) -> None:
    request = json.dumps({"title": "Typed by a person", "model": GPT})
    done = as_a_process(app, "start", "generateThumbnail", "--input-file", "-", "--json", typed=request)
    assert json.loads(done.stdout)["paid_calls"] == 1


def test_a_failed_cell_is_named_and_redrive_makes_it(app: Application) -> None:
    app.image_api.add_fault("refusal", model=DALLE)
    name = new_name()
    done = thumbs(app, "start", "generateBatch", "--name", name, "--input", json.dumps(REQUEST))
    assert done.returncode == 0
    assert "1.2   PictureRefused: dall-e-3 refuses this picture" in done.stdout
    assert f"thumbs redrive {name}" in done.stdout
    app.image_api.clear_faults()
    redriven = thumbs(app, "redrive", name, "--json")
    assert json.loads(redriven.stdout)["images"] == {"total": 4, "succeeded": 4, "failed": 0, "paid_calls": 2}
    assert "nothing to make" in thumbs(app, "redrive", name).stdout


def started(app: Application) -> str:
    """The name of a run that is under way until it is stopped, or its faults are taken back."""
    app.image_api.add_fault("hang")
    name = new_name()
    done = thumbs(app, "start", "generateBatch", "--name", name, "--no-watch", "--json", "--input", json.dumps(REQUEST))
    assert json.loads(done.stdout)["run_id"] == name
    return name


def test_a_run_under_way_is_not_redriven_and_is_listed(app: Application) -> None:
    name = started(app)
    busy = thumbs(app, "redrive", name)
    assert (busy.returncode, busy.stderr) == (1, f"✗ {name} is under way: wait for it, or stop it\n")
    assert name in thumbs(app, "runs").stdout
    assert json.loads(thumbs(app, "runs", "--json").stdout)[0]["run_id"] == name


@pytest.mark.nightly
def test_a_run_is_stopped_and_redriven(app: Application) -> None:
    name = started(app)
    assert f"{name} is stopped" in thumbs(app, "stop", name).stdout
    shown = thumbs(app, "show", name)
    assert (shown.returncode, "is ABORTED" in shown.stderr) == (1, True)
    again = thumbs(app, "stop", name)
    assert (again.returncode, again.stderr) == (1, f"✗ run {name} has ended: ABORTED\n")
    app.image_api.clear_faults()
    result = json.loads(thumbs(app, "redrive", name, "--json").stdout)
    assert (result["run_id"], result["images"]["succeeded"]) == (name, 4)


@contextmanager
def watcher(app: Application, endpoint: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A person who watches a run that does not end, and has seen its first images."""
    app.image_api.add_fault("hang", model=DALLE)
    name = new_name()
    # A shell has what it starts in the background ignore Ctrl-C, and so would the command, if these tests were.
    heeding = ("env", "--default-signal=INT")
    with subprocess.Popen(
        [*heeding, THUMBS, "start", "generateBatch", "--name", name, "--input", json.dumps(REQUEST)],
        env=environment(endpoint),
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert "1/4" in process.stdout.readline()
        yield name, process
    arn = execution_arn(name)
    # On a busy machine the model's tries may have run out by now; nobody has stopped the run.
    status = app.states.describe_execution(executionArn=arn)["status"]
    assert status in ("RUNNING", "SUCCEEDED")
    if status == "RUNNING":
        app.states.stop_execution(executionArn=arn)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_watcher_that_is_ended_says_that_the_run_goes_on(app: Application, number: int, status: int) -> None:
    with watcher(app, app.stack.endpoint) as (name, process):
        process.send_signal(number)
        _, said = process.communicate()
    assert said == f"{name} goes on; `thumbs show {name}` shows it, `thumbs stop {name}` ends it\n"
    assert process.returncode == status


@pytest.mark.parametrize(
    ("effect", "words"), [("cut_before", "broke the connection off"), ("slow_down", "ends, or has no room (503)")]
)
def test_a_watcher_whose_stack_ends_names_it_and_the_run(app: Application, effect: Effect, words: str) -> None:
    with (
        FaultProxy(app.stack.endpoint, lambda _port: None) as proxy,
        watcher(app, proxy.url) as (name, process),
    ):
        proxy.rules.append(Rule(effect, "POST", "/"))
        _, said = process.communicate()
    remedy = "`thumbs status` says what runs here, `thumbs up` starts the stack"
    assert said == f"✗ {name} is out of sight: {proxy.url} {words}: {remedy}\n"
    assert process.returncode == 1


def test_a_run_is_saved_resumed_and_opened(app: Application, tmp_path: Path) -> None:
    app.image_api.add_fault("refusal", model=DALLE, prompt_contains="Read by")
    name, folder = new_name(), tmp_path / "my pictures"
    app.run("generateBatch", REQUEST, name)
    done = thumbs(app, "download", name, str(folder), "--originals")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"3 of 4 images are in {folder}, 3 of them fetched now" in done.stdout
    assert f"1 missing: `thumbs redrive {name}` makes them" in done.stdout
    saved = [f"01-typed-by-a-person-{DALLE}.jpg", f"01-typed-by-a-person-{GPT}.jpg", f"02-read-by-a-person-{GPT}.jpg"]
    assert sorted(path.name for path in folder.iterdir()) == [*saved, "index.html", "manifest.json", "originals"]
    assert sorted(path.name for path in (folder / "originals").iterdir()) == saved
    key = json.loads((folder / "manifest.json").read_text())["results"][0][0]
    assert (folder / key).read_bytes() == app.read(f"runs/{name}/0-typed-by-a-person/{GPT}.jpg")

    app.image_api.clear_faults()
    thumbs(app, "redrive", name, "--json")
    (folder / saved[0]).unlink()
    (folder / saved[1]).write_text("mine")
    again = json.loads(thumbs(app, "download", name, str(folder), "--json").stdout)
    assert [file["file"] for file in again["files"]] == [
        saved[1].replace(".jpg", " (2).jpg"),
        saved[0],
        saved[2],
        f"02-read-by-a-person-{DALLE}.jpg",
    ]
    assert (folder / saved[1]).read_text() == "mine"

    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{seen}"\n')
    browser.chmod(0o755)
    address = (folder / "index.html").as_uri()
    opened = as_a_process(app, "open", name, str(folder), BROWSER=f"{browser} %s")
    assert (opened.returncode, opened.stderr, seen.read_text()) == (0, "", f"{address}\n")
    assert "4 of 4 images" in opened.stdout
    without = thumbs(app, "open", name, str(folder))
    assert without.stdout.endswith(f"{address}\n")
    assert without.stderr == "there is no browser here; this is the page's address:\n"


def test_a_campaign_is_followed_shown_listed_and_redriven(app: Application, tmp_path: Path) -> None:
    file = tmp_path / f"{new_name()}.csv"
    file.write_text("title\nTyped by a person\nRead by a person\n")
    app.image_api.add_fault("refusal", model=DALLE, prompt_contains="Read by")
    done = as_a_process(
        app, "campaign", str(file), "--max-images", "4", "--models", f"{GPT} {DALLE}", "--style", "neon"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 rows: 1 whole, 1 in part, 0 failed" in done.stdout
    assert "3 of 4 images" in done.stdout
    name = done.stdout.rsplit("thumbs redrive ", 1)[1].split("`")[0]
    assert f"campaigns/{name}/manifest.json" in done.stdout
    # Its rows are runs too, and no person started them.
    listed = [run["run_id"] for run in json.loads(thumbs(app, "runs", "--most", "1000", "--json").stdout)]
    assert name in listed
    assert f"{name}-0" not in listed
    assert "PictureRefused" in thumbs(app, "show", name).stdout
    app.image_api.clear_faults()
    redriven = json.loads(thumbs(app, "redrive", name, "--json").stdout)
    assert (redriven["images"]["succeeded"], redriven["images"]["paid_calls"]) == (4, 1)
    assert "nothing to make" in thumbs(app, "redrive", name).stdout


@pytest.mark.nightly
def test_a_campaign_is_stopped_with_its_rows_and_redriven(app: Application, tmp_path: Path) -> None:
    file = tmp_path / f"{new_name()}.csv"
    file.write_text("title\n" + "Typed by a person\n" * 4)
    app.image_api.add_fault("hang")
    budget = ("--max-images", "4", "--models", GPT, "--max-concurrency", "2")
    name = json.loads(thumbs(app, "campaign", str(file), *budget, "--no-watch", "--json").stdout)["run_id"]
    wait_for("a call", lambda: app.image_api.calls()["requests"] or None, RUN_SECONDS)
    assert f"{name} is stopped" in thumbs(app, "stop", name).stdout
    running = app.listing.list_executions(
        stateMachineArn=machine_arn("generateThumbnails"),
        statusFilter="RUNNING",
    )
    assert [run["name"] for run in running["executions"] if run["name"].startswith(name)] == []
    app.image_api.reset()
    result = json.loads(thumbs(app, "redrive", name, "--json").stdout)
    assert (result["campaign_id"], result["images"]["succeeded"]) == (name, 4)
    assert app.image_api.calls()["paid"] == result["images"]["paid_calls"] <= 4


def test_a_dropped_file_is_followed_to_its_end(app: Application, tmp_path: Path) -> None:
    file = tmp_path / "batch.json"
    file.write_text(json.dumps(REQUEST))
    done = as_a_process(app, "drop", str(file))
    assert (done.returncode, "4 of 4 images" in done.stdout) == (0, True)


def test_a_brand_kit_is_put_by_command_and_by_http_and_held_against_requests(app: Application, api: HttpApi) -> None:
    example = "examples/brand/harbour-notes.json"
    put = thumbs(app, "brand", "put", "by-command", example, "--json")
    assert put.returncode == 0, put.stderr
    kit = json.loads(thumbs(app, "brand", "show", "by-command", "--json").stdout)
    # The function rasterises, in its own package and processor's build.
    svg = base64.b64encode((PROJECT / "examples/brand/logo.svg").read_bytes()).decode()
    status, answer = api("PUT", "/brands/by-http", {**kit, "logo": {**kit["logo"], "data": svg}})
    assert (status, answer["digest"]) == (200, json.loads(put.stdout)["digest"]), answer
    assert answer["version"] != json.loads(put.stdout)["version"]
    assert api("GET", "/brands/by-http") == (200, kit)
    assert {one["name"] for one in api("GET", "/brands")[1]["brands"]} >= {"by-command", "by-http"}
    status, answer = api("PUT", "/brands/by-http", {**kit, "corner": "top"})
    assert (status, answer["problems"][0]["field"]) == (422, "corner")
    assert api("GET", "/brands/by-http") == (200, kit)
    before = app.image_api.calls()
    request = {"prompts": ["A title"], "models": [GPT], "brand": "by-nobody"}
    done = thumbs(app, "start", "generateBatch", "--input", json.dumps(request))
    assert done.returncode == 1
    assert "InvalidBatch: there is no brand kit 'by-nobody'; choose from: by-command, by-http" in done.stderr
    assert api("POST", "/batches", request)[0] == 422
    assert app.image_api.calls() == before
    # What the machine hands on reaches the cell, which reads the kit.
    named = {**request, "brand": "by-http", "template": "left-panel", "font": "inter"}
    done = thumbs(app, "start", "generateBatch", "--input", json.dumps(named), "--json")
    assert json.loads(done.stdout)["images"]["succeeded"] == 1, done.stderr


def test_a_log_has_the_functions_lines(app: Application) -> None:
    name = new_name()
    app.succeed("generateThumbnails", {"title": "Typed by a person", "models": [GPT]}, name)

    def lines() -> list[str]:
        return [line for line in thumbs(app, "logs", "generateThumbnail").stdout.splitlines() if name in line]

    stored = next(json.loads(line) for line in lines() if "image stored" in line)
    assert (stored["run_id"], stored["row"], stored["column"], stored["model"]) == (name, 0, 0, GPT)


def test_a_sheet_of_templates_needs_no_stack(app: Application, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.jpg"
    done = thumbs(app, "preview", "A title", "--output", str(sheet))
    assert (done.returncode, done.stdout) == (0, f"{sheet}\n")
    assert sheet.read_bytes().startswith(b"\xff\xd8")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["start", "generateBatch"], "a run needs one request: give --input '…' or --input-file FILE"),
        (["start", "generateBatch", "--input", "[["], "--input is not JSON: Expecting value: line 1 column 3 (char 2)"),
        (["start", "generateBatch", "--input-file", "/nowhere"], "/nowhere cannot be read: No such file or directory"),
        (["start", "nothing", "--input", "[]"], "there is no task 'nothing': choose from generateThumbnail, "),
        (["show", "nothing"], "there is no run 'nothing': `thumbs runs` lists them"),
        (["logs", "nothing"], "there is no function 'nothing': choose from validateBatch, "),
        (["download", "nothing"], "there is no run 'nothing': `thumbs runs` lists them"),
        (["drop", "/nowhere"], "/nowhere cannot be read: No such file or directory"),
        (["preview", "--font", "nothing"], "there is no font 'nothing': choose from inter, "),
        (
            ["start", "generateThumbnail", "--input", '{"title": "A title", "model": "nothing"}'],
            "InvalidBatch: unknown model 'nothing'; choose from: ",
        ),
    ],
)
@pytest.mark.nightly
def test_bad_input_gets_one_line(app: Application, arguments: list[str], line: str) -> None:
    done = thumbs(app, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"✗ {line}")
    assert done.stderr.count("\n") == 1


def test_a_refused_request_says_why(app: Application) -> None:
    done = thumbs(app, "start", "generateBatch", "--input", json.dumps([["ab"], [GPT]]))
    assert done.returncode == 1
    assert "is FAILED: InvalidBatch: prompts[0]: a title has 3 to 200 characters, this one has 2" in done.stderr


def test_a_refused_request_says_all_that_is_wrong(app: Application) -> None:
    done = thumbs(app, "start", "generateBatch", "--input", json.dumps([["ab"], ["gpt-5"], "glossy"]))
    assert "this one has 2; also: unknown model 'gpt-5'; choose from: " in done.stderr
    assert "; also: unknown style 'glossy'; choose from: " in done.stderr
