"""A run is stopped: its finished images stay, and a redrive makes the rest."""

from collections.abc import Collection

from thumbnails.aws.step_functions import Execution, Executions
from thumbnails.errors import ThumbnailError
from thumbnails.runs.naming import campaign_execution_of, may_resume
from thumbnails.runs.status import RunStatus


class RunHasEnded(ThumbnailError):
    """The run cannot be stopped any more."""


def stop_run(status: RunStatus, executions: Executions) -> None:
    """Tell a run to stop.

    Raises:
        RunHasEnded: it is not running.
    """
    if not status.execution.is_running:
        raise RunHasEnded(f"run {status.run_id} has ended: {status.execution.status}")
    executions.stop(status.execution)


def stop_rows(campaign_id: str, executions: Executions, told: Collection[str] = ()) -> list[str]:
    """Tell a stopped campaign's rows to stop, which AWS does by itself, in its own time.

    Args:
        campaign_id: the campaign.
        executions: of all state machines.
        told: the rows that were told before.

    Returns:
        The rows that had not ended yet.
    """
    rows = rows_under_way(campaign_id, executions)
    for row in rows:
        if row.name not in told:
            executions.stop(row)
    return [row.name for row in rows]


def rows_under_way(campaign_id: str, executions: Executions) -> list[Execution]:
    """Running rows of a campaign, whichever of its executions started them."""
    rows = []
    for row in executions.newest_first("generateThumbnails", running=True):
        starter = campaign_execution_of(row.name)
        if starter and (starter == campaign_id or may_resume(starter, campaign_id)):
            rows.append(row)
    return rows
