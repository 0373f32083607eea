"""The same three titles over the same pictures by this product and by two others, side by side; docs/overlay-peers.jpg.

``make bench-peers`` installs the others, at the versions below, into ``.cache/peers`` and draws the sheet anew: satori
with resvg (npm, needs Node.js 20 or later) and the social plugin of mkdocs-material (PyPI), each as its own
documentation has it, with the same fonts. The times are processor time on one machine, decoding and encoding included.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from thumbnails.images.overlay.compose import Words, draw_formats
from thumbnails.images.overlay.coverage import FOLDER
from thumbnails.images.overlay.crops import choose
from thumbnails.images.overlay.templates import FORMATS
from thumbs.image_api.drawing import draw

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "peers"
SAMPLES = ROOT / "functions" / "thumbnails" / "images" / "samples"
SHEET, CROPS = ROOT / "docs" / "overlay-peers.jpg", ROOT / "docs" / "overlay-crops.jpg"
NPM = ("satori@0.63.2", "@resvg/resvg-js@2.6.2", "@twemoji/svg@15.0.0")
PYPI = ("mkdocs-material[imaging]==9.8.2", "mkdocs==1.6.1", "smartcrop==0.5.0")
WIDTH, HEIGHT = 600, 315
#: Title, sample picture, template of ours, and the font that mkdocs-material's user would have to name.
CARDS = (
    ("How we cut our AWS bill by 80 % without losing a single feature", "photorealistic", "gradient-scrim", "Inter"),
    ("كيف تبني صورًا مصغّرة باستخدام Step Functions في 10 دقائق", "sketch", "framed-card", "Noto Sans Arabic"),
    ("“Half the cost”: Node.js 24, C++ 26 and a rocket 🚀", "neon", "left-panel", "Inter"),
)
FONTS = {"Inter": "inter.ttf", "Noto Sans Arabic": "noto-sans-arabic.ttf"}


def install() -> None:
    """Put the others into the cache, once for these versions."""
    wanted = " ".join((*NPM, *PYPI))
    done = CACHE / "installed"
    if done.exists() and done.read_text() == wanted:
        return
    shutil.rmtree(CACHE, ignore_errors=True)
    CACHE.mkdir(parents=True)
    subprocess.run(["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", CACHE, *NPM], check=True)
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", CACHE / "venv"], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", CACHE / "venv", *PYPI], check=True)
    done.write_text(wanted)


def by_us(folder: Path) -> list[float]:
    """Each card's milliseconds."""
    times = []
    for number, (title, picture, template, _) in enumerate(CARDS):
        original = (SAMPLES / f"{picture}.jpg").read_bytes()
        started = time.process_time()
        (finished,) = draw_formats(original, Words(title, template, "inter"), ["og"])
        times.append((time.process_time() - started) * 1000)
        (folder / f"{number}.jpg").write_bytes(finished.file)
    return times


def by_satori(folder: Path) -> list[float]:
    cards = [
        {"title": title, "picture": str(SAMPLES / f"{picture}.jpg"), "out": str(folder / f"{number}.png")}
        for number, (title, picture, _, _) in enumerate(CARDS)
    ]
    fonts = {name: str(FOLDER / file) for name, file in FONTS.items()}
    asked = json.dumps({"node_modules": str(CACHE / "node_modules"), "fonts": fonts, "cards": cards})
    script = Path(__file__).with_name("peers.mjs")
    done = subprocess.run(["node", script], input=asked, capture_output=True, text=True, check=True)
    times: list[float] = json.loads(done.stdout)
    return times


def by_mkdocs(folder: Path) -> list[float]:
    """A site of three pages: what its build takes over the same without cards, a third for each."""
    site = CACHE / "site"
    shutil.rmtree(site, ignore_errors=True)
    (site / "docs").mkdir(parents=True)
    for name, file in FONTS.items():
        # Where the plugin keeps what it has fetched from Google Fonts.
        for style in ("Bold", "Regular"):
            kept = site / ".cache" / "plugin" / "social" / "fonts" / name / f"{style}.ttf"
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(FOLDER / file, kept)
    (site / "docs" / "index.md").write_text("# Home\n")
    for number, (title, picture, _, font) in enumerate(CARDS):
        shutil.copy(SAMPLES / f"{picture}.jpg", site / "docs")
        options = {"background_image": f"docs/{picture}.jpg", "background_color": "#00000080", "font_family": font}
        meta = {"title": title, "social": {"cards_layout_options": options}}
        # JSON is YAML.
        (site / "docs" / f"card{number}.md").write_text(f"---\n{json.dumps(meta, ensure_ascii=False)}\n---\n")

    def build(*, cards: bool) -> float:
        settings = {
            "site_name": "example.com",
            "theme": {"name": "material", "font": {"text": "Inter"}},
            "plugins": [{"social": {"concurrency": 1}}] if cards else [],
        }
        (site / "mkdocs.yml").write_text(json.dumps(settings))
        before = sum(os.times()[2:4])
        subprocess.run(
            [CACHE / "venv" / "bin" / "python", "-m", "mkdocs", "build", "--quiet"],
            cwd=site,
            env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
            check=True,
        )
        return sum(os.times()[2:4]) - before

    without = build(cards=False)
    each = (build(cards=True) - without) * 1000 / len(CARDS)
    for number in range(len(CARDS)):
        shutil.copy(site / "site" / "assets" / "images" / "social" / f"card{number}.png", folder / f"{number}.png")
    return [each] * len(CARDS)


def sheet(columns: dict[str, Path]) -> None:
    """A row for each title, a column for each way."""
    head, gap = 44, 12
    canvas = Image.new("RGB", (3 * WIDTH + 4 * gap, head + 3 * (HEIGHT + gap)), "white")
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.truetype(FOLDER / "inter.ttf", 22)
    for column, (name, folder) in enumerate(columns.items()):
        left = gap + column * (WIDTH + gap)
        pen.text((left, 10), name, "black", font)
        for row in range(3):
            (file,) = folder.glob(f"{row}.*")
            picture = Image.open(file).convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
            canvas.paste(picture, (left, head + row * (HEIGHT + gap)))
    canvas.save(SHEET, quality=88, optimize=True)


#: Reads sizes and the pictures of each from stdin, prints smartcrop's part of each picture and the milliseconds of each
#: size.
SMARTCROP = """
import json, sys, time
from PIL import Image
from smartcrop import SmartCrop
answers = []
for size, paths in json.load(sys.stdin):
    pictures = [Image.open(path).convert("RGB") for path in paths]
    found, started = [], time.process_time()
    for picture in pictures:
        part = SmartCrop().crop(picture, *size)["top_crop"]
        found.append([part["x"], part["y"], part["x"] + part["width"], part["y"] + part["height"]])
    answers.append([found, (time.process_time() - started) * 1000])
print(json.dumps(answers))
"""
#: A title for each scene that the offline image API draws, and models of which one has its light left and one right.
SCENES = (
    *("mountains", "sea", "city", "dunes", "forest", "stars", "network"),
    *("waves", "tree", "blocks", "lake", "desk", "clouds", "aurora"),
)
HANDS = ("gemini-3-pro-image", "gpt-image-1")


def scenes(width: int, height: int) -> list[Path]:
    """The image API's pictures in a size."""
    files = []
    for number, word in enumerate(SCENES):
        files.append(CACHE / "scenes" / f"{width}x{height}-{word}.png")
        files[-1].parent.mkdir(exist_ok=True)
        draw(f'"{word}"', HANDS[number % 2], width, height).save(files[-1])
    return files


def crops() -> None:
    """What this product and smartcrop keep of each picture in a format's shape, one above the other, and the times."""
    wide = scenes(1536, 1024)
    groups = [
        ("samples", "story", sorted(SAMPLES.glob("*.jpg"))),
        ("scenes", "story", wide),
        ("scenes", "square", wide),
        ("square scenes", "og", scenes(1024, 1024)),
    ]
    sizes = [(FORMATS[form].width, FORMATS[form].height) for _, form, _ in groups]
    asked = [(size, [str(file) for file in files]) for size, (_, _, files) in zip(sizes, groups, strict=True)]
    python = str(CACHE / "venv" / "bin" / "python")
    done = subprocess.run(
        [python, "-c", SMARTCROP], input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    cell, gap = 120, 6
    rows: list[Image.Image] = []
    print("\n| of | to | ours, ms | smartcrop, ms | apart |\n|---|---|---|---|---|")
    for (name, form, files), size, (theirs, took) in zip(groups, sizes, json.loads(done.stdout), strict=True):
        pictures = [Image.open(file).convert("RGB") for file in files]
        started = time.process_time()
        ours = [choose(picture, size) for picture in pictures]
        milliseconds = (time.process_time() - started) * 1000
        high = round(cell * size[1] / size[0])
        for parts in (ours, theirs):
            row = Image.new("RGB", (len(SCENES) * (cell + gap) + gap, high + gap), "white")
            for column, (picture, part) in enumerate(zip(pictures, parts, strict=True)):
                cut = picture.resize((cell, high), Image.Resampling.LANCZOS, box=tuple(part))
                row.paste(cut, (gap + column * (cell + gap), gap))
            rows.append(row)
        # Of the side that is cut.
        apart = [
            max(abs(a[axis] - b[axis]) / picture.size[axis] for axis in (0, 1))
            for a, b, picture in zip(ours, theirs, pictures, strict=True)
        ]
        each = f"{milliseconds / len(files):.1f} | {took / len(files):.1f}"
        print(f"| {len(files)} {name} | {form} | {each} | {sum(apart) / len(apart):.0%} |")
    canvas = Image.new("RGB", (rows[0].width, sum(row.height for row in rows) + gap), "white")
    top = 0
    for row in rows:
        canvas.paste(row, (0, top))
        top += row.height
    canvas.save(CROPS, quality=80, optimize=True)


def main() -> None:
    """Install, draw, and print what each card took."""
    install()
    columns, rows = {}, []
    for name, way in (
        ("this product", by_us),
        (f"{NPM[0]} + {NPM[1].rpartition('/')[2]}".replace("@", " "), by_satori),
        (PYPI[0].replace("[imaging]==", " ") + ", social plugin", by_mkdocs),
    ):
        folder = columns[name] = CACHE / way.__name__
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        times = way(folder)
        files = sorted(folder.iterdir())
        rows.append(
            (
                name,
                " / ".join(f"{one:.0f}" for one in times),
                " / ".join(f"{one.stat().st_size / 1000:.0f}" for one in files),
            )
        )
    sheet(columns)
    print("| | ms a card | kB |\n|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    crops()


if __name__ == "__main__":
    main()
