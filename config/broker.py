"""The Redis transport as kombu ships it, at a third of its cost a message.

Nothing is decided differently, but for *hints*: messages that only point at a row which somebody
sweeps. Broker-side bookkeeping of deliveries is the larger part of a message's cost, and what it
buys, redelivery after ``visibility_timeout``, comes an hour after the sweep has found the row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import redis
from kombu.transport import redis as shipped
from kombu.utils.json import dumps

# A message with this header set is not booked in Redis while a worker has it.
HINT = "hint"


class QoS(shipped.QoS):
    """Deliveries under way: all count against the prefetch, hints only in this process."""

    def append(self, message: Any, delivery_tag: str) -> None:
        if _is_hint(message):
            # What virtual.QoS does; the shipped class writes the message to Redis once more.
            super(shipped.QoS, self).append(message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        if _is_hint(self._delivered.get(delivery_tag)):
            self._quick_ack(delivery_tag)
        else:
            super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        message = self._delivered.get(delivery_tag)
        if not _is_hint(message):
            super().reject(delivery_tag, requeue)
            return
        if requeue:
            self._send_back(message)
        self._quick_ack(delivery_tag)

    def restore_unacked(self, client: Any = None) -> None:
        """Give back what this process has taken and not done; it stops."""
        self._flush()
        for tag, message in list(self._delivered.items()):
            if _is_hint(message):
                self._send_back(message)
                del self._delivered[tag]
        super().restore_unacked(client)

    def _send_back(self, message: Any) -> None:
        delivery = message.delivery_info
        with self.channel.conn_or_acquire() as client:
            for queue in self.channel._lookup(delivery["exchange"], delivery["routing_key"]):
                client.rpush(queue, dumps(message._raw))


class Channel(shipped.Channel):
    """A channel that keeps its client: kombu makes a new one for each command."""

    QoS = QoS

    def _create_client(self, asynchronous: bool = False) -> redis.Redis:
        if asynchronous:
            return super()._create_client(asynchronous=True)
        pool = self.pool
        kept = self.__dict__.get("_kept_client")
        if kept is None or kept.connection_pool is not pool:
            kept = self._kept_client = super()._create_client()
        return kept

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        """Where to connect to.

        A task that ends after its worker has lost the broker acknowledges on a closed channel.
        The worker knows what to do with a lost connection; of kombu's AttributeError it dies.
        """
        if self.connection is None or self.connection.client is None:
            raise redis.ConnectionError("this channel was closed with its connection")
        params: dict[str, Any] = super()._connparams(asynchronous)
        return params


class Transport(shipped.Transport):
    """``broker_transport`` for redis:// addresses."""

    Channel = Channel

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Let ``loop`` watch the channels' sockets."""
        super().register_with_event_loop(connection, _Loop(loop))


class _Loop:
    """A worker's event loop that is not told anew, before every wait, of each socket it knows."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def add_reader(self, fd: int, callback: Callable[..., Any], *args: Any) -> None:
        if self._loop.readers.get(fd) != (callback, args):
            self._loop.add_reader(fd, callback, *args)


def _is_hint(message: Any) -> bool:
    headers: Mapping[str, Any] = getattr(message, "headers", None) or {}
    return bool(headers.get(HINT))
