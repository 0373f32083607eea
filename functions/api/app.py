"""HTTP in front of the two state machines: routes that parse, ask the domain and answer."""

from dataclasses import asdict
from email.utils import format_datetime
from typing import Any
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.utilities.typing import LambdaContext

from api import brand_routes, image_routes, openapi, page_routes, responses, run_routes, winner_routes
from api.http import BODY_BYTES, Refusal
from api.origin import refuse_foreign_page
from entry.clients import budget
from entry.observability import logger, observed
from entry.settings import ApiSettings, CorsSettings, settings
from thumbnails.catalog import (
    DEFAULT_FONT,
    DEFAULT_STYLE,
    DEFAULT_TEMPLATE,
    FONTS,
    FORMATS,
    MODELS,
    OUTPUTS,
    QUALITIES,
    STYLES,
    TEMPLATES,
    Model,
)
from thumbnails.catalog.prices import picture_usd
from thumbnails.errors import (
    DailyBudgetExceeded,
    InvalidBatch,
    Problem,
    StorageUnavailable,
    ThumbnailError,
    Unavailable,
    quoted,
)
from thumbnails.requests.models import (
    AUTHOR_CHARACTERS,
    CONTEXT_CHARACTERS,
    EXTRA_PROMPT_CHARACTERS,
    KICKER_CHARACTERS,
    TITLE_CHARACTERS,
)
from thumbnails.runs.resume import NothingToRedrive, RunNeverAccepted, RunUnderWay
from thumbnails.runs.stop import RunHasEnded
from thumbnails.runs.submit import ContentFlagged, IdempotencyKeyReused
from thumbnails.runs.winners import ChoiceContended, NoSuchWinner, NoWinners

#: What the domain refuses because of how a run stands: 409, and the stable name of each.
CONFLICTS: dict[type[ThumbnailError], str] = {
    IdempotencyKeyReused: "idempotency_key_reused",
    RunHasEnded: "run_has_ended",
    RunUnderWay: "run_under_way",
    RunNeverAccepted: "run_never_accepted",
    NothingToRedrive: "nothing_to_redrive",
    NoWinners: "no_winners",
    ChoiceContended: "choice_contended",
}

#: Of every answer that says nothing else: links open for whoever has them, so no cache keeps one; and nothing is taken
#: for another type.
SEALED = {"Cache-Control": ["no-store"], "X-Content-Type-Options": ["nosniff"]}

app = APIGatewayRestResolver(
    enable_validation=True,
    response_validation_error_http_code=500,
    cors=CORSConfig(
        allow_origin=settings(CorsSettings).cors_origin, allow_headers=["Idempotency-Key", "X-Api-Key"], max_age=600
    ),
)
app.include_router(run_routes.router)
app.include_router(image_routes.router)
app.include_router(winner_routes.router)
app.include_router(brand_routes.router)
app.include_router(page_routes.router)


def _only_own_pages(app: APIGatewayRestResolver, next_middleware: NextMiddleware) -> Response[Any]:
    refuse_foreign_page(app.current_event)
    return next_middleware(app)


app.use([_only_own_pages])


@app.get("/health", summary="Whether the API answers", tags=["about"])
def get_health() -> responses.Health:
    """The API answers."""
    return responses.Health(status="ok")


@app.get("/options", summary="Models with prices, styles, templates, fonts and limits", tags=["about"])
def get_options() -> responses.Options:
    """What a request may name, and its limits."""
    return responses.Options(
        models=[_model(model) for model in MODELS.values()],
        styles=list(STYLES),
        templates=list(TEMPLATES),
        fonts=list(FONTS),
        formats=[responses.FormatOut(name=name, width=one.width, height=one.height) for name, one in FORMATS.items()],
        outputs=list(OUTPUTS),
        defaults=responses.Defaults(style=DEFAULT_STYLE, template=DEFAULT_TEMPLATE, font=DEFAULT_FONT),
        limits=responses.Limits(
            images_per_run=settings(ApiSettings).batch_cap,
            title_characters=TITLE_CHARACTERS,
            context_characters=CONTEXT_CHARACTERS,
            extra_prompt_characters=EXTRA_PROMPT_CHARACTERS,
            kicker_characters=KICKER_CHARACTERS,
            author_characters=AUTHOR_CHARACTERS,
            body_bytes=BODY_BYTES,
        ),
        moderation=settings(ApiSettings).moderation == "on",
    )


@app.get("/budget", summary="The day's budget, and what is left of it", tags=["about"])
def get_budget() -> responses.Budget:
    """What runs have paid today, what those under way may pay, and what is left."""
    if not budget().is_set:
        return responses.Budget()
    day = budget().today()
    return responses.Budget(
        day=day.date,
        limit_usd=day.limit_usd,
        paid_usd=day.paid_usd,
        reserved_usd=day.reserved_usd,
        left_usd=day.left_usd,
        starts_anew=day.ends,
    )


def _model(model: Model) -> responses.ModelOut:
    order = model.order()
    prices: dict[str, float] = {quality: round(picture_usd(model.order(quality)), 4) for quality in QUALITIES}
    return responses.ModelOut(
        id=model.id,
        label=model.label,
        provider=model.provider,
        state=model.state(),
        retired=model.retired,
        successor=model.successor,
        notice=model.notice(),
        width=order.width,
        height=order.height,
        price=responses.ModelPrice(**asdict(model.price)),
        price_usd=prices[order.quality],
        prices_usd=prices,
        checked=model.checked,
        batch=model.batch,
        variants=model.variants,
    )


@app.get("/openapi.json", summary="This document", tags=["about"])
def get_openapi() -> dict[str, Any]:
    """The OpenAPI document."""
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


@app.exception_handler(DailyBudgetExceeded)
def _over_budget(refusal: DailyBudgetExceeded) -> Response[Any]:
    answer = Refusal(429, "daily_budget_exceeded", str(refusal)).answer()
    answer.headers["Retry-After"] = format_datetime(refusal.ends, usegmt=True)
    return answer


@app.exception_handler(NoSuchWinner)
def _not_to_choose(refusal: NoSuchWinner) -> Response[Any]:
    return Refusal(422, "invalid_request", str(refusal), [refusal.problem]).answer()


@app.exception_handler(list(CONFLICTS))
def _conflicting(refusal: ThumbnailError) -> Response[Any]:
    return Refusal(409, CONFLICTS[type(refusal)], str(refusal)).answer()


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


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    answer = app.resolve({**event, "path": unquote(event["path"])}, context)
    # But for what an answer says itself: the page's own files hold no link.
    answer["multiValueHeaders"] = {**SEALED, **answer["multiValueHeaders"]}
    return answer
