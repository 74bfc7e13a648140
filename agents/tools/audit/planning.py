"""Planning: hours over phases, and the matrix of risks of material misstatement."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Literal, cast

from pydantic import Field

from agents.tools.audit import outputs
from agents.tools.registry import tool
from config.errors import InvalidInput

# Shares of the hours in percent by risk: the riskier, the more goes to testing.
PHASES = ("planning", "controls", "substantive", "completion")
SHARES = {"low": (15, 25, 40, 20), "medium": (15, 20, 47, 18), "high": (18, 12, 53, 17)}
# Share of each phase that partner, manager, senior and junior do, in percent.
GRADES = {"partner": 8, "manager": 17, "senior": 35, "junior": 40}


@tool("audit.allocate_hours", light=True)
def allocate_hours(
    hours: Annotated[Decimal, Field(gt=0, le=100_000, description="budgeted hours in all")],
    risk: Annotated[Literal["low", "medium", "high"], Field(description="engagement risk")],
    hourly_rates: Annotated[
        dict[str, Decimal] | None, Field(description="rate by grade, for the fee")
    ] = None,
) -> outputs.AllocateHours:
    """Divide an audit's hours over phases and grades; the parts add up to the whole.

    Source: ISA 300.8 (extent and timing of resources); the shares are the firm's table.
    """
    phases = _divided(hours, dict(zip(PHASES, SHARES[risk], strict=True)))
    grades = _divided(hours, GRADES)
    result: dict[str, Any] = {
        "total_hours": float(hours),
        **{f"{name}_hours": float(value) for name, value in phases.items()},
        **{f"{name}_grade_hours": float(value) for name, value in grades.items()},
    }
    if hourly_rates:
        unknown = sorted(set(hourly_rates) - set(GRADES))
        if unknown:
            raise InvalidInput("hourly_rates", unknown, f"grades are {', '.join(GRADES)}")
        fee = sum((grades[name] * rate for name, rate in hourly_rates.items()), Decimal(0))
        result["budgeted_fee"] = float(fee.quantize(Decimal("0.01"), ROUND_HALF_UP))
    return cast(outputs.AllocateHours, result)


def _divided(hours: Decimal, shares: dict[str, int]) -> dict[str, Decimal]:
    """Tenths of hours by share; the largest part takes the rounding."""
    parts = {
        name: (hours * share / 100).quantize(Decimal("0.1"), ROUND_HALF_UP)
        for name, share in shares.items()
    }
    largest = max(parts, key=lambda name: parts[name])
    parts[largest] += hours - sum(parts.values())
    return parts


@tool("audit.risk_matrix", light=True)
def risk_matrix(
    risks: Annotated[
        list[dict[str, Any]],
        Field(description="each: area, likelihood 1-5, impact 1-5, control 0-1 (1 = effective)"),
    ],
) -> outputs.RiskMatrix:
    """Rank areas by risk of material misstatement on the spectrum of inherent risk.

    Inherent risk = likelihood x impact; residual = inherent x (1 - 0.6 x control effectiveness).
    Significant from 15, as at the upper end of the spectrum. Source: ISA 315 (Revised 2019).12(l),
    31-34; the grid is the usual five by five.
    """
    if not risks:
        raise InvalidInput("risks", risks, "give at least one area")
    rows: list[dict[str, Any]] = []
    for at, risk in enumerate(risks):
        likelihood = _score(risk, "likelihood", at, 1, 5)
        impact = _score(risk, "impact", at, 1, 5)
        control = _score(risk, "control", at, 0, 1, default=0)
        inherent = likelihood * impact
        residual = (inherent * (1 - Decimal("0.6") * control)).quantize(Decimal("0.01"))
        rows.append(
            {
                "area": str(risk.get("area", f"area {at + 1}")),
                "inherent_score": float(inherent),
                "residual_score": float(residual),
                "rating": "significant" if inherent >= 15 else "high" if inherent >= 10
                else "moderate" if inherent >= 5 else "low",
            }
        )  # fmt: skip
    rows.sort(key=lambda row: (-row["residual_score"], row["area"]))
    significant = [row["area"] for row in rows if row["rating"] == "significant"]
    return {
        "ranked_risks": rows,
        "significant_risk_count": len(significant),
        "highest_residual_area": rows[0]["area"],
        "total_residual_score": round(sum(row["residual_score"] for row in rows), 2),
        "planning_response": "substantive work on significant risks in person of a senior"
        if significant
        else "rely on controls and analytical procedures where tested",
    }


def _score(
    risk: dict[str, Any], name: str, at: int, low: int, high: int, default: int | None = None
) -> Decimal:
    value = risk.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidInput(f"risks.{at}.{name}", value, f"a number from {low} to {high}")
    return Decimal(str(value))
