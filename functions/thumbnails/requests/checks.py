"""Every check on a request. One that passes costs money; one that fails costs nothing."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from thumbnails.brands.kit import Brands, Kit
from thumbnails.catalog import DEFAULT_FONT, FONTS, FORMATS, MODELS, STYLES, TEMPLATES, Provider
from thumbnails.errors import InvalidBatch, Problem, quoted
from thumbnails.requests.models import (
    AUTHOR_CHARACTERS,
    CONTEXT_CHARACTERS,
    EXTRA_PROMPT_CHARACTERS,
    KICKER_CHARACTERS,
    POSITIONS,
    SHAPES,
    TITLE_CHARACTERS,
    Campaign,
    Cell,
    Options,
    Request,
    Task,
    variants_of,
)
from thumbnails.requests.wording import shape_problems

A = TypeVar("A", bound=Options | Cell)

#: Of the letters that a font lacks.
NAMED_LETTERS = 10
#: Of a request with thousands of problems a person reads the first.
MOST_PROBLEMS = 100
NO_TITLE = "prompts must contain at least one title"
NO_MODEL = "models must contain at least one model"
CAPPED = "batch is capped at"
#: What spreadsheets write where a formula has no value, in any language: #REF!, #NAME?, #N/A, #¡DIV/0!, #BEZUG!, #NV,
#: #Н/Д, Err:502, and ### where a column is too narrow; or the formula itself.
_NO_VALUE = re.compile(
    r"#[¡¿]?[^\W\d_]+(?:[/ _][^\W\d_]+)*(?:/0)?[!?]|#[^\W\d_]{1,2}/[^\W\d_]{1,2}!?|#{3,}|ERR:\d{3}|LOADING(?:\.\.\.|…)"
    r"|#(?:NV|YOK|SAKNAS|HIÁNYZIK|GETTING_DATA|NENÍ_K_DISPOZICI)!?|=[^\s=].*"
)
#: Of the letters that no font has, so many are named.
NAMED = 5
#: A message that names several problems ends with the number of the rest where it would be longer.
MESSAGE_CHARACTERS = 1000


def parse_request(
    task: Task,
    value: object,
    cap: int,
    real: Collection[Provider] = (),
    brands: Brands | None = None,
    *,
    titles_follow: bool = False,
) -> Request:
    """Check a request in either form, in the order of the contract.

    Args:
        task: the state machine that was started.
        value: an object, or the same as a positional array.
        cap: the most images that one run may make.
        real: the providers that are called themselves: a model that they have shut down is refused.
        brands: finds the kit that the request names. Without it a kit is not looked for, and what may be the kit's is
            left to whoever checks the request again.
        titles_follow: a missing title is accepted, because one is added later.

    Raises:
        InvalidBatch: with one sentence on what is wrong and what is right, and with every problem there is.
    """
    shape = SHAPES[task]
    given = _as_object(shape.first, value)
    for name in (shape.first, "models", "only", "formats", "drawn_for"):
        if isinstance(given.get(name), list):
            # What is over the cap is too many, whatever it holds: a megabyte of it takes no longer to refuse.
            given[name] = given[name][: cap + 1]
    problems: list[Problem] = []
    spoilt: set[object] = set()
    request = None
    while request is None:
        try:
            request = shape.model_validate(given)
        except ValidationError as error:
            problems += shape_problems(error)
            spoilt |= {place["loc"][0] for place in error.errors() if place["loc"]}
            # What has the right shape is checked all the same, so that a person hears of everything at once; again and
            # again, because a name that is no text hides what is wrong beside it.
            given = {name: given[name] for name in shape.model_fields if name in given and name not in spoilt}
    rows = len(request.titles) or int(titles_follow)
    problems += [problem for problem in _size_problems(request, rows, cap) if problem.field not in spoilt]
    request, kit, of_brand = _with_kit(request, brands)
    problems += [*_field_problems(request, real, kit), *of_brand]
    if problems:
        raise refusal(problems)
    return request


def parse_campaign(value: object, real: Collection[Provider] = (), brands: Brands | None = None) -> Campaign:
    """Check what a campaign asks for, but for its rows.

    Args:
        value: the campaign as it came.
        real: the providers that are called themselves.
        brands: finds the kit that it names, as for a request.

    Raises:
        InvalidBatch: a field is missing, unknown, of the wrong type or out of its limits, or no row could pass.
    """
    if not isinstance(value, dict):
        raise InvalidBatch("a campaign is an object with file and max_images")
    given = {name: item for name, item in value.items() if item is not None}
    if "max_images" not in given:
        raise InvalidBatch("a campaign needs max_images, the most images that it may make and pay for")
    problems: list[Problem] = []
    campaign = None
    try:
        campaign = Campaign.model_validate(given)
    except ValidationError as error:
        problems += shape_problems(error)
    if campaign and campaign.stragglers == "live" and not campaign.economy:
        wrong = "stragglers says what becomes of what no batch made: it goes with economy"
        problems.append(Problem("stragglers", wrong))
    spoilt = {problem.field for problem in problems}
    shared = {name: given[name] for name in Options.model_fields if name in given and name not in spoilt}
    try:
        # What is wrong for every row is said once.
        one_row = {"models": [next(iter(MODELS))], **shared}
        parse_request("generateThumbnails", one_row, len(MODELS), real, brands, titles_follow=True)
    except InvalidBatch as refused:
        problems += [problem for problem in refused.problems if problem not in problems]
    if problems or campaign is None:
        raise with_every_problem(refusal(problems))
    return campaign


def parse_cell(value: object, *, run_id: str, real: Collection[Provider] = ()) -> Cell:
    """Check one cell.

    Args:
        value: the event; ``run_id`` and ``execution`` are taken from the keyword where it names none.
        run_id: a run id for a cell that is called on its own.
        real: the providers that are called themselves.

    Raises:
        InvalidBatch: a field is missing, of the wrong type, out of its limits or unknown to the catalogue.
    """
    try:
        cell = Cell.model_validate(value)
    except ValidationError as error:
        raise with_every_problem(refusal(shape_problems(error))) from None
    cell = cell.model_copy(
        update={"run_id": cell.run_id or run_id, "execution": cell.execution or cell.run_id or run_id}
    )
    problems = [
        *_length_problems([("title", cell.title)], cell),
        *_name_problems(["model"], [cell.model], cell, None),
        *_glyph_problems([("title", cell.title), *_notes(cell)], cell),
        *_retired_problems(["model"], [cell.model], real),
    ]
    if problems:
        raise with_every_problem(refusal(problems))
    return cell


def brand_of(cell: Cell, brands: Brands) -> tuple[Cell, Kit | None]:
    """A cell's kit, and the cell with the kit's font and template where it names none; one without a brand has none.

    Raises:
        InvalidBatch: there is no such kit, the cell names what neither the kit nor the catalogue has, or the kit's font
            lacks letters of the title.
    """
    cell, kit, problems = _with_kit(cell, brands)
    if kit:
        problems += _name_problems([], [], cell, kit)
        problems += _letter_problems([("title", cell.title)], cell.font, kit)
    if problems:
        raise with_every_problem(refusal(problems))
    return cell, kit


def _with_kit(asked: A, brands: Brands | None) -> tuple[A, Kit | None, list[Problem]]:
    """What is asked for with the kit's first font and template where it names none, its kit, and what is wrong."""
    if not asked.brand or brands is None:
        return asked, None, []
    try:
        kit = brands(asked.brand)
    except InvalidBatch as refused:
        return asked, None, list(refused.problems)
    firsts = {"font": next((font.name for font in kit.fonts), ""), "template": next(iter(kit.templates), "")}
    left_out = {name: first for name, first in firsts.items() if first and name not in asked.model_fields_set}
    return cast(A, asked.model_copy(update=left_out)), kit, []


def _letter_problems(titles: Iterable[tuple[str, str]], font: str, kit: Kit) -> Iterator[Problem]:
    """Letters that the kit's own font lacks: another font in their place would not be the brand's."""
    for place, title in titles:
        if missing := kit.missing_letters(title, font):
            more = f" and {len(missing) - NAMED_LETTERS} more" if len(missing) > NAMED_LETTERS else ""
            has = ", ".join(kit.scripts(font)) or "no script as a whole"
            yield Problem(
                place,
                f"{place}: the brand's font {quoted(font)} lacks {' '.join(missing[:NAMED_LETTERS])}{more} (it has "
                f"{has}); choose a font that has them, such as one of the catalogue",
            )


def _size_problems(request: Request, rows: int, cap: int) -> Iterator[Problem]:
    if not rows:
        yield Problem(request.first, NO_TITLE)
    if not request.models:
        yield Problem("models", NO_MODEL)
    images = request.images
    if not (request.titles or request.only):
        images = rows * sum(variants_of(request, model) for model in request.models)
    if images > cap:
        yield Problem(request.first, f"{CAPPED} {cap} generated images")


def _field_problems(request: Request, real: Collection[Provider], kit: Kit | None) -> Iterator[Problem]:
    rows = [(request.place(row), title) for row, title in enumerate(request.titles)]
    yield from _length_problems(rows, request)
    yield from _glyph_problems([*rows, *_notes(request)], request)
    places = [f"models[{column}]" for column in range(len(request.models))]
    yield from _name_problems(places, request.models, request, kit)
    if kit:
        yield from _letter_problems(rows, request.font, kit)
    yield from _retired_problems(places, request.models, real)
    for number, (row, column) in enumerate(request.only):
        if row >= len(request.titles) or column >= len(request.models):
            yield Problem(f"only[{number}]", f"only[{number}]: there is no row {row} with a column {column}")
        elif (row, column) in request.only[:number]:
            yield Problem(f"only[{number}]", f"only[{number}]: row {row}, column {column} is named twice")


def _length_problems(titles: Iterable[tuple[str, str]], options: Options | Cell) -> Iterator[Problem]:
    """Characters after trimming; ``titles`` are pairs of a title's place in the request and the title."""
    low, high = TITLE_CHARACTERS
    for place, title in titles:
        if not low <= len(title) <= high:
            yield Problem(place, f"{place}: a title has {low} to {high} characters, this one has {len(title)}")
        elif _has_no_value(title):
            yield Problem(place, f"{place}: {quoted(title)} is what a spreadsheet writes for a formula that failed")
        elif not any(character.isprintable() and character != " " for character in title):
            yield Problem(
                place, f"{place}: a title has {low} to {high} characters, and this one has no visible character"
            )
    for place, text, limit in (
        ("extra_prompt", options.extra_prompt, EXTRA_PROMPT_CHARACTERS),
        ("context", options.context, CONTEXT_CHARACTERS),
        ("kicker", options.kicker, KICKER_CHARACTERS),
        ("author", options.author, AUTHOR_CHARACTERS),
    ):
        if _has_no_value(text):
            yield Problem(place, f"{place}: {quoted(text)} is what a spreadsheet writes for a formula that failed")
        elif len(text) > limit:
            yield Problem(place, f"{place} has at most {limit} characters, this one has {len(text)}")


def _has_no_value(text: str) -> bool:
    """Whether a text is what a spreadsheet writes for a formula that failed, or the formula."""
    if not text.startswith(("#", "=", "Err:", "Loading")):
        return False
    return bool(_NO_VALUE.fullmatch(text.upper())) and (text[0] != "#" or text == text.upper())


def _glyph_problems(titles: Iterable[tuple[str, str]], options: Options | Cell) -> Iterator[Problem]:
    """Every visible letter of a title is in some font, unless the request says that it may be left out."""
    if options.missing_glyphs == "allow":
        return
    for place, title in titles:
        if title.isascii() and "&" not in title:
            continue
        # The properties of Unicode's characters, which most titles need none of.
        from thumbnails.images.overlay.coverage import choose
        from thumbnails.images.overlay.text import prepare

        # A kit's own font is asked apart.
        font = options.font if options.font in FONTS else DEFAULT_FONT
        missing = choose(prepare(title, options.typography).text, font).missing
        if missing:
            named = ", ".join(_letter(one) for one in missing[:NAMED])
            others = f" and {len(missing) - NAMED} others" if len(missing) > NAMED else ""
            yield Problem(
                place,
                f"{place}: no font has {named}{others}; write it without, "
                'or say missing_glyphs: "allow" to have it drawn without',
            )


def _notes(options: Options | Cell) -> list[tuple[str, str]]:
    return [("kicker", options.kicker), ("author", options.author)]


def _letter(missing: str) -> str:
    name = unicodedata.name(missing[0], "")
    return f"{missing[:4]!r} (U+{ord(missing[0]):04X}{name and f' {name}'})"


def _name_problems(places: list[str], models: list[str], asked: Options | Cell, kit: Kit | None) -> Iterator[Problem]:
    """Every name is in the catalogue or the kit, and no model is named twice; ``places`` are those of the models."""
    formats = [("formats", at, name) for at, name in enumerate(asked.formats)]
    formats += [("drawn_for", at, name) for at, name in enumerate(asked.drawn_for)]
    named: list[tuple[str, str, str, Mapping[str, object]]] = [
        *((place, "model", model, MODELS) for place, model in zip(places, models, strict=True)),
        ("style", "style", asked.style, STYLES),
        *((f"{field}[{at}]", "format", name, FORMATS) for field, at, name in formats),
    ]
    # Of a kit that nobody has looked up, nobody knows what is in it.
    if kit or not asked.brand:
        own_fonts = kit.font_files() if kit else {}
        named += [
            ("template", "template", asked.template, {**(kit.templates if kit else {}), **TEMPLATES}),
            ("font", "font", asked.font, {**own_fonts, **FONTS}),
        ]
    for place, kind, name, known in named:
        if name not in known:
            yield Problem(place, f"unknown {kind} {quoted(name)}; choose from: {', '.join(known)}")
    if not asked.formats:
        yield Problem("formats", f"formats must contain at least one of: {', '.join(FORMATS)}")
    for at, name in enumerate(asked.formats):
        if asked.formats.index(name) < at:
            yield Problem(f"formats[{at}]", f"format {quoted(name)} is named twice")
    for column, model in enumerate(models):
        if models.index(model) < column:
            message = f"model {quoted(model)} is named twice; a run draws each title once by each model"
            yield Problem(places[column], message)


def _retired_problems(places: list[str], models: list[str], real: Collection[Provider]) -> Iterator[Problem]:
    """A model that its provider has shut down is refused where that provider would be called; offline it is drawn."""
    for place, name in zip(places, models, strict=True):
        model = MODELS.get(name)
        if model and model.provider in real and model.state() == "retired":
            yield Problem(place, model.refusal())


def _as_object(first: str, value: object) -> dict[str, Any]:
    if isinstance(value, dict):
        # A missing value and null are the same: not given.
        return {name: item for name, item in value.items() if item is not None}
    if isinstance(value, list):
        names = (first, *POSITIONS)
        if len(value) > len(names):
            raise InvalidBatch(f"a request array has at most {len(names)} items: {', '.join(names)}")
        return {name: item for name, item in zip(names, value, strict=False) if item is not None}
    raise InvalidBatch(f"a request is an object with {first} and models, or an array that starts with the two")


def with_every_problem(refused: InvalidBatch) -> InvalidBatch:
    """The same refusal for whoever reads its message alone: the first problem, then as many others as one line holds.

    The contract's own sentences on a request that is empty or too large stand alone, word for word.
    """
    message = str(refused)
    if message.startswith((NO_TITLE, NO_MODEL, CAPPED)):
        return refused
    others = [problem.message for problem in refused.problems if problem.message != message]
    for place, other in enumerate(others):
        longer = f"{message}; also: {other}"
        if len(longer) > MESSAGE_CHARACTERS:
            message = f"{message}; and {len(others) - place} more"
            break
        message = longer
    return InvalidBatch(message, refused.problems)


def refusal(problems: Sequence[Problem]) -> InvalidBatch:
    """A refusal with the first problem as its message."""
    return InvalidBatch(problems[0].message, problems[:MOST_PROBLEMS])
