"""Independence of people and firm: holdings, rotation, fee dependency."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.tools.amounts import Positive, cents, percent, share
from agents.tools.operations import outputs
from agents.tools.registry import tool
from config.errors import InvalidInput

# IESBA Code (2024): R540.5 seven cumulative years; R540.11-13 cooling-off by role.
YEARS_ON = 7
COOLING_OFF = {"engagement_partner": 5, "quality_reviewer": 3, "key_partner": 2}
# R410.14 (30 % for five years, not a public interest entity), R410.18 (15 % for two years).
FEE_LIMITS = {True: (Decimal("0.15"), 2), False: (Decimal("0.30"), 5)}


class Holding(BaseModel):
    """A security held by a person or the household."""

    model_config = ConfigDict(extra="forbid")
    security: str
    value: Positive
    holder: Literal["self", "immediate_family", "close_family"] = "self"
    material: bool = False


class Restricted(BaseModel):
    """A security of an audit client."""

    model_config = ConfigDict(extra="forbid")
    security: str
    client: str


@tool("operations.check_holdings", light=True)
def check_holdings(
    person: str,
    holdings: Annotated[list[Holding], Field(max_length=500)],
    restricted: Annotated[list[Restricted], Field(max_length=5000)],
    in_engagement_team: bool = True,
) -> outputs.CheckHoldings:
    """Holdings of one person that breach independence, and the value to be sold.

    A direct interest of the person or immediate family in an audit client is barred (IESBA
    R510.4); one of close family counts for team members if material (510.10 A9).
    """
    clients = {entry.security.casefold(): entry.client for entry in restricted}
    breaches: list[dict[str, Any]] = []
    value = Decimal(0)
    for holding in holdings:
        client = clients.get(holding.security.casefold())
        if client is None:
            continue
        if holding.holder == "close_family" and not (in_engagement_team and holding.material):
            continue
        value += holding.value
        breaches.append({"security": holding.security, "client": client, "holder": holding.holder})
    return {
        "person": person,
        "breaches": breaches,
        "breach_count": len(breaches),
        "value_to_sell": cents(value),
        "verdict": "breach: dispose and report" if breaches else "clear",
    }


class Assignment(BaseModel):
    """Years that a partner has served one audit client in a role."""

    model_config = ConfigDict(extra="forbid")
    partner: str
    client: str
    role: Literal["engagement_partner", "quality_reviewer", "key_partner"]
    years_served: Annotated[int, Field(ge=0, le=60)]
    years_away: Annotated[int, Field(ge=0, le=60)] = 0
    public_interest: bool = True


@tool("operations.partner_rotation", light=True)
def partner_rotation(
    assignments: Annotated[list[Assignment], Field(max_length=1000)],
) -> outputs.PartnerRotation:
    """Who must rotate, who is in the last year, who is still cooling off. Source: IESBA 540."""
    rows: list[dict[str, Any]] = []
    counts = {"must rotate": 0, "last year": 0, "cooling off": 0, "may serve": 0}
    for one in assignments:
        state = _rotation(one)
        counts[state] += 1
        rows.append(
            {
                "partner": one.partner,
                "client": one.client,
                "state": state,
                "years_left": max(YEARS_ON - one.years_served, 0) if one.public_interest else None,
            }
        )
    return {
        "rotation": rows,
        "must_rotate": counts["must rotate"],
        "last_year": counts["last year"],
        "cooling_off": counts["cooling off"],
    }


def _rotation(one: Assignment) -> str:
    if not one.public_interest or one.years_served < YEARS_ON - 1:
        return "may serve"
    if one.years_served == YEARS_ON - 1:
        return "last year"
    if one.years_away == 0:
        return "must rotate"
    return "cooling off" if one.years_away < COOLING_OFF[one.role] else "may serve"


@tool("operations.fee_dependency", light=True)
def fee_dependency(
    client_fees: Annotated[
        list[Positive], Field(min_length=1, max_length=10, description="by year, oldest first")
    ],
    firm_fees: Annotated[list[Positive], Field(min_length=1, max_length=10)],
    public_interest: bool,
) -> outputs.FeeDependency:
    """Share of a client in the firm's fees and whether the limit is passed for too long.

    15 % for two years in a row for public interest entities (IESBA R410.18), 30 % for five
    otherwise (R410.14).
    """
    if len(client_fees) != len(firm_fees):
        raise InvalidInput("firm_fees", len(firm_fees), f"as many years as {len(client_fees)}")
    limit, years = FEE_LIMITS[public_interest]
    shares = [share(part, whole) for part, whole in zip(client_fees, firm_fees, strict=True)]
    above = 0
    for ratio in reversed(shares):
        if ratio <= limit:
            break
        above += 1
    return {
        "latest_share_percent": percent(shares[-1]),
        "limit_percent": percent(limit),
        "years_above_in_a_row": above,
        "disclosure_needed": above >= years,
        "dependency_verdict": "safeguards and disclosure needed"
        if above >= years
        else "watch"
        if above
        else "within the limit",
    }


class PersonResult(BaseModel):
    """What ``operations.check_holdings`` returns, as far as the conclusion reads it."""

    model_config = ConfigDict(extra="ignore")
    person: str
    breach_count: Annotated[int, Field(ge=0)]


@tool("operations.independence_conclusion", light=True)
def independence_conclusion(
    people: Annotated[
        list[PersonResult | None] | None, Field(description="null where a check failed")
    ] = None,
    must_rotate: Annotated[int, Field(ge=0)] | None = None,
    disclosures: Annotated[int, Field(ge=0)] | None = None,
) -> outputs.IndependenceConclusion:
    """One conclusion over holdings, rotation and fee dependency; what was not checked is named.

    A check that did not end is never taken as clean (ISQM 1.29, 34).
    """
    done = [one for one in people or [] if one is not None]
    failed = len(people or []) - len(done)
    breaching = [one.person for one in done if one.breach_count > 0]
    open_checks = [
        name
        for name, value in (
            ("holdings", people),
            ("rotation", must_rotate),
            ("fee dependency", disclosures),
        )
        if value is None
    ]
    if failed:
        open_checks.append(f"holdings of {failed} people")
    matters = len(breaching) + (must_rotate or 0) + (disclosures or 0)
    return {
        "people_in_breach": breaching,
        "matters": matters,
        "not_checked": open_checks,
        "conclusion": _overall(matters, open_checks),
    }


def _overall(matters: int, open_checks: list[str]) -> str:
    if matters:
        return "matters to resolve before work goes on"
    return "incomplete: " + ", ".join(open_checks) if open_checks else "independent"
