"""Tests for one look at a declared end: Welch's t and the normal test."""

from __future__ import annotations

import math

from learning.domain import numeric
from learning.domain.statistics.effects import Alternative, Difference, Result


def compare(
    found: Difference,
    *,
    alpha: float = 0.05,
    alternative: Alternative = "two_sided",
    null: float = 0.0,
    normal: bool = False,
) -> Result:
    """Welch's t-test, or the normal test; ``null`` is the difference that is tested against.

    ``greater`` asks whether treatment is above control, ``less`` whether it is below. GrowthBook's
    interval for ``less`` ends below its own estimate; here it ends above it.
    """
    error = found.standard_error
    law = numeric.stats().norm() if normal else numeric.stats().t(found.dof)
    score = (found.estimate - null) / error
    lower, upper = -math.inf, math.inf
    if alternative == "two_sided":
        p_value = 2 * law.sf(abs(score))
        width = law.ppf(1 - alpha / 2) * error
        lower, upper = found.estimate - width, found.estimate + width
    else:
        width = law.ppf(1 - alpha) * error
        if alternative == "greater":
            p_value, lower = law.sf(score), found.estimate - width
        else:
            p_value, upper = law.cdf(score), found.estimate + width
    return Result(found.estimate, error, float(lower), float(upper), float(min(p_value, 1.0)))
