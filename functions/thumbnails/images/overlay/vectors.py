"""Pixels resized and covered by vector instructions, where there is a library for them; else by Pillow.

The library has wheels for x86-64 alone. Either way it is the same arithmetic: a resized picture differs by a level here
and there, one that a colour is laid over by one at most, and not at all where that is black.
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
    _MEAN = ResizeAlg.convolution(FilterType.box)

_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


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
    if picture.mode == "L" and size[1] > picture.height:
        # The library stretches a mask's rows a pixel at a time: first those that there are, then their number.
        picture = resized(picture, (size[0], picture.height), (left, 0, right, picture.height))
        left, right = 0, size[0]
    part = Image.new(picture.mode, size)
    options = ResizeOptions(resize_alg=_SPLINE, crop_box=CropBox(left, top, right - left, bottom - top))
    Resizer().resize_pil(picture, part, options)
    return part


def averaged(picture: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    """A part of a picture in a smaller size, each of its pixels the mean of what it stands for."""
    if _SPLINE is None:
        return picture.resize(size, Image.Resampling.BOX, box=box)
    left, top, right, bottom = box
    small = Image.new(picture.mode, size)
    options = ResizeOptions(resize_alg=_MEAN, crop_box=CropBox(left, top, right - left, bottom - top))
    Resizer().resize_pil(picture, small, options)
    return small


def lay(canvas: Image.Image, box: Box, colour: tuple[int, int, int], mask: Image.Image) -> None:
    """Lay a colour over a part of an RGB canvas.

    Args:
        canvas: what is drawn upon.
        box: the part.
        colour: what it is covered with.
        mask: how dense it is, of the part's size, or of one column that holds for all.
    """
    size = box[2] - box[0], box[3] - box[1]
    if _SPLINE is None:
        canvas.paste(colour, box, _stretched(mask, size))
        return
    part = _product(canvas.crop(box), _stretched(ImageChops.invert(mask), size))
    if colour != _BLACK:
        white = colour == _WHITE
        light = Image.merge("RGBa", (mask,) * 4) if white else _product(Image.new("RGB", mask.size, colour), mask)
        part = ImageChops.add_modulo(part, _stretched(light, size))
    canvas.paste(part, box)


def _stretched(column: Image.Image, size: tuple[int, int]) -> Image.Image:
    return column if column.size == size else column.resize(size, Image.Resampling.NEAREST)


def _product(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """An RGB picture, which is used up, with each pixel times the mask: what premultiplying an alpha channel does."""
    picture.putalpha(mask)
    AlphaMulDiv().multiply_alpha_pil_inplace(picture)
    return picture
