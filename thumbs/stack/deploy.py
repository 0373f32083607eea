"""Builds the application and deploys it to the stack on this machine, by SAM, when something changed."""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import yaml
from botocore.exceptions import BotoCoreError, ClientError

from thumbs.command_error import CommandError
from thumbs.stack.processes import PROJECT, Report, Stack, last_line

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_s3 import S3Client

#: How long CloudFormation may go on after a deployment was cut off.
SETTLE_SECONDS = 60.0
#: What the deployment is made from.
SOURCES = ("functions", "statemachine", "infra", "template.yaml", "samconfig.toml")
ARTIFACT_BUCKET = "fan-out-thumbnails-artifacts"
REGION = "us-east-1"
#: Of what CloudFormation says of a resource.
REASON_CHARACTERS = 500
#: As samconfig.toml names it.
STACK_NAME = "fan-out-thumbnails"
#: Known to everybody who reads the documentation; LocalStack's account is always the same.
BUCKET = f"{STACK_NAME}-000000000000-{REGION}"
#: LocalStack runs the functions on the Python and the processor that it has itself; as functions/Makefile has them.
PYTHON_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
ARCHITECTURE = "arm64" if platform.machine() == "aarch64" else "x86_64"
#: LocalStack takes any; these are the ones that everybody uses.
CREDENTIALS = {
    **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "test"),
    "AWS_DEFAULT_REGION": REGION,
}


def deploy(
    stack: Stack, report: Report, parameters: dict[str, str] | None = None, *, real_providers: bool = False
) -> None:
    """Deploy, unless the running stack holds just this already.

    Args:
        stack: a running stack.
        report: is told what was done.
        parameters: template parameters beside those that point the functions at the stack.
        real_providers: call OpenAI and Gemini, with the keys of the environment, in place of the offline image API.

    Raises:
        CommandError: the build or the deployment failed.
    """
    with stack.locked():
        values = {**_parameters(stack, real_providers), **(parameters or {})}
        sources = _digest()
        wanted = hashlib.sha256(f"{sources} {sorted(values.items())}".encode()).hexdigest()
        if stack.state().get("deployed") == wanted:
            return
        environment = _environment(stack)
        _build(stack, sources, environment, report)
        _make_artifact_bucket(stack.endpoint)
        code = _lay_out_code(stack)
        template = ["--template-file", str(_template_for_code(stack, code))]
        if stack.state().get("deploying"):
            _let_settle(stack.endpoint)
        stack.note(deploying=True)
        # In a file that only its owner can read: everybody sees a command's arguments, and there are keys among these.
        with tempfile.NamedTemporaryFile("w", dir=stack.home / "tmp", suffix=".yaml") as file:
            file.write(json.dumps(values))
            file.flush()
            overrides = ["--parameter-overrides", f"file://{file.name}"]
            try:
                _sam(["deploy", *template, *overrides], environment, stack.logs / "deploy.log")
            except CommandError as failed:
                if not (reason := first_failure(_session().client("cloudformation", endpoint_url=stack.endpoint))):
                    raise
                raise CommandError(f"the deployment failed at {reason}", f"all of it: {stack.logs}") from failed
        previous = stack.state().get("code_folder")
        stack.note(deployed=wanted, deploying=None, offline=not real_providers, code_folder=code.name)
        # What is being invoked at this moment may still run from the folder of before.
        for folder in stack.code.iterdir():
            if folder.name not in (code.name, previous):
                shutil.rmtree(folder, ignore_errors=True)
        report("the application is deployed")


def build(stack: Stack, report: Report) -> None:
    """Build the functions, unless the stack's folder holds them already; the stack need not run.

    Raises:
        CommandError: the build failed.
    """
    with stack.locked():
        _build(stack, _digest(), _environment(stack), report)


def real_keys() -> dict[str, str]:
    """The providers' keys in the environment, as template parameters.

    Raises:
        CommandError: there is none.
    """
    keys = {
        "OpenAIApiKey": os.environ.get("OPENAI_API_KEY", ""),
        "GeminiApiKey": os.environ.get("GEMINI_API_KEY", ""),
    }
    if not any(keys.values()):
        raise CommandError("the real providers need a key", "set OPENAI_API_KEY, GEMINI_API_KEY or both")
    return keys


def _build(stack: Stack, sources: str, environment: dict[str, str], report: Report) -> None:
    # Each stack has its own: SAM empties the folder that another one may be deploying from.
    built = stack.built.parent / "sources"
    if built.exists() and built.read_text() == sources:
        return
    # A build that is cut off leaves neither the old functions nor the new ones.
    built.unlink(missing_ok=True)
    _sam(["build", "--build-dir", str(stack.built)], environment, stack.logs / "build.log")
    _say_what_it_was_built_for(stack.built / "template.yaml")
    built.write_text(sources)
    report("the functions are built")


def _say_what_it_was_built_for(template: Path) -> None:
    """Make the built template's defaults what its functions were built for, for `sam deploy` and `sam local` alike."""
    text = template.read_text()
    for parameter, value in (("Runtime", f"python{PYTHON_VERSION}"), ("Architecture", ARCHITECTURE)):
        text = re.sub(
            rf"^(  {parameter}:\n    Type: String\n    Default: ).*$", rf"\g<1>{value}", text, flags=re.MULTILINE
        )
    template.write_text(text)


def _lay_out_code(stack: Stack) -> Path:
    """The built functions in a folder that never changes: a build empties its own while functions run."""
    found = hashlib.sha256()
    for file in sorted(stack.built.rglob("*")):
        status = file.stat()
        found.update(
            f"{file.relative_to(stack.built)}\0{status.st_ino} {status.st_size} {status.st_mtime_ns}\0".encode()
        )
    folder = stack.code / found.hexdigest()[:16]
    if not folder.exists():
        draft = folder.with_suffix(".part")
        shutil.rmtree(draft, ignore_errors=True)
        for function in sorted(stack.built.glob("*Function")):
            shutil.copytree(function, draft / function.name, copy_function=_link)
        draft.rename(folder)
    return folder


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)  # A file system without links.


def _template_for_code(stack: Stack, code: Path) -> Path:
    """A copy of the built template by which LocalStack runs the functions where they lie.

    Nothing is packed, uploaded and unpacked: LocalStack takes a folder of this machine by the bucket ``hot-reload``
    (https://docs.localstack.cloud/aws/tooling/lambda-tools/hot-reloading/). It is JSON: SAM reads its template ten
    times, and YAML takes it a second.
    """
    built = yaml.load((stack.built / "template.yaml").read_text(), yaml.CSafeLoader)
    for resource in built["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            properties = resource["Properties"]
            properties["CodeUri"] = {"Bucket": "hot-reload", "Key": str(code / properties["CodeUri"])}
    template = stack.built / "local.json"
    template.unlink(missing_ok=True)
    template.write_text(json.dumps(built))
    return template


def _parameters(stack: Stack, real_providers: bool) -> dict[str, str]:
    if not real_providers:
        return {
            "PublicEndpointUrl": stack.endpoint,
            "BucketName": BUCKET,
            "ApiAccess": "open",
            "CorsOrigin": stack.endpoint,
            # What is drawn offline costs nothing.
            "DailyBudgetUsd": "0",
            "OpenAIBaseUrl": f"{stack.image_api_url}/v1",
            "GeminiBaseUrl": f"{stack.image_api_url}",
            "BedrockBaseUrl": f"{stack.image_api_url}",
            "OpenAIApiKey": "offline",
            "GeminiApiKey": "offline",
        }
    return {
        "PublicEndpointUrl": stack.endpoint,
        "BucketName": BUCKET,
        "ApiAccess": "open",
        "CorsOrigin": stack.endpoint,
        "OpenAIBaseUrl": os.environ.get("OPENAI_BASE_URL", ""),
        "GeminiBaseUrl": os.environ.get("GOOGLE_GEMINI_BASE_URL", ""),
        "BedrockBaseUrl": os.environ.get("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", ""),
        **real_keys(),
    }


def _environment(stack: Stack) -> dict[str, str]:
    # The person's own AWS settings must not lead a local deployment anywhere else.
    kept = {name: value for name, value in stack.environment().items() if not name.startswith("AWS_")}
    tools = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    return {
        **kept,
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": stack.endpoint,
        "PATH": tools,
        "SAM_CLI_TELEMETRY": "0",
        "PYTHON_VERSION": PYTHON_VERSION,
        "ARCHITECTURE": ARCHITECTURE,
        # Where SAM keeps its own files; by default that is the person's home.
        "__SAM_CLI_APP_DIR": str(stack.home / "sam" / "cli"),
        # What uv has fetched serves every stack of the project.
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(PROJECT / ".cache" / "uv")),
        # The system's own certificates, for a network that has some of its own.
        "UV_SYSTEM_CERTS": os.environ.get("UV_SYSTEM_CERTS", "true"),
        # A deployment takes two seconds, and SAM's own 5 s between its looks would be most of the wait.
        "SAM_CLI_POLL_DELAY": "0.5",
    }


def _sam(arguments: list[str], environment: dict[str, str], log: Path) -> None:
    own = PROJECT / ".venv-sam" / "bin" / "sam"
    sam = str(own) if own.exists() else shutil.which("sam")
    if sam is None:
        raise CommandError("the AWS SAM CLI is not installed", "run `make setup`")
    with log.open("wb") as output:
        done = subprocess.run(
            [
                sam,
                arguments[0],
                "--config-file",
                str(PROJECT / "samconfig.toml"),
                "--config-env",
                "local",
                *arguments[1:],
            ],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise CommandError(f"sam {arguments[0]} failed", f"{last_line(log)} (all of it: {log})")


def first_failure(client: "CloudFormationClient") -> str:
    """The first resource that the newest deployment could not make or change, and why; empty where none is known.

    Args:
        client: of the account, or the LocalStack, that was deployed to.
    """
    try:
        # The newest first; what failed after the first was cancelled with it.
        pages = client.get_paginator("describe_stack_events").paginate(StackName=STACK_NAME)
        events = [event for page in pages for event in page["StackEvents"]]
    except (BotoCoreError, ClientError):
        return ""
    failed: list[tuple[str, str]] = []
    for event in events:
        status = event.get("ResourceStatus", "")
        if event["LogicalResourceId"] == STACK_NAME and status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"):
            break
        if status in ("CREATE_FAILED", "UPDATE_FAILED") and event["LogicalResourceId"] != STACK_NAME:
            reason = " ".join((event.get("ResourceStatusReason") or "").split())[:REASON_CHARACTERS]
            failed.append((f"{event['LogicalResourceId']} ({event.get('ResourceType', 'of no type')})", reason))
    # LocalStack gives no reason with some of them.
    what, why = next((one for one in reversed(failed) if one[1]), failed[-1] if failed else ("", ""))
    return f"{what}: {why or 'no reason is given'}" if what else ""


def _session() -> boto3.session.Session:
    return boto3.session.Session(
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )


def _let_settle(endpoint: str) -> None:
    """Wait for the end of a deployment whose command was killed: CloudFormation goes on with it."""
    client: CloudFormationClient = _session().client("cloudformation", endpoint_url=endpoint)
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        try:
            (found,) = client.describe_stacks(StackName=STACK_NAME)["Stacks"]
        except ClientError:
            return  # It had not begun.
        status = found["StackStatus"]
        if status == "REVIEW_IN_PROGRESS" or not status.endswith("_IN_PROGRESS"):
            return
        time.sleep(0.2)


def _make_artifact_bucket(endpoint: str) -> None:
    client: S3Client = _session().client("s3", endpoint_url=endpoint)
    try:
        client.create_bucket(Bucket=ARTIFACT_BUCKET)
    except (BotoCoreError, ClientError) as error:
        raise CommandError("the bucket for the deployment could not be made", str(error)) from error


def _digest() -> str:
    found = hashlib.sha256(f"{PYTHON_VERSION} {ARCHITECTURE}".encode())
    for source in SOURCES:
        path = PROJECT / source
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                found.update(f"{file.relative_to(PROJECT)}\0".encode() + file.read_bytes())
    return found.hexdigest()
