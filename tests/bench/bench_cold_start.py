"""What a cold start of ``generateThumbnail`` costs: its package, its import, its first and its second image.

Each figure is of a fresh process that sees what Lambda would show it: the built package, the runtime's own packages and
the standard library. Images are made against a stack of the benchmark's own, with an image API without latency. With
*snapshot* the before-snapshot hooks run first, as SnapStart and the embedded stack's zygote do.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench.bench_batch import aligned, client, image_api, machine, stack
from thumbs.localstack.runtime_packages import link_runtime_packages
from thumbs.stack.deploy import CREDENTIALS, STACK_NAME
from thumbs.stack.processes import PROJECT, Stack

LIMIT_MB = 60.0
#: One OpenAI and one Gemini model.
MODELS = ("gpt-image-1", "gemini-3-pro-image-preview")
FRESH = """
import json, sys, time
sys.path[:0] = sys.argv[1:3]
model, snapshot = sys.argv[3], sys.argv[4] == "1"
spent = [time.process_time()]
import generate_thumbnail.app as app
spent.append(time.process_time())
if snapshot:
    app.prepare()
spent.append(time.process_time())
class Context:
    function_name, memory_limit_in_mb, invoked_function_arn, aws_request_id = "f", 1024, "arn", "r"
for number in range(2):
    run = f"cold-{model}-{int(snapshot)}-{number}-{time.time_ns()}"
    app.handler({"title": "What a cold start costs", "model": model, "run_id": run}, Context())
    spent.append(time.process_time())
sdks = sorted({"openai", "google.genai"} & set(sys.modules))
print(json.dumps({"spent": [b - a for a, b in zip(spent, spent[1:])], "sdks": sdks}))
"""


def environment(on: Stack) -> dict[str, str]:
    found = client(on, "lambda").get_function_configuration(FunctionName=f"{STACK_NAME}-generateThumbnail")
    variables: dict[str, str] = found["Environment"]["Variables"]
    return {**variables, **CREDENTIALS, "AWS_ENDPOINT_URL": on.endpoint, "POWERTOOLS_TRACE_DISABLED": "1"}


def fresh(paths: list[str], values: dict[str, str], *arguments: str, options: tuple[str, ...] = ()) -> tuple[str, str]:
    """Standard output and error of ``FRESH`` in a process of its own."""
    command = [sys.executable, "-I", "-S", *options, "-c", FRESH, *paths, *arguments]
    done = subprocess.run(command, env=values, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1], done.stderr


def imports(log: str, most: int) -> list[list[str]]:
    """The dearest packages of ``-X importtime``'s log: what each costs with all that it imports, in ms."""
    found: dict[str, float] = {}
    for line in log.splitlines():
        if line.startswith("import time:") and "imported package" not in line:
            _, inclusive, name = line.removeprefix("import time:").split("|")
            # What is indented least was imported by the handler's own modules.
            if len(name) - len(name.lstrip()) <= 5:
                found[name.strip()] = float(inclusive) / 1000
    dearest = sorted(found.items(), key=lambda item: -item[1])[:most]
    return [["import", "ms"], *([name, f"{cost:.0f}"] for name, cost in dearest)]


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    homes = PROJECT / ".thumbs"
    homes.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=homes) as folder:
        home = Path(folder)
        with image_api(home) as api, stack(home, api) as on:
            functions = client(on, "lambda").list_functions()["Functions"]
            sizes = sorted((one["CodeSize"] / 1e6, one["FunctionName"]) for one in functions)
            runtime = home / "runtime"
            link_runtime_packages(runtime)
            paths = [str(on.built / "GenerateThumbnailFunction"), str(runtime)]
            values = environment(on)
            rows = [["CPU ms", "import", "snapshot", "first image", "second image", "SDKs loaded"]]
            for model in MODELS:
                for snapshot in ("0", "1"):
                    answer: dict[str, Any] = json.loads(fresh(paths, values, model, snapshot)[0])
                    spent = [f"{1000 * one:.0f}" for one in answer["spent"]]
                    rows.append([model, *spent, " ".join(answer["sdks"])])
            _, log = fresh(paths, values, MODELS[0], "0", options=("-X", "importtime"))
    print(aligned([["function", "zipped MB"], *([name, f"{size:.1f}"] for size, name in reversed(sizes))]))
    largest = sizes[-1][0]
    print(f"limit {LIMIT_MB:g} MB: {'met' if largest <= LIMIT_MB else 'missed'}\n")
    print(aligned(rows) + "\n")
    print(aligned(imports(log, 12)) + f"\n\n{machine()}")
    if largest > LIMIT_MB:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
