"""SQS: the queue of lost events, read without emptying it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

#: How long a message that is read is hidden from other readers: SQS shows no message without taking it.
HIDDEN_SECONDS = 60
#: Read at once; a queue of thousands is a fault of its own, and more come with the next look.
MOST = 1000


@dataclass(frozen=True)
class Message:
    """A message as it was received.

    Attributes:
        body: its JSON value; None where it is none.
        attributes: what its sender says beside it.
        sent: when it was put into the queue.
        receipt: names it to SQS until it is seen again.
    """

    body: Any
    sent: datetime
    receipt: str
    attributes: dict[str, str] = field(default_factory=dict)


class Queue:
    """One queue.

    Args:
        client: for every call.
        url: the queue's.
    """

    def __init__(self, client: "SQSClient", url: str) -> None:
        self._client = client
        self._url = url

    def __len__(self) -> int:
        """How many messages there are, about, with those that somebody else is reading."""
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)
        return sum(int(number) for number in answer["Attributes"].values())

    def receive(self) -> list[Message]:
        """Messages, oldest first, hidden from others until they are released, deleted or forgotten."""
        found: dict[str, Message] = {}
        while len(found) < MOST:
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=HIDDEN_SECONDS,
                MessageSystemAttributeNames=["SentTimestamp"],
                MessageAttributeNames=["All"],
            )
            page = answer.get("Messages", ())
            if not page:
                break
            found |= {message["MessageId"]: _read(message) for message in page}
        return sorted(found.values(), key=lambda message: message.sent)

    def release(self, messages: Iterable[Message]) -> None:
        """Let others see messages again that were received here."""
        for message in messages:
            self._client.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=message.receipt, VisibilityTimeout=0
            )

    def delete(self, message: Message) -> None:
        """Take a message out of the queue for good."""
        self._client.delete_message(QueueUrl=self._url, ReceiptHandle=message.receipt)


def _read(message: Any) -> Message:
    try:
        body = json.loads(message["Body"])
    except ValueError:
        body = None
    attributes = {
        name: value["StringValue"]
        for name, value in message.get("MessageAttributes", {}).items()
        if "StringValue" in value
    }
    sent = datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)
    return Message(body, sent, message["ReceiptHandle"], attributes)
