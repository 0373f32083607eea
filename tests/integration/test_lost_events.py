"""Whatever happens to an event, it ends as a run or is shown by `thumbs lost` and started by `thumbs drop --replay`."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.application import GPT, RUN_SECONDS, Application, wait_for
from tests.integration.command import thumbs
from tests.integration.fault_proxy import Effect, FaultProxy, Rule
from tests.integration.test_events import ask, client, drop, run_named
from tests.integration.test_faults import kill
from thumbnails.runs.lost import UNHEARD, find_lost, start_again
from thumbs.cli.application import Application as Command

IDEOGRAPHIC_SPACE = "\N{IDEOGRAPHIC SPACE}"
REQUEST = {"prompts": ["Lost and found"], "models": [GPT]}


def dropped(app: Application) -> str:
    """A file in the inbox; its run's name."""
    return drop(app, "lost.json", json.dumps(REQUEST).encode())


def requested(app: Application) -> str:
    """A request on the bus; its run's name."""
    return f"event-{ask(app, REQUEST)}"


def large(app: Application) -> str:
    """A request on the bus that no execution's input has room for: in JSON each of these blanks has six bytes."""
    return f"event-{ask(app, {**REQUEST, 'extra_prompt': IDEOGRAPHIC_SPACE * 50_000})}"


@contextmanager
def rules(app: Application) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    """EventBridge, and the rules that start runs."""
    events = client(app, "events")
    try:
        yield events, [rule for rule in events.list_rules()["Rules"] if "StartBatch" in rule["Name"]]
    finally:
        events.close()


@contextmanager
def without_target(app: Application) -> Iterator[None]:
    """The rules' target is missing."""
    with rules(app) as (events, found):
        targets = {rule["Name"]: events.list_targets_by_rule(Rule=rule["Name"])["Targets"] for rule in found}

        def aim(missing: str) -> None:
            for rule, listed in targets.items():
                aimed = [{**target, "Arn": f"{target['Arn']}{missing}"} for target in listed]
                events.put_targets(Rule=rule, Targets=aimed)

        aim("-that-is-missing")
        try:
            yield
        finally:
            aim("")


@contextmanager
def unheard(app: Application) -> Iterator[None]:
    """The rules have no target: nobody hears of the event at all."""
    with rules(app) as (events, found):
        targets = {rule["Name"]: events.list_targets_by_rule(Rule=rule["Name"])["Targets"] for rule in found}
        for rule, listed in targets.items():
            events.remove_targets(Rule=rule, Ids=[target["Id"] for target in listed])
        try:
            yield
        finally:
            for rule, listed in targets.items():
                events.put_targets(Rule=rule, Targets=listed)


@contextmanager
def striking(app: Application, effect: Effect, times: int | None) -> Iterator[None]:
    """Something strikes StartExecution on its way from startBatch to Step Functions."""
    with FaultProxy(app.stack.endpoint, lambda port: kill(app, port)) as proxy:
        proxy.rules.append(Rule(effect, "POST", "/", times, body=b'"stateMachineArn"'))
        with app.configured("startBatch", AWS_ENDPOINT_URL=proxy.url):
            yield


def listed(app: Application) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(thumbs(app, "lost", "--json").stdout)
    return found


def lost(app: Application, run: str) -> dict[str, Any]:
    """What `thumbs lost` says of the run that was not started, once it is known to be lost."""

    def found() -> dict[str, Any] | None:
        # A file may be found before its event has failed for good.
        return next((one for one in listed(app) if one["run_id"] == run and one["reason"] != UNHEARD), None)

    return wait_for(f"{run} among the lost events", found, RUN_SECONDS)


Fault = Callable[[Application], Any]
REPLAYED = [
    pytest.param("target missing", dropped, without_target, "ResourceNotFound", id="target missing, a file"),
    pytest.param("target missing", requested, without_target, "ResourceNotFound", id="target missing, an event"),
    pytest.param(
        "StartExecution throttled for good",
        dropped,
        lambda app: striking(app, "throttle", None),
        "OrchestrationUnavailable",
        id="throttled for good",
        marks=pytest.mark.nightly,
    ),
    pytest.param(
        "startBatch killed at each try",
        requested,
        lambda app: striking(app, "kill_before", None),
        "Runtime.ExitError",
        id="killed",
        marks=pytest.mark.nightly,
    ),
]


@pytest.mark.parametrize(("fault", "send", "break_it", "reason"), REPLAYED)
def test_a_lost_event_is_shown_and_replayed(
    app: Application,
    record_property: Callable[[str, object], None],
    fault: str,
    send: Callable[[Application], str],
    break_it: Fault,
    reason: str,
) -> None:
    with break_it(app):
        run = send(app)
        shown = lost(app, run)
    assert reason in shown["reason"]
    assert "started no run" in thumbs(app, "runs").stderr
    replayed = thumbs(app, "drop", "--replay")
    assert f"{run} is started" in replayed.stdout
    done = app.wait(run_named(app, run))
    assert (done.status, listed(app)) == ("SUCCEEDED", [])
    record_property("lost_event", row(fault, send, f"shown: {shown['reason'].partition(':')[0]}", "by replay"))


STARTED = [
    pytest.param(
        "StartExecution throttled for two tries",
        dropped,
        # Three requests a try.
        lambda app: striking(app, "throttle", 6),
        id="throttled for a while",
        marks=pytest.mark.nightly,
    ),
    pytest.param(
        "startBatch killed once",
        requested,
        lambda app: striking(app, "kill_before", 1),
        id="killed once",
        marks=pytest.mark.nightly,
    ),
]


@pytest.mark.parametrize(("fault", "send", "break_it"), STARTED)
def test_what_passes_ends_as_a_run(
    app: Application,
    record_property: Callable[[str, object], None],
    fault: str,
    send: Callable[[Application], str],
    break_it: Fault,
) -> None:
    with break_it(app):
        done = app.wait(run_named(app, send(app)))
    assert (done.status, listed(app)) == ("SUCCEEDED", [])
    record_property("lost_event", row(fault, send, "tried again", "by itself"))


def test_an_event_that_is_too_large_for_an_execution_ends_as_a_run(
    app: Application, record_property: Callable[[str, object], None]
) -> None:
    done = app.wait(run_named(app, large(app)))
    assert (done.status, done.output["prompts"]) == ("SUCCEEDED", REQUEST["prompts"])
    record_property("lost_event", row("event larger than an execution's input", large, "kept as a file", "by itself"))


def test_a_file_of_which_nobody_heard_is_found_in_the_inbox(
    app: Application, record_property: Callable[[str, object], None]
) -> None:
    command = Command(app.stack.endpoint)
    asked = (command.lost_events, command.executions, command.store, command.scheduled)
    # S3 tells the bus in its own time: until the file's run is started, nobody may hear of it.
    with unheard(app):
        run = dropped(app)
        # A file that is a minute old is not on its way any more.
        later = datetime.now(UTC) + timedelta(minutes=2)
        (found,) = [one for one in find_lost(*asked, later) if one.run_id == run]
        assert (found.reason, start_again(found, *asked)) == (UNHEARD, True)
    assert app.wait(run_named(app, run)).status == "SUCCEEDED"
    assert [one for one in find_lost(*asked, later) if one.run_id == run] == []
    record_property("lost_event", row("rule without a target", dropped, "shown: a file without a run", "by replay"))


def row(fault: str, send: Callable[[Application], str], became: str, started: str) -> dict[str, str]:
    what = "a file in the inbox" if send is dropped else "a request on the bus"
    return {"fault": fault, "event": what, "became": became, "its run started": started}
