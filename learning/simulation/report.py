"""What the loop decided, beside what was true and what others would have decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from agents import evidence
from learning import trials
from learning.domain.peers import Day, first_small_p
from learning.domain.statistics.intervals import clopper_pearson
from learning.models import ArmDay, Experiment, Improvement, Rollout
from learning.simulation import traffic

if TYPE_CHECKING:
    from learning.simulation.contest import Fought
    from learning.simulation.running import World

State = Improvement.State
KINDS = ("better", "equal", "worse")
OUTCOMES = ("shipped", "refused", "rolled_back", "open")
# What the loop must reach: the share, and whether it is a floor or a ceiling.
MOST_EQUAL_SHIPPED, LEAST_BETTER_SHIPPED, MOST_SEEN_OF_HARM = 0.05, 0.80, 0.25


def document(
    world: World, told: Mapping[str, Any], bandit: Mapping[str, Fought], *, seconds: float
) -> dict[str, Any]:
    """The whole result, JSON-ready; money as decimal strings in USD."""
    exposures = _exposures(world)
    rows = [
        _candidate(world, name, told["candidates"][name], exposures, bandit[name])
        for name in world.scenario.names
    ]
    plan, _ = trials.sizes(world.policy)
    fixed = trials.fixed_size(world.policy)
    cost = sum((Decimal(row["cost_usd"]) for row in rows), Decimal(0))
    rates = _rates(rows, 2 * fixed)
    found = {
        "scenario": world.scenario.name,
        "seed": world.scenario.seed,
        "candidates": len(rows),
        "days": world.days,
        "calls": world.calls,
        "exposures_to_candidates": sum(row["exposures"] for row in rows),
        "cost_usd": f"{cost:f}",
        "simulated": True,
        "seconds": round(seconds, 1),
        "calls_per_second": round(world.calls / seconds, 1) if seconds else None,
        "plan": {
            "fixed_horizon_units": fixed, "planned_units": 2 * plan["planned_units"],
            "coverage_ratio": world.policy.coverage_ratio,
        },
        "loop": _table(rows, "outcome", OUTCOMES),
        "rates": rates,
        "peers": {
            "first_small_p": _table(rows, "first_small_p", ("shipped", "stopped", "kept")),
            "epsilon_greedy": {
                **_table(rows, "epsilon_greedy", ("shipped", "kept")),
                "cost_usd": f"{sum((one.cost_usd for one in bandit.values()), Decimal(0)):f}",
            },
        },
        "details": rows,
    }  # fmt: skip
    return {"headline": headline(found), **found}


def headline(found: Mapping[str, Any]) -> str:
    """The result in one sentence."""
    by_kind = found["loop"]
    parts = [
        f"{by_kind[kind]['shipped']} of {by_kind[kind]['candidates']} {kind} shipped"
        for kind in KINDS if by_kind[kind]["candidates"]
    ]  # fmt: skip
    missed = [rate["name"] for rate in found["rates"] if rate["reached"] is False]
    verdict = f"missed: {', '.join(missed)}" if missed else "every target was reached"
    return f"{', '.join(parts)}; {verdict}."


def _exposures(world: World) -> dict[str, dict[Any, dict[str, Any]]]:
    found: dict[str, dict[Any, dict[str, Any]]] = {}
    for row in evidence.exposures(world.start, timezone.now()):
        found.setdefault(row["agent_slug"], {})[row["version_id"]] = row
    return found


def _candidate(
    world: World, name: str, truth: Mapping[str, Any], exposures: Mapping[str, Any], fought: Fought
) -> dict[str, Any]:
    slug = world.slug(name)
    improvement = Improvement.objects.get(pk=world.improvements[name])
    experiment = Experiment.objects.filter(improvement=improvement).first()
    rollout = Rollout.objects.filter(improvement=improvement).first()
    ended: Rollout | Experiment | None = rollout or experiment
    met = exposures.get(slug, {})
    calls = sum(row["calls"] for row in met.values())
    seen = met.get(world.candidates[name], {}).get("calls", 0)
    days = _days(experiment) if experiment else []
    small_p, peeked = first_small_p(days, alpha=world.scenario.alpha)
    return {
        "name": name,
        "is": truth["is"],
        "accuracy": truth["accuracy"],
        "outcome": _outcome(improvement, experiment),
        "experiment_verdict": experiment.verdict if experiment else "",
        "experiment_units": sum(d.control[0] + d.treatment[0] for d in days),
        "experiment_days": len(days),
        "rollout_stage": rollout.stage if rollout else None,
        "reason": ended.headline if ended else "",
        "calls": calls,
        "exposures": seen,
        "seen_ratio": round(seen / calls, 4) if calls else 0.0,
        "cost_usd": f"{sum((row['cost_usd'] for row in met.values()), Decimal(0)):f}",
        "first_small_p": small_p,
        "first_small_p_units": peeked,
        "epsilon_greedy": "shipped" if fought.shipped else "kept",
        "epsilon_greedy_seen_ratio": round(fought.seen_ratio, 4),
    }


def _outcome(improvement: Improvement, experiment: Experiment | None) -> str:
    """``rolled_back`` in its experiment or its rollout; ``open``: undecided, or for a person."""
    if improvement.state == State.SHIPPED:
        return "shipped"
    if improvement.state == State.ROLLED_BACK:
        return "rolled_back"
    if improvement.state == State.REFUSED:
        harmed = experiment is not None and experiment.verdict == "rollback"
        return "rolled_back" if harmed else "refused"
    return "open"


def _days(experiment: Experiment) -> list[Day]:
    """The experiment's own rows, as those who decide otherwise would have seen them."""
    key = f"score:{traffic.METRIC}"
    found: dict[Any, dict[str, tuple[int, int]]] = {}
    for row in ArmDay.objects.filter(owner_id=experiment.pk).order_by("day"):
        sums = row.statistics.get(key, {})
        counts = (int(sums.get("denominator_sum", 0)), int(sums.get("numerator_sum", 0)))
        found.setdefault(row.day, {})[row.arm] = counts
    return [
        Day(arms.get("control", (0, 0)), arms.get("candidate", (0, 0)))
        for _, arms in sorted(found.items())
    ]


def _table(rows: Sequence[Mapping[str, Any]], key: str, values: Sequence[str]) -> dict[str, Any]:
    return {
        kind: {
            "candidates": sum(row["is"] == kind for row in rows),
            **{v: sum(row["is"] == kind and row[key] == v for row in rows) for v in values},
        }
        for kind in KINDS
    }


def _rates(rows: Sequence[Mapping[str, Any]], most_units: int) -> list[dict[str, Any]]:
    """Each promise as a counted rate with its exact 95 % interval and its target."""
    of = {kind: [row for row in rows if row["is"] == kind] for kind in KINDS}
    shipped = {k: [row for row in own if row["outcome"] == "shipped"] for k, own in of.items()}
    in_time = [row for row in shipped["better"] if row["experiment_units"] <= most_units]
    contained = [
        row for row in of["worse"]
        if row["outcome"] != "shipped" and row["seen_ratio"] < MOST_SEEN_OF_HARM
    ]  # fmt: skip
    by_p, by_bandit = (
        {k: [row for row in own if row[key] == "shipped"] for k, own in of.items()}
        for key in ("first_small_p", "epsilon_greedy")
    )
    everything: list[tuple[str, Sequence[Any], Sequence[Any], float | None, str]] = [
        ("equal ones shipped", shipped["equal"], of["equal"], MOST_EQUAL_SHIPPED, "most"),
        ("worse ones fully rolled out", shipped["worse"], of["worse"], 0.0, "most"),
        ("better ones shipped within twice a fixed test", in_time, of["better"],
         LEAST_BETTER_SHIPPED, "least"),
        ("worse ones stopped before 25 % of units met them", contained, of["worse"], 1.0, "least"),
        ("equal ones shipped at the first small p", by_p["equal"], of["equal"], None, ""),
        ("worse ones shipped at the first small p", by_p["worse"], of["worse"], None, ""),
        ("better ones shipped at the first small p", by_p["better"], of["better"], None, ""),
        ("equal ones kept by the bandit", by_bandit["equal"], of["equal"], None, ""),
        ("worse ones kept by the bandit", by_bandit["worse"], of["worse"], None, ""),
        ("better ones kept by the bandit", by_bandit["better"], of["better"], None, ""),
    ]  # fmt: skip
    return [_rate(*one) for one in everything]


def _rate(
    name: str, counted: Sequence[Any], of: Sequence[Any], target: float | None, sense: str
) -> dict[str, Any]:
    low, high = clopper_pearson(len(counted), len(of))
    rate = len(counted) / len(of) if of else None
    reached = None
    if target is not None and rate is not None:
        reached = rate <= target if sense == "most" else rate >= target
    return {
        "name": name, "count": len(counted), "of": len(of),
        "rate": None if rate is None else round(rate, 4),
        "low": round(low, 4), "high": round(high, 4),
        "target": target, "target_is": sense or None, "reached": reached,
    }  # fmt: skip


def words(found: Mapping[str, Any]) -> str:
    """The result as a person reads it: a sentence, two tables, the rates."""
    lines = [found["headline"], ""]
    lines += [
        f"{found['candidates']} candidates, seed {found['seed']}, {found['days']} days, "
        f"{found['calls']} calls ({found['calls_per_second']} a second), "
        f"{found['exposures_to_candidates']} met a candidate, {Decimal(found['cost_usd']):.2f} USD "
        "(simulated)",
        f"planned: at most {found['plan']['planned_units']} units a candidate; a test for one look "
        f"takes {found['plan']['fixed_horizon_units']}",
        "",
        f"{'truth':8}" + "".join(f"{name:>13}" for name in ("candidates", *OUTCOMES)),
    ]
    for kind, row in found["loop"].items():
        counts = (row["candidates"], *(row[name] for name in OUTCOMES))
        lines.append(f"{kind:8}" + "".join(f"{value:>13}" for value in counts))
    lines += ["", f"{'rate':52}{'':>9}{'95 % interval':>19}{'target':>10}"]
    for rate in found["rates"]:
        share = "none" if rate["rate"] is None else f"{rate['rate'] * 100:.1f} %"
        bounds = f"{rate['low'] * 100:.1f} to {rate['high'] * 100:.1f} %"
        target = ""
        if rate["target"] is not None:
            mark = "≤" if rate["target_is"] == "most" else "≥"
            target = f"{mark} {rate['target'] * 100:g} %"
        lines.append(f"{rate['name']:52}{share:>9}{bounds:>19}{target:>10}")
    return "\n".join(lines)
