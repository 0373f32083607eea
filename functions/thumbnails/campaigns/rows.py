"""A campaign's file: rows as CSV or JSON, read one at a time."""

import csv
import io
import re
from collections.abc import Generator, Iterator
from typing import IO, Any

import ijson

from thumbnails.errors import InvalidBatch, quoted
from thumbnails.requests.models import Thumbnails
from thumbnails.strict_json import LEVELS, NotJson

FILE_MEBIBYTES = 256
ROWS = 500_000
#: A row has one image by each model.
NOT_OF_ROWS = ("variants", "only")
COLUMNS = tuple(name for name in Thumbnails.model_fields if name not in NOT_OF_ROWS)
_BOM = b"\xef\xbb\xbf"
_BOOLEANS = {"true": True, "false": False}


def read_rows(name: str, file: IO[bytes]) -> Generator[tuple[str, object], None, None]:
    """Each row's place in the file, as a person finds it, and what it says; nothing of it is checked.

    Args:
        name: the file's; its ending says what it is.
        file: its bytes, from their beginning. UTF-8, with or without a byte order mark.

    Raises:
        InvalidBatch: it is neither CSV nor a JSON array, or its header is none.
    """
    if name.lower().endswith(".csv"):
        return _csv_rows(file)
    if name.lower().endswith(".json"):
        return _json_rows(file)
    raise InvalidBatch("a campaign's file ends in .csv or .json")


def _csv_rows(file: IO[bytes]) -> Generator[tuple[str, object], None, None]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    lines = csv.reader(text, strict=True)
    try:
        header = [name.strip().lower() for name in next(lines, [])]
        _check_header(header)
        for cells in lines:
            if any(cells):
                yield f"line {lines.line_num}", _row(header, cells)
    except csv.Error as error:
        raise InvalidBatch(f"line {lines.line_num} is not CSV: {error}") from None
    except UnicodeDecodeError:
        raise InvalidBatch(f"the file is not UTF-8 after line {lines.line_num}") from None
    finally:
        text.detach()


def _check_header(header: list[str]) -> None:
    for name in header:
        if name not in COLUMNS:
            raise InvalidBatch(f"unknown column {name[:60]!r} in the header; choose from: {', '.join(COLUMNS)}")
        if header.count(name) > 1:
            raise InvalidBatch(f"the column {name!r} is in the header twice")
    if "title" not in header:
        raise InvalidBatch("the file needs a header with the column 'title'")


def _row(header: list[str], cells: list[str]) -> dict[str, Any]:
    """A line's cells by their names; an empty one is not given, and one too many is a field that nobody knows."""
    names = [*header, *(f"column {number}" for number in range(len(header) + 1, len(cells) + 1))]
    given: dict[str, Any] = {name: cell for name, cell in zip(names, cells, strict=False) if cell.strip()}
    if "models" in given:
        given["models"] = [model for model in re.split(r"[;\s]+", given["models"]) if model]
    if given.get("max_wait_seconds", "").strip().isdecimal():
        given["max_wait_seconds"] = int(given["max_wait_seconds"])
    if "reuse" in given:
        given["reuse"] = _BOOLEANS.get(given["reuse"].strip().lower(), given["reuse"])
    return given


class _Object(dict[str, Any]):
    """An object of the file; which of two values under one name was meant, nobody knows."""

    def __setitem__(self, name: str, value: Any) -> None:
        if name in self:
            raise NotJson(f"the key {quoted(name)} is duplicated in one object")
        super().__setitem__(name, value)


def _json_rows(file: IO[bytes]) -> Generator[tuple[str, object], None, None]:
    begins = len(_BOM) if file.read(len(_BOM)) == _BOM else 0
    file.seek(begins)
    if not file.read(4096).lstrip().startswith(b"["):
        raise InvalidBatch("a campaign's JSON file is an array of objects")
    file.seek(begins)
    number = 0
    try:
        for number, row in enumerate(_items(file), 1):
            yield f"row {number}", row
    except (ijson.JSONError, UnicodeDecodeError, NotJson) as error:
        reason = " ".join(str(error).split())[:200]
        raise InvalidBatch(f"the file is not JSON after row {number}: {reason}") from None


def _items(file: IO[bytes]) -> Iterator[object]:
    """An array's items; ijson's own ``items`` keeps the whole way to each level, which a deep one makes endless."""
    events = ijson.basic_parse(file, use_float=True)
    next(events)
    depth, item = 0, ijson.ObjectBuilder(_Object)
    for event, value in events:
        depth += event.startswith("start_") - event.startswith("end_")
        if depth > LEVELS:
            raise NotJson(f"it is nested deeper than {LEVELS} levels")
        # The array's own end is below its items.
        if depth >= 0:
            item.event(event, value)
            if depth == 0:
                yield item.value
                item = ijson.ObjectBuilder(_Object)
