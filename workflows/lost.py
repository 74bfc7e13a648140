"""Messages that were lost: found by what the broker has forgotten, and by scouts through lanes.

A lane is first in, first out. So a message that a worker takes proves that every one sent before it
was taken: a row that still waits for an earlier one has lost it. While any row waits longer than
PATIENCE, a *scout* is sent through each lane; where it arrives, its worker sends such rows again. A
scout waits as long as any message does, which makes it the measure of its lane's age: a backlog,
however long, is not sent twice. And a broker that has forgotten everything has also forgotten its
mark; then all rows are sent again at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from config import logs
from config.celery import LANES
from workflows import dispatch
from workflows.database import execute
from workflows.dispatch import PATIENCE, Ready

logger = logging.getLogger(__name__)
# ``wake_at`` of a queued row for which no message is on its way.
UNSENT = datetime(1970, 1, 1, tzinfo=UTC)
# A row is written a little before its message is sent, and taken a little before it is claimed.
SLACK = timedelta(seconds=3)
# Rows that are sent again in one statement.
BATCH = 1000
# In a lane as old as A, scouts are A / SCOUTS apart: enough of them are on their way through a long
# backlog, and those before a lane that nobody takes from become ever fewer.
SCOUTS = 20

# Whoever waits, waits for its run to go on, too.
_MAY_RUN = "(r.state = 'running' OR s.kind = 'compensate')"

_SEND_AGAIN = f"""
WITH due AS (
    SELECT s.id FROM workflows_steprun s JOIN workflows_run r ON r.id = s.run_id
    WHERE s.state = 'queued' AND {_MAY_RUN} AND {{which}}
    ORDER BY s.wake_at LIMIT %(most)s FOR UPDATE OF s SKIP LOCKED
)
UPDATE workflows_steprun s SET wake_at = now() + %(patience)s
FROM due WHERE s.id = due.id
RETURNING s.id, s.run_id, s.queue, s.is_light
"""  # noqa: S608  nothing from outside

_UNSENT = _SEND_AGAIN.format(which="s.wake_at <= %(unsent)s")
# ``wake_at`` is PATIENCE after the latest message was sent.
_SENT_BEFORE = _SEND_AGAIN.format(
    which="s.wake_at > %(unsent)s AND s.wake_at < %(before)s AND s.queue = %(lane)s"
)

# What is to begin later is in a worker's memory, not with the broker.
_ALL_UNSENT = """
UPDATE workflows_steprun SET wake_at = %(unsent)s
WHERE wake_at > %(unsent)s AND state = 'queued' AND queued_at <= now() RETURNING id
"""

_SCOUT = f"""
INSERT INTO workflows_lane AS l (name, asked_at, passed_at)
SELECT name, now(), now() FROM unnest(%(lanes)s::text[]) AS name
WHERE EXISTS (
    SELECT 1 FROM workflows_steprun s JOIN workflows_run r ON r.id = s.run_id
    WHERE s.wake_at <= now() AND s.wake_at > %(unsent)s AND s.state = 'queued' AND {_MAY_RUN})
ON CONFLICT (name) DO UPDATE SET asked_at = now()
WHERE l.asked_at <= now() - greatest(%(patience)s, (l.asked_at - l.passed_at) / %(scouts)s)
RETURNING l.name, l.asked_at
"""  # noqa: S608

_PASSED = """
UPDATE workflows_lane SET passed_at = %(sent_at)s
WHERE name = %(lane)s AND passed_at < %(sent_at)s
"""


def publish_again() -> int:
    """Send what has no message on its way, all of it if the broker has forgotten its messages.

    How many rows that were.
    """
    if dispatch.has_forgotten():
        rows = execute(_ALL_UNSENT, {"unsent": UNSENT})
        execute("DELETE FROM workflows_lane", {})
        dispatch.leave_mark()
        if rows:
            logs.event(logger, "workflows.broker.forgot", level=logging.WARNING, rows=len(rows))
    return _send(_UNSENT)


def send_scouts() -> int:
    """Send scouts through the lanes if anything waits for long; how many."""
    asked = {"lanes": list(LANES), "unsent": UNSENT, "patience": PATIENCE, "scouts": SCOUTS}
    rows = execute(_SCOUT, asked)
    for lane, sent_at in rows:
        dispatch.send_scout(lane, sent_at)
    return len(rows)


def arrived(lane: str, sent_at: datetime) -> int:
    """A scout that was sent at ``sent_at`` has come through: what was sent before it is lost.

    How many rows were sent again.
    """
    execute(_PASSED, {"lane": lane, "sent_at": sent_at})
    found = _send(_SENT_BEFORE, lane=lane, before=sent_at - SLACK + PATIENCE)
    if found:
        logs.event(logger, "workflows.messages.lost", level=logging.WARNING, lane=lane, rows=found)
    return found


def _send(statement: str, **more: Any) -> int:
    asked = {"unsent": UNSENT, "patience": PATIENCE, "most": BATCH, **more}
    return sum(_batches(lambda: execute(statement, asked)))


def _batches(take: Callable[[], list[tuple[Any, ...]]]) -> Any:
    while rows := take():
        dispatch.publish(Ready(*row) for row in rows)
        yield len(rows)
        if len(rows) < BATCH:
            return
