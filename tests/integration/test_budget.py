"""The day's budget on the deployed stack: refused by every way in, never passed by many at once, settled at the end."""

import io
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.integration.application import BUCKET, GPT, Application, FinishedRun
from tests.integration.http_api import HttpApi
from tests.integration.test_events import ask, drop, run_named
from thumbnails.requests.estimate import cell_usd
from thumbnails.requests.models import Batch
from thumbs.cli.application import Application as Command

PRICE = cell_usd("Title 0 about something", GPT, Batch())
COUNTING = ("validateBatch", "generateThumbnail", "collectBatch", "validateCampaign", "collectCampaign", "api")


@contextmanager
def budget(app: Application, usd: float) -> Iterator[None]:
    """A day's budget for a while; a day that begins meanwhile has one of its own."""
    with ExitStack() as stack:
        for name in COUNTING:
            stack.enter_context(app.configured(name, DAILY_BUDGET_USD=str(usd)))
        yield


@pytest.fixture(scope="module")
def limited(deployed: Application) -> Iterator[Application]:
    """The application with a budget for five pictures a day."""
    with budget(deployed, 5 * PRICE):
        yield deployed


@pytest.fixture(autouse=True)
def new_day(limited: Application) -> None:
    """Nothing is paid or reserved yet."""
    limited.image_api.reset()
    for key in limited.keys("budget/"):
        limited.s3.delete_object(Bucket=BUCKET, Key=key)


def day(app: Application) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        app.s3.get_object(Bucket=BUCKET, Key=f"budget/{datetime.now(UTC).date()}.json")["Body"].read()
    )
    return found


def asked(titles: int, about: str) -> dict[str, Any]:
    return {"prompts": [f"Title {row} about {about}" for row in range(titles)], "models": [GPT]}


def refused(done: FinishedRun) -> bool:
    return done.error == "DailyBudgetExceeded"


def use_up(app: Application) -> None:
    app.succeed("generateBatch", asked(5, "using it up"))


def test_twenty_starts_at_once_do_not_pass_the_budget_together(limited: Application) -> None:
    with ThreadPoolExecutor(20) as pool:
        arns = list(pool.map(lambda n: limited.start("generateBatch", asked(1, f"start {n}")), range(20)))
    ended = Counter((done.status, done.error) for done in map(limited.wait, arns))
    assert ended == {("SUCCEEDED", ""): 5, ("FAILED", "DailyBudgetExceeded"): 15}
    # A title's words are tokens too: these are a few fewer than those of PRICE.
    assert day(limited) == {"paid_usd": pytest.approx(5 * PRICE, abs=0.001), "reserved": {}}
    assert limited.image_api.calls()["paid"] == 5


def test_every_way_in_refuses_with_what_is_left_and_when_it_starts_anew(limited: Application) -> None:
    use_up(limited)
    words = f"this may cost {PRICE:.3f} US dollars, and 0.000 of the day's {5 * PRICE:.2f} are left; the budget starts"
    by_start = limited.run("generateBatch", asked(1, "a start"))
    by_title = limited.run("generateThumbnails", {"title": "A title too many", "models": [GPT]})
    by_file = limited.wait(run_named(limited, drop(limited, "much.json", json.dumps(asked(1, "a file")).encode())))
    by_event = limited.wait(run_named(limited, f"event-{ask(limited, asked(1, 'an event'))}"))
    for done in (by_start, by_title, by_file, by_event):
        assert (done.status, done.error) == ("FAILED", "DailyBudgetExceeded")
        assert done.cause.startswith(words)
    alone = limited.invoke("generateThumbnail", {"title": "A title alone", "model": GPT})
    assert alone.payload["errorType"] == "DailyBudgetExceeded"
    command = Command(limited.stack.endpoint)
    rows = io.BytesIO(json.dumps([{"title": "A row too many"}]).encode())
    campaign = command.start_campaign("much.json", rows, {"max_images": 1, "models": [GPT]})
    (ended,) = [run for run in command.follow(campaign) if not run.execution.is_running]
    assert (ended.execution.status, ended.execution.error) == ("FAILED", "DailyBudgetExceeded")
    api = HttpApi(command.api_url)
    status, answer = api("POST", "/batches", asked(1, "http"))
    assert (status, answer["code"]) == (429, "daily_budget_exceeded")
    assert answer["message"].startswith(words)
    status, answer = api("GET", "/budget")
    assert (status, answer["left_usd"], answer["paid_usd"]) == (200, 0, pytest.approx(5 * PRICE, rel=1e-3))
    assert limited.image_api.calls()["paid"] == 5


def test_a_redrive_that_pays_is_refused_and_one_that_does_not_is_not(limited: Application) -> None:
    limited.image_api.add_fault("refusal", times=1)
    first = limited.run("generateBatch", asked(2, "a redrive"))
    assert day(limited)["paid_usd"] == pytest.approx(PRICE, rel=1e-3)
    limited.succeed("generateBatch", asked(4, "the rest"))
    pays = limited.run("generateBatch", {"resume": first.name}, f"{first.name}-redrive-0001")
    assert refused(pays)
    # The next day.
    limited.s3.delete_object(Bucket=BUCKET, Key=f"budget/{datetime.now(UTC).date()}.json")
    limited.succeed("generateBatch", {"resume": first.name}, f"{first.name}-redrive-0002")
    assert day(limited)["paid_usd"] == pytest.approx(PRICE, rel=1e-3)
    limited.succeed("generateBatch", asked(4, "the rest again"))
    free = limited.succeed("generateBatch", {"resume": first.name}, f"{first.name}-redrive-0003")
    assert free["images"]["paid_calls"] == 0
    assert day(limited) == {"paid_usd": pytest.approx(5 * PRICE, rel=1e-3), "reserved": {}}


def test_a_campaign_that_meets_the_budget_pauses_and_is_resumed(limited: Application) -> None:
    command = Command(limited.stack.endpoint)
    rows = io.BytesIO(json.dumps([{"title": f"Row {row} of eight"} for row in range(8)]).encode())
    run = command.start_campaign("eight.json", rows, {"max_images": 8, "models": [GPT]})
    *_, paused = command.follow(run)
    assert (paused.execution.status, paused.execution.error) == ("FAILED", "DailyBudgetExceeded")
    assert paused.execution.cause == "3 of 8 rows wait for a day whose budget holds them; a redrive makes them"
    assert day(limited) == {"paid_usd": pytest.approx(5 * PRICE, rel=1e-3), "reserved": {}}
    assert limited.image_api.calls()["paid"] == 5
    # The next day.
    limited.s3.delete_object(Bucket=BUCKET, Key=f"budget/{datetime.now(UTC).date()}.json")
    again = limited.wait(limited.start("generateCampaign", {"resume": paused.run_id}, f"{paused.run_id}-redrive-0001"))
    assert (again.status, again.output["images"]["succeeded"]) == ("SUCCEEDED", 8)
    assert limited.image_api.calls()["paid"] == 8
