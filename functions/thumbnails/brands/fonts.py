"""What a font file says of itself, read from its tables: whether it may be embedded, and which characters it has.

OpenType 1.9 (https://learn.microsoft.com/typography/opentype/spec/). The bytes are a stranger's: every offset is held
against the file's end, and nothing is read that grows beyond the file. Checking a request needs this without Pillow.
"""

import struct
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO

from thumbnails.images.overlay.cmap import character_ranges

FONT_BYTES = 2_000_000
#: A script counts as had with so many of its letters.
_SCRIPT_LETTERS = 20
_RIGHT = "a font is a TTF or OTF file"
_OTHER_KINDS = {
    b"wOFF": f"is WOFF, which is packed for the web; {_RIGHT}",
    b"wOF2": f"is WOFF2, which is packed for the web; {_RIGHT}",
    b"ttcf": f"is a collection of several fonts; {_RIGHT} of one",
}
_PLAIN_KINDS = (b"\0\1\0\0", b"OTTO", b"true")
#: ``fsType`` in OS/2: of the four bits that say what embedding the licence allows, the one that forbids it.
_EMBEDDING, _RESTRICTED = 0x000E, 0x0002
#: Signs that change how the letter before them looks and need no glyph: variation selectors and the grapheme joiner.
_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0), range(0x180B, 0x1810), range(0x034F, 0x0350))
#: What Unicode's names of letters begin with, where people call the script otherwise.
_SCRIPTS = {"Cjk": "Han", "Canadian": "Canadian Syllabics", "Old": "", "Modifier": ""}


@dataclass(frozen=True)
class Coverage:
    """The characters that a font has, as ranges of code points in order: first ones and last ones."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def has(self, character: str) -> bool:
        """Whether a character can be drawn: by its own glyph, or by those of what it is composed of or stands for."""
        if self._has_glyph(character):
            return True
        forms = (unicodedata.normalize(form, character) for form in ("NFD", "NFKC"))
        return any(form != character and all(map(self._has_glyph, form)) for form in forms)

    def _has_glyph(self, character: str) -> bool:
        at = bisect_right(self.starts, ord(character)) - 1
        return at >= 0 and ord(character) <= self.ends[at]

    def missing_letters(self, title: str) -> list[str]:
        """The letters and marks of a title that the font lacks; other signs may come from any font."""
        wanted = dict.fromkeys(unicodedata.normalize("NFC", title))
        return [one for one in wanted if _is_letter(one) and not self.has(one)]

    @cached_property
    def scripts(self) -> list[str]:
        """The scripts whose letters the font has, the one with the most of them first."""
        return [script for script, count in Counter(self._scripts()).most_common() if count >= _SCRIPT_LETTERS]

    def _scripts(self) -> Iterator[str]:
        for start, end in zip(self.starts, self.ends, strict=True):
            for character in map(chr, range(start, end + 1)):
                plain = unicodedata.category(character) in ("Lu", "Ll", "Lo")
                if plain and unicodedata.normalize("NFKC", character) == character:
                    first = unicodedata.name(character, "").partition(" ")[0].title().partition("-")[0]
                    if script := _SCRIPTS.get(first, first):
                        yield script


def _is_letter(character: str) -> bool:
    if unicodedata.category(character) not in ("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc"):
        return False
    return not any(ord(character) in selectors for selectors in _SELECTORS)


def read_font(data: bytes) -> Coverage:
    """Check a font file and say which characters it has.

    Raises:
        ValueError: the file is no single TTF or OTF font, is broken, or its licence forbids embedding; the message
            goes on after the font's name.
    """
    if len(data) > FONT_BYTES:
        raise ValueError(f"has {len(data):,} bytes; a font has at most {FONT_BYTES:,}: cut it to the scripts in use")
    if data[:4] not in _PLAIN_KINDS:
        raise ValueError(_OTHER_KINDS.get(data[:4], f"is no font; {_RIGHT}"))
    try:
        return _checked(_tables(data))
    except struct.error:
        raise ValueError(f"is broken: a table ends too early; {_RIGHT}") from None


def _tables(data: bytes) -> dict[bytes, bytes]:
    count = struct.unpack_from(">H", data, 4)[0]
    found = {}
    for place in range(count):
        name, _, start, length = struct.unpack_from(">4sIII", data, 12 + 16 * place)
        if start + length > len(data):
            raise ValueError(f"is broken: its table {name.decode('ascii', 'replace')!r} ends behind the file's end")
        found[name] = data[start : start + length]
    return found


def _checked(tables: dict[bytes, bytes]) -> Coverage:
    needed = ("head", "maxp", "hhea", "hmtx", "cmap")
    missing = [name for name in needed if name.encode() not in tables]
    if not (tables.keys() >= {b"glyf", b"loca"} or tables.keys() & {b"CFF ", b"CFF2"}):
        missing.append("glyf or CFF")
    if missing:
        raise ValueError(f"has no table {', '.join(missing)}, and so no glyphs to draw")
    glyphs = struct.unpack_from(">H", tables[b"maxp"], 4)[0]
    advances = struct.unpack_from(">H", tables[b"hhea"], 34)[0]
    if not 16 <= struct.unpack_from(">H", tables[b"head"], 18)[0] <= 16384:
        raise ValueError("is broken: its units per em are not 16 to 16384")
    if not 0 < advances <= glyphs or len(tables[b"hmtx"]) < 2 * (glyphs + advances):
        raise ValueError("is broken: it has not the widths of all its glyphs")
    if b"OS/2" in tables:
        embedding = struct.unpack_from(">H", tables[b"OS/2"], 8)[0] & _EMBEDDING
        if embedding == _RESTRICTED:
            raise ValueError(
                "says of itself that its licence forbids embedding (OS/2 fsType: restricted); ask its maker for one "
                "that may be embedded"
            )
    starts, ends = character_ranges(tables[b"cmap"])
    if not starts:
        raise ValueError("has no Unicode character map (cmap format 4 or 12), and so no letters")
    return Coverage(starts, ends)


def open_font(data: bytes, coverage: Coverage) -> None:
    """Draw a character with FreeType, as a title will be drawn.

    Raises:
        ValueError: FreeType cannot.
    """
    # Pillow, which checking a request does without.
    from PIL import ImageFont

    letter = next((one for one in "Aaあ가अا" if coverage.has(one)), chr(coverage.starts[-1]))
    try:
        ImageFont.truetype(BytesIO(data), 40).getmask(letter)
    except (OSError, ValueError, OverflowError, MemoryError) as error:
        raise ValueError(f"is broken: FreeType says {str(error) or type(error).__name__}; {_RIGHT}") from None
