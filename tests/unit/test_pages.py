"""A blog post's page: what is taken from it, and what is never fetched. No socket is opened: the network is a fake."""

import http.client
import io
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import SplitResult

import pytest
import webencodings

from thumbnails.blog import page as pages
from thumbnails.blog.page import BYTES, PageUnreadable, is_public, read_page, url_problem
from thumbnails.blog.text import Page

PUBLIC = "93.184.215.14"
NOT_PUBLIC = "its address is not a public one"


class FakeSocket:
    """One answer, as a server would send it."""

    def __init__(self, answer: bytes) -> None:
        self.sent = b""
        self.closed = False
        self._answer = answer

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(io.BytesIO(self._answer))

    def settimeout(self, _seconds: float) -> None:
        pass

    def shutdown(self, _how: int) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class Network:
    """Names with their addresses, one list a look-up, and what each address answers; keeps who was connected to."""

    def __init__(self, names: dict[str, list[list[str]]], answers: dict[str, bytes]) -> None:
        self.names = names
        self.answers = answers
        self.connected: list[tuple[str, int]] = []
        self.sockets: list[FakeSocket] = []

    def resolve(self, host: str, _port: int) -> Sequence[str]:
        looks = self.names.get(host)
        if looks is None:
            raise socket.gaierror("no such host")
        return looks.pop(0) if len(looks) > 1 else looks[0]

    def connect(self, url: SplitResult, address: str, port: int, _seconds: float) -> http.client.HTTPConnection:
        self.connected.append((address, port))
        connection = http.client.HTTPConnection(url.hostname or "", port)
        fake = FakeSocket(self.answers[url.hostname or ""])
        self.sockets.append(fake)
        connection.sock = cast(Any, fake)
        return connection

    def read(self, url: str) -> Page:
        return read_page(url, self.resolve, self.connect)


def answer(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    named = {"Content-Type": "text/html; charset=utf-8", **{name.replace("_", "-"): v for name, v in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


def one_page(body: bytes, status: str = "200 OK", **headers: str) -> Network:
    return Network({"blog.example": [[PUBLIC]]}, {"blog.example": answer(body, status, **headers)})


def refusal(network: Network, url: str) -> str:
    with pytest.raises(PageUnreadable) as refused:
        network.read(url)
    return str(refused.value)


INWARD = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",  # noqa: S104
    "10.0.0.1",
    "172.16.5.4",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:93.184.215.14",
    "64:ff9b::7f00:1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "ff02::1",
    "not an address",
]


@pytest.mark.parametrize("address", INWARD)
def test_what_is_not_of_the_internet_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "2606:4700:4700::1111"])
def test_what_is_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", INWARD)
def test_a_name_with_an_inward_address_is_never_connected_to(address: str) -> None:
    network = Network({"inward.example": [[address]]}, {})
    assert refusal(network, "http://inward.example/latest/meta-data") == NOT_PUBLIC
    assert network.connected == []


def test_one_inward_address_among_public_ones_is_enough() -> None:
    network = Network({"mixed.example": [[PUBLIC, "10.0.0.1"]]}, {})
    assert refusal(network, "https://mixed.example/") == NOT_PUBLIC
    assert network.connected == []


@pytest.mark.parametrize("address", INWARD)
@pytest.mark.parametrize("status", ["301 Moved", "307 Temporary Redirect"])
def test_a_redirect_inward_is_not_followed(address: str, status: str) -> None:
    network = one_page(b"", status, Location="http://inward.example/")
    network.names["inward.example"] = [[address]]
    assert refusal(network, "http://blog.example/") == NOT_PUBLIC
    assert network.connected == [(PUBLIC, 80)]


def test_the_address_that_was_checked_is_the_one_that_is_connected_to() -> None:
    network = one_page(b"<title>A title</title>")
    # The second look-up would lead inward: there is none.
    network.names["blog.example"] = [[PUBLIC], ["127.0.0.1"]]
    assert network.read("http://blog.example/").title == "A title"
    assert network.connected == [(PUBLIC, 80)]


def test_a_redirect_to_the_same_name_is_looked_up_and_checked_again() -> None:
    network = one_page(b"", "302 Found", Location="/again")
    network.names["blog.example"] = [[PUBLIC], ["127.0.0.1"]]
    assert refusal(network, "http://blog.example/") == NOT_PUBLIC
    assert network.connected == [(PUBLIC, 80)]


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "gopher://blog.example/", "http://:80/", "javascript:alert(1)", "http://blog.example:8080/"],
)
def test_a_redirect_to_another_scheme_or_port_is_not_followed(location: str) -> None:
    network = one_page(b"", "302 Found", Location=location)
    assert (
        refusal(network, "http://blog.example/") == "it redirects to a URL that is not http or https on port 80 or 443"
    )


def test_redirects_have_an_end() -> None:
    network = one_page(b"", "302 Found", Location="/")
    assert refusal(network, "http://blog.example/") == "it redirects more than 5 times"
    assert len(network.connected) == 6
    assert all(fake.closed for fake in network.sockets)


def test_a_redirect_to_a_public_page_is_followed() -> None:
    network = one_page(b"", "301 Moved", Location="https://www.blog.example/post")
    network.names["www.blog.example"] = [["2606:4700:4700::1111"]]
    network.answers["www.blog.example"] = answer(b"<title>There</title>")
    assert network.read("http://blog.example/").title == "There"
    assert network.connected == [(PUBLIC, 80), ("2606:4700:4700::1111", 443)]


def test_the_request_names_the_host_and_nothing_of_a_person() -> None:
    network = one_page(b"<title>A title</title>")
    network.read("http://me:secret@blog.example:443/ein pfad?q=ü#part".replace(" ", "-"))
    sent = network.sockets[0].sent.decode()
    assert sent.startswith("GET /ein-pfad?q=%C3%BC HTTP/1.1\r\n")
    assert "Host: blog.example:443\r\n" in sent
    assert "secret" not in sent
    assert network.connected == [(PUBLIC, 443)]


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (one_page(b"", "404 Not Found"), "it answers with HTTP 404"),
        (one_page(b"{}", Content_Type="application/json"), "it is neither text/html nor text/plain"),
        (one_page(b"..", Content_Encoding="gzip"), "it is compressed, though that was not asked for"),
        (one_page(b"x" * (BYTES + 1)), "it is larger than 2 MB"),
        (Network({"blog.example": [[PUBLIC]]}, {"blog.example": b"no HTTP\r\n"}), "it could not be fetched"),
        (Network({}, {}), "it could not be fetched"),
        (Network({"blog.example": [[]]}, {}), NOT_PUBLIC),
    ],
    ids=["status", "type", "encoding", "size", "protocol", "no such host", "no address"],
)
def test_a_page_that_cannot_be_read_says_why(network: Network, reason: str) -> None:
    assert refusal(network, "http://blog.example/") == reason


def test_a_resolver_that_never_answers_ends_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "SECONDS", 0.05)
    network = one_page(b"")
    hang = threading.Event()

    def resolve(_host: str, _port: int) -> Sequence[str]:
        hang.wait(5)
        return ["127.0.0.1"]

    with pytest.raises(PageUnreadable, match="did not answer within"):
        read_page("http://blog.example/", resolve, network.connect)
    hang.set()


@pytest.mark.parametrize("url", ["https://blog.example/post", "http://[2606:4700::1]:80/", "https://例え.jp/ブログ"])
def test_an_http_url_has_no_problem(url: str) -> None:
    assert url_problem(url) == ""


@pytest.mark.parametrize(
    "url",
    ["", "blog.example", "ftp://blog.example", "http://", "http://a b", "http://x:99999/",
     "http://x:0/", "https://x:8443/", "http://x:22/", "http://[::1", "http://x\n",
     "https://x/" + "y" * 2000, "http://" + "a" * 70 + ".example"],
)  # fmt: skip
def test_what_is_no_http_url_has_a_problem(url: str) -> None:
    assert url_problem(url).startswith("blog_url must be an http or https URL on port 80 or 443")


ARTICLE = """<html><head><title>Post | Blog</title><meta charset=utf-8>
<meta name="description" content="What it is about."><script>var no = 1</script></head>
<body><nav>Home About</nav><h1>The <em>post</em></h1><article><p>First <b>bold</b>line.</p><p>Second &amp; last.</p>
<style>p { }</style><aside>Ads</aside></article><footer>Imprint</footer></body></html>"""


def test_title_and_text_are_those_of_the_article() -> None:
    page = one_page(ARTICLE.encode()).read("http://blog.example/")
    assert page == Page("The post", "What it is about. First boldline. Second & last.")


@pytest.mark.parametrize(
    ("html", "title"),
    [
        ('<meta property="og:title" content="Shared"><title>T</title><h1>H</h1>', "Shared"),
        ("<title>T &lt;3</title>", "T <3"),
        ("<body>no title", ""),
        ("<title>" + "word " * 60 + "</title>", ("word " * 40).strip()),
        ("<svg><title>Icon</title></svg><title>Page</title>", "Page"),
    ],
)
def test_the_title_is_the_best_that_the_page_gives(html: str, title: str) -> None:
    assert one_page(html.encode()).read("http://blog.example/").title == title


def test_the_text_ends_at_a_word_within_the_limit() -> None:
    page = one_page(b"<p>" + b"twelve chars " * 400).read("http://blog.example/")
    assert 2480 < len(page.text) <= 2500
    assert page.text.endswith(("twelve", "chars"))


def test_plain_text_is_context_without_a_title() -> None:
    page = one_page("Grüße\naus Köln".encode("latin-1"), Content_Type="text/plain; charset=latin1").read(
        "http://blog.example/"
    )
    assert page == Page("", "Grüße aus Köln")


@pytest.mark.parametrize("charset", ["x-unknown", "utf-8", "idna", "punycode", "unicode_escape", "undefined", "zlib"])
def test_bytes_that_cannot_be_decoded_are_replaced(charset: str) -> None:
    page = one_page(b"<title>\xff title</title>", Content_Type=f"text/html; charset={charset}")
    assert page.read("http://blog.example/").title == "\ufffd title"


@pytest.mark.parametrize("label", sorted(webencodings.LABELS))
def test_every_encoding_of_the_web_gives_a_page(label: str) -> None:
    body = bytes(range(256)) * 4 + b"\x1b$B\xf0\x9f<p>"
    one_page(body, Content_Type=f"text/html; charset={label}").read("http://blog.example/")


def test_the_encoding_that_the_page_names_itself_is_taken() -> None:
    page = one_page("<meta charset=latin1><title>Gr\u00fc\u00dfe</title>".encode("latin-1"), Content_Type="text/html")
    assert page.read("http://blog.example/").title == "Gr\u00fc\u00dfe"


ENDLESS = [
    "<",
    "</",
    "<a ",
    "<!--",
    "<![",
    "\u2039![",
    "<!",
    "<?",
    "&#",
    '<a b="',
    "<p>",
    "<div></b>",
    "<b></p>",
    "<script></scrip",
]


@pytest.mark.parametrize("piece", ENDLESS)
def test_a_page_costs_time_in_proportion_to_its_length(piece: str) -> None:
    body = (piece.encode() * BYTES)[: BYTES // 4]
    network = one_page(b"<title>A title</title>" + body)
    began = time.process_time()
    assert network.read("http://blog.example/").title == "A title"
    assert time.process_time() - began < pages.SECONDS / 4


def test_elements_that_are_left_open_cost_no_more_than_the_deepest() -> None:
    opened = b"".join(b"<b id=%d>" % number for number in range(20_000))
    network = one_page(b"<title>A title</title><p>Text." + opened + b"<p>x" * 60_000)
    began = time.process_time()
    assert network.read("http://blog.example/") == Page("A title", "Text.")
    assert time.process_time() - began < pages.SECONDS / 4


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_while_a_page_is_read_is_the_pages_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(_body: bytes, _content_type: str) -> Page:
        raise AssertionError("we should not get here")

    monkeypatch.setattr(pages, "page_in", faulty)
    assert refusal(one_page(b"<title>A title</title>"), "http://blog.example/") == "it could not be read"


def test_reading_a_page_ends_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "SECONDS", 0.05)
    hang = threading.Event()

    def slow(_body: bytes, _content_type: str) -> Page:
        hang.wait(5)
        return Page("Too late", "")

    monkeypatch.setattr(pages, "page_in", slow)
    with pytest.raises(PageUnreadable, match="did not answer within"):
        one_page(b"<title>A title</title>").read("http://blog.example/")
    hang.set()
