"""A browser for tests that look at what a person sees."""

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest

# Before Pillow is imported: a machine without FriBidi shapes no title unless the shipped one is loaded by then.
import thumbnails.images.overlay  # noqa: F401

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Headless Chromium, the system's own; it looks no name up, and takes some for this machine."""
    # The shell does a third of the work: it draws no window that nobody sees.
    chromium = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on this machine (Debian: apt install chromium-headless-shell)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        names = "MAP *.example 127.0.0.1, MAP localhost.localstack.cloud 127.0.0.1"
        browser = started.chromium.launch(executable_path=chromium, args=[f"--host-resolver-rules={names}"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: "Browser") -> "Iterator[Page]":
    """A page with a history, cookies and a cache of its own."""
    context = browser.new_context()
    yield context.new_page()
    context.close()
