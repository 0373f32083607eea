"""What providers answer: pictures and what they cost, or an error, told apart by all that the answer says of itself.

One list of rules maps every error answer to the tree of ``thumbnails.errors``. Codes and names decide where there are
any; words are looked at because providers give one status, and often one code, to things of different kinds.
"""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass

from thumbnails.catalog.prices import Usage
from thumbnails.errors import (
    PictureRefused,
    ProviderMisconfigured,
    ProviderRateLimited,
    ProviderRejectedRequest,
    ProviderTimeout,
    ProviderUnavailable,
    ThumbnailError,
    UnusableAnswer,
)

#: Of a provider's own sentence within a message.
WORDS = 380


@dataclass(frozen=True)
class Answer:
    """Pictures as the provider encoded them, and what it counted; None where it counts nothing.

    ``share`` is the part of the list price that they cost.
    """

    pictures: tuple[bytes, ...]
    usage: Usage | None = None
    share: float = 1.0


@dataclass(frozen=True)
class Said:
    """What an error answer says of itself.

    Attributes:
        status: HTTP's.
        names: code, type, status name, reasons, quotas: whatever is a name and not a sentence.
        words: the sentence for people.
        retry_after: seconds after which to ask again; None where it does not say.
    """

    status: int
    names: str
    words: str
    retry_after: float | None = None

    @classmethod
    def of(cls, status: int, names: Iterable[object], words: object, retry_after: float | None = None) -> "Said":
        """What is there of it."""
        text = words if isinstance(words, str) else ""
        if text.lstrip().startswith("<"):
            # A proxy's page in place of an error object.
            text = re.sub(r"(?s)<(style|script).*?</\1>|<[^>]*>", " ", text)
        return cls(status, " ".join(str(name) for name in names if name), " ".join(text.split()), retry_after)


@dataclass(frozen=True)
class Rule:
    """A kind of error answer: which ones it is about, what they mean, and what to do.

    ``statuses``, ``names`` and ``words`` each let an answer through where they are empty; the last two are regular
    expressions. An answer has to pass all three.
    """

    error: type[ThumbnailError]
    means: str
    todo: str = ""
    statuses: frozenset[int] = frozenset()
    names: str = ""
    words: str = ""

    def fits(self, said: Said) -> bool:
        """Whether an answer is of this kind."""
        return (
            (not self.statuses or said.status in self.statuses)
            and (not self.names or re.search(self.names, said.names, re.IGNORECASE) is not None)
            and (not self.words or re.search(self.words, said.words, re.IGNORECASE) is not None)
        )


_CLIENT = frozenset(range(400, 500))
_DENIED = frozenset({400, 401, 403, 404, 429})
_BAD = frozenset({400, 422})

_PLACE = r"country|countries|region|location|territory"
_NOT_SERVED = r"not (?:\w+ )?(?:served|supported|available|offered)|unsupported|n.t (?:supported|available)|unavailable"

_Kind = tuple[type[ThumbnailError], str, str]
_REFUSED: _Kind = (PictureRefused, "refuses this picture", "change the title, context or style")
_ABROAD: _Kind = (
    ProviderMisconfigured,
    "serves nobody where this runs",
    "run it in a country that the provider serves",
)
_UNPAID: _Kind = (
    ProviderMisconfigured,
    "is not paid for: the account has no credit, or its spending limit is reached",
    "look at the account's billing, then redrive",
)
_NOT_IN_PLAN: _Kind = (
    ProviderMisconfigured,
    "is not in the account's plan, which allows none of it",
    "switch to a paid plan, or choose another model",
)
_TOMORROW: _Kind = (ProviderMisconfigured, "has no quota left today", "redrive tomorrow, or ask for more")
_TOO_MUCH: _Kind = (
    ProviderRejectedRequest,
    "is asked for more at once than the account's limit",
    "shorten the context",
)
_TOO_MANY: _Kind = (ProviderRateLimited, "has too many requests", "redrive later, or ask for a higher limit")
_CLOSED: _Kind = (
    ProviderMisconfigured,
    "is closed to this account, which the provider has switched off",
    "ask the provider",
)
_UNVERIFIED: _Kind = (
    ProviderMisconfigured,
    "is open to verified organisations alone",
    "verify the organisation in the provider's settings, then wait some minutes",
)
_LEAKED: _Kind = (ProviderMisconfigured, "is not drawn for this key, which was found in public", "make another key")
_API_OFF: _Kind = (
    ProviderMisconfigured,
    "needs an API that is switched off in the key's project",
    "switch it on there",
)
_WRONG_KEY: _Kind = (ProviderMisconfigured, "is not drawn for this key, which the provider rejects", "check {key}")
_FORBIDDEN: _Kind = (
    ProviderMisconfigured,
    "is forbidden to this key or account",
    "look at its permissions and {key}",
)
_NO_MODEL: _Kind = (
    ProviderMisconfigured,
    "is not open to this account under this name",
    "`thumbs models --check` says what is",
)
_ACCOUNT: _Kind = (
    ProviderMisconfigured,
    "may not be used so by this account",
    "look at the account's settings and billing",
)
_SLOW: _Kind = (ProviderTimeout, "was given up by the provider", "redrive later")
_DOWN: _Kind = (ProviderUnavailable, "is out of order or overloaded", "redrive later")

#: In this order: the first that fits decides.
RULES = (
    Rule(*_REFUSED, names=r"content.?policy|moderation.?blocked|content.?filter|safety.?violation"),
    Rule(
        *_REFUSED,
        _BAD,
        words=r"safety (?:system|filter|polic)|content (?:polic|filter)|usage polic|filter reason|"
        r"(?:blocked|rejected|flagged).{0,40}(?:moderation|safety|polic)",
    ),
    Rule(*_ABROAD, names=r"unsupported.?country|country.?region|region.?not|location.?not"),
    Rule(*_ABROAD, _CLIENT, words=rf"(?:{_PLACE}).{{0,60}}(?:{_NOT_SERVED})|(?:{_NOT_SERVED}).{{0,60}}(?:{_PLACE})"),
    Rule(*_UNPAID, names=r"billing|insufficient.?quota|insufficient.?funds|payment|credit|(?<![a-z])spend"),
    Rule(*_UNPAID, frozenset({402})),
    Rule(*_NOT_IN_PLAN, _DENIED, names=r"quota_value:0(?!\S)"),
    Rule(*_NOT_IN_PLAN, _DENIED, words=r"\b(?:limit|quota)(?: value)?(?:\s*(?:is|of|[:=]))?\s*0(?![\d.]*[1-9])\b"),
    Rule(*_TOMORROW, frozenset({429}), names=r"^(?!.*per.?minute).*per.?day"),
    Rule(*_TOMORROW, frozenset({429}), words=r"per day|\(RPD\)|daily"),
    Rule(*_TOO_MUCH, frozenset({413, 429}), words=r"request (?:is )?too large"),
    Rule(ProviderUnavailable, "is not ready", "redrive later", names=r"modelnotready|model.?loading"),
    Rule(*_TOO_MANY, names=r"rate.?limit|throttl|service.?quota|too.?many.?requests|slow.?down"),
    # Gemini's sentence for every limit asks to check "plan and billing details".
    Rule(
        *_UNPAID,
        _CLIENT,
        words=r"credits?\b.{0,30}(?:deplet|exhaust|run out|used up|too low|insufficient)|prepa(?:y|id)|hard limit|"
        r"spend(?:ing)?.{0,12}(?:cap|limit|budget)|(?<!plan and )\bbilling\b|"
        r"insufficient (?:funds|balance|credit|quota)|payment (?:method|instrument|required)",
    ),
    Rule(
        *_CLOSED,
        _CLIENT,
        names=r"deactivat|terminated|suspended|inactive|not.?active|account.?(?:off|disabled|closed|locked)",
    ),
    Rule(
        *_CLOSED,
        frozenset({401, 403, 429}),
        words=r"(?:account|organi[sz]ation|project|consumer|access).{0,40}(?:deactivat|terminat|suspend|inactive|"
        r"not active|closed|locked)",
    ),
    Rule(
        *_UNVERIFIED,
        _DENIED,
        words=r"verif\w*.{0,40}organi[sz]ation|organi[sz]ation.{0,40}verif|identity verification|must be verified",
    ),
    Rule(*_LEAKED, _DENIED, words=r"leaked|compromised|exposed|found in public|publicly"),
    Rule(*_API_OFF, _DENIED, names=r"service.?disabled|access.?not.?configured|api.?(?:disabled|not.?enabled)"),
    Rule(
        *_API_OFF,
        frozenset({403}),
        words=r"has not been used in project|(?:enable|switch on) (?:it|the api)|"
        r"\bapi\b.{0,80}(?:is disabled|not enabled|switched off|turned off)",
    ),
    Rule(
        *_WRONG_KEY,
        _DENIED,
        names=r"invalid.?api.?key|api.?key.?(?:invalid|expired|not)|invalid.?auth|unauthenticated|unrecognizedclient|"
        r"invalidsignature|expiredtoken|incompletesignature|missingauthentication",
    ),
    Rule(
        *_WRONG_KEY,
        _DENIED,
        words=r"api.?key.{0,30}(?:not valid|invalid|not found|expired|incorrect|missing|revoked|deleted)|"
        r"(?:invalid|incorrect|expired|missing|revoked) api.?key|security token.{0,40}(?:invalid|expired)",
    ),
    Rule(
        *_NO_MODEL,
        _DENIED,
        names=r"model.?not.?found|model.?(?:deprecat|retired|not.?available|not.?supported)|deprecated.?model",
    ),
    Rule(
        *_NO_MODEL,
        frozenset({400, 403}),
        words=r"\bmodel\b.{0,160}(?:does not exist|not found|deprecat|no longer|shut down|retired|"
        r"identifier is invalid|not have access|no access)|access to (?:the |this )?model|on-demand throughput",
    ),
    Rule(*_SLOW, frozenset({408, 499, 504})),
    Rule(*_SLOW, names=r"deadline.?exceeded|timeout|timed.?out"),
    Rule(
        *_DOWN,
        names=r"server.?error|overloaded|unavailable|internal(?:server)?.?(?:error|exception)|^internal\b|aborted|"
        r"modelerror",
    ),
    Rule(*_DOWN, frozenset({409, 424, 425, *range(500, 600)})),
    Rule(*_ACCOUNT, names=r"failed.?precondition"),
    Rule(*_ACCOUNT, _BAD, words=r"^operation not allowed"),
    Rule(*_FORBIDDEN, names=r"ip.?not.?authorized|scope|insufficient.?permission|mismatched"),
    Rule(*_WRONG_KEY, frozenset({401})),
    Rule(*_FORBIDDEN, frozenset({403})),
    Rule(*_NO_MODEL, frozenset({404, 410})),
    Rule(*_TOO_MANY, frozenset({429})),
    Rule(ProviderRejectedRequest, "is asked in a way that the provider rejects"),
)


def error_of(said: Said, model: str, provider: str, key: str) -> ThumbnailError:
    """The error that an answer is, with its meaning, what to do, and the provider's own sentence.

    Args:
        said: what the answer says.
        model: who was asked.
        provider: its provider, as people call it.
        key: where the provider's key is kept.
    """
    rule = next(rule for rule in RULES if rule.fits(said))
    todo = f"; {rule.todo.format(key=key)}" if rule.todo else ""
    words = said.words if len(said.words) <= WORDS else said.words[: WORDS - 1] + "…"
    status = f"HTTP {said.status}" if said.status >= 400 else "error"
    message = f"{model} {rule.means}{todo}. {provider} says ({status}): {words or 'nothing'}"
    return ProviderRateLimited(message, said.retry_after) if rule.error is ProviderRateLimited else rule.error(message)


def decoded(encoded: object, model: str) -> bytes:
    """A picture out of base64: of either alphabet, with or without a data URI's prefix, line breaks or padding.

    Raises:
        UnusableAnswer: it is not base64.
    """
    text = encoded if isinstance(encoded, str) else ""
    if text.lstrip().startswith("data:"):
        text = text.partition(",")[2]
    text = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        picture = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError as error:
        raise UnusableAnswer(f"{model} answered with a picture that is not base64") from error
    if not picture:
        raise UnusableAnswer(f"{model} answered without a picture")
    return picture


def count(value: object) -> int:
    """A number of tokens; 0 where it is none."""
    return value if type(value) is int and value >= 0 else 0
