"""Which pages may use the API: its own, and those of the origin that CORS names."""

import ipaddress
from urllib.parse import urlsplit

from aws_lambda_powertools.utilities.data_classes.common import BaseProxyEvent

from api.http import Refusal
from entry.settings import CorsSettings, settings


def refuse_foreign_page(event: BaseProxyEvent) -> None:
    """Let in programs and those pages.

    CORS keeps a page of another site from reading an answer, and not from sending what a form can send.

    Raises:
        Refusal: a page of another site asks; or, under ``sam local``, somebody who looked another host up.
    """
    host = (event.headers.get("host") or "").lower()
    by_sam = settings(CorsSettings).aws_sam_local
    # Whose DNS says that its name is this machine has the same origin as what answers to it.
    if by_sam and not _is_loopback(host):
        raise Refusal(403, "foreign_host", "the local API answers to the names of its own machine alone")
    allowed = settings(CorsSettings).cors_origin
    # In an account, where a key is asked for.
    if allowed == "*" and not by_sam:
        return
    origin = event.headers.get("origin")
    if origin is not None:
        foreign = origin.lower() != allowed.lower() and not _is_at(origin, host)
    else:
        # A link that is followed, or a picture that is shown, changes nothing.
        unsafe = event.http_method not in ("GET", "HEAD", "OPTIONS")
        foreign = unsafe and (event.headers.get("sec-fetch-site") or "none").lower() not in ("same-origin", "none")
    if foreign:
        pages = "pages of the API itself" if allowed == "*" else f"pages of {allowed} and of the API itself"
        raise Refusal(403, "foreign_origin", f"{pages} may use it, and no others")


def _is_at(page: str, host: str) -> bool:
    try:
        return urlsplit(page.lower()).netloc == host != ""
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
