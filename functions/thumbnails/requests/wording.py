"""What a person is told about a value of the wrong shape, in place of Pydantic's own words."""

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from thumbnails.errors import Problem, quoted
from thumbnails.requests.models import Batch, Campaign, Cell, Thumbnails

_SHAPES: dict[str, type[BaseModel]] = {shape.__name__: shape for shape in (Batch, Thumbnails, Campaign, Cell)}
_WORDS = {
    "string": "a string",
    "list": "a list of strings",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "dictionary or instance of Cell": "an object",
}


def shape_problems(error: ValidationError) -> list[Problem]:
    """Everything that has the wrong shape, field by field."""
    return [_shape_problem(problem, error.title) for problem in error.errors(include_url=False, include_context=False)]


def _shape_problem(problem: ErrorDetails, shape: str) -> Problem:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]).lstrip(".")
    if problem["type"] == "extra_forbidden":
        what = "campaign" if shape == "Campaign" else "request"
        fields = ", ".join(_SHAPES[shape].model_fields)
        message = f"unknown field {quoted(place)}; a {what} has: {fields}"
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
