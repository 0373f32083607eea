"""EventBridge: what happened is told on the account's default bus."""

import json
from typing import TYPE_CHECKING, Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from thumbnails.errors import BusUnavailable

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

SOURCE = "fan-out-thumbnails"
CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=5, read_timeout=10)


class Bus:
    """The default bus."""

    def __init__(self, client: "EventBridgeClient") -> None:
        self._client = client

    @classmethod
    def connect(cls) -> Self:
        """The bus by the process's own credentials."""
        return cls(boto3.client("events", config=CONFIG))

    def tell(self, kind: str, detail: dict[str, Any]) -> None:
        """Put one event on the bus.

        Raises:
            BusUnavailable: it was not taken.
        """
        entry: Any = {"Source": SOURCE, "DetailType": kind, "EventBusName": "default", "Detail": json.dumps(detail)}
        try:
            answer = self._client.put_events(Entries=[entry])
        except (BotoCoreError, ClientError) as error:
            raise BusUnavailable(f"EventBridge did not take {kind}: {error}") from error
        if answer["FailedEntryCount"]:
            raise BusUnavailable(f"EventBridge did not take {kind}: {answer['Entries'][0].get('ErrorCode')}")
