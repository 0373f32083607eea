"""Titles set anew over pictures that a run has: another template, font or wording, and no model is asked."""

from thumbnails.aws.s3 import Store
from thumbnails.errors import InvalidBatch, Problem, quoted
from thumbnails.images.digests import picture_of
from thumbnails.keys import original_key, request_key
from thumbnails.requests.models import Batch, Place, Request, Thumbnails


def drawn_title(store: Store, run_id: str, row: int) -> str:
    """What a run's pictures of a row were drawn for.

    Raises:
        InvalidBatch: there is no such run, or it has no such row.
    """
    return _request_of(store, run_id).titles[row]


def drawn_titles(store: Store, request: Request) -> list[str]:
    """What a request's pictures are drawn for: its titles, or those of the run that it draws on.

    Raises:
        InvalidBatch: there is no such run.
    """
    return _request_of(store, request.redraw).titles if request.redraw else request.titles


def resolve_redraw(store: Store, request: Request) -> Request:
    """A request whose ``redraw`` names the run that the models drew for, and whose prompts say what that run's said.

    A run that was itself drawn over another's pictures has none of its own.

    Raises:
        InvalidBatch: there is no such run, or it lacks a row or a model of the request.
    """
    if not request.redraw:
        return request
    named = _request_of(store, request.redraw)
    source = resolve_redraw(store, named) if named.redraw else named
    problems = []
    if len(request.titles) > len(source.titles):
        problems.append(
            Problem(request.first, f"run {request.redraw!r} has {len(source.titles)} rows: a redraw has no more")
        )
    problems += [
        Problem(f"models[{column}]", f"run {request.redraw!r} has no pictures by {quoted(model)}")
        for column, model in enumerate(request.models)
        if model not in source.models
    ]
    if problems:
        raise InvalidBatch(problems[0].message, problems)
    same = {name: getattr(source, name) for name in ("style", "context", "extra_prompt")}
    same["drawn_for"] = source.drawn_for or source.formats
    return request.model_copy(update={**same, "redraw": named.redraw or request.redraw})


def original_of(store: Store, run_id: str, request: Request, place: Place) -> bytes | None:
    """The provider's picture behind a cell of a run; None where there is none any more, or none yet.

    Raises:
        IndexError: the run has no such cell.
    """
    row, column = place
    digest = picture_of(drawn_titles(store, request)[row], request.models[column], request).digest
    key: str | None = original_key(digest, run_id, row, column)
    stored = store.get(key) if key else None
    if stored is None and (key := store.first_key(f"originals/{digest}/")):
        stored = store.get(key)
    return stored.body if stored else None


def _request_of(store: Store, run_id: str) -> Request:
    if store.metadata(request_key(run_id)) is None:
        reason = f"there is no run {quoted(run_id)} whose pictures could be drawn on again"
        raise InvalidBatch(reason, [Problem("redraw", reason)])
    stored = store.read_request(request_key(run_id))
    return (Thumbnails if "title" in stored else Batch).model_validate(stored)
