"""Both state machines and the single Lambda, from request to pictures."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from tests.integration.application import (
    BUCKET,
    DALLE,
    GEMINI,
    GPT,
    GPT2,
    RUN_SECONDS,
    Application,
    opened,
    wait_for,
    without_query,
)
from thumbnails.requests.models import Batch

TITLES = ["Why fan-out beats sequential", "Three retries with backoff"]
MODELS = [GEMINI, GPT]


def assert_thumbnail(url: str) -> None:
    with Image.open(io.BytesIO(opened(url))) as picture:
        picture.load()
        assert (picture.format, picture.size) == ("JPEG", (1200, 630))


@pytest.fixture(scope="module")
def batch(deployed: Application) -> dict[str, Any]:
    """One run of 2 × 2 that several tests look at."""
    deployed.image_api.reset()
    request = {"prompts": TITLES, "models": MODELS, "template": "left-panel", "font": "lora", "style": "neon"}
    result: dict[str, Any] = deployed.succeed("generateBatch", request, "the-batch")
    result["calls"] = deployed.image_api.calls()
    return result


@pytest.mark.smoke
def test_a_batch_gives_a_matrix_of_thumbnails_that_open_from_the_host(batch: dict[str, Any]) -> None:
    assert (batch["run_id"], batch["prompts"], batch["models"]) == ("the-batch", TITLES, MODELS)
    assert (batch["failures"], batch["warnings"]) == ([], [])
    assert batch["images"] == {"total": 4, "succeeded": 4, "failed": 0, "paid_calls": 4}
    assert [len(row) for row in batch["results"]] == [2, 2]
    for row in batch["results"]:
        for url in row:
            assert_thumbnail(url)


def test_every_cell_calls_its_model_once(batch: dict[str, Any]) -> None:
    assert (batch["calls"]["requests"], batch["calls"]["paid"]) == (4, 4)
    assert {name: count["paid"] for name, count in batch["calls"]["by_model"].items()} == {GEMINI: 2, GPT: 2}


def test_keys_are_those_of_the_contract_and_urls_lead_to_them(app: Application, batch: dict[str, Any]) -> None:
    slugs = ["0-why-fan-out-beats-sequential", "1-three-retries-with-backoff"]
    images = [[f"runs/the-batch/{slug}/{model}.jpg" for model in MODELS] for slug in slugs]
    place = f"{app.stack.endpoint}/{BUCKET}"
    assert [[without_query(url) for url in row] for row in batch["results"]] == [
        [f"{place}/{key}" for key in row] for row in images
    ]
    others = ["runs/the-batch/manifest.json", "runs/the-batch/request.json"]
    assert app.keys("runs/the-batch/") == sorted([*others, *(key for row in images for key in row)])


def test_the_providers_own_pictures_are_kept(app: Application, batch: dict[str, Any]) -> None:
    originals = [key for key in app.keys("originals/") if "/the-batch/" in key]
    assert sorted(key.rsplit("/", 1)[1] for key in originals) == ["0-0", "0-1", "1-0", "1-1"]
    sizes = set()
    for key in originals:
        with Image.open(io.BytesIO(app.read(key))) as picture:
            sizes.add((picture.format, picture.size))
    assert sizes == {("PNG", (1376, 768)), ("JPEG", (1536, 1024))}


def test_the_manifest_is_the_output(app: Application, batch: dict[str, Any]) -> None:
    assert app.manifest("the-batch") == {name: value for name, value in batch.items() if name != "calls"}


def test_the_positional_array_is_the_same_request(app: Application) -> None:
    result = app.succeed("generateBatch", [[TITLES[0]], [GPT], "anime", "center-box", "oswald", "About queues.", "Red"])
    assert result["images"]["succeeded"] == 1
    request = json.loads(app.read(f"runs/{result['run_id']}/request.json"))
    named = ["prompts", "models", "style", "template", "font", "context", "extra_prompt"]
    said = [[TITLES[0]], [GPT], "anime", "center-box", "oswald", "About queues.", "Red"]
    assert request == Batch.model_validate(dict(zip(named, said, strict=True))).model_dump(mode="json")
    (call,) = app.image_api.calls()["by_prompt"]
    assert "About queues." in call["prompt"]


def test_one_title_by_one_model_gives_one_url(app: Application) -> None:
    result = app.succeed("generateThumbnails", {"title": TITLES[0], "models": [GPT]})
    (image,) = result["results"]
    assert image["model"] == GPT
    assert image["key"] == f"runs/{result['run_id']}/0-why-fan-out-beats-sequential/{GPT}.jpg"
    assert_thumbnail(image["image_url"])
    assert app.manifest(result["run_id"]) == result


def test_one_title_by_every_model_keeps_the_order_of_the_models(app: Application) -> None:
    models = [DALLE, GPT2, GEMINI, GPT]
    result = app.succeed("generateThumbnails", [TITLES[0], models])
    assert [image["model"] for image in result["results"]] == models
    assert (result["title"], result["style"], result["template"], result["font"]) == (
        TITLES[0],
        "photorealistic",
        "bottom-bar",
        "inter",
    )
    assert app.image_api.calls()["paid"] == 4


def test_the_lambda_alone_makes_one_image(app: Application) -> None:
    answer = app.invoke("generateThumbnail", {"title": TITLES[0], "model": GEMINI, "font": "bangers"})
    assert answer.function_error == ""
    image = answer.payload
    assert (image["title"], image["model"], image["paid_calls"]) == (TITLES[0], GEMINI, 1)
    assert image["key"] == f"runs/{image['run_id']}/0-why-fan-out-beats-sequential/{GEMINI}.jpg"
    assert_thumbnail(image["image_url"])


def test_the_lambda_alone_refuses_what_is_no_cell(app: Application) -> None:
    answer = app.invoke("generateThumbnail", {"title": TITLES[0], "model": "gpt-image-9"})
    assert answer.function_error
    assert answer.payload["errorType"] == "InvalidBatch"
    assert answer.payload["errorMessage"].startswith("unknown model 'gpt-image-9'; choose from: ")
    assert app.image_api.calls()["requests"] == 0


def test_a_repeated_title_gives_two_pictures(app: Application) -> None:
    result = app.succeed("generateBatch", {"prompts": [TITLES[0]] * 2, "models": [GPT]})
    urls = [without_query(row[0]) for row in result["results"]]
    assert len(set(urls)) == 2
    assert app.image_api.calls()["paid"] == 2


def test_a_title_in_any_script_is_drawn(app: Application) -> None:
    titles = ["日本語のタイトル", "مرحبا بالعالم", "Ünïcödé — “quotes” & <tags>"]
    result = app.succeed("generateBatch", {"prompts": titles, "models": [GPT]})
    assert (result["prompts"], result["warnings"], result["failures"]) == (titles, [], [])
    for (url,) in result["results"]:
        assert_thumbnail(url)


def test_the_request_inside_an_eventbridge_envelope_is_run(app: Application) -> None:
    detail = {"prompts": [TITLES[0]], "models": [GPT]}
    envelope = {"version": "0", "id": "1", "detail-type": "wanted", "source": "blog", "region": "eu", "detail": detail}
    assert app.succeed("generateBatch", envelope)["prompts"] == [TITLES[0]]


def test_the_object_that_an_s3_event_names_is_run(app: Application) -> None:
    app.s3.put_object(Bucket=BUCKET, Key="drafts/batch.json", Body=json.dumps([[TITLES[1]], [GPT]]).encode())
    detail = {"bucket": {"name": BUCKET}, "object": {"key": "drafts/batch.json"}}
    envelope = {"detail-type": "Object Created", "source": "aws.s3", "detail": detail}
    assert app.succeed("generateBatch", envelope)["prompts"] == [TITLES[1]]


def test_results_have_the_order_of_the_request_when_the_first_cells_come_last(app: Application) -> None:
    titles = ["Slowest of all", "Slow enough", "Quick one"]
    hanging = [app.image_api.add_fault("hang", prompt_contains=title) for title in titles[:2]]
    hanging.append(app.image_api.add_fault("hang", model=GEMINI))
    arn = app.start("generateBatch", {"prompts": titles, "models": MODELS})
    # One row after the other is let go, from the last to the first.
    for there in (1, 2, 4):
        wait_for(f"{there} cells", lambda there=there: len(app.task_outputs(arn)) > there or None, RUN_SECONDS)  # type: ignore[misc]
        app.image_api.remove_fault(hanging.pop())
    done = app.wait(arn)
    assert done.status == "SUCCEEDED"
    ended = [(cell["row"], cell["column"]) for cell in app.task_outputs(done.arn) if "column" in cell]
    assert [row for row, _ in ended] == [2, 2, 1, 1, 0, 0]
    assert ended[:2] == [(2, 1), (2, 0)]
    slugs = ["0-slowest-of-all", "1-slow-enough", "2-quick-one"]
    assert [[without_query(url).split("/", 6)[-1] for url in row] for row in done.output["results"]] == [
        [f"{slug}/{model}.jpg" for model in MODELS] for slug in slugs
    ]


@pytest.fixture
def patient(app: Application) -> Iterator[Application]:
    """The application with a provider timeout that fifty cold starts on a busy machine do not meet."""
    with app.configured("generateThumbnail", PROVIDER_TIMEOUT_SECONDS="60"):
        yield app


def test_fifty_images_of_a_second_each_are_made_side_by_side_from_cold(patient: Application) -> None:
    patient.image_api.set_latency(1.0)
    request = {"prompts": [f"Title number {number}" for number in range(25)], "models": MODELS}
    result = patient.succeed("generateBatch", request)
    assert result["images"] == {"total": 50, "succeeded": 50, "failed": 0, "paid_calls": 50}
    assert [[without_query(url).split("/", 6)[-1].split("/")[0] for url in row] for row in result["results"]] == [
        [f"{row}-title-number-{row}"] * 2 for row in range(25)
    ]
    calls = patient.image_api.calls()
    assert (calls["requests"], calls["paid"]) == (50, 50)
    assert calls["peak_concurrency"] > 5
