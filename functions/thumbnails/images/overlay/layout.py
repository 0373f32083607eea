"""A title's layout: the largest size that fits its box, balanced lines, and every run's place on its baseline.

All positions are in pixels of the canvas, measured from its upper left corner.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import bidi.algorithm as uax9

from thumbnails.images.overlay.breaks import Break, Tier, find_breaks
from thumbnails.images.overlay.coverage import Borrowed, Emoji, choose
from thumbnails.images.overlay.templates import DEFAULT_FORMAT, TEMPLATES, Box, Place, Template, Typography, place
from thumbnails.images.overlay.text import UNDRAWN, normalise, prepare
from thumbnails.images.overlay.typefaces import Direction, advance, choose_fonts, render, rise_and_fall

# Titles are measured once at this size and scaled: the fonts' outlines are linear, and the result is checked.
_REFERENCE = 200
# Words and phrases are broken up only where the title would otherwise be smaller than the first size, and only if that
# makes it larger by the factor; the second size is enough then, since every further pixel costs more hyphens. Sizes
# are those of a 1200 × 630 canvas.
_TOO_SMALL, _LARGE_ENOUGH, _WORTH_BREAKING_UP = 40, 56, 1.4
# What lies at least between the marks of one line and the letters of the next, in ems.
_CLEAR = 0.03
# What a title that stands in one line may grow to: of the template's largest size, and of the canvas's width.
_ALONE, _HALF = 2, 0.5
# The line above the title and the line below it: size, the least that they are set at, and the room between.
_KICKER, _AUTHOR, _NOTE_LEAST, _NOTE_GAP = 27, 25, 18, 20
# A short rule above the text: its height and the room below it.
RULE_HEIGHT, _RULE_GAP = 6, 22
# An upright bar beside the text.
BAR_WIDTH = 9
_ELLIPSIS = "…"
# What hangs outside of a line's edge, and how far letters do, in ems.
_HANGING = frozenset("\"'“”„‟‘’‚‛«»‹›")
_OPTICAL = {
    **dict.fromkeys("AVWYTvwy", 0.025),
    **dict.fromkeys("CGOQcdeoqСОЭосэОΟΘο", 0.015),
    **dict.fromkeys("–—-", 0.1),
}


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
    size: int


@dataclass(frozen=True)
class Notes:
    """What setting a title did that its writer should know."""

    missing: tuple[str, ...] = ()
    borrowed: tuple[Borrowed, ...] = ()
    entities: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """A title set into a template on a canvas.

    Attributes:
        place: the template on its canvas.
        font: the catalogue's name of the font.
        size: the title's, in pixels per em.
        lines: the title's.
        kicker: the line above it; None where there is none. ``author``: the line below it.
        rule: the short rule above the text.
        panel: as it is drawn; None where the template has none.
        rtl: whether the title reads from right to left.
        notes: what the title's writer should know.
        shortened: whether the title ends in an ellipsis.
    """

    place: Place
    font: str
    size: int
    lines: tuple[Line, ...]
    notes: Notes
    shortened: bool
    kicker: Line | None = None
    author: Line | None = None
    rule: Box | None = None
    panel: Box | None = None
    rtl: bool = False

    @property
    def missing(self) -> tuple[str, ...]:
        """The characters that no font has."""
        return self.notes.missing

    @property
    def every_line(self) -> tuple[Line, ...]:
        """The title's lines and those above and below it."""
        return tuple(line for line in (self.kicker, *self.lines, self.author) if line)


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
def measure(
    title: str,
    template: str | Template,
    font: str,
    format: str = DEFAULT_FORMAT,
    kicker: str = "",
    author: str = "",
    typography: Typography = "as-is",
    emoji: Emoji = "colour",
) -> Layout:
    """Set a title into the box of a template, without drawing it.

    The size is the largest at which the title fits; at the template's least size a title that is still too long ends
    in an ellipsis.

    Args:
        title: the title.
        template: a template, or its name in the catalogue.
        font: the catalogue's name of the font.
        format: the catalogue's name of the format.
        kicker: a few words above the title.
        author: a line below it.
        typography: whether straight quotes and apostrophes become those of the title's language.
        emoji: how emoji are drawn.

    Raises:
        KeyError: the catalogue has no such template or format.
    """
    known = TEMPLATES[template] if isinstance(template, str) else template
    return _Fit(place(known, format), font, kicker, author, typography, emoji).layout(title)


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


def _edges(text: _Text, cut: _Cut, size: int) -> tuple[float, float]:
    """The upper and the lower edge of a line's outlines, in pixels below the baseline."""
    runs = [rise_and_fall(*run, _REFERENCE) for run in _visual_runs(text, *cut)]
    scale = size / _REFERENCE
    return min((run[0] for run in runs), default=0) * scale, max((run[1] for run in runs), default=0) * scale


def _width(text: _Text, start: int, end: int, suffix: str = "") -> float:
    """The advance of ``text[start:end]`` + ``suffix`` at 1 px per em."""
    if start == end and not suffix:
        return 0.0
    return sum(advance(*run, _REFERENCE) for run in _visual_runs(text, start, end, suffix)) / _REFERENCE


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

    def __init__(self, where: Place, font: str, kicker: str, author: str, typography: Typography, emoji: Emoji) -> None:
        self._where, self._font = where, font
        self._typography, self._emoji = typography, emoji
        self._width, height = where.box_size
        self._leading = where.template.leading
        unit = where.unit
        self._kicker = self._note(kicker, round(_KICKER * unit))
        self._author = self._note(author, round(_AUTHOR * unit))
        self._gap = round(_NOTE_GAP * unit)
        self._rule = round((RULE_HEIGHT + _RULE_GAP) * unit) if where.template.mark == "rule" else 0
        self._above = self._rule + (self._kicker.height + self._gap if self._kicker else 0)
        self._below = self._author.height + round(1.5 * self._gap) if self._author else 0
        self._height = height - self._above - self._below
        self._least, self._largest_size = where.least, where.largest
        # As many lines as the box is high: a title that would be small takes them.
        most = int((self._height - self._least) / (self._leading * self._least)) + 1
        self._rooms = sorted({min(where.shape.lines, max(1, most)), max(1, most)})

    def layout(self, title: str) -> Layout:
        text, notes = _prepare(title, self._font, self._typography, self._emoji)
        if text.rtl and self._where.template.fit != "no":
            # A panel that is as wide as its text begins where the text does.
            self._where = self._where.mirrored()
        where = self._where
        if not text.text:
            return Layout(where, self._font, self._largest_size, (), notes, shortened=False, panel=where.panel)
        best = self._best(text)
        size, cuts = best or (self._least, self._shorten(text))
        if len(cuts) == 1 and size == self._largest_size:
            size = self._enlarged(text, cuts)
        lines = self._place(text, size, cuts)
        if all(line.ink[0] == line.ink[2] for line in lines):  # spaces and invisible characters alone
            return Layout(where, self._font, size, (), notes, shortened=best is None, panel=where.panel)
        return self._with_notes(Layout(where, self._font, size, lines, notes, shortened=best is None), text.rtl)

    def _best(self, text: _Text) -> tuple[int, list[_Cut]] | None:
        best: tuple[int, list[_Cut]] | None = None
        for tier in Tier:
            for room in self._rooms:
                if best and (best[0] >= _TOO_SMALL * self._where.unit or tier == Tier.CLUSTER):
                    return best
                found = self._largest(text, tier, room)
                if found and (best is None or found[0] >= best[0] * (1 if tier == Tier.WORD else _WORTH_BREAKING_UP)):
                    best = found
        return best

    def _enlarged(self, text: _Text, cuts: list[_Cut]) -> int:
        """The size of a title in one line: a word alone may fill half of the canvas's width."""
        wide = _HALF * self._where.width / max(0.01, _width(text, *cuts[0]))
        for size in range(min(_ALONE * self._largest_size, int(wide)), self._largest_size, -2):
            if self._holds(text, size, cuts):
                return size
        return self._largest_size

    def _note(self, words: str, size: int) -> "_Note | None":
        """A line above or below the title, smaller or shortened where it would be too wide; None where it is empty."""
        text, _ = _prepare(words, self._font, self._typography, self._emoji)
        if not text.text:
            return None
        cut: _Cut = (0, len(text.text), "")
        size = max(round(_NOTE_LEAST * self._where.unit), min(size, int(self._width / max(0.01, _width(text, *cut)))))
        while cut[1] > 1 and _shape(text, cut, size).width > self._width:
            end = len(text.text[: cut[1] - 1].rstrip())
            cut = (0, end, _ELLIPSIS)
        shape = _shape(text, cut, size)
        return _Note(text, cut, size, shape)

    def _with_notes(self, layout: Layout, rtl: bool) -> Layout:
        where = self._where
        top = min(line.ink[1] for line in layout.lines)
        bottom = max(line.ink[3] for line in layout.lines)
        kicker = author = rule = None
        if self._kicker:
            kicker = self._note_line(self._kicker, top - self._gap - self._kicker.shape.ink[3], rtl)
            top = kicker.ink[1]
        if self._author:
            author = self._note_line(self._author, bottom + round(1.5 * self._gap) - self._author.shape.ink[1], rtl)
            bottom = author.ink[3]
        inks = [line.ink for line in (*layout.lines, kicker, author) if line]
        left, right = min(ink[0] for ink in inks), max(ink[2] for ink in inks)
        if self._rule:
            wide, high = round(72 * where.unit), round(RULE_HEIGHT * where.unit)
            x = {"left": right - wide if rtl else left, "center": (left + right - wide) // 2}[where.shape.align]
            rule = (x, top - self._rule, x + wide, top - self._rule + high)
            top = rule[1]
        panel = where.panel
        if panel and where.template.fit != "no":
            panel = _fitted((left, top, right, bottom), where, rtl)
        return replace(layout, kicker=kicker, author=author, rule=rule, panel=panel, rtl=rtl)

    def _note_line(self, note: "_Note", baseline: int, rtl: bool) -> Line:
        edge = self._edge(note.shape.width, rtl)
        return _line(note.text, note.cut, note.shape, edge, baseline, note.size)

    def _edge(self, width: int, rtl: bool) -> int:
        left, _, right, _ = self._where.box
        if self._where.shape.align == "center":
            return left + (self._width - width) // 2
        return right - width if rtl else left

    def _step(self, size: int, inks: Sequence[tuple[float, float]]) -> int:
        """From baseline to baseline: the template's, or more where marks of one line would touch the next.

        Args:
            size: in pixels per em.
            inks: each line's upper and lower edge, in pixels below its baseline.
        """
        touching = max((above[1] - below[0] for above, below in pairwise(inks)), default=0.0)
        return max(round(self._leading * size), round(touching + _CLEAR * size))

    def _rise_and_height(self, shapes: list[_Shape], size: int) -> tuple[int, int]:
        """Where the ink of all lines begins below the first baseline (so it is negative), and how high it is."""
        step = self._step(size, [shape.ink[1::2] for shape in shapes])
        top = min(i * step + shape.ink[1] for i, shape in enumerate(shapes))
        bottom = max(i * step + shape.ink[3] for i, shape in enumerate(shapes))
        return top, bottom - top

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

    def _largest(self, text: _Text, tier: Tier, room: int) -> tuple[int, list[_Cut]] | None:
        pieces = self._pieces(text, tier, len(text.text))
        low, high = self._least, self._largest_size
        if tier != Tier.WORD:
            high = max(low, min(high, round(_LARGE_ENOUGH * self._where.unit)))
        if not self._break(text, pieces, low, room):
            return None
        while low < high:
            middle = (low + high + 1) // 2
            if self._break(text, pieces, middle, room):
                low = middle
            else:
                high = middle - 1
        # Shaping a whole line at its own size can differ from the scaled sum by a pixel or two: step down if it does.
        for size in range(low, self._least - 1, -1):
            cuts = self._break(text, pieces, size, room)
            if cuts and self._holds(text, size, cuts):
                return size, cuts
        return None

    def _break(self, text: _Text, pieces: list[_Piece], size: int, room: int) -> list[_Cut]:
        """The pieces in as few balanced lines as hold them at ``size``, or nothing where ``room`` lines don't."""
        count = self._count(pieces, size, room)
        cuts = self._balance(text, pieces, size, count) if count else []
        if not cuts:
            return []
        # The whole title is measured once and decides most sizes; a close one is decided by its lines.
        whole: _Cut = (0, len(text.text), "")
        if self._fits(size, [_edges(text, whole, size)] * count):
            return cuts
        return cuts if self._fits(size, [_edges(text, cut, size) for cut in cuts]) else []

    def _fits(self, size: int, inks: Sequence[tuple[float, float]]) -> bool:
        return (len(inks) - 1) * self._step(size, inks) + inks[-1][1] - inks[0][0] <= self._height

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
        _, height = self._rise_and_height(shapes, size)
        return height <= self._height and all(shape.width <= self._width for shape in shapes)

    def _shorten(self, text: _Text) -> list[_Cut]:
        """As much of the title as the box holds at the least size, and an ellipsis."""
        for room in range(self._rooms[-1], 0, -1):
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
            cuts = self._break(text, self._pieces(text, tier, end, _ELLIPSIS), self._least, room) if end else []
            if cuts:
                cuts[-1] = (*cuts[-1][:2], _ELLIPSIS)
            if cuts and self._holds(text, self._least, cuts):
                longest, low = cuts, middle + 1
            else:
                high = middle
        return longest

    def _place(self, text: _Text, size: int, cuts: list[_Cut]) -> tuple[Line, ...]:
        shapes = [_shape(text, cut, size) for cut in cuts]
        top = self._where.box[1] + self._above
        rise, height = self._rise_and_height(shapes, size)
        spare = self._height - height
        baseline = round(top + spare * {"top": 0.0, "middle": 0.5, "bottom": 1.0}[self._where.shape.anchor] - rise)
        lines: list[Line] = []
        for cut, shape in zip(cuts, shapes, strict=True):
            edge = self._edge(shape.width, text.rtl) + self._overhang(text, cut, size)
            lines.append(_line(text, cut, shape, edge, baseline, size))
            baseline += self._step(size, [one.ink[1::2] for one in shapes])
        return tuple(lines)

    def _overhang(self, text: _Text, cut: _Cut, size: int) -> int:
        """How far a line is moved so that its edge looks straight: a quotation mark hangs outside, a round or a slanted
        letter a little. To the left of left-to-right titles, to the right of others; none where lines are centred."""
        if self._where.shape.align == "center":
            return 0
        first = text.text[cut[0]]
        if first in _HANGING:
            share = _width(text, cut[0], cut[0] + 1)
        else:
            share = _OPTICAL.get(unicodedata.normalize("NFD", first)[0], 0.0)
        where = self._where
        room = where.padding[2 if text.rtl else 0]
        # A bar stands beside the text: nothing hangs into it.
        room = (
            min(room // 2, room - bar_end(where) - round(8 * where.unit)) if where.template.mark == "bar" else room // 2
        )
        moved = max(0, min(round(share * size), room))
        return moved if text.rtl else -moved


@dataclass(frozen=True)
class _Note:
    """A line above or below a title, shaped at the origin."""

    text: _Text
    cut: _Cut
    size: int
    shape: _Shape

    @property
    def height(self) -> int:
        return self.shape.ink[3] - self.shape.ink[1]


def _line(text: _Text, cut: _Cut, shape: _Shape, edge: int, baseline: int, size: int) -> Line:
    shift = edge - shape.ink[0]
    ink = (edge, baseline + shape.ink[1], edge + shape.width, baseline + shape.ink[3])
    runs = tuple(Run(run.text, run.font, run.direction, run.x + shift) for run in shape.runs)
    start, end, suffix = cut
    return Line(UNDRAWN.sub("", text.text[start:end]) + suffix, runs, baseline, ink, size)


def bar_end(where: Place) -> int:
    """How far from the panel's edge a bar ends, in pixels."""
    return (where.frame + round(6 * where.unit) if where.frame else 0) + round(BAR_WIDTH * where.unit)


def _fitted(text: Box, where: Place, rtl: bool) -> Box:
    """A panel that is as large as its text with the padding around it, and reaches the canvas's edge where the area
    does."""
    left, top, right, bottom = where.area
    before, above, after, below = where.padding
    if where.shape.anchor != "top":
        top = max(top, text[1] - above)
    if where.shape.anchor != "bottom":
        bottom = min(bottom, text[3] + below)
    if where.template.fit == "both" and where.shape.align == "left":
        if rtl:
            left = max(left, text[0] - before)
        else:
            right = min(right, text[2] + after)
    return left, top, right, bottom
