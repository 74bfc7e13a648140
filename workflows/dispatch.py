"""Sends messages for rows that are ready. A message is a hint; losing one costs a sweep's delay."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from amqp.exceptions import AMQPError
from celery import current_app
from django.db import DatabaseError, transaction
from kombu import Producer
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from config import logs
from config.broker import HINT
from workflows.database import execute

logger = logging.getLogger(__name__)

TASK = "workflows.run_steps"
# What a broker that is away or has just come back gives: not every transport's errors are kombu's.
AWAY = (KombuError, OSError, RedisError, AMQPError)
# One new connection, at once: whoever waits for a commit does not wait for a broker.
_ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
# Light siblings travel together: one message carries up to this many of a run.
BUNDLE = 32
# How many of them one worker takes on at once, rather than sending them round the broker.
ROOM = BUNDLE
# How long a queued row may wait before a sweep asks whether its message was lost. A third of what
# recovery may take: a sweep's interval comes on top, and perhaps a scout that is lost itself.
PATIENCE = timedelta(seconds=10)
# A queue with one message in it that nobody takes. Where it is gone, so is everything else.
MARK = "mark"


@dataclass(frozen=True, slots=True)
class Ready:
    """A queued row: what its message must say."""

    step_id: UUID
    run_id: UUID
    queue: str
    is_light: bool = False
    delay_seconds: float = 0.0


def publish(ready: Iterable[Ready]) -> None:
    """Send one message a step, or one a bundle of light steps of a run.

    A broker that is away is no error here: the rows are queued and a sweep sends them again.
    """
    bundles: dict[tuple[UUID, str], list[str]] = defaultdict(list)
    messages: list[tuple[UUID, str, list[str], float]] = []
    for row in ready:
        if row.is_light and not row.delay_seconds:
            bundles[row.run_id, row.queue].append(str(row.step_id))
        else:
            messages.append((row.run_id, row.queue, [str(row.step_id)], row.delay_seconds))
    for (run_id, queue), ids in bundles.items():
        for start in range(0, len(ids), BUNDLE):
            messages.append((run_id, queue, ids[start : start + BUNDLE], 0.0))
    if messages:
        _send(messages)


def publish_on_commit(ready: list[Ready]) -> None:
    """The same, once the transaction at hand has committed."""
    if ready:
        transaction.on_commit(lambda: publish(ready))


def wake_on_commit(step_id: UUID, run_id: UUID) -> None:
    """Ask a worker to look at a waiting step soon; the sweep would, later."""
    transaction.on_commit(lambda: _send_wake(step_id, run_id))


_QUEUED = """
UPDATE workflows_steprun SET wake_at = now() + %(patience)s, queued_at = now()
WHERE run_id = %(run)s AND state = 'queued' RETURNING id, queue, is_light
"""


def queued_of(run_id: UUID) -> list[Ready]:
    """Messages for all rows of a run that are queued."""
    rows = execute(_QUEUED, {"run": run_id, "patience": PATIENCE})
    return [Ready(step_id, run_id, queue, light) for step_id, queue, light in rows]


_ROOTS = "SELECT id, coalesce(root_id, id) FROM workflows_run WHERE id = ANY(%(runs)s)"
# Run by run, the outermost one around it: all tasks of a tree of runs have one root id. It never
# changes, so a process keeps what it has met of late.
_roots: dict[UUID, UUID] = {}
_MOST_ROOTS = 10_000


def know_root(run_id: UUID, root_id: UUID) -> None:
    """Remember what messages of a run will say, so that nobody has to ask."""
    if len(_roots) >= _MOST_ROOTS:
        _roots.clear()
    _roots[run_id] = root_id


def _roots_of(runs: set[UUID]) -> dict[UUID, UUID]:
    known = {run_id: _roots[run_id] for run_id in runs if run_id in _roots}
    if len(known) < len(runs):
        with suppress(DatabaseError):  # then a message names its own run, and travels all the same
            for run_id, root_id in execute(_ROOTS, {"runs": list(runs - known.keys())}):
                know_root(run_id, root_id)
                known[run_id] = root_id
    return known


def _send(messages: list[tuple[UUID, str, list[str], float]]) -> None:
    roots = _roots_of({message[0] for message in messages})
    with _losing_nothing_by_it():
        try:
            with current_app.producer_or_acquire() as producer:
                if len(messages) == 1:
                    _send_one(producer, roots, *messages[0])
                    return
                with producer.batch():
                    for message in messages:
                        _send_one(producer, roots, *message)
        except AWAY:  # the kept connection may have died with an earlier broker
            with current_app.producer_or_acquire() as producer:
                for message in messages:
                    _send_one(producer, roots, *message, retry=True)


@contextmanager
def _losing_nothing_by_it() -> Iterator[None]:
    try:
        yield
    except AWAY as error:
        logs.event(
            logger, "workflows.message.lost", level=logging.WARNING, error=type(error).__name__
        )


def _send_one(
    producer: Producer,
    roots: Mapping[UUID, UUID],
    run_id: UUID,
    queue: str,
    ids: list[str],
    delay: float,
    *,
    retry: bool = False,
) -> None:
    """What ``send_task`` does for a task without a result, at two thirds of its cost.

    It would make a result's handle, look for a parent and print the arguments at length.
    """
    amqp, task_id, root_id = current_app.amqp, str(uuid4()), str(roots.get(run_id, run_id))
    message = amqp.create_task_message(
        task_id, TASK, (ids, str(run_id)), None,
        countdown=delay or None, root_id=root_id, ignore_result=True, kwargsrepr="{}",
        argsrepr=f"([{', '.join(ids[:3])}{', …' if len(ids) > 3 else ''}], {run_id})",
    )  # fmt: skip
    amqp.send_task_message(
        producer, TASK, message, queue=queue, retry=retry, retry_policy=_ONCE, headers={HINT: True}
    )


def has_forgotten() -> bool:
    """Whether the broker has lost its messages since ``leave_mark``; False while it is away."""
    with _losing_nothing_by_it(), current_app.pool.acquire(block=True) as broker:
        found, _ = broker.autoretry(_marks, **_ONCE)()
        return not found
    return False


def _marks(channel: Any) -> int:
    declared = channel.queue_declare(queue=MARK, durable=True, auto_delete=False)
    return int(declared.message_count)


def leave_mark() -> None:
    """Put the broker in a state in which it has forgotten nothing."""
    with _losing_nothing_by_it(), current_app.producer_or_acquire() as producer:
        producer.publish("", routing_key=MARK, retry=True, retry_policy=_ONCE, delivery_mode=2)


def send_scout(lane: str, sent_at: datetime) -> None:
    """A message that waits its turn in ``lane`` and says when it was sent."""
    with _losing_nothing_by_it():
        current_app.send_task(
            "workflows.scout_arrived",
            (lane, sent_at.isoformat()),
            queue=lane,
            headers={HINT: True},
            retry=True,
            retry_policy=_ONCE,
            ignore_result=True,
        )


def _send_wake(step_id: UUID, run_id: UUID) -> None:
    root_id = _roots_of({run_id}).get(run_id, run_id)
    with _losing_nothing_by_it():
        current_app.send_task(
            "workflows.wake_step",
            (str(step_id),),
            queue="control",
            root_id=str(root_id),
            retry=True,
            retry_policy=_ONCE,
            ignore_result=True,
        )
