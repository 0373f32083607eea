"""The embedded LocalStack, as far as it needs no socket: its settings, its packages, how an end is reported."""

import functools
import json
import os
import pickle
import queue
import signal
import tempfile
import threading
from importlib.metadata import distributions
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from thumbs.localstack.__main__ import settings
from thumbs.localstack.executor import _answer, _process_environment
from thumbs.localstack.runtime_packages import link_runtime_packages
from thumbs.localstack.sandbox import Event, Happening

EVENT = Event("request-1", "arn", "trace", b"{}", 2.0)


def exited(code: int) -> Happening:
    return Happening("exit", status=code << 8)


def killed_by(number: int) -> Happening:
    return Happening("exit", status=number)


@pytest.mark.parametrize(
    ("end", "error", "message"),
    [
        (None, "Sandbox.Timedout", "RequestId: request-1 Error: Task timed out after 2.00 seconds"),
        (exited(0), "Runtime.ExitError", "RequestId: request-1 Error: Runtime exited without providing a reason"),
        (exited(3), "Runtime.ExitError", "RequestId: request-1 Error: Runtime exited with error: exit status 3"),
        (
            killed_by(signal.SIGKILL),
            "Runtime.ExitError",
            "RequestId: request-1 Error: Runtime exited with error: signal: killed",
        ),
        (
            killed_by(signal.SIGSEGV),
            "Runtime.ExitError",
            "RequestId: request-1 Error: Runtime exited with error: signal: 11",
        ),
        (
            Happening("exit"),
            "Runtime.ExitError",
            "RequestId: request-1 Error: Runtime exited with error: signal: killed",
        ),
    ],
)
def test_an_end_without_an_answer_has_lambdas_own_error_shape(end: Any, error: str, message: str) -> None:
    is_error, body, line = _answer(EVENT, end)
    assert is_error
    assert json.loads(body) == {"errorType": error, "errorMessage": message}
    assert line


@pytest.mark.parametrize(("kind", "is_error"), [("response", False), ("error", True), ("init_error", True)])
def test_what_the_runtime_client_says_is_passed_on_as_it_is(kind: str, is_error: bool) -> None:
    assert _answer(EVENT, Happening(kind, b'{"as": "it is"}')) == (is_error, b'{"as": "it is"}', "")


def test_localstack_listens_where_it_is_told_and_writes_under_its_home_alone(tmp_path: Path) -> None:
    chosen = settings(tmp_path, 4599, ["127.0.0.1"])
    assert chosen["GATEWAY_LISTEN"] == "127.0.0.1:4599"
    both = settings(tmp_path, 4599, ["127.0.0.1", "172.17.0.1"])
    assert both["GATEWAY_LISTEN"] == "127.0.0.1:4599,172.17.0.1:4599"
    assert chosen["OVERRIDE_IN_DOCKER"] == "0"
    paths = [value for value in chosen.values() if value.startswith("/")]
    assert paths
    assert all(Path(path).is_relative_to(tmp_path) for path in paths)


@pytest.mark.parametrize(
    ("declared", "seen"),
    [({}, "own"), ({"AWS_ENDPOINT_URL": ""}, "own"), ({"AWS_ENDPOINT_URL": "http://another:1"}, "http://another:1")],
)
def test_a_function_that_declares_its_endpoint_empty_keeps_localstacks_own(
    monkeypatch: pytest.MonkeyPatch, declared: dict[str, str], seen: str
) -> None:
    from localstack import config

    monkeypatch.setattr(config, "GATEWAY_LISTEN", [SimpleNamespace(host="127.0.0.1", port=4599)])
    own = "http://127.0.0.1:4599"
    version = MagicMock()
    version.config.runtime = "python3.11"
    environment = _process_environment(version, {"AWS_ENDPOINT_URL": own, **declared})
    assert environment["AWS_ENDPOINT_URL"] == (own if seen == "own" else seen)


@pytest.mark.filterwarnings("ignore:You do not have a working installation of the service_identity")
def test_the_server_binds_each_named_address_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    from localstack.config import HostAndPort
    from localstack.runtime.server import twisted

    from thumbs.localstack import fixes

    bound: list[tuple[str, int]] = []

    class Endpoint:
        def __init__(self, _reactor: Any, port: int, interface: str = "") -> None:
            bound.append((interface, port))

        def listen(self, _factory: Any) -> None:
            pass

    monkeypatch.setattr(twisted, "endpoints", SimpleNamespace(TCP4ServerEndpoint=Endpoint, TCP6ServerEndpoint=Endpoint))
    monkeypatch.setattr(twisted.TwistedRuntimeServer, "register", twisted.TwistedRuntimeServer.register)
    fixes.listen_on_named_addresses()
    server = twisted.TwistedRuntimeServer()
    hosts = ["127.0.0.1", "172.17.0.1", "::1"]
    server.register(MagicMock(), [HostAndPort(host, 4599) for host in hosts])
    assert bound == [(host, 4599) for host in hosts]


def test_a_function_finds_what_lambdas_runtime_brings_along_and_nothing_else(tmp_path: Path) -> None:
    link_runtime_packages(tmp_path)
    found = {path.name for path in tmp_path.iterdir()}
    assert {"awslambdaric", "boto3", "botocore", "urllib3", "jmespath", "s3transfer", "six.py"} <= found
    names = {found_here.name.lower() for found_here in distributions(path=[str(tmp_path)])}
    assert names == {
        "awslambdaric",
        "boto3",
        "botocore",
        "jmespath",
        "python-dateutil",
        "s3transfer",
        "simplejson",
        "six",
        "snapshot-restore-py",
        "urllib3",
    }
    assert all((path / "__init__.py").exists() for path in tmp_path.iterdir() if path.name in ("boto3", "awslambdaric"))


def test_links_of_an_earlier_environment_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "boto3").symlink_to("/nowhere")
    link_runtime_packages(tmp_path)
    link_runtime_packages(tmp_path)
    assert (tmp_path / "boto3" / "__init__.py").exists()


def test_a_json_path_is_parsed_once_and_means_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from localstack.services.stepfunctions.asl.utils import json_path

    from thumbs.localstack import speedups

    parsed: list[str] = []
    parse = json_path.parse

    def counting(path: str) -> Any:
        parsed.append(path)
        return parse(path)

    monkeypatch.setattr(json_path, "parse", counting)
    speedups.parse_each_json_path_once()
    data = {"rows": [[1, 2], [3]]}
    assert [json_path.extract_json("$.rows[*][*]", data) for _ in range(3)] == [[1, 2, 3]] * 3
    assert json_path.extract_json("$.rows", data) == [[1, 2], [3]]
    assert parsed == ["$.rows[*][*]", "$.rows"]


def test_a_definition_is_parsed_once_and_a_broken_one_is_refused_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from localstack.services.stepfunctions.asl.parse import asl_parser

    from thumbs.localstack import speedups

    parser = asl_parser.AmazonStateLanguageParser
    monkeypatch.setattr(parser, "parse", staticmethod(parser.parse))
    speedups.parse_each_definition_once()
    definition = json.dumps({"StartAt": "Pass On", "States": {"Pass On": {"Type": "Pass", "End": True}}})
    assert parser.parse(definition) is parser.parse(definition)
    for _ in range(2):
        with pytest.raises(asl_parser.ASLParserException):
            parser.parse('{"StartAt": }')


def test_a_part_to_leave_out_that_does_not_exist_is_refused() -> None:
    from thumbs.localstack import speedups

    with pytest.raises(
        SystemExit, match=r"^THUMBS_PLAIN=faster names nothing .*: 1 for all, or index_the_services_once, "
    ):
        speedups.apply("faster")


def test_batches_hand_on_every_item_in_order() -> None:
    from thumbs.localstack import speedups

    sent: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
    batches = speedups._Batches("batches", 3, sent.put)
    for number in range(10):
        batches.put(number)
    received: list[list[int]] = []
    while sum(map(len, received)) < 10:
        received.append(sent.get(timeout=5))
    assert [number for batch in received for number in batch] == list(range(10))
    assert {len(batch) for batch in received[:3]} == {3}


def test_a_plain_stack_is_localstack_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thumbs.localstack.__main__.PLAIN", True)
    assert settings(Path("home"), 4566, ["127.0.0.1"])["IN_MEMORY_CLIENT"] == "0"


def test_an_object_file_reads_as_a_file_does_and_goes_with_it(tmp_path: Path) -> None:
    from thumbs.localstack.buckets import ObjectFile

    file = ObjectFile(dir=str(tmp_path), max_size=0)
    with tempfile.TemporaryFile() as plain:
        for one in (file, plain):
            assert one.write(b"a longer picture") == 16
            assert one.seek(0) == 0
            one.truncate()
            one.write(b"head")
            one.write(b" and tail")
            assert one.tell() == 13
            assert one.seek(-4, os.SEEK_END) == 9
            assert one.read(65536) == b"tail"
            assert one.seek(0) == 0
            assert (one.read(4), one.read(), one.read()) == (b"head", b" and tail", b"")
            assert one.truncate(4) == 4
            assert (one.seek(0), one.read()) == (0, b"head")
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [4]
    file.close()
    assert list(tmp_path.iterdir()) == []


def test_an_execution_lets_ended_threads_go_and_keeps_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from localstack.services.stepfunctions.backend.execution_worker import ExecutionWorker
    from localstack.utils import threads

    from thumbs.localstack import fixes

    started = MagicMock()
    monkeypatch.setattr(ExecutionWorker, "start", started)
    go_on = threading.Event()
    ended, working, waiting = (threading.Thread(target=target, daemon=True) for target in (int, go_on.wait, int))
    pool = object()

    class Kept(list[object]):
        """What another execution has let go of meanwhile stands in it no more."""

        def remove(self, one: object) -> None:
            super().remove(one)
            super().remove(one)

    kept = Kept([ended, working, waiting, pool])
    monkeypatch.setattr(threads, "TMP_THREADS", kept)
    ended.start()
    ended.join()
    working.start()
    fixes.forget_ended_threads()
    worker = ExecutionWorker.__new__(ExecutionWorker)
    worker.start()
    go_on.set()
    working.join()
    assert kept == [working, waiting, pool]
    started.assert_called_once_with(worker)


def test_an_ended_execution_is_packed_and_tells_all_that_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    from localstack.services.stepfunctions.asl.eval.event.event_manager import EventHistoryContext, EventManager
    from localstack.services.stepfunctions.backend.execution_worker import ExecutionWorker

    from thumbs.localstack import fixes

    manager, context = EventManager(), EventHistoryContext.of_program_start()

    def happen(times: int) -> None:
        for number in range(times):
            details: Any = {"stateEnteredEventDetails": {"name": "Pass On", "input": f'{{"number": {number}}}'}}
            manager.add_event(context, "PassStateEntered", details)

    def work(worker: Any) -> None:
        happen(500)
        worker.env = SimpleNamespace(event_manager=manager)

    monkeypatch.setattr(ExecutionWorker, "_execution_logic", work)
    fixes.pack_ended_histories()
    ExecutionWorker.__new__(ExecutionWorker)._execution_logic()
    # A branch of a stopped execution reports late.
    happen(2)
    events = manager.get_event_history()
    assert [event["id"] for event in events] == list(range(1, 503))
    assert events[499]["stateEnteredEventDetails"] == {"name": "Pass On", "input": '{"number": 499}'}
    assert events[499]["timestamp"] <= events[500]["timestamp"]
    kept = manager._history_event_list
    assert isinstance(kept, fixes.PackedHistory)
    assert len(kept._packed) < len(pickle.dumps(events)) / 5
    events[0]["id"] = 7
    assert manager.get_event_history()[0]["id"] == 1


def test_calls_that_come_at_once_wait_for_one_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    from localstack.aws import skeleton
    from localstack.aws.handlers import service
    from localstack.aws.protocol import parser

    from thumbs.localstack import fixes

    under_way: list[str] = []
    most: list[int] = []

    @functools.cache
    def build(name: str, _protocol: object) -> str:
        under_way.append(name)
        most.append(len(under_way))
        # Long enough for the other threads to come in, were they let.
        threading.Event().wait(0.05)
        under_way.remove(name)
        return name

    for module in (parser, skeleton, service):
        monkeypatch.setattr(module, "create_parser", build)
    fixes.build_one_parser_at_a_time()
    threads = [threading.Thread(target=module.create_parser, args=("s3",)) for module in (skeleton, service) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_a_function_that_is_ready_at_the_second_look_is_not_waited_for_half_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from localstack.services.lambda_ import provider
    from localstack.utils import sync

    from thumbs.localstack import speedups

    slept: list[float] = []
    monkeypatch.setattr(sync.time, "sleep", slept.append)
    monkeypatch.setattr(provider, "poll_condition", provider.poll_condition)
    speedups.look_soon_for_a_new_function()
    states = iter([False, True])
    assert provider.poll_condition(lambda: next(states), timeout=10)
    assert len(slept) == 1
    assert slept[0] < 0.1


def test_an_event_pattern_is_compiled_once_and_a_broken_one_is_refused_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from localstack.aws.api.events import InvalidEventPatternException
    from localstack.utils import event_matcher

    from thumbs.localstack import speedups

    compiled: list[Any] = []
    compiler = event_matcher.EventPatternCompiler()
    compile_event_pattern = compiler.compile_event_pattern

    def counting(event_pattern: Any) -> Any:
        compiled.append(event_pattern)
        return compile_event_pattern(event_pattern)

    monkeypatch.setattr(compiler, "compile_event_pattern", counting)
    monkeypatch.setattr(event_matcher, "_event_pattern_compiler", compiler)
    speedups.compile_each_event_pattern_once()
    pattern = json.dumps({"detail": {"object": {"key": [{"prefix": "inbox/"}, {"suffix": ".csv"}]}}})
    keys = ["inbox/a.json", "runs/a.json", "runs/a.csv"]
    for _ in range(2):
        events = [json.dumps({"detail": {"object": {"key": key}}}) for key in keys]
        assert [event_matcher.matches_event(pattern, event) for event in events] == [True, False, True]
    assert compiled == [pattern]
    for _ in range(2):
        with pytest.raises(InvalidEventPatternException):
            event_matcher.matches_event('{"detail": "no list"}', "{}")
