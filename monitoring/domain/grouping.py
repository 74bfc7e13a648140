"""Which alerts have one cause: by what depends on what, and by time.

An agent depends on an endpoint. When several agents of one endpoint fail within minutes, the
endpoint is the cause; when several endpoints do, the platform is. Everything else stands alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

# Alerts further apart than this have no common cause unless their incident is still open.
TOGETHER = timedelta(minutes=10)
# So many things that depend on one make it the cause.
SEVERAL = 3
PLATFORM = "platform"
# What is wide is a consequence: when something narrow fails at the same time, it is told there.
WIDE = frozenset({"all", "workflow", "step", "domain", "model", "code", "audience"})


@dataclass(frozen=True, slots=True)
class Symptom:
    """A firing alert: what it is about (``scope`` and ``key`` of the metric), and since when."""

    alert_id: str
    scope: str
    key: str
    fired_at: datetime


def causes(
    symptoms: Sequence[Symptom],
    endpoint_of: Mapping[str, str],
    open_causes: frozenset[str] = frozenset(),
) -> dict[str, str]:
    """The cause of each alert (by id), such as ``endpoint:azure-1`` or ``agent:tax-eu-001``.

    ``symptoms`` are all that fire, old ones too: they are evidence. ``open_causes`` are those of
    open incidents; whoever depends on one of them joins it.
    """
    own = {s.alert_id: _own_cause(s) for s in symptoms}
    raised = {s.alert_id: _endpoint(s, endpoint_of) for s in symptoms if _endpoint(s, endpoint_of)}
    blamed = _blamed(symptoms, raised, SEVERAL)
    blamed |= {c for c in own.values() if c.startswith("endpoint:")}
    blamed |= {c for c in open_causes if c.startswith("endpoint:")}
    found = {
        alert_id: raised[alert_id] if raised.get(alert_id) in blamed else cause
        for alert_id, cause in own.items()
    }
    endpoints = {c for c in found.values() if c.startswith("endpoint:")}
    if PLATFORM in open_causes or len(endpoints) >= SEVERAL:
        found = {
            alert_id: PLATFORM if cause in endpoints else cause for alert_id, cause in found.items()
        }
    return found | _consequences(symptoms, found)


def _consequences(symptoms: Sequence[Symptom], found: Mapping[str, str]) -> dict[str, str]:
    """Wide alerts beside which one narrow cause began: that is theirs too."""
    narrow = [s for s in symptoms if s.scope not in WIDE]
    joined = {}
    for symptom in symptoms:
        if symptom.scope not in WIDE:
            continue
        near = {found[s.alert_id] for s in narrow if abs(s.fired_at - symptom.fired_at) <= TOGETHER}
        shared = {cause for cause in near if cause == PLATFORM or cause.startswith("endpoint:")}
        candidates = shared or near
        if len(candidates) == 1:
            joined[symptom.alert_id] = candidates.pop()
    return joined


def _own_cause(symptom: Symptom) -> str:
    """An alert about a version, or an agent's code, is about its agent."""
    first = symptom.key.partition("|")[0]
    if symptom.scope in ("agent", "version", "agent_code", "agent_endpoint"):
        return f"agent:{first}"
    return f"{symptom.scope}:{symptom.key}" if symptom.key else symptom.scope


def _endpoint(symptom: Symptom, endpoint_of: Mapping[str, str]) -> str:
    kind, _, name = _own_cause(symptom).partition(":")
    if kind == "endpoint":
        return f"endpoint:{name}"
    return f"endpoint:{endpoint_of[name]}" if kind == "agent" and name in endpoint_of else ""


def _blamed(symptoms: Sequence[Symptom], raised: Mapping[str, str], several: int) -> set[str]:
    """Endpoints with several different dependants whose alerts began close together."""
    by_cause: dict[str, list[Symptom]] = defaultdict(list)
    for symptom in symptoms:
        if symptom.alert_id in raised:
            by_cause[raised[symptom.alert_id]].append(symptom)
    blamed = set()
    for cause, group in by_cause.items():
        group.sort(key=lambda s: s.fired_at)
        for first in group:
            near = {
                _own_cause(s)
                for s in group
                if timedelta() <= s.fired_at - first.fired_at <= TOGETHER
            }
            if len(near) >= several:
                blamed.add(cause)
                break
    return blamed
