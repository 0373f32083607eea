"""LocalStack's open-source core as a plain process, with a Lambda executor that needs no Docker.

__main__.py          boots localstack-core in this process
buckets.py           S3's buckets on disk, read back at the start
gate.py              who may talk to LocalStack, and what a browser may have of it
fixes.py             what is fixed in LocalStack
speedups.py          what makes it faster
listings.py          what a listing of S3's costs
executor.py          the plugin: LocalStack's execution environments, run as processes
places.py            how many environments may work at once, and who waits for a place how long
sandbox.py           one execution environment's process, and the Lambda Runtime API that it talks to
zygote.py            the zygote (the process that others are forked from) of a function version, seen from LocalStack
zygote_process.py    the same from inside: imports the handler once, forks a child for each environment
runtime_packages.py  the packages that AWS's Python runtime brings along
"""

import os

#: In the environment: how many execution environments may work for executions at once.
ENVIRONMENTS = "THUMBS_ENVIRONMENTS"
#: Leave out what makes LocalStack faster, to compare: ``1`` for all of it, the zygote and the calls in memory
#: among it, or the name of one function in ``speed``.
LEFT_OUT = os.environ.get("THUMBS_PLAIN", "")
PLAIN = LEFT_OUT == "1"
#: The folder of all buckets, below the stack's home.
BUCKETS = "s3"
