"""Queues are counted at whatever broker there is."""

from __future__ import annotations

import pytest
from kombu import Connection

from config.celery import QUEUES, app
from monitoring import depths
from tests.workflows.servers import NO_RABBITMQ, rabbitmq

pytestmark = [pytest.mark.chaos, pytest.mark.slow]


@pytest.mark.skipif(bool(NO_RABBITMQ), reason=NO_RABBITMQ)
def test_what_waits_is_counted_at_rabbitmq_which_hangs_up_over_unknown_queues(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with rabbitmq() as broker, Connection(broker.url) as there:
        monkeypatch.setattr(app, "connection_for_read", lambda: Connection(broker.url))
        assert depths.waiting() == dict.fromkeys(QUEUES, 0)
        for name, count in ((QUEUES[0], 2), (QUEUES[-1], 3)):
            with there.SimpleQueue(name) as queue:
                for n in range(count):
                    queue.put(n)
        expected = {**dict.fromkeys(QUEUES, 0), QUEUES[0]: 2, QUEUES[-1]: 3}
        assert depths.waiting() == expected
