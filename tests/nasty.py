"""Input that nobody should send: by hand, and generated. Every value that hypothesis draws here is JSON in Python."""

# hypothesis is not followed by mypy.
# mypy: disable-error-code="no-any-return, untyped-decorator"

import csv
import io
import json
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from thumbnails.catalog import FONTS, MODELS, STYLES, TEMPLATES

MEGABYTES_10 = 10 * (1 << 20)

#: Text that has broken something somewhere.
STRINGS = (
    "",
    " ",
    "ab",
    "x" * 201,
    "x" * 70_000,
    "A title",
    "..",
    ".",
    "/",
    "../../etc/passwd",
    "..\\..\\windows",
    "%2e%2e%2f%2e%2e%2f",
    "%00",
    "nul\x00inside",
    "\x00\x01\x02",
    "bell\x07 escape\x1b[31mred",
    "two\nlines\r\nand\u2028more",
    "\u202eright to left\u202c override",
    "\u2066isolate\u2069 \u200fmark",
    "\u200b\u200b\u200b\u200b",
    "\ufeff\ufeff\ufeff",
    "\u00ad\u034f\u061c",
    "e" + "\u0301" * 199,
    "Z\u0351\u036b\u0343" * 50,
    "👨\u200d👩\u200d👧\u200d👦" * 15,
    "🇩🇪🇫🇷🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "\ud800",
    "half \udfff surrogate",
    "\ufffe\uffff\U0010ffff",
    "".join(map(chr, range(0x12000, 0x120C8))),
    "\ufdfa" * 200,
    "__proto__",
    "constructor",
    "toString",
    "{{7*7}}",
    "${jndi:ldap://a}",
    "<script>alert(1)</script>",
    "'; DROP TABLE runs;--",
    "States.Format('{}', $)",
    "[red]markup[/]",
    "NaN",
    "null",
)

#: Whole requests, as JSON that every way in can carry.
REQUESTS: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    10**30,
    1e308,
    "A title",
    "",
    [],
    [[]],
    [[[[[]]]]],
    {},
    {"": ""},
    {"__proto__": {"prompts": ["A title"]}, "constructor": {"prototype": {}}},
    {"prompts": "A title", "models": "gpt-image-1"},
    {"prompts": {"0": "A title"}, "models": {"0": "gpt-image-1"}},
    {"prompts": ["A title"], "models": ["../../secrets"]},
    {"prompts": ["A title"], "models": ["gpt-image-1"], "x" * 50_000: 1},
    {"prompts": ["A title"], "models": ["gpt-image-1"], "\x00\n\u202e": 1},
    {"prompts": ["A title"], "models": ["gpt-image-1"], "font": "x" * 50_000},
    {"prompts": ["A title"], "models": ["gpt-image-1"], "reuse": 1},
    {"prompts": ["A title"], "models": ["gpt-image-1"], "resume": "../.."},
    {"prompts": ["A title"], "models": ["gpt-image-1"], "resume": ".."},
    {"prompts": ["A title"], "models": ["gpt-image-1"], "resume": {"run": 1}},
    {"prompts": [1.5, None, [], {}], "models": [0]},
    {"prompts": ["A title"] * 20_000, "models": ["gpt-image-1"]},
    {"prompts": ["A title"], "models": [f"m{number}" for number in range(20_000)]},
    {"prompts": ["\u200b\u200b\u200b"], "models": ["gpt-image-1"]},
    {"prompts": ["A title"], "models": ["gpt-image-1"], "context": "\ufdfa" * 2501},
    {"detail-type": "x", "detail": None},
    {"detail-type": {}, "detail": {"detail": {"detail": []}}},
    {"detail-type": "Object Created", "source": "aws.s3", "detail": {}},
    {"detail-type": "x", "source": "aws.s3", "detail": {"bucket": {"name": "../x"}, "object": {"key": "inbox/../a"}}},
    {"detail-type": "x", "source": "aws.s3", "detail": {"bucket": {"name": "blog"}, "object": {"key": "k" * 2000}}},
    [["A title"], ["gpt-image-1"], 1, 2, 3, 4, 5],
    [["A title"], ["gpt-image-1"], "", "", "", "", "", ""],
)

#: Text that is no JSON, or that a guess would be made at.
BODIES: tuple[bytes, ...] = (
    b"",
    b" \n",
    b"{",
    b"[" * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
    b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    b"\xff\xfe\x00",
    b'{"prompts": ["\xc3\x28"]}',
    b'{"prompts": ["\xed\xa0\x80 title"], "models": ["gpt-image-1"]}',
    b"NaN",
    b"-Infinity",
    b'{"prompts": ["A title"], "models": ["gpt-image-1"], "row": NaN}',
    b'{"prompts": ["A title"], "models": ["gpt-image-1"], "row": 1e999}',
    b"1" * 5_000,
    b'{"prompts": ["A title"], "prompts": ["Another title"], "models": ["gpt-image-1"]}',
    b'{"prompts": ["A title"], "models": ["gpt-image-1"], "a\\nb": 1, "a\\nb": 2}',
    b'{"prompts": ["a\nb c"], "models": ["gpt-image-1"]}',
    b"prompts: [A title]",
    b"\x00" * 1_000,
    b"PK\x03\x04",
)

texts = st.sampled_from(STRINGS) | st.text(max_size=220)
good_titles = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "M"]), min_size=3, max_size=80)
titles = good_titles | good_titles | texts
wishes = st.just("") | st.text(max_size=80) | texts
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(min_value=10**20) | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(texts, inner, max_size=6),
    max_leaves=12,
)


def models() -> SearchStrategy:
    """Lists of good models."""
    return st.lists(st.sampled_from(sorted(MODELS)), min_size=1, max_size=4, unique=True)


@st.composite
def requests(draw: DrawFn, first: str) -> dict[str, Any]:
    """Good requests and near misses: up to two fields hold something else, or a name that no request has."""
    prompts = st.lists(titles, min_size=1, max_size=4)
    request = draw(
        st.fixed_dictionaries(
            {first: titles if first == "title" else prompts, "models": models()},
            optional={
                "style": st.sampled_from(sorted(STYLES)),
                "template": st.sampled_from(sorted(TEMPLATES)),
                "font": st.sampled_from(sorted(FONTS)),
                "context": wishes,
                "extra_prompt": wishes,
                "reuse": st.booleans(),
            },
        )
    )
    names = st.sampled_from([*request, "resume", "blog_url", "__proto__"]) | texts
    for name in draw(st.just([]) | st.just([]) | st.lists(names, min_size=1, max_size=2)):
        request[name] = draw(values)
    return request


@st.composite
def asked(draw: DrawFn, first: str) -> Any:
    """What is asked, in every form: an object, a positional array, an envelope around either, any JSON at all."""
    form = draw(st.sampled_from(["object", "object", "array", "envelope", "any", "any envelope"]))
    if form == "any":
        return draw(values)
    if form == "any envelope":
        return {"detail-type": draw(values), "source": draw(values), "detail": draw(values)}
    request = draw(requests(first))
    if form == "array":
        names = (first, "models", "style", "template", "font", "context", "extra_prompt")
        request = [request.get(name) for name in names[: draw(st.integers(0, 7))]] + draw(st.lists(values, max_size=1))
    return {"detail-type": "BatchRequested", "source": "blog", "detail": request} if form == "envelope" else request


@st.composite
def bodies(draw: DrawFn, first: str) -> bytes:
    """Texts: JSON in several encodings, JSON that is cut or spliced, and bytes."""
    if draw(st.integers(0, 3)) == 0:
        return draw(st.binary(max_size=200) | st.sampled_from(BODIES))
    value = draw(requests(first) | asked(first))
    text = json.dumps(value, ensure_ascii=draw(st.booleans()))
    if draw(st.integers(0, 4)) == 1:
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.sampled_from(["", "NaN", "1e999", '"a":1,"a":2', "[" * 60, "\x00", ","]))
    raw = text.encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32"])), "surrogatepass")
    return raw[: draw(st.integers(0, len(raw)))] if draw(st.integers(0, 5)) == 1 else raw


@st.composite
def campaigns(draw: DrawFn) -> Any:
    """What a campaign is asked for, and near misses; its file is ``campaigns/posts`` with either ending."""
    request = draw(
        st.fixed_dictionaries(
            {
                "file": st.sampled_from(["campaigns/posts.csv", "campaigns/posts.json"]),
                "max_images": st.integers(1, 40),
            },
            optional={
                "models": models(),
                "style": st.sampled_from(sorted(STYLES)),
                "max_concurrency": st.integers(-1, 10_001),
                "tolerated_failure_percentage": st.floats(),
                "context": wishes,
                "reuse": st.booleans(),
            },
        )
    )
    names = st.sampled_from([*request, "resume", "title", "__proto__"]) | texts
    for name in draw(st.just([]) | st.just([]) | st.lists(names, min_size=1, max_size=2)):
        request[name] = draw(values)
    return draw(st.sampled_from([request, request, request, {"detail-type": "", "source": "", "detail": request}]))


@st.composite
def tables(draw: DrawFn) -> bytes:
    """CSV files: good rows, near misses, and what an editor or a cut connection makes of them."""
    names = ["title", "models", "style", "template", "font", "context", "extra_prompt", "reuse"]
    header = draw(st.lists(st.sampled_from(names) | texts, max_size=6, unique=True))
    cells = titles | st.sampled_from([*MODELS, "gpt-image-1;dall-e-3", "neon", "TRUE", "", '"', "\x00"])
    rows = draw(st.lists(st.lists(cells, max_size=7), max_size=5))
    file = io.StringIO(newline="")
    csv.writer(file, escapechar="\\").writerows([draw(st.sampled_from([header, ["title", "models"]])), *rows])
    raw = file.getvalue().encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"])), "replace")
    return raw[: draw(st.integers(0, len(raw)))] if draw(st.integers(0, 4)) == 1 else raw
