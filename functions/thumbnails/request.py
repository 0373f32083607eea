"""What may be asked for, and every check on it. A request that passes costs money; one that fails costs nothing."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictStr, ValidationError

from thumbnails.catalog import DEFAULT_FONT, DEFAULT_STYLE, DEFAULT_TEMPLATE, FONTS, MODELS, STYLES, TEMPLATES
from thumbnails.errors import InvalidBatch

Task = Literal["generateBatch", "generateThumbnails"]

TITLE_CHARACTERS = (3, 200)
EXTRA_PROMPT_CHARACTERS = 500
CONTEXT_CHARACTERS = 2500

#: An execution's name, less the characters that would mean something in a key or a URL.
RUN_ID = r"^[A-Za-z0-9_.=@+!()' -]{1,80}$"

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
    execution: StrictStr = ""
    row: Annotated[int, Field(ge=0)] = 0
    column: Annotated[int, Field(ge=0)] = 0

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
            raise InvalidBatch(_first_problem(error)) from None
        cell = cell.model_copy(
            update={"run_id": cell.run_id or run_id, "execution": cell.execution or cell.run_id or run_id}
        )
        check_lengths([("title", cell.title)], cell.context, cell.extra_prompt)
        check_names([cell.model], cell.style, cell.template, cell.font)
        return cell


def parse_request(task: Task, value: object, cap: int) -> Batch | Thumbnails:
    """Check a request in either form, in the order of the contract.

    Args:
        task: the state machine that was started.
        value: an object, or the same as a positional array.
        cap: the most images that one run may make.

    Raises:
        InvalidBatch: with one sentence on what is wrong and what is right.
    """
    shape: type[Batch] | type[Thumbnails] = Batch if task == "generateBatch" else Thumbnails
    first = "prompts" if shape is Batch else "title"
    try:
        request = shape.model_validate(_as_object(first, value))
    except ValidationError as error:
        raise InvalidBatch(_first_problem(error)) from None
    check_size(request.titles, request.models, cap)
    rows = [(f"prompts[{row}]" if shape is Batch else "title", title) for row, title in enumerate(request.titles)]
    check_lengths(rows, request.context, request.extra_prompt)
    check_names(request.models, request.style, request.template, request.font)
    return request


def check_size(prompts: list[str], models: list[str], cap: int) -> None:
    """At least one image, at most ``cap``.

    Raises:
        InvalidBatch: with the contract's own words.
    """
    if not prompts:
        raise InvalidBatch("prompts must contain at least one title")
    if not models:
        raise InvalidBatch("models must contain at least one model")
    if len(prompts) * len(models) > cap:
        raise InvalidBatch(f"batch is capped at {cap} generated images")


def check_lengths(titles: list[tuple[str, str]], context: str, extra_prompt: str) -> None:
    """Characters after trimming.

    Args:
        titles: the name of each title's place in the request, and the title.
        context: what the post is about.
        extra_prompt: what the writer adds to the prompt.

    Raises:
        InvalidBatch: names the place and the limit.
    """
    low, high = TITLE_CHARACTERS
    for place, title in titles:
        if not low <= len(title) <= high:
            raise InvalidBatch(f"{place}: a title has {low} to {high} characters, this one has {len(title)}")
    for place, text, limit in (
        ("extra_prompt", extra_prompt, EXTRA_PROMPT_CHARACTERS),
        ("context", context, CONTEXT_CHARACTERS),
    ):
        if len(text) > limit:
            raise InvalidBatch(f"{place} has at most {limit} characters, this one has {len(text)}")


def check_names(models: list[str], style: str, template: str, font: str) -> None:
    """Every name is in the catalogue, and no model is named twice.

    Raises:
        InvalidBatch: names the bad value and lists the good ones.
    """
    named: list[tuple[str, str, Mapping[str, object]]] = [
        *(("model", model, MODELS) for model in models),
        ("style", style, STYLES),
        ("template", template, TEMPLATES),
        ("font", font, FONTS),
    ]
    for kind, name, known in named:
        if name not in known:
            raise InvalidBatch(f"unknown {kind} {_quoted(name)}; choose from: {', '.join(known)}")
    for model in models:
        if models.count(model) > 1:
            raise InvalidBatch(f"model {_quoted(model)} is named twice; a run draws each title once by each model")


def unwrap_event(event: object, read_object: Callable[[str, str], object]) -> object:
    """The request inside an EventBridge envelope, or the event itself where it is no envelope.

    Args:
        event: a request, an envelope whose ``detail`` is one, or an S3 "Object Created" event.
        read_object: reads the JSON object at (bucket, key).

    Raises:
        InvalidBatch: the envelope names no object.
    """
    if not (isinstance(event, dict) and "detail-type" in event and "detail" in event):
        return event
    detail = event["detail"]
    if event.get("source") != "aws.s3":
        return detail
    try:
        return read_object(detail["bucket"]["name"], detail["object"]["key"])
    except (KeyError, TypeError):
        raise InvalidBatch("the S3 event names no object: it needs detail.bucket.name and detail.object.key") from None


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


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_context=False)[0]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]).lstrip(".")
    if problem["type"] == "extra_forbidden":
        return f"unknown field {_quoted(place)}; a request has: {', '.join(_fields(error.title))}"
    if problem["type"] == "missing":
        return f"{place} is missing"
    if problem["type"] == "value_error":
        return f"{place} {problem['msg'].removeprefix('Value error, ')}"
    sentence = problem["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return f"{place or 'a request'} must be {_WORDS.get(sentence, sentence)}"


_WORDS = {
    "string": "a string",
    "list": "a list of strings",
    "boolean": "true or false",
    "integer": "a whole number",
    "dictionary or instance of Cell": "an object",
}


def _fields(shape: str) -> list[str]:
    shapes: dict[str, type[BaseModel]] = {"Batch": Batch, "Thumbnails": Thumbnails, "Cell": Cell}
    return list(shapes[shape].model_fields)


def _quoted(name: str) -> str:
    return repr(name if len(name) <= 60 else name[:59] + "…")
