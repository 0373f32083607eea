"""What is patched in LocalStack's Step Functions, and why. Behaviour stays as it is; only repeated work goes."""

from functools import lru_cache
from typing import Any

from localstack.services.stepfunctions.asl.component.state.state_execution.state_task import lambda_eval_utils
from localstack.services.stepfunctions.asl.utils import json_path


def memoise_json_path() -> None:
    """Parse each JSONPath once: building the parser at every evaluation is most of a nested Map's time."""
    json_path.parse = lru_cache(maxsize=1024)(json_path.parse)


def memoise_lambda_client() -> None:
    """Make one Lambda client per region and role (clients are thread-safe): one per task is the next largest cost."""
    make_client = lambda_eval_utils.boto_client_for
    clients: dict[tuple[str, str, str], Any] = {}

    def client_for(service: str, region: str, state_credentials: Any) -> Any:
        key = (service, region, state_credentials.role_arn)
        # Two threads that miss at once make two clients and keep one: harmless, and no lock in the way.
        return clients.get(key) or clients.setdefault(key, make_client(service, region, state_credentials))

    lambda_eval_utils.boto_client_for = client_for


def apply() -> None:
    """Apply both, before the first execution."""
    memoise_json_path()
    memoise_lambda_client()
