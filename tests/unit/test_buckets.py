"""S3's buckets on disk: what is written, what a killed process leaves, and what the next one finds.

Each process is a fork of this one that ends by SIGKILL: nothing is flushed or closed at its end but what S3 had
answered for. No socket is opened: S3's operations are called as its gateway does.
"""

import errno
import io
import json
import os
import signal
import threading
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.embedded_s3 import Call, embedded_s3


def in_a_process_that_is_killed(folder: Path, work: Callable[[Call], Any]) -> Any:
    """What ``work`` gives, done with the S3 of a process that keeps its buckets under ``folder``."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            told = {"gives": work(embedded_s3(folder))}
        except BaseException:
            told = {"fails": traceback.format_exc()}
        os.write(writing, json.dumps(told, default=str).encode())
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = json.loads(pipe.read())
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert "fails" not in told, told["fails"]
    return told["gives"]


@pytest.fixture(scope="module", autouse=True)
def localstack() -> None:
    """Imported once, for all forks."""
    with warnings.catch_warnings(action="ignore"):
        import thumbs.localstack.buckets  # noqa: F401


def bucket(call: Call) -> None:
    call("CreateBucket", Bucket="pictures")
    call("PutBucketVersioning", Bucket="pictures", VersioningConfiguration={"Status": "Enabled"})


def put(call: Call, key: str, body: str, **more: Any) -> Any:
    return call("PutObject", Bucket="pictures", Key=key, Body=io.BytesIO(body.encode()), **more)


def test_an_object_comes_back_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    def before(call: Call) -> Any:
        bucket(call)
        known = {"Metadata": {"Digest": "abc"}, "ContentType": "image/jpeg", "CacheControl": "max-age=3"}
        put(call, "runs/a/0.jpg", "a picture", Tagging="kind=original&cost=4", ChecksumAlgorithm="SHA256", **known)
        return call("GetObject", Bucket="pictures", Key="runs/a/0.jpg", ChecksumMode="ENABLED")

    def after(call: Call) -> Any:
        tags = call("GetObjectTagging", Bucket="pictures", Key="runs/a/0.jpg")["TagSet"]
        return call("GetObject", Bucket="pictures", Key="runs/a/0.jpg", ChecksumMode="ENABLED"), tags

    first = in_a_process_that_is_killed(tmp_path, before)
    second, tags = in_a_process_that_is_killed(tmp_path, after)
    assert second == first
    assert (first["Body"], first["ContentType"], first["CacheControl"]) == ("a picture", "image/jpeg", "max-age=3")
    assert first["Metadata"] == {"digest": "abc"}
    assert {"ETag", "VersionId"} < set(first)
    assert [name for name in first if name.startswith("Checksum")]
    assert tags == [{"Key": "kind", "Value": "original"}, {"Key": "cost", "Value": "4"}]


def test_versions_come_back_in_their_order_with_delete_markers_and_without_what_was_deleted(tmp_path: Path) -> None:
    def before(call: Call) -> Any:
        bucket(call)
        ids = [put(call, "one", f"version {number}")["VersionId"] for number in range(4)]
        call("DeleteObject", Bucket="pictures", Key="one", VersionId=ids[1])
        put(call, "gone", "x")
        call("DeleteObjects", Bucket="pictures", Delete={"Objects": [{"Key": "gone"}]})
        copied = call("CopyObject", Bucket="pictures", Key="two", CopySource="pictures/one")
        assert copied["CopySourceVersionId"] == ids[3]
        return call("ListObjectVersions", Bucket="pictures")

    def after(call: Call) -> Any:
        put(call, "one", "the newest")
        listed = call("ListObjectVersions", Bucket="pictures")
        bodies = [
            call("GetObject", Bucket="pictures", Key=found["Key"], VersionId=found["VersionId"])["Body"]
            for found in listed["Versions"]
        ]
        return listed, bodies, [found["Key"] for found in call("ListObjectsV2", Bucket="pictures")["Contents"]]

    first = in_a_process_that_is_killed(tmp_path, before)
    second, bodies, keys = in_a_process_that_is_killed(tmp_path, after)
    assert bodies == ["x", "the newest", "version 3", "version 2", "version 0", "version 3"]
    assert [found["VersionId"] for found in second["Versions"] if found["Key"] != "one"] == [
        found["VersionId"] for found in first["Versions"] if found["Key"] != "one"
    ]
    assert second["DeleteMarkers"] == first["DeleteMarkers"]
    assert keys == ["one", "two"]


def test_a_bucket_without_versions_has_what_was_put_last(tmp_path: Path) -> None:
    def before(call: Call) -> Any:
        call("CreateBucket", Bucket="pictures")
        put(call, "one", "the first, which is longer")
        reader = call("GetObject", Bucket="pictures", Key="one")
        put(call, "one", "the second", Metadata={"n": "2"})
        put(call, "gone", "x")
        call("DeleteObject", Bucket="pictures", Key="gone")
        call("CopyObject", Bucket="pictures", Key="one", CopySource="pictures/one", MetadataDirective="REPLACE")
        return reader["Body"]

    def after(call: Call) -> Any:
        found = call("GetObject", Bucket="pictures", Key="one")
        return found["Body"], found.get("Metadata"), len(call("ListObjectsV2", Bucket="pictures")["Contents"])

    assert in_a_process_that_is_killed(tmp_path, before) == "the first, which is longer"
    assert in_a_process_that_is_killed(tmp_path, after) == ["the second", None, 1]


def test_what_is_known_of_a_bucket_comes_back_and_making_it_again_changes_nothing(tmp_path: Path) -> None:
    rules = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["http://a.example"]}]}

    def before(call: Call) -> Any:
        bucket(call)
        call("PutBucketCors", Bucket="pictures", CORSConfiguration=rules)
        call("PutBucketTagging", Bucket="pictures", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
        put(call, "one", "x")
        call("CreateBucket", Bucket="emptied")
        call("DeleteBucket", Bucket="emptied")

    def after(call: Call) -> Any:
        bucket(call)
        versioning = call("GetBucketVersioning", Bucket="pictures")["Status"]
        tags = call("GetBucketTagging", Bucket="pictures")["TagSet"]
        cors = call("GetBucketCors", Bucket="pictures")
        names = [found["Name"] for found in call("ListBuckets")["Buckets"]]
        return cors, versioning, tags, names, call("GetObject", Bucket="pictures", Key="one")["Body"]

    in_a_process_that_is_killed(tmp_path, before)
    found = in_a_process_that_is_killed(tmp_path, after)
    assert found == [rules, "Enabled", [{"Key": "a", "Value": "b"}], ["pictures"], "x"]


def test_an_upload_in_parts_is_whole_or_not_there(tmp_path: Path) -> None:
    part = "p" * (5 << 20)

    def before(call: Call) -> Any:
        bucket(call)
        for key in ("whole", "begun"):
            upload = {"Bucket": "pictures", "Key": key}
            upload["UploadId"] = call("CreateMultipartUpload", Bucket="pictures", Key=key)["UploadId"]
            parts = [
                {
                    "PartNumber": n,
                    "ETag": call("UploadPart", PartNumber=n, Body=io.BytesIO(body.encode()), **upload)["ETag"],
                }
                for n, body in ((1, part), (2, "end"))
            ]
            if key == "whole":
                call("CompleteMultipartUpload", MultipartUpload={"Parts": parts}, **upload)

    def after(call: Call) -> Any:
        listed = [found["Key"] for found in call("ListObjectsV2", Bucket="pictures")["Contents"]]
        return listed, call("GetObject", Bucket="pictures", Key="whole")["Body"] == part + "end"

    in_a_process_that_is_killed(tmp_path, before)
    assert in_a_process_that_is_killed(tmp_path, after) == [["whole"], True]
    assert [path.name for path in (tmp_path / "pictures").iterdir() if path.is_dir()] == []


def test_what_a_crash_left_half_written_is_not_there_and_spoils_nothing(tmp_path: Path) -> None:
    def before(call: Call) -> Any:
        bucket(call)
        for key in ("one", "two"):
            put(call, key, "x" * 1000)

    def after(call: Call) -> Any:
        return [found["Key"] for found in call("ListObjectsV2", Bucket="pictures")["Contents"]]

    in_a_process_that_is_killed(tmp_path, before)
    folder = tmp_path / "pictures"
    spoilt = sorted(path for path in folder.iterdir() if path.suffix != ".json")[0]
    os.truncate(spoilt, 500)
    (folder / "tmp12345").write_bytes(b"x" * 300)
    (tmp_path / "not-made-yet").mkdir()
    assert len(in_a_process_that_is_killed(tmp_path, after)) == 1
    # What cannot be read is left for a person; what was being written is gone.
    assert spoilt.exists()
    assert not (folder / "tmp12345").exists()
    assert not (tmp_path / "not-made-yet").exists()


def test_of_many_who_store_a_key_on_condition_one_does(tmp_path: Path) -> None:
    def work(call: Call) -> Any:
        bucket(call)
        outcomes: list[str] = []

        def claim(number: int) -> None:
            try:
                put(call, "claim", str(number), IfNoneMatch="*")
                outcomes.append("stored")
            except Exception as error:
                outcomes.append(type(error).__name__)

        threads = [threading.Thread(target=claim, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return outcomes

    outcomes = in_a_process_that_is_killed(tmp_path, work)
    assert sorted(outcomes) == [*["PreconditionFailed"] * 7, "stored"]


@pytest.mark.parametrize("at", ["write", "fsync"])
def test_a_full_disk_is_named_and_what_was_there_stays(tmp_path: Path, at: str) -> None:
    def work(call: Call) -> Any:
        bucket(call)
        put(call, "one", "before")

        def full(*_: Any, **__: Any) -> Any:
            raise OSError(errno.ENOSPC, "No space left on device")

        if at == "fsync":
            os.fsync = full
        else:
            Path.open = full  # type: ignore[method-assign]
        try:
            put(call, "one", "after")
        except Exception as error:
            said = [type(error).__name__, getattr(error, "code", ""), getattr(error, "status_code", 0), str(error)]
        return said

    def after(call: Call) -> Any:
        return call("GetObject", Bucket="pictures", Key="one")["Body"]

    said = in_a_process_that_is_killed(tmp_path, work)
    folder = tmp_path / "pictures"
    why = f"the disk that holds {folder} is full (No space left on device)"
    assert said == ["CommonServiceException", "InsufficientStorage", 507, why]
    assert not [path for path in folder.iterdir() if path.name.startswith("tmp")]
    assert in_a_process_that_is_killed(tmp_path, after) == "before"


def test_an_answer_waits_until_the_bytes_and_then_the_name_are_on_the_disk(tmp_path: Path) -> None:
    """As a power cut would have it: what is not flushed is not there."""

    def work(call: Call) -> Any:
        bucket(call)
        events: list[str] = []
        fsync, rename = os.fsync, Path.rename

        def flush(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            events.append("flush the folder" if path.is_dir() else "flush the file")
            fsync(descriptor)

        def move(self: Path, target: Path) -> Path:
            events.append("rename")
            return rename(self, target)

        os.fsync, Path.rename = flush, move  # type: ignore[method-assign,assignment]
        put(call, "one", "x")
        events.append("answer")
        return events

    assert in_a_process_that_is_killed(tmp_path, work) == ["flush the file", "rename", "flush the folder", "answer"]
