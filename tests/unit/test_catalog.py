"""The catalogue is data that validation may read without dragging in a picture library or an SDK."""

import subprocess
import sys
from datetime import date
from pathlib import Path

from thumbnails import catalog

FUNCTIONS = Path(catalog.__file__).parents[1]


def test_importing_the_catalogue_pulls_in_no_heavy_library() -> None:
    heavy = {"PIL", "boto3", "botocore", "openai", "google", "regex"}
    probe = f"import sys, thumbnails.catalog; print({heavy} & {{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-S", "-c", probe], cwd=FUNCTIONS, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_the_defaults_exist() -> None:
    assert catalog.DEFAULT_STYLE in catalog.STYLES
    assert catalog.DEFAULT_TEMPLATE in catalog.TEMPLATES
    assert catalog.DEFAULT_FONT in catalog.FONTS


def test_the_catalogue_has_what_the_contract_names() -> None:
    assert set(catalog.MODELS) == {"gemini-3-pro-image-preview", "gpt-image-1", "gpt-image-2", "dall-e-3"}
    assert len(catalog.STYLES) == 12
    assert set(catalog.TEMPLATES) == {"bottom-bar", "left-panel", "center-box", "overlay-bottom", "overlay-center"}
    assert len(catalog.FONTS) == 18


def test_a_price_always_carries_the_date_on_which_it_was_noted() -> None:
    for model in catalog.MODELS.values():
        assert (model.price_usd is None) == (model.price_noted is None)
        if model.price_noted:
            date.fromisoformat(model.price_noted)
            assert model.price_usd is not None and 0 < model.price_usd < 1


def test_every_picture_asked_for_covers_the_canvas() -> None:
    for model in catalog.MODELS.values():
        assert model.width >= 1200 and model.height >= 630
        assert model.parameters.get("size", f"{model.width}x{model.height}") == f"{model.width}x{model.height}"


def test_every_font_is_shipped_beside_its_licence() -> None:
    folder = FUNCTIONS / "thumbnails" / "images" / "overlay" / "fonts"
    files = {path.name for path in folder.glob("*.ttf")}
    assert set(catalog.FONTS.values()) <= files
    for name in files:
        licence = (folder / name).with_suffix(".LICENSE.txt").read_text(encoding="utf-8")
        assert "Open Font License" in licence or "Apache License" in licence


def test_all_fonts_together_weigh_at_most_30_mb() -> None:
    folder = FUNCTIONS / "thumbnails" / "images" / "overlay" / "fonts"
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 30_000_000
