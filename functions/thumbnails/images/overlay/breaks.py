"""Where a line of a title may end, and how willingly.

The rules are those of UAX #14 (Unicode line breaking), with strict kinsoku (class CJ as NS), and those of typography
that keep a number with its unit and a name in one piece. Scripts that write no spaces are refined: BudouX finds phrases
in Japanese and Chinese, a word list the words of Thai; Korean breaks between words. Character properties come from the
``regex`` library.
"""

import unicodedata
from dataclasses import dataclass
from enum import IntEnum
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

import regex


class Tier(IntEnum):
    """How fine a break is."""

    WORD = 0  # between words and phrases
    SYLLABLE = 1  # inside a CJK phrase, or at a soft hyphen or a hyphenation point
    CLUSTER = 2  # anywhere between grapheme clusters


@dataclass(frozen=True)
class Break:
    """A place where a line may end: before the character ``at``. ``cost`` is in squares of the line width."""

    at: int
    tier: Tier
    cost: float
    hyphen: bool = False


_NAMES = (
    "AI AK AL AP AS B2 BA BB CB CJ CL CM CP EB EM EX GL H2 H3 HH HL HY ID IN IS JL JT JV NS NU OP PO PR QU RI SA SP "
    "SY VF VI WJ ZW ZWJ"
)
_CLASSES = _NAMES.split()
_CLASS = regex.compile("|".join(rf"(?P<{name}>\p{{lb={name}}})" for name in _CLASSES))
_WIDE = regex.compile(r"[\p{ea=W}\p{ea=F}\p{ea=H}]")
_LETTER = {name: chr(0xE000 + i) for i, name in enumerate([*_CLASSES, "OPE", "CPE", "QUI", "QUF", "DOT"])}


@cache
def _line_break_class(character: str) -> str:
    """The line breaking class of UAX #14, table 1, resolved by rule LB1, with the subsets that later rules name."""
    if character == "\u25cc":
        return "DOT"
    found = _CLASS.match(character)
    name: str = found.lastgroup if found else "AL"
    if name == "SA":
        return "CM" if unicodedata.category(character) in ("Mn", "Mc") else "AL"
    if name in ("OP", "CP") and _WIDE.match(character):
        return name + "E"
    if name == "QU":
        return {"Pi": "QUI", "Pf": "QUF"}.get(unicodedata.category(character), "QU")
    return {"AI": "AL", "CJ": "NS"}.get(name, name)


def _rule(before: str, after: str) -> Any:
    def letters(pattern: str) -> str:
        return cast(str, regex.sub(r"[A-Z][A-Z0-9]+", lambda name: _LETTER[name[0]], pattern)).replace(" ", "")

    return regex.compile((f"(?<={letters(before)})" if before else "") + (f"(?={letters(after)})" if after else ""))


_EAST = "[ID EB EM NS CL CPE OPE H2 H3 EX]"
_HANGUL_PARTS = "[JL JV JT H2 H3]"
# The rules of UAX #14 in their order, as (rule, text before, text after, may break). The first that fits decides.
_RULES = tuple(
    (_rule(before, after), allowed)
    for before, after, allowed in (
        ("", "[SP ZW]", False),  # LB7
        ("ZW SP*", "", True),  # LB8
        ("", "WJ", False),  # LB11
        ("WJ", "", False),
        ("GL", "", False),  # LB12
        ("[^SP BA HY HH]", "GL", False),  # LB12a
        ("", "[CL CP CPE EX SY]", False),  # LB13
        ("[OP OPE] SP*", "", False),  # LB14
        ("(?:^|[OP OPE QU QUI QUF GL SP ZW]) QUI SP*", "", False),  # LB15a
        ("", "QUF (?:[SP GL WJ CL QU QUI QUF CP CPE EX IS SY ZW]|$)", False),  # LB15b
        ("SP", "IS NU", True),  # LB15c
        ("", "IS", False),  # LB15d
        ("[CL CP CPE] SP*", "NS", False),  # LB16
        ("B2 SP*", "B2", False),  # LB17
        ("SP", "", True),  # LB18
        ("", "[QU QUF]", False),  # LB19
        ("[QU QUI]", "", False),
        (f"{_EAST}", f"QUI {_EAST}", True),  # LB19a: a break before the opening and after the closing quote
        (f"{_EAST} QUF", f"{_EAST}", True),
        ("", "QUI", False),
        ("QUF", "", False),
        ("", "CB", True),  # LB20
        ("CB", "", True),
        ("(?:^|[SP ZW CB GL]) [HY HH]", "[AL HL DOT]", False),  # LB20a
        ("", "[BA HH HY NS]", False),  # LB21
        ("BB", "", False),
        ("HL [HY HH BA]", "[^HL]", False),  # LB21a
        ("SY", "HL", False),  # LB21b
        ("", "IN", False),  # LB22
        ("[AL HL DOT]", "NU", False),  # LB23
        ("NU", "[AL HL DOT]", False),
        ("PR", "[ID EB EM]", False),  # LB23a
        ("[ID EB EM]", "PO", False),
        ("[PR PO]", "[AL HL DOT]", False),  # LB24
        ("[AL HL DOT]", "[PR PO]", False),
        ("NU [SY IS]* [CL CP CPE]?", "[PO PR]", False),  # LB25
        ("[PO PR]", "[OP OPE]? IS? NU", False),
        ("[HY IS]", "NU", False),
        ("NU [SY IS]*", "NU", False),
        ("JL", "[JL JV H2 H3]", False),  # LB26
        ("[JV H2]", "[JV JT]", False),
        ("[JT H3]", "JT", False),
        (_HANGUL_PARTS, "PO", False),  # LB27
        ("PR", _HANGUL_PARTS, False),
        ("[AL HL DOT]", "[AL HL DOT]", False),  # LB28
        ("AP", "[AK DOT AS]", False),  # LB28a
        ("[AK DOT AS]", "[VF VI]", False),
        ("[AK DOT AS] VI", "[AK DOT]", False),
        ("[AK DOT AS]", "[AK DOT AS] VF", False),
        ("IS", "[AL HL DOT]", False),  # LB29
        ("[AL HL NU DOT]", "OP", False),  # LB30
        ("CP", "[AL HL NU DOT]", False),
        ("(?:^|[^RI]) (?:RI RI)* RI", "RI", False),  # LB30a
        ("EB", "EM", False),  # LB30b
    )
)


def uax14_breaks(text: str) -> list[int]:
    """The indices before which UAX #14 allows a break in ``text``, which holds no hard line break."""
    names: list[str] = []
    places: list[int] = []
    fixed: set[int] = set()
    for i, character in enumerate(text):
        name = _line_break_class(character)
        if i and text[i - 1] == "\u200d":  # LB8a
            fixed.add(i)
        if name in ("CM", "ZWJ"):
            if names and names[-1] not in ("SP", "ZW"):  # LB9
                continue
            name = "AL"  # LB10
        names.append(name)
        places.append(i)
    classes = "".join(_LETTER[name] for name in names)
    decided: dict[int, bool] = {}
    for rule, allowed in _RULES:
        for found in rule.finditer(classes):
            decided.setdefault(found.start(), allowed)
    return [places[k] for k in range(1, len(places)) if decided.get(k, True) and places[k] not in fixed]


_HAN_OR_KANA = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}ー々〆]")
# With the Latin words and the numbers between them: BudouX keeps those with what belongs to them.
_EAST_ASIAN_RUN = regex.compile(
    r"[A-Za-z0-9０-９Ａ-Ｚａ-ｚ]*[\p{Han}\p{Hiragana}\p{Katakana}ー々〆、。，．！？：；・「」『』（）【】]"
    r"[\p{Han}\p{Hiragana}\p{Katakana}ー々〆、。，．！？：；・「」『』（）【】A-Za-z0-9０-９Ａ-Ｚａ-ｚ]*"
)
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF10, 0xFF5B) if chr(code).isalnum()}
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]")
_HANGUL = regex.compile(r"\p{Hangul}")
_ALPHANUMERIC = regex.compile(r"[\p{L}\p{Nd}]")
_THAI_RUN = regex.compile(r"\p{Thai}+")
# Scripts without spaces between words, and where a syllable of those begins whose words are not listed here.
_UNSPACED = regex.compile(r"\p{lb=SA}")
_SYLLABLE = regex.compile(
    r"(?<![ເແໂໃໄ])(?:[ເແໂໃໄ]|[ກ-ຮ](?=[\u0eb0-\u0ebd\u0ec8-\u0ecd]))|"
    r"(?<!\u17d2)[\u1780-\u17b3](?=[\u17b6-\u17c8\u17d2])|"
    r"(?<!\u1039)[\u1000-\u102a\u103f](?!\u103a|\u1039|\u1037\u103a)"
)
# Of a shorter word nothing is gained by a break that no dictionary knows.
_TOO_SHORT_TO_BREAK = 8
# Letters, digits and signs without a space between, in scripts that write spaces.
_TOKEN = regex.compile(r"[^\s\p{Han}\p{Hiragana}\p{Katakana}ー\p{lb=SA}]+")
_TOO_SHORT_A_TOKEN = 12
_CLUSTER = regex.compile(r"\X")
_WORD = regex.compile(r"[\p{L}\p{M}'’]+")
_ALPHABETIC_WORD = regex.compile(r"[\p{Latin}\p{Greek}\p{Cyrillic}\p{M}'’]+")
_SOFT_HYPHEN = "\u00ad"
_SOFT_HYPHENED = regex.compile(r"[\p{L}\p{M}'’\u00ad]*\u00ad[\p{L}\p{M}'’\u00ad]*")
# Even where a word has soft hyphens, a part of it that no line holds is broken somewhere.
_LONGER_THAN_A_LINE = 24

# Words that lean on the next one, in the languages most titles come in; a line should not end with them.
_LEANING_WORDS = (
    "a an the of to in on at by for from with and or nor but as is it its my our your vs "
    "der die das dem den des ein eine einen und oder im am zu zum zur von vom mit für auf bei aus "
    "le la les l un une des du de d et ou à au aux en dans pour par sur "
    "el los las unos una y o e u del al con por para se su sus que "
    "il lo gli i uno di da nel nella col per tra fra che os um uma do dos das no na em com "
    "het een van op te met voor w z się od ze v s k ve ke "
    "и в во на с со к ко о об от до за из у по не для без а но или "
    "και το τα του της τον την ο η οι των σε με για από ως "
    "की का के में से को पर और है"
)
_LEANING = frozenset(_LEANING_WORDS.split())
_AFTER_CONNECTOR = 0.08
_AFTER_PAUSE = -0.04
_AFTER_HYPHEN = 0.10
_INSIDE_PHRASE = 0.10
_AT_SOFT_HYPHEN = 0.12
_HYPHENATION = 0.25
_ANYWHERE = 0.60


@lru_cache(maxsize=2)
def _phrases(language: str) -> Any:
    import budoux

    return {"ja": budoux.load_default_japanese_parser, "zh": budoux.load_default_simplified_chinese_parser}[language]()


def _phrase_ends(text: str) -> set[int]:
    ends: set[int] = set()
    language = "ja" if _KANA.search(text) else "zh"
    for run in _EAST_ASIAN_RUN.finditer(text):
        at = run.start()
        for phrase in _phrases(language).parse(run[0].translate(_FULL_WIDTH)):
            at += len(phrase)
            ends.add(at)
    return ends


@cache
def _thai_words() -> tuple[frozenset[str], int]:
    """The words of ``thai-words.txt``, and how long the longest is."""
    words = frozenset(Path(__file__).with_name("thai-words.txt").read_text().split())
    return words, max(map(len, words))


def _thai_word_ends(text: str) -> set[int]:
    """Where the words of Thai end: of all ways to read a run as listed words, the one that leaves the least unread, and
    of those the one in the fewest words, and then with the longest ones. What is in no list stays whole.
    """
    ends: set[int] = set()
    for run in _THAI_RUN.finditer(text):
        words, longest = _thai_words()
        thai, count = run[0], len(run[0])
        # For each start, from the last: characters unread, words, less the squares of their lengths; the end of the
        # first word, and whether it is listed.
        best: list[tuple[int, int, int, int, bool]] = [(0, 0, 0, count, True)] * (count + 1)
        for start in range(count - 1, -1, -1):
            unread, number, squares, _, _ = best[start + 1]
            best[start] = (unread + 1, number, squares, start + 1, False)
            for end in range(min(count, start + longest), start, -1):
                if thai[start:end] in words and (end == count or not _glued(thai[end - 1], thai[end])):
                    unread, number, squares, _, _ = best[end]
                    best[start] = min(best[start], (unread, number + 1, squares - (end - start) ** 2, end, True))
        at, before = 0, True
        while at < count:
            *_, end, listed = best[at]
            if at and (listed or before):
                ends.add(run.start() + at)
            at, before = end, listed
        ends.add(run.end())
    return ends


@cache
def _hyphenator(language: str) -> Any:
    import pyphen

    return pyphen.Pyphen(lang=language, left=3, right=3)


# Whose dictionary hyphenates a word, told by script and by letters that only some languages have; the first that fits.
# functions/Makefile packs these dictionaries.
LANGUAGES = (
    (r"\p{Cyrillic}*[іїєґ]", "uk_UA"),
    (r"\p{Cyrillic}", "ru_RU"),
    (r"\p{Greek}", "el_GR"),
    (r"[äöüß]|.*(?:schaft|ung|keit|heit|lich|isch)", "de_DE"),
    (r"[ąćęłńśźż]", "pl_PL"),
    (r"[ěřů]", "cs_CZ"),
    (r"[ãõ]", "pt_PT"),
    (r"[ñ]|.*ción", "es"),
    (r"[éèêëàâçîïôœ]", "fr"),
    (r"[a-z]", "en_US"),
)


def _language(word: str) -> str | None:
    lower = word.lower()
    return next((language for letters, language in LANGUAGES if regex.search(letters, lower)), None)


def _hyphenation_points(text: str) -> set[int]:
    points: set[int] = set()
    for word in _ALPHABETIC_WORD.finditer(text):
        language = _language(word[0]) if len(word[0]) >= 8 else None
        if language:
            points |= {word.start() + position for position in _hyphenator(language).positions(word[0])}
    return points


_UNIT = (
    r"(?:[%‰°′″\p{Sc}]|°[CF]|[kcmµμnd]?m[²³]?|[kmµμ]?g|t|[mcd]?l|[mµμn]?s|min|h|[kMGT]?Hz|[kMGT]?Wh?|[mk]?[VA]|mAh|"
    r"[kKMGTP]i?[Bb](?:it)?(?:ps|/s)?|fps|px|pt|dpi|rpm|km/h|mph|ft|lbs?|oz|mi|in|[ap]\.?m\.?|"
    r"EUR|USD|GBP|CHF|JPY|CNY|INR|PLN|CZK|SEK|NOK|DKK|RUB|UAH|zł|Kč|kr|Ft|lei|руб|грн|"
    r"Mio|Mrd|Tsd|Uhr|млн|млрд|тыс|трлн|км|кг|см|мм|м|г|л|кВт|ГБ|МБ|ТБ|percent|Prozent|million|billion|trillion)"
)
_NUMBER_SIGN = (
    r"(?:[№#§€$£¥₹₽₩₺₴₪₫±~≈]|§§|[Nn][ro]s?\.|[Nn][º°]|Art\.|Abs\.|Abb\.|Fig\.|Kap\.|[Vv]ol\.|[Cc]h\.|pp?\.|S\.|ver\.|v\.|"
    r"стр\.|ст\.|п\.|гл\.)"
)
_OPENING, _CLOSING = r"[\p{Ps}\p{Pi}„‚¿¡]", r"[\p{Pe}\p{Pf}!?:;…‽⁇⁈⁉]"
# What a line keeps together, wherever it ends: (what comes before, what comes after), as regular expressions.
_TOGETHER = tuple(
    regex.compile(rf"(?<={before})(?={after})")
    for before, after in (
        (r"\d[\s]", rf"{_UNIT}(?![\p{{L}}\p{{Nd}}])"),
        (r"\d", r"[%‰°′″]|\p{Sc}"),
        (r"(?<!\d)\d{1,3}[ \u2009]|(?<!\d)\d{1,3}(?:[ \u2009]\d{3})*[ \u2009]", r"\d{3}(?!\d)"),
        (rf"(?<![\p{{L}}\p{{Nd}}]){_NUMBER_SIGN}\s?", r"\d"),
        (r"\d\s?", r"[×x*÷·/:^]\s?\d"),
        (r"\d\s?[×x*÷·/:^]\s?", r"\d"),
        (r"(?<!\d)\d{1,15}", r"\d{1,15}(?!\d)"),
        (r"\d[.,:'’]", r"\d"),
        (r"\d", r"[–—-]\d"),
        (r"\d[–—-]", r"\d"),
        (r"[+−–-]", r"\d"),
        # Names that hold or end in signs, and the number after one: C++ 20, C# 12, Node.js 22, Python 3.13, v2.0.
        (r"[A-Za-z]\+", r"\+"),
        (r"[A-Za-z](?:\+\+|#)\s?", r"v?\d"),
        (r"\.(?:js|ts|io|NET|net)\s", r"v?\d"),
        (r"(?:\p{Ll}\p{Lu}\w*|(?<!\w)\p{Lu}{2,})\s", r"\d{1,2}(?!\d)"),
        (r"\p{L}\s", r"[vV]?\d+(?:\.\d+)+(?![\d.,]*\s*%)"),
        (r"(?<![\p{L}\p{Nd}])[\p{L}\p{Nd}]{1,3}/", r"[\p{L}\p{Nd}]{1,3}(?![\p{L}\p{Nd}/])"),
        (r"(?<!\p{L})\p{L}\.\s", r"\p{L}\."),
        # A space inside a pair of marks, as French has it, or by mistake.
        (rf"(?:^|[\s\p{{Ps}}]){_OPENING}\s?", r"\S"),
        (r"\S\s?", rf"{_CLOSING}(?![\p{{L}}\p{{Nd}}])"),
        (r"\S\s", r"[–—](?:\s|$)"),
        # Full-width words and numbers are read as half-width ones, and a counter belongs to its number.
        (r"[０-９Ａ-Ｚａ-ｚ]", r"[０-９Ａ-Ｚａ-ｚ]"),
        (r"[０-９][．，]", r"[０-９]"),
        (r"[0-9０-９]", r"[\p{Han}\p{Hangul}％]"),
        (r"第", r"[0-9０-９]"),
    )
)
_ADDRESS = regex.compile(
    r"(?:https?://|www\.)[^\s\p{Han}\p{Kana}\p{Hira}]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|"
    r"(?<![\w@])[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|io|dev|ai|app|co|de|fr|eu|uk|jp|cn|ru|gov|edu)(?:/[^\s\p{Han}]*)?(?!\w)"
)
# Where a URL may be divided: after a slash between its parts, and before what begins its query.
_DIVIDES_URL = regex.compile(r"(?<=[^/:]/)(?=\w{2})|(?<=\w{2}/?)(?=[?#&])")


# A title with none of these has nothing of the above in it.
_NEEDS_A_LOOK = regex.compile(rf"\p{{N}}|[A-Za-z]\+\+|[０-９Ａ-Ｚａ-ｚ/.–—]|{_OPENING}|\s{_CLOSING}|\p{{Pe}}|\p{{Pf}}")


def _kept_together(text: str) -> set[int]:
    """Where no line ends, whatever UAX #14 says: indices as ``Break.at``."""
    if not _NEEDS_A_LOOK.search(text):
        return set()
    return {found.start() for pair in _TOGETHER for found in pair.finditer(text)}


def _decided(text: str) -> dict[int, Break | None]:
    """The breaks that there are, and are not, whatever UAX #14 and the dictionaries say: by where they are."""
    decided: dict[int, Break | None] = dict.fromkeys(_kept_together(text))
    for word in _SOFT_HYPHENED.finditer(text) if _SOFT_HYPHEN in text else ():
        if all(len(part) <= _LONGER_THAN_A_LINE for part in word[0].split(_SOFT_HYPHEN)):
            decided.update(dict.fromkeys(range(word.start() + 1, word.end())))
        for at in range(word.start() + 1, word.end()):
            if text[at - 1] == _SOFT_HYPHEN and not _glued(text[at - 1], text[at]):
                decided[at] = Break(at, Tier.SYLLABLE, _AT_SOFT_HYPHEN, hyphen=True)
    for address in _ADDRESS.finditer(text) if "." in text else ():
        # Where it is too long for a line it is broken anywhere, with no hyphen that would become part of it.
        for at in range(address.start() + 1, address.end()):
            decided[at] = None if _glued(text[at - 1], text[at]) else Break(at, Tier.CLUSTER, _ANYWHERE)
        for divides in _DIVIDES_URL.finditer(text, *address.span()):
            decided[divides.start()] = Break(divides.start(), Tier.WORD, _AFTER_HYPHEN)
    return decided


def _places_in(words: "regex.Pattern[str]", text: str, shortest: int) -> set[int]:
    """The places inside the words of at least so many characters."""
    found = (word.span() for word in words.finditer(text))
    return {at for start, end in found if end - start >= shortest for at in range(start + 1, end)}


def _cost_of_ending(text: str, at: int) -> float:
    """What a line that ends with ``text[:at]`` costs beyond its length."""
    head = text[:at].rstrip()
    if head.endswith((":", "—", "–", "?", "!", ".", ";", "：", "？", "！", "。", "，", "、", "|", "،", "؟")):
        return _AFTER_PAUSE
    if head.endswith((",", ")")):
        return _AFTER_PAUSE / 2
    if head.endswith(("-", "‐", "/")):
        return _AFTER_HYPHEN
    word = regex.search(r"[\p{L}\p{M}'’]+$", head)
    return _AFTER_CONNECTOR if word and word[0].lower() in _LEANING else 0.0


@lru_cache(maxsize=4)
def find_breaks(text: str, finest: Tier) -> tuple[Break, ...]:
    """The breaks of ``text`` of at most the tier ``finest``, in order, without one at its end.

    No break is inside a grapheme cluster (UAX #29).
    """
    allowed = set(uax14_breaks(text))
    phrases, thai, decided = _phrase_ends(text), _thai_word_ends(text), _decided(text)
    # The dictionaries take longer to load than most titles to set: they wait for a title that needs them.
    syllables = _hyphenation_points(text) if finest >= Tier.SYLLABLE else set()
    breakable = _places_in(_TOKEN, text, _TOO_SHORT_A_TOKEN) | _places_in(_WORD, text, _TOO_SHORT_TO_BREAK)
    found: list[Break] = []
    at = 0
    for cluster in _CLUSTER.findall(text)[:-1]:
        at += len(cluster)
        before, after = text[at - 1], text[at]
        if after.isspace():
            continue
        if at in decided:
            found += [one for one in [decided[at]] if one]
        elif _glued(before, after):
            continue
        elif at in thai or (at in allowed and not _splits_a_phrase(before, after, at in phrases)):
            found.append(Break(at, Tier.WORD, _cost_of_ending(text, at)))
        elif at in allowed:
            found.append(Break(at, Tier.SYLLABLE, _INSIDE_PHRASE))
        elif at in syllables or (_SYLLABLE.match(text, at) and not before.isspace()):
            found.append(Break(at, Tier.SYLLABLE, _HYPHENATION, hyphen=at in syllables))
        elif not before.isspace():
            spaceless = _UNSPACED.match(after) or _HAN_OR_KANA.match(after)
            inside_word = bool(_WORD.match(before) and _WORD.match(after) and not spaceless)
            if spaceless or at in breakable:
                found.append(Break(at, Tier.CLUSTER, _ANYWHERE, hyphen=inside_word))
    return tuple(one for one in found if one.tier <= finest)


_THAI_AFTER_ITS_CONSONANT = frozenset("ะาำๅๆฯ")
_THAI_BEFORE_ITS_CONSONANT = frozenset("เแโใไ")
_NEVER_FIRST = frozenset({"CL", "CP", "CPE", "EX", "IS", "SY", "NS", "GL", "WJ", "ZW"})


def _glued(before: str, after: str) -> bool:
    """Whether even a line that has to be broken anywhere keeps these two characters together."""
    return (
        before in _THAI_BEFORE_ITS_CONSONANT
        or after in _THAI_AFTER_ITS_CONSONANT
        or before == "\u200d"
        or _line_break_class(before) in ("GL", "WJ")
        or _line_break_class(after) in _NEVER_FIRST
    )


_CLOSING_BRACKET = frozenset("」』）】〉》〕］｝”’")
_HIRAGANA = regex.compile(r"\p{Hiragana}")


def _splits_a_phrase(before: str, after: str, ends: bool) -> bool:
    """Whether UAX #14 breaks here between any two characters, where a reader takes them as one phrase or word.

    ``ends`` says that BudouX has a phrase end here.
    """
    if ends:
        # What follows a bracket in Hiragana is a particle, which leans on what the bracket holds.
        return before in _CLOSING_BRACKET and bool(_HIRAGANA.match(after))
    east = _HAN_OR_KANA.match(before), _HAN_OR_KANA.match(after)
    korean = _HANGUL.match(before), _HANGUL.match(after)
    joined = _ALPHANUMERIC.match(before) and _ALPHANUMERIC.match(after)
    return bool(
        all(east)
        or all(korean)
        or (joined and (any(east) or any(korean)))
        or (before in _CLOSING_BRACKET and (east[1] or korean[1]))
    )
