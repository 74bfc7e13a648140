"""Before an engagement: may we act (independence), and should we (acceptance)?"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from agents.tools.audit import outputs
from agents.tools.audit.money import percent
from agents.tools.registry import tool
from config.errors import InvalidInput

# IESBA Code R410.18: fees from a public interest client above 15 % of the firm's.
FEE_LIMIT_PERCENT = Decimal(15)
# IESBA Code R410.15: 30 % of the firm's fees from a client that is not of public interest.
FEE_LIMIT_OTHER_PERCENT = Decimal(30)
# IESBA Code R540.5 and R540.11: seven years in a key role, then five years off for the partner.
ROTATION_YEARS, COOLING_OFF_YEARS = 7, 5
# IESBA Code 410.11 names no cap; the EU's (Regulation 537/2014, art. 4(2)) is 70 % of audit fees.
NON_AUDIT_CAP_PERCENT = Decimal(70)

# IESBA Code 510, 511, 520, 521, 522, 524: none of these can be reduced by a safeguard.
PROHIBITED = frozenset(
    {"direct financial interest", "loan", "business interest", "director", "employment"}
)
THREATS = frozenset({"family", "former staff", "gift", "litigation", "close friend"})


@tool("audit.independence", light=True)
def independence(
    client_fees: Annotated[Decimal, Field(ge=0, description="all fees from the client, a year")],
    firm_fees: Annotated[Decimal, Field(gt=0, description="all fees of the firm, a year")],
    partner_years: Annotated[int, Field(ge=0, le=60, description="years as key audit partner")],
    public_interest: Annotated[bool, Field(description="a public interest entity")] = False,
    audit_fee: Annotated[Decimal | None, Field(gt=0)] = None,
    non_audit_fees: Annotated[Decimal, Field(ge=0)] = Decimal(0),
    relationships: Annotated[
        list[str], Field(description="of: " + ", ".join(sorted(PROHIBITED | THREATS)))
    ] = [],  # noqa: B006
) -> outputs.Independence:
    """Check independence: fee dependency, partner rotation, other services, relationships.

    Source: IESBA Code, sections 410 (fees), 510-525 (relationships), 540 (long association).
    """
    if client_fees > firm_fees:
        raise InvalidInput("client_fees", str(client_fees), f"at most firm_fees {firm_fees}")
    limit = FEE_LIMIT_PERCENT if public_interest else FEE_LIMIT_OTHER_PERCENT
    dependency = percent(client_fees, firm_fees)
    known = {name.strip().lower() for name in relationships}
    unknown = sorted(known - PROHIBITED - THREATS)
    breaches = [f"{name} is prohibited" for name in sorted(known & PROHIBITED)]
    threats = [f"{name} needs a safeguard" for name in sorted(known & THREATS)]
    threats += [f"{name} must be assessed by the ethics partner" for name in unknown]
    if dependency > limit:
        threats.append(f"fee dependency is over {limit} %")
    if public_interest and partner_years >= ROTATION_YEARS:
        breaches.append(f"the partner must rotate after {ROTATION_YEARS} years")
    elif partner_years >= ROTATION_YEARS:
        threats.append("familiarity: long association of the partner")
    other = percent(non_audit_fees, audit_fee) if audit_fee else 0.0
    if public_interest and other > NON_AUDIT_CAP_PERCENT:
        breaches.append(f"non-audit fees are over {NON_AUDIT_CAP_PERCENT} % of the audit fee")
    verdict = "not independent" if breaches else "safeguards needed" if threats else "independent"
    return {
        "fee_dependency_percent": dependency,
        "fee_dependency_limit_percent": float(limit),
        "non_audit_fee_percent": other,
        "years_until_rotation": max(ROTATION_YEARS - partner_years, 0),
        "cooling_off_years": COOLING_OFF_YEARS,
        "breaches": breaches,
        "threats": threats,
        "independence_conclusion": verdict,
    }


@tool("audit.acceptance", light=True)
def acceptance(
    integrity: Annotated[int, Field(ge=1, le=5, description="1 doubtful to 5 proven")],
    competence: Annotated[int, Field(ge=1, le=5, description="1 missing to 5 at hand")],
    complexity: Annotated[int, Field(ge=1, le=5, description="1 simple to 5 complex")],
    financial_health: Annotated[int, Field(ge=1, le=5, description="1 failing to 5 sound")],
    first_year: bool = False,
    sanctions_hit: bool = False,
    preconditions_met: Annotated[bool, Field(description="framework and premise, ISA 210.6")] = (
        True
    ),
) -> outputs.Acceptance:
    """Score whether to accept or continue an engagement, out of 100.

    Source: ISQM 1.30 (integrity, ability), ISA 210.6 (preconditions), ISA 220.22-24. The weights
    are the firm's: integrity 35, competence 25, financial health 20, complexity 20.
    """
    score = Decimal(0)
    for value, weight in ((integrity, 35), (competence, 25), (financial_health, 20)):
        score += Decimal(value - 1) / 4 * weight
    score += Decimal(5 - complexity) / 4 * 20
    score -= 5 if first_year else 0
    stops = [
        text
        for text, stop in (
            ("sanctions hit", sanctions_hit),
            ("preconditions of ISA 210.6 are not met", not preconditions_met),
            ("integrity of management is doubtful", integrity == 1),
        )
        if stop
    ]
    decision: Literal["decline", "accept", "accept with partner review"] = (
        "decline"
        if stops or score < 40
        else "accept" if score >= 65 else "accept with partner review"
    )  # fmt: skip
    return {
        "acceptance_score": float(max(score, Decimal(0))),
        "stop_reasons": stops,
        "acceptance_decision": decision,
    }
