"""The page in a real browser, against the deployed stack: what a writer does with it, and what it says when it must."""

import base64
import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.application import RUN_SECONDS, Application, opened
from tests.integration.http_api import HttpApi
from thumbs.cli.application import Application as Command

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

SECONDS = RUN_SECONDS * 1000
TITLES = ["What the tide leaves behind", 'A <img src=x onerror="document.title=1"> in a title', "הים בשעת בוקר מוקדמת"]
#: The page offers what lives.
GPT, OTHER = "gpt-image-2.5-flare", "gpt-image-2.5-sunburst"
REQUEST = {"prompts": TITLES[:2], "models": [GPT, OTHER]}


@pytest.fixture
def desk(api: HttpApi, page: "Page") -> "Iterator[Page]":
    """The page, opened; whatever it throws or its policy stops fails the test."""
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if "Content Security" in line.text else None)
    page.set_default_timeout(SECONDS)
    page.goto(f"{api.url}/")
    page.get_by_role("heading", name="Titles").wait_for()
    yield page
    assert not wrong


@pytest.fixture(scope="module")
def there(deployed: Application) -> str:
    """A run of four images that is at its end; its id."""
    deployed.image_api.reset()
    return str(HttpApi(Command(deployed.stack.endpoint).api_url).run(REQUEST)["run_id"])


def expect(locator: Any) -> Any:
    from playwright.sync_api import expect

    expect.set_options(timeout=SECONDS)
    return expect(locator)


def pick(page: "Page", *models: str) -> None:
    for model in models:
        page.locator(f"input[value='{model}']").check()


def make(page: "Page", titles: list[str], *models: str) -> str:
    """Start a run by the form; its id."""
    page.get_by_label("Titles").fill("\n".join(titles))
    pick(page, *models)
    page.get_by_role("button", name="Make", exact=True).click()
    page.wait_for_url(re.compile("#/run/"))
    return str(page.url).rpartition("/")[2]


def finished(page: "Page", images: int) -> None:
    page.locator(".cell.succeeded img.in").nth(images - 1).wait_for(timeout=SECONDS)


def show(page: "Page", api: HttpApi, run_id: str) -> None:
    page.goto(f"{api.url}/#/run/{run_id}")
    page.locator(".matrix").wait_for()


# What a writer does


def test_a_writer_makes_looks_chooses_and_takes_home(desk: "Page", app: Application) -> None:  # noqa: PLR0915 - one story
    """From pasted titles to a ZIP of winners, with the keyboard where it is quicker."""
    desk.get_by_label("Titles").fill("\n".join(TITLES))
    pick(desk, GPT, OTHER)
    desk.locator("input[value=neon]").check()
    desk.locator("input[value=left-panel]").check()
    expect(desk.locator(".count")).to_contain_text("3 titles × 2 models = 6 images")
    expect(desk.locator(".cost")).to_contain_text("$")
    desk.locator(".frame img").wait_for()
    desk.get_by_label("Titles").press("Control+Enter")
    desk.wait_for_url(re.compile("#/run/"))
    run_id = desk.url.rpartition("/")[2]
    assert desk.locator(".cell").count() == 6
    finished(desk, 6)
    # A title is text, whatever it holds, and each one is set in its own direction.
    assert desk.locator(".matrix tbody th").all_inner_texts() == TITLES
    assert desk.title().startswith(TITLES[0])
    assert [
        desk.locator(f".matrix tbody th >> nth={row}").evaluate("e => getComputedStyle(e).direction") for row in (0, 2)
    ] == ["ltr", "rtl"]
    expect(desk.get_by_role("status").first).to_contain_text("6 of 6 ready")

    desk.locator("[data-at='0,0'] .open").focus()
    for key in ("ArrowRight", "ArrowDown", "s"):
        desk.keyboard.press(key)
    expect(desk.locator("[data-at='1,1'].starred")).to_be_visible()
    assert desk.locator("[data-at='1,1'] .open").evaluate("e => e === document.activeElement")
    desk.keyboard.press("Enter")
    viewer = desk.locator("dialog.viewer")
    expect(viewer).to_be_focused()
    for key in ("ArrowUp", "ArrowLeft", "c"):
        desk.keyboard.press(key)
    slider = viewer.get_by_role("slider")
    slider.focus()
    slider.press("ArrowRight")
    expect(slider).to_have_value("51")
    viewer.get_by_role("button", name="Choose").click()
    expect(viewer.get_by_role("button", name="Chosen")).to_be_visible()
    desk.keyboard.press("Escape")
    assert desk.locator("[data-at='0,0'] .open").evaluate("e => e === document.activeElement")

    text = desk.get_by_label("Alternative text").first
    expect(text).to_have_value(f"“{TITLES[0]}”, in a neon style")
    text.fill("Shells on wet sand at dawn.")
    desk.get_by_label("Where the pictures will be").fill("https://blog.example/i")
    with desk.expect_download() as download:
        desk.get_by_role("button", name="Take the winners home").click()
    with zipfile.ZipFile(download.value.path()) as packed:
        manifest = json.loads(packed.read("winners.json"))
        assert len([name for name in packed.namelist() if name.endswith(".jpg")]) == 2
    assert [(one["row"], one["model"]) for one in manifest["winners"]] == [(0, GPT), (1, OTHER)]
    assert manifest["winners"][0]["alt"] == "Shells on wet sand at dawn."
    assert (
        '<meta property="og:image" content="https://blog.example/i/0-what-the-tide-leaves-behind.jpg">'
        in manifest["winners"][0]["tags"]
    )
    assert app.keys(f"winners/{run_id}/") == sorted(
        f"winners/{run_id}/{name}"
        for name in ("choice.json", "winners.json", "winners.zip", *(one["file"] for one in manifest["winners"]))
    )

    desk.get_by_role("link", name="Runs").click()
    desk.locator(f".runs a[href='#/run/{run_id}']").click()
    finished(desk, 6)
    desk.get_by_role("link", name="Gallery").click()
    desk.locator(".gallery img").first.wait_for()
    expect(desk.locator(".rates")).to_contain_text("%")


def test_a_finished_run_is_redrawn_with_other_words_and_nothing_is_paid(
    desk: "Page", api: HttpApi, app: Application
) -> None:
    run = api.run(REQUEST)
    show(desk, api, run["run_id"])
    app.image_api.clear_calls()
    desk.get_by_role("button", name="Redraw…").click()
    desk.get_by_label("Title 1").fill("Another wording")
    desk.locator("form.redraw input[value=center-box]").check()
    desk.locator("form.redraw .frame img").wait_for()
    desk.get_by_role("button", name="Redraw 4 for nothing").click()
    desk.wait_for_url(re.compile(f"#/run/(?!{re.escape(run['run_id'])})"))
    finished(desk, 4)
    expect(desk.locator(".matrix tbody th").first).to_have_text("Another wording")
    assert app.image_api.calls()["requests"] == 0
    again = api("GET", f"/runs/{desk.url.rpartition('/')[2]}")[1]
    shown = {"title": "Another wording", "template": "center-box", "run_id": again["run_id"], "row": 0, "column": 0}
    drawn = base64.b64decode(api("POST", "/preview", shown)[1]["image"])
    assert drawn == opened(again["cells"][0]["image_url"])


@pytest.mark.nightly
def test_a_run_of_fifty_is_watched_to_its_end_without_losing_place_or_focus(desk: "Page", app: Application) -> None:
    app.image_api.set_latency(0.5)
    make(desk, [f"Title number {number}" for number in range(1, 26)], GPT, OTHER)
    expect(desk.locator(".cell")).to_have_count(50)
    place = desk.locator("[data-at='20,1'] .open")
    place.focus()
    before = desk.evaluate("scrollY")
    # The cells' own elements stay: what is there is filled and not made anew.
    place.evaluate("e => { window.place = e; }")
    desk.locator(".cell.succeeded img").first.evaluate("e => { window.first = e; window.source = e.src; }")
    expect(desk.locator(".cell.succeeded")).to_have_count(50, timeout=2 * SECONDS)
    assert desk.evaluate("window.place === document.activeElement")
    assert desk.evaluate("scrollY") == before
    assert desk.evaluate("window.first.isConnected && window.first.src === window.source")


def test_a_failed_cell_says_why_and_is_made_again_alone(desk: "Page", app: Application) -> None:
    app.image_api.add_fault("refusal", model=OTHER)
    make(desk, ["One that is refused"], GPT, OTHER)
    failed = desk.locator(".cell.failed")
    expect(failed).to_have_count(1)
    assert failed.locator("small").inner_text()
    app.image_api.clear_faults()
    desk.get_by_role("button", name="Make the missing 1").click()
    finished(desk, 2)


def test_a_run_is_stopped(desk: "Page", app: Application) -> None:
    # The call under way when a run is stopped is paid for, and its image is kept: this one never answers.
    app.image_api.add_fault("hang")
    make(desk, ["A run that is stopped"], GPT)
    desk.get_by_role("button", name="Stop", exact=True).click()
    expect(desk.get_by_role("status").first).to_contain_text("stopped, 1 not made")


@pytest.mark.nightly
def test_titles_come_from_a_file_and_an_address_from_a_paste(desk: "Page") -> None:
    titles = desk.get_by_label("Titles")

    def take(name: str, raw: bytes) -> None:
        desk.locator("input[type=file]").set_input_files({"name": name, "mimeType": "text/csv", "buffer": raw})

    take("posts.csv", b'author,title\nAda,"A title, with a comma"\nBo,"Another ""quoted"" one"\n')
    expect(titles).to_have_value('A title, with a comma\nAnother "quoted" one')
    desk.get_by_role("button", name="Clear").click()
    # As Excel writes it in Germany, and as "Unicode text".
    take("posts.csv", f"Title;Model;Style\r\nZwölf Boxkämpfer, schnell;{OTHER};neon\r\n".encode("cp1252"))
    expect(titles).to_have_value("Zwölf Boxkämpfer, schnell")
    expect(desk.locator(f"input[value='{OTHER}']")).to_be_checked()
    expect(desk.locator("input[value=neon]")).to_be_checked()
    take("posts.txt", "title\tmodels\r\nThe next one\t\r\n".encode("utf-16"))
    expect(titles).to_have_value("Zwölf Boxkämpfer, schnell\nThe next one")
    take("posts.csv", b"title\r\n#REF!\r\n")
    expect(desk.get_by_role("alert")).to_contain_text("posts.csv: 1 of 1 rows are refused: row 2: 'title': '#REF!'")
    desk.get_by_label("Titles").evaluate(
        """area => { const data = new DataTransfer(); data.setData('text/plain', 'https://blog.example/a-post');
           area.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true})); }"""
    )
    expect(desk.get_by_label("From a blog post")).to_have_value("https://blog.example/a-post")


@pytest.mark.nightly
def test_an_image_is_deleted_from_the_gallery(desk: "Page", api: HttpApi) -> None:
    run = api.run({"prompts": ["To be deleted"], "models": [GPT]})
    desk.goto(f"{api.url}/#/gallery")
    desk.get_by_role("button", name=re.compile("To be deleted")).first.click()
    desk.get_by_role("button", name="Delete", exact=True).click()
    desk.get_by_role("button", name="Delete it for good").click()
    expect(desk.locator("dialog")).to_have_count(0)
    assert api("GET", f"/runs/{run['run_id']}")[1]["counts"]["deleted"] == 1


# Nothing that was typed is lost, and two who work at once see each other


@pytest.mark.nightly
def test_what_was_typed_is_there_after_a_reload_and_by_its_address(desk: "Page", api: HttpApi) -> None:
    desk.get_by_label("Titles").fill(TITLES[0])
    pick(desk, OTHER)
    desk.locator("input[value=lora]").check()
    address = desk.url
    desk.evaluate("localStorage.clear()")
    desk.goto("about:blank")
    desk.goto(address)
    expect(desk.get_by_label("Titles")).to_have_value(TITLES[0])
    expect(desk.locator("input[value=lora]")).to_be_checked()
    desk.goto("about:blank")
    desk.goto(f"{api.url}/")
    expect(desk.locator(f"input[value='{OTHER}']")).to_be_checked()


@pytest.mark.nightly
def test_two_tabs_choose_in_one_run_and_both_see_both(desk: "Page", api: HttpApi, there: str) -> None:
    other = desk.context.new_page()
    for page in (desk, other):
        page.set_default_timeout(SECONDS)
        show(page, api, there)
        finished(page, 4)
    desk.locator("[data-at='0,0'] .star").click()
    other.locator("[data-at='1,1'] .star").click()
    for page in (desk, other):
        expect(page.locator(".cell.starred")).to_have_count(2, timeout=SECONDS)


# When things go wrong


@contextmanager
def answered(page: "Page", path: str, status: int, code: str = "", problems: object = ()) -> Iterator[None]:
    """The API's answer to a path, for as long as this lasts; status 0 for no answer."""

    def answer(route: "Route") -> None:
        if status == 0:
            route.abort()
        else:
            body = {"code": code, "message": f"message of {code}", "problems": list(problems)}  # type: ignore[call-overload]
            route.fulfill(status=status, json=body)

    pattern = re.compile(rf"/v1/{path}(\?|$)")
    page.route(pattern, answer)
    yield
    page.unroute(pattern)


REFUSALS = [
    (0, "", "does not answer"),
    (409, "idempotency_key_reused", "Message of idempotency_key_reused"),
    (413, "body_too_large", "more text than one request holds"),
    (429, "too_many_requests", "Wait a few seconds"),
    (429, "daily_budget_exceeded", "Message of daily_budget_exceeded"),
    (500, "internal_error", "fault of its own"),
    (503, "unavailable", "Try again in a moment"),
]


def test_a_refusal_is_a_sentence_and_what_was_typed_stays(desk: "Page") -> None:
    desk.get_by_label("Titles").fill(TITLES[0])
    pick(desk, GPT)
    for status, code, said in REFUSALS:
        with answered(desk, "batches", status, code):
            desk.get_by_role("button", name="Make", exact=True).click()
            expect(desk.get_by_role("alert")).to_contain_text(said)
        expect(desk.get_by_label("Titles")).to_have_value(TITLES[0])
    desk.get_by_role("button", name="Make", exact=True).click()
    finished(desk, 1)


def test_a_brand_is_picked_shown_and_held_against_what_is_there(desk: "Page", api: HttpApi) -> None:
    assert desk.get_by_label("Brand", exact=True).count() == 0
    kit = {"colours": {"background": "#0b3d2e", "text": "#ffffff", "accent": "#ffd166"}, "templates": {"pier": {}}}
    assert api("PUT", "/brands/harbour", kit)[0] == 200
    desk.reload()
    with desk.expect_request(lambda one: one.url.endswith("/preview") and "harbour" in str(one.post_data)) as asked:
        desk.get_by_label("Brand", exact=True).select_option("harbour")
    # What the kit has is its own until something else is picked.
    assert not {"template", "font"} & set(asked.value.post_data_json or ())
    expect(desk.locator(".pick.template .choice").nth(1)).to_contain_text("Pier")
    expect(desk.locator(".pick.template .choice").first).to_contain_text("Brand’s own")
    desk.locator("input[value=pier]").check()
    run_id = make(desk, TITLES[:1], GPT)
    finished(desk, 1)
    run = api("GET", f"/runs/{run_id}")[1]
    assert (run["brand"], run["template"]) == ("harbour", "pier")
    desk.get_by_role("button", name="Redraw…").click()
    expect(desk.locator("form.redraw input[value=pier]")).to_be_checked()
    desk.get_by_role("button", name="Redraw 1 for nothing").click()
    desk.wait_for_url(re.compile(f"#/run/(?!{re.escape(run_id)})"))
    again = api("GET", f"/runs/{desk.url.rpartition('/')[2]}")[1]
    assert (again["brand"], again["template"], again["redraw"]) == ("harbour", "pier", run_id)
    desk.goto(f"{api.url}/#/?titles={TITLES[0]}&models={GPT}&brand=gone")
    desk.reload()
    expect(desk.locator("#brand-problem")).to_have_text("There is no brand kit 'gone'.")
    desk.get_by_role("button", name="Make", exact=True).click()
    expect(desk.locator("#brand-problem")).to_contain_text("There is no brand kit 'gone'; choose from: harbour")


def test_who_is_offline_is_told_so(desk: "Page") -> None:
    desk.get_by_label("Titles").fill(TITLES[0])
    pick(desk, GPT)
    desk.context.set_offline(True)
    desk.get_by_role("button", name="Make", exact=True).click()
    expect(desk.get_by_role("alert")).to_contain_text("You are offline")
    desk.context.set_offline(False)


def test_every_problem_stands_beside_its_field(desk: "Page") -> None:
    desk.get_by_role("button", name="Make", exact=True).click()
    expect(desk.locator("#titles-problem")).to_contain_text("at least one title")
    expect(desk.locator("#models-problem")).to_contain_text("at least one model")
    desk.get_by_label("Titles").fill("A good one\nab\n" + "x" * 201)
    expect(desk.locator("#titles-problem")).to_have_text(
        "Line 2 has 2 characters; a title has 3 to 200. Line 3 has 201 characters; a title has 3 to 200."
    )
    assert desk.get_by_label("Titles").get_attribute("aria-invalid") == "true"
    desk.get_by_label("Titles").fill("\n".join(f"Title {number}" for number in range(26)))
    pick(desk, GPT, OTHER)
    expect(desk.locator("#titles-problem")).to_contain_text("at most 50 images; this would be 52")
    desk.get_by_label("Titles").fill("A good one")
    problems = [
        {"field": "prompts[0]", "message": "prompts[0] is flagged"},
        {"field": "font", "message": "unknown font"},
    ]
    with answered(desk, "batches", 422, "invalid_request", problems):
        desk.get_by_role("button", name="Make", exact=True).click()
        expect(desk.locator("#titles-problem")).to_have_text("Line 1 is flagged")
        expect(desk.locator("#font-problem")).to_have_text("Unknown font.")


def test_a_stack_that_goes_down_and_comes_back_is_waited_for(desk: "Page", api: HttpApi, there: str) -> None:
    with answered(desk, r"runs/[^/]+", 0):
        desk.goto(f"{api.url}/#/run/{there}")
        expect(desk.locator("main")).to_contain_text("does not answer")
    finished(desk, 4)


def test_a_run_that_is_not_there_is_said_so(desk: "Page", api: HttpApi) -> None:
    desk.goto(f"{api.url}/#/run/not-there")
    expect(desk.get_by_role("heading", level=1)).to_have_text("There is no such run")
    expect(desk.get_by_role("link", name="All runs")).to_be_visible()


@pytest.mark.nightly
def test_a_link_that_has_run_out_is_renewed(desk: "Page", api: HttpApi, there: str) -> None:
    stale: list[str] = []

    def once(route: "Route") -> None:
        if len(stale) < 4:
            stale.append(route.request.url)
            route.fulfill(status=403)
        else:
            route.continue_()

    desk.route(re.compile(r"\.jpg\?X-Amz"), once)
    show(desk, api, there)
    finished(desk, 4)
    assert len(stale) == 4


def test_a_deployment_with_a_key_asks_for_it_once(page: "Page", api: HttpApi) -> None:
    given: list[str | None] = []

    def guard(route: "Route") -> None:
        key = route.request.headers.get("x-api-key")
        given.append(key)
        if key == "right":
            route.continue_()
        else:
            route.fulfill(status=403, json={"code": "api_key_rejected", "message": "missing", "problems": []})

    page.route(re.compile("/v1/(images|runs|preview|win-rates|budget)"), guard)
    page.goto(f"{api.url}/#/runs")
    for key in ("wrong", "right"):
        page.get_by_label("Key", exact=True).fill(key)
        page.get_by_role("button", name="Go on").click()
    page.get_by_role("heading", name="Runs").wait_for()
    expect(page.locator("dialog")).to_have_count(0)
    assert {None, "wrong", "right"} <= set(given)
    page.reload()
    page.get_by_role("heading", name="Runs").wait_for()
    expect(page.locator("dialog")).to_have_count(0)
    assert page.evaluate("[sessionStorage.length, localStorage.getItem('thumbs-api-key')]") == [1, None]


# For everyone


def axe(page: "Page") -> list[str]:
    from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

    found = Axe().run(page)
    return [f"{one['id']}: {[node['html'][:90] for node in one['nodes'][:3]]}" for one in found.response["violations"]]


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.nightly)])
def test_axe_finds_nothing_on_any_view(browser: "Browser", api: HttpApi, there: str, scheme: Any) -> None:
    context = browser.new_context(color_scheme=scheme, reduced_motion="reduce", bypass_csp=True)
    page = context.new_page()
    page.set_default_timeout(SECONDS)
    found: dict[str, list[str]] = {}
    page.goto(f"{api.url}/")
    page.locator(".frame img").wait_for()
    page.get_by_role("button", name="Make", exact=True).click()
    found["form"] = axe(page)
    show(page, api, there)
    finished(page, 4)
    if not page.locator(".winners li").count():
        page.locator("[data-at='0,0'] .star").click()
    page.locator(".winners li").first.wait_for()
    found["run"] = axe(page)
    page.get_by_role("button", name="Redraw…").click()
    page.locator("form.redraw .frame img").wait_for()
    found["redraw"] = axe(page)
    page.locator("[data-at='0,0'] .open").click()
    page.keyboard.press("c")
    found["viewer"] = axe(page)
    for view, ready in (("runs", ".runs li"), ("gallery", ".gallery li")):
        page.goto(f"{api.url}/#/{view}")
        page.locator(ready).first.wait_for()
        found[view] = axe(page)
    page.keyboard.press("?")
    page.locator("dialog.paper").wait_for()
    found["keys"] = axe(page)
    context.close()
    assert not any(found.values()), found


@pytest.mark.parametrize(
    ("width", "height"),
    [pytest.param(360, 640, id="a phone"), pytest.param(640, 400, id="200 per cent", marks=pytest.mark.nightly)],
)
@pytest.mark.nightly
def test_nothing_is_cut_off_on_a_narrow_screen(
    browser: "Browser", api: HttpApi, there: str, width: int, height: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    page.set_default_timeout(SECONDS)
    for view, ready in (("", ".make"), (f"run/{there}", ".matrix"), ("runs", ".runs"), ("gallery", ".gallery")):
        page.goto(f"{api.url}/#/{view}")
        page.locator(ready).wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), view
    context.close()


def test_the_keyboard_alone_reaches_everything_and_focus_is_seen(desk: "Page", api: HttpApi, there: str) -> None:
    show(desk, api, there)
    finished(desk, 4)
    reached: list[str] = []
    for _ in range(30):
        desk.keyboard.press("Tab")
        reached.append(
            desk.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.textContent")
        )
    for name in (
        "Make",
        "Keys",
        "Redraw…",
        "All as ZIP",
        f"{TITLES[0]}, GPT Image 2.5 Flare: Ready",
        f"Choose GPT Image 2.5 Flare for {TITLES[0]}",
    ):
        assert any(label.startswith(name) for label in reached)
    # The grid is one stop, and the arrows go on from there.
    assert not any(label.startswith(f"{TITLES[0]}, GPT Image 2.5 Sunburst: Ready") for label in reached)


@pytest.mark.nightly
def test_a_screen_reader_hears_what_became_of_a_cell(desk: "Page") -> None:
    make(desk, [TITLES[0]], GPT)
    heard = desk.locator("[role=log][aria-live=polite]")
    expect(heard).to_contain_text(f"{TITLES[0]}, GPT Image 2.5 Flare: Ready. 1 of 1 ready.")
