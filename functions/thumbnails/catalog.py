"""What a request may name: models, styles, templates and fonts, as plain data.

Checking a request reads this module, so it imports neither Pillow, nor boto3, nor a provider's SDK.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from thumbnails.images.overlay.templates import TEMPLATES, Template

__all__ = [
    "DEFAULT_FONT",
    "DEFAULT_STYLE",
    "DEFAULT_TEMPLATE",
    "FONTS",
    "MODELS",
    "STYLES",
    "TEMPLATES",
    "Model",
    "Template",
]


@dataclass(frozen=True)
class Model:
    """One image model.

    ``parameters`` are the provider's own request parameters, passed on as they stand. ``width`` and ``height`` are
    the pixels of the picture asked for. ``price_usd`` is the list price of one such picture and ``price_noted`` the
    ISO date on which it was noted; both are None where no price per picture is published.
    """

    id: str
    label: str
    provider: Literal["openai", "google"]
    parameters: Mapping[str, object]
    width: int
    height: int
    price_usd: float | None = None
    price_noted: str | None = None


_MODELS = (
    Model(
        id="gemini-3-pro-image-preview",
        label="Gemini 3 Pro Image",
        provider="google",
        # 1376x768 is what 16:9 gives at 1K, the size made unless another is asked for.
        parameters={"response_modalities": ["IMAGE"], "image_config": {"aspect_ratio": "16:9"}},
        width=1376,
        height=768,
        # One picture at 1K or 2K; the prompt's tokens are extra.
        price_usd=0.134,
        price_noted="2026-11-22",
    ),
    Model(
        id="gpt-image-1",
        label="GPT Image 1",
        provider="openai",
        parameters={"size": "1536x1024", "quality": "medium", "output_format": "jpeg", "output_compression": 85},
        width=1536,
        height=1024,
        # Medium quality at 1536x1024; the prompt's tokens are extra.
        price_usd=0.063,
        price_noted="2026-11-22",
    ),
    Model(
        id="gpt-image-2",
        label="GPT Image 2",
        provider="openai",
        parameters={"size": "1536x1024", "quality": "medium", "output_format": "jpeg", "output_compression": 85},
        width=1536,
        height=1024,
    ),
    Model(
        id="dall-e-3",
        label="DALL·E 3",
        provider="openai",
        parameters={"size": "1792x1024", "quality": "standard", "response_format": "b64_json"},
        width=1792,
        height=1024,
        # Standard quality at 1792x1024.
        price_usd=0.08,
        price_noted="2026-11-22",
    ),
)
MODELS: dict[str, Model] = {model.id: model for model in _MODELS}

# Each opens the provider's prompt, so each reads as the beginning of a description of one picture.
STYLES: dict[str, str] = {
    "photorealistic": (
        "A photorealistic editorial photograph taken with a full-frame camera and a 35 mm lens, natural light, true "
        "colours, fine texture and a shallow depth of field"
    ),
    "cinematic": (
        "A cinematic wide-screen film still with dramatic low-key lighting, volumetric haze, anamorphic depth and a "
        "restrained teal and orange colour grade"
    ),
    "cartoon": (
        "A cheerful modern cartoon illustration with bold clean outlines, flat saturated colours, simple rounded "
        "shapes and expressive poses"
    ),
    "anime": (
        "A detailed anime key visual with crisp line work, cel shading, luminous skies and a painted background full "
        "of atmosphere"
    ),
    "3d": (
        "A polished 3D render of rounded, tactile objects in soft matte materials, under studio lighting with global "
        "illumination, gentle shadows and a seamless backdrop"
    ),
    "pixel-art": (
        "A 16-bit pixel art scene with a small deliberate palette, visible square pixels, clean dithering and no "
        "anti-aliasing"
    ),
    "watercolor": (
        "A loose watercolour painting on cold-pressed paper with wet-in-wet washes, soft bleeding edges, visible "
        "paper grain and generous white space"
    ),
    "oil-painting": (
        "A classical oil painting on canvas with rich layered pigments, confident impasto brush strokes and warm "
        "light falling from one side"
    ),
    "sketch": (
        "A hand-drawn graphite sketch on off-white paper with confident contour lines, cross-hatched shading and a "
        "few unfinished edges"
    ),
    "minimalist": (
        "A minimalist composition of one clear subject in simple geometric shapes, two or three muted colours and a "
        "great deal of empty space"
    ),
    "neon": (
        "A night scene lit by glowing neon tubes in magenta, cyan and violet, with wet reflective surfaces, deep "
        "shadows and a light haze"
    ),
    "vintage": (
        "A vintage mid-century print with faded warm inks, halftone texture, slight misregistration and gently worn "
        "paper"
    ),
}

# Name → file in overlay/fonts/.
FONTS: dict[str, str] = {
    name: f"{name}.ttf"
    for name in (
        "inter",
        "roboto",
        "poppins",
        "montserrat",
        "raleway",
        "oswald",
        "bebas-neue",
        "playfair",
        "merriweather",
        "lora",
        "space-mono",
        "jetbrains-mono",
        "bangers",
        "pacifico",
        "permanent-marker",
        "righteous",
        "creepster",
        "press-start-2p",
    )
}

DEFAULT_STYLE = "photorealistic"
DEFAULT_TEMPLATE = "bottom-bar"
DEFAULT_FONT = "inter"
