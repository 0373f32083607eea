"""Which font has which letters, and which of them draws which part of a title.

Coverage is told from ``coverage.json``, which ``make coverage`` writes from the fonts' own ``cmap`` tables: a function
that only checks requests has neither the fonts nor Pillow. A font of somebody's own is registered from its bytes.
"""

import json
import struct
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal, cast

import regex

from thumbnails.images.overlay.cmap import character_ranges

FOLDER = Path(__file__).parent / "fonts"
TABLE = Path(__file__).with_name("coverage.json")

#: How an emoji is drawn.
Emoji = Literal["colour", "mono"]

_CHINESE, _JAPANESE, _KOREAN = "noto-sans-sc", "noto-sans-jp", "noto-sans-kr"
#: Fonts that share one file, and so their outlines, each with its number in there.
SHARED = {name: ("noto-sans-cjk.ttc", number) for number, name in enumerate((_JAPANESE, _KOREAN, _CHINESE))}
_MONO = "noto-emoji"
#: The font whose glyphs have colours of their own.
COLOURED = "twemoji"
# Most titles need one of these; the fonts of the other scripts follow in the order of their names.
_FIRST = (
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
    "noto-sans-symbols",
    _MONO,
    _CHINESE,
    _JAPANESE,
    _KOREAN,
)
# What other fonts draw better, or in colour where nobody asked for it.
_LAST = ("noto-sans-symbols2", "noto-sans-math", "noto-music", COLOURED)
# Their spaces are far too wide for text, and no word is set in them.
_SYMBOLS = frozenset({"noto-sans-symbols", _MONO, *_LAST})

_CLUSTER = regex.compile(r"\X")
_IGNORABLE = regex.compile(r"\p{Default_Ignorable_Code_Point}")
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]")
_HANGUL = regex.compile(r"\p{Hangul}")
_OF_ANY_SCRIPT = regex.compile(r"[\p{Common}\p{Inherited}]")
# Drawn as an emoji by default and not asked to be text (U+FE0E), asked to be one (U+FE0F), or a keycap.
_EMOJI_CLUSTER = regex.compile(r"\p{Emoji_Presentation}(?!\uFE0E)|\p{Emoji}\p{M}*\uFE0F|[0-9#*]\uFE0F?\u20E3")
# A word of one script, whose letters look wrong in two faces. Han, kana and Hangul stand in cells of their own.
_INSIDE = r"(?:[\p{M}\u00ad\u200c\u200d\u2060]|['’ʼ](?=\p{L}))*"
_WORD = regex.compile(
    rf"(?V1)(?:\p{{Latin}}{_INSIDE})+|(?:\p{{Greek}}{_INSIDE})+|(?:\p{{Cyrillic}}{_INSIDE})+|"
    rf"(?:[\p{{L}}--[\p{{Latin}}\p{{Greek}}\p{{Cyrillic}}\p{{Han}}\p{{Hiragana}}\p{{Katakana}}\p{{Hangul}}ー]]{_INSIDE})+"
)

_registered: dict[str, tuple[bytes, tuple[int, ...], tuple[int, ...]]] = {}


def register(name: str, data: bytes) -> None:
    """Have ``name`` mean the font in ``data`` (TrueType or OpenType) from now on, as a shipped font's name means that.

    Raises:
        ValueError: it is no font, or none that says which letters it has; or the name means another font already.
    """
    if name in _table().shipped or (name in _registered and _registered[name][0] != data):
        raise ValueError(f"{name} is the name of another font")
    try:
        ranges = ranges_of(data)
    except (struct.error, KeyError, ValueError) as error:
        raise ValueError(f"{name} is no TrueType or OpenType font with a Unicode character map") from error
    if not ranges[0]:
        raise ValueError(f"{name} has no Unicode character map")
    _registered[name] = (data, *ranges)
    _has.cache_clear()


def font_source(name: str) -> tuple[bytes | Path, int]:
    """Where a font is: a registered one's bytes, or a shipped one's file; and its number in there."""
    if name in _registered:
        return _registered[name][0], 0
    file, number = SHARED.get(name, (f"{name}.ttf", 0))
    return FOLDER / file, number


def lacking(text: str, font: str) -> tuple[str, ...]:
    """The visible characters of ``text`` that ``font`` itself has not, in the order of their appearance."""
    visible = _IGNORABLE.sub("", text)
    return tuple(dict.fromkeys(one for one in visible if not one.isspace() and not _has(font, one)))


@dataclass(frozen=True)
class Borrowed:
    """How many words the chosen font has in part and another font has whole, and which letters it lacks for them."""

    font: str
    words: int
    lacking: tuple[str, ...]


@dataclass(frozen=True)
class Chosen:
    """What draws a title.

    Attributes:
        text: the title without what no font has, and with plain letters for styled ones that none has.
        fonts: a font for each character of ``text``. A grapheme cluster (UAX #29) is never split over two fonts.
        missing: what no font has, in the order of its appearance.
        borrowed: the words that are not in the chosen font because it lacks some of their letters.
    """

    text: str
    fonts: tuple[str, ...]
    missing: tuple[str, ...]
    borrowed: tuple[Borrowed, ...]


def choose(title: str, font: str, emoji: Emoji = "colour") -> Chosen:
    """Give every character of ``title`` a font that can draw it: the chosen one where it has the whole word.

    Args:
        title: a normalised title.
        font: a shipped or a registered font.
        emoji: whether emoji are drawn in colour, where the colour font has them.
    """
    if all(_has(font, character) for character in set(title)) and not _EMOJI_CLUSTER.search(title):
        return Chosen(title, (font,) * len(title), (), ())
    title = _in_plain_letters(title, font)
    rank = _rank(title)
    words, borrowed = _fonts_of_words(title, font, rank)
    kept: list[str] = []
    fonts: list[str] = []
    missing: list[str] = []
    at = 0
    for cluster in cast(list[str], _CLUSTER.findall(title)):
        visible = _IGNORABLE.sub("", cluster)
        before = fonts[-1] if fonts else font
        if cluster.isspace() or not visible:
            # A space between two words of one script belongs to that script's font.
            name: str | None = font if before in _SYMBOLS else before
        elif at in words:
            name = words[at]
        else:
            name = _font_of(cluster, visible, font, before, emoji, rank)
        at += len(cluster)
        if name is None:
            # A mark that no font can set on this base is left out alone, so that the base still stands.
            base = visible[0]
            name = next(iter(_able(base, font, rank)), None)
            missing += [one for one in visible if not _able(one, font, rank)] or [cluster]
            kept.append(base if name else "")
        else:
            kept.append(cluster)
        fonts += [name or font] * len(kept[-1])
    return Chosen("".join(kept), tuple(fonts), tuple(dict.fromkeys(missing)), borrowed)


def _font_of(cluster: str, visible: str, font: str, before: str, emoji: Emoji, rank: dict[str, int]) -> str | None:
    able = _able(visible, font, rank)
    if _EMOJI_CLUSTER.match(cluster):
        for name in (COLOURED, _MONO) if emoji == "colour" else (_MONO, COLOURED):
            if name in able:
                return name
    if before in able and font not in able and before not in _SYMBOLS and _OF_ANY_SCRIPT.match(visible):
        # A comma or a danda is that of the writing around it.
        return before
    return able[0] if able else None


def _fonts_of_words(title: str, font: str, rank: dict[str, int]) -> tuple[dict[int, str], tuple[Borrowed, ...]]:
    """The font of every character of the words that one font has whole, and what the chosen font lacked for them."""
    fonts: dict[int, str] = {}
    borrowed: dict[str, Borrowed] = {}
    for word in _WORD.finditer(title):
        letters = _IGNORABLE.sub("", word[0])
        able = _able(letters, font, rank)
        if not able:
            continue
        fonts.update(dict.fromkeys(range(*word.span()), able[0]))
        lacked = lacking(letters, font)
        if able[0] != font and any(one.isalpha() and one not in lacked for one in letters):
            before = borrowed.get(able[0], Borrowed(able[0], 0, ()))
            named = tuple(dict.fromkeys((*before.lacking, *lacked)))
            borrowed[able[0]] = Borrowed(able[0], before.words + 1, named)
    return fonts, tuple(borrowed.values())


def _in_plain_letters(title: str, font: str) -> str:
    """The title with compatibility letters (NFKC) for those that no font has, where some font has these."""

    def drawn(letters: str) -> bool:
        return all(one.isspace() or _IGNORABLE.match(one) or _shipped(one) or _has(font, one) for one in letters)

    plain = ((one, one if drawn(one) else unicodedata.normalize("NFKC", one)) for one in title)
    return "".join(letters if drawn(letters) else one for one, letters in plain)


def _able(characters: str, font: str, rank: dict[str, int]) -> list[str]:
    """The fonts that have all of the characters, the best first."""
    shared = set(_shipped(characters[0])).intersection(*(_shipped(one) for one in characters[1:]))
    able = sorted((name for name in shared if name in rank and name != font), key=rank.__getitem__)
    return [font, *able] if all(_has(font, one) for one in characters) else able


def _rank(title: str) -> dict[str, int]:
    """How good each font is for what the chosen one lacks: the title's own script decides who draws Han."""
    if _KANA.search(title):
        return _ranks(_JAPANESE)
    return _ranks(_KOREAN if _HANGUL.search(title) else _CHINESE)


@cache
def _ranks(east: str) -> dict[str, int]:
    fallbacks = [name for name in _table().shipped if name.startswith("noto-") or name == COLOURED]
    order = [*_FIRST, *sorted(set(fallbacks) - {*_FIRST, *_LAST}), *_LAST]
    at = order.index(_CHINESE)
    order.insert(at, order.pop(order.index(east)))
    return {name: place for place, name in enumerate(order) if name in fallbacks}


@dataclass(frozen=True)
class _Table:
    """``shipped`` are the fonts' names; ``sets`` are lists of their numbers, and ``blocks`` say by 256 code points
    which set has them: in order, as "first-last:set" in hexadecimal, decimal for the set.
    """

    shipped: tuple[str, ...]
    sets: tuple[tuple[str, ...], ...]
    blocks: dict[str, str]


@cache
def _table() -> _Table:
    stored = json.loads(TABLE.read_text())
    shipped = tuple(stored["fonts"])
    return _Table(shipped, tuple(tuple(shipped[n] for n in one) for one in stored["sets"]), stored["blocks"])


@lru_cache(maxsize=64)
def _block(number: int) -> tuple[list[int], list[int], list[tuple[str, ...]]]:
    """The first and the last code points of a block's ranges, and the fonts that have each."""
    table = _table()
    firsts, lasts, fonts = [], [], []
    for one in table.blocks.get(f"{number:x}", "").split():
        ends, _, which = one.partition(":")
        first, _, last = ends.partition("-")
        firsts.append(256 * number + int(first, 16))
        lasts.append(256 * number + int(last or first, 16))
        fonts.append(table.sets[int(which)])
    return firsts, lasts, fonts


@lru_cache(maxsize=1024)
def _shipped(character: str) -> tuple[str, ...]:
    """The shipped fonts that have the character, or the parts from which HarfBuzz composes it."""
    point = ord(character)
    firsts, lasts, fonts = _block(point >> 8)
    at = bisect_right(firsts, point) - 1
    having = fonts[at] if at >= 0 and point <= lasts[at] else ()
    parts = _parts(character)
    if not parts:
        return having
    composing = set(_shipped(parts[0])).intersection(*(_shipped(part) for part in parts[1:]))
    return (*having, *sorted(composing.difference(having)))


@lru_cache(maxsize=1024)
def _has(font: str, character: str) -> bool:
    """Whether ``font`` has the character, or the parts from which HarfBuzz composes it."""
    if font not in _registered:
        return font in _shipped(character)
    _, starts, ends = _registered[font]
    at = bisect_right(starts, ord(character)) - 1
    if at >= 0 and ord(character) <= ends[at]:
        return True
    parts = _parts(character)
    return bool(parts) and all(_has(font, part) for part in parts)


def _parts(character: str) -> list[str]:
    """What the character is composed of (canonical decomposition); nothing for most."""
    parts = unicodedata.decomposition(character)
    return [chr(int(part, 16)) for part in parts.split()] if parts and "<" not in parts else []


def tables(data: bytes | bytearray) -> dict[bytes, tuple[int, int]]:
    """Where each table of an OpenType font starts, and how long it is."""
    count = struct.unpack_from(">H", data, 4)[0]
    entries = (struct.unpack_from(">4sIII", data, 12 + 16 * i) for i in range(count))
    return {name: (start, length) for name, _, start, length in entries}


def ranges_of(data: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The first and the last code points of the ranges that a font file has glyphs for.

    Raises:
        KeyError: it has no character map.
        struct.error: it ends too early.
        ValueError: its character map is broken.
    """
    start, length = tables(data)[b"cmap"]
    return character_ranges(data[start : start + length])


def table_of(covered: dict[str, Iterable[int]]) -> str:
    """``coverage.json`` for fonts by their code points."""
    names = sorted(covered)
    having: dict[int, list[int]] = {}
    for number, name in enumerate(names):
        for point in covered[name]:
            if unicodedata.category(chr(point)) == "Co":
                continue  # what one font means by a private character, no title does
            having.setdefault(point, []).append(number)
    sets: dict[tuple[int, ...], int] = {}
    blocks: dict[str, list[list[int]]] = {}
    for point in sorted(having):
        which = sets.setdefault(tuple(having[point]), len(sets))
        runs = blocks.setdefault(f"{point >> 8:x}", [])
        if runs and runs[-1][1] == (point & 255) - 1 and runs[-1][2] == which:
            runs[-1][1] += 1
        else:
            runs.append([point & 255, point & 255, which])
    lines = {
        block: " ".join(f"{a:x}:{which}" if a == b else f"{a:x}-{b:x}:{which}" for a, b, which in runs)
        for block, runs in blocks.items()
    }
    return json.dumps({"fonts": names, "sets": list(sets), "blocks": lines}, indent=0) + "\n"
