"""Unit tests open no socket and pay for nothing."""

import os

import pytest

from tests.unit.memory_executions import MemoryExecutions
from tests.unit.memory_store import MemoryStore


@pytest.fixture(autouse=True)
def sealed(socket_disabled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket, no provider key, no endpoint and no account of the person who runs the tests."""
    for name in list(os.environ):
        if name.endswith("_API_KEY") or name.startswith(("AWS_", "OPENAI_", "GOOGLE_")):
            monkeypatch.delenv(name)
    monkeypatch.delenv("PROVIDER_KEYS_SECRET", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def store() -> MemoryStore:
    """An empty bucket."""
    return MemoryStore()


@pytest.fixture
def executions() -> MemoryExecutions:
    """Step Functions that knows nothing."""
    return MemoryExecutions()
