"""Which characters a font has, read from its ``cmap`` table (OpenType 1.9, "cmap", formats 4 and 12).

Nothing here imports Pillow. The bytes may be a stranger's: nothing is read that grows beyond the table.
"""

import struct
from collections.abc import Iterable, Iterator

_LAST_CHARACTER = 0x10FFFF


def character_ranges(cmap: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The first and the last code points of the ranges that a font has glyphs for, in order, none touching another.

    Raises:
        struct.error: the table ends too early.
        ValueError: it names what is no character, or more than it has room for.
    """
    return _merged(_ranges(cmap))


def _ranges(cmap: bytes) -> Iterator[tuple[int, int]]:
    count = struct.unpack_from(">H", cmap, 2)[0]
    formats = {}
    for place in range(count):
        platform, encoding, at = struct.unpack_from(">HHI", cmap, 4 + 8 * place)
        if platform == 0 or (platform == 3 and encoding in (1, 10)):
            formats[struct.unpack_from(">H", cmap, at)[0]] = at
    if 12 in formats:
        return _ranges_of_format_12(cmap, formats[12])
    return _ranges_of_format_4(cmap, formats[4]) if 4 in formats else iter(())


def _ranges_of_format_12(cmap: bytes, at: int) -> Iterator[tuple[int, int]]:
    count = struct.unpack_from(">I", cmap, at + 12)[0]
    if count > len(cmap) // 12:
        raise ValueError("is broken: its character map is longer than its table")
    for start, end, glyph in struct.iter_unpack(">III", cmap[at + 16 : at + 16 + 12 * count]):
        yield start + (glyph == 0), end


def _ranges_of_format_4(cmap: bytes, at: int) -> Iterator[tuple[int, int]]:
    count = struct.unpack_from(">H", cmap, at + 6)[0] // 2
    ends, starts, deltas, offsets = (
        struct.unpack_from(f">{count}H", cmap, at + 14 + 2 * (part * count + (part > 0))) for part in range(4)
    )
    for place in range(count):
        first, last = starts[place], min(ends[place], 0xFFFE)
        if not offsets[place]:
            # Of consecutive glyphs at most one is number 0, which draws a box.
            nothing = -deltas[place] & 0xFFFF
            if first <= nothing <= last:
                yield first, nothing - 1
                yield nothing + 1, last
            else:
                yield first, last
            continue
        for point in range(first, last + 1):
            index = at + 16 + 6 * count + 2 * place + offsets[place] + 2 * (point - first)
            if struct.unpack_from(">H", cmap, index)[0]:
                yield point, point


def _merged(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Ranges in order, none of which touches another."""
    starts: list[int] = []
    ends: list[int] = []
    for start, end in sorted(ranges):
        if start > end:
            continue
        if end > _LAST_CHARACTER:
            raise ValueError("is broken: its character map names what is no character")
        if starts and start <= ends[-1] + 1:
            ends[-1] = max(ends[-1], end)
        else:
            starts.append(start)
            ends.append(end)
    return tuple(starts), tuple(ends)
