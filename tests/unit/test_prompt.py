"""The provider's prompt."""

import pytest

from thumbnails.catalog import STYLES
from thumbnails.images.prompt import provider_prompt


@pytest.mark.parametrize("style", STYLES)
def test_a_prompt_opens_with_the_style_and_ends_with_what_must_not_be_in_it(style: str) -> None:
    lines = provider_prompt("A title", style).splitlines()
    assert lines[0] == STYLES[style]
    assert '"A title"' in lines[1]
    assert "no text" in lines[-1]
    assert len(lines) == 3


def test_context_and_wishes_have_a_line_each() -> None:
    lines = provider_prompt("A title", "neon", "About queues.", "No people.").splitlines()
    assert lines[2:4] == ["The post is about: About queues.", "No people."]
    assert len(lines) == 5
