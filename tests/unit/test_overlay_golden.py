"""Finished pictures, compared with the ones that were looked at and kept in ``golden/``.

Run as a program, ``PYTHONPATH=functions python tests/unit/test_overlay_golden.py``, it draws them anew. Look at what
changed before you commit it.
"""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

from thumbnails.images.overlay import vectors
from thumbnails.images.overlay.compose import Words, draw_formats

FOLDER = Path(__file__).parent / "golden"
# Name → (upper and lower colour of the backdrop, title, template, font).
CASES = {
    "latin": ("#9cc9f2", "#f6e7d0", "How We Cut Our AWS Bill by 80% Without Losing a Feature", "bottom-bar", "inter"),
    "diacritics": ("#e8b4a0", "#4b3b63", "Zażółć gęślą jaźń: façades of Dvořák’s œuvre", "left-panel", "playfair"),
    "japanese": ("#20304a", "#c9788a", "機械学習で画像を生成する方法を基礎から学ぼう", "center-box", "montserrat"),
    "arabic": ("#f4d35e", "#ee964b", "كيف تتعلم البرمجة بلغة Python في ٣٠ يوماً فقط", "overlay-bottom", "bebas-neue"),
    "thai": ("#ffffff", "#ffffff", "วิธีเรียนรู้การเขียนโปรแกรมภาษาไพธอนภายในสามสิบวัน", "overlay-center", "lora"),
    "devanagari": ("#083d77", "#2e8f9c", "तीस दिनों में प्रोग्रामिंग कैसे सीखें और नौकरी पाएं", "bottom-bar", "oswald"),
    "mixture": ("#3a506b", "#e0b1cb", "Ship It 🚀 Faster: 5 Habits from 東京 ❤️", "overlay-center", "pacifico"),
    "too long": ("#7f9172", "#d4c9a8", "One Title That Is Far Too Long " * 4, "left-panel", "press-start-2p"),
}
#: Name → (upper and lower colour, title, template, font, format), with a line above and below the title.
IN_FORMATS = {
    "scrim": ("#f2d0a9", "#274156", "What the tide leaves behind", "gradient-scrim", "lora", "story"),
    "split": ("#7ea16b", "#c3d898", "Zażółć gęślą jaźń: façades of Dvořák’s œuvre", "split", "inter", "x"),
    "cover": ("#d00000", "#ffba08", "“Simplicity” is a feature, not a lack of features", "cover", "oswald", "square"),
    "card": ("#2b2d42", "#8d99ae", "كيف تتعلم البرمجة بلغة Python في ٣٠ يوماً فقط", "framed-card", "inter", "portrait"),
    "third": (
        "#ffffff",
        "#caf0f8",
        "機械学習で画像を生成する方法を基礎から学ぼう",
        "lower-third",
        "montserrat",
        "youtube",
    ),
}
# In grey levels of 255, after averaging over about a letter's width. A title shifted by a pixel stays below half of it;
# one wrapped differently is several times above it.
TOLERANCE = 24


def drawn(upper: str, lower: str, title: str, template: str, font: str, form: str = "og") -> bytes:
    mask = Image.linear_gradient("L").resize((1200, 630))
    backdrop = Image.composite(Image.new("RGB", mask.size, lower), Image.new("RGB", mask.size, upper), mask)
    buffer = io.BytesIO()
    backdrop.save(buffer, "PNG")
    notes = ("Field notes", "Jane Doe · blog.example") if form != "og" else ("", "")
    return draw_formats(buffer.getvalue(), Words(title, template, font, *notes), [form])[0].file


def file_of(name: str) -> Path:
    return FOLDER / f"{name.replace(' ', '-')}.jpg"


def seen(picture: Image.Image) -> NDArray[np.float64]:
    """What a glance takes in: light and colour averaged over some 20 pixels."""
    blurred = picture.convert("RGB").filter(ImageFilter.GaussianBlur(10)).reduce(4)
    return np.asarray(blurred).astype(np.float64)


def difference(one: Image.Image, other: Image.Image) -> float:
    """The largest difference that a glance would see, in grey levels."""
    return float(np.abs(seen(one) - seen(other)).max())


def golden(name: str) -> Image.Image:
    return Image.open(file_of(name)).convert("RGB")


@pytest.mark.parametrize("by_pillow", [False, True], ids=["by vectors", "by Pillow alone"])
@pytest.mark.parametrize("name", [*CASES, *IN_FORMATS])
def test_a_finished_picture_looks_like_its_golden_one(
    name: str, by_pillow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by_pillow:
        monkeypatch.setattr(vectors, "_SPLINE", None)
    case = {**CASES, **IN_FORMATS}[name]
    assert difference(Image.open(io.BytesIO(drawn(*case))), golden(name)) <= TOLERANCE


@pytest.mark.parametrize("name", CASES)
def test_a_shift_by_one_pixel_passes(name: str) -> None:
    shifted = ImageChops.offset(golden(name), 1, 1)
    inside = (2, 2, 1198, 628)
    assert difference(shifted.crop(inside), golden(name).crop(inside)) <= TOLERANCE / 2


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("latin", "How We Cut Our AWS Bill\u00a0by 80% Without Losing a Feature"),
        ("japanese", "機械学習で画像を生成する方法を基礎から学ぼ"),
        ("arabic", "كيف تتعلم البرمجة بلغة Python في ٣٠ يوماً"),
    ],
)
def test_another_wrap_or_another_word_fails(name: str, other: str) -> None:
    upper, lower, _, template, font = CASES[name]
    picture = Image.open(io.BytesIO(drawn(upper, lower, other, template, font)))
    assert difference(picture, golden(name)) > 2 * TOLERANCE


def renew() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, case in {**CASES, **IN_FORMATS}.items():
        file_of(name).write_bytes(drawn(*case))


if __name__ == "__main__":
    renew()
