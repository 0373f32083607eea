"""The command and the HTTP API say the same of a run, whatever its state: both ask the domain."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.integration.application import DALLE, GPT, RUN_SECONDS, Application, machine_arn, wait_for, without_query
from tests.integration.command import as_a_process, new_name, thumbs
from tests.integration.http_api import HttpApi

TITLES = ["Seen by the command", "Seen by the API"]
REQUEST = {"prompts": TITLES, "models": [GPT, DALLE]}
#: What both tell of a run: of the command's JSON, of the API's.
FIELDS = {"run_id": "run_id", "task": "kind", "status": "status", "started": "started_at", "stopped": "ended_at"}


def start(app: Application, request: object = REQUEST) -> str:
    name = new_name()
    app.start("generateBatch", request, name)
    return name


def moments(entry: dict[str, Any]) -> dict[str, Any]:
    """The same entry, with its times as moments: there is more than one way to write them."""
    times = {"started", "stopped"}
    return {name: datetime.fromisoformat(value) if name in times and value else value for name, value in entry.items()}


def by_command(app: Application, *options: str) -> list[dict[str, Any]]:
    """The runs as ``thumbs runs`` lists them, with what the API tells too."""
    listed = json.loads(thumbs(app, "runs", "--json", *options).stdout)
    return [moments({name: run[name] for name in FIELDS}) for run in listed]


def by_api(api: HttpApi, query: str = "") -> list[dict[str, Any]]:
    """The runs as GET /runs lists them, under the command's names."""
    status, page = api("GET", f"/runs?limit=20{query}")
    assert status == 200
    return [moments({name: run[theirs] for name, theirs in FIELDS.items()}) for run in page["runs"]]


def agreed(app: Application, api: HttpApi, run_id: str) -> Any:
    """What the API says of a run, once the command has said the same; a running one stands still meanwhile."""
    shown = thumbs(app, "show", run_id, "--json")
    status, run = api("GET", f"/runs/{run_id}")
    assert status == 200
    assert shown.returncode == (0 if run["status"] in ("RUNNING", "SUCCEEDED") else 1)
    told = json.loads(shown.stdout)
    if run["status"] == "SUCCEEDED":
        result = told
    else:
        result = told["result"]
        assert moments({name: told[name] for name in FIELDS}) == moments(
            {name: run[theirs] for name, theirs in FIELDS.items()}
        )
        assert (told["error"], told["cause"]) == (run["error"], run["message"])
    if result and run["cells"]:
        assert result["run_id"] == run["run_id"] == run_id
        images = [url and without_query(url) for row in result["results"] for url in row]
        assert images == [cell["image_url"] and without_query(cell["image_url"]) for cell in run["cells"]]
        assert [(it["row"], it["column"], it["error"], it["message"]) for it in result["failures"]] == [
            (cell["row"], cell["column"], cell["error"], cell["message"])
            for cell in run["cells"]
            if cell["state"] == "failed"
        ]
        assert (result["images"]["total"], result["images"]["succeeded"], result["images"]["failed"]) == (
            run["counts"]["total"],
            run["counts"]["succeeded"],
            run["counts"]["failed"],
        )
    # The newest is this one.
    listed = by_command(app)
    assert listed == by_api(api)
    assert [one["run_id"] for one in listed].count(run_id) == 1
    assert next(one for one in listed if one["run_id"] == run_id)["status"] == run["status"]
    return run


def executions(app: Application, run_id: str, task: str = "generateBatch") -> list[str]:
    """The executions of a run, the newest first, asked of Step Functions itself."""
    arn = machine_arn(task)
    found = app.listing.list_executions(stateMachineArn=arn)["executions"]
    return [one["name"] for one in found if one["name"].startswith(run_id)]


@pytest.mark.nightly
def test_a_run_that_never_was_is_known_to_neither(app: Application, api: HttpApi) -> None:
    shown = thumbs(app, "show", "never-was", "--json")
    status, answer = api("GET", "/runs/never-was")
    assert (shown.returncode, shown.stdout, status, answer["code"]) == (1, "", 404, "not_found")
    assert answer["message"] in shown.stderr
    for refused in (thumbs(app, "stop", "never-was"), thumbs(app, "redrive", "never-was")):
        assert (refused.returncode, answer["message"] in refused.stderr) == (1, True)


def test_a_run_with_a_failed_cell_is_redriven_and_is_one_run(app: Application, api: HttpApi) -> None:
    hanging = app.image_api.add_fault("hang", model=DALLE)
    refusing = app.image_api.add_fault("refusal", model=GPT, prompt_contains=f'"{TITLES[1]}"')
    name = start(app)
    wait_for("both hanging", lambda: app.image_api.calls()["in_flight"] == 2 or None, RUN_SECONDS)
    assert agreed(app, api, name)["status"] == "RUNNING"
    busy, answer = thumbs(app, "redrive", name), api("POST", f"/runs/{name}/redrive")
    assert (busy.returncode, answer[0], answer[1]["code"]) == (1, 409, "run_under_way")
    assert answer[1]["message"] in busy.stderr

    app.image_api.remove_fault(hanging)
    api.ended(name)
    run = agreed(app, api, name)
    assert (run["status"], run["counts"]["succeeded"], run["counts"]["failed"]) == ("SUCCEEDED", 3, 1)

    app.image_api.remove_fault(refusing)
    app.image_api.clear_calls()
    assert thumbs(app, "redrive", name).returncode == 0
    run = agreed(app, api, name)
    assert (run["run_id"], run["status"], run["counts"]["succeeded"], run["counts"]["failed"]) == (
        name,
        "SUCCEEDED",
        4,
        0,
    )
    assert app.image_api.calls()["paid"] == 1
    every = by_command(app, "--all")
    assert every == by_api(api, "&every_execution=true")
    assert [one["run_id"] for one in every].count(name) == len(executions(app, name)) == 2
    whole, answer = thumbs(app, "redrive", name), api("POST", f"/runs/{name}/redrive")
    assert (whole.returncode, answer[0], answer[1]["code"]) == (0, 409, "nothing_to_redrive")
    assert answer[1]["message"] in whole.stdout


@pytest.mark.nightly
def test_a_run_is_stopped_by_one_and_redriven_by_the_other(app: Application, api: HttpApi) -> None:
    app.image_api.add_fault("hang", model=DALLE)
    name = start(app)
    wait_for("both hanging", lambda: app.image_api.calls()["in_flight"] == 2 or None, RUN_SECONDS)
    stopped = thumbs(app, "stop", name)
    assert (stopped.returncode, f"{name} is stopped" in stopped.stdout) == (0, True)
    assert agreed(app, api, name)["status"] == "ABORTED"
    again, answer = thumbs(app, "stop", name), api("DELETE", f"/runs/{name}")
    assert (again.returncode, answer[0], answer[1]["code"]) == (1, 409, "run_has_ended")
    assert answer[1]["message"] in again.stderr

    app.image_api.clear_faults()
    assert api("POST", f"/runs/{name}/redrive")[1]["run_id"] == name
    api.ended(name)
    run = agreed(app, api, name)
    assert (run["run_id"], run["status"], run["counts"]["succeeded"]) == (name, "SUCCEEDED", 4)


def test_a_run_without_an_image_has_failed_for_both(app: Application, api: HttpApi) -> None:
    app.image_api.add_fault("refusal")
    name = start(app)
    api.ended(name)
    run = agreed(app, api, name)
    assert (run["status"], run["error"], run["counts"]["failed"]) == ("FAILED", "AllImagesFailed", 4)


def test_a_refused_request_is_a_failed_run_for_both(app: Application, api: HttpApi) -> None:
    name = start(app, {"prompts": ["ab"], "models": [GPT]})
    api.ended(name)
    run = agreed(app, api, name)
    assert (run["status"], run["error"], run["cells"]) == ("FAILED", "InvalidBatch", [])


def test_a_campaign_is_a_run_and_its_row_is_not_listed(app: Application, api: HttpApi, tmp_path: Path) -> None:
    file = tmp_path / f"{new_name()}.csv"
    file.write_text("title\nA row of its own\n")
    hanging = app.image_api.add_fault("hang")
    budget = ("--max-images", "1", "--models", GPT)
    name = json.loads(thumbs(app, "campaign", str(file), *budget, "--no-watch", "--json").stdout)["run_id"]
    row = f"{name}-0"
    wait_for("the row's call", lambda: app.image_api.calls()["in_flight"] or None, RUN_SECONDS)
    assert agreed(app, api, name)["status"] == "RUNNING"
    app.image_api.remove_fault(hanging)
    api.ended(name)
    run = agreed(app, api, name)
    assert (run["kind"], run["status"], run["rows"]["total"]) == ("generateCampaign", "SUCCEEDED", 1)

    assert row not in [one["run_id"] for one in by_command(app)]
    every = by_command(app, "--all")
    assert every == by_api(api, "&every_execution=true")
    assert [one["run_id"] for one in every if one["run_id"] in (name, row)] == [row, name]
    # It can be looked at, all the same.
    shown, (status, of_row) = json.loads(thumbs(app, "show", row, "--json").stdout), api("GET", f"/runs/{row}")
    assert (shown["run_id"], status, of_row["run_id"]) == (row, 200, row)
    assert [image["key"] for image in shown["results"]] == [cell["key"] for cell in of_row["cells"]]


@pytest.mark.nightly
def test_redrives_at_the_same_moment_start_one_execution(app: Application, api: HttpApi) -> None:
    app.image_api.add_fault("refusal", model=GPT)
    name = start(app)
    api.ended(name)
    app.image_api.reset()
    app.image_api.add_fault("hang")

    def by_http(_: int) -> tuple[int, Any]:
        return HttpApi(api.url)("POST", f"/runs/{name}/redrive")

    with ThreadPoolExecutor(4) as together:
        command = together.submit(as_a_process, app, "redrive", name, "--json")
        answers = list(together.map(by_http, range(3)))
        app.image_api.clear_faults()
        assert command.result().returncode in (0, 1)
    # Who asks again for the same execution is told that it is started, as the first one was.
    assert {answer["code"] for status, answer in answers if status != 202} <= {"run_under_way"}
    api.ended(name)
    assert len(executions(app, name)) == 2
    assert app.image_api.calls()["paid"] == 2
    assert agreed(app, api, name)["counts"]["succeeded"] == 4
