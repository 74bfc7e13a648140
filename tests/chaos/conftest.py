"""The brokers that drills are done on; the one that is not installed is skipped by its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import redis
from celery import current_app

from tests.workflows.conftest import begin, caller, firm, key  # noqa: F401
from tests.workflows.servers import NO_RABBITMQ, rabbitmq, using_broker
from tests.workflows.workers import QUICK

BROKERS = [
    "redis",
    pytest.param("rabbitmq", marks=pytest.mark.skipif(bool(NO_RABBITMQ), reason=NO_RABBITMQ)),
]
# Drills take more workers from a step than anything else does.
PATIENT = {**QUICK, "MAX_DELIVERIES": "50"}


@dataclass(frozen=True)
class Carrier:
    """What workers need to use a broker, and how it forgets every message."""

    environment: dict[str, str]
    forget: Callable[[], object]


@pytest.fixture(params=BROKERS)
def carrier(
    request: pytest.FixtureRequest, process_environment: dict[str, str]
) -> Iterator[Carrier]:
    """Redis and, where it is installed, RabbitMQ."""
    environment = {**process_environment, **PATIENT}
    if request.param == "redis":
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
            yield Carrier(environment, client.flushdb)
        return
    with rabbitmq() as rabbit, using_broker(rabbit.url):
        yield Carrier({**environment, "BROKER_URL": rabbit.url}, _purge)


def _purge() -> None:
    with current_app.connection_for_write() as connection:
        for queue in current_app.conf.task_queues:
            bound = queue(connection.default_channel)
            bound.declare()
            bound.purge()
