"""A run's pictures in a folder: each fetched once, whole or not at all, and never over a file that is not its own.

    <row>-<title>-<model>.jpg             a finished image
    originals/<row>-<title>-<model>.jpg   the provider's own picture, where it was asked for; or .png, or .webp
    manifest.json                         the run's result, with the files' names in place of URLs
    index.html                            all of them on one page

A picture has its final name only once all of it is on the disk. Where another file has that name, the file stays and
the picture is put beside it as ``… (2).jpg``.
"""

import fcntl
import filecmp
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO, Any

from thumbnails.aws.s3 import Listed, Store
from thumbnails.catalog import OUTPUTS
from thumbnails.errors import StorageUnavailable
from thumbnails.runs.files import Picture, find_original, pictures
from thumbnails.runs.status import RunStatus, get_manifest
from thumbs.cli import sheet
from thumbs.command_error import CommandError

#: As many as the S3 client has connections, less one for whoever else needs it.
FETCHERS = 8
ORIGINALS = "originals"
ENDINGS = {b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp"}
OTHER_ENDING = ".bin"
PART = ".thumbs-"


@dataclass(frozen=True)
class Saved:
    """A picture on the disk.

    Attributes:
        name: its file's, from the folder on, with ``/``.
        fetched: whether it was fetched now, and not there before.
        other: the file that has the picture's own name and stays; empty where there is none.
    """

    name: str
    fetched: bool
    other: str = ""


@dataclass(frozen=True)
class Entry:
    """A cell, and what of it is on the disk."""

    picture: Picture
    image: Saved | None
    original: Saved | None

    def as_json(self) -> dict[str, Any]:
        """As the manifest lists it."""
        picture = self.picture
        return {
            "row": picture.row,
            "column": picture.column,
            "title": picture.title,
            "model": picture.model,
            **({"variant": picture.variant} if picture.variant else {}),
            "file": self.image.name if self.image else None,
            "original": self.original.name if self.original else None,
            "state": "succeeded" if self.image else picture.state,
            "error": picture.error or None,
            "message": picture.message or None,
        }


@dataclass(frozen=True)
class Download:
    """What a folder holds of a run."""

    folder: Path
    entries: list[Entry]

    @property
    def page(self) -> Path:
        """The sheet of all pictures."""
        return self.folder / sheet.NAME

    @property
    def saved(self) -> list[Saved]:
        """Every finished image that is on the disk."""
        return [entry.image for entry in self.entries if entry.image]


#: Is told how many of how many cells are done.
Progress = Callable[[int, int], None]


def download(run: RunStatus, store: Store, folder: Path, progress: Progress, *, originals: bool = False) -> Download:
    """Bring a folder up to what a run has: what is whole there already is not fetched again.

    Args:
        run: a run or a campaign as it stands; what it has not made yet is left out.
        store: the bucket.
        folder: made where it is not there.
        progress: is told how far it is.
        originals: the providers' own pictures too.

    Raises:
        CommandError: the run has no image yet, the folder holds another run or somebody's page, it cannot be written,
            or another download is at work in it.
        StorageUnavailable: the bucket could not be read; what was fetched stays.
    """
    cells = pictures(run, store)
    if not any(cell.image for cell in cells):
        raise CommandError(f"{run.run_id} has no image yet", f"`thumbs show {run.run_id}` says how far it is")
    try:
        with _alone_in(folder, run.run_id):
            # A folder that has originals is kept up with them, or its page would lose them.
            originals = originals or (folder / ORIGINALS).is_dir()
            entries = _fetch_all(cells, store, folder, progress, originals)
            found = Download(folder, entries)
            _write(folder / "manifest.json", json.dumps(_manifest(run, entries, store), ensure_ascii=False, indent=2))
            _write(found.page, sheet.page(run, [entry.as_json() for entry in entries]))
    except OSError as error:
        raise CommandError(f"{folder} cannot be written", error.strerror or str(error)) from None
    return found


def _fetch_all(
    cells: Sequence[Picture], store: Store, folder: Path, progress: Progress, originals: bool
) -> list[Entry]:
    if originals:
        (folder / ORIGINALS).mkdir(exist_ok=True)

    def fetch(cell: Picture) -> Entry:
        image = (
            _save(cell.image, store, folder, cell.stem, [f".{OUTPUTS[cell.request.output]}"]) if cell.image else None
        )
        source = find_original(cell, store) if originals else None
        endings = [*ENDINGS.values(), OTHER_ENDING]
        original = _save(source, store, folder, f"{ORIGINALS}/{cell.stem}", endings) if source else None
        return Entry(cell, image, original)

    with ThreadPoolExecutor(FETCHERS) as pool:
        futures = [pool.submit(fetch, cell) for cell in cells]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                progress(done, len(futures))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [future.result() for future in futures]


def _save(source: Listed, store: Store, folder: Path, stem: str, endings: Sequence[str]) -> Saved | None:
    """Put an object under its name, unless it is there; None where it was deleted meanwhile.

    Args:
        source: the object. Its ETag is the MD5 digest of its bytes, as S3 has it for what was put in one piece.
        store: the bucket.
        folder: where to.
        stem: the file's name in the folder, without its ending.
        endings: those that it may have; several where only its bytes can tell.
    """
    for ending in endings:
        for name in _names(stem, ending):
            if not os.path.lexists(folder / name):
                break
            if _digest(folder / name) == source.etag.strip('"'):
                return Saved(name, False, _other(name, stem + ending))
    with _part(folder) as (file, part):
        size = store.download(source.key, file)
        if size is None:
            return None
        if file.tell() != size:
            raise StorageUnavailable(f"{source.key} ended after {file.tell()} of {size} bytes")
        file.seek(0)
        start = file.read(4)
        ending = next((ending for magic, ending in ENDINGS.items() if start.startswith(magic)), OTHER_ENDING)
        _flush(file)
        ending = endings[0] if len(endings) == 1 else ending
        for name in _names(stem, ending):
            if _take_name(part, folder / name):
                return Saved(name, True, _other(name, stem + ending))
            if (folder / name).is_file() and filecmp.cmp(part, folder / name, shallow=False):
                return Saved(name, False, _other(name, stem + ending))
    raise AssertionError("names do not end")


def _names(stem: str, ending: str) -> Iterator[str]:
    yield stem + ending
    for number in count(2):
        yield f"{stem} ({number}){ending}"


def _other(name: str, own: str) -> str:
    return "" if name == own else own


def _digest(path: Path) -> str:
    """The MD5 digest of a file; empty where it is no file."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _take_name(part: Path, path: Path) -> bool:
    """Give a whole file its name; False where the name is taken."""
    try:
        path.hardlink_to(part)
    except FileExistsError:
        return False
    except OSError:
        # A file system without links: nobody else of this command is in the folder.
        if os.path.lexists(path):
            return False
        part.rename(path)
    return True


@contextmanager
def _part(folder: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """A temporary file that is gone afterwards, unless it was renamed."""
    # Not of `tempfile`, whose files are for their owner's eyes alone.
    part = folder / f"{PART}{secrets.token_hex(8)}.part"
    try:
        with part.open("x+b") as file:
            yield file, part
    finally:
        part.unlink(missing_ok=True)


def _flush(file: IO[bytes]) -> None:
    """Have the bytes on the disk before their name is: a name that a power cut leaves has all of them."""
    file.flush()
    os.fsync(file.fileno())


def _write(path: Path, text: str) -> None:
    """Write a file of this command's own anew, whole or not at all."""
    with _part(path.parent) as (file, part):
        file.write(text.encode())
        _flush(file)
        part.replace(path)


@contextmanager
def _alone_in(folder: Path, run_id: str) -> Iterator[None]:
    """Hold a folder that is this run's, or is to be.

    Raises:
        CommandError: it is another's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(f"another download is writing to {folder}", "wait for its end") from None
        _refuse_another(folder, run_id)
        for part in folder.glob(f"{PART}*.part"):
            part.unlink(missing_ok=True)
        yield
    finally:
        os.close(held)


def _refuse_another(folder: Path, run_id: str) -> None:
    manifest, page = folder / "manifest.json", folder / sheet.NAME
    if os.path.lexists(manifest) and _run_of(manifest) != run_id:
        raise CommandError(f"{manifest} is not this run's", "give another folder: thumbs download RUN FOLDER")
    if os.path.lexists(page) and not sheet.is_own(page.read_text(errors="replace") if page.is_file() else ""):
        raise CommandError(
            f"{page} was changed, or is not by this command", "give it another name, or give another folder"
        )


def _run_of(manifest: Path) -> object:
    try:
        value = json.loads(manifest.read_bytes())
    except (OSError, ValueError):
        return None
    return value.get("run_id") if isinstance(value, dict) else None


def _manifest(run: RunStatus, entries: Sequence[Entry], store: Store) -> dict[str, Any]:
    """The run's result in the contract's shape, with the files' names in place of URLs, and a list of every cell."""
    stored = None if run.execution.is_running else get_manifest(run, store)
    others: dict[tuple[int, int], list[str]] = {}
    for entry in entries:
        if entry.image:
            others.setdefault((entry.picture.row, entry.picture.column), []).append(entry.image.name)
    saved = {
        (entry.picture.row, entry.picture.column): {
            "model": entry.picture.model,
            "image_url": entry.image.name,
            "key": entry.picture.image.key,
            "variants": others[entry.picture.row, entry.picture.column],
        }
        for entry in entries
        if entry.image and entry.picture.image and not entry.picture.variant
    }
    return {
        "run_id": run.run_id,
        "status": run.execution.status,
        **(stored or {}),
        **(run.request.result(saved) if run.request else {}),
        "files": [entry.as_json() for entry in entries],
    }
