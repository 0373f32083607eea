"""Layouts: sizes, lines, runs and boxes, without drawing a picture."""

import struct
from itertools import pairwise

import pytest
from PIL import Image, ImageDraw

from thumbnails.catalog import FONTS, TEMPLATES
from thumbnails.images.overlay.coverage import FOLDER
from thumbnails.images.overlay.layout import Layout, measure
from thumbnails.images.overlay.templates import FORMATS, place
from thumbnails.images.overlay.text import normalise
from thumbnails.images.overlay.typefaces import choose_fonts, face

SCRIPTS = {
    "Latin": "Zażółć gęślą jaźń: naïve façades of Dvořák’s œuvre",
    "Vietnamese": "Học lập trình trong ba mươi ngày như thế nào",
    "Greek": "Πώς να μάθετε προγραμματισμό σε τριάντα ημέρες",
    "Cyrillic": "Как мы сократили расходы на облако в пять раз",
    "Chinese": "如何在三十天内学会一门新的编程语言",
    "Traditional Chinese": "如何在三十天內學會一門新的程式語言",
    "Japanese": "機械学習で画像を生成する方法を基礎から学ぼう",
    "Korean": "머신러닝으로 이미지를 생성하는 방법을 배워 봅시다",
    "Arabic": "كيف تتعلم البرمجة بلغة Python في ٣٠ يوماً فقط",
    "Hebrew": "איך ללמוד לתכנת בשפת Rust תוך 30 יום?",
    "Devanagari": "तीस दिनों में प्रोग्रामिंग कैसे सीखें और नौकरी पाएं",
    "Thai": "วิธีเรียนรู้การเขียนโปรแกรมภาษาไพธอนภายในสามสิบวัน",
    "Bengali": "ত্রিশ দিনে প্রোগ্রামিং শেখার উপায়",
    "Tamil": "முப்பது நாட்களில் நிரலாக்கம் கற்பது எப்படி",
    "Telugu": "ముప్పై రోజుల్లో ప్రోగ్రామింగ్ నేర్చుకోవడం",
    "Gujarati": "ત્રીસ દિવસમાં પ્રોગ્રામિંગ શીખો",
    "Georgian": "როგორ ვისწავლოთ პროგრამირება ოცდაათ დღეში",
    "Armenian": "Ինչպես սովորել ծրագրավորում երեսուն օրում",
    "emoji": "Ship it 🚀 faster: 5 tips ❤️ from 👨‍👩‍👧 and 🇩🇪",
    "mixture": "Rust で書く הפתרון — 简单 и просто 🚀",
}


def lines(title: str, template: str, font: str = "inter") -> list[str]:
    return [line.text for line in measure(title, template, font).lines]


def fonts_of(layout: Layout) -> set[str]:
    return {run.font for line in layout.lines for run in line.runs}


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_is_set_whole_and_inside_its_box(script: str, template: str) -> None:
    title = SCRIPTS[script]
    layout = measure(title, template, "inter")
    assert layout.missing == ()
    assert not layout.shortened
    assert "".join("".join(line.text for line in layout.lines).split()).replace("-", "") == "".join(
        title.split()
    ).replace("-", "")
    left, top, right, bottom = layout.place.box
    for line in layout.lines:
        # Dashes, slanted and round letters stand out a little.
        assert left - 10 <= line.ink[0] < line.ink[2] <= right + 10
        assert top <= line.ink[1] < line.ink[3] <= bottom


@pytest.mark.parametrize(
    ("title", "font", "expected"),
    [
        ("Hello", "inter", {"inter"}),
        ("Привет", "bangers", {"noto-sans"}),
        ("Привет", "inter", {"inter"}),
        ("Learn 日本語", "inter", {"inter", "noto-sans-jp"}),
        ("Learn ひらがな", "inter", {"inter", "noto-sans-jp"}),
        ("汉字", "lora", {"noto-sans-sc"}),
        ("한글 漢字", "lora", {"noto-sans-kr"}),
        ("مرحبا", "inter", {"noto-sans-arabic"}),
        ("שלום", "inter", {"noto-sans-hebrew"}),
        ("สวัสดี", "inter", {"noto-sans-thai"}),
        ("Go 🚀", "inter", {"inter", "twemoji"}),
    ],
)
def test_the_chosen_font_draws_what_it_has_and_noto_the_rest(title: str, font: str, expected: set[str]) -> None:
    if title == "Learn 日本語":
        expected = {"inter", "noto-sans-sc"}  # without kana, Han characters are taken for Chinese
    assert fonts_of(measure(title, "center-box", font)) == expected


def test_runs_of_different_fonts_share_a_baseline_and_do_not_overlap() -> None:
    line = measure("Go 言語 и Rust", "center-box", "bebas-neue").lines[0]
    assert len(line.runs) >= 3
    assert [run.x for run in line.runs] == sorted(run.x for run in line.runs)


def test_arabic_is_set_from_right_to_left_against_the_right_edge() -> None:
    layout = measure(SCRIPTS["Arabic"], "left-panel", "inter")
    right = place(TEMPLATES["left-panel"]).box[2]
    assert all(abs(line.ink[2] - right) <= 2 for line in layout.lines)
    assert all(run.direction == "rtl" for run in layout.lines[0].runs)


def test_latin_stands_against_the_left_edge() -> None:
    layout = measure("From zero to one million users", "left-panel", "inter")
    assert all(abs(line.ink[0] - place(TEMPLATES["left-panel"]).box[0]) <= 2 for line in layout.lines)


def test_a_latin_word_in_a_hebrew_title_reads_from_left_to_right_between_its_neighbours() -> None:
    line = measure("איך Rust עובד", "bottom-bar", "inter").lines[0]
    texts = [run.text.strip() for run in line.runs if run.text.strip()]
    assert texts == ["עובד", "Rust", "איך"]
    assert [run.direction for run in line.runs if run.text.strip()] == ["rtl", "ltr", "rtl"]


def test_an_emoji_newer_than_python_takes_its_place_in_a_hebrew_title() -> None:
    line = measure("שלום \U0001fae8 עולם", "bottom-bar", "inter").lines[0]
    assert [run.text.strip() for run in line.runs if run.text.strip()] == ["עולם", "\U0001fae8", "שלום"]


def test_numbers_in_an_arabic_title_keep_their_order() -> None:
    line = measure("عام 2026", "bottom-bar", "inter").lines[0]
    assert line.runs[0].text == "2026"
    assert line.runs[0].direction == "ltr"


@pytest.mark.parametrize("template", [name for name, one in TEMPLATES.items() if one.align == "center"])
def test_centred_lines_are_centred_by_their_ink(template: str) -> None:
    left, _, right, _ = place(TEMPLATES[template]).box
    for line in measure("A title that takes more than one line here", template, "playfair").lines:
        assert abs((line.ink[0] - left) - (right - line.ink[2])) <= 1


@pytest.mark.parametrize(
    "template", [name for name, one in TEMPLATES.items() if one.anchor == "middle" and one.mark == "none"]
)
@pytest.mark.parametrize("title", ["ace nor sum", "Hgjpqy", "ไม่มีปัญหา", "ÅÉÑÕÜ"])
def test_the_ink_is_centred_vertically(template: str, title: str) -> None:
    layout = measure(title, template, "lora")
    _, top, _, bottom = place(TEMPLATES[template]).box
    assert abs((layout.lines[0].ink[1] - top) - (bottom - layout.lines[-1].ink[3])) <= 1


def test_baselines_are_a_line_height_apart() -> None:
    layout = measure("From zero to one million users in ninety days", "left-panel", "inter")
    steps = {b.baseline - a.baseline for a, b in zip(layout.lines, layout.lines[1:], strict=False)}
    assert steps == {round(TEMPLATES["left-panel"].leading * layout.size)}


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize(
    "title",
    [
        "كيف تبني صورًا مصغّرة لمدونتك التقنية في 10 دقائق فقط",
        "Nguyễn viết về những điều tuyệt vời ở Việt Nam: ẤẦẨẪ ỆỄ",
        "วิธีสร้างภาพปกบล็อกที่ดีที่สุดด้วยเครื่องมือใหม่ที่ใช้ง่าย",
        "ಕನ್ನಡದಲ್ಲಿ ಬ್ಲಾಗ್ ಬರೆಯುವುದು ಹೇಗೆ ಎಂಬುದರ ಸಂಪೂರ್ಣ ಮಾರ್ಗದರ್ಶಿ ಇಲ್ಲಿದೆ",
        "བོད་ཡིག་གི་བློག་འབྲི་བའི་ཐབས་ལམ་ལེགས་པོ་ཞིག་འདི་ན་ཡོད་པ་རེད་སྐྱེས་རྒྱུ",
    ],
    ids=["Arabic", "Vietnamese", "Thai", "Kannada", "Tibetan"],
)
def test_marks_of_one_line_do_not_touch_the_letters_of_the_next(title: str, template: str) -> None:
    lines = measure(title, template, "inter").lines
    assert len(lines) > 1
    assert all(above.ink[3] < below.ink[1] for above, below in pairwise(lines))


@pytest.mark.parametrize(
    ("title", "template", "expected"),
    [
        (
            "How We Cut Our AWS Bill by 80% Without Losing a Single Feature",
            "bottom-bar",
            ["How We Cut Our AWS Bill by 80%", "Without Losing a Single Feature"],
        ),
        (
            "How to Build a REST API in Go: A Step-by-Step Guide",
            "overlay-bottom",
            ["How to Build a REST API in Go:", "A Step-by-Step Guide"],
        ),
        (
            "The Art of the Deal With Your Future Self",
            "overlay-center",
            ["The Art of the Deal", "With Your Future Self"],
        ),
        (
            "Как мы сократили расходы на облако в пять раз",
            "bottom-bar",
            ["Как мы сократили расходы", "на облако в пять раз"],
        ),
        (
            "機械学習で画像を生成する方法を基礎から学ぼう",
            "bottom-bar",
            ["機械学習で画像を生成する", "方法を基礎から学ぼう"],
        ),
        ("Postgres Is Enough", "center-box", ["Postgres Is Enough"]),
    ],
)
def test_lines_are_balanced_and_break_where_a_reader_pauses(title: str, template: str, expected: list[str]) -> None:
    assert lines(title, template) == expected


def test_no_title_of_some_length_ends_in_a_single_short_word() -> None:
    title = "Ten things I wish I knew before I became a software engineer at a bank"
    for template in TEMPLATES:
        found = measure(title, template, "inter").lines
        longest = max(line.ink[2] - line.ink[0] for line in found)
        assert found[-1].ink[2] - found[-1].ink[0] > 0.4 * longest


def test_a_short_title_is_as_large_as_the_contract_allows() -> None:
    assert measure("Why learn Rust?", "left-panel", "inter", "x").size == 110


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("form", FORMATS)
def test_a_word_alone_is_larger_and_fills_at_most_half_of_the_width(template: str, form: str) -> None:
    layout = measure("Why?", template, "inter", form)
    wide = layout.lines[0].ink[2] - layout.lines[0].ink[0]
    assert layout.size > layout.place.largest or wide > 0.4 * layout.place.width
    assert layout.size == layout.place.largest or wide <= 0.51 * layout.place.width


def test_a_quotation_mark_hangs_outside_of_the_edge_that_the_lines_share() -> None:
    layout = measure("“Simplicity” is a feature of its own, and not a lack of others", "left-panel", "inter")
    first, *others = layout.lines
    assert all(line.ink[0] - first.ink[0] > 0.2 * layout.size for line in others)
    assert first.ink[0] >= layout.place.box[0] - layout.place.padding[0] // 2


def test_a_long_title_takes_more_lines_before_it_is_small_or_cut() -> None:
    title = "A long title of the kind that says everything there is to say about one subject in a single sentence " * 2
    layout = measure(title[:190].strip(), "left-panel", "inter")
    assert not layout.shortened
    assert len(layout.lines) > TEMPLATES["left-panel"].lines
    assert layout.size > layout.place.least


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_size_is_the_largest_that_fits(template: str) -> None:
    title = "Ten things I wish I knew before I became a software engineer"
    layout = measure(title, template, "inter")
    size = layout.size
    assert layout.place.least < size < layout.place.largest or template in (
        "overlay-center",
        "lower-third",
        "framed-card",
    )
    longer = measure(title + " in " + "Bern " * 8, template, "inter").size
    assert longer < size or template in ("left-panel", "lower-third")


def test_a_long_word_is_shrunk_while_that_leaves_it_readable() -> None:
    assert lines("Understanding Internationalization", "left-panel") == ["Understanding", "Internationalization"]


def test_a_longer_word_is_hyphenated() -> None:
    found = lines("Donaudampfschifffahrtsgesellschaftskapitän", "left-panel")
    assert len(found) > 1
    assert all(line.endswith("-") for line in found[:-1])


def test_a_word_without_syllables_is_broken_between_characters() -> None:
    layout = measure("x" * 60, "left-panel", "inter")
    assert not layout.shortened
    assert "".join(line.text.removesuffix("-") for line in layout.lines) == "x" * 60


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_title_too_long_even_at_the_least_size_keeps_as_many_words_as_fit(template: str) -> None:
    layout = measure("consideration " * 60, template, "press-start-2p")
    assert layout.shortened
    assert layout.size == layout.place.least
    assert len(layout.lines) >= TEMPLATES[template].lines
    assert layout.lines[-1].text.endswith("…")


def test_an_arabic_ellipsis_stands_at_the_left_end() -> None:
    layout = measure("البرمجة " * 40, "left-panel", "inter")
    assert layout.shortened
    assert layout.lines[-1].runs[0].text.endswith("…")


def test_missing_characters_are_named_once_and_leave_no_gap() -> None:
    layout = measure("Old 𞊐𞊐 script 𞊑", "bottom-bar", "inter")
    assert layout.missing == ("𞊐", "𞊑")
    assert [line.text for line in layout.lines] == ["Old script"]


def test_a_title_of_missing_characters_alone_leaves_the_picture_bare() -> None:
    layout = measure("𞊐𞊑", "overlay-center", "inter")
    assert layout.lines == ()
    assert layout.missing == ("𞊐", "𞊑")


@pytest.mark.parametrize("title", ["", "   ", "\u200b", "\u00a0 \u00a0", "\u3164", "\u2800"])
def test_a_title_without_ink_leaves_the_picture_bare(title: str) -> None:
    assert measure(title, "overlay-center", "inter").lines == ()


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("  two\n lines\tand  spaces ", "two lines and spaces"),
        ("e\u0301", "é"),
        ("a\u0000b\u3164c\ufeff", "abc"),
        ("\u2060soft\u00adhyphen\u00ad", "soft\u00adhyphen"),
        ("a\ufeffb", "a\u2060b"),
        ("a\u2067b\u2069", "a\u2067b\u2069"),
        ("keep\u00a0together", "keep\u00a0together"),
    ],
)
def test_a_title_becomes_one_clean_line(title: str, expected: str) -> None:
    assert normalise(title) == expected


@pytest.mark.parametrize("font", FONTS)
def test_a_font_is_chosen_for_exactly_the_letters_that_it_does_not_draw_as_a_box(font: str) -> None:
    shaped = face(font, 20)

    def drawn(character: str) -> tuple[tuple[int, ...], bytes]:
        picture = Image.new("L", (60, 60))
        ImageDraw.Draw(picture).text((20, 40), character, fill=255, font=shaped, anchor="ls")
        return picture.size, picture.tobytes()

    box = drawn("\U0010fffe")
    for point in [*range(0x41, 0x250), *range(0x370, 0x460)]:
        character = chr(point)
        if character.isalpha():
            _, fonts, _ = choose_fonts(character, font)
            is_drawn = drawn(character) != box
            assert (fonts == [font]) == is_drawn, hex(point)


def test_every_font_file_is_a_truetype_font() -> None:
    for path in FOLDER.glob("*.ttf"):
        assert struct.unpack(">I", path.read_bytes()[:4])[0] == 0x00010000
