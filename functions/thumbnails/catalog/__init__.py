"""What a request may name: models, styles, templates, formats and fonts, as plain data.

Checking a request reads this package, so it imports neither Pillow, nor boto3, nor a provider's SDK. ``models`` holds
the models, ``prices`` what they cost.
"""

from thumbnails.catalog.models import (
    DEFAULT_QUALITY,
    MODELS,
    PROVIDERS,
    QUALITIES,
    Model,
    Order,
    Provider,
    Quality,
    notices,
)
from thumbnails.images.overlay.templates import (
    DEFAULT_FORMAT,
    DEFAULT_OUTPUT,
    FORMATS,
    OUTPUTS,
    TEMPLATES,
    Format,
    Output,
    Template,
)

__all__ = [
    "DEFAULT_FONT",
    "DEFAULT_FORMAT",
    "DEFAULT_OUTPUT",
    "DEFAULT_QUALITY",
    "DEFAULT_STYLE",
    "DEFAULT_TEMPLATE",
    "FONTS",
    "FORMATS",
    "MODELS",
    "OUTPUTS",
    "PROVIDERS",
    "QUALITIES",
    "STYLES",
    "TEMPLATES",
    "Format",
    "Model",
    "Order",
    "Output",
    "Provider",
    "Quality",
    "Template",
    "notices",
]

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
