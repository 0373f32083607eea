"""Commands for brand kits: checked, put, shown, listed. Every rule about a kit is the domain's."""

import base64
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from thumbnails.brands.kit import KIT_BYTES, Kit
from thumbnails.brands.kits import get_kit, kit_name, list_kits, prepare_kit, put_kit
from thumbnails.errors import InvalidBatch, quoted
from thumbnails.strict_json import NotJson, read_json
from thumbs.cli.app import AsJson, app, out
from thumbs.cli.application import Application
from thumbs.command_error import CommandError

brand = typer.Typer(no_args_is_help=True, help="Check, put and show brand kits: colours, fonts, logo, templates.")
app.add_typer(brand, name="brand")

File = Annotated[
    Path, typer.Argument(help='The kit as JSON; fonts and logo may be files beside it: {"file": "fonts/Bold.ttf"}.')
]
Name = Annotated[str, typer.Argument(help="The kit's name, in lower case: acme, my-site.")]


@brand.command()
def check(file: File, as_json: AsJson = False) -> None:
    """Say whether a kit is right, and what it holds. Needs no stack."""
    summary = checked_kit(file).summary()
    print(json.dumps(summary, ensure_ascii=False)) if as_json else _print(f"{file} is right", summary)


@brand.command()
def put(name: Name, file: File, as_json: AsJson = False) -> None:
    """Check a kit and keep it in the bucket, in place of what has its name."""
    value = _read_kit(file)
    try:
        made = put_kit(Application.from_environment().store, name, value)
    except InvalidBatch as refused:
        raise _refusal(file, refused) from None
    summary = made.kit.summary()
    if as_json:
        print(json.dumps({"name": made.name, "version": made.version, **summary}, ensure_ascii=False))
    else:
        _print(f"{made.name} is put, as version {made.version}", summary)


@brand.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show what a kit holds; with --json its whole document, as `put` takes it."""
    kit = get_kit(Application.from_environment().store, name)
    print(kit.canonical.decode()) if as_json else _print(name, kit.summary())


@brand.command("list")
def list_brands(as_json: AsJson = False) -> None:
    """List the kits."""
    found = list_kits(Application.from_environment().store)
    if as_json:
        listed = [
            {"name": kit_name(one.key), "bytes": one.size, "modified_at": one.modified.isoformat()} for one in found
        ]
        print(json.dumps(listed))
        return
    for one in found:
        out.print(f"{kit_name(one.key):<24} {one.size / 1000:7,.0f} kB  {one.modified:%Y-%m-%d %H:%M}", soft_wrap=True)
    if not found:
        out.print("there are no brand kits yet; `thumbs brand put NAME FILE` keeps one (docs/brands.md)")


def checked_kit(file: Path) -> Kit:
    """The kit of a file.

    Raises:
        CommandError: it cannot be read, or breaks a rule.
    """
    value = _read_kit(file)
    try:
        return prepare_kit(value)
    except InvalidBatch as refused:
        raise _refusal(file, refused) from None


def _print(headline: str, summary: dict[str, Any]) -> None:
    colours, logo = summary["colours"], summary["logo"]
    lines = [
        headline,
        f"colours    text {colours['text']} on {colours['background']} ({summary['contrast']:g}:1), "
        f"accent {colours['accent']}",
    ]
    for font in summary["fonts"]:
        scripts = ", ".join(font["scripts"]) or "no script as a whole"
        lines.append(f"font       {font['name']}: {scripts}; {font['licence']}")
    if logo:
        lines.append(f"logo       {logo[0]} x {logo[1]} pixels, {summary['corner']}")
    lines += [f"{name:<10} {summary[name]}" for name in ("line", "kicker") if summary[name]]
    if summary["templates"]:
        lines.append(f"templates  {', '.join(summary['templates'])}")
    lines.append(f"size       {summary['bytes'] / 1000:,.0f} kB")
    for line in lines:
        out.print(line, soft_wrap=True, markup=False)


def _refusal(file: Path, refused: InvalidBatch) -> CommandError:
    problems = "; ".join(dict.fromkeys(problem.message for problem in refused.problems))
    return CommandError(quoted(str(file), 200)[1:-1], problems)


def _read_kit(file: Path) -> object:
    """A kit's file, the files that it names within it.

    Raises:
        CommandError: a file cannot be read, is too large, or is not below the kit's folder.
    """
    try:
        value = read_json(_bytes_of(file))
    except NotJson as error:
        raise CommandError(f"{quoted(str(file), 200)[1:-1]} is not JSON", str(error)) from None
    if isinstance(value, dict):
        fonts = value.get("fonts")
        for part in [*(fonts if isinstance(fonts, list) else ()), value.get("logo")]:
            if isinstance(part, dict) and "file" in part and "data" not in part:
                part["data"] = base64.b64encode(_beside(file, part.pop("file"))).decode()
    return value


def _beside(kit: Path, named: object) -> bytes:
    """The bytes of a file in the kit's folder or below it; a link out of there leads out of there."""
    shown = quoted(str(named), 200)
    if not isinstance(named, str) or not named or "\0" in named:
        raise CommandError(f"file: {shown} is no path", "name a file beside the kit")
    folder = kit.parent.resolve()
    path = (folder / named).resolve()
    if Path(named).is_absolute() or not path.is_relative_to(folder):
        raise CommandError(f"file: {shown} is not in the kit's folder", f"copy it below {folder}")
    return _bytes_of(path)


def _bytes_of(path: Path) -> bytes:
    shown = quoted(str(path), 200)[1:-1]
    try:
        with path.open("rb") as opened:
            data = opened.read(KIT_BYTES + 1)
    except OSError as error:
        raise CommandError(f"{shown} cannot be read", error.strerror or str(error)) from None
    if len(data) > KIT_BYTES:
        raise CommandError(f"{shown} is larger than {KIT_BYTES:,} bytes", "a kit is smaller, with all its files")
    return data
