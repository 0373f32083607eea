"""What may be asked for, and every check on it. A request that passes costs money; one that fails costs nothing."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self, TypeGuard

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError
from pydantic_core import ErrorDetails

from thumbnails.catalog import DEFAULT_FONT, DEFAULT_STYLE, DEFAULT_TEMPLATE, FONTS, MODELS, STYLES, TEMPLATES
from thumbnails.errors import InvalidBatch, Problem, quoted

Task = Literal["generateBatch", "generateThumbnails"]

TITLE_CHARACTERS = (3, 200)
EXTRA_PROMPT_CHARACTERS = 500
CONTEXT_CHARACTERS = 2500

#: An execution's name, less the characters that would mean something in a key or a URL. None starts with a dot: a
#: browser takes `runs/../` for the folder above.
RUN_ID = r"^[A-Za-z0-9_=@+!()' -][A-Za-z0-9_.=@+!()' -]{0,79}$"

#: More prompts than the largest cap takes; what comes after a cell's place.
MOST_PLACES = 1_000_000
#: Of a request with thousands of problems a person reads the first.
MOST_PROBLEMS = 100

#: What S3 takes.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
KEY_BYTES = 1024
_VERSION = re.compile(r"[!-~]{1,1024}")

#: The items of the positional form, in order, after the one that names the titles.
POSITIONS = ("models", "style", "template", "font", "context", "extra_prompt")


def _plain_text(text: str) -> str:
    """Trim, and turn line breaks, tabs and other control characters into single spaces."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair, which is no character") from None
    return " ".join("".join(character if character.isprintable() else _blank(character) for character in text).split())


def _blank(character: str) -> str:
    # Joiners and direction marks are not printable, but writing needs them.
    return character if ord(character) > 0x9F and not character.isspace() else " "


Text = Annotated[StrictStr, AfterValidator(_plain_text)]


class _Options(BaseModel):
    """What one request says once for all of its images."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: list[Text] = []
    style: Text = DEFAULT_STYLE
    template: Text = DEFAULT_TEMPLATE
    font: Text = DEFAULT_FONT
    context: Text = ""
    extra_prompt: Text = ""
    reuse: StrictBool = False


class Batch(_Options):
    """N prompts × M models."""

    prompts: list[Text] = []

    @property
    def titles(self) -> list[str]:
        """The titles, one a row."""
        return self.prompts


class Thumbnails(_Options):
    """One title × M models."""

    title: Text = ""

    @property
    def titles(self) -> list[str]:
        """The one title; none where it is empty."""
        return [self.title] if self.title else []


class Campaign(BaseModel):
    """A file of rows, one title × M models each; what a row leaves out is taken from here.

    ``max_images`` is the campaign's own budget: there is no other cap. ``max_concurrency`` rows are made at a time, and
    above ``tolerated_failure_percentage`` of rows without any image the rest is not begun.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Text
    max_images: Annotated[StrictInt, Field(ge=1)]
    max_concurrency: Annotated[StrictInt, Field(ge=1, le=10_000)] = 20
    tolerated_failure_percentage: Annotated[float, Field(strict=True, ge=0, le=100)] = 5.0
    models: list[Text] | None = None
    style: Text | None = None
    template: Text | None = None
    font: Text | None = None
    context: Text | None = None
    extra_prompt: Text | None = None
    reuse: StrictBool | None = None

    @classmethod
    def parse(cls, value: object) -> Self:
        """Check what a campaign asks for, but for its rows.

        Raises:
            InvalidBatch: a field is missing, unknown, of the wrong type or out of its limits, or no row could pass.
        """
        if not isinstance(value, dict):
            raise InvalidBatch("a campaign is an object with file and max_images")
        given = {name: item for name, item in value.items() if item is not None}
        if "max_images" not in given:
            raise InvalidBatch("a campaign needs max_images, the most images that it may make and pay for")
        try:
            campaign = cls.model_validate(given)
        except ValidationError as error:
            raise _refusal(_shape_problems(error)) from None
        # What is wrong for every row is said once.
        example = {"title": "A title", "models": [next(iter(MODELS))], **campaign.defaults}
        parse_request("generateThumbnails", example, len(MODELS))
        return campaign

    @property
    def defaults(self) -> dict[str, Any]:
        """What a row that does not say it has."""
        return self.model_dump(include=set(_Options.model_fields), exclude_none=True)


class Cell(BaseModel):
    """One cell of the matrix: what ``generateThumbnail`` takes. A person who calls it alone gives title and model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Text
    model: Text
    style: Text = DEFAULT_STYLE
    template: Text = DEFAULT_TEMPLATE
    font: Text = DEFAULT_FONT
    context: Text = ""
    extra_prompt: Text = ""
    reuse: StrictBool = False
    run_id: Annotated[StrictStr, Field(pattern=RUN_ID)] = ""
    execution: Annotated[StrictStr, Field(pattern=RUN_ID)] = ""
    row: Annotated[StrictInt, Field(ge=0, lt=MOST_PLACES)] = 0
    column: Annotated[StrictInt, Field(ge=0, lt=MOST_PLACES)] = 0

    @classmethod
    def parse(cls, value: object, *, run_id: str) -> Self:
        """Check one cell.

        Args:
            value: the event; ``run_id`` and ``execution`` are taken from the keyword where it names none.
            run_id: a run id for a cell that is called on its own.

        Raises:
            InvalidBatch: a field is missing, of the wrong type, out of its limits or unknown to the catalogue.
        """
        try:
            cell = cls.model_validate(value)
        except ValidationError as error:
            raise _refusal(_shape_problems(error)) from None
        cell = cell.model_copy(
            update={"run_id": cell.run_id or run_id, "execution": cell.execution or cell.run_id or run_id}
        )
        problems = [
            *_length_problems([("title", cell.title)], cell.context, cell.extra_prompt),
            *_name_problems(["model"], [cell.model], cell.style, cell.template, cell.font),
        ]
        if problems:
            raise _refusal(problems)
        return cell


def parse_request(task: Task, value: object, cap: int) -> Batch | Thumbnails:
    """Check a request in either form, in the order of the contract.

    Args:
        task: the state machine that was started.
        value: an object, or the same as a positional array.
        cap: the most images that one run may make.

    Raises:
        InvalidBatch: with one sentence on what is wrong and what is right, and with every problem there is.
    """
    shape: type[Batch] | type[Thumbnails] = Batch if task == "generateBatch" else Thumbnails
    given = _as_object("prompts" if shape is Batch else "title", value)
    for name in ("prompts", "models"):
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
            problems += _shape_problems(error)
            spoilt |= {place["loc"][0] for place in error.errors() if place["loc"]}
            # What has the right shape is checked all the same, so that a person hears of everything at once; again and
            # again, because a name that is no text hides what is wrong beside it.
            given = {name: given[name] for name in shape.model_fields if name in given and name not in spoilt}
    problems += _problems(request, cap, spoilt)
    if problems:
        raise _refusal(problems)
    return request


def check_size(prompts: list[str], models: list[str], cap: int) -> None:
    """At least one image, at most ``cap``.

    Raises:
        InvalidBatch: with the contract's own words.
    """
    if problems := list(_size_problems(prompts, models, cap)):
        raise _refusal(problems)


def _problems(request: Batch | Thumbnails, cap: int, spoilt: Collection[object]) -> Iterator[Problem]:
    """Every check of the contract, in its order; ``spoilt`` are the fields that had the wrong shape."""
    first = "prompts" if isinstance(request, Batch) else "title"
    for field, message in _size_problems(request.titles, request.models, cap):
        place = first if field == "prompts" else field
        if place not in spoilt:
            yield Problem(place, message)
    rows = [(f"prompts[{row}]" if first == "prompts" else "title", title) for row, title in enumerate(request.titles)]
    yield from _length_problems(rows, request.context, request.extra_prompt)
    places = [f"models[{column}]" for column in range(len(request.models))]
    yield from _name_problems(places, request.models, request.style, request.template, request.font)


def _size_problems(prompts: list[str], models: list[str], cap: int) -> Iterator[Problem]:
    if not prompts:
        yield Problem("prompts", "prompts must contain at least one title")
    if not models:
        yield Problem("models", "models must contain at least one model")
    if len(prompts) * len(models) > cap:
        yield Problem("prompts", f"batch is capped at {cap} generated images")


def _length_problems(titles: Iterable[tuple[str, str]], context: str, extra_prompt: str) -> Iterator[Problem]:
    """Characters after trimming; ``titles`` are pairs of a title's place in the request and the title."""
    low, high = TITLE_CHARACTERS
    for place, title in titles:
        if not low <= len(title) <= high:
            yield Problem(place, f"{place}: a title has {low} to {high} characters, this one has {len(title)}")
        elif not any(character.isprintable() and character != " " for character in title):
            yield Problem(place, f"{place}: a title has {low} to {high} characters, in this one none can be seen")
    for place, text, limit in (
        ("extra_prompt", extra_prompt, EXTRA_PROMPT_CHARACTERS),
        ("context", context, CONTEXT_CHARACTERS),
    ):
        if len(text) > limit:
            yield Problem(place, f"{place} has at most {limit} characters, this one has {len(text)}")


def _name_problems(places: list[str], models: list[str], style: str, template: str, font: str) -> Iterator[Problem]:
    """Every name is in the catalogue, and no model is named twice; ``places`` are those of the models."""
    named: list[tuple[str, str, str, Mapping[str, object]]] = [
        *((place, "model", model, MODELS) for place, model in zip(places, models, strict=True)),
        ("style", "style", style, STYLES),
        ("template", "template", template, TEMPLATES),
        ("font", "font", font, FONTS),
    ]
    for place, kind, name, known in named:
        if name not in known:
            yield Problem(place, f"unknown {kind} {quoted(name)}; choose from: {', '.join(known)}")
    for column, model in enumerate(models):
        if models.index(model) < column:
            message = f"model {quoted(model)} is named twice; a run draws each title once by each model"
            yield Problem(places[column], message)


def request_in(event: object) -> object:
    """The request inside an EventBridge envelope (its ``detail``), or the event itself where it is no envelope."""
    return event["detail"] if _is_envelope(event) else event


def object_in(event: object) -> tuple[str, str, str | None] | None:
    """Bucket, key and version of the request file that an S3 "Object Created" event names; None for any other event.

    Raises:
        InvalidBatch: it is such an event and names no object.
    """
    if not (_is_envelope(event) and event.get("source") == "aws.s3"):
        return None
    try:
        detail = event["detail"]
        bucket, key, version = detail["bucket"]["name"], detail["object"]["key"], detail["object"].get("version-id")
    except (KeyError, TypeError, AttributeError):
        bucket = key = version = None
    if not (isinstance(bucket, str) and isinstance(key, str) and bucket and key and isinstance(version, str | None)):
        raise InvalidBatch("the S3 event names no object: it needs detail.bucket.name and detail.object.key")
    if not (_BUCKET.fullmatch(bucket) and _is_key(key) and (version is None or _VERSION.fullmatch(version))):
        raise InvalidBatch(f"the S3 event names an object that no bucket can hold: {quoted(key)}")
    return bucket, key, version


def _is_key(key: str) -> bool:
    try:
        return len(key.encode()) <= KEY_BYTES
    except UnicodeEncodeError:
        return False


def check_run_id(name: str) -> None:
    """A run keeps its images under its execution's name, which must be one that a key and a URL can hold.

    Raises:
        InvalidBatch: it is not.
    """
    if not re.fullmatch(RUN_ID, name):
        raise InvalidBatch(
            f"a run cannot be called {quoted(name)}: a name has 1 to 80 letters, digits and -_.=@+!()' and spaces, "
            "and starts with no dot"
        )


def _is_envelope(event: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(event, dict) and "detail-type" in event and "detail" in event


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


def _refusal(problems: Sequence[Problem]) -> InvalidBatch:
    return InvalidBatch(problems[0].message, problems[:MOST_PROBLEMS])


def _shape_problems(error: ValidationError) -> list[Problem]:
    return [_shape_problem(problem, error.title) for problem in error.errors(include_url=False, include_context=False)]


def _shape_problem(problem: ErrorDetails, shape: str) -> Problem:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]).lstrip(".")
    if problem["type"] == "extra_forbidden":
        what = "campaign" if shape == "Campaign" else "request"
        message = f"unknown field {quoted(place)}; a {what} has: {', '.join(_fields(shape))}"
        place = quoted(place)[1:-1]
    elif problem["type"] == "missing":
        message = f"{place} is missing"
    elif problem["type"] == "string_pattern_mismatch":
        message = f"{place} must be the id of a run"
    elif problem["type"] == "value_error":
        message = f"{place} {problem['msg'].removeprefix('Value error, ')}"
    else:
        sentence = problem["msg"].removeprefix("Input should be ").removeprefix("a valid ")
        message = f"{place or 'a request'} must be {_WORDS.get(sentence, sentence)}"
    return Problem(place, message)


_WORDS = {
    "string": "a string",
    "list": "a list of strings",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "dictionary or instance of Cell": "an object",
}


def _fields(shape: str) -> list[str]:
    shapes: dict[str, type[BaseModel]] = {shape.__name__: shape for shape in (Batch, Thumbnails, Campaign, Cell)}
    return list(shapes[shape].model_fields)
