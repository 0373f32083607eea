"""Which font draws which letter, and what no font draws: told from the committed table alone.

Run as a program, ``PYTHONPATH=functions python -m tests.unit.test_overlay_coverage``, it writes the table anew.
"""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import regex
from fontTools.ttLib import TTFont

from thumbnails.images.overlay.coverage import (
    FOLDER,
    SHARED,
    TABLE,
    choose,
    lacking,
    register,
    table_of,
)
from thumbnails.images.overlay.layout import measure


def written() -> str:
    fonts = {path.stem: (path, 0) for path in FOLDER.glob("*.ttf")}
    fonts |= {name: (FOLDER / file, number) for name, (file, number) in SHARED.items()}
    return table_of({name: points(*where) for name, where in fonts.items()})


def points(path: Path, number: int) -> set[int]:
    with TTFont(path, fontNumber=number, lazy=True) as font:
        return set(font.getBestCmap())


def test_the_table_is_that_of_the_fonts() -> None:
    assert TABLE.read_text() == written(), "run make coverage"


def test_coverage_is_told_without_the_fonts_and_without_pillow() -> None:
    probe = (
        "import sys, pathlib; from thumbnails.images.overlay import coverage; "
        "coverage.FOLDER = pathlib.Path('/nowhere'); from thumbnails.requests import checks; "
        "from thumbnails.errors import InvalidBatch\n"
        "try: checks.parse_request('generateBatch', {'prompts': ['Toto \U0001e290'], 'models': ['gpt-image-2']}, 50)\n"
        "except InvalidBatch as error: print(error, 'PIL' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=FOLDER.parents[3], capture_output=True, text=True, check=True
    )
    assert "U+1E290" in done.stdout and done.stdout.endswith("False\n")


@pytest.mark.parametrize(
    "script", ["Kannada", "Malayalam", "Sinhala", "Khmer", "Lao", "Myanmar", "Tibetan", "Ethiopic"]
)
def test_the_letters_of_a_script_are_those_of_its_own_font(script: str) -> None:
    letters = [chr(point) for point in range(0x3000) if regex.match(rf"(?=\p{{L}})\p{{{script}}}", chr(point))]
    fonts = Counter(choose(letter, "inter").fonts for letter in letters)
    (own, count), *_ = fonts.most_common()
    assert own[0].endswith(f"-{script.lower()}")
    assert count >= 0.95 * len(letters)


def test_a_comma_stays_in_the_font_of_the_writing_around_it() -> None:
    assert set(choose("中文，说「好」。", "inter").fonts) == {"noto-sans-sc"}
    assert set(choose("ಕನ್ನಡ।", "inter").fonts) == {"noto-sans-kannada"}


def test_an_own_font_draws_what_it_has_and_says_what_it_lacks() -> None:
    data = (FOLDER / "bangers.ttf").read_bytes()
    register("brand-1", data)
    register("brand-1", data)
    assert lacking("Où? Ёж 🚀", "brand-1") == ("Ё", "ж", "🚀")
    assert set(choose("Go Ёж", "brand-1").fonts) == {"brand-1", "noto-sans"}
    (line,) = measure("Go Ёж", "center-box", "brand-1").lines
    assert {run.font for run in line.runs} == {"brand-1", "noto-sans"}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("inter", b""),
        ("brand-2", b""),
        ("brand-2", b"\0\1\0\0" + bytes(40)),
        ("brand-2", b"not a font at all, but a text"),
    ],
)
def test_what_is_no_font_is_not_registered(name: str, data: bytes) -> None:
    with pytest.raises(ValueError, match=name):
        register(name, data)


def test_a_registered_name_means_one_font() -> None:
    register("brand-3", (FOLDER / "lora.ttf").read_bytes())
    with pytest.raises(ValueError, match="another font"):
        register("brand-3", (FOLDER / "bangers.ttf").read_bytes())


if __name__ == "__main__":
    TABLE.write_text(written())
