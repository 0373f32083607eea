"""The prompt that a provider gets."""

from thumbnails.catalog import STYLES


def provider_prompt(title: str, style: str, context: str = "", extra_prompt: str = "") -> str:
    """Describe the picture: style first, then the subject, then what must not be in it.

    Args:
        title: the post's title.
        style: a style of the catalogue.
        context: what the post is about, where the writer says so.
        extra_prompt: the writer's own wishes.
    """
    parts = [
        STYLES[style],
        f'A wide picture for a blog post titled "{title}".',
        f"The post is about: {context}" if context else "",
        extra_prompt,
        "The picture holds no text, letters, numbers, captions, logos or watermarks.",
    ]
    return "\n".join(part for part in parts if part)
