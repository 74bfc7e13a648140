"""What the units' past did to a comparison, in words: the arms' own figures don't show it."""

from __future__ import annotations

from dataclasses import replace

from learning.domain.analysis.comparing import Finding
from learning.domain.analysis.study import Study
from learning.domain.statistics.samples import Adjusted, common_theta, pooled

NONE = "no unit's past differs, so nothing is taken off for it (CUPED)"


def told(study: Study, finding: Finding) -> str:
    """How much of the variation the past explains (CUPED); empty for a metric without one."""
    study = study.looked_at or study
    both = []
    for name in (study.control, finding.arm):
        samples = [
            period.arms[name].samples[finding.metric.key]
            for stage in study.stages for period in stage.periods if name in period.arms
        ]  # fmt: skip
        whole = pooled(samples) if samples else None
        if not isinstance(whole, Adjusted):
            return ""
        both.append(whole)
    control, treatment = both
    raw = sum(one.outcome.variance for one in both)
    if raw <= 0:
        return ""
    theta = common_theta(control, treatment)
    if theta == 0:
        return NONE
    left = sum(replace(one, theta=theta).variance for one in both)
    share = min(max(1 - left / raw, 0.0), 1.0)
    return (
        f"less what each unit had before the start (CUPED), which explains {100 * share:.3g} % of "
        "the variation; the arms' own figures are whole"
    )
