"""What every route shares: errors as JSON, bodies within their limit, cursors and links."""

import base64
import json
from collections.abc import Iterable
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.utilities.data_classes.common import BaseProxyEvent
from pydantic import BaseModel, ValidationError

from api.responses import Error, ProblemOut
from entry.settings import ApiSettings, settings
from thumbnails.errors import Problem
from thumbnails.strict_json import NotJson, read_json

#: A request with every field at its limit and fifty titles stays below.
BODY_BYTES = 64 * 1024
#: A file of titles in base64; the largest that the page takes has 1 MB.
FILE_BODY_BYTES = 1400 * 1024

M = TypeVar("M", bound=BaseModel)


class Refusal(Exception):
    """An answer that ends a request early.

    Args:
        status: the HTTP status.
        code: the stable name of what is wrong.
        message: a sentence for a person.
        problems: everything that is wrong with the request, field by field.
    """

    def __init__(self, status: int, code: str, message: str, problems: Iterable[Problem] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.problems = list(problems)

    def answer(self) -> Response[Any]:
        """The answer, as JSON."""
        problems = [ProblemOut(field=problem.field, message=problem.message) for problem in self.problems]
        body = Error(code=self.code, message=str(self), problems=problems).model_dump()
        return Response(self.status, content_types.APPLICATION_JSON, body)


def not_found(what: str) -> Refusal:
    """404."""
    return Refusal(404, "not_found", what)


def invalid(field: str, message: str) -> Refusal:
    """422 for one field."""
    return Refusal(422, "invalid_request", message, [Problem(field, message)])


def json_body(event: BaseProxyEvent, most: int = BODY_BYTES) -> Any:
    """The request's JSON value, of at most so many bytes.

    Raises:
        Refusal: it is too large, not JSON, or not sent as JSON.
    """
    named = (event.headers.get("content-type") or "").partition(";")[0].strip().lower()
    # Any other type a page of another site may send without asking (https://fetch.spec.whatwg.org/#simple-header).
    if named != "application/json":
        raise Refusal(415, "unsupported_media_type", "a request is JSON: send it with Content-Type: application/json")
    body = event.get("body") or ""
    # In base64 four characters are three bytes.
    if len(body) > most * 4 // 3 + 4:
        raise _too_large(most)
    try:
        raw = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
        if len(raw) > most:
            raise _too_large(most)
        return read_json(raw)
    except NotJson as error:
        raise Refusal(400, "malformed_json", f"the body is not JSON: {error}") from None
    except ValueError:
        raise Refusal(400, "malformed_json", "the body is not JSON: it is not text in UTF-8") from None


def read_body(event: BaseProxyEvent, shape: type[M], most: int = BODY_BYTES) -> M:
    """The request's JSON value, of at most so many bytes, as a shape has it.

    Raises:
        Refusal: it is too large, not JSON, or of another shape.
    """
    try:
        return shape.model_validate(json_body(event, most))
    except ValidationError as error:
        places = [(".".join(str(part) for part in one["loc"]), one["msg"]) for one in error.errors(include_url=False)]
        problems = [Problem(place, f"{place or 'the request'}: {message}") for place, message in places]
        raise Refusal(422, "invalid_request", problems[0].message, problems) from None


def _too_large(most: int) -> Refusal:
    return Refusal(413, "body_too_large", f"a request has at most {most // 1024:,} kB")


def write_cursor(mark: tuple[float, str] | None) -> str | None:
    """A cursor, for the page after the one that ended at ``mark``."""
    return base64.urlsafe_b64encode(json.dumps(mark).encode()).decode().rstrip("=") if mark else None


def read_cursor(cursor: str | None) -> tuple[float, str] | None:
    """Where the page before ended.

    Raises:
        Refusal: no page gave this cursor.
    """
    if not cursor:
        return None
    try:
        when, name = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not (isinstance(when, float) and isinstance(name, str)):
            raise ValueError
    except (ValueError, TypeError, RecursionError):
        raise invalid("cursor", "cursor must be the next_cursor of a page before") from None
    return when, name


def link(event: BaseProxyEvent, path: str) -> str:
    """The URL of another route, as the person who asks reaches the API."""
    context = event.get("requestContext") or {}
    host = event.headers.get("host") or context.get("domainName") or "localhost"
    # What stands before the route: the stage, or a custom domain's base path. `sam local` names the route's pattern.
    whole, route = str(context.get("path") or ""), event.get("path") or ""
    before = whole.removesuffix(route) if whole.endswith(route) else ""
    public = settings(ApiSettings).public_endpoint_url
    api = context.get("apiId") or ""
    if public and urlsplit(public).port == urlsplit(f"//{host}").port and not host.startswith(f"{api}."):
        before = f"/_aws/execute-api/{api}{before}"
    scheme = event.headers.get("x-forwarded-proto") or ("http" if public else "https")
    return f"{scheme.partition(',')[0].lower()}://{host}{before}{quote(path)}"
