"""Picture bytes in, canvases out; a canvas in, a file out."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from PIL import Image, ImageCms

from thumbnails.errors import UnusablePicture
from thumbnails.images.overlay import crops
from thumbnails.images.overlay.templates import DEFAULT_OUTPUT, HEIGHT, WIDTH, Box, Output
from thumbnails.images.overlay.vectors import resized

MAX_PIXELS = 50_000_000
MAX_BYTES = 250_000
QUALITY = 85
# A file below this is of a picture with little in it, on which Huffman tables of its own save a tenth or more.
_FLAT_BYTES = 60_000
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
_ORIENTATION = 0x0112
# EXIF orientation → what turns the stored picture upright (Exif 2.32, 4.6.4 A).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (_UPRIGHT[5], _UPRIGHT[6], _UPRIGHT[7], _UPRIGHT[8])
_PNG, _JPEG = b"\x89PNG", b"\xff\xd8"
# The marker that ends a JPEG (ITU T.81, B.1.1.3), and bytes that would be part of a picture that has not ended.
_END, _MORE = b"\xff\xd9", b"\x5a\xa5" * 512
# What to give up, in this order, when a picture is too busy for MAX_BYTES: (quality, chroma subsampling).
_LADDER = ((78, 0), (78, 2), (70, 2), (60, 2), (50, 2), (40, 2), (30, 2), (20, 2), (10, 2))
# Steps of quantisation by what the eye tells apart (Peterson, Ahumada and Watson, "An improved detection model for DCT
# coefficient quantization", 1993). A file that scores alike is 5 % smaller than by those of JPEG's Annex K.
_LUMA = (
    (14, 10, 11, 14, 19, 25, 34, 45),
    (10, 11, 11, 12, 15, 20, 26, 33),
    (11, 11, 15, 18, 21, 25, 31, 38),
    (14, 12, 18, 24, 28, 33, 39, 47),
    (19, 15, 21, 28, 36, 43, 51, 59),
    (25, 20, 25, 33, 43, 54, 64, 74),
    (34, 26, 31, 39, 51, 64, 77, 91),
    (45, 33, 38, 47, 59, 74, 91, 108),
)
# JPEG's own for colour (ITU T.81, table K.2): in its other rows every step is 99.
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *[(99,) * 8] * 4,
)
# What makes these tables look as Annex K's do at the same quality.
_LUMA_AT_50, _CHROMA_AT_50 = 1.4, 1.13


@dataclass(frozen=True)
class Picture:
    """A provider's picture, decoded once: upright, in a mode that can be resized, not yet in sRGB."""

    pixels: Image.Image
    profile: bytes | None

    def fitted(self, size: tuple[int, int], hidden: Box | None = None) -> Image.Image:
        """The picture cut to a canvas: opaque, sRGB, as large as asked for.

        What is cut off is what has the least detail (see ``crops``).

        Args:
            size: width and height in pixels.
            hidden: the part of the canvas that something opaque will cover.
        """
        box = crops.choose(self.pixels, size, hidden, lambda _: self._detail)
        return _in_srgb(resized(self.pixels, size, box), self.profile)

    @cached_property
    def _detail(self) -> Image.Image:
        return crops.detail(self.pixels)


def open_picture(data: bytes, sizes: Sequence[tuple[int, int]] = ((WIDTH, HEIGHT),)) -> Picture:
    """Decode a picture of which canvases of these sizes, in pixels, are to be cut.

    Raises:
        UnusablePicture: bytes that are no JPEG, PNG, WebP or GIF, a picture cut short, and one of more than 50 million
            pixels, which is told from its header before anything is decoded.
    """
    picture = _opened(data)
    try:
        return _decoded(picture, sizes)
    except Exception as error:
        try:
            return _decoded(_opened(_mended(data)), sizes)
        except Exception:
            # The first complaint is about the picture itself.
            raise UnusablePicture(f"the {picture.format} picture is damaged or cut short: {error}") from error


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height in pixels as the picture is looked at, from its header alone.

    Raises UnusablePicture as ``open_picture`` does.
    """
    picture = _opened(data)
    turned = _UPRIGHT.get(picture.getexif().get(_ORIENTATION, 1)) in _SIDEWAYS
    return (picture.height, picture.width) if turned else picture.size


def _opened(data: bytes) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(data if data[:4] != _PNG else _without_text(data)), formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnusablePicture(f"the picture has more than {MAX_PIXELS:,} pixels") from error
    except Exception as error:
        raise UnusablePicture(f"the answer's {len(data):,} bytes are not a JPEG, PNG, WebP or GIF picture") from error
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise UnusablePicture(f"the picture is {width} x {height}; more than {MAX_PIXELS:,} pixels are not opened")
    return picture


def _without_text(png: bytes) -> bytes:
    """A PNG without its text chunks (PNG 3rd edition, 11.3.3): Pillow refuses those of more than a megabyte."""
    kept, at = [png[:8]], 8
    while at + 12 <= len(png):
        end = at + 12 + int.from_bytes(png[at : at + 4], "big")
        if png[at + 4 : at + 8] not in (b"tEXt", b"zTXt", b"iTXt"):
            kept.append(png[at:end])
        at = end
    return b"".join(kept) + png[at:]


def _mended(data: bytes) -> bytes:
    """A JPEG that lacks nothing but its end marker, with it.

    A decoder fills up what a picture lacks without complaint. What is whole looks the same whatever follows it, so it
    is decoded with two endings.

    Raises ValueError for any other picture.
    """
    whole = data.rstrip(b"\xff")
    if data[:2] == _JPEG and _pixels(whole + _END) == _pixels(whole + _MORE + _END):
        return whole + _END
    raise ValueError("more is missing than the end marker")


def _pixels(jpeg: bytes) -> bytes:
    return Image.open(io.BytesIO(jpeg), formats=("JPEG",)).tobytes()


def _decoded(picture: Image.Image, sizes: Sequence[tuple[int, int]]) -> Picture:
    turn = _UPRIGHT.get(picture.getexif().get(_ORIENTATION, 1))
    # A JPEG of at least twice what is needed is decoded at a half, a quarter or an eighth straight away.
    width, height = max(width for width, _ in sizes), max(height for _, height in sizes)
    picture.draft(None, (height, width) if turn in _SIDEWAYS else (width, height))
    picture.load()
    plain = _with_plain_mode(picture)
    return Picture(plain if turn is None else plain.transpose(turn), picture.info.get("icc_profile"))


def _with_plain_mode(picture: Image.Image) -> Image.Image:
    """The picture in a mode that can be resized: L, RGB, CMYK, or RGBA where something shows through."""
    if picture.mode.startswith("I"):
        return picture.convert("I").point(lambda value: value * (1 / 257)).convert("L")  # 16 bits of grey
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        alpha = picture.getchannel("A").getextrema()
        return picture if alpha != (255, 255) else picture.convert("RGB")
    return picture if picture.mode in ("L", "RGB", "CMYK") else picture.convert("RGB")


def _in_srgb(canvas: Image.Image, profile: bytes | None) -> Image.Image:
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "sRGB" not in ImageCms.getProfileDescription(source):
                alpha = canvas.getchannel("A") if canvas.mode == "RGBA" else None
                flat = canvas.convert("RGB") if alpha else canvas
                converted = ImageCms.profileToProfile(flat, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
                if converted is not None:
                    canvas = converted
                    if alpha:
                        canvas.putalpha(alpha)
        except (ImageCms.PyCMSError, OSError):
            pass  # a profile that can't be read says nothing about the colours
    if canvas.mode == "RGBA":
        white = Image.new("RGB", canvas.size, "white")
        white.paste(canvas, mask=canvas.getchannel("A"))
        return white
    return canvas if canvas.mode == "RGB" else canvas.convert("RGB")


def encode(canvas: Image.Image, sharp_chroma: bool, output: Output = DEFAULT_OUTPUT) -> bytes:
    """The canvas as a file of at most 250 kB for each 1200 × 630 pixels, of quality 85 unless it is too busy for that.

    ``sharp_chroma`` keeps the colour at full resolution (4:4:4) in place of a quarter (4:2:0).
    """
    area = max(1.0, canvas.width * canvas.height / (WIDTH * HEIGHT))
    chroma = 0 if sharp_chroma else 2
    if output == "jpeg":
        # The standard's Huffman tables take a third of the time, and most pictures a few percent more bytes.
        file = _jpeg(canvas, QUALITY, chroma, own_code=False)
        if _FLAT_BYTES * area < len(file) <= MAX_BYTES * area:
            return file
    file = b""
    for quality, subsampling in ((QUALITY, chroma), *_LADDER):
        if output == "jpeg":
            file = _jpeg(canvas, quality, subsampling, own_code=True) or file
        else:
            file = _other(canvas, quality, subsampling, output)
        if file and len(file) <= MAX_BYTES * area:
            break
    return file


def _jpeg(canvas: Image.Image, quality: int, subsampling: int, *, own_code: bool) -> bytes:
    """A sequential JPEG, in a Huffman code of its own or in the standard's; nothing where its own takes too much."""
    buffer = io.BytesIO()
    tables = _steps(quality)
    try:
        canvas.save(buffer, "JPEG", qtables=tables, subsampling=subsampling, optimize=own_code)
    except OSError:
        return b""  # Pillow holds an optimised JPEG of at most a byte per pixel, which is too large here anyway
    return buffer.getvalue()


@lru_cache
def _steps(quality: int) -> list[list[int]]:
    """The steps of quantisation for a quality, scaled as the IJG's library scales those of Annex K."""
    scale = 2 - quality / 50 if quality >= 50 else 50 / quality
    tables = ((_LUMA, _LUMA_AT_50), (_CHROMA, _CHROMA_AT_50))
    return [[min(255, max(1, round(step * at_50 * scale))) for row in rows for step in row] for rows, at_50 in tables]


def _other(canvas: Image.Image, quality: int, subsampling: int, output: Output) -> bytes:
    buffer = io.BytesIO()
    if output == "webp":
        canvas.save(buffer, "WEBP", quality=quality, method=4)
    else:
        # AVIF's scale is another: 60 looks as JPEG's 85 does.
        chroma = "4:2:0" if subsampling else "4:4:4"
        canvas.save(buffer, "AVIF", quality=round(quality * 0.7), subsampling=chroma, speed=8)
    return buffer.getvalue()
