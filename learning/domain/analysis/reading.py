"""Read a statistics document into a Study; every refusal names the field and what would do.

The format is ``schema.INPUT``; docs/reference/statistics.md shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from config.errors import InvalidInput
from learning.domain.analysis import fields, values
from learning.domain.analysis.settings import (
    EXPERIMENT_FIELDS,
    comparison,
    correction,
    metrics,
    plan,
)
from learning.domain.analysis.study import ArmData, Metric, Period, Stage, Study

TOP_FIELDS = (*EXPERIMENT_FIELDS, "experiment", "arms", "variations", "stages", "$schema")
Raw = Mapping[str, Any]
# Ten years of days; a share of a unit in a billion.
MOST_PERIODS, LEAST_SHARE = 3_660, 1e-9


def read(document: Any) -> Study:
    """The study in ``document``; raises InvalidInput."""
    given = values.mapping(document, "document")
    values.known(given, TOP_FIELDS, "document")
    inner = values.mapping(given.get("experiment", {}), "experiment")
    values.known(inner, EXPERIMENT_FIELDS, "experiment")
    settings = {**given, **inner}
    wanted = metrics(settings)
    stages = _stages(given, settings, wanted)
    arms = _arm_names(stages)
    asked = settings.get("control")
    control = _control_of(arms) if asked is None else values.text(asked, "experiment.control")
    if control not in arms:
        raise InvalidInput("experiment.control", control, f"one of {', '.join(arms)}")
    test = comparison(settings)
    found_plan = plan(settings, stages)
    if test.kind == "group_sequential" and not (test.look_fractions or found_plan.planned_units):
        raise InvalidInput(
            "experiment.planned_units", None, "is missing; a group-sequential test needs it"
        )
    return Study(
        values.text(settings.get("name") or settings.get("key") or "experiment", "experiment.name"),
        arms, control, wanted, test, found_plan, stages, correction(settings),
        is_aa=values.flag(settings, "aa", "experiment"),
        watched=values.flag(settings, "watched", "experiment"),
        open_date=values.text(settings["open_date"], "experiment.open_date")
        if settings.get("open_date") else "",
        stopped=_stopped(settings, arms, control),
    )  # fmt: skip


def _stopped(settings: Raw, arms: Sequence[str], control: str) -> list[str]:
    """Treatments that were taken out; one at least stays."""
    place = "experiment.stopped_arms"
    named = [
        values.text(one, place)
        for one in values.sequence(settings.get("stopped_arms") or [], place, least=0)
    ]
    treatments = [arm for arm in arms if arm != control]
    if unknown := [arm for arm in named if arm not in treatments]:
        raise InvalidInput(place, unknown[0], f"one of {', '.join(treatments)}")
    if named and set(named) == set(treatments):
        raise InvalidInput(place, ", ".join(named), "not all treatments")
    return named


def _control_of(arms: Sequence[str]) -> str:
    for usual in ("control", "baseline", "0", "A", "a"):
        if usual in arms:
            return usual
    return arms[0]


def _arm_names(stages: Sequence[Stage]) -> list[str]:
    names: list[str] = []
    for stage in stages:
        for period in stage.periods:
            names.extend(name for name in period.arms if name not in names)
    if len(names) < 2:
        raise InvalidInput("arms", ", ".join(names) or None, "at least two arms")
    if len(names) > 50:
        raise InvalidInput("arms", len(names), "at most 50 arms")
    return names


def _stages(given: Raw, settings: Raw, wanted: Sequence[Metric]) -> list[Stage]:
    raw_arms = values.find(given, ("arms", "variations"))
    raw_stages = given.get("stages")
    if (raw_arms is values.MISSING) == (raw_stages is None):
        raise InvalidInput(
            "arms", None, "give either arms, or stages with arms or days in each; not both"
        )
    if raw_stages is None:
        return [_stage({"name": "all", "arms": raw_arms}, "", settings, wanted)]
    found = [
        _stage(values.mapping(raw, f"stages[{i}]"), f"stages[{i}].", settings, wanted)
        for i, raw in enumerate(values.sequence(raw_stages, "stages"))
    ]
    names = [stage.name for stage in found]
    if len(set(names)) < len(names):
        raise InvalidInput("stages", ", ".join(names), "a different name for each stage")
    return found


def _stage(raw: Raw, path: str, settings: Raw, wanted: Sequence[Metric]) -> Stage:
    values.known(
        raw, ("name", "key", "stage", "arms", "variations", "days", "weights", "coverage"),
        path.rstrip(".") or "document",
    )  # fmt: skip
    named = values.find(raw, ("name", "key", "stage"))
    name = path.rstrip(".")
    if named is not values.MISSING:
        name = values.text(named, f"{path}name")
    raw_arms = values.find(raw, ("arms", "variations"))
    weights: dict[str, float] = {}
    periods: list[Period] = []
    if raw.get("days") is None:
        if raw_arms is values.MISSING:
            raise InvalidInput(f"{path}arms", None, "is missing; give arms, or days with arms")
        periods.append(Period(name, _arms(raw_arms, f"{path}arms", wanted, weights)))
    elif raw_arms is not values.MISSING:
        raise InvalidInput(f"{path}arms", "arms and days", "arms or days, not both")
    for index, day in enumerate(raw.get("days") or []):
        place = f"{path}days[{index}]"
        day = values.mapping(day, place)
        dated = values.find(day, ("date", "day", "name"))
        label = str(index + 1)
        if dated is not values.MISSING:
            label = values.text(dated, f"{place}.date")
        inner = values.find(day, ("arms", "variations"))
        if inner is values.MISSING:
            raise InvalidInput(f"{place}.arms", None, "is missing")
        periods.append(Period(label, _arms(inner, f"{place}.arms", wanted, weights)))
    if not periods:
        raise InvalidInput(f"{path}days", [], "at least one day")
    if len(periods) > MOST_PERIODS:
        raise InvalidInput(f"{path}days", len(periods), f"at most {MOST_PERIODS} in a stage")
    labels = [period.name for period in periods]
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise InvalidInput(f"{path}days", twice, "each date once: a day's sums would count twice")
    names = list(dict.fromkeys(arm for period in periods for arm in period.arms))
    asked = raw.get("weights", settings.get("weights", settings.get("expected_weights")))
    return Stage(name, _weights(asked, names, weights, path), periods)


def _weights(
    asked: Any, names: Sequence[str], of_arms: Mapping[str, float], path: str
) -> dict[str, float]:
    place = f"{path}weights" if path else "experiment.weights"
    if asked is None:
        if of_arms and set(of_arms) != set(names):
            without = ", ".join(sorted(set(names) - set(of_arms)))
            raise InvalidInput(f"{path}arms.weight", None, f"is missing for {without}")
        found = dict(of_arms) or dict.fromkeys(names, 1.0)
    elif isinstance(asked, Mapping):
        if lacking := sorted(set(names) - set(map(str, asked))):
            raise InvalidInput(place, sorted(map(str, asked)), f"also a weight for {lacking[0]}")
        if absent := sorted(set(map(str, asked)) - set(names)):
            raise InvalidInput(place, absent[0], "statistics of every arm with a weight; zeros "
                               "for one that nobody met")  # fmt: skip
        found = {name: values.number(asked, (name,), place, least=0) for name in names}
    else:
        listed = values.sequence(asked, place)
        if len(listed) != len(names):
            raise InvalidInput(place, list(listed), f"{len(names)} weights, one an arm")
        found = {
            name: values.number({name: weight}, (name,), place, least=0)
            for name, weight in zip(names, listed, strict=True)
        }
    total = sum(found.values())
    if total <= 0:
        raise InvalidInput(place, list(found.values()), "a sum above 0")
    if any(0 < weight < LEAST_SHARE * total for weight in found.values()):
        raise InvalidInput(place, list(found.values()), f"0, or at least {LEAST_SHARE:g} of all")
    return found


def _arms(
    raw: Any, path: str, wanted: Sequence[Metric], weights: dict[str, float]
) -> dict[str, ArmData]:
    if isinstance(raw, Mapping):
        listed = [{"key": key, **values.mapping(arm, f"{path}.{key}")} for key, arm in raw.items()]
    else:
        listed = [
            dict(values.mapping(arm, f"{path}[{index}]"))
            for index, arm in enumerate(values.sequence(raw, path))
        ]
    found: dict[str, ArmData] = {}
    for index, arm in enumerate(listed):
        place = f"{path}[{index}]"
        named = values.find(arm, ("key", "name", "id", "variation", "arm"))
        if named is values.MISSING:
            raise InvalidInput(f"{place}.key", None, "is missing; give the arm's name")
        key = values.text(named, f"{place}.key")
        if key in found:
            raise InvalidInput(f"{place}.key", key, "a different name for each arm")
        if values.find(arm, ("weight",)) is not values.MISSING:
            weights[key] = values.number(arm, ("weight",), place, least=0)
        found[key] = _arm(arm, place, wanted)
    return found


def _arm(arm: Raw, place: str, wanted: Sequence[Metric]) -> ArmData:
    inner = values.find(arm, ("metrics", "statistics", "stats"))
    if inner is values.MISSING:
        if len(wanted) != 1:
            raise InvalidInput(f"{place}.metrics", None, "is missing; statistics per metric")
        inner = {wanted[0].key: arm}
    rows = values.mapping(inner, f"{place}.metrics")
    samples = {}
    for metric in wanted:
        if metric.key not in rows:
            raise InvalidInput(
                f"{place}.metrics.{metric.key}", None, "is missing; every arm needs every metric"
            )
        spot = f"{place}.metrics.{metric.key}"
        row = values.mapping(rows[metric.key], spot)
        if metric.type != "quantile" and values.find(row, fields.N) is values.MISSING:
            shared = values.find(arm, ("n", "units", "users"))
            if shared is not values.MISSING:
                row = {**row, "n": shared}
        samples[metric.key] = fields.read(metric, row, spot)
    shown = [fields.units(metric, samples[metric.key]) for metric in wanted]
    units = values.count(arm, ("units", "users", "n"), place, default=max(shown))
    if units < max(shown):
        most = wanted[shown.index(max(shown))].key
        raise InvalidInput(f"{place}.units", units, f"at least the {max(shown)} units of {most}")
    return ArmData(units, cast("dict[str, Any]", samples))
