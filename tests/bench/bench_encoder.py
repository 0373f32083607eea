"""What JPEG settings cost in bytes, in processor time and in what the eye sees, over twenty finished thumbnails.

Run with ``make bench-encoder``; ``--markdown`` prints the table as docs/overlay.md has it. Twelve pictures are taken
from Debian's ``mate-backgrounds`` (so ``apt-get`` has to be there), four from the wheels of scikit-image and
scikit-learn, four are drawn by the offline image API. Each is finished with a title in one of the ten templates, and
every setting encodes that. What is fetched stays in ``.cache``.

The score is SSIMULACRA2's (100 is the same picture, 90 cannot be told apart, 70 is high quality), of the package
``ssimulacra2``. Sizes are shares of the progressive file of quality 85. Times are the least of five, averaged.
"""

import argparse
import io
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from tests.bench.bench_overlay import FONT, TITLE, show
from thumbnails.catalog import STYLES
from thumbnails.images.overlay import compose, picture
from thumbnails.images.overlay.templates import TEMPLATES
from thumbs.image_api.drawing import draw

CACHE = Path(__file__).parents[2] / ".cache" / "bench-encoder"
DEBIAN = "mate-backgrounds"
PACKAGES = ("ssimulacra2==0.3.0", "scipy==1.17.1")
WHEELS = ("scikit-image==0.26.0", "scikit-learn==1.9.1")
BACKGROUNDS = (
    *(f"nature/{name}.jpg" for name in ("Aqua", "Blinds", "Dune", "Garden", "LadyBird", "RainDrops", "Storm")),
    *(f"nature/{name}.jpg" for name in ("TwoWings", "Wood", "YellowFlower")),
    "desktop/Float-into-MATE.png",
    "desktop/GreenTraditional.jpg",
)
SAMPLES = (
    *(f"skimage/data/{name}.png" for name in ("astronaut", "coffee", "chelsea")),
    "sklearn/datasets/images/china.jpg",
)
DRAWN = {
    "photorealistic": "The harbour at dawn",
    "cartoon": "City lights and data centres",
    "watercolor": "A walk in the mountains",
    "neon": "Neon markets at night",
}
# Robidoux's table, for lightness and colour: what ImageMagick's and mozjpeg's users take.
ROBIDOUX = (
    *(16, 16, 16, 18, 25, 37, 56, 85, 16, 17, 20, 27, 34, 40, 53, 75, 16, 20, 24, 31, 43, 62, 91, 135),
    *(18, 27, 31, 40, 53, 74, 106, 156, 25, 34, 43, 53, 69, 94, 131, 189, 37, 40, 62, 74, 94, 124, 169, 238),
    *(56, 53, 91, 106, 131, 169, 226, 311, 85, 75, 135, 156, 189, 238, 311, 418),
)


@dataclass(frozen=True)
class Finished:
    """A canvas with its title, and whether the overlay asks for whole chroma."""

    name: str
    canvas: Image.Image
    sharp_chroma: bool


def fetch() -> None:
    """Have the pictures and the score's package in the cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    if not (CACHE / "usr").exists():
        subprocess.run(["apt-get", "download", DEBIAN], cwd=CACHE, check=True, capture_output=True)
        subprocess.run(["dpkg", "-x", next(CACHE.glob(f"{DEBIAN}_*.deb")), CACHE], check=True)
    uv = [str(Path(sys.executable).parent / "uv"), "pip", "install", "--quiet", "--python", sys.executable]
    if not (CACHE / "score").exists():
        subprocess.run([*uv, "--target", CACHE / "score", *PACKAGES], check=True)
    if not (CACHE / "samples").exists():
        subprocess.run([*uv, "--no-deps", "--target", CACHE / "samples", *WHEELS], check=True)


def pictures() -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each picture, as a provider would answer it."""
    files = [CACHE / "usr/share/backgrounds/mate" / name for name in BACKGROUNDS]
    for file in [*files, *(CACHE / "samples" / name for name in SAMPLES)]:
        yield file.stem, file.read_bytes()
    for style, title in DRAWN.items():
        drawn = io.BytesIO()
        draw(f"{STYLES[style]}\n{title}", "gpt-image-1", 1536, 816).save(drawn, "PNG")
        yield style, drawn.getvalue()


def finish(name: str, data: bytes, template: str) -> Finished:
    """A picture with its title on it, as ``draw_formats`` has it before it encodes."""
    laid_out = compose.Words(TITLE, template, FONT).on("og")
    canvas = compose.canvas_of(picture.open_picture(data), laid_out)
    tones = compose.darken(canvas, laid_out)
    sharp = tones.bleeds or compose._chroma_would_bleed(canvas, laid_out)
    compose.draw_title(canvas, laid_out, tones)
    return Finished(name, canvas, sharp)


Encoder = Callable[[Finished], bytes]


def pillow(**options: Any) -> Encoder:
    """Pillow's encoder with these options, and chroma as the overlay asks for unless they say."""

    def encode(one: Finished) -> bytes:
        buffer = io.BytesIO()
        one.canvas.save(buffer, "JPEG", **{"subsampling": 0 if one.sharp_chroma else 2, **options})
        return buffer.getvalue()

    return encode


def robidoux(quality: int) -> Encoder:
    table = [min(255, max(1, round(step * (2 - quality / 50)))) for step in ROBIDOUX]
    return pillow(qtables=[table, table])


SETTINGS: dict[str, Encoder] = {
    "progressive, 85": pillow(quality=85, progressive=True),
    "progressive, 85, all 4:2:0": pillow(quality=85, progressive=True, subsampling=2),
    "progressive, 85, all 4:4:4": pillow(quality=85, progressive=True, subsampling=0),
    "own Huffman tables, 85": pillow(quality=85, optimize=True),
    "own Huffman tables, 85, all 4:4:4": pillow(quality=85, optimize=True, subsampling=0),
    "plain, 85": pillow(quality=85),
    "plain, 83": pillow(quality=83),
    "plain, 80": pillow(quality=80),
    "plain, Robidoux 85": robidoux(85),
    "plain, Peterson": pillow(qtables=picture._steps(picture.QUALITY)),
    "own Huffman tables, Peterson": pillow(qtables=picture._steps(picture.QUALITY), optimize=True),
    "**what is used**": lambda one: picture.encode(one.canvas, one.sharp_chroma),
}


def least_time(encoder: Encoder, one: Finished) -> float:
    """Milliseconds of processor time, the least of five."""
    taken = []
    for _ in range(5):
        start = time.process_time()
        encoder(one)
        taken.append(1000 * (time.process_time() - start))
    return min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--each", action="store_true", help="the sizes of each picture too")
    options = parser.parse_args()
    fetch()
    # Last in the path: what the project has itself is the project's.
    sys.path.append(str(CACHE / "score"))
    from ssimulacra2 import compute_ssimulacra2  # type: ignore[import-not-found, unused-ignore]

    templates = list(TEMPLATES)
    finished = [finish(name, data, templates[at % len(templates)]) for at, (name, data) in enumerate(pictures())]
    sizes = {name: [len(encoder(one)) for one in finished] for name, encoder in SETTINGS.items()}
    before = sizes["progressive, 85"]
    rows = [
        ["setting", "size, mean", "of all bytes", "largest", "least", "kB at most", "ms 4:2:0", "ms 4:4:4", "score"]
    ]
    rows[0].append("least score")
    for name, encoder in SETTINGS.items():
        shares = [size / usual for size, usual in zip(sizes[name], before, strict=True)]
        times = [(one.sharp_chroma, least_time(encoder, one)) for one in finished]
        scores = []
        for one in finished:
            lossless = io.BytesIO()
            one.canvas.save(lossless, "PNG", compress_level=1)
            scores.append(compute_ssimulacra2(lossless, io.BytesIO(encoder(one))))
        figures = [statistics.mean(shares), sum(sizes[name]) / sum(before), max(shares), min(shares)]
        rows.append([name, *(f"{figure:.3f}" for figure in figures), f"{max(sizes[name]) / 1000:.0f}"])
        rows[-1] += [f"{statistics.mean(ms for sharp, ms in times if sharp is whole):.1f}" for whole in (False, True)]
        rows[-1] += [f"{statistics.mean(scores):.1f}", f"{min(scores):.1f}"]
    show(rows, options.markdown)
    if options.each:
        print()
        each = [[one.name, "4:4:4" if one.sharp_chroma else "4:2:0"] for one in finished]
        for at, row in enumerate(each):
            row += [f"{usual[at]:,}" for usual in sizes.values()]
        show([["picture", "chroma", *sizes], *each], options.markdown)


if __name__ == "__main__":
    main()
