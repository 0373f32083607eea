"""The bucket's keys: what is kept where, and the digests that name a picture.

    runs/<run_id>/request.json               the checked request, which a resumed run starts from
    runs/<run_id>/event.json                 the request of an event that is too large for an execution's input
    runs/<run_id>/claim.json                 what an idempotency key was first sent with
    runs/<run_id>/<row>-<slug>/<model>.jpg   a finished image; <model>.v2.jpg of the cell's second picture,
                                             <model>.story.jpg in another format, .webp and .avif
    runs/<run_id>/manifest.json              the run's result
    runs/<run_id>/archive.zip                its finished images, packed
    gallery/<moment>/<run_id>                nothing: by its name the gallery finds the newest runs first
    begun/<moment>/<run_id>                  nothing: by its name a listing finds what began or was resumed last
    begun.json                               how far the runs from before there was ``begun/`` have their place in it
    inbox/…                                  request files that start a run when they are dropped
    rejected/…                               those that were refused, each with the reason beside it
    campaigns/<name>.csv or .json            what a person uploads
    campaigns/<id>/campaign.json             the checked request, with how many rows and images it has
    campaigns/<id>/requests.json             the checked copy of the file, from which the rows are made
    campaigns/<id>/rows/<execution>.json     the rows that an execution which resumes the campaign has to make
    campaigns/<id>/results/<execution>/…     what Step Functions writes about every row
    campaigns/<id>/economy/batches/<n>.json   a half-price batch: what it is called, and where it stands
    campaigns/<id>/economy/rows/<n>.json      the rows, and of each the columns, that it holds
    campaigns/<id>/economy/failed/<row>-<column>.json   why a batch has no picture of a cell
    campaigns/<id>/images.jsonl              every image with its key, and every failure, a line each
    campaigns/<id>/manifest.json             the campaign's result
    campaigns/<id>/budget/<execution>.json   what an execution of it has reserved for all of its rows
    brands/<name>.json                       a brand kit
    budget/<day>.json                        what runs have paid on a UTC day, and what those under way may pay
    winners/<run_id>/…                       what was chosen of a run, in copies that stay
    originals/<digest>/<run_id>/<row>-<column>   the provider's own picture, as it came; <row>-<column>.v2 the second
    spent/<day>/<model>/<quality>-<size>/<run_id>/<row>-<column>.…   nothing: its name says what a call cost
    measured/<model>.json                    how many tokens the model's pictures took

A campaign's row is a run of its own, ``<id>-<row>``. The digest is taken over everything that decides the picture. A
run's own originals stand under it apart from those of other runs, so that a retry never takes another run's picture for
its own, and ``reuse`` finds any of them.
"""

import hashlib
import json
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from thumbnails.images.overlay.templates import OUTPUTS

SLUG_CHARACTERS = 60
#: What finished images' keys end with.
IMAGE_ENDINGS = tuple(f".{ending}" for ending in OUTPUTS.values())
#: What S3 takes, in bytes of UTF-8.
KEY_BYTES = 1024
#: A file that is dropped here starts a run.
INBOX = "inbox/"
REJECTED = "rejected/"
GALLERY = "gallery/"
BEGUN = "begun/"
#: Not among the entries, which end with their lifetime.
INDEXED = "begun.json"
#: Milliseconds since 1970 count down from here, so that S3's order of keys is newest first.
LAST_MOMENT = 9_999_999_999_999
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CAMPAIGNS = "campaigns/"
SPENT = "spent/"
BRANDS = "brands/"


class S3Object(NamedTuple):
    """Which object, and which version of it; None where its bucket keeps no versions."""

    bucket: str
    key: str
    version: str | None


def run_prefix(run_id: str) -> str:
    """Where a run keeps everything of its own."""
    return f"runs/{run_id}/"


def request_key(run_id: str) -> str:
    """The key of a run's checked request; its metadata names the run's newest execution."""
    return run_prefix(run_id) + "request.json"


def claim_key(run_id: str) -> str:
    """The key of what a run's idempotency key was first sent with."""
    return run_prefix(run_id) + "claim.json"


def gallery_key(run_id: str, moment: datetime) -> str:
    """The key by which the gallery finds a run that began at a moment."""
    return index_key(GALLERY, milliseconds(moment), run_id)


def begun_key(run_id: str, moment: datetime) -> str:
    """The key by which a listing finds a run that began, or was resumed, at a moment."""
    return index_key(BEGUN, milliseconds(moment), run_id)


def index_key(index: str, moment: int, run_id: str) -> str:
    """The key in an index of a run at a moment, in milliseconds since 1970: later moments come first."""
    return f"{index}{LAST_MOMENT - moment:013d}/{run_id}"


def moment_in(key: str) -> datetime | None:
    """The moment in a key of ``gallery_key`` or ``begun_key``, to the millisecond; None where it is no such key."""
    found = re.fullmatch(rf"(?:{GALLERY}|{BEGUN})(\d{{13}})/[^/]+", key)
    return _EPOCH + timedelta(milliseconds=LAST_MOMENT - int(found[1])) if found else None


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970, as AWS rounds the moments in a state machine's context."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def event_key(run_id: str) -> str:
    """The key of the request that a large event held."""
    return run_prefix(run_id) + "event.json"


def manifest_key(run_id: str) -> str:
    """The key of a run's result."""
    return run_prefix(run_id) + "manifest.json"


def image_key(
    run_id: str, row: int, title: str, model: str, variant: int = 0, form: str = "", ending: str = "jpg"
) -> str:
    """The key of a finished image.

    Args:
        run_id: the run.
        row: the title's row.
        title: the title.
        model: the model.
        variant: which of the cell's pictures, from 0.
        form: the format; empty for the one that requests have which name none.
        ending: of the kind of file.
    """
    return f"{run_prefix(run_id)}{row}-{slug(title)}/{model}{_variant(variant)}{form and '.' + form}.{ending}"


def original_key(digest: str, run_id: str, row: int, column: int, variant: int = 0) -> str:
    """The key of the provider's own picture."""
    return f"originals/{digest}/{run_id}/{row}-{column}{_variant(variant)}"


def _variant(variant: int) -> str:
    return f".v{variant + 1}" if variant else ""


def measured_key(model: str) -> str:
    """The key of what a model's pictures took so far."""
    return f"measured/{model}.json"


def slug(title: str) -> str:
    """A title as part of a key: lower-case ASCII words; a digest where the title has none."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:SLUG_CHARACTERS].rstrip("-")
    return words or hashlib.sha256(title.encode()).hexdigest()[:12]


def digest(*parts: object) -> str:
    """SHA-256 over the parts' JSON, in hex."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=dict).encode()).hexdigest()


def campaign_prefix(campaign_id: str) -> str:
    """Where a campaign keeps everything of its own."""
    return f"{CAMPAIGNS}{campaign_id}/"


def campaign_key(campaign_id: str) -> str:
    """The key of a campaign's checked request; its metadata names the campaign's newest execution."""
    return campaign_prefix(campaign_id) + "campaign.json"


def budget_key(date: str) -> str:
    """The key of a UTC day's budget; the date in ISO form."""
    return f"budget/{date}.json"


def campaign_budget_key(campaign_id: str, execution: str) -> str:
    """The key of what an execution of a campaign has reserved."""
    return f"{campaign_prefix(campaign_id)}budget/{execution}.json"


def brand_key(name: str) -> str:
    """The key of a brand kit."""
    return f"{BRANDS}{name}.json"


def batches_prefix(campaign_id: str) -> str:
    """Where a campaign's half-price batches are noted."""
    return f"{campaign_prefix(campaign_id)}economy/batches/"


def batch_rows_key(campaign_id: str, number: int) -> str:
    """The key of what a half-price batch holds."""
    return f"{campaign_prefix(campaign_id)}economy/rows/{number:06d}.json"


def batch_failure_key(run_id: str, column: int) -> str:
    """The key of why a half-price batch has no picture of a cell; the run is a campaign's row."""
    campaign_id, _, row = run_id.rpartition("-")
    return f"{campaign_prefix(campaign_id)}economy/failed/{row}-{column}.json"


def results_prefix(campaign_id: str, execution: str) -> str:
    """Where Step Functions writes what became of the rows of one execution."""
    return f"{campaign_prefix(campaign_id)}results/{execution}/"
