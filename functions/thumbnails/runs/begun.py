"""The index of runs by the moment at which they began or were resumed, newest first.

An entry is an empty object, named by the moment and the run, and written before the run's request is stored, whose
metadata names it. So the entries of a run that was resumed since are told from its newest one by one look at the run. A
campaign's rows have none: they would stand between the runs by the ten thousand.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache
from itertools import islice

from thumbnails.aws.s3 import Store
from thumbnails.keys import CAMPAIGNS, INDEXED, begun_key, campaign_key, claim_key, moment_in, request_key
from thumbnails.runs.naming import campaign_execution_of, is_run_id

#: In the metadata of a request, a claim or a campaign: which entry is the run's.
ENTRY = "begun"
#: Runs that are looked at in one go, and at the same time: as many as the S3 client has connections.
FOLDERS, READERS = 1000, 10


def note_begun(run_id: str, moment: datetime | None, store: Store) -> dict[str, str]:
    """Have listings find a run that begins or is resumed; the metadata with which its request is to be stored.

    Args:
        run_id: the run.
        moment: the start of the execution; None for now. A second try of the same has the same entry.
        store: the bucket.
    """
    key = begun_key(run_id, moment or datetime.now(UTC))
    store.put(key, b"", "application/octet-stream")
    return {ENTRY: key}


def entries_after(store: Store, index: str, after: str, at_once: int) -> Iterator[str]:
    """The keys of an index's entries that come after a key, newest first, listed as they are asked for."""
    while keys := store.keys_after(index, after, at_once):
        yield from (key for key in keys if moment_in(key) and is_run_id(run_in(key)))
        if len(keys) < at_once:
            return
        after = keys[-1]


def run_in(key: str) -> str:
    """The run of an entry."""
    return key.rpartition("/")[2]


def began(metadata: Mapping[str, str], modified: datetime) -> datetime:
    """When a run began, or was resumed last, by what its request was stored with and when."""
    return moment_in(metadata.get(ENTRY, "")) or modified


def is_row(run_id: str, is_campaign: Callable[[str], bool]) -> bool:
    """Whether a run is a campaign's row, by its name and by what is known of campaigns."""
    campaign_id = campaign_execution_of(run_id)
    return campaign_id is not None and is_campaign(campaign_id)


def is_campaign_in(store: Store) -> Callable[[str], bool]:
    """Tells whether the bucket holds a campaign of an id, and looks once for each."""
    return cache(lambda campaign_id: store.metadata(campaign_key(campaign_id)) is not None)


def index_stored_runs(store: Store, started: Callable[[], Mapping[str, datetime]]) -> None:
    """Give the runs from before there was an index their entries, once for a bucket; where it was cut off, it goes on.

    Args:
        store: the bucket.
        started: when the newest executions that Step Functions knows began, by their runs; asked only if needed.
    """
    note = store.get(INDEXED)
    done = json.loads(note.body) if note else {"prefix": "runs/", "through": ""}
    is_campaign, known = is_campaign_in(store), cache(started)

    def index(run_id: str) -> None:
        keys = (campaign_key(run_id),) if done["prefix"] == CAMPAIGNS else (request_key(run_id), claim_key(run_id))
        found = next((about for key in keys if (about := store.look_at(key))), None)
        if found and ENTRY not in found.metadata and not is_row(run_id, is_campaign):
            note_begun(run_id, known().get(run_id, found.modified), store)

    while done["prefix"]:
        folders = store.folders(done["prefix"], done["through"])
        while names := list(islice(folders, FOLDERS)):
            with ThreadPoolExecutor(READERS) as pool:
                list(pool.map(index, filter(is_run_id, names)))
            if len(names) == FOLDERS:
                store.put_json(INDEXED, {**done, "through": names[-1]})
        done = {"prefix": CAMPAIGNS if done["prefix"] == "runs/" else "", "through": ""}
    if not note or json.loads(note.body) != done:
        store.put_json(INDEXED, done)
