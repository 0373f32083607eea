"""Commands for the stack on this machine."""

import json
import sys
from collections.abc import Callable
from typing import Annotated

import typer
from rich.markup import escape

from thumbs.cli.app import AsJson, app, err, out
from thumbs.cli.application import Application
from thumbs.cli.event_commands import tell_of_lost_events
from thumbs.command_error import CommandError
from thumbs.stack.deploy import build, deploy, real_keys
from thumbs.stack.processes import Stack, answers
from thumbs.stack.sam_local import write_variables


def report_to_person() -> Callable[[str], None]:
    return lambda message: err.print(f"[green]✓[/] {escape(message)}")


@app.command()
def up(
    latency: Annotated[float, typer.Option(min=0, help="Seconds that the offline image API takes for a picture.")] = 1,
    real_providers: Annotated[
        bool,
        typer.Option("--real-providers", help="Call OpenAI and Gemini with the keys of your environment. Costs money."),
    ] = False,
    daily_budget_usd: Annotated[
        float | None,
        typer.Option(min=0, help="US dollars that all runs may pay in a UTC day, 0 for no limit. Offline: 0; else 25."),
    ] = None,
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
    budget = {} if daily_budget_usd is None else {"DailyBudgetUsd": f"{daily_budget_usd:g}"}
    try:
        stack.start(report_to_person(), meanwhile=lambda: build(stack, report_to_person()))
        deploy(stack, report_to_person(), budget, real_providers=real_providers)
    except KeyboardInterrupt:
        err.print("the stack is not whole yet: `thumbs up` goes on from here, `thumbs down` stops what runs")
        raise
    if bridge:
        options = f"--template {stack.built / 'template.yaml'} --env-vars {write_variables(stack)}"
        report_to_person()(
            f"containers reach it: sam local start-api --skip-pull-image --warm-containers EAGER {options}"
        )
    err.print(f"The stack is up: {stack.endpoint}. `thumbs start generateBatch --input-file examples/batch.json`")
    err.print(f"The page:        {Application(stack.endpoint).api_url}/", soft_wrap=True)


@app.command()
def down(
    delete: Annotated[bool, typer.Option("--delete", help="Throw the bucket away too, with all images.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Throw it away without asking.")] = False,
) -> None:
    """Stop the stack and everything it started. Its bucket stays, and `thumbs up` brings it back."""
    stack = Stack.of_this_project()
    held = sum(file.stat().st_size for file in stack.buckets.rglob("*") if file.is_file())
    if delete and held and not yes:
        if not sys.stdin.isatty():
            raise CommandError("the bucket is thrown away when somebody says so", "add --yes")
        typer.confirm(f"Throw away all images and runs, {held / 1e6:.1f} MB in {stack.buckets}?", abort=True, err=True)
    if not stack.stop(report_to_person()):
        err.print("the stack is not running")
    if delete:
        stack.delete_buckets()
        report_to_person()("the bucket is thrown away")
    elif held:
        err.print(f"The bucket stays, {held / 1e6:.1f} MB in {stack.buckets}; `thumbs down --delete` throws it away")


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
    environments = stack.state().get("environments")
    if as_json:
        api = Application(stack.endpoint).api_url if deployed else None
        told = {"services": states, "deployed": deployed, "environments": environments, "home": str(stack.home)}
        told |= {"api": api, "page": f"{api}/" if api else None}
        print(json.dumps(told))
    else:
        for state in states:
            mark = "[green]✓ running[/]" if state["running"] else "[red]✗ stopped[/]"
            where = f"  {state['url']}  pid {state['pid']}" if state["running"] else ""
            out.print(f"{state['service']:<14}{mark}{where}")
        out.print(f"{'application':<14}{'[green]✓ deployed[/]' if deployed else '[red]✗ not deployed[/]'}")
        if environments and states[0]["running"]:
            out.print(f"{'environments':<14}at most {environments} at once; what comes beyond waits its turn")
        if deployed:
            application = Application(stack.endpoint)
            api = application.api_url
            out.print(f"{'page':<14}{api}/\n{'HTTP API':<14}{api}", soft_wrap=True)
            tell_of_lost_events(application)
        if lost := stack.lost():
            out.print(
                f"{' and '.join(lost)} ended unexpectedly; `thumbs up` starts it again. Logs: {stack.logs}",
                soft_wrap=True,
            )
    if not (deployed and all(state["running"] for state in states)):
        raise typer.Exit(1)
