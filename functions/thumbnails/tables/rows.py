"""The rows of a file of titles, read one at a time: a table as spreadsheets export it, or JSON."""

import csv
import io
import re
import unicodedata
from collections.abc import Generator, Iterable, Iterator, Mapping
from itertools import chain
from typing import IO, Any, NamedTuple

from thumbnails.errors import InvalidBatch, Problem, quoted
from thumbnails.requests.models import Thumbnails
from thumbnails.strict_json import LEVELS, NotJson
from thumbnails.tables.encoding import SAVE_AS_CSV, SAVE_AS_UTF8, text_encoding

#: A row has one image by each model.
NOT_OF_ROWS = ("variants", "only")
COLUMNS = tuple(name for name in Thumbnails.model_fields if name not in NOT_OF_ROWS)
#: How files of rows are called; which kind one is, its first character says.
ONE_A_LINE = (".jsonl", ".ndjson")
ENDINGS = (".csv", ".tsv", ".tab", ".txt", ".json", *ONE_A_LINE)
#: Other names of a column.
_NAMES = {
    **dict.fromkeys(
        ("titles", "prompt", "prompts", "headline", "post_title", "blog_title", "blog_post_title"), "title"
    ),
    "model": "models",
}
#: In the order in which they are tried: what is rare in a title comes first.
_DELIMITERS = "\t;,|"
#: What Excel takes for the delimiter of what follows.
_SEPARATOR = re.compile(r"\"?sep=(.)\"?\s*", re.IGNORECASE)
_BLANK = " \t\r\n\v\f\u00a0\u200b\u2060\ufeff"
_QUOTES = "\"'`“”„‚‘’«»[]"
#: What spreadsheets write for yes and no, as their language has it.
_YES = "true yes wahr vrai verdadero verdadeiro vero waar prawda истина sann sant sand tosi doğru pravda igaz"
_NO = "false no falsch faux falso onwaar fałsz ложь falskt falsk usann epätosi yanlış nepravda hamis"
_BOOLEANS = {**dict.fromkeys(_YES.split(), True), **dict.fromkeys(_NO.split(), False)}
_CSV_ERRORS = {
    "unexpected end of data": "a quotation mark opens a cell and none closes it",
    "expected after": 'a quotation mark inside a cell in quotation marks is written twice, as ""',
    "field larger": "a cell is too long; does a quotation mark open it that none closes?",
}


class Row(NamedTuple):
    """One row.

    Attributes:
        place: where a person finds it: the row of a spreadsheet, or the place among a JSON file's objects.
        given: what it says, by the fields of a request; nothing of it is checked.
        columns: the file's own names of the fields.
        problems: what is wrong with the row itself.
    """

    place: str
    given: object
    columns: Mapping[str, str]
    problems: list[Problem]


def read_rows(name: str, file: IO[bytes], *, loose: bool = False) -> Generator[Row, None, None]:
    """Every row that is not blank.

    Args:
        name: the file's.
        file: its bytes. Unicode in any of its encodings, or a code page that is certain.
        loose: for a person who looks at the titles before anything is made. Columns that no request has are left out,
            and a file without a header is a list of titles: a table's first column, each line of any other.

    Raises:
        InvalidBatch: it is neither a table nor JSON, its header is none, or its encoding cannot be told.
    """
    if not name.lower().endswith(ENDINGS):
        raise InvalidBatch(f"a file of titles ends in {', '.join(ENDINGS)}; {SAVE_AS_CSV}")
    text = io.TextIOWrapper(file, encoding=text_encoding(file), newline="")
    place = "its beginning"
    try:
        lines = loose and name.lower().endswith(".txt")
        for row in _json_rows(text) if _is_json(text) else _table_rows(text, loose=loose, lines=lines):
            place = row.place
            yield row
    except UnicodeError as error:
        encoding = getattr(error, "encoding", "text").upper()
        raise InvalidBatch(f"the file is not {encoding} after {place}; {SAVE_AS_UTF8}") from None
    finally:
        text.detach()


def _is_json(text: IO[str]) -> bool:
    """Whether a text is JSON and no table; it is left at its beginning."""
    text.seek(0)
    start = text.read(4096).lstrip(_BLANK)
    text.seek(0)
    return start.startswith(("[", "{"))


def _table_rows(text: IO[str], *, loose: bool, lines: bool) -> Iterator[Row]:
    before, first, delimiter = 0, "", ""
    rest = iter(text)
    for first in rest:
        if not before and not delimiter and (named := _SEPARATOR.fullmatch(first.strip("\ufeff\r\n"))):
            delimiter = named[1]  # It is no row to a spreadsheet.
            continue
        if first.strip(_BLANK + ",;|"):
            break
        before += 1
    delimiter = delimiter or _delimiter(first)
    is_list = loose and not any(_field(name) in COLUMNS for name in next(_cells([first], delimiter), []))
    if is_list and lines:
        for number, line in enumerate(chain([first], rest), before + 1):
            if title := line.strip(_BLANK):
                yield Row(f"line {number}", {"title": title}, {}, _misread({"title": title}))
        return
    reader = _cells(chain([first], rest), delimiter, strict=True)
    number = before
    try:
        names = ["title"] if is_list else [name.strip(_BLANK) for name in next(reader, [])]
        left_out = {place for place, name in enumerate(names) if loose and name and _field(name) not in COLUMNS}
        header = ["" if place in left_out else name for place, name in enumerate(names)]
        fields = _fields(header, next(iter(names), ""))
        number = before + (not is_list)
        for number, cells in enumerate(reader, before + 2 - is_list):
            mine = cells[:1] if is_list else cells
            given = ["" if place in left_out else cell.strip(_BLANK) for place, cell in enumerate(mine)]
            if any(given):
                yield _table_row(f"row {number}", header, fields, given)
    except csv.Error as error:
        reason = next((words for part, words in _CSV_ERRORS.items() if part in str(error)), str(error))
        raise InvalidBatch(f"row {number + 1} is not CSV: {reason}") from None


def _cells(lines: Iterable[str], delimiter: str, *, strict: bool = False) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=strict)


def _delimiter(line: str) -> str:
    """The delimiter that finds the most columns in a header; a header of one column has none, and a title any sign."""

    def known(delimiter: str) -> tuple[int, int]:
        cells = next(_cells([line], delimiter), [])
        return sum(_field(cell) in COLUMNS for cell in cells), len(cells)

    best = max(_DELIMITERS, key=known)
    return best if known(best) > (1, 1) or not known(best)[0] else "\t"


def _field(name: str) -> str:
    """The field of a request that a column of this name is; the name itself, plainly, where it is none."""
    plain = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", name).casefold()).strip("_")
    return _NAMES.get(plain, plain)


def _fields(header: list[str], first: str) -> list[str]:
    """The fields of a table's columns, empty for one without a name; ``first`` is the first name of all."""
    fields = [_field(name) for name in header]
    if "title" not in fields:
        named = f", and {quoted(first)} is none" if first or any(header) else ""
        raise InvalidBatch(f"the file needs a header, its first row, with the column 'title'{named}")
    for place, (name, field) in enumerate(zip(header, fields, strict=True)):
        if name and field not in COLUMNS:
            raise InvalidBatch(
                f"unknown column {quoted(name)} in the header; remove it, or choose from: {', '.join(COLUMNS)}"
            )
        if name and field in fields[:place]:
            other = header[fields.index(field)]
            twice = "is in the header twice" if other == name else f"and {quoted(other)} are the same column"
            raise InvalidBatch(f"the column {quoted(name)} {twice}; keep one of them")
    return fields


def _table_row(place: str, header: list[str], fields: list[str], cells: list[str]) -> Row:
    given: dict[str, Any] = {}
    problems: list[Problem] = []
    for column, cell in enumerate(cells):
        field = fields[column] if column < len(fields) else ""
        if cell and not field:
            said = f"{quoted(cell, 30)} is in column {_letters(column)}, which has no name in the header"
            # A title with the delimiter in it makes cells of its own.
            problems.append(Problem("", f"{said}; name the column, or put a cell with the delimiter in it in quotes"))
        elif cell:
            given[field] = cell
    columns = {field: name for field, name in zip(fields, header, strict=True) if field}
    if len(given) > 0 and all(_field(cell) == field for field, cell in given.items()):
        problems.append(Problem("", "it is the header again; remove it"))
    return Row(place, {name: _value(name, cell) for name, cell in given.items()}, columns, problems + _misread(given))


def _letters(column: int) -> str:
    """A column as spreadsheets name it, from A on."""
    before, last = divmod(column, 26)
    return (_letters(before - 1) if before else "") + chr(ord("A") + last)


def _value(field: str, text: str) -> object:
    """What a cell's text is as a field of a request."""
    if field == "models":
        return [model for part in re.split(r"[\s,;|]+", text) if (model := part.strip(_QUOTES))]
    if field == "max_wait_seconds" and text.isdecimal():
        return int(text)
    if field == "reuse":
        return _BOOLEANS.get(text.lower(), text)
    return text


def _misread(given: Mapping[str, object]) -> list[Problem]:
    """Text that was spoilt before it came here."""
    problems = []
    for field, text in given.items():
        if not isinstance(text, str) or text.isascii():
            continue
        if "\ufffd" in text:
            problems.append(Problem(field, "has a � where a letter was lost; type it again"))
            continue
        try:
            meant = text.encode("cp1252").decode()
        except UnicodeError:
            continue
        problems.append(
            Problem(field, f"{quoted(text, 30)} was read in the wrong encoding; is {quoted(meant, 30)} meant?")
        )
    return problems


class _Object(dict[str, Any]):
    """An object of the file; which of two values under one name was meant, nobody knows."""

    def __setitem__(self, name: str, value: Any) -> None:
        if name in self:
            raise NotJson(f"the key {quoted(name)} is duplicated in one object")
        super().__setitem__(name, value)


class _Bytes:
    """A text as the bytes in UTF-8 that ijson reads."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text

    def read(self, size: int) -> bytes:
        return self._text.read(size).lstrip("\ufeff").encode()


def _json_rows(text: IO[str]) -> Iterator[Row]:
    """The objects of an array, or those that stand one after another, as JSON Lines have them."""
    import ijson

    number = 0
    try:
        for number, row in enumerate(_items(ijson.basic_parse(_Bytes(text), use_float=True, multiple_values=True)), 1):
            yield _json_row(f"row {number}", row)
    except (ijson.JSONError, NotJson) as error:
        # It shows what of the file is wrong.
        said = "".join(one if one.isprintable() else " " for one in str(error))
        reason = " ".join(said.split())[:200]
        raise InvalidBatch(f"the file is not JSON after row {number}: {reason}") from None


def _items(events: Iterable[tuple[str, Any]]) -> Iterator[object]:
    """Items of arrays, and what is in none; ijson's own ``items`` keeps the whole way to each level, which a deep one
    makes endless.
    """
    import ijson

    depth, in_array, item = 0, False, ijson.ObjectBuilder(_Object)
    for event, value in events:
        if depth == 0 and event == ("end_array" if in_array else "start_array"):
            in_array = not in_array
            continue
        depth += event.startswith("start_") - event.startswith("end_")
        if depth > LEVELS:
            raise NotJson(f"it is nested deeper than {LEVELS} levels")
        item.event(event, value)
        if depth == 0:
            yield item.value
            item = ijson.ObjectBuilder(_Object)


def _json_row(place: str, row: object) -> Row:
    if not isinstance(row, dict):
        return Row(place, row, {}, [Problem("", "a row is an object with title and models")])
    fields = {name: field if (field := _field(name)) in COLUMNS else name for name in row}
    problems = []
    columns: dict[str, str] = {}
    for name, field in fields.items():
        if field in columns:
            problems.append(Problem("", f"{quoted(name)} and {quoted(columns[field])} are the same field"))
        columns[field] = name
    given = {fields[name]: value for name, value in row.items()}
    said = {name: _value(name, value) if isinstance(value, str) else value for name, value in given.items()}
    return Row(place, said, columns, problems + _misread(given))
