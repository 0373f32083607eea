"""One execution environment's process and the Lambda Runtime API that it talks to.

The API is AWS's (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html): the process asks for the next event,
answers with a response or an error, and asks again. Every process has an API of its own on a free loopback port, so
that nothing of a dead one can reach its successor.
"""

import os
import queue
import socket
import tempfile
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

from thumbs.gate import is_from_browser
from thumbs.localstack.zygote import Zygote

#: A killed process is gone at once; its zygote needs a moment to say so.
END_SECONDS = 2.0


@dataclass(frozen=True)
class Event:
    """One invocation on its way in."""

    request_id: str
    function_arn: str
    trace_id: str
    payload: bytes
    seconds: float


@dataclass(frozen=True)
class Happening:
    """What a sandbox reports: ``ready``, ``response``, ``error``, ``init_error`` or ``exit``."""

    kind: str
    body: bytes = b""
    status: int | None = None


class Sandbox:
    """A process forked from ``zygote``, driven by one thread at a time.

    Args:
        name: unique among the zygote's sandboxes.
        zygote: where to fork from.
        environment: the process's environment; the Runtime API's address is added to it.
    """

    def __init__(self, name: str, zygote: Zygote, environment: dict[str, str]) -> None:
        self._name = name
        self._zygote = zygote
        self._happenings: queue.SimpleQueue[Happening] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._read = 0
        self._output: IO[bytes] = tempfile.TemporaryFile()
        self._api = _RuntimeApi(self._events, self._happenings)
        self.ready = False
        self.started = time.perf_counter()
        address = f"127.0.0.1:{self._api.server_port}"
        zygote.fork(name, {**environment, "AWS_LAMBDA_RUNTIME_API": address}, self._output, self._exited)

    def initialise(self, seconds: float) -> Happening | None:
        """Wait for the process to ask for its first event; what came instead, or None after ``seconds``."""
        happening = self.wait(seconds)
        self.ready = happening is not None and happening.kind == "ready"
        return happening

    def wait(self, seconds: float) -> Happening | None:
        """The next happening, or None after ``seconds``."""
        try:
            return self._happenings.get(timeout=seconds)
        except queue.Empty:
            return None

    def has_ended(self) -> bool:
        """Whether the process ended since its last answer."""
        return not self._happenings.empty()

    def send(self, event: Event) -> None:
        """Hand the process its next event."""
        self._events.put(event)

    def kill(self) -> None:
        """End the process; an ``exit`` happening follows."""
        self._zygote.kill(self._name)

    def end(self) -> None:
        """End the process and wait for that; where its zygote hangs in an import, the zygote goes too."""
        self.kill()
        if self.wait(END_SECONDS) is None:
            self._zygote.stop()

    def import_output(self) -> str:
        """What the handler's module printed while the zygote imported it."""
        return self._zygote.import_output().decode("utf-8", "replace")

    def output(self) -> str:
        """What the process printed since the last call; complete up to the happening that was waited for."""
        descriptor = self._output.fileno()
        size = os.fstat(descriptor).st_size
        text = os.pread(descriptor, size - self._read, self._read)
        self._read += len(text)
        return text.decode("utf-8", "replace")

    def peak_memory_mb(self) -> int:
        """Peak resident memory of the process in MB, 0 where it has ended."""
        try:
            status = Path(f"/proc/{self._zygote.pid(self._name)}/status").read_text()
        except OSError:
            return 0
        return next((int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)

    def _exited(self, status: int | None) -> None:
        self._happenings.put(Happening("exit", status=status))
        self._api.close()


class _RuntimeApi(ThreadingHTTPServer):
    """Serves one process, on a port of its own."""

    daemon_threads = True

    def __init__(self, events: "queue.SimpleQueue[Event | None]", happenings: "queue.SimpleQueue[Happening]") -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.events = events
        self.happenings = happenings
        self.ready = False
        threading.Thread(target=self._accept, name="lambda-runtime-api", daemon=True).start()

    def _accept(self) -> None:
        # In place of serve_forever, which wakes up to look whether it should end and takes that long to do so.
        while True:
            try:
                connection, address = self.socket.accept()
            except OSError:
                return
            self.process_request(connection, address)

    def close(self) -> None:
        """Let the threads that wait for an event or a connection go, and free the port."""
        self.events.put(None)
        self.socket.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Requests(BaseHTTPRequestHandler):
    """The Runtime API's requests, on as many kept-alive connections as the process opens."""

    protocol_version = "HTTP/1.1"
    # Headers and body leave as one segment each; without this the second waits for the first one's acknowledgement.
    disable_nagle_algorithm = True
    server: _RuntimeApi

    def parse_request(self) -> bool:
        """No page in a browser may take an event or answer one: the process alone knows where this is."""
        if not super().parse_request():
            return False
        named = {name.lower(): value for name, value in self.headers.items()}
        if is_from_browser(named) or named.get("host") != f"127.0.0.1:{self.server.server_port}":
            self.close_connection = True
            self._answer(403, b"{}")
            return False
        return True

    def do_GET(self) -> None:
        if self.path != "/2018-06-01/runtime/invocation/next":
            return self._answer(404, b"{}")
        if not self.server.ready:
            self.server.ready = True
            self.server.happenings.put(Happening("ready"))
        event = self.server.events.get()
        if event is None:
            self.close_connection = True
            return None
        return self._answer(
            200,
            event.payload,
            {
                "Lambda-Runtime-Aws-Request-Id": event.request_id,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + event.seconds) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": event.function_arn,
                "Lambda-Runtime-Trace-Id": event.trace_id,
            },
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/2018-06-01/runtime/init/error":
            happening = Happening("init_error", body)
        elif self.path.endswith("/response"):
            happening = Happening("response", body)
        elif self.path.endswith("/error"):
            happening = Happening("error", body)
        else:
            return self._answer(404, b"{}")
        # Before the answer: a process that ends when it has it must not be seen to end before what it said.
        self.server.happenings.put(happening)
        return self._answer(202, b'{"status":"OK"}')

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            pass  # The process was killed while it was being answered; its exit says the rest.
