"""How runs and the executions that make or resume them are called; what a name gives away of the run behind it."""

import hashlib
import re
import secrets
from datetime import UTC, datetime

from thumbnails.errors import InvalidBatch, quoted

#: Step Functions' own limit for an execution's name.
NAME_CHARACTERS = 80
#: An execution's name, less the characters that would mean something in a key or a URL. None starts with a dot: a
#: browser takes `runs/../` for the folder above.
RUN_ID = rf"^[A-Za-z0-9_=@+!()' -][A-Za-z0-9_.=@+!()' -]{{0,{NAME_CHARACTERS - 1}}}$"

_SUFFIX = "-redrive-"
#: What a redrive's name has room for of the run's id.
_ROOM = NAME_CHARACTERS - len(_SUFFIX) - 5
_REDRIVE = re.compile(rf"(.+){_SUFFIX}[0-9a-f]{{4}}")
_ROW = re.compile(r"(.+)-(\d+)")


def check_run_id(name: str) -> None:
    """A run keeps its images under its execution's name, which must be one that a key and a URL can hold.

    Raises:
        InvalidBatch: it is not.
    """
    if not is_run_id(name):
        raise InvalidBatch(
            f"a run cannot be called {quoted(name)}: a name has 1 to {NAME_CHARACTERS} letters, digits and -_.=@+!()' "
            "and spaces, and does not start with a dot"
        )


def is_run_id(name: object) -> bool:
    """Whether a run may be called so."""
    return isinstance(name, str) and re.fullmatch(RUN_ID, name) is not None


def new_run_id() -> str:
    """An id for a run that was given none: ids sort by the time at which they were made."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"


def run_id_for_key(idempotency_key: str) -> str:
    """The run that an idempotency key stands for."""
    return f"once-{hashlib.sha256(idempotency_key.encode()).hexdigest()[:32]}"


def run_id_for_event(kind: str, identity: str) -> str:
    """The run that an event starts: a second delivery has the same identity, and finds the run started."""
    return f"{kind}-{re.sub(r'[^A-Za-z0-9_.-]', '-', identity)}"[:NAME_CHARACTERS]


def redrive_name(run_id: str, newest: str) -> str:
    """What the execution that resumes a run is called.

    Args:
        run_id: the run.
        newest: the run's newest execution so far. Two who resume it at the same time choose the same name, and Step
            Functions starts one execution for both.
    """
    return f"{run_id[:_ROOM]}{_SUFFIX}{hashlib.sha256(newest.encode()).hexdigest()[:4]}"


def may_resume(name: str, run_id: str) -> bool:
    """Whether an execution's name is one that resumes a run: itself, or as a row of a campaign that is resumed.

    A long id stands in the name shortened, so that the execution's input has the last word.
    """
    if found := _REDRIVE.fullmatch(name):
        return found[1] == run_id[:_ROOM]
    row, of_run = _ROW.fullmatch(name), _ROW.fullmatch(run_id)
    return bool(row and of_run and row[2] == of_run[2] and may_resume(row[1], of_run[1]))


def resumed_by(name: str) -> tuple[str, bool]:
    """The run that an execution of this name makes or resumes, and whether that is the run's whole id."""
    if found := _REDRIVE.fullmatch(name):
        return found[1], len(found[1]) < _ROOM
    if (row := _ROW.fullmatch(name)) and (found := _REDRIVE.fullmatch(row[1])):
        return f"{found[1]}-{row[2]}", len(found[1]) < _ROOM
    return name, True


def campaign_execution_of(name: str) -> str | None:
    """The execution of a campaign that an execution of this name would be a row of; None where it has no row's name."""
    found = _ROW.fullmatch(name)
    return found[1] if found else None


def campaign_of_row(run_id: str, execution: str) -> tuple[str, str] | None:
    """The campaign, and its execution, whose row a run would be, by the names of the run and of the run's execution."""
    row, of_run = _ROW.fullmatch(execution), _ROW.fullmatch(run_id)
    if not (row and of_run and row[2] == of_run[2]):
        return None
    return (of_run[1], row[1]) if row[1] == of_run[1] or may_resume(row[1], of_run[1]) else None


def run_of(request: object, name: str) -> str:
    """The run that an execution of this name and input makes, or resumes."""
    resumed = request.get("resume") if isinstance(request, dict) else None
    # Anything else was refused, and the execution stands for itself.
    return resumed if isinstance(resumed, str) and is_run_id(resumed) else name
