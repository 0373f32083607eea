"""The bucket's brand kits: put, read at most once while they stay the same, listed, and what they mean to a request."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from thumbnails.aws.s3 import Listed, Store
from thumbnails.brands.kit import KIT_BYTES, Brands, Kit, check_name, parse_kit
from thumbnails.errors import InvalidBatch, Problem, quoted
from thumbnails.keys import BRANDS, brand_key
from thumbnails.strict_json import NotJson, read_json

#: Kits that a process keeps: some megabytes each.
KEPT = 4
#: Of the kits that exist, in a refusal.
NAMED = 5

#: (bucket, name) → ETag and kit, as they were last read.
_read: dict[tuple[str, str], tuple[str, Kit]] = {}


@dataclass(frozen=True)
class Put:
    """A kit that was stored, under which version of its object."""

    name: str
    version: str
    kit: Kit


def prepare_kit(value: object) -> Kit:
    """A kit as it is stored, of what a person gives: its logo a PNG, its fonts tried.

    Raises:
        InvalidBatch: with every problem.
    """
    # What draws and rasterises; nothing else needs it.
    from thumbnails.brands.fonts import open_font
    from thumbnails.brands.kit import decoded
    from thumbnails.brands.logos import logo_png

    problems: list[Problem] = []
    if isinstance(value, Mapping):
        value = {name: part for name, part in value.items() if name != "$schema"}
        logo = value.get("logo")
        if isinstance(logo, Mapping) and isinstance(logo.get("data"), str):
            try:
                value["logo"] = {**logo, "data": logo_png(decoded(logo["data"]))}
            except ValueError as error:
                problems.append(Problem("logo.data", f"logo.data: the file {error}"))
                value.pop("logo")
    try:
        kit = parse_kit(value)
    except InvalidBatch as refused:
        problems = [*refused.problems, *problems]
    else:
        for place, font in enumerate(kit.fonts):
            try:
                open_font(font.data, font.coverage)
            except ValueError as error:
                problems.append(Problem(f"fonts[{place}]", f"fonts[{place}]: {font.name}: the file {error}"))
    if problems:
        raise InvalidBatch(problems[0].message, problems)
    return kit


def put_kit(store: Store, name: str, value: object) -> Put:
    """Check a kit and store it, whole or not at all; what stood there stays as an older version.

    Raises:
        InvalidBatch: the name is none, or the kit breaks a rule; with every problem.
    """
    _checked_name(name, "name")
    kit = prepare_kit(value)
    return Put(name, store.put_version(brand_key(name), kit.canonical, "application/json"), kit)


def get_kit(store: Store, name: str) -> Kit:
    """A kit, checked anew; one that this process has read is not read again while it stays the same.

    Raises:
        InvalidBatch: there is none of this name, with the first that there are; or it breaks a rule.
    """
    _checked_name(name)
    kit = find_kit(store, name)
    if kit is None:
        raise _refusal(f"there is no brand kit {quoted(name)}; {_those_that_exist(store)}")
    return kit


def find_kit(store: Store, name: str) -> Kit | None:
    """A kit as ``get_kit`` has it; None where there is none of this name.

    Raises:
        InvalidBatch: it breaks a rule: somebody else wrote it, or wrote it for another version of this program.
    """
    try:
        check_name(name)
    except ValueError:
        return None
    etag, kit = _read.get((store.bucket, name), ("", None))
    stored = store.get_unless(brand_key(name), etag, KIT_BYTES + 1)
    if stored is None:
        return None
    if kit and stored.etag == etag:
        return kit
    try:
        kit = parse_kit(read_json(stored.body) if len(stored.body) <= KIT_BYTES else None)
    except NotJson as error:
        raise _refusal(f"the brand kit {quoted(name)} is not JSON: {error}; put it with `thumbs brand put`") from None
    except InvalidBatch as refused:
        raise _refusal(f"the brand kit {quoted(name)} is refused: {refused}; put it again") from None
    while len(_read) >= KEPT:
        _read.pop(next(iter(_read)), None)
    _read[store.bucket, name] = stored.etag, kit
    return kit


def list_kits(store: Store) -> list[Listed]:
    """The kits that are there, by name; the names are the keys' without folder and ending."""
    return [found for found in store.listed(BRANDS) if found.key == brand_key(kit_name(found.key))]


def kit_name(key: str) -> str:
    """The name of the kit under a key."""
    return key.removeprefix(BRANDS).removesuffix(".json")


def brands_in(store: Store) -> Brands:
    """Finds the kits of a bucket, each asked for once: for a request, or for all rows of a file."""

    @lru_cache(maxsize=KEPT)
    def found(name: str) -> Kit | InvalidBatch:
        try:
            return get_kit(store, name)
        except InvalidBatch as refused:
            return refused

    def find(name: str) -> Kit:
        kit = found(name)
        if isinstance(kit, InvalidBatch):
            raise kit
        return kit

    return find


def _checked_name(name: str, field: str = "brand") -> None:
    try:
        check_name(name)
    except ValueError as error:
        raise _refusal(f"{field}: {error}", field) from None


def _refusal(message: str, field: str = "brand") -> InvalidBatch:
    return InvalidBatch(message, [Problem(field, message)])


def _those_that_exist(store: Store) -> str:
    keys = [key for key in store.keys_after(BRANDS, BRANDS, NAMED + 1) if key == brand_key(kit_name(key))]
    if not keys:
        return "there is none yet: `thumbs brand put NAME FILE`"
    more = " and more" if len(keys) > NAMED else ""
    return f"choose from: {', '.join(kit_name(key) for key in keys[:NAMED])}{more}"
