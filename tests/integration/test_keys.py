"""Provider keys from Secrets Manager, as in an account."""

import json
from typing import Any

import boto3

from tests.integration.application import DALLE, GEMINI, Application
from thumbs.stack.deploy import CREDENTIALS, REGION


def secret_with(app: Application, keys: dict[str, str]) -> str:
    """The ARN of a secret that holds these keys."""
    client: Any = boto3.client(
        "secretsmanager",
        endpoint_url=app.stack.endpoint,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
    arn: str = client.create_secret(Name="thumbnail-keys", SecretString=json.dumps(keys))["ARN"]
    client.close()
    return arn


def test_the_functions_take_their_keys_from_the_secret(app: Application) -> None:
    secret = secret_with(app, {"OPENAI_API_KEY": "sk-from-the-secret", "GEMINI_API_KEY": "rejected-by-google"})
    with app.configured("generateThumbnail", PROVIDER_KEYS_SECRET=secret, OPENAI_API_KEY="", GEMINI_API_KEY=""):
        done = app.succeed("generateBatch", {"prompts": ["A key from a secret"], "models": [DALLE, GEMINI]})
    (failure,) = done["failures"]
    assert [url is not None for url in done["results"][0]] == [True, False]
    assert (failure["model"], failure["error"]) == (GEMINI, "ProviderMisconfigured")
    assert "check GEMINI_API_KEY" in failure["message"]
    assert "rejected-by-google" not in json.dumps(done)
