"""The stack itself: what it leaves behind, and what it says when it cannot start."""

import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
import psutil
import pytest
from botocore.exceptions import ClientError

from tests.integration.application import ACCOUNT, BUCKET, GPT, RUN_SECONDS, Application, create_function, wait_for
from tests.integration.test_events import ask, client, run_named
from thumbs.cli.application import Application as Command
from thumbs.command_error import CommandError
from thumbs.localstack import ENVIRONMENTS
from thumbs.stack.deploy import ARTIFACT_BUCKET, CREDENTIALS, REGION, STACK_NAME
from thumbs.stack.processes import Stack, answers, free_port, is_free, wait_for_end

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

SPAWNING = "import subprocess\ndef handler(event, context):\n    return subprocess.Popen(['sleep', '300']).pid\n"


def quiet(_line: str) -> None:
    pass


@pytest.fixture(scope="module")
def second(deployed: Application) -> Iterator[Stack]:
    """Another stack beside the tests' own, not started; two environments may work at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENVIRONMENTS, "2")
        stack = Stack(deployed.stack.home / "second", free_port())
        yield stack
        stack.stop(quiet)
        shutil.rmtree(stack.home)


def client_of(stack: Stack, service: Any) -> Any:
    """A client of a stack's service."""
    return boto3.client(
        service,
        endpoint_url=stack.endpoint,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )


def processes_of(stack: Stack) -> list[str]:
    """The command lines that name a stack's home."""
    found = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [line for line in found if str(stack.home) in line]


#: Each takes half a second, of the four that it may.
WAITING = """
import time
def handler(event, context):
    start = time.time()
    time.sleep(0.5)
    return [start, time.time()]
"""
FAN_OUT = {
    "StartAt": "Fan out",
    "States": {
        "Fan out": {
            "Type": "Map",
            "End": True,
            "ItemProcessor": {
                "StartAt": "Work",
                "States": {
                    "Work": {
                        "Type": "Task",
                        "Resource": "arn:aws:states:::lambda:invoke",
                        "Parameters": {"FunctionName": "waiting"},
                        "OutputPath": "$.Payload",
                        "TimeoutSeconds": 4,
                        "End": True,
                    }
                },
            },
        }
    },
}


def test_work_above_the_bound_waits_its_turn_and_its_time_has_not_begun(second: Stack) -> None:
    second.start(quiet)
    assert second.state()["environments"] == 2
    functions, states = client_of(second, "lambda"), client_of(second, "stepfunctions")
    # Together the eighteen take longer than each may.
    create_function(functions, "waiting", "app.handler", {"app.py": WAITING}, timeout=4)
    role = f"arn:aws:iam::{ACCOUNT}:role/any"
    machine = states.create_state_machine(name="fanOut", definition=json.dumps(FAN_OUT), roleArn=role)[
        "stateMachineArn"
    ]

    def start(items: int) -> str:
        arn: str = states.start_execution(stateMachineArn=machine, input=json.dumps([0] * items))["executionArn"]
        return arn

    def ended(arn: str) -> Any:
        found = states.describe_execution(executionArn=arn)
        return None if found["status"] == "RUNNING" else found

    large = start(16)
    small = start(2)
    done = {arn: wait_for("the end of both", partial(ended, arn), 120) for arn in (small, large)}
    assert [found["status"] for found in done.values()] == ["SUCCEEDED"] * 2
    assert done[small]["stopDate"] < done[large]["stopDate"]
    spans = [span for found in done.values() for span in json.loads(found["output"])]
    assert len(spans) == 18
    assert max(sum(start <= moment < end for start, end in spans) for moment, _ in spans) == 2
    assert max(end for _, end in spans) - min(start for start, _ in spans) > 4

    # What a stopped execution has waiting is never invoked.
    stopped = start(16)
    log = "/aws/lambda/waiting"
    logs = client_of(second, "logs")
    before = invocations(logs, log)
    wait_for("its first work", lambda: True if invocations(logs, log) > before else None, 120)
    states.stop_execution(executionArn=stopped)
    last = start(1)
    assert wait_for("the end of the last", lambda: ended(last), 120)["status"] == "SUCCEEDED"
    assert ended(stopped)["status"] == "ABORTED"
    assert invocations(logs, log) - before < 16
    for one in (functions, states, logs):
        one.close()


def invocations(logs: Any, group: str) -> int:
    """How many there were, by the function's log."""
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
    return sum("START RequestId" in event["message"] for page in pages for event in page["events"])


def test_a_stack_leaves_no_process_and_no_port_when_it_stops(second: Stack) -> None:
    second.start(quiet)
    services = [second.service(name) for name in ("localstack", "image_api")]
    functions = client_of(second, "lambda")
    create_function(functions, "spawning", "app.handler", {"app.py": SPAWNING})
    spawned = int(functions.invoke(FunctionName="spawning")["Payload"].read())
    functions.close()
    family = [psutil.Process(spawned)]
    for service in services:
        assert service
        assert service.process
        family += [service.process, *service.process.children(recursive=True)]
    assert processes_of(second)

    assert second.stop(quiet) is True
    assert wait_for_end(family, 3) == []
    assert processes_of(second) == []
    assert all(service and is_free(service.port) for service in services)
    assert second.image_api_url is None
    assert second.stop(quiet) is False


def test_a_stack_that_runs_is_not_started_again(deployed: Application) -> None:
    stack = deployed.stack
    before = [stack.service(name) for name in ("localstack", "image_api")]
    lines: list[str] = []
    Stack(stack.home, stack.port).start(lines.append)
    assert lines == []
    assert [stack.service(name) for name in ("localstack", "image_api")] == before


def test_a_stack_that_runs_on_another_port_says_so(deployed: Application) -> None:
    port = deployed.stack.port
    with pytest.raises(CommandError) as refused:
        Stack(deployed.stack.home, free_port()).start(quiet)
    assert str(refused.value).startswith(f"this stack already runs on port {port}: ")
    assert answers(f"{deployed.stack.endpoint}/_localstack/health")


def test_a_taken_port_is_named_with_its_holder(deployed: Application, second: Stack) -> None:
    taken = Stack(second.home, deployed.stack.port)
    holder = deployed.stack.service("localstack")
    assert holder
    with pytest.raises(CommandError) as refused:
        taken.start(quiet)
    assert str(refused.value) == (
        f"port {taken.port} is taken by {psutil.Process(holder.pid).name()} (pid {holder.pid}), which is not this "
        "stack: stop it, or choose another port with THUMBS_PORT"
    )
    assert processes_of(taken) == []


def test_everything_listens_on_loopback_alone(deployed: Application) -> None:
    for name in ("localstack", "image_api"):
        service = deployed.stack.service(name)
        assert service
        assert service.process
        listening = [
            connection.laddr
            for process in (service.process, *service.process.children(recursive=True))
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert service.port in [address.port for address in listening]
        assert {address.ip for address in listening} <= {"127.0.0.1", "::1"}


#: CloudFormation's way to say that nothing can be made of a resource.
BROKEN = """
  Broken:
    Type: AWS::Lambda::Permission
    DependsOn: [ImageBucket, ApiFunction, GenerateBatchStateMachine]
    Properties: { Action: "lambda:InvokeFunction", FunctionName: no-such-function, Principal: s3.amazonaws.com }
"""


@contextmanager
def second_stack(app: Application, name: str) -> Iterator[Callable[..., str]]:
    """Creates a second stack from what the first was deployed from; a call gives the stack's status at the end."""
    formation: CloudFormationClient = client(app, "cloudformation")
    template = str(formation.get_template(StackName=STACK_NAME)["TemplateBody"])
    given = formation.describe_stacks(StackName=STACK_NAME)["Stacks"][0]["Parameters"]
    values = {one["ParameterKey"]: one["ParameterValue"] for one in given} | {"BucketName": ""}

    def status() -> str:
        try:
            return formation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                return "UNKNOWN_IN_PROGRESS"  # LocalStack cannot tell while it changes it.
            return "DELETE_COMPLETE"

    def ended() -> str | None:
        found = status()
        return None if found.endswith("_IN_PROGRESS") else found

    def create(extra: str = "") -> str:
        body = template.replace("\nResources:\n", f"\nResources:{extra}\n", 1)
        app.s3.put_object(Bucket=ARTIFACT_BUCKET, Key=name, Body=body.encode())
        formation.create_stack(
            StackName=name,
            TemplateURL=f"{app.stack.endpoint}/{ARTIFACT_BUCKET}/{name}",
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        return wait_for(f"the end of {name}'s deployment", ended, RUN_SECONDS)

    def delete() -> None:
        formation.delete_stack(StackName=name)
        # On its way it says DELETE_FAILED of what was never made, and goes on.
        wait_for(f"the end of {name}", lambda: status() == "DELETE_COMPLETE" or None, RUN_SECONDS)

    try:
        # LocalStack leaves what a failed creation made; CloudFormation deletes it, as is done here.
        assert create(BROKEN) == "CREATE_FAILED"
        delete()
        yield create
    finally:
        delete()
        formation.close()


@pytest.mark.nightly
def test_two_stacks_live_side_by_side_and_a_deployment_that_failed_leaves_room_for_the_next(app: Application) -> None:
    name = "Beside-It"
    with second_stack(app, name) as create:
        assert create() == "CREATE_COMPLETE"
        request, run_id = {"prompts": ["A title of both"], "models": [GPT]}, f"both-{uuid.uuid4().hex[:8]}"
        beside = Command(app.stack.endpoint, name)
        first, second = app.succeed("generateBatch", request, run_id), beside.start("generateBatch", request, run_id)
        for followed in beside.follow(second):
            second = followed
        assert second.execution.output["images"] == first["images"] | {"paid_calls": 1}
        assert BUCKET in first["results"][0][0]
        assert beside.store.bucket.startswith("beside-it-")
        assert f"/{beside.store.bucket}/" in second.execution.output["results"][0][0]
        assert app.keys(f"runs/{run_id}/")
        # An event on the bus, which both hear, names the one that it is for.
        asked = f"event-{ask(app, request)}"
        assert app.wait(run_named(app, asked)).status == "SUCCEEDED"
        assert beside.executions.find(asked, "generateBatch") is None


@pytest.mark.parametrize("name", ["generateBatch", "generateThumbnails", "generateCampaign"])
def test_a_state_machine_passes_step_functions_own_validation(deployed: Application, name: str) -> None:
    arn = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{STACK_NAME}-{name}"
    definition = deployed.listing.describe_state_machine(stateMachineArn=arn)["definition"]
    validate = deployed.listing.validate_state_machine_definition
    assert validate(definition=definition, type="STANDARD", severity="WARNING")["result"] == "OK"
    broken = json.dumps({**json.loads(definition), "StartAt": ["Nowhere"]})
    found = validate(definition=broken, type="STANDARD", severity="WARNING")
    assert (found["result"], [one["severity"] for one in found["diagnostics"]]) == ("FAIL", ["ERROR"])
