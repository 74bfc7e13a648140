"""Judge open rollouts by what their arms met: on at their time, held, or back on harm."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models.functions import Now
from django.utils import timezone

from agents import services as agents
from learning import folding, quiet, summing
from learning.analysis import analyse
from learning.domain import measures
from learning.domain.analysis.reading import read as read_study
from learning.domain.analysis.report import sample_ratio
from learning.domain.postcheck import postcheck
from learning.domain.statistics.samples import UNMEASURED
from learning.models import Rollout, Unit
from learning.rollouts import watching
from learning.rollouts.breaching import first_breach
from learning.rollouts.moving import MACHINE, OPEN, State, back, hold, next_stage, reason_of
from learning.rollouts.stages import inherited_test
from monitoring.periods import Window

logger = logging.getLogger(__name__)
# A stage that nobody met for this long says nothing, and no data is never success.
UNMET = "no unit met the version"
NO_DATA_AFTER = timedelta(hours=24)
# How long after a rollback the last exposure is still looked for.
WATCHED = timedelta(hours=1)


def document(
    row: Rollout, *, everything: bool = False,
    instead: Mapping[str, folding.Cells] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The statistics document over all stages so far, each with the shares that it meant.

    ``everything``: what came during incidents too. ``instead``: cells of a stage in the place of
    those that are stored. An earlier stage with a sample ratio mismatch is left out: a person went
    on from it, and what is not to be read must not hide the harm of the present one.
    """
    whole = _document(row, everything, instead)
    off = _passed_over(row, whole)
    return {**whole, "stages": [one for one in whole["stages"] if one["name"] not in off]}


def _passed_over(row: Rollout, whole: Mapping[str, Any]) -> list[str]:
    """Stages before the present one whose units did not arrive in the shares that were meant."""
    present = _name(row, row.stage)
    found = []
    for stage in whole["stages"]:
        if stage["name"] in (present, folding.APART + present):
            continue
        ratio = sample_ratio(read_study({**whole, "stages": [stage]}))
        # By the level at which a sweep would have held it.
        if ratio is not None and replace(ratio, readings=row.stage + 1).mismatch:
            found.append(stage["name"])
    return found


def _document(
    row: Rollout, everything: bool, instead: Mapping[str, folding.Cells] | None
) -> dict[str, Any]:
    weights: dict[str, Mapping[str, float]] = {}
    for index in range(row.stage + 1):
        weights[_name(row, index)] = _weights(_newcomers(row, index))
    if everything:
        weights = folding.with_apart(weights)
    specs = measures.for_analysis(row.metrics)
    return {
        "experiment": {
            "name": f"rollout of {row.agent_slug}", "control": "control", "metrics": specs,
            # Also of one that was begun with another test: it is looked at at each sweep.
            "test": inherited_test(row.test), "minimum_days": 0, "watched": True,
            "minimum_units": min(stage["minimum_units"] for stage in row.stages),
        },
        "stages": watching.readable(
            folding.with_zeros(folding.stages_of(row.pk, weights, instead), row.metrics),
            row.metrics,
        ),
    }  # fmt: skip


def _newcomers(row: Rollout, index: int) -> dict[str, measures.Ranges]:
    shares = [float(stage["share"]) for stage in row.stages]
    return measures.newcomers_layout(shares, index, unit=row.unit)


def _weights(ranges: Mapping[str, measures.Ranges]) -> dict[str, float]:
    return {arm: float(sum(end - start for start, end in pairs)) for arm, pairs in ranges.items()}


def _name(row: Rollout, index: int) -> str:
    return f"{index}: {row.stages[index]['share'] * 100:g} %"


def read(row: Rollout, now: datetime | None = None) -> dict[str, Any]:
    """The verdict document of what is stored, incidents left out and said."""
    found = quiet.read(
        row.pk, lambda everything: document(row, everything=everything), _incidents(row, now)
    )
    watching.say_too_few(found)
    off = _passed_over(row, _document(row, False, None))
    found["notes"] = [*found["notes"], *(
        f"stage {name} is left out: a person went on from its sample ratio mismatch" for name in off
    )]  # fmt: skip
    return found


def _incidents(row: Rollout, now: datetime | None) -> list[Window]:
    return quiet.windows(
        agent=row.agent_slug, workflow="", since=row.created_at,
        until=row.ended_at or now or timezone.now(),
    )  # fmt: skip


def refresh(row: Rollout, now: datetime | None = None) -> dict[str, Any]:
    """Fold the present stage and store the analysis over all; returns the verdict document."""
    look = summing.Look()
    for source in _sources(row, now):
        folding.fold(source, look)
    if _comes_back(row):
        folding.fold(_met(row, now), look)
    found = read(row, now)
    Rollout.objects.filter(pk=row.pk).update(
        verdict=found["verdict"], headline=found["headline"][:500], analysis=found,
        analysed_at=now or Now(),
    )  # fmt: skip
    row.headline, row.verdict = found["headline"][:500], found["verdict"]
    return found


def _comes_back(row: Rollout) -> bool:
    """Whether its units meet several stages, as users do and runs don't."""
    return row.unit != Unit.RUN


def _sources(
    row: Rollout, now: datetime | None, until: datetime | None = None
) -> Iterator[folding.Source]:
    """The units whose outcomes may still change, of those that came before ``until``.

    A unit counts once, in the stage of its first call: stages are combined as independent. One
    that comes back keeps its calls while nobody changes sides, which is until the control becomes
    the holdback.
    """
    held_back = [measures.is_held_back(stage["share"]) for stage in row.stages]
    own = [agents.epochs_named(row.agent_slug, reason_of(row, i)) for i in range(row.stage + 1)]
    every = [call for i, epochs in enumerate(own) for call in _calls_of(row, i, epochs)]
    for index in range(row.stage + 1):
        is_same = _comes_back(row) and held_back[index] == held_back[row.stage]
        if index == row.stage or is_same:
            yield _source(row, now, until, index, own[index], every)


def _source(
    row: Rollout, now: datetime | None, until: datetime | None, index: int,
    epochs: Sequence[int], among: Sequence[tuple[int, int, int]],
) -> folding.Source:  # fmt: skip
    return folding.Source(
        row.pk, row.client_id, row.agent_slug, _name(row, index), epochs, _newcomers(row, index),
        row.metrics, row.created_at, until or now or timezone.now(),
        incidents=quiet.spans(_incidents(row, now)), among=among,
    )  # fmt: skip


def _calls_of(row: Rollout, index: int, epochs: Sequence[int]) -> list[tuple[int, int, int]]:
    """A stage's calls in any arm: (epoch, treated below this bucket, control from this one on)."""
    ranges = measures.stage_layout(row.stages[index]["share"])
    return [(epoch, ranges["treatment"][0][1], ranges["control"][0][0]) for epoch in epochs]


def _met(row: Rollout, now: datetime | None) -> folding.Source:
    """Everybody who met the present stage, also whoever met one before."""
    epochs = agents.epochs_named(row.agent_slug, reason_of(row, row.stage))
    source = _source(row, now, None, row.stage, epochs, ())
    arms = measures.stage_layout(row.stages[row.stage]["share"])
    return replace(source, stage=folding.MET + source.stage, arms=arms)


def _breached_at(row: Rollout, now: datetime | None) -> datetime:
    """When the harm that this look found first showed; ``row`` is as the look before left it."""
    until = now or timezone.now()
    since = max(row.stage_started_at, row.analysed_at or row.stage_started_at)

    def is_breached(moment: datetime) -> bool:
        found: dict[str, folding.Cells] = {}
        for source in _sources(row, now, moment):
            found |= folding.cells(source)
        return any(
            analyse(document(row, everything=everything, instead=found))["verdict"] == "rollback"
            for everything in (False, True)
        )

    return first_breach(min(since, until), until, is_breached=is_breached)


def _date(row: Rollout, now: datetime | None) -> None:
    """Note when the harm first showed; where that can't be told, the rollback's moment stays."""
    try:
        at = _breached_at(row, now)
    except Exception:
        logger.exception("learning.rollout.undated", extra={"rollout": str(row.pk)})
        return
    Rollout.objects.filter(pk=row.pk, state=State.ROLLED_BACK).update(breached_at=at)


def sweep(now: datetime | None = None) -> dict[str, int]:
    """Judge every open rollout: back on harm, on at its time, held on a sample ratio mismatch.

    A rollout that a person paused is only ever taken back, never advanced.
    """
    done = {"rolled_back": 0, "advanced": 0, "held": 0}
    for row in Rollout.objects.filter(state__in=OPEN):
        try:
            what = judge(row, now)
        except Exception:  # one that can't be judged must not keep others from going back
            logger.exception("learning.rollout.failed", extra={"rollout": str(row.pk)})
            continue
        if what:
            done[what] += 1
    watch_last_exposures(now or timezone.now())
    return done


def judge(row: Rollout, now: datetime | None = None) -> str:
    """Look at one open rollout and act: ``rolled_back``, ``advanced``, ``held``, or nothing."""
    return _acted(row, refresh(row, now), now)


def _acted(row: Rollout, found: dict[str, Any], now: datetime | None) -> str:
    if found["verdict"] == "rollback":
        # Nobody waits for its dating, which reads the stage's calls several times.
        if not back(row, reason=found["headline"], by=MACHINE, now=now):
            return ""
        _date(row, now)
        return "rolled_back"
    if row.state != State.RUNNING:
        return ""
    if found["sample_ratio"] and found["sample_ratio"]["mismatch"]:
        return "held" if hold(row, by=MACHINE, reason=found["headline"]) else ""
    if found["is_frozen"]:
        return ""
    moment = now or timezone.now()
    # A stage's time is that outside of incidents: what came within them is left out.
    age = quiet.calm(_incidents(row, now), row.stage_started_at, moment)
    units = _units_of_stage(row)
    if units == 0 and age >= NO_DATA_AFTER:
        reason = f"{UNMET} in {age.total_seconds() / 3600:.0f} hours"
        at = moment - (age - NO_DATA_AFTER)
        gone = back(row, reason=reason, by=MACHINE, now=now, breached_at=at)
        return "rolled_back" if gone else ""
    stage = row.stages[row.stage]
    ripe = age >= timedelta(hours=stage["minimum_hours"]) and units >= stage["minimum_units"]
    if not ripe:
        return ""
    if unmeasured := _unmeasured(row):
        if age < NO_DATA_AFTER:  # scores and ratings may come late
            return ""
        reason = f"nothing was measured of {', '.join(unmeasured)}, and no data is no success"
        return "held" if hold(row, by=MACHINE, reason=reason) else ""
    if stage["gate"]:
        held = hold(row, by=MACHINE, reason="waiting for a person at this stage's gate")
        return "held" if held else ""
    if row.stage + 1 == len(row.stages):
        checked = _post_check(row, found)
        if checked["agrees"] is False:
            held = hold(row, by=MACHINE, reason=f"post-deployment check: {checked['words']}")
            return "held" if held else ""
    return "advanced" if next_stage(row, MACHINE, now=now) else ""


def _unmeasured(row: Rollout) -> list[str]:
    """What should decide, the primary metric and what guards, of which this stage has nothing.

    A stage before it that a person let pass is no reason any more.
    """
    whole, arms = document(row), measures.stage_layout(row.stages[row.stage]["share"])
    met = folding.stages_of(row.pk, {_met_name(row): _weights(arms)})
    found = analyse({**whole, "stages": folding.with_zeros(met, row.metrics)})
    return [
        metric["key"]
        for metric in found["metrics"]
        if metric["role"] == "primary" or metric["margin"] is not None
        if any(UNMEASURED in row["note"] for row in metric["comparisons"])
    ]


def _met_name(row: Rollout) -> str:
    """Where those are kept who met the present stage."""
    name = _name(row, row.stage)
    return folding.MET + name if _comes_back(row) else name


def _post_check(row: Rollout, found: dict[str, Any]) -> dict[str, Any]:
    """What everybody's stage showed beside the experiment's forecast; kept with the rollout."""
    checked = postcheck(row.experiment.analysis if row.experiment else {}, found)
    Rollout.objects.filter(pk=row.pk).update(postcheck=checked)
    return checked


def _units_of_stage(row: Rollout) -> int:
    """Units of the smaller arm in the present stage."""
    rows = folding.units(row.pk, _met_name(row))
    return min(rows.get("treatment", 0), rows.get("control", 0))


def watch_last_exposures(now: datetime) -> None:
    """When the bad version last answered: how far the rollback reached, and how fast."""
    since = now - WATCHED
    for row in Rollout.objects.filter(state=State.ROLLED_BACK, ended_at__gte=since):
        last = agents.last_call_of(row.to_version_id, row.stage_started_at)
        if last is not None and last != row.last_exposure_at:
            Rollout.objects.filter(pk=row.pk).update(last_exposure_at=last)
