"""What holds for every title in every template on every picture: the ink stays in its box, and contrast is enough."""

import io
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from tests.unit.test_overlay_kinds import SAMPLES
from tests.unit.test_overlay_layout import SCRIPTS
from thumbnails.catalog import FONTS, FORMATS, TEMPLATES
from thumbnails.images.overlay.compose import Words, canvas_of, darken, draw_formats, draw_title
from thumbnails.images.overlay.layout import Layout, measure
from thumbnails.images.overlay.picture import MAX_BYTES, Picture
from thumbnails.images.overlay.templates import HEIGHT, WIDTH, Template

ENOUGH = 4.5


def busy() -> Image.Image:
    dice = np.random.default_rng(7)
    picture = Image.new("RGB", (1200, 630), "white")
    draw = ImageDraw.Draw(picture)
    for x, y, size, red, green, blue in dice.integers(0, (1200, 630, 90, 256, 256, 256), (900, 6)).tolist():
        draw.ellipse((x, y, x + size, y + size), fill=(red, green, blue))
    return picture


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(5).integers(0, 256, (630, 1200, 3), dtype=np.uint8))


def sky() -> Image.Image:
    top, bottom = Image.new("RGB", (1200, 630), (120, 180, 250)), Image.new("RGB", (1200, 630), (250, 250, 255))
    return Image.composite(bottom, top, Image.linear_gradient("L").resize((1200, 630)))


PICTURES = {
    "white": Image.new("RGB", (1200, 630), "white"),
    "black": Image.new("RGB", (1200, 630), "black"),
    "yellow": Image.new("RGB", (1200, 630), (255, 255, 0)),
    "noise": noise(),
    "busy": busy(),
    "sky": sky(),
}


@lru_cache
def png(name: str) -> bytes:
    file = io.BytesIO()
    PICTURES[name].save(file, "PNG", compress_level=1)
    return file.getvalue()


def luminance(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Relative luminance as WCAG 2.2 defines it, written here once more so that the code is not its own judge."""
    value = pixels.astype(np.float64) / 255
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return np.asarray(light @ np.array([0.2126, 0.7152, 0.0722]))


def ink_of(layout: Layout) -> Image.Image:
    """Everything that is read, in white on black."""
    black = Image.new("RGB", (layout.place.width, layout.place.height))
    ink = black.copy()
    tones = replace(darken(black, layout), text=(255, 255, 255), accent=(255, 255, 255))
    draw_title(ink, replace(layout, rule=None), tones)
    return ink.convert("L")


def contrast(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((np.maximum(one, other) + 0.05) / (np.minimum(one, other) + 0.05))


def worst_contrast(picture: Image.Image, layout: Layout) -> float:
    """The least contrast of the text's colour against what lies behind any pixel that it touches."""
    behind = canvas_of(Picture(picture, None), layout)
    tones = darken(behind, layout)
    worst = []
    for lines, colour in (((layout.author, *layout.lines), tones.text), ((layout.kicker,), tones.accent)):
        for left, top, right, bottom in [line.ink for line in lines if line]:
            light = luminance(np.asarray(behind.crop((left, top, right, bottom))))
            worst.append(contrast(luminance(np.array(colour, dtype=np.uint8)), light).min())
    return float(min(worst))


def may_hold(layout: Layout) -> tuple[int, int, int, int]:
    """Where ink may be: the box, and what hangs out of it at the side where lines begin."""
    (left, top, right, bottom), padding = layout.place.box, layout.place.padding
    return left - padding[0] // 2, top, right + padding[2] // 2, bottom


WORDS = (
    "how to build a the of in for with and Kubernetes internationalization Donaudampfschifffahrtsgesellschaft Éclair "
    "naïve façade Zażółć Dvořák Πώς προγραμματισμό ημέρες сократили облако 機械学習 画像を生成する 方法 学会 编程语言 "
    "이미지를 생성하는 방법 كيف تتعلم البرمجة يوماً ללמוד לתכנת "
    "प्रोग्रामिंग सीखें नौकरी วิธีเรียนรู้ การเขียนโปรแกรม น้ำใจ 🚀 ❤️ 👨‍👩‍👧 🇩🇪 100% "
    "$1,000.50 (part 1/3): — … C++ https://example.com/a/b?c=d fjord AVATAR Ågjpqy ÀÉÎÕÜ WWW iii"
)
words = st.one_of(
    st.sampled_from(WORDS.split()),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12),
)
titles = st.lists(words, min_size=1, max_size=14).map(lambda parts: " ".join(parts)[:200])
pictures = st.sampled_from(sorted(PICTURES))


@pytest.mark.parametrize("template", TEMPLATES)
@settings(max_examples=20, derandomize=True)  # type: ignore[untyped-decorator]
@given(  # type: ignore[untyped-decorator]
    title=titles,
    font=st.sampled_from(sorted(FONTS)),
    on=pictures,
    form=st.sampled_from(sorted(FORMATS)),
    notes=st.sampled_from([("", ""), ("Engineering", "Jane Doe · example.com")]),
)
def test_any_title_stays_in_its_box_and_contrasts_with_the_picture(
    template: str, title: str, font: str, on: str, form: str, notes: tuple[str, str]
) -> None:
    layout = Words(title, template, font, *notes).on(form)
    where = layout.place
    assert where.least <= layout.size <= 2 * where.largest
    if layout.size > where.largest:
        assert len(layout.lines) == 1
    if len(layout.lines) > where.shape.lines:
        assert layout.size <= 56 * where.unit
    if not layout.lines:
        return
    left, top, right, bottom = may_hold(layout)
    for line in layout.every_line:
        assert left <= line.ink[0] and top <= line.ink[1] and line.ink[2] <= right and line.ink[3] <= bottom
    touched = ink_of(layout).getbbox()
    assert touched
    assert left <= touched[0] and top <= touched[1] and touched[2] <= right and touched[3] <= bottom
    canvas = FORMATS[form]
    assert canvas.covered_above <= touched[1] and touched[3] <= canvas.height - canvas.covered_below
    assert worst_contrast(PICTURES[on], layout) >= ENOUGH


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("on", PICTURES)
def test_contrast_is_enough_on_plain_and_on_difficult_pictures(on: str, template: str) -> None:
    layout = measure("How we cut our AWS bill by 80% without losing a feature", template, "inter")
    assert worst_contrast(PICTURES[on], layout) >= ENOUGH


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("on", PICTURES)
def test_the_finished_file_keeps_the_contrast_around_the_letters_and_its_limit(on: str, template: str) -> None:
    words = Words("How we cut our AWS bill by 80% without losing a feature", template, "inter")
    form = sorted(FORMATS)[len(on) % len(FORMATS)]
    file = draw_formats(png(on), words, [form])[0].file
    finished = Image.open(io.BytesIO(file)).convert("RGB")
    assert len(file) <= MAX_BYTES * max(1.0, finished.width * finished.height / (WIDTH * HEIGHT))
    layout = words.on(form)
    touched = ink_of(layout).point([0] + [255] * 255)
    # A ring from 3 to 5 pixels away from the letters: nearer ones hold the letters' own soft edges.
    near, far = touched.filter(ImageFilter.BoxBlur(2)), touched.filter(ImageFilter.BoxBlur(5))
    ring = (np.asarray(far) > 0) & (np.asarray(near) == 0)
    text = luminance(np.array([int(layout.place.template.text[at : at + 2], 16) for at in (1, 3, 5)], dtype=np.uint8))
    assert np.percentile(contrast(text, luminance(np.asarray(finished)[ring])), 1) >= ENOUGH


@pytest.mark.parametrize("title", [*SCRIPTS.values(), *SAMPLES])
def test_a_file_in_any_script_is_within_its_limit(title: str) -> None:
    # Each script in three templates and formats: among them all are many pairs.
    first = [*SCRIPTS.values(), *SAMPLES].index(title)
    for turn in range(3):
        template = sorted(TEMPLATES)[(first + turn * 4) % len(TEMPLATES)]
        form = sorted(FORMATS)[(first // len(TEMPLATES) + turn * 2) % len(FORMATS)]
        finished = draw_formats(png("busy"), Words(title, template, "inter"), [form])[0]
        limit = MAX_BYTES * max(1.0, FORMATS[form].width * FORMATS[form].height / (WIDTH * HEIGHT))
        assert len(finished.file) <= limit
        assert not [warning for warning in finished.warnings if "no shipped font" in warning]


def test_the_shadow_is_stronger_where_the_picture_needs_it() -> None:
    layout = measure("A title over the picture", "overlay-center", "inter")
    grey = Image.new("RGB", (1200, 630), (90, 90, 90))
    white = PICTURES["white"].copy()
    darken(grey, layout)
    darken(white, layout)
    x, y = layout.lines[0].ink[0] - 12, layout.lines[0].baseline
    left_of_grey, left_of_white = grey.getpixel((x, y)), white.getpixel((x, y))
    assert isinstance(left_of_grey, tuple) and isinstance(left_of_white, tuple)
    assert left_of_grey[0] / 90 > 1.2 * left_of_white[0] / 255


@pytest.mark.parametrize("template", [name for name, one in TEMPLATES.items() if one.backdrop != "panel"])
def test_a_glow_and_a_scrim_fade_out_without_an_edge(template: str) -> None:
    picture = PICTURES["white"].copy()
    layout = measure("A title", template, "inter")
    darken(picture, layout)
    column = np.asarray(picture)[:, 600, 0].astype(int)
    assert column[0] > column[layout.lines[0].ink[1]]
    assert np.abs(np.diff(column)).max() <= 12


def test_another_template_is_data_alone() -> None:
    """A panel at the right edge, far too thin for white text on white: it is set and made dark enough all the same."""
    right_panel = Template(area=(0.63, 0, 1, 1), padding=(40, 40, 40, 40), lines=6, opacity=0.1)
    layout = measure("One more template takes ten lines and no new code", right_panel, "inter")
    assert len(layout.lines) > 1
    assert all(line.ink[0] >= 790 and line.ink[2] <= 1160 for line in layout.lines)
    for picture in PICTURES.values():
        assert worst_contrast(picture, layout) >= ENOUGH
