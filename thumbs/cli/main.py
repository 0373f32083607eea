"""The command ``thumbs``: its commands put together, and what goes wrong as one line."""

import sys

from botocore.exceptions import BotoCoreError, ClientError
from rich.markup import escape

from thumbnails.errors import ThumbnailError

# In the order in which the help lists the commands.
from thumbs.cli import (
    run_commands,  # noqa: F401
    stack_commands,  # noqa: F401
    tool_commands,  # noqa: F401
)
from thumbs.cli.app import app, err
from thumbs.cli.application import Application, in_plain_words
from thumbs.command_error import CommandError


def main() -> None:
    """Run the command; what goes wrong is one line, never a traceback."""
    try:
        app()
    except CommandError as error:
        _fail(str(error))
    except (ThumbnailError, BotoCoreError, ClientError) as failure:
        # The domain's own errors carry AWS's as their cause, which says more to a person at a terminal.
        aws = failure if isinstance(failure, BotoCoreError | ClientError) else failure.__cause__
        known = aws if isinstance(aws, BotoCoreError | ClientError) else None
        _fail(str(in_plain_words(known, Application.named_endpoint()) if known else failure))
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(message: str) -> None:
    err.print(f"[red]✗[/] {escape(message)}")
    sys.exit(1)
