"""The zygote of one function version. Runs alone, on the standard library, in the function's own interpreter.

It imports the handler once and then forks a child for every execution environment, as Lambda SnapStart does with its
snapshot: fifty environments cost one import. Each child runs AWS's own runtime client (awslambdaric) against the
Runtime API address that it is given.

Protocol, over the seqpacket socket whose descriptor is ``argv[1]``, a JSON object a packet:

    in   {"fork": id, "environment": {…}}  with the descriptor of the child's output file attached
    in   {"kill": id}                      ends that child and its process group
    out  {"imported": seconds}             once
    out  {"forked": id, "pid": n}
    out  {"exited": id, "status": n}       a child's wait status (os.WIFEXITED …)

The end of the socket ends the zygote, and the end of the zygote ends every child.
"""

import ctypes
import gc
import importlib
import json
import logging
import os
import selectors
import signal
import socket
import sys
import time

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)
#: Stands for the runtime's log handler while the function is imported.
RUNTIME_LOG = logging.NullHandler()


class InheritedFilters(list[logging.Handler]):
    """A logger's handlers; each that is added gets the filters that the import gave to the runtime's handler.

    On Lambda the runtime's handler is there before the function is imported, and libraries put filters on it. Here it
    is made after the fork.
    """

    def append(self, handler: logging.Handler) -> None:
        for filter_ in RUNTIME_LOG.filters:
            handler.addFilter(filter_)
        super().append(handler)


def inherit_log_filters() -> None:
    """Let the runtime's handler take the place of its stand-in."""
    root = logging.getLogger()
    root.handlers = InheritedFilters(handler for handler in root.handlers if handler is not RUNTIME_LOG)


def import_handler(handler: str, snapshot: bool) -> float:
    """Import the module that holds ``handler``, and run its before-snapshot hooks as SnapStart does.

    What fails in the import fails again, and is reported, in the child.
    """
    started = time.perf_counter()
    logging.getLogger().addHandler(RUNTIME_LOG)
    # An import makes much that stays and little that is garbage: to look for it again and again is a fifth of the time.
    gc.disable()
    try:
        # What awslambdaric imports, less its native client, which reads the Runtime API's address when it is imported.
        for name in ("http.client", "simplejson", "snapshot_restore_py", "traceback"):
            importlib.import_module(name)
        importlib.import_module(handler.rpartition(".")[0].replace("/", "."))
    except BaseException:  # noqa: S110 - even SystemExit is the child's to report
        pass
    else:
        if snapshot:
            run_before_snapshot_hooks()
    # Keep the collector from touching, and so copying, the pages that the children share.
    gc.collect()
    gc.freeze()
    gc.enable()
    return time.perf_counter() - started


def run_before_snapshot_hooks() -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html"""
    try:
        importlib.import_module("awslambdaric.lambda_runtime_hooks_runner").run_before_snapshot()
    except Exception:
        importlib.import_module("traceback").print_exc()


def become_environment(environment: dict[str, str], output: int, parent: int, inherited: list[int]) -> None:
    """Turn this fresh child into an execution environment; never returns.

    Args:
        environment: its whole environment, ``_HANDLER`` and ``AWS_LAMBDA_RUNTIME_API`` among it.
        output: the descriptor that takes its standard output and error.
        parent: the zygote's process id; the child ends with it.
        inherited: the zygote's own descriptors, to close.
    """
    status = 1
    try:
        os.setsid()
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(output, 1)
        os.dup2(output, 2)
        for descriptor in (*inherited, output):
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(environment)
        time.tzset()
        inherit_log_filters()
        from awslambdaric.__main__ import main

        main(["bootstrap", environment["_HANDLER"]])
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)


def end(pid: int) -> None:
    """Kill a child that is not reaped yet, and what it started."""
    # The child makes itself its group's leader; before that, there is only itself to kill.
    for kill in (os.kill, os.killpg):
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def serve(control: socket.socket) -> None:
    """Fork and reap until the socket ends."""
    children: dict[int, str] = {}
    wake_read, wake_write = socket.socketpair()
    wake_write.setblocking(False)
    signal.set_wakeup_fd(wake_write.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    selector.register(wake_read, selectors.EVENT_READ)
    me = os.getpid()
    own = [control.fileno(), wake_read.fileno(), wake_write.fileno(), selector.fileno()]
    while True:
        ready = {key.fileobj for key, _ in selector.select()}
        if wake_read in ready:
            wake_read.recv(4096)
            while children:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended is None:
                    break
                # What the child started ends with it, and before it is reaped: until then its id is no one else's.
                end(ended.si_pid)
                pid, status = os.waitpid(ended.si_pid, 0)
                control.send(json.dumps({"exited": children.pop(pid), "status": status}).encode())
        if control in ready:
            packet, descriptors, _, _ = socket.recv_fds(control, 1 << 20, 1)
            if not packet:
                break
            message = json.loads(packet)
            if "fork" in message:
                pid = os.fork()
                if pid == 0:
                    become_environment(message["environment"], descriptors[0], me, own)
                children[pid] = message["fork"]
                control.send(json.dumps({"forked": message["fork"], "pid": pid}).encode())
            else:
                for pid in [pid for pid, name in children.items() if name == message["kill"]]:
                    end(pid)
            for descriptor in descriptors:
                os.close(descriptor)
    for pid in children:
        end(pid)


def main() -> None:
    """``zygote_process.py CONTROL_FD HANDLER SNAPSHOT PATH…``: import, say so, serve."""
    # One Ctrl-C in a terminal reaches the whole group; LocalStack decides what ends here.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    handler, snapshot, sys.path[:] = sys.argv[2], sys.argv[3] == "1", [*sys.argv[4:], *sys.path]
    control.send(json.dumps({"imported": import_handler(handler, snapshot)}).encode())
    try:
        serve(control)
    except (BrokenPipeError, ConnectionResetError):
        os._exit(0)


if __name__ == "__main__":
    main()
