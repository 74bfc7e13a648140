"""Start, pause, resume and stop comparisons; fold their outcomes; act on their verdicts."""

from __future__ import annotations

import logging
import secrets
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils import timezone

from agents import services as agents
from config import logs
from config.access.callers import Caller
from config.errors import Conflict, InvalidInput, NotFound
from learning import folding, improvements, rollouts
from learning.analysis import analyse
from learning.domain import measures
from learning.domain.analysis.settings import comparison as read_test
from learning.models import Experiment, Improvement, Rollout, Variant
from monitoring import services as monitoring

logger = logging.getLogger(__name__)
State = Experiment.State
DEFAULT_METRICS = (
    {"key": "success", "role": "primary"},
    {"key": "seconds_per_call", "role": "guardrail", "margin": 0.2},
    {"key": "cost_usd_per_call", "role": "guardrail", "margin": 0.2},
)
DEFAULT_PLAN = {"minimum_units": 100, "minimum_days": 14}
PLAN_FIELDS = frozenset({"minimum_units", "minimum_days", "planned_units", "planned_days"})
MACHINE = "system:learning"


@transaction.atomic
def create(
    *,
    caller: Caller,
    agent_slug: str,
    name: str,
    variants: list[dict[str, Any]],
    hypothesis: str = "",
    unit: str = "run",
    coverage_ratio: float = 1.0,
    metrics: list[dict[str, Any]] | None = None,
    test: dict[str, Any] | None = None,
    plan: dict[str, Any] | None = None,
    maturity_hours: float = 0.0,
    autoconclude: bool = False,
    improvement_id: UUID | None = None,
    rollout_plan: dict[str, Any] | None = None,
    seed: str = "",
) -> Experiment:
    """A draft with its arms laid out in buckets; its seed, random unless given, never changes.

    ``variants``: ``{"key", "version", "weight", "is_control"}``, version by id, number or label.
    Raises InvalidInput for what can't be compared, Barred for a version that was rolled back.
    """
    rows = _variants(agent_slug, variants)
    control = next(row["key"] for row in rows if row["is_control"])
    ranges = measures.layout({r["key"]: r["weight"] for r in rows}, control, coverage_ratio)
    specs = [measures.metric(raw, i) for i, raw in enumerate(metrics or DEFAULT_METRICS)]
    settings = {"test": test or "sequential", "metrics": specs}
    read_test(settings)
    wrong = sorted(set(plan or {}) - PLAN_FIELDS)
    if wrong:
        raise InvalidInput(f"plan.{wrong[0]}", (plan or {})[wrong[0]], " or ".join(PLAN_FIELDS))
    experiment = Experiment.objects.create(
        client_id=caller.home_client_id, agent_slug=agent_slug, name=name, hypothesis=hypothesis,
        unit=unit, seed=seed or secrets.token_hex(16), coverage_ratio=coverage_ratio, metrics=specs,
        test=test or {"kind": "sequential"}, plan={**DEFAULT_PLAN, **(plan or {})},
        maturity_hours=maturity_hours, autoconclude=autoconclude, improvement_id=improvement_id,
        rollout_plan=rollouts.checked_plan(rollout_plan or {}),
        created_by=caller.name[:80],
    )  # fmt: skip
    Variant.objects.bulk_create(
        Variant(experiment=experiment, ranges=ranges[row["key"]], **row) for row in rows
    )
    analyse(document(experiment))  # refuses settings that could not be analysed, before the start
    return experiment


def _variants(agent_slug: str, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(given) < 2:
        raise InvalidInput("variants", len(given), "two or more")
    rows = []
    for index, raw in enumerate(given):
        version = agents.version_values(agent_slug, raw["version"])
        if version["retired_at"] is not None:
            raise InvalidInput(f"variants[{index}].version", version["number"], "a live version")
        rows.append(
            {
                "key": str(raw.get("key") or f"v{version['number']}"),
                "version_id": version["id"],
                "version_number": version["number"],
                "weight": float(raw.get("weight", 1.0)),
                "is_control": bool(raw.get("is_control", False)),
            }
        )
    if len({row["key"] for row in rows}) < len(rows):
        raise InvalidInput("variants", [row["key"] for row in rows], "a different key for each")
    if any(row["weight"] <= 0 for row in rows):
        raise InvalidInput("variants", [row["weight"] for row in rows], "weights above 0")
    controls = sum(row["is_control"] for row in rows)
    if controls > 1:
        raise InvalidInput("variants", controls, "one control")
    if not controls:
        rows[0]["is_control"] = True
    control = next(row["version_id"] for row in rows if row["is_control"])
    for row in rows:
        if row["version_id"] != control:
            improvements.check_not_barred(agent_slug, row["version_id"])
    return rows


def start(*, caller: Caller, experiment_id: UUID, now: datetime | None = None) -> Experiment:
    """Open its split. Raises Conflict unless it is a draft and the agent is free.

    ``now`` is the moment of everything here that takes it; the database's unless given.
    """
    return _move(experiment_id, State.DRAFT, State.RUNNING, caller.name, "started", caller, now)


def pause(*, caller: Caller, experiment_id: UUID, reason: str = "") -> Experiment:
    """Production answers everybody, until it is resumed with the same assignment."""
    return _move(experiment_id, State.RUNNING, State.PAUSED, caller.name, reason, caller)


def resume(*, caller: Caller, experiment_id: UUID) -> Experiment:
    """Open the same split again: every unit meets the arm that it met before."""
    return _move(experiment_id, State.PAUSED, State.RUNNING, caller.name, "resumed", caller)


def stop(*, caller: Caller, experiment_id: UUID, reason: str = "") -> Experiment:
    """End it without a verdict's consent; production answers everybody."""
    find(experiment_id)
    for state in (State.RUNNING, State.PAUSED):
        try:
            return _move(experiment_id, state, State.STOPPED, caller.name, reason, caller)
        except Conflict as error:
            refused = error
    raise refused


def freeze(experiment: Experiment, *, by: str, reason: str) -> bool:
    """A machine pauses it, so that an incident's calls are nobody's outcome; False if it rests."""
    return _moved(experiment, State.RUNNING, State.PAUSED, by, reason)


def thaw(experiment: Experiment, *, held_by: str) -> bool:
    """Go on with what ``held_by`` paused, every unit in its arm; False if somebody else did."""
    if experiment.state_by != held_by:
        return False
    return _moved(experiment, State.PAUSED, State.RUNNING, held_by, "resumed")


def stop_by_machine(experiment: Experiment, *, by: str, reason: str) -> bool:
    """End it without a verdict; False if it had ended."""
    return any(
        _moved(experiment, before, State.STOPPED, by, reason)
        for before in (State.RUNNING, State.PAUSED)
    )


def _moved(experiment: Experiment, before: str, after: str, by: str, reason: str) -> bool:
    try:
        _move(experiment.pk, before, after, by, reason)
    except Conflict:
        return False
    return True


def busy_agents() -> set[str]:
    """Agents whose traffic an open experiment or rollout holds."""
    held = Experiment.objects.filter(state__in=[State.RUNNING, State.PAUSED])
    moving = Rollout.objects.filter(state__in=rollouts.OPEN)
    return {*held.values_list("agent_slug", flat=True),
            *moving.values_list("agent_slug", flat=True)}  # fmt: skip


def find(experiment_id: UUID) -> Experiment:
    """The experiment; raises NotFound."""
    row = Experiment.objects.filter(pk=experiment_id).first()
    if row is None:
        raise NotFound("experiment", experiment_id)
    return row


@transaction.atomic
def _move(
    experiment_id: UUID, before: str, after: str, by: str, reason: str,
    caller: Caller | None = None, now: datetime | None = None,
) -> Experiment:  # fmt: skip
    """One conditional write, and the split in the same transaction: a crash leaves neither."""
    row = find(experiment_id)
    changes: dict[str, Any] = {"state": after, "state_by": by[:80], "state_reason": reason[:500]}
    if before == State.DRAFT:
        changes["started_at"] = now or Now()
    if after in (State.STOPPED, State.CONCLUDED):
        changes["ended_at"] = now or Now()
    try:
        with transaction.atomic():
            moved = Experiment.objects.filter(pk=experiment_id, state=before).update(**changes)
    except IntegrityError:
        raise Conflict(f"agent {row.agent_slug}", "in an experiment", "no other open") from None
    if not moved:
        raise Conflict(f"experiment {row.name!r}", find(experiment_id).state, before)
    row.refresh_from_db()
    if after == State.RUNNING:
        rollouts.check_free(row.agent_slug)
        agents.split_traffic(
            row.agent_slug, _split_arms(row), unit=row.unit, seed=row.seed,
            reason=f"experiment {row.pk}", by=by,
        )  # fmt: skip
        improvements.move(row.improvement_id, Improvement.State.TESTING)
    elif before == State.RUNNING:
        agents.end_split(row.agent_slug, by=by)
    monitoring.audit(
        actor=caller.principal if caller else by, action=f"learning.experiment.{after}",
        target=f"experiment:{row.pk}", client_id=row.client_id,
        user_id=caller.user_id if caller else None, after={"reason": reason},
    )  # fmt: skip
    monitoring.mark(
        kind="experiment", scope="agent", key=row.agent_slug,
        text=f"experiment {row.name} {after}", href=f"/dashboard/experiments/{row.pk}",
    )  # fmt: skip
    logs.event(logger, "learning.experiment.moved", experiment=str(row.pk), state=after, by=by)
    return row


def _split_arms(experiment: Experiment) -> dict[str, list[list[int]]]:
    """Version → ranges; in an A/A both arms share one version."""
    arms: dict[str, list[list[int]]] = {}
    for variant in experiment.variants.all():
        arms.setdefault(str(variant.version_id), []).extend(variant.ranges)
    return arms


def document(experiment: Experiment, now: datetime | None = None) -> dict[str, Any]:
    """The statistics document of what is stored."""
    weights = {v.key: v.weight for v in experiment.variants.all()}
    control = experiment.variants.filter(is_control=True).values_list("key", flat=True)[0]
    specs = [{k: v for k, v in m.items() if k != "cap"} for m in experiment.metrics]
    stages = folding.stages_of(experiment.pk, {"all": weights})
    settings: dict[str, Any] = {
        "name": experiment.name, "control": control, "metrics": specs, "test": experiment.test,
        **experiment.plan,
    }  # fmt: skip
    if experiment.started_at:
        settings["days"] = _days(experiment.started_at, experiment.ended_at or now)
    return {"experiment": settings, "stages": folding.with_zeros(stages, specs)}


def _days(start: datetime, end: datetime | None) -> float:
    return max(0.0, ((end or timezone.now()) - start).total_seconds() / 86_400)


def refresh(experiment: Experiment, now: datetime | None = None) -> dict[str, Any]:
    """Fold its outcomes and store the analysis; returns the verdict document."""
    if experiment.started_at is None:
        return analyse(document(experiment))
    until = (experiment.ended_at or now or timezone.now()) - timedelta(
        hours=experiment.maturity_hours
    )
    folding.fold(
        folding.Source(
            experiment.pk, experiment.client_id, experiment.agent_slug, "all",
            agents.epochs_named(experiment.agent_slug, f"experiment {experiment.pk}"),
            {v.key: v.ranges for v in experiment.variants.all()},
            experiment.metrics, experiment.started_at, until,
        )
    )  # fmt: skip
    found = analyse(document(experiment, now))
    Experiment.objects.filter(pk=experiment.pk).update(
        verdict=found["verdict"], headline=found["headline"][:500], analysis=found,
        analysed_at=now or Now(),
    )  # fmt: skip
    return found


def sweep(now: datetime | None = None) -> int:
    """Refresh every running experiment and act where it may; returns how many were concluded.

    Harm is stopped whether or not ``autoconclude`` is set: a machine may always stop.
    """
    concluded = 0
    for experiment in Experiment.objects.filter(state=State.RUNNING):
        try:
            found = refresh(experiment, now)
        except Exception:  # one that can't be analysed must not keep harm elsewhere going
            logger.exception("learning.experiment.failed", extra={"experiment": str(experiment.pk)})
            continue
        is_final = found["verdict"] == "ship" or found["complete"]
        if found["verdict"] == "rollback" or (is_final and experiment.autoconclude):
            concluded += _conclude(experiment, found, now)
    return concluded


def _conclude(experiment: Experiment, found: dict[str, Any], now: datetime | None) -> bool:
    """End it by its verdict; False if a person was quicker."""
    try:
        with transaction.atomic():
            _move(experiment.pk, State.RUNNING, State.CONCLUDED, MACHINE, found["headline"],
                  now=now)  # fmt: skip
            if found["verdict"] == "rollback":
                _bury_losers(experiment, found)
            elif found["verdict"] == "ship":
                _ship(experiment, found, now)
            else:  # complete, and no difference was shown: the control stays
                improvements.move(experiment.improvement_id, Improvement.State.REFUSED)
    except Conflict:
        return False
    return True


def _bury_losers(experiment: Experiment, found: dict[str, Any]) -> None:
    for variant in experiment.variants.filter(key__in=found["stop_arms"], is_control=False):
        improvements.bury(
            client_id=experiment.client_id, agent_slug=experiment.agent_slug,
            version_id=variant.version_id, reason=found["headline"],
            evidence={"experiment": str(experiment.pk), "verdict": found["verdict"]}, by=MACHINE,
        )  # fmt: skip
    improvements.move(experiment.improvement_id, Improvement.State.REFUSED)


def _ship(experiment: Experiment, found: dict[str, Any], now: datetime | None) -> None:
    """Low risk goes on by itself; the rest waits for a person, who sees the verdict."""
    winner = experiment.variants.get(key=found["arm"])
    risk = experiment.improvement.risk if experiment.improvement else None
    agent = agents.version_values(experiment.agent_slug, winner.version_id)
    if agent["agent_risk"] != "low" or risk not in (None, Improvement.Risk.LOW):
        return
    plan = experiment.rollout_plan or {"strategy": Rollout.Strategy.GRADUAL, "stages": None}
    rollouts.begin(
        client_id=experiment.client_id, agent_slug=experiment.agent_slug,
        to_version=winner.version_id, strategy=plan["strategy"], stages=plan["stages"],
        unit=experiment.unit, seed=experiment.seed, metrics=experiment.metrics,
        test=experiment.test, by=MACHINE, now=now, improvement_id=experiment.improvement_id,
        experiment_id=experiment.pk,
    )  # fmt: skip
