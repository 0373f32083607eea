"""The deployed application, in an account or on LocalStack alike: the domain's clients with the person's own access."""

import json
import os
import re
import time
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ReadTimeoutError,
    SSLError,
)

from thumbnails.aws.queue import Queue
from thumbnails.aws.s3 import Store
from thumbnails.aws.step_functions import CONFIG, Execution, Executions, input_of
from thumbnails.errors import quoted
from thumbnails.keys import CAMPAIGNS, INBOX, KEY_BYTES, S3Object
from thumbnails.requests.events import run_for_file
from thumbnails.requests.models import CAMPAIGN, Kind
from thumbnails.runs.budget import Budget
from thumbnails.runs.listing import newest_names
from thumbnails.runs.naming import check_run_id, new_run_id
from thumbnails.runs.status import RunStatus, get_status, refresh
from thumbnails.runs.stop import stop_rows, stop_run
from thumbnails.runs.submit import start_run
from thumbs.command_error import CommandError
from thumbs.stack.deploy import CREDENTIALS, REGION, STACK_NAME
from thumbs.stack.processes import Stack

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient

MACHINES: tuple[Kind, ...] = ("generateBatch", "generateThumbnails", CAMPAIGN)
POLL_SECONDS = 0.5
#: Of what a service says.
MESSAGE_CHARACTERS = 500
#: What a connection that fails means; each of these errors knows the endpoint that was called.
BROKEN = {
    EndpointConnectionError: "nothing answers at {}",
    ConnectTimeoutError: "nothing answers at {}",
    ConnectionClosedError: "{} broke the connection off",
    ReadTimeoutError: "{} gave no answer in time",
    SSLError: "there is no safe connection to {}",
}
LOCAL = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])[:/]")
#: S3, EventBridge and a Lambda stand between a file and its run.
DELIVERY_SECONDS = 60
URL_SECONDS = 43200
#: Of the newest runs, for one that begins as a person says; and how many are named where several do.
LOOKED_THROUGH, NAMED = 1000, 5
#: LocalStack ends an execution when the functions that it waits for have answered.
STOP_SECONDS = 180
#: The person's command starts no run that the state machine would not check: it says what was asked for, whatever the
#: deployed cap is.
CAP = 1_000_000


class Application:
    """The application behind an endpoint.

    Args:
        endpoint: a LocalStack's, or None for AWS with the person's own credentials and region.
        stack_name: the CloudFormation stack's.
    """

    def __init__(self, endpoint: str | None, stack_name: str = STACK_NAME) -> None:
        self.endpoint = endpoint
        self.stack_name = stack_name
        local = bool(endpoint and is_local(endpoint))
        self._settings: dict[str, Any] = {"endpoint_url": endpoint} if endpoint else {}
        if local:
            self._settings |= {
                "region_name": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or REGION,
                "aws_access_key_id": CREDENTIALS["AWS_ACCESS_KEY_ID"],
                "aws_secret_access_key": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            }

    @staticmethod
    def named_endpoint() -> str | None:
        """What ``AWS_ENDPOINT_URL`` holds; None where it is unset."""
        return os.environ.get("AWS_ENDPOINT_URL")

    @classmethod
    def from_environment(cls) -> "Application":
        """What ``AWS_ENDPOINT_URL`` names: an endpoint; AWS where it is empty; this project's stack where it is unset.

        ``THUMBS_STACK_NAME`` names the CloudFormation stack, where it has another name than the usual one.

        Raises:
            CommandError: it is unset and the stack is not running.
        """
        endpoint = cls.named_endpoint()
        name = os.environ.get("THUMBS_STACK_NAME") or STACK_NAME
        if endpoint is not None:
            return cls(endpoint or None, name)
        stack = Stack.of_this_project()
        service = stack.service("localstack")
        if not (service and service.process):
            raise CommandError(
                "LocalStack has ended" if "localstack" in stack.lost() else "the stack is not running",
                "start it with `thumbs up`, or set AWS_ENDPOINT_URL= (empty) to use AWS",
            )
        return cls(f"http://localhost:{service.port}", name)

    @cached_property
    def executions(self) -> Executions:
        """The executions of the deployed state machines."""
        machines = {task: self._output(f"{task[0].upper()}{task[1:]}Arn") for task in MACHINES}
        return Executions(self._client("stepfunctions", CONFIG), machines)

    @cached_property
    def store(self) -> Store:
        """The deployed bucket."""
        style: Any = {"addressing_style": "path"} if self.endpoint else {}
        client = self._client("s3", Config(s3=style, signature_version="s3v4"))
        return Store(client, client, self._output("Bucket"), URL_SECONDS)

    @cached_property
    def lost_events(self) -> Queue | None:
        """The queue of events that started no run; None in an application from before it had one."""
        url = self._deployed[2].get("LostEventsUrl")
        return Queue(self._client("sqs"), url) if url else None

    @cached_property
    def budget(self) -> Budget:
        """The day's budget."""
        return Budget(self.store, float(self._deployed[2].get("DailyBudgetUsd", 0)))

    @property
    def scheduled(self) -> S3Object:
        """The request file that the schedule runs."""
        return S3Object(self._output("Bucket"), self._deployed[2].get("ScheduledKey", "scheduled/batch.json"), None)

    @property
    def api_url(self) -> str:
        """Where the HTTP API is."""
        return self._output("ApiUrl")

    def _client(self, service: str, config: Config | None = None) -> Any:
        return boto3.client(service, config=config, **self._settings)  # type: ignore[call-overload]

    def _output(self, name: str) -> str:
        """One of the deployed stack's outputs.

        Raises:
            CommandError: it has none of this name: its deployment failed, or was another version's.
        """
        where, status, outputs = self._deployed
        if name not in outputs:
            raise CommandError(
                f"the application at {where} is not whole ({STACK_NAME} is {status} and has no {name})",
                "`thumbs down`, then `thumbs up` deploys it anew"
                if is_local(where)
                else "look at the stack's events in CloudFormation, and deploy it again (docs/deploy.md)",
            )
        return outputs[name]

    @cached_property
    def _deployed(self) -> tuple[str, str, dict[str, str]]:
        """CloudFormation's endpoint, and the stack's status and outputs."""
        client: CloudFormationClient = self._client("cloudformation")
        where = client.meta.endpoint_url
        try:
            stack = client.describe_stacks(StackName=self.stack_name)["Stacks"][0]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "ValidationError":
                advice = "`thumbs up` deploys it" if is_local(where) else "deploy it (docs/deploy.md)"
                raise CommandError(
                    f"the application is not deployed at {where}: there is no stack {self.stack_name}",
                    f"{advice}, or name it with THUMBS_STACK_NAME",
                ) from None
            raise
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}
        return where, stack["StackStatus"], outputs

    def start(self, task: Kind, request: object, name: str | None = None) -> RunStatus:
        """Start a run, under a name of its own where it is given none."""
        name = name or new_run_id()
        # What can be told here is told before anything is asked.
        check_run_id(name)
        input_of(request)
        start_run(task, request, name, self.executions, self.store)
        return self.find(name)

    def start_campaign(self, file_name: str, body: IO[bytes], request: dict[str, Any]) -> RunStatus:
        """Put a campaign's file into the bucket and start it.

        Args:
            file_name: the file's.
            body: its bytes.
            request: the campaign, without its file.
        """
        # A role lets the functions read files by their endings, which S3 takes as they are written.
        name = Path(file_name)
        key = CAMPAIGNS + name.stem + name.suffix.lower()
        self.store.upload(key, body, "application/octet-stream")
        return self.start(CAMPAIGN, {"file": key, **request})

    def make_one(self, request: object) -> dict[str, Any]:
        """Call the ``generateThumbnail`` Lambda for one image and wait for it."""
        text = input_of(request)
        client: LambdaClient = self._client("lambda", Config(read_timeout=180, retries={"total_max_attempts": 1}))
        answer = client.invoke(FunctionName=self._output("GenerateThumbnailArn"), Payload=text)
        payload = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise CommandError(f"{payload.get('errorType', 'the function failed')}", payload.get("errorMessage", ""))
        made: dict[str, Any] = payload
        return made

    def drop(self, file_name: str, body: bytes) -> str:
        """Put a file into the inbox; the id of the run that it starts.

        Raises:
            CommandError: no object can be called so.
        """
        key = INBOX + file_name
        if not file_name.isprintable() or len(os.fsencode(key)) > KEY_BYTES:
            raise CommandError(
                f"{quoted(file_name)} cannot be the name of an object", "give the file a shorter, plainer name"
            )
        return run_for_file(self.store.put_version(key, body))

    def wait_for_start(self, run_id: str) -> RunStatus:
        """The run of a file that was dropped, once it has started.

        Raises:
            CommandError: it has not started after a while.
        """
        for _ in range(int(DELIVERY_SECONDS / POLL_SECONDS)):
            if found := self._status(run_id):
                return found
            time.sleep(POLL_SECONDS)
        raise CommandError(
            f"the file is in the bucket's inbox, and there is no run {run_id} after {DELIVERY_SECONDS} s",
            "`thumbs lost` says why, once EventBridge and startBatch have given up",
        )

    def find(self, run_id: str) -> RunStatus:
        """A run as it stands, by its id or the beginning of it, where no other of the newest begins so.

        Raises:
            CommandError: there is none, or more than one.
        """
        if found := self._status(run_id):
            return found
        newest = newest_names(self.executions, self.store, LOOKED_THROUGH)
        names = [name for name in newest if run_id and name.startswith(run_id)]
        if len(names) > 1:
            shown = ", ".join(names[:NAMED])
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            raise CommandError(f"{quoted(run_id, 80)} is the beginning of {len(names)} runs", f"{shown}{more}")
        if names and (found := self._status(names[0])):
            return found
        raise CommandError(f"there is no run {quoted(run_id, 80)}", "`thumbs runs` lists them")

    def follow(self, run: RunStatus) -> Iterator[RunStatus]:
        """A run, again and again until it has ended."""
        while True:
            run = refresh(run, self.executions, self.store, CAP)
            yield run
            if not run.execution.is_running:
                return
            time.sleep(POLL_SECONDS)

    def stop(self, run: RunStatus) -> None:
        """Stop a run and wait for its end, a campaign with its rows.

        Raises:
            CommandError: it did not end as stopped.
        """
        stop_run(run, self.executions)
        self._wait_until(lambda: not self._now(run).is_running, f"{run.run_id} is still running", "its last image")
        if (status := self._now(run).status) != "ABORTED":
            raise CommandError(f"{run.run_id} ended before it could be stopped", f"it is {status}")
        if run.is_campaign:
            stopped: set[str] = set()

            def rows_have_ended() -> bool:
                left = stop_rows(run.run_id, self.executions, stopped)
                stopped.update(left)
                return not left

            self._wait_until(rows_have_ended, f"rows of {run.run_id} are still running", "an image")

    def log_lines(self, function: str, since: datetime, follow: bool) -> Iterator[str]:
        """A function's log lines in the order of their time; with ``follow``, without end.

        Raises:
            CommandError: there is no log: the function never ran, or is not deployed.
        """
        client: CloudWatchLogsClient = self._client("logs")
        start, seen = int(since.timestamp() * 1000), set[str]()
        while True:
            pages = client.get_paginator("filter_log_events").paginate(
                logGroupName=f"/aws/lambda/{self.stack_name}-{function}", startTime=start
            )
            try:
                events = sorted(
                    (event for page in pages for event in page["events"] if event["eventId"] not in seen),
                    key=lambda event: event["timestamp"],
                )
            except client.exceptions.ResourceNotFoundException:
                # The deployed stack knows its functions' groups; LocalStack makes them when they first write.
                self._output("GenerateBatchArn")
                raise CommandError(f"{function} has no log", "it has not run yet on this stack") from None
            for event in events:
                seen.add(event["eventId"])
                yield event["message"].rstrip("\n")
            if not follow:
                return
            time.sleep(POLL_SECONDS)

    def _status(self, run_id: str) -> RunStatus | None:
        return get_status(run_id, self.executions, self.store, CAP)

    def _now(self, run: RunStatus) -> Execution:
        return self.executions.find(run.execution.name, run.execution.task) or run.execution

    @staticmethod
    def _wait_until(done: Any, problem: str, what: str) -> None:
        for _ in range(int(STOP_SECONDS / POLL_SECONDS)):
            if done():
                return
            time.sleep(POLL_SECONDS)
        raise CommandError(f"{problem} after {STOP_SECONDS} s", f"{what} may be under way")


def is_local(endpoint: str) -> bool:
    """Whether an endpoint is on this machine."""
    return LOCAL.match(endpoint + "/") is not None


def in_plain_words(error: BotoCoreError | ClientError) -> CommandError:
    """What a failed AWS call means to a person."""
    if broken := broken_connection(error):
        return broken
    if isinstance(error, NoCredentialsError | NoRegionError):
        return CommandError(str(error).rstrip("."), "configure the AWS CLI, or set AWS_PROFILE and AWS_REGION")
    return CommandError(" ".join(str(error).split())[:MESSAGE_CHARACTERS])


def broken_connection(error: BaseException | None, endpoint: str | None = None) -> CommandError | None:
    """What to tell of a connection that failed, with the endpoint it was to; None for any other error.

    Args:
        error: any error.
        endpoint: whose a 503 is, which does not say it itself: LocalStack answers so while it ends.
    """
    if isinstance(error, ClientError) and endpoint and error.response["ResponseMetadata"]["HTTPStatusCode"] == 503:
        words, where = "{} ends, or has no room (503)", endpoint
    elif found := next((words for kind, words in BROKEN.items() if isinstance(error, kind)), None):
        url = urlsplit(str(getattr(error, "kwargs", {}).get("endpoint_url", "")))
        words, where = found, f"{url.scheme}://{url.netloc}"
    else:
        return None
    return CommandError(
        words.format(where),
        "`thumbs status` says what runs here, `thumbs up` starts the stack"
        if is_local(where)
        else "is that the right endpoint, and is the network there?",
    )
