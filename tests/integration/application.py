"""The deployed application as the integration tests see it."""

import io
import json
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from thumbs.cli.tool_commands import FUNCTIONS
from thumbs.image_api.control import ImageApiControl
from thumbs.stack import deploy
from thumbs.stack.deploy import CREDENTIALS, REGION, STACK_NAME
from thumbs.stack.processes import Stack

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

T = TypeVar("T")

ACCOUNT = "000000000000"
BUCKET = deploy.BUCKET
GEMINI, GPT, GPT2, DALLE = "gemini-3-pro-image-preview", "gpt-image-1", "gpt-image-2", "dall-e-3"
#: Longer than anything takes on a busy machine: three provider timeouts, the longest two waits between them, and more.
RUN_SECONDS = 240.0


@dataclass(frozen=True)
class FinishedRun:
    """An execution at its end."""

    arn: str
    name: str
    status: str
    output: Any
    error: str
    cause: str


@dataclass(frozen=True)
class Invocation:
    """What a Lambda invocation answered: the payload, and Lambda's own word for a failed one."""

    payload: Any
    function_error: str


def deployed_name(function: str) -> str:
    """The name that the stack gives to a function of the application; any other function's own."""
    return f"{STACK_NAME}-{function}" if function in FUNCTIONS else function


def wait_for(what: str, look: Callable[[], T | None], seconds: float) -> T:
    """Look again and again until there is something; fail after a while."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: nothing after {seconds:g} s")
        time.sleep(0.1)
    return found


def machine_arn(task: str) -> str:
    """Of a state machine that the template deploys."""
    return f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{STACK_NAME}-{task}"


def execution_arn(name: str, task: str = "generateBatch") -> str:
    """Of an execution of one."""
    return f"arn:aws:states:{REGION}:{ACCOUNT}:execution:{STACK_NAME}-{task}:{name}"


class Application:
    """A deployed stack: its AWS clients, its offline image API, and what tests do with them."""

    def __init__(self, stack: Stack) -> None:
        assert stack.image_api_url
        self.stack = stack
        self.image_api = ImageApiControl(stack.image_api_url)
        session = boto3.session.Session(
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region_name=REGION,
        )
        # What fails is the test's to see and not the client's to repeat.
        config = Config(retries={"total_max_attempts": 1}, read_timeout=RUN_SECONDS)
        self.states: SFNClient = session.client("stepfunctions", endpoint_url=stack.endpoint, config=config)
        self.functions: LambdaClient = session.client("lambda", endpoint_url=stack.endpoint, config=config)
        self.s3: S3Client = session.client("s3", endpoint_url=stack.endpoint, config=config)
        # LocalStack fails a listing during which something is added to what it lists.
        again = config.merge(Config(retries={"mode": "standard", "total_max_attempts": 4}))
        self.logs: CloudWatchLogsClient = session.client("logs", endpoint_url=stack.endpoint, config=again)
        self.listing: SFNClient = session.client("stepfunctions", endpoint_url=stack.endpoint, config=again)

    def close(self) -> None:
        """Give the connections back."""
        for client in (self.states, self.functions, self.s3, self.logs, self.listing):
            client.close()

    def start(self, task: str, request: object, name: str | None = None) -> str:
        """Start a state machine; the execution's ARN."""
        arn = machine_arn(task)
        named = {"name": name} if name else {}
        return self.states.start_execution(stateMachineArn=arn, input=json.dumps(request), **named)["executionArn"]

    def wait(self, arn: str, seconds: float = RUN_SECONDS) -> FinishedRun:
        """An execution at its end, whatever that is."""

        def ended() -> FinishedRun | None:
            found = self.states.describe_execution(executionArn=arn)
            if found["status"] == "RUNNING":
                return None
            output = json.loads(found["output"]) if found.get("output") else None
            return FinishedRun(
                arn, found["name"], found["status"], output, found.get("error", ""), found.get("cause", "")
            )

        return wait_for(f"the end of {arn}", ended, seconds)

    def run(self, task: str, request: object, name: str | None = None) -> FinishedRun:
        """Start a state machine and wait for its end."""
        return self.wait(self.start(task, request, name))

    def succeed(self, task: str, request: object, name: str | None = None) -> Any:
        """The output of a run that has to succeed."""
        done = self.run(task, request, name)
        assert (done.status, done.error, done.cause) == ("SUCCEEDED", "", "")
        return done.output

    def invoke(self, function: str, event: object) -> Invocation:
        """Invoke a Lambda function and wait for its answer."""
        answer = self.functions.invoke(FunctionName=deployed_name(function), Payload=json.dumps(event).encode())
        return Invocation(json.loads(answer["Payload"].read()), answer.get("FunctionError", ""))

    def function_names(self) -> list[str]:
        """The functions that are there."""
        return [found["FunctionName"] for found in self.functions.list_functions()["Functions"]]

    def set_variables(self, function: str, **variables: str) -> None:
        """Change variables of a function for good."""
        before = self.functions.get_function_configuration(FunctionName=deployed_name(function))
        self._configure(function, before["Timeout"], {**before["Environment"]["Variables"], **variables})

    @contextmanager
    def configured(self, function: str, timeout: int | None = None, **variables: str) -> Iterator[None]:
        """Change a function's timeout or variables for a while; every one of its environments starts anew."""
        before = self.functions.get_function_configuration(FunctionName=deployed_name(function))
        values = before["Environment"]["Variables"]
        self._configure(function, timeout or before["Timeout"], {**values, **variables})
        try:
            yield
        finally:
            self._configure(function, before["Timeout"], values)

    def _configure(self, function: str, timeout: int, variables: dict[str, str]) -> None:
        self.functions.update_function_configuration(
            FunctionName=deployed_name(function), Timeout=timeout, Environment={"Variables": variables}
        )
        self.wait_until_updated(function)

    def wait_until_updated(self, function: str) -> None:
        """Wait until a function has taken its new configuration."""

        def updated() -> bool | None:
            found = self.functions.get_function_configuration(FunctionName=deployed_name(function))
            return True if found["LastUpdateStatus"] == "Successful" else None

        wait_for(f"the new configuration of {function}", updated, RUN_SECONDS)

    def task_outputs(self, arn: str) -> list[Any]:
        """What the functions of an execution gave, in the order in which they ended."""
        pages = self.states.get_paginator("get_execution_history").paginate(executionArn=arn)
        events = [event for page in pages for event in page["events"] if event["type"] == "TaskSucceeded"]
        details = [event["taskSucceededEventDetails"] for event in events]
        return [json.loads(found["output"])["Payload"] for found in details if found["resourceType"] == "lambda"]

    def requests_by_title(self) -> dict[str, tuple[int, int]]:
        """How many calls came in and how many were paid, by the title in the prompt."""
        return {
            call["prompt"].split('titled "', 1)[1].split('"', 1)[0]: (call["requests"], call["paid"])
            for call in self.image_api.calls()["by_prompt"]
        }

    def keys(self, prefix: str = "") -> list[str]:
        """The bucket's keys under a prefix, in order."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return sorted(item["Key"] for page in pages for item in page.get("Contents", ()))

    def read(self, key: str) -> bytes:
        """An object's body."""
        return self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def manifest(self, run_id: str) -> Any:
        """A run's stored result, or None."""
        try:
            return json.loads(self.read(f"runs/{run_id}/manifest.json"))
        except ClientError as error:
            assert error.response["Error"]["Code"] == "NoSuchKey"
            return None

    def log_lines(self, function: str, needle: str, seconds: float = RUN_SECONDS) -> list[str]:
        """A function's log, once it holds a line with ``needle``."""

        def found() -> list[str] | None:
            try:
                pages = self.logs.get_paginator("filter_log_events").paginate(
                    logGroupName=f"/aws/lambda/{deployed_name(function)}"
                )
                lines = [event["message"] for page in pages for event in page["events"]]
            except self.logs.exceptions.ResourceNotFoundException:
                return None
            return lines if any(needle in line for line in lines) else None

        return wait_for(f"{needle!r} in the log of {function}", found, seconds)


def create_function(client: "LambdaClient", name: str, handler: str, files: dict[str, str], timeout: int = 3) -> None:
    """Create a function from source files."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for path, source in files.items():
            packed.writestr(path, source)
    client.create_function(
        FunctionName=name,
        Runtime="python3.11",
        Handler=handler,
        Role=f"arn:aws:iam::{ACCOUNT}:role/any",
        Code={"ZipFile": archive.getvalue()},
        Timeout=timeout,
    )


def without_query(url: str) -> str:
    """A URL less what signs it."""
    return url.split("?", 1)[0]


def opened(url: str) -> bytes:
    """What a browser on this machine gets."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=RUN_SECONDS) as answer:
        assert answer.status == 200
        body: bytes = answer.read()
    return body
