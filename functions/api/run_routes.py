"""Routes of runs: started, shown, listed, stopped, resumed, packed."""

import base64
import binascii
import time
from collections.abc import Mapping
from typing import Annotated

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.openapi.params import Header, Query
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from api import responses
from api.bodies import File, Finals
from api.http import FILE_BODY_BYTES, Refusal, invalid, json_body, link, not_found, read_body, read_cursor, write_cursor
from entry.clients import budget, executions, provider_keys, store
from entry.settings import ApiSettings, settings
from thumbnails.blog.page import read_page
from thumbnails.errors import ModerationUnavailable, Problem, ProviderMisconfigured, quoted
from thumbnails.keys import digest
from thumbnails.requests.models import Task
from thumbnails.requests.moderation import moderate
from thumbnails.runs.archive import archive
from thumbnails.runs.finalise import finalise
from thumbnails.runs.listing import list_runs
from thumbnails.runs.resume import redrive
from thumbnails.runs.status import CellStatus, RunStatus, get_status
from thumbnails.runs.stop import stop_rows, stop_run
from thumbnails.runs.submit import Submitted, check, submit
from thumbnails.strict_json import NotJson

router = APIGatewayRouter()  # type: ignore[no-untyped-call]

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="The same request with the same key starts one run, however often it is sent.",
    ),
]


@router.post("/thumbnails", status_code=202, summary="Draw one title by several models", tags=["runs"])
def post_thumbnails(idempotency_key: IdempotencyKey = None) -> responses.Accepted:
    """Start a run of one title."""
    return _submit("generateThumbnails", idempotency_key)


@router.post("/batches", status_code=202, summary="Draw several titles by several models", tags=["runs"])
def post_batch(
    idempotency_key: IdempotencyKey = None,
    dry_run: Annotated[bool, Query(description="Say what it would make and cost, and start nothing.")] = False,
) -> Response[responses.Accepted | responses.Plan]:
    """Start a run of several titles, or say what it would make."""
    if not dry_run:
        return Response(202, content_types.APPLICATION_JSON, _submit("generateBatch", idempotency_key))
    given = settings(ApiSettings)
    checked = check("generateBatch", json_body(router.current_event), given.batch_cap, read_page, given.real, store())
    request = checked.request
    plan = responses.Plan(
        kind=request.task,
        titles=request.titles,
        models=request.models,
        style=request.style,
        template=request.template,
        font=request.font,
        context=request.context,
        extra_prompt=request.extra_prompt,
        reuse=request.reuse,
        redraw=request.redraw,
        quality=request.quality,
        variants=request.variants,
        formats=request.formats,
        output=request.output,
        kicker=request.kicker,
        author=request.author,
        brand=request.brand,
        only=request.only,
        images=checked.estimate.images,
        estimated_cost_usd=checked.estimate.usd,
        warnings=checked.warnings,
    )
    return Response(200, content_types.APPLICATION_JSON, plan)


@router.post("/files", summary="What a file of titles asks for; nothing is started", tags=["runs"])
def post_file() -> responses.Draft:
    """Read a file as every way in reads it; columns that no request has are left out."""
    # ijson and chardet, which no other route needs.
    from thumbnails.tables.requests import draft_in_file

    given = read_body(router.current_event, File, FILE_BODY_BYTES)
    try:
        said = draft_in_file(given.name, base64.b64decode(given.content, validate=True))
    except NotJson as error:
        raise invalid("content", f"{quoted(given.name, 80)} is not JSON: {error}") from None
    except binascii.Error:
        raise invalid("content", "content must be the file's bytes in base64") from None
    return responses.Draft(**{name: value for name, value in said.items() if name in responses.Draft.model_fields})


@router.get("/runs", summary="Runs, newest first", tags=["runs"])
def get_runs(
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
    every_execution: Annotated[
        bool, Query(description="Each execution that resumes a run, and each of a campaign's rows, too.")
    ] = False,
) -> responses.Runs:
    """A page of runs; a run that was resumed is one, and a campaign's rows are the campaign's."""
    page, mark = list_runs(executions(), store(), limit, read_cursor(cursor), every_execution=every_execution)
    found = [
        responses.RunSummary(
            run_id=run.run_id,
            kind=run.task,
            status=run.status,
            started_at=run.started,
            ended_at=run.stopped,
            status_url=_status_url(run.run_id),
            forgotten=run.forgotten,
        )
        for run in page
    ]
    return responses.Runs(runs=found, next_cursor=write_cursor(mark))


@router.get("/runs/<run_id>", summary="A run and every one of its images, while it goes on and after", tags=["runs"])
def get_run(run_id: str) -> Response[responses.Run | None]:
    """A run as its newest execution and the bucket show it; 304 to whoever has it as it stands."""
    run = _run(found_run(run_id))
    half = settings(ApiSettings).url_seconds // 2
    # A link is another one at every moment. At half its life it counts as new.
    said = digest(run.model_dump_json(exclude={"cells": {"__all__": {"image_url"}}}), int(time.time()) // max(1, half))
    headers = {"ETag": f'"{said[:32]}"'}
    if router.current_event.headers.get("if-none-match") == headers["ETag"]:
        return Response(304, None, None, headers)
    return Response(200, content_types.APPLICATION_JSON, run, headers)


@router.delete("/runs/<run_id>", summary="Stop a run; its finished images stay", tags=["runs"])
def delete_run(run_id: str) -> responses.Stopped:
    """Tell a run to stop, and a campaign's rows with it."""
    run = found_run(run_id)
    stop_run(run, executions())
    if run.is_campaign:
        stop_rows(run.run_id, executions())
    return responses.Stopped(run_id=run.run_id, status="ABORTED")


@router.post(
    "/runs/<run_id>/redrive", status_code=202, summary="Make a run's missing images, pay for no other", tags=["runs"]
)
def post_redrive(run_id: str) -> responses.Redriven:
    """Resume a run that has ended."""
    run = found_run(run_id)
    redrive(run, executions(), store(), budget())
    return responses.Redriven(run_id=run.run_id, kind=run.execution.task, status_url=_status_url(run.run_id))


@router.post(
    "/runs/<run_id>/finalise", status_code=202, summary="Make chosen images again at another quality", tags=["runs"]
)
def post_finals(run_id: str) -> responses.Accepted:
    """Start the run that makes them; the drafts stay, and a second request of the same starts no other."""
    given = read_body(router.current_event, Finals)
    limits = settings(ApiSettings)
    made = finalise(
        found_run(run_id),
        given.cells,
        given.quality,
        executions(),
        store(),
        cap=limits.batch_cap,
        real=limits.real,
        budget=budget(),
    )
    return _accepted(made)


@router.get("/runs/<run_id>/archive", summary="A link to a ZIP of a run's finished images", tags=["images"])
def get_archive(run_id: str) -> responses.Archive:
    """Pack a run's images, where that was not done before."""
    run = found_run(run_id)
    key = archive(store(), run.run_id)
    if key is None:
        raise Refusal(409, "no_images", f"run {run.run_id} has no finished image")
    return responses.Archive(run_id=run.run_id, archive_url=store().url(key, f"{run.run_id}.zip"))


def _submit(task: Task, key: str | None) -> responses.Accepted:
    run = submit(
        task,
        json_body(router.current_event),
        key or "",
        cap=settings(ApiSettings).batch_cap,
        read_page=read_page,
        real=settings(ApiSettings).real,
        moderate=_moderate,
        store=store(),
        executions=executions(),
        budget=budget(),
    )
    return _accepted(run)


def _accepted(run: Submitted) -> responses.Accepted:
    return responses.Accepted(
        run_id=run.run_id,
        kind=run.task,
        status_url=_status_url(run.run_id),
        estimated_cost_usd=run.estimate.usd,
        warnings=run.warnings,
    )


def _moderate(texts: Mapping[str, str], from_page: bool) -> list[Problem]:
    given = settings(ApiSettings)
    if given.moderation == "off" or (given.moderation == "pages" and not from_page):
        return []
    keys, name = provider_keys(given), "OPENAI_API_KEY"
    try:
        key = keys.get(name)
        if key is None and given.moderation == "pages":
            reason = f"a page's text is moderated before it is drawn, and there is no {name}"
            raise invalid("blog_url", f"blog_url: {reason}")
        try:
            return moderate(texts, key, given.openai_base_url)
        except ModerationUnavailable:
            # The key may have been rotated.
            renewed = keys.renewed(name)
            if renewed in (None, key):
                raise
        return moderate(texts, renewed, given.openai_base_url)
    except ProviderMisconfigured as error:
        raise ModerationUnavailable(str(error)) from None


def found_run(run_id: str) -> RunStatus:
    """The run of this id, or 404."""
    run = get_status(run_id, executions(), store(), settings(ApiSettings).batch_cap)
    if run is None:
        raise not_found(f"there is no run {quoted(run_id, 80)}")
    return run


def _status_url(run_id: str) -> str:
    return link(router.current_event, f"/runs/{run_id}")


def _run(run: RunStatus) -> responses.Run:
    execution, request, rows = run.execution, run.request, run.rows
    return responses.Run(
        run_id=run.run_id,
        kind=execution.task,
        status=execution.status,
        started_at=execution.started,
        ended_at=execution.stopped,
        error=execution.error or None,
        message=execution.cause or None,
        forgotten=execution.forgotten,
        titles=request.titles if request else [],
        models=request.models if request else [],
        style=request.style if request else None,
        **({name: getattr(request, name) for name in ("formats", "output", "kicker", "author")} if request else {}),
        template=request.template if request else None,
        font=request.font if request else None,
        redraw=request.redraw or None if request else None,
        brand=request.brand or None if request else None,
        counts=responses.Counts(
            total=len(run.cells),
            pending=run.count("pending"),
            running=run.count("running"),
            succeeded=run.count("succeeded"),
            failed=run.count("failed"),
            deleted=run.count("deleted"),
        ),
        cells=[_cell(cell) for cell in run.cells],
        rows=responses.Rows(
            total=rows.total, running=rows.counts.running, done=rows.counts.done, failed=rows.counts.failed
        )
        if rows
        else None,
    )


def _cell(cell: CellStatus) -> responses.Cell:
    there = cell.state == "succeeded"
    return responses.Cell(
        waits=cell.waits,
        row=cell.row,
        column=cell.column,
        title=cell.title,
        model=cell.model,
        state=cell.state,
        key=cell.key if there else None,
        image_url=store().url(cell.key) if there else None,
        error=cell.error or None,
        message=cell.message or None,
        usd=cell.usd,
        variants=[responses.Variant(key=key, image_url=store().url(key)) for key in cell.variants],
        formats={form: store().url(key) for form, key in cell.formats.items()},
    )
