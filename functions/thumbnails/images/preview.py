"""What a title would look like, without asking a model: over a sample of the style, or over a picture that is there."""

from pathlib import Path

from thumbnails.images.overlay.compose import Finished, draw_overlay

#: One picture of each style, 1200 × 630.
SAMPLES = Path(__file__).parent / "samples"


def preview(title: str, style: str, template: str, font: str, original: bytes | None = None) -> Finished:
    """Draw a title as a run would, byte for byte.

    Args:
        title: a checked title.
        style: whose sample is drawn on, where there is no original.
        template: a template of the catalogue.
        font: a font of the catalogue.
        original: a provider's picture.

    Raises:
        UnusablePicture: the original cannot be opened.
    """
    return draw_overlay(original or (SAMPLES / f"{style}.jpg").read_bytes(), title, template, font)
