"""Kinds of titles that were once set wrong, each held by generated titles of its kind."""

import html
import unicodedata
from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeVar, cast

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from thumbnails.catalog import FONTS
from thumbnails.images.overlay.breaks import Tier, find_breaks
from thumbnails.images.overlay.compose import darken, draw_title
from thumbnails.images.overlay.coverage import SHARED, choose, lacking
from thumbnails.images.overlay.layout import Layout, measure
from thumbnails.images.overlay.text import prepare, with_quotes

Test = TypeVar("Test", bound=Callable[..., None])


def generated(**strategies: st.SearchStrategy[Any]) -> Callable[[Test], Test]:
    """Run a test for a few titles that are the same every time."""

    def decorated(test: Test) -> Test:
        return cast(Test, settings(max_examples=25, derandomize=True)(given(**strategies)(test)))

    return decorated


latin_words = st.lists(
    st.sampled_from(["How", "we", "built", "the", "fast", "new", "engine", "for", "data", "teams", "in", "Rust"]),
    max_size=4,
)
thousands = st.integers(1000, 9_999_999).map(lambda number: f"{number:,}".replace(",", " "))
numbers = st.one_of(st.integers(0, 9999).map(str), st.decimals(0, 99, places=1).map(str), thousands)


def lines(title: str, template: str = "left-panel") -> list[str]:
    return [line.text for line in measure(title, template, "inter").lines]


def pieces(title: str, tier: Tier) -> list[str]:
    """``title`` cut at every break of at most ``tier``."""
    places = [0, *(one.at for one in find_breaks(title, tier)), len(title)]
    return [title[a:b] for a, b in pairwise(places)]


def whole(part: str, title: str) -> bool:
    """Whether no line of ``title`` can end inside of ``part``."""
    start = title.index(part)
    return not any(start < one.at < start + len(part) for one in find_breaks(title, Tier.CLUSTER))


def among(words: list[str], part: str, at: int) -> str:
    """A title of ``words`` with ``part`` between them."""
    return " ".join([*words[:at], part, *words[at:]])


SAMPLES = [
    "ಕನ್ನಡದಲ್ಲಿ ಬ್ಲಾಗ್",
    "മലയാളത്തിൽ എഴുതുന്നത്",
    "සිංහලෙන් ලියන්නේ",
    "ਪੰਜਾਬੀ ਵਿੱਚ",
    "ଓଡ଼ିଆରେ ବ୍ଲଗ୍",
    "ភាសាខ្មែរ",
    "ພາສາລາວ",
    "မြန်မာဘာသာ",
    "བོད་སྐད",
    "በአማርኛ ብሎግ",
    "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ",
    "ܟܬܒܐ",
    "ދިވެހި",
    "ᠮᠣᠩᠭᠣᠯ",
    "ⵜⴰⵎⴰⵣⵉⵖⵜ",
    "ߒߞߏ",
    "ꦧꦱꦗꦮ",
    "ᮘᮞ ᮞᮥᮔ᮪ᮓ",
    "ᬩᬲᬩᬮᬶ",
    "ꆈꌠꉙ",
    "ᱥᱟᱱᱛᱟᱲᱤ",
    "𞤆𞤵𞤤𞤢𞤪",
    "ꯃꯤꯇꯩ",
    "ᐃᓄᒃᑎᑐᑦ",
    "ꕙꔤ",
    "𒀀𒁀",
    "𓀀𓁐",
    "𐎀𐎁",
    "ᚠᚢᚦ",
    "𐤀𐤁",
    "𝄞𝄢",
    "𗀀𗀁",
]


@generated(words=st.lists(st.sampled_from(SAMPLES), min_size=1, max_size=3), font=st.sampled_from(sorted(FONTS)))
def test_every_script_of_noto_is_drawn(words: list[str], font: str) -> None:
    layout = measure(" ".join(words), "left-panel", font)
    assert layout.missing == ()
    assert all(line.ink[2] > line.ink[0] for line in layout.lines) and layout.lines


@generated(letters=st.lists(st.sampled_from([chr(p) for p in range(0x1D400, 0x1D800) if chr(p).isalnum()]), min_size=1))
def test_styled_letters_are_drawn_as_plain_ones(letters: list[str]) -> None:
    title = "".join(letters)
    assert choose(title, "inter").text == unicodedata.normalize("NFKC", title)


DISPLAY = ("permanent-marker", "bangers", "creepster", "righteous", "press-start-2p", "bebas-neue")
polish = st.lists(st.text("abcdeghijklmnoprstuwyząćęłńóśźż", min_size=1, max_size=9), min_size=1, max_size=6)


@generated(words=polish, font=st.sampled_from(DISPLAY))
def test_each_word_is_in_one_face_and_a_warning_counts_those_in_another(words: list[str], font: str) -> None:
    title = " ".join(words)
    chosen = choose(title, font)
    at = 0
    elsewhere = 0
    for word in words:
        faces = set(chosen.fonts[at : at + len(word)])
        assert len(faces) == 1
        assert (faces == {font}) == (not lacking(word, font))
        elsewhere += faces != {font} and len(lacking(word, font)) < len(set(word))
        at += len(word) + 1
    assert sum(one.words for one in chosen.borrowed) == elsewhere


@generated(
    parts=st.lists(st.text("abdegiklmnorstuäöü", min_size=4, max_size=12), min_size=2, max_size=5), words=latin_words
)
def test_a_word_with_soft_hyphens_breaks_there_alone(parts: list[str], words: list[str]) -> None:
    title = " ".join([*words, "\u00ad".join(parts)])
    word = title.rindex(" ") + 1 if " " in title else 0
    breaks = [one for one in find_breaks(title, Tier.CLUSTER) if one.at > word]
    assert [one.at for one in breaks] == [i + 1 for i, one in enumerate(title) if one == "\u00ad"]
    assert all(one.hyphen for one in breaks)
    set_ = lines(title)
    assert not any("\u00ad" in line for line in set_)
    assert "".join(set_).replace(" ", "").replace("-", "") == title.replace(" ", "").replace("\u00ad", "")


@generated(
    glue=st.sampled_from("\u2060\u00a0\u202f\u2007\ufeff"),
    left=st.sampled_from(("km", "東京", "10", "ไทย")),
    words=latin_words,
)
def test_what_is_joined_stays_together(glue: str, left: str, words: list[str]) -> None:
    title = prepare(among(words, f"{left}{glue}大阪", len(words))).text
    joint = title.index("大阪")
    assert not {joint, joint - 1} & {one.at for one in find_breaks(title, Tier.CLUSTER)}


PROVINCES = [
    "กรุงเทพมหานคร",
    "นครศรีธรรมราช",
    "พระนครศรีอยุธยา",
    "สุราษฎร์ธานี",
    "อุบลราชธานี",
    "ประจวบคีรีขันธ์",
    "เชียงใหม่",
    "มหาสารคาม",
]
COMPOUNDS = ["นักท่องเที่ยว", "โรงพยาบาล", "มหาวิทยาลัย", "ร้านอาหาร", "รถไฟฟ้า", "พิพิธภัณฑ์", "คอมพิวเตอร์"]


@generated(
    name=st.sampled_from(PROVINCES),
    thing=st.sampled_from(COMPOUNDS),
    way=st.sampled_from(("เปิด{}ใน{}แล้ว", "รวม{}ที่{}ปีนี้")),
)
def test_thai_compounds_and_names_stay_whole(name: str, thing: str, way: str) -> None:
    words = pieces(way.format(thing, name), Tier.WORD)
    assert name in words and thing in words


full_width = st.text("ＡＢＩＮＳＷｉｅｏｃｄ０１２８９", min_size=2, max_size=8)


@generated(one=full_width, other=full_width, template=st.sampled_from(("left-panel", "center-box")))
def test_full_width_words_and_numbers_stay_whole(one: str, other: str, template: str) -> None:
    title = f"今年の{one}と{other}を比べてみた"
    assert whole(one, title) and whole(other, title)
    assert "".join(lines(title, template)) == title


UNITS = [
    "%",
    "‰",
    "km",
    "kg",
    "€",
    "$",
    "zł",
    "°C",
    "GB",
    "min",
    "h",
    "ms",
    "MHz",
    "Uhr",
    "Mio",
    "млн",
    "кг",
    "percent",
]
SIGNS = ["№", "§", "#", "€", "$", "£", "No.", "Nr.", "Art.", "p.", "±"]


@generated(
    number=numbers, unit=st.sampled_from(UNITS), sign=st.sampled_from(SIGNS), words=latin_words, at=st.integers(0, 4)
)
def test_a_number_stays_with_its_unit_its_sign_and_its_digits(
    number: str, unit: str, sign: str, words: list[str], at: int
) -> None:
    for part in (f"{number} {unit}", f"{sign} {number}", f"{number}{unit}", f"{number} × {number}"):
        assert whole(part, among(words, part, at)), part


TOKENS = (
    "C++ {}",
    "C# {}",
    "Node.js {}",
    "Python {}.1",
    "v{}.2.3",
    "macOS {}",
    "ASP.NET {}",
    "A/B",
    "TCP/IP",
    "{}–{}",
    "z. B.",
)


@generated(token=st.sampled_from(TOKENS), number=st.integers(1, 99), words=latin_words, at=st.integers(0, 4))
def test_a_name_and_its_version_stay_whole(token: str, number: int, words: list[str], at: int) -> None:
    part = token.format(number, number + 1)
    assert whole(part, among(words, part, at))


MARKS = ("( {} )", "« {} »", "[{}]", "{} !", "{} ?", "{} :", "„{}“", "“{}”", "¿{}?", "{} – ")


@generated(mark=st.sampled_from(MARKS), words=latin_words, at=st.integers(0, 4))
def test_no_line_ends_after_an_opening_or_before_a_closing_mark(mark: str, words: list[str], at: int) -> None:
    part = mark.format("so")
    assert whole(part.rstrip(), among(words, part, at))


@generated(
    path=st.lists(st.text("abcdefghij0123456789-", min_size=1, max_size=12), max_size=4),
    query=st.sampled_from(("", "?id=10&ref=home", "#part-2")),
    words=latin_words,
)
def test_a_url_is_divided_after_a_slash_or_before_its_query_and_gets_no_hyphen(
    path: list[str], query: str, words: list[str]
) -> None:
    url = "/".join(["https://www.example.com", *path]) + query
    title = " ".join(["See", *words, url])
    start = title.index(url)
    for one in find_breaks(title, Tier.CLUSTER):
        if one.at > start:
            assert not one.hyphen
            assert one.tier == Tier.CLUSTER or title[one.at] in "?#&" or title[one.at - 2 : one.at] not in ("//", ":/")
            assert one.tier == Tier.CLUSTER or title[one.at] in "?#&" or title[one.at - 1] == "/"


BRACKETS = ("「{}」", "『{}』", "（{}）", "【{}】", "〈{}〉")


@generated(
    bracket=st.sampled_from(BRACKETS),
    inside=st.sampled_from(("引用", "本", "仮")),
    particle=st.sampled_from("のをがはにとでも"),
)
def test_no_line_begins_with_a_particle_or_a_mark_after_a_closing_bracket(
    bracket: str, inside: str, particle: str
) -> None:
    for after in (particle, "、", "。", "ー"):
        title = f"今日は{bracket.format(inside)}{after}読みました"
        assert not any(piece.startswith(after) for piece in pieces(title, Tier.WORD))


hebrew = st.text("אבגדהוזחט", min_size=2, max_size=6)


@generated(before=hebrew, after=hebrew, inside=st.sampled_from(("Node.js (LTS)", "C++ 20", "a, b!", "50% off")))
@pytest.mark.parametrize("opens", ["\u2066", "\u2068"])
def test_what_is_isolated_keeps_its_order(opens: str, before: str, after: str, inside: str) -> None:
    def runs(title: str) -> list[tuple[str, str]]:
        (line,) = measure(title, "bottom-bar", "inter").lines
        return [(run.text, run.direction) for run in line.runs]

    drawn = runs(f"{before} {opens}{inside}\u2069 {after}")
    assert (inside, "ltr") in drawn
    assert [text.strip() for text, _ in drawn if text.strip()] == [after, inside, before]


@generated(inside=st.sampled_from(("abc 1", "(x)")), word=hebrew)
def test_an_embedding_reads_in_its_direction(inside: str, word: str) -> None:
    (line,) = measure(f"\u202b{inside} {word}\u202c end", "bottom-bar", "inter").lines
    drawn = [run.text.strip() for run in line.runs]
    assert drawn.index(word) < drawn.index(inside.strip("()") if inside == "(x)" else inside)


ENTITIES = {"&amp;": "&", "&#8217;": "’", "&#x2014;": "—", "&hellip;": "…", "&eacute;": "é", "&lt;": "<", "&quot;": '"'}
no_entities = st.sampled_from(("AT&T", "R&D;", "&foo;", "&#0;", "&;", "a & b;", "?a=1&copy=2", "&#xD800;"))


@generated(entities=st.lists(st.sampled_from(sorted(ENTITIES)), max_size=4), kept=no_entities)
def test_well_formed_entities_are_decoded_once_and_named(entities: list[str], kept: str) -> None:
    title = " x ".join([*entities, kept, "end"])
    prepared = prepare(title)
    assert prepared.text == " x ".join([*(ENTITIES[one] for one in entities), kept, "end"])
    assert prepared.entities == tuple(dict.fromkeys(entities))
    assert prepare(html.escape("a & b")).text == "a & b"


@pytest.mark.parametrize(
    ("straight", "expected"),
    [
        ('He said "it\'s fine" again', "He said “it’s fine” again"),
        ("Don't use 'var' in JS", "Don’t use ‘var’ in JS"),
        ('Wie sagt man "Hallo" auf Deutsch?', "Wie sagt man „Hallo“ auf Deutsch?"),
        ("C'est \"l'été\" pour les chats", "C’est «\u202fl’été\u202f» pour les chats"),
        ('Как сказать "Привет"', "Как сказать «Привет»"),
        ('Jak powiedzieć "cześć"', "Jak powiedzieć „cześć”"),
        ('Cómo decir "hola" en el bar', "Cómo decir «hola» en el bar"),
        ("Rock 'n' roll in the '90s", "Rock ’n’ roll in the ’90s"),
        ("A 6'2\" man and 5' of rope", "A 6′2″ man and 5’ of rope"),
        ("\"Nested 'quotes' here\"", "“Nested ‘quotes’ here”"),
    ],
)
def test_straight_quotes_become_those_of_the_language_where_asked(straight: str, expected: str) -> None:
    assert with_quotes(straight) == expected
    assert prepare(straight).text == straight


@generated(words=st.lists(st.sampled_from(["it's", '"so"', "dogs'", "'quoted'", "plain", '("in")']), min_size=1))
def test_smart_titles_have_no_straight_quotes_and_as_many_letters(words: list[str]) -> None:
    title = " ".join(words)
    smart = with_quotes(title)
    assert not set("'\"") & set(smart)
    assert regex.sub(r"\W", "", smart) == regex.sub(r"\W", "", title)
    assert smart.count("“") == smart.count("”")


EMOJI = ["🚀", "🔥", "✅", "❤️", "🇩🇪", "👨\u200d👩\u200d👧", "👍🏽", "#️⃣", "⚡"]


def colourful(layout: Layout) -> bool:
    canvas = Image.new("RGB", (1200, 630), "black")
    draw_title(canvas, layout, darken(canvas, layout))
    saturated = canvas.convert("HSV").getchannel("S").point([0] * 60 + [255] * 196)
    return saturated.getbbox() is not None


@generated(emoji=st.lists(st.sampled_from(EMOJI), min_size=1, max_size=3), words=latin_words)
def test_emoji_are_drawn_in_colour_or_in_white_as_asked(emoji: list[str], words: list[str]) -> None:
    title = " ".join([*words, *emoji])
    assert colourful(measure(title, "center-box", "inter"))
    assert not colourful(measure(title, "center-box", "inter", emoji="mono"))


def test_a_sign_asked_to_be_text_is_no_emoji() -> None:
    assert not colourful(measure("Watch \u231a\ufe0e and \u2714 this ☎", "center-box", "inter"))


def test_shared_fonts_are_told_apart_by_their_languages() -> None:
    assert {choose(title, "lora").fonts[0] for title in ("直す", "直", "直한")} == set(SHARED)
