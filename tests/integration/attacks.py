"""What other sites, other hosts and other protocols try against a stack, and what its person does: one table.

`$name` in a row stands for a part of the stack that is asked; `Fence` knows them.
"""

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Template

from tests.integration.application import machine_arn

EVIL = "https://evil.example"
JSON = "application/json"
FORM = "multipart/form-data; boundary=x"
PAID = json.dumps({"prompts": ["A title"], "models": ["gpt-image-1"]})
#: What S3's form upload takes from any page's form, with its own key.
UPLOAD = (
    '--x\r\nContent-Disposition: form-data; name="key"\r\n\r\ninbox/evil.json\r\n'
    '--x\r\nContent-Disposition: form-data; name="Content-Type"\r\n\r\n$kind\r\n'
    '--x\r\nContent-Disposition: form-data; name="file"; filename="evil"\r\n\r\n'
    f"{PAID}\r\n--x--\r\n"
)
STATES = {"X-Amz-Target": "AWSStepFunctions.ListStateMachines", "Content-Type": "application/x-amz-json-1.0"}
START = {"X-Amz-Target": "AWSStepFunctions.StartExecution", "Content-Type": "application/x-amz-json-1.0"}
START_BODY = json.dumps({"stateMachineArn": machine_arn("generateBatch")})
FUNCTION = json.dumps({"FunctionName": "evil", "Role": "arn:aws:iam::000000000000:role/any", "Code": {"ZipFile": ""}})
SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/states/aws4_request, SignedHeaders=host"
}
WEBSOCKET = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
CROSS = {"Sec-Fetch-Site": "cross-site"}
OWN = {"Origin": "http://localhost:$port", "Sec-Fetch-Site": "same-origin"}
TYPED = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-User": "?1"}
DEPLOY_PAGE = "/_localstack/cloudformation/deploy?templateURL=%22%3E%3Cscript%3Ealert(1)%3C/script%3E"
CREATE_STACK = "/?Action=CreateStack&Version=2010-05-15&StackName=evil&TemplateBody=%7B%7D"
NEXT = "/2018-06-01/runtime/invocation/next"
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Row:
    """One request, and the answer that it has to get."""

    what: str
    method: str
    target: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    #: None sends no such header.
    host: str | None = "localhost:$port"
    #: Who is asked: the stack, the offline image API or a function's runtime API.
    at: str = "stack"
    #: The content type that the answer has to have; any where it is empty.
    kind: str = ""


def _post(what: str, target: str, status: int, headers: Mapping[str, str], body: str = PAID, **more: str) -> Row:
    return Row(what, "POST", target, status, headers, body, **more)


def _form(what: str, origin: Mapping[str, str], kind: str = JSON, target: str = "/$bucket", **more: str) -> Row:
    return _post(what, target, 403, {"Content-Type": FORM, **origin}, UPLOAD.replace("$kind", kind), **more)


ATTACKS = [
    # A page's form puts a paid request into the inbox.
    _form("form upload to the inbox, foreign origin", {"Origin": EVIL}),
    _form("form upload, null origin", {"Origin": "null"}),
    _form("form upload, origin on another loopback port", {"Origin": "http://localhost:1"}),
    _form("form upload, origin by another loopback name", {"Origin": "http://127.0.0.1:$port"}),
    _form("form upload, origin by IPv6", {"Origin": "http://[::1]:$port"}),
    _form("form upload, header's name in another case", {"oRiGiN": EVIL}),
    _form("form upload, origin that begins like the stack's", {"Origin": "http://localhost:$port.evil.example"}),
    _form("form upload, origin that names the stack as a user", {"Origin": "http://localhost:$port@evil.example"}),
    _form("form upload, no origin but Sec-Fetch-Site: cross-site", CROSS),
    _form("form upload, Sec-Fetch-Site: same-site", {"Sec-Fetch-Site": "same-site"}),
    _form("form upload, Sec-Fetch-Site: CROSS-SITE", {"Sec-Fetch-Site": "CROSS-SITE"}),
    _form("form upload, referer alone", {"Referer": f"{EVIL}/page"}),
    _form("form upload, two origins", {"Origin": "http://localhost:$port", "ORIGIN": EVIL}),
    _form("form upload of a page, text/html", {"Origin": EVIL}, "text/html"),
    _form("form upload to the bucket by its host", {"Origin": EVIL}, target="/", host="$bucket.s3.localhost:$port"),
    _form("form upload from a page of the stack's own origin", OWN),
    # What was uploaded is served, and runs.
    *(
        Row(f"{what}, opened by its address", "GET", f"/$bucket/attacks/{key}", 200, TYPED, kind=TEXT)
        for what, key in [
            ("page in the bucket, text/html", "page"),
            ("page, TEXT/HTML; charset=utf-7", "page-case"),
            ("page, image/png, text/html", "page-two-types"),
            ("page, application/xhtml+xml", "page-xhtml"),
            ("picture that runs script, image/svg+xml", "svg"),
            ("text/xml with a style sheet", "xml"),
            ("type that is none", "page-no-type"),
        ]
    ),
    Row("page by its bucket's host", "GET", "/attacks/page", 200, TYPED, host="$bucket.s3.localhost:$port", kind=TEXT),
    Row(
        "page by a host like an API's", "GET", "/$bucket/attacks/page", 404, TYPED, host="x.execute-api.localhost:$port"
    ),
    *(
        Row(
            f"picture, its address asks for {kind}",
            "GET",
            f"/$bucket/attacks/picture.jpg?response-content-type={quoted}",
            200,
            TYPED,
            kind=TEXT,
        )
        for kind, quoted in [("text/html", "text/html"), ("image/svg+xml", "Image/Svg%2Bxml")]
    ),
    Row("page in a frame of another site", "GET", "/$bucket/attacks/page", 403, {**CROSS, "Sec-Fetch-Dest": "iframe"}),
    _post("function created from the stack's own origin", "/2015-03-31/functions", 403, {**OWN, **SIGNED}, FUNCTION),
    _post("execution started from the stack's own origin", "/", 403, {**OWN, **START}, START_BODY),
    # Another name for this machine: DNS rebinding.
    *(
        _post(f"list of state machines, {what}", "/", 403, {**STATES, **more}, "{}", host=host)
        for what, host, more in [
            ("Host: evil.example", "evil.example:$port", SIGNED),
            ("Host: evil.example, as its own page", "evil.example:$port", {"Origin": "http://evil.example:$port"}),
            ("Host: LOCALHOST.evil.example", "LOCALHOST.evil.example:$port", SIGNED),
            ("Host: 127.0.0.1.nip.io", "127.0.0.1.nip.io:$port", SIGNED),
            ("Host: localhost. with a dot", "localhost.:$port", SIGNED),
            ("Host: 0.0.0.0", "0.0.0.0:$port", SIGNED),
            ("Host: an IPv6 address of the network", "[fe80::1]:$port", SIGNED),
            ("Host: a.localstack.cloud", "a.localstack.cloud:$port", SIGNED),
            ("Host: localhost,evil.example", "localhost,evil.example", SIGNED),
            ("X-Forwarded-Host: localhost", "evil.example:$port", {**SIGNED, "X-Forwarded-Host": "localhost"}),
        ]
    ),
    Row("no Host at all", "GET", "/$bucket/attacks/picture.jpg", 403, host=None),
    Row("absolute target of another host", "GET", "http://evil.example/$bucket", 400, SIGNED),
    Row("picture by another host", "GET", "/$bucket/attacks/picture.jpg", 403, TYPED, host="evil.example:$port"),
    _post("batch, DNS rebinding", "$api/batches", 403, {"Content-Type": JSON}, host="evil.example:$port"),
    _post(
        "batch, DNS rebinding by the API's host",
        "/v1/batches",
        403,
        {"Content-Type": JSON},
        host="$id.execute-api.evil.example",
    ),
    # LocalStack's own pages.
    Row("deploy page (CVE-2025-65200)", "GET", DEPLOY_PAGE, 404),
    Row("deploy page, in quoted letters", "GET", DEPLOY_PAGE.replace("/_", "/%5F", 1), 404),
    Row("deploy page, with two slashes", "GET", f"/{DEPLOY_PAGE}", 404),
    Row("deploy page, by an API's host", "GET", DEPLOY_PAGE, 404, host="x.execute-api.localhost:$port"),
    Row("LocalStack's state, ended by a post", "POST", "/_localstack/health", 404, body='{"action": "kill"}'),
    Row("health, read by another site", "GET", "/_localstack/health", 403, {"Origin": EVIL}),
    # The HTTP API.
    _post("batch as text/plain, foreign origin", "$api/batches", 403, {"Origin": EVIL, "Content-Type": "text/plain"}),
    _post("batch as text/plain, own origin", "$api/batches", 415, {**OWN, "Content-Type": "text/plain"}),
    _post("batch as a form, no origin", "$api/batches", 415, {"Content-Type": "application/x-www-form-urlencoded"}),
    _post("batch as multipart, no origin", "$api/batches", 415, {"Content-Type": FORM}, UPLOAD),
    _post("batch as JSON, foreign origin", "$api/batches", 403, {"Origin": EVIL, "Content-Type": JSON}),
    _post("batch as JSON, null origin", "$api/batches", 403, {"Origin": "null", "Content-Type": JSON}),
    _post(
        "batch by the older address",
        "/restapis/$id/v1/_user_request_/batches",
        403,
        {"Origin": EVIL, "Content-Type": JSON},
    ),
    _post(
        "batch by the API's host, origin localhost",
        "/v1/batches",
        403,
        {"Origin": "http://localhost:$port", "Content-Type": JSON},
        host="$id.execute-api.localhost.localstack.cloud:$port",
    ),
    Row("runs, read by another site", "GET", "$api/runs", 403, CROSS),
    # Preflights: each would be followed by the request that it asks for.
    *(
        Row(
            f"preflight of {method} to {what}",
            "OPTIONS",
            target,
            403,
            {"Origin": EVIL, "Access-Control-Request-Method": method},
        )
        for method, what, target in [
            ("POST", "the API", "$api/batches"),
            ("PUT", "the bucket", "/$bucket/inbox/evil.json"),
            ("POST", "Lambda", "/2015-03-31/functions"),
        ]
    ),
    # Other protocols and operations by GET.
    Row("WebSocket, foreign origin", "GET", "/", 400, {**WEBSOCKET, "Origin": EVIL}),
    Row("WebSocket, own origin", "GET", "/", 400, {**WEBSOCKET, **OWN}),
    Row("WebSocket to the API, no origin", "GET", "$api/runs", 400, WEBSOCKET),
    Row("stack made by a GET, foreign page", "GET", CREATE_STACK, 403, CROSS),
    Row("stack made by a GET that names no page", "GET", CREATE_STACK, 403, host="localhost.localstack.cloud:$port"),
    Row("list of the bucket, opened by its address", "GET", "/$bucket?list-type=2", 403, TYPED),
    Row("manifest, read by another site", "GET", "/$bucket/attacks/manifest.json", 403, CROSS),
    Row("manifest by a name like a picture's", "GET", "/$bucket/attacks/manifest.json?x=.jpg", 403, CROSS),
    # Beside the stack.
    _post(
        "image API's faults, set by a page", "/_control/faults", 403, {"Origin": EVIL}, '{"fault": "500"}', at="images"
    ),
    _post("image API, null origin", "/_control/reset", 403, {"Origin": "null"}, "", at="images"),
    _post("image API, DNS rebinding", "/_control/reset", 403, {}, "", at="images", host="evil.example:$port"),
    Row("image API's counts, read by a page", "GET", "/_control/calls", 403, CROSS, at="images"),
    Row("function's next event, taken by a page", "GET", NEXT, 403, CROSS, at="runtime"),
    Row("function's next event, DNS rebinding", "GET", NEXT, 403, at="runtime", host="evil.example:$port"),
    _post(
        "function's answer, given by a page",
        "/2018-06-01/runtime/invocation/1/response",
        403,
        {"Origin": EVIL},
        "{}",
        at="runtime",
    ),
]

#: What works: a person, their tools, the API's own page, and pictures on any page.
USES = [
    Row("presigned link, opened by its address", "GET", "$presigned", 200, TYPED, kind="image/jpeg"),
    Row("presigned link, followed from another site", "GET", "$presigned", 200, CROSS, kind="image/jpeg"),
    Row(
        "picture on another site's page",
        "GET",
        "/$bucket/attacks/picture.jpg",
        200,
        {**CROSS, "Referer": f"{EVIL}/a"},
        kind="image/jpeg",
    ),
    Row(
        "picture without an ending, on another site's page",
        "GET",
        "/$bucket/attacks/original",
        200,
        CROSS,
        kind="image/png",
    ),
    Row(
        "picture on another site's page, whose browser has it",
        "GET",
        "/$bucket/attacks/picture.jpg",
        304,
        {**CROSS, "If-None-Match": "$etag"},
    ),
    Row("picture's size, asked by another site", "HEAD", "/$bucket/attacks/picture.jpg", 200, CROSS, kind="image/jpeg"),
    Row(
        "picture by its bucket's host",
        "GET",
        "/attacks/picture.jpg",
        200,
        CROSS,
        host="$bucket.s3.localhost.localstack.cloud:$port",
        kind="image/jpeg",
    ),
    Row("manifest, opened by its address", "GET", "/$bucket/attacks/manifest.json", 200, TYPED, kind=JSON),
    Row("presigned link by a program", "GET", "$presigned", 200, host="LOCALHOST:$port", kind="image/jpeg"),
    _post("state machines by a program", "/", 200, {**STATES, **SIGNED}, "{}"),
    _post("state machines, Host by IPv6", "/", 200, {**STATES, **SIGNED}, "{}", host="[::1]:$port"),
    _post("state machines, Host 127.0.0.1", "/", 200, {**STATES, **SIGNED}, "{}", host="127.0.0.1:$port"),
    Row("API's document, opened by its address", "GET", "$api/health", 200, TYPED),
    _post("request that the API refuses, from its own page", "$api/batches", 422, {**OWN, "Content-Type": JSON}, "{}"),
    _post("the same by a program", "$api/batches", 422, {"Content-Type": "Application/JSON; charset=utf-8"}, "{}"),
    _post(
        "the same by the older address",
        "/restapis/$id/v1/_user_request_/batches",
        422,
        {**OWN, "Content-Type": JSON},
        "{}",
    ),
    _post(
        "the same by the API's host",
        "/v1/batches",
        422,
        {"Origin": "http://$id.execute-api.localhost.localstack.cloud:$port", "Content-Type": JSON},
        "{}",
        host="$id.execute-api.localhost.localstack.cloud:$port",
    ),
    Row("health by a program", "GET", "/_localstack/health", 200),
    Row("image API's health, opened by its address", "GET", "/health", 200, TYPED, at="images"),
]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def send(row: Row, ports: Mapping[str, int], parts: Mapping[str, str]) -> Answer:
    """Send a row's request as it stands, byte by byte, which no HTTP client would do.

    Args:
        row: the request.
        ports: where each of those that rows ask listens on 127.0.0.1.
        parts: what the row's names stand for, but the port.
    """
    port = ports[row.at]

    def filled(text: str) -> str:
        return Template(text).substitute(parts, port=port)

    body = row.body.encode()
    named = {} if row.host is None else {"Host": row.host}
    named |= {**row.headers, "Connection": row.headers.get("Connection", "close")}
    if body:
        named["Content-Length"] = str(len(body))
    lines = [f"{row.method} {filled(row.target)} HTTP/1.1", *(f"{name}: {filled(it)}" for name, it in named.items())]
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        answer = http.client.HTTPResponse(connection, method=row.method)
        try:
            answer.begin()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            answer.close()
