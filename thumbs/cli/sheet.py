"""A run's contact sheet: one page that opens from the disk, without a server, a script or a network."""

import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from thumbnails.runs.status import RunStatus

NAME = "index.html"
#: How many pictures a page loads before they are scrolled to.
EAGER = 200
#: Ends every page, with a digest of all that comes before: a page that somebody has changed is theirs.
_SEAL = "<!-- thumbs download "
#: Pictures beside the page, and nothing else, from nowhere.
_POLICY = "default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'"
_WORDS = {
    "pending": "not made yet",
    "running": "being made",
    "deleted": "deleted from the bucket",
    "succeeded": "not fetched",
}
_STYLE = Path(__file__).with_name("sheet.css")


def page(run: RunStatus, cells: Sequence[Mapping[str, Any]]) -> str:
    """The page.

    Args:
        run: the run or the campaign.
        cells: every cell as the manifest lists it, row by row.
    """
    name = escape(run.run_id)
    # On paper only what is loaded is seen, and only very many pictures are too much at once.
    loading = "lazy" if len(cells) > EAGER else "eager"
    of_rows = groupby(cells, key=lambda cell: cell["row"])
    rows = "\n".join(_row(row, list(of_row), loading) for row, of_row in of_rows)
    body = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{name}</title>
<style>
{_STYLE.read_text()}</style>
</head>
<body>
<header>
<h1>{name}</h1>
<p>{escape(_summary(run, cells))}</p>
</header>
<main>
{rows}
</main>
<footer></footer>
</body>
</html>
"""
    return f"{body}{_SEAL}{_digest(body)} -->\n"


def is_own(text: str) -> bool:
    """Whether a page is as this module wrote it."""
    body, found, seal = text.rpartition(_SEAL)
    return bool(found) and seal == f"{_digest(body)} -->\n"


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def _summary(run: RunStatus, cells: Sequence[Mapping[str, Any]]) -> str:
    there = sum(cell["file"] is not None for cell in cells)
    facts = [f"{there} of {len(cells)} images", f"{run.execution.started.astimezone():%d %B %Y, %H:%M}"]
    if run.request:
        facts += [run.request.style, run.request.template, run.request.font]
    if run.execution.is_running:
        facts.append("the run goes on")
    return " · ".join(facts)


def _row(row: int, cells: Sequence[Mapping[str, Any]], loading: str) -> str:
    # A title's own direction, whatever the page's is.
    title = f'<span dir="auto">{escape(cells[0]["title"])}</span>'
    figures = "\n".join(_figure(cell, loading) for cell in cells)
    return f"""<section>
<h2><span class="row">{row + 1}</span>{title}</h2>
<div class="pictures">
{figures}
</div>
</section>"""


def _figure(cell: Mapping[str, Any], loading: str) -> str:
    model = escape(cell["model"])
    if cell["file"]:
        words = escape(f"{cell['title']}: thumbnail by {cell['model']}")
        source = f'src="{_url(cell["file"])}" alt="{words}"'
        image = f'<img {source} width="1200" height="630" loading="{loading}" decoding="async">'
        shown = f'<a class="picture" href="{_url(cell["file"])}">{image}</a>'
    else:
        shown = f'<div class="picture missing">{_why(cell)}</div>'
    original = f'<a href="{_url(cell["original"])}">original</a>' if cell["original"] else ""
    return f"<figure>{shown}<figcaption><span>{model}</span>{original}</figcaption></figure>"


def _why(cell: Mapping[str, Any]) -> str:
    if cell["error"]:
        return f"<b>{escape(cell['error'])}</b><span>{escape(cell['message'] or '')}</span>"
    return f"<span>{escape(_WORDS.get(cell['state'], cell['state']))}</span>"


def _url(name: str) -> str:
    # Relative, and never taken for a scheme: a name starts with a digit, or with the folder of the originals.
    return escape(quote(name))
