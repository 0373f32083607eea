"""Fonts opened, and runs of text measured and drawn in them: shaped by HarfBuzz, drawn by FreeType."""

import struct
from functools import lru_cache
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

from thumbnails.images.overlay.coverage import COLOURED, choose, font_source, tables

Direction = Literal["ltr", "rtl"]

# Fonts up to this many bytes are held in memory, with their outlines marked as plain.
_SMALL = 2_000_000
_BOLD = 700


@lru_cache(maxsize=3)
def face(font: str, size: int) -> ImageFont.FreeTypeFont:
    """A shipped or registered font at ``size`` pixels per em, shaped by HarfBuzz, kept open while it is in use.

    An open one holds the whole font and what HarfBuzz read of it, half a megabyte and more.
    """
    source, number = font_source(font)
    large = isinstance(source, Path) and source.stat().st_size > _SMALL
    opened = source if large else BytesIO(_plain_outlines(font))
    found = ImageFont.truetype(opened, size, number, layout_engine=ImageFont.Layout.RAQM)
    if isinstance(source, bytes) and b"fvar" in tables(source):
        _set_bold(found)
    return found


def _set_bold(variable: ImageFont.FreeTypeFont) -> None:
    """Have a variable font drawn bold, as the shipped ones are, where it has weights (OpenType ``fvar``)."""
    axes = variable.get_variation_axes()
    wanted = [float(axis["default"] or 0) for axis in axes]
    for place, axis in enumerate(axes):
        if axis["name"] and b"weight" in axis["name"].lower():
            wanted[place] = min(_BOLD, float(axis["maximum"] or 0))
    variable.set_variation_by_axes(wanted)


@lru_cache(maxsize=24)
def _plain_outlines(font: str) -> bytes:
    """The font without the marks that say its outlines may overlap (OpenType ``glyf``, bits 6 and 10).

    FreeType draws a marked glyph at sixteen times its pixels, seven times slower. Fonts cut from variable ones mark
    nearly every glyph; without the marks a handful of edge pixels of a line come out a shade different.
    """
    source, _ = font_source(font)
    data = bytearray(source.read_bytes() if isinstance(source, Path) else source)
    found = tables(data)
    if b"glyf" not in found:
        return bytes(data)
    glyphs = struct.unpack_from(">H", data, found[b"maxp"][0] + 4)[0]
    long_offsets = struct.unpack_from(">h", data, found[b"head"][0] + 50)[0]
    offsets = struct.unpack_from(f">{glyphs + 1}{'I' if long_offsets else 'H'}", data, found[b"loca"][0])
    for here, after in pairwise(offsets):
        if here == after:
            continue
        at = found[b"glyf"][0] + here * (1 if long_offsets else 2)
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
    if font == COLOURED:
        picture, corner = colours(text, direction, size)
        return picture.getchannel("A"), corner
    drawn, (left, top) = face(font, size).getmask2(text, "L", direction=direction, features=_FEATURES, anchor="ls")
    # The font's own box holds the advance too; the ink is what was drawn.
    ink = drawn.getbbox() or (0, 0, 0, 0)
    mask = Image.new("L", (ink[2] - ink[0], ink[3] - ink[1]))
    mask.im.paste(drawn.crop(ink), (0, 0, *mask.size))
    return mask, (left + ink[0], top + ink[1])


@lru_cache(maxsize=8)
def colours(text: str, direction: Direction, size: int) -> tuple[Image.Image, tuple[int, int]]:
    """A run of emoji in their colours (RGBA), and where its upper left corner stands from its origin."""
    shaped = face(COLOURED, size)
    left, top, right, bottom = map(int, shaped.getbbox(text, direction=direction, features=_FEATURES, anchor="ls"))
    drawn = Image.new("RGBA", (right - left, bottom - top))
    ImageDraw.Draw(drawn).text(
        (-left, -top), text, font=shaped, anchor="ls", direction=direction, features=_FEATURES, embedded_color=True
    )
    # Pillow multiplies what it draws on nothing by its opacity.
    return Image.frombytes("RGBa", drawn.size, drawn.tobytes()).convert("RGBA"), (left, top)


def choose_fonts(title: str, font: str) -> tuple[str, list[str], list[str]]:
    """The title without the characters that no font has, a font for each of the others, and those characters."""
    chosen = choose(title, font)
    return chosen.text, list(chosen.fonts), list(chosen.missing)
