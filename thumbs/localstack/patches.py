"""What is patched in LocalStack, and why.

Its server listens where it is told to and nowhere else. In Step Functions behaviour stays as it is; only repeated work
goes.
"""

from functools import lru_cache, partial
from types import SimpleNamespace
from typing import Any

from localstack.services.stepfunctions.asl.component.state.state_execution.state_task import lambda_eval_utils
from localstack.services.stepfunctions.asl.utils import json_path


def listen_on_named_addresses() -> None:
    """Bind the addresses of ``GATEWAY_LISTEN``: the server takes their ports alone, and listens on every interface."""
    from localstack.runtime.server import twisted

    register, endpoints = twisted.TwistedRuntimeServer.register, twisted.endpoints

    def register_each(self: Any, gateway: Any, listen: list[Any], ssl_creds: tuple[str, str] | None = None) -> None:
        for address in listen:
            bound = partial(endpoints.TCP4ServerEndpoint, interface=address.host)
            twisted.endpoints = SimpleNamespace(
                TCP4ServerEndpoint=bound, TCP6ServerEndpoint=endpoints.TCP6ServerEndpoint
            )
            register(self, gateway, [address], ssl_creds)

    twisted.TwistedRuntimeServer.register = register_each


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


def update_api_stages() -> None:
    """Let a changed API be deployed again: a stage's update is not written, and CloudFormation creates it once more."""
    from localstack.services.apigateway.resource_providers.aws_apigateway_stage import ApiGatewayStageProvider
    from localstack.services.cloudformation.resource_provider import OperationStatus, ProgressEvent

    def update(_self: Any, request: Any) -> Any:
        model = request.desired_state
        deployment = {"op": "replace", "path": "/deploymentId", "value": model["DeploymentId"]}
        request.aws_client_factory.apigateway.update_stage(
            restApiId=model["RestApiId"], stageName=model["StageName"], patchOperations=[deployment]
        )
        return ProgressEvent(
            status=OperationStatus.SUCCESS, resource_model=model, custom_context=request.custom_context
        )

    ApiGatewayStageProvider.update = update


def apply() -> None:
    """Apply all, before LocalStack runs."""
    listen_on_named_addresses()
    memoise_json_path()
    memoise_lambda_client()
    update_api_stages()
