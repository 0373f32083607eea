"""The stack on this machine: the embedded LocalStack and the offline image API, started, found again and stopped.

Everything that it writes is under one folder, ``.thumbs/`` of the project unless ``THUMBS_HOME`` names another:

    stack.json     the processes, by process id and start time, and their ports
    log/           what they and the deployment printed
    s3/            the buckets, which stay when the stack goes down
    localstack/    LocalStack's own files
    sam/           the built functions and their template, and the SAM CLI's own files
    code/          the functions that are deployed, each build's in a folder of its own
    cache/         what LocalStack has found out about its own packages
    tmp/           temporary files; emptied when a stack starts or stops
    sam-local.json what `sam local` needs to reach the stack, where it listens on Docker's bridge
"""

import fcntl
import hashlib
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import psutil

from thumbs.command_error import CommandError
from thumbs.localstack import BUCKETS, ENVIRONMENTS
from thumbs.localstack.places import fitting_environments, memory_bytes

PROJECT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
#: LocalStack keeps nothing that a longer wait would save.
STOP_SECONDS = 3.0
LOOPBACK = "127.0.0.1"
#: A machine answers itself at once.
LOOPBACK_SECONDS = 1.0
#: Where containers find this machine, unless ``THUMBS_BRIDGE`` names another interface.
BRIDGE = "docker0"
#: What has to be free on the disk of the stack's home, in bytes. Functions that are not built yet take 165 MB, and
#: twice that while they are; and no cell has a picture drawn where less than 100 MB are free.
BUILD_BYTES = 400_000_000
ROOM_BYTES = 150_000_000
#: In the environment of what the stack starts, with its home: by this a later command knows what a crash left.
MARK = "THUMBS_STACK"

#: Tells a person what is being done.
Report = Callable[[str], None]


@dataclass(frozen=True)
class Service:
    """A process of the stack. The start time tells it from a later process with the same id."""

    pid: int
    started: float
    port: int

    @property
    def process(self) -> psutil.Process | None:
        """The living process, or None."""
        try:
            process = psutil.Process(self.pid)
            alive = process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - self.started) < 0.01
        except psutil.NoSuchProcess:
            return None
        return process if alive else None


class Stack:
    """One stack.

    Args:
        home: the folder for everything that it writes.
        port: LocalStack's port on 127.0.0.1; the image API takes the next one that is free.
        latency: seconds that the offline image API takes for a picture.
        bridge: listen on the Docker bridge's address too, so that containers reach the stack.
    """

    def __init__(self, home: Path, port: int, latency: float = 1.0, *, bridge: bool = False) -> None:
        self.home = home
        self.port = port
        self.latency = latency
        self.bridge = bridge
        self.logs = home / "log"
        self._holds_lock = False

    @classmethod
    def of_this_project(cls, latency: float = 1.0, *, bridge: bool = False) -> "Stack":
        """The stack that ``THUMBS_HOME`` and ``THUMBS_PORT`` name, else the project's own on port 4566.

        ``THUMBS_BRIDGE`` names another interface to listen on: in a container, the one that published ports lead to.
        """
        port = os.environ.get("THUMBS_PORT", "4566")
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise CommandError(f"THUMBS_PORT is {port!r}", "give a port number from 1 to 65535")
        home = Path(os.environ.get("THUMBS_HOME", PROJECT / ".thumbs")).resolve()
        return cls(home, int(port), latency, bridge=bridge or bool(os.environ.get("THUMBS_BRIDGE")))

    @property
    def endpoint(self) -> str:
        """Where the AWS services are."""
        return f"http://localhost:{self.port}"

    @property
    def image_api_url(self) -> str | None:
        """Where the offline image API is, None where it is not running."""
        service = self.service("image_api")
        return f"http://{LOOPBACK}:{service.port}" if service and service.process else None

    @property
    def built(self) -> Path:
        """What SAM built for this stack, and from which it deploys; ``template.yaml`` in it names all."""
        return self.home / "sam" / "build"

    @property
    def code(self) -> Path:
        """The deployed functions' code, a folder for each build."""
        return self.home / "code"

    @property
    def buckets(self) -> Path:
        """Where the buckets are, which a stack that goes down leaves there."""
        return self.home / BUCKETS

    @property
    def functions_folder(self) -> Path:
        """Where LocalStack keeps what it needs while it runs; the functions' temporary folder."""
        return self.home / "localstack" / "tmp"

    @property
    def sam_local_variables(self) -> Path:
        """The file for ``sam local``'s ``--env-vars``."""
        return self.home / "sam-local.json"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses to listen on.

        Raises:
            CommandError: the bridge is wanted and there is none.
        """
        return (LOOPBACK, bridge_address()) if self.bridge else (LOOPBACK,)

    def service(self, name: str) -> Service | None:
        """What was started under a name, alive or not."""
        noted = self.state().get(name)
        return Service(**noted) if noted else None

    def is_deployed(self) -> bool:
        """Whether the LocalStack that runs holds the application."""
        localstack = self.service("localstack")
        return bool(localstack and localstack.process and "deployed" in self.state())

    def state(self) -> dict[str, Any]:
        """What ``stack.json`` says; nothing where it is not there or a crash has spoilt it."""
        try:
            state = json.loads((self.home / "stack.json").read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def note(self, **changes: object) -> None:
        """Change entries of ``stack.json``, whole or not at all; None removes one.

        Raises:
            CommandError: it cannot be written.
        """
        state = {name: value for name, value in {**self.state(), **changes}.items() if value is not None}
        draft = self.home / "stack.json.part"
        try:
            draft.write_text(json.dumps(state, indent=2) + "\n")
            draft.replace(self.home / "stack.json")
        except OSError as error:
            raise self._unwritable(error) from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second command from starting or stopping the stack meanwhile.

        Raises:
            CommandError: the stack's home cannot be written.
        """
        if self._holds_lock:
            yield
            return
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            opened = (self.home / "lock").open("w")
        except OSError as error:
            raise self._unwritable(error) from None
        with opened as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._holds_lock = True
            try:
                yield
            finally:
                self._holds_lock = False

    def start(self, report: Report, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Start what is not running yet.

        Args:
            report: is told what was done.
            meanwhile: what can be done before it is up.

        Raises:
            CommandError: a port is taken by something else, loopback is down, a process does not come up, the disk is
                full, or there is no bridge.
        """
        with self.locked():
            hosts = self.hosts
            self._refuse_full_disk()
            noted = self.service("localstack")
            if noted and noted.process and noted.port != self.port:
                raise CommandError(
                    f"this stack already runs on port {noted.port}", "`thumbs down` stops it, or unset THUMBS_PORT"
                )
            runs = bool(noted and noted.process)
            if runs and self.bridge and not answers(f"http://{hosts[-1]}:{self.port}/_localstack/health"):
                raise CommandError(
                    f"this stack runs and does not listen on Docker's bridge, {hosts[-1]}",
                    "`thumbs down` stops it, then `thumbs up --bridge`",
                )
            if runs and self.state().get("code") != _code():
                raise CommandError(
                    "the stack that runs was started from other code", "`thumbs down` stops it, then `thumbs up`"
                )
            self._end_strays()
            if not runs:
                self._refuse_taken_port(hosts)
                refuse_dead_loopback()
                self._forget_localstack()
                environments = environments_here()
                command = ["thumbs.localstack", str(self.home), str(self.port), *hosts]
                places = {ENVIRONMENTS: str(environments)}
                self._launch("localstack", command, self.port, places)
                self.note(code=_code(), environments=environments)
            image_api = self.service("image_api")
            if not (image_api and image_api.process):
                port = free_port(image_api.port if image_api else self.port + 1, hosts)
                command = ["thumbs.image_api", "--port", str(port), "--latency", str(self.latency), "--host", *hosts]
                self._launch("image_api", command, port)
            meanwhile()
            # One that was there already may have been started by a command that did not wait for it.
            self._await("localstack", "/_localstack/health")
            if not runs:
                report(f"LocalStack runs on {self.endpoint}")
            self._await("image_api", "/health")
            if not (image_api and image_api.process):
                report(f"the offline image API runs on {self.image_api_url}")

    def stop(self, report: Report) -> bool:
        """End both processes and what they started; whether there was anything to end."""
        with self.locked():
            ended = False
            for name, label in (("localstack", "LocalStack"), ("image_api", "the offline image API")):
                service = self.service(name)
                process = service.process if service else None
                if process:
                    _end(process)
                    report(f"{label} is stopped")
                    ended = True
            self._end_strays()
            self._forget_localstack()
            self.note(localstack=None, image_api=None)
            return ended

    def _launch(
        self, name: str, command: list[str], port: int, variables: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        with (self.logs / f"{name}.log").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=PROJECT,
                env={**self.environment(), "PYTHONUNBUFFERED": "1", **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.note(**{name: asdict(Service(process.pid, psutil.Process(process.pid).create_time(), port))})

    def _await(self, name: str, health: str) -> None:
        log, deadline = self.logs / f"{name}.log", time.monotonic() + START_SECONDS
        while (service := self.service(name)) and not answers(f"http://{LOOPBACK}:{service.port}{health}"):
            process = service.process
            if process is None:
                self.note(**{name: None})
                raise CommandError(f"{name} ended while it started", f"{last_line(log)} (all of it: {log})")
            if time.monotonic() > deadline:
                _end(process)
                self.note(**{name: None})
                raise CommandError(f"{name} did not answer within {START_SECONDS:.0f} s", f"see {log}")
            time.sleep(0.1)

    def environment(self) -> dict[str, str]:
        """For every process that the stack starts: this one's, with the mark and with folders at home for its files."""
        temporary = self.home / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        places = {"TMPDIR": str(temporary), "XDG_CACHE_HOME": str(self.home / "cache")}
        # Without compiled modules every start of LocalStack and of SAM would compile thousands of files anew.
        mine = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return {**mine, **places, MARK: str(self.home)}

    def lost(self) -> list[str]:
        """The services that were started and have ended by themselves."""
        noted = {name: self.service(name) for name in ("localstack", "image_api")}
        return [name for name, service in noted.items() if service and not service.process]

    def _end_strays(self) -> None:
        """End what a command or a LocalStack that was killed has left running."""
        kept = {os.getpid()}
        for service in (self.service("localstack"), self.service("image_api")):
            if service and (process := service.process):
                kept |= {process.pid, *(child.pid for child in process.children(recursive=True))}
        # The functions' processes carry no mark, as Lambda would show them none; they know their temporary folder.
        marks = {(MARK, str(self.home)), ("TMPDIR", str(self.functions_folder))}
        strays = []
        for process in psutil.process_iter():
            try:
                if process.pid not in kept and marks & process.environ().items():
                    process.kill()
                    strays.append(process)
            except psutil.Error:
                continue  # Another user's, or gone.
        wait_for_end(strays, STOP_SECONDS)

    def _forget_localstack(self) -> None:
        """A LocalStack that starts has its buckets: what its predecessor else held and unpacked is of no more use."""
        self.sam_local_variables.unlink(missing_ok=True)
        (self.home / "stack.json.part").unlink(missing_ok=True)
        for folder in ("localstack", "tmp"):
            shutil.rmtree(self.home / folder, ignore_errors=True)
        # On a full disk there is room for it by now.
        self.note(deployed=None, deploying=None, offline=None)

    def _unwritable(self, error: OSError) -> CommandError:
        return CommandError(
            f"the stack keeps its files in {self.home}, which cannot be written ({error.strerror})",
            "make room where it is full, or set THUMBS_HOME to another folder",
        )

    def delete_buckets(self) -> None:
        """Throw away every bucket of a stack that is down."""
        with self.locked():
            shutil.rmtree(self.buckets, ignore_errors=True)

    def _refuse_full_disk(self) -> None:
        needed = ROOM_BYTES + (0 if self.built.exists() else BUILD_BYTES)
        free = shutil.disk_usage(self.home).free
        if free < needed:
            there, wanted = f"{free / 1e6:.1f} MB", f"{needed / 1e6:.0f} MB"
            raise CommandError(
                f"{there} are free on the disk that holds {self.home}, and the stack needs {wanted}",
                "make room, or set THUMBS_HOME to a folder on another disk",
            )

    def _refuse_taken_port(self, hosts: tuple[str, ...]) -> None:
        try:
            if is_free(self.port, hosts):
                return
        except PermissionError:
            raise CommandError(
                f"port {self.port} is one that only root may listen on", "choose one from 1024 on with THUMBS_PORT"
            ) from None
        raise CommandError(
            f"port {self.port} is taken by {_holder(self.port)}, which is not this stack",
            "stop it, or choose another port with THUMBS_PORT",
        )


def environments_here() -> int:
    """How many execution environments may work at once: what ``THUMBS_ENVIRONMENTS`` says, else what fits the machine.

    Raises:
        CommandError: it says no such number.
    """
    asked = os.environ.get(ENVIRONMENTS)
    if asked is None:
        return fitting_environments(memory_bytes(), os.cpu_count() or 1)
    if not asked.isdecimal() or not 0 < int(asked) <= 10_000:
        raise CommandError(f"{ENVIRONMENTS} is {asked!r}", "give how many environments may work at once, from 1 on")
    return int(asked)


def refuse_dead_loopback() -> None:
    """Talk to this machine over loopback, as everything in the stack does.

    Raises:
        CommandError: it does not work.
    """
    with socket.socket() as server:
        try:
            server.bind((LOOPBACK, 0))
            server.listen()
            socket.create_connection(server.getsockname(), timeout=LOOPBACK_SECONDS).close()
        except OSError as error:
            raise CommandError(
                f"this machine does not reach itself at {LOOPBACK} ({error.strerror or error})",
                "bring its loopback interface up (`ip link set lo up`), or let a firewall pass it",
            ) from None
    try:
        found = {address[4][0] for address in socket.getaddrinfo("localhost", None, socket.AF_INET)}
    except OSError:
        found = set()
    if LOOPBACK not in found:
        raise CommandError(
            f"the name localhost does not lead to {LOOPBACK}", f"add `{LOOPBACK} localhost` to /etc/hosts"
        )


def answers(url: str) -> bool:
    """Whether a GET gets a 200."""
    try:
        with urlopen(url, timeout=2) as response:  # noqa: S310 # nosec B310 # a URL of this module's own
            return bool(response.status == 200)
    except (URLError, OSError):
        return False


def bridge_address() -> str:
    """The address of Docker's bridge on this machine, or of the interface that ``THUMBS_BRIDGE`` names.

    Raises:
        CommandError: there is none.
    """
    interface = os.environ.get("THUMBS_BRIDGE") or BRIDGE
    for address in psutil.net_if_addrs().get(interface, ()):
        if address.family == socket.AF_INET:
            return str(address.address)
    if interface != BRIDGE:
        raise CommandError(f"THUMBS_BRIDGE is {interface!r}, and there is no such interface", "unset it")
    raise CommandError("there is no Docker bridge on this machine", f"start Docker: it makes {BRIDGE}")


def is_free(port: int, hosts: tuple[str, ...] = (LOOPBACK,)) -> bool:
    """Whether a server could listen on this port of all these addresses.

    Raises:
        PermissionError: another user could.
    """
    for host in hosts:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except PermissionError:
                raise
            except OSError:
                return False
    return True


def free_port(wanted: int = 0, hosts: tuple[str, ...] = (LOOPBACK,)) -> int:
    """``wanted`` if it is free, else one that the system chooses."""
    while not (wanted and is_free(wanted, hosts)):
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            wanted = probe.getsockname()[1]
    return wanted


def last_line(log: Path) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"


def _code() -> str:
    """A digest of what the embedded LocalStack is made from."""
    found = hashlib.sha256()
    for file in sorted([*(PROJECT / "thumbs" / "localstack").glob("*.py"), PROJECT / "thumbs" / "gate.py"]):
        found.update(file.read_bytes())
    return found.hexdigest()


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass  # Another user's processes are not ours to see.
    return "another program"


def _end(process: psutil.Process) -> None:
    """End a process that leads its own session, and all that it started."""
    family = [process, *process.children(recursive=True)]
    try:
        process.terminate()
    except psutil.NoSuchProcess:
        pass
    else:
        if wait_for_end([process], STOP_SECONDS):
            process.kill()
    alive = wait_for_end(family, STOP_SECONDS)
    for left in alive:
        left.kill()
    wait_for_end(alive, STOP_SECONDS)


def wait_for_end(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait until processes have ended; those that still run after so many seconds.

    One that has ended counts, although its parent has not asked how: the first process of a container is often one that
    never asks, and until then ``psutil`` waits (``pidfd_open(2)``).
    """
    poll, running = select.poll(), {}
    try:
        for process in processes:
            with suppress(ProcessLookupError):
                descriptor = os.pidfd_open(process.pid)
                running[descriptor] = process
                poll.register(descriptor, select.POLLIN)
        deadline, waiting = time.monotonic() + seconds, set(running)
        while waiting and (ended := poll.poll(max(0.0, deadline - time.monotonic()) * 1000)):
            for descriptor, _ in ended:
                poll.unregister(descriptor)
                waiting.remove(descriptor)
        return [running[descriptor] for descriptor in waiting]
    finally:
        for descriptor in running:
            os.close(descriptor)
