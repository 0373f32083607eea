"""The deployed application, in an account or on LocalStack alike: start, follow, read, stop and resume runs."""

import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, NoCredentialsError, NoRegionError

from thumbnails.errors import InvalidBatch, quoted
from thumbnails.executions import may_resume, redrive_name, run_of
from thumbnails.progress import read_history
from thumbnails.request import KEY_BYTES, check_run_id
from thumbnails.starts import dropped_file_run
from thumbs.deploy import CREDENTIALS, REGION, STACK_NAME
from thumbs.errors import CommandError
from thumbs.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

CAMPAIGN = "generateCampaign"
STATE_MACHINES = ("generateBatch", "generateThumbnails", CAMPAIGN)
FUNCTIONS = (
    "validateBatch",
    "generateThumbnail",
    "collectBatch",
    "startBatch",
    "api",
    "validateCampaign",
    "collectCampaign",
)
TASKS = {
    "generateThumbnail": "one title, one model → one image (Lambda)",
    "generateThumbnails": "one title, M models → one image per model (state machine)",
    "generateBatch": "N prompts × M models → a matrix of images (state machine)",
    CAMPAIGN: "a file of titles × M models, beyond the cap → a manifest (state machine)",
}
#: How many listed runs are looked through for those that are no campaign's rows.
LISTED = 10_000
POLL_SECONDS = 0.5
#: Step Functions' own limit.
INPUT_BYTES = 262_144
#: Of what a service says.
MESSAGE_CHARACTERS = 500
#: S3, EventBridge and a Lambda stand between a file and its run.
DELIVERY_SECONDS = 60
URL_SECONDS = 43200
#: LocalStack ends an execution when the functions that it waits for have answered.
STOP_SECONDS = 180


@dataclass(frozen=True)
class Execution:
    """One execution: ``name`` is its own, ``run_id`` the run that it makes or resumes."""

    arn: str
    name: str
    task: str
    status: str
    started: datetime
    stopped: datetime | None
    request: Any = None
    result: dict[str, Any] | None = None
    error: str = ""
    cause: str = ""

    @property
    def seconds(self) -> float:
        """Wall time, up to now while it runs."""
        return ((self.stopped or datetime.now(UTC)) - self.started).total_seconds()

    @property
    def run_id(self) -> str:
        """The run's id: the execution's name, or the one that it resumes."""
        return run_of(self.request, self.name)


@dataclass
class Progress:
    """What the history says of each cell, by (row, column)."""

    titles: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    states: dict[tuple[int, int], str] = field(default_factory=dict)


@dataclass(frozen=True)
class CampaignProgress:
    """How far a campaign is: its rows, and those of them that this execution has begun and ended."""

    rows: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0


class Application:
    """The application behind an endpoint.

    Args:
        endpoint: a LocalStack's, or None for AWS with the person's own credentials and region.
    """

    def __init__(self, endpoint: str | None) -> None:
        self.endpoint = endpoint
        local = bool(endpoint and re.match(r"https?://(localhost|127\.0\.0\.1|\[::1\])[:/]", endpoint + "/"))
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
    def here(cls) -> "Application":
        """What ``AWS_ENDPOINT_URL`` names: an endpoint; AWS where it is empty; this project's stack where it is unset.

        Raises:
            CommandError: it is unset and the stack does not run.
        """
        endpoint = cls.named_endpoint()
        if endpoint is not None:
            return cls(endpoint or None)
        stack = Stack.of_this_project()
        service = stack.service("localstack")
        if not (service and service.process):
            raise CommandError(
                "LocalStack has ended" if "localstack" in stack.lost() else "the stack does not run",
                "start it with `thumbs up`, or set AWS_ENDPOINT_URL= (empty) to use AWS",
            )
        return cls(f"http://localhost:{service.port}")

    @cached_property
    def _steps(self) -> "SFNClient":
        client: SFNClient = self._client("stepfunctions")
        return client

    @cached_property
    def _s3(self) -> "S3Client":
        client: S3Client = self._client(
            "s3", s3={"addressing_style": "path"} if self.endpoint else {}, signature_version="s3v4"
        )
        return client

    def _client(self, service: str, **config: Any) -> Any:
        return boto3.client(service, config=Config(**config), **self._settings)  # type: ignore[call-overload]

    @cached_property
    def _outputs(self) -> dict[str, str]:
        client: CloudFormationClient = self._client("cloudformation")
        try:
            stacks = client.describe_stacks(StackName=STACK_NAME)["Stacks"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "ValidationError":
                raise CommandError(
                    f"the application is not deployed at {self.endpoint or 'AWS'}", "deploy it: `thumbs up`"
                ) from None
            raise
        return {output["OutputKey"]: output["OutputValue"] for output in stacks[0].get("Outputs", ())}

    @property
    def bucket(self) -> str:
        """The bucket of images."""
        return self._outputs["Bucket"]

    @property
    def api_url(self) -> str:
        """Where the HTTP API is."""
        return self._outputs["ApiUrl"]

    def start(self, task: str, request: object, name: str | None = None) -> Execution:
        """Start a state machine.

        Args:
            task: one of ``STATE_MACHINES``.
            request: its input.
            name: the execution's; the run's id, unless the request resumes another.
        """
        name = name or f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        try:
            check_run_id(name)
        except InvalidBatch as refusal:
            raise CommandError(str(refusal)) from None
        text = _input(request)
        arn = self._machine(task)
        try:
            answer = self._steps.start_execution(stateMachineArn=arn, name=name, input=text)
        except self._steps.exceptions.ExecutionAlreadyExists:
            raise CommandError(f"there is a run {name!r} already", "choose another --name") from None
        return Execution(answer["executionArn"], name, task, "RUNNING", answer["startDate"], None, request)

    def make_one(self, request: object) -> dict[str, Any]:
        """Call the ``generateThumbnail`` Lambda for one image and wait for it."""
        text = _input(request)
        client: LambdaClient = self._client("lambda", read_timeout=180, retries={"total_max_attempts": 1})
        answer = client.invoke(FunctionName=self._outputs["GenerateThumbnailArn"], Payload=text)
        payload = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise CommandError(f"{payload.get('errorType', 'the function failed')}", payload.get("errorMessage", ""))
        made: dict[str, Any] = payload
        return made

    def drop(self, name: str, body: bytes) -> Execution:
        """Put a file into the inbox and find the run that it starts.

        Raises:
            CommandError: no run has started after a while.
        """
        key = f"inbox/{name}"
        if not name.isprintable() or len(os.fsencode(key)) > KEY_BYTES:
            raise CommandError(f"{quoted(name)} cannot stand in the bucket", "give the file a shorter, plainer name")
        version = self._s3.put_object(Bucket=self.bucket, Key=key, Body=body)["VersionId"]
        arn = self._machine("generateBatch").replace(":stateMachine:", ":execution:")
        run = dropped_file_run(version)
        for _ in range(int(DELIVERY_SECONDS / POLL_SECONDS)):
            try:
                return self.execution(f"{arn}:{run}")
            except self._steps.exceptions.ExecutionDoesNotExist:
                time.sleep(POLL_SECONDS)
        raise CommandError(
            f"{key} is there, and no run {run} after {DELIVERY_SECONDS} s", "look at `thumbs logs startBatch`"
        )

    def execution(self, arn: str) -> Execution:
        """An execution as it stands now."""
        answer = self._steps.describe_execution(executionArn=arn)
        task, name = arn.split(":")[-2:]
        return Execution(
            arn=arn,
            name=name,
            task=task,
            status=answer["status"],
            started=answer["startDate"],
            stopped=answer.get("stopDate"),
            request=json.loads(answer.get("input") or "null"),
            result=json.loads(answer.get("output") or "null"),
            error=answer.get("error", ""),
            cause=answer.get("cause", ""),
        )

    def find(self, name: str) -> Execution:
        """The execution of this name.

        Raises:
            CommandError: there is none.
        """
        for task in STATE_MACHINES:
            arn = self._machine(task).replace(":stateMachine:", ":execution:") + f":{name}"
            try:
                return self.execution(arn)
            except self._steps.exceptions.ExecutionDoesNotExist:
                continue
            except self._steps.exceptions.InvalidArn:
                break
        raise CommandError(f"there is no run {name!r}", "`thumbs runs` lists them")

    def executions(self, most: int) -> list[Execution]:
        """The newest executions of the state machines, less those that are rows of a campaign."""
        campaigns = list(islice(self._listed(CAMPAIGN), LISTED))
        names = {campaign.name for campaign in campaigns}
        found = campaigns[:most]
        for task in STATE_MACHINES[:-1]:
            listed = islice(self._listed(task), LISTED)
            found += islice((one for one in listed if one.name.rpartition("-")[0] not in names), most)
        return sorted(found, key=lambda execution: execution.started, reverse=True)[:most]

    def _listed(self, task: str, status: str = "") -> Iterator[Execution]:
        """A state machine's executions, newest first, without what they took and gave."""
        choice: Any = {"statusFilter": status} if status else {}
        pages = self._steps.get_paginator("list_executions").paginate(stateMachineArn=self._machine(task), **choice)
        for page in pages:
            for item in page["executions"]:
                yield Execution(
                    item["executionArn"], item["name"], task, item["status"], item["startDate"], item.get("stopDate")
                )

    def follow(self, execution: Execution) -> Iterator[tuple[Execution, Progress]]:
        """The execution and its cells, again and again until it has ended."""
        for now in self._until_the_end(execution):
            yield now, self.progress(now)

    def follow_campaign(self, execution: Execution) -> Iterator[tuple[Execution, CampaignProgress]]:
        """A campaign's execution and how far its rows are, again and again until it has ended."""
        for now in self._until_the_end(execution):
            yield now, self.campaign_progress(now)

    def _until_the_end(self, execution: Execution) -> Iterator[Execution]:
        while True:
            execution = self.execution(execution.arn)
            yield execution
            if execution.status != "RUNNING":
                return
            time.sleep(POLL_SECONDS)

    def campaign_progress(self, execution: Execution) -> CampaignProgress:
        """How far a campaign's rows are, as its Map counts them."""
        body = self._read(f"campaigns/{execution.run_id}/campaign.json")
        rows = json.loads(body)["rows"] if body else 0
        runs = self._steps.list_map_runs(executionArn=execution.arn)["mapRuns"]
        if not runs:
            return CampaignProgress(rows)
        counts = self._steps.describe_map_run(mapRunArn=runs[0]["mapRunArn"])["itemCounts"]
        failed = counts["failed"] + counts["timedOut"] + counts["aborted"]
        return CampaignProgress(rows, counts["running"], counts["succeeded"] + failed, failed)

    def start_campaign(self, name: str, body: IO[bytes], request: dict[str, Any]) -> Execution:
        """Put a campaign's file into the bucket and start it.

        Args:
            name: the file's.
            body: its bytes.
            request: the campaign, without its file.
        """
        key = f"campaigns/{name}"
        self._s3.upload_fileobj(body, self.bucket, key)
        return self.start(CAMPAIGN, {"file": key, **request})

    def progress(self, execution: Execution) -> Progress:
        """How far each cell is, out of the execution's history."""
        pages = self._steps.get_paginator("get_execution_history").paginate(executionArn=execution.arn)
        events = [event for page in pages for event in page["events"]]
        accepted: dict[str, Any] = next(
            (
                json.loads(exited.get("output") or "{}")
                for event in events
                if (exited := event.get("stateExitedEventDetails")) and exited["name"].startswith("Validate ")
            ),
            {},
        )
        # A request that was refused left its state with an error and no titles.
        titles = accepted.get("prompts") or [accepted[name] for name in ("title",) if name in accepted]
        seen = read_history(events)
        states = {cell: "retrying" if what.waits else str(what.state) for cell, what in seen.items()}
        return Progress(titles, accepted.get("models", []), states)

    def stop(self, execution: Execution) -> None:
        """Stop a running execution and wait for its end; images that are finished stay."""
        self._stop(execution)
        for _ in range(int(STOP_SECONDS / POLL_SECONDS)):
            status = self.execution(execution.arn).status
            if status == "ABORTED":
                if execution.task == CAMPAIGN:
                    self._stop_rows(execution)
                return
            if status != "RUNNING":
                raise CommandError(f"{execution.name} ended before it could be stopped", f"it is {status}")
            time.sleep(POLL_SECONDS)
        raise CommandError(f"{execution.name} still runs after {STOP_SECONDS} s", "its last image may be under way")

    def _stop_rows(self, campaign: Execution) -> None:
        """Stop a campaign's rows and wait for their end; AWS does the first by itself, in its own time."""
        stopped: set[str] = set()
        for _ in range(int(STOP_SECONDS / POLL_SECONDS)):
            rows = self._rows_under_way(campaign.run_id)
            if not rows:
                return
            for row in rows:
                if row.name not in stopped:
                    self._stop(row)
                    stopped.add(row.name)
            time.sleep(POLL_SECONDS)
        raise CommandError(f"rows of {campaign.name} still run after {STOP_SECONDS} s", "images may be under way")

    def _rows_under_way(self, campaign_id: str) -> list[Execution]:
        """Running rows of a campaign, whichever of its executions started them."""
        rows = []
        for row in self._listed("generateThumbnails", "RUNNING"):
            starter = row.name.rpartition("-")[0]
            if starter == campaign_id or may_resume(starter, campaign_id):
                rows.append(row)
        return rows

    def _stop(self, execution: Execution) -> None:
        self._steps.stop_execution(executionArn=execution.arn, error="Stopped", cause="stopped by a person")

    def resume(self, execution: Execution) -> Execution | None:
        """Run the cells of a run again that have no image; None where all have one.

        Raises:
            CommandError: the run is under way, or its request was refused.
        """
        run_id = execution.run_id
        running = self._listed(execution.task, "RUNNING")
        busy = [item.name for item in running if self.execution(item.arn).run_id == run_id]
        if execution.task == CAMPAIGN:
            # Those that outlive a stopped campaign would be paid for twice.
            busy += [row.name for row in self._rows_under_way(run_id)]
        if busy:
            raise CommandError(f"{busy[0]} is under way", "wait for it, or stop it with `thumbs stop`")
        accepted = "campaign.json" if execution.task == CAMPAIGN else "request.json"
        if self._read(f"{_folder(execution)}/{accepted}") is None:
            reason = f": {execution.cause}" if execution.error == "InvalidBatch" else ""
            raise CommandError(
                f"run {run_id} was never accepted{reason}", "start it again with a request that is right"
            )
        manifest = self.manifest(execution)
        if manifest and manifest["images"]["succeeded"] == manifest["images"]["total"]:
            return None
        return self.start(execution.task, {"resume": run_id}, redrive_name(run_id, secrets.token_hex(8)))

    def manifest(self, execution: Execution) -> dict[str, Any] | None:
        """A run's stored result, None before it has one."""
        body = self._read(f"{_folder(execution)}/manifest.json")
        return json.loads(body) if body else None

    def fresh_urls(self, result: dict[str, Any]) -> dict[str, Any]:
        """The same result with URLs that open from now on: the stored ones end with their time."""

        def fresh(url: str | None) -> str | None:
            key = url and re.search(r"runs/[^?]+", url)
            return self.url(key[0]) if key else None

        if "title" in result:
            images = [{**image, "image_url": self.url(image["key"])} for image in result["results"]]
            return {**result, "results": images}
        return {**result, "results": [[fresh(url) for url in row] for row in result["results"]]}

    def url(self, key: str) -> str:
        """A presigned URL of an object."""
        return self._s3.generate_presigned_url(
            "get_object", Params={"Bucket": self.bucket, "Key": key}, ExpiresIn=URL_SECONDS
        )

    def log_lines(self, function: str, since: datetime, follow: bool) -> Iterator[str]:
        """A function's log lines in the order of their time; with ``follow``, without end."""
        client: CloudWatchLogsClient = self._client("logs")
        start, seen = int(since.timestamp() * 1000), set[str]()
        while True:
            pages = client.get_paginator("filter_log_events").paginate(
                logGroupName=f"/aws/lambda/{function}", startTime=start
            )
            events = sorted(
                (event for page in pages for event in page["events"] if event["eventId"] not in seen),
                key=lambda event: event["timestamp"],
            )
            for event in events:
                seen.add(event["eventId"])
                yield event["message"].rstrip("\n")
            if not follow:
                return
            time.sleep(POLL_SECONDS)

    def _machine(self, task: str) -> str:
        return self._outputs[f"{task[0].upper()}{task[1:]}Arn"]

    def _read(self, key: str) -> bytes | None:
        try:
            return self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except self._s3.exceptions.NoSuchKey:
            return None


def _folder(execution: Execution) -> str:
    return f"{'campaigns' if execution.task == CAMPAIGN else 'runs'}/{execution.run_id}"


def in_plain_words(error: BotoCoreError | ClientError, endpoint: str | None) -> CommandError:
    """What a failed AWS call means to a person."""
    if isinstance(error, EndpointConnectionError):
        return CommandError(f"nothing answers at {endpoint or 'AWS'}", "`thumbs up` starts the stack on this machine")
    if isinstance(error, NoCredentialsError | NoRegionError):
        return CommandError(str(error).rstrip("."), "configure the AWS CLI, or set AWS_PROFILE and AWS_REGION")
    return CommandError(" ".join(str(error).split())[:MESSAGE_CHARACTERS])


def _input(request: object) -> str:
    """A request as an execution's input.

    Raises:
        CommandError: it is larger than Step Functions takes.
    """
    text = json.dumps(request)
    if len(text) > INPUT_BYTES:
        raise CommandError(f"the request has {len(text)} bytes", f"an execution takes at most {INPUT_BYTES}")
    return text
