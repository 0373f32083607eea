"""A request over HTTP, from what was asked to the run that it starts."""

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from thumbnails.errors import InvalidBatch, Problem, ThumbnailError
from thumbnails.estimate import Estimate, estimate
from thumbnails.executions import Executions
from thumbnails.pages import Page, PageUnreadable, url_problem
from thumbnails.request import TITLE_CHARACTERS, Batch, Task, Thumbnails, parse_request
from thumbnails.store import Store, digest, run_prefix

#: Stands for a page's title until the page is read.
_TITLE_TO_COME = "A title to come"

#: Reads a page; raises PageUnreadable.
ReadPage = Callable[[str], Page]
#: Text by place → what moderation flags.
Moderate = Callable[[Mapping[str, str]], list[Problem]]


class ContentFlagged(ThumbnailError):
    """Moderation flags the request; nothing was paid."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems[0].message)
        self.problems = tuple(problems)


class IdempotencyKeyReused(ThumbnailError):
    """The key stands for another request already."""


@dataclass(frozen=True)
class Checked:
    """A request that passes every check, with what was taken from its page, and what it would cost."""

    task: Task
    request: Batch | Thumbnails
    estimate: Estimate
    warnings: list[str]

    @property
    def texts(self) -> dict[str, str]:
        """Every text that a person wrote, by its place in the request."""
        one = isinstance(self.request, Thumbnails)
        rows = {"title" if one else f"prompts[{row}]": title for row, title in enumerate(self.request.titles)}
        return {**rows, "context": self.request.context, "extra_prompt": self.request.extra_prompt}


@dataclass(frozen=True)
class Submitted:
    """A run that was started, now or by an earlier delivery of the same request."""

    run_id: str
    task: Task
    estimate: Estimate
    warnings: list[str]


def check(task: Task, value: object, cap: int, read_page: ReadPage) -> Checked:
    """Check a request, and take from the page at its ``blog_url`` what it does not say itself.

    Raises:
        InvalidBatch: with every problem; also where there is no title, because the page could not be read.
    """
    if not isinstance(value, dict) or value.get("blog_url") is None:
        request = parse_request(task, value, cap)
        return Checked(task, request, estimate(request), [])
    first = "title" if task == "generateThumbnails" else "prompts"
    given = {name: item for name, item in value.items() if name != "blog_url"}
    wants_title = not given.get(first)
    if wants_title:
        given[first] = _TITLE_TO_COME if first == "title" else [_TITLE_TO_COME]
    # The page is read only for a request that is right in everything else.
    url = _checked_url(task, value["blog_url"], given, cap)
    try:
        page = read_page(url)
        warnings = [] if page.text or given.get("context") else ["blog_url: the page holds no text"]
    except PageUnreadable as problem:
        page, warnings = Page("", ""), [f"blog_url: the page could not be read: {problem}"]
    if wants_title:
        if len(page.title) < TITLE_CHARACTERS[0]:
            reason = warnings[0] if warnings else "blog_url: the page has no title"
            raise InvalidBatch(f"{reason}; give a title of your own", [Problem("blog_url", reason)])
        given[first] = page.title if first == "title" else [page.title]
    given["context"] = given.get("context") or page.text
    request = parse_request(task, given, cap)
    return Checked(task, request, estimate(request), warnings)


def submit(
    task: Task,
    value: object,
    key: str,
    *,
    cap: int,
    read_page: ReadPage,
    moderate: Moderate,
    store: Store,
    executions: Executions,
) -> Submitted:
    """Start a run for a request; with an idempotency key, one run however often it is sent.

    Args:
        task: which state machine.
        value: the request as it came.
        key: the idempotency key; empty for none.
        cap: the most images that one run may make.
        read_page: reads the page at ``blog_url``.
        moderate: asks the moderation endpoint, where that is wanted.
        store: the bucket.
        executions: where runs are started.

    Raises:
        InvalidBatch: the request breaks the contract.
        ContentFlagged: moderation flags it.
        IdempotencyKeyReused: the key came with another request before.
    """
    asked = digest(task, value)
    run_id = run_id_for(key) if key else new_run_id()
    # What a page says may change between two deliveries of one request: the first one decides.
    claim = _claim(run_id, store) if key else None
    if claim is None:
        checked = check(task, value, cap, read_page)
        if flagged := moderate(checked.texts):
            raise ContentFlagged(flagged)
        claim = {
            "asked": asked,
            "task": task,
            "request": checked.request.model_dump(),
            "warnings": checked.warnings,
        }
        if key:
            claim = _keep(run_id, claim, store)
    if claim["asked"] != asked:
        raise IdempotencyKeyReused("this Idempotency-Key came with another request before; choose a new one")
    executions.start(task, run_id, claim["request"])
    request = parse_request(task, claim["request"], max(cap, 1 << 20))
    return Submitted(run_id, task, estimate(request), claim["warnings"])


def run_id_for(key: str) -> str:
    """The run that an idempotency key stands for."""
    return f"once-{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def new_run_id() -> str:
    """A run's id without a key: names sort by the time they were given."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"


def _claim_key(run_id: str) -> str:
    return run_prefix(run_id) + "asked.json"


def _claim(run_id: str, store: Store) -> dict[str, Any] | None:
    stored = store.get(_claim_key(run_id))
    claim: dict[str, Any] | None = json.loads(stored.body) if stored else None
    return claim


def _keep(run_id: str, claim: dict[str, Any], store: Store) -> dict[str, Any]:
    """Claim a key for a request; the claim that stands, where another delivery was faster."""
    if store.put_new(_claim_key(run_id), json.dumps(claim).encode(), "application/json"):
        return claim
    return _claim(run_id, store) or claim


def _checked_url(task: Task, url: object, rest: object, cap: int) -> str:
    """The URL of the page.

    Raises:
        InvalidBatch: it is none, or the rest of the request breaks the contract: with the problems of both.
    """
    problem = url_problem(url.strip()) if isinstance(url, str) else "blog_url must be a string"
    problems = [Problem("blog_url", problem)] if problem else []
    try:
        parse_request(task, rest, cap)
    except InvalidBatch as refusal:
        problems += refusal.problems
    if problems:
        raise InvalidBatch(problems[0].message, problems)
    return str(url).strip()
