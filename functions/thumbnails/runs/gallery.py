"""The finished images: of all runs, the newest run's first, or of one."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from thumbnails.aws.s3 import Listed, Store
from thumbnails.catalog import DEFAULT_FORMAT, FORMATS, MODELS, OUTPUTS
from thumbnails.keys import GALLERY, gallery_key, run_prefix
from thumbnails.runs.naming import RUN_ID, is_run_id

_IMAGE = re.compile(
    rf"runs/(?P<run_id>{RUN_ID.strip('^$')})/(?P<row>\d+)-(?P<slug>[a-z0-9-]+)/"
    rf"(?P<model>{'|'.join(map(re.escape, MODELS))})(\.v\d)?"
    rf"(\.(?P<format>{'|'.join(FORMATS)}))?\.({'|'.join(OUTPUTS.values())})"
)

#: Where a page ended: when its last image was made, in seconds, and a name that the next page starts after.
Mark = tuple[float, str]
#: In no key of the gallery and no key of an image.
_WITHIN = "//"


@dataclass(frozen=True)
class GalleryImage:
    """A finished image as the gallery shows it."""

    listed: Listed
    run_id: str
    row: int
    model: str
    format: str

    @property
    def mark(self) -> Mark:
        """Where a page of its run ends that ends with it."""
        return self.listed.modified.timestamp(), self.listed.key


def image_at(listed: Listed) -> GalleryImage | None:
    """What an object of the bucket is, None for any other than a finished image."""
    found = _IMAGE.fullmatch(listed.key)
    if found is None:
        return None
    return GalleryImage(listed, found["run_id"], int(found["row"]), found["model"], found["format"] or DEFAULT_FORMAT)


def is_image_key(key: str) -> bool:
    """Whether a key is one that a finished image has."""
    return _IMAGE.fullmatch(key) is not None


def show_in_gallery(run_id: str, moment: datetime | None, store: Store) -> None:
    """Have the gallery look at a run that begins at a moment; None for now."""
    store.put(gallery_key(run_id, moment or datetime.now(UTC)), b"", "application/octet-stream")


def finished_images(store: Store, run_id: str) -> list[GalleryImage]:
    """A run's finished images; newest first, those of one moment in the order of their keys."""
    images = [image for image in map(image_at, store.listed(run_prefix(run_id))) if image]
    return sorted(images, key=lambda image: _order(image.mark))


def images_of_run(
    store: Store, run_id: str, most: int, after: Mark | None = None
) -> tuple[list[GalleryImage], Mark | None]:
    """A page of one run's finished images, and where it ended where more follow."""
    images = [image for image in finished_images(store, run_id) if after is None or _order(image.mark) > _order(after)]
    return images[:most], images[most - 1].mark if len(images) > most else None


def newest_images(store: Store, most: int, after: Mark | None = None) -> tuple[list[GalleryImage], Mark | None]:
    """A page of all runs' finished images, the newest run's first, and where it ended where more may follow.

    It costs one listing of runs and one of each run that is looked at, ``most`` at most, whatever the bucket holds;
    where runs have no images, a page may end before it is full.

    Args:
        store: the bucket.
        most: how many images a page holds.
        after: where the page before ended.
    """
    page: list[GalleryImage] = []
    began, name = after or (0.0, "")
    # Where a page ended within a run, its mark is the run's place in the gallery and, after it, the image's own key.
    place, _, last = name.partition(_WITHIN)
    places = [place] if last else []
    places += store.keys_after(GALLERY, place or GALLERY, most)
    for place in places[:most]:
        run_id = place.removeprefix(GALLERY).partition("/")[2]
        if not is_run_id(run_id):
            continue
        within = (began, last) if last else None
        images, more = images_of_run(store, run_id, most - len(page), within)
        page += images
        last = ""
        if more:
            return page, (more[0], f"{place}{_WITHIN}{more[1]}")
        if len(page) == most:
            return page, (0.0, place)
    return page, (0.0, places[most - 1]) if len(places) >= most else None


def _order(mark: Mark) -> tuple[float, str]:
    return -mark[0], mark[1]
