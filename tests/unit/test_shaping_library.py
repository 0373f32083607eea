"""FriBidi comes with the overlay: Lambda has none, and Pillow shapes no title without it."""

import subprocess
import sys
from pathlib import Path

from thumbnails.images.overlay import FRIBIDI

LOOK = """
import sys
sys.path.insert(0, sys.argv[1])
import thumbnails.images.cell
from PIL import features
loaded = {line.split(maxsplit=5)[5].strip() for line in open("/proc/self/maps") if "libfribidi" in line}
print(features.check("raqm"), *loaded, sep="\\n")
"""


def test_titles_are_shaped_with_the_library_that_is_shipped() -> None:
    functions = Path(__file__).parents[2] / "functions"
    looked = subprocess.run(
        [sys.executable, "-c", LOOK, str(functions)], capture_output=True, text=True, check=True, timeout=60
    )
    works, *loaded = looked.stdout.splitlines()
    assert works == "True"
    assert str(FRIBIDI) in loaded


def test_its_licence_is_shipped_beside_it() -> None:
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in (FRIBIDI.parents[1] / "libfribidi.LICENSE.txt").read_text()


#: The machine's name in an ELF header (https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html), byte 18 on.
MACHINES = {"x86_64": b"\x3e\x00", "aarch64": b"\xb7\x00"}


def test_it_is_shipped_for_both_architectures_of_lambda() -> None:
    found = {file.parent.name: file.read_bytes() for file in FRIBIDI.parents[1].glob("*/libfribidi.so.0")}
    assert {name: body[18:20] for name, body in found.items()} == MACHINES
    assert all(
        body.startswith(b"\x7fELF") and b"fribidi_get_par_embedding_levels_ex" in body for body in found.values()
    )
