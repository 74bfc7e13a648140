"""A rollout's transitions: begun, on, held, resumed, done, taken back.

Every transition is one conditional write on the rollout's row together with its traffic split,
in one transaction: a crash leaves both as they were, and the next sweep tries again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now

from agents import services as agents
from agents.domain import traffic
from config import logs
from config.access.callers import Caller
from config.errors import Conflict, InvalidInput, NotFound
from learning import holdouts, improvements
from learning.domain import measures
from learning.models import Experiment, Improvement, Rollout
from learning.rollouts.stages import check_test, checked_stages
from learning.rollouts.watching import with_watched
from monitoring import services as monitoring

logger = logging.getLogger(__name__)
State = Rollout.State
OPEN = (State.RUNNING, State.PAUSED)
MACHINE = "system:learning"
_DEFAULT_METRICS: list[dict[str, Any]] = [
    {"key": "success", "role": "primary"},
    {"key": "seconds_per_call", "role": "guardrail", "margin": 0.2},
    {"key": "cost_usd_per_call", "role": "guardrail", "margin": 0.2},
]


@transaction.atomic
def begin(
    *,
    client_id: UUID,
    agent_slug: str,
    to_version: UUID | str | int,
    strategy: str = Rollout.Strategy.GRADUAL,
    stages: list[dict[str, Any]] | None = None,
    audience: Sequence[str] = (),
    unit: str = "run",
    seed: str = "",
    metrics: list[dict[str, Any]] | None = None,
    test: dict[str, Any] | None = None,
    by: str = "",
    improvement_id: UUID | None = None,
    experiment_id: UUID | None = None,
    is_drill: bool = False,
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
    plan = checked_stages(strategy, stages, audience)
    given = with_watched(metrics or _DEFAULT_METRICS)
    specs = [measures.metric(raw, i) for i, raw in enumerate(given)]
    measures.check(specs)
    check_test(test)
    if measures.has_past(specs):
        raise InvalidInput("metrics", "cuped_days", "none: a rollout looks at no time before it")
    try:
        with transaction.atomic():
            row = Rollout.objects.create(
                client_id=client_id, agent_slug=agent_slug, from_version_id=present["id"],
                to_version_id=target["id"], strategy=strategy, stages=plan, unit=unit,
                seed=seed or traffic.new_seed(), metrics=specs,
                test=test or {"kind": "sequential"}, state_by=by[:80], created_by=by[:80],
                improvement_id=improvement_id, experiment_id=experiment_id, is_drill=is_drill,
                **({"created_at": now, "stage_started_at": now} if now else {}),
            )  # fmt: skip
    except IntegrityError:
        raise Conflict(f"agent {agent_slug}", "in a rollout", "no other open") from None
    _open(row, by)
    improvements.move(improvement_id, Improvement.State.ROLLING_OUT)
    _note(row, "begun", by)
    return row


def check_free(agent_slug: str) -> None:
    """Raise Conflict while another comparison holds the agent's traffic."""
    row = Rollout.objects.filter(agent_slug=agent_slug, state__in=OPEN).first()
    if row is not None:
        raise Conflict(f"agent {agent_slug}", f"in the rollout {row.pk}", "no open rollout")


def check_no_experiment(agent_slug: str, *, but: UUID | None = None) -> None:
    """Raise Conflict while an experiment (other than ``but``) holds the agent's traffic."""
    rows = Experiment.objects.filter(
        Q(agent_slug=agent_slug) | Q(variants__agent_versions__has_key=agent_slug),
        state__in=["running", "paused"],
    )
    row = (rows.exclude(pk=but) if but else rows).first()
    if row is not None:
        raise Conflict(f"agent {agent_slug}", f"in {row.called}", "no open experiment")


def advance(*, caller: Caller, rollout_id: UUID, reason: str = "") -> Rollout:
    """A person opens the next stage, or finishes; raises Conflict when it is over."""
    row = find(rollout_id)
    if row.state not in OPEN or not next_stage(
        row, caller.name, caller, reason=reason
    ):  # fmt: skip
        raise Conflict(f"rollout of {row.agent_slug}", find(rollout_id).state, "running or paused")
    return find(rollout_id)


@transaction.atomic
def pause(*, caller: Caller, rollout_id: UUID, reason: str = "") -> Rollout:
    """Hold at this stage; the split stays. Sweeps leave it alone, but for harm."""
    row = find(rollout_id)
    if not write(row, State.RUNNING, state=State.PAUSED, state_by=caller.name[:80],
                  state_reason=reason[:500]):  # fmt: skip
        raise Conflict(f"rollout of {row.agent_slug}", find(rollout_id).state, "running")
    _note(row, "paused", caller.name, caller, reason)
    return find(rollout_id)


@transaction.atomic
def resume(*, caller: Caller, rollout_id: UUID, reason: str = "") -> Rollout:
    """Let sweeps go on."""
    row = find(rollout_id)
    if not write(row, State.PAUSED, state=State.RUNNING, state_by=caller.name[:80],
                  state_reason=reason[:500], stage_started_at=Now()):  # fmt: skip
        raise Conflict(f"rollout of {row.agent_slug}", find(rollout_id).state, "paused")
    _note(row, "resumed", caller.name, caller, reason)
    return find(rollout_id)


@transaction.atomic
def hold(row: Rollout, *, by: str, reason: str) -> bool:
    """A machine holds it at its stage; False if it does not run."""
    held = write(row, State.RUNNING, state=State.PAUSED, state_by=by[:80],
                  state_reason=reason[:500])  # fmt: skip
    if held:
        _note(row, "paused", by, reason=reason)
    return held


@transaction.atomic
def let_go(row: Rollout, *, held_by: str) -> bool:
    """Go on with what ``held_by`` held; False if somebody else did, or it runs."""
    rows = Rollout.objects.filter(
        pk=row.pk, state=State.PAUSED, stage=row.stage, state_by=held_by[:80]
    )
    if not rows.update(state=State.RUNNING, state_reason="", stage_started_at=Now()):
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
    now: datetime | None = None, breached_at: datetime | None = None,
) -> bool:  # fmt: skip
    """Everybody meets the former version from their next call; False if somebody was quicker.

    Leaves a tombstone with the evidence. ``breached_at`` is when the harm first showed, this moment
    unless given: exposures are counted from then on.
    """
    done = row.state == State.DONE
    before = (State.DONE,) if done else OPEN
    moved = Rollout.objects.filter(pk=row.pk, state__in=before).update(
        state=State.ROLLED_BACK, state_by=by[:80], state_reason=reason[:500],
        ended_at=now or Now(), breached_at=breached_at or now or Now(),
    )  # fmt: skip
    if not moved:
        return False
    if done:
        if agents.production_of(row.agent_slug)["id"] == row.to_version_id:
            agents.promote(row.agent_slug, row.from_version_id, by=by)
    else:
        agents.end_split(row.agent_slug, by=by)
    if not row.is_drill:
        improvements.bury(
            client_id=row.client_id, agent_slug=row.agent_slug, version_id=row.to_version_id,
            reason=reason, by=by,
            evidence={"rollout": str(row.pk), "stage": row.stage, "headline": row.headline},
        )  # fmt: skip
    improvements.move(row.improvement_id, Improvement.State.ROLLED_BACK)
    _note(row, "rolled_back", by, caller, reason)
    return True


@transaction.atomic
def next_stage(
    row: Rollout, by: str, caller: Caller | None = None, now: datetime | None = None,
    reason: str = "",
) -> bool:  # fmt: skip
    """Open the next stage, or make the version production after the last one."""
    if row.stage + 1 < len(row.stages):
        if not write(row, *OPEN, state=State.RUNNING, stage=row.stage + 1, state_by=by[:80],
                      state_reason=reason[:500], stage_started_at=now or Now()):  # fmt: skip
            return False
        row.refresh_from_db()
        _open(row, by)
        _note(row, "advanced", by, caller, reason)
        return True
    if not write(row, *OPEN, state=State.DONE, state_by=by[:80], state_reason=reason[:500],
                  ended_at=now or Now()):  # fmt: skip
        return False
    agents.promote(row.agent_slug, row.to_version_id, by=by)
    agents.end_split(row.agent_slug, by=by)
    improvements.move(row.improvement_id, Improvement.State.SHIPPED)
    labels = {"agent": row.agent_slug}
    monitoring.record([monitoring.Measurement({"improvements_deployed": 1.0}, labels)])
    _note(row, "done", by, caller, reason)
    return True


def write(row: Rollout, *before: str, **changes: Any) -> bool:
    """The conditional write: only from the state and the stage that were seen."""
    rows = Rollout.objects.filter(pk=row.pk, state__in=before, stage=row.stage)
    return bool(rows.update(**changes))


def _open(row: Rollout, by: str) -> None:
    """The split of the present stage; the same seed, so nobody leaves the treatment."""
    ranges = measures.stage_layout(row.stages[row.stage]["share"])
    # Those of its beginning at each stage: whoever is held out of one is held out of all.
    began_at = Rollout.objects.values_list("created_at", flat=True).get(pk=row.pk)
    agents.split_traffic(
        row.agent_slug,
        {str(row.to_version_id): ranges["treatment"], str(row.from_version_id): ranges["control"]},
        unit=row.unit, seed=row.seed, audience=row.stages[row.stage].get("audience", ()),
        gates=holdouts.gates(began_at), reason=reason_of(row, row.stage), by=by,
    )  # fmt: skip
    # The split locked the agent, so what stands now is all that there is.
    check_no_experiment(row.agent_slug)


def reason_of(row: Rollout, stage: int) -> str:
    return f"rollout {row.pk} stage {stage}"


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
