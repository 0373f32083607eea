"""Nobody but the person gets into LocalStack: no other host, no page of another site.

LocalStack runs functions as this person's processes, so whoever may call it may run anything. AWS's tools are let in.
A browser gets what the deployed HTTP APIs answer to a page of their own, and S3's objects: those that are pictures on
any site, none as a page. Of LocalStack's own pages nothing is left but its health.
"""

import re
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import unquote

from thumbs.gate import is_foreign, is_from_browser, is_ours

API_PATH = re.compile(r"/_aws/execute-api/|/restapis/[^/]+/[^/]+/_user_request_(/|$)")
HEALTH = "/_localstack/health"
#: Images that hold no script: not SVG and no other XML.
IMAGE = re.compile(r"image/(avif|gif|jpeg|png|webp)", re.IGNORECASE)
#: What a browser may take an object for. The whole header, as the last one of several types in it would count.
PASSIVE = re.compile(
    rf"({IMAGE.pattern}|application/(json|octet-stream|zip)|text/(csv|plain)) *(; *charset=[\w-]+)?", re.IGNORECASE
)
TEXT = "text/plain; charset=utf-8"
#: What reads one object, and nothing else does.
READS = ("GetObject", "HeadObject")


class Refusal(NamedTuple):
    """An answer in place of LocalStack's: the HTTP status and a line that says why."""

    status: int
    reason: str


OTHER_HOST = Refusal(403, "this stack answers to the names of its own machine alone: use http://localhost")
NO_PATH = Refusal(400, "a request target is a path")
NO_WEBSOCKET = Refusal(400, "there is no WebSocket here")
NO_PAGE = Refusal(404, "this stack has no such page")
OTHER_SITE = Refusal(403, "another site's page may show pictures of this stack and nothing else")
READS_ONLY = Refusal(403, "a browser may read objects of this stack and use its HTTP API: for the rest use `aws`")


def is_for_api(path: str, host: str) -> bool:
    """Whether LocalStack takes a request for one of a deployed HTTP API.

    Args:
        path: as its routes read it, with nothing quoted.
        host: the ``Host`` header.
    """
    return bool(API_PATH.match(path)) or (".execute-api." in host.lower() and not path.startswith("/_"))


def refusal(method: str, target: str, headers: Mapping[str, str], hosts: Collection[str] = ()) -> Refusal | None:
    """Why a request is turned away before LocalStack sees it; None where it may go on.

    Args:
        method: the HTTP method.
        target: the request target, with its query.
        headers: their names in lower case, several of one name joined by commas.
        hosts: addresses beside loopback that the stack listens on.
    """
    host = headers.get("host")
    if host is None or not is_ours(host, hosts):
        return OTHER_HOST
    if not target.startswith("/"):
        return NO_PATH
    if "websocket" in headers.get("upgrade", "").lower():
        return NO_WEBSOCKET
    path = re.sub("/+", "/", unquote(target.partition("?")[0]))
    reads, for_api = method in ("GET", "HEAD"), is_for_api(path, host)
    is_own_page = path.startswith("/_") and not for_api
    if is_own_page and not (reads and path == HEALTH):
        return NO_PAGE
    if is_foreign(headers) and (for_api or is_own_page or not reads):
        return OTHER_SITE
    if is_from_browser(headers) and not for_api and not reads:
        return READS_ONLY
    return None


def may_be_a_page(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a page can have sent this, also in a browser that says nothing of it.

    To a name of plain HTTP that is not ``localhost`` they say it of no GET, and a page can withhold the ``Referer``
    (https://www.w3.org/TR/fetch-metadata/, "potentially trustworthy URL"). But no page can send ``Authorization``
    without asking first, and AWS's tools sign with it all but presigned URLs.
    """
    return is_from_browser(headers) or (method in ("GET", "HEAD") and "authorization" not in headers)


def object_type(kind: str) -> str:
    """The content type under which a browser gets an object of this one; also where the URL has asked for it."""
    return kind if PASSIVE.fullmatch(kind) else TEXT


def close(hosts: Collection[str]) -> None:
    """Put the gate in front of LocalStack, before it runs.

    Args:
        hosts: the addresses that it listens on.
    """
    from localstack.aws import handlers
    from localstack.aws.app import LocalstackAwsGateway
    from rolo.serving.twisted import WebsocketResourceDecorator

    render, initialise = WebsocketResourceDecorator.render, LocalstackAwsGateway.__init__

    def render_or_refuse(self: Any, request: Any) -> Any:
        named = {
            name.decode("latin-1").lower(): ",".join(value.decode("latin-1") for value in values)
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        refused = refusal(request.method.decode("latin-1"), request.uri.decode("latin-1"), named, hosts)
        if not refused:
            return render(self, request)
        request.setResponseCode(refused.status)
        request.setHeader(b"Content-Type", TEXT.encode())
        request.setHeader(b"X-Content-Type-Options", b"nosniff")
        return f"{refused.reason}\n".encode()

    def serve_apis(chain: Any, context: Any, response: Any) -> None:
        # Its other routes are websites of buckets, function URLs, and consoles of services.
        if is_for_api(context.request.path, context.request.headers.get("Host", "")):
            handlers.serve_edge_router_rules(chain, context, response)

    def initialise_and_guard(self: Any, *arguments: Any, **named: Any) -> None:
        initialise(self, *arguments, **named)
        chain = self.request_handlers
        chain[chain.index(handlers.serve_edge_router_rules)] = serve_apis
        # Before anything is added to the request; and where its operation is known, before it is done.
        chain.insert(0, _remember_sender)
        chain.insert(chain.index(handlers.parse_service_request) + 1, _refuse_all_but_reads)
        self.response_handlers.append(_make_harmless)

    WebsocketResourceDecorator.render = render_or_refuse  # type: ignore[method-assign]
    LocalstackAwsGateway.__init__ = initialise_and_guard


def _remember_sender(_chain: Any, context: Any, _response: Any) -> None:
    headers = {name.lower(): value for name, value in context.request.headers.items()}
    context.may_be_a_page = may_be_a_page(context.request.method, headers)
    context.is_foreign = is_foreign(headers)


def _refuse_all_but_reads(chain: Any, context: Any, response: Any) -> None:
    reads = context.operation is not None and context.operation.name in READS
    if context.may_be_a_page and not (reads and context.service.service_name == "s3"):
        _refuse(response, READS_ONLY)
        chain.stop()


def _make_harmless(_chain: Any, context: Any, response: Any) -> None:
    """No answer but an HTTP API's is a page to a browser, or runs anything; to another site's, it is a picture."""
    if context.operation is None and is_for_api(context.request.path, context.request.headers.get("Host", "")):
        return
    headers = response.headers
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Content-Security-Policy"] = "sandbox"
    is_object = context.operation is not None and context.operation.name in READS
    if is_object and response.status_code == HTTPStatus.NOT_MODIFIED:
        # It has no type and no body: what the browser has kept says itself what it is, and who may see it.
        return
    kind = headers.get("Content-Type", "")
    if is_object or context.may_be_a_page:
        headers["Content-Type"] = kind = object_type(kind)
    if not IMAGE.match(kind):
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if context.is_foreign:
            _refuse(response, OTHER_SITE)


def _refuse(response: Any, refused: Refusal) -> None:
    # An object's body holds a lock until it is closed.
    response.close()
    response.status_code = refused.status
    response.headers["Content-Type"] = TEXT
    response.set_response(f"{refused.reason}\n".encode())
