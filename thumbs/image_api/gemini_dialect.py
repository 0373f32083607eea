"""Gemini's dialect: ``POST /v1beta/models/{model}:generateContent`` and ``GET /v1beta/models``."""

import base64
import uuid
from collections.abc import Mapping
from typing import Any

from thumbs.image_api.dialect import MEDIA_TYPES, Order, ProviderError, is_text, rejected
from thumbs.image_api.faults import Fault

# What ``GET /v1beta/models`` lists.
_LISTED = (
    "gemini-3-pro-image",
    "gemini-nano-banana-2.1",
    "gemini-3.1-flash-lite-image",
)
# A model that the provider has shut down is not listed, and is drawn here all the same.
_MODELS = (
    *_LISTED,
    "gemini-3-pro-image-preview",
    "gemini-3.1-flash-image-preview",
    "gemini-2.5-flash-image",
)
# Width and height of a 1K picture.
_ASPECT_RATIOS = {
    "1:1": (1024, 1024),
    "2:3": (848, 1264),
    "3:2": (1264, 848),
    "3:4": (896, 1200),
    "4:3": (1200, 896),
    "4:5": (928, 1152),
    "5:4": (1152, 928),
    "9:16": (768, 1376),
    "16:9": (1376, 768),
    "21:9": (1584, 672),
}
_IMAGE_SIZES = {"1K": 1, "2K": 2, "4K": 4}
_STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


def error(status: int, message: str, *details: dict[str, Any], headers: dict[str, str] | None = None) -> ProviderError:
    """Google's error object."""
    payload: dict[str, Any] = {"code": status, "message": message, "status": _STATUS_NAMES[status]}
    if details:
        payload["details"] = list(details)
    return ProviderError(status, {"error": payload}, headers)


class GeminiDialect:
    """Gemini's generateContent, for models that answer with pictures."""

    def check_key(self, headers: Mapping[str, str], rejected_keys: list[str]) -> None:
        """Raise 400 API_KEY_INVALID unless the key is there and accepted."""
        key = headers.get("x-goog-api-key", "").strip()
        if not key or rejected(key, rejected_keys):
            raise _wrong_key()

    def names(self, body: Any, path_model: str) -> tuple[str, str]:
        """The model of the path and the text of the body."""
        return path_model, _prompt_of(body)

    def bad_json(self) -> ProviderError:
        """The error for a body that is not JSON."""
        return error(400, "Invalid JSON payload received.")

    def order(self, body: Any, path_model: str) -> Order:
        """The picture that a body asks for."""
        if path_model not in _MODELS:
            raise error(
                404,
                f"models/{path_model} is not found for API version v1beta, or is not supported for generateContent. "
                "Call ListModels to see the list of available models and their supported methods.",
            )
        prompt = _prompt_of(body)
        if not prompt.strip():
            raise error(400, "* GenerateContentRequest.contents: contents is not specified\n")
        config = _object(body, "generationConfig", "generation_config")
        modalities = config.get("responseModalities") or ["TEXT", "IMAGE"]
        if not isinstance(modalities, list) or any(modality not in ("TEXT", "IMAGE") for modality in modalities):
            raise error(400, "* GenerateContentRequest.generation_config.response_modalities: invalid value\n")
        image = _object(config, "imageConfig", "generation_config.image_config")
        ratio = _one_of(_ASPECT_RATIOS, image.get("aspectRatio", "1:1"), "aspect_ratio")
        size = _one_of(_IMAGE_SIZES, image.get("imageSize", "1K"), "image_size")
        width, height = (edge * _IMAGE_SIZES[size] for edge in _ASPECT_RATIOS[ratio])
        return Order(
            model=path_model,
            prompt=prompt,
            width=width,
            height=height,
            format="png",
            extras={"modalities": tuple(modalities)},
        )

    def answer(self, order: Order, picture: bytes, url: str) -> dict[str, Any]:  # noqa: ARG002 (no URLs in this dialect)
        """The body of a success: the picture inline, with a sentence before it where text was asked for."""
        modalities = order.extras.get("modalities", ("IMAGE",))
        parts: list[dict[str, Any]] = []
        if "TEXT" in modalities:
            parts.append({"text": "Here is your picture."})
        if "IMAGE" in modalities:
            data = base64.b64encode(picture).decode()
            parts.append({"inlineData": {"mimeType": MEDIA_TYPES[order.format], "data": data}})
        return _response(order, parts, "STOP")

    def without_picture(self, order: Order, variant: str) -> dict[str, Any]:
        """A success in words alone, with no parts, or with no candidate."""
        if variant == "null":
            return {"modelVersion": order.model, "responseId": _id(), "usageMetadata": _usage(order, 0)}
        if variant == "empty":
            return _response(order, [], "NO_IMAGE", image_tokens=0)
        return _response(order, [{"text": "I can't draw that, but I can describe it."}], "STOP", image_tokens=0)

    def refusal(self, order: Order, variant: str) -> tuple[int, dict[str, Any]]:
        """200, with the prompt blocked or the candidate ended for the picture's sake."""
        if variant in ("IMAGE_SAFETY", "PROHIBITED_CONTENT", "SAFETY"):
            payload = _response(order, None, variant, image_tokens=0)
            payload["candidates"][0]["finishMessage"] = "Unable to show the generated image."
            return 200, payload
        return 200, {
            "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
            "usageMetadata": _usage(order, 0),
            "modelVersion": order.model,
            "responseId": _id(),
        }

    def fault(self, fault: Fault) -> ProviderError:
        """The error answer of a fault that strikes before a picture is made."""
        match fault.fault:
            case "rate_limit":
                if fault.retry_after is None:
                    return error(429, "Resource has been exhausted (e.g. check quota).")
                retry = {
                    "@type": "type.googleapis.com/google.rpc.RetryInfo",
                    "retryDelay": f"{fault.retry_after:g}s",
                }
                return error(
                    429,
                    f"Resource has been exhausted (e.g. check quota). Please retry in {fault.retry_after:g}s.",
                    retry,
                    headers={"retry-after": f"{fault.retry_after:g}"},
                )
            case "insufficient_quota":
                violation = {
                    "quotaMetric": "generativelanguage.googleapis.com/generate_requests_per_model_per_day",
                    "quotaId": "GenerateRequestsPerDayPerProjectPerModel",
                    "quotaValue": "0",
                }
                return error(
                    429,
                    "You exceeded your current quota, please check your plan and billing details.",
                    {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]},
                )
            case "unavailable":
                return error(503, "The model is overloaded. Please try again later.")
            case "key_rejected":
                return _wrong_key()
            case "forbidden":
                return error(403, "The caller does not have permission")
            case _:
                return error(500, "An internal error has occurred. Please retry.")


def list_models() -> dict[str, Any]:
    """The answer of the models endpoint."""
    return {
        "models": [
            {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": ["generateContent"]}
            for name in _LISTED
        ]
    }


def _wrong_key() -> ProviderError:
    return error(
        400,
        "API key not valid. Please pass a valid API key.",
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"},
        },
    )


def _prompt_of(body: Any) -> str:
    contents = body.get("contents") if isinstance(body, dict) else None
    contents = contents if isinstance(contents, list) else [contents]
    parts = [part for content in contents if isinstance(content, dict) for part in _list(content.get("parts"))]
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and is_text(part.get("text")))


def _object(body: dict[str, Any], name: str, shown: str) -> dict[str, Any]:
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise error(400, f"Invalid value at '{shown}': expected an object.")
    return value or {}


def _one_of(choices: Mapping[str, Any], value: Any, shown: str) -> str:
    if not isinstance(value, str) or value not in choices:
        raise error(400, f"Invalid {shown}: {value}. Supported: {', '.join(choices)}.")
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _response(
    order: Order, parts: list[dict[str, Any]] | None, finish_reason: str, image_tokens: int = 1120
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"finishReason": finish_reason, "index": 0}
    if parts is not None:
        candidate["content"] = {"parts": parts, "role": "model"}
    return {
        "candidates": [candidate],
        "usageMetadata": _usage(order, image_tokens),
        "modelVersion": order.model,
        "responseId": _id(),
    }


def _usage(order: Order, image_tokens: int) -> dict[str, Any]:
    prompt_tokens = max(1, len(order.prompt.encode("utf-8", "surrogatepass")) // 4)
    usage: dict[str, Any] = {
        "promptTokenCount": prompt_tokens,
        "totalTokenCount": prompt_tokens + image_tokens,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt_tokens}],
    }
    if image_tokens:
        usage["candidatesTokenCount"] = image_tokens
        usage["candidatesTokensDetails"] = [{"modality": "IMAGE", "tokenCount": image_tokens}]
    return usage


def _id() -> str:
    return uuid.uuid4().hex[:22]
