"""Commands that look: a function's log, the models, a title in every template."""

import json
import os
from collections.abc import Collection
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from thumbnails.catalog import (
    DEFAULT_FONT,
    DEFAULT_FORMAT,
    FONTS,
    FORMATS,
    MODELS,
    PROVIDERS,
    TEMPLATES,
    Provider,
    notices,
)
from thumbnails.catalog.check import differences
from thumbnails.catalog.models import bedrock_url, today
from thumbnails.errors import InvalidBatch, ThumbnailError
from thumbnails.requests.checks import parse_request
from thumbnails.runs.costs import spent
from thumbs.cli import render
from thumbs.cli.app import AsJson, app, err, out
from thumbs.cli.application import Application
from thumbs.cli.brand_commands import checked_kit
from thumbs.command_error import CommandError

FUNCTIONS = (
    "validateBatch",
    "generateThumbnail",
    "collectBatch",
    "startBatch",
    "api",
    "validateCampaign",
    "collectCampaign",
    "batchCampaign",
)
#: Where each provider's other endpoint is named, as its SDK reads it.
BASE_URL_VARIABLES: dict[Provider, str] = {
    "openai": "OPENAI_BASE_URL",
    "google": "GOOGLE_GEMINI_BASE_URL",
    "bedrock": "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
}
#: Where providers that are in regions of their own are asked.
BASE_URLS: dict[Provider, str] = {"bedrock": bedrock_url("us-west-2")}
LIST_SECONDS = 30.0
#: More rows than a sheet can be looked at with.
PREVIEW_TITLES = 50


@app.command()
def logs(
    function: Annotated[
        str, typer.Argument(help=f"One of {', '.join(FUNCTIONS)}.", autocompletion=lambda: list(FUNCTIONS))
    ],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    minutes: Annotated[float, typer.Option(min=0, help="How far back.")] = 60,
) -> None:
    """Print a function's log."""
    if function not in FUNCTIONS:
        raise CommandError(f"there is no function {function!r}", f"choose from {', '.join(FUNCTIONS)}")
    since = datetime.now(UTC) - timedelta(minutes=minutes)
    silent = True
    for line in Application.from_environment().log_lines(function, since, follow):
        print(line, flush=follow)
        silent = False
    if silent:
        err.print(f"{function} has not run in the last {minutes:g} minutes; --minutes looks further back")


@app.command()
def models(
    check: Annotated[
        bool,
        typer.Option("--check", help="Ask the providers' own lists what is new, gone or changed; needs their keys."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the models of the catalogue: state, prices in US dollars, what comes after. Needs no stack."""
    if not check:
        if as_json:
            print(json.dumps([render.model_as_json(model) for model in MODELS.values()]))
            return
        out.print(render.models_table(list(MODELS.values())))
        for notice in notices(MODELS):
            out.print(notice, style="yellow", soft_wrap=True)
        return
    _print_differences(as_json)


def _print_differences(as_json: bool) -> None:
    """What the providers' lists and the catalogue differ in; exit status 1 where a model in use is gone or changed."""
    # The SDKs are slow to load, and no other command needs them.
    from thumbnails.images.providers import listed_models

    found, asked = [], []
    for provider in PROVIDERS:
        base_url = os.environ.get(BASE_URL_VARIABLES[provider]) or BASE_URLS.get(provider, "")
        try:
            listed = listed_models(provider, os.environ.get, LIST_SECONDS, base_url)
        except ThumbnailError as problem:
            err.print(f"[yellow]![/] {escape(str(problem))}")
            continue
        asked.append(provider)
        found += differences(provider, listed)
    if not asked:
        raise CommandError("no provider could be asked", "set OPENAI_API_KEY, GEMINI_API_KEY or AWS credentials")
    if as_json:
        print(json.dumps([difference._asdict() for difference in found]))
    else:
        for difference in found:
            out.print(f"{difference.kind:<8} {difference.model}: {difference.message}", soft_wrap=True, markup=False)
        if not found:
            out.print(f"{' and '.join(asked)}: nothing is new, gone or changed")
    if any(difference.kind != "new" for difference in found):
        raise typer.Exit(1)


@app.command()
def costs(
    by: Annotated[str, typer.Option("--by", help="day, model or run.")] = "day",
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="How many days, today among them.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Say what providers were paid, in tokens and US dollars at list prices; days are those of UTC."""
    if by not in ("day", "model", "run"):
        raise CommandError(f"costs are not kept by {by!r}", "choose day, model or run")
    last = today()
    paid = list(spent(Application.from_environment().store, last - timedelta(days=days - 1), last))
    if as_json:
        print(json.dumps([{**asdict(one), "day": str(one.day)} for one in paid]))
    elif paid:
        out.print(render.costs_table(paid, by))
    else:
        out.print(f"nothing was paid in the last {days} days" if days > 1 else "nothing was paid today")


@app.command()
def preview(
    titles: Annotated[list[str] | None, typer.Argument(help="Titles to set; one in each script if left out.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The JPEG to write.")] = Path("preview.jpg"),
    font: Annotated[str, typer.Option(help="A font of the catalogue; of a kit, its first where left out.")] = "",
    template: Annotated[list[str] | None, typer.Option(help="A template of the catalogue; may be repeated.")] = None,
    format_: Annotated[
        list[str] | None, typer.Option("--format", help="A format of the catalogue; may be repeated.")
    ] = None,
    kicker: Annotated[str, typer.Option(help="A few words above every title.")] = "",
    author: Annotated[str, typer.Option(help="A line below every title.")] = "",
    brand: Annotated[Path | None, typer.Option(help="A brand kit's file: its colours, fonts, logo, templates.")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Draw panels, boxes, ink and baselines too.")] = False,
) -> None:
    """Draw every template beside every title on one sheet. Needs no stack."""
    formats = format_ or [DEFAULT_FORMAT]
    named: list[tuple[str, str, Collection[str]]]
    kit = checked_kit(brand) if brand else None
    fonts = [*(kit.font_files() if kit else ()), *FONTS]
    font = font or (fonts[0] if kit else DEFAULT_FONT)
    templates = list(dict.fromkeys([*(kit.templates if kit else ()), *TEMPLATES]))
    named = [("font", font, fonts), *(("template", one, templates) for one in template or [])]
    for kind, name, known in [*named, *(("format", one, FORMATS) for one in formats)]:
        if name not in known:
            raise CommandError(f"there is no {kind} {name!r}", f"choose from {', '.join(known)}")
    # Fonts and scenes are slow to load, and no other command needs them.
    from thumbs.cli.preview import preview_sheet

    sheet = preview_sheet(
        _checked(titles or []),
        font,
        debug,
        templates=template or templates,
        formats=formats,
        kicker=kicker,
        author=author,
        kit=kit,
    )
    try:
        output.write_bytes(sheet)
    except OSError as error:
        raise CommandError(f"{output} cannot be written", error.strerror or str(error)) from None
    out.print(f"{output.resolve()}", soft_wrap=True)


def _checked(titles: list[str]) -> list[str]:
    """Titles as a run would take them."""
    if not titles:
        return []
    try:
        return parse_request("generateBatch", [titles, [next(iter(MODELS))]], PREVIEW_TITLES).titles
    except InvalidBatch as refusal:
        raise CommandError(str(refusal)) from None
