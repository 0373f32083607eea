"""What the command prints: tables that cut nothing, and errors that name what they talk to."""

import io
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
)
from rich.console import Console

from thumbnails.aws.step_functions import Execution
from thumbnails.requests.models import Batch
from thumbnails.runs.listing import ListedRun
from thumbnails.runs.lost import Lost
from thumbnails.runs.status import CellStatus, RunStatus
from thumbs.cli import entry, render
from thumbs.cli.application import Application, broken_connection, in_plain_words
from thumbs.command_error import CommandError

THUMBS = Path(sys.executable).parent / "thumbs"
STARTED = datetime(2026, 11, 26, 12, tzinfo=UTC)
#: As the wall clock of the machine shows it.
WHEN = f"{STARTED.astimezone():%b %d %H:%M:%S}".split()
LONG = "inbox-" + "v" * 74
HERE = "http://localhost:4566"


def listed(run_id: str, execution: str = "", seconds: float = 12345.6) -> ListedRun:
    ended = STARTED + timedelta(seconds=seconds)
    return ListedRun(run_id, execution or run_id, "generateThumbnails", "SUCCEEDED", STARTED, ended)


def printed(width: int, *, terminal: bool, runs: list[ListedRun], with_executions: bool = False) -> list[str]:
    text = io.StringIO()
    console = Console(file=text, width=width, force_terminal=terminal, color_system=None, highlight=False)
    render.print_runs(console, runs, with_executions=with_executions)
    return text.getvalue().splitlines()


@pytest.mark.parametrize("width", [20, 60, 80, 200])
@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "piped"])
def test_no_width_cuts_an_id_a_status_or_a_number(width: int, terminal: bool) -> None:
    runs = [listed("20261126-120000-0123abcd"), listed(LONG, f"{LONG[:66]}-redrive-12ab")]
    lines = printed(width, terminal=terminal, runs=runs, with_executions=True)
    words = " ".join(lines).split()
    for whole in (runs[0].run_id, LONG, runs[1].execution, "generateThumbnails", "SUCCEEDED", "12345.6"):
        assert whole in words
    assert "…" not in "".join(lines)


def test_what_is_piped_has_a_line_for_each_run() -> None:
    lines = printed(80, terminal=False, runs=[listed(LONG), listed("short")])
    assert [line.split()[0] for line in lines if "SUCCEEDED" in line] == [LONG, "short"]


def test_a_terminal_of_80_columns_has_the_table_where_the_ids_are_the_commands_own() -> None:
    lines = printed(80, terminal=True, runs=[listed("20261126-120000-0123abcd", seconds=987.6)])
    assert lines[0].split() == ["run", "task", "status", "started", "sec"]
    assert lines[1].split() == ["20261126-120000-0123abcd", "generateThumbnails", "SUCCEEDED", *WHEN, "987.6"]
    assert max(map(len, lines)) < 80


def test_a_narrow_terminal_has_each_id_on_a_line_of_its_own() -> None:
    lines = printed(60, terminal=True, runs=[listed(LONG), listed("short")])
    assert (lines[0], lines[2]) == (LONG, "short")
    assert re.fullmatch(r"  generateThumbnails  SUCCEEDED  Nov \d\d [\d:]{8}  12345\.6 s", lines[1])


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (EndpointConnectionError(endpoint_url=f"{HERE}/bucket?x"), "nothing answers at http://localhost:4566"),
        (ConnectTimeoutError(endpoint_url="https://s3.eu-west-1.amazonaws.com/"), "nothing answers at https://s3.eu-"),
        (ConnectionClosedError(endpoint_url=HERE), "http://localhost:4566 broke the connection off"),
        (ReadTimeoutError(endpoint_url=HERE), "http://localhost:4566 gave no answer in time"),
    ],
)
def test_a_broken_connection_names_its_endpoint(error: HTTPClientError, words: str) -> None:
    message = str(in_plain_words(error))
    assert message.startswith(words)
    assert "AWS" not in message
    assert ("`thumbs up`" in message) == ("localhost" in words)


def test_a_503_is_its_endpoints_where_that_is_known() -> None:
    answer: Any = {"Error": {"Code": "503"}, "ResponseMetadata": {"HTTPStatusCode": 503}}
    unavailable = ClientError(answer, "DescribeExecution")
    assert str(broken_connection(unavailable, HERE)).startswith(f"{HERE} ends, or has no room (503): `thumbs status`")
    assert broken_connection(unavailable) is None


@pytest.mark.parametrize(
    ("endpoint", "remedy"),
    [
        (HERE, "`thumbs down`, then `thumbs up` deploys it anew"),
        ("https://cloudformation.eu-west-1.amazonaws.com", "docs"),
    ],
)
def test_a_deployment_that_failed_is_named_with_the_next_step(endpoint: str, remedy: str) -> None:
    application = Application(endpoint)
    application.__dict__["_deployed"] = (endpoint, "ROLLBACK_COMPLETE", {})
    with pytest.raises(CommandError) as refused:
        _ = application.executions
    message = str(refused.value)
    assert message.startswith(f"the application at {endpoint} is not whole (fan-out-thumbnails is ROLLBACK_COMPLETE ")
    assert "GenerateBatchArn" in message
    assert remedy in message


def test_a_stack_that_was_never_deployed_is_named_by_its_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Mock()
    client.meta.endpoint_url = HERE
    client.describe_stacks.return_value = {"Stacks": [{"StackStatus": "ROLLBACK_COMPLETE"}]}
    monkeypatch.setattr(Application, "_client", lambda *_: client)
    with pytest.raises(CommandError, match=f"^the application at {HERE} is not whole"):
        _ = Application(HERE).store


@pytest.mark.parametrize("arguments", [["tasks"], ["status", "--json"]], ids=["text", "json"])
def test_a_closed_pipe_is_no_error(arguments: list[str], tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    environment = {**os.environ, "THUMBS_HOME": str(tmp_path)}
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run([THUMBS, *arguments], stdout=closed, stderr=subprocess.PIPE, env=environment, check=False)
    assert (done.stderr, done.returncode) == (b"", 1)


def application(names: list[str], monkeypatch: pytest.MonkeyPatch) -> Application:
    """One with runs of these names."""
    found = Application(HERE)
    found.__dict__ |= {"executions": None, "store": None}
    monkeypatch.setattr("thumbs.cli.application.newest_names", lambda *_: names)
    monkeypatch.setattr(Application, "_status", lambda _, name: name if name in names else None)
    return found


def test_the_beginning_of_an_id_is_enough_where_one_run_begins_so(monkeypatch: pytest.MonkeyPatch) -> None:
    here = application(["spring", "spring-2", "autumn"], monkeypatch)
    found: list[Any] = [here.find(name) for name in ("au", "spring", "spring-")]
    assert found == ["autumn", "spring", "spring-2"]
    with pytest.raises(CommandError, match=r"^'spr' is the beginning of 2 runs: spring, spring-2$"):
        here.find("spr")
    for nothing in ("winter", ""):
        with pytest.raises(CommandError, match=f"^there is no run '{nothing}'"):
            here.find(nothing)


def test_a_function_that_never_ran_has_no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Mock()
    client.exceptions.ResourceNotFoundException = KeyError
    pages = MagicMock()
    pages.__iter__.side_effect = KeyError
    client.get_paginator.return_value.paginate.return_value = pages
    monkeypatch.setattr(Application, "_client", lambda *_: client)
    monkeypatch.setattr(Application, "_output", lambda *_: "arn")
    with pytest.raises(CommandError, match=r"^api has no log: it has not run yet on this stack$"):
        next(Application(HERE).log_lines("api", STARTED, follow=False))


def thumbs(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "THUMBS_HOME": str(home)}
    environment.pop("AWS_ENDPOINT_URL", None)
    return subprocess.run(
        [THUMBS, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, check=False
    )


def test_the_command_names_its_version_and_its_tasks(tmp_path: Path) -> None:
    assert re.fullmatch(r"thumbs \d+\.\d+\.\d+\n", thumbs("--version", home=tmp_path).stdout)
    tasks = json.loads(thumbs("tasks", "--json", home=tmp_path).stdout)
    assert "generateBatch" in {task["task"] for task in tasks}


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (
            "Headline\nA title\n",
            [],
            "row 2: 'models': no model is named, neither here nor for all rows; name them with",
        ),
        ("Headline\nab\n", ["--models", "gpt-image-1"], "1 of 1 rows are refused: row 2: 'Headline': a title has 3 to"),
        ("title\nOne title\n", ["--models", "a-model,gpt-image-1"], "unknown model 'a-model'; choose from"),
        ("title\nOne title\nTwo titles\n", ["--models", "gpt-image-1"], "asks for 2 images; max_images allows 1"),
        ("title\nOne title\n", ["--models", "gpt-image-1"], "the stack is not running"),
    ],
)
def test_a_campaigns_file_is_checked_before_anything_starts(
    tmp_path: Path, text: str, options: list[str], words: str
) -> None:
    file = tmp_path / "posts.csv"
    file.write_text(text)
    done = thumbs("campaign", str(file), "--max-images", "1", *options, home=tmp_path / "home")
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_piped_list_of_lost_events_has_each_on_one_line() -> None:
    text = io.StringIO()
    lost = Lost(LONG, "inbox/" + "a" * 90, STARTED, "why " * 30, {})
    render.print_lost(Console(file=text, width=40, highlight=False), [lost])
    assert any(LONG in line and lost.what in line for line in text.getvalue().splitlines())


def test_every_format_of_an_image_has_its_link() -> None:
    request = Batch.model_validate({"prompts": ["A title"], "models": ["gpt-image-1"], "formats": ["og", "story"]})
    cell = CellStatus(
        0, 0, "A title", "gpt-image-1", "a.jpg", "succeeded", variants=("c.jpg",), formats={"story": "b.jpg"}
    )
    run = RunStatus("run-1", Execution("run-1", "generateBatch", "SUCCEEDED", STARTED), request, [cell])
    text = io.StringIO()
    render.print_cells(Console(file=text, width=80, highlight=False), run, lambda key: f"{HERE}/{key}", ())
    # In one column, however long a format's name is.
    assert [line for line in text.getvalue().splitlines() if HERE in line] == [
        f"1.1 og    {HERE}/a.jpg",
        f"1.1 story {HERE}/b.jpg",
        f"1.1.2     {HERE}/c.jpg",
    ]


def test_ctrl_c_while_the_command_is_imported_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "thumbs.cli.main":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "thumbs.cli.main", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == 130
