"""Who may talk to the stack, by a request's headers alone."""

import pytest

from thumbs.gate import is_foreign, is_from_browser, is_ours
from thumbs.localstack.gate import may_be_a_page, object_type, refusal

HERE = "localhost:4566"
API = "/_aws/execute-api/abc/v1/runs"
PICTURE = "/bucket/runs/r/0-a/m.jpg?X-Amz-Signature=1"


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:4566", "LocalHost:4566", "127.0.0.1:4566", "127.8.9.1", "[::1]:4566", "[::1]"),
        *("localhost.localstack.cloud:4566", "b.s3.localhost.localstack.cloud", "abc.execute-api.localhost:4566"),
        "172.17.0.1:4566",
    ],
)
def test_names_of_this_machine_are_ours(host: str) -> None:
    assert is_ours(host, ["172.17.0.1"])


@pytest.mark.parametrize(
    "host",
    [
        *(None, "", "evil.example", "evil.example:4566", "localhost.evil.example", "evil-localhost", "xlocalhost"),
        *("localstack.cloud", "127.0.0.1.evil.example", "127.0.0.1.nip.io", "localhost.", "localhost:", "0.0.0.0:4566"),
        *(
            "172.17.0.2",
            "192.168.1.5",
            "[::2]",
            "[::ffff:8.8.8.8]",
            "localhost,evil.example",
            "user@localhost",
            "2130706433",
        ),
        *("localhost:4566:1", "localhost evil", "localhost/evil", "[::1", "::1"),
    ],
)
def test_any_other_host_is_not(host: str | None) -> None:
    assert not is_ours(host, ["172.17.0.1"])


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"origin": f"http://{HERE}"}, False),
        ({"origin": f"HTTPS://{HERE.upper()}"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "same-origin", "referer": f"http://{HERE}/page"}, False),
        ({"origin": "null"}, True),
        ({"origin": "http://localhost"}, True),
        ({"origin": "http://localhost:45660"}, True),
        ({"origin": "http://127.0.0.1:4566"}, True),
        ({"origin": "http://localhost:4566.evil.example"}, True),
        ({"origin": f"http://{HERE}@evil.example"}, True),
        ({"origin": f"file://{HERE}"}, True),
        ({"origin": "http://["}, True),
        ({"sec-fetch-site": "same-site"}, True),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "Cross-Site"}, True),
        ({"sec-fetch-site": ""}, True),
        ({"sec-fetch-site": "same-origin", "origin": "http://evil.example"}, True),
        ({"referer": "https://evil.example/page"}, True),
    ],
)
def test_a_page_is_foreign_unless_its_origin_is_the_request_s(headers: dict[str, str], foreign: bool) -> None:
    assert is_foreign({"host": HERE, **headers}) == foreign
    assert is_from_browser(headers) == bool(headers)


OWN = {"sec-fetch-site": "same-origin", "origin": f"http://{HERE}"}
TYPED = {"sec-fetch-site": "none"}
ELSEWHERE = {"sec-fetch-site": "cross-site"}


@pytest.mark.parametrize(
    ("method", "target", "headers", "status"),
    [
        # A program.
        ("POST", "/", {}, None),
        ("PUT", "/bucket/key.html", {}, None),
        ("GET", "/_localstack/health", {}, None),
        ("POST", "/_localstack/health", {}, 404),
        ("GET", "/_localstack/cloudformation/deploy?templateURL=x", {}, 404),
        ("GET", "/_localstack/cloudformation/deploy", {"host": f"abc.execute-api.{HERE}"}, 404),
        ("GET", "/_localstack/info", {}, 404),
        ("GET", "/%5Flocalstack/info", {}, 404),
        ("GET", "//_localstack//info", {}, 404),
        ("GET", "/_aws/sqs/messages", {}, 404),
        ("GET", "/bucket/key", {"upgrade": "websocket"}, 400),
        ("GET", "/bucket/key", {"upgrade": "h2c, WebSocket"}, 400),
        ("GET", "/bucket/key", {"upgrade": "h2c"}, None),
        ("GET", API, {"upgrade": "websocket", **OWN}, 400),
        ("GET", "http://localhost:4566/bucket", {}, 400),
        ("OPTIONS", "*", {}, 400),
        ("POST", "/", {"host": "evil.example:4566"}, 403),
        ("POST", "/", {"host": "evil.example:4566", "x-forwarded-host": HERE}, 403),
        # The person, and the page that the API serves.
        ("GET", PICTURE, TYPED, None),
        ("GET", "/bucket/archive.zip", TYPED, None),
        ("GET", API, TYPED, None),
        ("POST", API, OWN, None),
        ("DELETE", API, OWN, None),
        ("OPTIONS", API, OWN, None),
        ("PUT", "/bucket/key", OWN, 403),
        ("POST", "/2015-03-31/functions", OWN, 403),
        ("POST", "/", OWN, 403),
        ("POST", "/_localstack/health", OWN, 404),
        # Another site's page. What it gets by GET is decided where the operation and its answer are known.
        ("GET", PICTURE, ELSEWHERE, None),
        ("HEAD", "/bucket/a/B.PNG", ELSEWHERE, None),
        ("GET", PICTURE, {"origin": "http://evil.example"}, None),
        ("GET", f"{API}/a.jpg", ELSEWHERE, 403),
        ("GET", API, {"sec-fetch-site": "same-site"}, 403),
        ("GET", "/_localstack/health", ELSEWHERE, 403),
        ("POST", PICTURE, ELSEWHERE, 403),
        ("OPTIONS", PICTURE, ELSEWHERE, 403),
        ("POST", API, ELSEWHERE, 403),
        ("OPTIONS", API, {"origin": "https://evil.example"}, 403),
    ],
)
def test_the_gate(method: str, target: str, headers: dict[str, str], status: int | None) -> None:
    refused = refusal(method, target, {"host": HERE, **headers})
    assert (refused.status if refused else None) == status
    if refused:
        assert refused.reason


def test_the_api_is_known_by_its_host_too() -> None:
    host = f"abc.execute-api.{HERE}"
    assert refusal("POST", "/v1/batches", {"host": host, "origin": f"http://{host}"}) is None
    assert refusal("POST", "/v1/batches", {"host": host, "origin": f"http://{HERE}"}) is not None


@pytest.mark.parametrize(
    ("method", "headers", "may_be"),
    [
        ("GET", {"authorization": "AWS4-HMAC-SHA256 …"}, False),
        ("POST", {}, False),
        ("PUT", {}, False),
        # A presigned link, and a page's picture in a browser that says nothing of it.
        ("GET", {}, True),
        ("HEAD", {}, True),
        ("GET", {"authorization": "AWS4-HMAC-SHA256 …", **OWN}, True),
        ("POST", {"authorization": "AWS4-HMAC-SHA256 …", "referer": "https://evil.example"}, True),
    ],
)
def test_what_no_page_can_have_sent_is_a_program_s(method: str, headers: dict[str, str], may_be: bool) -> None:
    assert may_be_a_page(method, headers) == may_be


@pytest.mark.parametrize(
    "kind",
    [
        *("image/jpeg", "image/png", "IMAGE/WebP", "image/gif", "image/avif", "application/json", "application/zip"),
        *("text/plain", "text/plain; charset=utf-8", "text/csv;charset=UTF-8", "application/octet-stream"),
    ],
)
def test_what_runs_nothing_keeps_its_type(kind: str) -> None:
    assert object_type(kind) == kind


@pytest.mark.parametrize(
    "kind",
    [
        *("text/html", "TEXT/HTML", "text/html; charset=utf-8", " text/html", "text/html;", "application/xhtml+xml"),
        *("image/svg+xml", "Image/SVG+XML; charset=utf-8", "text/xml", "application/xml", "image/x+xml", "", "any"),
        *("image/png, text/html", "image/png;a=b, text/html", 'image/png;a=",text/html', "image/png text/html"),
        *("multipart/x-mixed-replace; boundary=a", "text/javascript", "application/pdf", "image/jpeg+xml"),
    ],
)
def test_anything_else_is_a_text(kind: str) -> None:
    assert object_type(kind) == "text/plain; charset=utf-8"
