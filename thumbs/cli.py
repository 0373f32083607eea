"""The command ``thumbs``."""

import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape

from thumbnails.catalog import DEFAULT_FONT, FONTS, MODELS
from thumbnails.errors import InvalidBatch, quoted
from thumbnails.reading import NotJson, read_json
from thumbnails.request import parse_request
from thumbnails.store import REQUEST_BYTES
from thumbs import render
from thumbs.application import CAMPAIGN, FUNCTIONS, STATE_MACHINES, TASKS, Application, Execution, in_plain_words
from thumbs.deploy import deploy, real_keys
from thumbs.errors import CommandError
from thumbs.sam_local import write_variables
from thumbs.stack import Stack, answers

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
out = Console(highlight=False, soft_wrap=False)
err = Console(highlight=False, stderr=True, soft_wrap=True)

#: More rows than a sheet can be looked at with.
PREVIEW_TITLES = 50

AsJson = Annotated[bool, typer.Option("--json", help="Print the bare JSON and nothing else.")]
Run = Annotated[str, typer.Argument(help="The run's name, as `thumbs runs` lists it.")]


def _shown(file: Path) -> str:
    return quoted(str(file), 200)[1:-1]


def _report() -> Callable[[str], None]:
    return lambda message: err.print(f"[green]✓[/] {escape(message)}")


@app.command()
def up(
    latency: Annotated[float, typer.Option(min=0, help="Seconds that the offline image API takes for a picture.")] = 1,
    real_providers: Annotated[
        bool,
        typer.Option("--real-providers", help="Call OpenAI and Gemini with the keys of your environment. Costs money."),
    ] = False,
    bridge: Annotated[
        bool, typer.Option("--bridge", help="Listen on Docker's bridge too, for functions under `sam local`.")
    ] = False,
) -> None:
    """Start the stack on this machine and deploy the application to it; what is there already is kept."""
    endpoint = Application.named_endpoint()
    if endpoint:
        if not answers(f"{endpoint}/_localstack/health"):
            raise CommandError(f"AWS_ENDPOINT_URL names {endpoint}, and no LocalStack answers there", "unset it")
        err.print(f"AWS_ENDPOINT_URL names a running LocalStack, {endpoint}; nothing is started")
        return
    if real_providers:
        real_keys()
    stack = Stack.of_this_project(latency, bridge=bridge)
    stack.start(_report())
    deploy(stack, _report(), real_providers=real_providers)
    if bridge:
        options = f"--template {stack.built / 'template.yaml'} --env-vars {write_variables(stack)}"
        _report()(f"containers reach it: sam local start-api --skip-pull-image --warm-containers EAGER {options}")
    err.print(f"The stack is up: {stack.endpoint}. `thumbs start generateBatch --input-file examples/batch.json`")


@app.command()
def down() -> None:
    """Stop the stack and everything it started. Its bucket goes with it."""
    if not Stack.of_this_project().stop(_report()):
        err.print("the stack did not run")


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show what runs on this machine."""
    stack = Stack.of_this_project()
    states = []
    for name in ("localstack", "image_api"):
        service = stack.service(name)
        alive = bool(service and service.process)
        url = f"http://localhost:{service.port}" if service else None
        states.append({"service": name, "running": alive, "url": url, "pid": service.pid if service else None})
    deployed = stack.is_deployed()
    if as_json:
        print(json.dumps({"services": states, "deployed": deployed, "home": str(stack.home)}))
    else:
        for state in states:
            mark = "[green]✓ running[/]" if state["running"] else "[red]✗ stopped[/]"
            where = f"  {state['url']}  pid {state['pid']}" if state["running"] else ""
            out.print(f"{state['service']:<12}{mark}{where}")
        out.print(f"{'application':<12}{'[green]✓ deployed[/]' if deployed else '[red]✗ not deployed[/]'}")
        if deployed:
            out.print(f"{'HTTP API':<12}{Application(stack.endpoint).api_url}", soft_wrap=True)
        if lost := stack.lost():
            out.print(
                f"{' and '.join(lost)} ended unexpectedly; `thumbs up` starts it again. Logs: {stack.logs}",
                soft_wrap=True,
            )
    if not (deployed and all(state["running"] for state in states)):
        raise typer.Exit(1)


@app.command()
def tasks() -> None:
    """List what can be started."""
    for name, description in TASKS.items():
        out.print(f"[bold]{name:<20}[/]{description}")


@app.command()
def start(
    task: Annotated[str, typer.Argument(help="One of those that `thumbs tasks` lists.")],
    text: Annotated[
        str | None, typer.Option("--input", help="The request as JSON: an object or a positional array.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--input-file", help="A file with the request; - for standard input.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The run's name; made from the time where left out.")] = None,
    watch: Annotated[bool, typer.Option("--watch/--no-watch", help="Wait for the end, or only start.")] = True,
    as_json: AsJson = False,
) -> None:
    """Start a run, follow it and show its images."""
    if task not in TASKS:
        raise CommandError(f"there is no task {task!r}", f"choose from {', '.join(TASKS)}")
    request = _read_request(text, file)
    application = _with_models()
    if task not in STATE_MACHINES:
        image = application.make_one(request)
        print(json.dumps(image)) if as_json else out.print(image["image_url"], soft_wrap=True)
        return
    execution = application.start(task, request, name)
    _follow_or_tell(application, execution, watch, as_json)


@app.command()
def campaign(
    file: Annotated[Path, typer.Argument(help="Titles, one a row: CSV with a header, or a JSON array of objects.")],
    max_images: Annotated[int, typer.Option(min=1, help="The most images that it may make and pay for.")],
    models: Annotated[str | None, typer.Option(help="Models for rows without their own, separated by spaces.")] = None,
    style: Annotated[str | None, typer.Option(help="A style for rows without one.")] = None,
    template: Annotated[str | None, typer.Option(help="A template for rows without one.")] = None,
    font: Annotated[str | None, typer.Option(help="A font for rows without one.")] = None,
    max_concurrency: Annotated[int | None, typer.Option(min=1, help="Rows that are made at a time.")] = None,
    tolerated_failure_percentage: Annotated[
        float | None, typer.Option(min=0, max=100, help="Rows without any image, of a hundred, that do not end it.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch/--no-watch", help="Wait for the end, or only start.")] = True,
    as_json: AsJson = False,
) -> None:
    """Make a file of titles, as many as it has, within a budget that you set."""
    asked = {
        "max_images": max_images,
        "models": re.split(r"[;,\s]+", models.strip()) if models else None,
        "style": style,
        "template": template,
        "font": font,
        "max_concurrency": max_concurrency,
        "tolerated_failure_percentage": tolerated_failure_percentage,
    }
    request = {name: value for name, value in asked.items() if value is not None}
    application = Application.here()
    try:
        with file.open("rb") as body:
            execution = application.start_campaign(file.name, body, request)
    except OSError as error:
        raise CommandError(f"{file} cannot be read", error.strerror or str(error)) from None
    _follow_or_tell(application, execution, watch, as_json)


@app.command()
def drop(
    file: Annotated[Path, typer.Argument(help="A batch file; what is in it is checked by the run.")],
    watch: Annotated[bool, typer.Option("--watch/--no-watch", help="Wait for the end, or only for the start.")] = True,
    as_json: AsJson = False,
) -> None:
    """Drop a batch file into the bucket's inbox, and follow the run that this starts."""
    body = _read(file)
    application = _with_models()
    _follow_or_tell(application, application.drop(file.name, body), watch, as_json)


@app.command()
def runs(
    most: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20, as_json: AsJson = False
) -> None:
    """List the runs, newest first."""
    executions = Application.here().executions(most)
    if as_json:
        print(json.dumps([_as_json(execution) for execution in executions]))
    elif executions:
        out.print(render.runs_table(executions))
    else:
        out.print("there are no runs yet; `thumbs start generateBatch --input-file examples/batch.json` makes one")


@app.command()
def show(run: Run, as_json: AsJson = False) -> None:
    """Show a run's images with links that open now, or how far it is."""
    application = Application.here()
    _show(application, application.find(run), as_json)


@app.command()
def stop(run: Run) -> None:
    """Stop a run. Its finished images stay, and `thumbs redrive` makes the rest."""
    application = Application.here()
    execution = application.find(run)
    if execution.status != "RUNNING":
        raise CommandError(f"{run} does not run any more, it is {execution.status}")
    application.stop(execution)
    out.print(f"{run} is stopped; `thumbs redrive {run}` makes the images that are missing")


@app.command()
def redrive(run: Run, as_json: AsJson = False) -> None:
    """Make the images of a run that are missing, and pay for no other."""
    application = _with_models()
    execution = application.find(run)
    resumed = application.resume(execution)
    if resumed:
        _watch(application, resumed, as_json)
    elif as_json:
        print(json.dumps(application.manifest(execution)))
    else:
        out.print(f"{run} has all of its images; there is nothing to make")


@app.command()
def logs(
    function: Annotated[str, typer.Argument(help=f"One of {', '.join(FUNCTIONS)}.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    minutes: Annotated[float, typer.Option(min=0, help="How far back.")] = 60,
) -> None:
    """Print a function's log."""
    if function not in FUNCTIONS:
        raise CommandError(f"there is no function {function!r}", f"choose from {', '.join(FUNCTIONS)}")
    since = datetime.now(UTC) - timedelta(minutes=minutes)
    for line in Application.here().log_lines(function, since, follow):
        print(line, flush=follow)


@app.command()
def preview(
    titles: Annotated[list[str] | None, typer.Argument(help="Titles to set; one in each script if left out.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The JPEG to write.")] = Path("preview.jpg"),
    font: Annotated[str, typer.Option(help="A font of the catalogue.")] = DEFAULT_FONT,
    debug: Annotated[bool, typer.Option("--debug", help="Draw panels, boxes, ink and baselines too.")] = False,
) -> None:
    """Draw every template beside every title on one sheet. Needs no stack."""
    if font not in FONTS:
        raise CommandError(f"there is no font {font!r}", f"choose from {', '.join(FONTS)}")
    # Fonts and scenes are slow to load, and no other command needs them.
    from thumbs.preview import preview_sheet

    sheet = preview_sheet(_checked(titles or []), font, debug)
    try:
        output.write_bytes(sheet)
    except OSError as error:
        raise CommandError(f"{output} cannot be written", error.strerror or str(error)) from None
    out.print(f"{output.resolve()}", soft_wrap=True)


def _with_models() -> Application:
    """The application, where a model could answer it."""
    application = Application.here()
    stack = Stack.of_this_project()
    if Application.named_endpoint() is None and "image_api" in stack.lost() and stack.state().get("offline"):
        raise CommandError(
            "the offline image API has ended", f"`thumbs up` starts it again; its log is in {stack.logs}"
        )
    return application


def _checked(titles: list[str]) -> list[str]:
    """Titles as a run would take them."""
    if not titles:
        return []
    try:
        return parse_request("generateBatch", [titles, [next(iter(MODELS))]], PREVIEW_TITLES).titles
    except InvalidBatch as refusal:
        raise CommandError(str(refusal)) from None


def _follow_or_tell(application: Application, execution: Execution, watch: bool, as_json: bool) -> None:
    if watch:
        _watch(application, execution, as_json)
    elif as_json:
        print(json.dumps({"run_id": execution.run_id, "execution_arn": execution.arn}))
    else:
        out.print(f"{execution.name} is started; `thumbs show {execution.name}` shows it")


def _watch(application: Application, execution: Execution, as_json: bool) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True) if as_json else out
    try:
        if execution.task == CAMPAIGN:
            ended = render.follow_campaign(console, application.follow_campaign(execution))
        else:
            ended = render.follow(console, application.follow(execution))
    except KeyboardInterrupt:
        err.print(f"{execution.name} goes on; `thumbs show {execution.name}` shows it, `thumbs stop` ends it")
        raise typer.Exit(130) from None
    _show(application, ended, as_json)


def _show(application: Application, execution: Execution, as_json: bool) -> None:
    result = execution.result
    if execution.error in ("AllImagesFailed", "CampaignCutShort"):
        result = application.manifest(execution)
    if as_json:
        bare = execution.result or {**_as_json(execution), "result": result}
        print(json.dumps(bare, ensure_ascii=False))
    else:
        _print_run(application, execution, result)
    if execution.status not in ("RUNNING", "SUCCEEDED"):
        raise typer.Exit(1)


def _print_run(application: Application, execution: Execution, result: dict[str, Any] | None) -> None:
    if result:
        if execution.task == CAMPAIGN:
            render.print_campaign(out, application.manifest(execution) or {**result, "failures": []})
        else:
            render.print_result(out, application.fresh_urls(result))
        out.print(f"{escape(execution.name)}: {render.summary(result, execution.seconds)}")
        if result["images"]["succeeded"] < result["images"]["total"]:
            out.print(f"`thumbs redrive {escape(execution.name)}` makes the missing images and pays for no other")
    elif execution.status == "RUNNING":
        if execution.task == CAMPAIGN:
            out.print(render.campaign_line(execution, application.campaign_progress(execution)))
            return
        out.print(render.progress_table(application.progress(execution)))
        out.print(f"{escape(execution.name)} runs since {execution.seconds:.1f} s")
    if execution.status not in ("RUNNING", "SUCCEEDED"):
        err.print(
            f"[red]✗[/] {escape(execution.name)} is {execution.status}: "
            f"{escape(execution.error or 'no error given')}: {escape(execution.cause or 'no cause given')}"
        )


def _as_json(execution: Execution) -> dict[str, Any]:
    return {
        "run_id": execution.run_id,
        "name": execution.name,
        "task": execution.task,
        "status": execution.status,
        "started": execution.started.isoformat(),
        "stopped": execution.stopped.isoformat() if execution.stopped else None,
        "error": execution.error or None,
        "cause": execution.cause or None,
    }


def _read_request(text: str | None, file: Path | None) -> object:
    if (text is None) == (file is None):
        raise CommandError("a run needs one request", "give --input '…' or --input-file FILE")
    # What the shell passes on that is no text is let through here, for the reader to refuse.
    raw = _read(file) if file is not None else os.fsencode(text or "")
    try:
        return read_json(raw)
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


def main() -> None:
    """Run the command; what goes wrong is one line, never a traceback."""
    try:
        app()
    except CommandError as error:
        err.print(f"[red]✗[/] {escape(str(error))}")
        sys.exit(1)
    except (BotoCoreError, ClientError) as error:
        err.print(f"[red]✗[/] {escape(str(in_plain_words(error, Application.named_endpoint())))}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
