"""The adapters, through the real SDKs over a replaced HTTP transport: what is asked for, what an answer means."""

import base64
import json
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.httpsession import URLLib3Session

from thumbnails import errors
from thumbnails.catalog import MODELS, Provider
from thumbnails.catalog.models import bedrock_url
from thumbnails.images.providers import bedrock, generate_picture, google, one_line, openai, warm_up_adapters

KEYS = {"OPENAI_API_KEY": "sk-proj-Secret0123456789", "GEMINI_API_KEY": "AIzaSecret0123456789"}
PICTURE = b"\xff\xd8 a picture"
FUNCTIONS = Path(__file__).parents[2] / "functions"

Answer = Callable[[httpx2.Request], httpx2.Response]


class Wire:
    """Takes the place of the network: answers every request with ``answer`` and keeps it."""

    def __init__(self) -> None:
        self.requests: list[httpx2.Request] = []
        self.answer: Answer = lambda _request: httpx2.Response(500)

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.requests.append(request)
        response = self.answer(request)
        response.request = request
        return response

    def json(self) -> Any:
        return json.loads(self.requests[-1].content)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    wire = Wire()
    monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", lambda _self, request: wire.handle(request))
    for adapter in (openai, google):
        adapter._client.cache_clear()
    yield wire
    for adapter in (openai, google):
        adapter._client.cache_clear()


def ask(model: str, seconds: float = 30) -> bytes:
    (picture,) = generate_picture(MODELS[model].order(), "A prompt", KEYS.get, seconds).pictures
    return picture


def answer(status: int, body: object) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "text/html" if content.startswith(b"<") else "application/json"
    return lambda _request: httpx2.Response(status, content=content, headers={"content-type": kind})


def failing(error: Exception) -> Answer:
    def fail(_request: httpx2.Request) -> httpx2.Response:
        raise error

    return fail


def openai_error(code: str | None, message: str = "Words of the provider.") -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "type": "image_generation_user_error", "param": None}}


def openai_picture(encoded: str | None = base64.b64encode(PICTURE).decode()) -> dict[str, Any]:
    return {"created": 1, "data": [{"b64_json": encoded}]}


def google_error(status: int, name: str, message: str = "Words of the provider.") -> dict[str, Any]:
    return {"error": {"code": status, "status": name, "message": message}}


def candidate(finish: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": finish}]}


IMAGE_PART = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(PICTURE).decode()}}


@pytest.mark.parametrize("model", [model for model in MODELS if MODELS[model].provider == "openai"])
def test_openai_is_asked_once_for_one_picture_with_the_models_own_parameters(wire: Wire, model: str) -> None:
    wire.answer = answer(200, openai_picture())
    assert ask(model) == PICTURE
    (request,) = wire.requests
    assert str(request.url) == "https://api.openai.com/v1/images/generations"
    assert request.headers["authorization"] == f"Bearer {KEYS['OPENAI_API_KEY']}"
    assert wire.json() == {"model": model, "prompt": "A prompt", "n": 1, **MODELS[model].order().parameters}


def test_gemini_is_asked_once_for_one_wide_picture(wire: Wire) -> None:
    wire.answer = answer(200, candidate("STOP", {"text": "Here it is."}, IMAGE_PART))
    assert ask("gemini-3-pro-image-preview") == PICTURE
    (request,) = wire.requests
    assert request.url.host == "generativelanguage.googleapis.com"
    assert request.url.path.endswith("/models/gemini-3-pro-image-preview:generateContent")
    assert request.headers["x-goog-api-key"] == KEYS["GEMINI_API_KEY"]
    assert wire.json()["contents"][0]["parts"] == [{"text": "A prompt"}]
    assert wire.json()["generationConfig"] == {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "16:9"}}


@pytest.mark.parametrize(
    ("model", "provider", "base"),
    [
        ("gpt-image-1", "openai", "http://127.0.0.1:9/v1"),
        ("gemini-3-pro-image-preview", "google", "http://127.0.0.1:9"),
    ],
)
@pytest.mark.parametrize("value", ["set", "empty"])
def test_another_base_url_is_used_unless_it_is_empty(
    wire: Wire, model: str, provider: Provider, base: str, value: str
) -> None:
    wire.answer = answer(429, {})
    with pytest.raises(errors.ProviderRateLimited):
        generate_picture(MODELS[model].order(), "A prompt", KEYS.get, 5, {provider: base if value == "set" else ""})
    assert (wire.requests[0].url.host == "127.0.0.1") == (value == "set")


@pytest.mark.parametrize("model", ["gpt-image-1", "gemini-3-pro-image-preview"])
def test_the_provider_has_as_long_as_it_is_told(wire: Wire, model: str) -> None:
    wire.answer = answer(500, {})
    with pytest.raises(errors.ProviderUnavailable):
        ask(model, seconds=7)
    timeout = wire.requests[0].extensions["timeout"]
    assert timeout["read"] == timeout["write"] == timeout["pool"] == 7
    assert timeout["connect"] <= 7


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "12"}, 12),
        ({"retry-after": "0.6"}, 0.6),
        ({"retry-after": "-1"}, 0),
        ({"retry-after": "12", "retry-after-ms": "600"}, 0.6),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "soon"}, None),
    ],
)
def test_openai_says_when_it_wants_to_be_asked_again(
    wire: Wire, headers: dict[str, str], seconds: float | None
) -> None:
    wire.answer = lambda _: httpx2.Response(429, headers=headers, json=openai_error("rate_limit_exceeded"))
    with pytest.raises(errors.ProviderRateLimited) as limited:
        ask("gpt-image-1")
    assert limited.value.retry_after == seconds


@pytest.mark.parametrize(
    ("details", "seconds"),
    [
        ([], None),
        ([{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []}, {"retryDelay": "34s"}], 34),
        ([{"retryDelay": "34.074824224s"}], 34.074824224),
        ([{"retryDelay": 34}, {"retryDelay": "soon"}, "34s"], None),
        ("34s", None),
    ],
)
def test_gemini_says_when_it_wants_to_be_asked_again(wire: Wire, details: object, seconds: float | None) -> None:
    said = google_error(429, "RESOURCE_EXHAUSTED")
    said["error"]["details"] = details
    wire.answer = answer(429, said)
    with pytest.raises(errors.ProviderRateLimited) as limited:
        ask("gemini-3-pro-image-preview")
    assert limited.value.retry_after == seconds


SECRETS = " ".join(KEYS.values())

OPENAI_ANSWERS: list[tuple[str, Answer, type[errors.ThumbnailError], str]] = [
    (
        "401",
        answer(401, openai_error("invalid_api_key", f"Bad key {SECRETS}")),
        errors.ProviderMisconfigured,
        "OPENAI_API_KEY",
    ),
    ("403", answer(403, openai_error(None)), errors.ProviderMisconfigured, "HTTP 403"),
    (
        "404",
        answer(404, openai_error("model_not_found")),
        errors.ProviderMisconfigured,
        "not open to this account",
    ),
    ("no quota", answer(429, openai_error("insufficient_quota")), errors.ProviderMisconfigured, "is not paid for"),
    ("429", answer(429, openai_error("rate_limit_exceeded")), errors.ProviderRateLimited, "too many requests"),
    ("408", answer(408, openai_error(None)), errors.ProviderTimeout, "given up by the provider"),
    ("500", answer(500, openai_error("server_error")), errors.ProviderUnavailable, "HTTP 500"),
    ("503 page", answer(503, b"<html>Bad gateway</html>"), errors.ProviderUnavailable, "HTTP 503"),
    ("moderation", answer(400, openai_error("moderation_blocked")), errors.PictureRefused, "refuses this picture"),
    ("policy", answer(400, openai_error("content_policy_violation")), errors.PictureRefused, "Words of the provider."),
    ("400", answer(400, openai_error("invalid_size")), errors.ProviderRejectedRequest, "HTTP 400"),
    ("422", answer(422, openai_error(None)), errors.ProviderRejectedRequest, "HTTP 422"),
    ("slow", failing(httpx2.ReadTimeout("slow")), errors.ProviderTimeout, "did not answer within 30 s"),
    ("no connect", failing(httpx2.ConnectTimeout("slow")), errors.ProviderTimeout, "did not answer within 30 s"),
    ("refused", failing(httpx2.ConnectError("refused")), errors.ProviderUnreachable, "refused"),
    ("cut off", failing(httpx2.RemoteProtocolError("cut off")), errors.ProviderUnreachable, "cut off"),
    ("no data", answer(200, {"created": 1, "data": []}), errors.UnusableAnswer, "without a picture"),
    ("null data", answer(200, {"created": 1, "data": None}), errors.UnusableAnswer, "without a picture"),
    ("null picture", answer(200, openai_picture(None)), errors.UnusableAnswer, "without a picture"),
    ("no base64", answer(200, openai_picture("no base64!")), errors.UnusableAnswer, "not base64"),
    ("no ASCII", answer(200, openai_picture("é")), errors.UnusableAnswer, "not base64"),
    ("odd base64", answer(200, openai_picture("abcde")), errors.UnusableAnswer, "not base64"),
    ("data of another shape", answer(200, {"created": 1, "data": {"b64_json": "x"}}), errors.UnusableAnswer, ""),
    ("page", answer(200, b"<html>Hello</html>"), errors.UnusableAnswer, ""),
    ("broken JSON", answer(200, b'{"created": 1, "da'), errors.UnusableAnswer, "not JSON"),
    ("null", answer(200, None), errors.UnusableAnswer, ""),
    ("list", answer(200, []), errors.UnusableAnswer, ""),
    ("strings", answer(200, {"created": 1, "data": ["x"]}), errors.UnusableAnswer, ""),
    ("number", answer(200, openai_picture(7)), errors.UnusableAnswer, ""),  # type: ignore[arg-type]
]

GOOGLE_ANSWERS: list[tuple[str, Answer, type[errors.ThumbnailError], str]] = [
    ("401", answer(401, google_error(401, "UNAUTHENTICATED", SECRETS)), errors.ProviderMisconfigured, "GEMINI_API_KEY"),
    ("403", answer(403, google_error(403, "PERMISSION_DENIED")), errors.ProviderMisconfigured, "HTTP 403"),
    (
        "invalid key",
        answer(400, google_error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.")),
        errors.ProviderMisconfigured,
        "GEMINI_API_KEY",
    ),
    ("404", answer(404, google_error(404, "NOT_FOUND")), errors.ProviderMisconfigured, "not open to this account"),
    ("429", answer(429, google_error(429, "RESOURCE_EXHAUSTED")), errors.ProviderRateLimited, "too many requests"),
    ("408", answer(408, google_error(408, "CANCELLED")), errors.ProviderTimeout, "given up by the provider"),
    ("504", answer(504, google_error(504, "DEADLINE_EXCEEDED")), errors.ProviderTimeout, "given up by the provider"),
    ("500", answer(500, google_error(500, "INTERNAL")), errors.ProviderUnavailable, "HTTP 500"),
    ("502 page", answer(502, b"<html>Bad gateway</html>"), errors.ProviderUnavailable, "HTTP 502"),
    ("400", answer(400, google_error(400, "INVALID_ARGUMENT")), errors.ProviderRejectedRequest, "HTTP 400"),
    ("slow", failing(httpx2.ReadTimeout("slow")), errors.ProviderTimeout, "did not answer within 30 s"),
    ("no connect", failing(httpx2.ConnectTimeout("slow")), errors.ProviderTimeout, "did not answer within 30 s"),
    ("refused", failing(httpx2.ConnectError("refused")), errors.ProviderUnreachable, "refused"),
    ("cut off", failing(httpx2.RemoteProtocolError("cut off")), errors.ProviderUnreachable, "cut off"),
    *(
        (reason, answer(200, candidate(reason)), errors.PictureRefused, reason)
        for reason in ("SAFETY", "IMAGE_SAFETY", "PROHIBITED_CONTENT", "IMAGE_PROHIBITED_CONTENT", "RECITATION")
    ),
    (
        "prompt blocked",
        answer(200, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}),
        errors.PictureRefused,
        "PROHIBITED_CONTENT",
    ),
    (
        "text alone",
        answer(200, candidate("STOP", {"text": "No."})),
        errors.PictureRefused,
        "in words and draws nothing (STOP): No.",
    ),
    ("no candidate", answer(200, {}), errors.UnusableAnswer, "no reason given"),
    ("no content", answer(200, {"candidates": [{"finishReason": "MAX_TOKENS"}]}), errors.UnusableAnswer, "MAX_TOKENS"),
    (
        "no bytes",
        answer(200, candidate("STOP", {"inlineData": {"mimeType": "image/png", "data": ""}})),
        errors.UnusableAnswer,
        "",
    ),
    ("page", answer(200, b"<html>Hello</html>"), errors.UnusableAnswer, "not JSON"),
    ("broken JSON", answer(200, b'{"candidates": [{'), errors.UnusableAnswer, "not JSON"),
    ("null", answer(200, None), errors.UnusableAnswer, ""),
    ("parts of another shape", answer(200, candidate("STOP", {"inlineData": "x"})), errors.UnusableAnswer, ""),
    ("list", answer(200, []), errors.UnusableAnswer, ""),
    ("strings", answer(200, {"candidates": ["x"]}), errors.UnusableAnswer, ""),
]


@pytest.mark.parametrize(
    ("model", "given", "error", "words"),
    [
        pytest.param(model, given, error, words, id=f"{provider}-{name}")
        for provider, model, table in (
            ("openai", "gpt-image-1", OPENAI_ANSWERS),
            ("google", "gemini-3-pro-image-preview", GOOGLE_ANSWERS),
        )
        for name, given, error, words in table
    ],
)
def test_every_answer_but_a_picture_is_one_error_of_the_tree_after_one_attempt(
    wire: Wire, model: str, given: Answer, error: type[errors.ThumbnailError], words: str
) -> None:
    wire.answer = given
    with pytest.raises(errors.ThumbnailError) as raised:
        ask(model)
    message = str(raised.value)
    assert type(raised.value) is error
    assert words in message
    assert model in message
    assert len(message.splitlines()) == 1
    assert not any(key in message for key in KEYS.values())
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("model", "name"), [("gpt-image-1", "OPENAI_API_KEY"), ("gemini-3-pro-image-preview", "GEMINI_API_KEY")]
)
@pytest.mark.parametrize("key", [None, ""])
def test_without_a_key_nothing_is_asked(wire: Wire, model: str, name: str, key: str | None) -> None:
    with pytest.raises(errors.ProviderMisconfigured, match=f"set {name}"):
        generate_picture(MODELS[model].order(), "A prompt", lambda _name: key, 30)
    assert wire.requests == []


REJECTED = {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}


def with_key(key: str, wire: Wire) -> None:
    """A provider that takes one key and rejects every other."""
    good, bad = answer(200, openai_picture()), answer(401, REJECTED)
    wire.answer = lambda request: (good if request.headers["authorization"] == f"Bearer {key}" else bad)(request)


@pytest.mark.parametrize("kept", ["sk-before", None])
def test_a_key_that_was_rotated_meanwhile_is_taken_up_at_once(wire: Wire, kept: str | None) -> None:
    with_key("sk-after", wire)
    order = MODELS["gpt-image-1"].order()
    answer = generate_picture(order, "A prompt", {"OPENAI_API_KEY": kept}.get, 30, None, lambda _: "sk-after")
    assert answer.pictures == (PICTURE,)
    assert len(wire.requests) == (2 if kept else 1)


@pytest.mark.parametrize("stored", [None, "sk-before"])
def test_a_key_that_is_rejected_and_was_not_rotated_is_tried_once(wire: Wire, stored: str | None) -> None:
    with_key("sk-other", wire)
    with pytest.raises(errors.ProviderMisconfigured):
        generate_picture(MODELS["gpt-image-1"].order(), "A prompt", lambda _: "sk-before", 30, None, lambda _: stored)
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("two\n lines", "two lines"),
        ("the key my-own+key/1 is wrong", "the key [key] is wrong"),
        ("Incorrect API key provided: sk-...abcd.", "Incorrect API key provided: [key]."),
        ("Incorrect key sk-proj-abc_DEF-123: see", "Incorrect key [key]: see"),
        ("sk-abcd****wxyz and AIzaSyD-1234", "[key] and [key]"),
        ("a risk-free task", "a risk-free task"),
        ("x" * 800, "x" * 599 + "…"),
        ("x" * 595 + " my-own+key/1", "x" * 595 + " [ke…"),
        (None, "None"),
    ],
)
def test_a_providers_words_are_one_short_line_without_keys(text: object, line: str) -> None:
    assert one_line(text, "my-own+key/1") == line


#: Keys that no pattern knows.
ODD_KEYS = {"OPENAI_API_KEY": "my-own+openai/key", "GEMINI_API_KEY": "my-own+google/key"}
every_provider = pytest.mark.parametrize(
    ("model", "key"),
    [("gpt-image-1", ODD_KEYS["OPENAI_API_KEY"]), ("gemini-3-pro-image-preview", ODD_KEYS["GEMINI_API_KEY"])],
)


def shown_by(error: BaseException) -> str:
    """All that a log, a trace or a traceback could show of an error."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))


@every_provider
@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 422, 429, 500, 503])
def test_a_key_that_a_provider_quotes_comes_no_further(wire: Wire, model: str, key: str, status: int) -> None:
    body = {"error": {"code": status, "message": f"What is {key}?", "status": "ODD", "type": "odd"}}
    wire.answer = answer(status, body)
    with pytest.raises(errors.ThumbnailError) as raised:
        generate_picture(MODELS[model].order(), "A prompt", ODD_KEYS.get, 30)
    assert any(key in value for value in wire.requests[-1].headers.values())
    assert key not in shown_by(raised.value)


@every_provider
@pytest.mark.parametrize("error", [httpx2.ConnectError, httpx2.LocalProtocolError, RuntimeError])
def test_a_key_that_a_library_quotes_comes_no_further(wire: Wire, model: str, key: str, error: type[Exception]) -> None:
    wire.answer = failing(error(f"Illegal header value b'Bearer {key}'"))
    with pytest.raises(Exception, match=r"\[key\]") as raised:
        generate_picture(MODELS[model].order(), "A prompt", ODD_KEYS.get, 30)
    assert key not in shown_by(raised.value)


@pytest.mark.parametrize(
    ("imports", "absent"),
    [
        ("generate_thumbnail.app", {"openai", "google.genai"}),
        ("generate_thumbnail.app, thumbnails.images.providers.openai", {"google.genai"}),
        ("generate_thumbnail.app, thumbnails.images.providers.google", {"openai"}),
        ("validate_batch.app, collect_batch.app", {"openai", "google.genai", "PIL"}),
    ],
)
def test_a_process_imports_no_provider_that_it_does_not_need(imports: str, absent: set[str]) -> None:
    code = f"import sys, {imports}; print(*sorted({absent!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=FUNCTIONS, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, [], "")


def test_a_warm_up_asks_no_provider_and_leaves_no_client(wire: Wire) -> None:
    bedrock._client.cache_clear()
    warm_up_adapters()
    assert wire.requests == []
    assert [adapter._client.cache_info().currsize for adapter in (openai, google, bedrock)] == [0, 0, 0]


CORE = "stability.stable-image-core-v1:1"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What Bedrock is sent; it answers with a picture, or raises what is put into the list first."""
    sent: list[Any] = []

    def send(_self: object, request: AWSPreparedRequest) -> AWSResponse:
        if sent and isinstance(sent[0], Exception):
            raise sent[0]
        sent.append(request)
        body = json.dumps({"seeds": [1], "finish_reasons": [None], "images": [base64.b64encode(PICTURE).decode()]})
        headers: Any = HeadersDict({"content-type": "application/json"})
        return AWSResponse(request.url, 200, headers, bedrock._Body(body.encode()))

    monkeypatch.setattr(URLLib3Session, "send", send)
    bedrock._client.cache_clear()
    yield sent
    bedrock._client.cache_clear()


@pytest.mark.parametrize("model", [model for model in MODELS if MODELS[model].provider == "bedrock"])
def test_bedrock_is_asked_once_in_its_region_for_one_wide_picture_and_without_a_key(
    sent: list[Any], model: str
) -> None:
    urls: dict[Provider, str] = {"bedrock": bedrock_url("eu-west-1")}
    (picture,) = generate_picture(MODELS[model].order(), "A prompt", lambda _name: None, 30, urls).pictures
    assert picture == PICTURE
    (request,) = sent
    assert request.url.startswith("https://bedrock-runtime.eu-west-1.amazonaws.com/model/stability.")
    assert b"/eu-west-1/bedrock/aws4_request" in request.headers["Authorization"]
    assert json.loads(request.body) == {"prompt": "A prompt", "output_format": "jpeg", "aspect_ratio": "16:9"}


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (ReadTimeoutError(endpoint_url="https://bedrock"), errors.ProviderTimeout),
        (ConnectTimeoutError(endpoint_url="https://bedrock"), errors.ProviderTimeout),
        (EndpointConnectionError(endpoint_url="https://bedrock"), errors.ProviderUnreachable),
        (ConnectionClosedError(endpoint_url="https://bedrock"), errors.ProviderUnreachable),
        (NoCredentialsError(), errors.ProviderMisconfigured),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_connection_to_bedrock_that_fails_is_one_error_of_the_tree(
    sent: list[Any], error: Exception, named: type[Exception]
) -> None:
    sent.append(error)
    with pytest.raises(named):
        generate_picture(
            MODELS[CORE].order(), "A prompt", lambda _name: None, 30, {"bedrock": bedrock_url("us-west-2")}
        )
