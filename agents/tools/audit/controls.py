"""Tests of controls: how many items, and what the deviations found mean."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from agents.tools.audit import outputs
from agents.tools.registry import tool
from config.errors import InvalidInput


@tool("audit.evaluate_controls", lane="analysis")
def evaluate_controls(
    items_tested: Annotated[int, Field(ge=1, le=100_000)],
    deviations: Annotated[int, Field(ge=0, description="items where the control failed")],
    tolerable_deviation_percent: Annotated[float, Field(gt=0, lt=100)],
    confidence_percent: Annotated[float, Field(gt=50, lt=100)] = 95.0,
) -> outputs.EvaluateControls:
    """Bound the rate of deviations and conclude whether a control may be relied on.

    Upper limit: exact one-sided binomial (Clopper-Pearson 1934), as in the AICPA Audit Guide
    "Audit Sampling", table A-2. Source for the conclusion: ISA 330.16-17, ISA 530.14-15.
    """
    from scipy import stats

    if deviations > items_tested:
        raise InvalidInput("deviations", deviations, f"at most items_tested {items_tested}")
    upper = (
        1.0
        if deviations == items_tested
        else float(
            stats.beta.ppf(confidence_percent / 100, deviations + 1, items_tested - deviations)
        )
    )
    rely = upper * 100 <= tolerable_deviation_percent
    return {
        "deviation_rate_percent": round(deviations / items_tested * 100, 2),
        "upper_deviation_limit_percent": round(upper * 100, 2),
        "tolerable_deviation_percent": tolerable_deviation_percent,
        "control_conclusion": "rely on the control"
        if rely
        else "do not rely on the control; extend substantive work",
    }
