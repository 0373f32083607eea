"""The command for events that started no run; `thumbs drop --replay` starts them."""

import json
from datetime import UTC, datetime

from rich.markup import escape

from thumbnails.errors import ThumbnailError
from thumbnails.runs.lost import Lost, find_lost, start_again
from thumbs.cli import render
from thumbs.cli.app import AsJson, app, err, out
from thumbs.cli.application import Application
from thumbs.command_error import CommandError

#: Of the inbox's files, how many of the newest are looked at beside another command.
FILES_TOLD_OF = 100


@app.command()
def lost(as_json: AsJson = False) -> None:
    """List the events and dropped files that started no run, and why."""
    found = look(Application.from_environment())
    if as_json:
        print(json.dumps([_as_json(one) for one in found], ensure_ascii=False))
    elif found:
        render.print_lost(out, found)
        out.print("`thumbs drop --replay` starts them")
    else:
        out.print("no event is lost: each one, and each file of the inbox, has started its run")


def look(application: Application, most_files: int | None = None) -> list[Lost]:
    """Every lost event, for whoever only looks; of the inbox's files the newest ``most_files``."""
    queue = application.lost_events
    now = datetime.now(UTC)
    found = find_lost(queue, application.executions, application.store, application.scheduled, now, most_files)
    if queue:
        queue.release(message for one in found for message in one.messages)
    return found


def tell_of_lost_events(application: Application) -> None:
    """One line, where events have started no run; a list of runs is not to wait for a look at every dropped file."""
    if found := look(application, FILES_TOLD_OF):
        many = "1 event has" if len(found) == 1 else f"{len(found)} events have"
        err.print(f"[yellow]![/] {many} started no run: `thumbs lost` lists them, `thumbs drop --replay` starts them")


def replay(application: Application, as_json: bool) -> None:
    """Start the run of every lost event.

    Raises:
        CommandError: one or more could not be started.
    """
    queue = application.lost_events
    found = find_lost(queue, application.executions, application.store, application.scheduled, datetime.now(UTC))
    started, failed = [], []
    for one in found:
        try:
            if not one.run_id:
                raise CommandError(one.what, "it stays in the queue until it is fourteen days old")
            now = start_again(one, queue, application.executions, application.store, application.scheduled)
        except (ThumbnailError, CommandError) as problem:
            failed.append(one)
            err.print(f"[red]✗[/] {escape(one.what)}: {escape(str(problem))}")
            continue
        started.append(one)
        if not as_json:
            out.print(f"{one.run_id} {'is started' if now else 'was started before'}: {escape(one.what)}")
    if queue:
        queue.release(message for one in failed for message in one.messages)
    if as_json:
        print(json.dumps([one.run_id for one in started]))
    elif not found:
        out.print("no event is lost: there is nothing to start")
    if failed:
        raise CommandError(f"{len(failed)} of {len(found)} lost events could not be started", "they are kept")


def _as_json(one: Lost) -> dict[str, object]:
    return {"run_id": one.run_id or None, "what": one.what, "since": one.since.isoformat(), "reason": one.reason}
