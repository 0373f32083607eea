"""A logo as somebody drew it → a PNG that is safe to draw: of an SVG only plain shapes, of a PNG only the pixels.

The rasteriser gets an SVG that was read and written anew, of elements that are named here and no others: nothing of it
leads to a file or a host, or runs. What grows as it is drawn ends with the process that draws it. Only what puts a kit
needs this module.
"""

import os
import signal
import subprocess  # nosec B404 # see _rasterised
import sys
from io import BytesIO

from lxml import etree
from PIL import Image

from thumbnails.brands.kit import LOGO_PIXELS, PNG, png_size
from thumbnails.errors import quoted

#: The longer side of a logo that was an SVG: a third of the widest canvas at the greatest height, and more.
SVG_PIXELS = 1200
SVG_BYTES = 200_000
PNG_BYTES = 2_000_000
#: Of the processor, to draw it; a plain logo takes a tenth of one.
SVG_SECONDS = 5
#: Width to height, or height to width.
SVG_RATIO = 20
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_PLAIN = {
    *("svg", "g", "defs", "symbol", "use", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon"),
    *("linearGradient", "radialGradient", "stop", "clipPath", "mask", "style", "title", "desc"),
}
#: What else is in files that drawing programs write, and draws nothing.
_SILENT = {"metadata"}
_INSTEAD = {
    "text": "turn text into outlines",
    "image": "give a PNG where the logo is a picture",
    "filter": "a logo has no filters; draw the effect, or give a PNG",
    "script": "a logo runs nothing",
    "foreignObject": "a logo holds no page",
}
_EXPECTED = "a logo is a PNG or an SVG"


def logo_png(data: bytes) -> bytes:
    """A logo's PNG, made of the pixels alone.

    Args:
        data: a PNG or an SVG file.

    Raises:
        ValueError: it is neither, is broken, too large, or holds what a logo has no need of.
    """
    if data[:8] == PNG:
        return _encoded(_opened(data))
    start = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if data[:2] == b"\x1f\x8b":
        raise ValueError(f"is packed (SVGZ); {_EXPECTED}, not packed")
    if not start.startswith(b"<"):
        raise ValueError(f"is neither PNG nor SVG; {_EXPECTED}")
    return _encoded(_opened(_drawn(data)))


def _opened(data: bytes) -> Image.Image:
    if len(data) > PNG_BYTES:
        raise ValueError(f"has {len(data):,} bytes; a logo's PNG has at most {PNG_BYTES:,}")
    try:
        width, height = png_size(data)
        if max(width, height) > LOGO_PIXELS:
            raise ValueError(f"is {width} x {height} pixels; a logo has at most {LOGO_PIXELS} a side")
        with Image.open(BytesIO(data), formats=("PNG",)) as picture:
            opened = picture.convert("RGBA")
    except (OSError, SyntaxError) as error:
        raise ValueError(f"is no PNG that can be read: {error}; {_EXPECTED}") from None
    if not opened.getchannel("A").getbbox():
        raise ValueError("is transparent everywhere; a logo is something that can be seen")
    return opened


def _encoded(picture: Image.Image) -> bytes:
    file = BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def _drawn(data: bytes) -> bytes:
    if len(data) > SVG_BYTES:
        raise ValueError(f"has {len(data):,} bytes; a logo's SVG has at most {SVG_BYTES:,}: simplify it, or give a PNG")
    root = _read(data)
    _check(root)
    wide, high = _size(root)
    if max(wide, high) > SVG_RATIO * min(wide, high):
        raise ValueError(f"is {wide:g} x {high:g}; its longer side is at most {SVG_RATIO} times the shorter")
    root.set("viewBox", root.get("viewBox") or f"0 0 {wide:g} {high:g}")
    root.set("width", f"{wide:g}")
    root.set("height", f"{high:g}")
    return _rasterised(etree.tostring(root), "width" if wide >= high else "height")


def _rasterised(svg: bytes, side: str) -> bytes:
    """The drawing, its longer side named, by a process that may neither go on for ever nor take this one with it."""
    command = [sys.executable, "-m", "thumbnails.brands.rasterise", side, str(SVG_PIXELS), str(SVG_SECONDS)]
    paths = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    try:
        done = subprocess.run(  # nosec B603 # this interpreter, and words of this module
            command, input=svg, capture_output=True, timeout=SVG_SECONDS * 4, env=paths, check=False
        )
    except subprocess.TimeoutExpired:
        done = None
    if done is None or done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise ValueError(f"takes more than {SVG_SECONDS} s to draw: simplify it, or give a PNG")
    if done.returncode:
        raise ValueError("cannot be drawn: simplify it, or give a PNG")
    return done.stdout


def _read(data: bytes) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise ValueError(f"is no SVG that can be read: {' '.join(str(error).split())[:200]}") from None
    document = root.getroottree().docinfo.internalDTD
    if document is not None and any(True for _ in document.iterentities()):
        raise ValueError("defines entities (<!ENTITY …>); save it without them")
    if root.tag != f"{{{_SVG}}}svg":
        raise ValueError(f'is no SVG: it begins with {quoted(str(root.tag))}, and not with <svg xmlns="{_SVG}">')
    return root


def _check(root: etree._Element) -> None:
    """Take out what draws nothing, and refuse what is no plain shape.

    Raises:
        ValueError: with what is wrong and what is right.
    """
    for element in list(root.iter()):
        if not isinstance(element.tag, str):
            raise ValueError("holds a reference to an entity; save it without entities")
        space, _, name = element.tag.rpartition("}")
        if space != "{" + _SVG or name in _SILENT:
            # A drawing program's own notes.
            parent = element.getparent()
            if parent is not None:
                parent.remove(element)
            continue
        if name not in _PLAIN:
            said = _INSTEAD.get(name, "a logo has shapes, groups, gradients, clips and masks")
            raise ValueError(f"has the element <{name[:40]}>: {said}")
        _check_attributes(element)


def _check_attributes(element: etree._Element) -> None:
    for key, value in list(element.attrib.items()):
        space, _, name = str(key).rpartition("}")
        if space not in ("", "{" + _XLINK):
            del element.attrib[key]
        elif name == "href" and not str(value).strip().startswith("#"):
            raise ValueError(f"refers to {quoted(str(value))}; a logo holds all that it shows")
        elif name.lower().startswith("on"):
            raise ValueError(f"has the script {name[:40]}; a logo runs nothing")
        else:
            _check_style(str(value))
    if element.tag == f"{{{_SVG}}}style":
        _check_style(element.text or "")


def _check_style(text: str) -> None:
    plain = "".join(text.split()).lower()
    if "@import" in plain or "\\" in plain:
        raise ValueError("has a style that loads another (@import) or hides what it says; write it plainly")
    for reference in plain.split("url(")[1:]:
        if not reference.lstrip("\"'").startswith("#"):
            raise ValueError(f"refers to {quoted(reference.partition(')')[0])}; a logo holds all that it shows")


def _size(root: etree._Element) -> tuple[float, float]:
    """Width and height in units of the drawing."""
    try:
        box = [float(part) for part in str(root.get("viewBox", "")).replace(",", " ").split()]
        if not box:
            box = [0.0, 0.0, *(float(str(root.get(side, "")).removesuffix("px")) for side in ("width", "height"))]
        _, _, wide, high = box
    except ValueError:
        raise ValueError("has no viewBox, nor width and height in pixels; give it one, such as 0 0 400 100") from None
    if not (1e-3 <= wide <= 1e6 and 1e-3 <= high <= 1e6):
        raise ValueError(f"is {wide:g} x {high:g}; a viewBox has 0.001 to 1,000,000 units a side")
    return wide, high
