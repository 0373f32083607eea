"""``python -m thumbs.image_api``: run the offline image API."""

import argparse
import errno
import signal
import sys

from thumbs.image_api.server import ImageApi, Server, listen


def main() -> int:
    """Run until a signal; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m thumbs.image_api", description="Run the offline image API.")
    parser.add_argument("--host", nargs="+", default=["127.0.0.1"], help="addresses to listen on (default: loopback)")
    parser.add_argument("--port", type=int, default=4567, help="port to listen on, 0 for a free one (default: 4567)")
    parser.add_argument("--latency", type=float, default=1.0, help="seconds that a picture takes (default: 1)")
    parser.add_argument("--jitter", type=float, default=0.0, help="up to so many seconds more (default: 0)")
    options = parser.parse_args()
    if options.latency < 0 or options.jitter < 0:
        parser.error("latency and jitter are seconds, 0 or more")
    try:
        listeners = listen(options.host, options.port)
    except (OSError, OverflowError) as error:
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        why = "the port is in use; choose another with --port, 0 for any free one" if taken else str(error)
        print(f"The image API can't listen on {', '.join(options.host)}, port {options.port}: {why}.", file=sys.stderr)
        return 1
    # uvicorn ends on these by itself, then raises them again; an orderly end is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    Server(
        ImageApi(options.latency, options.jitter),
        listeners,
        lambda url: print(f"Image API ready on {url} (latency {options.latency:g} s)", flush=True),
    ).answer()
    return 0


if __name__ == "__main__":
    sys.exit(main())
