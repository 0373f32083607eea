"""What the page shows of every style, template and font before anything is drawn. ``make examples`` draws it anew."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from fontTools.pens.svgPathPen import SVGPathPen
from fontTools.pens.transformPen import TransformPen
from fontTools.ttLib import TTFont
from PIL import Image

from thumbnails.catalog import FONTS, STYLES, TEMPLATES
from thumbnails.images.overlay.templates import HEIGHT, WIDTH, Place, place
from thumbnails.images.preview import SAMPLES
from thumbnails.images.prompt import provider_prompt
from thumbs.image_api.drawing import draw

FUNCTIONS = Path(__file__).parents[2] / "functions"
FONT_FILES = FUNCTIONS / "thumbnails" / "images" / "overlay" / "fonts"
EXAMPLES = FUNCTIONS / "web" / "examples.js"
SUBJECT = "A quiet harbour town at first light"
LETTERS = "Ag"
DETAIL = (230, 190, 803, 490)


def examples() -> dict[str, Any]:
    """What ``examples.js`` says, as the page reads it."""
    return {
        line.removeprefix("export const ").partition(" = ")[0]: json.loads(line.partition(" = ")[2].rstrip(";"))
        for line in EXAMPLES.read_text().splitlines()
        if line.startswith("export const ")
    }


@pytest.mark.parametrize("style", STYLES)
def test_a_style_has_a_sample_and_an_example(style: str) -> None:
    with Image.open(SAMPLES / f"{style}.jpg") as sample:
        assert sample.size == (WIDTH, HEIGHT)
    kind, _, encoded = examples()["STYLES"][style].partition(",")
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as example:
        assert (kind, example.format) == ("data:image/webp;base64", "WEBP")


def test_templates_and_fonts_are_shown_as_they_are() -> None:
    """Who changes one of them has the examples drawn again."""
    assert examples()["TEMPLATES"] == templates()
    assert examples()["FONTS"] == fonts()


def templates() -> dict[str, Any]:
    """Where each template has its panel and its title."""
    return {name: _shown(place(template)) for name, template in TEMPLATES.items()}


def _shown(where: Place) -> dict[str, Any]:
    template = where.template
    return {
        "panel": where.panel and list(where.panel),
        "box": list(where.box),
        "align": where.shape.align,
        "backdrop": template.backdrop,
        "fit": template.fit,
        "light": template.text != "#ffffff",
    }


def fonts() -> dict[str, Any]:
    """Two letters of each font as an outline, in a box 100 units high with the baseline at 76."""
    return {name: _outline(FONT_FILES / file) for name, file in FONTS.items()}


def _outline(file: Path) -> list[Any]:
    font = TTFont(file)
    scale = 72 / font["head"].unitsPerEm
    glyphs, names, at = font.getGlyphSet(), font.getBestCmap(), 0.0
    pen = SVGPathPen(glyphs, lambda number: f"{number:.0f}")
    for letter in LETTERS:
        glyph = glyphs[names[ord(letter)]]
        glyph.draw(TransformPen(pen, (scale, 0, 0, -scale, at, 76)))
        at += glyph.width * scale
    return [round(at), pen.getCommands()]


def draw_examples() -> None:
    """Draw samples and examples anew."""
    SAMPLES.mkdir(exist_ok=True)
    styles = {}
    for style in STYLES:
        picture = draw(provider_prompt(SUBJECT, style), "gpt-image-1", 1536, 1024).convert("RGB")
        sample = picture.resize((WIDTH, WIDTH * 2 // 3)).crop((0, 85, WIDTH, 85 + HEIGHT))
        sample.save(SAMPLES / f"{style}.jpg", "JPEG", quality=55, optimize=True, progressive=True)
        small = io.BytesIO()
        # The part with most in it: in the whole, so small, many styles look alike.
        sample.crop(DETAIL).resize((176, 92), Image.Resampling.LANCZOS).save(small, "WEBP", quality=45, method=6)
        styles[style] = f"data:image/webp;base64,{base64.b64encode(small.getvalue()).decode()}"
    shown = {"STYLES": styles, "TEMPLATES": templates(), "FONTS": fonts()}
    lines = [f"export const {name} = {json.dumps(value)};\n" for name, value in shown.items()]
    EXAMPLES.write_text("// Drawn by `make examples`.\n" + "".join(lines))


if __name__ == "__main__":
    draw_examples()
