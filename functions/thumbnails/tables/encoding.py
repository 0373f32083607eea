"""Which encoding a file of text has: told by its first bytes, by UTF-8's own rules, or by what its words look like.

A code page is taken only where it is certain, because a picture with the wrong letters is paid for all the same: of the
ways in which spreadsheets could have meant the bytes, those that make no words fall away, and those that are left, but
for clearly less likely ones, have to read the same.
"""

import codecs
import json
import re
import unicodedata
from itertools import pairwise
from typing import IO

from thumbnails.errors import InvalidBatch

SAVE_AS_UTF8 = (
    "save it as UTF-8: in Excel as “CSV UTF-8”, in LibreOffice with the character set “Unicode (UTF-8)”, "
    "in Google Sheets by File > Download > CSV"
)
#: How a file of another kind begins, and what it is.
_OTHER_KINDS = {
    b"PK\x03\x04": "a workbook or another ZIP archive (.xlsx, .ods, .numbers), and no text",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls), and no text",
    b"ID;P": "an SYLK file (.slk)",
    b"{\\rtf": "rich text (RTF)",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "compressed by gzip",
    b"<": "HTML or XML, whatever its name says",
}
SAVE_AS_CSV = (
    "save the sheet as CSV: in Excel as “CSV UTF-8”, in Google Sheets, Numbers and LibreOffice by CSV in UTF-8"
)
#: What Excel and LibreOffice write by the name "CSV", as the country has it.
_WINDOWS = ("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874")
_EAST_ASIAN = ("cp932", "gb18030", "cp949", "big5hkscs")
#: What they write when they are told to, or on a Mac of long ago; never taken, but they make a code page uncertain.
_RIVALS = ("mac-roman", "mac-latin2", "cp437", "cp850", "cp852", "cp866")
#: Of the likeliest reading's confidence: what has less is clearly less likely.
_CLOSE = 0.85
#: A few bytes look like some Chinese or Korean word by chance.
_LEAST_EAST_ASIAN = 0.03
_SAMPLE_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 20
#: The signs beyond ASCII that stand in titles, and those of them that stand between two letters.
_SIGNS = frozenset("“”„‚‘’«»‹›–—…·•€£¥¢§©®™°‰¿¡ªº¹²³½¼¾№×÷±µ\u00a0\u00ad´`¨")
_BETWEEN_LETTERS = frozenset("’‘–—…·\u00ad")
_SIGNS_IN_WORD = re.compile(r"[^\W\d_]([^\w\s\x00-\x7f]+)(?=[^\W\d_])")
#: What no text has: an opening sign after a letter, a closing one before a word, a quotation that nothing closes, a
#: mark on no letter or too many on one, and a long Latin word without one of the 26 letters.
_NEVER = (
    re.compile(r"[^\W\d_][¿¡„‚«‹]"),
    re.compile(r"(?:^|[\s\"(])[’”»›—–…\u00a0]+[^\W\d_]", re.MULTILINE),
    re.compile(r"(?:‘[^’\n]*|“[^”\n]*|„[^“”\n]*)$", re.MULTILINE),
    re.compile(
        r"(?:^|[\s;,\"]|[\u064b-\u0652\u05b0-\u05c7]{2})[\u0300-\u036f\u064b-\u0652\u05b0-\u05c7]", re.MULTILINE
    ),
    re.compile(r"[\u00aa-\u024f]{4}"),
)
_LETTERS = re.compile(r"[^\W\d_]+")
#: Letters of Serbian and Macedonian are what Russian capitals on a Mac are in Windows' code page.
_SERBIAN = frozenset("ЂЃЉЊЌЋЏђѓљњќћџ")


def text_encoding(file: IO[bytes]) -> str:
    """The encoding of a file of text, which is read from its beginning and left there.

    Raises:
        InvalidBatch: it is no text, or text whose encoding cannot be told for certain; how to save it so that it can.
    """
    file.seek(0)
    head = file.read(_CHUNK_BYTES)
    for start, kind in _OTHER_KINDS.items():
        if head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(start):
            raise InvalidBatch(f"the file is {kind}; {SAVE_AS_CSV}")
    encoding: str = json.detect_encoding(head)
    if encoding.startswith("utf-8"):
        if b"\0" in head:
            raise InvalidBatch(f"the file is no text; {SAVE_AS_CSV}")
        if (line := _line_that_is_not_utf8(file)) is not None:
            encoding = _code_page(_sample(file))
            if not encoding:
                raise InvalidBatch(
                    f"line {line} is not UTF-8, and the file's encoding cannot be told for certain; {SAVE_AS_UTF8}"
                )
    file.seek(0)
    return encoding


def _line_that_is_not_utf8(file: IO[bytes]) -> int | None:
    """The number of the first line that is none, from 1 on."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    lines, last = 1, False
    while not last:
        chunk = file.read(_CHUNK_BYTES)
        last = not chunk
        try:
            decoder.decode(chunk, final=last)
        except UnicodeDecodeError as error:
            return lines + len(re.findall(rb"\r\n?|\n", bytes(error.object[: error.start])))
        lines += len(re.findall(rb"\r\n?|\n", chunk))
    return None


def _sample(file: IO[bytes]) -> bytes:
    """The first lines that are not ASCII alone."""
    file.seek(0)
    found, size = [], 0
    for line in file:
        # A Mac of long ago ends lines by a carriage return.
        for part in line.splitlines():
            if size < _SAMPLE_BYTES and not part.isascii():
                found.append(part)
                size += len(part)
        if size >= _SAMPLE_BYTES:
            break
    return b"\n".join(found)[:_SAMPLE_BYTES].rpartition(b"\n")[0] if size >= _SAMPLE_BYTES else b"\n".join(found)


def _code_page(sample: bytes) -> str:
    """The code page of some lines of text; empty where it is not certain."""
    # Its models of languages take a while to load, and few files need them.
    import chardet

    likely: list[tuple[float, str, str]] = []
    rival = 0.0
    found = chardet.detect_all(
        sample, ignore_threshold=True, include_encodings=(*_WINDOWS, *_EAST_ASIAN, *_RIVALS), compat_names=False
    )
    for guess in found:
        name, confidence = guess["encoding"] or "", guess["confidence"]
        try:
            text = sample.decode(name)
        except (LookupError, UnicodeDecodeError):
            continue
        if not _makes_words(text) or (name in _EAST_ASIAN and confidence < _LEAST_EAST_ASIAN):
            continue
        if name in _WINDOWS + _EAST_ASIAN:
            likely.append((confidence, name, text))
        else:
            rival = max(rival, confidence)
    if not likely:
        return ""
    best, name, text = max(likely)
    same = all(other == text for confidence, _, other in likely if confidence >= _CLOSE * best)
    return name if same and rival <= best else ""


def _makes_words(text: str) -> bool:
    """Whether a reading's words could be words: of one script, capitals first, signs where signs stand."""
    if _SERBIAN & set(text) or any(never.search(text) for never in _NEVER):
        return False
    if not all(one.isascii() or _is_wide(one) or _is_letter(one) or one in _SIGNS for one in set(text)):
        return False
    for word in _LETTERS.findall(text):
        if word.isascii():
            continue
        if len({_script(letter) for letter in word if not _is_wide(letter) and letter not in "ªºµ"}) > 1:
            return False
        if any(one.islower() and two.isupper() and not (one + two).isascii() for one, two in pairwise(word)):
            return False
    between = {sign for signs in _SIGNS_IN_WORD.findall(text) for sign in signs}
    return all(sign in _BETWEEN_LETTERS or _is_wide(sign) for sign in between)


def _is_letter(one: str) -> bool:
    # Ligatures of letters are not typed; as single characters they are another encoding's letters.
    return (one.isalpha() and not "\ufb00" <= one <= "\ufb06") or unicodedata.category(one).startswith("M")


def _is_wide(one: str) -> bool:
    return ord(one) >= 0x1100 and unicodedata.east_asian_width(one) in "WFH"


def _script(letter: str) -> str:
    return unicodedata.name(letter, "?").split()[0]
