"""Provider keys: the environment first, then the secret."""

import json
import traceback
from collections.abc import Iterator

import boto3
import pytest
from aws_lambda_powertools.utilities.parameters import clear_caches
from moto import mock_aws

from thumbnails.aws.secrets import ProviderKeys
from thumbnails.errors import ProviderMisconfigured

SECRET = "provider-keys"


@pytest.fixture(autouse=True)
def account() -> Iterator[None]:
    with mock_aws():
        yield
    clear_caches()  # type: ignore[no-untyped-call]


def put_secret(text: str) -> None:
    boto3.client("secretsmanager").create_secret(Name=SECRET, SecretString=text)


def test_without_a_key_or_a_secret_there_is_none() -> None:
    assert ProviderKeys({}).get("OPENAI_API_KEY") is None


def test_a_key_of_the_environment_is_taken_and_the_secret_left_alone() -> None:
    keys = ProviderKeys({"OPENAI_API_KEY": "sk-environment"}, "there is no such secret")
    assert keys.get("OPENAI_API_KEY") == "sk-environment"


def test_a_key_is_read_from_the_secret_once() -> None:
    put_secret(json.dumps({"OPENAI_API_KEY": "sk-secret"}))
    assert ProviderKeys({}, SECRET).get("OPENAI_API_KEY") == "sk-secret"
    boto3.client("secretsmanager").delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
    assert ProviderKeys({}, SECRET).get("OPENAI_API_KEY") == "sk-secret"
    assert ProviderKeys({}, SECRET).get("GEMINI_API_KEY") is None


def test_a_key_that_was_rotated_is_read_anew_when_it_is_asked_for() -> None:
    put_secret(json.dumps({"OPENAI_API_KEY": "sk-before"}))
    keys = ProviderKeys({}, SECRET)
    assert keys.get("OPENAI_API_KEY") == "sk-before"
    boto3.client("secretsmanager").put_secret_value(
        SecretId=SECRET, SecretString=json.dumps({"OPENAI_API_KEY": "sk-after"})
    )
    assert keys.get("OPENAI_API_KEY") == "sk-before"
    assert keys.renewed("OPENAI_API_KEY") == "sk-after"
    assert keys.get("OPENAI_API_KEY") == "sk-after"


def test_a_key_of_the_environment_cannot_be_renewed() -> None:
    put_secret(json.dumps({"OPENAI_API_KEY": "sk-secret"}))
    assert ProviderKeys({"OPENAI_API_KEY": "sk-environment"}, SECRET).renewed("OPENAI_API_KEY") is None
    assert ProviderKeys({}).renewed("OPENAI_API_KEY") is None


@pytest.mark.parametrize("text", [None, "sk-secret without JSON", "{", "[]", '"sk-secret"'])
def test_a_secret_that_cannot_be_read_is_a_misconfiguration_and_is_not_shown(
    text: str | None,
) -> None:
    if text is not None:
        put_secret(text)
    with pytest.raises(ProviderMisconfigured) as refused:
        ProviderKeys({}, SECRET).get("OPENAI_API_KEY")
    assert str(refused.value) == f"the secret {SECRET} cannot be read as a JSON object of keys"
    assert "sk-secret" not in "".join(traceback.format_exception(refused.value))


def test_white_space_around_a_key_is_no_part_of_it() -> None:
    put_secret(json.dumps({"OPENAI_API_KEY": " sk-secret\n", "GEMINI_API_KEY": " "}))
    assert ProviderKeys({}, SECRET).get("OPENAI_API_KEY") == "sk-secret"
    assert ProviderKeys({}, SECRET).get("GEMINI_API_KEY") is None


@pytest.mark.parametrize(
    "value", ["sk-secret\nsk-other", "sk secret", "sk-sécret", {"key": "sk-secret"}, ["sk-secret"], 7]
)
def test_what_no_header_can_carry_is_no_key_and_is_not_shown(value: object) -> None:
    put_secret(json.dumps({"OPENAI_API_KEY": value}))
    with pytest.raises(ProviderMisconfigured) as refused:
        ProviderKeys({}, SECRET).get("OPENAI_API_KEY")
    assert str(refused.value) == (
        f"the field OPENAI_API_KEY of the secret {SECRET} is not a valid key: "
        "a key is a single word of letters, digits and punctuation"
    )


def test_a_key_of_the_environment_is_checked_too() -> None:
    with pytest.raises(ProviderMisconfigured, match=r"^the environment variable OPENAI_API_KEY is not a valid key: "):
        ProviderKeys({"OPENAI_API_KEY": "two words"}).get("OPENAI_API_KEY")
