"""The client of the offline image API's control API, for tests and for ``thumbs``; standard library only."""

import json
import urllib.error
import urllib.request
from typing import Any, NotRequired, TypedDict, cast


class Counts(TypedDict):
    """How many calls came in, and how many of them a provider would bill."""

    requests: int
    paid: int


class PromptCounts(Counts):
    """The counts of one (model, prompt)."""

    model: str
    prompt: str


class Calls(Counts):
    """All counts since the last reset, and the seconds from the first call to the last."""

    in_flight: int
    peak_concurrency: int
    seconds: float
    by_model: dict[str, Counts]
    by_prompt: list[PromptCounts]


class SetFault(TypedDict):
    """A fault that is set, with how many calls it matched and struck."""

    id: int
    fault: str
    matched: int
    struck: int
    rate: NotRequired[float]
    times: NotRequired[int]
    times_each: NotRequired[int]
    model: NotRequired[str]
    prompt_contains: NotRequired[str]


class ImageApiError(Exception):
    """The image API refused a control call, or did not answer. The message says why."""


class ImageApiControl:
    """Sets latency and faults of a running image API, and reads its counts."""

    def __init__(self, base_url: str, timeout: float = 10.0) -> None:
        self.base_url = base_url.rstrip("/")
        self._timeout = timeout
        # Proxy settings of the environment are not for loopback.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def healthy(self) -> bool:
        """Whether an image API answers at this address."""
        try:
            return bool(self._call("GET", "/health") == {"status": "ok"})
        except ImageApiError:
            return False

    def settings(self) -> dict[str, Any]:
        """Latency, jitter, seed, rejected keys and the marker that moderation flags."""
        return cast(dict[str, Any], self._call("GET", "/_control/settings"))

    def set_latency(self, seconds: float, jitter: float = 0.0) -> None:
        """Let each picture take so many seconds, and up to ``jitter`` more."""
        self._call("PUT", "/_control/settings", {"latency": seconds, "jitter": jitter})

    def set_batch_seconds(self, seconds: float) -> None:
        """Let each half-price batch end so many seconds after it was made."""
        self._call("PUT", "/_control/settings", {"batch_seconds": seconds})

    def set_seed(self, seed: int) -> None:
        """Choose which calls a fault with a rate strikes, and how much longer than the latency each takes."""
        self._call("PUT", "/_control/settings", {"seed": seed})

    def set_rejected_keys(self, parts: list[str]) -> None:
        """Turn away every key that holds one of these parts."""
        self._call("PUT", "/_control/settings", {"rejected_keys": parts})

    def set_flagged_marker(self, word: str) -> None:
        """Let moderation flag every text that holds this word; an empty one flags nothing."""
        self._call("PUT", "/_control/settings", {"flagged_marker": word})

    def add_fault(
        self,
        fault: str,
        *,
        rate: float | None = None,
        times: int | None = None,
        times_each: int | None = None,
        pace: int | None = None,
        per: float | None = None,
        after: int = 0,
        model: str | None = None,
        prompt_contains: str | None = None,
        variant: str = "",
        retry_after: float | None = None,
        delay: float | None = None,
        seconds: float | None = None,
    ) -> int:
        """Set a fault, as ``thumbs.image_api.server`` describes it, and return its number."""
        given = {
            "fault": fault,
            "rate": rate,
            "times": times,
            "times_each": times_each,
            "pace": pace,
            "per": per,
            "after": after,
            "model": model,
            "prompt_contains": prompt_contains,
            "variant": variant,
            "retry_after": retry_after,
            "delay": delay,
            "seconds": seconds,
        }
        return int(self._call("POST", "/_control/faults", given)["id"])

    def faults(self) -> list[SetFault]:
        """The faults that are set, in the order in which they are asked."""
        return cast(list[SetFault], self._call("GET", "/_control/faults"))

    def remove_fault(self, number: int) -> None:
        """Take one fault back."""
        self._call("DELETE", f"/_control/faults/{number}")

    def clear_faults(self) -> None:
        """Take every fault back."""
        self._call("DELETE", "/_control/faults")

    def calls(self) -> Calls:
        """The counts since the last reset."""
        return cast(Calls, self._call("GET", "/_control/calls"))

    def clear_calls(self) -> None:
        """Count from nothing."""
        self._call("DELETE", "/_control/calls")

    def reset(self) -> None:
        """No faults, no counts, and the settings with which the server started."""
        self._call("POST", "/_control/reset")

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 (the caller's own address)
            self.base_url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise ImageApiError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from error
        except (OSError, ValueError) as error:
            raise ImageApiError(f"{method} {self.base_url}{path}: {error}") from error
