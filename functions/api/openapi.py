"""The OpenAPI document; ``python -m api`` (with ``functions/`` on the path) prints it."""

import json
from copy import deepcopy
from functools import lru_cache
from typing import Any, get_args

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.openapi.models import APIKey, Server
from pydantic import BaseModel

from api.bodies import Chosen, File, Finals, Previewed, Taken
from api.responses import Error
from thumbnails.blog.page import URL_CHARACTERS
from thumbnails.brands.kit import NAME, NAME_CHARACTERS, Kit
from thumbnails.catalog import (
    DEFAULT_FONT,
    DEFAULT_FORMAT,
    DEFAULT_OUTPUT,
    DEFAULT_QUALITY,
    DEFAULT_STYLE,
    DEFAULT_TEMPLATE,
    FONTS,
    FORMATS,
    MODELS,
    OUTPUTS,
    QUALITIES,
    STYLES,
    TEMPLATES,
)
from thumbnails.images.overlay.templates import Typography
from thumbnails.requests.models import (
    AUTHOR_CHARACTERS,
    CONTEXT_CHARACTERS,
    EXTRA_PROMPT_CHARACTERS,
    KICKER_CHARACTERS,
    MOST_VARIANTS,
    MOST_WAIT_SECONDS,
    POSITIONS,
    TITLE_CHARACTERS,
    WAIT_SECONDS,
    MissingGlyphs,
)

TITLE = "Fan-out thumbnails"
VERSION = "1"
DESCRIPTION = (
    "N blog titles drawn by M image models, as finished thumbnails. Every error is `{code, message, problems}`."
)
OPEN = ("/health", "/options")

_ERROR = {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
#: What may come of every route, by status: where it may, and why.
_EVERYWHERE = {
    "403": "The API key is missing or wrong, where the API is deployed with keys; or a page of another origin asks",
    "429": "More requests than the API takes",
    "500": "A fault of the API",
    "503": "A service that the API needs gave no answer",
}
_CONFLICTS = {
    ("/runs/{run_id}", "delete"): "The run has ended: `run_has_ended`",
    ("/runs/{run_id}/redrive", "post"): (
        "`run_under_way`, `run_never_accepted`, or `nothing_to_redrive` where every image is there"
    ),
    ("/runs/{run_id}/finalise", "post"): "The run has no drafts: `run_never_accepted`",
    ("/runs/{run_id}/archive", "get"): "The run has no finished image: `no_images`",
    ("/runs/{run_id}/winners", "post"): "Nothing is chosen yet: `no_winners`",
    ("/runs/{run_id}/winners/{row}", "put"): "Others choose at the same moment: `choice_contended`",
    ("/runs/{run_id}/winners/{row}", "delete"): "Others choose at the same moment: `choice_contended`",
    ("/thumbnails", "post"): "The key came with another request before: `idempotency_key_reused`",
    ("/batches", "post"): "The key came with another request before: `idempotency_key_reused`",
}
_SHAPES: dict[tuple[str, str], type[BaseModel]] = {
    ("/brands/{name}", "put"): Kit,
    ("/files", "post"): File,
    ("/preview", "post"): Previewed,
    ("/runs/{run_id}/finalise", "post"): Finals,
    ("/runs/{run_id}/winners", "post"): Taken,
    ("/runs/{run_id}/winners/{row}", "put"): Chosen,
}
_BODY = {
    "400": "The body is not JSON (`malformed_json`), or moderation flags it (`content_flagged`)",
    "413": "The body is too large: `body_too_large`",
    "415": "The body is not sent as application/json: `unsupported_media_type`",
}


def document(app: APIGatewayRestResolver) -> dict[str, Any]:
    """The API's OpenAPI document."""
    return deepcopy(_document(app))


@lru_cache(maxsize=1)
def _document(app: APIGatewayRestResolver) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        app.get_openapi_json_schema(
            title=TITLE,
            version=VERSION,
            description=DESCRIPTION,
            # Beside the document itself, wherever the API is deployed.
            servers=[Server(url=".")],
            security_schemes={"api_key": APIKey.model_validate({"name": "x-api-key", "in": "header"})},
        )
    )
    schemas = found["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError", "ResponseValidationError"):
        schemas.pop(unused, None)
    schemas["Error"] = Error.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(schemas["Error"].pop("$defs"))
    schemas["BatchRequest"] = _request("prompts")
    schemas["ThumbnailsRequest"] = _request("title")
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    found["paths"] = {path: found["paths"][path] for path in sorted(found["paths"])}
    return found


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """Add what the route's own signature does not say: errors, the body, the key."""
    answers = operation["responses"]
    reasons = dict(_EVERYWHERE)
    if operation.get("parameters"):
        reasons["422"] = "The request breaks the contract: `invalid_request`, with every problem"
    if "{" in path:
        reasons["404"] = "There is none: `not_found`"
    if (path, method) in _CONFLICTS:
        reasons["409"] = _CONFLICTS[path, method]
    if path in ("/batches", "/thumbnails"):
        shape = "BatchRequest" if path == "/batches" else "ThumbnailsRequest"
        schema = {"$ref": f"#/components/schemas/{shape}"}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        reasons |= _BODY
    if (path, method) in _SHAPES:
        schema = _inlined(_SHAPES[path, method].model_json_schema())
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        reasons |= {**_BODY, "400": "The body is not JSON: `malformed_json`", "422": "The body breaks the contract"}
    answers.pop("422", None)
    answers.update({status: {**_ERROR, "description": reason} for status, reason in reasons.items()})
    if path == "/batches":
        answers["200"] = {
            "description": "What it would make and cost; nothing was started",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Plan"}}},
        }
        answers["202"]["content"]["application/json"]["schema"] = {"$ref": "#/components/schemas/Accepted"}
    if answers.get("204"):
        answers["204"] = {"description": "It is deleted"}
    operation["responses"] = {status: answers[status] for status in sorted(answers)}
    operation["security"] = [] if path in OPEN else [{"api_key": []}]


def _request(first: str) -> dict[str, Any]:
    low, high = TITLE_CHARACTERS
    own_name = {"type": "string", "pattern": f"^{NAME}$", "maxLength": NAME_CHARACTERS}
    title = {"type": "string", "minLength": low, "maxLength": high}
    fields = {
        first: title if first == "title" else {"type": "array", "minItems": 1, "items": title},
        "models": {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"enum": list(MODELS)}},
        "style": {"enum": list(STYLES), "default": DEFAULT_STYLE},
        # A brand's own may be named too.
        "template": {"anyOf": [{"enum": list(TEMPLATES)}, own_name], "default": DEFAULT_TEMPLATE},
        "font": {"anyOf": [{"enum": list(FONTS)}, own_name], "default": DEFAULT_FONT},
        "context": {"type": "string", "maxLength": CONTEXT_CHARACTERS, "default": ""},
        "extra_prompt": {"type": "string", "maxLength": EXTRA_PROMPT_CHARACTERS, "default": ""},
    }
    own = {
        "reuse": {"type": "boolean", "default": False, "description": "Draw on a picture that was paid for before."},
        "max_wait_seconds": {
            "type": "integer",
            "minimum": 0,
            "maximum": MOST_WAIT_SECONDS,
            "default": WAIT_SECONDS,
            "description": "How long one image may wait for its provider's pace.",
        },
        "redraw": {
            "type": "string",
            "description": "A run whose pictures are drawn on again, row by row and model by model, for nothing.",
        },
        "quality": {"enum": list(QUALITIES), "default": DEFAULT_QUALITY},
        "variants": {
            "type": "integer",
            "minimum": 1,
            "maximum": MOST_VARIANTS,
            "default": 1,
            "description": "Pictures of each title by each model whose API makes several a call; one by any other.",
        },
        "formats": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"enum": list(FORMATS)},
            "default": [DEFAULT_FORMAT],
            "description": "What each picture is finished in, laid out anew for each; they cost nothing more.",
        },
        "drawn_for": {
            "type": "array",
            "uniqueItems": True,
            "items": {"enum": list(FORMATS)},
            "description": "The formats by which the size of the model's picture is chosen, where not by formats.",
        },
        "output": {"enum": list(OUTPUTS), "default": DEFAULT_OUTPUT},
        "kicker": {"type": "string", "maxLength": KICKER_CHARACTERS, "default": ""},
        "author": {"type": "string", "maxLength": AUTHOR_CHARACTERS, "default": ""},
        "missing_glyphs": {
            "enum": list(get_args(MissingGlyphs)),
            "default": "refuse",
            "description": "What becomes of a title with letters that no font has: refused, or drawn without them.",
        },
        "typography": {
            "enum": list(get_args(Typography)),
            "default": "as-is",
            "description": "Whether straight quotes and apostrophes become those of the title's language.",
        },
        "brand": {
            **own_name,
            "description": "A brand kit; template and font may then be its own, and are its first where left out.",
        },
        "only": {
            "type": "array",
            "items": {"type": "array", "prefixItems": [{"type": "integer"}] * 2, "minItems": 2, "maxItems": 2},
            "description": "Make these cells alone, by row and column from 0.",
        },
        "blog_url": {
            "type": "string",
            "format": "uri",
            "maxLength": URL_CHARACTERS,
            "description": f"Gives {first} and context where the request does not.",
        },
    }
    return {
        "anyOf": [
            {
                "type": "object",
                "properties": {**fields, **own},
                "required": ["models"],
                "anyOf": [{"required": [first]}, {"required": ["blog_url"]}],
                "additionalProperties": False,
            },
            {
                "type": "array",
                "description": f"The same by position: {first}, {', '.join(POSITIONS)}.",
                "minItems": 2,
                "prefixItems": [{"anyOf": [fields[name], {"type": "null"}]} for name in fields],
                "items": False,
            },
        ]
    }


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with its definitions where they are referred to: the document's references lead elsewhere."""
    parts = schema.pop("$defs", {})

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return filled(parts[value["$ref"].rpartition("/")[2]])
            return {name: filled(item) for name, item in value.items()}
        return [filled(item) for item in value] if isinstance(value, list) else value

    inlined: dict[str, Any] = filled(schema)
    return inlined


def methods_of(app: APIGatewayRestResolver, path: str) -> list[str]:
    """The methods that a path takes; none where there is no such path."""
    routes = app._static_routes + app._dynamic_routes
    return sorted({route.method for route in routes if route.rule.match(path)})
