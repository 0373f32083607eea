"""A campaign at half price with two crashes in it: what is paid for, how often, and at which part of the list price.

Run with ``make bench-economy``. A stack of its own makes 200 titles by one model in a batch of OpenAI's, as the offline
image API plays it. The answer that says that the batch was made is lost, so that nobody has noted the batch; and once
half of the pictures are in the bucket LocalStack is killed, is started again, and the campaign is resumed. It fails if
any picture is missing, was paid for twice, or cost more than half of the list price.
"""

import argparse
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tests.integration.application import BUCKET, Application, wait_for
from thumbnails.aws.s3 import Store
from thumbnails.catalog import MODELS
from thumbnails.catalog.prices import cost_usd
from thumbnails.keys import SPENT
from thumbnails.runs.costs import spent
from thumbs.stack.deploy import deploy
from thumbs.stack.processes import PROJECT, Stack, free_port

MODEL = "gpt-image-2.5-flare"
CAMPAIGN_SECONDS = 900.0
#: Of one batch, from its making to its end.
BATCH_SECONDS = 5.0


def started(stack: Stack) -> Application:
    """The application on a stack that is brought up."""
    stack.start(lambda _: None)
    deploy(stack, lambda _: None)
    return Application(stack)


def finished(application: Application, name: str) -> int:
    """How many finished images of a campaign the bucket holds."""
    return sum(key.endswith(".jpg") for key in application.keys(f"runs/{name}-"))


def check(what: str, holds: bool) -> None:
    """End the measurement where something that it stands for does not hold."""
    if not holds:
        raise SystemExit(f"FAILED: {what}")


def measure(stack: Stack, rows: int, say: Callable[[str], None]) -> None:
    """Run the campaign with its crashes, and say what it came to."""
    application = started(stack)
    api = application.image_api
    api.reset()
    api.set_batch_seconds(BATCH_SECONDS)
    api.add_fault("batch_lost", times=1)
    name = "economy"
    body = "title\n" + "".join(f"Post number {number} of the blog\n" for number in range(rows))
    application.s3.put_object(Bucket=BUCKET, Key=f"campaigns/{name}.csv", Body=body.encode())
    request = {"file": f"campaigns/{name}.csv", "models": [MODEL], "max_images": rows, "economy": True}
    begun = time.monotonic()
    application.start("generateCampaign", request, name)
    wait_for("half of the pictures", lambda: finished(application, name) >= rows // 2 or None, CAMPAIGN_SECONDS)
    service = stack.service("localstack")
    check("LocalStack runs", service is not None and service.process is not None)
    if service and service.process:
        service.process.kill()
        service.process.wait(20)
    application.close()
    say(f"the answer to the batch's making was lost; LocalStack was killed after {time.monotonic() - begun:.0f} s")

    application = started(stack)
    there = finished(application, name)
    say(f"started again: {there} of {rows} images are in the bucket")
    arn = application.start("generateCampaign", {"resume": name}, f"{name}-redrive-0001")
    done = application.wait(arn, CAMPAIGN_SECONDS)
    seconds = time.monotonic() - begun
    calls = application.image_api.calls()
    store = Store(application.s3, application.s3, BUCKET, 60)
    today = datetime.now(UTC).date()
    notes = list(spent(store, today - timedelta(days=1), today))
    batches = [key for key in application.keys(f"campaigns/{name}/economy/batches/")]
    application.close()

    check(f"the campaign succeeds: {done.error} {done.cause}", done.status == "SUCCEEDED")
    images, bill = done.output["images"], done.output["costs"]["usd"]
    whole = sum(cost_usd(MODELS[note.model], note.usage) for note in notes)
    say(f"{images['succeeded']} of {rows} images in {seconds:.0f} s, {len(batches)} batch(es)")
    say(f"calls that the provider worked on: {calls['requests']}, paid: {calls['paid']}, rows: {rows}")
    say(f"paid calls of the redrive, by its manifest: {images['paid_calls']}, notes under {SPENT}: {len(notes)}")
    say(f"bill ${bill:.4f}, at list prices ${whole:.4f}: {bill / whole:.3f} of it")
    check("every image is there", images["succeeded"] == rows)
    check("paid calls = rows", calls["paid"] == calls["requests"] == rows == len(notes))
    check("half the price", abs(bill / whole - 0.5) < 0.001)


def main() -> None:
    """Measure, on a stack that is thrown away."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=200)
    rows = options.parse_args().rows
    home = PROJECT / ".thumbs" / "bench-economy"
    stack = Stack(home, free_port(), latency=0.2)
    try:
        measure(stack, rows, lambda line: print(line, flush=True))
    finally:
        stack.stop(lambda _: None)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
