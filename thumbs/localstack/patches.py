"""What is patched in LocalStack, and why.

Each function mends one thing: its server listens where it is told to and nowhere else, Step Functions does no work
twice and keeps a stopped execution stopped, CloudFormation can change an API, S3's events name their objects.
"""

from dataclasses import replace
from functools import lru_cache, partial
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

from localstack.services.stepfunctions.asl.component.state.state_execution.state_task import lambda_eval_utils
from localstack.services.stepfunctions.asl.eval import environment
from localstack.services.stepfunctions.asl.eval.program_state import ProgramStopped
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


def keep_stopped_executions_stopped() -> None:
    """Let a stopped execution end as ABORTED: the Map that it leaves reports an error, which would make it FAILED."""
    set_error = environment.Environment.set_error

    def set_error_while_running(self: Any, error: Any) -> None:
        if not isinstance(self._program_state, ProgramStopped):
            set_error(self, error)

    environment.Environment.set_error = set_error_while_running


def update_api_stages() -> None:
    """Let a changed API be deployed again: its stage is replaced by one of the same name, which was there already."""
    from localstack.services.apigateway.resource_providers.aws_apigateway_deployment import ApiGatewayDeploymentProvider
    from localstack.services.apigateway.resource_providers.aws_apigateway_stage import ApiGatewayStageProvider
    from localstack.services.cloudformation.resource_provider import OperationStatus, ProgressEvent

    create, delete = ApiGatewayStageProvider.create, ApiGatewayStageProvider.delete
    # Those whose predecessor, which CloudFormation deletes next, is the stage itself.
    updated: set[tuple[str, ...]] = set()

    def stage_of(request: Any) -> tuple[Any, dict[str, str]]:
        model = request.desired_state
        return request.aws_client_factory.apigateway, {
            "restApiId": model["RestApiId"],
            "stageName": model["StageName"],
        }

    def create_or_update(self: Any, request: Any) -> Any:
        client, stage = stage_of(request)
        try:
            return create(self, request)
        except client.exceptions.ConflictException:
            newest = {"op": "replace", "path": "/deploymentId", "value": request.desired_state["DeploymentId"]}
            client.update_stage(**stage, patchOperations=[newest])
            updated.add(tuple(stage.values()))
        return ProgressEvent(status=OperationStatus.SUCCESS, resource_model=request.desired_state)

    def delete_unless_updated(self: Any, request: Any) -> Any:
        _, stage = stage_of(request)
        if tuple(stage.values()) in updated:
            updated.remove(tuple(stage.values()))
            return ProgressEvent(status=OperationStatus.SUCCESS, resource_model=request.desired_state)
        return delete(self, request)

    def delete_deployment(_self: Any, request: Any) -> Any:
        # Without the stages, which by now have another one.
        model, client = request.desired_state, request.aws_client_factory.apigateway
        try:
            client.delete_deployment(restApiId=model["RestApiId"], deploymentId=model["DeploymentId"])
        except client.exceptions.NotFoundException:
            pass
        return ProgressEvent(status=OperationStatus.SUCCESS, resource_model=model)

    ApiGatewayDeploymentProvider.delete = delete_deployment
    ApiGatewayStageProvider.create = create_or_update
    ApiGatewayStageProvider.delete = delete_unless_updated


def name_files_as_they_are() -> None:
    """Put an object's own key into its event on the bus, as S3 does: LocalStack's is quoted, and names no object."""
    from localstack.services.s3.notifications import EventBridgeNotifier

    payload = EventBridgeNotifier._get_event_payload

    def with_own_key(context: Any, config_id: Any = None) -> Any:
        return payload(replace(context, key_name=unquote(context.key_name)), config_id)

    EventBridgeNotifier._get_event_payload = staticmethod(with_own_key)


def apply() -> None:
    """Apply all, before LocalStack runs."""
    listen_on_named_addresses()
    memoise_json_path()
    memoise_lambda_client()
    keep_stopped_executions_stopped()
    update_api_stages()
    name_files_as_they_are()
