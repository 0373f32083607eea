"""OpenAI's moderation endpoint (https://platform.openai.com/docs/api-reference/moderations), asked before paying.

The API function asks it without OpenAI's SDK, which would cost every cold start half a second.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import urllib3

from thumbnails.errors import ModerationUnavailable, Problem

BASE_URL = "https://api.openai.com/v1"
MODEL = "omni-moderation-latest"
SECONDS = 8.0

#: Sends a JSON body to a URL with these headers, and gives the status and the answer's bytes.
Send = Callable[[str, Mapping[str, str], bytes], tuple[int, bytes]]


def moderate(texts: Mapping[str, str], key: str | None, base_url: str, send: Send | None = None) -> list[Problem]:
    """What the endpoint flags, with the categories that it names.

    Args:
        texts: every text of a request by its place in it.
        key: OpenAI's key.
        base_url: another endpoint than OpenAI's own; empty for that.
        send: the way there.

    Raises:
        ModerationUnavailable: it gave no judgement.
    """
    given = {place: text for place, text in texts.items() if text}
    if not given:
        return []
    if not key:
        raise ModerationUnavailable("moderation is on and has no key: set OPENAI_API_KEY")
    body = json.dumps({"model": MODEL, "input": list(given.values())}).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    url = f"{(base_url or BASE_URL).rstrip('/')}/moderations"
    status, answer = (send or _send)(url, headers, body)
    if status != 200:
        raise ModerationUnavailable(f"the moderation endpoint answered with HTTP {status}")
    return [
        Problem(place, f"{place} is flagged by moderation: {', '.join(categories)}")
        for place, categories in zip(given, _flagged(answer, len(given)), strict=True)
        if categories
    ]


def _flagged(answer: bytes, texts: int) -> list[list[str]]:
    """The categories that each text is flagged for, none where it is not."""
    try:
        results: list[Any] = json.loads(answer)["results"]
        found = [
            [name for name, hit in result["categories"].items() if hit] or ["other"] if result["flagged"] else []
            for result in results
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModerationUnavailable("the moderation endpoint answered with something other than a judgement") from error
    if len(found) != texts:
        raise ModerationUnavailable(f"the moderation endpoint judged {len(found)} of {texts} texts")
    return found


def _send(url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
    http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(total=SECONDS))
    try:
        answer = http.request("POST", url, headers=dict(headers), body=body)
    except urllib3.exceptions.HTTPError as error:
        raise ModerationUnavailable("the moderation endpoint gave no answer") from error
    return answer.status, answer.data
