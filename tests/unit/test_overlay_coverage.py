"""Which font draws which letter, and what no font draws: told from the committed table alone.

Run as a program, ``PYTHONPATH=functions python -m tests.unit.test_overlay_coverage``, it writes the table anew.
"""

from pathlib import Path

from fontTools.ttLib import TTFont

from thumbnails.images.overlay.coverage import FOLDER, SHARED, TABLE, table_of


def written() -> str:
    fonts = {path.stem: (path, 0) for path in FOLDER.glob("*.ttf")}
    fonts |= {name: (FOLDER / file, number) for name, (file, number) in SHARED.items()}
    return table_of({name: points(*where) for name, where in fonts.items()})


def points(path: Path, number: int) -> set[int]:
    with TTFont(path, fontNumber=number, lazy=True) as font:
        return set(font.getBestCmap())


def test_the_table_is_that_of_the_fonts() -> None:
    assert TABLE.read_text() == written(), "run make coverage"


if __name__ == "__main__":
    TABLE.write_text(written())
