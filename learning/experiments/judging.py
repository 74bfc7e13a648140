"""Read experiments: fold their outcomes, analyse them, act on the verdict where it may."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from config.errors import AppError, Conflict
from learning import folding, improvements, judging, quiet, summing
from learning.analysis import analyse
from learning.domain import measures
from learning.domain.analysis.report import guard_values
from learning.experiments import ripening, shifting, shipping, stopping, subjects
from learning.experiments.moving import MISMATCH, State, freeze, move
from learning.models import Experiment, Improvement
from learning.models.experiments import WAITS
from monitoring.periods import Window

logger = logging.getLogger(__name__)
MACHINE = "system:learning"
# Points of a quantile's path: each reads all sketches up to its day.
MOST_POINTS = 12
EFFECT = ("estimate", "standard_error", "lower", "upper", "p_value", "chance_to_win", "risk",
          "critical_z")  # fmt: skip
RUNS_OUTSIDE = (
    "runs on a named version and demonstrations, which runs of the demo people are, stay outside"
)
# The verdict's own part of an analysis.
DECIDED = ("verdict", "headline", "reasons", "arm", "stop_arms", "complete", "days_left")


def document(
    experiment: Experiment, now: datetime | None = None, *, everything: bool = False,
    last_day: str = "",
) -> dict[str, Any]:  # fmt: skip
    """The statistics document of what is stored; ``everything``: what came in incidents too.

    ``last_day``: of nobody who came after that date.
    """
    control = experiment.variants.filter(is_control=True).values_list("key", flat=True)[0]
    specs = measures.for_analysis(experiment.metrics)
    stages_asked: dict[str, Mapping[str, float]] = {
        batch.stage: batch.weights for batch in subjects.batches_of(experiment)
    }
    if everything:
        stages_asked = folding.with_apart(stages_asked)
    stages = folding.stages_of(experiment.pk, stages_asked)
    for stage in stages if last_day else ():
        stage["days"] = [day for day in stage["days"] if day["date"] <= last_day]
    settings: dict[str, Any] = {
        "name": experiment.name, "control": control, "metrics": specs, "test": experiment.test,
        "aa": experiment.is_aa, "watched": True,
        "stopped_arms": subjects.stopped_arms(experiment), **experiment.plan,
    }  # fmt: skip
    if experiment.started_at:
        until = ripening.counted_until(experiment, now)
        settings["days"] = ripening.days(experiment, until)
        settings["complete"] = experiment.read_until is not None
        settings["open_date"] = until.astimezone(UTC).date().isoformat()
    return {"experiment": settings, "stages": folding.with_zeros(stages, experiment.metrics)}


def read(experiment: Experiment, now: datetime | None = None) -> dict[str, Any]:
    """The verdict document of what is stored, incidents left out and said."""
    found = quiet.read(
        experiment.pk, lambda everything: document(experiment, now, everything=everything),
        _incidents(experiment, now),
    )  # fmt: skip
    outside = [RUNS_OUTSIDE] if experiment.workflow_name else []
    found["notes"] = [*found["notes"], *outside, *judging.left_out(experiment.metrics)]
    if any(m["type"] == "quantile" for m in found["metrics"]):
        found["path"] = _path_of_quantiles(experiment, now)
    return ripening.told(experiment, found, now)


def _path_of_quantiles(experiment: Experiment, now: datetime | None) -> list[dict[str, Any]]:
    """The effects over time where one is a quantile's, from each day's sketches and all before."""
    rows = folding.days_of(experiment.pk)
    step = -(-len(rows) // MOST_POINTS) if rows else 1
    kept = rows[::-1][::step][::-1]  # every n-th day, and always the last
    points = []
    for day in kept if len(rows) > 1 else ():
        found = analyse(document(experiment, now, last_day=day))
        primary = next(m for m in found["metrics"] if m["role"] == "primary")
        for row in primary["comparisons"]:
            effect, read = _at_point(row)
            guards = [
                guard_values(metric["key"], *_at_point(one))
                for metric in found["metrics"] if metric["role"] == "guardrail"
                for one in metric["comparisons"] if one["arm"] == row["arm"]
            ]  # fmt: skip
            points.append({"stage": "all", "period": day, "arm": row["arm"], "effect": effect,
                           "read": read, "guardrails": guards})  # fmt: skip
    return points


def _at_point(row: Mapping[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """A comparison's effect, and what is read of it."""
    if row["estimate"] is None:
        return None, None
    return {key: row[key] for key in EFFECT}, row["read"]


def _incidents(experiment: Experiment, now: datetime | None) -> list[Window]:
    if experiment.started_at is None:
        return []
    return quiet.windows(
        agent=experiment.agent_slug, workflow=experiment.workflow_name,
        since=experiment.started_at, until=experiment.ended_at or now or timezone.now(),
    )  # fmt: skip


def refresh(experiment: Experiment, now: datetime | None = None) -> dict[str, Any]:
    """Fold its outcomes and store the analysis; returns the verdict document."""
    if experiment.started_at is None:
        return analyse(document(experiment))
    kept = experiment.analysis.get("test", {})
    is_read = kept.get("conclude") == "reached" and not experiment.analysis.get("is_frozen")
    if experiment.read_until is not None and is_read:
        # The one look was taken: what is said later of the same units would be another one.
        Experiment.objects.filter(pk=experiment.pk).update(analysed_at=now or Now())
        return dict(experiment.analysis)
    until = ripening.counted_until(experiment, now)
    look = summing.Look()
    for source in _sources(experiment, until, quiet.spans(_incidents(experiment, now))):
        folding.fold(source, look)
    found = read(experiment, now)
    if ripening.ends(experiment, found, until):
        found = read(experiment, now)
    if experiment.state == State.CONCLUDED:  # what decided stands, beside riper figures
        found |= {key: experiment.analysis[key] for key in DECIDED if key in experiment.analysis}
    Experiment.objects.filter(pk=experiment.pk).update(
        verdict=found["verdict"], headline=found["headline"][:500], analysis=found,
        analysed_at=now or Now(),
    )  # fmt: skip
    return found


def _sources(
    experiment: Experiment, until: datetime, incidents: Sequence[tuple[datetime, datetime]]
) -> Iterator[folding.Source]:
    """Where each batch's units come from.

    A bandit's are those of its own epochs, so that a run under way at a look stays in the batch,
    and the arm, that it began in. After an arm was taken out whoever came before keeps all calls,
    and only who came later is of the next batch.
    """
    batches = subjects.batches_of(experiment)
    is_bandit = experiment.test.get("kind") == "bandit"
    epochs = [subjects.epochs_of(experiment, batch) for batch in batches]
    variants = experiment.variants.all()
    parked = {str(v.version_id): v.key for v in variants if not v.ranges}
    started = experiment.started_at or until
    moved = [datetime.fromisoformat(one["began_at"]) for one in experiment.batches]
    for place, batch in enumerate(batches):
        end, own = until, epochs[place]
        came_from = None if is_bandit else [None, *moved][place]
        earlier = [one for each in epochs[:place] for one in each] if is_bandit else []
        if not is_bandit:
            end = min([*moved[place : place + 1], until])
            own = [one for each in epochs for one in each]
        yield folding.Source(
            experiment.pk, experiment.client_id, experiment.agent_slug, batch.stage, own,
            batch.ranges, experiment.metrics, started, end, parked, incidents,
            experiment.workflow_name, experiment.unit, experiment.started_at,
            came_from=came_from, but_of=earlier,
            # Whoever says how old a unit has to be says when a run should have ended.
            hanging_after=timedelta(hours=experiment.maturity_hours) or None,
        )  # fmt: skip


def sweep(now: datetime | None = None) -> int:
    """Refresh every experiment that is open and act where it may; how many were concluded.

    Harm is stopped whether or not ``autoconclude`` is set: a machine may always stop. One that
    rests or has ended is looked at until all of its units count, and nothing is done about it.
    """
    concluded = 0
    for experiment in [*Experiment.objects.filter(state=State.RUNNING), *ripening.unripe(now)]:
        try:
            found = refresh(experiment, now)
            if experiment.state == State.RUNNING:
                concluded += _acted(experiment, found, now)
            elif experiment.state == State.PAUSED and experiment.read_until is not None:
                concluded += _ended_at_rest(experiment, found, now)
        except Exception:  # one that can't be analysed must not keep harm elsewhere going
            logger.exception("learning.experiment.failed", extra={"experiment": str(experiment.pk)})
    return concluded


def _acted(experiment: Experiment, found: dict[str, Any], now: datetime | None) -> bool:
    """Conclude it, take an arm out or move a bandit's shares; whether it was concluded."""
    is_final = _is_final(found)
    if stopping.harms_all(experiment, found):
        found = {**found, "verdict": "rollback"}
    if found["verdict"] == "rollback" or (is_final and experiment.autoconclude):
        return _conclude(experiment, found, now)
    stopping.take_out(experiment, found, now)
    if found["is_frozen"]:
        return False
    lasts = (found["sample_ratio"] or {}).get("lasts")
    if lasts and not experiment.is_past_mismatch:
        # Nothing of it is read, harm included, so nobody meets it until a person has looked.
        freeze(experiment, by=MACHINE, reason=MISMATCH)
    elif experiment.read_until is not None:
        # Its figures stand, so nobody would see harm any more: nobody meets it either.
        freeze(experiment, by=MACHINE, reason="its declared end was reached; a person decides")
    else:
        shifting.shift(experiment, found, now)
    return False


def _is_final(found: dict[str, Any]) -> bool:
    return (found["verdict"] == "ship" or found["complete"]) and not found["is_frozen"]


def _ended_at_rest(experiment: Experiment, found: dict[str, Any], now: datetime | None) -> bool:
    """Conclude one whose declared end came while it rested: it can't be resumed any more."""
    if not experiment.autoconclude or not (_is_final(found) or found["verdict"] == "rollback"):
        return False
    return _conclude(experiment, found, now, before=State.PAUSED)


def _conclude(
    experiment: Experiment, found: dict[str, Any], now: datetime | None,
    before: str = State.RUNNING,
) -> bool:  # fmt: skip
    """End it by its verdict; False if a person was quicker.

    A winner waits for a person where it can't be rolled out, or where one had paused it.
    """
    try:
        with transaction.atomic():
            move(experiment.pk, before, State.CONCLUDED, MACHINE, found["headline"],
                 now=now)  # fmt: skip
            if not experiment.is_aa:
                stopping.bury(experiment, found["stop_arms"], found["headline"])
            if found["verdict"] == "ship":
                _ship(experiment, found, now, before)
            else:  # worse, or complete without a difference: the control stays
                improvements.move(experiment.improvement_id, Improvement.State.REFUSED)
    except Conflict:
        return False
    return True


def _ship(experiment: Experiment, found: dict[str, Any], now: datetime | None, before: str) -> None:
    reason = "it was paused when its declared end came" if before == State.PAUSED else ""
    if not reason:
        try:
            with transaction.atomic():
                reason = shipping.ship(experiment, found, now)
        except AppError as error:
            reason = str(error)
    if reason:
        said = f"{found['headline']} {WAITS}: {reason}."
        Experiment.objects.filter(pk=experiment.pk).update(state_reason=said[:500])
