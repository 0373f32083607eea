"""An SVG on standard input → a PNG on standard output, in a process of its own that ends where it takes too much.

``python -m thumbnails.brands.rasterise width|height PIXELS SECONDS``. The rasteriser's own faults (a stack that
overflows, a panic) end this process and no other.
"""

import resource
import sys

import resvg_py

#: Of the address space; a drawing of the greatest size takes a tenth.
BYTES = 1 << 29


def main(side: str, pixels: int, seconds: int) -> None:
    """Draw with at most so many seconds of the processor."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    # No core file of a process that crashes.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    text = sys.stdin.buffer.read().decode()
    if side == "width":
        png = resvg_py.svg_to_bytes(svg_string=text, skip_system_fonts=True, width=pixels)
    else:
        png = resvg_py.svg_to_bytes(svg_string=text, skip_system_fonts=True, height=pixels)
    sys.stdout.buffer.write(png)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
