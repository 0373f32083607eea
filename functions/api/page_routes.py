"""The page where a writer works: the files of ``functions/web/``, as they stand there."""

import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from api.http import link, not_found
from entry.clients import store
from thumbnails.errors import quoted

FOLDER = Path(__file__).parents[1] / "web"
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
#: The files' names hold the version of them all, so that none is ever asked for twice.
FOREVER = "public, max-age=31536000, immutable"

router = APIGatewayRouter()  # type: ignore[no-untyped-call]


class Files(NamedTuple):
    """Every file by its name, and the version that changes with any of them."""

    texts: dict[str, str]
    version: str


@cache
def files() -> Files:
    """The page's files, read once."""
    texts = {file.name: file.read_text() for file in sorted(FOLDER.iterdir()) if file.suffix in KINDS}
    return Files(texts, hashlib.sha256(repr(texts).encode()).hexdigest()[:16])


@router.get("/", include_in_schema=False)
def get_page() -> Response[str]:
    """The page itself, which names the others by their version."""
    event = router.current_event
    texts, version = files()
    # The stage's address may come without the slash that relative addresses need.
    base = urlsplit(link(event, "/")).path
    tag = f'"{version}-{hashlib.sha256(base.encode()).hexdigest()[:8]}"'
    headers = {"Cache-Control": "no-cache", "ETag": tag, **_safe_headers()}
    if event.headers.get("if-none-match") == tag:
        return Response(304, None, "", headers)
    page = texts["index.html"].replace("{base}", base).replace("{version}", version)
    return Response(200, "text/html; charset=utf-8", page, headers)


@router.get("/web/<version>/<name>", include_in_schema=False)
def get_file(version: str, name: str) -> Response[str]:
    """One of its files; a page from before a deployment gets today's, and asks again."""
    texts, current = files()
    if name not in texts or name == "index.html":
        raise not_found(f"there is no /web/{quoted(version, 40)[1:-1]}/{quoted(name)[1:-1]}")
    headers = {
        "Cache-Control": FOREVER if version == current else "no-cache",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return Response(200, f"{KINDS[Path(name).suffix]}; charset=utf-8", texts[name], headers)


def _safe_headers() -> dict[str, str]:
    """What keeps a title with markup in it text, and other sites out."""
    pictures = "{0.scheme}://{0.netloc}".format(urlsplit(store().url("runs/")))
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": f"'self' data: blob: {pictures}",
        "base-uri": "'self'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
