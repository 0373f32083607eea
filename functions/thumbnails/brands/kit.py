"""A brand kit as its document has it, and every check of it that needs neither Pillow nor a rasteriser."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictStr,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from thumbnails.brands.fonts import Coverage, read_font
from thumbnails.errors import InvalidBatch, Problem, quoted
from thumbnails.images.overlay.templates import Template

#: With base64 around it once more, and what an invocation has beside it, this stays below Lambda's 6 MB.
KIT_BYTES = 4_000_000
LOGO_PIXELS = 2000
#: WCAG 2.2, success criterion 1.4.3.
CONTRAST = 4.5
MOST_FONTS, MOST_TEMPLATES, TEMPLATE_BYTES = 4, 20, 10_000
NAME = r"[a-z0-9]+(-[a-z0-9]+)*"
NAME_CHARACTERS = 40
PNG = b"\x89PNG\r\n\x1a\n"

Corner = Literal["upper-left", "upper-right", "lower-left", "lower-right"]
#: Kept from a kit's own words, and long enough for a name, a site or a section.
_LINE, _KICKER = 80, 40


def check_name(name: str) -> str:
    """A name of a kit, or of a font or template in it.

    Raises:
        ValueError: it is none.
    """
    if len(name) > NAME_CHARACTERS or not re.fullmatch(NAME, name):
        raise ValueError(
            f"{quoted(name)} is no name; right is, with at most {NAME_CHARACTERS} characters: acme, acme-2, my-site"
        )
    return name


def _colour(text: str) -> str:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise ValueError(f"{quoted(text)} is no colour; right is # with six hexadecimal digits, such as #1a2b3c")
    return text.lower()


def decoded(value: object) -> bytes:
    """The bytes of base64, which may be broken into lines.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, bytes):
        return value
    try:
        return base64.b64decode("".join(str(value).split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64; `thumbs brand put` takes the file itself, as file") from None


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has a line break or another character that cannot be printed")
    return text.strip()


Name = Annotated[StrictStr, AfterValidator(check_name), Field(json_schema_extra={"pattern": f"^{NAME}$"})]
Colour = Annotated[StrictStr, AfterValidator(_colour), Field(json_schema_extra={"pattern": "^#[0-9a-fA-F]{6}$"})]
Base64 = Annotated[
    bytes,
    BeforeValidator(decoded),
    PlainSerializer(lambda data: base64.b64encode(data).decode(), return_type=str),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, value: Any) -> Any:
        if isinstance(value, dict) and (unknown := [name for name in value if name not in cls.model_fields]):
            raise ValueError(
                f"has an unknown field {quoted(str(unknown[0]))}; right are: {', '.join(cls.model_fields)}"
            )
        return value


class Colours(_Part):
    """Each as ``#rrggbb``. Text on the background has a contrast of 4.5 : 1 at least (WCAG 2.2)."""

    text: Colour
    background: Colour
    accent: Colour

    @model_validator(mode="after")
    def _contrast(self) -> Self:
        if (found := contrast(self.text, self.background)) < CONTRAST:
            right = nearest_readable(self.text, self.background)
            # Rounded down: a 4.5 that is none would be no reason.
            raise ValueError(
                f"text {self.text} on background {self.background} has a contrast of {int(found * 100) / 100:.2f}:1, "
                f"and WCAG 2.2 wants {CONTRAST}:1; the nearest text colour that has it is {right}"
            )
        return self


class Font(_Part):
    """A font file and on what grounds it may be used: TTF or OTF, 2 MB at most.

    ``licence`` says under which licence, and ``may_embed`` that it lets the font be drawn into pictures that are
    published.
    """

    name: Name
    licence: Annotated[StrictStr, AfterValidator(_one_line), Field(min_length=2, max_length=200)]
    may_embed: Annotated[bool, Field(strict=True, json_schema_extra={"const": True})]
    data: Base64

    @model_validator(mode="after")
    def _may_be_used(self) -> Self:
        if not self.may_embed:
            raise ValueError(
                f"{self.name}: may_embed has to be true; say so where the font's licence lets it be drawn into "
                "pictures that are published"
            )
        try:
            # Read here, so that whoever has a kit has fonts that can be asked.
            _ = self.coverage
        except ValueError as error:
            raise ValueError(f"{self.name}: the file {error}") from None
        return self

    @cached_property
    def coverage(self) -> Coverage:
        """The characters that it has."""
        return read_font(self.data)


class Logo(_Part):
    """A PNG of at most 2000 pixels a side (an SVG is made one when the kit is put), and how high it stands.

    ``height`` is a part of the canvas's shorter side.
    """

    data: Base64
    height: Annotated[float, Field(strict=True, ge=0.02, le=0.4)] = 0.09

    @model_validator(mode="after")
    def _is_png(self) -> Self:
        width, height = self.size
        if not (1 <= width <= LOGO_PIXELS and 1 <= height <= LOGO_PIXELS):
            raise ValueError(f"is {width} x {height} pixels; a logo has at most {LOGO_PIXELS} a side")
        return self

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return png_size(self.data)


def png_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels, as a PNG's header says (https://www.w3.org/TR/png-3/#11IHDR).

    Raises:
        ValueError: it has none.
    """
    if data[:8] != PNG or data[12:16] != b"IHDR" or len(data) < 33:
        raise ValueError("is no PNG; a logo is a PNG, or an SVG that `thumbs brand put` or PUT makes one")
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def check_template(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """A template of a kit, as its document has it; the one place where a kit's templates are checked.

    Raises:
        ValueError: it is none.
    """
    if len(json.dumps(value)) > TEMPLATE_BYTES:
        raise ValueError(f"{name} has more than {TEMPLATE_BYTES:,} bytes")
    try:
        Template.model_validate(value)
    except ValidationError as error:
        raise ValueError("; ".join(problem.message for problem in _problems(error, name, name))) from None
    return dict(value)


def _templates(given: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: check_template(name, value) for name, value in given.items()}


class Kit(_Part):
    """A brand kit: what a request that names it may use, and how its images look.

    ``line`` is the author or the site, ``kicker`` the word above the title where the request has none; ``corner`` is
    where the logo and the line stand, ``margin`` how far from the edges, as a part of the canvas's shorter side. The
    first font and the first template are those of a request that names none.
    """

    colours: Colours
    fonts: Annotated[tuple[Font, ...], Field(max_length=MOST_FONTS)] = ()
    logo: Logo | None = None
    line: Annotated[StrictStr, AfterValidator(_one_line), Field(max_length=_LINE)] = ""
    kicker: Annotated[StrictStr, AfterValidator(_one_line), Field(max_length=_KICKER)] = ""
    corner: Corner = "lower-right"
    margin: Annotated[float, Field(strict=True, ge=0.01, le=0.15)] = 0.05
    emoji: Literal["colour", "mono"] = "colour"
    templates: Annotated[dict[Name, dict[str, Any]], AfterValidator(_templates), Field(max_length=MOST_TEMPLATES)] = {}

    @model_validator(mode="after")
    def _as_a_whole(self) -> Self:
        names = [font.name for font in self.fonts]
        if twice := [name for place, name in enumerate(names) if name in names[:place]]:
            raise ValueError(f"has two fonts called {quoted(twice[0])}")
        if (size := len(self.canonical)) > KIT_BYTES:
            raise ValueError(f"has {size:,} bytes with its files in base64; a kit has at most {KIT_BYTES:,}")
        return self

    @cached_property
    def canonical(self) -> bytes:
        """The document as it is stored: fields in one order, what is as if left out is left out, no blanks."""
        said = self.model_dump(mode="json", exclude_defaults=True)
        return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the document, in hex: it changes with everything that changes an image."""
        return hashlib.sha256(self.canonical).hexdigest()

    def font_files(self) -> dict[str, bytes]:
        """The kit's own fonts by name."""
        return {font.name: font.data for font in self.fonts}

    def logo_png(self) -> bytes | None:
        """The logo; None where the kit has none."""
        return self.logo.data if self.logo else None

    def missing_letters(self, title: str, font: str) -> list[str]:
        """The letters of a title that a font of the kit lacks; none where the font is not the kit's."""
        own = next((one for one in self.fonts if one.name == font), None)
        return own.coverage.missing_letters(title) if own else []

    def scripts(self, font: str) -> list[str]:
        """The scripts that a font of the kit has."""
        return next(one.coverage.scripts for one in self.fonts if one.name == font)

    def summary(self) -> dict[str, Any]:
        """What the kit holds, without its files."""
        return {
            "digest": self.digest,
            "bytes": len(self.canonical),
            "colours": self.colours.model_dump(),
            "contrast": int(contrast(self.colours.text, self.colours.background) * 100) / 100,
            "fonts": [
                {"name": font.name, "licence": font.licence, "scripts": font.coverage.scripts} for font in self.fonts
            ],
            "logo": list(self.logo.size) if self.logo else None,
            "line": self.line,
            "kicker": self.kicker,
            "corner": self.corner,
            "emoji": self.emoji,
            "templates": list(self.templates),
        }


#: Finds a kit by its name; raises InvalidBatch where there is none.
Brands = Callable[[str], Kit]


def parse_kit(value: object) -> Kit:
    """Check a kit's document.

    Raises:
        InvalidBatch: with every problem.
    """
    try:
        return Kit.model_validate(value)
    except ValidationError as error:
        problems = _problems(error, "a brand kit")
    raise InvalidBatch(problems[0].message, problems)


def _problems(error: ValidationError, what: str, before: str = "") -> list[Problem]:
    found = []
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        # Of what may be of several kinds Pydantic names the kind too.
        parts = [part for part in one["loc"] if part != "constrained-str" and "literal[" not in str(part)]
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in (before, *parts)).strip(".")
        field = quoted(place, 100)[1:-1]
        if one["type"] == "missing":
            sentence = " is missing"
        elif one["type"] == "extra_forbidden":
            sentence = " is unknown"
        elif one["type"] == "value_error":
            sentence = f": {one['msg'].removeprefix('Value error, ')}"
        else:
            # Such as "Tuple should have at most 4 items after validation, not 5".
            rest = one["msg"].partition(" should ")[2].removeprefix("be ").replace(" after validation", "")
            sentence = f" must {'be ' if ' should be ' in one['msg'] else ''}{rest or one['msg']}"
        found.append(Problem(field, f"{field or what}{sentence}"))
    return found


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    dark, light = sorted(_luminance(_channels(colour)) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def nearest_readable(text: str, background: str) -> str:
    """The colour nearest to a text's, on the way to black or to white, that is readable on a background."""
    given = _channels(text)
    near: list[tuple[float, str]] = []
    for end in (0, 255):
        for step in range(256):
            mixed = [round(channel + (end - channel) * step / 255) for channel in given]
            colour = "#{:02x}{:02x}{:02x}".format(*mixed)
            if contrast(colour, background) >= CONTRAST:
                near.append((sum((a - b) ** 2 for a, b in zip(mixed, given, strict=True)), colour))
                break
    # Black or white is readable on any colour.
    return min(near)[1]


def _channels(colour: str) -> list[int]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]


def _luminance(channels: list[int]) -> float:
    """Relative luminance of sRGB, 0–1 (WCAG 2.2)."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (channel / 255 for channel in channels)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a kit as people write it: a file's path may stand in place of its bytes."""
    schema = Kit.model_json_schema()
    for name, what in (("Font", "a TTF or OTF file"), ("Logo", "a PNG or SVG file")):
        part = schema["$defs"][name]
        part["properties"]["file"] = {
            "type": "string",
            "description": f"The path of {what} in this document's folder or below it; for the command alone.",
        }
        part["required"].remove("data")
        part["oneOf"] = [{"required": ["data"]}, {"required": ["file"]}]
    template = Template.model_json_schema()
    schema["$defs"] |= {**template.pop("$defs", {}), "Template": template}
    given = schema["properties"]["templates"]
    given["patternProperties"] = {f"^{NAME}$": {"$ref": "#/$defs/Template"}}
    given["additionalProperties"] = False
    given["maxProperties"] = given.pop("maxLength")
    schema["properties"]["$schema"] = {"type": "string"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Brand kit"}
