"""Add what has come to sums that stand, instead of all of a comparison at each sweep.

What had ended before a moment an hour ago is recorded by now, so its sums do not change any more:
they are kept with that moment. A sweep takes the units that have called since, or of which
something was said since, and adds to the sums what these units come to now less what they came to
then. So a unit counts once, on the day of its first call, however late it comes back and whatever
is said of it; and to add again gives the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import F, Q, Sum
from django.utils import timezone

from agents import services as agents
from learning import judging, outcomes
from learning.domain import sums
from learning.domain.measures import SCORE
from learning.models import ArmDay, Experiment, Rollout, StageSums
from learning.outcomes import Part, Source
from monitoring.domain.periods import joined
from workflows import run_outcomes as runs

# A call is recorded as it ends, a score in the request that brings it.
LATE = timedelta(hours=1)
# Moments that sums are kept with are so far apart.
EVERY = timedelta(minutes=10)
UNITS_AT_ONCE = 5_000
# Sums of no more units than these are made anew once in so long.
MADE_ANEW, MOST_MADE_ANEW = timedelta(days=1), 1_000_000
# A cap at a percentile of all units is that of all up to so many; above, it is found anew when
# there are so many times as many, and stands with ``MOST_MADE_ANEW``.
CAPPED_EXACTLY, GROWN = 10_000, 1.1
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
# Of this way of adding up; sums of another one are made anew.
VERSION = 1


class Look:
    """What one look at a comparison asks once for all of its stages.

    ``now`` is the time by the clock that records are written by. A bandit of two months has sixty
    stages, which must not read the same last hours sixty times.
    """

    def __init__(self, now: datetime | None = None) -> None:
        latest = (now or timezone.now()) - LATE
        # The moment that sums are kept with is the same for all stages, whenever they began.
        self.before = latest - (latest - _EPOCH) % EVERY
        self._changed: dict[tuple[Any, ...], dict[int, set[str]]] = {}

    def units_that_changed(self, source: Source, kept: StageSums) -> set[str]:
        """Units of the stage, or of an earlier one, with calls or runs that ``kept`` lacks."""
        asked: dict[str, Any] = {
            "since": source.since, "until": source.until, "after": kept.recorded_before,
            "came_from": kept.came_before,
        }  # fmt: skip
        if source.workflow:
            # Runs that hang stand in no sums, so each look counts them.
            asked |= {"unit": source.unit, "is_hanging": source.hanging_after is not None}
        else:
            asked["among"] = tuple(source.among)
        key = (source.workflow, source.agent_slug, *asked.values())
        if key not in self._changed:
            self._changed[key] = (
                runs.units_that_changed(source.workflow, **asked)
                if source.workflow
                else agents.units_that_changed(source.agent_slug, **asked)
            )
        found = self._changed[key]
        epochs = {*source.epochs, *source.but_of, *(epoch for epoch, _, _ in source.among)}
        return set().union(*(found.get(epoch, ()) for epoch in epochs))


def cells(source: Source, look: Look) -> sums.Stages:
    """The same as ``outcomes.cells``, from sums that stand where there are any."""
    if look.before <= source.since or not _stands(source):
        return outcomes.cells(source)
    try:
        kept = _kept(source)
        if kept is None or look.before > kept.recorded_before:
            kept = _moved_on(source, kept, look)
        if standing := sums.from_rows(kept.cells):
            whole = Part(until=source.until)
            return sums.added([(1, standing), *_since(source, kept, whole, look)])
    except sums.NeverAdded:  # a call was recorded much later than it ended
        StageSums.objects.filter(owner_id=source.owner_id, stage=source.stage).delete()
    return outcomes.cells(source)


def forget(now: datetime) -> int:
    """Drop sums that no sweep adds to any more; how many. They are made anew if one does."""
    ripe = now - timedelta(days=92)  # above the longest maturity
    going = Q(state__in=["running", "paused"]) | Q(ended_at__gte=ripe, maturity_hours__gt=0)
    open_ = Experiment.objects.filter(going).values("pk")
    rolling = Rollout.objects.filter(state__in=["running", "paused"]).values("pk")
    rows = StageSums.objects.exclude(owner_id__in=open_).exclude(owner_id__in=rolling)
    return rows.delete()[0]


def _stands(source: Source) -> bool:
    """Whether sums of it may be kept: a cap at a percentile of few units moves as they come."""
    if not outcomes.has_percentiles(source):
        return True
    own = ArmDay.objects.filter(owner_id=source.owner_id, stage=source.stage)
    return (own.aggregate(all=Sum("units"))["all"] or 0) > CAPPED_EXACTLY


def _kept(source: Source) -> StageSums | None:
    """Its sums that stand; None if there are none, or if they were made of something else."""
    row = StageSums.objects.filter(owner_id=source.owner_id, stage=source.stage).first()
    if row is None or row.digest != _digest(source) or row.came_before > source.until:
        return None
    if row.incidents != _incidents(source, row.recorded_before):
        return None
    # What the way of adding up can't see (a row recorded much later than it ended, a person erased
    # between two questions) is in the figures a day later at the most, unless that takes minutes.
    units = _units_of(row.cells)
    is_old = row.recorded_before - row.made_at >= MADE_ANEW
    is_grown = row.caps is not None and units > row.made_of * GROWN
    return None if units <= MOST_MADE_ANEW and (is_old or is_grown) else row


def _moved_on(source: Source, kept: StageSums | None, look: Look) -> StageSums:
    """The sums as of the look's moment, kept for the next one unless another was quicker."""
    before = look.before
    then = Part(before=before, until=source.until)
    if kept is None or not kept.cells:
        caps = outcomes.caps_of(source, then) if outcomes.has_percentiles(source) else None
        cells = sums.as_rows(outcomes.cells(source, then, caps=caps))
        made = {"made_at": before, "made_of": _units_of(cells), "caps": caps}
    else:
        found = sums.added([(1, sums.from_rows(kept.cells)), *_since(source, kept, then, look)])
        cells = sums.as_rows(found)
        made = {"made_at": kept.made_at, "made_of": kept.made_of, "caps": kept.caps}
    values: dict[str, Any] = {
        "digest": _digest(source), "recorded_before": before, "came_before": source.until,
        "incidents": _incidents(source, before), "cells": cells, **made,
    }  # fmt: skip
    place = {"owner_id": source.owner_id, "stage": source.stage}
    if kept is not None:
        rows = StageSums.objects.filter(pk=kept.pk, number=kept.number)
        rows.update(**values, number=F("number") + 1)
    else:
        StageSums.objects.update_or_create(**place, defaults={**values, "number": F("number") + 1},
                                           create_defaults=values)  # fmt: skip
    return StageSums(**place, **values)


def _since(
    source: Source, kept: StageSums, to: Part, look: Look
) -> Iterator[tuple[int, sums.Stages]]:
    """What units that changed come to in ``to``, and what they came to in ``kept``."""
    changed = sorted(_changed(source, kept, look))
    past = outcomes.past_of(source, changed) if changed else {}
    for place in range(0, len(changed), UNITS_AT_ONCE):
        units = changed[place : place + UNITS_AT_ONCE]
        was = (kept.recorded_before, kept.came_before)
        yield 1, outcomes.cells(source, Part(units, to.before, to.until), past, kept.caps)
        yield -1, outcomes.cells(source, Part(units, *was), past, kept.caps)


def _units_of(cells: Sequence[Sequence[Any]]) -> int:
    return sum(cell[3] for cell in cells)


def _changed(source: Source, kept: StageSums, look: Look) -> set[str]:
    """Units that called, that grew old enough, or of which something was said since ``kept``."""
    said = outcomes.units_said(source, kept.recorded_before)
    return (look.units_that_changed(source, kept) | said) - {""}


def _incidents(source: Source, before: datetime) -> list[list[str]]:
    """Spans of its incidents up to ``before``: who came in them is kept apart."""
    spans = joined((start, min(end, before)) for start, end in source.incidents if start < before)
    return [[start.isoformat(), end.isoformat()] for start, end in spans]


def _digest(source: Source) -> str:
    """Of everything but time that its sums depend on."""
    keys = (str(one.get("measure") or one["key"]) for one in source.metrics)
    reads_scores = any(key.startswith(SCORE) for key in keys)
    told = [
        VERSION, source.agent_slug, list(source.epochs), source.arms, source.metrics, source.since,
        source.parked, source.unit, source.started_at, source.among, source.came_from,
        list(source.but_of), sorted(judging.admitted()) if reads_scores else [],
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(told, default=str, sort_keys=True).encode()).hexdigest()
