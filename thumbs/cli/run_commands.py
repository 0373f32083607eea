"""Commands for runs: start, list, show, stop and redrive them. Every rule about a run is the domain's."""

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import IO, Annotated, Any, Never
from urllib.parse import quote

import typer
from rich.console import Console
from rich.markup import escape

from thumbnails.aws.s3 import REQUEST_BYTES
from thumbnails.blog.page import read_page
from thumbnails.brands.kits import brands_in
from thumbnails.campaigns.open import check_file
from thumbnails.catalog import MODELS, QUALITIES
from thumbnails.errors import InvalidBatch, ThumbnailError, quoted
from thumbnails.requests.checks import parse_campaign
from thumbnails.requests.models import CAMPAIGN, SHAPES
from thumbnails.runs.finalise import finalise
from thumbnails.runs.listing import ListedRun, list_runs
from thumbnails.runs.resume import NothingToRedrive, redrive
from thumbnails.runs.status import RunStatus, get_manifest, get_result
from thumbnails.runs.submit import check
from thumbnails.strict_json import NotJson, read_json
from thumbnails.tables.requests import NO_MODEL_FOR_ROW, request_in_file
from thumbnails.tables.rows import read_rows
from thumbs.cli import render
from thumbs.cli.app import AsJson, Run, Watch, app, err, out
from thumbs.cli.application import CAP, MACHINES, Application, broken_connection
from thumbs.cli.event_commands import replay, tell_of_lost_events
from thumbs.command_error import CommandError
from thumbs.stack.processes import Stack

TASKS = {
    "generateThumbnail": "one title, one model → one image (Lambda)",
    "generateThumbnails": "one title, M models → one image per model (state machine)",
    "generateBatch": "N prompts × M models → a matrix of images (state machine)",
    CAMPAIGN: "a file of titles × M models, beyond the cap → a manifest (state machine)",
}


@app.command()
def tasks(as_json: AsJson = False) -> None:
    """List what can be started."""
    if as_json:
        print(json.dumps([{"task": name, "description": description} for name, description in TASKS.items()]))
        return
    for name, description in TASKS.items():
        out.print(f"[bold]{name:<20}[/]{description}", soft_wrap=True)


@app.command()
def start(
    task: Annotated[
        str, typer.Argument(help="One of those that `thumbs tasks` lists.", autocompletion=lambda: list(TASKS))
    ],
    text: Annotated[
        str | None, typer.Option("--input", help="The request as JSON: an object or a positional array.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--input-file", help="A file with the request; - for standard input.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The run's name; made from the time where left out.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would make and cost; start nothing.")] = False,
    watch: Watch = True,
    as_json: AsJson = False,
) -> None:
    """Start a run, follow it and show its images."""
    if task not in TASKS:
        raise CommandError(f"there is no task {task!r}", f"choose from {', '.join(TASKS)}")
    request = _read_request(task, text, file)
    if dry_run:
        _tell_costs(Application.from_environment(), task, request, as_json)
        return
    application = _with_models()
    machine = next((one for one in MACHINES if one == task), None)
    if machine is None:
        image = application.make_one(request)
        print(json.dumps(image)) if as_json else out.print(image["image_url"], soft_wrap=True)
        return
    _follow_or_tell(application, application.start(machine, request, name), watch, as_json)


def _tell_costs(application: Application, task: str, request: object, as_json: bool) -> None:
    """What a run would make and cost: by what pictures took so far, and by the catalogue where that is not known."""
    shape = next((one for one in SHAPES if one == task), None)
    if shape is None:
        raise CommandError(f"{task} has no dry run", f"choose from {', '.join(SHAPES)}")
    checked = check(shape, request, CAP, read_page, store=application.store)
    plan = {"images": checked.estimate.images, "estimated_cost_usd": checked.estimate.usd, "warnings": checked.warnings}
    if as_json:
        print(json.dumps(plan))
        return
    out.print(f"{checked.estimate.images} images, about {render.dollars(checked.estimate.usd)}; nothing was started")
    for warning in checked.warnings:
        out.print(warning, style="yellow", soft_wrap=True)


@app.command()
def campaign(
    file: Annotated[Path, typer.Argument(help="Titles, one a row: a sheet saved as CSV, with a header, or JSON.")],
    max_images: Annotated[int, typer.Option(min=1, help="The most images that it may make and pay for.")],
    models: Annotated[
        str | None, typer.Option(help="Models for rows without their own, separated by spaces or commas.")
    ] = None,
    style: Annotated[str | None, typer.Option(help="A style for rows without one.")] = None,
    template: Annotated[str | None, typer.Option(help="A template for rows without one.")] = None,
    font: Annotated[str | None, typer.Option(help="A font for rows without one.")] = None,
    brand: Annotated[str | None, typer.Option(help="A brand kit for rows without one.")] = None,
    max_concurrency: Annotated[int | None, typer.Option(min=1, help="Rows that are made at a time.")] = None,
    tolerated_failure_percentage: Annotated[
        float | None, typer.Option(min=0, max=100, help="Rows without any image, of a hundred, that do not end it.")
    ] = None,
    economy: Annotated[
        bool, typer.Option("--economy", help="Half price: by the providers' batches, which may take a day.")
    ] = False,
    stragglers: Annotated[
        str | None, typer.Option(help="What no batch made: fail, or live at the whole price. With --economy.")
    ] = None,
    watch: Watch = True,
    as_json: AsJson = False,
) -> None:
    """Make a file of titles, as many as it has, within a budget that you set."""
    asked = {
        "max_images": max_images,
        "models": [model for model in re.split(r"[;,\s]+", models) if model] if models else None,
        "style": style,
        "template": template,
        "font": font,
        "brand": brand,
        "max_concurrency": max_concurrency,
        "tolerated_failure_percentage": tolerated_failure_percentage,
        "economy": economy or None,
        "stragglers": stragglers,
    }
    request = {name: value for name, value in asked.items() if value is not None}
    try:
        with file.open("rb") as body:
            # What can be told here is told before anything starts.
            if "models" not in request and sys.stdin.isatty() and not _names_models(file, body):
                living = ", ".join(name for name, model in MODELS.items() if model.state() != "retired")
                said = typer.prompt(f"Which models? ({living})", err=True)
                request["models"] = [model for model in re.split(r"[;,\s]+", said) if model]
            brands = brands_in(Application.from_environment().store) if brand else None
            check_file(parse_campaign({"file": file.name, **request}, brands=brands), body, CAP, brands)
            body.seek(0)
            application = Application.from_environment()
            run = application.start_campaign(file.name, body, request)
    except InvalidBatch as refused:
        raise CommandError(_shown(file), f"{refused}{_without_models(refused, request)}") from None
    except OSError as error:
        raise CommandError(f"{_shown(file)} cannot be read", error.strerror or str(error)) from None
    _follow_or_tell(application, run, watch, as_json)


def _names_models(file: Path, body: IO[bytes]) -> bool:
    """Whether every row that can be read says its models; the file is left at its beginning."""
    with closing(read_rows(file.name, body)) as rows:
        named = all(isinstance(row.given, dict) and row.given.get("models") for row in rows)
    body.seek(0)
    return named


def _without_models(refused: InvalidBatch, request: dict[str, Any]) -> str:
    return "; name them with --models" if NO_MODEL_FOR_ROW in str(refused) and "models" not in request else ""


@app.command()
def drop(
    file: Annotated[Path | None, typer.Argument(help="A batch file; what is in it is checked by the run.")] = None,
    lost: Annotated[
        bool,
        typer.Option("--replay", help="Start the runs of the events that `thumbs lost` lists, in place of a file."),
    ] = False,
    watch: Watch = True,
    as_json: AsJson = False,
) -> None:
    """Drop a batch file into the bucket's inbox, and follow the run that this starts."""
    if (file is None) != lost:
        raise CommandError("there is nothing to drop, or too much", "give a FILE, or --replay to start lost events")
    if file is None:
        replay(_with_models(), as_json)
        return
    body = _read(file)
    application = _with_models()
    run_id = application.drop(file.name, body)
    with _watched(application, run_id):
        run = application.wait_for_start(run_id)
    _follow_or_tell(application, run, watch, as_json)


@app.command()
def runs(
    most: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    every: Annotated[
        bool, typer.Option("--all", help="Each execution that resumes a run, and each of a campaign's rows, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the runs, newest first."""
    application = Application.from_environment()
    found = _newest(application, most, every)
    if as_json:
        print(json.dumps([_listed_as_json(run) for run in found]))
    elif found:
        render.print_runs(out, found, with_executions=every)
        if any(run.forgotten for run in found):
            out.print(f"* {render.FORGOTTEN}", soft_wrap=True)
    else:
        out.print("there are no runs yet; `thumbs start generateBatch --input-file examples/batch.json` makes one")
    tell_of_lost_events(application)


def _newest(application: Application, most: int, every: bool) -> list[ListedRun]:
    """The newest runs, over as many pages as it takes: one may end before it is full."""
    found: list[ListedRun] = []
    mark = None
    while True:
        wanted = most - len(found)
        page, mark = list_runs(application.executions, application.store, wanted, mark, every_execution=every)
        found += page
        if not mark or len(found) == most:
            return found


@app.command()
def show(run: Run, as_json: AsJson = False) -> None:
    """Show a run's images with links that open now, or how far it is."""
    application = Application.from_environment()
    _show(application, application.find(run), as_json)


@app.command()
def stop(run: Run) -> None:
    """Stop a run. Its finished images stay, and `thumbs redrive` makes the rest."""
    application = Application.from_environment()
    found = application.find(run)
    application.stop(found)
    out.print(
        f"{found.run_id} is stopped; `thumbs redrive {found.run_id}` makes the images that are missing", soft_wrap=True
    )


@app.command("redrive")
def redrive_run(run: Run, as_json: AsJson = False) -> None:
    """Make the images of a run that are missing, and pay for no other."""
    application = _with_models()
    found = application.find(run)
    try:
        redrive(found, application.executions, application.store, application.budget)
    except NothingToRedrive as reason:
        if as_json:
            print(json.dumps(get_manifest(found, application.store)))
        else:
            out.print(f"{reason}; there is nothing to make", soft_wrap=True)
        return
    _watch(application, application.find(found.run_id), as_json)


@app.command("finalise")
def finalise_run(
    run: Run,
    cells: Annotated[str, typer.Option("--cells", help="Rows and columns as the table has them: 1.2,3.1.")],
    quality: Annotated[str, typer.Option("--quality", help="draft, standard or high.")] = "high",
    watch: Watch = True,
    as_json: AsJson = False,
) -> None:
    """Make chosen images of a run again at another quality, pay for those alone and keep the drafts."""
    named = next((one for one in QUALITIES if one == quality), None)
    if named is None:
        raise CommandError(f"there is no quality {quality!r}", f"choose {', '.join(QUALITIES)}")
    places = [_place_in(part) for part in cells.replace(",", " ").split()]
    application = _with_models()
    given = application.executions, application.store
    made = finalise(application.find(run), places, named, *given, cap=CAP, budget=application.budget)
    if not as_json:
        out.print(f"{made.run_id}: {made.estimate.images} images, about {render.dollars(made.estimate.usd)}")
    _follow_or_tell(application, application.find(made.run_id), watch, as_json)


def _place_in(text: str) -> tuple[int, int]:
    if not (found := re.fullmatch(r"([1-9]\d{0,5})\.([1-9]\d{0,5})", text)):
        raise CommandError(f"{text!r} is no cell", "write row.column as the table has it, such as 1.2")
    return int(found[1]) - 1, int(found[2]) - 1


def _with_models() -> Application:
    """The application, where a model could answer it."""
    application = Application.from_environment()
    stack = Stack.of_this_project()
    if Application.named_endpoint() is None and "image_api" in stack.lost() and stack.state().get("offline"):
        raise CommandError(
            "the offline image API has ended", f"`thumbs up` starts it again; its log is in {stack.logs}"
        )
    return application


def _follow_or_tell(application: Application, run: RunStatus, watch: bool, as_json: bool) -> None:
    if watch:
        _watch(application, run, as_json)
    elif as_json:
        print(json.dumps({"run_id": run.run_id, "execution_arn": application.executions.arn(run.execution)}))
    else:
        out.print(f"{run.run_id} is started; `thumbs show {run.run_id}` shows it", soft_wrap=True)


def _watch(application: Application, run: RunStatus, as_json: bool) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True) if as_json else out
    with _watched(application, run.run_id):
        ended = render.follow(console, application.follow(run))
    _show(application, ended, as_json)


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a watcher as Ctrl-C does."""


@contextmanager
def _watched(application: Application, run_id: str) -> Iterator[None]:
    """Tell a person whose command ends before the run does what becomes of the run, and how to look at it."""

    def end(_signal: int, _frame: FrameType | None) -> Never:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, end)
    name = escape(run_id)
    try:
        yield
    except KeyboardInterrupt as ended:
        err.print(f"{name} goes on; `thumbs show {name}` shows it, `thumbs stop {name}` ends it")
        raise typer.Exit(143 if isinstance(ended, _Terminated) else 130) from None
    except ThumbnailError as error:
        # It ran through the client's own retries: this is no hiccup.
        if broken := broken_connection(error.__cause__, application.endpoint):
            raise CommandError(f"{run_id} is out of sight", str(broken)) from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _show(application: Application, run: RunStatus, as_json: bool) -> None:
    result = get_result(run, application.store)
    if as_json:
        bare = result if result and run.execution.status == "SUCCEEDED" else {**_as_json(run), "result": result}
        print(json.dumps(bare, ensure_ascii=False))
    else:
        _print_run(application, run, result)
    if run.execution.status not in ("RUNNING", "SUCCEEDED"):
        raise typer.Exit(1)


def _print_run(application: Application, run: RunStatus, result: dict[str, Any] | None) -> None:
    name, execution = escape(run.run_id), run.execution
    if execution.is_running:
        if not run.is_campaign:
            out.print(render.progress_table(run))
        out.print(render.progress_line(run))
        return
    if run.is_campaign and result:
        render.print_campaign(out, get_manifest(run, application.store) or {**result, "failures": []})
    elif run.cells:
        render.print_cells(out, run, application.store.url, (result or {}).get("warnings", ()))
    if execution.forgotten:
        out.print(f"{name}: {render.FORGOTTEN}", soft_wrap=True)
    whole = bool(run.cells) and run.count("succeeded") == len(run.cells)
    if result:
        out.print(f"{name}: {render.summary(run, result)}", soft_wrap=True)
        if result["images"]["succeeded"]:
            out.print(f"`thumbs open {name}` saves them and shows them on one page", soft_wrap=True)
            if application.endpoint:
                out.print(f"in the browser: {application.api_url}/#/run/{quote(name)}", soft_wrap=True)
        whole = whole or (run.is_campaign and result["images"]["succeeded"] == result["images"]["total"])
    if not whole and (result or run.cells):
        out.print(f"`thumbs redrive {name}` makes the missing images and pays for no other", soft_wrap=True)
    if execution.status != "SUCCEEDED":
        err.print(
            f"[red]✗[/] {name} is {execution.status}: "
            f"{escape(execution.error or 'no error given')}: {escape(execution.cause or 'no cause given')}"
        )


def _as_json(run: RunStatus) -> dict[str, Any]:
    execution = run.execution
    return {
        "run_id": run.run_id,
        "execution": execution.name,
        "task": execution.task,
        "status": execution.status,
        "started": execution.started.isoformat(),
        "stopped": execution.stopped.isoformat() if execution.stopped else None,
        "error": execution.error or None,
        "cause": execution.cause or None,
        "forgotten": execution.forgotten,
    }


def _listed_as_json(run: ListedRun) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "execution": run.execution,
        "task": run.task,
        "status": run.status,
        "started": run.started.isoformat(),
        "stopped": run.stopped.isoformat() if run.stopped else None,
        "forgotten": run.forgotten,
    }


def _read_request(task: str, text: str | None, file: Path | None) -> object:
    if (text is None) == (file is None):
        raise CommandError("a run needs one request", "give --input '…' or --input-file FILE")
    # What the shell passes on that is no text is let through here, for the reader to refuse.
    raw = _read(file) if file is not None else os.fsencode(text or "")
    try:
        # The Lambda function takes one cell, and no table is one.
        return request_in_file(file.name, raw, task) if file is not None and task in SHAPES else read_json(raw)
    except InvalidBatch as refused:
        raise CommandError(_shown(file) if file else "--input", str(refused)) from None
    except NotJson as error:
        raise CommandError(f"{'--input' if file is None else _shown(file)} is not JSON", str(error)) from None


def _read(file: Path) -> bytes:
    """A request file, or standard input; no more of it than a request may have."""
    try:
        with nullcontext(sys.stdin.buffer) if str(file) == "-" else file.open("rb") as opened:
            body = opened.read(REQUEST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise CommandError(f"{_shown(file)} cannot be read", getattr(error, "strerror", None) or str(error)) from None
    if len(body) > REQUEST_BYTES:
        raise CommandError(f"{_shown(file)} is larger than {REQUEST_BYTES} bytes", "no request is")
    return body


def _shown(file: Path) -> str:
    return quoted(str(file), 200)[1:-1]
