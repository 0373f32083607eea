"""A provider's key is in the secret and in the request to the provider, and in nothing that the stack writes."""

import json
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.integration.application import DALLE, GEMINI, Application, FinishedRun, deployed_name
from thumbs.stack.deploy import CREDENTIALS, REGION

#: In every key of this test run; the offline image API turns away keys with "rejected" in them.
MARKER = f"planted{uuid.uuid4().hex}"
OPENAI_KEY, GEMINI_KEY = f"openai-{MARKER}-key", f"gemini+{MARKER}/key"
REQUEST = {"prompts": [f"Told apart by {MARKER[:12]}"], "models": [DALLE, GEMINI]}


class Quoting(BaseHTTPRequestHandler):
    """A provider that refuses every request and quotes it in full, headers and all."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        message = f"I don't understand {dict(self.headers)}"
        body = json.dumps({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}).encode()
        self.server.quoted.append(message)  # type: ignore[attr-defined]
        self.send_response(400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_args: object) -> None:
        pass


@contextmanager
def quoting_provider() -> Iterator[tuple[str, list[str]]]:
    """Its URL, and what it has quoted."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Quoting) as server:
        server.quoted = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", server.quoted  # type: ignore[attr-defined]
        server.shutdown()


@contextmanager
def trace_daemon() -> Iterator[tuple[str, list[bytes]]]:
    """X-Ray's daemon as the functions see it: its address, and the segments that came."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        segments: list[bytes] = []

        def receive() -> None:
            while (segment := daemon.recv(65536)) != b"end":
                segments.append(segment)

        thread = threading.Thread(target=receive)
        thread.start()
        address = daemon.getsockname()
        yield f"{address[0]}:{address[1]}", segments
        daemon.sendto(b"end", address)
        thread.join()


def secret(app: Application, text: str) -> str:
    """The ARN of a secret with this text."""
    client: Any = boto3.client(
        "secretsmanager",
        endpoint_url=app.stack.endpoint,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
    arn: str = client.create_secret(Name=f"keys-{uuid.uuid4().hex}", SecretString=text)["ARN"]
    client.close()
    return arn


def written(app: Application) -> Iterator[tuple[str, bytes]]:
    """Everything that the stack has written, place by place."""
    for group in app.logs.describe_log_groups()["logGroups"]:
        name = group["logGroupName"]
        pages = app.logs.get_paginator("filter_log_events").paginate(logGroupName=name)
        yield f"log {name}", "\n".join(event["message"] for page in pages for event in page["events"]).encode()
    for machine in app.states.list_state_machines()["stateMachines"]:
        pages = app.listing.get_paginator("list_executions").paginate(stateMachineArn=machine["stateMachineArn"])  # type: ignore[assignment]
        for execution in [one for page in pages for one in page["executions"]]:  # type: ignore[typeddict-item]
            arn = execution["executionArn"]
            told = [app.states.describe_execution(executionArn=arn)]
            told += app.states.get_paginator("get_execution_history").paginate(executionArn=arn)  # type: ignore[arg-type]
            yield f"execution {arn}", json.dumps(told, default=str).encode()
    for bucket in app.s3.list_buckets()["Buckets"]:
        versions = app.s3.get_paginator("list_object_versions").paginate(Bucket=bucket["Name"])
        for version in [one for page in versions for one in page.get("Versions", ())]:
            found = app.s3.get_object(Bucket=bucket["Name"], Key=version["Key"], VersionId=version["VersionId"])
            notes = json.dumps({key: value for key, value in found.items() if key != "Body"}, default=str)
            yield f"object {version['Key']}", notes.encode() + found["Body"].read()
    for path in sorted(app.stack.home.rglob("*")):
        if path.is_file():
            yield f"file {path}", read(path)


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""  # It was removed meanwhile.


def places_with(found: dict[str, bytes], text: str) -> set[str]:
    return {place for place, data in found.items() if text.encode() in data}


@pytest.fixture(scope="module")
def planted(deployed: Application) -> dict[str, Any]:
    """One run for everything that can become of the keys, and then all that was written."""
    app = deployed
    app.image_api.reset()
    good = {"OPENAI_API_KEY": OPENAI_KEY, "GEMINI_API_KEY": GEMINI_KEY}
    rejected = {name: f"rejected-{key}" for name, key in good.items()}
    texts = {
        "accepted": json.dumps(good),
        "rejected": json.dumps(rejected),
        "quoted": json.dumps(good),
        "not JSON": f"OPENAI_API_KEY={OPENAI_KEY}",
        "two lines": json.dumps({name: f"{key}\n{key}" for name, key in good.items()}),
    }
    secrets = {name: secret(app, text) for name, text in texts.items()}
    secrets["unreadable"] = secrets["accepted"].replace(":secret:keys-", ":secret:no-keys-")
    done: dict[str, FinishedRun] = {}
    usual = app.functions.get_function_configuration(FunctionName=deployed_name("generateThumbnail"))["Environment"][
        "Variables"
    ]
    with (
        quoting_provider() as (url, quoted),
        trace_daemon() as (address, segments),
        app.configured(
            "generateThumbnail", None, OPENAI_API_KEY="", GEMINI_API_KEY="", AWS_XRAY_DAEMON_ADDRESS=address
        ),
    ):
        providers = {name: usual[name] for name in ("OPENAI_BASE_URL", "GOOGLE_GEMINI_BASE_URL")}
        elsewhere = {"OPENAI_BASE_URL": f"{url}/v1", "GOOGLE_GEMINI_BASE_URL": url}
        for name, arn in secrets.items():
            called = elsewhere if name == "quoted" else providers
            app.set_variables("generateThumbnail", PROVIDER_KEYS_SECRET=arn, **called)
            done[name] = app.run("generateBatch", REQUEST)
        moderated = [moderation(app, secrets[name], address) for name in ("two lines", "accepted")]
    app.log_lines("generateThumbnail", done["unreadable"].name)
    found = dict(written(app))
    found["the traces"] = b"\n".join(segments)
    return {"done": done, "quoted": quoted, "moderated": moderated, "written": found}


def moderation(app: Application, arn: str, traces: str) -> int:
    """The HTTP status of a request that is to be moderated with the key of a secret."""
    with app.configured(
        "api", MODERATION="on", PROVIDER_KEYS_SECRET=arn, OPENAI_API_KEY="", AWS_XRAY_DAEMON_ADDRESS=traces
    ):
        event = {
            **json.loads((Path(__file__).parents[2] / "events" / "api-batches.json").read_text()),
            "body": json.dumps({**REQUEST, "models": [DALLE]}),
            "isBase64Encoded": False,
        }
        status: int = app.invoke("api", event).payload["statusCode"]
        return status


def test_the_keys_of_the_secret_are_used(planted: dict[str, Any]) -> None:
    assert planted["done"]["accepted"].output["images"]["succeeded"] == 2
    quoted = "".join(planted["quoted"])
    assert OPENAI_KEY in quoted
    assert GEMINI_KEY in quoted
    assert planted["moderated"] == [503, 202]


@pytest.mark.parametrize(
    ("case", "error", "words"),
    [
        ("rejected", "ProviderMisconfigured", "the provider rejects"),
        ("quoted", "ProviderRejectedRequest", "[key]"),
        ("not JSON", "ProviderMisconfigured", "cannot be read as a JSON object of keys"),
        ("two lines", "ProviderMisconfigured", "is not a valid key"),
        ("unreadable", "ProviderMisconfigured", "cannot be read as a JSON object of keys"),
    ],
)
def test_a_run_whose_keys_are_no_good_says_so(planted: dict[str, Any], case: str, error: str, words: str) -> None:
    done = planted["done"][case]
    assert (done.status, done.error) == ("FAILED", "AllImagesFailed")
    lines = done.cause.splitlines()
    assert len(lines) == 2
    assert all(f": {error}: " in line and words in line for line in lines)


def test_no_key_is_in_anything_that_was_written(planted: dict[str, Any]) -> None:
    # The search finds what is there: a word of the title is in the state, the bucket and the files.
    title = places_with(planted["written"], MARKER[:12])
    assert {place.split()[0] for place in title} >= {"execution", "object", "file"}
    runs = {name for done in planted["done"].values() for name in places_with(planted["written"], done.name)}
    assert "log /aws/lambda/fan-out-thumbnails-generateThumbnail" in runs
    assert "log /aws/vendedlogs/states/fan-out-thumbnails" in runs
    assert b"## provider call" in planted["written"]["the traces"]
    assert b"PaidCalls" in planted["written"]["log /aws/lambda/fan-out-thumbnails-generateThumbnail"]
    assert places_with(planted["written"], MARKER) == set()
