"""What the environment says to a function, typed and read once. Each function has the variables that it needs."""

import os
from functools import cache
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from thumbnails.catalog import Provider
from thumbnails.catalog.models import bedrock_url


class Environment(BaseModel):
    """A part of the environment: a field is the variable of its name in capitals."""

    # What a validation complains of may hold a key.
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class Settings(Environment):
    """Every function's."""

    bucket: str
    #: Seconds that a presigned URL opens.
    url_seconds: int
    #: The S3 endpoint that people's browsers reach; empty for AWS's own.
    public_endpoint_url: str = ""
    #: Where the bucket is on this machine's disk; the embedded stack says so to its functions.
    bucket_folder: str = ""
    #: What all runs together may pay in a UTC day, in US dollars; 0 for no limit.
    daily_budget_usd: float = 0.0


class EndpointSettings(Settings):
    """Of a function that calls providers or checks who is called: other endpoints than theirs."""

    openai_base_url: str = ""
    google_gemini_base_url: str = ""
    aws_endpoint_url_bedrock_runtime: str = ""
    #: Where Bedrock has the models; not where this runs.
    bedrock_region: str = "us-west-2"

    @property
    def base_urls(self) -> dict[Provider, str]:
        """By provider; empty for its own, of which Bedrock has one in each region."""
        return {**self._given, "bedrock": self._given["bedrock"] or bedrock_url(self.bedrock_region)}

    @property
    def real(self) -> frozenset[Provider]:
        """The providers that are called themselves, and billed by; the others are played by the offline image API."""
        return frozenset(provider for provider, url in self._given.items() if not url)

    @property
    def _given(self) -> dict[Provider, str]:
        return {
            "openai": self.openai_base_url,
            "google": self.google_gemini_base_url,
            "bedrock": self.aws_endpoint_url_bedrock_runtime,
        }


class CheckSettings(EndpointSettings):
    """Of a function that checks requests."""

    #: The most images that one run may make.
    batch_cap: int


class RunSettings(CheckSettings):
    """Of the function that opens a run."""

    #: The most images that a run makes at once.
    image_concurrency: int


class ProviderSettings(EndpointSettings):
    """Of a function that calls providers: their keys, or the secret that holds them."""

    openai_api_key: str = ""
    gemini_api_key: str = ""
    provider_keys_secret: str = ""


class CellSettings(ProviderSettings):
    """Of the function that makes an image."""

    provider_timeout_seconds: float


class EventSettings(Settings):
    """Of the function that starts runs for events."""

    generate_batch_arn: str
    #: The request file that the schedule runs.
    scheduled_key: str


class ApiSettings(CheckSettings, ProviderSettings):
    """Of the HTTP API."""

    generate_batch_arn: str
    generate_thumbnails_arn: str
    generate_campaign_arn: str
    #: What is moderated before it is paid for: nothing, requests that take text from a page, every request.
    moderation: Literal["off", "pages", "on"] = "off"


class CorsSettings(Environment):
    """Who may use the HTTP API; it needs to know when it is imported."""

    #: The origin whose pages may use it.
    cors_origin: str = "*"
    #: Set by ``sam local``.
    aws_sam_local: bool = False


S = TypeVar("S", bound=Environment)


@cache
def settings(kind: type[S]) -> S:
    """The process's settings.

    Raises:
        pydantic.ValidationError: a variable is missing or has no such value.
    """
    named = {name: os.environ.get(name.upper()) for name in kind.model_fields}
    return kind.model_validate({name: value for name, value in named.items() if value is not None})
