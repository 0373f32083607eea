"""Runs whose executions Step Functions no longer knows, as the bucket knows them.

AWS forgets an execution 90 days after its end, the embedded stack when LocalStack ends. What a run was asked for, its
images and its result stay in the bucket, and a redrive makes what is missing; its history is gone.
"""

import json
import re
from typing import Any

from thumbnails.aws.s3 import Listed, Store
from thumbnails.aws.step_functions import Execution, RowCounts, Status
from thumbnails.errors import AllImagesFailed, CampaignCutShort
from thumbnails.keys import IMAGE_ENDINGS, campaign_prefix, run_prefix
from thumbnails.requests.models import CAMPAIGN, Task
from thumbnails.runs.begun import ENTRY, began
from thumbnails.runs.collect import raise_if_all_failed

#: The error of a run that was cut off.
FORGOTTEN = "ExecutionForgotten"
CAUSE = "the run was cut off, and Step Functions no longer knows its execution"


def remembered(run_id: str, store: Store) -> Execution | None:
    """The newest execution of a run, put together from the bucket; None where that does not know the run."""
    found = recall(run_id, store)
    return found[0] if found else None


def recall(run_id: str, store: Store) -> tuple[Execution, str] | None:
    """As ``remembered``, with the key of the run's entry in the index of runs; empty where its request names none."""
    return _of_run(run_id, store) or _of_campaign(run_id, store)


def remembered_rows(campaign_id: str, store: Store) -> RowCounts:
    """How many of a campaign's rows have come to an end; a cut-off campaign does not know which ones failed."""
    manifest = store.get(campaign_prefix(campaign_id) + "manifest.json")
    if manifest:
        rows = json.loads(manifest.body)["rows"]
        return RowCounts(done=rows["total"] - rows["pending"], failed=rows["failed"])
    row = re.compile(rf"{re.escape(run_prefix(campaign_id)[:-1])}-\d+/manifest\.json")
    return RowCounts(done=sum(bool(row.fullmatch(item.key)) for item in store.listed(f"runs/{campaign_id}-")))


def _of_run(run_id: str, store: Store) -> tuple[Execution, str] | None:
    there = {item.key.removeprefix(run_prefix(run_id)): item for item in store.listed(run_prefix(run_id))}
    request, claim, manifest = (there.get(f"{name}.json") for name in ("request", "claim", "manifest"))
    asked = request or claim
    if asked is None or (stored := store.get(asked.key)) is None:
        return None
    said = json.loads(stored.body)
    wanted = said if request else said["request"]
    task: Task = "generateBatch" if "prompts" in wanted else "generateThumbnails"
    ended = request is not None and manifest is not None and manifest.modified >= request.modified
    result = _read(store, manifest) if ended else None
    status, error, cause = _end(result)
    written = [
        item.modified for name, item in there.items() if item in (asked, manifest) or name.endswith(IMAGE_ENDINGS)
    ]
    execution = Execution(
        name=stored.metadata.get("execution", run_id),
        task=task,
        status=status,
        started=began(stored.metadata, asked.modified),
        stopped=manifest.modified if ended and manifest else max(written),
        # What was claimed was never opened, so that the whole request has to be sent on.
        request={"resume": run_id} if request else {**wanted, "resume": run_id},
        output=result if status == "SUCCEEDED" else None,
        error=error,
        cause=cause,
        forgotten=True,
    )
    return execution, stored.metadata.get(ENTRY, "")


def _of_campaign(campaign_id: str, store: Store) -> tuple[Execution, str] | None:
    prefix = campaign_prefix(campaign_id)
    there = {item.key.removeprefix(prefix): item for item in store.listed(prefix)}
    asked, manifest = there.get("campaign.json"), there.get("manifest.json")
    if asked is None or (metadata := store.metadata(asked.key)) is None:
        return None
    # Of a campaign from before they named their executions, what is left of the last one is its rows.
    rows = [(item.modified, name[5:-5]) for name, item in there.items() if re.fullmatch(r"rows/.+\.json", name)]
    resumed = [] if "execution" in metadata else rows
    asked_at, name = max([(asked.modified, metadata.get("execution", campaign_id)), *resumed])
    ended = manifest is not None and manifest.modified >= asked_at
    result = _read(store, manifest) if ended else None
    status, error, cause = _end(result)
    execution = Execution(
        name=name,
        task=CAMPAIGN,
        status=status,
        started=began(metadata, asked_at),
        stopped=max(item.modified for item in there.values()),
        request={"resume": campaign_id},
        output=result if status == "SUCCEEDED" else None,
        error=error,
        cause=cause,
        forgotten=True,
    )
    return execution, metadata.get(ENTRY, "")


def _read(store: Store, item: Listed | None) -> dict[str, Any] | None:
    stored = store.get(item.key) if item else None
    result: dict[str, Any] | None = json.loads(stored.body) if stored else None
    return result


def _end(result: dict[str, Any] | None) -> tuple[Status, str, str]:
    """How an execution with this result ended: its status, error and cause."""
    if result is None:
        return "ABORTED", FORGOTTEN, CAUSE
    if failure := result.get("failure"):
        return "FAILED", CampaignCutShort.__name__, str(failure.get("Cause", ""))
    if result["images"].get("pending"):
        return "SUCCEEDED", "", ""
    try:
        raise_if_all_failed(result)
    except AllImagesFailed as error:
        return "FAILED", AllImagesFailed.__name__, str(error)
    return "SUCCEEDED", "", ""
