"""What makes LocalStack faster: each function removes one piece of work that is done over and over.

None skips a check or drops a record. An effect is what LocalStack's processor time for a warm batch of 25 × 2,
about 2.5 s, grows by without the function alone (``make bench-speed``).
``THUMBS_PLAIN=1`` leaves all of it out, for a comparison (``make bench``).
"""

import gc
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from botocore.loaders import JSONFileLoader
from localstack.aws import spec
from localstack.aws.connect import connect_to
from localstack.runtime import events
from localstack.services import plugins
from localstack.services.lambda_ import provider as lambdas
from localstack.services.lambda_.invocation import metrics
from localstack.services.plugins import SERVICE_PLUGINS, ServiceContainer
from localstack.services.s3.notifications import EventBridgeNotifier
from localstack.services.stepfunctions.asl.component.state.state_execution.state_task import lambda_eval_utils
from localstack.services.stepfunctions.asl.component.state.state_execution.state_task.service import (
    state_task_service,
    state_task_service_sfn,
)
from localstack.services.stepfunctions.asl.parse.asl_parser import AmazonStateLanguageParser
from localstack.services.stepfunctions.asl.utils import json_path
from localstack.utils import event_matcher
from localstack.utils.sync import poll_condition

from thumbs.localstack import listings

LOG = logging.getLogger(__name__)
#: How long a metric or an announcement waits for others to go along; AWS takes seconds.
BATCH_SECONDS = 0.1
#: What a deployment calls, in its order.
DEPLOYED = ("s3", "sts", "cloudformation", "iam", "logs", "lambda", "sqs", "stepfunctions", "events", "apigateway")
#: What a LocalStack has found out about its packages and the next would find again: for all stacks of the project.
CACHE = Path(__file__).resolve().parents[2] / ".cache" / "localstack"


def index_the_services_once() -> None:
    """LocalStack reads all of AWS's APIs at its start, to know for which service a request is.

    Effect: none on a batch; 7 s of each start.
    """
    build = spec.build_service_index_cache

    def load_or_build(file_path: str) -> spec.ServiceCatalogIndex:
        kept = CACHE / Path(file_path).name
        if not kept.exists():
            CACHE.mkdir(parents=True, exist_ok=True)
            # Another stack may start at this moment, and a start can be cut off: it is there whole or not at all.
            draft = kept.with_suffix(f".{os.getpid()}")
            build(str(draft))
            draft.replace(kept)
        return spec.load_service_index_cache(str(kept))

    spec.build_service_index_cache = load_or_build


def read_the_endpoints_once() -> None:
    """Each boto session reads the list of all endpoints, 2 MB of JSON, for itself; nothing changes it.

    Effect: none on a batch; 2 s of each start.
    """
    load = JSONFileLoader.load_file
    load_once = lru_cache(maxsize=4)(partial(load, JSONFileLoader()))

    def load_file(self: JSONFileLoader, file_path: str) -> Any:
        shared = Path(file_path).name in ("endpoints", "partitions")
        return load_once(file_path) if shared else load(self, file_path)

    JSONFileLoader.load_file = load_file  # type: ignore[method-assign]


def look_soon_for_a_new_function() -> None:
    """Lambda looks every half second whether a function that was created or changed is ready; most are at once.

    Effect: none on a batch; 4 s of each deployment, in which nothing else happens.
    """
    lambdas.poll_condition = partial(poll_condition, interval=0.02)


def start_the_services_ahead() -> None:
    """LocalStack imports a service when it is first called: one after the other, while a deployment waits.

    Effect: none on a batch; 1 s of each deployment, whose tools start meanwhile.
    """

    def start() -> None:
        events.infra_ready.wait()
        for name in DEPLOYED:
            try:
                SERVICE_PLUGINS.require(name)
            except Exception as error:
                LOG.warning("%s was not started ahead: %s", name, error)

    plugins.poll_condition = partial(poll_condition, interval=0.02)
    threading.Thread(target=start, name="services-ahead", daemon=True).start()


def parse_each_json_path_once() -> None:
    """Step Functions builds a parser at every evaluation of a JSONPath.

    Effect: 1.2 s.
    """
    json_path.parse = lru_cache(maxsize=1024)(json_path.parse)


def parse_each_definition_once() -> None:
    """Step Functions parses the definition again for every execution; what it makes of it holds no state.

    Effect: 0.3 s, most of it before the first cell starts.
    """
    AmazonStateLanguageParser.parse = staticmethod(lru_cache(maxsize=64)(AmazonStateLanguageParser.parse))


def keep_the_clients() -> None:
    """Step Functions makes a client for every task that calls Lambda or starts an execution; one serves all.

    Effect: 5.4 s.
    """
    make_client = lambda_eval_utils.boto_client_for
    clients: dict[tuple[str, str, str], Any] = {}

    def client_for(service: str, region: str, state_credentials: Any) -> Any:
        key = (service, region, state_credentials.role_arn)
        # Two threads that miss at once make two clients and keep one: harmless, and no lock in the way.
        return clients.get(key) or clients.setdefault(key, make_client(service, region, state_credentials))

    lambda_eval_utils.boto_client_for = client_for
    state_task_service_sfn.boto_client_for = client_for


def compile_each_event_pattern_once() -> None:
    """EventBridge reads and checks a rule's pattern again for each event.

    Effect: 0.05 s.
    """
    compiler = event_matcher._event_pattern_compiler
    compile_once = lru_cache(maxsize=64)(compiler.compile_event_pattern)

    def compile_event_pattern(event_pattern: Any) -> Any:
        return compile_once(event_pattern) if isinstance(event_pattern, str) else compile_anew(event_pattern)

    compile_anew = compiler.compile_event_pattern
    compiler.compile_event_pattern = compile_event_pattern


def find_each_operation_once() -> None:
    """Step Functions goes through a service's whole list of operations, twice for every task.

    Effect: 0.1 s.
    """
    service = state_task_service.StateTaskService
    service._get_boto_operation_model = staticmethod(lru_cache(maxsize=256)(service._get_boto_operation_model))


def spare_the_collector() -> None:
    """The garbage collector walks all that a service has loaded, at every full collection; what is loaded stays.

    Effect: less than 0.1 s; what it spares is a pause in the middle of a batch, now and then.
    """
    start = ServiceContainer.start

    def start_and_freeze(self: Any) -> bool:
        started: bool = start(self)
        gc.freeze()
        return started

    ServiceContainer.start = start_and_freeze


class _Batches:
    """Hands items on in batches, in order, from a thread of its own.

    Args:
        name: the thread's.
        most: how many make a full batch.
        send: takes a batch.
    """

    def __init__(self, name: str, most: int, send: Callable[[list[Any]], None]) -> None:
        self._waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._most = most
        self._send = send
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def put(self, item: Any) -> None:
        """Add one item."""
        self._waiting.put(item)

    def _run(self) -> None:
        while True:
            batch = [self._waiting.get()]
            # What comes within a moment goes along.
            deadline = time.monotonic() + BATCH_SECONDS
            while len(batch) < self._most:
                try:
                    batch.append(self._waiting.get(timeout=max(0.0, deadline - time.monotonic())))
                except queue.Empty:
                    break
            self._send(batch)


def record_metrics_in_batches() -> None:
    """Lambda calls CloudWatch, from a thread made for it, for each invocation's metric.

    Effect: 0.2 s.
    """

    def send(points: list[tuple[str, str, dict[str, Any]]]) -> None:
        for place in {(account, region) for account, region, _ in points}:
            client = connect_to(aws_access_key_id=place[0], region_name=place[1]).cloudwatch
            data = [point for *at, point in points if tuple(at) == place]
            try:
                client.put_metric_data(Namespace="AWS/Lambda", MetricData=data)
            except Exception as error:
                LOG.warning("%d metrics of Lambda were not recorded: %s", len(data), error)

    batches = _Batches("lambda-metrics", 500, send)

    def publish(metric: str, value: float, kwargs: dict[str, str], account_id: str, region_name: str) -> None:
        dimensions = [{"Name": "FunctionName", "Value": kwargs["func_name"]}]
        now = datetime.now(UTC)
        point = {"MetricName": metric, "Dimensions": dimensions, "Timestamp": now, "Value": value}
        batches.put((account_id, region_name, point))

    metrics.publish_lambda_metric = publish


def announce_objects_in_batches() -> None:
    """S3 calls EventBridge for each object that is put.

    Effect: 0.5 s.
    """

    def send(entries: list[tuple[str, str, dict[str, Any]]]) -> None:
        for place in {(account, region) for account, region, _ in entries}:
            client = connect_to(aws_access_key_id=place[0], region_name=place[1]).events
            batch = [entry for *at, entry in entries if tuple(at) == place]
            try:
                client.put_events(Entries=batch)
            except Exception as error:
                LOG.error("%d objects were not announced on EventBridge: %s", len(batch), error)

    # As many as PutEvents takes.
    batches = _Batches("s3-events", 10, send)

    def notify(self: Any, context: Any, _config: Any) -> None:
        entry = self._get_event_payload(context)
        batches.put((context.bucket_account_id, context.bucket_location, entry))

    EventBridgeNotifier.notify = notify


def hand_listings_what_they_ask_for() -> None:
    """S3 sorts and reads all of a bucket's objects for each listing (``listings.py``).

    Effect: none on a batch in a small bucket; the more a bucket holds, the more (``make bench-growth``).
    """
    listings.keep_keys_in_order()


def describe_listed_executions_alone() -> None:
    """Step Functions describes and sorts all executions of a state machine for each page of them (``listings.py``).

    Effect: none on a batch; 70 ms of each listing at 10,000 executions.
    """
    listings.describe_listed_executions_alone()


PATCHES = (
    index_the_services_once,
    read_the_endpoints_once,
    look_soon_for_a_new_function,
    start_the_services_ahead,
    parse_each_json_path_once,
    parse_each_definition_once,
    keep_the_clients,
    compile_each_event_pattern_once,
    find_each_operation_once,
    spare_the_collector,
    record_metrics_in_batches,
    announce_objects_in_batches,
    hand_listings_what_they_ask_for,
    describe_listed_executions_alone,
)


def apply(left_out: str = "") -> None:
    """Apply all, before LocalStack runs, but the one that is named.

    Raises:
        SystemExit: none has that name.
    """
    names = [patch.__name__ for patch in PATCHES]
    if left_out and left_out not in names:
        raise SystemExit(
            f"THUMBS_PLAIN={left_out} names nothing that can be left out: 1 for all, or {', '.join(names)}"
        )
    for patch in PATCHES:
        if patch.__name__ != left_out:
            patch()
