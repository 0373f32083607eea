"""Commands that bring a run's pictures to a person's disk and screen."""

import json
import os
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from thumbnails.runs.files import folder_name
from thumbnails.runs.status import RunStatus
from thumbs.cli import download as downloads
from thumbs.cli.app import AsJson, Run, app, err, out
from thumbs.cli.application import Application

Folder = Annotated[Path | None, typer.Argument(help="Where to; a folder with the run's name where left out.")]
Originals = Annotated[bool, typer.Option("--originals", help="The providers' own pictures too, without the title.")]


@app.command("download")
def download_run(run: Run, folder: Folder = None, originals: Originals = False, as_json: AsJson = False) -> None:
    """Save a run's images, and a page that shows them all. Again, it fetches what is missing; other files stay."""
    status, found = _download(run, folder, originals)
    if as_json:
        facts = {"run_id": status.run_id, "status": status.execution.status, "folder": str(found.folder)}
        files = [entry.as_json() for entry in found.entries]
        print(json.dumps({**facts, "page": str(found.page), "files": files}, ensure_ascii=False))
    else:
        _tell(status, found)


@app.command("open")
def open_run(run: Run, folder: Folder = None) -> None:
    """Save a run's images as `thumbs download` does, and open the page that shows them all in the browser."""
    status, found = _download(run, folder, originals=False)
    _tell(status, found)
    address = found.page.as_uri()
    # On a machine without a screen Python would open a browser within the terminal.
    screen = any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")))
    if not (screen and webbrowser.open(address)):
        err.print("there is no browser here; this is the page's address:")
    print(address)


def _download(run: str, folder: Path | None, originals: bool) -> tuple[RunStatus, downloads.Download]:
    application = Application.from_environment()
    status = application.find(run)
    place = (folder or Path(folder_name(status.run_id))).absolute()
    try:
        with _progress() as progress:
            return status, downloads.download(status, application.store, place, progress, originals=originals)
    except KeyboardInterrupt:
        err.print(f"what is fetched stays in {escape(str(place))}; the same command goes on with the rest")
        raise typer.Exit(130) from None


@contextmanager
def _progress() -> Iterator[downloads.Progress]:
    """A bar in a terminal; nothing where the output is kept."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("cells"))
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as shown:
        bar = shown.add_task("", total=None)
        yield lambda done, total: shown.update(bar, completed=done, total=total)


def _tell(run: RunStatus, found: downloads.Download) -> None:
    saved, cells = found.saved, len(found.entries)
    fetched = sum(one.fetched for one in saved)
    out.print(
        f"[green]{len(saved)} of {cells} images[/] are in {escape(str(found.folder))}, {fetched} of them fetched now",
        soft_wrap=True,
    )
    if kept := [entry.original for entry in found.entries if entry.original]:
        out.print(f"{len(kept)} originals, {sum(one.fetched for one in kept)} of them fetched now")
    every = [one for entry in found.entries for one in (entry.image, entry.original) if one]
    for one in every:
        if one.other:
            out.print(
                f"{escape(one.other)} is another file and stays; the picture is {escape(one.name)}", soft_wrap=True
            )
    if len(saved) < cells:
        name, missing = escape(run.run_id), f"{cells - len(saved)} missing"
        if run.execution.is_running:
            out.print(f"{missing}: {name} goes on, and the same command fetches the rest later", soft_wrap=True)
        else:
            out.print(
                f"{missing}: `thumbs redrive {name}` makes them, and the same command fetches them", soft_wrap=True
            )
