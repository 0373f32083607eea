"""Pixels resized and darkened by vector instructions, where there is a library for them; else by Pillow.

The library has wheels for x86-64 alone. Either way it is the same arithmetic: a resized picture differs by a level here
and there, a darkened one not at all.
"""

from PIL import Image, ImageChops

from thumbnails.images.overlay.crops import Crop
from thumbnails.images.overlay.templates import Box

try:
    from cykooz_resizer import AlphaMulDiv, CropBox, FilterType, ResizeAlg, ResizeOptions, Resizer
except ImportError:
    _SPLINE = None
else:
    _SPLINE = ResizeAlg.convolution(FilterType.catmull_rom)


def resized(picture: Image.Image, size: tuple[int, int], box: Crop) -> Image.Image:
    """A part of a picture in another size, by the Catmull-Rom spline: always a picture of its own.

    Args:
        picture: in the mode L, RGB, RGBA or CMYK.
        size: width and height in pixels.
        box: the part, in the picture's pixels.
    """
    if box == (0, 0, *size) and picture.size == size:
        return picture.copy()
    if _SPLINE is None:
        # Pillow's bicubic filter is this spline. A much larger picture is first averaged down by a whole factor.
        return picture.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=2.0)
    left, top, right, bottom = box
    part = Image.new(picture.mode, size)
    options = ResizeOptions(resize_alg=_SPLINE, crop_box=CropBox(left, top, right - left, bottom - top))
    Resizer().resize_pil(picture, part, options)
    return part


def shade(canvas: Image.Image, box: Box, mask: Image.Image) -> None:
    """Lay black over a part of an RGB canvas, as dense as the mask says."""
    if _SPLINE is None:
        canvas.paste((0, 0, 0), box, mask)
        return
    # What is left of the light is its product with the rest of the mask: what premultiplying an alpha channel does.
    part = canvas.crop(box)
    part.putalpha(ImageChops.invert(mask))
    red, green, blue, _ = AlphaMulDiv().multiply_alpha_pil(part).split()
    canvas.paste(Image.merge("RGB", (red, green, blue)), box)
