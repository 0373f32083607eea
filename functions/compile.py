"""Compiles the modules of a built function ahead: ``python compile.py FOLDER KEPT``.

A cold start compiles nothing then: Lambda's file system is read-only, and a module's time in a package means nothing.
Functions have most of their modules in common: what is compiled once is kept under its digest in the folder ``KEPT``,
and linked from there.
"""

import os
import py_compile
import shutil
import sys
from contextlib import suppress
from hashlib import sha256
from importlib.util import cache_from_source
from pathlib import Path

ON_LAMBDA = Path("/var/task")


def main(folder: Path, kept: Path) -> None:
    kept.mkdir(parents=True, exist_ok=True)
    sources = sorted(folder.rglob("*.py"))
    # Functions are built side by side: each begins elsewhere, so that no two compile the same.
    first = int(sha256(folder.name.encode()).hexdigest(), 16) % max(1, len(sources))
    for source in sources[first:] + sources[:first]:
        inside = source.relative_to(folder)
        named = f"{sys.implementation.cache_tag} {inside}\0".encode()
        compiled = kept / sha256(named + source.read_bytes()).hexdigest()
        # A power cut can leave a file that was renamed and never written.
        if not compiled.exists() or not compiled.stat().st_size:
            draft = compiled.with_suffix(f".{os.getpid()}")
            # What does not compile is of another Python, and says so where it is imported.
            with suppress(py_compile.PyCompileError):
                py_compile.compile(
                    str(source),
                    str(draft),
                    str(ON_LAMBDA / inside),
                    doraise=True,
                    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
                )
                draft.rename(compiled)
        if compiled.exists():
            place(compiled, Path(cache_from_source(str(source))))


def place(compiled: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    try:
        target.hardlink_to(compiled)
    except OSError:
        shutil.copyfile(compiled, target)  # Another file system, or one without links.


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
