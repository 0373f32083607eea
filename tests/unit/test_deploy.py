"""What is handed to SAM."""

import json
from pathlib import Path

import pytest

from thumbs.stack import deploy
from thumbs.stack.processes import PROJECT, Stack


def test_keys_reach_sam_in_a_file_that_only_its_owner_can_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stack = Stack(tmp_path, 4566)
    stack.built.parent.mkdir(parents=True)
    (tmp_path / "tmp").mkdir()
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
    stack = Stack(tmp_path, 4566)
    stack.built.parent.mkdir(parents=True)
    (tmp_path / "tmp").mkdir()
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
