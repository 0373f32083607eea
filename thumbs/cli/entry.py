"""Where the command ``thumbs`` begins: it imports for half a second, and on a cold disk for more."""

import sys


def main() -> None:
    """Run the command; Ctrl-C while it is still being imported is no traceback either."""
    try:
        from thumbs.cli.main import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()
