"""Where provider keys come from: the environment on a laptop, Secrets Manager in an account."""

import os

from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError, TransformParameterError

from thumbnails.errors import ProviderMisconfigured

#: A rotated key is taken up within this time.
CACHE_SECONDS = 300


def provider_key(name: str) -> str | None:
    """A provider's key.

    Args:
        name: the environment variable's name, and the field's in the secret that ``PROVIDER_KEYS_SECRET`` names.

    Raises:
        ProviderMisconfigured: the secret cannot be read or is not a JSON object.
    """
    if key := os.environ.get(name):
        return key
    secret = os.environ.get("PROVIDER_KEYS_SECRET")
    if not secret:
        return None
    try:
        keys = parameters.get_secret(secret, transform="json", max_age=CACHE_SECONDS)
    except (GetParameterError, TransformParameterError) as error:
        raise ProviderMisconfigured(f"the secret {secret} cannot be read as a JSON object of keys") from error
    if not isinstance(keys, dict):
        raise ProviderMisconfigured(f"the secret {secret} cannot be read as a JSON object of keys")
    return keys.get(name)
