"""The offline image API, driven by the real openai and google-genai SDKs, and by boto3 for Bedrock."""

import base64
import io
import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import openai
import pytest
from google import genai
from google.genai import errors, types
from PIL import Image

from tests.integration.application import RUN_SECONDS, wait_for
from thumbnails import errors as tree
from thumbnails.catalog import MODELS
from thumbnails.images.providers import bedrock, generate_picture
from thumbs.image_api.control import ImageApiControl, ImageApiError
from thumbs.image_api.server import running

GEMINI_MODEL = "gemini-3-pro-image-preview"
OPENAI_PARAMETERS: dict[str, dict[str, Any]] = {
    "gpt-image-1": {"size": "1536x1024", "output_format": "jpeg", "output_compression": 85},
    "gpt-image-2": {"size": "1536x1024", "output_format": "jpeg", "output_compression": 85},
    "dall-e-3": {"size": "1792x1024", "response_format": "b64_json"},
}
PROMPT = "A photorealistic picture of a sea at dawn"


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with running() as url:
        yield url


@pytest.fixture
def control(base_url: str) -> ImageApiControl:
    control = ImageApiControl(base_url)
    control.reset()
    return control


@pytest.fixture
def openai_client(base_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="sk-any", base_url=f"{base_url}/v1", max_retries=0, timeout=20) as client:
        yield client


def gemini(base_url: str, timeout: float = 20, key: str = "any") -> genai.Client:
    options = types.HttpOptions(base_url=base_url, timeout=int(timeout * 1000))
    return genai.Client(api_key=key, http_options=options)


@pytest.fixture
def gemini_client(base_url: str) -> Iterator[genai.Client]:
    client = gemini(base_url)
    yield client
    client.close()


def ask_openai(client: openai.OpenAI, model: str = "gpt-image-1", prompt: str = PROMPT) -> Any:
    return client.images.generate(model=model, prompt=prompt, **OPENAI_PARAMETERS[model])


def ask_gemini(client: genai.Client, prompt: str = PROMPT, **image: Any) -> types.GenerateContentResponse:
    config = types.GenerateContentConfig(
        response_modalities=["IMAGE"], image_config=types.ImageConfig(**{"aspect_ratio": "16:9", **image})
    )
    return client.models.generate_content(model=GEMINI_MODEL, contents=prompt, config=config)


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def picture_of(answer: types.GenerateContentResponse) -> bytes:
    assert answer.candidates
    assert answer.candidates[0].content
    assert answer.candidates[0].content.parts
    blob = answer.candidates[0].content.parts[0].inline_data
    assert blob
    assert blob.data
    return blob.data


@pytest.mark.parametrize(
    ("model", "size"), [("gpt-image-1", (1536, 1024)), ("gpt-image-2", (1536, 1024)), ("dall-e-3", (1792, 1024))]
)
def test_openai_models_answer_with_a_jpeg(
    openai_client: openai.OpenAI, control: ImageApiControl, model: str, size: tuple[int, int]
) -> None:
    answer = ask_openai(openai_client, model)
    picture = opened(base64.b64decode(answer.data[0].b64_json))
    assert (picture.format, picture.size, picture.mode) == ("JPEG", size, "RGB")
    if model == "dall-e-3":
        assert answer.data[0].revised_prompt
    else:
        assert answer.usage.total_tokens > 0
    assert control.calls()["by_prompt"] == [{"model": model, "prompt": PROMPT, "requests": 1, "paid": 1}]


@pytest.mark.parametrize(("image_size", "size"), [(None, (1376, 768)), ("2K", (2752, 1536))])
def test_gemini_answers_with_a_png(
    gemini_client: genai.Client, control: ImageApiControl, image_size: str | None, size: tuple[int, int]
) -> None:
    answer = ask_gemini(gemini_client, image_size=image_size)
    picture = opened(picture_of(answer))
    assert (picture.format, picture.size, picture.mode) == ("PNG", size, "RGB")
    assert answer.candidates
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.model_version == GEMINI_MODEL
    assert answer.usage_metadata
    assert control.calls()["by_model"] == {GEMINI_MODEL: {"requests": 1, "paid": 1}}


def test_dall_e_gives_a_url_that_opens(openai_client: openai.OpenAI, control: ImageApiControl) -> None:
    answer = openai_client.images.generate(model="dall-e-3", prompt=PROMPT, size="1792x1024", response_format="url")
    assert answer.data
    assert answer.data[0].url
    with urllib.request.urlopen(answer.data[0].url) as got:  # noqa: S310 (our own address)
        assert opened(got.read()).size == (1792, 1024)


def test_the_same_request_gives_the_same_picture_and_another_model_another(
    openai_client: openai.OpenAI, control: ImageApiControl
) -> None:
    first, again = (ask_openai(openai_client).data[0].b64_json for _ in range(2))
    assert first == again
    assert ask_openai(openai_client, "gpt-image-2").data[0].b64_json != first
    assert control.calls()["by_model"]["gpt-image-1"] == {"requests": 2, "paid": 2}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"fault": "rate_limit"}, (openai.RateLimitError, "rate_limit_exceeded", 429)),
        ({"fault": "rate_limit", "retry_after": 3}, (openai.RateLimitError, "rate_limit_exceeded", 429)),
        ({"fault": "insufficient_quota"}, (openai.RateLimitError, "insufficient_quota", 429)),
        ({"fault": "server_error"}, (openai.InternalServerError, None, 500)),
        ({"fault": "unavailable"}, (openai.InternalServerError, None, 503)),
        ({"fault": "key_rejected"}, (openai.AuthenticationError, "invalid_api_key", 401)),
        ({"fault": "forbidden"}, (openai.PermissionDeniedError, None, 403)),
        ({"fault": "refusal"}, (openai.BadRequestError, "moderation_blocked", 400)),
        (
            {"fault": "refusal", "variant": "content_policy_violation"},
            (openai.BadRequestError, "content_policy_violation", 400),
        ),
    ],
)
def test_openai_faults_that_cost_nothing(
    openai_client: openai.OpenAI,
    control: ImageApiControl,
    fault: dict[str, Any],
    expected: tuple[type[openai.APIStatusError], str | None, int],
) -> None:
    raised, code, status = expected
    control.add_fault(**fault)
    with pytest.raises(raised) as caught:
        ask_openai(openai_client)
    assert (caught.value.code, caught.value.status_code) == (code, status)
    assert caught.value.response.headers.get("retry-after") == ("3" if "retry_after" in fault else None)
    assert (control.calls()["requests"], control.calls()["paid"]) == (1, 0)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("rate_limit", (errors.ClientError, 429, "RESOURCE_EXHAUSTED")),
        ("insufficient_quota", (errors.ClientError, 429, "RESOURCE_EXHAUSTED")),
        ("server_error", (errors.ServerError, 500, "INTERNAL")),
        ("unavailable", (errors.ServerError, 503, "UNAVAILABLE")),
        ("key_rejected", (errors.ClientError, 400, "INVALID_ARGUMENT")),
        ("forbidden", (errors.ClientError, 403, "PERMISSION_DENIED")),
    ],
)
def test_gemini_faults_that_cost_nothing(
    gemini_client: genai.Client,
    control: ImageApiControl,
    fault: str,
    expected: tuple[type[errors.APIError], int, str],
) -> None:
    raised, status, name = expected
    control.add_fault(fault, retry_after=3)
    with pytest.raises(raised) as caught:
        ask_gemini(gemini_client)
    assert (caught.value.code, caught.value.status) == (status, name)
    assert (control.calls()["requests"], control.calls()["paid"]) == (1, 0)


def test_gemini_blocks_a_prompt(gemini_client: genai.Client, control: ImageApiControl) -> None:
    control.add_fault("refusal")
    answer = ask_gemini(gemini_client)
    assert not answer.candidates
    assert answer.prompt_feedback
    assert answer.prompt_feedback.block_reason == types.BlockedReason.PROHIBITED_CONTENT
    assert control.calls()["paid"] == 0


@pytest.mark.parametrize("reason", ["IMAGE_SAFETY", "PROHIBITED_CONTENT", "SAFETY"])
def test_gemini_withholds_a_picture(gemini_client: genai.Client, control: ImageApiControl, reason: str) -> None:
    control.add_fault("refusal", variant=reason)
    answer = ask_gemini(gemini_client)
    assert answer.candidates
    assert answer.candidates[0].finish_reason == types.FinishReason(reason)
    assert answer.candidates[0].content is None
    assert control.calls()["paid"] == 0


@pytest.mark.parametrize("variant", ["empty", "text", "null"])
def test_a_success_without_a_picture_is_not_billed(
    openai_client: openai.OpenAI, gemini_client: genai.Client, control: ImageApiControl, variant: str
) -> None:
    control.add_fault("no_picture", variant=variant)
    assert not any(image.b64_json for image in ask_openai(openai_client).data or [])
    candidates = ask_gemini(gemini_client).candidates or []
    parts = [part for candidate in candidates if candidate.content for part in candidate.content.parts or []]
    assert not any(part.inline_data for part in parts)
    assert (control.calls()["requests"], control.calls()["paid"]) == (2, 0)


def test_an_answer_that_is_not_json(
    openai_client: openai.OpenAI, gemini_client: genai.Client, control: ImageApiControl
) -> None:
    control.add_fault("not_json")
    # The SDK hands a body of another content type through as text.
    assert isinstance(ask_openai(openai_client), str)
    with pytest.raises(json.JSONDecodeError):
        ask_gemini(gemini_client)
    assert control.calls()["paid"] == 0


def test_a_hang_lasts_until_the_client_gives_up_and_is_billed(base_url: str, control: ImageApiControl) -> None:
    control.add_fault("hang")
    with (
        openai.OpenAI(api_key="any", base_url=f"{base_url}/v1", max_retries=0, timeout=0.5) as client,
        pytest.raises(openai.APITimeoutError),
    ):
        ask_openai(client)
    google = gemini(base_url, timeout=0.5)
    with pytest.raises(httpx2.ReadTimeout):
        ask_gemini(google)
    google.close()
    assert (control.calls()["requests"], control.calls()["paid"]) == (2, 2)


def test_a_hang_of_some_seconds_ends_with_the_picture(openai_client: openai.OpenAI, control: ImageApiControl) -> None:
    control.add_fault("hang", seconds=0.05)
    assert ask_openai(openai_client).data[0].b64_json
    assert control.calls()["paid"] == 1


def test_a_reset_in_mid_body(
    openai_client: openai.OpenAI, gemini_client: genai.Client, control: ImageApiControl
) -> None:
    control.add_fault("reset")
    with pytest.raises(openai.APIConnectionError) as caught:
        ask_openai(openai_client)
    assert not isinstance(caught.value, openai.APITimeoutError)
    with pytest.raises(httpx2.TransportError):
        ask_gemini(gemini_client)
    assert control.calls()["paid"] == 2


def test_broken_json(openai_client: openai.OpenAI, gemini_client: genai.Client, control: ImageApiControl) -> None:
    control.add_fault("broken_json")
    with pytest.raises(json.JSONDecodeError):
        ask_openai(openai_client)
    with pytest.raises(json.JSONDecodeError):
        ask_gemini(gemini_client)
    assert control.calls()["paid"] == 2


@pytest.mark.parametrize("fault", ["truncated_picture", "not_a_picture"])
def test_pictures_that_do_not_open(
    openai_client: openai.OpenAI, gemini_client: genai.Client, control: ImageApiControl, fault: str
) -> None:
    control.add_fault(fault)
    for data in (base64.b64decode(ask_openai(openai_client).data[0].b64_json), picture_of(ask_gemini(gemini_client))):
        with pytest.raises(OSError, match=r"truncated|cannot identify"):
            opened(data)
    assert control.calls()["paid"] == 2


def test_a_picture_of_60_megapixels(gemini_client: genai.Client, control: ImageApiControl) -> None:
    control.add_fault("huge_picture")
    data = picture_of(ask_gemini(gemini_client))
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.width * picture.height == 60_000_000
    assert len(data) < 1_000_000
    assert control.calls()["paid"] == 1


@pytest.mark.parametrize(
    ("variant", "mode"),
    [
        ("cmyk", "CMYK"),
        ("palette", "P"),
        ("16bit", "I;16"),
        ("alpha", "RGBA"),
        ("gray", "L"),
        ("gray_alpha", "LA"),
        ("one_bit", "1"),
    ],
)
def test_pictures_in_odd_modes(openai_client: openai.OpenAI, control: ImageApiControl, variant: str, mode: str) -> None:
    control.add_fault("odd_mode", variant=variant)
    picture = opened(base64.b64decode(ask_openai(openai_client).data[0].b64_json))
    assert (picture.mode, picture.size) == (mode, (1536, 1024))


def test_keys_that_are_turned_away(base_url: str, control: ImageApiControl) -> None:
    with (
        openai.OpenAI(api_key="sk-rejected", base_url=f"{base_url}/v1", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        ask_openai(client)
    assert caught.value.code == "invalid_api_key"
    google = gemini(base_url, key="rejected")
    with pytest.raises(errors.ClientError, match="API key not valid"):
        ask_gemini(google)
    control.set_rejected_keys(["other"])
    assert picture_of(ask_gemini(google))
    google.close()
    assert (control.calls()["requests"], control.calls()["paid"]) == (3, 1)


def test_bad_requests_reach_the_caller_as_each_provider_words_them(
    openai_client: openai.OpenAI, gemini_client: genai.Client, control: ImageApiControl
) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        openai_client.images.generate(model="gpt-image-9", prompt=PROMPT)
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as size:
        openai_client.images.generate(model="gpt-image-1", prompt=PROMPT, size="512x512")
    assert size.value.param == "size"
    with pytest.raises(errors.ClientError) as model:
        gemini_client.models.generate_content(model="gemini-0", contents=PROMPT)
    assert (model.value.code, model.value.status) == (404, "NOT_FOUND")
    with pytest.raises(errors.ClientError) as ratio:
        ask_gemini(gemini_client, aspect_ratio="17:9")
    assert (ratio.value.code, ratio.value.status) == (400, "INVALID_ARGUMENT")
    assert (control.calls()["requests"], control.calls()["paid"]) == (4, 0)


def test_moderation_flags_the_marker(openai_client: openai.OpenAI, control: ImageApiControl) -> None:
    assert not openai_client.moderations.create(input="a quiet sea").results[0].flagged
    control.set_flagged_marker("sea-monster")
    flagged = openai_client.moderations.create(model="omni-moderation-latest", input="a sea-monster").results[0]
    assert flagged.flagged
    assert flagged.categories.violence


def test_a_fault_that_recovers(openai_client: openai.OpenAI, control: ImageApiControl) -> None:
    control.add_fault("server_error", times_each=1, model="gpt-image-1")
    for prompt in ("one sea", "two seas"):
        with pytest.raises(openai.InternalServerError):
            ask_openai(openai_client, prompt=prompt)
        assert ask_openai(openai_client, prompt=prompt).data
    assert control.faults()[0]["struck"] == 2
    assert control.calls()["by_model"] == {"gpt-image-1": {"requests": 4, "paid": 2}}
    control.clear_faults()
    assert control.faults() == []


def test_50_calls_at_once_are_in_flight_together(openai_client: openai.OpenAI, control: ImageApiControl) -> None:
    together = threading.Barrier(50, timeout=30)

    def one(number: int) -> int:
        together.wait()
        answer = ask_openai(openai_client, prompt=f"{PROMPT}, number {number % 5}")
        return len(answer.data[0].b64_json)

    # The first is answered when the other 49 have arrived.
    control.add_fault("hang")
    with ThreadPoolExecutor(50) as pool:
        answers = [pool.submit(one, number) for number in range(50)]
        wait_for("50 calls at once", lambda: control.calls()["in_flight"] == 50 or None, RUN_SECONDS)
        control.clear_faults()
        assert all(answer.result() for answer in answers)
    calls = control.calls()
    assert (calls["requests"], calls["paid"], calls["peak_concurrency"], calls["in_flight"]) == (50, 50, 50, 0)
    control.clear_calls()
    assert control.calls()["requests"] == 0


def test_bodies_that_are_no_json_are_refused(base_url: str, control: ImageApiControl) -> None:
    headers = {"authorization": "Bearer any", "x-goog-api-key": "any"}
    for path in ("/v1/images/generations", f"/v1beta/models/{GEMINI_MODEL}:generateContent", "/v1/moderations"):
        for body in (b"", b"{", b"[" * 100_000, b"\xff\xfe"):
            answer = httpx2.post(base_url + path, content=body, headers=headers)
            assert answer.status_code == 400
            assert answer.json()["error"]["message"]


def test_a_prompt_of_odd_characters_gives_a_picture(base_url: str, control: ImageApiControl) -> None:
    body = '{"model": "gpt-image-1", "prompt": "\\ud800 \\u0000 \\u202e sea", "output_format": "jpeg"}'
    answer = httpx2.post(
        f"{base_url}/v1/images/generations", content=body.encode(), headers={"authorization": "Bearer any"}
    )
    assert opened(base64.b64decode(answer.json()["data"][0]["b64_json"])).size == (1536, 1024)
    assert control.calls()["paid"] == 1


def test_the_control_api_says_what_it_cannot_take(base_url: str, control: ImageApiControl) -> None:
    with pytest.raises(ImageApiError, match="unknown fault 'meteor'"):
        control.add_fault("meteor")
    with pytest.raises(ImageApiError, match="latency is a number"):
        control.set_latency(-1)
    with pytest.raises(ImageApiError, match="no such fault"):
        control.remove_fault(7)
    number = control.add_fault("hang")
    control.remove_fault(number)
    assert control.faults() == []
    assert control.healthy()


def ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline()


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def start_one(*options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "thumbs.image_api", *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start_one
    for process in started:
        with process:
            process.kill()


def test_the_command_says_when_it_is_ready_and_ends_cleanly_with_a_call_hanging(start: Start) -> None:
    process = start("--port", "0", "--latency", "0")
    line = ready(process)
    url = line.split()[4]
    assert line == f"Image API ready on {url} (latency 0 s)\n"
    ImageApiControl(url).add_fault("hang")
    with openai.OpenAI(api_key="any", base_url=f"{url}/v1", max_retries=0) as client, ThreadPoolExecutor(1) as pool:
        hung = pool.submit(ask_openai, client)
        while ImageApiControl(url).calls()["in_flight"] == 0:
            assert not hung.done()
        process.send_signal(signal.SIGTERM)
        output = process.communicate(timeout=30)
        assert hung.exception(timeout=30) is not None
    assert (process.returncode, output) == (0, ("", ""))


def test_the_command_says_in_one_line_that_the_port_is_in_use(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start("--port", str(taken.getsockname()[1]))
        out, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "the port is in use" in err


def test_the_command_refuses_a_negative_latency(start: Start) -> None:
    process = start("--latency", "-1")
    process.communicate(timeout=30)
    assert process.returncode == 2


CORE = "stability.stable-image-core-v1:1"


@pytest.fixture
def on_bedrock(
    base_url: str, control: ImageApiControl, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], bytes]]:
    """Has a picture made by boto3, and closes its connections."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    bedrock._client.cache_clear()

    def ask() -> bytes:
        order = MODELS[CORE].order()
        return generate_picture(order, PROMPT, lambda _name: None, 20, {"bedrock": base_url}).pictures[0]

    yield ask
    bedrock._client("bedrock-runtime", base_url, 20).close()
    bedrock._client.cache_clear()


def test_bedrock_answers_boto3_with_a_jpeg(on_bedrock: Callable[[], bytes], control: ImageApiControl) -> None:
    picture = opened(on_bedrock())
    assert (picture.format, picture.size) == ("JPEG", (1344, 768))
    assert control.calls()["by_model"] == {CORE: {"requests": 1, "paid": 1}}


@pytest.mark.parametrize(
    ("fault", "variant", "error"),
    [
        ("rate_limit", "", tree.ProviderRateLimited),
        ("unavailable", "", tree.ProviderUnavailable),
        ("unavailable", "not_ready", tree.ProviderUnavailable),
        ("forbidden", "", tree.ProviderMisconfigured),
        ("key_rejected", "", tree.ProviderMisconfigured),
        ("refusal", "Filter reason: output image", tree.PictureRefused),
        ("no_picture", "null", tree.ProviderUnavailable),
        ("no_picture", "empty", tree.UnusableAnswer),
    ],
)
def test_bedrock_faults_that_cost_nothing(
    on_bedrock: Callable[[], bytes], control: ImageApiControl, fault: str, variant: str, error: type[Exception]
) -> None:
    control.add_fault(fault, variant=variant)
    with pytest.raises(error):
        on_bedrock()
    assert (control.calls()["requests"], control.calls()["paid"]) == (1, 0)
