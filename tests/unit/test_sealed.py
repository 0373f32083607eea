"""The seal around the unit tests holds."""

import os
import socket
import urllib.request

import pytest
from pytest_socket import SocketBlockedError


def test_a_socket_cannot_be_opened() -> None:
    with pytest.warns(UserWarning, match="socket"), pytest.raises(SocketBlockedError):
        socket.socket()


def test_a_name_cannot_be_looked_up() -> None:
    with pytest.warns(UserWarning, match="socket"), pytest.raises(SocketBlockedError):
        urllib.request.urlopen("http://example.com")


def test_no_provider_key_is_in_the_environment() -> None:
    assert not [name for name in os.environ if name.endswith("_API_KEY")]
