"""Picture bytes in, canvas out; canvas in, JPEG bytes out."""

import io

from PIL import Image, ImageCms

from thumbnails.errors import UnusablePicture
from thumbnails.images.overlay.templates import HEIGHT, WIDTH

MAX_PIXELS = 50_000_000
MAX_BYTES = 250_000
QUALITY = 85
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


def open_picture(data: bytes) -> Image.Image:
    """Decode ``data`` and cut it to the canvas: upright, centred, opaque, sRGB, 1200 × 630 pixels.

    Raises UnusablePicture for bytes that are no JPEG, PNG, WebP or GIF, for a picture cut short, and for one of more
    than 50 million pixels, which is told from its header before anything is decoded.
    """
    picture = _opened(data)
    try:
        return _to_canvas(picture)
    except Exception as error:
        try:
            return _to_canvas(_opened(_mended(data)))
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


def _to_canvas(picture: Image.Image) -> Image.Image:
    turn = _UPRIGHT.get(picture.getexif().get(_ORIENTATION, 1))
    sideways = turn in _SIDEWAYS
    target = (HEIGHT, WIDTH) if sideways else (WIDTH, HEIGHT)
    # A JPEG of at least twice the canvas is decoded at a half, a quarter or an eighth straight away.
    picture.draft(None, target)
    picture.load()
    profile = picture.info.get("icc_profile")
    canvas = _resized(_with_plain_mode(picture), target)
    if turn is not None:
        canvas = canvas.transpose(turn)
    return _in_srgb(canvas, profile)


def _with_plain_mode(picture: Image.Image) -> Image.Image:
    """The picture in a mode that can be resized: L, RGB, CMYK, or RGBA where something shows through."""
    if picture.mode.startswith("I"):
        return picture.convert("I").point(lambda value: value * (1 / 257)).convert("L")  # 16 bits of grey
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        alpha = picture.getchannel("A").getextrema()
        return picture if alpha != (255, 255) else picture.convert("RGB")
    return picture if picture.mode in ("L", "RGB", "CMYK") else picture.convert("RGB")


def _resized(picture: Image.Image, target: tuple[int, int]) -> Image.Image:
    width, height = picture.size
    scale = min(width / target[0], height / target[1])
    left, top = (width - target[0] * scale) / 2, (height - target[1] * scale) / 2
    box = (left, top, width - left, height - top)
    if (width, height) == target:
        return picture
    # Hamming is as sharp as bicubic at these ratios and half its width. A much larger picture is averaged down by a
    # whole factor first, which costs far less than a wide filter.
    smooth = Image.Resampling.HAMMING if scale > 1 else Image.Resampling.BICUBIC
    return picture.resize(target, smooth, box=box, reducing_gap=1.0)


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


def encode(canvas: Image.Image, sharp_chroma: bool) -> bytes:
    """The canvas as a progressive JPEG of at most 250 kB, of quality 85 unless the picture is too busy for that.

    ``sharp_chroma`` keeps the colour at full resolution (4:4:4) in place of a quarter (4:2:0).
    """
    for quality, subsampling in ((QUALITY, 0 if sharp_chroma else 2), *_LADDER):
        buffer = io.BytesIO()
        try:
            canvas.save(buffer, "JPEG", quality=quality, subsampling=subsampling, progressive=True)
        except OSError:
            continue  # Pillow holds a progressive JPEG of at most a byte per pixel, which is too large here anyway
        if buffer.tell() <= MAX_BYTES:
            break
    return buffer.getvalue()
