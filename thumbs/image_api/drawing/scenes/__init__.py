"""Scenes: what a picture shows. Each draws on a stage and leaves light, palette and line to it."""

from thumbs.image_api.drawing.scenes import land, made
from thumbs.image_api.drawing.scenes.parts import Scene

__all__ = ["SCENES", "Scene"]

SCENES: dict[str, Scene] = {
    "mountains": land.mountains,
    "sea": land.sea,
    "city": made.city,
    "dunes": land.dunes,
    "forest": land.forest,
    "cosmos": made.cosmos,
    "network": made.network,
    "tree": land.tree,
    "ribbons": made.ribbons,
    "ripples": land.ripples,
    "blocks": made.blocks,
    "desk": made.desk,
    "clouds": land.clouds,
    "polar_night": land.polar_night,
}
