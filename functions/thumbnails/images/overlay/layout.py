"""A title's layout: the largest size that fits its box, balanced lines, and every run's place on its baseline.

All positions are in pixels of the canvas, measured from its upper left corner.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import bidi.algorithm as uax9

from thumbnails.images.overlay.breaks import Break, Tier, find_breaks
from thumbnails.images.overlay.coverage import Borrowed, Emoji, choose
from thumbnails.images.overlay.templates import LINE_HEIGHT, MAX_SIZE, MIN_SIZE, TEMPLATES, Box, Template, Typography
from thumbnails.images.overlay.text import UNDRAWN, normalise, prepare
from thumbnails.images.overlay.typefaces import Direction, advance, choose_fonts, render, rise_and_fall

# Titles are measured once at this size and scaled: the fonts' outlines are linear, and the result is checked.
_REFERENCE = 200
# Words and phrases are broken up only where the title would otherwise be smaller than the first size, and only if that
# makes it larger by the factor; the second size is enough then, since every further pixel costs more hyphens.
_TOO_SMALL, _LARGE_ENOUGH, _WORTH_BREAKING_UP = 40, 56, 1.4
_ELLIPSIS = "…"


@dataclass(frozen=True)
class Run:
    """Part of a line in one font and one direction. ``x`` is where its origin stands."""

    text: str
    font: str
    direction: Direction
    x: int


@dataclass(frozen=True)
class Line:
    """One line: its text in reading order, its runs from left to right, its baseline and the box of its ink."""

    text: str
    runs: tuple[Run, ...]
    baseline: int
    ink: Box


@dataclass(frozen=True)
class Notes:
    """What setting a title did that its writer should know."""

    missing: tuple[str, ...] = ()
    borrowed: tuple[Borrowed, ...] = ()
    entities: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """A title set into a template.

    ``size`` is in pixels per em. ``notes`` says what its writer should know, and ``shortened`` that it ends in an
    ellipsis.
    """

    template: str
    font: str
    size: int
    lines: tuple[Line, ...]
    notes: Notes
    shortened: bool

    @property
    def missing(self) -> tuple[str, ...]:
        """The characters that no font has."""
        return self.notes.missing


@dataclass(frozen=True)
class _Text:
    """A title ready to be set: every character has a font and an embedding level (UAX #9).

    ``plain`` says that any part of it is one run: in one font, from left to right, of characters that are all drawn.
    """

    text: str
    fonts: tuple[str, ...]
    levels: tuple[int, ...]
    rtl: bool
    plain: bool


# One line of a title: from this character, up to that one, and what is set after it (a hyphen or an ellipsis).
_Cut = tuple[int, int, str]


@dataclass(frozen=True)
class _Shape:
    """A shaped line at the origin: its runs and the box of its ink, all in pixels."""

    runs: tuple[Run, ...]
    ink: Box

    @property
    def width(self) -> int:
        return self.ink[2] - self.ink[0]


@lru_cache(maxsize=2)
def measure(title: str, template: str, font: str, typography: Typography = "as-is", emoji: Emoji = "colour") -> Layout:
    """Set ``title`` into the box of ``template`` in ``font`` (names of the catalogue), without drawing it.

    The size is the largest of 32–80 px at which the title fits; at 32 px a title that is still too long ends in an
    ellipsis. Raises KeyError for a template that isn't in the catalogue.
    """
    return _Fit(TEMPLATES[template], template, font, typography, emoji).layout(title)


_FROM_THE_RIGHT = frozenset({"R", "AL", "AN", "RLE", "RLO", "RLI"})
# Left-to-right, right-to-left and first-strong isolates, and what ends them (UAX #9, table 4).
# As deep as python-bidi goes, to the left.
_DEEPEST = 60
_ISOLATES, _POP = "\u2066\u2067\u2068", "\u2069"


def _embedding_levels(text: str, base: int | None = None) -> tuple[tuple[int, ...], bool]:
    """Each character's embedding level by UAX #9, and whether the paragraph reads from right to left.

    python-bidi knows the rules of before there were isolates. What is in one is a text of its own: for the text around
    it, one neutral character (X5a–X5c, BD13).

    Args:
        text: one line.
        base: the paragraph's level; told by its first strong character where it is left out (P2, P3).
    """
    if base is None and not any(
        unicodedata.bidirectional(one) in ("R", "AL", "AN", "RLE", "RLO", "RLI") for one in text
    ):
        return (0,) * len(text), False
    isolated = list(_isolated(text))
    around = [_NEUTRAL if any(start <= at < end for start, end in isolated) else one for at, one in enumerate(text)]
    if base is None:
        base = uax9.get_base_level("".join(_known(one) for one in around))
    levels = list(_levels_without_isolates("".join(around), base))
    for start, end in isolated:
        # The isolate's own two characters stand as deep as what is around them, and its text at the next fitting level.
        inside = text[start + 1 : end - 1] if text[end - 1] == _POP else text[start + 1 : end]
        first = {"\u2066": 0, "\u2067": 1}.get(text[start])
        if first is None:
            first = uax9.get_base_level("".join(map(_known, _outside_isolates(inside))))
        deeper = levels[start] + 1 if (levels[start] + 1) % 2 == first else levels[start] + 2
        levels[start + 1 : start + 1 + len(inside)] = _embedding_levels(inside, min(deeper, _DEEPEST - first))[0]
    return tuple(levels), base % 2 == 1


_NEUTRAL = "\ufffc"


def _known(character: str) -> str:
    """Characters newer than Python's own tables (recent emoji) count as neutral, as what ends no isolate does."""
    return character if unicodedata.bidirectional(character) and character != _POP else _NEUTRAL


def _isolated(text: str) -> Iterator[tuple[int, int]]:
    """Where the outermost isolates begin and end, with the characters that say so."""
    depth = start = 0
    for at, character in enumerate(text):
        if character in _ISOLATES:
            start = at if depth == 0 else start
            depth += 1
        elif character == _POP and depth:
            depth -= 1
            if depth == 0:
                yield start, at + 1
    if depth:
        yield start, len(text)


def _outside_isolates(text: str) -> str:
    kept, at = "", 0
    for start, end in _isolated(text):
        kept, at = kept + text[at:start], end
    return kept + text[at:]


def _levels_without_isolates(text: str, base: int) -> Iterator[int]:
    text = "".join(map(_known, text))
    storage: dict[str, Any] = uax9.get_empty_storage()
    storage.update(base_level=base, base_dir=("L", "R")[base % 2])
    uax9.get_embedding_levels(text, storage)
    uax9.explicit_embed_and_overrides(storage)
    uax9.resolve_weak_types(storage)
    uax9.resolve_neutral_types(storage, False)
    uax9.resolve_implicit_levels(storage, False)
    # Rule X9 drops embeddings, joiners and the like; each stays with the character before it.
    resolved = (character["level"] for character in storage["chars"])
    level = base
    for character in text:
        if unicodedata.bidirectional(character) not in uax9.X9_REMOVED:
            level = next(resolved)
        yield level


def _prepare(title: str, font: str, typography: Typography = "as-is", emoji: Emoji = "colour") -> tuple[_Text, Notes]:
    prepared = prepare(title, typography)
    chosen = choose(prepared.text, font, emoji)
    notes = Notes(chosen.missing, chosen.borrowed, prepared.entities)
    # Leaving characters out can leave spaces at an end, or two in a row.
    if (again := normalise(chosen.text)) != chosen.text:
        chosen = choose(again, font, emoji)
    levels, rtl = _embedding_levels(chosen.text)
    plain = not any(levels) and len(set(chosen.fonts)) == 1 and not UNDRAWN.search(chosen.text)
    return _Text(chosen.text, chosen.fonts, levels, rtl, plain), notes


def _visual_runs(text: _Text, start: int, end: int, suffix: str) -> Iterator[tuple[str, str, Direction]]:
    """The line ``text[start:end]`` + ``suffix`` as (characters, font, direction) from left to right."""
    if text.plain and not suffix:
        if start < end:
            yield text.text[start:end], text.fonts[0], "ltr"
        return
    runs: list[tuple[str, str, int]] = []
    for i in range(start, end):
        if runs and runs[-1][1:] == (text.fonts[i], text.levels[i]):
            runs[-1] = (runs[-1][0] + text.text[i], *runs[-1][1:])
        else:
            runs.append((text.text[i], text.fonts[i], text.levels[i]))
    if suffix:
        # The suffix is set in the paragraph's direction, in the font of what it follows.
        _, (font, *_), _ = choose_fonts(suffix, text.fonts[max(0, end - 1)])
        base = int(text.rtl)
        if runs and runs[-1][1:] == (font, base):
            runs[-1] = (runs[-1][0] + suffix, font, base)
        else:
            runs.append((suffix, font, base))
    for characters, font, level in _from_left_to_right(runs):
        drawn = UNDRAWN.sub("", characters)
        if drawn:
            yield drawn, font, "rtl" if level % 2 else "ltr"


def _from_left_to_right(runs: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """Runs of (characters, font, level) in reading order as they stand on the line (UAX #9, L2)."""
    for level in range(max((run[2] for run in runs), default=0), 0, -1):
        at = 0
        while at < len(runs):
            stop = at
            while stop < len(runs) and runs[stop][2] >= level:
                stop += 1
            runs[at:stop] = runs[at:stop][::-1]
            at = max(stop, at + 1)
    return runs


def _shape(text: _Text, cut: _Cut, size: int) -> _Shape:
    """Shape and render one line: the box of its ink is that of its pixels."""
    pen = 0.0
    placed: list[Run] = []
    inks: list[Box] = []
    for characters, font, direction in _visual_runs(text, *cut):
        x = round(pen)
        mask, (left, top) = render(characters, font, direction, size)
        placed.append(Run(characters, font, direction, x))
        if mask.width:
            inks.append((x + left, top, x + left + mask.width, top + mask.height))
        pen += advance(characters, font, direction, size)
    lefts, tops, rights, bottoms = zip(*(inks or [(0, 0, 0, 0)]), strict=True)
    return _Shape(tuple(placed), (min(lefts), min(tops), max(rights), max(bottoms)))


def _width(text: _Text, start: int, end: int, suffix: str = "") -> float:
    """The advance of ``text[start:end]`` + ``suffix`` at 1 px per em."""
    if start == end and not suffix:
        return 0.0
    return sum(advance(*run, _REFERENCE) for run in _visual_runs(text, start, end, suffix)) / _REFERENCE


def _step(size: int) -> int:
    return round(LINE_HEIGHT * size)


def _rise_and_height(shapes: list[_Shape], size: int) -> tuple[int, int]:
    """Where the ink of all lines begins below the first baseline (so it is negative), and how high it is."""
    top = min(i * _step(size) + shape.ink[1] for i, shape in enumerate(shapes))
    bottom = max(i * _step(size) + shape.ink[3] for i, shape in enumerate(shapes))
    return top, bottom - top


@dataclass(frozen=True)
class _Piece:
    """What lies between two breaks, measured at 1 px per em. ``space`` is the width of the spaces it ends with."""

    width: float
    space: float
    end: int
    cost: float
    hyphen: float


class _Fit:
    """Finds size and breaks of one title in one box."""

    def __init__(self, template: Template, name: str, font: str, typography: Typography, emoji: Emoji) -> None:
        self._template, self._name, self._font = template, name, font
        self._typography, self._emoji = typography, emoji
        left, top, right, bottom = template.box
        self._width, self._height = right - left, bottom - top

    def layout(self, title: str) -> Layout:
        text, notes = _prepare(title, self._font, self._typography, self._emoji)
        if not text.text:
            return Layout(self._name, self._font, MAX_SIZE, (), notes, shortened=False)
        best: tuple[int, list[_Cut]] | None = None
        for tier in Tier:
            if best and (best[0] >= _TOO_SMALL or tier == Tier.CLUSTER):
                break
            found = self._largest(text, tier)
            if found and (best is None or found[0] >= best[0] * _WORTH_BREAKING_UP):
                best = found
        size, cuts = best or (MIN_SIZE, self._shorten(text))
        lines = self._place(text, size, cuts)
        if all(line.ink[0] == line.ink[2] for line in lines):
            lines = ()  # spaces and invisible characters alone
        return Layout(self._name, self._font, size, lines, notes, shortened=best is None)

    def _pieces(self, text: _Text, tier: Tier, end: int, suffix: str = "") -> list[_Piece]:
        hyphen = advance("-", self._font, "ltr", _REFERENCE) / _REFERENCE
        pieces: list[_Piece] = []
        start = 0
        stops = [one for one in find_breaks(text.text, tier) if one.at < end]
        for stop in [*stops, Break(end, Tier.WORD, 0.0)]:
            bare = start + len(text.text[start : stop.at].rstrip())
            width = _width(text, start, bare, suffix if stop.at == end else "")
            space = _width(text, bare, stop.at)
            pieces.append(_Piece(width, space, stop.at, stop.cost, hyphen if stop.hyphen else 0.0))
            start = stop.at
        return pieces

    def _largest(self, text: _Text, tier: Tier) -> tuple[int, list[_Cut]] | None:
        pieces = self._pieces(text, tier, len(text.text))
        low, high = MIN_SIZE, MAX_SIZE if tier == Tier.WORD else _LARGE_ENOUGH
        if not self._break(text, pieces, low, self._template.lines):
            return None
        while low < high:
            middle = (low + high + 1) // 2
            if self._break(text, pieces, middle, self._template.lines):
                low = middle
            else:
                high = middle - 1
        # Shaping a whole line at its own size can differ from the scaled sum by a pixel or two: step down if it does.
        for size in range(low, MIN_SIZE - 1, -1):
            cuts = self._break(text, pieces, size, self._template.lines)
            if cuts and self._holds(text, size, cuts):
                return size, cuts
        return None

    def _break(self, text: _Text, pieces: list[_Piece], size: int, room: int) -> list[_Cut]:
        """The pieces in as few balanced lines as hold them at ``size``, or nothing where ``room`` lines don't."""
        count = self._count(pieces, size, room)
        cuts = self._balance(text, pieces, size, count) if count else []
        if not cuts:
            return []
        # The whole title is measured once and decides most sizes; a close one is decided by its outer lines.
        whole = (0, len(text.text), "")
        for first, last in ((whole, whole), (cuts[0], cuts[-1])):
            top = min((rise_and_fall(*run, _REFERENCE)[0] for run in _visual_runs(text, *first)), default=0)
            bottom = max((rise_and_fall(*run, _REFERENCE)[1] for run in _visual_runs(text, *last)), default=0)
            if (count - 1) * _step(size) + (bottom - top) * size / _REFERENCE <= self._height:
                return cuts
        return []

    def _count(self, pieces: list[_Piece], size: int, room: int) -> int:
        """The fewest lines that hold the pieces at ``size``, or 0 where ``room`` lines don't."""
        limit = self._width / size
        lines, at = 0, 0
        while at < len(pieces):
            if lines == room:
                return 0
            width, stop, k = 0.0, at, at
            while k < len(pieces) and width + pieces[k].width <= limit:
                if width + pieces[k].width + pieces[k].hyphen <= limit:
                    stop = k + 1
                width += pieces[k].width + pieces[k].space
                k += 1
            if stop == at:
                return 0
            at = stop
            lines += 1
        return lines

    def _balance(self, text: _Text, pieces: list[_Piece], size: int, count: int) -> list[_Cut]:
        """Break into exactly ``count`` lines so that the squares of their widths, plus the breaks' costs, are least.

        For a given number of lines the sum of squares is least when they are equally long (Knuth and Plass, "Breaking
        paragraphs into lines", 1981, minimise the same over a paragraph).
        """
        limit = self._width / size
        total = len(pieces)
        # best[k] is (cost, previous piece) for the pieces before k, after each number of lines.
        best: list[dict[int, tuple[float, int]]] = [{0: (0.0, 0)}]
        for line in range(1, count + 1):
            reached: dict[int, tuple[float, int]] = {}
            for start, (cost, _) in best[-1].items():
                width = 0.0
                for k in range(start, total):
                    width += pieces[k].width
                    if width > limit:
                        break
                    last = k + 1 == total
                    filled = (width + (0.0 if last else pieces[k].hyphen)) / limit
                    if filled <= 1 and last == (line == count):
                        orphan = 0.06 if last and count > 1 and filled < 0.3 and start + 1 == total else 0.0
                        sum_of_costs = cost + filled * filled + (orphan if last else pieces[k].cost)
                        if k + 1 not in reached or sum_of_costs < reached[k + 1][0]:
                            reached[k + 1] = (sum_of_costs, start)
                    width += pieces[k].space
            best.append(reached)
        if total not in best[count]:
            return []
        lines: list[_Cut] = []
        end = total
        for line in range(count, 0, -1):
            start = best[line][end][1]
            hyphen = "-" if end < total and pieces[end - 1].hyphen else ""
            first = pieces[start - 1].end if start else 0
            lines.append((first, first + len(text.text[first : pieces[end - 1].end].rstrip()), hyphen))
            end = start
        return lines[::-1]

    def _holds(self, text: _Text, size: int, cuts: list[_Cut]) -> bool:
        shapes = [_shape(text, cut, size) for cut in cuts]
        _, height = _rise_and_height(shapes, size)
        return height <= self._height and all(shape.width <= self._width for shape in shapes)

    def _shorten(self, text: _Text) -> list[_Cut]:
        """As much of the title as the box holds at the least size, and an ellipsis."""
        for room in range(self._template.lines, 0, -1):
            for tier in (Tier.WORD, Tier.CLUSTER):
                cuts = self._longest_start(text, tier, room)
                # Whole words may leave most of the box empty where one of them is very long.
                if cuts and (tier == Tier.CLUSTER or len(cuts) == room):
                    return cuts
        return [(0, 0, _ELLIPSIS)]

    def _longest_start(self, text: _Text, tier: Tier, room: int) -> list[_Cut]:
        ends = [one.at for one in find_breaks(text.text, tier) if not one.hyphen]
        low, high = 0, len(ends)
        longest: list[_Cut] = []
        while low < high:
            middle = (low + high) // 2
            end = len(text.text[: ends[middle]].rstrip(" ,;:–—-、，"))
            cuts = self._break(text, self._pieces(text, tier, end, _ELLIPSIS), MIN_SIZE, room) if end else []
            if cuts:
                cuts[-1] = (*cuts[-1][:2], _ELLIPSIS)
            if cuts and self._holds(text, MIN_SIZE, cuts):
                longest, low = cuts, middle + 1
            else:
                high = middle
        return longest

    def _place(self, text: _Text, size: int, cuts: list[_Cut]) -> tuple[Line, ...]:
        shapes = [_shape(text, cut, size) for cut in cuts]
        left, top, right, _ = self._template.box
        rise, height = _rise_and_height(shapes, size)
        spare = self._height - height
        baseline = round(top + (spare if self._template.anchor == "bottom" else spare / 2) - rise)
        lines: list[Line] = []
        for (start, end, suffix), shape in zip(cuts, shapes, strict=True):
            if self._template.align == "center":
                edge = left + (self._width - shape.width) // 2
            else:
                edge = right - shape.width if text.rtl else left
            shift = edge - shape.ink[0]
            ink = (edge, baseline + shape.ink[1], edge + shape.width, baseline + shape.ink[3])
            runs = tuple(Run(run.text, run.font, run.direction, run.x + shift) for run in shape.runs)
            lines.append(Line(UNDRAWN.sub("", text.text[start:end]) + suffix, runs, baseline, ink))
            baseline += _step(size)
        return tuple(lines)
