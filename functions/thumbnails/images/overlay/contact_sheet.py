"""Every template beside every title on one sheet, to be looked at."""

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw

from thumbnails.images.overlay.compose import darken, draw_title
from thumbnails.images.overlay.layout import Layout, measure
from thumbnails.images.overlay.picture import open_picture
from thumbnails.images.overlay.templates import HEIGHT, TEMPLATES, WIDTH
from thumbnails.images.overlay.typefaces import face

# One title for each script that the overlay sets, and two for what mixtures ask of it.
TITLES = (
    "How We Cut Our AWS Bill by 80% Without Losing a Single Feature",
    "Zażółć gęślą jaźń: naïve façades of Dvořák’s œuvre",
    "Πώς να μάθετε προγραμματισμό σε τριάντα ημέρες",
    "Как мы сократили расходы на облако в пять раз",
    "如何在三十天内学会一门新的编程语言并找到工作",
    "機械学習で画像を生成する方法を基礎から学ぼう",
    "머신러닝으로 이미지를 생성하는 방법을 배워 봅시다",
    "كيف تتعلم البرمجة بلغة Python في ٣٠ يوماً فقط",
    "איך ללמוד לתכנת בשפת Rust תוך 30 יום?",
    "तीस दिनों में प्रोग्रामिंग कैसे सीखें और नौकरी पाएं",
    "วิธีเรียนรู้การเขียนโปรแกรมภาษาไพธอนภายในสามสิบวัน",
    "Ship It 🚀 Faster: 5 Habits from 東京 and Αθήνα ❤️",
)
_GAP = 12
_HEADER = 44


def contact_sheet(
    titles: Sequence[str] = TITLES,
    pictures: Sequence[bytes] = (),
    font: str = "inter",
    debug: bool = False,
    cell_width: int = 400,
) -> bytes:
    """A JPEG with one row per title and one column per template, each cell ``cell_width`` pixels wide.

    The titles take the ``pictures`` in turn (a plain gradient without any). ``debug`` draws over each cell the panel
    (green), the box (cyan), every line's ink (yellow) and baseline (magenta), and the size in pixels. Raises
    UnusablePicture for a picture that can't be opened and KeyError for a font that isn't shipped.
    """
    cell = cell_width, cell_width * HEIGHT // WIDTH
    columns, rows = len(TEMPLATES), len(titles)
    size = _GAP + columns * (cell[0] + _GAP), _HEADER + rows * (cell[1] + _GAP)
    sheet = Image.new("RGB", size, (24, 26, 30))
    pen = ImageDraw.Draw(sheet)
    backdrops = [open_picture(picture) for picture in pictures] or [_gradient()]
    for column, template in enumerate(TEMPLATES):
        x = _GAP + column * (cell[0] + _GAP)
        pen.text((x, _HEADER - _GAP), template, fill=(225, 225, 225), font=face("inter", 20), anchor="ls")
        for row, title in enumerate(titles):
            layout = measure(title, template, font)
            canvas = backdrops[row % len(backdrops)].copy()
            darken(canvas, layout)
            draw_title(canvas, layout)
            if debug:
                _draw_frames(canvas, layout)
            sheet.paste(canvas.resize(cell, Image.Resampling.LANCZOS), (x, _HEADER + row * (cell[1] + _GAP)))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=85, progressive=True)
    return buffer.getvalue()


def _gradient() -> Image.Image:
    """From a light sky to a dark ground: every template has something bright to stand out from."""
    upper, lower = Image.new("RGB", (WIDTH, HEIGHT), (255, 214, 170)), Image.new("RGB", (WIDTH, HEIGHT), (40, 70, 120))
    return Image.composite(lower, upper, Image.linear_gradient("L").resize((WIDTH, HEIGHT)))


def _draw_frames(canvas: Image.Image, layout: Layout) -> None:
    template = TEMPLATES[layout.template]
    pen = ImageDraw.Draw(canvas)
    if template.panel:
        pen.rectangle(template.panel, outline=(0, 220, 0), width=3)
    pen.rectangle(template.box, outline=(0, 255, 255), width=3)
    for line in layout.lines:
        pen.rectangle(line.ink, outline=(255, 235, 0), width=2)
        pen.line((line.ink[0], line.baseline, line.ink[2], line.baseline), fill=(255, 0, 255), width=3)
    pen.text(
        (WIDTH - 12, 12),
        f"{layout.size} px",
        fill=(255, 255, 0),
        font=face("inter", 36),
        anchor="ra",
        stroke_width=3,
        stroke_fill="black",
    )
