"""What a campaign costs the embedded stack: wall time, and the peak memory of all of its processes.

Run with ``make bench-campaign``, or ``python -m tests.bench.bench_campaign --rows 50 100 200 --concurrency 10``. Every
line of the table has a stack of its own, whose functions a campaign of 20 rows has warmed up. Memory is the
proportional set size (PSS) of the stack's whole process tree, so that what forked environments share counts once; it is
sampled twice a second from ``/proc``. The offline image API takes 0.2 s for a picture.
"""

import argparse
import csv
import shutil
import threading
import time
from pathlib import Path

import psutil

from tests.integration.application import BUCKET, GEMINI, GPT, Application
from thumbs.stack.deploy import deploy
from thumbs.stack.processes import PROJECT, Stack, free_port

MODELS = [GPT, GEMINI]
SAMPLE_SECONDS = 0.5
LATENCY_SECONDS = 0.2
CAMPAIGN_SECONDS = 600.0


def pss_mib(pid: int) -> float:
    """A process's proportional set size; nothing for one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:"))


class Sampler(threading.Thread):
    """Follows a stack's memory until it is stopped.

    Attributes:
        peak: the largest sum over all of its processes, in MiB.
        localstack: LocalStack's own process at its largest, in MiB.
        processes: the most processes at a time.
    """

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        services = [stack.service(name) for name in ("localstack", "image_api")]
        self._roots = [psutil.Process(service.pid) for service in services if service]
        self._ended = threading.Event()
        self.peak = self.localstack = 0.0
        self.processes = 0

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            family = [one.pid for root in self._roots for one in (root, *root.children(recursive=True))]
            sizes = {pid: pss_mib(pid) for pid in family}
            self.peak = max(self.peak, sum(sizes.values()))
            self.localstack = max(self.localstack, sizes[self._roots[0].pid])
            self.processes = max(self.processes, len(family))

    def stop(self) -> None:
        """End at the next sample."""
        self._ended.set()
        self.join()


def titles(count: int) -> list[str]:
    """Those of the example, over again with a number where they are too few."""
    with (PROJECT / "examples" / "campaign.csv").open(newline="") as file:
        named = [row["title"] for row in csv.DictReader(file)]
    return [named[row % 100] + (f", part {row // 100 + 1}" if row >= len(named) else "") for row in range(count)]


def run(application: Application, name: str, rows: int, concurrency: int) -> float:
    """Run one campaign to its end; its seconds."""
    body = "title\n" + "".join(f'"{title}"\n' for title in titles(rows))
    application.s3.put_object(Bucket=BUCKET, Key=f"campaigns/{name}.csv", Body=body.encode())
    request = {
        "file": f"campaigns/{name}.csv",
        "models": MODELS,
        "max_images": rows * len(MODELS),
        "max_concurrency": concurrency,
    }
    started = time.monotonic()
    done = application.wait(application.start("generateCampaign", request, name), CAMPAIGN_SECONDS)
    seconds = time.monotonic() - started
    if done.status != "SUCCEEDED" or done.output["images"]["succeeded"] != rows * len(MODELS):
        raise SystemExit(f"{name} is {done.status}: {done.error} {done.cause} {done.output}")
    return seconds


def measure(home: Path, rows: int, concurrency: int) -> str:
    """One line of the table, from a stack that is started for it."""
    stack = Stack(home, free_port(), latency=LATENCY_SECONDS)
    try:
        stack.start(lambda _: None)
        deploy(stack, lambda _: None)
        application = Application(stack)
        run(application, "warm-up", 20, concurrency)
        sampler = Sampler(stack)
        sampler.start()
        seconds = run(application, "measured", rows, concurrency)
        sampler.stop()
        application.close()
    finally:
        stack.stop(lambda _: None)
    images = rows * len(MODELS)
    return (
        f"| {rows} | {images} | {concurrency} | {seconds:.1f} | {images / seconds:.1f} | {sampler.peak:.0f} "
        f"| {sampler.localstack:.0f} | {sampler.processes} |"
    )


def main() -> None:
    """Measure what is asked for and print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, nargs="+", default=[50, 100, 200])
    options.add_argument("--concurrency", type=int, nargs="+", default=[10, 20])
    asked = options.parse_args()
    home = PROJECT / ".thumbs" / "bench-campaign"
    print("| rows | images | max_concurrency | seconds | images/s | peak PSS MiB | of it LocalStack | processes |")
    print("|---|---|---|---|---|---|---|---|")
    for concurrency in asked.concurrency:
        for rows in asked.rows:
            print(measure(home, rows, concurrency), flush=True)
    shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
