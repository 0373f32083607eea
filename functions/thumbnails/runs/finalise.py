"""Draft, then final: chosen cells of a run are made again at another quality, in a run of their own."""

import hashlib
import json
from collections.abc import Collection, Sequence

from thumbnails.aws.s3 import Store
from thumbnails.aws.step_functions import Executions
from thumbnails.brands.kits import brands_in
from thumbnails.catalog import MODELS, Provider, Quality, notices
from thumbnails.errors import InvalidBatch, Problem
from thumbnails.requests.checks import parse_request
from thumbnails.requests.estimate import estimate
from thumbnails.requests.models import Place, Request
from thumbnails.runs.budget import NO_BUDGET, Budget
from thumbnails.runs.costs import measured_tokens, unpaid_usd
from thumbnails.runs.naming import NAME_CHARACTERS
from thumbnails.runs.resume import RunNeverAccepted
from thumbnails.runs.status import RunStatus
from thumbnails.runs.submit import Submitted


def finalise(
    drafts: RunStatus,
    cells: Sequence[Place],
    quality: Quality,
    executions: Executions,
    store: Store,
    *,
    cap: int,
    real: Collection[Provider] = (),
    budget: Budget = NO_BUDGET,
) -> Submitted:
    """Start the run that makes chosen cells of another one again; the drafts stay where they are.

    Its rows and columns are those of the drafts. Asked for twice it is one run, because its name is made from what is
    asked for.

    Args:
        drafts: the run whose cells are chosen.
        cells: their rows and columns, from 0.
        quality: the quality of the finals.
        executions: where it is started.
        store: the bucket.
        cap: the most images that one run may make.
        real: the providers that are called themselves.
        budget: the day's. What it clearly does not hold is refused here; the run itself has the last word.

    Raises:
        InvalidBatch: there is no such cell, or a model draws the same at both qualities.
        RunNeverAccepted: the run has no checked request.
        DailyBudgetExceeded: the day's budget has less left than the finals may cost.
    """
    if drafts.is_campaign:
        raise InvalidBatch(f"{drafts.run_id} is a campaign: finalise one of its rows, {drafts.run_id}-ROW")
    if drafts.request is None:
        raise RunNeverAccepted(f"run {drafts.run_id} was never accepted: it has no drafts")
    if not cells:
        raise InvalidBatch("choose at least one cell", [Problem("cells", "choose at least one cell")])
    task = drafts.request.task
    asked = {**drafts.request.model_dump(), "quality": quality, "variants": 1, "only": sorted(set(cells))}
    request = parse_request(task, asked, cap, real, brands_in(store))
    if same := _same(drafts.request, request):
        raise InvalidBatch(same[0].message, same)
    run_id = finals_name(drafts.run_id, quality, request.places)
    if budget.is_set:
        budget.check(unpaid_usd(run_id, request, store, begun=False))
    executions.start(task, run_id, request.model_dump())
    models = dict.fromkeys(request.models[column] for _, column in request.places)
    return Submitted(run_id, task, estimate(request, measured_tokens(store, models)), notices(models))


def finals_name(run_id: str, quality: Quality, cells: Sequence[Place]) -> str:
    """What the run of a run's finals is called."""
    said = hashlib.sha256(json.dumps([run_id, quality, cells]).encode()).hexdigest()[:6]
    suffix = f"-{quality}-c{said}"
    return run_id[: NAME_CHARACTERS - len(suffix)] + suffix


def _same(drafts: Request, finals: Request) -> list[Problem]:
    """The chosen cells whose models make nothing better of the other quality."""
    found = []
    for number, (row, column) in enumerate(finals.places):
        model = MODELS.get(finals.models[column])
        if model and model.order(drafts.quality).parameters == model.order(finals.quality).parameters:
            message = (
                f"cell {row + 1}.{column + 1}: {model.id} draws the same at {finals.quality} as at {drafts.quality}"
            )
            found.append(Problem(f"cells[{number}]", message))
    return found
