"""Where runs are started: by name, for an event, or for a request over HTTP."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from thumbnails.aws.s3 import Store
from thumbnails.aws.step_functions import Executions, fits_an_execution
from thumbnails.blog.page import PageUnreadable, url_problem
from thumbnails.blog.text import Page
from thumbnails.brands.kit import Brands
from thumbnails.brands.kits import brands_in
from thumbnails.catalog import Provider, notices
from thumbnails.errors import InvalidBatch, Problem, ThumbnailError
from thumbnails.images.redraw import resolve_redraw
from thumbnails.keys import S3Object, claim_key, digest, event_key, run_prefix
from thumbnails.requests.checks import parse_request
from thumbnails.requests.estimate import Estimate, estimate
from thumbnails.requests.events import reference_to, request_in, run_for
from thumbnails.requests.models import SHAPES, TITLE_CHARACTERS, Kind, Request, Task, stored_request
from thumbnails.runs.begun import note_begun
from thumbnails.runs.budget import NO_BUDGET, Budget
from thumbnails.runs.costs import measured_tokens, unpaid_usd
from thumbnails.runs.naming import check_run_id, new_run_id, run_id_for_key
from thumbnails.runs.remembered import remembered

#: Reads a page; raises PageUnreadable.
ReadPage = Callable[[str], Page]
#: (text by place, whether some of it is a page's) → what moderation flags.
Moderate = Callable[[Mapping[str, str], bool], list[Problem]]


class RunExists(ThumbnailError):
    """A run of this name was started before, for another request or long ago."""


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

    request: Request
    estimate: Estimate
    warnings: list[str]
    #: Whether some of its text is a page's, and so a stranger's.
    from_page: bool = False

    @property
    def texts(self) -> dict[str, str]:
        """Every text that a person wrote, by its place in the request."""
        rows = {self.request.place(row): title for row, title in enumerate(self.request.titles)}
        return {**rows, "context": self.request.context, "extra_prompt": self.request.extra_prompt}


@dataclass(frozen=True)
class Submitted:
    """A run that was started, now or by an earlier delivery of the same request."""

    run_id: str
    task: Task
    estimate: Estimate
    warnings: list[str]


def start_run(task: Kind, request: object, run_id: str, executions: Executions, store: Store) -> None:
    """Start a run under a name; the state machine checks its request.

    Raises:
        InvalidBatch: no run can be called so, or Step Functions takes no such request.
        RunExists: the name is taken.
    """
    check_run_id(run_id)
    # One that Step Functions has forgotten keeps its name: its images would be taken for this one's.
    forgotten = executions.find(run_id) is None and remembered(run_id, store)
    if forgotten or not executions.start(task, run_id, request):
        raise RunExists(f"there is already a run called {run_id!r}")


def start_for_event(
    event: dict[str, Any], scheduled: S3Object, executions: Executions, store: Store
) -> tuple[str, bool]:
    """Start the run that an event asks for, however often it is delivered.

    An event that is larger than an execution's input is kept in the bucket, and its run reads it there.

    Args:
        event: an EventBridge envelope.
        scheduled: the request file that the schedule runs.
        executions: where it is started.
        store: where a large event's request is kept.

    Returns:
        The run's id, and whether it was started now.

    Raises:
        InvalidBatch: Step Functions takes no such request.
    """
    run_id, request = run_for(event, scheduled)
    if not fits_an_execution(request):
        key = event_key(run_id)
        store.put(key, json.dumps(request_in(request), ensure_ascii=False).encode(), "application/json")
        request = reference_to(S3Object(store.bucket, key, None))
    return run_id, executions.start("generateBatch", run_id, request)


def check(
    task: Task,
    value: object,
    cap: int,
    read_page: ReadPage,
    real: Collection[Provider] = (),
    store: Store | None = None,
) -> Checked:
    """Check a request, and take from the page at its ``blog_url`` what it does not say itself.

    Args:
        task: which state machine.
        value: the request as it came.
        cap: the most images that one run may make.
        read_page: reads the page at ``blog_url``.
        real: the providers that are called themselves.
        store: the bucket, which has the brand kits and knows what pictures took so far; None for an estimate by the
            catalogue.

    Raises:
        InvalidBatch: with every problem; also where there is no title, because the page could not be read.
    """
    brands = brands_in(store) if store else None
    if not isinstance(value, dict) or value.get("blog_url") is None:
        request = parse_request(task, value, cap, real, brands)
        return Checked(request, _estimate(request, store), notices(request.models))
    shape = SHAPES[task]
    given = {name: item for name, item in value.items() if name != "blog_url"}
    # The page is read only for a request that is right in everything else.
    url = _checked_url(task, value["blog_url"], given, cap, real, brands)
    try:
        page = read_page(url)
        warnings = [] if page.text or given.get("context") else ["blog_url: the page holds no text"]
    except PageUnreadable as problem:
        page, warnings = Page("", ""), [f"blog_url: the page could not be read: {problem}"]
    from_page = False
    if not given.get(shape.first):
        if len(page.title) < TITLE_CHARACTERS[0]:
            reason = warnings[0] if warnings else "blog_url: the page has no title"
            raise InvalidBatch(f"{reason}; give a title of your own", [Problem("blog_url", reason)])
        given[shape.first] = shape.as_first(page.title)
        from_page = True
    if page.text and not given.get("context"):
        given["context"], from_page = page.text, True
    request = parse_request(task, given, cap, real, brands)
    return Checked(request, _estimate(request, store), [*warnings, *notices(request.models)], from_page)


def submit(
    task: Task,
    value: object,
    key: str,
    *,
    cap: int,
    read_page: ReadPage,
    real: Collection[Provider] = (),
    moderate: Moderate,
    store: Store,
    executions: Executions,
    budget: Budget = NO_BUDGET,
) -> Submitted:
    """Start a run for a request; with an idempotency key, one run however often it is sent.

    Args:
        task: which state machine.
        value: the request as it came.
        key: the idempotency key; empty for none.
        cap: the most images that one run may make.
        read_page: reads the page at ``blog_url``.
        real: the providers that are called themselves.
        moderate: asks the moderation endpoint, where that is wanted.
        store: the bucket.
        executions: where runs are started.
        budget: the day's. What it clearly does not hold is refused here; the run itself has the last word.

    Raises:
        InvalidBatch: the request breaks the contract.
        DailyBudgetExceeded: the day's budget has less left than the run may pay.
        ContentFlagged: moderation flags it.
        IdempotencyKeyReused: the key came with another request before.
    """
    asked = digest(task, value)
    run_id = run_id_for_key(key) if key else new_run_id()
    # What a page says may change between two deliveries of one request: the first one decides.
    claim = _claim(run_id, store) if key else None
    if claim is None:
        checked = check(task, value, cap, read_page, real, store)
        resolve_redraw(store, checked.request)
        if budget.is_set:
            budget.check(unpaid_usd(run_id, checked.request, store, begun=False))
        if flagged := moderate(checked.texts, checked.from_page):
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
    return Submitted(run_id, task, _estimate(stored_request(task, claim["request"]), store), claim["warnings"])


def _estimate(request: Request, store: Store | None) -> Estimate:
    return estimate(request, measured_tokens(store, request.models) if store else None)


def _claim(run_id: str, store: Store) -> dict[str, Any] | None:
    # The second name is that of claims from before they were called so.
    for key in (claim_key(run_id), run_prefix(run_id) + "asked.json"):
        if stored := store.get(key):
            claim: dict[str, Any] = json.loads(stored.body)
            return claim
    return None


def _keep(run_id: str, claim: dict[str, Any], store: Store) -> dict[str, Any]:
    """Claim a key for a request; the claim that stands, where another delivery was faster."""
    noted = note_begun(run_id, None, store)
    if store.put_new(claim_key(run_id), json.dumps(claim).encode(), "application/json", noted):
        return claim
    return _claim(run_id, store) or claim


def _checked_url(
    task: Task, url: object, rest: object, cap: int, real: Collection[Provider], brands: Brands | None
) -> str:
    """The URL of the page.

    Raises:
        InvalidBatch: it is none, or the rest of the request breaks the contract: with the problems of both.
    """
    problem = url_problem(url.strip()) if isinstance(url, str) else "blog_url must be a string"
    problems = [Problem("blog_url", problem)] if problem else []
    try:
        parse_request(task, rest, cap, real, brands, titles_follow=True)
    except InvalidBatch as refusal:
        problems += refusal.problems
    if problems:
        raise InvalidBatch(problems[0].message, problems)
    return str(url).strip()
