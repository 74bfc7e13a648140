"""The broker's transport: what a hint leaves out, and that nothing else changes."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from kombu import Connection, Consumer, Producer, Queue

from config import broker

WAIT_SECONDS = 30.0


@pytest.fixture
def queue() -> Queue:
    return Queue(f"broker-{uuid.uuid4()}")


@pytest.fixture
def server() -> Iterator[redis.Redis]:
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        yield client


def taken(connection: Connection, queue: Queue, *, hint: bool) -> Any:
    """A message that a consumer has received and not yet answered for."""
    with Producer(connection) as producer:
        headers = {broker.HINT: True} if hint else {}
        producer.publish({"row": 1}, routing_key=queue.name, declare=[queue], headers=headers)
    received: list[Any] = []
    with Consumer(connection, [queue], on_message=received.append):
        connection.drain_events(timeout=WAIT_SECONDS)
    return received[0]


def connected() -> Connection:
    return Connection(
        os.environ["REDIS_URL"], transport="config.broker:Transport",
        transport_options={"priority_steps": [0]},
    )  # fmt: skip


@pytest.mark.parametrize(("hint", "booked"), [(True, 0), (False, 1)])
def test_only_messages_that_are_no_hints_are_booked_in_redis(
    queue: Queue, server: redis.Redis, hint: bool, booked: int
) -> None:
    with connected() as connection:
        message = taken(connection, queue, hint=hint)
        assert server.hexists("unacked", message.delivery_tag) == bool(booked)
        message.ack()
        assert not server.hexists("unacked", message.delivery_tag)
        assert server.llen(queue.name) == 0


@pytest.mark.parametrize("hint", [True, False])
def test_a_worker_that_stops_gives_back_what_it_has_not_done(
    queue: Queue, server: redis.Redis, hint: bool
) -> None:
    with connected() as connection:
        taken(connection, queue, hint=hint)
        assert server.llen(queue.name) == 0
    assert server.llen(queue.name) == 1
    with connected() as connection, Consumer(connection, [queue]) as consumer:
        received: list[Any] = []
        consumer.on_message = received.append
        connection.drain_events(timeout=WAIT_SECONDS)
        assert received[0].payload == {"row": 1}
        received[0].ack()


@pytest.mark.parametrize("hint", [True, False])
def test_a_refused_message_is_queued_again_only_on_demand(
    queue: Queue, server: redis.Redis, hint: bool
) -> None:
    with connected() as connection:
        taken(connection, queue, hint=hint).requeue()
        assert server.llen(queue.name) == 1
        server.delete(queue.name)
        taken(connection, queue, hint=hint).reject()
        assert server.llen(queue.name) == 0


def test_deliveries_count_against_the_prefetch_whether_hints_or_not(queue: Queue) -> None:
    with connected() as connection:
        message = taken(connection, queue, hint=True)
        quality = message.channel.qos
        quality.prefetch_count = 1
        assert not quality.can_consume()
        message.ack()
        assert quality.can_consume()
