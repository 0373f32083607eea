"""Bedrock's dialect: ``POST /model/{model}/invoke`` for Stability's models, and ``GET /foundation-models``."""

import base64
import re
import uuid
import zlib
from collections.abc import Mapping
from typing import Any

from thumbs.image_api.dialect import Order, PictureFormat, ProviderError, rejected
from thumbs.image_api.faults import Fault

_MODELS = (
    "stability.stable-image-core-v1:1",
    "stability.sd3-5-large-v1:0",
    "stability.stable-image-ultra-v1:1",
)
# Width and height of a picture of one megapixel.
_ASPECT_RATIOS = {
    "1:1": (1024, 1024),
    "2:3": (832, 1216),
    "3:2": (1216, 832),
    "4:5": (896, 1088),
    "5:4": (1088, 896),
    "9:16": (768, 1344),
    "16:9": (1344, 768),
    "9:21": (640, 1536),
    "21:9": (1536, 640),
}
_FORMATS: dict[str, PictureFormat] = {"jpeg": "jpeg", "png": "png"}
_FIELDS = {"aspect_ratio", "mode", "negative_prompt", "output_format", "prompt", "seed"}
_LONGEST = 10_000
_CREDENTIAL = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/\s]+)/")


def error(status: int, name: str, message: str, headers: dict[str, str] | None = None) -> ProviderError:
    """An error as AWS's JSON protocol has it: its name in a header, its words in the body."""
    given = {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/", "x-amzn-requestid": str(uuid.uuid4())}
    return ProviderError(status, {"message": message}, {**given, **(headers or {})})


class BedrockDialect:
    """InvokeModel with the body that Stability's models of pictures take."""

    def check_key(self, headers: Mapping[str, str], rejected_keys: list[str]) -> None:
        """Raise 403 unless the request is signed, by an access key that is accepted."""
        signed = _CREDENTIAL.match(headers.get("authorization", ""))
        if signed is None:
            raise error(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        if rejected(signed[1], rejected_keys):
            raise _wrong_key()

    def names(self, body: Any, path_model: str) -> tuple[str, str]:
        """The model of the path and the prompt of the body."""
        prompt = body.get("prompt") if isinstance(body, dict) else None
        return path_model, prompt if isinstance(prompt, str) else ""

    def bad_json(self) -> ProviderError:
        """The error for a body that is not JSON."""
        return _invalid("#: the body is not JSON")

    def order(self, body: Any, path_model: str) -> Order:
        """The picture that a body asks for."""
        if path_model not in _MODELS:
            raise error(400, "ValidationException", "The provided model identifier is invalid.")
        if not isinstance(body, dict):
            raise _invalid("#: expected type: JSONObject")
        if unknown := sorted(set(body) - _FIELDS):
            raise _invalid(f"#: extraneous key [{unknown[0]}] is not permitted")
        prompt = body.get("prompt")
        if not isinstance(prompt, str) or not prompt.strip():
            raise _invalid("#: required key [prompt] not found")
        if len(prompt) > _LONGEST:
            raise _invalid(f"#/prompt: expected maxLength: {_LONGEST}, actual: {len(prompt)}")
        width, height = _ASPECT_RATIOS[_one_of(_ASPECT_RATIOS, body.get("aspect_ratio", "1:1"), "aspect_ratio")]
        format_ = _FORMATS[_one_of(_FORMATS, body.get("output_format", "png"), "output_format")]
        _one_of({"text-to-image": None}, body.get("mode", "text-to-image"), "mode")
        return Order(path_model, prompt, width, height, format_, extras={"seed": body.get("seed")})

    def answer(self, order: Order, picture: bytes, url: str) -> dict[str, Any]:  # noqa: ARG002 (no URLs in this dialect)
        """The body of a success."""
        seed = order.extras.get("seed") or zlib.crc32(order.prompt.encode("utf-8", "surrogatepass"))
        return {"seeds": [seed], "finish_reasons": [None], "images": [base64.b64encode(picture).decode()]}

    def without_picture(self, order: Order, variant: str) -> dict[str, Any]:  # noqa: ARG002 (they all answer alike)
        """A success without pictures: none at all, or because the model failed."""
        if variant == "null":
            return {"finish_reasons": ["Inference error"]}
        return {"seeds": [], "finish_reasons": [None], "images": []}

    def refusal(self, order: Order, variant: str) -> tuple[int, dict[str, Any]]:  # noqa: ARG002 (as above)
        """200, with the filter that held the prompt or the picture back."""
        return 200, {"finish_reasons": [variant if variant.startswith("Filter") else "Filter reason: prompt"]}

    def fault(self, fault: Fault) -> ProviderError:
        """The error answer of a fault that strikes before a picture is made."""
        match fault.fault:
            case "rate_limit":
                headers = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
                return error(429, "ThrottlingException", "Too many requests, please wait before trying again.", headers)
            case "insufficient_quota":
                return error(
                    400, "ServiceQuotaExceededException", "Your request exceeds the service quota for your account."
                )
            case "unavailable" if fault.variant == "not_ready":
                return error(429, "ModelNotReadyException", "The model is not ready for inference. Wait and try again.")
            case "unavailable":
                return error(503, "ServiceUnavailableException", "The service is not currently available.")
            case "key_rejected":
                return _wrong_key()
            case "forbidden":
                return error(
                    403, "AccessDeniedException", "You don't have access to the model with the specified model ID."
                )
            case _:
                return error(500, "InternalServerException", "An internal server error occurred. Retry your request.")


def list_models() -> dict[str, Any]:
    """The answer of ListFoundationModels."""
    return {
        "modelSummaries": [
            {
                "modelId": name,
                "modelArn": f"arn:aws:bedrock:us-west-2::foundation-model/{name}",
                "providerName": "Stability AI",
                "outputModalities": ["IMAGE"],
                "modelLifecycle": {"status": "ACTIVE"},
            }
            for name in _MODELS
        ]
    }


def _wrong_key() -> ProviderError:
    return error(403, "UnrecognizedClientException", "The security token included in the request is invalid.")


def _invalid(what: str) -> ProviderError:
    return error(
        400, "ValidationException", f"Malformed input request: {what}, please reformat your input and try again."
    )


def _one_of(choices: Mapping[str, Any], value: Any, name: str) -> str:
    if not isinstance(value, str) or value not in choices:
        raise _invalid(f"#/{name}: {value!r} is not a valid enum value")
    return value
