"""The two dialects of the offline image API: which requests are taken, and how the others are refused."""

import base64
import re
from typing import Any

import pytest

from thumbs.image_api.bedrock_dialect import BedrockDialect
from thumbs.image_api.dialect import ProviderError
from thumbs.image_api.faults import FAULT_NAMES, Fault
from thumbs.image_api.gemini_dialect import GeminiDialect
from thumbs.image_api.openai_dialect import OpenAIDialect, moderate

OPENAI = OpenAIDialect()
GEMINI = GeminiDialect()
BEDROCK = BedrockDialect()
CORE = "stability.stable-image-core-v1:1"
GEMINI_MODEL = "gemini-3-pro-image-preview"


def contents(text: str) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}]}


@pytest.mark.parametrize(
    ("body", "size", "format_"),
    [
        (
            {"model": "gpt-image-1", "size": "1536x1024", "output_format": "jpeg", "output_compression": 85},
            (1536, 1024),
            "jpeg",
        ),
        ({"model": "gpt-image-1"}, (1536, 1024), "png"),
        ({"model": "gpt-image-2", "size": "1920x1088", "output_format": "webp"}, (1920, 1088), "webp"),
        ({"model": "dall-e-3", "size": "1792x1024", "response_format": "b64_json"}, (1792, 1024), "jpeg"),
        ({"model": "dall-e-3", "size": None}, (1024, 1024), "jpeg"),
    ],
)
def test_openai_orders(body: dict[str, Any], size: tuple[int, int], format_: str) -> None:
    order = OPENAI.order({"prompt": "a sea", **body}, "")
    assert ((order.width, order.height), order.format, order.prompt) == (size, format_, "a sea")


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ([], 400, None, None),
        ({"prompt": "a"}, 400, "missing_required_parameter", "model"),
        ({"model": "gpt-image-9", "prompt": "a"}, 404, "model_not_found", "model"),
        ({"model": "gpt-image-1"}, 400, "missing_required_parameter", "prompt"),
        ({"model": "gpt-image-1", "prompt": " "}, 400, "empty_string", "prompt"),
        ({"model": "gpt-image-1", "prompt": 3}, 400, "invalid_type", "prompt"),
        ({"model": "dall-e-3", "prompt": "a" * 4001}, 400, "string_above_max_length", "prompt"),
        ({"model": "gpt-image-1", "prompt": "a", "size": "1792x1024"}, 400, "invalid_value", "size"),
        ({"model": "gpt-image-2", "prompt": "a", "size": "1001x1001"}, 400, "invalid_value", "size"),
        ({"model": "gpt-image-2", "prompt": "a", "size": "99999x16"}, 400, "invalid_value", "size"),
        ({"model": "gpt-image-1", "prompt": "a", "size": ["1536x1024"]}, 400, "invalid_value", "size"),
        ({"model": "dall-e-3", "prompt": "a", "size": "1536x1024"}, 400, "invalid_value", "size"),
        (
            {"model": "gpt-image-1", "prompt": "a", "response_format": "url"},
            400,
            "unknown_parameter",
            "response_format",
        ),
        ({"model": "dall-e-3", "prompt": "a", "output_format": "png"}, 400, "unknown_parameter", "output_format"),
        ({"model": "gpt-image-1", "prompt": "a", "output_format": "bmp"}, 400, "invalid_value", "output_format"),
        ({"model": "gpt-image-1", "prompt": "a", "n": 11}, 400, "invalid_value", "n"),
        (
            {"model": "gpt-image-1", "prompt": "a", "output_format": "png", "output_compression": 50},
            400,
            "invalid_png_output_compression",
            "output_compression",
        ),
    ],
)
def test_openai_refuses_bad_requests_with_its_error_object(
    body: Any, status: int, code: str | None, param: str | None
) -> None:
    with pytest.raises(ProviderError) as refused:
        OPENAI.order(body, "")
    error = refused.value.payload["error"]
    assert (refused.value.status, error["code"], error["param"]) == (status, code, param)
    assert error["type"] == "invalid_request_error"
    assert error["message"]


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({"authorization": "Bearer sk-anything"}, True),
        ({"authorization": "Bearer sk-rejected-key"}, False),
        ({"authorization": "Bearer "}, False),
        ({"authorization": "Basic abc"}, False),
        ({}, False),
    ],
)
def test_openai_keys(headers: dict[str, str], accepted: bool) -> None:
    if accepted:
        OPENAI.check_key(headers, ["rejected"])
        return
    with pytest.raises(ProviderError) as refused:
        OPENAI.check_key(headers, ["rejected"])
    assert refused.value.status == 401
    assert refused.value.payload["error"]["code"] == "invalid_api_key"
    assert "sk-rejected-key" not in str(refused.value.payload)


@pytest.mark.parametrize(
    ("image", "size"),
    [
        ({"aspectRatio": "16:9"}, (1376, 768)),
        ({"aspectRatio": "16:9", "imageSize": "2K"}, (2752, 1536)),
        ({}, (1024, 1024)),
    ],
)
def test_gemini_orders(image: dict[str, str], size: tuple[int, int]) -> None:
    body = {**contents("a sea"), "generationConfig": {"responseModalities": ["IMAGE"], "imageConfig": image}}
    order = GEMINI.order(body, GEMINI_MODEL)
    assert ((order.width, order.height), order.format, order.prompt) == (size, "png", "a sea")


@pytest.mark.parametrize(
    ("body", "model", "status", "name"),
    [
        (contents("a"), "gemini-0", 404, "NOT_FOUND"),
        ({}, GEMINI_MODEL, 400, "INVALID_ARGUMENT"),
        ([], GEMINI_MODEL, 400, "INVALID_ARGUMENT"),
        ({"contents": "a"}, GEMINI_MODEL, 400, "INVALID_ARGUMENT"),
        (contents("  "), GEMINI_MODEL, 400, "INVALID_ARGUMENT"),
        ({**contents("a"), "generationConfig": []}, GEMINI_MODEL, 400, "INVALID_ARGUMENT"),
        ({**contents("a"), "generationConfig": "x"}, GEMINI_MODEL, 400, "INVALID_ARGUMENT"),
        (
            {**contents("a"), "generationConfig": {"responseModalities": ["VIDEO"]}},
            GEMINI_MODEL,
            400,
            "INVALID_ARGUMENT",
        ),
        (
            {**contents("a"), "generationConfig": {"imageConfig": {"aspectRatio": "17:9"}}},
            GEMINI_MODEL,
            400,
            "INVALID_ARGUMENT",
        ),
        (
            {**contents("a"), "generationConfig": {"imageConfig": {"imageSize": ["2K"]}}},
            GEMINI_MODEL,
            400,
            "INVALID_ARGUMENT",
        ),
    ],
)
def test_gemini_refuses_bad_requests_with_its_error_object(body: Any, model: str, status: int, name: str) -> None:
    with pytest.raises(ProviderError) as refused:
        GEMINI.order(body, model)
    error = refused.value.payload["error"]
    assert (refused.value.status, error["code"], error["status"]) == (status, status, name)


@pytest.mark.parametrize("headers", [{}, {"x-goog-api-key": "a-rejected-key"}])
def test_gemini_keys(headers: dict[str, str]) -> None:
    GEMINI.check_key({"x-goog-api-key": "anything"}, ["rejected"])
    with pytest.raises(ProviderError) as refused:
        GEMINI.check_key(headers, ["rejected"])
    error = refused.value.payload["error"]
    assert (error["code"], error["message"]) == (400, "API key not valid. Please pass a valid API key.")
    assert error["details"][0]["reason"] == "API_KEY_INVALID"


def test_answers_carry_the_picture_and_what_it_cost() -> None:
    gpt = OPENAI.order({"model": "gpt-image-1", "prompt": "a sea"}, "")
    answer = OPENAI.answer(gpt, b"picture", "")
    assert base64.b64decode(answer["data"][0]["b64_json"]) == b"picture"
    assert answer["usage"]["total_tokens"] > 0

    dalle = OPENAI.order({"model": "dall-e-3", "prompt": "a sea"}, "")
    assert OPENAI.answer(dalle, b"picture", "http://url")["data"] == [{"url": "http://url", "revised_prompt": "a sea"}]

    drawn = GEMINI.answer(GEMINI.order(contents("a sea"), GEMINI_MODEL), b"picture", "")
    words, picture = drawn["candidates"][0]["content"]["parts"]
    assert words["text"]
    assert base64.b64decode(picture["inlineData"]["data"]) == b"picture"
    assert drawn["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize("dialect", [OPENAI, GEMINI, BEDROCK])
@pytest.mark.parametrize("name", FAULT_NAMES)
def test_every_fault_has_an_error_in_the_shape_of_its_provider(
    dialect: OpenAIDialect | GeminiDialect | BedrockDialect, name: Any
) -> None:
    error = dialect.fault(Fault(name, retry_after=2.0))
    assert error.status >= 400
    assert error.payload["message"] if dialect is BEDROCK else error.payload["error"]["message"]
    if name == "rate_limit":
        assert error.headers["retry-after"] == "2"


@pytest.mark.parametrize(
    ("body", "size", "format_"),
    [
        ({"aspect_ratio": "16:9", "output_format": "jpeg"}, (1344, 768), "jpeg"),
        ({"seed": 7, "mode": "text-to-image", "negative_prompt": "words"}, (1024, 1024), "png"),
    ],
)
def test_bedrock_orders(body: dict[str, Any], size: tuple[int, int], format_: str) -> None:
    order = BEDROCK.order({"prompt": "a sea", **body}, CORE)
    assert ((order.width, order.height), order.format, order.prompt) == (size, format_, "a sea")
    answer = BEDROCK.answer(order, b"picture", "")
    assert base64.b64decode(answer["images"][0]) == b"picture"
    assert answer["finish_reasons"] == [None]
    assert answer["seeds"] == [7] or "seed" not in body


@pytest.mark.parametrize(
    ("body", "model", "words"),
    [
        ({"prompt": "a"}, "stability.none-v1:0", "model identifier is invalid"),
        ([], CORE, "JSONObject"),
        ({}, CORE, r"\[prompt\]"),
        ({"prompt": " "}, CORE, r"\[prompt\]"),
        ({"prompt": "a" * 10_001}, CORE, "maxLength"),
        ({"prompt": "a", "size": "1536x816"}, CORE, r"extraneous key \[size\]"),
        ({"prompt": "a", "aspect_ratio": "17:9"}, CORE, "aspect_ratio"),
        ({"prompt": "a", "output_format": ["jpeg"]}, CORE, "output_format"),
        ({"prompt": "a", "mode": "image-to-image"}, CORE, "mode"),
    ],
)
def test_bedrock_refuses_bad_requests_with_its_error(body: Any, model: str, words: str) -> None:
    with pytest.raises(ProviderError) as refused:
        BEDROCK.order(body, model)
    assert refused.value.status == 400
    assert refused.value.headers["x-amzn-errortype"].startswith("ValidationException:")
    assert re.search(words, refused.value.payload["message"])


def test_bedrock_takes_signed_requests_alone() -> None:
    signature = (
        "AWS4-HMAC-SHA256 Credential={}/20261126/us-west-2/bedrock/aws4_request, SignedHeaders=host, Signature=0"
    )
    BEDROCK.check_key({"authorization": signature.format("test")}, ["rejected"])
    for headers, name in (
        ({}, "MissingAuthenticationTokenException"),
        ({"authorization": "Bearer test"}, "MissingAuthenticationTokenException"),
        ({"authorization": signature.format("rejected-key")}, "UnrecognizedClientException"),
    ):
        with pytest.raises(ProviderError) as refused:
            BEDROCK.check_key(headers, ["rejected"])
        assert refused.value.status == 403
        assert refused.value.headers["x-amzn-errortype"].startswith(name)


def test_moderation_flags_only_the_marker() -> None:
    answer = moderate({"input": ["a quiet sea", "a FORBIDDEN sea"]}, "forbidden")
    assert [result["flagged"] for result in answer["results"]] == [False, True]
    assert not moderate({"input": "forbidden"}, "")["results"][0]["flagged"]
    parts = [{"type": "text", "text": "forbidden"}, {"type": "image_url", "image_url": {"url": "x"}}]
    assert [result["flagged"] for result in moderate({"input": parts}, "forbidden")["results"]] == [True]


@pytest.mark.parametrize("body", [{}, [], {"input": ""}, {"input": 3}])
def test_moderation_refuses_a_body_without_a_text(body: Any) -> None:
    with pytest.raises(ProviderError):
        moderate(body, "")
