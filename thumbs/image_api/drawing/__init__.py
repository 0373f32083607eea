"""Pictures drawn from a prompt with Pillow alone: what the prompt names chooses the scene, its style the hand."""

import hashlib

from PIL import Image


def draw(prompt: str, model: str, width: int, height: int) -> Image.Image:
    """The picture of a prompt in a model's hand; the same again for the same arguments."""
    digest = hashlib.sha256(f"{model}\n{prompt}".encode("utf-8", "surrogatepass")).digest()
    small = Image.new("RGB", (3, 3))
    small.putdata([(digest[i], digest[i + 1], digest[i + 2]) for i in range(0, 27, 3)])
    return small.resize((width, height), Image.Resampling.BICUBIC)
