"""Pictures drawn from a prompt with Pillow alone.

The prompt's title chooses the scene (or its hash does), its style the brushes and the finish, and each model has a hand
of its own: palettes, where the light comes from, and which scene it prefers. The same request gives the same picture.
"""

import math
import random

from PIL import Image

from thumbs.image_api.drawing.palettes import PALETTES
from thumbs.image_api.drawing.prompt_reading import read
from thumbs.image_api.drawing.scenes import SCENES
from thumbs.image_api.drawing.stage import Stage
from thumbs.image_api.drawing.styles import STYLES

# Pictures are drawn about so wide and then enlarged: drawing holds Python's lock, enlarging and encoding don't.
_DRAWN_WIDTH = 960


def draw(prompt: str, model: str, width: int, height: int) -> Image.Image:
    """The picture of a prompt in a model's hand."""
    reading = read(prompt, model)
    style = STYLES[reading.style]
    shrink = style.pixel or max(1.0, width / _DRAWN_WIDTH)
    stage = Stage(
        math.ceil(width / shrink),
        math.ceil(height / shrink),
        style.palette(PALETTES[reading.palette]),
        style.look,
        rng=random.Random(reading.seed),  # noqa: S311 (no secret)
        light=reading.hand.light,
    )
    SCENES[reading.scene](stage)
    image = style.finish(stage)
    if style.pixel:
        whole = (image.width * style.pixel, image.height * style.pixel)
        return image.resize(whole, Image.Resampling.NEAREST).crop((0, 0, width, height))
    return image.resize((width, height), Image.Resampling.BILINEAR)
