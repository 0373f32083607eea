"""The finished images of all runs, newest first."""

import re
from dataclasses import dataclass

from thumbnails.aws.s3 import Listed, Store
from thumbnails.catalog import MODELS
from thumbnails.keys import run_prefix
from thumbnails.runs.naming import RUN_ID

_IMAGE = re.compile(
    rf"runs/(?P<run_id>{RUN_ID.strip('^$')})/(?P<row>\d+)-(?P<slug>[a-z0-9-]+)/"
    rf"(?P<model>{'|'.join(map(re.escape, MODELS))})\.jpg"
)


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
