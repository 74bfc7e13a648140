"""Draft an experiment: its arms, buckets, metrics, test and plan, fixed before it starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import transaction

from agents.domain import traffic
from config.access.callers import Caller
from config.errors import InvalidInput
from learning import rollouts
from learning.analysis import analyse
from learning.domain import measures, quantiles
from learning.domain.analysis import values
from learning.domain.analysis.settings import comparison as read_test
from learning.experiments import arms, layers
from learning.experiments.judging import document
from learning.models import Experiment, Variant

DEFAULT_METRICS = (
    {"key": "success", "role": "primary"},
    {"key": "seconds_per_call", "role": "guardrail", "margin": 0.2},
    {"key": "cost_usd_per_call", "role": "guardrail", "margin": 0.2},
)
DEFAULT_PLAN = {"minimum_units": 100, "minimum_days": 14}
# Between two looks of a bandit, hours: a day holds every hour's work; a week is the longest wait.
BATCH_HOURS, LEAST_BATCH_HOURS, MOST_BATCH_HOURS = 24.0, 1.0, 168.0
# Tests that are read once, at their declared end.
ONE_LOOK = ("fixed", "bayesian", "bandit")
PLAN_FIELDS = frozenset({"minimum_units", "minimum_days", "planned_units", "planned_days"})


@transaction.atomic
def create(
    *,
    caller: Caller,
    name: str,
    variants: list[dict[str, Any]],
    agent_slug: str = "",
    workflow: str = "",
    hypothesis: str = "",
    unit: str = "run",
    coverage_ratio: float = 1.0,
    metrics: list[dict[str, Any]] | None = None,
    test: dict[str, Any] | None = None,
    plan: dict[str, Any] | None = None,
    correction: str = "holm",
    maturity_hours: float = 0.0,
    autoconclude: bool = False,
    improvement_id: UUID | None = None,
    rollout_plan: dict[str, Any] | None = None,
    layer: str = "",
    layer_share_ratio: float | None = None,
    mode: str = "",
    seed: str = "",
    batch_hours: float | None = None,
) -> Experiment:
    """A draft with its arms laid out in buckets; its seed, random unless given, never changes.

    It is on one agent or on one whole ``workflow``. ``variants``: ``{"key", "version", "weight",
    "is_control"}``, version by id, number or label; in a workflow a number or label (the current
    version if empty), and ``agents``, agent → version, for calls of the workflow's runs alone.
    ``layer`` names the namespace that it shares with others, of which it takes
    ``layer_share_ratio`` (all). ``mode`` is ``ab`` or ``aa``, by default what the versions make it.
    ``correction``: over the metrics of a role, as a statistics document names it.
    ``batch_hours`` lie between two looks of a bandit (a day); its unit is the run, because whoever
    comes again would change arms.
    Raises InvalidInput for what can't be compared, Barred for a version that was rolled back.
    """
    if bool(agent_slug) == bool(workflow):
        raise InvalidInput("agent", agent_slug or workflow or None, "either an agent or a workflow")
    if workflow:
        rows = arms.of_workflow(workflow, variants, unit)
        arms.check_measures(metrics or ())
    else:
        rows = arms.of_agent(agent_slug, variants)
    is_aa = arms.is_aa(rows, mode)
    control = next(row["key"] for row in rows if row["is_control"])
    ranges = measures.layout({r["key"]: r["weight"] for r in rows}, control, coverage_ratio)
    specs = [measures.metric(raw, i) for i, raw in enumerate(metrics or DEFAULT_METRICS)]
    _check_past(specs, unit, workflow)
    settings = {"test": test or "sequential", "metrics": specs}
    with _as_asked():
        read = read_test(settings)
    quantiles.check_looks(read.kind, specs)
    if read.look_fractions:
        raise InvalidInput("test.look_fractions", list(read.look_fractions),
                           "none: a live test looks when a day is over")  # fmt: skip
    is_bandit = (test or {}).get("kind") == "bandit"
    _check_bandit(is_bandit, unit, batch_hours)
    wrong = sorted(set(plan or {}) - PLAN_FIELDS)
    if wrong:
        raise InvalidInput(f"plan.{wrong[0]}", (plan or {})[wrong[0]], " or ".join(PLAN_FIELDS))
    asked = {k: v for k, v in (plan or {}).items() if v is not None}
    planned = {**DEFAULT_PLAN, **asked}
    if "minimum_days" not in asked:  # an end that is declared earlier than usual is meant so
        usual = DEFAULT_PLAN["minimum_days"]
        end = values.number(asked, ("planned_days",), "plan", default=usual)
        planned["minimum_days"] = min(usual, end)
    if correction != "holm":
        planned["correction"] = correction
    if read.kind in ONE_LOOK and not {"planned_units", "planned_days"} & planned.keys():
        # Read at a declared end only; what was asked for at least is that.
        least = values.number(planned, ("minimum_days",), "plan", least=0)
        planned["planned_days"] = max(least, 1)
    experiment = Experiment.objects.create(
        client_id=caller.home_client_id, agent_slug=agent_slug, workflow_name=workflow,
        name=name, hypothesis=hypothesis,
        unit=unit, seed=seed or traffic.new_seed(), coverage_ratio=coverage_ratio, metrics=specs,
        test=test or {"kind": "sequential"}, plan=planned,
        batch_hours=batch_hours or BATCH_HOURS,
        maturity_hours=maturity_hours, autoconclude=autoconclude, improvement_id=improvement_id,
        rollout_plan=rollouts.checked_plan(rollout_plan or {}), is_aa=is_aa,
        layer=layers.layer_named(layer, unit) if layer else None,
        layer_share_ratio=_share(layer, layer_share_ratio),
        created_by=caller.name[:80],
    )  # fmt: skip
    Variant.objects.bulk_create(
        Variant(experiment=experiment, ranges=ranges[row["key"]], **row) for row in rows
    )
    with _as_asked():  # settings that could not be analysed are refused before the start
        analyse(document(experiment))
    return experiment


@contextmanager
def _as_asked() -> Iterator[None]:
    """Faults of the statistics document by the names that they have in what was sent."""
    try:
        yield
    except InvalidInput as error:
        inner = error.field.removeprefix("experiment.")
        field = f"plan.{inner}" if inner in PLAN_FIELDS else inner
        raise InvalidInput(field, error.value, error.limit) from error


def _check_past(specs: list[dict[str, Any]], unit: str, workflow: str) -> None:
    """CUPED needs units that come back, with calls of this agent before the start."""
    if not measures.has_past(specs):
        return
    if workflow:
        raise InvalidInput("metrics", "cuped_days", "none for a workflow")
    if unit == "run":
        raise InvalidInput("unit", unit, "user, client or conversation where a metric has "
                           "cuped_days: a run has no time before it")  # fmt: skip


def _check_bandit(is_bandit: bool, unit: str, hours: float | None) -> None:
    if is_bandit and unit != "run":
        raise InvalidInput(
            "unit", unit, "run: a bandit's shares move, and others would change arms"
        )
    if hours is None:
        return
    if not is_bandit:
        raise InvalidInput("batch_hours", hours, "a test of kind bandit")
    if not LEAST_BATCH_HOURS <= hours <= MOST_BATCH_HOURS:
        raise InvalidInput(
            "batch_hours", hours, f"from {LEAST_BATCH_HOURS:g} to {MOST_BATCH_HOURS:g}"
        )


def _share(layer: str, share: float | None) -> float | None:
    if not layer:
        if share is not None:
            raise InvalidInput("layer_share_ratio", share, "a layer that it is a share of")
        return None
    if share is not None and not 0.0001 <= share <= 1:
        raise InvalidInput("layer_share_ratio", share, "from 0.0001 to 1")
    return 1.0 if share is None else share
