"""How runs look to a person."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from thumbs.application import CampaignProgress, Execution, Progress

STATES = {
    "": ("·", "dim"),
    "running": ("drawing …", "cyan"),
    "retrying": ("waiting to retry …", "yellow"),
    "succeeded": ("✓", "green"),
    "failed": ("✗", "red"),
}
STATUSES = {"SUCCEEDED": "green", "RUNNING": "cyan", "FAILED": "red", "TIMED_OUT": "red", "ABORTED": "yellow"}


def follow(console: Console, updates: Iterator[tuple[Execution, Progress]]) -> Execution:
    """Show each cell while the run goes on; the finished execution."""
    started = time.monotonic()
    ended = None
    if not console.is_terminal:
        told: set[tuple[int, int]] = set()
        for ended, progress in updates:  # noqa: B007 - the last one is the answer
            for cell in sorted(cell for cell, state in progress.states.items() if state in ("succeeded", "failed")):
                if cell not in told:
                    told.add(cell)
                    console.print(_line(progress, cell, len(told), time.monotonic() - started), highlight=False)
    else:
        with Live(console=console, transient=True, refresh_per_second=8) as live:
            for ended, progress in updates:
                live.update(_matrix(progress, ended))
    if ended is None:
        raise ValueError("a run that is followed has at least one state")
    return ended


def follow_campaign(console: Console, updates: Iterator[tuple[Execution, CampaignProgress]]) -> Execution:
    """Show how many rows are done while a campaign goes on; the finished execution."""
    ended = None
    if not console.is_terminal:
        told = 0
        for ended, progress in updates:
            # A line for every twentieth of the rows.
            if progress.done >= told + max(1, progress.rows // 20):
                told = progress.done
                console.print(campaign_line(ended, progress))
    else:
        with Live(console=console, transient=True, refresh_per_second=8) as live:
            for ended, progress in updates:
                live.update(Text.from_markup(campaign_line(ended, progress)))
    if ended is None:
        raise ValueError("a campaign that is followed has at least one state")
    return ended


def campaign_line(execution: Execution, progress: CampaignProgress) -> str:
    """One line on how far a campaign is."""
    name = escape(execution.name)
    if not progress.rows:
        return f"{name}: checking the file, {execution.seconds:.1f} s"
    failed = f", [red]{progress.failed} without an image[/]" if progress.failed else ""
    return (
        f"{name}: {progress.done} of {progress.rows} rows done{failed}, {progress.running} under way, "
        f"{execution.seconds:.1f} s"
    )


def print_campaign(console: Console, manifest: dict[str, Any]) -> None:
    """The first failures of a campaign, and where everything is."""
    for failure in manifest["failures"][:10]:
        words = f"{failure['model']}: {failure['error']}: {failure['message']}"
        console.print(Text.assemble((f"{failure['row'] + 1:<6}", "red"), failure["title"], " ", (words, "dim")))
    rows = manifest["rows"]
    pending = f", {rows['pending']} not begun" if rows["pending"] else ""
    console.print(
        f"{rows['total']} rows: {rows['succeeded']} whole, {rows['partly']} in part, {rows['failed']} failed{pending}"
    )
    console.print(f"manifest  {manifest['manifest_key']}", soft_wrap=True)
    console.print(f"images    {manifest['images_key']}", soft_wrap=True)


def print_result(console: Console, result: dict[str, Any]) -> None:
    """A row per prompt, a column per model, a link in every cell; then every URL, failure and warning in full."""
    batch = result if "prompts" in result else _as_batch(result)
    table = Table(show_lines=True)
    table.add_column("", style="dim", justify="right")
    table.add_column("prompt", ratio=3)
    for model in batch["models"]:
        table.add_column(model, justify="center")
    errors = {(failure["row"], failure["column"]): failure["error"] for failure in batch["failures"]}
    links: list[Text] = []
    for row, (title, urls) in enumerate(zip(batch["prompts"], batch["results"], strict=True)):
        cells = []
        for column, url in enumerate(urls):
            place = _place(row, column)
            if url:
                cells.append(Text(f"{place} ↗", style=f"green link {url}"))
                links.append(Text.assemble((f"{place:<6}", "green"), (url, f"dim link {url}")))
            else:
                cells.append(Text(f"{place} ✗ {errors[row, column]}", style="red"))
        table.add_row(str(row + 1), escape(title), *cells)
    console.print(table)
    failures = [_note(failure, f"{failure['error']}: {failure['message']}", "red") for failure in batch["failures"]]
    warnings = [_note(warning, warning["message"], "yellow") for warning in batch["warnings"]]
    for line in (*links, *failures, *warnings):
        # A URL that the console broke into lines would not open.
        console.print(line, soft_wrap=True)


def _place(row: int, column: int) -> str:
    return f"{row + 1}.{column + 1}"


def _note(at: dict[str, Any], words: str, style: str) -> Text:
    return Text.assemble((f"{_place(at['row'], at['column']):<6}", style), words)


def summary(result: dict[str, Any], seconds: float) -> str:
    """One line on what a run came to."""
    images = result["images"]
    failed = f", [red]{images['failed']} failed[/red]" if images["failed"] else ""
    return (
        f"[green]{images['succeeded']} of {images['total']} images[/green]{failed} in [bold]{seconds:.1f} s[/bold] "
        f"({images['paid_calls']} paid calls)"
    )


def runs_table(executions: list[Execution]) -> Table:
    """Runs, newest first."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for name in ("run", "task", "status", "started", "seconds"):
        table.add_column(name, justify="right" if name == "seconds" else "left", no_wrap=True)
    for execution in executions:
        table.add_row(
            escape(execution.name),
            execution.task,
            status(execution.status),
            local_time(execution.started),
            f"{execution.seconds:.1f}",
        )
    return table


def status(name: str) -> str:
    """A status in its colour."""
    return f"[{STATUSES.get(name, 'white')}]{name}[/]"


def local_time(moment: datetime) -> str:
    """A moment as the clock on the wall shows it."""
    return f"{moment.astimezone():%b %d %H:%M:%S}"


def progress_table(progress: Progress) -> Table:
    """The state of every cell."""
    table = Table(show_lines=True)
    table.add_column("prompt", ratio=3)
    for model in progress.models:
        table.add_column(model, justify="center", no_wrap=True)
    for row, title in enumerate(progress.titles):
        cells = (STATES[progress.states.get((row, column), "")] for column in range(len(progress.models)))
        table.add_row(escape(title), *(Text(word, style=style) for word, style in cells))
    return table


def _matrix(progress: Progress, execution: Execution) -> RenderableType:
    done = sum(state in ("succeeded", "failed") for state in progress.states.values())
    total = len(progress.titles) * len(progress.models)
    counted = f"{done} of {total} images" if total else "checking the request"
    return Group(progress_table(progress), Text(f"{execution.name}: {counted}, {execution.seconds:.1f} s"))


def _line(progress: Progress, cell: tuple[int, int], done: int, seconds: float) -> str:
    row, column = cell
    word, style = STATES[progress.states[cell]]
    total = len(progress.titles) * len(progress.models)
    title = escape(progress.titles[row])
    return f"[{style}]{word}[/] {done:>2}/{total}  {seconds:5.1f} s  {progress.models[column]}  {title}"


def _as_batch(result: dict[str, Any]) -> dict[str, Any]:
    """The result of ``generateThumbnails`` as a matrix of one row."""
    cells = {image["column"]: (image["model"], image["image_url"]) for image in result["results"]}
    cells |= {failure["column"]: (failure["model"], None) for failure in result["failures"]}
    ordered = [cells[column] for column in sorted(cells)]
    return {
        **result,
        "prompts": [result["title"]],
        "models": [model for model, _ in ordered],
        "results": [[url for _, url in ordered]],
    }
