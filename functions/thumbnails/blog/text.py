"""What a blog post's page says: its title, its description and the words of its article."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from thumbnails.requests.models import CONTEXT_CHARACTERS, TITLE_CHARACTERS

#: An end tag is looked for among all that is open: within this depth a page costs time in proportion to its length.
DEPTH = 256
CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Page:
    """What a page says of itself; either may be empty."""

    title: str
    text: str


def page_in(body: bytes, content_type: str) -> Page:
    """The title and the text of a fetched page.

    Args:
        body: its bytes.
        content_type: as the answer's header has it, in lower case: text/html or text/plain.
    """
    text = _decoded(body, content_type)
    return _read_html(text) if content_type.startswith("text/html") else Page("", _words(text))


def _decoded(body: bytes, content_type: str) -> str:
    """The body as browsers decode it (https://encoding.spec.whatwg.org/): Python's other codecs are for no page."""
    import webencodings

    named = re.search(r"charset=[\"']?([\w.:-]+)", content_type) or re.search(
        r"<meta[^>]+charset=[\"']?([\w.:-]+)", body[:2048].decode("ascii", "ignore"), re.IGNORECASE
    )
    encoding = webencodings.lookup(named[1]) if named else None
    text, _ = webencodings.decode(body, encoding or webencodings.UTF8, "replace")
    return str(text)


def _words(text: str, most: int = CONTEXT_CHARACTERS) -> str:
    """The text on one line, ended at a word where it is too long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= most else line[:most].rpartition(" ")[0] or line[:most]


def _read_html(text: str) -> Page:
    from lxml import etree

    reader = _Reader()
    parser = etree.HTMLParser(target=reader, encoding="utf-8")
    body = text.encode()
    try:
        for start in range(0, len(body), CHUNK_BYTES):
            parser.feed(body[start : start + CHUNK_BYTES])
        parser.close()
    except (_TooDeep, etree.LxmlError):
        pass  # What was read until there is what the page says.
    title = _words(reader.og_title or "".join(reader.heading) or "".join(reader.title), TITLE_CHARACTERS[1])
    words = "".join(reader.article) or "".join(reader.text)
    return Page(title, _words(f"{reader.description} {words}"))


class _TooDeep(Exception):
    """More elements are open than any post needs."""


class _Reader:
    """Title, description and the words of an article (of the whole body where there is none).

    It is told of tags and text as lxml's parsers tell a target (https://lxml.de/parsing.html#the-target-parser-interface).
    """

    SKIPPED = frozenset(
        ("script", "style", "noscript", "template", "svg", "nav", "header", "footer", "aside", "form", "iframe")
    )
    INLINE = frozenset(
        ("a", "abbr", "b", "code", "em", "i", "mark", "q", "s", "small", "span", "strong", "sub", "sup", "u")
    )

    def __init__(self) -> None:
        self.og_title = self.description = ""
        self.title: list[str] = []
        self.heading: list[str] = []
        self.article: list[str] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self._depth = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins.

        Raises:
            _TooDeep: within more than ``DEPTH`` others.
        """
        self._depth += 1
        if self._depth > DEPTH:
            raise _TooDeep
        if tag == "meta":
            kind = (attributes.get("property") or attributes.get("name") or "").lower()
            self.og_title = self.og_title or (attributes.get("content", "") if kind == "og:title" else "")
            if kind in ("description", "og:description"):
                self.description = self.description or attributes.get("content", "")
        elif tag in self.SKIPPED or tag in ("title", "h1", "article", "main"):
            self._open.append(tag)
        if tag not in self.INLINE:
            self._add(" ")

    def end(self, tag: str) -> None:
        """An element ends."""
        self._depth -= 1
        if tag in self._open:
            # What was left open inside ends with it.
            del self._open[len(self._open) - 1 - self._open[::-1].index(tag) :]
        if tag not in self.INLINE:
            self._add(" ")

    def data(self, data: str) -> None:
        """Text, in as many pieces as come."""
        if "title" in self._open:
            if not self.SKIPPED.intersection(self._open):
                self.title.append(data)
        elif "h1" in self._open and not self.SKIPPED.difference({"header"}).intersection(self._open):
            self.heading.append(data)
        else:
            self._add(data)

    def close(self) -> None:
        """The page ends."""

    def _add(self, data: str) -> None:
        if "title" in self._open or self.SKIPPED.intersection(self._open):
            return
        self.text.append(data)
        if {"article", "main"}.intersection(self._open):
            self.article.append(data)
