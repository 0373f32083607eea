"""The contact sheet."""

import io

import numpy as np
from PIL import Image

from thumbnails.catalog import TEMPLATES
from thumbnails.images.overlay.contact_sheet import TITLES, contact_sheet


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def test_the_sheet_has_a_row_for_each_title_and_a_column_for_each_template() -> None:
    one, two = opened(contact_sheet(["One"], cell_width=200)), opened(contact_sheet(["One", "Two"], cell_width=200))
    assert one.width == two.width == 12 + len(TEMPLATES) * 212
    assert two.height - one.height == 105 + 12


def test_the_sheet_uses_the_pictures_in_turn() -> None:
    buffers = []
    for colour in ("red", "blue"):
        buffer = io.BytesIO()
        Image.new("RGB", (1200, 630), colour).save(buffer, "PNG")
        buffers.append(buffer.getvalue())
    pixels = np.asarray(opened(contact_sheet(["One", "Two", "Three"], buffers, cell_width=200))).astype(int)
    rows = [44 + 8 + row * 117 for row in range(3)]
    assert [bool(pixels[y, 20, 0] > pixels[y, 20, 2]) for y in rows] == [True, False, True]


def test_debug_draws_frames() -> None:
    plain, frames = (np.asarray(opened(contact_sheet(["One"], debug=debug))).astype(int) for debug in (False, True))

    def cyan(pixels: np.ndarray) -> int:
        return int(((pixels[..., 0] < 110) & (pixels[..., 1] > 150) & (pixels[..., 2] > 150)).sum())

    assert cyan(plain) == 0
    assert cyan(frames) > 1000


def test_there_are_twelve_titles_for_at_least_ten_scripts() -> None:
    assert len(TITLES) == 12
    assert len(set(TITLES)) == 12
