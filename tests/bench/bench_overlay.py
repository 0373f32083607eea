"""What the overlay costs, beside decoding and encoding alone and beside other ways to do the same work.

Run with ``make bench-overlay``; in ``OPTIONS``, ``--runs N`` sets how many times each figure is taken (the median is
printed), ``--markdown`` prints the table as docs/overlay.md has it, ``--against FOLDER`` compares the overlay with that
of another checkout. Everything runs on one core and is counted in processor time: on an idle machine that is the time
it takes, on a busy one still what it costs. glibc keeps memory as it does in the function. ImageMagick is measured
where its ``convert`` is installed, sharp where Node.js finds it (NODE_PATH).
"""

import argparse
import io
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

sys.path.insert(0, str(Path(__file__).parents[2] / "functions"))

from thumbnails.images.overlay import breaks, compose, layout, picture, typefaces
from thumbnails.images.overlay.coverage import FOLDER
from thumbnails.images.overlay.templates import FORMATS, HEIGHT, TEMPLATES, WIDTH, Place, place

FONT = "inter"
TITLE = "How We Cut Our AWS Bill by 80% Without Losing a Single Feature"
INPUTS = (("JPEG", 1536, 816), ("JPEG", 1536, 1024), ("PNG", 1376, 768), ("PNG", 2752, 1536))
# What the function's environment has (template.yaml): glibc keeps the memory of one picture for the next.
MEMORY = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "67108864", "MALLOC_ARENA_MAX": "1"}


def photo(width: int, height: int) -> Image.Image:
    """Something with the detail of a photograph: a sky-to-ground gradient under noise that falls off with frequency."""
    dice = np.random.default_rng(3)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1

    def texture() -> NDArray[np.float64]:
        waves = np.fft.rfft2(dice.standard_normal((height, width))) / frequency**1.35
        pattern = np.fft.irfft2(waves, s=(height, width))
        return np.asarray((pattern - pattern.mean()) / pattern.std())

    shade, down = texture(), np.linspace(0, 1, height)[:, None]
    bands = [
        top + (bottom - top) * down + 42 * shade + 10 * texture() for top, bottom in ((150, 60), (180, 90), (235, 50))
    ]
    return Image.fromarray(np.clip(np.stack(bands, -1), 0, 255).astype(np.uint8))


def encoded(kind: str, width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    photo(width, height).save(buffer, kind, quality=90)
    return buffer.getvalue()


def spent() -> float:
    """Milliseconds of processor time that this process and those it has started and waited for have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return 1000 * sum(one.ru_utime + one.ru_stime for one in used)


def medians(works: Sequence[Callable[[], object]], runs: int) -> list[float]:
    """Median milliseconds of each, taken in turns, so that a slow moment of the machine falls on all alike."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(runs + 1):
        for work, taken in zip(works, times, strict=True):
            start = spent()
            work()
            taken.append(spent() - start)
    return [statistics.median(taken[1:]) for taken in times]


def forget_titles() -> None:
    """Drop every cached fit and mask; fonts stay open, as they do in a process that serves many titles."""
    for cached in (
        layout.measure,
        breaks.find_breaks,
        compose._mask,
        compose._emoji,
        compose._shadow_and_glow,
        typefaces.render,
        typefaces.advance,
        typefaces.rise_and_fall,
    ):
        cached.cache_clear()


def plain(data: bytes, title: str, where: Place) -> bytes:
    """The usual way with Pillow: resize all of it, try every size, compose and blur at the size of the frame."""
    source = Image.open(io.BytesIO(data)).convert("RGB")
    scale = max(WIDTH / source.width, HEIGHT / source.height)
    source = source.resize((round(source.width * scale), round(source.height * scale)), Image.Resampling.LANCZOS)
    left, top = (source.width - WIDTH) // 2, (source.height - HEIGHT) // 2
    frame = source.crop((left, top, left + WIDTH, top + HEIGHT)).convert("RGBA")
    overlay = Image.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 0))
    pen = ImageDraw.Draw(overlay)
    if where.panel:
        pen.rectangle(where.panel, fill=(0, 0, 0, 199))
    x, y, right, bottom = where.box
    font, lines = ImageFont.truetype(FOLDER / f"{FONT}.ttf", 32), [title]
    for size in range(80, 31, -2):
        font = ImageFont.truetype(FOLDER / f"{FONT}.ttf", size)
        lines = [""]
        for word in title.split():
            longer = f"{lines[-1]} {word}".strip()
            if pen.textlength(longer, font=font) <= right - x:
                lines[-1] = longer
            else:
                lines.append(word)
        if len(lines) <= where.shape.lines and len(lines) * size * 1.25 <= bottom - y + size * 0.25:
            break
    step = font.size * 1.25
    y += round((bottom - y - len(lines) * step) / 2)
    if not where.panel:
        shadow = Image.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 0))
        for radius in (24, 6):
            for i, line in enumerate(lines):
                ImageDraw.Draw(shadow).text((x, y + i * step), line, font=font, fill=(0, 0, 0, 255))
            shadow = shadow.filter(ImageFilter.GaussianBlur(radius))
        frame = Image.alpha_composite(frame, shadow)
    for i, line in enumerate(lines):
        pen.text((x, y + i * step), line, font=font, fill=(255, 255, 255, 255))
    buffer = io.BytesIO()
    Image.alpha_composite(frame, overlay).convert("RGB").save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def image_magick(program: str, path: Path, title: str, where: Place) -> None:
    """One run of ``convert``: its start is part of the figure, as it is part of using it."""
    x, y, right, bottom = where.box
    gravity = "center" if where.shape.align == "center" else "west"
    text = [
        "-background",
        "none",
        "-fill",
        "white",
        "-font",
        str(FOLDER / f"{FONT}.ttf"),
        "-gravity",
        gravity,
    ]
    text += ["-size", f"{right - x}x{bottom - y}", f"caption:{title}"]
    command = [program, str(path), "-resize", f"{WIDTH}x{HEIGHT}^", "-gravity", "center"]
    command += ["-extent", f"{WIDTH}x{HEIGHT}", "+gravity"]
    if where.panel:
        corners = "{},{} {},{}".format(*where.panel)
        command += ["-fill", "rgba(0,0,0,0.78)", "-draw", f"rectangle {corners}"]
        command += ["(", *text, ")", "-gravity", "northwest", "-geometry", f"+{x}+{y}", "-composite"]
    else:
        command += ["(", *text, "(", "+clone", "-background", "black", "-shadow", "90x9+0+4", ")", "+swap"]
        command += ["-background", "none", "-layers", "merge", "+repage", ")"]
        command += ["-gravity", "northwest", "-geometry", f"+{x}+{y}", "-composite"]
    command += ["-sampling-factor", "4:2:0", "-quality", "85", "jpg:/dev/null"]
    subprocess.run(command, check=True, env={**os.environ, "MAGICK_THREAD_LIMIT": "1"})


SHARP = """
const sharp = require('sharp'), fs = require('fs');
sharp.concurrency(1); sharp.cache(false);
const {file, font, title, box, panel, align, runs} = JSON.parse(fs.readFileSync(0));
const data = fs.readFileSync(file), [x, y, right, bottom] = box;
async function once() {
  const text = await sharp({text: {text: `<span foreground="white">${title}</span>`, font: 'Inter Bold', fontfile: font,
    width: right - x, height: bottom - y, align, rgba: true}}).png({compressionLevel: 0}).toBuffer();
  const layers = [];
  if (panel) layers.push({input: {create: {width: panel[2] - panel[0], height: panel[3] - panel[1], channels: 4,
    background: {r: 0, g: 0, b: 0, alpha: 0.78}}}, left: panel[0], top: panel[1]});
  else {
    const clear = {r: 0, g: 0, b: 0, alpha: 0};
    const shadow = await sharp(text).extend({top: 24, bottom: 24, left: 24, right: 24, background: clear})
      .linear([0, 0, 0, 1], [0, 0, 0, 0]).blur(9).png({compressionLevel: 0}).toBuffer();
    layers.push({input: shadow, left: x - 24, top: y - 20});
  }
  layers.push({input: text, left: x, top: y});
  await sharp(data).resize(1200, 630, {fit: 'cover'}).composite(layers)
    .jpeg({quality: 85}).toBuffer();
}
(async () => {
  await once();
  const times = [];
  for (let i = 0; i < runs; i++) {
    const start = process.cpuUsage();
    await once();
    const used = process.cpuUsage(start);
    times.push((used.user + used.system) / 1000);
  }
  times.sort((a, b) => a - b);
  console.log(JSON.stringify(times[times.length >> 1]));
})();
"""


def sharp(path: Path, title: str, where: Place, runs: int) -> float | None:
    """sharp's median, timed inside a Node.js process that is warm."""
    job = {
        "file": str(path),
        "font": str(FOLDER / f"{FONT}.ttf"),
        "title": title,
        "box": where.box,
        "panel": where.panel,
        "align": "centre" if where.shape.align == "center" else "left",
        "runs": runs,
    }
    done = subprocess.run(["node", "-e", SHARP], input=json.dumps(job), capture_output=True, text=True, check=False)
    return float(done.stdout) if done.returncode == 0 else None


def convert_of_image_magick() -> str | None:
    for name in ("convert-im6.q16", "magick", "convert"):
        program = shutil.which(name)
        if program and b"ImageMagick" in subprocess.run([program, "-version"], capture_output=True, check=False).stdout:
            return program
    return None


def has_sharp() -> bool:
    if not shutil.which("node"):
        return False
    return subprocess.run(["node", "-e", "require('sharp')"], capture_output=True, check=False).returncode == 0


COLUMNS = (
    "input",
    "template",
    "decode",
    "encode",
    "new title",
    "ratio",
    "same title",
    "ratio",
    "plain Pillow",
    "times",
    "ImageMagick",
    "sharp",
)


def row(data: bytes, kind: str, name: str, runs: int, path: Path, program: str | None, node: bool) -> list[str]:
    where = place(TEMPLATES[name])

    def new_title() -> None:  # and it leaves the title known for the one that follows
        forget_titles()
        compose.draw_overlay(data, TITLE, name, FONT)

    def decode() -> Image.Image:
        opened = Image.open(io.BytesIO(data))
        opened.load()
        return opened

    words = compose.Words(TITLE, name, FONT)
    laid_out = words.on("og")
    finished = compose.canvas_of(picture.open_picture(data), laid_out)
    tones = compose.darken(finished, laid_out)
    sharp_chroma = tones.bleeds or compose._chroma_would_bleed(finished, laid_out)
    compose.draw_title(finished, laid_out, tones)

    decoding, encoding, new, same, usual = medians(
        (
            decode,
            lambda: picture.encode(finished, sharp_chroma),
            new_title,
            lambda: compose.draw_overlay(data, TITLE, name, FONT),
            lambda: plain(data, TITLE, where),
        ),
        runs,
    )
    magick = medians([lambda: image_magick(program, path, TITLE, where)], 3)[0] if program else None
    other = sharp(path, TITLE, where, runs) if node else None
    floor = decoding + encoding
    figures = [f"{decoding:.1f}", f"{encoding:.1f}", f"{new:.1f}", f"{new / floor:.2f}", f"{same:.1f}"]
    figures += [f"{same / floor:.2f}", f"{usual:.1f}", f"{usual / same:.1f}"]
    figures += ["–" if value is None else f"{value:.0f}" for value in (magick, other)]
    return [kind, name, *figures]


def further_formats(runs: int) -> list[list[str]]:
    """What a further format of a picture costs once its original is decoded: laying out, cutting, drawing; its file.

    The title has been set for the format before it; a new one never for this format, the same one for the model before.
    """
    rows = [["format", "template", "lay out and draw a new title", "the same title", "encode"]]
    opened = picture.open_picture(encoded("JPEG", 1536, 806), [(one.width, one.height) for one in FORMATS.values()])

    def draw(form: str, words: compose.Words) -> Image.Image:
        laid_out = words.on(form)
        canvas = compose.canvas_of(opened, laid_out)
        tones = compose.darken(canvas, laid_out)
        _ = tones.bleeds or compose._chroma_would_bleed(canvas, laid_out)
        compose.draw_title(canvas, laid_out, tones)
        return canvas

    for form in FORMATS:
        first = "youtube" if form == "og" else "og"
        for name in TEMPLATES:
            words = compose.Words(TITLE, name, FONT)
            finished = draw(form, words)
            works = (
                forget_titles,
                lambda first=first, words=words: draw(first, words),
                lambda form=form, words=words: draw(form, words),  # a new title
                lambda form=form, words=words: draw(form, words),  # and again
                lambda finished=finished: picture.encode(finished, False),
            )
            _, _, new, same, encoding = medians(works, runs)
            rows.append([form, name, f"{new:.1f}", f"{same:.1f}", f"{encoding:.1f}"])
    return rows


WORKER = """
import json, sys, time
sys.path[:0] = [sys.argv[1] + "/functions", sys.argv[1]]
from tests.bench.bench_overlay import FONT, TITLE, compose, encoded, forget_titles
inputs = {}
for line in sys.stdin:
    name, is_new, *kind = json.loads(line)
    if tuple(kind) not in inputs:
        inputs[tuple(kind)] = encoded(*kind)
    data = inputs[tuple(kind)]
    if is_new:
        forget_titles()
    start = time.process_time()
    compose.draw_overlay(data, TITLE, name, FONT)
    print(1000 * (time.process_time() - start), flush=True)
"""


def against(folder: str, runs: int) -> list[list[str]]:
    """The overlay of another checkout and this one's, in turns, each in a process of its own that is warm."""
    here = str(Path(__file__).parents[2])
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        for code in (folder, here)
    ]
    rows = [["input", "template", "same title, before", "after", "times", "new title, before", "after", "times"]]
    for kind, width, height in INPUTS:
        for name in TEMPLATES:
            rows.append([f"{kind} {width} × {height}", name])
            for is_new in (False, True):
                taken: list[list[float]] = [[], []]
                for _ in range(runs + 1):
                    for worker, times in zip(workers, taken, strict=True):
                        assert worker.stdin and worker.stdout
                        worker.stdin.write(json.dumps([name, is_new, kind, width, height]) + "\n")
                        times.append(float(worker.stdout.readline()))
                before, after = (statistics.median(times[1:]) for times in taken)
                rows[-1] += [f"{before:.1f}", f"{after:.1f}", f"{before / after:.2f}"]
    for worker in workers:
        worker.communicate()
    return rows


def peak_memory() -> float:
    """The most memory in MB that a fresh process held while it drew every template over the largest input."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from thumbnails.images.overlay.compose import draw_overlay\n"
        "data = open(sys.argv[2], 'rb').read()\n"
        "for name in sys.argv[3:]: draw_overlay(data, 'How We Cut Our AWS Bill by 80%', name, 'inter')\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        file.write(encoded(*INPUTS[-1]))
        file.flush()
        folder = str(Path(__file__).parents[2] / "functions")
        command = [sys.executable, "-c", code, folder, file.name, *TEMPLATES]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1024


def show(rows: list[list[str]], markdown: bool) -> None:
    """Print a table; its first row names the columns."""
    count = len(rows[0])
    if markdown:
        rows.insert(1, ["---", "---", *["--:"] * (count - 2)])
        print("\n".join(f"| {' | '.join(cells)} |" for cells in rows))
    else:
        widths = [max(len(cells[i]) for cells in rows) for i in range(count)]
        print("\n".join("  ".join(cell.rjust(widths[i]) for i, cell in enumerate(cells)) for cells in rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument(
        "--against", metavar="FOLDER", help="another checkout: both overlays in turns, and nothing else"
    )
    options = parser.parse_args()
    if not MEMORY.items() <= os.environ.items():  # glibc reads them when a process starts
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **MEMORY})  # noqa: S606
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if options.against:
        show(against(options.against, options.runs), options.markdown)
        return
    program, node = convert_of_image_magick(), has_sharp()
    rows = [list(COLUMNS)]
    with tempfile.TemporaryDirectory() as folder:
        for kind, width, height in INPUTS:
            data = encoded(kind, width, height)
            path = Path(folder) / f"{width}.{kind.lower()}"
            path.write_bytes(data)
            rows += [
                row(data, f"{kind} {width} × {height}", name, options.runs, path, program, node) for name in TEMPLATES
            ]
    show(rows, options.markdown)
    print()
    show(further_formats(options.runs), options.markdown)
    print(
        "\nMedian milliseconds of processor time; ratio: to decode + encode; times: plain Pillow over the same title."
    )
    print(f"Peak memory for PNG {INPUTS[-1][1]} × {INPUTS[-1][2]}: {peak_memory():.0f} MB")


if __name__ == "__main__":
    main()
