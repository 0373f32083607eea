"""What a file of titles asks for: its rows checked as requests, or all of them as one batch."""

import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import PurePosixPath
from typing import Any

from thumbnails.catalog import MODELS
from thumbnails.errors import InvalidBatch, Problem, quoted
from thumbnails.requests.checks import CAPPED, NO_MODEL, NO_TITLE, parse_request, refusal, with_every_problem
from thumbnails.requests.models import MOST_PLACES, POSITIONS, SHAPES, Request, Task
from thumbnails.strict_json import NotJson, read_json
from thumbnails.tables.encoding import text_encoding
from thumbnails.tables.rows import COLUMNS, ENDINGS, ONE_A_LINE, Row, read_rows

NO_MODEL_FOR_ROW = "no model is named, neither here nor for all rows"
#: How many bad rows a refusal names.
NAMED_ROWS = 5
#: Of a batch, in the order of its positional form.
_NAMES = (SHAPES["generateBatch"].first, *POSITIONS)


def checked_rows(rows: Iterable[Row], check: Callable[[dict[str, Any]], Request]) -> Iterator[tuple[Row, Request]]:
    """Every row with its checked request; whoever takes the last one knows only at the end whether all are right.

    Args:
        rows: a file's.
        check: makes a row's request of what the row says; raises InvalidBatch.

    Raises:
        InvalidBatch: after the last row; with the first rows that are refused, and how many there are.
    """
    count = bad = 0
    named: list[str] = []
    for row in rows:
        count += 1
        try:
            checked = row, _checked(row, check)
        except InvalidBatch as refused:
            bad += 1
            named += [f"{row.place}: {refused}"] if bad <= NAMED_ROWS else []
        else:
            yield checked
    if bad:
        more = f"; and {bad - NAMED_ROWS} more" if bad > NAMED_ROWS else ""
        raise InvalidBatch(f"{bad} of {count} rows are refused: {'; '.join(named)}{more}")


def request_in_file(name: str, raw: bytes, task: Task, *, loose: bool = False) -> object:
    """The request that a file holds: as JSON, or as a file of titles whose rows ask for the same but for their titles.

    Args:
        name: the file's; one that does not end as a file of titles does is JSON.
        raw: its bytes.
        task: what the request is for.
        loose: for a person who looks at the titles before anything is made; as ``read_rows`` has it.

    Raises:
        InvalidBatch: it is neither, or a row is refused, or rows ask for different things.
        NotJson: it is JSON that breaks its rules.
    """
    ending = PurePosixPath(name).suffix.lower()
    if ending not in ENDINGS or ending.startswith(".json") or _starts_as_json(raw):
        try:
            value = read_json(raw)
        except NotJson as error:
            if not _starts_as_json(raw):
                # A workbook, say: it is named with a way out.
                text_encoding(io.BytesIO(raw))
            # JSON Lines are one value after another.
            if "Extra data" not in str(error):
                raise
        else:
            items = value if isinstance(value, list) else [value] if ending in ONE_A_LINE else []
            if not items or not all(isinstance(item, dict) and not item.keys() & {"prompts"} for item in items):
                return value
        name = "lines.json"
    with closing(read_rows(name, io.BytesIO(raw), loose=loose)) as rows:
        return _as_one(rows, task)


def draft_in_file(name: str, raw: bytes) -> dict[str, Any]:
    """What a file says of a batch, for a person who looks at it before anything is made.

    Args:
        name: the file's; one that ends as no file of titles does is a list of titles, one a line.
        raw: its bytes.

    Returns:
        What the file says alone, by the fields of a batch.

    Raises:
        InvalidBatch: it is no file of titles and no request, or something in it is refused.
        NotJson: it is JSON that breaks its rules.
    """
    named = name if PurePosixPath(name).suffix.lower() in ENDINGS else "list.txt"
    value = request_in_file(named, raw, "generateBatch", loose=True)
    if isinstance(value, list) and len(value) <= len(_NAMES):
        value = dict(zip(_NAMES, value, strict=False))
    if not isinstance(value, dict):
        parse_request("generateBatch", value, MOST_PLACES)
        return {}
    said = {name: item for name, item in value.items() if item is not None}
    request = parse_request("generateBatch", {"models": list(MODELS)[:1], **said}, MOST_PLACES)
    return {name: getattr(request, name) for name in said}


def _starts_as_json(raw: bytes) -> bool:
    start = raw[:4096].decode(json.detect_encoding(raw), errors="ignore").lstrip()
    return start.startswith(("[", "{")) and not start.startswith("{\\rtf")


def _as_one(rows: Iterable[Row], task: Task) -> dict[str, Any]:
    titles: list[str] = []
    shared: dict[str, Any] = {}
    said_in: dict[str, str] = {}
    for row, request in checked_rows(rows, _with_any_model):
        titles += request.titles
        given = row.given if isinstance(row.given, dict) else {}
        for field in given.keys() - {"title"}:
            said = getattr(request, field)
            if shared.setdefault(field, said) != said:
                column = quoted(row.columns.get(field, field), 40)
                raise InvalidBatch(
                    f"{row.place}: {column} differs from {said_in[field]}; a batch has one for all of its titles, "
                    "and a campaign one for each (thumbs campaign FILE)"
                )
            said_in.setdefault(field, row.place)
    if not titles:
        raise InvalidBatch("the file has no rows below its header")
    first = SHAPES[task].first
    if task == "generateThumbnails":
        if len(titles) > 1:
            raise InvalidBatch(
                f"the file has {len(titles)} titles, and generateThumbnails takes one: start generateBatch"
            )
        return {first: titles[0], **shared}
    return {first: titles, **shared}


def _with_any_model(said: dict[str, Any]) -> Request:
    return parse_request("generateThumbnails", {"models": list(MODELS)[:1], **said}, MOST_PLACES)


def _checked(row: Row, check: Callable[[dict[str, Any]], Request]) -> Request:
    problems, request = row.problems, None
    if isinstance(row.given, dict):
        said = {name: value for name, value in row.given.items() if value is not None}
        try:
            request = check(said)
        except InvalidBatch as refused:
            problems = [*problems, *refused.problems]
    if problems or request is None:
        raise with_every_problem(refusal([_in_own_words(problem, row.columns) for problem in problems]))
    return request


def _in_own_words(problem: Problem, columns: Mapping[str, str]) -> Problem:
    """A problem by the file's own name of its column."""
    field = re.split(r"[.\[]", problem.field)[0]
    if field not in COLUMNS or problem.message.startswith(CAPPED):
        return problem
    plain = problem.message.removeprefix(f"{problem.field}: ").removeprefix(f"{problem.field} ")
    message = {NO_TITLE: "there is no title", NO_MODEL: NO_MODEL_FOR_ROW}.get(problem.message, plain)
    return Problem(problem.field, f"{quoted(columns.get(field, field), 40)}: {message}")
