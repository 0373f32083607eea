"""Commands that look: a function's log, a title in every template."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from thumbnails.catalog import DEFAULT_FONT, FONTS, MODELS
from thumbnails.errors import InvalidBatch
from thumbnails.requests.checks import parse_request
from thumbs.cli.app import app, err, out
from thumbs.cli.application import Application
from thumbs.command_error import CommandError

FUNCTIONS = (
    "validateBatch",
    "generateThumbnail",
    "collectBatch",
    "startBatch",
    "api",
    "validateCampaign",
    "collectCampaign",
)
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
        err.print(f"{function} has written nothing in the last {minutes:g} minutes; --minutes looks further back")


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
    from thumbs.cli.preview import preview_sheet

    sheet = preview_sheet(_checked(titles or []), font, debug)
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
