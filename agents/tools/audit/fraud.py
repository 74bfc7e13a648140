"""Fraud risk: the triangle of conditions, and what journal-entry findings add to it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from agents.tools.audit import outputs
from agents.tools.registry import tool
from config.errors import InvalidInput

Score = Annotated[int, Field(ge=0, le=10, description="0 absent to 10 strong")]

# How strongly a test speaks of intent rather than of error, from 1 (error) to 3 (intent).
INTENT = {
    "split_payment": 3,
    "look_alike_vendor": 3,
    "one_off_vendor": 2,
    "just_below_limit": 2,
    "duplicate_exact": 2,
    "duplicate_near": 2,
    "duplicate_document": 2,
    "vendor_respelled": 2,
    "vendor_number": 2,
    "vendor_burst": 3,
    "other_payee": 2,
    "lone_number": 2,
    "digit_run": 2,
    "cut_off": 2,
    "round_amount": 1,
    "weekend": 1,
    "bank_holiday": 1,
}


@tool("audit.fraud_triangle", light=True)
def fraud_triangle(
    pressure: Score, opportunity: Score, rationalisation: Score
) -> outputs.FraudTriangle:
    """Combine pressure, opportunity and rationalisation into one fraud risk score out of 100.

    The geometric mean, because all three must meet (Cressey 1953; ISA 240 appendix 1): one absent
    condition makes the score 0. Revenue and override remain presumed risks (ISA 240.27, 32).
    """
    score = (pressure * opportunity * rationalisation) ** (1 / 3) * 10
    level = "high" if score >= 60 else "medium" if score >= 35 else "low"
    conditions = {
        "pressure": pressure, "opportunity": opportunity, "rationalisation": rationalisation,
    }  # fmt: skip
    return {
        "fraud_triangle_score": round(score, 2),
        "fraud_triangle_level": level,
        "strongest_condition": max(conditions, key=lambda name: conditions[name]),
    }


@tool("audit.fraud_findings", light=True)
def fraud_findings(
    findings: Annotated[
        dict[str, Any],
        Field(description="the result of ledger.journal_entry_tests, or {counts, lines_tested}"),
    ],
) -> outputs.FraudFindings:
    """Weigh journal-entry findings by what they say of intent, and choose the response.

    Score = sum of min(count, 20) x intent weight per test, out of 100 at the level of 200 points.
    Source: ISA 240.33 (override), 240.36-38 (evaluation and response).
    """
    counts = _counts(findings)
    tested = findings.get("lines_tested", findings.get("rows", 0))
    weights = {name: min(count, 20) * INTENT.get(name, 1) for name, count in counts.items()}
    score = min(sum(weights.values()) / 2, 100.0)
    level = "high" if score >= 60 else "medium" if score >= 25 else "low"
    strongest = max(weights, key=lambda name: (weights[name], name)) if weights else "none"
    return {
        "fraud_findings_score": round(score, 2),
        "fraud_findings_level": level,
        "findings_weighed": sum(counts.values()),
        "lines_tested": int(tested),
        "strongest_finding": strongest.replace("_", " "),
        "intent_findings": sum(n for name, n in counts.items() if INTENT.get(name, 1) == 3),
        "fraud_response": {
            "high": "inform the engagement partner; vouch every top exception to third parties",
            "medium": "vouch the top exceptions and ask management to explain them in writing",
            "low": "keep the planned work on management override",
        }[level],
    }


def _counts(findings: dict[str, Any]) -> dict[str, int]:
    """Findings by test from ``counts``, ``tests`` or ``exceptions``; raises InvalidInput."""
    counts = findings.get("counts")
    if counts is None and isinstance(findings.get("exceptions"), list):
        counts = {}
        for exception in findings["exceptions"]:
            for name in exception.get("tests", []):
                counts[name] = counts.get(name, 0) + 1
    if not isinstance(counts, dict):
        raise InvalidInput("findings", sorted(findings), "needs counts by test, or exceptions")
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise InvalidInput(f"findings.counts.{name}", count, "a whole number from 0")
    return {str(name): count for name, count in counts.items() if count}
