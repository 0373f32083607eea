"""Which shipped font draws which part of a title.

The chosen font draws what it has; the Noto fonts draw the rest. Coverage is read from each font's own ``cmap`` table,
because FreeType through Pillow draws a missing character as a box and doesn't say so.
"""

import struct
import unicodedata
from bisect import bisect_right
from functools import cache, lru_cache
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Literal, cast

import regex
from PIL import Image, ImageDraw, ImageFont

Direction = Literal["ltr", "rtl"]

FOLDER = Path(__file__).parent / "fonts"

# Most titles need one of the first; the large CJK fonts come last, in an order that the title's own script decides.
_FALLBACKS = (
    "noto-sans",
    "noto-sans-arabic",
    "noto-sans-hebrew",
    "noto-sans-thai",
    "noto-sans-devanagari",
    "noto-sans-bengali",
    "noto-sans-tamil",
    "noto-sans-telugu",
    "noto-sans-gujarati",
    "noto-sans-georgian",
    "noto-sans-armenian",
)
_CHINESE, _JAPANESE, _KOREAN = "noto-sans-sc", "noto-sans-jp", "noto-sans-kr"
_EMOJI = "noto-emoji"
_SYMBOLS = ("noto-sans-symbols", _EMOJI)

_CLUSTER = regex.compile(r"\X")
_IGNORABLE = regex.compile(r"\p{Default_Ignorable_Code_Point}")
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]")
_HANGUL = regex.compile(r"\p{Hangul}")
# Drawn as an emoji by default, asked to be one (U+FE0F), or a keycap.
_EMOJI_CLUSTER = regex.compile(r"\p{Emoji_Presentation}|\p{Emoji}\p{M}*\uFE0F|[0-9#*]\uFE0F?\u20E3")


# Fonts up to this many bytes are held in memory, with their outlines marked as plain.
_SMALL = 2_000_000


@lru_cache(maxsize=3)
def face(font: str, size: int) -> ImageFont.FreeTypeFont:
    """The font ``fonts/<font>.ttf`` at ``size`` pixels per em, shaped by HarfBuzz, kept open while it is in use.

    An open one holds the whole font and what HarfBuzz read of it, half a megabyte and more.
    """
    path = FOLDER / f"{font}.ttf"
    source = BytesIO(_plain_outlines(path)) if path.stat().st_size <= _SMALL else path
    return ImageFont.truetype(source, size, layout_engine=ImageFont.Layout.RAQM)


def _tables(data: bytes | bytearray) -> dict[bytes, tuple[int, int]]:
    """Where each table of an OpenType font starts, and how long it is."""
    count = struct.unpack_from(">H", data, 4)[0]
    entries = (struct.unpack_from(">4sIII", data, 12 + 16 * i) for i in range(count))
    return {name: (start, length) for name, _, start, length in entries}


@cache
def _plain_outlines(path: Path) -> bytes:
    """The font without the marks that say its outlines may overlap (OpenType ``glyf``, bits 6 and 10).

    FreeType draws a marked glyph at sixteen times its pixels, seven times slower. Fonts cut from variable ones mark
    nearly every glyph; without the marks a handful of edge pixels of a line come out a shade different.
    """
    data = bytearray(path.read_bytes())
    tables = _tables(data)
    if b"glyf" not in tables:
        return bytes(data)
    glyphs = struct.unpack_from(">H", data, tables[b"maxp"][0] + 4)[0]
    long_offsets = struct.unpack_from(">h", data, tables[b"head"][0] + 50)[0]
    offsets = struct.unpack_from(f">{glyphs + 1}{'I' if long_offsets else 'H'}", data, tables[b"loca"][0])
    for here, after in pairwise(offsets):
        if here == after:
            continue
        at = tables[b"glyf"][0] + here * (1 if long_offsets else 2)
        contours = struct.unpack_from(">h", data, at)[0]
        if contours < 0:
            data[at + 10] &= ~0x04  # the high byte of the first component's flags
        else:
            first_flag = at + 12 + 2 * contours
            first_flag += struct.unpack_from(">H", data, first_flag - 2)[0]
            data[first_flag] &= ~0x40
    return bytes(data)


# Kerning and standard ligatures are on in every shaper, but some fonts keep theirs for those who ask.
_FEATURES = ["kern", "liga", "calt"]


@lru_cache(maxsize=256)
def advance(text: str, font: str, direction: Direction, size: int) -> float:
    """How far a run moves the pen, in pixels."""
    return face(font, size).getlength(text, direction=direction, features=_FEATURES)


@lru_cache(maxsize=16)
def rise_and_fall(text: str, font: str, direction: Direction, size: int) -> tuple[int, int]:
    """The upper and the lower edge of a run's outlines, in pixels below the baseline (so the first is negative)."""
    box = face(font, size).getbbox(text, direction=direction, features=_FEATURES, anchor="ls")
    return int(box[1]), int(box[3])


@lru_cache(maxsize=8)
def render(text: str, font: str, direction: Direction, size: int) -> tuple[Image.Image, tuple[int, int]]:
    """The ink of a run as a mask, and where its upper left corner stands from the origin on the baseline."""
    shaped = face(font, size)
    box = shaped.getbbox(text, direction=direction, features=_FEATURES, anchor="ls")
    left, top = int(box[0]), int(box[1])
    mask = Image.new("L", (int(box[2]) - left, int(box[3]) - top))
    ImageDraw.Draw(mask).text(
        (-left, -top), text, fill=255, font=shaped, anchor="ls", direction=direction, features=_FEATURES
    )
    # The font's own box holds the advance too; the ink is what was drawn.
    ink = mask.getbbox() or (0, 0, 0, 0)
    return mask.crop(ink), (left + ink[0], top + ink[1])


@cache
def _coverage(font: str) -> tuple[list[int], list[int]]:
    """First and last code points of the ranges that ``font`` has glyphs for (OpenType ``cmap``, formats 4 and 12)."""
    with (FOLDER / f"{font}.ttf").open("rb") as file:
        head = file.read(4096)
        start, length = _tables(head)[b"cmap"]
        file.seek(start)
        table = file.read(length)
    subtables = [struct.unpack_from(">HHI", table, 4 + 8 * i) for i in range(struct.unpack_from(">H", table, 2)[0])]
    formats = {struct.unpack_from(">H", table, at)[0]: at for _, _, at in subtables}
    if 12 in formats:
        at = formats[12]
        count = struct.unpack_from(">I", table, at + 12)[0]
        groups = struct.unpack_from(f">{3 * count}I", table, at + 16)
        return list(groups[0::3]), list(groups[1::3])
    return _coverage_of_format_4(table, formats[4])


def _coverage_of_format_4(table: bytes, at: int) -> tuple[list[int], list[int]]:
    count = struct.unpack_from(">H", table, at + 6)[0] // 2
    ends, starts, deltas, offsets = (
        struct.unpack_from(f">{count}H", table, at + 14 + 2 * (i * count + (i > 0))) for i in range(4)
    )
    points = []
    for i in range(count):
        for point in range(starts[i], min(ends[i], 0xFFFE) + 1):
            glyph = point
            if offsets[i]:
                place = at + 16 + 6 * count + 2 * i + offsets[i] + 2 * (point - starts[i])
                glyph = struct.unpack_from(">H", table, place)[0]
                if not glyph:
                    continue
            if (glyph + deltas[i]) & 0xFFFF:
                points.append(point)
    return points, points


@lru_cache(maxsize=1024)
def _has(font: str, character: str) -> bool:
    """Whether ``font`` has the character, or the parts from which HarfBuzz composes it (canonical decomposition)."""
    starts, ends = _coverage(font)
    at = bisect_right(starts, ord(character)) - 1
    if at >= 0 and ord(character) <= ends[at]:
        return True
    parts = unicodedata.decomposition(character)
    return bool(parts) and "<" not in parts and all(_has(font, chr(int(part, 16))) for part in parts.split())


def _has_all(font: str, characters: str) -> bool:
    return all(_has(font, character) for character in characters)


def _candidates(title: str, font: str) -> tuple[str, ...]:
    if _KANA.search(title):
        cjk: tuple[str, ...] = (_JAPANESE, _CHINESE, _KOREAN)
    elif _HANGUL.search(title):
        cjk = (_KOREAN, _CHINESE, _JAPANESE)
    else:
        cjk = (_CHINESE, _JAPANESE, _KOREAN)
    return (font, *_FALLBACKS, *_SYMBOLS, *cjk)


def choose_fonts(title: str, font: str) -> tuple[str, list[str], list[str]]:
    """Give every character of ``title`` a font that can draw it.

    Returns the title without the characters that no shipped font has, one font name per remaining character, and the
    left-out characters in the order of their appearance. A grapheme cluster (UAX #29) is never split over two fonts.
    """
    candidates = _candidates(title, font)
    kept: list[str] = []
    fonts: list[str] = []
    missing: list[str] = []
    for cluster in cast(list[str], _CLUSTER.findall(title)):
        visible = _IGNORABLE.sub("", cluster)
        if cluster.isspace() or not visible:
            # A space between two words of one script belongs to that script's font; an emoji font's is far too wide.
            name: str | None = fonts[-1] if fonts and fonts[-1] not in _SYMBOLS else font
        else:
            order = (_EMOJI, *candidates) if _EMOJI_CLUSTER.match(cluster) else candidates
            name = next((candidate for candidate in order if _has_all(candidate, visible)), None)
        if name is None:
            # A mark that no font can set on this base is left out alone, so that the base still stands.
            base = visible[0]
            name = next((candidate for candidate in candidates if _has(candidate, base)), None)
            missing += [c for c in visible if not any(_has(candidate, c) for candidate in candidates)] or [cluster]
            if name:
                kept.append(base)
                fonts.append(name)
        else:
            kept.append(cluster)
            fonts += [name] * len(cluster)
    return "".join(kept), fonts, list(dict.fromkeys(missing))
