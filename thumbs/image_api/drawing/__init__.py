"""Pictures drawn from a prompt with Pillow alone.

The prompt's title chooses the scene (or its hash does), its style the brushes and the finish, and each model has a hand
of its own: palettes, where the light comes from, and which scene it prefers. The same request gives the same picture.
"""

import random

from PIL import Image

from thumbs.image_api.drawing.palettes import PALETTES
from thumbs.image_api.drawing.reading import read
from thumbs.image_api.drawing.scenes import SCENES
from thumbs.image_api.drawing.stage import Stage
from thumbs.image_api.drawing.styles import STYLES

# Wider pictures are drawn at half the size and enlarged.
_WIDEST = 1800


def draw(prompt: str, model: str, width: int, height: int) -> Image.Image:
    """The picture of a prompt in a model's hand."""
    reading = read(prompt, model)
    style = STYLES[reading.style]
    shrink = style.pixel
    while width / shrink > _WIDEST:
        shrink *= 2
    stage = Stage(
        -(-width // shrink),
        -(-height // shrink),
        style.palette(PALETTES[reading.palette]),
        style.look,
        random.Random(reading.seed),  # noqa: S311 (no secret)
        reading.hand.light,
    )
    SCENES[reading.scene](stage)
    image = style.finish(stage)
    if image.size == (width, height):
        return image
    if style.pixel > 1:
        return image.resize((image.width * shrink, image.height * shrink), Image.Resampling.NEAREST).crop(
            (0, 0, width, height)
        )
    return image.resize((width, height), Image.Resampling.BICUBIC)
