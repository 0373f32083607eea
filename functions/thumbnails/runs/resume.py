"""The redrive: a run's missing images are made, and no other is paid for."""

from typing import Any

from thumbnails.aws.s3 import Store
from thumbnails.aws.step_functions import Executions
from thumbnails.errors import ThumbnailError
from thumbnails.runs.budget import NO_BUDGET, Budget
from thumbnails.runs.costs import unpaid_usd
from thumbnails.runs.naming import redrive_name
from thumbnails.runs.status import RunStatus, get_manifest, was_accepted
from thumbnails.runs.stop import rows_under_way


class RunUnderWay(ThumbnailError):
    """An execution of the run has not ended: it may still store what a redrive would pay for."""


class RunNeverAccepted(ThumbnailError):
    """The run's request was refused, or the run was stopped before it was checked."""


class NothingToRedrive(ThumbnailError):
    """The run has all of its images."""


def redrive(status: RunStatus, executions: Executions, store: Store, budget: Budget = NO_BUDGET) -> str:
    """Start the execution that makes a run's missing images.

    Two who do so at the same moment start one execution: its name is made from that of the newest one before it.

    Args:
        status: the run as it stands.
        executions: where it is started.
        store: the bucket.
        budget: the day's. What it clearly does not hold is refused here; the execution itself has the last word.

    Returns:
        The execution's name.

    Raises:
        RunUnderWay: the run goes on, or somebody else has just resumed it.
        RunNeverAccepted: there is no checked request to resume.
        NothingToRedrive: every image is there.
        DailyBudgetExceeded: the day's budget has less left than the missing images may cost.
    """
    execution = status.execution
    # Rows that outlive a stopped campaign would be paid for twice.
    busy = rows_under_way(status.run_id, executions) if status.is_campaign else []
    if execution.is_running or busy:
        raise RunUnderWay(f"{busy[0].name if busy else execution.name} is under way: wait for it, or stop it")
    asked: dict[str, Any] = {"resume": status.run_id}
    if execution.forgotten and status.request and not was_accepted(status, store):
        # It was cut off before it was opened: its claim has the request.
        asked |= status.request.model_dump()
    elif not was_accepted(status, store):
        raise RunNeverAccepted(f"run {status.run_id} was never accepted: {execution.cause or 'it was stopped before'}")
    if _is_whole(status, store):
        raise NothingToRedrive(f"run {status.run_id} has all of its images")
    if budget.is_set and status.request:
        budget.check(unpaid_usd(status.run_id, status.request, store, begun=True))
    name = redrive_name(status.run_id, execution.name)
    if not executions.start(execution.task, name, asked):
        raise RunUnderWay(f"{name} was started before: look at the run again")
    return name


def _is_whole(status: RunStatus, store: Store) -> bool:
    if not status.is_campaign:
        return status.count("succeeded") == len(status.cells)
    manifest = get_manifest(status, store)
    return bool(manifest and manifest["images"]["succeeded"] == manifest["images"]["total"])
