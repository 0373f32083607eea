"""What the page weighs, and how soon a person sees it: on the stack that is up, in headless Chromium."""

import argparse
import gzip
import re
import shutil
import statistics
import sys
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from thumbs.cli.application import Application
from thumbs.stack.processes import Stack

WEB = Path(__file__).parents[2] / "functions" / "web"
KIND = re.compile(r"\.(js|css|svg)$")
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def weigh(base: str) -> None:
    """Bytes of each file as it is sent, and with gzip as API Gateway packs it."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    page = opener.open(base).read()
    version = re.search(rb"web/(\w+)/app.js", page)
    assert version
    names = ["index.html", "preact.js", *sorted(file.name for file in WEB.iterdir() if KIND.search(file.name))]
    total = 0
    for name in names:
        body = page if name == "index.html" else opener.open(f"{base}web/{version[1].decode()}/{name}").read()
        packed = len(gzip.compress(body, 9))
        total += packed
        print(f"{name:<14}{len(body):>8}{packed:>8}")
    print(f"{'together':<14}{'':>8}{total:>8} bytes with gzip")


def paint(browser: Browser, base: str, warm: bool) -> tuple[float, float]:
    """Milliseconds to the first paint, and until the form is there.

    Args:
        browser: a browser that runs.
        base: the page's address.
        warm: whether the browser has been there before.
    """
    context = browser.new_context()
    page = context.new_page()
    for _ in range(1 + warm):
        page.goto(base)
        page.locator("#titles").wait_for()
    found = page.evaluate(f"[{PAINTED}, performance.now()]")
    context.close()
    return found[0], found[1]


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="how often each is measured")
    times = parser.parse_args().times
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("there is no chromium on this machine (Debian: apt install chromium)")
    base = Application(Stack.of_this_project().endpoint).api_url + "/"
    weigh(base)
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium)
        paint(browser, base, warm=False)
        for name, warm in (("first visit", False), ("again", True)):
            found = [paint(browser, base, warm) for _ in range(times)]
            first, form = (statistics.median(one[place] for one in found) for place in (0, 1))
            print(f"{name}: first paint after {first:.0f} ms, the form after {form:.0f} ms (median of {times})")
        browser.close()


if __name__ == "__main__":
    main()
