"""What a listing costs: what it answers, and not all that there is.

S3: LocalStack sorts and reads all of a bucket's objects for each listing. Here a bucket's keys are kept in order, and a
listing is handed what lies under its prefix: ListObjectsV2 also no more than it may answer, and only what comes after
its ``StartAfter`` or its token. These it compares itself with keys in URL encoding, which has another order than
theirs, so that a page after a key with a space or an equals sign would repeat it or lose others.

Step Functions: LocalStack describes every execution of a state machine, sorts all, and answers with a page of them.
Here it is handed the newest, from the page's token on.
"""

import base64
import binascii
import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from itertools import islice
from typing import Any, NamedTuple

from localstack.services.s3 import models
from localstack.services.s3 import provider as s3
from localstack.services.stepfunctions import provider as step_functions
from localstack.services.stepfunctions.backend import store as step_functions_store
from localstack.services.stepfunctions.stepfunctions_utils import normalise_max_results

#: How many keys are taken at once, while nobody may add one.
CHUNK = 256
#: As many as a listing answers at most, where it does not say.
MOST = 1000
#: Executions beyond a page: those that started at one moment may stand in another order than that of their starts.
BESIDE = 100


class Wanted(NamedTuple):
    """What a listing may answer.

    Attributes:
        prefix: what its keys begin with.
        after: what they come after; empty for the first.
        at: where they begin, that key too; empty for the first.
        delimiter: keys that have it behind the prefix count once for all that are the same up to it.
        most: how many it may answer; None for all.
    """

    prefix: str
    after: str = ""
    at: str = ""
    delimiter: str = ""
    most: int | None = None


_wanted: ContextVar[Wanted | None] = ContextVar("wanted", default=None)
_filling = threading.Lock()


class Keys:
    """The keys of a bucket, in order."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._lock = threading.Lock()

    def fill(self, store: Any) -> None:
        """Have all keys of a bucket beside those that are added meanwhile."""
        with self._lock:
            self._keys = sorted({*self._keys, *dict(store._store)})

    def add(self, key: str) -> None:
        """Have a key."""
        with self._lock:
            at = bisect_left(self._keys, key)
            if self._keys[at : at + 1] != [key]:
                insort(self._keys, key)

    def remove_unless(self, key: str, there: Callable[[], bool]) -> None:
        """Have a key no longer, unless somebody has put it back meanwhile."""
        with self._lock:
            at = bisect_left(self._keys, key)
            if self._keys[at : at + 1] == [key] and not there():
                del self._keys[at]

    def backwards(self) -> Iterator[str]:
        """The keys from the last one on."""
        with self._lock:
            at = len(self._keys)
        while at > 0:
            with self._lock:
                chunk = self._keys[max(0, at - CHUNK) : at]
            yield from reversed(chunk)
            at -= CHUNK

    def under(self, prefix: str, *, after: str = "", at: str = "") -> Iterator[str]:
        """The keys under a prefix that come after a key, or begin at one."""
        with self._lock:
            begin = max(bisect_left(self._keys, max(prefix, at)), bisect_right(self._keys, after) if after else 0)
            chunk = self._keys[begin : begin + CHUNK]
        while chunk:
            for key in chunk:
                if not key.startswith(prefix):
                    return
                yield key
            with self._lock:
                begin = bisect_right(self._keys, chunk[-1])
                chunk = self._keys[begin : begin + CHUNK]


def keep_keys_in_order() -> None:
    """Hand each listing what it asks for."""
    for kind in (models.KeyStore, models.VersionedKeyStore):
        kind.set, kind.pop, kind.values = _adding(kind.set), _removing(kind.pop), _choosing(kind.values)
    provider = s3.S3Provider
    provider.list_objects = _handed(provider.list_objects)
    provider.list_object_versions = _handed(provider.list_object_versions)
    provider.list_objects_v2 = _handed_a_page(provider.list_objects_v2)


def _adding(set_: Callable[..., None]) -> Callable[..., None]:
    @wraps(set_)
    def set_and_add(self: Any, object_key: str, s3_object: Any) -> None:
        set_(self, object_key, s3_object)
        if keys := vars(self).get("keys_in_order"):
            keys.add(object_key)

    return set_and_add


def _removing(pop: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(pop)
    def pop_and_remove(self: Any, object_key: str, *more: Any, **named: Any) -> Any:
        found = pop(self, object_key, *more, **named)
        if keys := vars(self).get("keys_in_order"):
            keys.remove_unless(object_key, lambda: object_key in self)
        return found

    return pop_and_remove


def _choosing(values: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    @wraps(values)
    def choose(self: Any, with_versions: bool = False) -> list[Any]:
        wanted = _wanted.get()
        return values(self, with_versions) if wanted is None else _objects(self, wanted, with_versions)

    return choose


def _objects(store: Any, wanted: Wanted, with_versions: bool) -> list[Any]:
    """What a listing wants to see of a bucket; behind that the last object, by which it tells whether it is whole."""
    keys = _keys_of(store)

    def at(key: str) -> list[Any]:
        if with_versions and isinstance(store, models.VersionedKeyStore):
            return list(store._store.get(key, {}).values())
        found = store.get(key)
        return [] if found is None or isinstance(found, models.S3DeleteMarker) else [found]

    entries = (entry for key in _candidates(keys, wanted, at) for entry in at(key))
    chosen = list(islice(entries, wanted.most))
    if wanted.most is None:
        last = next((key for key in keys.backwards() if at(key)), None)
        if last is not None and not last.startswith(wanted.prefix):
            chosen += at(last)
    return chosen


def _candidates(keys: Keys, wanted: Wanted, at: Callable[[str], list[Any]]) -> Iterator[str]:
    """The keys that an answer can have, one of all that it has as one."""
    found = keys.under(wanted.prefix, after=wanted.after, at=wanted.at)
    if not (wanted.delimiter and wanted.most is not None):
        yield from found
        return
    while (key := next(found, None)) is not None:
        if not at(key):
            continue
        yield key
        same, delimiter, _ = key.removeprefix(wanted.prefix).partition(wanted.delimiter)
        if delimiter:
            # What comes behind all that is the same: the last letter is one further.
            behind = f"{wanted.prefix}{same}{delimiter[:-1]}{chr(ord(delimiter[-1]) + 1)}"
            found = keys.under(wanted.prefix, at=behind)


def _keys_of(store: Any) -> Keys:
    known = vars(store)
    with _filling:
        if "keys_in_order" not in known:
            # Who adds a key from now on finds this; who did so before is in what fills it.
            known["keys_in_order"] = Keys()
            known["keys_in_order"].fill(store)
    keys: Keys = known["keys_in_order"]
    return keys


@contextmanager
def _handing(wanted: Wanted) -> Iterator[None]:
    token = _wanted.set(wanted)
    try:
        yield
    finally:
        _wanted.reset(token)


def _handed(listing: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(listing)
    def hand(self: Any, context: Any, **asked: Any) -> Any:
        with _handing(Wanted(asked.get("prefix") or "")):
            return listing(self, context, **asked)

    return hand


def _handed_a_page(listing: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(listing)
    def hand(self: Any, context: Any, **asked: Any) -> Any:
        given, after = asked.get("continuation_token"), asked.get("start_after")
        try:
            at = base64.urlsafe_b64decode(given.encode()).decode() if given else ""
        except (binascii.Error, ValueError):
            return listing(self, context, **asked)
        if given is not None and not at:
            return listing(self, context, **asked)
        wanted = Wanted(
            prefix=asked.get("prefix") or "",
            after="" if at else after or "",
            at=at,
            delimiter=asked.get("delimiter") or "",
            # One more, by which it tells that there are more.
            most=(asked.get("max_keys") or MOST) + 1,
        )
        rest = {name: value for name, value in asked.items() if name not in ("continuation_token", "start_after")}
        with _handing(wanted):
            answer = listing(self, context, **rest)
        if given:
            answer["ContinuationToken"] = given
        elif after:
            answer["StartAfter"] = after
        return answer

    return hand


class Executions(dict[str, Any]):
    """Executions by their ARNs, in the order in which they began; a listing sees those that it asks for alone."""

    def values(self) -> Any:
        choose = _chosen.get()
        # A copy at one stroke: others are added meanwhile.
        every = list(super().values())
        return every if choose is None else choose(every)


_chosen: ContextVar[Callable[[list[Any]], list[Any]] | None] = ContextVar("chosen", default=None)


def describe_listed_executions_alone() -> None:
    """Hand ListExecutions what it may answer."""
    vars(step_functions_store.SFNStore)["executions"].default = Executions
    provider = step_functions.StepFunctionsProvider
    listing, belongs = provider.list_executions, provider._list_execution_filter

    @wraps(listing)
    def hand(self: Any, context: Any, **asked: Any) -> Any:
        machine, status, token = (asked.get(name) for name in ("state_machine_arn", "status_filter", "next_token"))
        last = _named_by(token, self.get_store(context).executions)
        if token and last is None:
            return listing(self, context, **asked)
        most = normalise_max_results(asked.get("max_results")) + BESIDE

        def choose(every: list[Any]) -> list[Any]:
            newest = (
                one
                for one in reversed(every)
                if belongs(one, machine, status) and (last is None or one.start_date <= last.start_date)
            )
            return list(islice(newest, most))[::-1]

        chosen = _chosen.set(choose)
        try:
            return listing(self, context, **asked)
        finally:
            _chosen.reset(chosen)

    provider.list_executions = hand


def _named_by(token: str | None, executions: Any) -> Any:
    """The execution that a token names, None where it names none."""
    try:
        return executions.get(base64.b64decode(token).decode()) if token else None
    except (binascii.Error, ValueError):
        return None
