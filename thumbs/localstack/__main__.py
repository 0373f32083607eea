"""Boots LocalStack in this process: ``python -m thumbs.localstack HOME PORT HOST…``."""

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from thumbs.localstack import BUCKETS, ENVIRONMENTS, LEFT_OUT, PLAIN


def settings(home: Path, port: int, hosts: Sequence[str]) -> dict[str, str]:
    """LocalStack's configuration, for a stack that keeps all of its files under ``home``.

    ``THUMBS_PLAIN=1`` leaves out what makes LocalStack faster, to compare with stock LocalStack.

    Args:
        home: the folder for everything that the stack writes.
        port: the port for every AWS service.
        hosts: the addresses to listen on.
    """
    return {
        "GATEWAY_LISTEN": ",".join(f"{host}:{port}" for host in hosts),
        "LOCALSTACK_HOST": f"localhost:{port}",
        # A virtual machine may pass for a container, and LocalStack in a container listens on every interface.
        "OVERRIDE_IN_DOCKER": "0",
        "FILESYSTEM_ROOT": str(home / "localstack"),
        # Nothing is looked up or fetched on the internet.
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DNS_ADDRESS": "0",
        "LAMBDA_RUNTIME_EXECUTOR": "process",
        # Without it CloudFormation waits 5 s for each function.
        "LAMBDA_SYNCHRONOUS_CREATE": "1",
        # Calls that wait for a place count as running: places.py bounds the environments.
        "LAMBDA_LIMITS_CONCURRENT_EXECUTIONS": "100000",
        # To fork a process is quick, but on a busy machine it may have to wait.
        "LAMBDA_RUNTIME_ENVIRONMENT_TIMEOUT": "120",
        # A run that follows at once finds them warm; a machine that rests has its memory back.
        "LAMBDA_KEEPALIVE_MS": "10000",
        # An event that a function failed on is tried again after one second and two, where AWS waits minutes.
        "LAMBDA_RETRY_BASE_DELAY": "1",
        # Its services call each other without a socket between them: 4 ms less for each of about five calls an image.
        "IN_MEMORY_CLIENT": "0" if PLAIN else "1",
    }


def main() -> None:
    """Configure, patch and run LocalStack until SIGTERM."""
    home, port = Path(sys.argv[1]).resolve(), int(sys.argv[2])
    os.environ.update(settings(home, port, sys.argv[3:]))
    # LocalStack unpacks the functions into Python's temporary folder.
    tempfile.tempdir = os.environ["TMPDIR"] = str(home / "localstack" / "tmp")
    Path(tempfile.tempdir).mkdir(parents=True, exist_ok=True)
    # LocalStack reads its settings when it is imported, so after they are set.
    from localstack.runtime.main import main as run_localstack

    from thumbs.localstack import buckets, fixes, gate, places, speedups
    from thumbs.localstack.executor import BUCKET_FOLDER

    gate.close(sys.argv[3:])
    fixes.apply()
    os.environ[BUCKET_FOLDER] = str(home / BUCKETS)
    buckets.keep_buckets(home / BUCKETS)
    # Without the calls in memory, which tell whose a call is, there is no queue to stand in.
    if not PLAIN:
        places.bound_environments(int(os.environ[ENVIRONMENTS]))
        speedups.apply(LEFT_OUT)
    try:
        run_localstack()
    except SystemExit as end:
        sys.stdout.flush()
        # All services are stopped; taking the interpreter apart would take several seconds more.
        os._exit(end.code if isinstance(end.code, int) else 0)


if __name__ == "__main__":
    main()
