"""How runs look to a person."""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from thumbnails.catalog import QUALITIES, Model
from thumbnails.catalog.prices import picture_usd
from thumbnails.runs.costs import Spent
from thumbnails.runs.listing import ListedRun
from thumbnails.runs.lost import Lost
from thumbnails.runs.status import CellStatus, RunStatus

STATES = {
    "pending": ("·", "dim"),
    "running": ("drawing …", "cyan"),
    "retrying": ("waiting to retry …", "yellow"),
    "succeeded": ("✓", "green"),
    "failed": ("✗", "red"),
    "deleted": ("deleted", "dim"),
}
STATUSES = {"SUCCEEDED": "green", "RUNNING": "cyan", "FAILED": "red", "TIMED_OUT": "red", "ABORTED": "yellow"}
ENDED = ("succeeded", "failed")
#: Wider than any table of runs.
TABLE_CHARACTERS = 1000
FORGOTTEN = "its history is gone, and the bucket shows what it holds"


def follow(console: Console, updates: Iterator[RunStatus]) -> RunStatus:
    """Show a run while it goes on, cell by cell or row by row; the run at its end."""
    ended = None
    if console.is_terminal:
        with Live(console=console, transient=True, refresh_per_second=8) as live:
            for ended in updates:
                line = Text.from_markup(progress_line(ended))
                live.update(line if ended.is_campaign else Group(progress_table(ended), line))
    else:
        told = _Told(console)
        for ended in updates:
            told.tell(ended)
    if ended is None:
        raise ValueError("a run that is followed has at least one state")
    return ended


class _Told:
    """What a log was told of a run: a line for each cell that ends, or for every twentieth of a campaign's rows."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._cells: set[tuple[int, int]] = set()
        self._rows = 0

    def tell(self, run: RunStatus) -> None:
        if run.rows and run.rows.counts.done >= self._rows + max(1, run.rows.total // 20):
            self._rows = run.rows.counts.done
            self._console.print(progress_line(run))
        for cell in run.cells:
            if cell.state in ENDED and (cell.row, cell.column) not in self._cells:
                self._cells.add((cell.row, cell.column))
                seconds = time.monotonic() - self._started
                self._console.print(_line(run, cell, len(self._cells), seconds), soft_wrap=True)


def seconds(run: RunStatus | ListedRun) -> float:
    """Wall time of a run's newest execution, up to now while it runs."""
    timed = run.execution if isinstance(run, RunStatus) else run
    return ((timed.stopped or datetime.now(UTC)) - timed.started).total_seconds()


def print_lost(console: Console, lost: Iterable[Lost]) -> None:
    """Events that started no run; where it is piped, a line for each."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("event", overflow="fold")
    table.add_column("since", no_wrap=True)
    table.add_column("why", overflow="fold")
    # A name that was broken into lines would be copied with the breaks.
    table.add_column("would start", no_wrap=True)
    for one in lost:
        table.add_row(escape(one.what), f"{one.since:%Y-%m-%d %H:%M:%S}", escape(one.reason), one.run_id or "nothing")
    if not console.is_terminal:
        table.width = _whole_width(console, table)
    console.print(table, crop=False)


def _whole_width(console: Console, table: Table) -> int:
    return Measurement.get(console, console.options.update(max_width=TABLE_CHARACTERS), table).maximum


def progress_line(run: RunStatus) -> str:
    """One line on how far a run is."""
    name, time_taken = escape(run.run_id), f"{seconds(run):.1f} s"
    if run.rows:
        counts = run.rows.counts
        failed = f", [red]{counts.failed} without an image[/]" if counts.failed else ""
        return f"{name}: {counts.done} of {run.rows.total} rows done{failed}, {counts.running} running, {time_taken}"
    if run.is_campaign:
        return f"{name}: checking the file, {time_taken}"
    done = sum(cell.state in ENDED for cell in run.cells)
    counted = f"{done} of {len(run.cells)} images" if run.cells else "checking the request"
    return f"{name}: {counted}, running for {time_taken}"


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


def print_cells(
    console: Console, run: RunStatus, url: Callable[[str], str], warnings: Iterable[dict[str, Any]]
) -> None:
    """A row per prompt, a column per model, a link in every cell; then every URL, failure and warning in full."""
    table = Table(show_lines=True)
    table.add_column("", style="dim", justify="right")
    table.add_column("prompt", ratio=3)
    models, titles = _heads(run)
    for model in models:
        table.add_column(model, justify="center", overflow="fold")
    links: list[tuple[str, str]] = []
    failures: list[Text] = []
    for row, title in enumerate(titles):
        cells = []
        here = {cell.column: cell for cell in run.cells if cell.row == row}
        for column in range(len(models)):
            cell = here.get(column)
            if cell is None:
                # Not among those that were to be made.
                cells.append(Text("–", style="dim"))
                continue
            place = _place(cell.row, cell.column)
            if cell.state == "succeeded":
                link = url(cell.key)
                paid = f" {dollars(cell.usd)}" if cell.usd is not None else ""
                cells.append(Text(f"{place} ↗{paid}", style=f"green link {link}"))
                first = f" {run.request.formats[0]}" if run.request and cell.formats else ""
                links.append((place + first, link))
                links += [(f"{place} {form}", url(key)) for form, key in cell.formats.items()]
                for number, key in enumerate(cell.variants, 2):
                    other = url(key)
                    cells[-1].append(f" {number}↗", style=f"green link {other}")
                    links.append((f"{place}.{number}", other))
            elif cell.state == "failed":
                cells.append(Text(f"{place} ✗ {cell.error}", style="red"))
                failures.append(_note(cell.row, cell.column, f"{cell.error}: {cell.message}", "red"))
            else:
                word, style = STATES[cell.state]
                cells.append(Text(f"{place} {word}", style=style))
        table.add_row(str(row + 1), escape(title), *cells)
    console.print(table)
    noted = [_note(warning["row"], warning["column"], warning["message"], "yellow") for warning in warnings]
    widest = max((len(place) for place, _ in links), default=0)
    urls = [
        Text.assemble((f"{place:<{max(5, widest)}} ", "green"), (link, f"dim link {link}")) for place, link in links
    ]
    for line in (*urls, *failures, *noted):
        # A URL that the console broke into lines would not open.
        console.print(line, soft_wrap=True)


def _place(row: int, column: int) -> str:
    return f"{row + 1}.{column + 1}"


def _note(row: int, column: int, words: str, style: str) -> Text:
    return Text.assemble((f"{_place(row, column):<6}", style), words)


def _heads(run: RunStatus) -> tuple[list[str], list[str]]:
    return (run.request.models, run.request.titles) if run.request else ([], [])


def summary(run: RunStatus, result: dict[str, Any]) -> str:
    """One line on what a run came to."""
    images = result["images"]
    succeeded, failed = (images["succeeded"], images["failed"])
    if run.cells:
        succeeded, failed = run.count("succeeded"), run.count("failed")
        if others := sum(len(cell.variants) for cell in run.cells):
            succeeded += others
            failed = images["total"] - succeeded - run.count("deleted")
    without = f", [red]{failed} failed[/red]" if failed else ""
    without += f", {run.count('deleted')} deleted" if run.count("deleted") else ""
    return (
        f"[green]{succeeded} of {images['total']} images[/green]{without} in [bold]{seconds(run):.1f} s[/bold] "
        f"({images['paid_calls']} paid calls{_bill(result.get('costs', {}))})"
    )


def _bill(costs: dict[str, Any]) -> str:
    """What a run cost beside what it was to cost; nothing of one from before that was counted."""
    if "usd" not in costs:
        return ""
    estimated = f", estimated {dollars(costs['estimated_usd'])}" if "estimated_usd" in costs else ""
    return f", {dollars(costs['usd'])}{estimated}"


def dollars(usd: float) -> str:
    """US dollars, as exactly as pictures cost."""
    return f"${usd:.4f}"


def costs_table(paid: Iterable[Spent], by: str) -> Table:
    """What was paid, summed up by day, model or run."""
    sums: dict[str, list[float]] = {}
    for one in paid:
        name = {"day": str(one.day), "model": one.model, "run": one.run_id}[by]
        used = one.usage
        line = sums.setdefault(name, [0, 0, 0, 0, 0.0])
        facts = (1, one.pictures, used.text_in + used.image_in, used.text_out + used.image_out, one.usd)
        sums[name] = [before + more for before, more in zip(line, facts, strict=True)]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in (by, "paid calls", "pictures", "tokens in", "tokens out", "US dollars"):
        table.add_column(name, justify="left" if name == by else "right", no_wrap=True)
    for name, (*counts, usd) in sums.items():
        table.add_row(escape(name), *(f"{count:.0f}" for count in counts), f"{usd:.4f}")
    if len(sums) > 1:
        *counts, usd = (sum(column) for column in zip(*sums.values(), strict=True))
        table.add_row("all", *(f"{count:.0f}" for count in counts), f"{usd:.4f}", style="bold")
    return table


def print_runs(console: Console, runs: list[ListedRun], *, with_executions: bool) -> None:
    """Runs, newest first; with the execution that each is of, where a run may have several.

    Nothing is ever cut: what is no terminal gets a line for each run, however long, and a terminal that is too narrow
    for the table gets the names on lines of their own, whole for whoever copies them.
    """
    # With ids of the command's own and runs of less than a quarter of an hour it has 79 characters.
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("run", *(["execution"] if with_executions else []), "task", "status", "started", "sec"):
        table.add_column(name, justify="right" if name == "sec" else "left", no_wrap=True)
    rows = [
        (
            [run.run_id, run.execution] if with_executions else [run.run_id],
            [
                run.task,
                status(run.status) + (" *" if run.forgotten else ""),
                local_time(run.started),
                f"{seconds(run):.1f}",
            ],
        )
        for run in runs
    ]
    for names, facts in rows:
        table.add_row(*map(escape, names), *facts)
    table.width = _whole_width(console, table)
    if table.width <= console.width or not console.is_terminal:
        console.print(table, crop=False)
        return
    for names, facts in rows:
        # A name that the console broke into lines would be copied with the breaks.
        for name in dict.fromkeys(names):
            console.print(Text(name), soft_wrap=True)
        console.print(f"  {'  '.join(facts)} s", soft_wrap=True)


def models_table(models: list[Model]) -> Table:
    """The catalogue's models with what a picture costs at each quality, in US dollars."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("model", "provider", *QUALITIES, "batch", "size", "state", "checked"):
        table.add_column(name, justify="right" if name in QUALITIES else "left", no_wrap=name != "state")
    for model in models:
        prices = (f"{picture_usd(model.order(quality)):.4f}" for quality in QUALITIES)
        state = model.state()
        words = f"{state} {model.retired}, use {model.successor}" if model.retired else state
        style = {"living": "green", "ending": "yellow", "retired": "dim"}[state]
        half = "half price" if model.batch and state != "retired" else ""
        table.add_row(
            model.id, model.provider, *prices, half, model.order().size, f"[{style}]{words}[/]", str(model.checked)
        )
    return table


def model_as_json(model: Model) -> dict[str, Any]:
    """A model as ``thumbs models --json`` shows it."""
    days = {name: str(day) if (day := getattr(model, name)) else None for name in ("retired", "checked")}
    return {
        "id": model.id,
        "provider": model.provider,
        "state": model.state(),
        **days,
        "successor": model.successor,
        "notice": model.notice(),
        "batch": model.batch,
        "prices_usd": {quality: round(picture_usd(model.order(quality)), 4) for quality in QUALITIES},
    }


def status(name: str) -> str:
    """A status in its colour."""
    return f"[{STATUSES.get(name, 'white')}]{name}[/]"


def local_time(moment: datetime) -> str:
    """A moment as the clock on the wall shows it."""
    return f"{moment.astimezone():%b %d %H:%M:%S}"


def progress_table(run: RunStatus) -> Table:
    """The state of every cell."""
    models, titles = _heads(run)
    table = Table(show_lines=True)
    table.add_column("prompt", ratio=3)
    for model in models:
        table.add_column(model, justify="center", no_wrap=True)
    for row, title in enumerate(titles):
        of_row = run.cells[row * len(models) : (row + 1) * len(models)]
        words = (STATES["retrying" if cell.waits else cell.state] for cell in of_row)
        table.add_row(escape(title), *(Text(word, style=style) for word, style in words))
    return table


def _line(run: RunStatus, cell: CellStatus, done: int, after: float) -> str:
    word, style = STATES[cell.state]
    return f"[{style}]{word}[/] {done:>2}/{len(run.cells)}  {after:5.1f} s  {cell.model}  {escape(cell.title)}"
