"""A function version's zygote, seen from LocalStack. The protocol is in ``zygote_process``."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

from thumbs.localstack import zygote_process


class Zygote:
    """Starts the zygote and forks environments from it.

    Args:
        handler: Lambda's handler name, ``package.module.function``.
        code: the unpacked code, the environments' working folder and first entry of ``sys.path``.
        runtime: the folder of the runtime's own packages.
        environment: what the handler's module sees in ``os.environ`` while it is imported.
        snapshot: run the handler's before-snapshot hooks.
    """

    def __init__(
        self, handler: str, code: Path, runtime: Path, environment: dict[str, str], *, snapshot: bool = True
    ) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = ours
        self._import_output: IO[bytes] = tempfile.TemporaryFile()
        self._on_exit: dict[str, Callable[[int | None], None]] = {}
        self._pids: dict[str, int] = {}
        self._lock = threading.Lock()
        self.alive = True
        command = [
            sys.executable,
            "-I",
            "-S",
            zygote_process.__file__,
            str(theirs.fileno()),
            handler,
            str(int(snapshot)),
        ]
        self._process = subprocess.Popen(
            [*command, str(code), str(runtime)],
            cwd=code,
            env=environment,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._import_output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        theirs.close()
        threading.Thread(target=self._listen, name=f"lambda-zygote-{handler}", daemon=True).start()

    def fork(
        self, name: str, environment: dict[str, str], output: IO[bytes], on_exit: Callable[[int | None], None]
    ) -> None:
        """Fork the environment ``name``; ``on_exit`` is called once with its wait status, None where that is lost.

        Args:
            name: unique among this zygote's forks.
            environment: the child's whole environment.
            output: takes the child's standard output and error.
            on_exit: called from another thread.
        """
        message = json.dumps({"fork": name, "environment": environment}).encode()
        with self._lock:
            self._on_exit[name] = on_exit
            try:
                if self.alive:
                    socket.send_fds(self._control, [message], [output.fileno()])
                    return
            except OSError:
                pass
            del self._on_exit[name]
        on_exit(None)

    def kill(self, name: str) -> None:
        """End one environment and all that it started; ``on_exit`` follows."""
        try:
            self._control.send(json.dumps({"kill": name}).encode())
        except OSError:
            pass  # The zygote is gone, and its children with it.

    def pid(self, name: str) -> int | None:
        """The process id of a living environment."""
        return self._pids.get(name)

    def import_output(self) -> bytes:
        """What the handler's module printed while it was imported."""
        self._import_output.seek(0)
        return self._import_output.read()

    def stop(self) -> None:
        """End the zygote and with it every environment, and wait for its end."""
        self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        while True:
            try:
                packet = self._control.recv(65536)
            except OSError:
                packet = b""
            if not packet:
                break
            message = json.loads(packet)
            if "forked" in message:
                self._pids[message["forked"]] = message["pid"]
            if "exited" in message:
                with self._lock:
                    self._pids.pop(message["exited"], None)
                    on_exit = self._on_exit.pop(message["exited"], None)
                if on_exit:
                    on_exit(message["status"])
        # A zygote that was killed took its environments with it, and could not end what these had started.
        for pid in list(self._pids.values()):
            try:
                os.killpg(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        with self._lock:
            self.alive = False
            lost, self._on_exit = list(self._on_exit.values()), {}
        self._control.close()
        self._process.wait()
        for on_exit in lost:
            on_exit(None)
