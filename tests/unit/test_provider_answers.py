"""Every answer that people report of providers, through the real SDKs: which error, retried or not, with which words.

``python -m tests.unit.test_provider_answers`` writes the table in ``docs/troubleshooting.md`` anew.
"""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.httpsession import URLLib3Session

from thumbnails import errors
from thumbnails.catalog import MODELS, Provider
from thumbnails.catalog.models import bedrock_url
from thumbnails.catalog.prices import Usage
from thumbnails.images.providers import bedrock, generate_picture, google, openai
from thumbnails.images.providers.answers import Answer
from thumbnails.images.providers.bedrock import _Body
from thumbnails.runs.failures import BILLED

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("provider_answers.json").read_text())
TROUBLESHOOTING = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
BEGIN, END = "<!-- provider answers: begin -->", "<!-- provider answers: end -->"
MODEL = {
    "openai": "gpt-image-2.5-flare",
    "gemini": "gemini-3-pro-image",
    "bedrock": "stability.stable-image-core-v1:1",
}
NAME = {"openai": "OpenAI", "gemini": "Gemini", "bedrock": "Bedrock"}
BEDROCK_URL: dict[Provider, str] = {"bedrock": bedrock_url("us-west-2")}

Ask = Callable[..., Answer]


@pytest.fixture
def ask() -> Iterator[Ask]:
    with pytest.MonkeyPatch.context() as patch:
        yield asking(patch)
    forget_clients()


def forget_clients() -> None:
    for adapter in (openai, google, bedrock):
        adapter._client.cache_clear()


def asking(patch: pytest.MonkeyPatch) -> Ask:
    """Asks a provider's adapter for a picture, with an answer in the network's place."""
    forget_clients()

    def ask(to: str, status: int, body: Any, name: str = "") -> Answer:
        """``name`` is the error's, where the provider puts it into a header."""
        text = body if isinstance(body, str) else json.dumps(body)
        kind = "text/html" if text.startswith("<") else "application/json"

        def handle(_self: object, request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(status, text=text, headers={"content-type": kind}, request=request)

        def send(_self: object, request: AWSPreparedRequest) -> AWSResponse:
            headers: Any = HeadersDict({"content-type": kind, **({"x-amzn-errortype": name} if name else {})})
            return AWSResponse(request.url, status, headers, _Body(text.encode()))

        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setattr(httpx2.HTTPTransport, "handle_request", handle)
        patch.setattr(URLLib3Session, "send", send)
        order = MODELS[MODEL[to]].order()
        return generate_picture(order, "A prompt", lambda _name: "a-key", 30, BEDROCK_URL)

    return ask


def said_of(ask: Ask, case: dict[str, Any]) -> errors.ThumbnailError:
    with pytest.raises(errors.ThumbnailError) as raised:
        ask(case["to"], case["http"], case["body"], case.get("name", ""))
    return raised.value


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['to']}: {case['n']}")
def test_an_answer_is_told_apart_and_worded(ask: Ask, case: dict[str, Any]) -> None:
    error = said_of(ask, case)
    assert type(error).__name__ == case["error"], str(error)
    assert case["says"] in str(error)
    assert str(error).startswith(MODEL[case["to"]])
    said = case["body"]
    if isinstance(said, dict) and "error" in said:
        # The provider's own sentence, besides what it means and what to do.
        assert said["error"]["message"] in str(error)
    elif isinstance(said, dict) and "message" in said:
        assert said["message"] in str(error)


@pytest.mark.parametrize("case", [case for case in CASES if case["error"] == "PictureRefused"], ids=lambda c: c["n"])
def test_a_refusal_counts_as_nothing_paid(case: dict[str, Any]) -> None:
    assert case["error"] not in BILLED


RED, GREEN = b"\xff\xd8 red", b"\x89PNG green"


def part(picture: bytes, **more: Any) -> dict[str, Any]:
    return {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(picture).decode()}, **more}


def candidate(*parts: dict[str, Any], finish: str = "STOP") -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": finish}]}


@pytest.mark.parametrize(
    "parts",
    [
        [part(RED, thought=True), part(GREEN)],
        [{"text": "hm", "thought": True}, part(RED, thought=True), {"text": "Here it is."}, part(GREEN), part(RED)],
        [part(GREEN, thought=False), part(RED)],
    ],
    ids=["draft first", "words between", "two pictures"],
)
def test_the_picture_is_the_first_that_is_no_thought(ask: Ask, parts: list[dict[str, Any]]) -> None:
    assert ask("gemini", 200, candidate(*parts)).pictures == (GREEN,)


def test_a_draft_alone_is_no_picture(ask: Ask) -> None:
    with pytest.raises(errors.UnusableAnswer, match="without a picture"):
        ask("gemini", 200, candidate(part(RED, thought=True)))


ENCODED = base64.b64encode(GREEN * 40).decode()


@pytest.mark.parametrize(
    "encoded",
    [
        ENCODED,
        f"data:image/png;base64,{ENCODED}",
        "\r\n".join(ENCODED[at : at + 76] for at in range(0, len(ENCODED), 76)),
        f"  {ENCODED}\n",
        ENCODED.rstrip("="),
        ENCODED.replace("+", "-").replace("/", "_"),
    ],
    ids=["plain", "data URI", "lines", "blanks", "no padding", "URL alphabet"],
)
def test_base64_is_read_however_it_is_wrapped(ask: Ask, encoded: str) -> None:
    assert ask("openai", 200, {"data": [{"b64_json": encoded}]}).pictures == (GREEN * 40,)
    inline = {"inlineData": {"mimeType": "image/png", "data": encoded}}
    assert ask("gemini", 200, candidate(inline)).pictures == (GREEN * 40,)


def test_a_picture_in_its_own_url_is_read(ask: Ask) -> None:
    assert ask("openai", 200, {"data": [{"url": f"data:image/png;base64,{ENCODED}"}]}).pictures == (GREEN * 40,)


OPENAI_USAGE = {"input_tokens": 30, "input_tokens_details": {"text_tokens": 20, "image_tokens": 10}}


@pytest.mark.parametrize(
    ("to", "given", "counted"),
    [
        ("openai", {**OPENAI_USAGE, "output_tokens": 300}, Usage(20, 10, 0, 300)),
        (
            "openai",
            {**OPENAI_USAGE, "output_tokens": 300, "output_tokens_details": {"image_tokens": 280, "text_tokens": 20}},
            Usage(20, 10, 20, 280),
        ),
        ("openai", {"input_tokens": 30, "output_tokens": 300}, Usage(30, 0, 0, 300)),
        ("openai", None, None),
        ("openai", {"input_tokens": "many", "output_tokens": -1}, Usage()),
        (
            "gemini",
            {
                "promptTokenCount": 40,
                "candidatesTokenCount": 1130,
                "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1120}],
                "thoughtsTokenCount": 100,
            },
            Usage(40, 0, 110, 1120),
        ),
        ("gemini", None, None),
    ],
)
def test_usage_is_what_the_answer_counts(ask: Ask, to: str, given: Any, counted: Usage | None) -> None:
    name = "usage" if to == "openai" else "usageMetadata"
    picture = {"data": [{"b64_json": ENCODED}]} if to == "openai" else candidate(part(GREEN))
    assert ask(to, 200, {**picture, name: given}).usage == counted


def table(ask: Ask) -> str:
    """The table in the docs: what a provider answers, which error that is, and the message of the image."""
    lines = ["| provider | answer | | error | retried | message |", "|---|---|---|---|---|---|"]
    for case in CASES:
        error = said_of(ask, case)
        retried = "twice" if isinstance(error, errors.TransientError) else "no"
        body = case["body"]
        inner = body.get("error", {}) if isinstance(body, dict) else {}
        names = [inner.get("code") if case["to"] == "openai" else None, inner.get("status")]
        names += [detail.get("reason") for detail in inner.get("details", ())]
        names += [case.get("name")]
        shown = " ".join([str(case["http"]), *(f"`{name}`" for name in names if name)])
        message = str(error).removeprefix(MODEL[case["to"]]).strip().replace("|", "\\|")
        lines.append(f"| {NAME[case['to']]} | {case['n']} | {shown} | `{case['error']}` | {retried} | {message} |")
    return "\n".join(lines)


def test_the_table_in_the_docs_says_what_the_code_does(ask: Ask) -> None:
    written = TROUBLESHOOTING.read_text().partition(BEGIN)[2].partition(END)[0].strip()
    assert written == table(ask), "write it anew: make error-table"


def main() -> None:
    """Write the table anew."""
    before, _, rest = TROUBLESHOOTING.read_text().partition(BEGIN)
    with pytest.MonkeyPatch.context() as patch:
        written = table(asking(patch))
    TROUBLESHOOTING.write_text(f"{before}{BEGIN}\n\n{written}\n\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
