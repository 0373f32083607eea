"""The finished images of all runs: listed newest first, deleted one by one, packed by run."""

import io
import re
import zipfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from thumbnails.catalog import MODELS
from thumbnails.request import RUN_ID
from thumbnails.store import Listed, Store, digest, run_prefix

_IMAGE = re.compile(
    rf"runs/(?P<run_id>{RUN_ID.strip('^$')})/(?P<row>\d+)-(?P<slug>[a-z0-9-]+)/"
    rf"(?P<model>{'|'.join(map(re.escape, MODELS))})\.jpg"
)
READERS = 8


@dataclass(frozen=True)
class GalleryImage:
    """A finished image as the gallery shows it."""

    listed: Listed
    run_id: str
    row: int
    model: str


def image_at(listed: Listed) -> GalleryImage | None:
    """What an object of the bucket is, None for any other than a finished image."""
    found = _IMAGE.fullmatch(listed.key)
    return GalleryImage(listed, found["run_id"], int(found["row"]), found["model"]) if found else None


def is_image_key(key: str) -> bool:
    """Whether a key is one that a finished image has."""
    return _IMAGE.fullmatch(key) is not None


def finished_images(store: Store, run_id: str = "") -> list[GalleryImage]:
    """All finished images, or one run's; newest first, those of one moment in the order of their keys."""
    listed = store.listed(run_prefix(run_id) if run_id else "runs/")
    images = [image for image in map(image_at, listed) if image]
    return sorted(images, key=lambda image: (-image.listed.modified.timestamp(), image.listed.key))


def archive(store: Store, run_id: str) -> str | None:
    """The key of a ZIP of a run's finished images, made where there is none of just these; None without an image."""
    images = sorted(finished_images(store, run_id), key=lambda image: (image.row, image.listed.key))
    if not images:
        return None
    key = run_prefix(run_id) + "archive.zip"
    holds = digest([[image.listed.key, image.listed.etag] for image in images])
    if (store.notes(key) or {}).get("digest") != holds:
        packed = _pack(store, run_id, [image.listed.key for image in images])
        store.put(key, packed, "application/zip", {"digest": holds})
    return key


def _pack(store: Store, run_id: str, keys: Iterable[str]) -> bytes:
    packed = io.BytesIO()
    # JPEGs don't get smaller.
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as file, ThreadPoolExecutor(READERS) as readers:
        for key, stored in zip(keys, readers.map(store.get, keys), strict=True):
            if stored is not None:
                file.writestr(key.removeprefix(run_prefix(run_id)), stored.body)
    return packed.getvalue()
