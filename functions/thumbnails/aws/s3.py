"""S3: the one bucket, read and written, with its faults as ``StorageUnavailable``."""

import io
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps
from typing import IO, TYPE_CHECKING, Any, ParamSpec, Self, TypeVar
from urllib.parse import quote, unquote

import boto3
from boto3.exceptions import Boto3Error
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from thumbnails.errors import InvalidBatch, StorageUnavailable, quoted
from thumbnails.keys import S3Object
from thumbnails.strict_json import NotJson, read_json

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

P = ParamSpec("P")
R = TypeVar("R")

#: What S3 says of an object, a version or a bucket that isn't there.
_MISSING = ("404", "NoSuchKey", "NoSuchVersion", "NotFound", "NoSuchBucket")
#: A request file holds at most a few kilobytes; what is larger is none.
REQUEST_BYTES = 1 << 20
#: What is copied at once between S3 and a file.
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Stored:
    """An object's body and its metadata: names in lower case, values as given; ``etag`` changes with its bytes."""

    body: bytes
    metadata: dict[str, str]
    etag: str = field(default="", compare=False)


@dataclass(frozen=True)
class Listed:
    """An object as a listing shows it; ``etag`` changes with its bytes."""

    key: str
    size: int
    etag: str
    modified: datetime


@dataclass(frozen=True)
class About:
    """What is known of an object without its body: its metadata as ``Stored`` has it, and when it was written."""

    metadata: dict[str, str]
    modified: datetime


@dataclass(frozen=True)
class Version:
    """One version of an object that is there."""

    key: str
    version: str
    modified: datetime


def _as_storage_error(call: Callable[P, R]) -> Callable[P, R]:
    @wraps(call)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return call(*args, **kwargs)
        except (BotoCoreError, Boto3Error, ClientError) as error:
            raise StorageUnavailable(f"S3 could not {call.__name__.replace('_', ' ')}: {error}") from error

    return wrapper


class Store:
    """One bucket.

    Args:
        client: for every call.
        signer: signs the URLs that people open. The host is part of a presigned URL's signature, so it is signed for
            the endpoint that they reach and never rewritten.
        bucket: its name.
        url_seconds: how long a URL opens, in seconds.
        folder: where the bucket is on this machine's disk; empty where it is not.
    """

    def __init__(self, client: "S3Client", signer: "S3Client", bucket: str, url_seconds: int, folder: str = "") -> None:
        self._client = client
        self._signer = signer
        self._bucket = bucket
        self._url_seconds = url_seconds
        self._folder = folder

    @classmethod
    def connect(cls, bucket: str, public_endpoint: str, url_seconds: int, folder: str = "") -> Self:
        """The bucket by the process's own credentials.

        Args:
            bucket: its name.
            public_endpoint: the endpoint that the people who open a URL reach; empty for AWS's own.
            url_seconds: how long a URL opens, in seconds.
            folder: where the bucket is on this machine's disk; empty where it is not.
        """
        # One attempt more than the least that rides out a hiccup; what lasts longer is the state machine's to retry.
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if public_endpoint else "virtual"},
            retries={"mode": "standard", "total_max_attempts": 3},
            connect_timeout=5,
            read_timeout=20,
            # The SDK puts its own together anew for each call, out of a dozen parts.
            user_agent="fan-out-thumbnails",
        )
        client: S3Client = boto3.client("s3", config=config)
        signer = boto3.client("s3", config=config, endpoint_url=public_endpoint) if public_endpoint else client
        return cls(client, signer, bucket, url_seconds, folder)

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self._bucket

    def check_room(self, needed: int) -> None:
        """Make sure, where that can be known, that as many bytes can be stored.

        Raises:
            StorageUnavailable: the bucket's disk has no room for them.
        """
        try:
            free = shutil.disk_usage(self._folder).free if self._folder else needed
        except OSError:
            return  # Another machine's folder, seen from a container.
        if free < needed:
            there, wanted = f"{free / 1e6:.1f} MB", f"{needed / 1e6:.0f} MB"
            raise StorageUnavailable(
                f"{there} are free on the disk that holds {self._folder}, and images need {wanted}"
            )

    @_as_storage_error
    def put(self, key: str, body: bytes, content_type: str, metadata: dict[str, str] | None = None) -> None:
        """Store an object, whole or not at all."""
        self._client.put_object(
            Bucket=self._bucket,
            Key=key,
            Body=body,
            ContentType=content_type,
            Metadata=_quoted(metadata),
        )

    def put_json(self, key: str, value: object, metadata: dict[str, str] | None = None) -> None:
        """Store a value as JSON, readable by people."""
        body = json.dumps(value, ensure_ascii=False, indent=2).encode()
        self.put(key, body, "application/json", metadata)

    @_as_storage_error
    def put_version(self, key: str, body: bytes, content_type: str = "application/octet-stream") -> str:
        """Store an object in a bucket that keeps versions; the version's id."""
        return self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type)["VersionId"]

    @_as_storage_error
    def put_new(self, key: str, body: bytes, content_type: str, metadata: dict[str, str] | None = None) -> bool:
        """Store an object where there is none yet; False where there is one, which stays as it is."""
        return self._put_if(key, body, content_type, {"IfNoneMatch": "*", "Metadata": _quoted(metadata)})

    @_as_storage_error
    def put_over(self, key: str, body: bytes, content_type: str, etag: str) -> bool:
        """Store an object over the one that was read; False where another one is there now, which stays as it is.

        Args:
            key: the object's key.
            body: its bytes.
            content_type: what they are.
            etag: of the object that was read; empty where there was none.
        """
        return self._put_if(key, body, content_type, {"IfMatch": etag} if etag else {"IfNoneMatch": "*"})

    def _put_if(self, key: str, body: bytes, content_type: str, condition: Any) -> bool:
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type, **condition)
        except ClientError as error:
            # The last is the answer of an If-Match to an object that was deleted meanwhile.
            if error.response.get("Error", {}).get("Code") in (
                "PreconditionFailed",
                "ConditionalRequestConflict",
                "NoSuchKey",
            ):
                return False
            raise
        return True

    @_as_storage_error
    def listed(self, prefix: str) -> list[Listed]:
        """Every object under a prefix, in the order of the keys."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        return [
            Listed(item["Key"], item["Size"], item["ETag"], item["LastModified"])
            for page in pages
            for item in page.get("Contents", ())
        ]

    @_as_storage_error
    def keys_after(self, prefix: str, after: str, most: int) -> list[str]:
        """The first keys under a prefix that come after a key, in order; one call, so a thousand at most."""
        answer = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, StartAfter=after, MaxKeys=most)
        return [item["Key"] for item in answer.get("Contents", ())]

    def folders(self, prefix: str, after: str = "") -> Iterator[str]:
        """The names between a prefix and the next ``/`` in keys, in S3's order, listed as they are asked for.

        Args:
            prefix: what the keys begin with; it ends with ``/``.
            after: the name before the first; empty for the first of all.
        """
        # The character after the slash: behind everything in that folder, and before any other.
        choice: Any = {"StartAfter": f"{prefix}{after}0"} if after else {}
        while choice is not None:
            names, choice = self._list_folders(prefix, choice)
            yield from names

    @_as_storage_error
    def _list_folders(self, prefix: str, choice: Any) -> tuple[list[str], Any]:
        answer = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, Delimiter="/", **choice)
        names = [item["Prefix"].removeprefix(prefix)[:-1] for item in answer.get("CommonPrefixes", ())]
        return names, {"ContinuationToken": answer["NextContinuationToken"]} if answer["IsTruncated"] else None

    @_as_storage_error
    def versions(self, prefix: str) -> list[Version]:
        """Every version of the objects under a prefix, but for those of objects that were deleted since."""
        pages = list(self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=prefix))
        deleted = {item["Key"] for page in pages for item in page.get("DeleteMarkers", ()) if item["IsLatest"]}
        return [
            Version(item["Key"], item["VersionId"], item["LastModified"])
            for page in pages
            for item in page.get("Versions", ())
            if item["Key"] not in deleted
        ]

    @_as_storage_error
    def delete(self, key: str) -> None:
        """Delete an object, whether it is there or not."""
        self._client.delete_object(Bucket=self._bucket, Key=key)

    @_as_storage_error
    def metadata(self, key: str) -> dict[str, str] | None:
        """An object's metadata, or None where there is no object."""
        found = self.look_at(key)
        return found.metadata if found else None

    @_as_storage_error
    def look_at(self, key: str) -> About | None:
        """What is known of an object, or None where there is none."""
        try:
            answer = self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if _is_missing(error):
                return None
            raise
        return About(_unquoted(answer["Metadata"]), answer["LastModified"])

    @_as_storage_error
    def get(
        self, key: str, bucket: str | None = None, limit: int | None = None, version: str | None = None
    ) -> Stored | None:
        """An object (its first ``limit`` bytes), or None where there is none."""
        which: Any = {"VersionId": version} if version else {}
        try:
            answer = self._client.get_object(Bucket=bucket or self._bucket, Key=key, **which)
        except ClientError as error:
            if _is_missing(error):
                return None
            raise
        return Stored(answer["Body"].read(limit), _unquoted(answer["Metadata"]), answer["ETag"])

    @_as_storage_error
    def get_unless(self, key: str, etag: str, limit: int | None = None) -> Stored | None:
        """An object (its first ``limit`` bytes), without its body where it is still the one that was read; or None.

        Args:
            key: the object's key.
            etag: of the object that was read; empty where none was.
            limit: the most bytes that are read.
        """
        condition: Any = {"IfNoneMatch": etag} if etag else {}
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key, **condition)
        except ClientError as error:
            if _is_missing(error):
                return None
            if error.response.get("Error", {}).get("Code") in ("304", "NotModified"):
                return Stored(b"", {}, etag)
            raise
        return Stored(answer["Body"].read(limit), _unquoted(answer["Metadata"]), answer["ETag"])

    @_as_storage_error
    def download(self, key: str, file: IO[bytes], limit: int | None = None) -> int | None:
        """Copy an object to a file, a piece at a time.

        Args:
            key: the object's key.
            file: where to; it stands at its end afterwards.
            limit: the most bytes that are copied.

        Returns:
            The object's size in bytes, or None where there is none.
        """
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if _is_missing(error):
                return None
            raise
        left = answer["ContentLength"] if limit is None else limit
        with closing(answer["Body"]) as body:
            while left and (piece := body.read(min(left, CHUNK_BYTES))):
                file.write(piece)
                left -= len(piece)
        return answer["ContentLength"]

    @_as_storage_error
    def upload(self, key: str, file: IO[bytes], content_type: str) -> None:
        """Store an object out of a file from where it stands, in parts where it is large."""
        self._client.upload_fileobj(file, self._bucket, key, ExtraArgs={"ContentType": content_type})

    @_as_storage_error
    def first_key(self, prefix: str) -> str | None:
        """Any one key under a prefix, or None."""
        answer = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, MaxKeys=1)
        return next((item["Key"] for item in answer.get("Contents", ())), None)

    @_as_storage_error
    def copy(self, source: S3Object, key: str) -> None:
        """Copy an object of this or another bucket to a key of this one; one that is gone is passed over.

        Its tags stay behind: to read and to write them are permissions of their own.
        """
        which: Any = {"Bucket": source.bucket, "Key": source.key}
        if source.version:
            which["VersionId"] = source.version
        try:
            self._client.copy_object(Bucket=self._bucket, Key=key, CopySource=which, TaggingDirective="REPLACE")
        except ClientError as error:
            if not _is_missing(error):
                raise

    def read_request(self, key: str) -> Any:
        """The JSON value of an object that this product wrote, or an account's owner beside it.

        Raises:
            InvalidBatch: there is no such object, it is too large or it is not JSON.
        """
        try:
            return read_json(self.request_file(key))
        except NotJson as error:
            raise InvalidBatch(f"{self._place(key)} is not JSON: {error}") from None

    def request_file(self, key: str, bucket: str | None = None, version: str | None = None) -> bytes:
        """The bytes of a request file.

        Args:
            key: the object's key.
            bucket: its bucket, where that is another one.
            version: which of its versions; the newest where left out.

        Raises:
            InvalidBatch: there is no such object, or it is too large.
        """
        stored = self.get(key, bucket, REQUEST_BYTES + 1, version)
        place = self._place(key, bucket)
        if stored is None:
            raise InvalidBatch(f"there is no {place}")
        if len(stored.body) > REQUEST_BYTES:
            raise InvalidBatch(f"{place} is larger than {REQUEST_BYTES} bytes")
        return stored.body

    def _place(self, key: str, bucket: str | None = None) -> str:
        return quoted(f"s3://{bucket or self._bucket}/{key}", 200)[1:-1]

    def url(self, key: str, file_name: str = "") -> str:
        """A presigned URL that opens an object in a browser, or saves it under ``file_name``."""
        saved: Any = {"ResponseContentDisposition": f'attachment; filename="{file_name}"'} if file_name else {}
        return self._signer.generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": key, **saved}, ExpiresIn=self._url_seconds
        )

    def warm_up(self) -> None:
        """Make every kind of call once with answers that never leave this process: a client builds itself by use."""
        # A handler of this event may answer in the network's place, whatever the stubs say.
        events: Any = self._client.meta.events
        events.register_first("before-send.s3", _answer_here)
        try:
            self.metadata("warm-up")
            self.get("warm-up")
            self.first_key("warm-up")
            self.put("warm-up", b"warm-up", "text/plain", {"warm-up": "yes"})
            self.url("warm-up")
            # The first connection asks for this codec, whatever the host's name: 8 ms.
            "localhost".encode("idna")
        finally:
            events.unregister("before-send.s3", _answer_here)


def _answer_here(request: AWSPreparedRequest, **_: object) -> AWSResponse:
    found = request.method == "PUT" or "list-type" in request.url
    headers: Any = HeadersDict()
    body = b"" if found else b"<Error><Code>NoSuchKey</Code></Error>"
    return AWSResponse(request.url, 200 if found else 404, headers, _Body(body))


class _Body(io.BytesIO):
    """A response's raw body, as botocore reads one."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


def _is_missing(error: ClientError) -> bool:
    return error.response.get("Error", {}).get("Code") in _MISSING


def _quoted(metadata: dict[str, str] | None) -> dict[str, str]:
    return {name: quote(value) for name, value in (metadata or {}).items()}


def _unquoted(metadata: dict[str, str]) -> dict[str, str]:
    return {name: unquote(value) for name, value in metadata.items()}
