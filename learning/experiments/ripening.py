"""Which of an experiment's units count: old enough, and before the end of a test for one look."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from config import readable
from learning.experiments.moving import State
from learning.models import Experiment

# Tests whose guarantee is for one look: what came after the declared end would be another one.
OF_ONE_LOOK = ("fixed", "bayesian", "bandit")
# One that has ended is read anew so often while units grow old enough.
READ_EVERY = timedelta(hours=1)
LONGEST = timedelta(hours=2160)


def counted_until(experiment: Experiment, now: datetime | None = None) -> datetime:
    """Units that came before this moment count: nobody met it later, or they are too young."""
    now = now or timezone.now()
    until = now - timedelta(hours=experiment.maturity_hours)
    ends = (experiment.ended_at, experiment.read_until)
    return min([until, *(end for end in ends if end is not None)])


def days(experiment: Experiment, until: datetime) -> float:
    """Days from its start to ``until`` in which it was open to anybody."""
    if experiment.started_at is None:
        return 0.0
    rested = timedelta(seconds=experiment.paused_seconds)
    if experiment.state == State.PAUSED and experiment.paused_at is not None:
        rested += max(until - experiment.paused_at, timedelta())
    return max(0.0, (until - experiment.started_at - rested).total_seconds() / 86_400)


def ends(experiment: Experiment, found: dict[str, Any], until: datetime) -> bool:
    """Note the declared end of a test for one look at the first time that it is reached.

    Where the primary metric can't be read yet, nothing was seen: that was no look.
    """
    if experiment.read_until is not None or found["test"]["kind"] not in OF_ONE_LOOK:
        return False
    if found["test"]["conclude"] != "reached" or found["is_frozen"] or not _is_read(found):
        return False
    experiment.read_until = until
    rows = Experiment.objects.filter(pk=experiment.pk, read_until=None)
    return bool(rows.update(read_until=until))


def _is_read(found: dict[str, Any]) -> bool:
    """Whether anything can be said of the primary metric in any arm."""
    readings = [
        row["reading"] for metric in found["metrics"] if metric["role"] == "primary"
        for row in metric["comparisons"]
    ]  # fmt: skip
    return any(reading != "unreadable" for reading in readings)


def unripe(now: datetime | None = None) -> Iterator[Experiment]:
    """Experiments that rest, and those that have ended and whose last units are not old enough."""
    now = now or timezone.now()
    yield from Experiment.objects.filter(state=State.PAUSED)
    ended = Experiment.objects.filter(
        state__in=[State.STOPPED, State.CONCLUDED], maturity_hours__gt=0,
        ended_at__gte=now - LONGEST - timedelta(days=1),
    )  # fmt: skip
    for row in ended:
        if row.ended_at is None or row.analysed_at is None:
            continue
        ripe_at = row.ended_at + timedelta(hours=row.maturity_hours)
        is_due = now >= min(row.analysed_at + READ_EVERY, max(ripe_at, row.analysed_at))
        if row.analysed_at < ripe_at and is_due:
            yield row


def told(experiment: Experiment, found: dict[str, Any], now: datetime | None) -> dict[str, Any]:
    """The document with what its reader has to know about units that do not count."""
    if experiment.started_at is None:
        return found
    now = now or timezone.now()
    notes, hours = [], timedelta(hours=experiment.maturity_hours)
    if hours:
        age = readable.duration(hours.total_seconds())
        last = experiment.ended_at or now
        notes.append(
            f"a unit counts {age} after it came, when what is said of it is in"
            + ("" if last + hours <= now else "; younger ones are not in these figures yet")
        )
        if not any(found["progress"]["units"].values()) and now < experiment.started_at + hours:
            words = f"No unit is {age} old yet, and younger ones don't count: nothing can be said."
            found["headline"] = f"{found.get('frozen', '')}{words}"
    if experiment.read_until is not None:
        notes.append(
            f"the declared end was reached at {experiment.read_until:%Y-%m-%d %H:%M} UTC; units "
            "that came later do not count, because this test is for one look"
        )
    found["notes"] = [*found["notes"], *notes]
    return found
