"""HTTP in front of the two state machines: routes that parse, ask the domain and answer."""

import os
from typing import Any
from urllib.parse import unquote

from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.utilities.typing import LambdaContext

from api import answers, images, openapi, runs
from api.http import BODY_BYTES, Refusal
from thumbnails.catalog import DEFAULT_FONT, DEFAULT_STYLE, DEFAULT_TEMPLATE, FONTS, MODELS, STYLES, TEMPLATES
from thumbnails.errors import InvalidBatch, Problem, StorageUnavailable, Unavailable, quoted
from thumbnails.request import CONTEXT_CHARACTERS, EXTRA_PROMPT_CHARACTERS, TITLE_CHARACTERS
from thumbnails.submissions import ContentFlagged, IdempotencyKeyReused

logger = Logger()
tracer = Tracer(patch_modules=["botocore"])
app = APIGatewayRestResolver(
    enable_validation=True,
    response_validation_error_http_code=500,
    cors=CORSConfig(
        allow_origin=os.environ.get("CORS_ORIGIN") or "*", allow_headers=["Idempotency-Key", "X-Api-Key"], max_age=600
    ),
)
app.include_router(runs.router)
app.include_router(images.router)


@app.get("/health", summary="Whether the API answers", tags=["about"])
def get_health() -> answers.Health:
    return answers.Health(status="ok")


@app.get("/options", summary="Models with prices, styles, templates, fonts and limits", tags=["about"])
def get_options() -> answers.Options:
    names = answers.ModelOut.model_fields
    return answers.Options(
        models=[answers.ModelOut(**{name: getattr(model, name) for name in names}) for model in MODELS.values()],
        styles=list(STYLES),
        templates=list(TEMPLATES),
        fonts=list(FONTS),
        defaults=answers.Defaults(style=DEFAULT_STYLE, template=DEFAULT_TEMPLATE, font=DEFAULT_FONT),
        limits=answers.Limits(
            images_per_run=runs.cap(),
            title_characters=TITLE_CHARACTERS,
            context_characters=CONTEXT_CHARACTERS,
            extra_prompt_characters=EXTRA_PROMPT_CHARACTERS,
            body_bytes=BODY_BYTES,
        ),
        moderation=os.environ.get("MODERATION") == "on",
    )


@app.get("/openapi.json", summary="This document", tags=["about"])
def get_openapi() -> dict[str, Any]:
    return openapi.document(app)


@app.exception_handler(Refusal)
def _refused(refusal: Refusal) -> Response[Any]:
    return refusal.answer()


@app.exception_handler(InvalidBatch)
def _invalid(refusal: InvalidBatch) -> Response[Any]:
    return Refusal(422, "invalid_request", str(refusal), refusal.problems).answer()


@app.exception_handler(ContentFlagged)
def _flagged(refusal: ContentFlagged) -> Response[Any]:
    return Refusal(400, "content_flagged", str(refusal), refusal.problems).answer()


@app.exception_handler(IdempotencyKeyReused)
def _reused(refusal: IdempotencyKeyReused) -> Response[Any]:
    return Refusal(409, "idempotency_key_reused", str(refusal)).answer()


@app.exception_handler(RequestValidationError)
def _misshapen(error: RequestValidationError) -> Response[Any]:
    problems = [
        Problem(".".join(str(part) for part in one["loc"]), f"{one['loc'][-1]}: {one['msg']}") for one in error.errors()
    ]
    return Refusal(422, "invalid_request", problems[0].message, problems).answer()


@app.exception_handler([StorageUnavailable, Unavailable])
def _unavailable(error: StorageUnavailable | Unavailable) -> Response[Any]:
    logger.warning("unavailable", extra={"error": type(error).__name__, "reason": str(error)})
    return Refusal(503, "unavailable", "a service that this needs gave no answer: try again in a moment").answer()


@app.exception_handler(Exception)
def _broken(_error: Exception) -> Response[Any]:
    logger.exception("request failed")
    return Refusal(500, "internal_error", "this is a fault of the API; its log says more").answer()


@app.not_found
def _not_found(_error: NotFoundError) -> Response[Any]:
    path, method = app.current_event.path, app.current_event.http_method
    allowed = openapi.methods_of(app, path)
    shown = quoted(path, 200)[1:-1]
    if not allowed:
        return Refusal(404, "not_found", f"there is no {shown}").answer()
    answer = Refusal(405, "method_not_allowed", f"{shown} takes {', '.join(allowed)}, not {method}").answer()
    answer.headers["Allow"] = ", ".join(allowed)
    return answer


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve({**event, "path": unquote(event["path"])}, context)
