"""What pictures cost: noted when they are paid for, summed up, and near what was estimated."""

import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import httpx2
import pytest
from PIL import Image as Canvas

from tests.unit.memory_store import MemoryStore
from thumbnails.catalog import MODELS, QUALITIES, Order
from thumbnails.catalog.models import today
from thumbnails.catalog.prices import Cost, Usage, cost_usd, estimate_usd, picture_usd
from thumbnails.errors import StorageUnavailable, UnusableAnswer, UnusablePicture
from thumbnails.images.cell import make_thumbnail
from thumbnails.images.digests import picture_of
from thumbnails.images.prompt import provider_prompt
from thumbnails.images.providers import generate_picture, google, openai
from thumbnails.images.providers.answers import Answer
from thumbnails.requests.checks import parse_cell
from thumbnails.requests.estimate import estimate
from thumbnails.requests.models import Batch
from thumbnails.runs.collect import result_of
from thumbnails.runs.costs import MOST_PICTURES, learn, measured_tokens, spent
from thumbs.image_api.dialect import Dialect
from thumbs.image_api.gemini_dialect import GeminiDialect
from thumbs.image_api.openai_dialect import OpenAIDialect

GPT, GEMINI = "gpt-image-2.5-flare", "gemini-3-pro-image"
TITLES = ["Why fan-out beats sequential", "为什么扇出优于顺序", "Warum paralleles Zeichnen gewinnt"]


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Canvas.new("RGB", (1536, 816), "teal").save(buffer, "JPEG")
    return buffer.getvalue()


PICTURE = jpeg()
USAGE = Usage(text_in=200, image_out=600)


def cell(**changes: Any) -> Any:
    event = {"title": "A title", "model": GPT, "run_id": "run-1", "execution": "run-1", **changes}
    return parse_cell(event, run_id="unused")


def makes(usage: Usage | None = USAGE, picture: bytes = PICTURE) -> Callable[[Order, str], Answer]:
    return lambda _order, _prompt: Answer((picture,), usage)


def notes(store: MemoryStore) -> list[str]:
    return [key for key in store.writes if key.startswith("spent/")]


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The offline image API in the network's place: it counts by the providers' rules."""

    def handle(_self: object, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.read())
        named = re.search(r"/models/(.+):generateContent", request.url.path)
        dialect: Dialect = GeminiDialect() if named else OpenAIDialect()
        order = dialect.order(body, named[1] if named else "")
        return httpx2.Response(200, json=dialect.answer(order, PICTURE, ""), request=request)

    monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", handle)
    for adapter in (openai, google):
        adapter._client.cache_clear()
    yield
    for adapter in (openai, google):
        adapter._client.cache_clear()


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("model", [name for name, model in MODELS.items() if model.provider != "bedrock"])
@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("context", ["", "What the post is about. " * 60])
def test_the_estimate_is_within_ten_per_cent_of_the_bill(
    offline: None, model: str, quality: Any, title: str, context: str
) -> None:
    order = MODELS[model].order(quality)
    prompt = provider_prompt(title, "photorealistic", context)
    answer = generate_picture(order, prompt, lambda _name: "key", 30)
    bill = cost_usd(order.model, answer.usage, len(answer.pictures), order)
    assert bill > 0.003
    assert estimate_usd(order, prompt) == pytest.approx(bill, rel=0.1)


def test_a_cell_says_what_it_cost_and_notes_it(store: MemoryStore) -> None:
    image = make_thumbnail(cell(row=2, column=1), store, makes())
    usd = 200 * 5e-6 + 600 * 30e-6
    assert image.as_json()["usd"] == pytest.approx(usd)
    assert image.as_json()["tokens"] == {"text_in": 200, "image_in": 0, "text_out": 0, "image_out": 600}
    (one,) = spent(store, today())
    assert (one.model, one.quality, one.size, one.run_id) == (GPT, "standard", "1536x816", "run-1")
    assert (one.row, one.column, one.pictures, one.usage) == (2, 1, 1, USAGE)
    assert one.usd == pytest.approx(usd)
    assert list(spent(store, date(2026, 1, 1), date(2026, 1, 3))) == []


def test_a_retry_says_the_same_and_notes_nothing_more(store: MemoryStore) -> None:
    first = make_thumbnail(cell(), store, makes()).as_json()
    again = make_thumbnail(cell(), store, makes()).as_json()
    assert again == first
    del store.objects[first["key"]]
    assert make_thumbnail(cell(execution="later"), store, makes()).cost.usd == pytest.approx(first["usd"])
    assert len(notes(store)) == 1


def test_another_runs_picture_cost_nothing(store: MemoryStore) -> None:
    make_thumbnail(cell(), store, makes())
    assert make_thumbnail(cell(run_id="run-2", execution="run-2", reuse=True), store, makes()).cost == Cost()
    assert len(notes(store)) == 1


def test_an_answer_without_usage_costs_what_the_catalogue_says(store: MemoryStore) -> None:
    image = make_thumbnail(cell(), store, makes(None))
    assert image.cost == Cost(picture_usd(MODELS[GPT].order()))
    assert image.as_json()["tokens"] is None


def test_an_answer_that_could_not_be_used_may_have_cost_a_picture(store: MemoryStore) -> None:
    def fails(_order: Order, _prompt: str) -> Answer:
        raise UnusableAnswer("no picture")

    with pytest.raises(UnusableAnswer) as raised:
        make_thumbnail(cell(), store, fails)
    (one,) = spent(store, today())
    assert raised.value.usd == pytest.approx(one.usd) == pytest.approx(picture_usd(MODELS[GPT].order()), abs=1e-6)
    assert one.pictures == 0


def test_a_picture_that_cannot_be_opened_is_paid_once(store: MemoryStore) -> None:
    for usd in (200 * 5e-6 + 600 * 30e-6, 0.0):
        with pytest.raises(UnusablePicture) as raised:
            make_thumbnail(cell(), store, makes(picture=b"no picture"))
        assert raised.value.usd == pytest.approx(usd)
    assert len(notes(store)) == 1


def test_a_run_named_like_nothing_else_is_summed_up_too(store: MemoryStore) -> None:
    run_id = "a run-1.2@(x)=!'"
    make_thumbnail(cell(run_id=run_id, execution=run_id), store, makes())
    assert [one.run_id for one in spent(store, today())] == [run_id]


REQUEST = Batch(prompts=["First title", "Second title"], models=[GPT, GEMINI])


def made(row: int, column: int, **more: Any) -> dict[str, Any]:
    return {"row": row, "column": column, "key": "k", "paid_calls": 1, "warnings": [], **more}


def test_a_result_has_the_costs_of_every_cell_every_model_and_all() -> None:
    tokens = USAGE.as_json()
    refused = {"failure": {"Error": "PictureRefused", "Cause": "no"}}
    unusable = {"failure": {"Error": "UnusableAnswer", "Cause": "no"}}
    cells = [
        made(0, 0, usd=0.02, tokens=tokens),
        {"row": 0, "column": 1, **unusable},
        {"row": 1, "column": 0, **refused},
        made(1, 1, usd=0.134, tokens=None),
    ]
    costs = result_of("run-1", REQUEST, cells, str)["costs"]
    assert costs["cells"] == [
        [{"usd": 0.02, "tokens": tokens}, {"usd": 0.134, "tokens": None}],
        [{"usd": 0.0, "tokens": None}, {"usd": 0.134, "tokens": None}],
    ]
    assert costs["by_model"] == {GPT: 0.02, GEMINI: 0.268}
    assert costs["usd"] == pytest.approx(0.288)


def test_an_estimate_is_made_from_what_pictures_took_once_that_is_known(store: MemoryStore) -> None:
    before = estimate(REQUEST).usd
    assert estimate(REQUEST, measured_tokens(store, REQUEST.models)).usd == before
    order = MODELS[GPT].order()
    learn(store, [(order, Usage(text_in=9, image_out=900)), (order, Usage(image_out=1000, text_out=100))])
    after = estimate(REQUEST, measured_tokens(store, REQUEST.models)).usd
    by_catalogue = picture_usd(order)
    assert after - before == pytest.approx(2 * (1000 * 30e-6 - by_catalogue), abs=2e-4)
    # Another quality is another measure.
    assert (GPT, "draft-1536x816") not in measured_tokens(store, [GPT])
    # What is billed by the picture costs what it costs.
    learn(store, [(MODELS[GEMINI].order(), Usage(image_out=5000))])
    assert measured_tokens(store, [GEMINI]) == {}


def test_an_average_follows_a_provider_that_changes(store: MemoryStore) -> None:
    order = MODELS[GPT].order()
    learn(store, [(order, Usage(image_out=500))] * MOST_PICTURES)
    learn(store, [(order, Usage(image_out=1500))] * MOST_PICTURES)
    assert measured_tokens(store, [GPT])[GPT, "standard-1536x816"] > 1000


def test_a_run_does_not_fail_for_its_averages(store: MemoryStore) -> None:
    store.unwritable[f"measured/{GPT}.json"] = StorageUnavailable("full")
    learn(store, [(MODELS[GPT].order(), USAGE)])
    assert measured_tokens(store, [GPT]) == {}


def test_the_picture_of_a_request_is_that_of_its_cell() -> None:
    one = cell(style="neon", context="c", extra_prompt="e")
    request = Batch(prompts=["A title"], models=[GPT], style="neon", context="c", extra_prompt="e")
    assert picture_of("A title", GPT, request) == picture_of("A title", GPT, one)
