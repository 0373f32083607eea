"""The bucket in memory; ``test_store`` holds it to what the real one does."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import IO, Any

from thumbnails.aws.s3 import About, Listed, Store, Stored, Version
from thumbnails.keys import S3Object

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


class MemoryStore(Store):
    """Keeps objects in a dict.

    Attributes:
        objects: the main bucket's objects by key.
        elsewhere: objects of other buckets by (bucket, key).
        content_types: the main bucket's content types by key.
        writes: every key that was written, in order.
        calls: how often it was asked to list, to get or to look at something.
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
        self.calls: Counter[str] = Counter()
        self._written: dict[str, datetime] = {}
        self.unwritable: dict[str, Exception] = {}
        self.listings: list[str] = []
        self.reads: list[str] = []

    @property
    def now(self) -> datetime:
        """When the next object is written: the n-th write is n seconds into the year."""
        return NEW_YEAR + timedelta(seconds=len(self.writes))

    def written_at(self, key: str) -> datetime:
        """When an object was written last."""
        return self._written.get(key, NEW_YEAR)

    def put(self, key: str, body: bytes, content_type: str, metadata: dict[str, str] | None = None) -> None:
        for ending in [ending for ending in self.unwritable if key.endswith(ending)]:
            raise self.unwritable.pop(ending)
        self._written[key] = self.now
        self.writes.append(key)
        self.content_types[key] = content_type
        self.objects[key] = Stored(body, dict(metadata or {}))

    def look_at(self, key: str) -> About | None:
        self.calls["look_at"] += 1
        return About(self.objects[key].metadata, self.written_at(key)) if key in self.objects else None

    def get(
        self, key: str, bucket: str | None = None, limit: int | None = None, version: str | None = None
    ) -> Stored | None:
        self.calls["get"] += 1
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

    def put_new(self, key: str, body: bytes, content_type: str, metadata: dict[str, str] | None = None) -> bool:
        if key in self.objects:
            return False
        self.put(key, body, content_type, metadata)
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
        self.calls["list"] += 1
        self.listings.append(prefix)
        return [
            Listed(key, len(stored.body), _etag(stored.body), self.written_at(key))
            for key, stored in sorted(self.objects.items())
            if key.startswith(prefix)
        ]

    def keys_after(self, prefix: str, after: str, most: int) -> list[str]:
        self.calls["list"] += 1
        self.listings.append(prefix)
        return [key for key in self.under(prefix) if key > after][:most]

    def folders(self, prefix: str, after: str = "") -> Iterator[str]:
        self.calls["list"] += 1
        names = {
            key.removeprefix(prefix).partition("/")[0] + "/" for key in self.under(prefix) if "/" in key[len(prefix) :]
        }
        yield from (name[:-1] for name in sorted(names) if not after or name > after + "/")

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
