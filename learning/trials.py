"""Try approved changes on live traffic, by the policy that an administrator set."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from agents import queries
from agents import services as agents
from agents.domain import traffic
from config import logs
from config.access import callers
from config.access.callers import Caller
from config.access.models import Client
from config.errors import AppError, Conflict, InvalidInput
from learning import analysis, experiments, improvements, replay, rollouts, screening
from learning.domain import measures
from learning.domain.measures import SCORE
from learning.domain.statistics import power
from learning.models import Experiment, Improvement, Judge, Replay, TrialPolicy
from monitoring import services as monitoring

logger = logging.getLogger(__name__)
State = Improvement.State
WEEK = timedelta(days=7)
# What one replay of a candidate may cost.
REPLAY_CAP_USD = Decimal(1)
# So many replays a sweep begins at most: they are a day's work of a worker.
MOST_REPLAYS = 5
# A looked-at test is planned for as many looks.
LOOKS = 14


def random_seed(_row: Improvement) -> str:
    """A seed that nobody can know beforehand."""
    return traffic.new_seed()


def sweep(
    now: datetime | None = None, seed_for: Callable[[Improvement], str] = random_seed
) -> dict[str, int]:
    """Approve what policies allow, then start what is approved and whose agent is free."""
    return {"approved": approve_by_policy(now), "started": start_approved(now, seed_for)}


def policy_for(slug: str) -> TrialPolicy | None:
    """The agent's own policy, else that of all others; None if there is none."""
    rows = {p.agent_slug: p for p in TrialPolicy.objects.filter(agent_slug__in=[slug, ""])}
    return rows.get(slug) or rows.get("")


def judge_for(slug: str) -> Judge | None:
    """The admitted judge of a score that the agent's trials look at, so that replays do too."""
    policy = policy_for(slug)
    measured = [str(m.get("measure") or m["key"]) for m in (policy.metrics if policy else ())]
    names = [one.removeprefix(SCORE) for one in measured if one.startswith(SCORE)]
    rows = Judge.objects.filter(name__in=names, state=Judge.State.ADMITTED).exclude(criterion="")
    return rows.order_by("-measured_at").first()


def approve_by_policy(now: datetime | None = None) -> int:
    """Approve low-risk proposals that were replayed well, as many a week as the policy allows."""
    done = 0
    rows = Improvement.objects.filter(
        state=State.PROPOSED, risk=Improvement.Risk.LOW, candidate_version_id__isnull=False
    ).exclude(
        experiments__state=Experiment.State.STOPPED  # a person ended its trial
    ).order_by("-priority", "-id")  # fmt: skip
    for row in rows:
        policy = policy_for(row.agent_slug)
        if policy is None or policy.approves != TrialPolicy.Approves.LOW:
            continue
        try:
            found = screening.of(row)
            if found.verdict not in screening.SOUND or not _has_room(policy, row.agent_slug, now):
                continue
            version = agents.version_values(row.agent_slug, row.candidate_version_id or "")
            if version["agent_risk"] != "low":
                continue
            improvements.approve(
                caller=machine(), improvement_id=row.pk, by_policy=True,
                reason=f"by the policy for {policy}: low risk, replayed {found.verdict}",
            )  # fmt: skip
            done += 1
        except AppError as error:  # a person was quicker, or its agent is gone
            logs.event(logger, "learning.trial.not_approved", improvement=str(row.pk),
                       code=error.code)  # fmt: skip
    return done


def _has_room(policy: TrialPolicy, slug: str, now: datetime | None) -> bool:
    since = (now or timezone.now()) - WEEK
    taken = Improvement.objects.filter(decided_at__gte=since, is_by_policy=True)
    if policy.agent_slug:
        taken = taken.filter(agent_slug=slug)
    return taken.count() < policy.most_approved_a_week


def start_approved(
    now: datetime | None = None, seed_for: Callable[[Improvement], str] = random_seed
) -> int:
    """An experiment for each approved improvement with a candidate; one an agent at a time.

    One that was not replayed beside production is replayed first, and one whose replay did not
    find it no worse waits for a person. A person's own experiment or rollout of the agent goes
    first; the rest waits for the next sweep.
    """
    started = 0
    rows = Improvement.objects.filter(
        state=State.APPROVED, candidate_version_id__isnull=False
    ).order_by("-priority", "id")
    busy = experiments.busy_agents()
    asked: set[str] = set()
    for row in rows:
        policy = policy_for(row.agent_slug)
        if policy is None or not policy.is_enabled or row.agent_slug in busy:
            continue
        try:
            standing = screening.of(row)
            if not standing.may_go_live:
                # One an agent: whatever ships first puts another version beside the rest.
                is_next = row.agent_slug not in asked and len(asked) < MOST_REPLAYS
                if standing.is_running or (
                    is_next and begin_missing_replay(row, asked_by="the trial policy", now=now)
                ):
                    asked.add(row.agent_slug)
                continue
            start(row, policy, seed=seed_for(row), now=now)
        except AppError as error:
            logs.event(logger, "learning.trial.refused", improvement=str(row.pk), code=error.code)
            continue
        busy.add(row.agent_slug)
        started += 1
    return started


def begin_replay(row: Improvement, *, asked_by: str) -> Replay:
    """Replay an improvement's candidate beside the version that is in production now.

    Raises Conflict without a candidate, InvalidInput where it is in production.
    """
    if row.candidate_version_id is None:
        raise Conflict(f"improvement {row.title!r}", "without a candidate", "a candidate version")
    return replay.start(
        agent=row.agent_slug, candidate_id=row.candidate_version_id, client_id=row.client_id,
        cap_usd=REPLAY_CAP_USD, improvement_id=row.pk, asked_by=asked_by,
        judge=judge_for(row.agent_slug),
    )  # fmt: skip


def begin_missing_replay(row: Improvement, *, asked_by: str, now: datetime | None = None) -> bool:
    """Replay a candidate of which no replay beside production is on record; whether one began.

    One that had too few cases to tell is begun again after a week.
    """
    try:
        with transaction.atomic():  # of two at once the second sees the first one's
            Improvement.objects.select_for_update(no_key=True).get(pk=row.pk)
            found = screening.of(row)
            again = found.again_from is not None and (now or timezone.now()) >= found.again_from
            if found.verdict != screening.NONE and not again:
                return False
            begin_replay(row, asked_by=asked_by)
    except AppError as error:  # production itself, or gone
        logs.event(logger, "learning.replay.refused", level=logging.WARNING,
                   improvement=str(row.pk), code=error.code)  # fmt: skip
        return False
    return True


@transaction.atomic
def start(
    row: Improvement, policy: TrialPolicy, *, seed: str = "", now: datetime | None = None
) -> Experiment:
    """Lay out and start the improvement's experiment.

    Raises Conflict, Barred, InvalidInput, ReplayNeeded.
    """
    screening.check(row)
    plan, test = sizes(policy)
    made = experiments.create(
        caller=machine(row), agent_slug=row.agent_slug, name=row.title[:120],
        hypothesis=str(row.expected.get("what", "")) if isinstance(row.expected, dict) else "",
        variants=[
            {"key": "control", "version": "production", "is_control": True},
            {"key": "candidate", "version": str(row.candidate_version_id)},
        ],
        unit=policy.unit, coverage_ratio=policy.coverage_ratio, metrics=policy.metrics, test=test,
        plan=plan, maturity_hours=policy.maturity_hours, autoconclude=True,
        improvement_id=row.pk, seed=seed,
        rollout_plan={"strategy": policy.strategy, "stages": policy.stages or []},
    )  # fmt: skip
    return experiments.start(caller=machine(row), experiment_id=made.pk, now=now)


def sizes(policy: TrialPolicy) -> tuple[dict[str, Any], dict[str, Any]]:
    """The plan and the test of an experiment under ``policy``, fixed before it starts.

    The size is the one that the policy's test needs for 80 % power, over 14 looks where it is
    looked at more than once, at most ``most_size_ratio`` times that of a test for one look. A
    sequential test that is not given is tuned to it; a bandit is planned as a test for one look.
    """
    primary = next(m for m in policy.metrics if m.get("role") == "primary")
    kind = "proportion" if 0 < policy.baseline < 1 else "count"
    asked = {
        "metric": {"type": kind, "baseline": policy.baseline}, "effect": policy.effect,
        "effect_type": "absolute", "minimum_units": policy.minimum_units,
        "test": _planned_test(policy.test or {}),
    }  # fmt: skip
    if primary.get("direction") == "decrease":
        asked["effect"] = -policy.effect
    planned = analysis.plan(asked)
    fixed = planned["total_units"] / max(planned["against_fixed_horizon_ratio"], 1e-9)
    total = min(planned["total_units"], int(policy.most_size_ratio * fixed))
    an_arm = max(policy.minimum_units, -(-total // 2))
    plan = {
        "minimum_units": policy.minimum_units, "minimum_days": policy.minimum_days,
        "planned_units": an_arm,
    }  # fmt: skip
    test = policy.test or {
        "kind": "sequential",
        "difference_type": "absolute",
        "tuning": 2 * an_arm,
    }
    return plan, test


def _planned_test(test: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(test.get("kind", "sequential"))
    known = {name: test[name] for name in ("alpha", "tuning", "spending", "looks") if name in test}
    return {"looks": LOOKS, **known, "kind": "fixed" if kind == "bandit" else kind}


def check_policy(policy: TrialPolicy) -> None:
    """Raise InvalidInput for a policy under which no experiment could start.

    One that is there already may be changed, or turned off, after its agent was retired.
    """
    slug = policy.agent_slug
    is_known = not slug or TrialPolicy.objects.filter(agent_slug=slug).exists()
    if not is_known and slug not in queries.known_agents():
        raise InvalidInput("agent_slug", slug, "an agent, or empty for all others")
    primaries = [m for m in policy.metrics if m.get("role") == "primary"]
    if len(primaries) != 1:
        raise InvalidInput("metrics", len(primaries), "one metric with the role primary")
    measures.check([measures.metric(raw, place) for place, raw in enumerate(policy.metrics)])
    rollouts.checked_plan({"strategy": policy.strategy, "stages": policy.stages or []})
    sizes(policy)


def note_policy(policy: TrialPolicy, caller: Caller) -> None:
    """Say in the audit log who allows what."""
    monitoring.audit(
        actor=caller.principal, action="learning.trial_policy.changed", user_id=caller.user_id,
        target=f"trial_policy:{policy.pk}",
        after={"agent": str(policy), "enabled": policy.is_enabled, "approves": policy.approves},
    )  # fmt: skip


def fixed_size(policy: TrialPolicy) -> int:
    """Units, both arms together, of a test for one look at 5 % with 80 % power."""
    question = power.proportion(policy.baseline, policy.effect)
    return power.units_needed(power.Design("fixed"), question)


def describe(policy: TrialPolicy) -> str:
    """The sizes that ``policy`` leads to, in words."""
    plan, _ = sizes(policy)
    fixed = fixed_size(policy)
    return f"at most {2 * plan['planned_units']} units each, {fixed} for a test with one look"


def machine(row: Improvement | None = None) -> Caller:
    """The loop itself as a caller, at the firm or at the improvement's client."""
    client_id = row.client_id if row else Client.objects.values_list("pk", flat=True).get(
        is_firm=True
    )  # fmt: skip
    return callers.system("learning", client_id)
