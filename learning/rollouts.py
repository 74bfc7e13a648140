"""Bring a version to everybody in stages, and back by itself.

Every transition is one conditional write on the rollout's row together with its traffic split,
in one transaction: a crash leaves both as they were, and the next sweep tries again.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils import timezone

from agents import services as agents
from config import logs
from config.access.audiences import check_audiences
from config.access.callers import Caller
from config.errors import Conflict, InvalidInput, NotFound
from learning import folding, improvements
from learning.analysis import analyse
from learning.domain import measures
from learning.domain.postcheck import postcheck
from learning.models import Experiment, Improvement, Rollout
from monitoring import services as monitoring

logger = logging.getLogger(__name__)
State = Rollout.State
OPEN = (State.RUNNING, State.PAUSED)
MACHINE = "system:learning"
# A stage that nobody met for this long says nothing, and no data is never success.
NO_DATA_AFTER = timedelta(hours=24)
# How long after a rollback the last exposure is still looked for.
WATCHED = timedelta(hours=1)
STAGE_FIELDS = frozenset({"share", "minimum_hours", "minimum_units", "gate", "audience"})


def _stage(share: float, hours: float, units: int = 100, gate: bool = False) -> dict[str, Any]:
    return {"share": share, "minimum_hours": hours, "minimum_units": units, "gate": gate}


_GRADUAL = [_stage(0.10, 24), _stage(0.25, 24), _stage(0.50, 24), _stage(1.0, 24)]
STRATEGIES: dict[str, list[dict[str, Any]]] = {
    Rollout.Strategy.IMMEDIATE: [_stage(1.0, 1)],
    Rollout.Strategy.GRADUAL: _GRADUAL,
    Rollout.Strategy.CANARY: [_stage(0.05, 24), *_GRADUAL],
}


@transaction.atomic
def begin(
    *,
    client_id: UUID,
    agent_slug: str,
    to_version: UUID | str | int,
    strategy: str = Rollout.Strategy.GRADUAL,
    stages: list[dict[str, Any]] | None = None,
    unit: str = "run",
    seed: str = "",
    metrics: list[dict[str, Any]] | None = None,
    test: dict[str, Any] | None = None,
    by: str = "",
    improvement_id: UUID | None = None,
    experiment_id: UUID | None = None,
    now: datetime | None = None,
) -> Rollout:
    """Open the first stage. Raises Barred for a version with a tombstone, Conflict if not free.

    ``now`` is the moment of everything here that takes it; the database's unless given.
    """
    target = agents.version_values(agent_slug, to_version)
    present = agents.production_of(agent_slug)
    if target["id"] == present["id"]:
        raise Conflict(f"version {target['number']}", "in production", "another version")
    improvements.check_not_barred(agent_slug, target["id"])
    check_free(agent_slug)
    plan = _checked_stages(strategy, stages)
    specs = [measures.metric(raw, i) for i, raw in enumerate(metrics or _DEFAULT_METRICS)]
    try:
        with transaction.atomic():
            row = Rollout.objects.create(
                client_id=client_id, agent_slug=agent_slug, from_version_id=present["id"],
                to_version_id=target["id"], strategy=strategy, stages=plan, unit=unit,
                seed=seed or secrets.token_hex(16), metrics=specs,
                test=test or {"kind": "sequential"}, state_by=by[:80], created_by=by[:80],
                improvement_id=improvement_id, experiment_id=experiment_id,
                **({"created_at": now, "stage_started_at": now} if now else {}),
            )  # fmt: skip
    except IntegrityError:
        raise Conflict(f"agent {agent_slug}", "in a rollout", "no other open") from None
    _open(row, by)
    improvements.move(improvement_id, Improvement.State.ROLLING_OUT)
    _note(row, "begun", by)
    return row


_DEFAULT_METRICS: list[dict[str, Any]] = [
    {"key": "success", "role": "primary"},
    {"key": "seconds_per_call", "role": "guardrail", "margin": 0.2},
    {"key": "cost_usd_per_call", "role": "guardrail", "margin": 0.2},
]


def checked_plan(plan: Mapping[str, Any]) -> dict[str, Any]:
    """How a winner will be rolled out: ``strategy`` and ``stages``; raises InvalidInput."""
    if not plan:
        return {}
    wrong = sorted(set(plan) - {"strategy", "stages"})
    if wrong:
        raise InvalidInput(f"rollout_plan.{wrong[0]}", plan[wrong[0]], "strategy or stages")
    strategy = str(plan.get("strategy", Rollout.Strategy.GRADUAL))
    stages = list(plan.get("stages") or ())
    _checked_stages(strategy, stages)
    return {"strategy": strategy, "stages": stages or None}


def check_free(agent_slug: str) -> None:
    """Raise Conflict while another comparison holds the agent's traffic."""
    if Rollout.objects.filter(agent_slug=agent_slug, state__in=OPEN).exists():
        raise Conflict(f"agent {agent_slug}", "in a rollout", "no open rollout")


def _check_no_experiment(agent_slug: str) -> None:
    if Experiment.objects.filter(agent_slug=agent_slug, state__in=["running", "paused"]).exists():
        raise Conflict(f"agent {agent_slug}", "in an experiment", "no open experiment")


def _checked_stages(strategy: str, stages: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    if strategy != Rollout.Strategy.CUSTOM:
        if strategy not in STRATEGIES:
            raise InvalidInput("strategy", strategy, f"one of {', '.join(Rollout.Strategy.values)}")
        return STRATEGIES[strategy]
    if not stages:
        raise InvalidInput("stages", stages, "at least one stage for a custom rollout")
    found, before = [], 0.0
    waves: list[list[str]] = []
    for index, raw in enumerate(stages):
        wrong = sorted(set(raw) - STAGE_FIELDS)
        if wrong:
            raise InvalidInput(f"stages[{index}].{wrong[0]}", raw[wrong[0]], "no such field")
        share = float(raw.get("share", 0))
        wave = _checked_wave(raw.get("audience"), waves, index)
        widens = bool(waves) and wave != waves[-1]
        if not (before < share or (widens and before == share)) or share > 1:
            raise InvalidInput(f"stages[{index}].share", share, f"above {before:g}, at most 1")
        waves.append(wave)
        hours, units = float(raw.get("minimum_hours", 24)), int(raw.get("minimum_units", 100))
        if hours < 0 or units < 2:
            raise InvalidInput(f"stages[{index}]", [hours, units], "hours of 0, units of 2 or more")
        stage = _stage(share, hours, units, bool(raw.get("gate", False)))
        found.append({**stage, "audience": wave} if wave else stage)
        before = share
    if before < 1 or waves[-1]:
        raise InvalidInput("stages", before, "a last stage with share 1, for everybody")
    return found


def _checked_wave(given: Any, earlier: list[list[str]], index: int) -> list[str]:
    """The stage's audience; a later one holds all of an earlier one, so that nobody leaves."""
    wave = [str(name) for name in given or ()]
    field = f"stages[{index}].audience"
    check_audiences(wave, field)
    if earlier and wave and (not earlier[-1] or not set(earlier[-1]) <= set(wave)):
        held = ", ".join(earlier[-1]) or "everybody"
        raise InvalidInput(field, wave, f"all of the stage before ({held}) and more")
    return wave


def advance(*, caller: Caller, rollout_id: UUID) -> Rollout:
    """A person opens the next stage, or finishes; raises Conflict when it is over."""
    row = find(rollout_id)
    if row.state not in OPEN or not _next_stage(row, caller.name, caller):
        raise Conflict(f"rollout of {row.agent_slug}", find(rollout_id).state, "running or paused")
    return find(rollout_id)


@transaction.atomic
def pause(*, caller: Caller, rollout_id: UUID, reason: str = "") -> Rollout:
    """Hold at this stage; the split stays. Sweeps leave it alone, but for harm."""
    row = find(rollout_id)
    if not _write(row, State.RUNNING, state=State.PAUSED, state_by=caller.name[:80],
                  state_reason=reason[:500]):  # fmt: skip
        raise Conflict(f"rollout of {row.agent_slug}", find(rollout_id).state, "running")
    _note(row, "paused", caller.name, caller)
    return find(rollout_id)


@transaction.atomic
def resume(*, caller: Caller, rollout_id: UUID) -> Rollout:
    """Let sweeps go on."""
    row = find(rollout_id)
    if not _write(row, State.PAUSED, state=State.RUNNING, state_by=caller.name[:80],
                  state_reason="", stage_started_at=Now()):  # fmt: skip
        raise Conflict(f"rollout of {row.agent_slug}", find(rollout_id).state, "paused")
    _note(row, "resumed", caller.name, caller)
    return find(rollout_id)


@transaction.atomic
def hold(row: Rollout, *, by: str, reason: str) -> bool:
    """A machine holds it at its stage; False if it does not run."""
    held = _write(row, State.RUNNING, state=State.PAUSED, state_by=by[:80],
                  state_reason=reason[:500])  # fmt: skip
    if held:
        _note(row, "paused", by, reason=reason)
    return held


@transaction.atomic
def let_go(row: Rollout, *, held_by: str) -> bool:
    """Go on with what ``held_by`` held; False if somebody else did, or it runs."""
    if row.state_by != held_by or not _write(
        row, State.PAUSED, state=State.RUNNING, state_reason="", stage_started_at=Now()
    ):
        return False
    _note(row, "resumed", held_by)
    return True


def rollback(*, caller: Caller, rollout_id: UUID, reason: str) -> Rollout:
    """A person takes it back, at any stage and after it is done."""
    row = find(rollout_id)
    if not back(row, reason=reason or "rolled back by a person", by=caller.name, caller=caller):
        raise Conflict(f"rollout of {row.agent_slug}", find(rollout_id).state, "not rolled back")
    return find(rollout_id)


def find(rollout_id: UUID) -> Rollout:
    """The rollout; raises NotFound."""
    row = Rollout.objects.filter(pk=rollout_id).first()
    if row is None:
        raise NotFound("rollout", rollout_id)
    return row


@transaction.atomic
def back(
    row: Rollout, *, reason: str, by: str, caller: Caller | None = None,
    now: datetime | None = None,
) -> bool:  # fmt: skip
    """Everybody meets the former version from their next call; False if somebody was quicker.

    Leaves a tombstone with the evidence.
    """
    done = row.state == State.DONE
    before = (State.DONE,) if done else OPEN
    moved = Rollout.objects.filter(pk=row.pk, state__in=before).update(
        state=State.ROLLED_BACK, state_by=by[:80], state_reason=reason[:500],
        ended_at=now or Now(), breached_at=now or Now(),
    )  # fmt: skip
    if not moved:
        return False
    if done:
        if agents.production_of(row.agent_slug)["id"] == row.to_version_id:
            agents.promote(row.agent_slug, row.from_version_id, by=by)
    else:
        agents.end_split(row.agent_slug, by=by)
    improvements.bury(
        client_id=row.client_id, agent_slug=row.agent_slug, version_id=row.to_version_id,
        reason=reason, by=by,
        evidence={"rollout": str(row.pk), "stage": row.stage, "headline": row.headline},
    )  # fmt: skip
    improvements.move(row.improvement_id, Improvement.State.ROLLED_BACK)
    _note(row, "rolled_back", by, caller, reason)
    return True


@transaction.atomic
def _next_stage(
    row: Rollout, by: str, caller: Caller | None = None, now: datetime | None = None
) -> bool:
    """Open the next stage, or make the version production after the last one."""
    if row.stage + 1 < len(row.stages):
        if not _write(row, *OPEN, state=State.RUNNING, stage=row.stage + 1, state_by=by[:80],
                      state_reason="", stage_started_at=now or Now()):  # fmt: skip
            return False
        row.refresh_from_db()
        _open(row, by)
        _note(row, "advanced", by, caller)
        return True
    if not _write(row, *OPEN, state=State.DONE, state_by=by[:80], state_reason="",
                  ended_at=now or Now()):  # fmt: skip
        return False
    agents.promote(row.agent_slug, row.to_version_id, by=by)
    agents.end_split(row.agent_slug, by=by)
    improvements.move(row.improvement_id, Improvement.State.SHIPPED)
    labels = {"agent": row.agent_slug}
    monitoring.record([monitoring.Measurement({"improvements_deployed": 1.0}, labels)])
    _note(row, "done", by, caller)
    return True


def _write(row: Rollout, *before: str, **changes: Any) -> bool:
    """The conditional write: only from the state and the stage that were seen."""
    rows = Rollout.objects.filter(pk=row.pk, state__in=before, stage=row.stage)
    return bool(rows.update(**changes))


def _open(row: Rollout, by: str) -> None:
    """The split of the present stage; the same seed, so nobody leaves the treatment."""
    _check_no_experiment(row.agent_slug)
    ranges = measures.stage_layout(row.stages[row.stage]["share"])
    agents.split_traffic(
        row.agent_slug,
        {str(row.to_version_id): ranges["treatment"], str(row.from_version_id): ranges["control"]},
        unit=row.unit, seed=row.seed, audience=row.stages[row.stage].get("audience", ()),
        reason=_reason(row, row.stage), by=by,
    )  # fmt: skip


def _reason(row: Rollout, stage: int) -> str:
    return f"rollout {row.pk} stage {stage}"


def document(row: Rollout) -> dict[str, Any]:
    """The statistics document over all stages so far, each with the shares that it meant."""
    weights = {}
    for index in range(row.stage + 1):
        ranges = measures.stage_layout(row.stages[index]["share"])
        weights[_name(row, index)] = {
            arm: float(sum(end - start for start, end in pairs)) for arm, pairs in ranges.items()
        }
    specs = [{k: v for k, v in m.items() if k != "cap"} for m in row.metrics]
    return {
        "experiment": {
            "name": f"rollout of {row.agent_slug}", "control": "control", "metrics": specs,
            "test": row.test, "minimum_days": 0,
            "minimum_units": min(stage["minimum_units"] for stage in row.stages),
        },
        "stages": folding.with_zeros(folding.stages_of(row.pk, weights), specs),
    }  # fmt: skip


def _name(row: Rollout, index: int) -> str:
    return f"{index}: {row.stages[index]['share'] * 100:g} %"


def refresh(row: Rollout, now: datetime | None = None) -> dict[str, Any]:
    """Fold the present stage and store the analysis over all; returns the verdict document."""
    stage = row.stages[row.stage]
    folding.fold(
        folding.Source(
            row.pk, row.client_id, row.agent_slug, _name(row, row.stage),
            agents.epochs_named(row.agent_slug, _reason(row, row.stage)),
            measures.stage_layout(stage["share"]), row.metrics, row.created_at,
            now or timezone.now(),
        )
    )  # fmt: skip
    found = analyse(document(row))
    Rollout.objects.filter(pk=row.pk).update(
        verdict=found["verdict"], headline=found["headline"][:500], analysis=found,
        analysed_at=now or Now(),
    )  # fmt: skip
    row.headline, row.verdict = found["headline"][:500], found["verdict"]
    return found


def sweep(now: datetime | None = None) -> dict[str, int]:
    """Judge every open rollout: back on harm, on at its time, held on a sample ratio mismatch.

    A rollout that a person paused is only ever taken back, never advanced.
    """
    done = {"rolled_back": 0, "advanced": 0, "held": 0}
    for row in Rollout.objects.filter(state__in=OPEN):
        try:
            what = _judge(row, refresh(row, now), now)
        except Exception:  # one that can't be judged must not keep others from going back
            logger.exception("learning.rollout.failed", extra={"rollout": str(row.pk)})
            continue
        if what:
            done[what] += 1
    _watch_last_exposures(now or timezone.now())
    return done


def _judge(row: Rollout, found: dict[str, Any], now: datetime | None) -> str:
    if found["verdict"] == "rollback":
        return "rolled_back" if back(row, reason=found["headline"], by=MACHINE, now=now) else ""
    if row.state != State.RUNNING:
        return ""
    if found["sample_ratio"] and found["sample_ratio"]["mismatch"]:
        held = _write(row, State.RUNNING, state=State.PAUSED, state_by=MACHINE,
                      state_reason=found["headline"][:500])  # fmt: skip
        return "held" if held else ""
    age = (now or timezone.now()) - row.stage_started_at
    units = _units_of_stage(row)
    if units == 0 and age >= NO_DATA_AFTER:
        reason = f"no unit met the version in {age.total_seconds() / 3600:.0f} hours"
        return "rolled_back" if back(row, reason=reason, by=MACHINE, now=now) else ""
    stage = row.stages[row.stage]
    ripe = age >= timedelta(hours=stage["minimum_hours"]) and units >= stage["minimum_units"]
    if not ripe:
        return ""
    if stage["gate"]:
        held = hold(row, by=MACHINE, reason="waiting for a person at this stage's gate")
        return "held" if held else ""
    if row.stage + 1 == len(row.stages):
        checked = _post_check(row, found)
        if checked["agrees"] is False:
            held = hold(row, by=MACHINE, reason=f"post-deployment check: {checked['words']}")
            return "held" if held else ""
    return "advanced" if _next_stage(row, MACHINE, now=now) else ""


def _post_check(row: Rollout, found: dict[str, Any]) -> dict[str, Any]:
    """What everybody's stage showed beside the experiment's forecast; kept with the rollout."""
    checked = postcheck(row.experiment.analysis if row.experiment else {}, found)
    Rollout.objects.filter(pk=row.pk).update(postcheck=checked)
    return checked


def _units_of_stage(row: Rollout) -> int:
    """Units of the smaller arm in the present stage."""
    rows = folding.units(row.pk, _name(row, row.stage))
    return min(rows.get("treatment", 0), rows.get("control", 0))


def _watch_last_exposures(now: datetime) -> None:
    """When the bad version last answered: how far the rollback reached, and how fast."""
    since = now - WATCHED
    for row in Rollout.objects.filter(state=State.ROLLED_BACK, ended_at__gte=since):
        last = agents.last_call_of(row.to_version_id, row.stage_started_at)
        if last is not None and last != row.last_exposure_at:
            Rollout.objects.filter(pk=row.pk).update(last_exposure_at=last)


def _note(row: Rollout, what: str, by: str, caller: Caller | None = None, reason: str = "") -> None:
    monitoring.audit(
        actor=caller.principal if caller else by or MACHINE, action=f"learning.rollout.{what}",
        target=f"rollout:{row.pk}", client_id=row.client_id,
        user_id=caller.user_id if caller else None, after={"stage": row.stage, "reason": reason},
    )  # fmt: skip
    kind = "rollback" if what == "rolled_back" else "deployment"
    said = f"rollout {what.replace('_', ' ')}"
    if what in ("begun", "advanced"):
        said += f", stage {row.stage + 1}"
    monitoring.mark(kind=kind, scope="agent", key=row.agent_slug, text=said,
                    href=f"/dashboard/rollouts/{row.pk}")  # fmt: skip
    logs.event(logger, "learning.rollout.moved", rollout=str(row.pk), what=what, by=by)
