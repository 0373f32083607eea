"""Stability's models on Amazon Bedrock (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html).

InvokeModel knows no pictures: the body is the model's own JSON, in both directions. There is no key; whoever calls has
the permission ``bedrock:InvokeModel``.
"""

import io
import json
import re
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import Any

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    TokenRetrievalError,
)

from thumbnails.catalog import Order
from thumbnails.errors import (
    PictureRefused,
    ProviderMisconfigured,
    ProviderTimeout,
    ProviderUnavailable,
    ProviderUnreachable,
    ThumbnailError,
    UnusableAnswer,
)
from thumbnails.images.providers import retry_after
from thumbnails.images.providers.answers import Answer, Said, decoded, error_of

CONNECT_SECONDS = 10.0
#: What stands for a key in the words of an error.
CREDENTIALS = "the AWS credentials"
#: An endpoint of AWS's own names its region.
REGION = re.compile(r"bedrock-runtime[\w-]*\.([a-z]+(?:-[a-z]+)+-\d)\.")


@lru_cache(maxsize=4)
def _client(service: str, base_url: str, seconds: float) -> Any:
    region = REGION.search(base_url)
    config = Config(
        retries={"total_max_attempts": 1},
        connect_timeout=min(CONNECT_SECONDS, seconds),
        read_timeout=seconds,
        max_pool_connections=50,
    )
    # Another endpoint than AWS's own takes any region's signature.
    region_name = region[1] if region else "us-west-2"
    # By a name that is not written out, boto3's types have no client.
    client: Any = boto3.client
    return client(service, region_name=region_name, endpoint_url=base_url, config=config)


def warm_up(order: Order) -> None:
    """Make a call whose answer never leaves this process: a client builds itself by use."""
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-west-2",
        endpoint_url="http://warm-up.invalid",
        aws_access_key_id="none",
        aws_secret_access_key="none",  # noqa: S106 # nosec B106 # no secret
    )
    client.meta.events.register_first("before-send.bedrock-runtime", _answer_here)
    _generate(client, order, "", CONNECT_SECONDS)


def generate(order: Order, prompt: str, key: str, base_url: str, seconds: float) -> Answer:  # noqa: ARG001 (no key)
    """Make one picture; see ``generate_picture``."""
    return _generate(_client("bedrock-runtime", base_url, seconds), order, prompt, seconds)


def listed(key: str, base_url: str, seconds: float) -> dict[str, date | None]:  # noqa: ARG001 (no key)
    """The image models that Bedrock lists in the endpoint's region; see ``listed_models``."""
    client = _client("bedrock", base_url.replace("bedrock-runtime", "bedrock"), seconds)
    try:
        found = client.list_foundation_models(byOutputModality="IMAGE")["modelSummaries"]
    except (BotoCoreError, ClientError) as error:
        raise _error("the list of models", error, seconds) from error
    ends = {one["modelId"]: one.get("modelLifecycle", {}).get("endOfLifeTime") for one in found}
    return {name: end.date() if end else None for name, end in ends.items()}


def _generate(client: Any, order: Order, prompt: str, seconds: float) -> Answer:
    model = order.model.id
    try:
        answer = client.invoke_model(modelId=model, body=json.dumps({"prompt": prompt, **order.parameters}))
        body = json.loads(answer["body"].read())
    except (BotoCoreError, ClientError) as error:
        raise _error(model, error, seconds) from error
    except (ValueError, RecursionError) as error:
        raise UnusableAnswer(f"{model} answered with something that is not JSON") from error
    if not isinstance(body, dict):
        raise UnusableAnswer(f"{model} answered with something other than a picture")
    for reason in _list(body.get("finish_reasons")):
        if not isinstance(reason, str) or not reason:
            continue
        if "filter" in reason.lower():
            raise PictureRefused(f"{model} refuses this picture ({reason})")
        raise ProviderUnavailable(f"{model} made no picture ({reason}); redrive later")
    pictures = tuple(decoded(one, model) for one in _list(body.get("images")) if one)
    if not pictures:
        raise UnusableAnswer(f"{model} answered without a picture")
    return Answer(pictures)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _error(model: str, error: Exception, seconds: float) -> ThumbnailError:
    if isinstance(error, ClientError):
        answer: Any = error.response
        about, said = answer.get("ResponseMetadata", {}), answer.get("Error", {})
        wait = retry_after(about.get("HTTPHeaders", {}))
        words = said.get("Message") or answer.get("message")
        return error_of(
            Said.of(about.get("HTTPStatusCode", 0), [said.get("Code")], words, wait), model, "Bedrock", CREDENTIALS
        )
    if isinstance(error, (ReadTimeoutError, ConnectTimeoutError)):
        return ProviderTimeout(f"{model} did not answer within {seconds:g} s")
    if isinstance(error, (NoCredentialsError, PartialCredentialsError, TokenRetrievalError)):
        return ProviderMisconfigured(f"{model} needs AWS credentials that may invoke it: {error}")
    return ProviderUnreachable(f"no connection to Bedrock for {model}: {error}")


def _answer_here(request: AWSPreparedRequest, **_: object) -> AWSResponse:
    headers: Any = HeadersDict({"content-type": "application/json"})
    return AWSResponse(request.url, 200, headers, _Body(b'{"images": ["AAAA"], "finish_reasons": [null]}'))


class _Body(io.BytesIO):
    """A response's raw body, as botocore reads one."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()
