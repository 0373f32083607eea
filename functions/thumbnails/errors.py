"""Everything that can go wrong with a thumbnail, as one tree.

The class names are the error names of the state machines (Step Functions matches a Lambda's ``errorType`` by name), so
renaming a class here means renaming it in ``statemachine/``; a test holds the two together.

    ThumbnailError
    ├── InvalidBatch                 the request breaks the contract; nothing was paid
    ├── DailyBudgetExceeded          the day's budget has less left than this may cost; nothing was paid
    ├── AllImagesFailed              no image of the run could be made
    ├── CampaignCutShort             more rows of a campaign failed than it tolerates; the state machine alone says so
    ├── TransientError               worth another try; the state machine retries it
    │   ├── ProviderRateLimited      HTTP 429; where the provider says for how long, the state machine waits
    │   ├── ProviderUnavailable      HTTP 5xx
    │   ├── ProviderTimeout          no answer in time
    │   ├── ProviderUnreachable      no connection, or one cut off before the answer
    │   └── StorageUnavailable       S3 could not be read or written
    ├── Unavailable                  what the API asks gave no answer; no state machine sees these
    │   ├── OrchestrationUnavailable Step Functions
    │   ├── BusUnavailable           EventBridge
    │   └── ModerationUnavailable    the moderation endpoint
    └── PermanentError               another try would end the same way
        ├── ProviderTooSlow          the provider asks for longer waits than the request allows
        ├── BatchGaveUp              the provider's half-price batch ended without this picture
        ├── PictureRefused           the provider declines, by its policy or in words
        ├── ProviderMisconfigured    the key, the account, its credit or its country
        ├── ProviderRejectedRequest  any other HTTP 4xx
        ├── ProgramFault             a fault of the program itself
        └── UnusableAnswer           the provider answered, and perhaps billed, but not with a picture
            └── UnusablePicture      bytes that are no picture, a truncated one, or one too large to open
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple


def quoted(text: str, most: int = 60) -> str:
    """Text of somebody else's within a message: in quotes, at most ``most`` characters, what cannot be printed escaped.

    A message stays one short line, whatever it names.
    """
    start = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text[: most + 1])
    return f"'{start if len(start) <= most else start[: most - 1] + '…'}'"


def cut(text: str, most: int) -> str:
    """Text of at most ``most`` bytes in UTF-8; an ellipsis stands for what is left out."""
    encoded = text.encode(errors="replace")
    return text if len(encoded) <= most else encoded[: most - 3].decode(errors="ignore") + "…"


class Problem(NamedTuple):
    """One thing that is wrong with a request: the field that it is in (empty for the whole), and a sentence."""

    field: str
    message: str


class ThumbnailError(Exception):
    """Base of every error that this product raises on purpose."""


class InvalidBatch(ThumbnailError):
    """The request breaks the contract. The message says what is wrong and what is right.

    Attributes:
        problems: every problem; the message is the first one's.
    """

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems) or (Problem("", message),)


class DailyBudgetExceeded(ThumbnailError):
    """The day's budget has less left than this may cost; nothing was paid.

    Args:
        usd: what it may cost, in US dollars.
        left_usd: what is left of the day's budget.
        limit_usd: the day's budget.
        ends: when the budget starts anew.
    """

    def __init__(self, usd: float, left_usd: float, limit_usd: float, ends: datetime) -> None:
        super().__init__(
            f"this may cost {usd:.3f} US dollars, and {left_usd:.3f} of the day's {limit_usd:.2f} are left; "
            f"the budget starts anew at {ends:%Y-%m-%dT%H:%MZ}"
        )
        self.left_usd = left_usd
        self.ends = ends


class AllImagesFailed(ThumbnailError):
    """No image of the run could be made. The message says why, model by model."""


class CampaignCutShort(ThumbnailError):
    """The Map of a campaign failed: too many rows without an image, or rows that could not be read."""


class TransientError(ThumbnailError):
    """Worth another try, by the state machine alone."""


class ProviderRateLimited(TransientError):
    """The provider answered 429: too many requests.

    Attributes:
        retry_after: the seconds after which the provider wants to be asked again; None where it does not say.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ProviderUnavailable(TransientError):
    """The provider answered with a 5xx status."""


class ProviderTimeout(TransientError):
    """The provider did not answer in time."""


class ProviderUnreachable(TransientError):
    """No connection to the provider, or one that broke before the answer was complete."""


class StorageUnavailable(TransientError):
    """S3 could not be read or written after its client's own retries."""


class Unavailable(ThumbnailError):
    """What the API asks gave no answer; the person may try again."""


class OrchestrationUnavailable(Unavailable):
    """Step Functions could not be asked after its client's own retries."""


class BusUnavailable(Unavailable):
    """EventBridge did not take an event."""


class ModerationUnavailable(Unavailable):
    """The moderation endpoint gave no judgement, so nothing may be paid for."""


class PermanentError(ThumbnailError):
    """Another try would end the same way."""


class ProviderTooSlow(PermanentError):
    """The provider asks for longer waits than the request allows under ``max_wait_seconds``."""


class BatchGaveUp(PermanentError):
    """The provider's half-price batch ended without this picture: expired, cancelled or failed; it bills none."""


class ProgramFault(PermanentError):
    """Something that nobody foresaw; the function's log has its traceback."""


class PictureRefused(PermanentError):
    """The provider declines this picture, by its content policy or in words; it bills none."""


class ProviderMisconfigured(PermanentError):
    """The key is missing or rejected, or the account may not use the model: unpaid, unverified, closed, no quota."""


class ProviderRejectedRequest(PermanentError):
    """The provider answered with a 4xx status that none of the other errors names."""


class UnusableAnswer(PermanentError):
    """The provider answered with success, and may have billed it, but not with a picture.

    Attributes:
        usd: what it may have cost, in US dollars; 0 where an earlier try has paid for it.
    """

    usd = 0.0


class UnusablePicture(UnusableAnswer):
    """The answer's picture cannot be opened: no picture, cut short, or too large."""
