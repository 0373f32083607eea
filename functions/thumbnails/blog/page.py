"""The page of a blog post, fetched from public addresses alone.

A person names the URL and this process fetches it, so the fetch must not reach what the person could not: every host is
resolved here, every one of its addresses has to be public, and the connection goes to the very address that was
checked. A redirect is a new URL and goes the same way.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from urllib.parse import SplitResult, urljoin, urlsplit

from thumbnails.blog.text import Page, page_in

SECONDS = 10.0
BYTES = 2 << 20
REDIRECTS = 5
URL_CHARACTERS = 2000
PORTS = (80, 443)
TYPES = ("text/html", "text/plain")

#: What may be routed on the internet: everything else of IPv6 (mapped, translated, local) is refused.
_IPV6 = ipaddress.ip_network("2000::/3")
#: Within what looks global: tunnels that carry an IPv4 address of anybody's choice, protocol and documentation ranges.
_REFUSED = [
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
    )
]

#: (host, port) → its addresses.
Resolve = Callable[[str, int], Sequence[str]]
#: (URL, address, port, seconds) → a connection to just this address.
Connect = Callable[[SplitResult, str, int, float], http.client.HTTPConnection]


class PageUnreadable(Exception):
    """The page gives neither title nor text. The message says why, and nothing about what is behind the address."""


def connect_to(url: SplitResult, address: str, port: int, seconds: float) -> http.client.HTTPConnection:
    """Connect to one address for the host that the URL names; TLS is checked against that host."""
    host = url.hostname or ""
    raw = socket.create_connection((address, port), timeout=seconds)
    if url.scheme == "https":
        try:
            raw = _tls().wrap_socket(raw, server_hostname=host)
        except BaseException:
            raw.close()
            raise
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    connection.sock = raw
    return connection


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def is_public(address: str) -> bool:
    """Whether an address is one of the internet's, and not of this machine, its network, its cloud or a tunnel."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_unspecified:
        return False
    if ip.version == 6 and ip not in _IPV6:
        return False
    return not any(ip.version == network.version and ip in network for network in _REFUSED)


def resolve_host(host: str, port: int) -> list[str]:
    """The addresses that this machine's resolver gives."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def url_problem(url: str) -> str:
    """Why a text is no URL that could be fetched; empty where it is one."""
    try:
        parts = urlsplit(url)
        good = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port in PORTS)
        )
        good = good and url.isprintable() and " " not in url and len(url) <= URL_CHARACTERS
        (parts.hostname or "").encode("idna")
    except ValueError:
        good = False
    if good:
        return ""
    return f"blog_url must be an http or https URL on port 80 or 443, of at most {URL_CHARACTERS} characters"


def read_page(url: str, resolve: Resolve = resolve_host, connect: Connect = connect_to) -> Page:
    """Fetch a page and take its title and its text out of it, all within ``SECONDS``.

    Args:
        url: the page's.
        resolve: gives a host's addresses.
        connect: connects to an address.

    Raises:
        PageUnreadable: says why.
    """
    fetch = _Fetch(url, resolve, connect)
    # A resolver knows no deadline, and a server that drips its headers keeps every single read in time.
    worker = threading.Thread(target=fetch.run, daemon=True)
    worker.start()
    worker.join(SECONDS)
    if worker.is_alive():
        fetch.abandon()
        raise PageUnreadable(f"it did not answer within {SECONDS:g} s")
    if fetch.page is None:
        raise PageUnreadable(fetch.problem)
    return fetch.page


class _Fetch:
    """One fetch, with its redirects; ``run`` leaves either a page or a problem."""

    def __init__(self, url: str, resolve: Resolve, connect: Connect) -> None:
        self._url = url
        self._resolve = resolve
        self._connect = connect
        self._deadline = time.monotonic() + SECONDS
        self._socket: socket.socket | None = None
        self._answer: http.client.HTTPResponse | None = None
        self.page: Page | None = None
        # What a fault of this module leaves, too.
        self.problem = "it could not be read"

    def run(self) -> None:
        try:
            self._follow()
        except PageUnreadable as problem:
            self.problem = str(problem)
        except TimeoutError:
            self.problem = f"it did not answer within {SECONDS:g} s"
        except ssl.SSLError:
            self.problem = "its certificate is not valid"
        except (OSError, http.client.HTTPException, ValueError):
            self.problem = "it could not be fetched"
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let go of the connection, and wake a thread that waits on it."""
        if self._socket:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            self._socket.close()
        if self._answer:
            self._answer.close()
        self._socket = self._answer = None

    def _follow(self) -> None:
        url = self._url
        for _ in range(REDIRECTS + 1):
            if url_problem(url):
                raise PageUnreadable("it redirects to a URL that is not http or https on port 80 or 443")
            answer = self._get(urlsplit(url))
            if answer.status not in (301, 302, 303, 307, 308):
                content_type = answer.headers.get("Content-Type", "").strip().lower()
                body = self._body_of(answer, content_type)
                self.abandon()
                self.page = page_in(body, content_type)
                return
            url = urljoin(url, answer.headers.get("Location", ""))
            self.abandon()
        raise PageUnreadable(f"it redirects more than {REDIRECTS} times")

    def _get(self, url: SplitResult) -> http.client.HTTPResponse:
        port = url.port or (443 if url.scheme == "https" else 80)
        host = (url.hostname or "").encode("idna").decode()
        addresses = self._resolve(host, port)
        if not addresses or not all(map(is_public, addresses)):
            raise PageUnreadable("its address is not a public one")
        connection = self._connect(url, addresses[0], port, self._remaining())
        # A connection forgets its socket when the answer is the last one.
        self._socket = connection.sock
        named = (f"[{host}]" if ":" in host else host) + (f":{url.port}" if url.port else "")
        headers = {
            "Host": named,
            "User-Agent": "fan-out-thumbnails/1",
            "Accept": ", ".join(TYPES),
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        connection.request("GET", _quoted(target), headers=headers)
        self._answer = connection.getresponse()
        return self._answer

    def _body_of(self, answer: http.client.HTTPResponse, content_type: str) -> bytes:
        if answer.status != 200:
            raise PageUnreadable(f"it answers with HTTP {answer.status}")
        if not content_type.startswith(TYPES):
            raise PageUnreadable("it is neither text/html nor text/plain")
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise PageUnreadable("it is compressed, though that was not asked for")
        chunks, size = [], 0
        while chunk := answer.read1(1 << 16):
            chunks.append(chunk)
            size += len(chunk)
            if size > BYTES:
                raise PageUnreadable(f"it is larger than {BYTES >> 20} MB")
            if self._socket:
                self._socket.settimeout(self._remaining())
        return b"".join(chunks)

    def _remaining(self) -> float:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        return remaining


def _quoted(target: str) -> str:
    return "".join(c if c.isascii() else "".join(f"%{byte:02X}" for byte in c.encode()) for c in target)
