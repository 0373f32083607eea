"""What is fixed in LocalStack, and why.

Each function fixes one thing: its server listens where it is told to and nowhere else, Step Functions keeps a stopped
execution stopped and a Distributed Map's results, CloudFormation can change an API, S3's events name their objects, a
rule's undelivered events go to its dead-letter queue, conditional writes are atomic, of what has ended no more is kept
than someone may ask for, and a service's parser is built once. What makes it faster is in ``speed``.
"""

import copy
import json
import pickle  # nosec B403 # of what this process itself packed
import threading
import zlib
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from functools import partial, wraps
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

from localstack.aws import skeleton
from localstack.aws.handlers import service as service_handlers
from localstack.aws.protocol import parser
from localstack.services.s3 import provider as s3
from localstack.services.stepfunctions.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from localstack.services.stepfunctions.asl.component.common.error_name.states_error_name import StatesErrorName
from localstack.services.stepfunctions.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from localstack.services.stepfunctions.asl.component.state.state_execution.state_map.iteration.itemprocessor import (
    distributed_item_processor_worker,
)
from localstack.services.stepfunctions.asl.component.state.state_execution.state_map.result_writer import (
    result_writer_decl,
)
from localstack.services.stepfunctions.asl.component.state.state_execution.state_task.credentials import (
    StateCredentials,
)
from localstack.services.stepfunctions.asl.eval import environment
from localstack.services.stepfunctions.asl.eval.program_state import ProgramError, ProgramStopped
from localstack.services.stepfunctions.asl.utils import boto_client
from localstack.services.stepfunctions.backend import execution_worker
from localstack.utils import threads


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


def take_distributed_rows_in_turn() -> None:
    """Let a Distributed Map's worker take its rows in a loop, and keep what became of each for the result writer.

    By recursion it would hold every row to the end, and end itself at Python's limit.
    """
    worker = distributed_item_processor_worker.DistributedItemProcessorWorker
    eval_input = worker._eval_input

    def eval_input_and_keep(self: Any, env_frame: Any) -> None:
        eval_input(self, env_frame)
        vars(env_frame)["row_input"] = env_frame.states.get_input()

    def take_rows(self: Any) -> None:
        while (job := self._job_pool.next_job()) is not None:
            frame = self._env.open_inner_frame()
            self._eval_job(env=frame, job=job)
            self._env.delete_frame(frame)
            state = frame.program_state()
            row = {"Name": str(job.job_index), "Input": json.dumps(vars(frame).get("row_input"))}
            if isinstance(state, ProgramError):
                row |= {"Status": "FAILED", "Error": state.error.get("error"), "Cause": state.error.get("cause")}
            elif job.job_output is None:
                row |= {"Status": "FAILED", "Error": "States.Runtime"}
            else:
                row |= {"Status": "SUCCEEDED", "Output": json.dumps(job.job_output)}
            # What a row gave is kept once.
            job.job_output = None
            vars(self._map_run_record).setdefault("rows", []).append(row)
            self._job_pool.close_job(job)

    worker._eval_input, worker.eval = eval_input_and_keep, take_rows


def write_distributed_results() -> None:
    """Let a Distributed Map write its rows' results, and fail above its tolerance: LocalStack does neither."""

    def put_results(self: Any, env: Any) -> None:
        # The bucket and the prefix are found in the state's input, and not in what the rows gave.
        env.stack[-1] = env.states.get_input()
        self.parargs.eval(env)
        parameters, _ = env.stack.pop(), env.stack.pop()
        self.resource.eval(env)
        region = env.stack.pop().region
        record = env.map_run_record_pool_manager.get_all().pop()
        bucket, folder = parameters["Bucket"], f"{parameters['Prefix'].rstrip('/')}/{record.map_run_arn[-36:]}"
        rows = vars(record).pop("rows", [])
        role = StateCredentials(role_arn=env.aws_execution_details.role_arn)
        client = boto_client.boto_client_for("s3", region, role)
        files: dict[str, list[dict[str, Any]]] = {"FAILED": [], "PENDING": [], "SUCCEEDED": []}
        for status, entries in files.items():
            if of_status := [row for row in rows if row["Status"] == status]:
                key, body = f"{folder}/{status}_0.json", json.dumps(of_status).encode()
                client.put_object(Bucket=bucket, Key=key, Body=body)
                entries.append({"Key": key, "Size": len(body)})
        key = f"{folder}/manifest.json"
        manifest = {"DestinationBucket": bucket, "MapRunArn": record.map_run_arn, "ResultFiles": files}
        client.put_object(Bucket=bucket, Key=key, Body=json.dumps(manifest).encode())
        env.stack.append(
            {"MapRunArn": record.map_run_arn, "ResultWriterDetails": {"Bucket": bucket, "Key": key}},
        )
        failed = sum(row["Status"] == "FAILED" for row in rows)
        if failed * 100 > record.tolerated_failure_percentage * len(rows):
            name = StatesErrorName(typ=StatesErrorNameType.StatesExceedToleratedFailureThreshold)
            why = {"error": name.error_name, "cause": "The specified tolerated failure threshold was exceeded"}
            event = FailureEvent(env, name, "MapRunFailed", {"mapRunFailedEventDetails": why})
            raise FailureEventException(event)

    result_writer_decl.ResultWriter._eval_body = put_results


def name_files_as_they_are() -> None:
    """Put an object's own key into its event on the bus, as S3 does: LocalStack's is quoted, and names no object."""
    from localstack.services.s3.notifications import EventBridgeNotifier

    payload = EventBridgeNotifier._get_event_payload

    def with_own_key(context: Any, config_id: Any = None) -> Any:
        return payload(replace(context, key_name=unquote(context.key_name)), config_id)

    EventBridgeNotifier._get_event_payload = staticmethod(with_own_key)


def forget_ended_threads() -> None:
    """Let an execution's threads go once they have ended: LocalStack keeps each, with all that it worked on."""
    start = execution_worker.ExecutionWorker.start

    def forget_and_start(self: Any) -> None:
        # One by one, as others are added meanwhile; the list is many modules' own.
        for one in list(threads.TMP_THREADS):
            if isinstance(one, threading.Thread) and one.ident is not None and not one.is_alive():
                # Another execution that starts now may have let it go.
                with suppress(ValueError):
                    threads.TMP_THREADS.remove(one)
        start(self)

    execution_worker.ExecutionWorker.start = forget_and_start


class PackedHistory(list[Any]):
    """An ended execution's events: those until then are packed, a straggler's stand in the list.

    LocalStack adds to the list that it keeps and hands out deep copies of it.
    """

    def __init__(self, events: list[Any]) -> None:
        super().__init__()
        self._packed = zlib.compress(pickle.dumps(events))

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        until_then = pickle.loads(zlib.decompress(self._packed))  # noqa: S301 # nosec B301 # its own
        return [*until_then, *copy.deepcopy(list(self), memo)]


def pack_ended_histories() -> None:
    """Keep the five hundred events of an ended batch in a twentieth of the memory until someone asks for them."""
    work = execution_worker.ExecutionWorker._execution_logic

    def work_and_pack(self: Any) -> None:
        work(self)
        manager = self.env.event_manager
        with manager._mutex:
            manager._history_event_list = PackedHistory(manager._history_event_list)

    execution_worker.ExecutionWorker._execution_logic = work_and_pack


def look_for_environments_in_peace() -> None:
    """Let a call look for an idle environment in a list of its own, while others end: LocalStack fails such a call."""
    from localstack.services.lambda_.invocation.assignment import AssignmentService

    class Environments(dict[str, Any]):
        """By id; what is looked through is what was there at first."""

        def values(self) -> Any:
            return list(super().values())

    initialise = AssignmentService.__init__

    def initialise_with_lists(self: Any) -> None:
        initialise(self)
        self.environments = defaultdict(Environments)

    AssignmentService.__init__ = initialise_with_lists


def build_one_parser_at_a_time() -> None:
    """Let the first calls of a service, of which fifty may come at once, wait for the one that builds its parser.

    LocalStack lets each of them build its own, and Python 3.11 fails ("AST constructor recursion depth mismatch") where
    threads compile the routes of several side by side: the call ends as an InternalError.
    """
    build, lock = parser.create_parser, threading.Lock()

    def build_alone(service: Any, protocol: Any = None) -> Any:
        with lock:
            return build(service, protocol)

    parser.create_parser = skeleton.create_parser = service_handlers.create_parser = build_alone


def write_conditionally_in_turn() -> None:
    """Let no two conditional writes of one key see the same object.

    LocalStack checks and writes under a lock of the object's version, and in a bucket with versions each write has one
    of its own.
    """
    put = s3.S3Provider.put_object
    # More than there are writers at a time; two keys that share a lock only wait.
    locks = [threading.Lock() for _ in range(64)]

    @wraps(put)
    def put_in_turn(self: Any, context: Any, request: Any) -> Any:
        if not (request.get("IfMatch") or request.get("IfNoneMatch")):
            return put(self, context, request)
        with locks[hash((request["Bucket"], request["Key"])) % len(locks)]:
            return put(self, context, request)

    s3.S3Provider.put_object = put_in_turn


def keep_undelivered_events() -> None:
    """Put an event that a rule cannot deliver into the rule's dead-letter queue, with the reason, as EventBridge does.

    It is tried once: EventBridge's own retries go on for up to a day.
    """
    from localstack.aws.connect import connect_to
    from localstack.services.events.target import TargetSender

    process = TargetSender.process_event

    def process_or_keep(self: Any, event: Any, trace_header: Any) -> None:
        given = copy.deepcopy(event)
        try:
            process(self, event, trace_header)
        except Exception as error:
            arn = self.target.get("DeadLetterConfig", {}).get("Arn")
            if arn:
                given.pop("event-bus-name", None)
                queues = connect_to(aws_access_key_id=self.account_id, region_name=self.region).sqs
                response = getattr(error, "response", {}).get("Error", {})
                said = {
                    "RULE_ARN": self.rule_arn,
                    "TARGET_ARN": self.target["Arn"],
                    "ERROR_CODE": response.get("Code") or type(error).__name__,
                    "ERROR_MESSAGE": response.get("Message") or str(error) or "no message",
                }
                queues.send_message(
                    QueueUrl=queues.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"],
                    MessageBody=json.dumps(given),
                    MessageAttributes={
                        name: {"DataType": "String", "StringValue": value} for name, value in said.items()
                    },
                )
            raise

    TargetSender.process_event = process_or_keep


def apply() -> None:
    """Apply all, before LocalStack runs."""
    listen_on_named_addresses()
    keep_stopped_executions_stopped()
    update_api_stages()
    take_distributed_rows_in_turn()
    write_distributed_results()
    name_files_as_they_are()
    forget_ended_threads()
    pack_ended_histories()
    look_for_environments_in_peace()
    build_one_parser_at_a_time()
    keep_undelivered_events()
    write_conditionally_in_turn()
