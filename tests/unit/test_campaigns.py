"""A campaign: its file, its budget, and what becomes of its rows."""

import io
import json
from typing import Any

import pytest

from tests.unit.memory_store import MemoryStore
from tests.unit.opened import open_run
from thumbnails.aws.s3 import Stored
from thumbnails.campaigns.collect import collect_campaign
from thumbnails.campaigns.open import open_campaign
from thumbnails.errors import AllImagesFailed, InvalidBatch, StorageUnavailable
from thumbnails.runs.budget import Budget
from thumbnails.runs.naming import redrive_name
from thumbnails.runs.open import stragglers_of
from thumbnails.tables.requests import NAMED_ROWS
from thumbnails.tables.rows import read_rows

GPT, DALLE = "gpt-image-1", "dall-e-3"
CAP = 50


def put(store: MemoryStore, rows: object, key: str = "") -> str:
    """A file in the bucket: text is CSV, anything else JSON."""
    text = rows if isinstance(rows, str) else json.dumps(rows)
    key = key or f"campaigns/posts.{'csv' if isinstance(rows, str) else 'json'}"
    store.put(key, text.encode(), "text/plain")
    return key


def begin(store: MemoryStore, rows: object, execution: str = "camp", **asked: Any) -> dict[str, Any]:
    request = {"file": put(store, rows), "max_images": 100, "models": [GPT, DALLE], **asked}
    return open_campaign(execution, request, store, CAP)


def refusal(store: MemoryStore, rows: object, **asked: Any) -> str:
    before = set(store.objects)
    with pytest.raises(InvalidBatch) as refused:
        begin(store, rows, **asked)
    assert set(store.objects) - before <= {"campaigns/posts.csv", "campaigns/posts.json"}
    return str(refused.value)


def requests(store: MemoryStore, key: str = "campaigns/camp/requests.json") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = store.json(key)
    return found


CSV = 'title,models,style,reuse\r\n"First, title",gpt-image-1;dall-e-3,neon,TRUE\r\n\r\nSecond title,,,\r\n'
ROWS = [
    {"title": "First, title", "models": [GPT, DALLE], "style": "neon", "reuse": True},
    {"title": "Second title", "style": None},
]


@pytest.mark.parametrize("rows", [CSV, "\ufeff" + CSV, ROWS], ids=["csv", "csv with a byte order mark", "json"])
def test_a_row_wins_over_the_campaigns_defaults(store: MemoryStore, rows: object) -> None:
    begin(store, rows, models=[GPT], style="anime", font="lora", context="About queues.")
    first, second = requests(store)
    assert (first["row"], second["row"]) == (0, 1)
    asked = first["request"]
    assert (asked["title"], asked["models"], asked["style"]) == ("First, title", [GPT, DALLE], "neon")
    assert (asked["reuse"], asked["font"], asked["context"]) == (True, "lora", "About queues.")
    assert (second["request"]["models"], second["request"]["style"]) == ([GPT], "anime")


def test_a_json_file_may_begin_with_a_byte_order_mark() -> None:
    file = io.BytesIO(b"\xef\xbb\xbf" + json.dumps(ROWS).encode())
    assert [row.place for row in read_rows("posts.JSON", file)] == ["row 1", "row 2"]


def test_the_map_is_told_where_its_rows_are_and_how_many_at_a_time(store: MemoryStore) -> None:
    assert begin(store, CSV, max_concurrency=7, tolerated_failure_percentage=10) == {
        "campaign_id": "camp",
        "execution": "camp",
        "bucket": "memory",
        "items_key": "campaigns/camp/requests.json",
        "results_prefix": "campaigns/camp/results/camp/",
        "rows": 2,
        "max_concurrency": 7,
        "tolerated_failure_percentage": 10.0,
        "economy": False,
        "failure": None,
    }


def test_half_price_is_for_models_that_a_batch_takes(store: MemoryStore) -> None:
    rows = [{"title": "A title", "models": [GPT]}, {"title": "A title", "models": [GPT, DALLE]}]
    assert "row 2: economy: no provider makes 'dall-e-3' in a batch; choose from: gpt-image-2" in refusal(
        store, rows, economy=True
    )
    assert "it goes with economy" in refusal(store, rows[:1], stragglers="live")
    assert begin(store, rows[:1], economy=True)["economy"] is True


@pytest.mark.parametrize(("stragglers", "share"), [("fail", 0.5), ("live", 1.0)])
def test_the_budget_counts_half_the_price_unless_stragglers_may_cost_the_whole(
    store: MemoryStore, stragglers: str, share: float
) -> None:
    rows = [{"title": f"Title number {number}", "models": [GPT]} for number in range(3)]
    reserved = []
    for name, asked in (("whole", {}), ("half", {"economy": True, "stragglers": stragglers})):
        store.put("campaigns/posts.json", json.dumps(rows).encode(), "application/json")
        budget = Budget(store, 100)
        request = {"file": "campaigns/posts.json", "max_images": 9, **asked}
        before = budget.today().reserved_usd
        open_campaign(name, request, store, CAP, budget)
        reserved.append(budget.today().reserved_usd - before)
    assert reserved[1] == pytest.approx(reserved[0] * share, abs=1e-6)


def test_only_a_row_of_a_campaign_at_half_price_waits_for_batches(store: MemoryStore) -> None:
    rows = [{"title": "A title", "models": [GPT]}]
    begin(store, rows, economy=True, stragglers="live")
    assert stragglers_of("camp-0", "camp-0", store) == "live"
    assert stragglers_of("camp-0", "camp-redrive-0123-0", store) == "live"
    # Whoever resumes one row alone wants it now.
    assert stragglers_of("camp-0", "camp-0-redrive-0123", store) == ""
    begin(store, rows)
    assert stragglers_of("camp-0", "camp-0", store) == ""


def test_a_row_is_what_a_run_of_one_title_takes(store: MemoryStore) -> None:
    begin(store, CSV)
    for item in requests(store):
        run = open_run("generateThumbnails", f"camp-{item['row']}", item["request"], store, CAP)
        assert run["run_id"] == f"camp-{item['row']}"


def test_a_title_may_be_there_twice(store: MemoryStore) -> None:
    begin(store, [{"title": "The same"}, {"title": "The same"}])
    assert [item["request"]["resume"] for item in requests(store)] == ["camp-0", "camp-1"]


@pytest.mark.parametrize(("limit", "passes"), [(3, False), (4, True), (5, True)])
def test_a_campaign_keeps_its_budget(store: MemoryStore, limit: int, passes: bool) -> None:
    rows = "title\nFirst title\nSecond title\n"
    if passes:
        assert begin(store, rows, max_images=limit)["rows"] == 2
    else:
        assert refusal(store, rows, max_images=limit) == ("campaigns/posts.csv asks for 4 images; max_images allows 3")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"max_images": None}, "a campaign needs max_images, the most images that it may make and pay for"),
        ({"max_images": 0}, "max_images must be greater than or equal to 1"),
        ({"max_images": True}, "max_images must be a whole number"),
        ({"max_concurrency": 0}, "max_concurrency must be greater than or equal to 1"),
        ({"tolerated_failure_percentage": 101}, "tolerated_failure_percentage must be less than or equal to 100"),
        ({"tolerated_failure_percentage": "5"}, "tolerated_failure_percentage must be a number"),
        ({"style": "ugly"}, "unknown style 'ugly'; choose from: "),
        ({"titles": []}, "unknown field 'titles'; a campaign has: file, max_images, "),
        ({"file": "inbox/posts.csv"}, "file is the key of a file under campaigns/"),
        ({"file": "campaigns/none.csv"}, "there is no s3://memory/campaigns/none.csv"),
        ({"file": "campaigns/posts.txt"}, "there is no s3://memory/campaigns/posts.txt"),
    ],
)
def test_a_request_that_breaks_the_contract_is_refused(store: MemoryStore, asked: dict[str, Any], message: str) -> None:
    assert refusal(store, "title\nA title\n", **asked).startswith(message)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", "the file needs a header, its first row, with the column 'title'"),
        ("models\ngpt-image-1\n", "the file needs a header, its first row, with the column 'title'"),
        ("title,title\na,b\n", "the column 'title' is in the header twice"),
        ("title,colour\na,b\n", "unknown column 'colour' in the header; remove it, or choose from: models, "),
        ("title\n", "campaigns/posts.csv has no rows"),
        ('title\n"open\n', "row 2 is not CSV: a quotation mark opens a cell"),
        ("title,font\nA title,,extra\n", "1 of 1 rows are refused: row 2: 'extra' is in column C, which has no name"),
        ("title,reuse\nA title,maybe\n", "1 of 1 rows are refused: row 2: 'reuse': must be true or false"),
        ("title,models\nA title,\nab,gpt-image-1\n", "1 of 2 rows are refused: row 3: 'title': a title has 3 to 200"),
        ([{"title": "A title", "resume": "x"}], "1 of 1 rows are refused: row 1: unknown field 'resume'"),
        ([["A title", [GPT]]], "1 of 1 rows are refused: row 1: a row is an object with title and models"),
        ([], "campaigns/posts.json has no rows"),
    ],
)
def test_a_file_that_breaks_the_contract_is_refused(store: MemoryStore, rows: object, message: str) -> None:
    assert refusal(store, rows).startswith(message)


def test_a_broken_file_says_after_which_row(store: MemoryStore) -> None:
    store.objects["campaigns/cut.json"] = Stored(b'[{"title": "A title"}, {"title": ', {})
    with pytest.raises(InvalidBatch, match=r"^the file is not JSON after row 1: "):
        open_campaign("camp", {"file": "campaigns/cut.json", "max_images": 9}, store, CAP)


def test_a_refusal_names_the_first_bad_rows_and_counts_them_all(store: MemoryStore) -> None:
    message = refusal(store, "title\n" + "ab\nA good title\n" * 8)
    assert message.startswith("8 of 16 rows are refused: row 2: 'title': ")
    assert message.count("a title has 3 to 200") == NAMED_ROWS
    assert message.endswith("; and 3 more")


@pytest.mark.parametrize(("rows", "passes"), [(3, True), (4, False)])
def test_a_campaign_has_a_limit_of_rows(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch, rows: int, passes: bool
) -> None:
    monkeypatch.setattr("thumbnails.campaigns.open.ROWS", 3)
    text = "title\n" + "A title\n" * rows
    if passes:
        assert begin(store, text)["rows"] == rows
    else:
        assert refusal(store, text) == "a campaign has at most 3 rows"


def test_a_file_that_is_too_large_is_refused_with_the_limit(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thumbnails.campaigns.open.FILE_MEBIBYTES", 1)
    message = refusal(store, "title\n" + "A title\n" * (1 << 18))
    assert message == "campaigns/posts.csv has 2 MiB; a campaign's file has at most 1 MiB"


def test_every_execution_of_a_row_has_a_name_that_step_functions_takes(store: MemoryStore) -> None:
    longest = "c" * 60
    begin(store, CSV, longest)
    execution = redrive_name(longest, "newest")
    open_campaign(execution, {"resume": longest}, store, CAP)
    assert len(f"{execution}-499999") <= 80
    with pytest.raises(InvalidBatch, match="at most 60 characters"):
        begin(store, CSV, longest + "c")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"resume": "nothing"}, "there is no campaign 'nothing'"),
        ({"resume": "../runs/x"}, "resume must be the id of a campaign"),
        ({"resume": 7}, "resume must be the id of a campaign"),
        ({"resume": "camp", "max_images": 9}, "a campaign is resumed as it was asked for"),
    ],
)
def test_what_cannot_be_resumed_says_why(store: MemoryStore, asked: dict[str, Any], message: str) -> None:
    begin(store, CSV)
    with pytest.raises(InvalidBatch) as refused:
        open_campaign("again", asked, store, CAP)
    assert str(refused.value).startswith(message)


def write_results(store: MemoryStore, opened: dict[str, Any], **of_rows: list[dict[str, Any]]) -> None:
    """What Step Functions writes: each row's own input, and its output or its error."""
    prefix, files = f"{opened['results_prefix']}a-map-run/", {}
    asked = {item["row"]: item for item in requests(store, opened["items_key"])}
    for status in ("SUCCEEDED", "FAILED", "PENDING"):
        rows = of_rows.get(status.lower(), [])
        key = f"{prefix}{status}_0.json"
        put(store, [{**row, "Input": json.dumps(asked[row["row"]])} for row in rows], key)
        files[status] = [{"Key": key, "Size": 1}] if rows else []
    put(store, {"ResultFiles": files}, prefix + "manifest.json")


def made(row: int, *failures: dict[str, Any], paid_calls: int = 2) -> dict[str, Any]:
    return {"row": row, "Output": json.dumps({"failures": list(failures), "paid_calls": paid_calls})}


def failed(row: int, error: str = "AllImagesFailed") -> dict[str, Any]:
    run = {"Error": error, "Cause": "it did not work", "Status": "FAILED"}
    return {"row": row, "Error": "States.TaskFailed", "Cause": json.dumps(run)}


REFUSED = {"row": 0, "column": 1, "prompt": "A title", "model": DALLE, "error": "PictureRefused", "message": "no"}
THREE = [{"title": "First title"}, {"title": "Second title"}, {"title": "Third title"}]


def lines(store: MemoryStore) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in store.objects["campaigns/camp/images.jsonl"].body.splitlines()]
    return sorted(found, key=lambda record: (record["row"], record["column"]))


def test_images_and_failures_are_told_apart(store: MemoryStore) -> None:
    opened = begin(store, THREE)
    write_results(store, opened, succeeded=[made(2), made(0, REFUSED, paid_calls=1)], failed=[failed(1, "TimedOut")])
    result = collect_campaign("camp", "camp", 3, None, store)
    assert result["images"] == {"total": 6, "succeeded": 3, "failed": 3, "pending": 0, "paid_calls": 3}
    assert result["rows"] == {"total": 3, "succeeded": 1, "partly": 1, "failed": 1, "pending": 0}
    assert [(record["row"], record.get("key"), record.get("error")) for record in lines(store)] == [
        (0, f"runs/camp-0/0-first-title/{GPT}.jpg", None),
        (0, None, "PictureRefused"),
        (1, None, "TimedOut"),
        (1, None, "TimedOut"),
        (2, f"runs/camp-2/0-third-title/{GPT}.jpg", None),
        (2, f"runs/camp-2/0-third-title/{DALLE}.jpg", None),
    ]
    manifest = store.json("campaigns/camp/manifest.json")
    assert (manifest["file"], manifest["max_images"]) == ("campaigns/posts.json", 100)
    assert {failure["message"] for failure in manifest["failures"]} == {"no", "it did not work"}


def test_a_row_without_any_image_has_the_reasons_of_its_own_run(store: MemoryStore) -> None:
    opened = begin(store, THREE[:2])
    own = [{**REFUSED, "column": 0, "model": GPT, "error": "UnusableAnswer"}, REFUSED]
    put(store, {"images": {"paid_calls": 1}, "failures": own}, "runs/camp-1/manifest.json")
    write_results(store, opened, succeeded=[made(0)], failed=[failed(1)])
    result = collect_campaign("camp", "camp", 2, None, store)
    assert result["images"]["paid_calls"] == 3
    assert [record["error"] for record in lines(store)[2:]] == ["UnusableAnswer", "PictureRefused"]


def test_above_the_tolerance_the_rows_that_were_not_begun_are_pending(store: MemoryStore) -> None:
    opened = begin(store, THREE)
    write_results(store, opened, succeeded=[made(0)], failed=[failed(1)], pending=[{"row": 2}])
    failure = {"Error": "States.ExceedToleratedFailureThreshold", "Cause": "too many"}
    result = collect_campaign("camp", "camp", 3, failure, store)
    assert (result["failure"], result["rows"]["pending"], result["images"]["pending"]) == (failure, 1, 2)
    assert store.json("campaigns/camp/manifest.json")["failure"] == failure


def test_a_map_that_began_no_row_leaves_a_manifest(store: MemoryStore) -> None:
    begin(store, THREE)
    failure = {"Error": "States.ItemReaderFailed", "Cause": "no"}
    assert collect_campaign("camp", "camp", 3, failure, store)["images"]["pending"] == 6


def test_results_that_are_not_there_are_looked_for_again(store: MemoryStore) -> None:
    begin(store, THREE)
    with pytest.raises(StorageUnavailable):
        collect_campaign("camp", "camp", 3, None, store)


def test_a_campaign_without_any_image_fails_and_has_its_manifest(store: MemoryStore) -> None:
    opened = begin(store, THREE[:2], models=[GPT])
    write_results(store, opened, failed=[failed(0), failed(1)])
    with pytest.raises(AllImagesFailed) as total:
        collect_campaign("camp", "camp", 2, None, store)
    assert str(total.value) == f"{GPT}: AllImagesFailed: it did not work (2×)"
    assert store.json("campaigns/camp/manifest.json")["images"]["failed"] == 2


def test_resuming_makes_the_rows_that_miss_an_image_and_keeps_what_is_known_of_the_others(store: MemoryStore) -> None:
    opened = begin(store, THREE)
    write_results(store, opened, succeeded=[made(0, REFUSED), made(2)], failed=[failed(1, "TimedOut")])
    collect_campaign("camp", "camp", 3, None, store)

    again = open_campaign("again", {"resume": "camp"}, store, CAP)
    assert (again["campaign_id"], again["execution"], again["rows"]) == ("camp", "again", 2)
    assert [item["row"] for item in requests(store, again["items_key"])] == [0, 1]
    write_results(store, again, succeeded=[made(0, paid_calls=1), made(1)])
    for _ in range(2):
        # A collection that is tried again comes to the same.
        result = collect_campaign("camp", "again", 2, None, store)
        assert result["images"] == {"total": 6, "succeeded": 6, "failed": 0, "pending": 0, "paid_calls": 3}
        assert len(lines(store)) == 6

    whole = open_campaign("once-more", {"resume": "camp"}, store, CAP)
    assert (whole["rows"], requests(store, whole["items_key"])) == (0, [])
    assert collect_campaign("camp", "once-more", 0, None, store)["images"]["paid_calls"] == 0


def test_a_campaign_that_was_stopped_is_resumed_with_all_of_its_rows(store: MemoryStore) -> None:
    begin(store, THREE)
    again = open_campaign("again", {"resume": "camp"}, store, CAP)
    assert (again["items_key"], again["rows"]) == ("campaigns/camp/requests.json", 3)


def test_the_file_may_change_once_the_campaign_has_begun(store: MemoryStore) -> None:
    opened = begin(store, THREE)
    put(store, [{"title": "Another title"}] * 50)
    assert len(requests(store, opened["items_key"])) == 3
