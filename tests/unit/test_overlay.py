"""The overlay end to end: picture bytes in, finished JPEG out, looked at by its pixels."""

import io
import random
import struct
import zlib
from collections.abc import Callable

import pytest
from PIL import Image, ImageChops, ImageCms, ImageDraw, ImageStat, JpegImagePlugin
from PIL.PngImagePlugin import PngInfo

from thumbnails.catalog import FONTS, FORMATS, OUTPUTS, TEMPLATES, Output
from thumbnails.errors import UnusablePicture
from thumbnails.images.overlay import crops, vectors
from thumbnails.images.overlay.compose import Words, draw_formats, draw_overlay
from thumbnails.images.overlay.layout import measure
from thumbnails.images.overlay.picture import Picture, encode, open_picture
from thumbnails.images.overlay.templates import place

TITLE = "How we cut our AWS bill by 80% without losing a feature"


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def opened(jpeg: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(jpeg))
    picture.load()
    return picture


def canvas_of(data: bytes) -> Image.Image:
    return open_picture(data).fitted((1200, 630))


def halves(width: int = 1600, height: int = 900) -> Image.Image:
    """Red on the left, blue on the right."""
    picture = Image.new("RGB", (width, height), "red")
    picture.paste((0, 0, 255), (width // 2, 0, width, height))
    return picture


def pixel(picture: Image.Image, at: tuple[int, int]) -> tuple[int, ...]:
    found = picture.getpixel(at)
    assert isinstance(found, tuple)
    return found


def is_close(got: tuple[int, ...], wanted: tuple[int, ...], tolerance: int = 12) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(got, wanted, strict=True))


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_output_is_a_jpeg_of_the_canvas_size(template: str) -> None:
    finished = draw_overlay(encoded(halves()), TITLE, template, "inter")
    picture = opened(finished.file)
    assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (1200, 630))
    assert len(finished.file) <= 250_000
    assert finished.warnings == ()


def textured(detail: int) -> Image.Image:
    """A gradient with noise of this strength in it."""
    grain = Image.frombytes("L", (1200, 630), random.Random(1).randbytes(1200 * 630))  # noqa: S311 (no secret)
    grain = grain.point([round(128 + (value - 128) * detail / 128) for value in range(256)])
    shade = Image.linear_gradient("L").resize((1200, 630))
    return Image.merge("RGB", [ImageChops.add(shade, grain, 2, offset) for offset in (-10, 10, 30)])


def error_of(picture: Image.Image, jpeg: bytes) -> float:
    """The mean of the squared differences between a picture and its file."""
    return sum(ImageStat.Stat(ImageChops.difference(picture, opened(jpeg))).sum2) / (3 * 1200 * 630)


@pytest.mark.parametrize("sharp_chroma", [False, True])
def test_a_jpeg_is_as_near_to_its_canvas_as_one_of_quality_85(sharp_chroma: bool) -> None:
    canvas = textured(12)
    usual = encoded(canvas, "JPEG", quality=85, subsampling=0 if sharp_chroma else 2)
    assert error_of(canvas, encode(canvas, sharp_chroma)) <= error_of(canvas, usual)


def huffman_tables(jpeg: bytes) -> bytes:
    """The tables that a JPEG is coded by (ITU T.81, B.2.4.2)."""
    found, at = b"", 2
    while jpeg[at + 1] != 0xDA:
        size = int.from_bytes(jpeg[at + 2 : at + 4], "big")
        found += jpeg[at + 4 : at + 2 + size] if jpeg[at + 1] == 0xC4 else b""
        at += 2 + size
    return found


@pytest.mark.parametrize(("detail", "own_code"), [(0, True), (16, False), (128, True)], ids=["flat", "usual", "busy"])
def test_a_jpeg_has_a_code_of_its_own_where_that_saves_much(detail: int, own_code: bool) -> None:
    standard = huffman_tables(encoded(Image.new("RGB", (16, 16)), "JPEG"))
    finished = encode(textured(detail), sharp_chroma=False)
    assert len(finished) <= 250_000
    assert (huffman_tables(finished) != standard) == own_code


@pytest.mark.parametrize(
    ("mode", "size"),
    [("RGB", (1536, 806)), ("RGB", (700, 500)), ("L", (1536, 806)), ("L", (300, 158)), ("CMYK", (5000, 2700))],
)
def test_a_picture_looks_the_same_where_there_are_no_vector_instructions(
    mode: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = textured(60).resize(size).convert(mode)
    box = (10.5, 4.0, size[0] - 20.25, size[1] - 1.5)
    by_vectors = vectors.resized(picture, (1200, 630), box)
    monkeypatch.setattr(vectors, "_SPLINE", None)
    by_pillow = vectors.resized(picture, (1200, 630), box)
    assert by_vectors.mode == by_pillow.mode == mode
    difference = ImageStat.Stat(ImageChops.difference(by_vectors, by_pillow))
    assert max(difference.mean) < 1
    assert max(high for _, high in difference.extrema) <= 8


@pytest.mark.parametrize("width", [900, 1], ids=["whole", "a column"])
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (12, 130, 250)])
def test_a_colour_covers_alike_where_there_are_no_vector_instructions(
    colour: tuple[int, int, int], width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = Image.linear_gradient("L").resize((width, 400))
    by_vectors, by_pillow, before = textured(24), textured(24), textured(24)
    vectors.lay(by_vectors, (100, 200, 1000, 600), colour, mask)
    monkeypatch.setattr(vectors, "_SPLINE", None)
    vectors.lay(by_pillow, (100, 200, 1000, 600), colour, mask)
    difference = ImageStat.Stat(ImageChops.difference(by_vectors, by_pillow))
    assert max(high for _, high in difference.extrema) <= (1 if any(colour) else 0)
    assert pixel(by_vectors, (500, 599)) == colour
    assert by_vectors.crop((0, 0, 1200, 201)).tobytes() == before.crop((0, 0, 1200, 201)).tobytes()


def test_a_resized_picture_is_one_of_its_own() -> None:
    picture = halves(1200, 630)
    part = vectors.resized(picture, (1200, 630), (0, 0, 1200, 630))
    part.paste(0, (0, 0, 1200, 630))
    assert pixel(picture, (5, 5)) == (255, 0, 0)


@pytest.mark.parametrize(("colour", "sampling"), [("red", 0), ((200, 210, 205), 2)], ids=["red", "greyish"])
def test_chroma_is_whole_only_where_text_edges_would_bleed(colour: str | tuple[int, ...], sampling: int) -> None:
    backdrop = encoded(Image.new("RGB", (1200, 630), colour))
    finished = opened(draw_overlay(backdrop, TITLE, "overlay-center", "inter").file)
    assert JpegImagePlugin.get_sampling(finished) == sampling


@pytest.mark.parametrize("template", ["bottom-bar", "left-panel", "center-box", "overlay-bottom", "overlay-center"])
def test_the_text_is_white_and_the_picture_outside_the_overlay_is_untouched(template: str) -> None:
    picture = opened(draw_overlay(encoded(Image.new("RGB", (1200, 630), (30, 120, 60))), TITLE, template, "inter").file)
    ink = measure(TITLE, template, "inter").lines[0].ink
    shades = sorted(picture.crop(ink).convert("L").tobytes())
    assert shades[0] < 100 and shades[-1] > 245
    corner = (1190, 10)
    assert is_close(pixel(picture, corner), (30, 120, 60))


@pytest.mark.parametrize("template", ["bottom-bar", "left-panel", "center-box"])
def test_a_panel_is_black_at_78_percent(template: str) -> None:
    picture = opened(draw_overlay(encoded(Image.new("RGB", (1200, 630), "white")), TITLE, template, "inter").file)
    panel = place(TEMPLATES[template]).panel
    assert panel
    assert is_close(pixel(picture, (panel[0] + 8, panel[1] + 8)), (56, 56, 56), 3)
    assert is_close(pixel(picture, (panel[2] - 8, panel[3] - 8)), (56, 56, 56), 3)


@pytest.mark.parametrize(
    "size", [(1536, 1024), (1024, 1536), (1376, 768), (2752, 1536), (400, 100), (1, 1), (630, 1200)]
)
def test_a_picture_of_any_shape_is_cut_to_its_middle(size: tuple[int, int]) -> None:
    canvas = canvas_of(encoded(halves(*size) if size[0] > 1 else Image.new("RGB", size, "red")))
    assert canvas.size == (1200, 630)
    assert pixel(canvas, (5, 315)) == (255, 0, 0)
    if size[0] > 1:
        assert pixel(canvas, (1194, 315)) == (0, 0, 255)
        middle = next(x for x in range(1200) if pixel(canvas, (x, 315))[2] > 127)
        assert abs(middle - 600) <= 3


@pytest.mark.parametrize("size", [(2752, 1536), (5504, 3072), (1260, 2400)])
def test_a_large_jpeg_is_cut_to_its_middle_too(size: tuple[int, int]) -> None:
    canvas = canvas_of(encoded(halves(*size), "JPEG"))
    assert canvas.size == (1200, 630)
    assert is_close(pixel(canvas, (590, 315)), (254, 0, 0)) and is_close(pixel(canvas, (610, 315)), (0, 0, 254))


def test_an_even_tall_picture_loses_as_much_above_as_below() -> None:
    picture = Image.new("RGB", (1200, 1200), (200, 200, 200))
    assert crops.choose(picture, (1200, 630)) == (0, 285, 1200, 915)


@pytest.mark.parametrize("size", [(1080, 1920), (1080, 1080), (1080, 1350)])
@pytest.mark.parametrize("at", [200, 800, 1300])
def test_a_crop_follows_the_detail(at: int, size: tuple[int, int]) -> None:
    picture = Image.new("RGB", (1536, 806), (210, 220, 230))
    pen = ImageDraw.Draw(picture)
    for step in range(0, 120, 12):
        pen.rectangle((at - 60 + step, 300, at - 54 + step, 560), fill=(160, 30, 40))
    left, _, right, _ = crops.choose(picture, size)
    assert left <= at - 60 and at + 60 <= right
    assert left >= 0 and right <= 1536


def test_a_crop_shows_the_detail_above_a_panel_and_not_under_it() -> None:
    picture = Image.new("RGB", (1200, 1800), (210, 220, 230))
    ImageDraw.Draw(picture).ellipse((500, 1000, 700, 1200), fill=(160, 30, 40))
    _, plain, _, _ = crops.choose(picture, (1200, 630))
    _, above, _, _ = crops.choose(picture, (1200, 630), hidden=(0, 428, 1200, 630))
    # The lower the crop's upper edge, the higher the ellipse stands in it.
    assert above > plain
    assert 1200 - above <= 428


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_comes_as_every_kind_of_file(form: str, output: Output) -> None:
    words = Words(TITLE, "gradient-scrim", "inter", "News", "example.com")
    one, other = draw_formats(encoded(halves()), words, [form, "og"], output)
    picture = opened(one.file)
    assert picture.format == output.upper()
    assert picture.size == (FORMATS[form].width, FORMATS[form].height)
    assert other == draw_formats(encoded(halves()), words, ["og"], output)[0]
    assert len(one.file) <= 250_000 * max(1, picture.width * picture.height / 756_000)


def rotated_by_exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = halves(1200, 630)
    stored = {
        3: upright.transpose(Image.Transpose.ROTATE_180),
        6: upright.transpose(Image.Transpose.ROTATE_90),
        8: upright.transpose(Image.Transpose.ROTATE_270),
    }[orientation]
    return encoded(stored, "JPEG", exif=exif, quality=95)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_orientation_is_undone(orientation: int) -> None:
    canvas = canvas_of(rotated_by_exif(orientation))
    assert canvas.size == (1200, 630)
    assert is_close(pixel(canvas, (20, 315)), (254, 0, 0))
    assert is_close(pixel(canvas, (1180, 315)), (0, 0, 254))


def transparent() -> bytes:
    picture = halves().convert("RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, 1600, 450))
    return encoded(picture)


def test_what_shows_through_becomes_white() -> None:
    canvas = canvas_of(transparent())
    assert pixel(canvas, (100, 50)) == (255, 255, 255)
    assert pixel(canvas, (100, 600)) == (255, 0, 0)


def transparent_palette() -> bytes:
    picture = halves().quantize(4)
    index = picture.getpixel((10, 10))
    return encoded(picture, transparency=index)


def test_a_transparent_palette_entry_becomes_white() -> None:
    canvas = canvas_of(transparent_palette())
    assert pixel(canvas, (100, 50)) == (255, 255, 255)
    assert is_close(pixel(canvas, (1100, 50)), (0, 0, 255))


@pytest.mark.parametrize(
    "data",
    [
        encoded(halves().quantize(16)),
        encoded(halves().convert("CMYK"), "JPEG", quality=95),
        encoded(halves(), "JPEG", quality=95),
        encoded(halves(), "WEBP", lossless=True),
        encoded(halves(), "GIF"),
        encoded(halves().convert("RGBA")),
    ],
    ids=["palette", "CMYK", "JPEG", "WebP", "GIF", "opaque alpha"],
)
def test_every_kind_of_input_keeps_its_colours(data: bytes) -> None:
    canvas = canvas_of(data)
    assert canvas.mode == "RGB"
    assert is_close(pixel(canvas, (100, 315)), (255, 0, 0), 25)
    assert is_close(pixel(canvas, (1100, 315)), (0, 0, 255), 25)


@pytest.mark.parametrize(
    "picture",
    [
        Image.new("L", (1300, 700), 128),
        Image.new("LA", (1300, 700), (128, 255)),
        Image.new("I;16", (1300, 700), 128 * 257),
    ],
    ids=["grey", "grey and alpha", "16 bits"],
)
def test_grey_pictures_stay_grey(picture: Image.Image) -> None:
    assert is_close(pixel(canvas_of(encoded(picture)), (600, 315)), (128, 128, 128), 1)


def test_black_and_white_pictures_open() -> None:
    assert pixel(canvas_of(encoded(Image.new("1", (1300, 700), 1))), (600, 315)) == (255, 255, 255)


def test_an_embedded_profile_is_turned_into_srgb() -> None:
    linear = _linear_light_profile()
    canvas = canvas_of(encoded(Image.new("RGB", (1200, 630), (55, 55, 55)), icc_profile=linear))
    # 55/255 in linear light is 0.2157, which sRGB writes as 128.
    assert is_close(pixel(canvas, (600, 315)), (128, 128, 128), 3)


def _linear_light_profile() -> bytes:
    """The sRGB profile of LittleCMS with its tone curves replaced by straight lines."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack_from(">I", profile, 128)[0]
    for i in range(count):
        name, at, _ = struct.unpack_from(">4sII", profile, 132 + 12 * i)
        if name in (b"rTRC", b"gTRC", b"bTRC"):
            profile[at : at + 12] = b"curv" + bytes(8)
        if name == b"desc":
            profile[at : at + 40] = (
                bytes(profile[at : at + 40]).replace(b"s\0R\0G\0B", b"l\0i\0n\0e").replace(b"sRGB", b"line")
            )
    return bytes(profile)


def test_an_unreadable_profile_is_passed_over() -> None:
    canvas = canvas_of(encoded(halves(), icc_profile=b"no profile"))
    assert pixel(canvas, (100, 315)) == (255, 0, 0)


def huge_header() -> bytes:
    """A PNG whose header claims 40,000 x 40,000 pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: b"", "not a JPEG"),
        (lambda: b"<html>busy</html>", "not a JPEG"),
        (lambda: encoded(halves(), "BMP"), "not a JPEG"),
        (lambda: encoded(halves(), "JPEG")[:3000], "cut short"),
        (lambda: encoded(halves())[:2000], "cut short"),
        (lambda: encoded(Image.new("1", (8000, 7000))), "8000 x 7000"),
        (huge_header, "pixels"),
    ],
    ids=["nothing", "HTML", "BMP", "cut JPEG", "cut PNG", "56 million pixels", "bomb"],
)
def test_an_unusable_picture_is_named_as_such(make: Callable[[], bytes], message: str) -> None:
    with pytest.raises(UnusablePicture, match=message):
        draw_overlay(make(), TITLE, "bottom-bar", "inter")


def noise() -> Image.Image:
    return Image.merge("RGB", [Image.effect_noise((1536, 816), 60) for _ in range(3)])


@pytest.mark.parametrize("lacking", [1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_lacks_its_end_marker_is_drawn_like_the_whole(lacking: int, progressive: bool) -> None:
    whole = encoded(noise(), "JPEG", progressive=progressive)
    assert draw_overlay(whole[:-lacking], TITLE, "bottom-bar", "inter") == draw_overlay(
        whole, TITLE, "bottom-bar", "inter"
    )


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("lacking", [3, 4, 10, 1000])
def test_a_jpeg_that_lacks_more_is_not_drawn(lacking: int, progressive: bool) -> None:
    whole = encoded(noise(), "JPEG", progressive=progressive)
    with pytest.raises(UnusablePicture, match="cut short"):
        draw_overlay(whole[:-lacking], TITLE, "bottom-bar", "inter")


def test_a_png_with_large_text_chunks_is_drawn() -> None:
    text = PngInfo()
    text.add_text("parameters", "x" * 3_000_000, zip=True)
    text.add_itxt("XML:com.adobe.xmp", "y" * 2_000_000)
    text.add(b"tEXt", b"Comment\0after the picture", after_idat=True)
    picture = noise()
    assert draw_overlay(encoded(picture, "PNG", pnginfo=text), TITLE, "bottom-bar", "inter") == draw_overlay(
        encoded(picture, "PNG"), TITLE, "bottom-bar", "inter"
    )


def test_a_picture_too_busy_for_quality_85_still_keeps_to_250_kb() -> None:
    noise = Image.merge("RGB", [Image.effect_noise((1536, 1024), 120) for _ in range(3)])
    finished = draw_overlay(encoded(noise), TITLE, "overlay-center", "inter")
    assert len(finished.file) <= 250_000


@pytest.mark.parametrize("font", FONTS)
def test_each_font_draws_its_own_letters(font: str) -> None:
    layout = measure("Hamburgefonts", "center-box", font)
    assert {run.font for line in layout.lines for run in line.runs} == {font}
    assert layout.missing == ()


def test_a_title_that_does_not_fit_at_32_px_ends_in_an_ellipsis_and_a_warning() -> None:
    title = " ".join(["word"] * 40)
    finished = draw_overlay(encoded(halves()), title, "left-panel", "press-start-2p")
    assert any("ellipsis" in warning for warning in finished.warnings)
    layout = measure(title, "left-panel", "press-start-2p")
    assert layout.size == 32
    assert layout.lines[-1].text.endswith("…")


def test_a_character_that_no_font_has_is_named() -> None:
    finished = draw_overlay(encoded(halves()), "Script 𞊐 rocks", "bottom-bar", "inter")
    assert any("U+1E290" in warning for warning in finished.warnings)
    assert measure("Script 𞊐 rocks", "bottom-bar", "inter").lines[0].text == "Script rocks"


def test_unknown_names_are_refused() -> None:
    with pytest.raises(KeyError):
        draw_overlay(encoded(halves()), TITLE, "no-such-template", "inter")


def test_drawing_is_repeatable() -> None:
    data = encoded(halves())
    assert draw_overlay(data, TITLE, "overlay-center", "lora") == draw_overlay(data, TITLE, "overlay-center", "lora")


@pytest.mark.parametrize("template", ["bottom-bar", "left-panel", "center-box", "overlay-bottom", "overlay-center"])
def test_the_ink_is_where_the_layout_says(template: str) -> None:
    picture = opened(draw_overlay(encoded(Image.new("RGB", (1200, 630), "black")), TITLE, template, "inter").file)
    bright = picture.convert("L").point([0] * 100 + [255] * 156)
    layout = measure(TITLE, template, "inter")
    found = bright.getbbox()
    assert found
    wanted = (
        min(line.ink[0] for line in layout.lines),
        layout.lines[0].ink[1],
        max(line.ink[2] for line in layout.lines),
        layout.lines[-1].ink[3],
    )
    assert all(abs(a - b) <= 2 for a, b in zip(found, wanted, strict=True)), (template, found, wanted)
    left, top, right, bottom = place(TEMPLATES[template]).box
    assert left - 3 <= found[0] and top <= found[1] and found[2] <= right and found[3] <= bottom
    ImageDraw.Draw(bright).rectangle((left - 3, top, right, bottom), fill=0)
    assert bright.getbbox() is None


@pytest.mark.parametrize("height", [540, 640, 768, 816, 1024])
def test_a_picture_of_any_shape_fills_the_canvas(height: int) -> None:
    for width in range(1100, 1800, 7):
        assert Picture(Image.new("L", (width, height)), None).fitted((1200, 630)).size == (1200, 630)
