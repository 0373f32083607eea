"""Where lines may end."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thumbnails.images.overlay.breaks import Tier, find_breaks, uax14_breaks


def parts(text: str) -> list[str]:
    """``text`` cut at every break that UAX #14 allows."""
    places = [0, *uax14_breaks(text), len(text)]
    return [text[a:b] for a, b in pairwise(places)]


def words(text: str, tier: Tier = Tier.WORD) -> list[str]:
    """``text`` cut at every break of at most ``tier``."""
    places = [0, *(one.at for one in find_breaks(text, tier)), len(text)]
    return [text[a:b] for a, b in pairwise(places)]


@pytest.mark.parametrize(
    "expected",
    [
        ["How ", "to ", "learn ", "Rust"],
        ["state-", "of-", "the-", "art"],
        ["It ", "costs ", "$1,000.50 ", "or ", "80%"],
        ["Wait… ", "what?"],
        ["A ", "(very) ", "short ", "“title”!"],
        ["«Да», ", "сказал ", "он"],
        ["日", "本", "語、", "「引", "用」", "で", "す。"],
        ["カッ", "プ", "め", "ん"],
        ["10\u00a0km ", "away"],
        ["שלום-", "עולם ", "טוב"],
        ["http://", "example.com/", "a"],
        ["ab\u200b", "cd"],
        ["🇩🇪", "🇫🇷", "👍🏽", "👨‍👩‍👧"],
        ["他", "说", "“你", "好”", "了"],
    ],
)
def test_the_unicode_rules(expected: list[str]) -> None:
    assert parts("".join(expected)) == expected


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("今日は天気がいいので散歩に行きましょう", ["今日は", "天気が", "いいので", "散歩に", "行きましょう"]),
        ("머신러닝 입문 과정", ["머신러닝 ", "입문 ", "과정"]),
        ("การเขียนโปรแกรม", ["การเขียน", "โปรแกรม"]),
    ],
)
def test_scripts_without_spaces_break_between_phrases(title: str, expected: list[str]) -> None:
    assert words(title) == expected


def test_a_cjk_phrase_breaks_inside_only_on_a_finer_tier() -> None:
    assert words("生成する") == ["生成する"]
    assert words("生成する", Tier.SYLLABLE) == ["生", "成", "す", "る"]


def test_a_thai_line_never_starts_with_a_vowel_or_a_mark() -> None:
    title = "วิธีเรียนรู้การเขียนโปรแกรมภาษาไพธอนและน้ำใจ"
    for one in find_breaks(title, Tier.CLUSTER):
        assert title[one.at] not in "ะาำๅๆ็ิีึืุู่้๊๋์ั"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("internationalization", "inter-na-tion-al-iza-tion"),
        ("Donaudampfschifffahrt", "Donau-dampf-schiff-fahrt"),
        ("программирование", "про-грам-ми-ро-ва-ние"),
    ],
)
def test_long_words_are_hyphenated_in_their_language(word: str, expected: str) -> None:
    assert "-".join(words(word, Tier.SYLLABLE)) == expected
    assert all(one.hyphen for one in find_breaks(word, Tier.SYLLABLE))


def test_breaks_after_short_connecting_words_cost_more_and_after_a_colon_less() -> None:
    titles = ("learn Rust", "the Rust", "und Rust", "и Rust", "Go: Rust")
    cost = {title: find_breaks(title, Tier.WORD)[0].cost for title in titles}
    assert cost["learn Rust"] == 0
    assert cost["the Rust"] == cost["und Rust"] == cost["и Rust"] > 0
    assert cost["Go: Rust"] < 0


@settings(max_examples=200, derandomize=True)  # type: ignore[untyped-decorator]
@given(st.text(alphabet="aB1 -.,:()“”é\u0301日本カー。「」한글אבجدกำ้เ🚀👍🏽\u200d\ufe0fक्षि\u00a0", max_size=40))  # type: ignore[untyped-decorator]
def test_no_break_is_inside_a_grapheme_cluster_or_before_a_space(text: str) -> None:
    found = [one.at for one in find_breaks(text, Tier.CLUSTER)]
    assert found == sorted(set(found))
    for at in found:
        assert 0 < at < len(text)
        assert not text[at].isspace() or text[at] == "\u00a0"
        assert text[at] not in "\u0301\u200d\ufe0f🏽้ำ्"
        assert text[at - 1] != "\u200d"
