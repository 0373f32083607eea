"""The pictures of the offline image API: their sizes, and that they follow prompt, style and model, always the same."""

import io
from collections.abc import Iterator

import pytest
from PIL import Image, ImageChops, ImageStat

from thumbnails.catalog import STYLES as CATALOG_STYLES
from thumbs.image_api.artist import Artist, encode
from thumbs.image_api.dialect import Order
from thumbs.image_api.drawing import draw
from thumbs.image_api.drawing.palettes import PALETTES
from thumbs.image_api.drawing.prompt_reading import read
from thumbs.image_api.drawing.scenes import SCENES
from thumbs.image_api.drawing.styles import STYLES
from thumbs.image_api.faults import VARIANTS, Fault

MODELS = ("gemini-3-pro-image-preview", "gpt-image-1", "gpt-image-2", "dall-e-3")
TITLES = {
    "network": "Why fan-out beats sequential",
    "ripples": "Three retries with backoff",
    "blocks": "Idempotent batch outputs",
    "sea": "Sailing home",
    "mountains": "Scaling the summit",
    "city": "A city that never deploys on Friday",
    "dunes": "Lost in the desert",
    "forest": "Hiking in the woods",
    "cosmos": "The future of AI",
    "desk": "Coffee before code",
    "clouds": "Going serverless",
    "polar_night": "Aurora for beginners",
    "ribbons": "Streams of data",
    "tree": "Gardens of forking paths",
}


def prompt(style: str, title: str) -> str:
    return (
        f'{CATALOG_STYLES[style]}. A wide picture for a post titled "{title}". No text, letters, logos or watermarks.'
    )


def difference(first: Image.Image, second: Image.Image) -> float:
    return sum(ImageStat.Stat(ImageChops.difference(first, second)).mean) / 3


@pytest.mark.parametrize("style", CATALOG_STYLES)
def test_every_style_of_the_catalogue_is_recognised(style: str) -> None:
    assert read(prompt(style, "Anything"), "gpt-image-1").style == style


@pytest.mark.parametrize(("scene", "title"), TITLES.items())
def test_a_title_brings_its_scene_to_mind(scene: str, title: str) -> None:
    assert {read(prompt(style, title), "gemini-3-pro-image-preview").scene for style in CATALOG_STYLES} == {scene}


def test_every_scene_has_a_title_here_and_titles_without_a_known_word_get_many_scenes() -> None:
    assert set(TITLES) == set(SCENES)
    scenes = {read(prompt("photorealistic", f"Zyx {number}"), "gpt-image-1").scene for number in range(100)}
    assert len(scenes) > 8


@pytest.mark.parametrize("model", [*MODELS, "some-other-model", ""])
def test_every_model_has_a_hand_with_known_palettes(model: str) -> None:
    assert read("a sea", model).palette in PALETTES


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("style", STYLES)
def test_every_scene_can_be_drawn_in_every_style(style: str, scene: str) -> None:
    picture = draw(prompt(style, TITLES[scene]), "gemini-3-pro-image-preview", 304, 176)
    assert (picture.size, picture.mode) == ((304, 176), "RGB")
    # Neither one flat colour, nor a glare, nor a black rectangle.
    assert max(ImageStat.Stat(picture).stddev) > 8
    assert 10 < ImageStat.Stat(picture.convert("L")).mean[0] < 248


@pytest.mark.parametrize(
    "size", [(1536, 1024), (1376, 768), (1792, 1024), (2752, 1536), (1024, 1024), (768, 1376), (1001, 333)]
)
@pytest.mark.parametrize("style", ["photorealistic", "pixel-art", "oil-painting"])
def test_pictures_have_the_size_that_was_asked_for(size: tuple[int, int], style: str) -> None:
    assert draw(prompt(style, TITLES["sea"]), "gpt-image-1", *size).size == size


@pytest.mark.parametrize("style", STYLES)
def test_the_same_request_gives_the_same_picture(style: str) -> None:
    first, second = (draw(prompt(style, "Streams of data"), "dall-e-3", 448, 256) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_models_titles_and_styles_change_the_picture() -> None:
    base = draw(prompt("photorealistic", TITLES["sea"]), "gpt-image-1", 384, 256)
    for model in MODELS:
        if model != "gpt-image-1":
            assert difference(base, draw(prompt("photorealistic", TITLES["sea"]), model, 384, 256)) > 12
    for style in ("sketch", "neon", "minimalist", "vintage"):
        assert difference(base, draw(prompt(style, TITLES["sea"]), "gpt-image-1", 384, 256)) > 12
    assert difference(base, draw(prompt("photorealistic", "Sailing away"), "gpt-image-1", 384, 256)) > 2


@pytest.mark.parametrize("odd", ["", "\ud800", "\x00", "\u202e", "x" * 30_000, "日本語の題"])
def test_no_prompt_is_too_odd_to_draw(odd: str) -> None:
    assert draw(odd, odd, 192, 128).size == (192, 128)


@pytest.mark.parametrize(("format_", "name"), [("jpeg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")])
def test_pictures_are_encoded_as_asked(format_: str, name: str) -> None:
    data = encode(Image.new("RGB", (32, 16), "teal"), format_)  # type: ignore[arg-type]
    with Image.open(io.BytesIO(data)) as picture:
        assert (picture.format, picture.size) == (name, (32, 16))


@pytest.fixture
def artist() -> Iterator[Artist]:
    artist = Artist(keep_bytes=400_000)
    yield artist
    artist.close()


def order(text: str = "a sea", size: int = 256) -> Order:
    return Order(model="gpt-image-1", prompt=text, width=size, height=size, format="jpeg")


def test_calls_that_ask_for_the_same_share_one_drawing(artist: Artist) -> None:
    assert artist.picture(order()) is artist.picture(order())
    assert artist.picture(order()) is not artist.picture(order("a hill"))


def test_the_artist_keeps_no_more_than_it_may(artist: Artist) -> None:
    for number in range(80):
        artist.picture(order(f"a sea, number {number}")).result()
    assert 0 < artist.kept_bytes <= 400_000


def test_a_picture_that_failed_is_not_kept(artist: Artist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thumbs.image_api.artist.draw", lambda *_: 1 / 0)
    assert isinstance(artist.picture(order()).exception(), ZeroDivisionError)
    monkeypatch.undo()
    assert artist.picture(order()).result()


@pytest.mark.parametrize("variant", VARIANTS["odd_mode"])
def test_odd_modes_are_odd(artist: Artist, variant: str) -> None:
    data = artist.picture(order(), Fault("odd_mode", variant=variant)).result()
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        assert picture.mode != "RGB"


def test_a_truncated_picture_is_the_first_half_of_the_whole(artist: Artist) -> None:
    whole, half = artist.picture(order()).result(), artist.picture(order(), Fault("truncated_picture")).result()
    assert half == whole[: len(whole) // 2]
