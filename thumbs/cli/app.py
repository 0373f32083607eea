"""What every command shares: the application of commands itself, where it prints, and its common arguments."""

from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
out = Console(highlight=False, soft_wrap=False)
err = Console(highlight=False, stderr=True, soft_wrap=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print the bare JSON and nothing else.")]
Run = Annotated[str, typer.Argument(help="The run's id, as `thumbs runs` lists it.")]
Watch = Annotated[bool, typer.Option("--watch/--no-watch", help="Wait for the end, or only start.")]
