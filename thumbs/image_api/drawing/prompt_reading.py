"""Reads a prompt: which style it asks for, which scene its title brings to mind, and whose hand draws it."""

import hashlib
import re
from dataclasses import dataclass

from thumbs.image_api.drawing.scenes import SCENES
from thumbs.image_api.drawing.styles import STYLES

# Words of a title, and the scene for the first and for the second kind of hand.
_FAMILIES: tuple[tuple[str, tuple[str, str]], ...] = (
    (
        "fan-out fan fanout parallel graph network distributed nodes? agents? apis? events? eventbridge "
        "workflows? microservices? orchestrat\\w* pipelines? lambda lambdas queues? topology mesh branch\\w* dag",
        ("network", "tree"),
    ),
    ("trees? gardens? grow\\w* roots? seeds? leaf leaves plants?", ("tree", "forest")),
    (
        "retry retries backoff timeouts? echo rate throttl\\w* latency ripples? lakes? wait\\w* calm",
        ("ripples", "sea"),
    ),
    (
        "blocks? servers? batch batches databases? storage caches? code coding infra\\w* clusters? idempotent "
        "build\\w* bricks? architecture software deploy\\w* containers? docker types? modules? tests? testing",
        ("blocks", "blocks"),
    ),
    (
        "flows? streams? waves? data signals? music sound async throughput silk analytics kafka",
        ("ribbons", "ribbons"),
    ),
    ("seas? oceans? boats? ships? sail\\w* islands? beach harbou?rs? coast\\w* fish\\w* water", ("sea", "sea")),
    (
        "city cities urban streets? towns? skyline enterprise startups? market\\w* money finance business traffic",
        ("city", "city"),
    ),
    ("deserts? dunes? sand sahara heat drought dry", ("dunes", "dunes")),
    ("forests? woods? jungle nature wild\\w* hik\\w* moss", ("forest", "forest")),
    (
        "space stars? planets? galax\\w+ universe cosmos rockets? moon orbit\\w* future ai kubernetes launch\\w*",
        ("cosmos", "cosmos"),
    ),
    (
        "coffee tea desks? offices? writ\\w+ blogs? books? learn\\w* morning remote habits? cook\\w*",
        ("desk", "desk"),
    ),
    ("clouds? serverless aws fly\\w* flight balloons? weather air sky skies lift\\w*", ("clouds", "clouds")),
    ("aurora northern winter snow ice polar night sleep dark", ("polar_night", "polar_night")),
    (
        "mountains? hills? peaks? climb\\w* summits? scal\\w+ valleys? journey alps trails? height",
        ("mountains", "mountains"),
    ),
)
_PATTERNS = [(re.compile(r"\b(?:" + "|".join(words.split()) + r")\b", re.I), scenes) for words, scenes in _FAMILIES]
_QUOTED = re.compile('["“«„]([^"”»“]{3,300})["”»“]')


@dataclass(frozen=True)
class Hand:
    """How one model draws: its palettes, where its light comes from, and which of two scenes it prefers."""

    palettes: tuple[str, ...]
    light: tuple[float, float]
    second_kind: bool = False


_HANDS: dict[str, Hand] = {
    "gemini-3-pro-image": Hand(("dawn", "alpine", "mint", "lagoon"), (0.27, 0.30)),
    "gpt-image-1": Hand(("golden", "ember", "rose", "desert"), (0.70, 0.36), second_kind=True),
    "gpt-image-2": Hand(("bluehour", "indigo", "aurora"), (0.57, 0.33)),
    "dall-e-3": Hand(("dream", "rose", "lagoon", "ember"), (0.40, 0.40), second_kind=True),
}


@dataclass(frozen=True)
class Reading:
    """What is to be drawn."""

    style: str
    scene: str
    palette: str
    hand: Hand
    seed: int


def read(prompt: str, model: str) -> Reading:
    """What a model draws for a prompt."""
    digest = hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).digest()
    own = hashlib.sha256(f"{model}\n{prompt}".encode("utf-8", "surrogatepass")).digest()
    hand = _hand(model)
    return Reading(
        style=_style(prompt),
        scene=_scene(prompt, hand, digest[0]),
        palette=hand.palettes[own[1] % len(hand.palettes)],
        hand=hand,
        seed=int.from_bytes(own[:8], "big"),
    )


def _hand(model: str) -> Hand:
    for name, hand in _HANDS.items():
        # Longest names first would matter if one were the beginning of another with a different hand; none is.
        if model.startswith(name):
            return hand
    return list(_HANDS.values())[hashlib.sha256(model.encode("utf-8", "surrogatepass")).digest()[0] % len(_HANDS)]


def _style(prompt: str) -> str:
    """The style that is named first; a prompt that names none gets a photograph."""
    lowered = prompt.lower()
    places = [
        (place, name) for name, style in STYLES.items() for word in style.words if (place := lowered.find(word)) >= 0
    ]
    return min(places)[1] if places else "photorealistic"


def _scene(prompt: str, hand: Hand, number: int) -> str:
    quoted = _QUOTED.search(prompt)
    for text in (quoted.group(1) if quoted else "", _after_style(prompt)):
        found = [(match.start(), scenes) for pattern, scenes in _PATTERNS if (match := pattern.search(text))]
        if found:
            return min(found)[1][hand.second_kind]
    return list(SCENES)[number % len(SCENES)]


def _after_style(prompt: str) -> str:
    """The prompt without the description of its style, whose words say nothing of the subject."""
    place = re.search(r"\b(?:post|title|titled|about|of a|of an|of the)\b", prompt)
    return prompt[place.end() :] if place else prompt
