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
# What to give up, in this order, when a picture is too busy for MAX_BYTES: (quality, chroma subsampling).
_LADDER = ((78, 0), (78, 2), (70, 2), (60, 2), (50, 2), (40, 2), (30, 2), (20, 2), (10, 2))


def open_picture(data: bytes) -> Image.Image:
    """Decode ``data`` and cut it to the canvas: upright, centred, opaque, sRGB, 1200 × 630 pixels.

    Raises UnusablePicture for bytes that are no JPEG, PNG, WebP or GIF, for a picture cut short, and for one of more
    than 50 million pixels, which is told from its header before anything is decoded.
    """
    try:
        picture = Image.open(io.BytesIO(data), formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnusablePicture(f"the picture has more than {MAX_PIXELS:,} pixels") from error
    except Exception as error:
        raise UnusablePicture(f"the answer's {len(data):,} bytes are not a JPEG, PNG, WebP or GIF picture") from error
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise UnusablePicture(f"the picture is {width} x {height}; more than {MAX_PIXELS:,} pixels are not opened")
    try:
        return _to_canvas(picture)
    except Exception as error:
        raise UnusablePicture(f"the {picture.format} picture is damaged or cut short: {error}") from error


def _to_canvas(picture: Image.Image) -> Image.Image:
    turn = _UPRIGHT.get(picture.getexif().get(_ORIENTATION, 1))
    sideways = turn in (_UPRIGHT[5], _UPRIGHT[6], _UPRIGHT[7], _UPRIGHT[8])
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
