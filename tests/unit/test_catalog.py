"""The catalogue is data that validation may read without dragging in a picture library or an SDK."""

import json
import re
import subprocess
import sys
import zlib
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from thumbnails import catalog
from thumbnails.catalog import QUALITIES, Model
from thumbnails.catalog.check import differences
from thumbnails.catalog.prices import grid_tokens, picture_usd
from thumbnails.images.overlay.breaks import LANGUAGES
from thumbnails.requests.checks import parse_request
from thumbnails.requests.estimate import estimate

FUNCTIONS = Path(catalog.__file__).parents[2]


def test_importing_the_catalogue_pulls_in_no_heavy_library() -> None:
    heavy = {"PIL", "boto3", "botocore", "openai", "google", "regex"}
    probe = f"import sys, thumbnails.catalog; print({heavy} & {{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", probe], cwd=FUNCTIONS, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_defaults_exist() -> None:
    assert catalog.DEFAULT_STYLE in catalog.STYLES
    assert catalog.DEFAULT_TEMPLATE in catalog.TEMPLATES
    assert catalog.DEFAULT_FONT in catalog.FONTS


LIVING = {
    "gpt-image-2.6-flare",
    "gpt-image-2.6-sunburst",
    "gpt-image-2.5-flare",
    "gpt-image-2.5-sunburst",
    "gpt-image-2",
    "gemini-3-pro-image",
    "gemini-nano-banana-2.1",
    "gemini-3.1-flash-lite-image",
    "stability.stable-image-core-v1:1",
    "stability.sd3-5-large-v1:0",
    "stability.stable-image-ultra-v1:1",
}
RETIRED = {
    "gpt-image-1": (date(2026, 10, 23), "gpt-image-2.5-flare"),
    "dall-e-3": (date(2026, 5, 12), "gpt-image-2.5-flare"),
    "gemini-3-pro-image-preview": (date(2026, 6, 25), "gemini-3-pro-image"),
}


def test_the_catalogue_has_what_the_contract_names() -> None:
    assert set(catalog.MODELS) == LIVING | RETIRED.keys()
    assert len(catalog.STYLES) == 12
    reference = {"bottom-bar", "left-panel", "center-box", "overlay-bottom", "overlay-center"}
    assert set(catalog.TEMPLATES) == reference | {"gradient-scrim", "split", "cover", "framed-card", "lower-third"}
    assert {name: (one.width, one.height) for name, one in catalog.FORMATS.items()} == {
        "og": (1200, 630),
        "x": (1600, 900),
        "youtube": (1280, 720),
        "square": (1080, 1080),
        "portrait": (1080, 1350),
        "story": (1080, 1920),
    }
    assert len(catalog.FONTS) == 18


def test_a_retired_model_names_its_end_and_a_living_successor() -> None:
    found = {model.id: (model.retired, model.successor) for model in catalog.MODELS.values() if model.retired}
    assert found == RETIRED
    assert {successor for _, successor in found.values()} <= LIVING


@pytest.mark.parametrize("model", catalog.MODELS.values(), ids=lambda model: model.id)
def test_every_entry_can_be_asked_for_at_every_quality_and_has_a_price(model: Model) -> None:
    assert set(model.qualities) == set(QUALITIES)
    assert 1 <= model.variants <= 4
    for quality in QUALITIES:
        order = model.order(quality)
        assert order.width >= 1200 and order.height >= 630
        assert order.parameters.get("size", order.size) == order.size
        assert 0.003 < picture_usd(order) < 0.3
        assert round(order.width / order.height, 1) >= 1.5


@pytest.mark.parametrize(
    ("formats", "size"),
    [
        ([(1200, 630)], "1536x816"),
        ([(1600, 900)], "1536x864"),
        ([(1280, 720)], "1536x864"),
        ([(1080, 1080)], "1088x1088"),
        ([(1080, 1350)], "1088x1360"),
        ([(1080, 1920)], "1152x2048"),
        ([(1200, 630), (1600, 900)], "1536x816"),
    ],
)
def test_the_size_asked_for_is_the_one_of_which_the_least_is_thrown_away(
    formats: list[tuple[int, int]], size: str
) -> None:
    assert catalog.MODELS["gpt-image-2.5-flare"].order(formats=formats).size == size


def test_a_wide_picture_loses_one_per_cent_where_any_size_goes() -> None:
    order = catalog.MODELS["gpt-image-2.6-flare"].order()
    assert 1 - (1200 / 630) ** -1 * order.width / order.height == pytest.approx(0.0118, abs=0.0002)


@pytest.mark.parametrize(
    ("day", "state", "warned"),
    [
        (date(2026, 11, 30), "living", False),
        (date(2026, 12, 1), "ending", True),
        (date(2026, 12, 30), "ending", True),
        (date(2026, 12, 31), "retired", False),
    ],
)
def test_a_model_is_warned_of_in_the_thirty_days_before_its_end(day: date, state: str, warned: bool) -> None:
    model = replace(catalog.MODELS["gpt-image-2"], retired=date(2026, 12, 31), successor="gpt-image-2.5-flare")
    assert model.state(day) == state
    sentence = "gpt-image-2 is shut down by its provider on 2026-12-31; use 'gpt-image-2.5-flare'"
    assert model.notice(day) == (sentence if warned else None)


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ({}, []),
        ({"gpt-image-9": None}, [("new", "gpt-image-9")]),
        ({"gpt-image-9": date(2027, 1, 1), "gpt-5.5": None}, [("new", "gpt-image-9")]),
        ({"gpt-image-2": date(2027, 1, 1)}, [("changed", "gpt-image-2")]),
        ({"dall-e-3": None}, [("changed", "dall-e-3")]),
        ({"dall-e-3": date(2026, 5, 12)}, []),
        ({"gpt-image-2.5-flare": ...}, [("gone", "gpt-image-2.5-flare")]),
    ],
    ids=str,
)
def test_a_providers_list_says_what_is_new_gone_or_changed(
    listed: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    whole = dict.fromkeys((name for name in LIVING if name.startswith("gpt")), None) | listed
    given = {name: day for name, day in whole.items() if day is not ...}
    assert [one[:2] for one in differences("openai", given, day=date(2026, 11, 26))] == found


def test_the_grid_gives_the_tokens_that_openai_publishes() -> None:
    # https://platform.openai.com/docs/guides/image-generation#cost-and-latency
    assert [grid_tokens(1024, 1024, cells) for cells in (16, 48, 96)] == [196, 1756, 7024]
    assert [grid_tokens(1536, 1024, cells) for cells in (16, 48, 96)] == [158, 1372, 5488]


def test_every_font_is_shipped_beside_its_licence() -> None:
    folder = FUNCTIONS / "thumbnails" / "images" / "overlay" / "fonts"
    files = {path.name for path in folder.glob("*.ttf")}
    assert set(catalog.FONTS.values()) <= files
    for name in files:
        licence = (folder / name).with_suffix(".LICENSE.txt").read_text(encoding="utf-8")
        assert "Open Font License" in licence or "Apache License" in licence


def test_all_fonts_together_weigh_at_most_24_mb_zipped() -> None:
    """What a package of 60 MB has room for, beside the libraries."""
    folder = FUNCTIONS / "thumbnails" / "images" / "overlay" / "fonts"
    assert sum(len(zlib.compress(path.read_bytes())) for path in folder.iterdir()) <= 24_000_000


def test_the_packages_have_the_dictionaries_of_the_languages_that_are_told_apart() -> None:
    makefile = (FUNCTIONS / "Makefile").read_text()
    (packed,) = re.findall(r"^HYPHENATED = (.*)$", makefile, re.MULTILINE)
    assert packed.split() == sorted(language for _, language in LANGUAGES)


def test_the_readmes_real_example_lives_and_costs_what_it_says() -> None:
    project = FUNCTIONS.parent
    (line,) = [one for one in (project / "README.md").read_text().splitlines() if "real-providers.json" in one]
    request = parse_request("generateBatch", json.loads((project / "examples/real-providers.json").read_text()), 50)
    assert {catalog.MODELS[model].state() for model in request.models} == {"living"}
    assert f"about ${estimate(request).usd:.2f}" in line
