"""A title as it is set: entities decoded, one line of composed characters, its quotes and apostrophes as asked.

Nothing here imports Pillow: checking a request asks which of these letters can be drawn.
"""

import html
import unicodedata
from dataclasses import dataclass

import regex

from thumbnails.images.overlay.templates import Typography

_SPACES = regex.compile(r"[\t\n\v\f\r \u1680\u2000-\u2006\u2008-\u200a\u2028\u2029\u205f\u3000]+")
# Control characters and invisible fillers. Joiners, soft hyphens and the controls of UAX #9 mean something, and stay.
_UNSET = regex.compile(
    r"[\p{Cc}\p{Cs}\ufffc\u2061-\u2065\u206a-\u206f\u034f\u115f\u1160\u17b4\u17b5\u180e\u3164\uffa0]"
)
_ENDS = regex.compile(r"^[\s\u00ad\u200b\u2060]+|[\s\u00ad\u200b\u2060]+$")
# No script stacks more marks on a letter; titles that do would leave any box.
_PILED_MARKS = regex.compile(r"(\p{M}{5})\p{M}+")
_ENTITY = regex.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
#: Invisible where they stand: they only say where a line ends, and which way it reads.
UNDRAWN = regex.compile(r"[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069]")


@dataclass(frozen=True)
class Prepared:
    """A title as it is set, and the HTML entities that were decoded in it, in their order."""

    text: str
    entities: tuple[str, ...]


def prepare(title: str, typography: Typography = "as-is") -> Prepared:
    """Make a title what is set.

    Args:
        title: as somebody wrote it.
        typography: whether straight quotes and apostrophes become those of the title's language.
    """
    decoded, entities = _without_entities(title)
    text = normalise(decoded)
    return Prepared(with_quotes(text) if typography == "smart" else text, entities)


def _without_entities(title: str) -> tuple[str, tuple[str, ...]]:
    """Well-formed entities (HTML, 13.5) as their characters, once; what only looks like one stays."""
    decoded: list[str] = []

    def character(found: "regex.Match[str]") -> str:
        said: str = found[0]
        means: str = html.unescape(said)
        if means == said or means.endswith(";") or "\ufffd" in means or not means.strip("\x00\x7f"):
            return said
        decoded.append(said)
        return means

    return str(_ENTITY.sub(character, title)), tuple(dict.fromkeys(decoded))


def normalise(title: str) -> str:
    """The title as one line of composed characters (NFC), with single spaces and without control characters."""
    text = unicodedata.normalize("NFC", title).replace("\ufeff", "\u2060")
    clean = _UNSET.sub("", _SPACES.sub(" ", text))
    return str(_ENDS.sub("", _PILED_MARKS.sub(r"\1", _SPACES.sub(" ", clean))))


# Outer and inner quotes by language, as each one's own rules of typography have them.
_ENGLISH, _GERMAN = ("“", "”", "‘", "’"), ("„", "“", "‚", "‘")
_FRENCH, _POLISH = ("«\u202f", "\u202f»", "“", "”"), ("„", "”", "«", "»")
_GUILLEMETS = ("«", "»", "„", "“")
# A language is told by its script, by letters that few others have, or by its short words.
_LANGUAGES: tuple[tuple[str, tuple[str, str, str, str]], ...] = (
    (r"[іїєґ]|\p{Cyrillic}", _GUILLEMETS),
    (r"\p{Greek}", ("«", "»", "“", "”")),
    (r"\b(?:der|das|und|ist|nicht|ein|eine|für|wie|wir|auf|von)\b|ß", _GERMAN),
    (r"[ąęłńśźż]|\b(?:jak|nie|jest|się)\b", _POLISH),
    (r"[ěřů]|\b(?:jak|není)\b", _GERMAN),
    (r"\b(?:el|los|las|cómo|qué|para|del)\b|[¿¡ñ]", ("«", "»", "“", "”")),
    (r"\b(?:il|gli|che|della|perché)\b", ("«", "»", "“", "”")),
    (r"\b(?:le|les|des|est|une|et|pour|avec|dans|sur|du|vous|nous)\b|\b[cdjlmnst]['’][aeiouyhéèê]|œ", _FRENCH),
    (r"\b(?:och|är|att|det|på)\b", ("”", "”", "’", "’")),
)
_OPENS = regex.compile(r"(?:^|[\s(\[{«“‘„‚—–/-])$")
_CLOSES = regex.compile(r"(?<=\S)'(?!\p{L})")
_LEFT_OUT = regex.compile(r"'(?=\d0s\b|(?:tis|twas|em|til|cause|n)\b)", regex.I)


def with_quotes(title: str) -> str:
    """The title with true apostrophes, and with its language's quotes in place of straight ones."""
    if '"' not in title and "'" not in title:
        return title
    lower = title.lower()
    # Feet and inches, minutes and seconds are no quotes.
    title = regex.sub(r"(?<=\d)'(?=\s|\d|$)", "′", title) if '"' not in title else title
    title = regex.sub(r"(?<=\d')(\d+)\"", r"\1″", title)
    title = regex.sub(r"(?<=\d)'(?=\d+″)", "′", title)
    title = _LEFT_OUT.sub("’", title)
    outer_left, outer_right, left, right = next(
        (quotes for letters, quotes in _LANGUAGES if regex.search(letters, lower)), _ENGLISH
    )
    made = ""
    outer = inner = False
    for at, character in enumerate(title):
        opens, after = bool(_OPENS.search(made)), title[at + 1 : at + 2]
        if character == '"':
            outer = not outer and after != "" and (opens or not after.isspace())
            made += outer_left if outer else outer_right
        elif character == "'":
            starts = opens and not inner and bool(_CLOSES.search(title, at + 1))
            ends = inner and not regex.match(r"\p{L}", after)
            made += left if starts else right if ends else "’"
            inner = starts or (inner and not ends)
        else:
            made += character
    return made
