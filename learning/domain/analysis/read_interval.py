"""The interval that a reading rests on: it holds zero, or the margin, where nothing is shown.

The interval that is shown may be another one: a relative difference is shown with the delta
method's, and readings ask the absolute difference (docs/reference/statistics.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from learning.domain import numeric
from learning.domain.analysis.comparing import Finding, asked, horizon
from learning.domain.analysis.study import Study
from learning.domain.decisions import Horizon
from learning.domain.statistics import sequential
from learning.domain.statistics.effects import Difference, Scale, beyond, difference


@dataclass(frozen=True, slots=True)
class ReadInterval:
    """``lower`` to ``upper`` at ``level`` (0.95), in ``scale``; infinite where only one is asked.

    ``margin`` is the line of a guardrail metric: worse lies beyond it. None: the line is zero.
    """

    scale: Scale
    estimate: float
    lower: float
    upper: float
    level: float
    margin: float | None = None

    @property
    def is_clear(self) -> bool:
        """Whether it leaves zero out."""
        return self.lower > 0 or self.upper < 0


@dataclass(frozen=True, slots=True)
class Moment:
    """When a study is read, worked out once for all of its intervals."""

    horizon: Horizon
    # Only at planned looks, and for harm at any time.
    is_planned: bool


def moment(study: Study) -> Moment:
    return Moment(horizon(study), study.looked_at is not None)


def read_interval(study: Study, finding: Finding, at: Moment) -> ReadInterval | None:
    """What the reading of ``finding`` rests on; None where nothing can be told."""
    if finding.moments is None:
        return None
    try:
        if finding.metric.role == "guardrail" and finding.metric.margin is not None:
            return _beside_margin(study, finding, finding.metric.margin, at)
        found = _beside_zero(study, finding)
        return _harm_so_far(study, finding, found, at)
    except (ValueError, ArithmeticError):
        return None


def _beside_margin(study: Study, finding: Finding, margin: float, at: Moment) -> ReadInterval:
    """By the error that the test takes at the margin, which for a share is not that at zero."""
    line = margin if finding.metric.lower_is_better else -margin
    moments, scale = finding.moments, finding.metric.margin_scale
    if moments is None:
        raise ValueError("nothing was compared")
    plain, size = difference(*moments, "absolute"), 1.0
    tested = plain
    if scale == "relative":
        tested, size = beyond(*moments, line), abs(moments[0].raw_mean)
        if size == 0:
            raise ValueError("control's mean is zero, so there is no relative difference")
    width = _one_sided_z(study, tested, at) * tested.standard_error
    low, high = plain.estimate - width, plain.estimate + width
    return ReadInterval(
        scale, plain.estimate / size, low / size, high / size, 1 - study.test.alpha, line
    )


def _one_sided_z(study: Study, found: Difference, at: Moment) -> float:
    """In errors: where a one-sided test at half of the level rejects, on either side."""
    level = study.test.alpha / 2
    if at.horizon in ("any_time", "ahead"):
        return sequential.critical_z(
            found.n, alpha=study.test.alpha, tuning=study.test.tuning, one_sided=True, level=level
        )
    return float(numeric.special().stdtrit(found.dof, 1 - level))


def _beside_zero(study: Study, finding: Finding) -> ReadInterval | None:
    """The absolute difference by the test that was declared."""
    result, test = asked(finding), study.test
    if result is None:
        return None
    found = ReadInterval("absolute", result.estimate, result.lower, result.upper, 1 - test.alpha)
    if result.chance_to_win is not None:
        # A chance to win of 95 % is an interval of 90 % that leaves zero out on one side.
        z = float(numeric.special().ndtri(test.chance_to_win))
        width = z * result.standard_error
        return replace(
            found, lower=result.estimate - width, upper=result.estimate + width,
            level=2 * test.chance_to_win - 1,
        )  # fmt: skip
    if test.kind == "bandit" and found.is_clear and (result.p_value or 0.0) >= test.alpha:
        # Its p-value knows how few units the batches have, its interval does not.
        middle, inverse = (found.lower + found.upper) / 2, numeric.special().ndtri
        half = abs(middle) * inverse(test.alpha / 2) / inverse((result.p_value or 1.0) / 2)
        return replace(found, lower=middle - float(half), upper=middle + float(half))
    return found


def _harm_so_far(
    study: Study, finding: Finding, found: ReadInterval | None, at: Moment
) -> ReadInterval | None:  # fmt: skip
    """The sequential interval where that shows harm which the declared test can't show yet.

    It may be looked at at any time: between planned looks, before a declared end, and on the side
    that a one-sided test does not ask about.
    """
    test, ahead, planned = study.test, at.horizon == "ahead", at.is_planned
    one_sided = test.alternative != "two_sided"
    if found is None or finding.moments is None or not (planned or one_sided or ahead):
        return found
    early = difference(*finding.moments, "absolute")
    level = test.alpha / 2 if planned else test.alpha
    low, high = _sequence(study, early, level)
    if one_sided:
        harm = (low, high) if ahead else None
        return _both_sides(study, finding, found, early, harm, at)
    is_worse = early.estimate > 0 if finding.metric.lower_is_better else early.estimate < 0
    # Until its declared end a test for one look shows no harm by itself.
    if is_worse and ((low > 0 or high < 0) != found.is_clear) and (ahead or not found.is_clear):
        return replace(found, estimate=early.estimate, lower=low, upper=high, level=1 - level)
    return found


def _both_sides(
    study: Study, finding: Finding, found: ReadInterval, early: Difference,
    harm: tuple[float, float] | None, at: Moment,
) -> ReadInterval:  # fmt: skip
    """A one-sided test's interval with the bound of its mirror, by which harm is looked for.

    ``harm``: the sequence that alone shows harm before a declared end.
    """
    if at.horizon == "reached":
        times = float(numeric.special().stdtrit(early.dof, 1 - study.test.alpha))
        width = times * early.standard_error
        low, high = early.estimate - width, early.estimate + width
    else:
        low, high = _sequence(study, early, study.test.alpha, one_sided=True)
    lower = low if math.isinf(found.lower) else found.lower
    upper = high if math.isinf(found.upper) else found.upper
    if harm is not None:
        lower, upper = (harm[0], upper) if finding.metric.lower_is_better else (lower, harm[1])
    return replace(found, lower=lower, upper=upper, level=1 - 2 * study.test.alpha)


def _sequence(
    study: Study, found: Difference, level: float, *, one_sided: bool = False
) -> tuple[float, float]:
    """Both ends of the confidence sequence at ``level``, as tuned for the test's own."""
    test = study.test
    width = found.standard_error * sequential.critical_z(
        found.n, alpha=test.alpha, tuning=test.tuning, one_sided=one_sided, level=level
    )
    return found.estimate - width, found.estimate + width
