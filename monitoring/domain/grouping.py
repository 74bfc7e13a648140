"""Which alerts have one cause: by what depends on what, and by time.

An agent depends on an endpoint, and that on a provider. When several agents of one endpoint fail
within minutes, or two of one that fails itself, the endpoint is the cause; when two endpoints of
one provider do, the provider is; when several that have nothing in common do, the platform is.
When many agents that no endpoint explains fail in the same way, that way is the cause. Everything
else stands alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

# Alerts further apart than this have no common cause unless their incident is still open.
TOGETHER = timedelta(minutes=10)
# So many things that depend on one make it the cause.
SEVERAL = 3
# Two agents may fail at once by chance; not of an endpoint that gives most callers no answer.
OF_A_FAILING_ENDPOINT = 2
FAILING_RATIO, FAILING_CALLS = 0.5, 5
# Two endpoints of a provider that are blamed at once are its fault: each is blamed by several.
OF_A_PROVIDER = 2
# So many agents that fail in the same way within minutes do it for one reason, whatever it is.
MANY_ALIKE = 5
# Who fails in that way so much later than the last one still joins the open incident.
ALIKE_AFTER = timedelta(hours=1)
ALIKE = "alike:"
# What others depend on: an alert of one of these takes along what began with it.
SHARED = ("endpoint:", "provider:", ALIKE)
PLATFORM = "platform"
# What is wide is a consequence: when something narrow fails at the same time, it is told there.
# Sweeps and queues that stand still: whatever it is, it is one thing, and not what others did.
STUCK = "all:sweeps"
WIDE = frozenset({"all", "workflow", "step", "domain", "model", "code", "audience"})


@dataclass(frozen=True, slots=True)
class Symptom:
    """A firing alert: what it is about (``scope`` and ``key`` of the metric), and since when.

    ``held`` is the cause of the open incident that it is in. ``fails``: what it tells is what an
    outage looks like from further up. ``fingerprint`` is in what way it fails: a code of errors, or
    the rule.
    """

    alert_id: str
    scope: str
    key: str
    fired_at: datetime
    held: str = ""
    fails: bool = False
    fingerprint: str = ""


def causes(
    symptoms: Sequence[Symptom],
    endpoint_of: Mapping[str, str],
    open_causes: frozenset[str] = frozenset(),
    provider_of: Mapping[str, str] | None = None,
    failing: frozenset[str] = frozenset(),
) -> dict[str, str]:
    """The cause of each alert (by id), such as ``endpoint:azure-1`` or ``agent:tax-eu-001``.

    ``symptoms`` are all that fire, old ones too: they are evidence. ``open_causes`` are those of
    open incidents; whoever depends on one of them joins it. ``provider_of`` is by endpoint;
    ``failing`` names endpoints that ``is_failing``.
    """
    own = {s.alert_id: _own_cause(s) for s in symptoms}
    raised = {s.alert_id: _endpoint(s, endpoint_of) for s in symptoms if _endpoint(s, endpoint_of)}
    blamed = _blamed(symptoms, raised, SEVERAL, own)
    blamed |= _blamed(symptoms, raised, OF_A_FAILING_ENDPOINT, own) & {
        f"endpoint:{name}" for name in failing
    }
    blamed |= {c for c in own.values() if c.startswith("endpoint:")}
    blamed |= {c for c in open_causes if c.startswith("endpoint:")}
    found = {
        alert_id: raised[alert_id] if raised.get(alert_id) in blamed else cause
        for alert_id, cause in own.items()
    }
    found = _to_providers(symptoms, found, raised, open_causes, provider_of or {})
    shared = {cause for cause in found.values() if cause.startswith(SHARED)}
    if PLATFORM in open_causes or len(shared) >= SEVERAL:
        found = {
            alert_id: PLATFORM if cause in shared else cause for alert_id, cause in found.items()
        }
    found |= _alike(symptoms, found, open_causes)
    return found | _consequences(symptoms, found, open_causes)


def is_failing(calls: float, without_answer: float) -> bool:
    """Whether so many calls of an endpoint got no answer of it that it is itself to blame."""
    return calls >= FAILING_CALLS and without_answer >= FAILING_RATIO * calls


def _alike(
    symptoms: Sequence[Symptom], found: Mapping[str, str], open_causes: frozenset[str]
) -> dict[str, str]:
    """Agents left alone that fail in one way: many at once, or with those of an open incident."""
    alone = [s for s in symptoms if s.fingerprint and found[s.alert_id].startswith("agent:")]
    raised = {s.alert_id: f"{ALIKE}{s.fingerprint}" for s in alone}
    burst = _bursts(alone, raised)
    held = [s for s in alone if s.held.startswith(ALIKE) and s.held in open_causes]
    last: dict[str, datetime] = {}
    for symptom in held:
        last[symptom.held] = max(last.get(symptom.held, symptom.fired_at), symptom.fired_at)
    joined = {}
    for symptom in alone:
        cause = raised[symptom.alert_id]
        is_late = cause in last and symptom.fired_at - last[cause] <= ALIKE_AFTER
        if symptom.alert_id in burst or is_late:
            joined[symptom.alert_id] = cause
    return joined | {s.alert_id: s.held for s in held}


def _bursts(symptoms: Sequence[Symptom], raised: Mapping[str, str]) -> set[str]:
    """The alerts that began within ``TOGETHER`` of ``MANY_ALIKE`` agents' with the same cause; one
    that fired long before, or fires long after, is not among them."""
    by_cause: dict[str, list[Symptom]] = defaultdict(list)
    for symptom in sorted(symptoms, key=lambda one: one.fired_at):
        by_cause[raised[symptom.alert_id]].append(symptom)
    found: set[str] = set()
    for ordered in by_cause.values():
        first, taken, agents = 0, 0, Counter[str]()
        for last, symptom in enumerate(ordered):
            agents[_own_cause(symptom)] += 1
            while symptom.fired_at - ordered[first].fired_at > TOGETHER:
                gone = _own_cause(ordered[first])
                agents[gone] -= 1
                if not agents[gone]:
                    del agents[gone]
                first += 1
            if len(agents) >= MANY_ALIKE:
                found |= {one.alert_id for one in ordered[max(first, taken) : last + 1]}
                taken = last + 1
    return found


def _to_providers(
    symptoms: Sequence[Symptom],
    found: Mapping[str, str],
    raised: Mapping[str, str],
    open_causes: frozenset[str],
    provider_of: Mapping[str, str],
) -> dict[str, str]:
    """``found``, with the provider where several of its endpoints are blamed or it is already."""
    providers = {
        alert_id: f"provider:{provider_of[name]}"
        for alert_id, endpoint in raised.items()
        if (name := endpoint.partition(":")[2]) in provider_of
    }
    of_endpoints = {
        alert_id: provider
        for alert_id, provider in providers.items()
        if found[alert_id].startswith("endpoint:")
    }
    blamed = _blamed(symptoms, of_endpoints, OF_A_PROVIDER, found)
    already = {cause for cause in open_causes if cause.startswith("provider:")}
    joined = dict(found)
    for alert_id, provider in providers.items():
        if provider in already or (alert_id in of_endpoints and provider in blamed):
            joined[alert_id] = provider
    return joined


def _consequences(
    symptoms: Sequence[Symptom], found: Mapping[str, str], open_causes: frozenset[str]
) -> dict[str, str]:
    """Wide alerts beside which one narrow cause began, or while one outage lasts: that is theirs.

    What an outage does to a domain or a month's budget shows when it has lasted; and it shows
    still when the outage is over, in the same incident.
    """
    narrow = [s for s in symptoms if s.scope not in WIDE]
    began: dict[str, datetime] = {}
    for symptom in narrow:
        if _is_shared(cause := found[symptom.alert_id]):
            began[cause] = min(began.get(cause, symptom.fired_at), symptom.fired_at)
    joined = {}
    for symptom in symptoms:
        if symptom.scope not in WIDE or found[symptom.alert_id] == STUCK:
            continue
        near = {found[s.alert_id] for s in narrow if abs(s.fired_at - symptom.fired_at) <= TOGETHER}
        shared = {cause for cause in near if _is_shared(cause)}
        candidates = shared or near
        if symptom.held in began:
            joined[symptom.alert_id] = symptom.held
        elif len(candidates) == 1:
            joined[symptom.alert_id] = candidates.pop()
        elif outage := _outage(symptom, began, open_causes):
            joined[symptom.alert_id] = outage
    return joined


def _outage(
    symptom: Symptom, began: Mapping[str, datetime], open_causes: frozenset[str]
) -> str | None:
    """The one outage that a wide alert began in, or that it is left over from."""
    if not began and _is_shared(symptom.held) and symptom.held in open_causes:
        return symptom.held
    running = [cause for cause, at in began.items() if at <= symptom.fired_at + TOGETHER]
    return running[0] if len(running) == 1 and symptom.fails else None


def _is_shared(cause: str) -> bool:
    return cause == PLATFORM or cause.startswith(SHARED)


def _own_cause(symptom: Symptom) -> str:
    """An alert about a version, or an agent's code, is about its agent."""
    first = symptom.key.partition("|")[0]
    if symptom.scope in ("agent", "version", "agent_code", "agent_endpoint"):
        return f"agent:{first}"
    if symptom.scope == "all" and symptom.key:
        return STUCK
    return f"{symptom.scope}:{symptom.key}" if symptom.key else symptom.scope


def _endpoint(symptom: Symptom, endpoint_of: Mapping[str, str]) -> str:
    kind, _, name = _own_cause(symptom).partition(":")
    if kind == "endpoint":
        return f"endpoint:{name}"
    return f"endpoint:{endpoint_of[name]}" if kind == "agent" and name in endpoint_of else ""


def _blamed(
    symptoms: Sequence[Symptom],
    raised: Mapping[str, str],
    several: int,
    own: Mapping[str, str],
) -> set[str]:
    """Causes with several different dependants whose alerts began close together."""
    by_cause: dict[str, list[Symptom]] = defaultdict(list)
    for symptom in symptoms:
        if symptom.alert_id in raised:
            by_cause[raised[symptom.alert_id]].append(symptom)
    blamed = set()
    for cause, group in by_cause.items():
        group.sort(key=lambda s: s.fired_at)
        for first in group:
            near = {
                own[s.alert_id]
                for s in group
                if timedelta() <= s.fired_at - first.fired_at <= TOGETHER
            }
            if len(near) >= several:
                blamed.add(cause)
                break
    return blamed
