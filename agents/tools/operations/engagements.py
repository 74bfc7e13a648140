"""Accepting an engagement: risk score, the opened record, its withdrawal."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from agents.tools.amounts import Positive, percent, share
from agents.tools.operations import outputs
from agents.tools.registry import ToolContext, tool
from config.errors import Conflict, Unavailable

# Points of each risk factor (ISQM 1.30, 34; UK MLR 2017 reg. 33 for the enhanced ones).
POINTS = {
    "politically_exposed": 30,
    "high_risk_country": 25,
    "complex_ownership": 15,
    "cash_intensive": 15,
    "not_met_in_person": 10,
    "prior_auditor_declined": 20,
    "going_concern_doubt": 15,
    "new_industry_for_firm": 10,
}
HIGH_FROM, MEDIUM_FROM = 45, 20

RiskFactor = Literal[
    "politically_exposed",
    "high_risk_country",
    "complex_ownership",
    "cash_intensive",
    "not_met_in_person",
    "prior_auditor_declined",
    "going_concern_doubt",
    "new_industry_for_firm",
]


@tool("operations.acceptance_risk", light=True)
def acceptance_risk(
    risk_factors: Annotated[list[RiskFactor], Field(max_length=8)],
    screening_hits: Annotated[int, Field(ge=0, description="possible list matches not cleared")],
    expected_fee: Positive,
    firm_fee_income: Positive,
) -> outputs.AcceptanceRisk:
    """Risk points, class and due diligence for a prospective client.

    Source: ISQM 1.30 (acceptance and continuance); UK MLR 2017 reg. 27-33. An uncleared match
    asks for enhanced due diligence whatever the points are.
    """
    points = sum(POINTS[factor] for factor in set(risk_factors)) + 20 * min(screening_hits, 3)
    level = "high" if points >= HIGH_FROM else "medium" if points >= MEDIUM_FROM else "low"
    enhanced = level == "high" or screening_hits > 0 or "politically_exposed" in risk_factors
    return {
        "risk_points": points,
        "risk_class": level,
        "due_diligence": "enhanced" if enhanced else "standard",
        "approval_levels": 2 if enhanced else 1,
        "fee_share_percent": percent(share(expected_fee, firm_fee_income)),
        "review_every_months": {"high": 12, "medium": 24, "low": 36}[level],
    }


@tool("operations.open_engagement", timeout_seconds=15)
def open_engagement(
    client: Annotated[str, Field(min_length=1, max_length=200)],
    services: Annotated[list[str], Field(min_length=1, max_length=50)],
    year: Annotated[int, Field(ge=1990, le=2100)],
    agreed_fee: Positive,
    risk_class: Literal["low", "medium", "high"],
    context: ToolContext,
) -> outputs.OpenEngagement:
    """Open an engagement: a code and a stored record. The same facts give the same record."""
    record = {
        "kind": "engagement",
        "code": engagement_code(client, services, year),
        "client": client,
        "services": sorted(services),
        "year": year,
        "agreed_fee": str(agreed_fee),
        "risk_class": risk_class,
    }
    reference = _save(context, f"{record['code']}.json", record)
    return {"engagement_code": str(record["code"]), "record": reference, "opened": True}


@tool("operations.withdraw_engagement", timeout_seconds=15)
def withdraw_engagement(
    record: Annotated[str, Field(description="reference that open_engagement gave")],
    reason: Annotated[str, Field(min_length=1, max_length=500)],
    context: ToolContext,
) -> outputs.WithdrawEngagement:
    """Withdraw an opened engagement: a notice that names its record and the reason."""
    if context.artifacts is None:
        raise Unavailable("artifact store", "this call has no client to read for")
    opened = json.loads(context.artifacts.read(record))
    if opened.get("kind") != "engagement":
        raise Conflict("the record", str(opened.get("kind")), "an opened engagement")
    notice = {
        "kind": "withdrawal",
        "code": opened["code"],
        "client": opened["client"],
        "reason": reason,
        "withdraws": record,
    }
    reference = _save(context, f"{opened['code']}-withdrawn.json", notice)
    return {"engagement_code": opened["code"], "notice": reference, "withdrawn": True}


@tool("operations.engagement_terms", light=True)
def engagement_terms(
    services: Annotated[list[str], Field(min_length=1, max_length=50)],
    agreed_fee: Positive,
    start_on: date,
    instalments: Annotated[int, Field(ge=1, le=12)] = 4,
) -> outputs.EngagementTerms:
    """Fee instalments that sum to the fee to the cent, as an engagement letter states them."""
    each = (agreed_fee / instalments).quantize(Decimal("0.01"))
    last = agreed_fee - each * (instalments - 1)
    return {
        "services_count": len(services),
        "instalment": float(each),
        "last_instalment": float(last),
        "first_due": start_on.isoformat(),
    }


def engagement_code(client: str, services: list[str], year: int) -> str:
    """A short stable code: letters of the name, the year, four characters of a digest."""
    letters = re.sub(r"[^A-Z]", "", client.upper())[:4].ljust(4, "X")
    digest = hashlib.sha256(f"{client}|{'|'.join(sorted(services))}|{year}".encode()).hexdigest()
    return f"{letters}-{year}-{digest[:4].upper()}"


def _save(context: ToolContext, name: str, record: dict[str, Any]) -> str:
    if context.artifacts is None:
        raise Unavailable("artifact store", "this call has no client to store for")
    content = json.dumps(record, sort_keys=True, indent=2).encode()
    return context.artifacts.save(name, content, "application/json")
