"""A campaign's end: what Step Functions wrote about every row, put together without holding it in memory."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from tempfile import TemporaryFile
from typing import Any

import ijson

from thumbnails.aws.s3 import Store
from thumbnails.catalog import notices
from thumbnails.errors import AllImagesFailed, StorageUnavailable
from thumbnails.keys import campaign_budget_key, campaign_key, campaign_prefix, manifest_key, results_prefix
from thumbnails.requests.models import key_of, stored_request
from thumbnails.runs.budget import NO_BUDGET, Budget
from thumbnails.runs.failures import MEANINGS, total_failure_words

#: How many failures the manifest names; ``images.jsonl`` has all.
NAMED_FAILURES = 100
NAMED_REASONS = 20
#: Manifests of failed rows that are read at the same time: as many as the S3 client has connections.
READERS = 10

Record = dict[str, Any]


@dataclass
class Tally:
    """What the records come to; a byte for each row is all that is held."""

    made: bytearray
    failed: bytearray
    paid_calls: int = 0
    #: What this execution has paid, and what all of them have.
    paid_usd: float = 0.0
    usd: float = 0.0
    failures: list[Record] = field(default_factory=list)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    messages: dict[tuple[str, str], str] = field(default_factory=dict)
    models: set[str] = field(default_factory=set)

    def count(self, record: Record) -> None:
        """Take account of an image or a failure."""
        self.models.add(record["model"])
        self.usd += record.get("usd", 0.0)
        if "key" in record:
            self.made[record["row"]] += 1
            return
        self.failed[record["row"]] += 1
        reason = record["model"], record["error"]
        self.reasons[reason] += 1
        self.messages.setdefault(reason, record["message"])
        if len(self.failures) < NAMED_FAILURES:
            self.failures.append(record)

    def images(self, total: int) -> dict[str, int]:
        """Images of the campaign; those of rows that were not made are pending."""
        succeeded, failed = sum(self.made), sum(self.failed)
        pending = total - succeeded - failed
        counts = {"total": total, "succeeded": succeeded, "failed": failed, "pending": pending}
        return {**counts, "paid_calls": self.paid_calls}

    def rows(self) -> dict[str, int]:
        """Rows that have all of their images, some, none, and those that were not made."""
        kinds = Counter(zip(map(bool, self.made), map(bool, self.failed), strict=True))
        return {
            "total": len(self.made),
            "succeeded": kinds[True, False],
            "partly": kinds[True, True],
            "failed": kinds[False, True],
            "pending": kinds[False, False],
        }

    def raise_if_all_failed(self) -> None:
        """Let a campaign without a single image fail.

        Raises:
            AllImagesFailed: says why, model by model; the twenty most frequent reasons.
        """
        if any(self.made):
            return
        counted = self.reasons.most_common(NAMED_REASONS)
        reasons = {(model, f"{error}: {self.messages[model, error]}"): count for (model, error), count in counted}
        raise AllImagesFailed(total_failure_words(reasons))


def collect_campaign(
    campaign_id: str,
    execution: str,
    rows: int,
    failure: dict[str, str] | None,
    store: Store,
    budget: Budget = NO_BUDGET,
) -> dict[str, Any]:
    """Put together what became of every row, and store it.

    Args:
        campaign_id: the campaign.
        execution: the execution whose rows have ended.
        rows: how many rows it had to make.
        failure: ``Error`` and ``Cause`` of the Map, where it failed.
        store: the bucket.
        budget: the day's, which it settles with.

    Raises:
        AllImagesFailed: the campaign has no image; the manifest is stored all the same.
        StorageUnavailable: the bucket could not be read or written, or the rows' results are not there.
    """
    prefix = campaign_prefix(campaign_id)
    checked = store.read_request(campaign_key(campaign_id))
    tally = Tally(bytearray(checked["rows"]), bytearray(checked["rows"]))
    with TemporaryFile() as lines:
        for record in _records(campaign_id, execution, rows, failure is not None, tally, store):
            tally.count(record)
            lines.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
        lines.seek(0)
        store.upload(prefix + "images.jsonl", lines, "application/jsonl")
    result: dict[str, Any] = {
        "campaign_id": campaign_id,
        "execution": execution,
        "images": tally.images(checked["images"]),
        "rows": tally.rows(),
        "costs": {"usd": round(tally.usd, 6)},
        "manifest_key": prefix + "manifest.json",
        "images_key": prefix + "images.jsonl",
        **({"failure": failure} if failure else {}),
    }
    warnings = notices(sorted(tally.models))
    asked = {name: checked[name] for name in ("file", "max_images")}
    store.put_json(prefix + "manifest.json", {**result, **asked, "failures": tally.failures, "warnings": warnings})
    if budget.is_set and (reserved := store.get(campaign_budget_key(campaign_id, execution))):
        budget.settle(json.loads(reserved.body)["date"], execution, tally.paid_usd)
    if not result["images"]["pending"]:
        tally.raise_if_all_failed()
    return result


def _records(campaign_id: str, execution: str, rows: int, failed: bool, tally: Tally, store: Store) -> Iterator[Record]:
    """A record for every image: of this execution's rows first, then of those that earlier ones have made."""
    seen = bytearray(len(tally.made))
    for record in _of_rows(_written(results_prefix(campaign_id, execution), rows, failed, store), tally, store):
        seen[record["row"]] = 1
        yield record
    with TemporaryFile() as earlier:
        if store.download(campaign_prefix(campaign_id) + "images.jsonl", earlier) is None:
            return
        earlier.seek(0)
        for record in map(json.loads, earlier):
            # A collection that is tried again finds its own records, and writes them anew.
            if not seen[record["row"]]:
                yield record


def _written(prefix: str, rows: int, failed: bool, store: Store) -> Iterator[tuple[str, dict[str, Any]]]:
    """Whether a row's child execution succeeded or failed, and what was written about it."""
    manifest = next((item.key for item in store.listed(prefix) if item.key.endswith("/manifest.json")), None)
    if manifest is None:
        if rows and not failed:
            raise StorageUnavailable(f"there are no results under {prefix}")
        # The Map ended before its first row.
        return
    files = store.read_request(manifest)["ResultFiles"]
    for status in ("SUCCEEDED", "FAILED"):
        for entry in files[status]:
            with TemporaryFile() as file:
                store.download(entry["Key"], file)
                file.seek(0)
                yield from ((status, item) for item in ijson.items(file, "item", use_float=True))


def _of_rows(written: Iterator[tuple[str, dict[str, Any]]], tally: Tally, store: Store) -> Iterator[Record]:
    with ThreadPoolExecutor(READERS) as pool:
        while some := list(islice(written, 100 * READERS)):
            for paid, records in pool.map(lambda one: _of_row(one, store), some):
                tally.paid_calls += paid[0]
                tally.paid_usd += paid[1]
                yield from records


def _of_row(written: tuple[str, dict[str, Any]], store: Store) -> tuple[tuple[int, float], list[Record]]:
    """How many calls a row paid for and what they cost, and a record for each of its images."""
    status, item = written
    asked = json.loads(item["Input"])
    request = asked["request"]
    run_id = request["resume"]
    records: list[Record] = [
        {"row": asked["row"], "column": column, "title": request["title"], "model": model, "run_id": run_id}
        for column, model in enumerate(request["models"])
    ]
    if status == "SUCCEEDED":
        made = json.loads(item["Output"])
        paid = made["paid_calls"], made.get("paid_usd", 0.0)
        return paid, _with_failures(_with_costs(records, made), made["failures"], request)
    error, cause = _why(item)
    if error == AllImagesFailed.__name__ and (stored := store.get(manifest_key(run_id))):
        # Step Functions says it of the row as a whole; the run's own manifest has each of its images.
        manifest = json.loads(stored.body)
        costs = manifest.get("costs", {})
        records = _with_failures(_with_costs(records, costs), manifest["failures"], request)
        return (manifest["images"]["paid_calls"], costs.get("paid_usd", 0.0)), records
    return (0, 0.0), [{**record, "error": error, "message": cause} for record in records]


def _with_costs(records: list[Record], costs: dict[str, Any]) -> list[Record]:
    """What each image cost, in US dollars; nothing that is known of a row from before that was counted."""
    by_model = costs.get("by_model", {})
    return [{**record, "usd": by_model.get(record["model"], 0.0)} for record in records]


def _with_failures(records: list[Record], failures: Iterable[dict[str, Any]], request: dict[str, Any]) -> list[Record]:
    failed = {failure["column"]: {name: failure[name] for name in ("error", "message")} for failure in failures}
    asked = stored_request("generateThumbnails", {name: said for name, said in request.items() if name != "resume"})

    def made(record: Record) -> dict[str, Any]:
        # A run of one title has one row.
        place = record["run_id"], 0, record["title"], record["model"]
        others = {form: key_of(asked, *place, form=form) for form in asked.formats[1:]}
        return {"key": key_of(asked, *place), **({"formats": others} if others else {})}

    return [record | (failed.get(record["column"]) or made(record)) for record in records]


def _why(item: dict[str, Any]) -> tuple[str, str]:
    """Error and cause of a row: of its run, which is described in the cause, or of the child execution itself."""
    error, cause = item.get("Error") or "Unknown", item.get("Cause") or ""
    try:
        run = json.loads(cause)
    except ValueError:
        run = None
    if isinstance(run, dict):
        error, cause = run.get("Error") or run.get("Status") or error, run.get("Cause") or ""
    return error, MEANINGS.get(error) or cause or "no reason given"
