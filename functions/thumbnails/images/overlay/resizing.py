"""A picture in another size, by the Catmull-Rom spline: through vector instructions where there is a library for them.

Pillow's bicubic filter is the same spline, and stands in where the library has no wheel: on other processors than x86-64.
"""

from PIL import Image

from thumbnails.images.overlay.crops import Crop

try:
    from cykooz_resizer import CropBox, FilterType, ResizeAlg, Resizer, ResizeOptions
except ImportError:
    Resizer = None

_SPLINE = None if Resizer is None else ResizeAlg.convolution(FilterType.catmull_rom)


def resized(picture: Image.Image, size: tuple[int, int], box: Crop) -> Image.Image:
    """A part of a picture as a picture of a size: its own, never the one that was given.

    Args:
        picture: in the mode L, RGB, RGBA or CMYK.
        size: width and height in pixels.
        box: the part, in the picture's pixels.
    """
    if picture.size == size:
        return picture.copy()
    if _SPLINE is None:
        return by_pillow(picture, size, box)
    left, top, right, bottom = box
    part = Image.new(picture.mode, size)
    options = ResizeOptions(resize_alg=_SPLINE, crop_box=CropBox(left, top, right - left, bottom - top))
    Resizer().resize_pil(picture, part, options)
    return part


def by_pillow(picture: Image.Image, size: tuple[int, int], box: Crop) -> Image.Image:
    """The same from Pillow alone."""
    return picture.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=2.0)
