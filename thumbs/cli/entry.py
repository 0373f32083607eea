"""Where the command ``thumbs`` begins: it imports for half a second, and on a cold disk for more."""

import gc
import sys


def main() -> None:
    """Run the command; Ctrl-C while it is still being imported is no traceback either."""
    # An import makes much that stays and little that is garbage.
    gc.disable()
    try:
        from thumbs.cli.main import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    gc.freeze()
    gc.enable()
    run()
