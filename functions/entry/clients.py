"""The domain's clients for this process, made from its settings at their first use."""

from functools import cache

from entry.settings import ApiSettings, EventSettings, ProviderSettings, Settings, settings
from thumbnails.aws.bus import Bus
from thumbnails.aws.s3 import Store
from thumbnails.aws.secrets import ProviderKeys
from thumbnails.aws.step_functions import Executions
from thumbnails.runs.budget import Budget


@cache
def store() -> Store:
    """The application's bucket."""
    given = settings(Settings)
    return Store.connect(given.bucket, given.public_endpoint_url, given.url_seconds, given.bucket_folder)


@cache
def budget() -> Budget:
    """The day's budget."""
    return Budget(store(), settings(Settings).daily_budget_usd)


@cache
def executions() -> Executions:
    """The executions of all state machines."""
    given = settings(ApiSettings)
    return Executions.connect(
        {
            "generateBatch": given.generate_batch_arn,
            "generateThumbnails": given.generate_thumbnails_arn,
            "generateCampaign": given.generate_campaign_arn,
        }
    )


@cache
def batches() -> Executions:
    """The executions of ``generateBatch`` alone."""
    return Executions.connect({"generateBatch": settings(EventSettings).generate_batch_arn})


@cache
def bus() -> Bus:
    """The account's default bus."""
    return Bus.connect()


def provider_keys(given: ProviderSettings) -> ProviderKeys:
    """The providers' keys: those of the environment before those of the secret."""
    named = {"OPENAI_API_KEY": given.openai_api_key, "GEMINI_API_KEY": given.gemini_api_key}
    return ProviderKeys(named, given.provider_keys_secret)
