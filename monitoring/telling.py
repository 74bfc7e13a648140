"""What happened to an incident and what an alert compares, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config import readable
from monitoring.domain.metrics import METRICS
from monitoring.models import Alert, AlertRule

Kind = AlertRule.Kind
# Ids of other incidents: the sentence says which by its cause.
_LEFT_OUT = frozenset({"incident", "into"})


def compared(row: Alert) -> str:
    """What an alert saw and what it was compared with: ``12.5 % against 5 %``."""
    if row.value is None or row.baseline is None:
        return ""
    return f"{figure(row.rule, row.value)} against {figure(row.rule, row.baseline)}"


def figure(rule: AlertRule, value: float | None) -> str:
    """A value of a rule in the unit that people read it in."""
    if value is None:
        return "–"
    if rule.kind == Kind.BURN_RATE:  # times as fast as the budget lasts
        return f"{readable.significant(value)} ×"
    if rule.kind not in (Kind.THRESHOLD, Kind.BASELINE) or rule.metric not in METRICS:
        return readable.significant(value)
    if rule.denominator:
        return readable.percent(value)
    say = {"s": readable.duration, "USD": readable.money, "ratio": readable.percent}
    return say.get(METRICS[rule.metric].unit, readable.count)(value)


def limit(rule: AlertRule) -> str:
    """What a rule allows: a value, or how many times the baseline."""
    return (
        f"{rule.limit:g} × the baseline" if rule.kind == Kind.BASELINE else figure(rule, rule.limit)
    )


def words_of(name: str, detail: Mapping[str, Any], titles: Mapping[str, str] | None = None) -> str:
    """The details of an event in words; empty where the event's name says it all.

    ``titles`` are those of rules, by their slugs.
    """
    if name in ("opened", "grew", "inhibited"):
        return _alerts(name, detail, titles or {})
    if name == "worsened":
        return f"from {detail.get('from')} to {detail.get('to')}"
    if name == "took_over":
        return f"the incident of {detail.get('cause')}"
    if name == "merged":
        return "into the incident of the common cause"
    if name == "escalated":
        people = readable.listed([str(one) for one in detail.get("on_call") or ()])
        return f"to level {detail.get('level')}" + (f": {people}" if people else "")
    if name == "unmeasured":
        return "nothing of it is measured any more; nobody is called on until something is"
    if name == "handed_over":
        return f"to {detail.get('to')}, by the rota {detail.get('rota')}"
    if "kind" in detail:
        said = f"{str(detail['kind']).replace('_', ' ')} of {detail.get('target')}"
        why = detail.get("said") or detail.get("error")
        return f"{said}: {why}" if why else said
    rest = {k: v for k, v in detail.items() if k not in _LEFT_OUT}
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in rest.items())


def _alerts(name: str, detail: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    number = int(detail.get("alerts", 0))
    said = readable.plural(number, "more alert" if name == "grew" else "alert")
    rules = [(titles.get(rule, rule), count) for rule, count in detail.get("rules") or ()]
    if len(rules) == 1:
        return f"{said}: {rules[0][0]}"
    if rules:
        named = readable.listed([f"{rule} ({count})" for rule, count in rules])
        return f"{said} of {len(rules)} rules: {named}"
    if not (slug := detail.get("rule")):  # an event of before knows only that of its worst alert
        return said
    rule = titles.get(slug, slug)
    return f"{said}: {rule}" if number == 1 else f"{said}, the worst: {rule}"
