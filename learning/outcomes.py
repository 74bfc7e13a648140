"""What the units of a comparison met, and what was said of it, as sums per arm and day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from agents import services as agents
from config.partitions import first_id
from learning import judging
from learning.domain import measures, sums
from learning.domain.measures import Caps, Said, UnitSeen
from learning.domain.sums import Cells
from learning.models import Feedback, Score, Subject
from workflows import run_outcomes as runs

# Runs whose feedback one question asks for.
ASKED_AT_ONCE = 5_000
# Units that are in memory at once, where sums are all that is kept.
FOLDED_AT_ONCE = 10_000
# A stage's units that came during an incident are a stage of this name.
APART = "~"


@dataclass(frozen=True, slots=True)
class Source:
    """Where one stage's units come from: an agent's or a workflow's epochs, and arms' buckets.

    ``parked``: version → arm of no range. ``incidents``: spans whose units are kept apart.
    ``but_of``: epochs whose units don't count here; of a workflow's runs each is of one epoch.
    ``started_at``: what CUPED calls before, where a metric uses it. ``among``: calls, as
    ``agents.outcomes`` takes them, of which a unit's first must be in ``epochs``. ``came_from``:
    only who came from this moment on. ``hanging_after``: a workflow's runs that came before
    ``until`` and have not ended count as failed, after so long.
    """

    owner_id: UUID
    client_id: UUID
    agent_slug: str
    stage: str
    epochs: Sequence[int]
    arms: Mapping[str, measures.Ranges]
    metrics: Sequence[Mapping[str, Any]]
    since: datetime
    until: datetime
    parked: Mapping[str, str] = field(default_factory=dict)
    incidents: Sequence[tuple[datetime, datetime]] = ()
    workflow: str = ""
    unit: str = "run"
    started_at: datetime | None = None
    among: Sequence[tuple[int, int, int]] = ()
    came_from: datetime | None = None
    hanging_after: timedelta | None = None
    but_of: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """Which of a source's units and of their outcomes: of ``units``; of what had ended ``before``.

    ``until`` in the place of the source's own.
    """

    units: Sequence[str] | None = None
    before: datetime | None = None
    until: datetime | None = None


WHOLE = Part()
# Days → unit → what it had in so many days before the start.
Past = Mapping[float, Mapping[str, UnitSeen]]


def cells(
    source: Source, part: Part = WHOLE, past: Past | None = None, caps: Caps | None = None
) -> dict[str, Cells]:
    """Stage → (arm, day) → units and sums; what came during an incident is a stage of its own.

    ``past`` and ``caps``: what ``past_of`` and ``caps_of`` give, where they are known.
    """
    past = past_of(source, part.units) if past is None else past
    caps = caps_of(source, part) if caps is None else caps
    units = _units(source, part)
    none: dict[str, Cells] = {source.stage: {}, APART + source.stage: {}}
    blocks = iter(lambda: list(islice(units, FOLDED_AT_ONCE)), [])
    return none | sums.added((1, _folded(source, block, past, caps)) for block in blocks)


def has_percentiles(source: Source) -> bool:
    """Whether a metric is capped at a percentile of all units: its cap moves as they come."""
    return any(one.get("cap_percentile") is not None for one in source.metrics)


def caps_of(source: Source, part: Part = WHOLE) -> Caps:
    """The most that a unit counts for in each metric that is capped."""
    units = (unit for unit, _ in _units(source, part)) if has_percentiles(source) else ()
    return measures.caps_of(units, arms=source.arms, metrics=source.metrics)


def _folded(
    source: Source, units: Sequence[tuple[UnitSeen, datetime]], past: Past, caps: Caps
) -> dict[str, Cells]:
    sides: dict[str, list[UnitSeen]] = {source.stage: [], APART + source.stage: []}
    for unit, first_at in units:
        within = any(start <= first_at < end for start, end in source.incidents)
        sides[APART + source.stage if within else source.stage].append(unit)
    return {
        stage: measures.fold(
            found,
            arms=source.arms,
            metrics=source.metrics,
            caps=caps,
            parked=source.parked,
            before=past,
        )
        for stage, found in sides.items()
    }


def past_of(source: Source, units: Sequence[str] | None = None) -> Past:
    """What units that come back had before the start, of these alone where they are given."""
    if source.started_at is None:
        return {}
    return {
        days: {
            one.unit: UnitSeen(0, source.started_at.date(), one.calls, one.failures, one.cost_usd,
                               one.seconds, one.tokens, unit=one.unit)
            for one in agents.earlier_outcomes(
                source.agent_slug, source.unit, since=source.started_at - timedelta(days=days),
                until=source.started_at, units=units,
            )
        }
        for days in measures.has_past(source.metrics)
    }  # fmt: skip


def _units(source: Source, part: Part) -> Iterator[tuple[UnitSeen, datetime]]:
    said = _said(source, part)
    for outcome in _outcomes(source, part):
        seen = UnitSeen(
            outcome.bucket, outcome.first_at.astimezone(UTC).date(), outcome.calls,
            outcome.failures, outcome.cost_usd, outcome.seconds, outcome.tokens,
            said.get(outcome.unit, Said()), outcome.version, outcome.unit,
        )  # fmt: skip
        yield seen, outcome.first_at


def _outcomes(source: Source, part: Part) -> Iterator[agents.Outcome | runs.RunOutcome]:
    asked: dict[str, Any] = {
        "since": source.since, "until": part.until or source.until, "came_from": source.came_from,
        "units": part.units, "before": part.before,
    }  # fmt: skip
    if source.workflow:
        return runs.outcomes(
            source.workflow, source.epochs, unit=source.unit, hanging_after=source.hanging_after,
            **asked,
        )  # fmt: skip
    return agents.outcomes(
        source.agent_slug, source.epochs, among=source.among, but_of=source.but_of, **asked
    )


def said_about(source: Source, model: Any) -> QuerySet[Any]:
    """Everything that was said of calls of the source's agent, also what counts no more.

    Of a workflow: what was said of any run.
    """
    if source.workflow:
        return _rows(model, subject_kind=Subject.RUN)
    epochs = {*source.epochs, *(epoch for epoch, _, _ in source.among)}
    return _rows(model, agent_slug=source.agent_slug, split_epoch__in=epochs)


def units_said(source: Source, after: datetime) -> set[str]:
    """Units of which something was said, or taken back, at ``after`` or later."""
    name = "subject_id" if source.workflow else "unit"
    found: set[Any] = set()
    for model in (Feedback, Score):
        said = said_about(source, model)
        for rows in (said.filter(id__gte=first_id(after)), said.filter(superseded_at__gte=after)):
            found |= set(rows.values_list(name, flat=True).distinct())
    return set(_runs_of(source, runs=found).values()) if source.workflow and found else found


def _rows(model: Any, **of: Any) -> QuerySet[Any]:
    rows: QuerySet[Any] = model.objects.filter(**of).order_by()
    return rows


def _runs_of(source: Source, **only: Any) -> dict[UUID, str]:
    """Run → its unit, of a workflow's runs."""
    return runs.units_of_runs(
        source.workflow, source.epochs, unit=source.unit, since=source.since, **only
    )


def _about(source: Source, part: Part, model: Any, *fields: str) -> Iterator[tuple[Any, ...]]:
    """(unit, *fields) of what was said: of an agent's calls, or of a workflow's runs."""
    said = said_about(source, model)
    if not source.workflow:
        own = said if part.units is None else said.filter(unit__in=part.units)
        for rows in _standing(own, part):
            yield from rows.values_list("unit", *fields)
        return
    of = _runs_of(source, units=part.units)
    known = list(of)
    for place in range(0, len(known), ASKED_AT_ONCE):
        asked = said.filter(subject_id__in=known[place : place + ASKED_AT_ONCE])
        for rows in _standing(asked, part):
            for run_id, *values in rows.values_list("subject_id", *fields):
                yield of[run_id], *values


def _standing(rows: QuerySet[Any], part: Part) -> list[QuerySet[Any]]:
    """What counts, or counted before the part's moment, which is two questions for two indexes."""
    if part.before is None:
        return [rows.filter(superseded_at=None)]
    known = rows.filter(id__lt=first_id(part.before))
    return [known.filter(superseded_at=None), known.filter(superseded_at__gte=part.before)]


def _said(source: Source, part: Part) -> dict[str, Said]:
    """What was said per unit: standing ratings, complaints, and scores."""
    words: dict[str, list[float]] = {}
    for unit, kind, rating in _about(source, part, Feedback, "kind", "rating"):
        cell = words.setdefault(unit, [0.0, 0, 0])
        if rating is not None:
            cell[0] += rating
            cell[1] += 1
        # A rating of 1 or 2 is a complaint without words.
        cell[2] += kind == Feedback.Kind.COMPLAINT or (rating is not None and rating <= 2)
    scores: dict[str, dict[str, tuple[float, int]]] = {}
    known = judging.admitted()
    fields = ("name", "value", "source", "source_version")
    for unit, name, value, by, version in _about(source, part, Score, *fields):
        if not judging.may_decide(by, name, version, known):
            continue
        total, count = scores.setdefault(unit, {}).get(name, (0.0, 0))
        scores[unit][name] = (total + value, count + 1)
    return {
        unit: Said(*_three(words.get(unit)), scores.get(unit, {}))
        for unit in words.keys() | scores.keys()
    }


def _three(cell: list[float] | None) -> tuple[float, int, int]:
    return (cell[0], int(cell[1]), int(cell[2])) if cell else (0.0, 0, 0)
