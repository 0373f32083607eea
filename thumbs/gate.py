"""Who may talk to a server on this machine's loopback, told from a request's headers alone.

A page that is open in a browser can send requests to any port of its machine. It cannot choose what the browser says
of them: the ``Host`` that it looked up, the ``Origin`` and ``Sec-Fetch-Site`` of the page that asks
(https://fetch.spec.whatwg.org/#origin-header, https://www.w3.org/TR/fetch-metadata/).
"""

import ipaddress
import re
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

#: Names that resolve to loopback: by RFC 6761, and by LocalStack's own DNS entry.
LOOPBACK_NAMES = ("localhost", "localhost.localstack.cloud")
#: What ``Sec-Fetch-Site`` says where the page is the server's own, or where a person typed the address.
OWN_SITES = ("same-origin", "none")


def is_ours(host: str | None, also: Collection[str] = ()) -> bool:
    """Whether a ``Host`` header names this machine's loopback.

    Any other was looked up in somebody's DNS, which may answer with a loopback address (DNS rebinding).

    Args:
        host: the header; None where there is none.
        also: addresses that count as well.
    """
    found = re.fullmatch(r"(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?", (host or "").lower())
    if not found:
        return False
    name = found[1].strip("[]")
    try:
        return name in also or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return any(name == known or name.endswith(f".{known}") for known in LOOPBACK_NAMES)


def is_from_browser(headers: Mapping[str, str]) -> bool:
    """Whether a page's script, form or link, or a person in a browser, has sent this; AWS's tools send none of it.

    Args:
        headers: the request's, their names in lower case.
    """
    return any(name in headers for name in ("origin", "sec-fetch-site", "referer"))


def is_foreign(headers: Mapping[str, str]) -> bool:
    """Whether another site's page has sent this: any whose scheme, host and port are not those of the request."""
    if headers.get("sec-fetch-site", "none").lower() not in OWN_SITES:
        return True
    host = headers.get("host", "").lower()
    # An older browser says no more than where the link was.
    pages = [headers[name] for name in ("origin", "referer") if name in headers]
    return any(not host or not _is_at(page, host) for page in pages)


def _is_at(page: str, host: str) -> bool:
    try:
        parts = urlsplit(page.lower())
        return parts.scheme in ("http", "https") and parts.netloc == host
    except ValueError:
        return False
