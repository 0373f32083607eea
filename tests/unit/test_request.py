"""What may be asked for: both forms, every check, in the contract's order and with its words."""

# hypothesis is not followed by mypy.
# mypy: disable-error-code="untyped-decorator"

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from thumbnails.catalog import FONTS, MODELS, PROVIDERS, STYLES, TEMPLATES
from thumbnails.errors import InvalidBatch
from thumbnails.requests.checks import parse_campaign, parse_cell, parse_request
from thumbnails.requests.models import Batch, Task, Thumbnails

CAP = 50
GEMINI, GPT = "gemini-3-pro-image-preview", "gpt-image-1"
EMPTY_PROMPTS = "prompts must contain at least one title"
EMPTY_MODELS = "models must contain at least one model"
TOO_MANY = "batch is capped at 50 generated images"


def batch(**changes: Any) -> dict[str, Any]:
    return {"prompts": ["A title"], "models": [GPT], **changes}


def refusal(value: object, task: Task = "generateBatch") -> str:
    with pytest.raises(InvalidBatch) as refused:
        parse_request(task, value, CAP)
    message = str(refused.value)
    assert "\n" not in message
    return message


FULL = Batch(
    prompts=["One title", "Another"],
    models=[GPT, GEMINI],
    style="anime",
    template="left-panel",
    font="lora",
    context="A post.",
    extra_prompt="No people.",
)


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        (FULL.model_dump(exclude={"reuse"}), FULL),
        ([FULL.prompts, FULL.models, "anime", "left-panel", "lora", "A post.", "No people."], FULL),
        ([["A title"], [GPT]], Batch(prompts=["A title"], models=[GPT])),
        ([["A title"], [GPT], "neon"], Batch(prompts=["A title"], models=[GPT], style="neon")),
        ([["A title"], [GPT], None, None, "lora"], Batch(prompts=["A title"], models=[GPT], font="lora")),
        (
            {"prompts": ["A title"], "models": [GPT], "style": None, "context": None},
            Batch(prompts=["A title"], models=[GPT]),
        ),
    ],
    ids=["object", "array", "array without options", "array with one option", "null items", "null fields"],
)
def test_both_forms_of_a_batch_mean_the_same(value: object, parsed: Batch) -> None:
    assert parse_request("generateBatch", value, CAP) == parsed


@pytest.mark.parametrize(
    "value", [{"title": "A title", "models": [GPT], "font": "lora"}, ["A title", [GPT], None, None, "lora"]]
)
def test_both_forms_of_one_title_mean_the_same(value: object) -> None:
    assert parse_request("generateThumbnails", value, CAP) == Thumbnails(title="A title", models=[GPT], font="lora")


def test_what_is_left_out_has_a_default() -> None:
    parsed = parse_request("generateBatch", batch(), CAP)
    assert parsed.model_dump() == {
        "prompts": ["A title"],
        "models": [GPT],
        "style": "photorealistic",
        "template": "bottom-bar",
        "font": "inter",
        "context": "",
        "extra_prompt": "",
        "reuse": False,
        "redraw": "",
        "max_wait_seconds": 900,
        "quality": "standard",
        "variants": 1,
        "formats": ["og"],
        "drawn_for": [],
        "output": "jpeg",
        "kicker": "",
        "author": "",
        "missing_glyphs": "refuse",
        "typography": "as-is",
        "brand": "",
        "only": [],
    }


@pytest.mark.parametrize(
    ("given_title", "kept"),
    [
        ("  A title\n", "A title"),
        ("Two\r\n\tlines", "Two lines"),
        ("bell\x07 and nul\x00", "bell and nul"),
        ("no\u00a0break", "no break"),
        ("الخط\u200cالعربي", "الخط\u200cالعربي"),
        ("👩\u200d💻 at work", "👩\u200d💻 at work"),
    ],
)
def test_text_is_trimmed_and_loses_control_characters_alone(given_title: str, kept: str) -> None:
    assert parse_request("generateBatch", batch(prompts=[given_title]), CAP).titles == [kept]


def test_a_title_may_be_asked_for_twice() -> None:
    assert parse_request("generateBatch", batch(prompts=["A title"] * 2), CAP).titles == ["A title"] * 2


@pytest.mark.parametrize(
    ("images", "message"), [(0, EMPTY_PROMPTS), (49, None), (50, None), (51, TOO_MANY), (10_000, TOO_MANY)]
)
def test_the_cap_counts_images(images: int, message: str | None) -> None:
    asked = batch(prompts=["A title"] * images)
    if message is None:
        assert len(parse_request("generateBatch", asked, CAP).titles) == images
        return
    with pytest.raises(InvalidBatch) as refused:
        parse_request("generateBatch", asked, CAP)
    assert str(refused.value) == message


def test_the_cap_counts_prompts_times_models_and_names_its_own_number() -> None:
    asked = batch(prompts=["A title"] * 3, models=[GPT, GEMINI])
    parse_request("generateBatch", asked, 6)
    with pytest.raises(InvalidBatch, match=r"^batch is capped at 5 generated images$"):
        parse_request("generateBatch", asked, 5)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"prompts": [], "models": [], "style": "no such"}, EMPTY_PROMPTS),
        ({"models": [GPT]}, EMPTY_PROMPTS),
        ({}, EMPTY_PROMPTS),
        ([], EMPTY_PROMPTS),
        ({"prompts": ["x"], "models": [], "style": "no such"}, EMPTY_MODELS),
        ({"prompts": ["A title"]}, EMPTY_MODELS),
        ([["A title"]], EMPTY_MODELS),
        ({"prompts": ["x"] * 26, "models": ["no such", "none"]}, TOO_MANY),
        ({"prompts": ["x"], "models": ["no such"]}, "prompts[0]: a title has 3 to 200 characters, this one has 1"),
        (
            {"prompts": ["A title"], "models": ["no such"], "extra_prompt": "x" * 501},
            "extra_prompt has at most 500 characters, this one has 501",
        ),
    ],
)
def test_the_first_check_that_fails_is_the_one_that_speaks(value: object, message: str) -> None:
    assert refusal(value) == message


@pytest.mark.parametrize("value", [{"models": [GPT]}, {"title": "  ", "models": [GPT]}, [None, [GPT]]])
def test_one_empty_title_is_no_title(value: object) -> None:
    assert refusal(value, "generateThumbnails") == EMPTY_PROMPTS


@pytest.mark.parametrize(
    ("field", "fits", "message"),
    [
        ("title", 2, "prompts[1]: a title has 3 to 200 characters, this one has 2"),
        ("title", 3, None),
        ("title", 200, None),
        ("title", 201, "prompts[1]: a title has 3 to 200 characters, this one has 201"),
        ("extra_prompt", 500, None),
        ("extra_prompt", 501, "extra_prompt has at most 500 characters, this one has 501"),
        ("context", 2500, None),
        ("context", 2501, "context has at most 2500 characters, this one has 2501"),
    ],
)
def test_lengths_are_counted_after_trimming(field: str, fits: int, message: str | None) -> None:
    text = " " + "x" * fits + "\n"
    value = batch(prompts=["A title", text]) if field == "title" else batch(**{field: text})
    if message is None:
        parse_request("generateBatch", value, CAP)
    else:
        assert refusal(value) == message


@pytest.mark.parametrize(
    ("changes", "kind", "known"),
    [
        ({"models": [GPT, "gpt-image-9"]}, "model 'gpt-image-9'", MODELS),
        ({"models": ["GPT-Image-1"]}, "model 'GPT-Image-1'", MODELS),
        ({"style": "photo"}, "style 'photo'", STYLES),
        ({"template": "top-bar"}, "template 'top-bar'", TEMPLATES),
        ({"font": "comic-sans"}, "font 'comic-sans'", FONTS),
        ({"font": ""}, "font ''", FONTS),
    ],
)
def test_an_unknown_name_is_named_with_the_good_ones(changes: dict[str, Any], kind: str, known: dict[str, Any]) -> None:
    assert refusal(batch(**changes)) == f"unknown {kind}; choose from: {', '.join(known)}"


def test_a_long_unknown_name_is_cut_in_the_message() -> None:
    assert len(refusal(batch(font="x" * 10_000))) < 500


def test_a_model_is_drawn_once() -> None:
    assert refusal(batch(models=[GPT, GEMINI, GPT])) == (
        "model 'gpt-image-1' is named twice; a run draws each title once by each model"
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (batch(colour="red"), "unknown field 'colour'; a request has: models, style"),
        (batch(title="A title"), "unknown field 'title'"),
        (batch(prompts="A title"), "prompts must be a list of strings"),
        (batch(prompts=["A title", 7]), "prompts[1] must be a string"),
        (batch(models=[None]), "models[0] must be a string"),
        (batch(style=["anime"]), "style must be a string"),
        (batch(reuse="yes"), "reuse must be true or false"),
        (batch(prompts=["half \ud83d"]), "prompts[0] contains an incomplete character"),
        ([["A title"], [GPT], "anime", "left-panel", "lora", "", "", "extra"], "a request array has at most 7 items"),
        ("A title", "a request is an object with prompts and models"),
        (None, "a request is an object with prompts and models"),
        (7, "a request is an object with prompts and models"),
    ],
)
def test_what_is_no_request_is_told_what_one_is(value: object, message: str) -> None:
    assert refusal(value).startswith(message)


JSON_TEXT = st.text() | st.sampled_from(["A title", GPT, "x" * 201, "\ud800", "anime", "left-panel", "lora"])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | JSON_TEXT,
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(JSON_TEXT, inner, max_size=8),
    max_leaves=12,
)
FIELDS = [*Batch.model_fields, "title"]
REQUESTS = st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES | st.lists(JSON_TEXT)) | JSON_VALUES


@pytest.mark.parametrize("task", ["generateBatch", "generateThumbnails"])
@given(value=REQUESTS)
@example(value={"prompts": [["deep"]], "models": {}})
@example(value=json.loads('{"\\ud800": 1}'))
@example(value={"a\nb": 1})
@example(value=batch(font="a\nb\u2028c"))
def test_any_json_is_either_a_request_or_refused_in_one_line(task: Task, value: object) -> None:
    try:
        parsed = parse_request(task, value, CAP)
    except InvalidBatch as refused:
        message = str(refused)
        assert message
        assert len(message.splitlines()) == 1
        message.encode()
    else:
        assert 1 <= len(parsed.titles) * len(parsed.models) <= CAP


def test_a_cell_needs_a_title_and_a_model_and_no_more() -> None:
    cell = parse_cell({"title": " A title ", "model": GPT}, run_id="request-1")
    assert (cell.title, cell.run_id, cell.execution, cell.row, cell.column) == (
        "A title",
        "request-1",
        "request-1",
        0,
        0,
    )


def test_a_cell_of_a_run_keeps_the_run_and_the_execution() -> None:
    event = {"title": "A title", "model": GPT, "run_id": "run-1", "execution": "again", "row": 4, "column": 2}
    cell = parse_cell(event, run_id="request-1")
    assert (cell.run_id, cell.execution, cell.row, cell.column) == ("run-1", "again", 4, 2)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"model": GPT}, "title is missing"),
        ({"title": "A title"}, "model is missing"),
        ({"title": "Aa", "model": GPT}, "title: a title has 3 to 200 characters, this one has 2"),
        ({"title": "A title", "model": "m"}, "unknown model 'm'; choose from: "),
        ({"title": "A title", "model": GPT, "size": 1}, "unknown field 'size'; a request has: title, model"),
        ({"title": "A title", "model": GPT, "row": -1}, "row must be "),
        ({"title": "A title", "model": GPT, "row": "x"}, "row must be "),
        ({"title": "A title", "model": GPT, "run_id": "../etc"}, "run_id "),
        ([], "a request must be an object"),
        (None, "a request must be an object"),
    ],
)
def test_a_cell_is_checked_as_a_request_is(event: object, message: str) -> None:
    with pytest.raises(InvalidBatch) as refused:
        parse_cell(event, run_id="request-1")
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


RETIRED = ["gpt-image-1", "dall-e-3", "gemini-3-pro-image-preview"]


@pytest.mark.parametrize("model", RETIRED)
def test_a_retired_model_is_refused_where_its_provider_is_called_and_drawn_offline(model: str) -> None:
    provider = MODELS[model].provider
    for real in (set(PROVIDERS), {provider}):
        with pytest.raises(InvalidBatch, match=f"'{model}' was shut down .* use '{MODELS[model].successor}'"):
            parse_request("generateBatch", batch(models=[model]), CAP, real)
        with pytest.raises(InvalidBatch, match="was shut down"):
            parse_cell({"title": "A title", "model": model}, run_id="r", real=real)
        with pytest.raises(InvalidBatch, match="was shut down"):
            parse_campaign({"file": "f", "max_images": 1, "models": [model]}, real)
    other = set(PROVIDERS) - {provider}
    assert parse_request("generateBatch", batch(models=[model]), CAP, other).models == [model]
    assert parse_cell({"title": "A title", "model": model}, run_id="r").model == model


def test_a_living_model_is_taken_wherever_it_is_drawn() -> None:
    assert parse_request("generateBatch", batch(models=["gpt-image-2.5-flare"]), CAP, PROVIDERS)


TOTO = "'𞊐' (U+1E290 TOTO LETTER PA)"


@pytest.mark.parametrize(
    ("title", "named"),
    [
        ("Toto 𞊐𞊐 letters", TOTO),
        ("A &#x1E290; entity", TOTO),
        ("Some \U0001faff emoji", "'\\U0001faff' (U+1FAFF)"),
        ("Six " + "".join(chr(0x1E290 + n) for n in range(7)), f"{TOTO}, '𞊑'"),
        ("Private \ue123 letter", "'\\ue123' (U+E123)"),
    ],
)
def test_a_title_with_letters_that_no_font_has_is_refused_by_name(title: str, named: str) -> None:
    with pytest.raises(InvalidBatch) as refused:
        parse_request("generateBatch", batch(prompts=["Fine", title]), CAP)
    (problem,) = refused.value.problems
    assert problem.field == "prompts[1]"
    assert problem.message.startswith(f"prompts[1]: no font has {named}")
    assert 'missing_glyphs: "allow"' in problem.message
    assert parse_request("generateBatch", batch(prompts=[title], missing_glyphs="allow"), CAP).titles


@pytest.mark.parametrize(
    "title",
    [
        "𝗕𝗼𝗹𝗱 and 𝕏",
        "ಕನ್ನಡದಲ್ಲಿ ಬ್ಲಾಗ್",
        "Go 🚀 👨\u200d👩\u200d👧 #️⃣",
        "Tips &amp; &foo; tricks",
        "soft\u00adhyphen",
        "直す 汉字 한글",
    ],
)
def test_a_title_whose_letters_can_all_be_drawn_is_taken(title: str) -> None:
    for font in FONTS:
        assert parse_request("generateThumbnails", {"title": title, "models": [GPT], "font": font}, CAP).titles


def test_a_cell_and_a_campaign_say_what_becomes_of_missing_letters() -> None:
    cell = {"title": "Toto 𞊐", "model": GPT}
    with pytest.raises(InvalidBatch, match="no font has"):
        parse_cell(cell, run_id="run")
    assert parse_cell({**cell, "missing_glyphs": "allow"}, run_id="run").missing_glyphs == "allow"
    campaign = parse_campaign({"file": "a.csv", "max_images": 1, "missing_glyphs": "allow", "typography": "smart"})
    assert campaign.defaults == {"missing_glyphs": "allow", "typography": "smart"}
