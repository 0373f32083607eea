"""The largest run that the contract takes, played through its state machine: what each state is given and gives.

Step Functions carries 256 KiB between two states and cuts a cause after 32 KiB.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.memory_store import MemoryStore
from tests.unit.opened import open_run
from thumbnails import errors
from thumbnails.aws.step_functions import input_of
from thumbnails.catalog import MODELS
from thumbnails.images.cell import Image
from thumbnails.keys import image_key
from thumbnails.requests.checks import parse_request
from thumbnails.requests.models import CONTEXT_CHARACTERS, EXTRA_PROMPT_CHARACTERS, TITLE_CHARACTERS, Cell
from thumbnails.runs.collect import collect_run
from thumbnails.runs.failures import MESSAGE_BYTES
from thumbnails.runs.open import at_once

STATE_BYTES, CAUSE_BYTES = 200 << 10, 32 << 10
DEFINITION: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "statemachine" / "generate_batch.asl.json").read_text()
)
CAP = 200
#: The longest name that a run may have.
RUN = "run-" + "x" * 76
LONGEST = "題" * TITLE_CHARACTERS[1]
#: What the overlay says of a title that is too long and has letters that no font has.
WARNINGS = ("no shipped font has " + ", ".join(f"'𒀀{'́' * 3}' (U+{n:05X})" for n in range(5)), "too long; " + "w" * 90)
#: Of a role's session.
TOKEN = "T" * 2048


class SigningStore(MemoryStore):
    """One whose URLs are as long as those that a function signs."""

    def url(self, key: str, file_name: str = "") -> str:
        return f"https://bucket.s3.eu-central-1.amazonaws.com/{key}?X-Amz-Security-Token={TOKEN}{'&X-Amz-More' * 30}"


class Failed(Exception):
    """A state's error."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(error)
        self.error, self.cause = error, cause


class Machine:
    """Plays a definition's data flow: as much of the language as ours has.

    Args:
        definition: the state machine.
        functions: what each Lambda does, by the name of its ARN's substitution.

    Attributes:
        sizes: the most bytes that each state was given or gave.
        causes: every cause.
    """

    def __init__(self, definition: dict[str, Any], functions: dict[str, Callable[[Any], Any]]) -> None:
        self._definition = definition
        self._functions = functions
        self.sizes: dict[str, int] = {}
        self.causes: list[str] = []

    def run(self, value: Any) -> Any:
        """The execution's output, or ``Failed``."""
        return self._play(
            self._definition, value, {"Execution": {"Name": RUN, "StartTime": "2026-01-01T00:00:00.000Z"}}
        )

    def _play(self, states: dict[str, Any], value: Any, context: Any) -> Any:
        name = states["StartAt"]
        while True:
            state = states["States"][name]
            self._measure(name, value)
            following, value = self._step(state, value, context)
            self._measure(name, value)
            if following is None:
                return value
            name = following

    def _step(self, state: dict[str, Any], value: Any, context: Any) -> tuple[str | None, Any]:
        kind = state["Type"]
        if kind == "Fail":
            cause = read(state["CausePath"], value, context)
            self.causes.append(cause)
            raise Failed(read(state["ErrorPath"], value, context), cause)
        if kind == "Choice":
            (choice,) = state["Choices"]
            chosen = is_there(choice["Variable"], value)
            return (choice["Next"] if chosen else state["Default"]), value
        given = read(state.get("InputPath", "$"), value, context)
        if kind == "Map":
            processor = state["ItemProcessor"]
            result: Any = [
                self._play(processor, filled(state["ItemSelector"], given, item), item)
                for item in items(read(state["ItemsPath"], given, context), context)
            ]
        else:
            result = filled(state["Parameters"], given, context) if "Parameters" in state else given
            if kind == "Task":
                try:
                    result = self._task(state, result)
                except Failed as failed:
                    self.causes.append(failed.cause)
                    catcher = next(
                        one for one in state["Catch"] if {failed.error, "States.ALL"} & set(one["ErrorEquals"])
                    )
                    caught = {"Error": failed.error, "Cause": failed.cause}
                    return catcher["Next"], put(catcher["ResultPath"], value, caught)
        if "ResultSelector" in state:
            result = filled(state["ResultSelector"], result, context)
        output = read(state.get("OutputPath", "$"), put(state.get("ResultPath", "$"), value, result), context)
        return state.get("Next"), output

    def _task(self, state: dict[str, Any], parameters: Any) -> Any:
        if state["Resource"] != "arn:aws:states:::lambda:invoke":
            return {}
        try:
            answer = self._functions[parameters["FunctionName"]](parameters["Payload"])
        except errors.ThumbnailError as error:
            # As AWS's runtime client writes it.
            trace = ['  File "/var/task/app.py", line 1, in handler\n    raise\n' * 2] * 8
            said = {"errorMessage": str(error), "errorType": type(error).__name__, "requestId": "r" * 36}
            raise Failed(type(error).__name__, json.dumps({**said, "stackTrace": trace})) from None
        return {"Payload": json.loads(json.dumps(answer))}

    def _measure(self, name: str, value: Any) -> None:
        size = len(json.dumps(value, ensure_ascii=False).encode())
        self.sizes[name] = max(size, self.sizes.get(name, 0))


def items(values: list[Any], context: Any) -> Iterator[Any]:
    for index, value in enumerate(values):
        yield {**context, "Map": {"Item": {"Index": index, "Value": value}}}


def read(path: str, value: Any, context: Any = None) -> Any:
    """What a reference path or an intrinsic function gives."""
    if call := re.fullmatch(r"States\.(\w+)\((.*)\)", path):
        *literals, argument = [read(part, value, context) for part in call[2].split(", ")]
        if call[1] == "Format":
            return literals[0].replace("{}", argument)
        return json.loads(argument) if call[1] == "StringToJson" else len(argument)
    if path.startswith("'"):
        return path.strip("'")
    if path.startswith("$$"):
        return read(path[1:], context)
    found = [value]
    many = False
    for part in re.findall(r"\.(\w+)|\[(\d+|\*)\]", path):
        if part[1] == "*":
            many = True
            found = [item for one in found for item in one]
        else:
            found = [one[int(part[1]) if part[1] else part[0]] for one in found]
    return found if many else found[0]


def is_there(path: str, value: Any) -> bool:
    try:
        read(path, value)
    except KeyError:
        return False
    return True


def filled(template: Any, value: Any, context: Any) -> Any:
    """A payload template with its paths read."""
    if not isinstance(template, dict):
        return template
    return {
        name.removesuffix(".$"): read(item, value, context) if name.endswith(".$") else filled(item, value, context)
        for name, item in template.items()
    }


def put(path: str | None, value: Any, result: Any) -> Any:
    """A state's input with its result at a ResultPath."""
    if path is None or path == "$":
        return value if path is None else result
    first, _, rest = path.removeprefix("$.").partition(".")
    return {**value, first: put(f"$.{rest}", value[first], result) if rest else result}


def request(rows: int, columns: int) -> dict[str, Any]:
    """The largest of so many rows and columns; no two titles are the same."""
    titles = [f"{row:03}{LONGEST}"[: TITLE_CHARACTERS[1]] for row in range(rows)]
    words = {"context": "題" * CONTEXT_CHARACTERS, "extra_prompt": "題" * EXTRA_PROMPT_CHARACTERS}
    longest = {"style": "photorealistic", "template": "overlay-center", "font": "press-start-2p"}
    return {"prompts": titles, "models": [*MODELS][:columns], **words, **longest, "reuse": True}


def machine(store: MemoryStore, fails: Callable[[int, int], bool], warnings: tuple[str, ...] = WARNINGS) -> Machine:
    """The machine that makes a run: its functions are the domain's, but for the one that draws."""

    def validate(payload: dict[str, Any]) -> Any:
        opened = open_run("generateBatch", payload["execution"], payload["request"], store, CAP)
        asked = parse_request("generateBatch", payload["request"], CAP)
        return {**opened, **at_once(asked, 50), "economy": ""}

    def generate(payload: dict[str, Any]) -> Any:
        # Checking 200 of this size takes seconds.
        cell = Cell.model_construct(**payload)
        if fails(cell.row, cell.column):
            raise errors.ProviderRejectedRequest(errors.cut(f"{cell.row} {cell.column} {'題' * 400}", MESSAGE_BYTES))
        key = image_key(RUN, cell.row, cell.title, cell.model)
        return Image(cell, key, store.url(key), 1, 20.0, warnings).as_json()

    def collect(payload: dict[str, Any]) -> Any:
        return collect_run("generateBatch", payload["run_id"], payload["execution"], payload["cells"], store)

    functions = {"Validate": validate, "Collect": collect}
    named = {f"${{{name}BatchFunctionArn}}": function for name, function in functions.items()}
    return Machine(DEFINITION, {**named, "${GenerateThumbnailFunctionArn}": generate})


FAILS: dict[str, Callable[[int, int], bool]] = {
    "all succeed": lambda _row, _column: False,
    "every other fails": lambda row, column: bool((row + column) % 2),
    "one succeeds": lambda row, column: bool(row + column),
    "all fail": lambda _row, _column: True,
}


@pytest.mark.parametrize(
    ("shape", "fails"), [*(((200, 1), fails) for fails in FAILS.values()), ((50, 4), FAILS["every other fails"])]
)
def test_the_largest_run_fits_between_any_two_states(shape: tuple[int, int], fails: Callable[[int, int], bool]) -> None:
    store = SigningStore()
    asked = request(*shape)
    assert len(input_of(asked).encode()) < STATE_BYTES
    playing = machine(store, fails)
    try:
        output = playing.run(asked)
    except Failed as failed:
        output = None
        assert failed.error == "AllImagesFailed"
        assert failed.cause.count("題") > 1000
    assert max(playing.sizes.values()) < STATE_BYTES, playing.sizes
    assert max(map(len, [*playing.causes, ""])) < CAUSE_BYTES
    failures = sum(fails(row, column) for row in range(shape[0]) for column in range(shape[1]))
    manifest = store.json(f"runs/{RUN}/manifest.json")
    made = 200 - failures
    assert manifest["images"] == {"total": 200, "succeeded": made, "failed": failures, "paid_calls": made}
    assert manifest["prompts"] == asked["prompts"]
    urls = [url for row in manifest["results"] for url in row]
    assert sum(url is not None and TOKEN in url for url in urls) == made
    if output is None:
        return
    # The output has every image, by a name without a signature, and where the rest is.
    assert output["manifest_key"] == f"runs/{RUN}/manifest.json"
    named = [url for row in output["results"] for url in row]
    assert [url and url.removeprefix("s3://memory/") for url in named] == [
        url and url.partition("amazonaws.com/")[2].partition("?")[0] for url in urls
    ]
    assert [failure | {"prompt": "", "message": ""} for failure in output["failures"]] == [
        failure | {"prompt": "", "message": ""} for failure in manifest["failures"]
    ]


def test_the_default_cap_has_presigned_urls_in_its_output() -> None:
    store = SigningStore()
    output = machine(store, FAILS["all succeed"], warnings=()).run(request(50, 1))
    assert output == store.json(f"runs/{RUN}/manifest.json")
    assert "manifest_key" not in output


def test_the_longest_refusal_is_a_cause_that_can_be_read() -> None:
    asked = {**request(200, 1), "models": ["題" * 10_000] * 3, "style": "題" * 10_000}
    playing = machine(SigningStore(), FAILS["all succeed"])
    with pytest.raises(Failed) as refused:
        playing.run(asked)
    assert refused.value.error == "InvalidBatch"
    assert max(map(len, playing.causes)) < CAUSE_BYTES
