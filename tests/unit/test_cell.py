"""One cell: model call, overlay, upload, and what is paid when something goes wrong in between."""

import io
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image as Canvas

from tests.unit.memory_store import MemoryStore
from thumbnails.aws.s3 import Store
from thumbnails.catalog import MODELS, Order
from thumbnails.errors import ProviderRateLimited, StorageUnavailable, UnusablePicture
from thumbnails.images.cell import Image, make_thumbnail
from thumbnails.images.overlay.layout import measure
from thumbnails.images.providers.answers import Answer
from thumbnails.requests.checks import parse_cell
from thumbnails.requests.models import Cell

ORIGINAL = "originals/"
RUNS = "runs/"


def encoded(kind: str, size: tuple[int, int] = (1536, 1024)) -> bytes:
    buffer = io.BytesIO()
    Canvas.new("RGB", size, "teal").save(buffer, kind)
    return buffer.getvalue()


PICTURES = {kind: encoded(kind) for kind in ("JPEG", "PNG", "WEBP")}


class Provider:
    """Gives pictures, or raises what it is told to, and remembers every call."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self._answers = list(answers)
        self.calls: list[tuple[str, str]] = []

    def __call__(self, order: Order, prompt: str) -> Answer:
        self.calls.append((order.model.id, prompt))
        answer = self._answers.pop(0) if self._answers else PICTURES["JPEG"]
        if isinstance(answer, Exception):
            raise answer
        return Answer((answer,))


def cell(**changes: object) -> Cell:
    event = {"title": "A title", "model": "gpt-image-1", "run_id": "run-1", "execution": "run-1", **changes}
    return parse_cell(event, run_id="unused")


@pytest.fixture
def provider() -> Provider:
    return Provider()


Make = Callable[..., Image]


@pytest.fixture
def make(store: MemoryStore, provider: Provider) -> Make:
    return lambda **changes: make_thumbnail(cell(**changes), store, provider)


def test_a_new_cell_is_paid_for_once_and_its_original_is_stored_first(
    make: Make, store: MemoryStore, provider: Provider
) -> None:
    image = make(row=2, column=1)
    assert [model for model, _ in provider.calls] == ["gpt-image-1"]
    original, note, finished = store.writes
    assert note.startswith("spent/")
    assert original.startswith(ORIGINAL)
    assert original.endswith("/run-1/2-1")
    assert finished == "runs/run-1/2-a-title/gpt-image-1.jpg"
    assert store.objects[original].body == PICTURES["JPEG"]
    with Canvas.open(io.BytesIO(store.objects[finished].body)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (1200, 630))
    assert image.provider_seconds is not None
    assert image.as_json() == {
        "run_id": "run-1",
        "row": 2,
        "column": 1,
        "title": "A title",
        "model": "gpt-image-1",
        "key": finished,
        "image_url": f"memory://{finished}",
        "variants": [],
        "paid_calls": 1,
        "warnings": [],
        "usd": pytest.approx(1568 * 40e-6),
        "tokens": None,
    }


def test_the_prompt_holds_what_the_writer_said(make: Make, provider: Provider) -> None:
    make(style="neon", context="About queues", extra_prompt="No people")
    ((_, prompt),) = provider.calls
    assert all(part in prompt for part in ("neon tubes", '"A title"', "About queues", "No people"))


def test_a_finished_image_is_found_again_without_a_call_or_a_write(
    make: Make, store: MemoryStore, provider: Provider
) -> None:
    first = make()
    written = list(store.writes)
    again = make()
    assert (len(provider.calls), store.writes) == (1, written)
    assert again.provider_seconds is None
    # The same execution's retry after its first answer was lost: it did pay for this image.
    assert again.as_json() == first.as_json()


def test_the_warnings_of_a_finished_image_are_found_again(make: Make, provider: Provider) -> None:
    title = "Consideration " * 14
    first = make(title=title, template="bottom-bar", font="press-start-2p")
    assert first.warnings
    assert make(title=title, template="bottom-bar", font="press-start-2p").warnings == first.warnings
    assert len(provider.calls) == 1


def test_a_retry_after_the_finished_image_could_not_be_stored_does_not_pay_again(
    make: Make, store: MemoryStore, provider: Provider
) -> None:
    store.unwritable[".jpg"] = StorageUnavailable("S3 could not put")
    with pytest.raises(StorageUnavailable):
        make()
    assert store.under(ORIGINAL)
    assert not store.under(RUNS)
    assert make().paid_calls == 1
    assert len(provider.calls) == 1


def test_an_execution_keeps_a_picture_that_cannot_be_opened_and_does_not_ask_again(store: MemoryStore) -> None:
    provider = Provider(b"no picture at all")
    for _ in range(2):
        with pytest.raises(UnusablePicture):
            make_thumbnail(cell(), store, provider)
    assert len(provider.calls) == 1
    assert [store.objects[key].body for key in store.under(ORIGINAL)] == [b"no picture at all"]


@pytest.mark.parametrize(
    "later", [{"execution": "again"}, {"run_id": "run-2", "execution": "run-2", "reuse": True}], ids=["resume", "reuse"]
)
def test_a_later_execution_has_a_picture_that_cannot_be_opened_made_again(
    store: MemoryStore, later: dict[str, object]
) -> None:
    provider = Provider(PICTURES["JPEG"][:100], PICTURES["JPEG"])
    with pytest.raises(UnusablePicture):
        make_thumbnail(cell(), store, provider)
    assert make_thumbnail(cell(**later), store, provider).paid_calls == 1
    assert len(provider.calls) == 2


def test_an_original_that_could_not_be_stored_draws_nothing(store: MemoryStore, provider: Provider, make: Make) -> None:
    store.unwritable["/run-1/0-0"] = StorageUnavailable("S3 could not put")
    with pytest.raises(StorageUnavailable):
        make()
    assert store.objects == {}


def test_a_transient_error_stores_nothing_and_the_retry_calls_again(store: MemoryStore) -> None:
    provider = Provider(ProviderRateLimited("too many"), PICTURES["PNG"])
    with pytest.raises(ProviderRateLimited):
        make_thumbnail(cell(), store, provider)
    assert store.objects == {}
    assert make_thumbnail(cell(), store, provider).paid_calls == 1
    assert len(provider.calls) == 2


def test_another_run_calls_the_model_again(make: Make, provider: Provider) -> None:
    make()
    assert make(run_id="run-2", execution="run-2").paid_calls == 1
    assert len(provider.calls) == 2


def test_the_same_title_in_another_row_is_another_picture(make: Make, store: MemoryStore, provider: Provider) -> None:
    make(row=0)
    make(row=1)
    assert len(provider.calls) == 2
    assert len(store.under(ORIGINAL)) == len(store.under(RUNS)) == 2


@pytest.mark.parametrize("changes", [{"template": "left-panel"}, {"font": "lora"}, {}], ids=str)
def test_reuse_takes_another_runs_original_for_another_layout(
    make: Make, store: MemoryStore, provider: Provider, changes: dict[str, str]
) -> None:
    make()
    image = make(run_id="run-2", execution="run-2", reuse=True, **changes)
    assert (len(provider.calls), image.paid_calls) == (1, 0)
    assert image.key == "runs/run-2/0-a-title/gpt-image-1.jpg"
    assert len(store.under(ORIGINAL)) == 1


@pytest.mark.parametrize(
    "changes",
    [{"title": "Another"}, {"style": "neon"}, {"context": "c"}, {"extra_prompt": "e"}, {"model": "gpt-image-2"}],
    ids=str,
)
def test_reuse_pays_for_another_picture(make: Make, provider: Provider, changes: dict[str, str]) -> None:
    make()
    assert make(run_id="run-2", execution="run-2", reuse=True, **changes).paid_calls == 1
    assert len(provider.calls) == 2


def test_reuse_prefers_the_runs_own_original(store: MemoryStore) -> None:
    provider = Provider(PICTURES["JPEG"], PICTURES["PNG"])
    make_thumbnail(cell(run_id="a-run", execution="a-run"), store, provider)
    make_thumbnail(cell(run_id="b-run", execution="b-run"), store, provider)
    del store.objects["runs/b-run/0-a-title/gpt-image-1.jpg"]
    image = make_thumbnail(cell(run_id="b-run", execution="b-run", reuse=True), store, provider)
    assert (len(provider.calls), image.paid_calls) == (2, 1)


def test_a_new_layout_in_the_same_run_draws_again_and_does_not_pay_again(
    make: Make, store: MemoryStore, provider: Provider
) -> None:
    before = make().key
    body = store.objects[before].body
    assert make(template="left-panel").key == before
    assert store.objects[before].body != body
    assert len(provider.calls) == 1


def test_a_resumed_run_did_not_pay_for_what_it_found(make: Make, provider: Provider) -> None:
    make(row=0)
    assert make(row=0, execution="again").paid_calls == 0
    assert make(row=1, execution="again").paid_calls == 1
    assert len(provider.calls) == 2


def test_a_resumed_run_did_not_pay_for_an_original_it_found(make: Make, store: MemoryStore, provider: Provider) -> None:
    del store.objects[make().key]
    assert make(execution="again").paid_calls == 0
    assert len(provider.calls) == 1


@pytest.mark.parametrize("kind", PICTURES)
def test_the_original_is_kept_as_it_came(store: MemoryStore, kind: str) -> None:
    make_thumbnail(cell(), store, Provider(PICTURES[kind]))
    (key,) = store.under(ORIGINAL)
    assert (store.objects[key].body, store.content_types[key]) == (PICTURES[kind], f"image/{kind.lower()}")


@pytest.mark.parametrize("model", MODELS)
def test_every_model_of_the_catalogue_can_be_drawn(make: Make, model: str) -> None:
    assert make(model=model).key.endswith(f"/{model}.jpg")


def test_the_title_is_set_while_the_model_draws(store: MemoryStore) -> None:
    measure.cache_clear()

    def waits_for_the_title(_order: Order, _prompt: str) -> Answer:
        deadline = time.monotonic() + 5
        while not measure.cache_info().currsize and time.monotonic() < deadline:
            time.sleep(0.005)
        assert measure.cache_info().currsize == 1
        return Answer((PICTURES["JPEG"],))

    make_thumbnail(cell(), store, waits_for_the_title)
    assert measure.cache_info().misses == 1


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((1536, 1024), []),
        ((1500, 1000), []),
        ((1200, 800), []),
        ((1024, 1024), ["more of the picture is cut off", "enlarged"]),
        ((1536, 640), ["more of the picture is cut off", "enlarged"]),
        ((2048, 1024), ["more of the picture is cut off"]),
        ((768, 512), ["enlarged"]),
        ((3072, 2048), []),
    ],
    ids=str,
)
def test_a_picture_of_another_shape_or_much_smaller_is_drawn_with_a_warning(
    store: MemoryStore, size: tuple[int, int], words: list[str]
) -> None:
    warnings = make_thumbnail(cell(), store, Provider(encoded("JPEG", size))).warnings
    assert len(warnings) == len(words)
    for warning, word in zip(warnings, words, strict=True):
        assert word in warning
        assert f"gpt-image-1 drew {size[0]}x{size[1]} where 1536x1024 was asked for" in warning
    assert make_thumbnail(cell(), store, Provider()).warnings == warnings


def test_without_room_for_a_picture_no_model_is_called(tmp_path: Path) -> None:
    store = Store(None, None, "bucket", 1, str(tmp_path))  # type: ignore[arg-type]
    store.check_room(1)
    words = rf"^\d+\.\d MB are free on the disk that holds {tmp_path}, and images need 1000000000000000 MB$"
    with pytest.raises(StorageUnavailable, match=words):
        store.check_room(10**21)
    # A container has another disk.
    Store(None, None, "bucket", 1, str(tmp_path / "gone")).check_room(10**21)  # type: ignore[arg-type]


def test_a_cell_asks_for_room_before_it_pays_and_not_for_what_is_there() -> None:
    class FullStore(MemoryStore):
        def check_room(self, needed: int) -> None:
            raise StorageUnavailable(f"no room for {needed} bytes")

    full, store = FullStore(), MemoryStore()
    with pytest.raises(StorageUnavailable, match="no room for 100000000 bytes"):
        make_thumbnail(cell(), full, lambda *_: pytest.fail("the model was called"))
    make_thumbnail(cell(), store, lambda *_: Answer((PICTURES["JPEG"],)))
    full.objects = dict(store.objects)
    assert make_thumbnail(cell(), full, lambda *_: pytest.fail("the model was called")).paid_calls
