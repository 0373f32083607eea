"""Every template beside every title on one sheet, to be looked at."""

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from PIL import Image, ImageDraw

from thumbnails.images.overlay.compose import Words, canvas_of, darken, draw_logo, draw_title
from thumbnails.images.overlay.layout import Layout
from thumbnails.images.overlay.picture import Picture, open_picture
from thumbnails.images.overlay.templates import DEFAULT_FORMAT, FORMATS, HEIGHT, TEMPLATES, WIDTH
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


#: What is set for a title, and how.
Look = Callable[[str], Words]


def contact_sheet(
    titles: Sequence[str] = TITLES,
    pictures: Sequence[bytes] = (),
    font: str = "inter",
    debug: bool = False,
    cell_width: int = 400,
    *,
    looks: Mapping[str, Look] | None = None,
    formats: Sequence[str] = (DEFAULT_FORMAT,),
) -> bytes:
    """Every template beside every title, in every format.

    Args:
        titles: one row each for every format.
        pictures: what they are set on, in turn; a plain gradient without any.
        font: a font of the catalogue, for the catalogue's templates.
        debug: draw over each cell the panel (green), the box (cyan), every line's ink (yellow) and baseline (magenta),
            and the size in pixels.
        cell_width: of each cell, in pixels.
        looks: one column each, by their names; the catalogue's templates where left out.
        formats: names of the catalogue.

    Returns:
        A JPEG.

    Raises:
        UnusablePicture: a picture can't be opened.
        KeyError: there is no such font or format.
    """
    shown = looks or {name: partial(Words, template=name, font=font) for name in TEMPLATES}
    heights = [cell_width * FORMATS[form].height // FORMATS[form].width for form in formats]
    size = (_GAP + len(shown) * (cell_width + _GAP), _HEADER + len(titles) * sum(high + _GAP for high in heights))
    sheet = Image.new("RGB", size, (24, 26, 30))
    pen = ImageDraw.Draw(sheet)
    sizes = [(FORMATS[form].width, FORMATS[form].height) for form in formats]
    backdrops = [open_picture(picture, sizes) for picture in pictures] or [Picture(_gradient(), None)]
    for column, (name, look) in enumerate(shown.items()):
        x, y = _GAP + column * (cell_width + _GAP), _HEADER
        pen.text((x, _HEADER - _GAP), name, fill=(225, 225, 225), font=face("inter", 20), anchor="ls")
        for row, title in enumerate(titles):
            for form, high in zip(formats, heights, strict=True):
                words = look(title)
                layout = words.on(form)
                canvas = canvas_of(backdrops[row % len(backdrops)], layout)
                draw_title(canvas, layout, darken(canvas, layout))
                if words.logo:
                    draw_logo(canvas, layout, words.logo)
                if debug:
                    _draw_frames(canvas, layout)
                sheet.paste(canvas.resize((cell_width, high), Image.Resampling.LANCZOS), (x, y))
                y += high + _GAP
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=85, optimize=True)
    return buffer.getvalue()


def _gradient() -> Image.Image:
    """From a light sky to a dark ground: every template has something bright to stand out from."""
    upper, lower = Image.new("RGB", (WIDTH, HEIGHT), (255, 214, 170)), Image.new("RGB", (WIDTH, HEIGHT), (40, 70, 120))
    return Image.composite(lower, upper, Image.linear_gradient("L").resize((WIDTH, HEIGHT)))


def _draw_frames(canvas: Image.Image, layout: Layout) -> None:
    pen = ImageDraw.Draw(canvas)
    if layout.panel:
        pen.rectangle(layout.panel, outline=(0, 220, 0), width=3)
    pen.rectangle(layout.place.box, outline=(0, 255, 255), width=3)
    for line in layout.every_line:
        pen.rectangle(line.ink, outline=(255, 235, 0), width=2)
        pen.line((line.ink[0], line.baseline, line.ink[2], line.baseline), fill=(255, 0, 255), width=3)
    pen.text(
        (canvas.width - 12, 12),
        f"{layout.size} px",
        fill=(255, 255, 0),
        font=face("inter", 36),
        anchor="ra",
        stroke_width=3,
        stroke_fill="black",
    )
