"""The state machines and the template hold to the contract and to the code."""

import copy
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint  # type: ignore[import-untyped]
from cfnlint.config import ManualArgs  # type: ignore[import-untyped]
from cfnlint.decode.cfn_yaml import load  # type: ignore[import-untyped]
from pydantic import BaseModel

import batch_campaign.app
import collect_batch.app
import collect_campaign.app
import validate_batch.app
import validate_campaign.app
from thumbnails import errors
from thumbnails.images.pace import Pause
from thumbnails.requests.models import Cell
from thumbnails.runs.status import RECORD

PROJECT = Path(__file__).parents[2]
#: Those that draw, and the one that starts them by the row.
DRAWING = ("generate_batch", "generate_thumbnails")
NAMES = (*DRAWING, "generate_campaign")
#: Those that tell the bus how a run has ended; a row's is its campaign's to tell.
ANNOUNCING = ("generate_batch", "generate_campaign")
TEXTS = {name: (PROJECT / "statemachine" / f"{name}.asl.json").read_text() for name in NAMES}
DEFINITIONS: dict[str, dict[str, Any]] = {name: json.loads(text) for name, text in TEXTS.items()}
TEMPLATE: dict[str, Any] = load(str(PROJECT / "template.yaml"))
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]

LAMBDAS_OWN_ERRORS = {
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
}
#: How a function's process ends that answers nothing.
CRASHES = {"Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout"}
#: What starting an execution may end with before there is one.
STEP_FUNCTIONS_OWN_ERRORS = {
    "StepFunctions.AWSStepFunctionsException",
    "StepFunctions.ExecutionLimitExceededException",
    "StepFunctions.SdkClientException",
    "StepFunctions.ThrottlingException",
}
STATES_OWN_ERRORS = {"States.ALL", "States.Timeout", "States.TaskFailed"}
OURS = {
    name: found
    for name, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, errors.ThumbnailError)
}
#: What a validation refuses with, which one state hands on for all.
REFUSALS = ("InvalidBatch", "DailyBudgetExceeded")
VERBS = {
    "Announce",
    "Check",
    "Collect",
    "Describe",
    "Fail",
    "Generate",
    "Judge",
    "Keep",
    "Read",
    "Record",
    "Refuse",
    "Submit",
    "Validate",
    "Wait",
}
#: What a cell has only after it has waited.
OF_WAITING = {"waits", "waited_seconds"}


#: What each handler reads of its payload.
EVENTS: dict[str, type[BaseModel]] = {
    "${ValidateBatchFunctionArn}": validate_batch.app.Event,
    "${CollectBatchFunctionArn}": collect_batch.app.Event,
    "${ValidateCampaignFunctionArn}": validate_campaign.app.Event,
    "${CollectCampaignFunctionArn}": collect_campaign.app.Event,
    "${BatchCampaignFunctionArn}": batch_campaign.app.Event,
}
#: Type and fields of what each end says on the bus: listeners rely on them.
WHO, HOW = {"run_id", "execution"}, {"images", "manifest_key"}
CAMPAIGN = {"campaign_id", "execution"}
ANNOUNCEMENTS = {
    "generate_batch": {
        "Describe Completion": ("BatchCompleted", WHO | HOW),
        "Describe Refusal": ("BatchFailed", WHO | {"error", "cause"}),
        "Describe Failure": ("BatchFailed", WHO | HOW | {"error", "cause"}),
    },
    "generate_campaign": {
        "Describe Completion": ("CampaignCompleted", CAMPAIGN | HOW | {"rows"}),
        "Describe Pause": ("CampaignFailed", CAMPAIGN | HOW | {"rows", "error", "cause"}),
        "Describe Cutoff": ("CampaignFailed", CAMPAIGN | HOW | {"rows", "error", "cause"}),
        "Describe Refusal": ("CampaignFailed", CAMPAIGN | {"error", "cause"}),
        "Describe Failure": ("CampaignFailed", CAMPAIGN | {"manifest_key", "error", "cause"}),
    },
}


def states_of(definition: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every state by name, the ones inside Maps too."""
    for name, state in definition["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states_of(state["ItemProcessor"])


STATES = [(machine, name, state) for machine in NAMES for name, state in states_of(DEFINITIONS[machine])]


def of_type(kind: str) -> list[Any]:
    return [pytest.param(state, id=f"{machine}: {name}") for machine, name, state in STATES if state["Type"] == kind]


every_machine = pytest.mark.parametrize("machine", NAMES)
every_drawing_machine = pytest.mark.parametrize("machine", DRAWING)
every_announcing_machine = pytest.mark.parametrize("machine", ANNOUNCING)
every_task = pytest.mark.parametrize("state", of_type("Task"))
every_lambda_task = pytest.mark.parametrize(
    "state", [param for param in of_type("Task") if param.values[0]["Resource"] == "arn:aws:states:::lambda:invoke"]
)
every_map = pytest.mark.parametrize("state", of_type("Map"))


def inner_map(machine: str) -> dict[str, Any]:
    states = dict(states_of(DEFINITIONS[machine]))
    return copy.deepcopy(states["Generate Thumbnails"])


def retried(state: dict[str, Any]) -> set[str]:
    return {error for retrier in state.get("Retry", ()) for error in retrier["ErrorEquals"]}


def test_the_batch_wraps_the_map_of_one_title() -> None:
    inner, alone = inner_map("generate_batch"), inner_map("generate_thumbnails")
    for state in (inner, alone):
        assert bool(state.pop("Next", None)) != bool(state.pop("End", None))
    assert inner == alone


@pytest.mark.parametrize(("machine", "name", "state"), STATES, ids=lambda part: part if isinstance(part, str) else "")
def test_every_error_that_a_definition_names_exists(machine: str, name: str, state: dict[str, Any]) -> None:
    named = {error for rule in (*state.get("Retry", ()), *state.get("Catch", ())) for error in rule["ErrorEquals"]}
    named |= {state["Error"]} if "Error" in state else set()
    if "announcement" in state.get("Parameters", ()):
        named |= {state["Parameters"]["announcement"]["detail"].get("error", "InvalidBatch")}
    assert named <= OURS.keys() | CRASHES | LAMBDAS_OWN_ERRORS | STEP_FUNCTIONS_OWN_ERRORS | STATES_OWN_ERRORS


@every_drawing_machine
def test_an_image_is_tried_again_after_every_transient_error_and_no_other(machine: str) -> None:
    state = dict(states_of(DEFINITIONS[machine]))["Generate Thumbnail"]
    transient = {name for name, error in OURS.items() if issubclass(error, errors.TransientError)}
    assert retried(state) == transient - {"TransientError"} | LAMBDAS_OWN_ERRORS
    (retrier,) = [rule for rule in state["Retry"] if "ProviderTimeout" in rule["ErrorEquals"]]
    assert (retrier["MaxAttempts"], retrier["IntervalSeconds"], retrier["BackoffRate"]) == (2, 5, 2)


@every_lambda_task
def test_a_function_is_never_tried_again_for_a_business_error(state: dict[str, Any]) -> None:
    final = {name for name, error in OURS.items() if not issubclass(error, errors.TransientError)}
    assert not retried(state) & (final | STATES_OWN_ERRORS)
    assert retried(state) >= LAMBDAS_OWN_ERRORS | {"StorageUnavailable"}


@every_task
def test_retriers_have_a_ceiling_and_jitter(state: dict[str, Any]) -> None:
    assert state["Retry"]
    for retrier in state["Retry"]:
        assert retrier["JitterStrategy"] == "FULL"
        assert retrier["IntervalSeconds"] <= retrier["MaxDelaySeconds"]
        assert retrier["MaxAttempts"] >= 1
        assert retrier["BackoffRate"] == 2


@every_lambda_task
def test_a_throttle_is_waited_out_for_a_day(state: dict[str, Any]) -> None:
    retrier = state["Retry"][0]
    assert retrier["ErrorEquals"] == ["Lambda.TooManyRequestsException"]
    # With full jitter a wait is half as long, by and large.
    assert retrier["MaxAttempts"] * retrier["MaxDelaySeconds"] / 2 >= 86_400


@every_drawing_machine
def test_a_failed_image_is_caught_inside_the_innermost_map(machine: str) -> None:
    states = inner_map(machine)["ItemProcessor"]["States"]
    ours, others = states["Generate Thumbnail"]["Catch"]
    assert others["ErrorEquals"] == ["States.ALL"]
    # Ours are those that are taken apart: what the function raises, and nothing that has another's cause.
    leaves = {name for name, error in OURS.items() if not error.__subclasses__() or error is errors.UnusableAnswer}
    elsewhere = {"AllImagesFailed", "CampaignCutShort", "OrchestrationUnavailable", "ModerationUnavailable"}
    # A run reserves for all of its images before it makes one, and a choice of winners is told of when it is made.
    elsewhere |= {"DailyBudgetExceeded", "BusUnavailable"}
    assert set(ours["ErrorEquals"]) == leaves - elsewhere
    for catcher in (ours, others):
        name, state = catcher["Next"], states[catcher["Next"]]
        while "Next" in state:
            assert state["Type"] == "Pass"
            name, state = state["Next"], states[state["Next"]]
        assert name in RECORD
        assert (state["Type"], state["End"]) == ("Pass", True)


@every_drawing_machine
def test_the_providers_pace_is_waited_for_in_a_wait_state(machine: str) -> None:
    states = inner_map(machine)["ItemProcessor"]["States"]
    judge = states[states["Generate Thumbnail"]["Next"]]
    (waits,) = judge["Choices"]
    assert (waits["Variable"], waits["IsPresent"]) == ("$.wait_seconds", True)
    wait = states[waits["Next"]]
    assert (wait["Type"], wait["SecondsPath"], wait["OutputPath"]) == ("Wait", "$.wait_seconds", "$.cell")
    assert wait["Next"] == "Generate Thumbnail"
    paused = Pause(1, Cell(title="A title", model="gpt-image-1")).as_json()
    assert set(paused) == {"wait_seconds", "cell"}
    kept = states[judge["Default"]]
    assert kept["End"] is True
    assert "image_url.$" not in kept["Parameters"]


@every_task
def test_a_task_says_what_it_is_for_and_ends_in_time(state: dict[str, Any]) -> None:
    assert state["Comment"].endswith(".")
    # A function has a quarter of an hour at most; a run of one title may wait for room and for its providers.
    assert 0 < state["TimeoutSeconds"] <= (86_400 if state["Resource"].endswith("startExecution.sync:2") else 900)


@every_map
def test_a_map_says_its_mode_and_its_concurrency(state: dict[str, Any]) -> None:
    mode = state["ItemProcessor"]["ProcessorConfig"]["Mode"]
    assert "MaxConcurrencyPath" in state
    assert mode in ("INLINE", "DISTRIBUTED")
    assert state["Comment"]


def test_a_campaigns_rows_are_runs_of_one_title_and_their_results_are_written() -> None:
    rows = DEFINITIONS["generate_campaign"]["States"]["Generate Campaign"]
    assert rows["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert rows["ToleratedFailurePercentagePath"] == "$.tolerated_failure_percentage"
    (row,) = rows["ItemProcessor"]["States"].values()
    assert row["Parameters"]["StateMachineArn"] == "${GenerateThumbnailsStateMachineArn}"
    assert "Catch" not in row
    # However the Map ends, what it has is collected.
    assert rows["Next"] == rows["Catch"][0]["Next"] == "Collect Campaign"
    assert rows["Catch"][0]["ErrorEquals"] == ["States.ALL"]
    assert rows["ResultWriter"]["Parameters"]["Prefix.$"] == "$.results_prefix"


@pytest.mark.parametrize("name", ["Submit Batches", "Check Batches"])
def test_a_step_of_half_price_is_tried_again_after_a_crash_and_never_lets_rows_pay_in_its_place(name: str) -> None:
    state = DEFINITIONS["generate_campaign"]["States"][name]
    assert retried(state) >= CRASHES | {"ProviderUnreachable", "ProviderTimeout", "ProviderUnavailable"}
    (catcher,) = state["Catch"]
    assert (catcher["ErrorEquals"], catcher["Next"]) == (["States.ALL"], "Collect Campaign")


def test_batches_are_waited_for_without_a_function() -> None:
    states = DEFINITIONS["generate_campaign"]["States"]
    wait = states[states["Judge Batches"]["Default"]]
    assert (wait["Type"], wait["SecondsPath"], wait["Next"]) == ("Wait", "$.batches.wait_seconds", "Check Batches")
    assert states["Judge Batches"]["Choices"][0]["Next"] == "Generate Campaign"


def test_a_row_is_started_again_only_where_it_was_not_started() -> None:
    row = dict(states_of(DEFINITIONS["generate_campaign"]))["Generate Row"]
    assert retried(row) == STEP_FUNCTIONS_OWN_ERRORS
    assert row["Parameters"]["Name.$"] == "$.name"


@every_machine
def test_state_names_are_unique_verb_phrases(machine: str) -> None:
    names = [name for name, _ in states_of(DEFINITIONS[machine])]
    assert len(names) == len(set(names))
    assert {name.split()[0] for name in names} <= VERBS
    assert all(len(name.split()) >= 2 and name == name.title() for name in names)


def reader_of(machine: str, error: str) -> dict[str, Any]:
    """The state that takes over where a Lambda has thrown this error."""
    states = DEFINITIONS[machine]["States"]
    (name,) = [
        catcher["Next"]
        for state in states.values()
        for catcher in state.get("Catch", ())
        if error in catcher["ErrorEquals"]
    ]
    found: dict[str, Any] = states[name]
    return found


@every_machine
@pytest.mark.parametrize("error", [*REFUSALS, "AllImagesFailed"])
def test_the_cause_of_a_failed_run_is_the_sentence_in_the_lambdas_error(machine: str, error: str) -> None:
    states, reader = DEFINITIONS[machine]["States"], reader_of(machine, error)
    parsed = reader["Parameters"]["cause.$" if machine not in ANNOUNCING else "thrown.$"]
    assert re.fullmatch(r"States\.StringToJson\(\$\.(failure\.)?Cause\)", parsed)
    following = states[reader["Next"]]
    if machine not in ANNOUNCING:
        named = {"Error": error} if error not in REFUSALS else {"ErrorPath": "$.error"}
        assert following.items() >= {"Type": "Fail", **named}.items()
        assert reader["Parameters"].get("error.$") == ("$.Error" if error in REFUSALS else None)
        assert following["CausePath"] == "$.cause.errorMessage"
        return
    detail = reader["Parameters"]["announcement"]["detail"]
    assert detail.get("error.$" if error in REFUSALS else "error") == ("$.Error" if error in REFUSALS else error)
    assert following["InputPath"] == "$.thrown.errorMessage"
    assert following["ResultPath"] == "$.announcement.detail.cause"
    assert following["Next"] == "Announce Run"


@every_announcing_machine
def test_every_end_is_announced_by_one_task_and_is_what_was_announced(machine: str) -> None:
    states = DEFINITIONS[machine]["States"]
    (task,) = [state for state in states.values() if state.get("Resource") == "arn:aws:states:::events:putEvents"]
    described = {name: state for name, state in states.items() if "announcement" in state.get("Parameters", ())}
    assert {name for name, state in states.items() if state.get("Next") == "Announce Run"} <= {*described, "Read Cause"}
    assert {state["Next"] for state in described.values()} <= {"Announce Run", "Read Cause"}
    # Announced or not, the run ends the same.
    (catcher,) = task["Catch"]
    assert catcher == {"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": task["Next"]}
    assert task["ResultPath"] is None
    judge = states[task["Next"]]
    (failed,) = judge["Choices"]
    assert (failed["Variable"], failed["IsPresent"]) == ("$.announcement.detail.error", True)
    assert states[failed["Next"]]["ErrorPath"] == "$.announcement.detail.error"
    assert states[failed["Next"]]["CausePath"] == "$.announcement.detail.cause"
    kept = states[judge["Default"]]
    assert (kept["Type"], kept["OutputPath"], kept["End"]) == ("Pass", "$.result", True)
    for state in described.values():
        detail = state["Parameters"]["announcement"]["detail"]
        fails = "error" in fields_of(detail)
        assert fails != ("result.$" in state["Parameters"])
        assert ("cause.$" in detail) == (fails and state["Next"] == "Announce Run")


@every_announcing_machine
def test_an_announcement_has_the_fields_that_listeners_know(machine: str) -> None:
    states = DEFINITIONS[machine]["States"]
    found = {}
    for name, state in states.items():
        if "announcement" in state.get("Parameters", ()):
            announcement = state["Parameters"]["announcement"]
            fields = {field.removesuffix(".$") for field in announcement["detail"]}
            fields |= {"cause"} if state["Next"] == "Read Cause" else set()
            found[name] = (announcement["type"], fields)
    assert found == ANNOUNCEMENTS[machine]


def test_a_campaign_that_was_cut_short_fails_with_its_maps_error() -> None:
    detail = DEFINITIONS["generate_campaign"]["States"]["Describe Cutoff"]["Parameters"]["announcement"]["detail"]
    assert detail["error"] == "CampaignCutShort"
    assert detail["cause.$"] == "States.Format('{}: {}', $.failure.Error, $.failure.Cause)"


def test_a_campaign_that_the_days_budget_did_not_hold_pauses() -> None:
    states = DEFINITIONS["generate_campaign"]["States"]
    pauses, _ = states["Judge Campaign"]["Choices"]
    # A result without a failure has no error that could be compared.
    assert pauses["And"][0] == {"Variable": "$.failure", "IsPresent": True}
    assert pauses["And"][1] == {"Variable": "$.failure.Error", "StringEquals": "DailyBudgetExceeded"}
    detail = states[pauses["Next"]]["Parameters"]["announcement"]["detail"]
    assert (detail["error.$"], detail["cause.$"]) == ("$.failure.Error", "$.failure.Cause")


def fields_of(template: dict[str, Any]) -> set[str]:
    return {name.removesuffix(".$") for name in template}


@every_lambda_task
def test_a_payload_has_the_fields_that_its_handler_reads_and_no_other(state: dict[str, Any]) -> None:
    if "Payload" in state["Parameters"]:
        read = EVENTS[state["Parameters"]["FunctionName"]].model_fields
        assert fields_of(state["Parameters"]["Payload"]) == set(read)
        return
    # A cell is what the Map selects.
    assert state["Parameters"] == {"FunctionName": "${GenerateThumbnailFunctionArn}", "Payload.$": "$"}
    for machine in DRAWING:
        assert fields_of(inner_map(machine)["ItemSelector"]) == set(Cell.model_fields) - OF_WAITING


def test_a_row_has_the_fields_that_its_own_map_reads_and_no_other() -> None:
    row = dict(states_of(DEFINITIONS["generate_batch"]))["Generate Batch"]["ItemSelector"]
    inner = inner_map("generate_batch")
    read = [inner["ItemsPath"], inner["MaxConcurrencyPath"], *inner["ItemSelector"].values()]
    assert fields_of(row) == {path.removeprefix("$.") for path in read if path.startswith("$.")}


@every_machine
def test_substitutions_carry_arns_and_the_stacks_name_and_are_all_filled_in(machine: str) -> None:
    used = set(re.findall(r"\$\{(\w+)\}", TEXTS[machine]))
    (resource,) = [
        resource["Properties"]
        for resource in RESOURCES.values()
        if resource["Properties"].get("DefinitionUri") == f"statemachine/{machine}.asl.json"
    ]
    assert used == set(resource["DefinitionSubstitutions"])
    assert all(name.endswith("Arn") for name in used - {"Application"})


def asl_problems(definition: dict[str, Any]) -> list[str]:
    """What cfn-lint's rule for state machine definitions (E3601) says of one, inlined into a template."""
    role = "arn:aws:iam::123456789012:role/states"
    text = re.sub(r"\$\{\w+\}", "arn:aws:lambda:us-east-1:123456789012:function:f", json.dumps(definition))
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": {
            "Machine": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {"RoleArn": role, "DefinitionString": text},
            }
        },
    }
    config = ManualArgs(regions=["us-east-1"])
    return [match.message for match in lint(json.dumps(template), config=config) if match.rule.id == "E3601"]


@every_machine
def test_the_asl_linter_finds_nothing(machine: str) -> None:
    assert asl_problems(DEFINITIONS[machine]) == []


def broken(machine: str, path: list[str], value: object) -> dict[str, Any]:
    definition = copy.deepcopy(DEFINITIONS[machine])
    place: Any = definition
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return definition


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["StartAt"], "No Such State"),
        (["States", "Collect Thumbnails", "Next"], "No Such State"),
        (["States", "Refuse Request", "Type"], "Failure"),
        (["States", "Validate Thumbnails", "TimeoutSeconds"], "soon"),
        (["States", "Validate Thumbnails", "Resource"], 7),
        (["States", "Generate Thumbnails", "MaxConcurrency"], "many"),
        (["States", "Generate Thumbnails", "ItemProcessor", "States", "Generate Thumbnail", "Retry"], {}),
    ],
    ids=lambda part: "/".join(part) if isinstance(part, list) else "",
)
def test_the_asl_linter_finds_what_is_broken(path: list[str], value: object) -> None:
    assert asl_problems(broken("generate_thumbnails", path, value))


def functions() -> dict[str, Any]:
    return {
        name: resource["Properties"]
        for name, resource in RESOURCES.items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


@every_machine
def test_provider_timeout_function_timeout_state_timeout_rise(machine: str) -> None:
    provider = TEMPLATE["Parameters"]["ProviderTimeoutSeconds"]
    generate = functions()["GenerateThumbnailFunction"]["Timeout"]
    assert provider["Default"] <= provider["MaxValue"] < generate
    for name, state in states_of(DEFINITIONS[machine]):
        if "FunctionName" in state.get("Parameters", ()):
            (function,) = re.findall(r"\$\{(\w+)Arn\}", state["Parameters"]["FunctionName"])
            assert functions()[function]["Timeout"] <= state["TimeoutSeconds"], name


@pytest.mark.parametrize("name", functions())
def test_a_functions_handler_exists(name: str) -> None:
    module, _, handler = functions()[name]["Handler"].rpartition(".")
    path = PROJECT / TEMPLATE["Globals"]["Function"]["CodeUri"] / Path(*module.split("."))
    assert f"def {handler}(" in path.with_suffix(".py").read_text()


def test_every_function_has_a_role_and_a_log_group_of_its_own_that_forgets() -> None:
    roles = [json.dumps(function["Role"]) for function in functions().values()]
    assert len(set(roles)) == len(roles)
    for function in functions().values():
        group = RESOURCES[function["LoggingConfig"]["LogGroup"]["Ref"]]["Properties"]
        assert group["LogGroupName"]["Fn::Sub"] == f"/aws/lambda/{function['FunctionName']['Fn::Sub']}"
        assert group["RetentionInDays"]


def test_no_secret_has_a_default() -> None:
    secrets = {name: found for name, found in TEMPLATE["Parameters"].items() if name.endswith("ApiKey")}
    assert len(secrets) == 2
    assert all(found["NoEcho"] is True and found["Default"] == "" for found in secrets.values())
