"""The embedded stack's S3 without a stack: its operations, called as LocalStack's gateway does, on a folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

Call = Callable[..., Any]
ACCOUNT = "000000000000"


def embedded_s3(folder: Path, patch: Callable[[], None] | None = None) -> Call:
    """Calls an operation by its name with its parameters; once in a process, whose LocalStack it changes for good.

    Args:
        folder: of the buckets; what is in it is read.
        patch: what else is changed in LocalStack.
    """
    from localstack.aws.api import RequestContext
    from localstack.aws.skeleton import Skeleton
    from localstack.aws.spec import load_service
    from localstack.http import Request
    from localstack.services.s3 import provider

    from thumbs.localstack import buckets

    buckets.keep_buckets(folder)
    if patch:
        patch()
    service = load_service("s3")
    operations = Skeleton(service, provider.S3Provider()).dispatch_table

    def call(operation: str, **asked: Any) -> Any:
        context = RequestContext(Request())
        context.service, context.operation = service, service.operation_model(operation)
        context.region, context.account_id, context.service_request = "us-east-1", ACCOUNT, asked
        answer = operations[operation](context, asked)
        if "Body" in (answer or {}):
            answer = {**answer, "Body": b"".join(answer["Body"]).decode()}
        return answer

    return call
