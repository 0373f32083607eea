"""A run's pictures on a person's disk: their names, what is fetched and what is left alone, and the sheet."""

import fcntl
import json
import os
import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.memory_executions import MemoryExecutions
from tests.unit.memory_store import MemoryStore
from tests.unit.opened import open_run
from thumbnails.aws.step_functions import RowCounts
from thumbnails.catalog import MODELS
from thumbnails.errors import StorageUnavailable
from thumbnails.images.digests import picture_digest
from thumbnails.images.prompt import provider_prompt
from thumbnails.keys import image_key, original_key
from thumbnails.runs.collect import collect_run
from thumbnails.runs.files import file_stem, folder_name
from thumbnails.runs.status import RunStatus, get_status
from thumbs.cli import sheet
from thumbs.cli.download import Download, download
from thumbs.command_error import CommandError

GPT, DALLE = "gpt-image-1", "dall-e-3"
TITLES = ["First title", "<script>alert(1)</script> & “Zweiter”"]
REQUEST: dict[str, Any] = {"prompts": TITLES, "models": [GPT, DALLE]}
FIRST = "01-first-title-gpt-image-1.jpg"
SECOND = "01-first-title-dall-e-3.jpg"
THIRD = "02-script-alert-1-script-zweiter-gpt-image-1.jpg"
#: Windows takes none of these in a name, Linux neither the slash nor NUL.
FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')


def body(row: int, column: int) -> bytes:
    return b"\xff\xd8" + f"picture {row} {column}".encode() * 100


class Bucket(MemoryStore):
    """The bucket, with what was fetched of it, and keys whose object breaks off in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.broken: set[str] = set()
        self.short: set[str] = set()

    def download(self, key: str, file: IO[bytes], limit: int | None = None) -> int | None:
        self.fetched.append(key)
        if key in self.broken | self.short:
            file.write(self.objects[key].body[:10])
            if key in self.broken:
                raise StorageUnavailable("S3 could not download: the connection broke off")
            return len(self.objects[key].body)
        return super().download(key, file, limit)


@pytest.fixture
def store() -> Bucket:
    return Bucket()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "pictures"


def status(executions: MemoryExecutions, store: Bucket, run_id: str = "run-1") -> RunStatus:
    found = get_status(run_id, executions, store, 50)
    assert found
    return found


def put_image(store: Bucket, row: int, column: int, run_id: str = "run-1") -> str:
    key = image_key(run_id, row, TITLES[row], REQUEST["models"][column])
    store.put(key, body(row, column), "image/jpeg")
    return key


@pytest.fixture
def run(executions: MemoryExecutions, store: Bucket) -> RunStatus:
    """A run of two titles by two models whose last cell has failed."""
    executions.start("generateBatch", "run-1", REQUEST)
    open_run("generateBatch", "run-1", REQUEST, store, 50)
    cells: list[dict[str, Any]] = [
        {"row": row, "column": column, "key": put_image(store, row, column), "image_url": "https://s3/?X-Amz-Signature"}
        for row, column in ((0, 0), (0, 1), (1, 0))
    ]
    cause = json.dumps({"errorMessage": "no <b>such</b> picture"})
    cells.append({"row": 1, "column": 1, "failure": {"Error": "PictureRefused", "Cause": cause}})
    executions.end("run-1", status="SUCCEEDED", output=collect_run("generateBatch", "run-1", "run-1", cells, store))
    return status(executions, store)


def save(run: RunStatus, store: Bucket, folder: Path, **options: Any) -> Download:
    store.fetched.clear()
    return download(run, store, folder, lambda _done, _total: None, **options)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("title", "stem"),
    [
        ("Why fan-out beats sequential", "01-why-fan-out-beats-sequential-m"),
        ("Don't panic: it’s 50% off!", "01-dont-panic-its-50-off-m"),
        ("../../etc/passwd", "01-etc-passwd-m"),
        ("CON", "01-con-m"),
        ("  ends with dots...  ", "01-ends-with-dots-m"),
        ("Crème brûlée", "01-crème-brûlée-m"),
        ("Cre\u0300me", "01-crème-m"),
        ("東京の夜景", "01-東京の夜景-m"),
        ("لماذا التوازي أسرع", "01-لماذا-التوازي-أسرع-m"),
        ("کتاب\u200cها", "01-کتاب-ها-m"),
        ("नमस्ते दुनिया", "01-नमस्ते-दुनिया-m"),
        ("สวัสดีชาวโลก", "01-สวัสดีชาวโลก-m"),
        ("\u202egnp.exe", "01-gnp-exe-m"),
        ("☕️ Coffee", "01-coffee-m"),
        ("🚀🚀🚀", "01-m"),
        ("ＦＵＬＬ　ｗｉｄｔｈ", "01-full-width-m"),
    ],
)
def test_a_file_is_called_by_row_title_and_model(title: str, stem: str) -> None:
    assert file_stem(0, 1, title, "m") == stem


def test_numbers_are_as_wide_as_the_last_so_that_names_sort_as_rows_do() -> None:
    assert [file_stem(row, 120, "t", "m")[:4] for row in (0, 9, 119)] == ["001-", "010-", "120-"]


def test_a_model_keeps_its_dots_and_leads_nowhere() -> None:
    assert file_stem(0, 1, "t", "gemini-3.1-flash/../x") == "01-t-gemini-3.1-flash-..-x"


def test_a_long_title_ends_with_a_word_and_never_without_its_marks() -> None:
    assert file_stem(0, 1, "word " * 40, "m") == f"01-{'-'.join(['word'] * 16)}-m"
    # A letter with two marks, of three bytes each: the limit falls between the marks.
    cut = file_stem(0, 1, "किं" * 100, "m").removeprefix("01-").removesuffix("-m")
    assert cut == "किं" * 8


@settings(max_examples=300, derandomize=True)  # type: ignore[untyped-decorator]
@given(st.integers(0, 999_999), st.text(max_size=250), st.text(max_size=100))  # type: ignore[untyped-decorator]
def test_every_file_system_takes_every_name(row: int, title: str, model: str) -> None:
    name = f"{file_stem(row, 1_000_000, title, model)} (2).jpg"
    assert not FORBIDDEN.search(name)
    assert name[0].isdigit()
    assert len(name.encode()) <= 143
    assert unicodedata.is_normalized("NFC", name)
    assert all(unicodedata.category(character)[0] != "C" for character in name)


@pytest.mark.parametrize(
    ("run_id", "folder"),
    [
        ("run-1", "run-1"),
        ("NUL", "run-NUL"),
        ("com1.txt", "run-com1.txt"),
        ("run. ", "run"),
        ("-rf", "run--rf"),
        (" ", "run"),
    ],
)
def test_a_folder_is_called_as_its_run_where_that_can_be(run_id: str, folder: str) -> None:
    assert folder_name(run_id) == folder


def test_what_there_is_of_a_run_is_in_the_folder(run: RunStatus, store: Bucket, folder: Path) -> None:
    told: list[tuple[int, int]] = []
    found = download(run, store, folder, lambda *how_far: told.append(how_far))
    assert names(folder) == [SECOND, FIRST, THIRD, "index.html", "manifest.json"]
    assert [(folder / name).read_bytes() for name in (FIRST, SECOND, THIRD)] == [body(0, 0), body(0, 1), body(1, 0)]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [one.fetched for one in found.saved] == [True] * 3
    mode = folder.stat().st_mode & 0o666
    assert {path.stat().st_mode & 0o666 for path in folder.iterdir()} == {mode}


def test_the_manifest_is_the_result_with_files_in_place_of_urls(run: RunStatus, store: Bucket, folder: Path) -> None:
    save(run, store, folder)
    text = (folder / "manifest.json").read_text()
    manifest = json.loads(text)
    assert manifest["results"] == [[FIRST, SECOND], [THIRD, None]]
    assert (manifest["run_id"], manifest["status"], manifest["images"]["failed"]) == ("run-1", "SUCCEEDED", 1)
    assert [file["file"] for file in manifest["files"]] == [FIRST, SECOND, THIRD, None]
    last = manifest["files"][3]
    assert (last["state"], last["error"], last["message"]) == ("failed", "PictureRefused", "no <b>such</b> picture")
    assert "Signature" not in text


def test_what_is_whole_is_not_fetched_again(run: RunStatus, store: Bucket, folder: Path) -> None:
    save(run, store, folder)
    before = {path.name: path.stat().st_ino for path in folder.glob("*.jpg")}
    again = save(run, store, folder)
    assert store.fetched == []
    assert [one.fetched for one in again.saved] == [False] * 3
    assert {path.name: path.stat().st_ino for path in folder.glob("*.jpg")} == before


@pytest.mark.parametrize("how", ["broken", "short"])
def test_what_breaks_off_is_never_under_its_name_and_goes_on(
    run: RunStatus, store: Bucket, folder: Path, how: str
) -> None:
    key = image_key("run-1", 0, TITLES[0], DALLE)
    getattr(store, how).add(key)
    with pytest.raises(StorageUnavailable):
        save(run, store, folder)
    assert set(names(folder)) <= {FIRST, THIRD}
    there = len(names(folder))
    getattr(store, how).clear()
    save(run, store, folder)
    assert key in store.fetched
    assert len(store.fetched) == 3 - there
    assert (folder / SECOND).read_bytes() == body(0, 1)


def test_what_a_killed_download_left_is_removed(run: RunStatus, store: Bucket, folder: Path) -> None:
    folder.mkdir()
    (folder / ".thumbs-0123.part").write_bytes(b"half a pic")
    (folder / "mine.part").write_bytes(b"mine")
    save(run, store, folder)
    assert (folder / "mine.part").exists()
    assert not (folder / ".thumbs-0123.part").exists()


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_another_file_of_that_name_stays(
    run: RunStatus, store: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:

        def refuse(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(Path, "hardlink_to", refuse)
    folder.mkdir()
    (folder / FIRST).write_bytes(b"mine")
    (folder / SECOND).mkdir()
    (folder / THIRD).symlink_to(folder / "nowhere")
    for fetched in (True, False):
        saved = save(run, store, folder).saved
        stems = [name.removesuffix(".jpg") for name in (FIRST, SECOND, THIRD)]
        assert [one.name for one in saved] == [f"{stem} (2).jpg" for stem in stems]
        assert [one.other for one in saved] == [FIRST, SECOND, THIRD]
        assert [one.fetched for one in saved] == [fetched] * 3
    assert (folder / FIRST).read_bytes() == b"mine"
    assert not (folder / "nowhere").exists()
    assert (folder / saved[0].name).read_bytes() == body(0, 0)


def test_an_etag_that_is_no_digest_costs_a_fetch_and_no_second_file(
    run: RunStatus, store: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(run, store, folder)
    monkeypatch.setattr("thumbs.cli.download._digest", lambda _: "not it")
    saved = save(run, store, folder).saved
    assert [(one.name, one.fetched) for one in saved] == [(FIRST, False), (SECOND, False), (THIRD, False)]
    assert len(names(folder)) == 5


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("manifest.json", '{"run_id": "run-2"}', "is not this run's: give another folder"),
        ("manifest.json", "my notes", "is not this run's"),
        ("index.html", "<h1>My page</h1>", "was changed, or is not by this command"),
    ],
)
def test_a_folder_that_holds_something_else_is_refused_before_anything_is_fetched(
    run: RunStatus, store: Bucket, folder: Path, name: str, text: str, words: str
) -> None:
    folder.mkdir()
    (folder / name).write_text(text)
    with pytest.raises(CommandError, match=re.escape(words)):
        save(run, store, folder)
    assert (store.fetched, names(folder), (folder / name).read_text()) == ([], [name], text)


def test_a_page_that_somebody_has_changed_is_theirs(run: RunStatus, store: Bucket, folder: Path) -> None:
    page = save(run, store, folder).page
    page.write_text(page.read_text().replace("<h1>", "<h1>My favourites: "))
    with pytest.raises(CommandError, match="was changed"):
        save(run, store, folder)


def test_two_downloads_do_not_meet_in_one_folder(run: RunStatus, store: Bucket, folder: Path) -> None:
    folder.mkdir()
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        with pytest.raises(CommandError, match=r"^another download is writing to "):
            save(run, store, folder)
    finally:
        os.close(held)
    assert names(folder) == []


def test_a_folder_that_is_a_file_is_one_line(run: RunStatus, store: Bucket, folder: Path) -> None:
    folder.write_text("mine")
    with pytest.raises(CommandError, match=r"cannot be written: File exists$"):
        save(run, store, folder)


def test_an_image_that_is_deleted_meanwhile_is_missing(
    run: RunStatus, store: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = store.listed("")
    monkeypatch.setattr(store, "listed", lambda prefix: [one for one in listed if one.key.startswith(prefix)])
    store.delete(image_key("run-1", 0, TITLES[0], GPT))
    found = save(run, store, folder)
    assert [one.name for one in found.saved] == [SECOND, THIRD]


def test_a_run_that_goes_on_is_saved_as_far_as_it_is(executions: MemoryExecutions, store: Bucket, folder: Path) -> None:
    executions.start("generateBatch", "run-1", REQUEST)
    with pytest.raises(CommandError, match=r"^run-1 has no image yet: `thumbs show run-1`"):
        save(status(executions, store), store, folder)
    assert not folder.exists()
    open_run("generateBatch", "run-1", REQUEST, store, 50)
    put_image(store, 0, 0)
    found = save(status(executions, store), store, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["status"], manifest["results"]) == ("RUNNING", [[FIRST, None], [None, None]])
    assert "the run goes on" in found.page.read_text()
    put_image(store, 1, 0)
    assert [one.fetched for one in save(status(executions, store), store, folder).saved] == [False, True]


def test_originals_are_the_cells_own_or_those_that_it_reused(
    executions: MemoryExecutions, store: Bucket, folder: Path
) -> None:
    executions.start("generateBatch", "run-1", {**REQUEST, "reuse": True})
    open_run("generateBatch", "run-1", {**REQUEST, "reuse": True}, store, 50)
    for row, column in ((0, 0), (0, 1), (1, 0)):
        put_image(store, row, column)

    def put_original(row: int, column: int, run_id: str, picture: bytes) -> None:
        model = MODELS[REQUEST["models"][column]]
        digest = picture_digest(model.order(), provider_prompt(TITLES[row], "photorealistic"))
        store.put(original_key(digest, run_id, row, column), picture, "image/png")

    put_original(0, 0, "a-run-before", b"\xff\xd8 not its own")
    put_original(0, 0, "run-1", b"\x89PNG its own")
    put_original(0, 1, "a-run-before", b"RIFF....WEBP")
    for fetched in (True, False):
        # The second time they are kept without being asked for.
        found = save(status(executions, store), store, folder, originals=fetched)
        originals = [entry.original for entry in found.entries]
        assert [(one.name, one.fetched) if one else None for one in originals] == [
            ("originals/01-first-title-gpt-image-1.png", fetched),
            ("originals/01-first-title-dall-e-3.webp", fetched),
            None,
            None,
        ]
    assert (folder / "originals/01-first-title-gpt-image-1.png").read_bytes() == b"\x89PNG its own"
    assert 'href="originals/01-first-title-gpt-image-1.png"' in found.page.read_text()


def test_a_campaigns_rows_are_one_folder(executions: MemoryExecutions, store: Bucket, folder: Path) -> None:
    executions.start("generateCampaign", "spring", {"file": "campaigns/posts.csv", "max_images": 4})
    executions.rows["spring"] = RowCounts(running=1, done=1)
    store.put_json("campaigns/spring/campaign.json", {"rows": 2, "images": 4})
    rows = [
        {"row": row, "request": {"title": title, "models": [GPT, DALLE], "resume": f"spring-{row}"}}
        for row, title in enumerate(TITLES)
    ]
    store.put_json("campaigns/spring/requests.json", rows)
    for run_id, title, model in (
        ("spring-0", TITLES[0], GPT),
        ("spring-0", TITLES[0], DALLE),
        ("spring-1", TITLES[1], GPT),
    ):
        store.put(image_key(run_id, 0, title, model), body(0, 0), "image/jpeg")
    # Another campaign's.
    store.put(image_key("spring-0-1", 0, TITLES[0], GPT), body(1, 1), "image/jpeg")
    failure = {"row": 1, "column": 1, "title": TITLES[1], "model": DALLE, "error": "PictureRefused", "message": "no"}
    store.put("campaigns/spring/images.jsonl", json.dumps(failure).encode(), "application/jsonl")
    found = save(status(executions, store, "spring"), store, folder)
    assert names(folder) == [SECOND, FIRST, THIRD, "index.html", "manifest.json"]
    assert [entry.picture.state for entry in found.entries] == ["succeeded"] * 3 + ["failed"]


class Page(HTMLParser):
    """What a browser would find on a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, attribute: str) -> list[str]:
        return [found[attribute] or "" for name, found in self.tags if name == tag and attribute in found]


def test_the_page_shows_every_cell_and_runs_nothing(run: RunStatus, store: Bucket, folder: Path) -> None:
    page = Page(save(run, store, folder).page.read_text())
    assert [unquote(source) for source in page.all("img", "src")] == [FIRST, SECOND, THIRD]
    assert page.all("img", "alt")[2] == f"{TITLES[1]}: thumbnail by {GPT}"
    assert page.all("a", "href") == page.all("img", "src")
    for words in (*TITLES, GPT, DALLE, "3 of 4 images", "PictureRefused", "no <b>such</b> picture", "run-1"):
        assert words in page.text
    assert {tag for tag, _ in page.tags} & {"script", "b", "iframe", "link", "form"} == {"b"}
    assert page.all("meta", "http-equiv") == ["Content-Security-Policy"]


def test_the_page_asks_nobody(run: RunStatus, store: Bucket, folder: Path) -> None:
    text = save(run, store, folder).page.read_text()
    page = Page(text)
    for address in (*page.all("img", "src"), *page.all("a", "href")):
        assert urlsplit(address)[:2] == ("", "")
    assert not re.search(r"https?:|url\(|@import|//", text.split("-->")[0].replace("<!DOCTYPE", ""))


def test_the_page_is_known_by_its_seal(run: RunStatus, store: Bucket, folder: Path) -> None:
    text = save(run, store, folder).page.read_text()
    assert sheet.is_own(text)
    assert not sheet.is_own(text + " ")
    assert not sheet.is_own(text.replace("First", "Worst"))
    assert not sheet.is_own("")


def test_very_many_pictures_are_loaded_as_they_are_scrolled_to(
    run: RunStatus, store: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Page(save(run, store, folder).page.read_text()).all("img", "loading") == ["eager"] * 3
    monkeypatch.setattr(sheet, "EAGER", 3)
    assert Page(save(run, store, folder).page.read_text()).all("img", "loading") == ["lazy"] * 3
