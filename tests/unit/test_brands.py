"""Brand kits: what is refused and why, hostile files, storage, and what a kit means to a request."""

import base64
import io
import json
import re
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import jsonschema
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables.TupleVariation import TupleVariation
from moto import mock_aws
from PIL import Image
from typer.testing import CliRunner

from tests.unit.api_gateway import ApiGateway, served
from tests.unit.memory_executions import MemoryExecutions
from tests.unit.memory_store import MemoryStore
from thumbnails.aws.s3 import Store, Stored
from thumbnails.brands import kits, logos
from thumbnails.brands.fonts import FONT_BYTES, open_font, read_font
from thumbnails.brands.kit import (
    CONTRAST,
    KIT_BYTES,
    Kit,
    contrast,
    json_schema,
    nearest_readable,
    parse_kit,
)
from thumbnails.brands.kits import brands_in, get_kit, kit_name, list_kits, prepare_kit, put_kit
from thumbnails.brands.logos import logo_png
from thumbnails.campaigns.open import open_campaign
from thumbnails.catalog import FONTS
from thumbnails.errors import InvalidBatch
from thumbnails.images.cell import make_thumbnail
from thumbnails.images.digests import image_digest
from thumbnails.images.overlay.coverage import FOLDER, _has, register
from thumbnails.images.overlay.typefaces import render
from thumbnails.images.providers.answers import Answer
from thumbnails.requests.checks import brand_of, parse_cell, parse_request
from thumbnails.requests.models import Batch
from thumbnails.runs.finalise import finalise
from thumbnails.runs.open import open_run
from thumbnails.runs.status import get_status
from thumbnails.runs.submit import check
from thumbs.cli import main  # noqa: F401 # registers the commands
from thumbs.cli.app import app
from thumbs.cli.application import Application
from thumbs.command_error import CommandError

PROJECT = Path(__file__).parents[2]
EXAMPLE = PROJECT / "examples/brand/harbour-notes.json"
GPT = "gpt-image-2.5-flare"
COLOURS = {"text": "#ffffff", "background": "#12324a", "accent": "#ffd166"}
CAP = 50


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def small_font(characters: str = "AB", fs_type: int = 0, heavier: int = 0) -> bytes:
    """A font of a few triangles; a variable one where it becomes wider, by so many units from weight 400 to 900."""
    builder = FontBuilder(1000, isTTF=True)
    names = [".notdef", *(f"g{number}" for number in range(len(characters)))]
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    pen.lineTo((100, 700))
    pen.lineTo((500, 700))
    pen.closePath()
    square = pen.glyph()
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(one): name for one, name in zip(characters, names[1:], strict=True)})
    builder.setupGlyf(dict.fromkeys(names, square))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (600, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupOS2(fsType=fs_type)
    builder.setupNameTable({"familyName": "Small"})
    builder.setupPost()
    if heavier:
        builder.setupFvar([("wght", 100, 400, 900, "Weight")], [])
        wider = TupleVariation({"wght": (0, 1, 1)}, [(0, 0), (0, 0), (heavier, 0), *[(0, 0)] * 4])
        builder.setupGvar({name: [wider] for name in names[1:]})
    file = io.BytesIO()
    builder.save(file)
    return file.getvalue()


def without(*tables: bytes) -> bytes:
    """The small font, some of whose tables have another name."""
    data = bytearray(small_font())
    for place in range(12, 12 + 16 * data[5], 16):
        if data[place : place + 4] in tables:
            data[place : place + 4] = b"none"
    return bytes(data)


def font(name: str = "brand-sans", data: bytes | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "licence": "SIL OFL 1.1",
        "may_embed": True,
        "data": b64(data or (FOLDER / "bebas-neue.ttf").read_bytes()),
        **changes,
    }


def png(width: int = 40, height: int = 20, colour: str = "#e4572e") -> bytes:
    file = io.BytesIO()
    Image.new("RGBA", (width, height), colour).save(file, "PNG")
    return file.getvalue()


def kit(**changes: Any) -> dict[str, Any]:
    return {"colours": COLOURS, **changes}


def refusal(value: object) -> str:
    with pytest.raises(InvalidBatch) as refused:
        prepare_kit(value)
    return "; ".join(problem.message for problem in refused.value.problems)


@pytest.fixture(autouse=True)
def nothing_read() -> Iterator[None]:
    kits._read.clear()
    yield
    kits._read.clear()


# What a kit may say.


def test_a_kit_of_three_colours_is_enough() -> None:
    made = prepare_kit(kit())
    assert (made.corner, made.emoji, made.font_files(), made.logo_png()) == ("lower-right", "colour", {}, None)
    assert json.loads(made.canonical) == {"colours": COLOURS}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "a brand kit must be"),
        ({}, "colours is missing"),
        (kit(colour="#fff"), "a brand kit: has an unknown field 'colour'; right are: colours, fonts"),
        (kit(colours={**COLOURS, "text": "white"}), "colours.text: 'white' is no colour; right is # with six"),
        (kit(colours={**COLOURS, "shade": "#000000"}), "colours: has an unknown field 'shade'"),
        (kit(corner="top"), "corner must be 'upper-left'"),
        (kit(margin=0.5), "margin must be less than or equal to 0.15"),
        (kit(margin="0.05"), "margin must be a valid number"),
        (kit(line="two\nlines"), "line: has a line break"),
        (kit(line="x" * 81), "line"),
        (kit(templates={"Big One": {}}), "'Big One' is no name; right is, with at most 40 characters: acme"),
        (kit(templates={"big": {"colour": "red"}}), "templates: big.colour must match pattern"),
        (
            kit(templates={"big": {"lines": 99, "any": 1}}),
            "big.lines must be less than or equal to 12; big.any is unknown",
        ),
        (kit(templates={"big": {"tall": {"area": [0, 0, 5, 1]}}}), "big.tall.area[2] must be less than or equal to 1"),
        (kit(templates={"big": {"x": "y" * 20_000}}), "big has more than 10,000 bytes"),
        (kit(fonts=[font(), font()]), "has two fonts called 'brand-sans'"),
        (kit(fonts=[font(may_embed=False)]), "may_embed has to be true; say so where the font's licence"),
        (kit(fonts=[font(licence="")]), "fonts[0].licence"),
        (kit(fonts=[{**font(), "data": "***"}]), "fonts[0].data: is not base64"),
        (kit(fonts=[{"name": "a", "file": "b.ttf"}]), "fonts[0]: has an unknown field 'file'"),
        (
            kit(fonts=[font(f"f-{number}", small_font()) for number in range(5)]),
            "fonts must have at most 4 items, not 5",
        ),
        (kit(logo={"data": b64(b"GIF89a")}), "logo.data: the file is neither PNG nor SVG"),
        (kit(logo={"data": b64(png()), "height": 2}), "logo.height must be less than or equal to 0.4"),
    ],
)
def test_a_kit_that_breaks_a_rule_is_refused_with_what_is_right(value: object, said: str) -> None:
    assert said in refusal(value)


def test_every_problem_is_told_at_once() -> None:
    value = kit(corner="top", fonts=[font(data=b"no font, not at all")], logo={"data": b64(b"GIF89a")})
    told = refusal(value)
    assert all(part in told for part in ("corner must be", "fonts[0]: brand-sans: the file is no font", "logo.data"))


def test_a_kit_that_is_too_large_as_a_whole_is_refused() -> None:
    data = (FOLDER / "merriweather.ttf").read_bytes()
    assert len(data) < FONT_BYTES
    value = kit(fonts=[font(f"brand-{number}", data) for number in range(4)])
    assert f"a kit has at most {KIT_BYTES:,}" in refusal(value)


# Contrast.


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [("#000000", "#ffffff", 21), ("#777777", "#ffffff", 4.478), ("#ff0000", "#ffffff", 3.998), ("#123456",) * 2 + (1,)],
)
def test_contrast_is_that_of_wcag(one: str, other: str, ratio: float) -> None:
    assert contrast(one, other) == contrast(other, one) == pytest.approx(ratio, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "background"),
    [("#777777", "#ffffff"), ("#808080", "#808080"), ("#e4572e", "#2a9d8f"), ("#1a1a1a", "#000000")],
)
def test_colours_that_cannot_be_read_are_refused_with_the_nearest_that_can(text: str, background: str) -> None:
    told = refusal(kit(colours={**COLOURS, "text": text, "background": background}))
    right = nearest_readable(text, background)
    assert f"has a contrast of {int(contrast(text, background) * 100) / 100:.2f}:1, and WCAG 2.2 wants 4.5:1" in told
    assert told.endswith(f"the nearest text colour that has it is {right}")
    assert contrast(right, background) >= CONTRAST
    prepare_kit(kit(colours={**COLOURS, "text": right, "background": background}))


def test_the_nearest_readable_colour_is_near() -> None:
    # One step lighter than the lightest grey that is readable on white (#767676).
    assert nearest_readable("#777777", "#ffffff") == "#767676"


# Fonts.


@pytest.mark.parametrize("name", FONTS)
def test_every_shipped_font_would_do_and_is_read_as_it_is_drawn(name: str) -> None:
    data = (FOLDER / f"{name}.ttf").read_bytes()
    coverage = read_font(data)
    open_font(data, coverage)
    assert "Latin" in coverage.scripts
    known = TTFont(io.BytesIO(data)).getBestCmap()
    assert {chr(point) for point in known} == {
        chr(point) for start, end in zip(coverage.starts, coverage.ends, strict=True) for point in range(start, end + 1)
    }
    assert all(coverage.has(one) for one in "AZaz" if _has(name, one))


def test_a_font_says_which_scripts_it_has() -> None:
    scripts = read_font((FOLDER / "noto-sans.ttf").read_bytes()).scripts
    assert scripts[0] == "Latin"
    assert {"Cyrillic", "Greek"} <= set(scripts)
    assert read_font(small_font()).scripts == []


def as_flavour(flavour: str) -> bytes:
    found = TTFont(io.BytesIO(small_font()))
    found.flavor = flavour
    file = io.BytesIO()
    found.save(file)
    return file.getvalue()


def cut_short() -> bytes:
    return small_font()[:-400]


def with_long_map() -> bytes:
    """A character map that claims a group for each of four billion characters."""
    data = bytearray(small_font("A\U0001f600"))
    at = data.index(struct.pack(">HHI", 12, 0, 40))
    struct.pack_into(">I", data, at + 12, 0xFFFFFFFF)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"wOF2" + bytes(100), "is WOFF2, which is packed for the web; a font is a TTF or OTF file"),
        (as_flavour("woff"), "is WOFF, which is packed for the web; a font is a TTF or OTF file"),
        (b"ttcf" + bytes(100), "is a collection of several fonts"),
        (b"%PDF-1.7", "is no font; a font is a TTF or OTF file"),
        (b"\0\1\0\0", "is broken: a table ends too early"),
        (b"\0\1\0\0" + b"\xff" * 40, "is broken"),
        (cut_short(), "ends behind the file's end"),
        (with_long_map(), "its character map is longer than its table"),
        (without(b"cmap"), "has no table cmap"),
        (without(b"hmtx"), "has no table hmtx"),
        (without(b"glyf", b"loca"), "has no table glyf or CFF"),
        (small_font(fs_type=2), "its licence forbids embedding (OS/2 fsType: restricted)"),
        (small_font() + bytes(FONT_BYTES), "a font has at most 2,000,000"),
    ],
    ids=range(13),
)
def test_a_font_that_will_not_do_is_refused_with_what_will(data: bytes, said: str) -> None:
    assert said in refusal(kit(fonts=[font(data=data)]))


@pytest.mark.parametrize("fs_type", [0, 4, 8, 6])
def test_a_font_that_may_be_embedded_in_some_way_is_taken(fs_type: int) -> None:
    assert prepare_kit(kit(fonts=[font(data=small_font(fs_type=fs_type))])).fonts[0].coverage.has("A")


def test_a_variable_font_is_drawn_bold_as_the_others_are() -> None:
    register("brand-even", small_font())
    register("brand-variable", small_font(heavier=500))
    plain, _ = render("A", "brand-even", "ltr", 100)
    bold, _ = render("A", "brand-variable", "ltr", 100)
    # Weight 700 is three fifths of the way to 900: 30 of 50 pixels.
    assert abs(bold.width - plain.width - 30) <= 1


def test_a_font_that_freetype_cannot_open_is_refused() -> None:
    data = bytearray(small_font())
    tables = {data[12 + 16 * i : 16 + 16 * i].decode(): 12 + 16 * i for i in range(data[5])}
    start = struct.unpack_from(">I", data, tables["head"] + 8)[0]
    # The magic number of the table.
    struct.pack_into(">I", data, start + 12, 0)
    struct.pack_into(">I", data, start, 0xDEAD0000)
    struct.pack_into(">h", data, start + 50, 99)
    read_font(bytes(data))
    told = refusal(kit(fonts=[font(data=bytes(data))]))
    assert "is broken: FreeType says" in told


# Logos.

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 100 50">{}</svg>'
SHAPE = '<rect width="100" height="50" fill="#0a0"/>'


def drawn(svg: str) -> Image.Image:
    return Image.open(io.BytesIO(logo_png(svg.encode())))


def test_an_svg_becomes_a_png_of_the_pixels_it_draws() -> None:
    picture = drawn(SVG.format(SHAPE))
    assert picture.size == (1200, 600)
    assert picture.getpixel((600, 300)) == (0, 170, 0, 255)


@pytest.mark.parametrize(
    "svg",
    [
        '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">'
        + SVG.format(SHAPE),
        "\ufeff" + SVG.format("<!-- a comment -->" + SHAPE),
        SVG.format(f'<metadata><x:any xmlns:x="urn:x"/></metadata>{SHAPE}'),
        SVG.format(f"<style>rect{{fill:#0a0}}</style>{SHAPE}"),
        SVG.format(f'<defs><clipPath id="c">{SHAPE}</clipPath></defs><g clip-path="url(#c)">{SHAPE}</g>'),
        SVG.replace('viewBox="0 0 100 50"', 'width="100px" height="50"').format(SHAPE),
    ],
    ids=["doctype", "bom", "metadata", "style", "clip", "no-viewbox"],
)
def test_what_drawing_programs_write_is_taken(svg: str) -> None:
    assert drawn(svg).getpixel((600, 300)) == (0, 170, 0, 255)


ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "a" * 10}">' for n in range(10))
USES = (
    "<defs><g id='g0'>"
    + SHAPE
    + "</g>"
    + "".join(f'<g id="g{n}">' + f'<use xlink:href="#g{n - 1}"/>' * 10 + "</g>" for n in range(1, 9))
    + '</defs><use xlink:href="#g8"/>'
)


@pytest.mark.parametrize(
    ("svg", "said"),
    [
        (f"<!DOCTYPE svg [{ENTITIES}]>" + SVG.format("<title>&e9;</title>" + SHAPE), "no SVG that can be read"),
        ('<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + SVG.format("<title>&x;</title>"), "entities"),
        ('<!DOCTYPE svg [<!ENTITY x "plain">]>' + SVG.format(SHAPE), "defines entities"),
        (SVG.format('<image xlink:href="file:///etc/hostname" width="9" height="9"/>'), "has the element <image>"),
        (SVG.format('<image href="/etc/hostname" width="9" height="9"/>'), "has the element <image>"),
        (SVG.format('<use href="http://127.0.0.1/logo.svg#a"/>'), "refers to 'http://127.0.0.1/logo.svg#a'"),
        (SVG.format('<rect width="9" height="9" fill="url(http://127.0.0.1/a#b)"/>'), "a logo holds all that it shows"),
        (SVG.format("<style>@import url(http://127.0.0.1/a.css);</style>"), "loads another (@import)"),
        (SVG.format("<style>rect{fill:\\75rl(http://127.0.0.1/a)}</style>"), "hides what it says"),
        (SVG.format("<script>alert(1)</script>"), "has the element <script>: a logo runs nothing"),
        (SVG.format('<rect onclick="alert(1)" width="9" height="9"/>'), "has the script onclick"),
        (SVG.format("<foreignObject/>"), "<foreignObject>"),
        (SVG.format("<text>Acme</text>"), "turn text into outlines"),
        (SVG.format('<filter id="f" width="99999"><feGaussianBlur stdDeviation="9999"/></filter>'), "<filter>"),
        (SVG.format('<pattern id="p" width="0.001" height="0.001"/>'), "has the element <pattern>"),
        (SVG.replace("0 0 100 50", "0 0 1e30 1e30").format(SHAPE), "is 1e+30 x 1e+30"),
        (SVG.replace("0 0 100 50", "0 0 nan 50").format(SHAPE), "is nan x 50"),
        (SVG.replace("0 0 100 50", "0 0 4000 1").format(SHAPE), "its longer side is at most 20 times"),
        (SVG.replace(' viewBox="0 0 100 50"', "").format(SHAPE), "has no viewBox"),
        (SVG.format("<g>" * 300 + SHAPE + "</g>" * 300), "no SVG that can be read: Excessive depth"),
        (SVG.format("<desc>" + "x" * 200_000 + "</desc>"), "a logo's SVG has at most 200,000"),
        (SVG.format(USES), "cannot be drawn"),
        (SVG.format('<path stroke="#000" stroke-width="1e20" d="M0 0L1e20 1e20L-1e20 3"/>'), "cannot be drawn"),
        (SVG.format('<g id="a"><use href="#a"/></g>'), "transparent everywhere"),
        (SVG.format(""), "transparent everywhere"),
        ("<html/>", "is no SVG: it begins with 'html'"),
        ("<svg", "is no SVG that can be read"),
    ],
    ids=range(27),
)
def test_a_hostile_svg_is_refused(svg: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        logo_png(svg.encode())


def test_an_svg_that_is_never_done_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logos, "SVG_SECONDS", 1)
    shape = SHAPE.replace("/>", ' mask="url(#m)"/>')
    layers = f'<mask id="m"><rect width="100" height="50" fill="#fff"/></mask>{shape * 1000}'
    with pytest.raises(ValueError, match="takes more than 1 s to draw"):
        logo_png(SVG.format(layers).encode())


def png_of(width: int, height: int, lines: int) -> bytes:
    """A PNG that says it has a size, and holds so many lines of it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes((1 + 3 * width) * lines))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (png_of(60_000, 60_000, 10), "60000 x 60000 pixels; a logo has at most 2000 a side"),
        (png_of(2001, 10, 10), "2001 x 10 pixels; a logo has at most 2000 a side"),
        (png()[:40], "is no PNG that can be read"),
        (png(colour="#00000000"), "is transparent everywhere"),
        (png() + bytes(2_000_000), "a logo's PNG has at most 2,000,000"),
        (b"\x1f\x8b" + bytes(9), "is packed (SVGZ)"),
        (b"\xff\xd8\xff", "is neither PNG nor SVG"),
    ],
    ids=range(7),
)
def test_a_png_that_will_not_do_is_refused(data: bytes, said: str) -> None:
    assert said in refusal(kit(logo={"data": b64(data)}))


def test_a_png_is_kept_as_its_pixels_alone_and_stays_so() -> None:
    file = io.BytesIO()
    noted = Image.open(io.BytesIO(png()))
    noted.save(file, "PNG", exif=b"Exif\0\0secret")
    made = prepare_kit(kit(logo={"data": b64(file.getvalue())}))
    assert b"secret" not in (made.logo_png() or b"secret")
    assert prepare_kit(json.loads(made.canonical)).digest == made.digest
    assert made.summary()["logo"] == [40, 20]


# The bucket.


BRAND = kit(fonts=[font(), font("brand-small", small_font())])


def test_a_kit_is_put_whole_and_read_once_while_it_stays_the_same(store: MemoryStore) -> None:
    put = put_kit(store, "acme", BRAND)
    assert (put.version, store.content_types["brands/acme.json"]) == (
        store.versions("brands/")[0].version,
        "application/json",
    )
    found = [get_kit(store, "acme") for _ in range(50)]
    assert all(one is found[0] for one in found)
    assert store.reads == ["brands/acme.json"]
    assert found[0] == put.kit
    assert found[0].digest == put.kit.digest
    put_kit(store, "acme", kit(line="acme.example"))
    assert get_kit(store, "acme").line == "acme.example"
    assert store.reads == ["brands/acme.json"] * 2
    assert [kit_name(one.key) for one in list_kits(store)] == ["acme"]


def test_a_kit_that_is_refused_leaves_the_one_that_is_there(store: MemoryStore) -> None:
    put_kit(store, "acme", BRAND)
    with pytest.raises(InvalidBatch):
        put_kit(store, "acme", kit(corner="top"))
    assert store.writes == ["brands/acme.json"]
    assert get_kit(store, "acme").corner == "lower-right"


@pytest.mark.parametrize("name", ["", "Acme", "../acme", "a/b", "a--b", "-a", "x" * 41, "ä"])
def test_a_name_that_is_none_reaches_no_bucket(store: MemoryStore, name: str) -> None:
    for asked in (lambda: put_kit(store, name, BRAND), lambda: get_kit(store, name)):
        with pytest.raises(InvalidBatch, match="is no name; right is"):
            asked()
    assert store.writes == store.listings == []


def test_a_kit_that_is_missing_is_refused_with_five_that_exist(store: MemoryStore) -> None:
    with pytest.raises(
        InvalidBatch, match="there is no brand kit 'acme'; there is none yet: `thumbs brand put NAME FILE`"
    ):
        get_kit(store, "acme")
    for number in range(6):
        put_kit(store, f"kit-{number}", kit())
    with pytest.raises(InvalidBatch, match="choose from: kit-0, kit-1, kit-2, kit-3, kit-4 and more") as refused:
        get_kit(store, "acme")
    assert refused.value.problems[0].field == "brand"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "the brand kit 'acme' is not JSON"),
        (b"{}", "the brand kit 'acme' is refused: colours is missing"),
        (json.dumps(kit(logo={"data": b64(SVG.format(SHAPE).encode())})).encode(), "is no PNG; a logo is a PNG"),
        (json.dumps(kit(fonts=[font(data=small_font(fs_type=2))])).encode(), "forbids embedding"),
        (b" " * (KIT_BYTES + 1), "is refused"),
    ],
)
def test_a_kit_that_somebody_else_wrote_is_checked_on_use(store: MemoryStore, body: bytes, said: str) -> None:
    store.put("brands/acme.json", body, "application/json")
    with pytest.raises(InvalidBatch, match="brand kit 'acme'") as refused:
        get_kit(store, "acme")
    assert said in str(refused.value)


def test_the_real_bucket_says_whether_a_kit_is_still_the_same() -> None:
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="kits")
        client.put_bucket_versioning(Bucket="kits", VersioningConfiguration={"Status": "Enabled"})
        real = Store.connect("kits", "", 60)
        assert real.get_unless("brands/acme.json", "") is None
        first = put_kit(real, "acme", kit())
        assert get_kit(real, "acme") is get_kit(real, "acme")
        etag = kits._read["kits", "acme"][0]
        assert real.get_unless("brands/acme.json", etag) == Stored(b"", {})
        assert put_kit(real, "acme", kit(line="new")).version != first.version
        assert get_kit(real, "acme").line == "new"
        assert client.head_object(Bucket="kits", Key="brands/acme.json")["ContentType"] == "application/json"


# Requests.


def asked(**changes: Any) -> dict[str, Any]:
    return {"prompts": ["A title"], "models": [GPT], "brand": "acme", **changes}


def test_a_request_may_name_what_is_the_kits_and_what_is_the_catalogues(store: MemoryStore) -> None:
    put_kit(store, "acme", {**BRAND, "templates": {"wide": {}, "tall": {}}})
    for changes, template, chosen in [
        ({}, "wide", "brand-sans"),
        ({"template": "tall", "font": "inter"}, "tall", "inter"),
        ({"template": "left-panel"}, "left-panel", "brand-sans"),
    ]:
        request = parse_request("generateBatch", asked(**changes), CAP, brands=brands_in(store))
        assert (request.template, request.font) == (template, chosen)
    for field in ("template", "font"):
        with pytest.raises(InvalidBatch, match=f"unknown {field} 'none'; choose from: (wide, tall|brand-sans), "):
            parse_request("generateBatch", asked(**{field: "none"}), CAP, brands=brands_in(store))


@pytest.mark.parametrize(
    ("title", "lacks"),
    [
        ("Plain & simple: “quotes”, 50 % 🎉", None),
        ("Cafe\u0301 Zürich", None),
        ("Почему", "П о ч е м у"),
        ("日本語のタイトル、日本語のもっと長いタイトル", "日 本 語 の タ イ ト ル も っ and 3 more"),
    ],
)
def test_a_title_whose_letters_the_brands_font_lacks_is_refused(
    store: MemoryStore, title: str, lacks: str | None
) -> None:
    put_kit(store, "acme", BRAND)
    value = asked(prompts=["A title", title])
    if lacks is None:
        parse_request("generateBatch", value, CAP, brands=brands_in(store))
        return
    with pytest.raises(InvalidBatch) as refused:
        parse_request("generateBatch", value, CAP, brands=brands_in(store))
    assert str(refused.value).startswith(
        f"prompts[1]: the brand's font 'brand-sans' lacks {lacks} (it has Latin); choose a font that has them"
    )
    assert parse_request("generateBatch", {**value, "font": "inter"}, CAP, brands=brands_in(store))


def test_a_request_without_a_brand_asks_the_bucket_nothing_more(store: MemoryStore) -> None:
    def never(_name: str) -> Kit:
        raise AssertionError

    parse_request("generateBatch", asked(brand=""), CAP, brands=never)
    cell = parse_cell({"title": "A title", "model": GPT}, run_id="r")
    assert brand_of(cell, never) == (cell, None)


def every_way_in(store: MemoryStore) -> dict[str, Any]:
    """What starts something with a brand, by the domain's functions."""
    value = asked()
    store.put("campaigns/posts.json", b'[{"title": "A title"}]', "application/json")
    store.put("campaigns/rows.json", b'[{"title": "A title", "brand": "acme"}]', "application/json")
    campaign = {"file": "campaigns/posts.json", "models": [GPT], "max_images": 9, "brand": "acme"}
    rows = {"file": "campaigns/rows.json", "models": [GPT], "max_images": 9}
    cell = parse_cell({"title": "A title", "model": GPT, "brand": "acme"}, run_id="r")

    def never(*_: object) -> Answer:
        raise AssertionError("a provider was called")

    def page(_url: str) -> Any:
        raise AssertionError("a page was read")

    return {
        "check": lambda: check("generateBatch", value, CAP, page, store=store),
        "page": lambda: check("generateBatch", {**value, "blog_url": "https://a.example"}, CAP, page, store=store),
        "open": lambda: open_run("generateBatch", "run-1", value, store, CAP),
        "resume": lambda: open_run("generateBatch", "run-2", {**value, "resume": "run-1"}, store, CAP),
        "campaign": lambda: open_campaign("camp", campaign, store, CAP),
        "rows": lambda: open_campaign("camp", rows, store, CAP),
        "cell": lambda: make_thumbnail(cell, store, never),
    }


@pytest.mark.parametrize("way", ["check", "page", "open", "resume", "campaign", "rows", "cell"])
def test_every_way_in_refuses_a_kit_that_is_not_there_before_anything_is_paid(store: MemoryStore, way: str) -> None:
    put_kit(store, "other", kit())
    # A campaign's own brand is wrong for every row, and is said once.
    place = "1 of 1 rows are refused: row 1: 'brand': " if way == "rows" else ""
    with pytest.raises(InvalidBatch, match=f"^{place}there is no brand kit 'acme'; choose from: other$"):
        every_way_in(store)[way]()
    assert not store.under("runs/") and not store.under("originals/")


def test_a_cell_is_held_against_its_kit_once_it_is_read(store: MemoryStore) -> None:
    put_kit(store, "acme", {**BRAND, "templates": {"wide": {}}})
    given = {"title": "A title", "model": GPT, "brand": "acme"}
    # Without a look at the bucket nobody knows what is in the kit.
    cell = parse_cell({**given, "template": "left-panel", "font": "brand-small"}, run_id="r")
    with pytest.raises(InvalidBatch, match="the brand's font 'brand-small' lacks t i l e"):
        brand_of(cell, brands_in(store))
    left_out, kit_of_it = brand_of(parse_cell(given, run_id="r"), brands_in(store))
    assert (left_out.template, left_out.font, kit_of_it) == ("wide", "brand-sans", get_kit(store, "acme"))
    with pytest.raises(InvalidBatch, match="unknown template 'none'; choose from: wide, "):
        brand_of(parse_cell({**given, "template": "none"}, run_id="r"), brands_in(store))


def test_finals_of_a_run_are_held_against_the_kit_as_it_is_now(store: MemoryStore) -> None:
    put_kit(store, "acme", BRAND)
    executions = MemoryExecutions()
    run_id, request = open_run("generateBatch", "run-1", asked(), store, CAP)
    executions.start("generateBatch", run_id, request.model_dump())
    run = get_status(run_id, executions, store, CAP)
    assert run
    assert run.request
    assert (run.request.brand, run.request.font) == ("acme", "brand-sans")
    assert finalise(run, [(0, 0)], "high", executions, store, cap=CAP).run_id
    put_kit(store, "acme", kit())
    with pytest.raises(InvalidBatch, match="unknown font 'brand-sans'"):
        finalise(run, [(0, 0)], "high", executions, store, cap=CAP)


def test_the_rows_of_a_file_ask_for_a_kit_once(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put_kit(store, "acme", BRAND)
    asks: list[str] = []
    get_unless = store.get_unless

    def counted(key: str, *given: Any) -> Stored | None:
        asks.append(key)
        return get_unless(key, *given)

    monkeypatch.setattr(store, "get_unless", counted)
    rows = [{"title": f"Title {number}", "brand": "acme"} for number in range(20)]
    store.put("campaigns/posts.json", json.dumps(rows).encode(), "application/json")
    opened = open_campaign("camp", {"file": "campaigns/posts.json", "models": [GPT], "max_images": 20}, store, CAP)
    assert opened["rows"] == 20
    assert asks == ["brands/acme.json"]
    assert store.json("campaigns/camp/requests.json")[7]["request"]["font"] == "brand-sans"


def test_a_broken_font_is_found_before_a_cell_is_paid_for(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put_kit(store, "acme", BRAND)

    def broken(*_: object) -> None:
        raise ValueError("is broken")

    monkeypatch.setattr("thumbnails.images.cell.open_font", broken)
    cell = parse_cell({"title": "A title", "model": GPT, "brand": "acme", "template": "left-panel"}, run_id="r")
    with pytest.raises(InvalidBatch, match="the brand's font brand-sans: the file is broken"):
        make_thumbnail(cell, store, lambda *_: pytest.fail("it was paid for"))


def test_the_digest_of_a_finished_image_changes_with_its_kit() -> None:
    cell = parse_cell({"title": "A title", "model": GPT}, run_id="r")
    given = [parse_kit(one) for one in (kit(), kit(line="a"), kit(line="a"))]
    digests = {image_digest("p", cell, one) for one in (None, *given)}
    assert len(digests) == 3
    # As it was before there were kits: finished images stay what they are.
    assert image_digest("p", cell) == image_digest("p", cell, None)


def test_a_state_machine_hands_the_brand_on() -> None:
    request = Batch(prompts=["A title"], models=[GPT], brand="acme")
    assert request.for_map()["brand"] == "acme"
    for name in ("generate_batch", "generate_thumbnails"):
        text = (PROJECT / f"statemachine/{name}.asl.json").read_text()
        assert text.count('"brand.$": "$.brand"') == text.count('"font.$": "$.font"') > 0


# HTTP and the command.


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, store: MemoryStore) -> Iterator[ApiGateway]:
    gateway = ApiGateway(store, MemoryExecutions())
    with served(monkeypatch, [gateway]):
        yield gateway


def test_a_kit_is_put_got_and_listed_over_http(api: ApiGateway) -> None:
    value = {**BRAND, "logo": {"data": b64(SVG.format(SHAPE).encode())}}
    status, answer = api("PUT", "/brands/acme", json.dumps(value))
    assert (status, answer["name"], answer["logo"], answer["fonts"][0]["scripts"]) == (
        200,
        "acme",
        [1200, 600],
        ["Latin"],
    )
    status, document = api("GET", "/brands/acme")
    assert (status, document["colours"]) == (200, COLOURS)
    assert Kit.model_validate(document).digest == answer["digest"]
    etag = api.answer["multiValueHeaders"]["ETag"][0]
    assert api("GET", "/brands/acme", headers={"if-none-match": etag})[0] == 304
    assert api("PUT", "/brands/acme", json.dumps(document))[1]["digest"] == answer["digest"]
    status, listed = api("GET", "/brands")
    assert [one["name"] for one in listed["brands"]] == ["acme"]


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "code"),
    [
        ("GET", "/brands/none", None, {}, 404, "not_found"),
        ("GET", "/brands/NONE", None, {}, 404, "not_found"),
        ("PUT", "/brands/Acme", json.dumps(kit()), {}, 422, "invalid_request"),
        ("PUT", "/brands/acme", json.dumps(kit(corner="top")), {}, 422, "invalid_request"),
        ("PUT", "/brands/acme", "{", {}, 400, "malformed_json"),
        ("PUT", "/brands/acme", json.dumps(kit()), {"content-type": "text/plain"}, 415, "unsupported_media_type"),
        ("PUT", "/brands/acme", " " * (KIT_BYTES * 4 // 3 + 9), {}, 413, "body_too_large"),
        ("DELETE", "/brands/acme", None, {}, 405, "method_not_allowed"),
        ("POST", "/batches", json.dumps(asked()), {}, 422, "invalid_request"),
        (
            "POST",
            "/thumbnails",
            json.dumps({"title": "A title", "models": [GPT], "brand": "x"}),
            {},
            422,
            "invalid_request",
        ),
    ],
)
def test_what_the_api_refuses_of_brands(
    api: ApiGateway, method: str, path: str, body: str | None, headers: dict[str, str], status: int, code: str
) -> None:
    found, answer = api(method, path, body, headers=headers)
    assert (found, answer["code"]) == (status, code)
    assert api.store.writes == []


def test_a_dry_run_knows_the_brand(api: ApiGateway) -> None:
    put_kit(api.store, "acme", BRAND)
    query = {"queryStringParameters": {"dry_run": "true"}, "multiValueQueryStringParameters": {"dry_run": ["true"]}}
    status, plan = api("POST", "/batches", json.dumps(asked()), **query)
    assert (status, plan["brand"], plan["font"]) == (200, "acme", "brand-sans")
    status, refused = api("POST", "/batches", json.dumps(asked(brand="other")), **query)
    assert (status, refused["problems"][0]["field"]) == (422, "brand")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, store: MemoryStore) -> CliRunner:
    class Here:
        def __init__(self) -> None:
            self.store = store

    monkeypatch.setattr(Application, "from_environment", Here)
    return CliRunner()


def run(command: CliRunner, *arguments: object) -> str:
    done = command.invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_the_command_checks_puts_shows_and_lists_the_example(command: CliRunner, store: MemoryStore) -> None:
    summary = json.loads(run(command, "brand", "check", EXAMPLE, "--json"))
    assert (summary["fonts"][0]["scripts"], summary["logo"], summary["contrast"]) == (["Latin"], [1200, 600], 13.28)
    assert store.writes == []
    put = json.loads(run(command, "brand", "put", "harbour-notes", EXAMPLE, "--json"))
    assert (put["name"], put["digest"]) == ("harbour-notes", summary["digest"])
    document = json.loads(run(command, "brand", "show", "harbour-notes", "--json"))
    assert parse_kit(document).digest == put["digest"]
    assert [one["name"] for one in json.loads(run(command, "brand", "list", "--json"))] == ["harbour-notes"]
    shown = run(command, "brand", "show", "harbour-notes")
    assert "harbour-display: Latin" in shown
    assert "13.28:1" in shown
    assert "harbour-notes" in run(command, "brand", "list")


def test_the_command_embeds_nothing_from_outside_the_kits_folder(command: CliRunner, tmp_path: Path) -> None:
    folder = tmp_path / "kit"
    shutil.copytree(EXAMPLE.parent, folder)
    (tmp_path / "secret.png").write_bytes(png())
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "near.png").symlink_to(folder / "logo.svg")
    file = folder / "kit.json"
    for named in (
        "../secret.png",
        str(tmp_path / "secret.png"),
        str(folder / "logo.svg"),
        "link.png",
        "fonts/../../secret.png",
    ):
        file.write_text(json.dumps(kit(logo={"file": named})))
        with pytest.raises(CommandError, match="is not in the kit's folder"):
            run(command, "brand", "check", file)
    for named, said in (
        ("none.png", "cannot be read"),
        ("", "is no path"),
        ("a\0b", "is no path"),
        ("fonts", "cannot be read"),
    ):
        file.write_text(json.dumps(kit(logo={"file": named})))
        with pytest.raises(CommandError, match=said):
            run(command, "brand", "check", file)
    file.write_text(json.dumps(kit(logo={"file": "near.png"})))
    assert "1200 x 600 pixels" in run(command, "brand", "check", file)


def test_the_command_says_everything_that_is_wrong_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "kit.json"
    file.write_text(json.dumps(kit(corner="top", line="a\nb")))
    thumbs = Path(sys.executable).with_name("thumbs")
    done = subprocess.run([thumbs, "brand", "check", file], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "corner must be" in done.stderr
    assert "line: has a line break" in done.stderr


# The published schema.


def test_the_schema_is_that_of_the_code_and_takes_the_example_and_what_is_stored() -> None:
    published = json.loads((PROJECT / "docs/schema/brand.schema.json").read_text())
    assert published == json_schema(), "write it anew: make schema"
    jsonschema.Draft202012Validator.check_schema(published)
    validator = jsonschema.Draft202012Validator(published)
    validator.validate(json.loads(EXAMPLE.read_text()))
    validator.validate(json.loads(prepare_kit(BRAND).canonical))
    validator.validate(kit(templates={"big": {"colour": "deep", "tall": {"lines": 4}}}))
    for wrong in (
        kit(templates={"big": {"any": 1}}),
        kit(templates={"Big": {}}),
        kit(corner="top"),
        kit(any=1),
        kit(logo={}),
        kit(fonts=[font(may_embed=False)]),
        {},
    ):
        assert not validator.is_valid(wrong)
