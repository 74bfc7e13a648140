"""Judging how fast error budgets burn: the share of bad events, in two windows, against a promise.

Bad is what failed, where a rule has a denominator; of single values (latency) it is what lies
beyond the value that was promised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from monitoring import queries
from monitoring.domain import rules
from monitoring.domain.objectives import allowed_share
from monitoring.domain.rollups import Stat
from monitoring.domain.rules import Verdict
from monitoring.models import AlertRule, Objective

# Where neither the rule nor an objective says what is promised.
PROMISED = 0.999


@dataclass(frozen=True, slots=True)
class Promise:
    """``target`` is the share of good events; one is bad beyond ``event_limit``."""

    target: float
    event_limit: float | None
    above: bool


def objectives_of(found: Iterable[AlertRule]) -> dict[str, Objective]:
    """By slug, the active objectives that these rules promise; one read, or none."""
    slugs = {rule.objective for rule in found if rule.objective}
    rows = Objective.objects.filter(slug__in=slugs, is_active=True) if slugs else ()
    return {one.slug: one for one in rows}


def promise_of(rule: AlertRule, objective: Objective | None) -> Promise:
    """What the objective promises as it stands, but for what a person has set in the rule.

    A shipped rule says which of its values were (``tuned``); in one of one's own all are.
    """
    target, limit, above = rule.target, rule.event_limit, rule.above
    if objective is not None:
        allowed = allowed_share(
            objective.target, above=objective.above, statistic=objective.statistic
        )
        if not (target and _is_set(rule, "target")) and 0 < allowed < 1:
            target = 1 - allowed
        if (limit is None or not _is_set(rule, "event_limit")) and not objective.denominator:
            limit, above = objective.target, not objective.above
    return Promise(target or PROMISED, limit, above)


def _is_set(rule: AlertRule, name: str) -> bool:
    return not rule.is_shipped or name in rule.tuned


def promised_value(rule: AlertRule) -> float | None:
    """What the rule's own figure must not be over: a share of failures, or seconds."""
    promise = promise_of(rule, objectives_of([rule]).get(rule.objective))
    return 1 - promise.target if rule.denominator else promise.event_limit


def judge(
    rule: AlertRule, promise: Promise, short: Mapping[str, Stat], long: Mapping[str, Stat],
    few: bool,
) -> Verdict:  # fmt: skip
    """The rule's verdict over both windows; ``few`` takes what there is, however little."""
    return rules.burn_rate(
        _bad_share(rule, promise, short, few), _bad_share(rule, promise, long, few),
        target=promise.target, factor=rule.limit,
    )  # fmt: skip


def _bad_share(
    rule: AlertRule, promise: Promise, stats: Mapping[str, Stat], few: bool
) -> float | None:
    """None where too little was measured to say anything."""
    stat = stats.get(rule.metric, queries.EMPTY)
    whole = stats.get(rule.denominator, queries.EMPTY).total if rule.denominator else stat.count
    if whole < (1 if few else max(rule.min_count, 1)):
        return None
    if rule.denominator:
        return stat.total / whole
    if stat.sketch is None or promise.event_limit is None:
        return None
    if promise.above:
        return stat.sketch.share_above(promise.event_limit)
    return stat.sketch.share_below(promise.event_limit)
