"""Nobody else gets in: the rows of `attacks.py` byte by byte, and pages of other origins in a real browser.

`make test-attacks` prints the table of docs/reliability.md.
"""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pytest
from PIL import Image

from tests.integration.application import BUCKET, Application, create_function, machine_arn
from tests.integration.attacks import ATTACKS, CREATE_STACK, JSON, NEXT, PAID, USES, Row, send
from thumbs.cli.application import Application as Command
from thumbs.stack.deploy import CREDENTIALS, REGION

if TYPE_CHECKING:
    from playwright.sync_api import Page

BIN = Path(sys.executable).parent
SCRIPT = "document.title = 'RAN'"
PAGE = f"<!doctype html><title>page</title><script>{SCRIPT}</script>"
XHTML = f'<html xmlns="http://www.w3.org/1999/xhtml"><script>{SCRIPT}</script></html>'
SVG = f'<svg xmlns="http://www.w3.org/2000/svg"><script>{SCRIPT}</script></svg>'
OBJECTS = {
    "page": (PAGE, "text/html"),
    "page-case": (PAGE, "TEXT/HTML; charset=utf-7"),
    "page-two-types": (PAGE, "image/png, text/html"),
    "page-xhtml": (XHTML, "application/xhtml+xml"),
    "page-no-type": (PAGE, "page"),
    "svg": (SVG, "image/svg+xml"),
    "xml": (f'<?xml-stylesheet type="text/xsl" href="#"?>{SVG}', "text/xml"),
    "manifest.json": ('{"secret": "title"}', "application/json"),
}
SERVICES = {"stack": "localstack", "images": "image_api"}
#: Its process waits at the runtime API for the next event.
WAITING = "waiting"
WHERE_IT_ASKS = (
    "import os\ndef handler(event, context):\n    return os.environ['AWS_LAMBDA_RUNTIME_API'].rpartition(':')[2]\n"
)


@dataclass
class Fence:
    """A stack with something to steal in it."""

    app: Application
    ports: dict[str, int]
    parts: dict[str, str]
    before: dict[str, object] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.app.stack.endpoint

    @property
    def api(self) -> str:
        return self.url + self.parts["api"]

    def wake(self) -> None:
        """Have a function wait for its next event: an environment that rests goes within seconds."""
        self.ports["runtime"] = int(self.app.invoke(WAITING, {}).payload)

    def state(self) -> dict[str, object]:
        """What an attack would change."""
        machine = machine_arn("generateBatch")
        executions = self.app.listing.list_executions(stateMachineArn=machine)["executions"]
        session = boto3.session.Session(
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region_name=REGION,
        )
        with closing(session.client("cloudformation", endpoint_url=self.url)) as formation:
            stacks = formation.describe_stacks()["Stacks"]
        return {
            "stacks": sorted(stack["StackName"] for stack in stacks),
            "inbox": self.app.keys("inbox/"),
            "functions": sorted(self.app.function_names()),
            "executions": sorted(execution["name"] for execution in executions),
            "faults": self.app.image_api.faults(),
            "calls": self.app.image_api.calls()["requests"],
        }


def picture(kind: str) -> bytes:
    """A small one."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="module")
def fence(deployed: Application) -> Iterator[Fence]:
    """The stack, a bucket with pictures and pages, and a function that waits for its next event."""
    for key, (body, kind) in OBJECTS.items():
        deployed.s3.put_object(Bucket=BUCKET, Key=f"attacks/{key}", Body=body.encode(), ContentType=kind)
    for key, kind in (("picture.jpg", "jpeg"), ("original", "png")):
        deployed.s3.put_object(Bucket=BUCKET, Key=f"attacks/{key}", Body=picture(kind), ContentType=f"image/{kind}")
    api = urlsplit(Command(deployed.stack.endpoint).api_url)
    named = {"Bucket": BUCKET, "Key": "attacks/picture.jpg"}
    presigned = deployed.s3.generate_presigned_url("get_object", Params=named)
    parts = {
        "api": api.path.rstrip("/"),
        "id": api.path.split("/")[3],
        "bucket": BUCKET,
        "presigned": presigned.removeprefix(deployed.stack.endpoint),
        "etag": deployed.s3.head_object(Bucket=BUCKET, Key=named["Key"])["ETag"],
    }
    services = {name: deployed.stack.service(service) for name, service in SERVICES.items()}
    ports = {name: service.port for name, service in services.items() if service}
    create_function(deployed.functions, WAITING, "app.handler", {"app.py": WHERE_IT_ASKS})
    fence = Fence(deployed, ports, parts)
    fence.wake()
    fence.before = fence.state()
    yield fence
    deployed.functions.delete_function(FunctionName=WAITING)


def note(record_property: Any, what: str, found: object, expected: object) -> None:
    """A row of the table that `--attack-table` prints."""
    record_property("attack", {"attempt": what, "answer": found, "has to be": expected})


@pytest.mark.parametrize("row", ATTACKS, ids=lambda row: row.what)
def test_an_attack_gets_nothing(fence: Fence, row: Row, record_property: Any) -> None:
    if row.at == "runtime":
        fence.wake()
    answer = send(row, fence.ports, fence.parts)
    note(record_property, row.what, answer.status, row.status)
    assert answer.status == row.status, answer.body
    assert answer.headers.get("access-control-allow-origin", fence.url) == fence.url
    if row.status in (403, 400):
        # One line that says why.
        assert answer.body.count(b"\n") <= 1
        assert answer.body
    if row.kind:
        assert answer.headers["content-type"] == row.kind
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "sandbox"


@pytest.mark.parametrize("row", USES, ids=lambda row: row.what)
def test_what_a_person_and_their_tools_do_works(fence: Fence, row: Row, record_property: Any) -> None:
    if row.at == "runtime":
        fence.wake()
    answer = send(row, fence.ports, fence.parts)
    note(record_property, row.what, answer.status, row.status)
    assert answer.status == row.status, answer.body
    if row.kind:
        assert answer.headers["content-type"] == row.kind


def test_an_object_that_another_site_was_refused_can_be_written_again(fence: Fence) -> None:
    row = next(row for row in ATTACKS if row.target == "/$bucket/attacks/manifest.json")
    assert send(row, fence.ports, fence.parts).status == 403
    body, kind = OBJECTS["manifest.json"]
    fence.app.s3.put_object(Bucket=BUCKET, Key="attacks/manifest.json", Body=body.encode(), ContentType=kind)
    assert fence.app.read("attacks/manifest.json") == body.encode()


@pytest.mark.parametrize("tool", [("aws", "--endpoint-url", "$url"), ("awslocal",)], ids=lambda tool: tool[0])
def test_the_aws_tools_work(fence: Fence, tool: tuple[str, ...], tmp_path: Path) -> None:
    environment = {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": fence.url, "AWS_DEFAULT_REGION": REGION}
    command = [str(BIN / tool[0]), *(word.replace("$url", fence.url) for word in tool[1:])]
    copied = tmp_path / "picture.jpg"
    subprocess.run(
        [*command, "s3", "cp", f"s3://{BUCKET}/attacks/picture.jpg", str(copied)],
        env=environment, check=True, capture_output=True,
    )  # fmt: skip
    assert copied.read_bytes() == picture("jpeg")


# A page of another origin, in a browser.

#: What the other site's pages have: a request's fate, and an element's.
HELPERS = """
const fate = asked => asked.then(answer => answer.type === 'opaque' ? 'not read' : 'read', () => 'refused');
const load = (tag, properties) => new Promise(done => {
    const element = Object.assign(document.createElement(tag), properties);
    element.onload = () => done('loaded');
    element.onerror = () => done('refused');
    document.body.append(element);
});
const connect = url => new Promise(done => {
    const socket = new WebSocket(url);
    socket.onopen = () => done('open');
    socket.onerror = () => done('refused');
});
const upload = (action, fields, text) => {
    const form = document.createElement('form');
    Object.assign(form, {method: 'post', enctype: 'multipart/form-data', action});
    const files = new DataTransfer();
    files.items.add(new File([text], 'evil.json'));
    for (const [name, value] of Object.entries(fields))
        form.append(Object.assign(document.createElement('input'), {name, value}));
    form.append(Object.assign(document.createElement('input'), {name: 'file', type: 'file', files: files.files}));
    document.body.append(form);
    form.submit();
};
"""
JSON_POST = "{method: 'POST', headers: {'Content-Type': 'application/json'}, body: it.paid}"
#: What a page of another origin does, and what becomes of it.
SCRIPTS = {
    "posts a batch as text/plain": (
        "it => fate(fetch(`${it.api}/batches`, {method: 'POST', mode: 'no-cors', body: it.paid}))",
        "not read",
    ),
    "posts a batch as JSON": (f"it => fate(fetch(`${{it.api}}/batches`, {JSON_POST}))", "refused"),
    "reads the API's runs": ("it => fate(fetch(`${it.api}/runs`))", "refused"),
    "puts a request into the inbox": (
        "it => fate(fetch(`${it.bucket}/inbox/evil.json`, {method: 'PUT', body: it.paid}))",
        "refused",
    ),
    "reads a manifest": ("it => fate(fetch(`${it.bucket}/attacks/manifest.json`))", "refused"),
    "makes a stack by a picture's address, naming no page": (
        f"it => load('img', {{referrerPolicy: 'no-referrer', src: `${{it.other_name}}{CREATE_STACK}`}})",
        "refused",
    ),
    "opens a WebSocket": ("it => connect(it.stack.replace('http', 'ws'))", "refused"),
    "runs an object as a script": ("it => load('script', {src: `${it.bucket}/attacks/page`})", "refused"),
    "shows an SVG of the bucket": ("it => load('img', {src: `${it.bucket}/attacks/svg`})", "refused"),
    "sets a fault of the image API": (
        "it => fate(fetch(`${it.images}/_control/faults`, {method: 'POST', mode: 'no-cors', body: it.fault}))",
        "not read",
    ),
    "takes a function's next event": (f"it => fate(fetch(`${{it.runtime}}{NEXT}`, {{mode: 'no-cors'}}))", "not read"),
    "shows a picture of the bucket": ("it => load('img', {src: `${it.bucket}/attacks/picture.jpg`})", "loaded"),
    "shows a presigned picture": ("it => load('img', {src: it.presigned})", "loaded"),
}


class Site(ThreadingHTTPServer):
    """Another web server of this machine, which answers anything with one page."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(f"<!doctype html><title>another site</title><body><script>{HELPERS}</script>".encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("localhost", marks=pytest.mark.nightly)])
@pytest.mark.parametrize("what", SCRIPTS)
def test_a_page_of_another_origin_gets_pictures_alone(
    page: "Page", fence: Fence, site: Site, what: str, host: str, record_property: Any
) -> None:
    script, expected = SCRIPTS[what]
    page.goto(f"http://{host}:{site.server_port}/")
    if "it.runtime" in script:
        fence.wake()
    parts = {
        "stack": fence.url,
        "other_name": fence.url.replace("localhost", "localhost.localstack.cloud"),
        "api": fence.api,
        "bucket": f"{fence.url}/{BUCKET}",
        "presigned": fence.url + fence.parts["presigned"],
        **{name: f"http://127.0.0.1:{port}" for name, port in fence.ports.items() if name != "stack"},
        "paid": PAID,
        "fault": '{"fault": "500"}',
    }
    found = page.evaluate(script, parts)
    note(record_property, f"Chromium, page of {host}: {what}", found, expected)
    assert found == expected


@pytest.mark.parametrize("kind", [JSON, "text/html"])
def test_a_form_of_another_origin_uploads_nothing(
    page: "Page", fence: Fence, site: Site, kind: str, record_property: Any
) -> None:
    page.goto(f"http://127.0.0.1:{site.server_port}/")
    upload = [f"{fence.url}/{BUCKET}", {"key": "inbox/evil.json", "Content-Type": kind}, PAID]
    with page.expect_navigation() as navigation:
        page.evaluate("it => upload(...it)", upload)
    answer = navigation.value
    assert answer
    note(record_property, f"Chromium, page's form: uploads {kind} to the inbox", answer.status, 403)
    assert answer.status == 403
    assert page.text_content("body") == "another site's page may show pictures of this stack and nothing else\n"


@pytest.mark.parametrize("key", [key for key in OBJECTS if key != "manifest.json"])
def test_an_object_that_is_opened_runs_nothing(page: "Page", fence: Fence, key: str, record_property: Any) -> None:
    answer = page.goto(f"{fence.url}/{BUCKET}/attacks/{key}")
    assert answer
    found = "runs" if page.title() == "RAN" else "is a text"
    note(record_property, f"Chromium, typed address: object of {OBJECTS[key][1]}", found, "is a text")
    assert answer.status == 200
    assert found == "is a text"
    assert page.evaluate("self.origin") == "null"


@pytest.mark.parametrize(
    ("what", "target", "kind", "expected"),
    [
        ("makes a function", "/2015-03-31/functions", "text/plain", 403),
        ("starts an execution", "/", "application/x-amz-json-1.0", 403),
        ("posts a batch as text/plain", "$api/batches", "text/plain", 415),
        ("posts a batch that is refused", "$api/batches", JSON, 422),
    ],
)
def test_a_script_on_the_stack_s_own_origin_gets_the_api_alone(
    page: "Page", fence: Fence, what: str, target: str, kind: str, expected: int, record_property: Any
) -> None:
    # The API's answers have this origin, which no object has.
    page.goto(f"{fence.api}/health")
    assert page.evaluate("self.origin") == fence.url
    post = """async ([url, kind]) =>
        (await fetch(url, {method: 'POST', headers: {'Content-Type': kind}, body: '{}'})).status"""
    found = page.evaluate(post, [fence.url + target.replace("$api", fence.parts["api"]), kind])
    note(record_property, f"Chromium, page of the stack itself: {what}", found, expected)
    assert found == expected


@pytest.mark.parametrize("target", ["/_localstack/health", "/$bucket/attacks/picture.jpg", "$api/runs"])
def test_a_name_that_somebody_s_dns_leads_here_is_refused(
    page: "Page", fence: Fence, target: str, record_property: Any
) -> None:
    path = Template(target).substitute(fence.parts)
    answer = page.goto(f"http://evil.example:{fence.app.stack.port}{path}")
    assert answer
    note(record_property, f"Chromium, DNS rebinding: {target}", answer.status, 403)
    assert answer.status == 403


def test_a_presigned_link_opens(page: "Page", fence: Fence, site: Site, record_property: Any) -> None:
    link = fence.url + fence.parts["presigned"]
    typed = page.goto(link)
    page.goto(f"http://127.0.0.1:{site.server_port}/")
    with page.expect_navigation() as navigation:
        page.evaluate("url => { location = url }", link)
    followed = navigation.value
    assert typed
    assert followed
    note(record_property, "Chromium, presigned link: typed, and followed from another site", followed.status, 200)
    assert (typed.status, followed.status) == (200, 200)
    assert page.evaluate("document.images[0].naturalWidth") == 8


def test_all_these_attacks_left_nothing_behind(fence: Fence) -> None:
    assert fence.state() == fence.before
    # Its process has neither lost an event nor been answered for.
    assert fence.app.invoke(WAITING, {}).payload.isdecimal()
