"""Read an experiment's settings: metrics, test, plan, correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, cast

from config.errors import InvalidInput
from learning.domain.analysis import values
from learning.domain.analysis.study import Comparison, Metric, Plan, Stage
from learning.domain.statistics.bayesian import Prior
from learning.domain.statistics.group_sequential import LEAST_STEP
from learning.domain.statistics.multiplicity import Correction
from learning.domain.statistics.sequential import DEFAULT_TUNING

EXPERIMENT_FIELDS = (
    "name", "key", "description", "hypothesis", "unit", "control", "metrics", "test", "weights",
    "expected_weights", "correction", "minimum_units", "minimum_days", "planned_units",
    "planned_days", "days", "complete", "alpha",
    "aa", "watched", "open_date", "stopped_arms",
)  # fmt: skip
METRIC_FIELDS = (
    "key", "name", "id", "type", "statistic_type", "role", "direction", "inverse", "margin",
    "margin_type", "quantile", "quantile_value", "numerator_type", "main_metric_type",
    "denominator_type", "denominator_metric_type", "covariate_type", "covariate_metric_type",
    "minimum_measured", "description", "unit",
)  # fmt: skip
TEST_FIELDS = (
    "kind", "type", "alpha", "difference_type", "difference", "alternative", "tuning",
    "sequential_tuning_parameter", "spending", "look_fractions", "looks", "prior",
    "chance_to_win", "normal",
)  # fmt: skip
TYPES = {
    "proportion": "proportion", "binomial": "proportion", "binary": "proportion",
    "mean": "mean", "revenue": "mean", "mean_ra": "mean", "continuous": "mean", "count": "count",
    "ratio": "ratio", "quantile": "quantile", "quantile_unit": "quantile",
    "quantile_event": "quantile",
}  # fmt: skip
PARTS = {"mean": "mean", "count": "mean", "binomial": "proportion", "proportion": "proportion"}
ROLES = {name: name for name in ("primary", "secondary", "guardrail")} | {"goal": "primary"}
DIRECTIONS = {
    "increase": "up", "up": "up", "higher": "up", "higher_is_better": "up", "maximize": "up",
    "decrease": "down", "down": "down", "lower": "down", "lower_is_better": "down",
    "minimize": "down",
}  # fmt: skip
SCALES = {"relative": "relative", "absolute": "absolute"}
KINDS = {
    "sequential": "sequential", "fixed": "fixed", "frequentist": "fixed", "fixed_horizon": "fixed",
    "group_sequential": "group_sequential", "bayesian": "bayesian", "bandit": "bandit",
}  # fmt: skip
ALTERNATIVES = {
    "two_sided": "two_sided", "greater": "greater", "less": "less", "lesser": "less",
}  # fmt: skip
SPENDINGS = {
    "obrien_fleming": "obrien_fleming", "obf": "obrien_fleming", "pocock": "pocock",
}  # fmt: skip
CORRECTIONS = {
    "holm": "holm", "holm_bonferroni": "holm", "benjamini_hochberg": "benjamini_hochberg",
    "bh": "benjamini_hochberg", "none": "none",
}  # fmt: skip
Raw = Mapping[str, Any]
# A century of days; a tuning beyond any traffic; a level that no p-value of a double falls under.
MOST_DAYS, MOST_TUNING, LEAST_ALPHA = 36_500, 1e12, 1e-12


def metrics(settings: Raw) -> list[Metric]:
    """All metrics, exactly one of them primary; the first if none says so."""
    raw = settings.get("metrics")
    if isinstance(raw, Mapping):
        raw = [{"key": k, **values.mapping(v, f"experiment.metrics.{k}")} for k, v in raw.items()]
    if raw is None:
        raise InvalidInput("experiment.metrics", None, "is missing; a list of metrics")
    rows = [
        values.mapping(row, f"experiment.metrics[{i}]")
        for i, row in enumerate(values.sequence(raw, "experiment.metrics"))
    ]
    roles = [
        values.choice(row, ("role",), f"experiment.metrics[{i}]", ROLES, "secondary")
        for i, row in enumerate(rows)
    ]
    if "primary" not in roles:
        free = [i for i, row in enumerate(rows) if "role" not in row]
        if not free:
            raise InvalidInput("experiment.metrics", roles, "exactly one with role primary")
        roles[free[0]] = "primary"
    if roles.count("primary") > 1:
        raise InvalidInput("experiment.metrics", roles, "exactly one with role primary")
    found = [_metric(row, role, i) for i, (row, role) in enumerate(zip(rows, roles, strict=True))]
    keys = [metric.key for metric in found]
    if len(set(keys)) < len(keys):
        raise InvalidInput("experiment.metrics", ", ".join(keys), "a different key for each")
    return found


def _metric(row: Raw, role: str, index: int) -> Metric:
    path = f"experiment.metrics[{index}]"
    values.known(row, METRIC_FIELDS, path)
    key = values.text(row.get("key", row.get("name", row.get("id"))), f"{path}.key")
    kind = values.choice(row, ("type", "statistic_type"), path, TYPES)
    main = values.find(row, ("numerator_type", "main_metric_type"))
    if kind == "mean" and main in ("binomial", "proportion"):
        kind = "proportion"
    down = values.choice(row, ("direction",), path, DIRECTIONS, "up") == "down"
    margin = None
    if values.find(row, ("margin",)) is not values.MISSING:
        margin = values.number(row, ("margin",), path)
        if margin < 0:
            raise InvalidInput(
                f"{path}.margin", margin,
                "0 or above: by how much it may get worse, whichever way worse is",
            )  # fmt: skip
    quantile = None
    if kind == "quantile":
        quantile = values.number(row, ("quantile", "quantile_value"), path, above=0, below=1)
    return Metric(
        key,
        cast("Any", kind),
        cast("Any", role),
        down or values.flag(row, "inverse", path),
        margin,
        cast("Any", values.choice(row, ("margin_type",), path, SCALES, "relative")),
        quantile,
        cast("Any", values.choice(
            row, ("numerator_type", "main_metric_type"), path, PARTS, "mean")),
        cast("Any", values.choice(
            row, ("denominator_type", "denominator_metric_type"), path, PARTS, "mean")),
        cast("Any", values.choice(
            row, ("covariate_type", "covariate_metric_type"), path, PARTS, "mean")),
        values.number(row, ("minimum_measured",), path, default=0, least=0),
    )  # fmt: skip


def comparison(settings: Raw) -> Comparison:
    """The test, ``sequential`` unless the document says otherwise."""
    raw = settings.get("test", "sequential")
    path = "experiment.test"
    given: dict[str, Any] = (
        {"kind": raw} if isinstance(raw, str) else dict(values.mapping(raw, path))
    )
    values.known(given, TEST_FIELDS, path)
    given.setdefault("alpha", settings.get("alpha"))
    values.count(given, ("looks",), path, default=1, least=1)  # a plan's; the size holds it
    kind = values.choice(given, ("kind", "type"), path, KINDS, "sequential")
    alternative = values.choice(given, ("alternative",), path, ALTERNATIVES, "two_sided")
    if alternative != "two_sided" and kind not in ("fixed", "sequential"):
        raise InvalidInput(f"{path}.alternative", alternative, f"two_sided for a {kind} test")
    return Comparison(
        cast("Any", kind),
        values.number(given, ("alpha",), path, default=0.05, least=LEAST_ALPHA, below=1),
        cast("Any", values.choice(
            given, ("difference_type", "difference"), path, SCALES, "relative")),
        cast("Any", alternative),
        values.number(given, ("tuning", "sequential_tuning_parameter"), path,
                      default=DEFAULT_TUNING, least=1, most=MOST_TUNING),
        cast("Any", values.choice(given, ("spending",), path, SPENDINGS, "obrien_fleming")),
        _fractions(given, path),
        _prior(given, path),
        values.number(given, ("chance_to_win",), path, default=0.95, above=0.5, below=1),
        values.flag(given, "normal", path),
    )  # fmt: skip


def _fractions(given: Raw, path: str) -> list[float]:
    raw = given.get("look_fractions")
    if raw is None:
        return []
    place = f"{path}.look_fractions"
    found = [
        values.number({"look_fractions": value}, ("look_fractions",), path, above=0)
        for value in values.sequence(raw, place)
    ]
    if any(b <= a for a, b in zip([0.0, *found], found, strict=False)) or found[-1] > 1:
        raise InvalidInput(place, found, "fractions that rise within (0, 1]; the last is now")
    if any(b - a < LEAST_STEP * (1 - 1e-9) for a, b in pairwise(found)):
        raise InvalidInput(place, found, f"looks that are at least {LEAST_STEP:g} apart")
    return found


def _prior(given: Raw, path: str) -> Prior:
    raw = given.get("prior")
    if raw is None:
        return Prior()
    place = f"{path}.prior"
    prior = values.mapping(raw, place)
    values.known(prior, ("mean", "stddev", "variance", "proper", "type"), place)
    if values.find(prior, ("variance",)) is not values.MISSING:
        variance = values.number(prior, ("variance",), place, above=0)
    else:
        spread = values.number(prior, ("stddev",), place, default=1.0, least=1e-20, most=1e20)
        variance = spread**2
    return Prior(
        values.number(prior, ("mean",), place, default=0.0),
        variance,
        values.flag(prior, "proper", place, default=True),
        cast("Any", values.choice(prior, ("type",), place, SCALES, "relative")),
    )


def plan(settings: Raw, stages: Sequence[Stage]) -> Plan:
    """When it may end; days are counted from the document if it has them."""
    path = "experiment"
    dated = [len(stage.periods) for stage in stages if len(stage.periods) > 1]
    days: float | None = float(sum(len(s.periods) for s in stages)) if dated else None
    if values.find(settings, ("days",)) is not values.MISSING:
        days = values.number(settings, ("days",), path, least=0, most=MOST_DAYS)
    planned = values.find(settings, ("planned_units",))
    ending = values.find(settings, ("planned_days",))
    return Plan(
        values.count(settings, ("minimum_units",), path, default=100, least=2),
        values.number(settings, ("minimum_days",), path, default=14, least=0, most=MOST_DAYS),
        None if planned is values.MISSING
        else values.count(settings, ("planned_units",), path, least=1),
        None if ending is values.MISSING
        else values.number(settings, ("planned_days",), path, above=0, most=MOST_DAYS),
        days,
        values.flag(settings, "complete", path),
    )  # fmt: skip


def correction(settings: Raw) -> Correction:
    """How p-values of many comparisons are adjusted; Holm unless said otherwise."""
    return cast(
        "Correction", values.choice(settings, ("correction",), "experiment", CORRECTIONS, "holm")
    )
