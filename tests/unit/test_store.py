"""Keys, digests, and the bucket: the real store against botocore's own requests, and the tests' store beside it."""

import io
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from entry.clients import store as store_of_process
from entry.settings import settings
from tests.unit.memory_store import MemoryStore
from thumbnails.aws.s3 import REQUEST_BYTES, Store, Stored
from thumbnails.errors import InvalidBatch, StorageUnavailable
from thumbnails.keys import S3Object, digest, image_key, original_key, slug

BUCKET = "thumbnails"


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Why fan-out beats sequential", "why-fan-out-beats-sequential"),
        ("  100% Café & Über!  ", "100-cafe-uber"),
        ("../../etc/passwd", "etc-passwd"),
        ("x" * 200, "x" * 60),
        ("a" * 59 + " tail", "a" * 59),
        ("日本語のタイトル", "348774f35fa9"),
        ("!!!", "e84c538e7fe2"),
    ],
)
def test_a_slug_is_words_of_ascii_or_a_digest(title: str, expected: str) -> None:
    assert slug(title) == expected


def test_keys_are_those_of_the_contract() -> None:
    assert image_key("run-1", 3, "A title", "dall-e-3") == "runs/run-1/3-a-title/dall-e-3.jpg"
    assert original_key("abc", "run-1", 3, 1) == "originals/abc/run-1/3-1"


def test_a_repeated_title_has_two_keys() -> None:
    assert image_key("run-1", 0, "A title", "dall-e-3") != image_key("run-1", 1, "A title", "dall-e-3")


def test_a_digest_is_the_same_in_every_process_and_for_every_order_of_parameters() -> None:
    known = "acba8fe64e485a5afa2aa95cded3f9499142accad857180f382cf7f107d1eb53"
    assert digest("m", {"a": 1, "b": 2}, "prompt") == known
    assert digest("m", MappingProxyType({"b": 2, "a": 1}), "prompt") == known


@pytest.mark.parametrize(
    "other", [("n", {"a": 1}, "p"), ("m", {"a": 2}, "p"), ("m", {"a": 1}, "q"), ("m", {"a": 1}, "p", [1, 2])]
)
def test_a_digest_changes_with_every_part(other: tuple[object, ...]) -> None:
    assert digest("m", {"a": 1}, "p") != digest(*other)


@pytest.fixture
def real() -> Iterator[Store]:
    with mock_aws():
        client = boto3.client("s3")
        for bucket in (BUCKET, "blog"):
            client.create_bucket(Bucket=bucket)
        client.put_object(Bucket="blog", Key="inbox/batch.json", Body=b'{"prompts": []}')
        yield Store.connect(BUCKET, "", 60)


@pytest.fixture
def in_memory() -> MemoryStore:
    store = MemoryStore()
    store.elsewhere["blog", "inbox/batch.json"] = Stored(b'{"prompts": []}', {})
    return store


@pytest.fixture(params=["real", "in_memory"])
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue(request.param)
    return found


def test_an_object_comes_back_with_its_notes(store: Store) -> None:
    metadata = {"paid-by": "run 1", "warnings": "Zeile eins\n第二行 100%"}
    store.put("a/b", b"picture", "image/jpeg", metadata)
    assert store.get("a/b") == Stored(b"picture", metadata)
    assert store.get("a/b", limit=3) == Stored(b"pic", metadata)
    assert store.metadata("a/b") == metadata


def test_what_is_not_there_is_none(store: Store) -> None:
    assert store.get("a/b") is None
    assert store.get("a/b", "blog") is None
    assert store.metadata("a/b") is None
    assert store.first_key("a/") is None


def test_a_copy_leaves_the_tags_behind_so_that_no_permission_for_them_is_needed(real: Store) -> None:
    client = boto3.client("s3")
    client.put_object_tagging(
        Bucket="blog", Key="inbox/batch.json", Tagging={"TagSet": [{"Key": "team", "Value": "blog"}]}
    )
    real.copy(S3Object("blog", "inbox/batch.json", None), "rejected/batch.json")
    assert real.get("rejected/batch.json") == Stored(b'{"prompts": []}', {})
    assert client.get_object_tagging(Bucket=BUCKET, Key="rejected/batch.json")["TagSet"] == []


def test_keys_are_listed_after_one_and_no_more_than_asked_for(store: Store) -> None:
    for key in ("a/1", "a/2", "a/3", "b/1"):
        store.put(key, b"", "text/plain")
    assert store.keys_after("a/", "a/", 10) == ["a/1", "a/2", "a/3"]
    assert store.keys_after("a/", "a/1", 1) == ["a/2"]
    assert store.keys_after("a/", "a/3", 10) == []


def test_folders_are_named_once_in_the_order_of_their_keys(store: Store) -> None:
    for key in ("a/b/1", "a/b/2", "a/b-c/1", "a/b0/1", "a/file", "a/c/1", "b/d/1"):
        store.put(key, b"", "text/plain")
    assert [*store.folders("a/")] == ["b-c", "b", "b0", "c"]
    assert [*store.folders("a/", "b")] == ["b0", "c"]
    assert [*store.folders("a/", "c")] == [*store.folders("c/")] == []


def test_more_folders_than_one_answer_holds_are_all_named(real: Store) -> None:
    for number in range(1001):
        real.put(f"a/{number:04d}/1", b"", "text/plain")
    assert [*real.folders("a/", "0001")] == [f"{number:04d}" for number in range(2, 1001)]
    assert len([*real.folders("a/")]) == 1001


def test_an_object_is_looked_at_without_its_body(store: Store) -> None:
    store.put("a/b", b"picture", "image/jpeg", {"execution": "run 1"})
    found = store.look_at("a/b")
    assert found is not None
    assert (found.metadata, found.modified.tzinfo is not None) == ({"execution": "run 1"}, True)
    assert store.look_at("a/c") is None


def test_what_is_stored_where_nothing_is_has_its_notes(store: Store) -> None:
    assert store.put_new("a/b", b"first", "text/plain", {"begun": "ü"})
    assert not store.put_new("a/b", b"second", "text/plain", {"begun": "x"})
    assert store.get("a/b") == Stored(b"first", {"begun": "ü"})


def test_a_file_goes_to_the_bucket_and_comes_back(store: Store) -> None:
    store.upload("a.csv", io.BytesIO(b"title\nA title\n"), "text/csv")
    whole, part = io.BytesIO(), io.BytesIO()
    assert store.download("a.csv", whole) == store.download("a.csv", part, limit=5) == 14
    assert (whole.getvalue(), part.getvalue()) == (b"title\nA title\n", b"title")
    assert store.download("b.csv", whole) is None


def test_a_key_under_a_prefix_is_found(store: Store) -> None:
    store.put("ab/c", b"", "text/plain")
    assert store.first_key("a/") is None
    store.put("a/d", b"", "text/plain")
    assert store.first_key("a/") == "a/d"


def test_json_comes_back_as_it_was(store: Store) -> None:
    value = {"titles": ["Über uns", "日本語"], "images": {"total": 2}}
    store.put_json("a.json", value)
    assert store.read_request("a.json") == value


def test_a_request_is_read_from_another_bucket(store: Store) -> None:
    assert store.request_file("inbox/batch.json", "blog") == b'{"prompts": []}'


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (None, "there is no s3://"),
        (b"{", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b" " * (REQUEST_BYTES + 1), f"is larger than {REQUEST_BYTES} bytes"),
    ],
)
def test_a_file_that_is_no_request_is_refused(store: Store, body: bytes | None, complaint: str) -> None:
    if body is not None:
        store.put("a.json", body, "application/json")
    with pytest.raises(InvalidBatch, match=complaint):
        store.read_request("a.json")


def test_a_version_that_is_not_there_is_no_file(real: Store) -> None:
    with pytest.raises(InvalidBatch, match=r"^there is no s3://blog/inbox/batch\.json$"):
        real.request_file("inbox/batch.json", "blog", "no-such-version")


def test_a_key_is_named_in_one_short_line(store: Store) -> None:
    with pytest.raises(InvalidBatch) as refused:
        store.read_request("inbox/line\nbreak" + "x" * 900)
    assert len(str(refused.value)) < 250
    assert str(refused.value).isprintable()


def test_a_put_says_what_the_object_is(real: Store) -> None:
    real.put("a.jpg", b"picture", "image/jpeg")
    assert boto3.client("s3").head_object(Bucket=BUCKET, Key="a.jpg")["ContentType"] == "image/jpeg"


@pytest.mark.parametrize(
    ("endpoint", "start"),
    [
        ("", "https://thumbnails.s3.amazonaws.com/runs/r%201/0-a/m.jpg?"),
        ("http://localhost:4566", "http://localhost:4566/thumbnails/runs/r%201/0-a/m.jpg?"),
    ],
)
def test_a_url_is_signed_for_the_host_that_opens_it(endpoint: str, start: str) -> None:
    url = Store.connect(BUCKET, endpoint, 77).url("runs/r 1/0-a/m.jpg")
    assert url.startswith(start)
    assert "X-Amz-Expires=77&" in url
    assert "X-Amz-SignedHeaders=host&" in url


class _Refusing:
    """An S3 client whose every call ends in one exception."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, _name: str) -> Any:
        def call(**_parameters: object) -> None:
            raise self._error

        return call


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "SlowDown"}}, "PutObject"),
        ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject"),
        EndpointConnectionError(endpoint_url="http://s3"),
    ],
)
def test_what_s3_could_not_do_is_worth_another_try(error: Exception) -> None:
    client: Any = _Refusing(error)
    store = Store(client, client, BUCKET, 60)
    for call in (
        lambda: store.put("k", b"", "text/plain"),
        lambda: store.put_json("k", 1),
        lambda: store.get("k"),
        lambda: store.metadata("k"),
        lambda: store.first_key("k"),
        lambda: store.read_request("k"),
    ):
        with pytest.raises(StorageUnavailable, match="S3 could not"):
            call()


def test_the_application_has_one_store_per_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCKET", BUCKET)
    monkeypatch.setenv("URL_SECONDS", "90")
    monkeypatch.setenv("PUBLIC_ENDPOINT_URL", "http://localhost:1")
    settings.cache_clear()
    store_of_process.cache_clear()
    try:
        store = store_of_process()
        assert store is store_of_process()
        assert store.url("k").startswith(f"http://localhost:1/{BUCKET}/k?")
        assert "X-Amz-Expires=90&" in store.url("k")
    finally:
        settings.cache_clear()
        store_of_process.cache_clear()


def test_a_warm_up_sends_nothing_and_leaves_the_client_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    store = Store.connect(BUCKET, "", 60)
    store.warm_up()
    # Unit tests open no socket, so that what is sent fails.
    with pytest.raises(StorageUnavailable, match="tried to use socket"):
        store.metadata("warm-up")
