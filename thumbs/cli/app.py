"""What every command shares: the application of commands itself, where it prints, and its common arguments."""

from importlib.metadata import version
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich")
out = Console(highlight=False, soft_wrap=False)
err = Console(highlight=False, stderr=True, soft_wrap=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"thumbs {version('fan-out-thumbnails')}")
        raise typer.Exit


@app.callback()
def thumbs(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Blog thumbnails by many titles and many models at once, in an AWS account or on this machine."""


AsJson = Annotated[bool, typer.Option("--json", help="Print the bare JSON and nothing else.")]
Run = Annotated[str, typer.Argument(help="The run's id, as `thumbs runs` lists it, or the beginning of it.")]
Watch = Annotated[bool, typer.Option("--watch/--no-watch", help="Wait for the end, or only start.")]
