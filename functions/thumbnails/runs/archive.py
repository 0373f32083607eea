"""A run's finished images as one ZIP."""

import io
import zipfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from thumbnails.aws.s3 import Store
from thumbnails.keys import digest, run_prefix
from thumbnails.runs.gallery import finished_images

READERS = 8


def archive(store: Store, run_id: str) -> str | None:
    """The key of a ZIP of a run's finished images, made where there is none of just these; None without an image."""
    images = sorted(finished_images(store, run_id), key=lambda image: (image.row, image.listed.key))
    if not images:
        return None
    key = run_prefix(run_id) + "archive.zip"
    holds = digest([[image.listed.key, image.listed.etag] for image in images])
    if (store.metadata(key) or {}).get("digest") != holds:
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
