"""The bucket in memory; ``test_store`` holds it to what the real one does."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import IO, Any

from thumbnails.aws.s3 import Listed, Store, Stored, Version
from thumbnails.keys import S3Object


class MemoryStore(Store):
    """Keeps objects in a dict.

    Attributes:
        objects: the main bucket's objects by key.
        elsewhere: objects of other buckets by (bucket, key).
        content_types: the main bucket's content types by key.
        writes: every key that was written, in order.
        reads: the keys whose body ``get_unless`` gave, in order.
        listings: the prefixes that were listed, in order.
        unwritable: a key's ending whose next write raises the exception given with it.
    """

    def __init__(self) -> None:
        self._bucket = "memory"
        self._folder = ""
        self.objects: dict[str, Stored] = {}
        self.content_types: dict[str, str] = {}
        self.elsewhere: dict[tuple[str, str], Stored] = {}
        self.writes: list[str] = []
        self.unwritable: dict[str, Exception] = {}
        self.listings: list[str] = []
        self.reads: list[str] = []

    def put(self, key: str, body: bytes, content_type: str, metadata: dict[str, str] | None = None) -> None:
        for ending in [ending for ending in self.unwritable if key.endswith(ending)]:
            raise self.unwritable.pop(ending)
        self.writes.append(key)
        self.content_types[key] = content_type
        self.objects[key] = Stored(body, dict(metadata or {}))

    def metadata(self, key: str) -> dict[str, str] | None:
        return self.objects[key].metadata if key in self.objects else None

    def get(
        self, key: str, bucket: str | None = None, limit: int | None = None, version: str | None = None
    ) -> Stored | None:
        found = self.elsewhere.get((bucket, key)) if bucket else self.objects.get(key)
        return Stored(found.body[:limit], found.metadata, _etag(found.body)) if found else None

    def get_unless(self, key: str, etag: str, limit: int | None = None) -> Stored | None:
        found = self.get(key)
        if found and found.etag == etag:
            return Stored(b"", {}, etag)
        if found:
            self.reads.append(key)
        return self.get(key, limit=limit)

    def put_version(self, key: str, body: bytes, content_type: str = "application/octet-stream") -> str:
        self.put(key, body, content_type)
        return f"v-{_etag(body)[:8]}"

    def download(self, key: str, file: IO[bytes], limit: int | None = None) -> int | None:
        if key not in self.objects:
            return None
        file.write(self.objects[key].body[:limit])
        return len(self.objects[key].body)

    def upload(self, key: str, file: IO[bytes], content_type: str) -> None:
        self.put(key, file.read(), content_type)

    def first_key(self, prefix: str) -> str | None:
        return next((key for key in sorted(self.objects) if key.startswith(prefix)), None)

    def copy(self, source: S3Object, key: str) -> None:
        if source.bucket == self._bucket and source.key in self.objects:
            self.put(key, self.objects[source.key].body, self.content_types[source.key])
        elif (source.bucket, source.key) in self.elsewhere:
            self.put(key, self.elsewhere[source.bucket, source.key].body, "application/json")

    def put_new(self, key: str, body: bytes, content_type: str) -> bool:
        if key in self.objects:
            return False
        self.put(key, body, content_type)
        return True

    def put_over(self, key: str, body: bytes, content_type: str, etag: str) -> bool:
        there = self.objects.get(key)
        if (_etag(there.body) if there else "") != etag:
            return False
        self.put(key, body, content_type)
        return True

    def versions(self, prefix: str) -> list[Version]:
        return [Version(one.key, f"v-{one.etag[:8]}", one.modified) for one in self.listed(prefix)]

    def listed(self, prefix: str) -> list[Listed]:
        self.listings.append(prefix)
        # The n-th write was n seconds into the year.
        when = {key: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=n) for n, key in enumerate(self.writes)}
        return [
            Listed(key, len(stored.body), _etag(stored.body), when[key])
            for key, stored in sorted(self.objects.items())
            if key.startswith(prefix)
        ]

    def keys_after(self, prefix: str, after: str, most: int) -> list[str]:
        self.listings.append(prefix)
        return [key for key in self.under(prefix) if key > after][:most]

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    def url(self, key: str, file_name: str = "") -> str:
        return f"memory://{key}"

    def json(self, key: str) -> Any:
        """A stored JSON value."""
        return json.loads(self.objects[key].body)

    def under(self, prefix: str = "") -> list[str]:
        """The keys under a prefix, in order."""
        return sorted(key for key in self.objects if key.startswith(prefix))


def _etag(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
