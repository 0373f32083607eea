"""Routes of runs: started, looked at, listed, stopped, resumed, packed."""

import os
from collections.abc import Mapping
from typing import Annotated

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.openapi.params import Header, Query
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from api import answers
from api.http import Refusal, json_body, link, not_found, read_cursor, write_cursor
from thumbnails.errors import ModerationUnavailable, Problem, ProviderMisconfigured, quoted
from thumbnails.executions import executions, redrive_name
from thumbnails.gallery import archive
from thumbnails.keys import provider_key
from thumbnails.listing import list_runs
from thumbnails.moderation import moderate
from thumbnails.pages import read_page
from thumbnails.progress import CellProgress, RunProgress, look_at
from thumbnails.request import Task
from thumbnails.store import bucket_store, run_prefix
from thumbnails.submissions import check, submit

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
def post_thumbnails(idempotency_key: IdempotencyKey = None) -> answers.Accepted:
    return _submit("generateThumbnails", idempotency_key)


@router.post("/batches", status_code=202, summary="Draw several titles by several models", tags=["runs"])
def post_batch(
    idempotency_key: IdempotencyKey = None,
    dry_run: Annotated[bool, Query(description="Say what it would make and cost, and start nothing.")] = False,
) -> Response[answers.Accepted | answers.Plan]:
    if not dry_run:
        return Response(202, content_types.APPLICATION_JSON, _submit("generateBatch", idempotency_key))
    checked = check("generateBatch", json_body(router.current_event), cap(), read_page)
    request = checked.request
    plan = answers.Plan(
        kind=checked.task,
        titles=request.titles,
        models=request.models,
        style=request.style,
        template=request.template,
        font=request.font,
        context=request.context,
        extra_prompt=request.extra_prompt,
        reuse=request.reuse,
        images=checked.estimate.images,
        estimated_cost_usd=checked.estimate.usd,
        unpriced_models=checked.estimate.unpriced,
        warnings=checked.warnings,
    )
    return Response(200, content_types.APPLICATION_JSON, plan)


@router.get("/runs", summary="Runs, newest first", tags=["runs"])
def get_runs(
    limit: Annotated[int, Query(ge=1, le=100)] = 20, cursor: Annotated[str | None, Query(max_length=400)] = None
) -> answers.Runs:
    page, mark = list_runs(executions(), limit, read_cursor(cursor))
    found = [
        answers.RunSummary(
            run_id=run.run_id,
            kind=run.task,
            status=run.status,
            started_at=run.started,
            ended_at=run.stopped,
            status_url=link(router.current_event, f"/runs/{run.run_id}"),
        )
        for run in page
    ]
    return answers.Runs(runs=found, next_cursor=write_cursor(mark))


@router.get("/runs/<run_id>", summary="A run and every one of its images, while it goes on and after", tags=["runs"])
def get_run(run_id: str) -> answers.Run:
    return _run(_found(run_id))


@router.delete("/runs/<run_id>", summary="Stop a run; its finished images stay", tags=["runs"])
def delete_run(run_id: str) -> answers.Stopped:
    run = _found(run_id)
    if not run.execution.is_running:
        raise Refusal(409, "run_has_ended", f"run {run.run_id} has ended: {run.execution.status}")
    executions().stop(run.execution)
    return answers.Stopped(run_id=run.run_id, status="ABORTED")


@router.post(
    "/runs/<run_id>/redrive", status_code=202, summary="Make a run's missing images, pay for no other", tags=["runs"]
)
def post_redrive(run_id: str) -> answers.Redriven:
    run = _found(run_id)
    if run.execution.is_running:
        raise Refusal(409, "run_under_way", f"{run.execution.name} is under way: wait for it, or stop it")
    if bucket_store().notes(run_prefix(run.run_id) + "request.json") is None:
        reason = run.execution.cause or "it was stopped before"
        raise Refusal(409, "run_never_accepted", f"run {run.run_id} was never accepted: {reason}")
    if run.count("succeeded") == len(run.cells):
        raise Refusal(409, "nothing_to_redrive", f"run {run.run_id} has all of its images")
    name = redrive_name(run.run_id, run.execution.name)
    if not executions().start(run.execution.task, name, {"resume": run.run_id}):
        raise Refusal(409, "run_under_way", f"{name} was started before: look at the run again")
    return answers.Redriven(run_id=run.run_id, kind=run.execution.task, status_url=_status_url(run.run_id))


@router.get("/runs/<run_id>/archive", summary="A link to a ZIP of a run's finished images", tags=["images"])
def get_archive(run_id: str) -> answers.Archive:
    run = _found(run_id)
    key = archive(bucket_store(), run.run_id)
    if key is None:
        raise Refusal(409, "no_images", f"run {run.run_id} has no finished image")
    return answers.Archive(run_id=run.run_id, archive_url=bucket_store().url(key, f"{run.run_id}.zip"))


def cap() -> int:
    """The most images that one run may make."""
    return int(os.environ["BATCH_CAP"])


def _submit(task: Task, key: str | None) -> answers.Accepted:
    run = submit(
        task,
        json_body(router.current_event),
        key or "",
        cap=cap(),
        read_page=read_page,
        moderate=_moderate,
        store=bucket_store(),
        executions=executions(),
    )
    return answers.Accepted(
        run_id=run.run_id,
        kind=run.task,
        status_url=_status_url(run.run_id),
        estimated_cost_usd=run.estimate.usd,
        unpriced_models=run.estimate.unpriced,
        warnings=run.warnings,
    )


def _moderate(texts: Mapping[str, str]) -> list[Problem]:
    if os.environ.get("MODERATION") != "on":
        return []
    try:
        key = provider_key("OPENAI_API_KEY")
    except ProviderMisconfigured as error:
        raise ModerationUnavailable(str(error)) from None
    return moderate(texts, key, os.environ.get("OPENAI_BASE_URL", ""))


def _found(run_id: str) -> RunProgress:
    run = look_at(run_id, executions(), bucket_store(), cap())
    if run is None:
        raise not_found(f"there is no run {quoted(run_id, 80)}")
    return run


def _status_url(run_id: str) -> str:
    return link(router.current_event, f"/runs/{run_id}")


def _run(run: RunProgress) -> answers.Run:
    execution, request = run.execution, run.request
    return answers.Run(
        run_id=run.run_id,
        kind=execution.task,
        status=execution.status,
        started_at=execution.started,
        ended_at=execution.stopped,
        error=execution.error or None,
        message=execution.cause or None,
        titles=request.titles if request else [],
        models=request.models if request else [],
        style=request.style if request else None,
        template=request.template if request else None,
        font=request.font if request else None,
        counts=answers.Counts(
            total=len(run.cells),
            pending=run.count("pending"),
            running=run.count("running"),
            succeeded=run.count("succeeded"),
            failed=run.count("failed"),
            deleted=run.count("deleted"),
        ),
        cells=[_cell(cell) for cell in run.cells],
    )


def _cell(cell: CellProgress) -> answers.Cell:
    there = cell.state == "succeeded"
    return answers.Cell(
        row=cell.row,
        column=cell.column,
        title=cell.title,
        model=cell.model,
        state=cell.state,
        key=cell.key if there else None,
        image_url=bucket_store().url(cell.key) if there else None,
        error=cell.error or None,
        message=cell.message or None,
    )
