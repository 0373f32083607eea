"""What is handed to SAM."""

import json
from pathlib import Path
from unittest.mock import Mock

import pytest
from cfnlint.decode.cfn_yaml import load  # type: ignore[import-untyped]

from thumbs.stack import deploy
from thumbs.stack.processes import PROJECT, Stack


def built(home: Path) -> Stack:
    """A stack with two functions built as SAM does it."""
    stack = Stack(home, 4566)
    for function in ("DrawFunction", "CheckFunction"):
        (stack.built / function).mkdir(parents=True)
        (stack.built / function / "app.py").write_text(f"# {function}\n")
    (stack.built / "template.yaml").write_text(
        "Globals:\n  Function:\n    CodeUri: functions/\nResources:\n"
        "  DrawFunction:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: DrawFunction\n"
        "  CheckFunction:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: CheckFunction\n"
    )
    (home / "tmp").mkdir()
    return stack


def test_keys_reach_sam_in_a_file_that_only_its_owner_can_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stack = built(tmp_path)
    handed: list[tuple[list[str], Path, int, dict[str, str]]] = []

    def sam(arguments: list[str], _environment: dict[str, str], _log: Path) -> None:
        for reference in [argument for argument in arguments if argument.startswith("file://")]:
            path = Path(reference.removeprefix("file://"))
            handed.append((arguments, path, path.stat().st_mode & 0o777, json.loads(path.read_text())))

    monkeypatch.setattr(deploy, "_sam", sam)
    monkeypatch.setattr(deploy, "_make_artifact_bucket", lambda _endpoint: None)
    monkeypatch.setenv("OPENAI_API_KEY", 'sk-"quoted" key')
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    deploy.deploy(stack, print, real_providers=True)
    ((arguments, path, mode, values),) = handed
    assert (values["OpenAIApiKey"], values["GeminiApiKey"]) == ('sk-"quoted" key', "")
    assert mode == 0o600
    assert not [argument for argument in arguments if "sk-" in argument]
    assert not path.exists()


def test_a_build_trusts_the_systems_certificates_also_where_make_has_not_said_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stack = built(tmp_path)
    seen: dict[str, dict[str, str]] = {}

    def sam(arguments: list[str], environment: dict[str, str], _log: Path) -> None:
        seen[arguments[0]] = environment

    monkeypatch.setattr(deploy, "_sam", sam)
    monkeypatch.setattr(deploy, "_make_artifact_bucket", lambda _endpoint: None)
    for name in ("UV_SYSTEM_CERTS", "UV_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    deploy.deploy(stack, print)
    assert seen["build"]["UV_SYSTEM_CERTS"] == "true"
    assert Path(seen["build"]["UV_CACHE_DIR"]).is_relative_to(PROJECT)


def test_functions_run_from_a_folder_that_a_later_build_leaves_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stack = built(tmp_path)
    deployed: list[Path] = []

    def sam(arguments: list[str], _environment: dict[str, str], _log: Path) -> None:
        if arguments[0] == "build":
            return
        template = json.loads(Path(arguments[arguments.index("--template-file") + 1]).read_text())
        places = {name: one["Properties"]["CodeUri"] for name, one in template["Resources"].items()}
        assert {place["Bucket"] for place in places.values()} == {"hot-reload"}
        assert (
            [Path(place["Key"]).name for place in places.values()] == list(places) == ["DrawFunction", "CheckFunction"]
        )
        assert template["Globals"]["Function"]["CodeUri"] == "functions/"
        deployed.append(Path(places["DrawFunction"]["Key"]) / "app.py")

    monkeypatch.setattr(deploy, "_sam", sam)
    monkeypatch.setattr(deploy, "_make_artifact_bucket", lambda _endpoint: None)
    for number in range(3):
        source = stack.built / "DrawFunction" / "app.py"
        source.unlink()
        source.write_text(f"# {number}\n")
        deploy.deploy(stack, print, {"BatchCap": str(number)})
    # The one of before stays, for what is being invoked; those before it go.
    assert [file.exists() and file.read_text() for file in deployed] == [False, "# 1\n", "# 2\n"]


def test_functions_are_built_for_the_python_and_the_processor_of_the_stack_and_the_built_template_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stack = built(tmp_path)
    seen: dict[str, str] = {}

    def sam(arguments: list[str], environment: dict[str, str], _log: Path) -> None:
        if arguments[0] == "build":
            seen.update(environment)
            parameters = load(str(PROJECT / "template.yaml"))["Parameters"]
            written = "".join(
                f"  {name}:\n    Type: String\n    Default: {parameters[name]['Default']}\n    AllowedValues: []\n"
                for name in ("Runtime", "Architecture", "PublicEndpointUrl")
            )
            (stack.built / "template.yaml").write_text(f"Parameters:\n{written}Resources: {{}}\n")

    monkeypatch.setattr(deploy, "_sam", sam)
    monkeypatch.setattr(deploy, "PYTHON_VERSION", "3.12")
    monkeypatch.setattr(deploy, "ARCHITECTURE", "arm64")
    deploy.build(stack, print)
    assert (seen["PYTHON_VERSION"], seen["ARCHITECTURE"]) == ("3.12", "arm64")
    text = (stack.built / "template.yaml").read_text()
    assert [line.split(": ")[1] for line in text.splitlines() if "Default" in line] == ["python3.12", "arm64", ""]


def event(what: str, status: str, reason: str | None = None) -> dict[str, object]:
    kind = "AWS::CloudFormation::Stack" if what == deploy.STACK_NAME else "AWS::S3::Bucket"
    return {"LogicalResourceId": what, "ResourceType": kind, "ResourceStatus": status, "ResourceStatusReason": reason}


@pytest.mark.parametrize(
    ("events", "said"),
    [
        (
            [
                event(deploy.STACK_NAME, "CREATE_IN_PROGRESS"),
                event("Bucket", "CREATE_FAILED", "the disk\n is full"),
                event("Table", "CREATE_FAILED", "Resource creation cancelled"),
                event(deploy.STACK_NAME, "CREATE_FAILED", "The following resources failed"),
            ],
            "Bucket (AWS::S3::Bucket): the disk is full",
        ),
        (
            [
                event(deploy.STACK_NAME, "CREATE_IN_PROGRESS"),
                event("Old", "CREATE_FAILED", "long ago"),
                event(deploy.STACK_NAME, "UPDATE_IN_PROGRESS"),
                event("First", "UPDATE_FAILED"),
                event("Second", "UPDATE_FAILED", "no such key"),
            ],
            "Second (AWS::S3::Bucket): no such key",
        ),
        (
            [event(deploy.STACK_NAME, "UPDATE_IN_PROGRESS"), event("First", "UPDATE_FAILED")],
            "First (AWS::S3::Bucket): no reason is given",
        ),
        ([event(deploy.STACK_NAME, "CREATE_IN_PROGRESS"), event("Bucket", "CREATE_COMPLETE")], ""),
    ],
)
def test_a_deployment_says_what_failed_first(events: list[dict[str, object]], said: str) -> None:
    client = Mock()
    # CloudFormation gives the newest first.
    client.get_paginator.return_value.paginate.return_value = [{"StackEvents": events[::-1]}]
    assert deploy.first_failure(client) == said
