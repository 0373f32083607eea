"""Half price, end to end but for AWS: a campaign's pictures through both providers' SDKs and the offline image API.

The bucket is one in memory, so that each case takes a second. ``test_campaigns`` has the state machine.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.memory_store import MemoryStore
from thumbnails.campaigns.economy import Economy
from thumbnails.catalog import MODELS, Provider
from thumbnails.errors import ProviderMisconfigured, ProviderUnreachable, ThumbnailError
from thumbnails.images.cell import make_thumbnail
from thumbnails.images.digests import picture_of
from thumbnails.images.providers import google, openai
from thumbnails.images.providers.batches import Asked, Batches, Look, batches_of
from thumbnails.keys import batch_failure_key, batches_prefix, image_key, original_key
from thumbnails.requests.models import Cell
from thumbnails.runs.costs import spent
from thumbs.image_api.control import ImageApiControl
from thumbs.image_api.server import running

GPT, GEMINI = "gpt-image-2.5-flare", "gemini-3.1-flash-lite-image"
both = pytest.mark.parametrize("model", [GPT, GEMINI])
SECONDS = 20.0
REQUEST = {
    "style": "watercolor",
    "template": "bottom-bar",
    "font": "inter",
    "context": "",
    "extra_prompt": "",
    "reuse": False,
    "max_wait_seconds": 900,
    "redraw": "",
}


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with running() as url:
        yield url
    # Connections that are kept for the next call.
    for key in ("any", "a-rejected-key"):
        openai._client(key, f"{url}/v1", SECONDS).close()
        google._client(key, url, SECONDS, google.BATCH_VERSION).close()
    openai._client.cache_clear()
    google._client.cache_clear()


@pytest.fixture
def api(base_url: str) -> ImageApiControl:
    control = ImageApiControl(base_url)
    control.reset()
    control.set_batch_seconds(0)
    return control


class Campaign:
    """A campaign ``c`` in a bucket in memory, and the executions that work on it."""

    def __init__(self, base_url: str, rows: Sequence[tuple[str, Sequence[str]]], key: str = "any") -> None:
        self.store = MemoryStore()
        self.rows = rows
        self.urls: dict[Provider, str] = {"openai": f"{base_url}/v1", "google": base_url}
        self.key = key
        self.late = timedelta(0)
        items = [
            {"row": row, "request": {**REQUEST, "title": title, "models": list(models), "resume": f"c-{row}"}}
            for row, (title, models) in enumerate(rows)
        ]
        self.store.put("campaigns/c/requests.json", json.dumps(items).encode(), "application/json")

    def economy(self, execution: str = "c", batches: Callable[[Batches], Batches] = lambda one: one) -> Economy:
        """The batches as an execution works on them; ``batches`` may stand between it and the provider."""

        def of(provider: Provider) -> Batches:
            return batches(batches_of(provider, lambda _name: self.key, SECONDS, self.urls))

        return Economy("c", execution, self.store, of, lambda: 900.0, now=lambda: datetime.now(UTC) + self.late)

    def run(self, execution: str = "c") -> None:
        """Submit, and look until no batch is open."""
        assert self.economy(execution).submit("campaigns/c/requests.json")
        self.wait(execution)

    def wait(self, execution: str = "c") -> None:
        """Look until no batch is open."""
        for _ in range(2000):
            left, seconds = self.economy(execution).check()
            if not left:
                return
            assert seconds >= 1
        pytest.fail("a batch goes on and on")

    def cell(self, row: int, column: int = 0, execution: str = "c", economy: Any = "fail") -> Cell:
        title, models = self.rows[row]
        fields = {name: value for name, value in REQUEST.items() if name in Cell.model_fields}
        return Cell(
            title=title,
            model=models[column],
            run_id=f"c-{row}",
            execution=f"{execution}-{row}",
            column=column,
            **{**fields, "economy": economy},
        )

    def made(self) -> int:
        return len([key for key in self.store.objects if key.endswith(".jpg")])

    def why(self, row: int, column: int = 0) -> tuple[str, str]:
        noted = self.store.json(batch_failure_key(f"c-{row}", column))
        return noted["error"], noted["message"]

    def outcomes(self) -> list[str]:
        return [self.store.json(key)["outcome"] for key in self.store.under(batches_prefix("c"))]


def titles(count: int, models: Sequence[str]) -> list[tuple[str, Sequence[str]]]:
    return [(f"Post number {number} of a blog", models) for number in range(count)]


def never(_order: object, _prompt: str) -> Any:
    pytest.fail("a model was called at the whole price")


@both
def test_pictures_come_at_half_price_under_the_keys_of_any_cell(
    base_url: str, api: ImageApiControl, model: str
) -> None:
    campaign = Campaign(base_url, titles(3, [model]))
    campaign.run()
    assert api.calls()["paid"] == 3
    for row, (title, _) in enumerate(campaign.rows):
        image = make_thumbnail(campaign.cell(row), campaign.store, never)
        assert image.key == image_key(f"c-{row}", 0, title, model)
        # Its row's execution has paid for it.
        assert (image.paid_calls, image.provider_seconds) == (1, None)
        cell = campaign.cell(row)
        assert original_key(picture_of(title, model, cell).digest, f"c-{row}", 0, 0) in campaign.store.objects
    notes = list(spent(campaign.store, datetime.now(UTC).date() - timedelta(days=1), datetime.now(UTC).date()))
    assert len(notes) == 3
    price = MODELS[model].price
    for note in notes:
        tokens = note.usage
        whole = price.picture or (price.text_in * tokens.text_in + price.image_out * tokens.image_out) / 1e6
        assert note.usd == pytest.approx(whole / 2, abs=1e-6)


def test_a_batch_holds_one_models_pictures_and_no_more_than_one_call_can_take(
    base_url: str, api: ImageApiControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thumbnails.campaigns.economy.MOST_PICTURES", 2)
    campaign = Campaign(base_url, titles(5, [GPT, GEMINI]))
    campaign.run()
    records = [campaign.store.json(key) for key in campaign.store.under(batches_prefix("c"))]
    assert sorted(record["model"] for record in records) == [GEMINI] * 3 + [GPT] * 3
    assert campaign.made() == 10
    assert api.calls()["paid"] == 10


@both
def test_a_crash_after_the_provider_has_the_batch_submits_none_again(
    base_url: str, api: ImageApiControl, model: str
) -> None:
    """The process dies when the provider has the batch and nobody has noted that."""
    campaign = Campaign(base_url, titles(3, [model]))
    api.add_fault("batch_lost", times=1, model=model)
    with pytest.raises(ProviderUnreachable):
        campaign.economy().submit("campaigns/c/requests.json")
    campaign.run()
    assert campaign.made() == 3
    assert (api.calls()["requests"], api.calls()["paid"]) == (3, 3)
    assert len(campaign.outcomes()) == 1


class Dies(Exception):
    """Stands for the end of the process."""


class DyingBefore:
    """A provider's batches for a process that dies before it submits."""

    def __init__(self, batches: Batches) -> None:
        self.find, self.look, self.cancel, self.results = batches.find, batches.look, batches.cancel, batches.results

    def submit(self, name: str, asked: Sequence[Asked]) -> str:
        raise Dies


class DyingAmong:
    """A provider's batches for a process that dies after it has taken one result."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self.find, self.look, self.cancel, self.submit = batches.find, batches.look, batches.cancel, batches.submit

    def results(self, model: str, look: Look) -> Iterator[Any]:
        for number, result in enumerate(self._batches.results(model, look)):
            if number:
                raise Dies
            yield result


@both
def test_a_crash_before_the_provider_has_the_batch_submits_it_afterwards(
    base_url: str, api: ImageApiControl, model: str
) -> None:
    campaign = Campaign(base_url, titles(2, [model]))
    with pytest.raises(Dies):
        campaign.economy(batches=DyingBefore).submit("campaigns/c/requests.json")
    campaign.run()
    assert (campaign.made(), api.calls()["requests"]) == (2, 2)


@both
def test_a_crash_among_the_results_takes_the_others_afterwards_and_counts_none_twice(
    base_url: str, api: ImageApiControl, model: str
) -> None:
    campaign = Campaign(base_url, titles(3, [model]))
    economy = campaign.economy(batches=DyingAmong)
    assert economy.submit("campaigns/c/requests.json")
    with pytest.raises(Dies):
        while True:
            economy.check()
    assert campaign.made() == 1
    campaign.wait()
    assert (campaign.made(), api.calls()["paid"]) == (3, 3)
    days = datetime.now(UTC).date()
    assert len(list(spent(campaign.store, days - timedelta(days=1), days))) == 3


@both
def test_a_redrive_waits_for_the_batches_of_the_execution_before(
    base_url: str, api: ImageApiControl, model: str
) -> None:
    """The whole stack went down while the provider had the batch."""
    campaign = Campaign(base_url, titles(2, [model]))
    assert campaign.economy().submit("campaigns/c/requests.json")
    campaign.run("c-redrive-0001")
    assert (campaign.made(), api.calls()["requests"]) == (2, 2)
    # Whoever takes the pictures has paid for them.
    assert make_thumbnail(campaign.cell(0, execution="c-redrive-0001"), campaign.store, never).paid_calls == 1


@both
def test_a_redrive_asks_for_what_is_missing_alone(base_url: str, api: ImageApiControl, model: str) -> None:
    campaign = Campaign(base_url, titles(3, [model]))
    fault = api.add_fault("refusal", prompt_contains="number 1 ")
    campaign.run()
    assert (campaign.made(), api.calls()["paid"]) == (2, 2)
    assert campaign.why(1)[0] == "PictureRefused"
    api.remove_fault(fault)
    campaign.run("c-redrive-0001")
    assert (campaign.made(), api.calls()["paid"], api.calls()["requests"]) == (3, 3, 4)


#: What strikes the middle one of three pictures, or the batch by it → how the batch ends, which pictures there are of
#: OpenAI's and of Gemini's, what is said of the middle one's, and whether that is asked for live with stragglers: live.
FAULTS = {
    "refusal": ("completed", {0, 2}, {0, 2}, "PictureRefused", False),
    "no_picture": ("completed", {0, 2}, {0, 2}, None, False),
    "server_error": ("completed", {0, 2}, {0, 2}, "BatchGaveUp", True),
    "rate_limit": ("completed", {0, 2}, {0, 2}, "BatchGaveUp", True),
    "not_a_picture": ("completed", {0, 2}, {0, 2}, "UnusablePicture", False),
    "batch_failed": ("failed", set(), set(), "BatchGaveUp", True),
    "batch_expired": ("expired", {0, 2}, set(), "BatchGaveUp", True),
    "batch_cancelled": ("cancelled", {0, 2}, set(), "BatchGaveUp", True),
}


@both
@pytest.mark.parametrize("fault", FAULTS)
def test_what_goes_wrong_in_a_batch_fails_its_own_pictures_and_is_not_paid_for(
    base_url: str, api: ImageApiControl, model: str, fault: Any
) -> None:
    outcome, of_openai, of_gemini, error, live = FAULTS[fault]
    campaign = Campaign(base_url, titles(3, [model]))
    number = api.add_fault(fault, prompt_contains="number 1 ")
    campaign.run()
    api.remove_fault(number)
    keys = {row: image_key(f"c-{row}", 0, title, model) for row, (title, _) in enumerate(campaign.rows)}
    there = {row for row, key in keys.items() if key in campaign.store.objects}
    assert campaign.outcomes() == [outcome]
    assert there == (of_openai if model == GPT else of_gemini)
    said, message = campaign.why(1)
    assert said == error or error is None
    assert model in message or said == "UnusablePicture"
    assert api.calls()["paid"] == len(there) + (fault == "not_a_picture")
    # Its cell fails as the batch says, and calls nobody.
    with pytest.raises(ThumbnailError) as raised:
        make_thumbnail(campaign.cell(1), campaign.store, never)
    assert type(raised.value).__name__ == said
    calls = []

    def asked_live(order: Any, prompt: str) -> Any:
        calls.append(prompt)
        raise ProviderUnreachable("asked live")

    with pytest.raises(ThumbnailError):
        make_thumbnail(campaign.cell(1, economy="live"), campaign.store, asked_live)
    assert bool(calls) == live


@both
def test_a_batch_that_takes_longer_than_a_day_is_cancelled_and_taken_as_it_is(
    base_url: str, api: ImageApiControl, model: str
) -> None:
    api.set_batch_seconds(3600)
    campaign = Campaign(base_url, titles(2, [model]))
    assert campaign.economy().submit("campaigns/c/requests.json")
    assert campaign.economy().check() == (1, 1)
    campaign.late = timedelta(hours=23)
    assert campaign.economy().check() == (1, 600)
    campaign.late = timedelta(hours=24, minutes=1)
    campaign.wait()
    assert campaign.outcomes() == ["cancelled"]
    error, message = campaign.why(0)
    assert error == "BatchGaveUp"
    assert "took longer than a day" in message
    assert api.calls()["paid"] == 0


@both
def test_a_key_that_is_rejected_fails_every_picture_in_its_own_words(
    base_url: str, api: ImageApiControl, model: str
) -> None:
    campaign = Campaign(base_url, titles(2, [model]), key="a-rejected-key")
    campaign.run()
    assert campaign.outcomes() == ["failed"]
    error, message = campaign.why(0)
    assert error == ProviderMisconfigured.__name__
    assert "a-rejected-key" not in message
    assert api.calls()["requests"] == 0
