"""The command for the day's budget."""

import json

from thumbs.cli.app import AsJson, app, out
from thumbs.cli.application import Application


@app.command()
def budget(as_json: AsJson = False) -> None:
    """Show what runs have paid today, what those under way may pay, and what is left."""
    given = Application.from_environment().budget
    if not given.is_set:
        print("null") if as_json else out.print("there is no budget: DailyBudgetUsd is 0 (docs/deploy.md)")
        return
    day = given.today()
    if as_json:
        told = {"day": day.date, "limit_usd": day.limit_usd, "paid_usd": day.paid_usd, "reserved": day.reserved}
        print(json.dumps({**told, "left_usd": day.left_usd, "starts_anew": day.ends.isoformat()}))
        return
    runs = f"by {len(day.reserved)} {'run' if len(day.reserved) == 1 else 'runs'} under way, stopped or lost"
    out.print(f"budget of {day.date}   {day.limit_usd:9.3f} US dollars", soft_wrap=True)
    out.print(f"paid                   {day.paid_usd:9.3f}")
    out.print(f"reserved               {day.reserved_usd:9.3f}{f'  {runs}' if day.reserved else ''}", soft_wrap=True)
    out.print(f"left                   {day.left_usd:9.3f}  until {day.ends:%Y-%m-%d %H:%M} UTC", soft_wrap=True)
