"""What the API does for the page: its files, previews, redraws, winners, and a run that is asked for over and over."""

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Canvas

from api import page_routes, winner_routes
from tests.unit.api_gateway import ApiGateway, served
from tests.unit.memory_executions import MemoryExecutions
from tests.unit.memory_store import MemoryStore
from tests.unit.opened import open_run
from thumbnails.catalog import MODELS
from thumbnails.errors import InvalidBatch
from thumbnails.images.cell import make_thumbnail
from thumbnails.images.providers.answers import Answer
from thumbnails.images.redraw import resolve_redraw
from thumbnails.requests.checks import parse_cell
from thumbnails.requests.models import Batch

WEB = Path(__file__).parents[2] / "functions" / "web"
ONE, TWO = list(MODELS)[:2]
BATCH: dict[str, Any] = {"prompts": ["First title", "Second <b>title"], "models": [ONE, TWO], "style": "neon"}


class MemoryBus:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []

    def tell(self, kind: str, detail: dict[str, Any]) -> None:
        self.told.append((kind, detail))


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> MemoryBus:
    bus = MemoryBus()
    monkeypatch.setattr(winner_routes, "bus", lambda: bus)
    return bus


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiGateway]:
    gateway = ApiGateway(MemoryStore(), MemoryExecutions())
    with served(monkeypatch, [gateway]):
        yield gateway


def picture(colour: str) -> bytes:
    buffer = io.BytesIO()
    Canvas.new("RGB", (192, 108), colour).save(buffer, "JPEG")
    return buffer.getvalue()


def made(api: ApiGateway, request: dict[str, Any] = BATCH) -> str:
    """A run with all of its images; its id."""
    accepted = api("POST", "/batches", json.dumps(request))[1]
    run_id: str = accepted["run_id"]
    opened = open_run("generateBatch", run_id, request, api.store, 50)
    for asked in opened["rows"]:
        for place in asked["cells"]:
            named = {name: opened[name] for name in ("style", "template", "font", "reuse", "redraw")}
            event = {**named, "title": asked["title"], "row": asked["row"], **place, "run_id": run_id}
            make_thumbnail(
                parse_cell({**event, "execution": run_id}, run_id=run_id),
                api.store,
                lambda *_: Answer((picture("teal"),)),
            )
    return run_id


def put(api: ApiGateway, run_id: str, row: int, **chosen: str) -> tuple[int, Any]:
    return api("PUT", f"/runs/{run_id}/winners/{row}", json.dumps(chosen))


def headers_of(api: ApiGateway) -> dict[str, str]:
    return {name: value[0] for name, value in api.answer["multiValueHeaders"].items()}


# The page's files


def test_the_page_names_its_files_by_their_version_below_the_stage(api: ApiGateway) -> None:
    status, page = api("GET", "/")
    assert status == 200
    assert '<base href="/v1/">' in page
    version = page_routes.files().version
    assert f'src="web/{version}/app.js"' in page
    assert "{" not in page
    policy = headers_of(api)["Content-Security-Policy"]
    for rule in (
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ):
        assert rule in policy.split("; ")
    assert "unsafe" not in policy


def test_the_page_is_sent_once(api: ApiGateway) -> None:
    api("GET", "/")
    tag = headers_of(api)["ETag"]
    assert api("GET", "/", headers={"host": "api.example", "if-none-match": tag}) == (304, None)


@pytest.mark.parametrize("name", [file.name for file in WEB.iterdir() if file.suffix in (".js", ".css", ".svg")])
def test_a_file_is_kept_for_ever_under_its_version_and_asked_for_again_under_another(
    api: ApiGateway, name: str
) -> None:
    assert api("GET", f"/web/{page_routes.files().version}/{name}") == (200, (WEB / name).read_text())
    assert "immutable" in headers_of(api)["Cache-Control"]
    assert headers_of(api)["X-Content-Type-Options"] == "nosniff"
    assert api("GET", f"/web/of-before/{name}")[0] == 200
    assert headers_of(api)["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("name", ["index.html", "requirements.txt", "app.py", "..%2fapi%2fapp.py", "nothing.js"])
def test_no_other_file_is_served(api: ApiGateway, name: str) -> None:
    assert api("GET", f"/web/{page_routes.files().version}/{name}")[1]["code"] == "not_found"


def test_no_file_has_a_script_or_a_style_in_it_that_the_policy_keeps_from_running() -> None:
    page = (WEB / "index.html").read_text()
    assert page.count("<script") == page.count('src="web/{version}/app.js"') == 1
    for attribute in (" style=", " onclick=", "<style"):
        assert attribute not in page
    for file in WEB.glob("*.js"):
        assert "innerHTML" not in file.read_text()
        assert "dangerouslySetInnerHTML" not in file.read_text()


# A run, asked for again and again


def test_a_run_that_stands_as_before_is_not_sent_again(api: ApiGateway) -> None:
    run_id = api("POST", "/batches", json.dumps(BATCH))[1]["run_id"]
    assert api("GET", f"/runs/{run_id}")[0] == 200
    tag = {"if-none-match": headers_of(api)["ETag"]}
    assert api("GET", f"/runs/{run_id}", headers=tag) == (304, None)
    api.executions.end(run_id, status="ABORTED")
    assert api("GET", f"/runs/{run_id}", headers=tag)[0] == 200


# Previews


def test_a_file_is_read_as_every_way_in_reads_it(api: ApiGateway) -> None:
    file = {
        "name": "posts.csv",
        "content": base64.b64encode(
            f"Title;Model;Brand;Kicker\r\nZwölf Boxer;{ONE};harbour;News\r\n".encode("cp1252")
        ).decode(),
    }
    status, said = api("POST", "/files", json.dumps(file))
    assert status == 200
    assert {name: value for name, value in said.items() if value} == {
        "prompts": ["Zwölf Boxer"],
        "models": [ONE],
        "brand": "harbour",
        "kicker": "News",
    }


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("posts.csv", base64.b64encode(b"title\n#REF!\n").decode(), "row 2: 'title': '#REF!' is what a spreadsheet"),
        ("a.json", base64.b64encode(b'{"prompts": [}').decode(), "'a.json' is not JSON: Expecting value"),
        ("posts.csv", "no base64", "content must be the file's bytes in base64"),
        ("x" * 256, "", "name: String should have at most 255 characters"),
    ],
)
def test_a_file_that_cannot_be_meant_says_why(api: ApiGateway, name: str, content: str, words: str) -> None:
    status, answer = api("POST", "/files", json.dumps({"name": name, "content": content}))
    assert (status, answer["code"]) == (422, "invalid_request")
    assert words in answer["message"]


def test_a_file_may_be_larger_than_a_request_and_has_its_end(api: ApiGateway) -> None:
    lines = "".join(f"A title of many, number {number}\n" for number in range(4000)).encode()
    file = {"name": "list.txt", "content": base64.b64encode(lines).decode()}
    assert len(api("POST", "/files", json.dumps(file))[1]["prompts"]) == 4000
    file["content"] = base64.b64encode(lines * 12).decode()
    assert api("POST", "/files", json.dumps(file))[1]["code"] == "body_too_large"


def test_a_preview_is_byte_for_byte_what_a_run_makes(api: ApiGateway) -> None:
    run_id = made(api)
    place = {"run_id": run_id, "row": 1, "column": 1}
    status, shown = api("POST", "/preview", json.dumps({"title": BATCH["prompts"][1], "style": "neon", **place}))
    assert status == 200
    (key,) = (key for key in api.store.under(f"runs/{run_id}/1-") if TWO in key)
    assert base64.b64decode(shown["image"]) == api.store.objects[key].body


@pytest.mark.parametrize(
    ("asked", "status", "field"),
    [
        ({"title": "ab"}, 422, "title"),
        ({"title": "A title", "font": "none"}, 422, "font"),
        ({"title": "A title", "size": 3}, 422, "size"),
        ({}, 422, "title"),
        ({"title": "A title", "run_id": "none"}, 404, None),
    ],
)
def test_a_preview_that_cannot_be_drawn_is_refused(
    api: ApiGateway, asked: dict[str, Any], status: int, field: str | None
) -> None:
    found, answer = api("POST", "/preview", json.dumps(asked))
    assert (found, answer["problems"][0]["field"] if field else None) == (status, field)


def test_a_sample_is_drawn_on_where_there_is_no_picture_and_nothing_is_kept(api: ApiGateway) -> None:
    shown = api("POST", "/preview", json.dumps({"title": "A title", "template": "left-panel"}))[1]
    with Canvas.open(io.BytesIO(base64.b64decode(shown["image"]))) as drawn:
        assert (drawn.format, drawn.size) == ("JPEG", (1200, 630))
    assert not api.store.objects


# Redraws


def test_a_redraw_sets_other_titles_over_the_same_pictures_and_pays_nothing(api: ApiGateway) -> None:
    run_id = made(api)
    again = made(api, {**BATCH, "prompts": ["Another title", "A second one"], "font": "lora", "redraw": run_id})
    before = len(api.store.under("originals/"))

    def pay(*_: object) -> Answer:
        raise AssertionError("a model was asked")

    third = {"title": "A third wording", "model": TWO, "style": "neon", "row": 0, "column": 1}
    cell = parse_cell({**third, "redraw": run_id, "run_id": "r-3", "execution": "r-3"}, run_id="r-3")
    assert make_thumbnail(cell, api.store, pay).paid_calls == 0
    assert len(api.store.under(f"runs/{again}/0-another-title/")) == 2
    assert len(api.store.under("originals/")) == before == 4


def test_a_redraw_of_a_redraw_names_the_run_that_was_drawn_and_its_style(api: ApiGateway) -> None:
    run_id = made(api)
    again = made(api, {**BATCH, "prompts": ["Another title"], "style": "anime", "redraw": run_id})
    resolved = resolve_redraw(api.store, Batch(prompts=["A third"], models=[TWO], redraw=again))
    assert (resolved.redraw, resolved.style) == (run_id, "neon")
    shown = {"title": "Another title", "run_id": again, "row": 0, "column": 0}
    (key,) = (key for key in api.store.under(f"runs/{again}/0-") if ONE in key)
    drawn = base64.b64decode(api("POST", "/preview", json.dumps(shown))[1]["image"])
    assert drawn == api.store.objects[key].body


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"redraw": "none"}, "redraw"),
        ({"redraw": "../other"}, "redraw"),
        ({"prompts": ["One title", "Two titles", "Three titles"]}, "prompts"),
        ({"models": [list(MODELS)[2]]}, "models[0]"),
    ],
)
def test_a_redraw_of_what_is_not_there_is_refused_before_anything_is_paid(
    api: ApiGateway, changes: dict[str, Any], field: str
) -> None:
    request = {**BATCH, "redraw": made(api), **changes}
    status, answer = api("POST", "/batches", json.dumps(request))
    assert (status, answer["problems"][0]["field"]) == (422, field)
    with pytest.raises(InvalidBatch):
        open_run("generateBatch", "r-2", request, api.store, 50)


# Winners


def test_a_star_is_set_changed_described_and_taken_away(api: ApiGateway) -> None:
    run_id = made(api)
    assert api("GET", f"/runs/{run_id}/winners")[1]["winners"] == []
    (winner,) = put(api, run_id, 1, model=ONE)[1]["winners"]
    assert (winner["row"], winner["model"], winner["alt"]) == (1, ONE, "“Second <b>title”, in a neon style")
    assert put(api, run_id, 1, alt="A lamp.")[1]["winners"][0]["alt"] == "A lamp."
    (winner,) = put(api, run_id, 1, model=TWO)[1]["winners"]
    assert (winner["model"], winner["alt"]) == (TWO, "A lamp.")
    assert api("DELETE", f"/runs/{run_id}/winners/1")[1]["winners"] == []
    assert api("DELETE", f"/runs/{run_id}/winners/1")[0] == 200


@pytest.mark.parametrize(
    ("row", "chosen", "field"),
    [
        (0, {"model": "none"}, "model"),
        (7, {"model": ONE}, "model"),
        (0, {"alt": "Without a winner."}, "row"),
        (0, {"model": ONE, "alt": "x" * 501}, "alt"),
        (0, {"star": True}, "star"),
    ],
)
def test_what_is_no_image_of_the_run_is_not_chosen(
    api: ApiGateway, row: int, chosen: dict[str, Any], field: str
) -> None:
    run_id = made(api)
    status, answer = put(api, run_id, row, **chosen)
    assert (status, answer["problems"][0]["field"]) == (422, field)
    assert not api.store.under("winners/")


def test_two_who_choose_at_once_lose_nothing(api: ApiGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = made(api)
    over = api.store.put_over
    others = [lambda: put(api, run_id, 1, model=TWO)]

    def while_another_chooses(*given: Any) -> bool:
        if others:
            others.pop()()
        return over(*given)

    monkeypatch.setattr(api.store, "put_over", while_another_chooses)
    winners = put(api, run_id, 0, model=ONE)[1]["winners"]
    assert [(winner["row"], winner["model"]) for winner in winners] == [(0, ONE), (1, TWO)]


def test_who_never_gets_to_write_is_told_to_try_again(api: ApiGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = made(api)
    monkeypatch.setattr(api.store, "put_over", lambda *_: False)
    assert put(api, run_id, 0, model=ONE)[1]["code"] == "choice_contended"


def test_winners_go_home_with_copies_that_stay_their_texts_and_tags_and_the_bus_hears_of_it(
    api: ApiGateway, bus: MemoryBus
) -> None:
    run_id = made(api)
    assert api("POST", f"/runs/{run_id}/winners", "{}")[1]["code"] == "no_winners"
    put(api, run_id, 0, model=ONE)
    put(api, run_id, 1, model=TWO, alt='A "lamp" & more')
    taken = api("POST", f"/runs/{run_id}/winners", json.dumps({"base_url": "https://blog.example/i/"}))[1]
    assert taken["archive_url"] == f"memory://winners/{run_id}/winners.zip"
    files = ["0-first-title.jpg", "1-second-b-title.jpg"]
    for winner, file in zip(taken["winners"], files, strict=True):
        assert api.store.objects[f"winners/{run_id}/{file}"].body == api.store.objects[winner["key"]].body
    with zipfile.ZipFile(io.BytesIO(api.store.objects[f"winners/{run_id}/winners.zip"].body)) as packed:
        assert sorted(packed.namelist()) == [*files, "tags.html", "winners.json"]
        tags = packed.read("tags.html").decode()
        manifest = json.loads(packed.read("winners.json"))
    assert manifest == api.store.json(f"winners/{run_id}/winners.json")
    assert '<meta property="og:image" content="https://blog.example/i/1-second-b-title.jpg">' in tags
    assert '<meta name="twitter:image:alt" content="A &quot;lamp&quot; &amp; more">' in tags
    assert "<b>" not in tags
    assert bus.told == [("WinnersChosen", {**manifest, "bucket": "memory"})]


@pytest.mark.parametrize("base_url", ["javascript:alert(1)/", 'https://a"b/', "https://blog.example/i"])
def test_tags_point_to_an_address(api: ApiGateway, bus: MemoryBus, base_url: str) -> None:
    run_id = made(api)
    put(api, run_id, 0, model=ONE)
    status, answer = api("POST", f"/runs/{run_id}/winners", json.dumps({"base_url": base_url}))
    assert (status, answer["problems"][0]["field"]) == (422, "base_url")
    assert not bus.told


def test_a_winner_whose_image_was_deleted_is_none(api: ApiGateway) -> None:
    run_id = made(api)
    key = put(api, run_id, 0, model=ONE)[1]["winners"][0]["key"]
    assert api("DELETE", f"/images/{key}")[0] == 204
    assert api("GET", f"/runs/{run_id}/winners")[1]["winners"] == []


def test_a_model_wins_of_the_rows_in_which_it_stood_to_choose_from(api: ApiGateway) -> None:
    assert api("GET", "/win-rates") == (200, {"models": []})
    for rows in ((ONE, ONE), (TWO,)):
        run_id = made(api)
        for row, model in enumerate(rows):
            put(api, run_id, row, model=model)
    alone = made(api, {**BATCH, "models": [TWO]})
    put(api, alone, 0, model=TWO)
    assert api("GET", "/win-rates")[1]["models"] == [
        {"model": ONE, "wins": 2, "rows": 3},
        {"model": TWO, "wins": 1, "rows": 3},
    ]
