"""OpenAI's dialect: ``POST /v1/images/generations``, ``POST /v1/moderations`` and ``GET /v1/models``."""

import base64
import time
import uuid
from collections.abc import Mapping
from typing import Any, cast

from thumbs.image_api.dialect import Order, PictureFormat, ProviderError, is_text, rejected
from thumbs.image_api.faults import Fault

_GPT_SIZES = ("1024x1024", "1024x1536", "1536x1024", "auto")
_DALLE_SIZES = ("1024x1024", "1024x1792", "1792x1024")
# Models that take any size whose edges 16 divides, besides the standard ones, and how many cells their grid has along
# a picture's longer edge at each quality: that decides how many tokens the picture is.
_GRIDS = {
    "gpt-image-2": {"low": 16, "medium": 48, "high": 96},
    "gpt-image-2.5-flare": {"low": 16, "medium": 24, "high": 48},
    "gpt-image-2.5-sunburst": {"low": 16, "medium": 24, "high": 48},
    "gpt-image-2.6-flare": {"low": 30, "medium": 45, "high": 48},
    "gpt-image-2.6-sunburst": {"low": 30, "medium": 45, "high": 48},
}
_GPT_MODELS = ("gpt-image-1", "gpt-image-1-mini", "gpt-image-1.5", *_GRIDS)
# What ``GET /v1/models`` lists, with the day on which each ends where that is announced; a model that the provider has
# shut down is not listed, and is drawn here all the same.
_LISTED = {
    "gpt-image-1-mini": "2026-12-01",
    "gpt-image-1.5": "2026-12-01",
    **dict.fromkeys(_GRIDS),
    "omni-moderation-latest": None,
}
_GPT_FIELDS = {
    "background",
    "model",
    "moderation",
    "n",
    "output_compression",
    "output_format",
    "prompt",
    "quality",
    "safety_identifier",
    "size",
    "user",
}
_DALLE_FIELDS = {"model", "n", "prompt", "quality", "response_format", "size", "style", "user"}
# Tokens of a picture of the models without a grid, by size and quality; other sizes are none of theirs.
_IMAGE_TOKENS = {
    "1024x1024": {"low": 272, "medium": 1056, "high": 4160},
    "1024x1536": {"low": 408, "medium": 1584, "high": 6240},
    "1536x1024": {"low": 400, "medium": 1568, "high": 6208},
}
_MODERATION_CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)


def error(
    status: int,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    type_: str = "invalid_request_error",
    headers: dict[str, str] | None = None,
) -> ProviderError:
    """OpenAI's error object."""
    payload = {"error": {"message": message, "type": type_, "param": param, "code": code}}
    return ProviderError(status, payload, {"x-request-id": f"req_{uuid.uuid4().hex}", **(headers or {})})


class OpenAIDialect:
    """OpenAI's image endpoint."""

    def check_key(self, headers: Mapping[str, str], rejected_keys: list[str]) -> None:
        """Raise 401 unless the Bearer key is there and accepted."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise error(
                401,
                "You didn't provide an API key. You need to provide your API key in an Authorization header using "
                "Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
                code="invalid_api_key",
            )
        if rejected(key, rejected_keys):
            raise _wrong_key(key)

    def names(self, body: Any, path_model: str) -> tuple[str, str]:
        """The model and the prompt as far as the body names them."""
        body = body if isinstance(body, dict) else {}
        model, prompt = body.get("model", path_model), body.get("prompt", "")
        return (model if isinstance(model, str) else ""), (prompt if isinstance(prompt, str) else "")

    def bad_json(self) -> ProviderError:
        """The error for a body that is not JSON."""
        return error(400, "We could not parse the JSON body of your request.")

    def order(self, body: Any, path_model: str) -> Order:  # noqa: ARG002 (the path names no model here)
        """The picture that a body asks for."""
        if not isinstance(body, dict):
            raise error(400, "The body of your request must be a JSON object.")
        body = {name: value for name, value in body.items() if value is not None}
        model = body.get("model")
        if not is_text(model):
            raise error(400, "You must provide a model parameter.", code="missing_required_parameter", param="model")
        dalle = model == "dall-e-3"
        if not dalle and model not in _GPT_MODELS:
            raise error(404, f"The model '{model}' does not exist.", code="model_not_found", param="model")
        if unknown := sorted(set(body) - (_DALLE_FIELDS if dalle else _GPT_FIELDS)):
            raise error(400, f"Unknown parameter: '{unknown[0]}'.", code="unknown_parameter", param=unknown[0])
        prompt = body.get("prompt")
        if prompt is None:
            raise error(400, "Missing required parameter: 'prompt'.", code="missing_required_parameter", param="prompt")
        if not isinstance(prompt, str):
            raise error(400, "Invalid type for 'prompt': expected a string.", code="invalid_type", param="prompt")
        if not prompt.strip():
            raise error(400, "Invalid 'prompt': empty string.", code="empty_string", param="prompt")
        longest = 4000 if dalle else 32000
        if len(prompt) > longest:
            raise error(
                400,
                f"Invalid 'prompt': string too long. Expected a string with maximum length {longest}, but got a string "
                f"with length {len(prompt)} instead.",
                code="string_above_max_length",
                param="prompt",
            )
        number, most = body.get("n", 1), 1 if dalle else 10
        if type(number) is not int or not 1 <= number <= most:
            raise error(400, f"Invalid 'n': expected an integer from 1 to {most}.", code="invalid_value", param="n")
        return _dalle_order(body) if dalle else _gpt_order(body)

    def answer(self, order: Order, picture: bytes, url: str) -> dict[str, Any]:
        """The body of a success."""
        item: dict[str, Any] = {"url": url} if order.as_url else {"b64_json": base64.b64encode(picture).decode()}
        if order.model == "dall-e-3":
            return {"created": int(time.time()), "data": [{**item, "revised_prompt": order.prompt}]}
        return {**_gpt_answer(order), "data": [item]}

    def without_picture(self, order: Order, variant: str) -> dict[str, Any]:
        """A success with no data, or with a data item that holds nothing."""
        data: Any = {"text": [{"revised_prompt": order.prompt}], "null": None}.get(variant, [])
        return {"created": int(time.time()), "data": data}

    def refusal(self, order: Order, variant: str) -> tuple[int, dict[str, Any]]:
        """400: content_policy_violation from dall-e-3, moderation_blocked from the others."""
        default = "content_policy_violation" if order.model == "dall-e-3" else "moderation_blocked"
        code = variant if variant in ("moderation_blocked", "content_policy_violation") else default
        if code == "moderation_blocked":
            message = (
                "Your request was rejected by the safety system. If you believe this is an error, contact us at "
                f"help.openai.com and include the request ID req_{uuid.uuid4().hex}. safety_violations=[violence]."
            )
            return 400, error(400, message, code=code, type_="image_generation_user_error").payload
        message = (
            "Your request was rejected as a result of our safety system. Your prompt may contain text that is not "
            "allowed by our safety system."
        )
        return 400, error(400, message, code=code).payload

    def fault(self, fault: Fault) -> ProviderError:
        """The error answer of a fault that strikes before a picture is made."""
        match fault.fault:
            case "rate_limit":
                wait = fault.retry_after
                return error(
                    429,
                    "Rate limit reached for images per minute: Limit 5, Used 5, Requested 1."
                    + (f" Please try again in {wait:g}s." if wait is not None else ""),
                    code="rate_limit_exceeded",
                    type_="requests",
                    headers={} if wait is None else {"retry-after": f"{wait:g}"},
                )
            case "insufficient_quota":
                return error(
                    429,
                    "You exceeded your current quota, please check your plan and billing details.",
                    code="insufficient_quota",
                    type_="insufficient_quota",
                )
            case "unavailable":
                return error(
                    503,
                    "The engine is currently overloaded, please try again later",
                    type_="service_unavailable_error",
                )
            case "key_rejected":
                return _wrong_key("sk-offline")
            case "forbidden":
                return error(
                    403,
                    "Your organization must be verified to use the model.",
                    type_="invalid_request_error",
                )
            case _:
                return error(
                    500,
                    "The server had an error while processing your request. Sorry about that!",
                    type_="server_error",
                )


def list_models() -> dict[str, Any]:
    """The answer of the models endpoint."""
    return {
        "object": "list",
        "data": [
            {"id": name, "object": "model", "created": 1764028800, "owned_by": "system", "shutdown_date": ends}
            for name, ends in _LISTED.items()
        ],
    }


def moderate(body: Any, marker: str) -> dict[str, Any]:
    """The answer of the moderations endpoint: nothing is flagged unless the text holds the marker word."""
    if not isinstance(body, dict) or not body.get("input"):
        raise error(400, "Missing required parameter: 'input'.", code="missing_required_parameter", param="input")
    given = body["input"]
    if not isinstance(given, str | list):
        raise error(400, "Invalid type for 'input': expected a string or an array.", code="invalid_type", param="input")
    # One text, a list of texts, or one multi-modal input in parts: only a list of texts gives several results.
    texts = [given] if isinstance(given, str) else [_moderated_text(item) for item in given]
    if not isinstance(given, str) and not all(isinstance(item, str) for item in given):
        texts = [" ".join(texts)]
    return {
        "id": f"modr-{uuid.uuid4().hex}",
        "model": body.get("model") or "omni-moderation-latest",
        "results": [_moderation(bool(marker) and marker.lower() in text.lower()) for text in texts],
    }


def _moderated_text(item: Any) -> str:
    if isinstance(item, dict):
        item = item.get("text", "")
    return item if isinstance(item, str) else ""


def _moderation(flagged: bool) -> dict[str, Any]:
    hit = "violence" if flagged else ""
    return {
        "flagged": flagged,
        "categories": {name: name == hit for name in _MODERATION_CATEGORIES},
        "category_scores": {name: 0.97 if name == hit else 0.0001 for name in _MODERATION_CATEGORIES},
        "category_applied_input_types": {name: ["text"] for name in _MODERATION_CATEGORIES},
    }


def _wrong_key(key: str) -> ProviderError:
    shown = key[:3] + "*" * 8 + key[-2:] if len(key) > 12 else "*" * 8
    return error(
        401,
        f"Incorrect API key provided: {shown}. You can find your API key at https://platform.openai.com/account/api-keys.",
        code="invalid_api_key",
    )


def _choice(body: dict[str, Any], name: str, choices: tuple[str, ...], default: str) -> str:
    value = body.get(name, default)
    if value not in choices:
        listed = ", ".join(f"'{choice}'" for choice in choices)
        raise error(400, f"Invalid value: '{value}'. Supported values are: {listed}.", code="invalid_value", param=name)
    return str(value)


def _gpt_order(body: dict[str, Any]) -> Order:
    model = str(body["model"])
    format_ = _choice(body, "output_format", ("png", "webp", "jpeg"), "png")
    quality = _choice(body, "quality", ("low", "medium", "high", "auto"), "auto")
    background = _choice(body, "background", ("transparent", "opaque", "auto"), "auto")
    _choice(body, "moderation", ("low", "auto"), "auto")
    compression = body.get("output_compression", 100)
    if type(compression) is not int or not 0 <= compression <= 100:
        raise error(
            400,
            "Invalid 'output_compression': expected an integer from 0 to 100.",
            code="invalid_value",
            param="output_compression",
        )
    if format_ == "png" and compression != 100:
        raise error(
            400,
            "Compression less than 100 is not supported for PNG output format.",
            code="invalid_png_output_compression",
            param="output_compression",
        )
    if background == "transparent" and format_ == "jpeg":
        raise error(
            400,
            "Transparent background is not supported for JPEG output format.",
            code="invalid_value",
            param="background",
        )
    size = body.get("size", "auto")
    if model not in _GRIDS or not _fits_free_size(size):
        _choice(body, "size", _GPT_SIZES, "auto")
    width, height = (1536, 1024) if size == "auto" else _edges(size)
    return Order(
        model=model,
        prompt=body["prompt"],
        width=width,
        height=height,
        format=cast(PictureFormat, format_),
        quality=min(compression, 95),
        pictures=body.get("n", 1),
        extras={"quality": "high" if quality == "auto" else quality},
    )


def _edges(size: str) -> tuple[int, int]:
    width, _, height = size.partition("x")
    return int(width), int(height)


def _fits_free_size(size: Any) -> bool:
    if not isinstance(size, str):
        return False
    width_text, _, height_text = size.partition("x")
    if not (width_text.isascii() and width_text.isdigit() and height_text.isascii() and height_text.isdigit()):
        return False
    if len(width_text) > 4 or len(height_text) > 4:
        return False
    width, height = int(width_text), int(height_text)
    divisible = width % 16 == 0 and height % 16 == 0 and width > 0 and height > 0
    return (
        divisible
        and max(width, height) <= 3840
        and 655_360 <= width * height <= 3840 * 2160
        and (max(width, height) <= 3 * min(width, height))
    )


def _dalle_order(body: dict[str, Any]) -> Order:
    _choice(body, "quality", ("standard", "hd"), "standard")
    _choice(body, "style", ("vivid", "natural"), "vivid")
    as_url = _choice(body, "response_format", ("url", "b64_json"), "url") == "url"
    width, height = _edges(_choice(body, "size", _DALLE_SIZES, "1024x1024"))
    return Order(
        model="dall-e-3", prompt=body["prompt"], width=width, height=height, format="jpeg", quality=90, as_url=as_url
    )


def _image_tokens(order: Order, quality: str) -> int:
    """What a picture is billed as."""
    grid = _GRIDS.get(order.model)
    if grid is None:
        return _IMAGE_TOKENS[f"{order.width}x{order.height}"][quality]
    longer, shorter = max(order.width, order.height), min(order.width, order.height)
    cells = grid[quality] * round(grid[quality] * shorter / longer)
    # A cell counts for more on a larger picture, and half of that on none.
    return -(-cells * (2_000_000 + order.width * order.height) // 4_000_000)


def _gpt_answer(order: Order) -> dict[str, Any]:
    quality = order.extras.get("quality", "high")
    text_tokens = max(1, len(order.prompt.encode("utf-8", "surrogatepass")) // 4)
    image_tokens = _image_tokens(order, quality) * order.pictures
    return {
        "created": int(time.time()),
        "background": "opaque",
        "output_format": order.format,
        "quality": quality,
        "size": f"{order.width}x{order.height}",
        "usage": {
            "input_tokens": text_tokens,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": text_tokens},
            "output_tokens": image_tokens,
            "output_tokens_details": {"image_tokens": image_tokens, "text_tokens": 0},
            "total_tokens": text_tokens + image_tokens,
        },
    }
