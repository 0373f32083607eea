"""The command ``thumbs``: its commands put together, and what goes wrong as one line."""

import os
import sys
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError
from rich.markup import escape

from thumbnails.errors import ThumbnailError

# In the order in which the help lists the commands.
from thumbs.cli import (
    brand_commands,  # noqa: F401
    budget_commands,  # noqa: F401
    event_commands,  # noqa: F401
    run_commands,  # noqa: F401
    save_commands,  # noqa: F401
    stack_commands,  # noqa: F401
    tool_commands,  # noqa: F401
)
from thumbs.cli.app import app, err
from thumbs.cli.application import in_plain_words
from thumbs.command_error import CommandError


def main() -> None:
    """Run the command; what goes wrong is one line, never a traceback."""
    try:
        try:
            app()
        finally:
            # Here a closed pipe can still be caught; at the interpreter's own end it could not.
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except CommandError as problem:
        _fail(str(problem))
    except (ThumbnailError, BotoCoreError, ClientError) as error:
        # The domain's own errors carry AWS's as their cause, which says more to a person at a terminal.
        aws = error if isinstance(error, BotoCoreError | ClientError) else error.__cause__
        _fail(str(in_plain_words(aws) if isinstance(aws, BotoCoreError | ClientError) else error))
    except OSError as error:
        # A disk that is full, a folder that cannot be written.
        _fail(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(message: str) -> NoReturn:
    err.print(f"[red]✗[/] {escape(message)}")
    sys.exit(1)
