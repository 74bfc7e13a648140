"""Sample sizes before any item is drawn."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from agents.tools.audit import outputs
from agents.tools.registry import tool
from config.errors import InvalidInput

# A sample larger than this is a full examination in disguise.
MAX_ITEMS = 5000


@tool("audit.attribute_sample_size", lane="analysis")
def attribute_sample_size(
    tolerable_deviation_percent: Annotated[float, Field(gt=0, lt=100)],
    expected_deviation_percent: Annotated[float, Field(ge=0, lt=100)] = 0.0,
    confidence_percent: Annotated[float, Field(gt=50, lt=100)] = 95.0,
    population_items: Annotated[int | None, Field(ge=1)] = None,
) -> outputs.AttributeSampleSize:
    """The least number of items whose expected deviations still allow reliance.

    The smallest n with P(at most ceil(n x expected) deviations | tolerable rate) <= 1 - confidence,
    binomial: 59 items at 5 % and 95 % with none expected, as in the AICPA Audit Guide "Audit
    Sampling", table A-1. Small populations: finite correction n / (1 + n / N).
    """
    from scipy import stats

    tolerable, expected = tolerable_deviation_percent / 100, expected_deviation_percent / 100
    if expected >= tolerable:
        raise InvalidInput(
            "expected_deviation_percent", expected_deviation_percent, "below the tolerable rate"
        )
    risk = 1 - confidence_percent / 100
    for size in range(1, MAX_ITEMS + 1):
        allowed = math.ceil(round(size * expected, 9))
        if stats.binom.cdf(allowed, size, tolerable) <= risk:
            break
    else:
        raise InvalidInput(
            "expected_deviation_percent",
            expected_deviation_percent,
            f"so near the tolerable rate that over {MAX_ITEMS} items are needed",
        )
    corrected = (
        size if population_items is None else math.ceil(size / (1 + size / population_items))
    )
    return {
        "sample_size": corrected,
        "sample_size_before_correction": size,
        "allowed_deviations": math.ceil(round(size * expected, 9)),
        "confidence_percent": confidence_percent,
    }


@tool("audit.monetary_sample_size", lane="analysis")
def monetary_sample_size(
    book_value: Annotated[float, Field(gt=0, description="population in pounds")],
    tolerable_misstatement: Annotated[float, Field(gt=0, description="pounds")],
    expected_misstatement: Annotated[float, Field(ge=0, description="pounds")] = 0.0,
    confidence_percent: Annotated[float, Field(gt=50, lt=100)] = 95.0,
) -> outputs.MonetarySampleSize:
    """Interval and size of a monetary-unit sample.

    Interval = (tolerable - expected x expansion factor) / reliability factor; the reliability
    factor is the Poisson upper limit for no error (3.00 at 95 %), the expansion factor 1.6 at
    95 %, 1.5 at 90 %. Source: AICPA Audit Guide "Audit Sampling", ch. 6, tables C-1 and C-2.
    """
    factor = -math.log(1 - confidence_percent / 100)
    expansion = expansion_factor(confidence_percent / 100)
    room = tolerable_misstatement - expected_misstatement * expansion
    if room <= 0:
        raise InvalidInput(
            "expected_misstatement",
            expected_misstatement,
            f"times {expansion} must stay below tolerable_misstatement {tolerable_misstatement}",
        )
    interval = room / factor
    return {
        "reliability_factor": round(factor, 2),
        "expansion_factor": expansion,
        "sampling_interval": round(interval, 2),
        "monetary_sample_size": math.ceil(round(book_value / interval, 9)),
    }


def expansion_factor(confidence: float) -> float:
    """Expansion factor of the AICPA table for the next lower tabulated confidence."""
    table = ((0.99, 1.9), (0.95, 1.6), (0.90, 1.5), (0.85, 1.4), (0.80, 1.3), (0.75, 1.25))
    return next((factor for level, factor in table if confidence >= level), 1.2)
