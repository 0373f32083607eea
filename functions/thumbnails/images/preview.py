"""What a title would look like, without asking a model: over a sample of the style, or over a picture that is there."""

from pathlib import Path

from thumbnails.catalog import DEFAULT_FORMAT, DEFAULT_OUTPUT, Output
from thumbnails.images.overlay.compose import Finished, Words, draw_formats

#: One picture of each style, 1200 × 630.
SAMPLES = Path(__file__).parent / "samples"


def preview(
    words: Words,
    style: str,
    original: bytes | None = None,
    form: str = DEFAULT_FORMAT,
    output: Output = DEFAULT_OUTPUT,
) -> Finished:
    """Draw a title as a run would, byte for byte.

    Args:
        words: a checked title with its template and font.
        style: whose sample is drawn on, where there is no original.
        original: a provider's picture.
        form: a format of the catalogue.
        output: the kind of file.

    Raises:
        UnusablePicture: the original cannot be opened.
    """
    return draw_formats(original or (SAMPLES / f"{style}.jpg").read_bytes(), words, [form], output)[0]
