"""What may import what: data flows one way, and only the domain's edges know a provider or AWS."""

import ast
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
FUNCTIONS = PROJECT / "functions"
DOMAIN = FUNCTIONS / "thumbnails"
HANDLERS = {path.parent.name for path in FUNCTIONS.glob("*/app.py")}
#: What the domain's edges alone import, and which edge.
EDGES = {
    "aws_lambda_powertools": {"aws/secrets.py"},
    "cykooz_resizer": {"images/overlay/vectors.py"},
    "boto3": {"aws/bus.py", "aws/s3.py", "aws/step_functions.py", "images/providers/bedrock.py"},
    "botocore": {"aws/bus.py", "aws/s3.py", "aws/step_functions.py", "images/providers/bedrock.py"},
    "openai": {"images/providers/openai.py"},
    "google": {"images/providers/google.py"},
    "httpx2": {f"images/providers/{name}.py" for name in ("__init__", "openai", "google")},
}


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found.add((node.module or "").split(".")[0])
    return found


def files(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)
    assert found
    return found


def test_there_are_handlers_to_look_at() -> None:
    assert {"validate_batch", "generate_thumbnail", "collect_batch"} <= HANDLERS


@pytest.mark.parametrize("path", files(DOMAIN), ids=lambda path: str(path.relative_to(DOMAIN)))
def test_the_domain_imports_no_handler_and_nothing_of_the_tool(path: Path) -> None:
    assert not imported(path) & (HANDLERS | {"entry", "thumbs", "tests"})


@pytest.mark.parametrize("package", EDGES)
def test_only_the_edges_of_the_domain_import(package: str) -> None:
    importing = {str(path.relative_to(DOMAIN)) for path in files(DOMAIN) if package in imported(path)}
    assert importing
    assert importing <= EDGES[package]


def test_the_environment_is_read_in_one_place() -> None:
    reading = {str(path.relative_to(FUNCTIONS)) for path in files(FUNCTIONS) if "os.environ" in path.read_text()}
    assert reading == {"entry/settings.py"}


@pytest.mark.parametrize("handler", sorted(HANDLERS))
def test_a_handler_imports_no_other_and_nothing_of_the_tool(handler: str) -> None:
    for path in files(FUNCTIONS / handler):
        assert not imported(path) & (HANDLERS - {handler} | {"thumbs", "tests"})


@pytest.mark.parametrize("path", files(PROJECT / "thumbs"), ids=lambda path: str(path.relative_to(PROJECT)))
def test_the_tool_imports_no_handler(path: Path) -> None:
    assert not imported(path) & (HANDLERS | {"tests"})


STACK = [
    *files(PROJECT / "thumbs/localstack"),
    *files(PROJECT / "thumbs/image_api"),
    PROJECT / "thumbs/stack/processes.py",
]


@pytest.mark.parametrize("path", STACK, ids=lambda path: str(path.relative_to(PROJECT)))
def test_the_embedded_stack_knows_nothing_of_the_application(path: Path) -> None:
    assert "thumbnails" not in imported(path)


def test_the_zygote_process_imports_the_standard_library_and_lambdas_runtime_client_alone() -> None:
    found = imported(PROJECT / "thumbs/localstack/zygote_process.py")
    assert found - sys.stdlib_module_names == {"awslambdaric"}
