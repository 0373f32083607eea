"""The command `thumbs`, run as a person runs it, against the deployed stack."""

import json
import os
import subprocess
import sys
import urllib.request
import uuid
from pathlib import Path

import pytest

from tests.integration.application import ACCOUNT, DALLE, GPT, RUN_SECONDS, Application, wait_for
from thumbs.stack.processes import PROJECT

THUMBS = Path(sys.executable).parent / "thumbs"
REQUEST = {"prompts": ["Typed by a person", "Read by a person"], "models": [GPT, DALLE]}


def thumbs(app: Application, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ENDPOINT_URL": app.stack.endpoint,
        "COLUMNS": "120",
    }
    return subprocess.run(
        [THUMBS, *arguments], input=typed, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False
    )


def new_name() -> str:
    return f"typed-{uuid.uuid4().hex[:8]}"


def test_a_run_ends_with_a_table_and_links_that_open(app: Application) -> None:
    done = thumbs(app, "start", "generateBatch", "--input", json.dumps(REQUEST))
    assert (done.returncode, done.stderr) == (0, "")
    for shown in (*REQUEST["prompts"], *REQUEST["models"], "4 of 4 images", "(4 paid calls)", "1.1 ↗", "2.2 ↗"):
        assert shown in done.stdout
    urls = [word for word in done.stdout.split() if word.startswith(app.stack.endpoint)]
    assert len(urls) == 4
    for url in urls:
        with urllib.request.urlopen(url) as answer:  # noqa: S310 - it starts with the stack's own address
            assert answer.headers["Content-Type"] == "image/jpeg"


def test_json_is_the_bare_result(app: Application, tmp_path: Path) -> None:
    file = tmp_path / "batch.json"
    file.write_text(json.dumps([REQUEST["prompts"], REQUEST["models"], "sketch"]))
    done = thumbs(app, "start", "generateBatch", "--input-file", str(file), "--json")
    result = json.loads(done.stdout)
    assert [len(row) for row in result["results"]] == [2, 2]
    assert result["failures"] == []


def test_a_request_may_come_by_standard_input(app: Application) -> None:
    request = json.dumps({"title": "Typed by a person", "model": GPT})
    done = thumbs(app, "start", "generateThumbnail", "--input-file", "-", "--json", typed=request)
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


def test_a_campaign_is_followed_shown_listed_and_redriven(app: Application, tmp_path: Path) -> None:
    file = tmp_path / f"{new_name()}.csv"
    file.write_text("title\nTyped by a person\nRead by a person\n")
    app.image_api.add_fault("refusal", model=DALLE, prompt_contains="Read by")
    done = thumbs(app, "campaign", str(file), "--max-images", "4", "--models", f"{GPT} {DALLE}", "--style", "neon")
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


def test_a_campaign_is_stopped_with_its_rows_and_redriven(app: Application, tmp_path: Path) -> None:
    file = tmp_path / f"{new_name()}.csv"
    file.write_text("title\n" + "Typed by a person\n" * 4)
    app.image_api.add_fault("hang")
    budget = ("--max-images", "4", "--models", GPT, "--max-concurrency", "2")
    name = json.loads(thumbs(app, "campaign", str(file), *budget, "--no-watch", "--json").stdout)["run_id"]
    wait_for("a call", lambda: app.image_api.calls()["requests"] or None, RUN_SECONDS)
    assert f"{name} is stopped" in thumbs(app, "stop", name).stdout
    running = app.listing.list_executions(
        stateMachineArn=f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:fan-out-thumbnails-generateThumbnails",
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
    done = thumbs(app, "drop", str(file))
    assert (done.returncode, "4 of 4 images" in done.stdout) == (0, True)


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
        (["drop", "/nowhere"], "/nowhere cannot be read: No such file or directory"),
        (["preview", "--font", "nothing"], "there is no font 'nothing': choose from inter, "),
        (
            ["start", "generateThumbnail", "--input", '{"title": "A title", "model": "nothing"}'],
            "InvalidBatch: unknown model 'nothing'; choose from: ",
        ),
    ],
)
def test_bad_input_gets_one_line(app: Application, arguments: list[str], line: str) -> None:
    done = thumbs(app, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"✗ {line}")
    assert done.stderr.count("\n") == 1


def test_a_refused_request_says_why(app: Application) -> None:
    done = thumbs(app, "start", "generateBatch", "--input", json.dumps([["ab"], [GPT]]))
    assert done.returncode == 1
    assert "is FAILED: InvalidBatch: prompts[0]: a title has 3 to 200 characters, this one has 2" in done.stderr
