"""S3's buckets on disk, where no crash of a process or of the machine takes them, and read back at the start.

Each bucket has a folder of its name:

    bucket.json    what S3 knows of the bucket: its versioning, its rules, its tags
    <digest>       a version of an object: its bytes, then what S3 knows of it as JSON (content type, metadata, tags,
                   etag, checksum, its place among the versions), then that JSON's length in 8 bytes
    tmp…           a file that is being written

A file is written under a name of its own, flushed to the disk and renamed, and its folder is flushed, before S3
answers: a version is there whole or not at all. An upload in parts that was not completed ends with the process.
"""

import errno
import itertools
import json
import logging
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from hashlib import sha256
from pathlib import Path
from typing import IO, Any
from weakref import WeakValueDictionary

from localstack import config
from localstack.aws.api import CommonServiceException
from localstack.constants import AWS_REGION_US_EAST_1
from localstack.services.s3 import models
from localstack.services.s3 import provider as s3
from localstack.services.s3.storage import ephemeral
from localstack.services.s3.utils import get_unique_key_id

LOG = logging.getLogger(__name__)

LENGTH_BYTES = 8
#: In a record, the key of a moment.
MOMENT = "$moment"
FULL = (errno.ENOSPC, errno.EDQUOT)
#: Of the provider's methods, those that change what is known of a bucket or of an object that is there.
OF_A_BUCKET = re.compile(r"(put|delete)_(bucket_\w+|public_access_block|object_lock_configuration)")
OF_AN_OBJECT = re.compile(r"(put|delete)_object_(tagging|acl|legal_hold|retention)|restore_object")
#: Those that may store an object with tags.
WITH_TAGS = ("put_object", "copy_object", "complete_multipart_upload")


@contextmanager
def _full_disk_named(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        message = f"the disk that holds {folder} is full ({error.strerror})"
        raise CommonServiceException("InsufficientStorage", message, status_code=507) from error


class ObjectFile(ephemeral.LockedFileMixin):
    """Bytes in a file that is open only while they are read or written: objects are many, descriptors few.

    What S3's storage uses of a file: its callers hold ``position_lock`` around a seek and what follows it.

    Args:
        dir: the folder of the bucket.
        max_size: how large the object may be before it leaves the memory; it is never in there.
    """

    def __init__(self, dir: str, max_size: int = 0) -> None:  # noqa: ARG002 - as SpooledTemporaryFile has it
        super().__init__()
        with _full_disk_named(Path(dir)):
            descriptor, name = tempfile.mkstemp(dir=dir)
        os.close(descriptor)
        self._path = Path(name)
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = file.read(size)
        self._at += len(data)
        return data

    def write(self, data: bytes) -> int:
        with _full_disk_named(self._path.parent), self._path.open("r+b") as file:
            file.seek(self._at)
            file.write(data)
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            offset += self._path.stat().st_size
        elif whence == os.SEEK_CUR:
            offset += self._at
        self._at = offset
        return offset

    def tell(self) -> int:
        return self._at

    def truncate(self, size: int | None = None) -> int:
        size = self._at if size is None else size
        os.truncate(self._path, size)
        return size

    def close(self) -> None:
        # With its bucket's folder it may be gone already.
        self._path.unlink(missing_ok=True)


class Draft(ObjectFile):
    """A file that is being written. Unless it is kept, it goes with whatever it was written for."""

    _kept = False

    def __del__(self) -> None:
        if not self._kept and hasattr(self, "_path"):
            self.close()

    @contextmanager
    def _gone_on_failure(self) -> Iterator[None]:
        # From Python 3.12 on the error's own frames keep the draft until the collector comes, and the disk is full.
        try:
            yield
        except CommonServiceException:
            self.close()
            raise

    def write(self, data: bytes) -> int:
        with self._gone_on_failure():
            return super().write(data)

    def keep(self, path: Path) -> None:
        """Put the file in its place, for good once the folder is flushed."""
        with self._gone_on_failure(), _full_disk_named(path.parent), self._path.open("rb") as file:
            os.fsync(file.fileno())
        self._path = self._path.rename(path)
        self._kept = True

    def keep_version(self, path: Path, about: dict[str, Any]) -> None:
        """Put what is known of a version behind its bytes, and the file in its place."""
        told = _as_json(about)
        self.seek(0, os.SEEK_END)
        self.write(told + len(told).to_bytes(LENGTH_BYTES))
        self.keep(path)


class KeptFile(ephemeral.LockedFileMixin):
    """A version's bytes for one reader, who has them to the end though the file is replaced or removed meanwhile."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("rb")
        self._end, about = _end_and_about(self._file)
        self.internal_last_modified = about["internal_last_modified"]
        self._file.seek(0)

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._end - self._file.tell())
        return self._file.read(left if size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            return self._file.seek(self._end + offset)
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


class _Reading(ephemeral.EphemeralS3StoredObject):
    """A version that is read: who is done with it, gives its file back."""

    def close(self) -> None:
        super().close()
        self.file.close()


class BucketStore(ephemeral.EphemeralS3ObjectStore):
    """S3's storage, and the record of what S3 otherwise has in memory alone.

    Args:
        root: the folder of all buckets.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(str(root))
        self._root = root
        self._last = 0
        self._lock = threading.Lock()
        #: One who writes a key at a time, so that a condition still holds when its object is kept.
        self._writers: WeakValueDictionary[tuple[str, str], Any] = WeakValueDictionary()
        self._flushes: dict[str, _Flushes] = {}

    def open(self, bucket: str, s3_object: Any, mode: str = "r") -> Any:
        if mode == "w":
            draft = Draft(str(self._root / bucket))
            with self._lock:
                draft.readwrite_lock = self._writers.setdefault((bucket, s3_object.key), draft.readwrite_lock)
            _known(s3_object)["draft"] = draft
            return ephemeral.EphemeralS3StoredObject(s3_object, draft, mode)
        if written := _known(s3_object).get("draft"):
            return ephemeral.EphemeralS3StoredObject(s3_object, written, mode)
        try:
            return _Reading(s3_object, KeptFile(self._path(bucket, s3_object)), mode)
        except FileNotFoundError:
            # Deleted since it was looked up.
            raise s3.NoSuchKey("The specified key does not exist.", Key=s3_object.key) from None

    def remove(self, bucket: str, s3_object: Any) -> None:
        """Let go of what was written and not kept; what was kept is gone by now, for good after this."""
        for one in s3_object if isinstance(s3_object, list) else [s3_object]:
            _known(one).pop("draft", None)
        self._flush(bucket)

    def create_bucket(self, bucket: str) -> None:
        (self._root / bucket).mkdir(parents=True, exist_ok=True)
        self.keep_bucket(bucket)
        _flush(self._root)

    def delete_bucket(self, bucket: str) -> None:
        shutil.rmtree(self._root / bucket)
        _flush(self._root)

    def close(self) -> None:
        """Nothing: all is on the disk."""

    def keep(self, bucket: str, s3_object: Any) -> None:
        """Write down a version, with its bytes where they are new."""
        path, known = self._path(bucket, s3_object), _known(s3_object)
        draft = known.pop("draft", None) or self._copy(path)
        with self._lock:
            self._last = max(self._last + 1, time.time_ns())
            known.setdefault("order", self._last)
        tags = _tags().get(get_unique_key_id(bucket, s3_object.key, s3_object.version_id))
        deleted = isinstance(s3_object, models.S3DeleteMarker)
        draft.keep_version(path, {"internal_last_modified": 0, **known, "tags": tags, "deleted": deleted})
        self._flush(bucket)

    def forget(self, bucket: str, s3_object: Any) -> None:
        """Delete a version; ``remove`` makes that last."""
        self._path(bucket, s3_object).unlink(missing_ok=True)

    def keep_bucket(self, name: str) -> None:
        """Write down what is known of a bucket, and all of its objects from now on."""
        bucket = _bucket(name)
        vars(bucket.objects)["kept_in"] = name
        known = {key: value for key, value in vars(bucket).items() if key not in ("objects", "multiparts")}
        told = {**known, "tags": _tags().get(bucket.bucket_arn)}
        folder = self._root / name
        draft = Draft(str(folder))
        draft.write(_as_json(told))
        draft.keep(folder / "bucket.json")
        self._flush(name)

    def read_back(self) -> None:
        """Give S3 what is on the disk.

        Raises:
            SystemExit: a bucket's record cannot be read; nothing is lost by that.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        for folder in sorted(path for path in self._root.iterdir() if path.is_dir()):
            about = folder / "bucket.json"
            try:
                known = json.loads(about.read_bytes(), object_hook=_moment)
            except FileNotFoundError:
                shutil.rmtree(folder)  # It was not made yet.
                continue
            except ValueError as error:
                raise SystemExit(f"{about} cannot be read: {error}") from error
            if known["bucket_account_id"] == config.INTERNAL_RESOURCE_ACCOUNT:
                shutil.rmtree(folder)  # The code of functions, which are deployed anew.
                continue
            self._read_bucket(folder, known)

    def _read_bucket(self, folder: Path, known: dict[str, Any]) -> None:
        tags = known.pop("tags")
        bucket = models.S3Bucket(folder.name, known["bucket_account_id"], known["bucket_region"], known["owner"])
        vars(bucket).update(known)
        if bucket.versioning_status:
            bucket.objects = models.VersionedKeyStore()
        _store(bucket.bucket_account_id).buckets[bucket.name] = bucket
        _store().global_bucket_map[bucket.name] = bucket.bucket_account_id
        if tags:
            _tags()[bucket.bucket_arn] = tags
        for about in sorted(_versions(folder), key=lambda about: about["order"]):
            tags = about.pop("tags")
            if about.pop("deleted"):
                version = models.S3DeleteMarker(about["key"], about["version_id"])
            else:
                version = models.S3Object(about["key"])
                about["parts"] = {int(number): part for number, part in about["parts"].items()}
                if bucket.versioning_status:
                    about["version_id"] = about["version_id"] or "null"
            vars(version).update(about)
            bucket.objects.set(version.key, version)
            if tags:
                _tags()[get_unique_key_id(bucket.name, version.key, version.version_id)] = tags
        vars(bucket.objects)["kept_in"] = bucket.name

    def _path(self, bucket: str, s3_object: Any) -> Path:
        return self._root / bucket / sha256(f"{s3_object.key}?{s3_object.version_id or 'null'}".encode()).hexdigest()

    def _copy(self, path: Path) -> Draft:
        """The bytes of what is kept, for a new record; none for a delete marker."""
        draft = Draft(str(path.parent))
        if path.exists():
            kept = KeptFile(path)
            while data := kept.read(ephemeral.S3_CHUNK_SIZE):
                draft.write(data)
            kept.close()
        return draft

    def _flush(self, bucket: str) -> None:
        with self._lock:
            flushes = self._flushes.setdefault(bucket, _Flushes(self._root / bucket))
        flushes.wait()


class _Flushes:
    """A folder's flushes, one for all who wait meanwhile."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._asked = itertools.count(1)
        self._done = 0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Until the folder is flushed as it is now."""
        mine = next(self._asked)
        with self._lock:
            if self._done > mine:
                return
            # Whoever asked before this number waits for the lock by now, or is about to.
            now = next(self._asked)
            _flush(self._folder)
            self._done = now


def keep_buckets(root: Path) -> None:
    """Let S3 keep its buckets under a folder, and give it what is there.

    Raises:
        SystemExit: what is there cannot be read.
    """
    ephemeral.LockedSpooledTemporaryFile = ObjectFile
    store = BucketStore(root)
    store.read_back()
    s3.EphemeralS3ObjectStore = lambda _default: store
    for kind in (models.KeyStore, models.VersionedKeyStore):
        kind.set, kind.pop = _keeping(kind.set, store), _forgetting(kind.pop, store)
    for name in dir(s3.S3Provider):
        if OF_A_BUCKET.fullmatch(name) or OF_AN_OBJECT.fullmatch(name) or name in WITH_TAGS:
            setattr(s3.S3Provider, name, _recording(getattr(s3.S3Provider, name), store))


def _keeping(set_: Callable[..., None], store: BucketStore) -> Callable[..., None]:
    def keep_and_set(self: Any, object_key: str, s3_object: Any) -> None:
        if bucket := vars(self).get("kept_in"):
            store.keep(bucket, s3_object)
        set_(self, object_key, s3_object)

    return keep_and_set


def _forgetting(pop: Callable[..., Any], store: BucketStore) -> Callable[..., Any]:
    def pop_and_forget(self: Any, *key: Any, **named: Any) -> Any:
        found = pop(self, *key, **named)
        if found is not None and (bucket := vars(self).get("kept_in")):
            store.forget(bucket, found)
        return found

    return pop_and_forget


def _recording(change: Callable[..., Any], store: BucketStore) -> Callable[..., Any]:
    """An operation that writes down what it has changed, beside an object's bytes."""

    @wraps(change)
    def change_and_record(self: Any, context: Any, *given: Any, **named: Any) -> Any:
        answer = change(self, context, *given, **named)
        asked = context.service_request
        name = asked["Bucket"]
        if OF_A_BUCKET.fullmatch(change.__name__):
            store.keep_bucket(name)
            return answer
        is_new = change.__name__ in WITH_TAGS
        version = (answer or {}).get("VersionId") if is_new else asked.get("VersionId")
        objects = _bucket(name).objects
        found = objects.get(asked["Key"], version) if version else objects.get(asked["Key"])
        if found and (not is_new or _tags().get(get_unique_key_id(name, found.key, found.version_id))):
            store.keep(name, found)
        return answer

    return change_and_record


def _store(account: str = config.INTERNAL_RESOURCE_ACCOUNT) -> Any:
    """Of an account's buckets; of all accounts' names and tags."""
    return models.s3_stores[account][AWS_REGION_US_EAST_1]


def _bucket(name: str) -> Any:
    return _store(_store().global_bucket_map[name]).buckets[name]


def _tags() -> dict[str, Any]:
    """Those of every bucket, by its ARN, and of every object, by bucket, key and version."""
    tags: dict[str, Any] = _store().TAGS.tags
    return tags


def _versions(folder: Path) -> Iterator[dict[str, Any]]:
    """What is known of every version in a bucket's folder, which is rid of what was being written."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name.startswith("tmp"):
            path.unlink()
        elif path.suffix != ".json":
            try:
                with path.open("rb") as file:
                    yield _end_and_about(file)[1]
            except (OSError, ValueError) as error:
                LOG.error("%s is not a version of an object and is left alone: %s", path, error)


def _end_and_about(file: IO[bytes]) -> tuple[int, dict[str, Any]]:
    """Where a version's bytes end, and what is known of it.

    Raises:
        OSError: the file is shorter than any version's.
        ValueError: what stands behind the bytes is no record.
    """
    at = file.seek(-LENGTH_BYTES, os.SEEK_END)
    end = at - int.from_bytes(file.read(LENGTH_BYTES))
    if end < 0:
        raise ValueError("it was cut short")
    file.seek(end)
    about: dict[str, Any] = json.loads(file.read(at - end), object_hook=_moment)
    return end, about


def _known(s3_object: Any) -> dict[str, Any]:
    """What S3 knows of a version; ``draft`` in it is the file that its bytes are written to."""
    known: dict[str, Any] = vars(s3_object)
    return known


def _as_json(record: dict[str, Any]) -> bytes:
    return json.dumps(record, default=_moment_as_json).encode()


def _moment_as_json(value: object) -> dict[str, str]:
    if not isinstance(value, datetime):
        raise TypeError(f"{type(value).__name__} has no place in a record")
    return {MOMENT: value.isoformat()}


def _moment(value: dict[str, Any]) -> Any:
    return datetime.fromisoformat(value[MOMENT]) if set(value) == {MOMENT} else value


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
