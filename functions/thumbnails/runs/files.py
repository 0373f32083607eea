"""A run's pictures as files on a person's disk: what there is of each cell, and what its file is called."""

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from tempfile import TemporaryFile

import ijson
from pydantic import ValidationError

from thumbnails.aws.s3 import Listed, Store
from thumbnails.catalog import MODELS, STYLES
from thumbnails.images.digests import picture_of
from thumbnails.keys import campaign_prefix, original_key, run_prefix
from thumbnails.requests.models import Request, key_of, stored_request
from thumbnails.runs.status import RunStatus

#: Of a title and of a model within a file's name, in bytes of UTF-8: with the row's number, a suffix and a number for a
#: name that is taken, the shortest limit that is met is kept, the 143 bytes of an encrypted folder (eCryptfs).
TITLE_BYTES, MODEL_BYTES = 80, 40
#: Names that Windows keeps for devices, whatever ending they have
#: (https://learn.microsoft.com/windows/win32/fileio/naming-a-file).
_DEVICES = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])(\..*)?", re.IGNORECASE)
_VARIATION_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_APOSTROPHES = "'\u2018\u2019\u02bc"
_NON_JOINER = "\u200c"


@dataclass(frozen=True, slots=True)
class Picture:
    """One cell of a run or a campaign, as a file.

    Attributes:
        row: the title's row, from 0; a campaign's row is that of its file.
        column: the model's.
        title: the title.
        model: the model.
        form: the format; the request's first where empty.
        stem: the file's name without its ending; no other cell of the run has it.
        image: the finished image; None where there is none.
        state: as ``runs.status`` has it; for a campaign ``succeeded``, ``failed`` or ``pending``.
        error: the error's name, where it failed.
        message: what it says.
    """

    row: int
    column: int
    title: str
    model: str
    stem: str
    image: Listed | None
    state: str
    error: str
    message: str
    run_id: str
    place: tuple[int, int]
    request: Request
    variant: int = 0
    form: str = ""


def pictures(status: RunStatus, store: Store) -> list[Picture]:
    """Every cell of a run, row by row, whether its image is there or not, and its other pictures that are there.

    Args:
        status: the run or the campaign as it stands.
        store: the bucket.
    """
    if status.is_campaign:
        return list(_of_campaign(status, store))
    if status.request is None:
        return []
    there = {item.key: item for item in store.listed(run_prefix(status.run_id))}
    rows = len(status.request.titles)
    return [
        Picture(
            row=cell.row,
            column=cell.column,
            title=cell.title,
            model=cell.model,
            stem=file_stem(cell.row, rows, cell.title, cell.model)
            + (f"-{variant + 1}" if variant else "")
            + (f"-{form}" if form != status.request.formats[0] else ""),
            image=there.get(key_of(status.request, status.run_id, cell.row, cell.title, cell.model, variant, form)),
            state=cell.state,
            error=cell.error,
            message=cell.message,
            run_id=status.run_id,
            place=(cell.row, cell.column),
            request=status.request,
            variant=variant,
            form=form,
        )
        for cell in status.cells
        for variant in range(1 + len(cell.variants))
        for form in status.request.formats
    ]


def find_original(picture: Picture, store: Store) -> Listed | None:
    """The provider's own picture of a cell, or None.

    A picture is found by what it was asked for: one from before its model's parameters changed is not found any more.
    """
    request = picture.request
    if picture.model not in MODELS or request.style not in STYLES:
        return None
    digest = picture_of(picture.title, picture.model, request).digest
    own = original_key(digest, picture.run_id, *picture.place, picture.variant)
    # A run that reuses pictures may have none of its own.
    found = store.listed(f"originals/{digest}/" if request.reuse else own)
    return next((item for item in found if item.key == own), found[0] if found and request.reuse else None)


def file_stem(row: int, rows: int, title: str, model: str) -> str:
    """A picture's file name without its ending: the row's number, the title and the model.

    It sorts as the rows do, and every file system takes it: letters, marks and digits of any script, ``-`` and, within
    a model's name, dots; never a device's name of Windows, because it starts with a digit.

    Args:
        row: the row, from 0.
        rows: how many rows the run has.
        title: the row's title.
        model: the model's name.
    """
    number = f"{row + 1:0{max(2, len(str(rows)))}}"
    words = _cut(_words(title, ""), TITLE_BYTES)
    return "-".join(part for part in (number, words, _cut(_words(model, "."), MODEL_BYTES)) if part)


def folder_name(run_id: str) -> str:
    """A run's id as the name of a folder, on Windows too."""
    name = run_id.strip(" .")
    return name if name and not name.startswith("-") and not _DEVICES.fullmatch(name) else f"run-{name}".rstrip("-")


def _words(text: str, kept: str) -> str:
    """Letters, marks and digits in lower case, what is between them as ``-``; ``kept`` characters stay."""
    words: list[str] = []
    for character in _VARIATION_SELECTORS.sub("", unicodedata.normalize("NFKC", text)).lower():
        category = unicodedata.category(character)
        if character in _APOSTROPHES or (category == "Cf" and character != _NON_JOINER):
            continue
        in_word = bool(words) and words[-1] != "-"
        if category[0] in "LN" or character in kept or (category in ("Mn", "Mc") and in_word):
            words.append(character)
        elif in_word:
            words.append("-")
    return unicodedata.normalize("NFC", "".join(words)).strip("-.")


def _cut(words: str, most: int) -> str:
    """At most so many bytes, at the end of a word where one is near, and never between a letter and its marks."""
    if len(words.encode()) <= most:
        return words
    end = len(words)
    while len(words[:end].encode()) > most or unicodedata.category(words[end])[0] == "M":
        end -= 1
    word = end if words[end] == "-" else words.rfind("-", 0, end)
    return words[: word if word > end // 2 else end].strip("-.")


def _of_campaign(status: RunStatus, store: Store) -> Iterator[Picture]:
    campaign_id = status.run_id
    there = {item.key: item for item in store.listed(f"runs/{campaign_id}-")}
    failures = _failures(campaign_id, store)
    rows = status.rows.total if status.rows else 0
    with TemporaryFile() as requests:
        if store.download(campaign_prefix(campaign_id) + "requests.json", requests) is None:
            return
        requests.seek(0)
        for item in ijson.items(requests, "item", use_float=True):
            run_id = item["request"].pop("resume")
            try:
                request = stored_request("generateThumbnails", item["request"])
            except ValidationError:
                continue
            for title in request.titles:
                for (column, model), form in product(enumerate(request.models), request.formats):
                    key = key_of(request, run_id, 0, title, model, form=form)
                    image = there.get(key)
                    error, message = failures.get((item["row"], column), ("", ""))
                    yield Picture(
                        row=item["row"],
                        column=column,
                        title=title,
                        model=model,
                        stem=file_stem(item["row"], rows, title, model)
                        + (f"-{form}" if form != request.formats[0] else ""),
                        image=image,
                        state="succeeded" if image else "failed" if error else "pending",
                        error="" if image else error,
                        message="" if image else message,
                        run_id=run_id,
                        place=(0, column),
                        request=request,
                        form=form,
                    )


def _failures(campaign_id: str, store: Store) -> dict[tuple[int, int], tuple[str, str]]:
    """Error and message of each image that could not be made, once an execution of the campaign has come to its end."""
    with TemporaryFile() as lines:
        if store.download(campaign_prefix(campaign_id) + "images.jsonl", lines) is None:
            return {}
        lines.seek(0)
        records = map(json.loads, lines)
        return {
            (record["row"], record["column"]): (record["error"], record["message"])
            for record in records
            if "error" in record
        }
