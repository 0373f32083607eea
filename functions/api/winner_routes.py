"""Routes of winners: chosen, changed, taken home; how often each model wins."""

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from api import responses
from api.bodies import Chosen, Taken
from api.http import read_body
from api.run_routes import found_run
from entry.clients import bus, store
from thumbnails.runs.status import RunStatus
from thumbnails.runs.winners import (
    Winner,
    archive_key,
    choose,
    get_winners,
    take,
    unchoose,
    win_rates,
)

router = APIGatewayRouter()  # type: ignore[no-untyped-call]

Row = Annotated[int, Path(ge=0)]


@router.get("/runs/<run_id>/winners", summary="What was chosen of a run", tags=["winners"])
def get_run_winners(run_id: str) -> responses.Winners:
    """The winner of each row that has one."""
    return _winners(found_run(run_id))


@router.put("/runs/<run_id>/winners/<row>", summary="Choose a row's image, or change its text", tags=["winners"])
def put_winner(run_id: str, row: Row) -> responses.Winners:
    """Set a row's star; of two who do so at once neither loses another row."""
    given = read_body(router.current_event, Chosen)
    run = found_run(run_id)
    choose(run, row, given.model, given.alt, store())
    return _winners(run)


@router.delete("/runs/<run_id>/winners/<row>", summary="Take a row's star away", tags=["winners"])
def delete_winner(run_id: str, row: Row) -> responses.Winners:
    """Choose nothing in a row."""
    run = found_run(run_id)
    unchoose(run, row, store())
    return _winners(run)


@router.post("/runs/<run_id>/winners", summary="Take the winners home: copies that stay, and a ZIP", tags=["winners"])
def post_winners(run_id: str) -> responses.TakenWinners:
    """Copy the winners, write their texts and tags, pack them, and tell the bus."""
    given = read_body(router.current_event, Taken)
    run = found_run(run_id)
    taken = take(run, given.base_url, store(), bus())
    return responses.TakenWinners(
        run_id=run.run_id,
        archive_url=store().url(archive_key(run.run_id), f"{run.run_id}-winners.zip"),
        winners=[_winner(winner, given.base_url) for winner in taken],
    )


@router.get("/win-rates", summary="How often each model is chosen", tags=["winners"])
def get_win_rates() -> responses.WinRates:
    """Over every run of several models in which something was chosen."""
    found = [responses.WinRate(model=one.model, wins=one.wins, rows=one.rows) for one in win_rates(store())]
    return responses.WinRates(models=found)


def _winners(run: RunStatus) -> responses.Winners:
    return responses.Winners(run_id=run.run_id, winners=[_winner(winner, "") for winner in get_winners(run, store())])


def _winner(winner: Winner, base_url: str) -> responses.Winner:
    cell = winner.cell
    return responses.Winner(
        row=cell.row,
        title=cell.title,
        model=cell.model,
        key=cell.key,
        image_url=store().url(cell.key),
        download_url=store().url(cell.key, winner.file_name),
        file=winner.file_name,
        alt=winner.star.alt,
        tags=winner.tags(base_url),
        chosen_at=winner.star.chosen_at,
    )
