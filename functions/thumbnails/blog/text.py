"""What a blog post's page says: its title, its description and the words of its article."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser

from thumbnails.requests.models import CONTEXT_CHARACTERS, TITLE_CHARACTERS


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
    named = re.search(r"charset=[\"']?([\w.:-]+)", content_type) or re.search(
        r"<meta[^>]+charset=[\"']?([\w.:-]+)", body[:2048].decode("ascii", "ignore"), re.IGNORECASE
    )
    try:
        return body.decode(named[1] if named else "utf-8", "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


def _words(text: str, most: int = CONTEXT_CHARACTERS) -> str:
    """The text on one line, ended at a word where it is too long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= most else line[:most].rpartition(" ")[0] or line[:most]


def _read_html(text: str) -> Page:
    reader = _Reader()
    reader.feed(text)
    reader.close()
    title = _words(reader.og_title or "".join(reader.heading) or "".join(reader.title), TITLE_CHARACTERS[1])
    body = "".join(reader.article) or "".join(reader.text)
    return Page(title, _words(f"{reader.description} {body}"))


class _Reader(HTMLParser):
    """Title, description and the words of an article (of the whole body where there is none)."""

    SKIPPED = frozenset(
        ("script", "style", "noscript", "template", "svg", "nav", "header", "footer", "aside", "form", "iframe")
    )
    INLINE = frozenset(
        ("a", "abbr", "b", "code", "em", "i", "mark", "q", "s", "small", "span", "strong", "sub", "sup", "u")
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.og_title = self.description = ""
        self.title: list[str] = []
        self.heading: list[str] = []
        self.article: list[str] = []
        self.text: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "meta":
            kind = (named.get("property") or named.get("name") or "").lower()
            self.og_title = self.og_title or (named.get("content", "") if kind == "og:title" else "")
            if kind in ("description", "og:description"):
                self.description = self.description or named.get("content", "")
        elif tag in self.SKIPPED or tag in ("title", "h1", "article", "main"):
            self._open.append(tag)
        if tag not in self.INLINE:
            self._add(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            # What was left open inside ends with it.
            del self._open[len(self._open) - 1 - self._open[::-1].index(tag) :]
        if tag not in self.INLINE:
            self._add(" ")

    def handle_data(self, data: str) -> None:
        if "title" in self._open:
            if not self.SKIPPED.intersection(self._open):
                self.title.append(data)
        elif "h1" in self._open and not self.SKIPPED.difference({"header"}).intersection(self._open):
            self.heading.append(data)
        else:
            self._add(data)

    def _add(self, data: str) -> None:
        if "title" in self._open or self.SKIPPED.intersection(self._open):
            return
        self.text.append(data)
        if {"article", "main"}.intersection(self._open):
            self.article.append(data)
