"""JSON that somebody else wrote, read in one way wherever it comes in: a file, an HTTP body, the command line."""

import json
import math
from typing import Any

from thumbnails.errors import quoted

#: A request nests lists within an array; what goes deeper is none, and would end in the interpreter's own limit.
LEVELS = 50
#: No field of a request is a number. What is longer only costs time.
DIGITS = 100

#: What an editor for letters makes of quotation marks.
_QUOTES = tuple("“”„‘’«»")
_TYPOGRAPHIC = '; its quotation marks are typographic, and JSON takes straight ones (")'


class NotJson(ValueError):
    """A text is not a JSON value that could be a request; the message says why, in one short line."""


def read_json(raw: bytes) -> Any:
    """The JSON value of a text in UTF-8, or in UTF-16 or UTF-32 as some editors save it.

    Stricter than ``json.loads`` where that would guess at what was meant: a key that is duplicated in one object, NaN
    and Infinity are refused.

    Raises:
        NotJson: it is none.
    """
    if not raw.strip():
        raise NotJson("it is empty")
    encoding = json.detect_encoding(raw)
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise NotJson(
            f"it is not text in {encoding.removesuffix('-sig').upper()}, at byte {error.start}; save it as UTF-8"
        ) from None
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_no_number, parse_float=_float, parse_int=_int
        )
    except json.JSONDecodeError as error:
        raise NotJson(f"{error}{_TYPOGRAPHIC if text[error.pos : error.pos + 1] in _QUOTES else ''}") from None
    except RecursionError:
        raise _too_deep() from None
    if _is_deeper(value, LEVELS):
        raise _too_deep()
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise NotJson(f"the key {quoted(twice)} is duplicated in one object")
    return found


def _no_number(name: str) -> Any:
    raise NotJson(f"{name} is not a number in JSON")


def _float(digits: str) -> float:
    number = float(digits)
    if len(digits) > DIGITS or math.isinf(number):
        raise _too_large(digits)
    return number


def _int(digits: str) -> int:
    if len(digits) > DIGITS:
        raise _too_large(digits)
    return int(digits)


def _too_large(digits: str) -> NotJson:
    return NotJson(f"the number {quoted(digits, 20)} is too large")


def _too_deep() -> NotJson:
    return NotJson(f"it is nested deeper than {LEVELS} levels")


def _is_deeper(value: object, levels: int) -> bool:
    inside = [value]
    for _ in range(levels + 1):
        inside = [
            item
            for outer in inside
            if isinstance(outer, dict | list)
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not inside:
            return False
    return True
