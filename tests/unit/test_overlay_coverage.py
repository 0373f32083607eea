"""Which font draws which letter, and what no font draws: told from the committed table alone.

Run as a program, ``PYTHONPATH=functions python -m tests.unit.test_overlay_coverage``, it writes the table anew.
"""

from pathlib import Path

from fontTools.ttLib import TTFont

from thumbnails.images.overlay.coverage import FOLDER, TABLE, table_of


def written() -> str:
    return table_of({path.stem: points(path) for path in FOLDER.glob("*.ttf")})


def points(path: Path) -> set[int]:
    with TTFont(path, lazy=True) as font:
        return set(font.getBestCmap())


def test_the_table_is_that_of_the_fonts() -> None:
    assert TABLE.read_text() == written(), "run make coverage"


if __name__ == "__main__":
    TABLE.write_text(written())
