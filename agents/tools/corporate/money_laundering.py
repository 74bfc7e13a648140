"""Anti-money-laundering: the risk of a client, and patterns in its transactions."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from agents.tools.accounting.amounts import ZERO, Day, Positive, Row, money, number, percent
from agents.tools.corporate import outputs
from agents.tools.registry import tool

Level = Annotated[int, Field(ge=1, le=5, description="1 lowest risk, 5 highest")]

# Weights of the five factors of FATF's risk-based approach guidance for accountants (2019),
# which names client, country, service and delivery; cash is a client factor shown apart.
WEIGHTS = {"customer": 25, "country": 25, "service": 20, "delivery": 15, "cash": 15}
MEDIUM_FROM, HIGH_FROM = 40, 65
# Just under the limit: within this share below it.
NEAR_LIMIT = Decimal("0.15")
STRUCTURING_DAYS = 7
STRUCTURING_COUNT = 3
PASS_THROUGH_DAYS = 3
# More than what came in is an ordinary payment run, not that money leaving.
PASS_THROUGH_FROM, PASS_THROUGH_TO = Decimal("0.9"), Decimal("1.1")


class Movement(Row):
    """One movement on the client's account."""

    made_on: Day
    amount: Positive
    direction: Literal["in", "out"]
    cash: bool = False
    counterparty: str = ""


Movements = Annotated[list[Movement], Field(min_length=1, max_length=5000)]


@tool("corporate.client_risk_score", light=True)
def client_risk_score(
    customer_risk: Level,
    country_risk: Level,
    service_risk: Level,
    delivery_risk: Level,
    cash_risk: Level,
    politically_exposed: bool = False,
    high_risk_third_country: bool = False,
    listed_or_public_body: bool = False,
) -> outputs.ClientRiskScore:
    """Score a client's money-laundering risk and say which due diligence it needs.

    UK MLR 2017: reg. 18 (factors), 33 (enhanced for a high-risk third country), 35 (politically
    exposed persons), 37 (simplified for low risk). Regs. 33 and 35
    override the score.
    """
    levels = {
        "customer": customer_risk,
        "country": country_risk,
        "service": service_risk,
        "delivery": delivery_risk,
        "cash": cash_risk,
    }
    points = {name: Decimal(WEIGHTS[name] * (level - 1)) / 4 for name, level in levels.items()}
    score = sum(points.values(), ZERO)
    overrides = _overrides(politically_exposed, high_risk_third_country)
    band = "high" if overrides or score >= HIGH_FROM else "medium"
    if band == "medium" and score < MEDIUM_FROM:
        band = "low"
    return {
        "risk_score": number(score, 2),
        "risk_points": {name: number(value, 2) for name, value in points.items()},
        "risk_band": f"{band} risk",
        "overrides": overrides,
        "review_every_months": {"high": 6, "medium": 12, "low": 36}[band],
        "due_diligence": _diligence(band, listed_or_public_body),
    }


def _diligence(band: str, public: bool) -> str:
    if band == "high":
        return "enhanced due diligence"
    return "simplified due diligence" if band == "low" and public else "standard due diligence"


def _overrides(politically_exposed: bool, high_risk_country: bool) -> list[str]:
    found = []
    if politically_exposed:
        found.append("politically exposed person, reg. 35")
    if high_risk_country:
        found.append("high-risk third country, reg. 33")
    return found


@tool("corporate.transaction_patterns", light=True)
def transaction_patterns(
    client_transactions: Movements, reporting_limit: Positive
) -> outputs.TransactionPatterns:
    """Look for structuring below a limit, and for money that only passes through.

    FATF typologies: at least three cash receipts just under the limit within seven days whose
    sum exceeds it; a receipt of the limit or more of which about all leaves within three days.
    A pattern is a ground for inquiry and for a report to the nominated officer (POCA 2002
    s. 330).
    """
    moves = sorted(client_transactions, key=lambda row: row.made_on)
    near = [
        row
        for row in moves
        if row.cash
        and row.direction == "in"
        and reporting_limit * (1 - NEAR_LIMIT) <= row.amount < reporting_limit
    ]
    structured = _structured(near)
    large = (r for r in moves if r.direction == "in" and r.amount >= reporting_limit)
    paid_by_day = _paid_by_day(moves)
    passed = [row for row in large if _passes(row, paid_by_day)]
    received = sum((row.amount for row in moves if row.direction == "in"), ZERO)
    cash = sum((row.amount for row in moves if row.direction == "in" and row.cash), ZERO)
    found = bool(structured) + bool(passed)
    return {
        "structured_receipts": len(structured),
        "structured_total": money(sum((row.amount for row in structured), ZERO)),
        "pass_through_total": money(sum((row.amount for row in passed), ZERO)),
        "cash_share_percent": percent(cash, received),
        "received_total": money(received),
        "patterns_verdict": f"{found} suspicious pattern(s), report to the nominated officer"
        if found
        else "no suspicious pattern",
    }


def _structured(near: list[Movement]) -> list[Movement]:
    """Receipts that stand in some seven-day window with enough others."""
    chosen: set[int] = set()
    past = 0
    for first, start in enumerate(near):
        end = start.made_on + timedelta(days=STRUCTURING_DAYS - 1)
        while past < len(near) and near[past].made_on <= end:
            past += 1
        # Each is at least 85 % of the limit, so three of them always exceed it together.
        if past - first >= STRUCTURING_COUNT:
            chosen.update(range(first, past))
    return [near[place] for place in sorted(chosen)]


def _paid_by_day(moves: list[Movement]) -> dict[date, Decimal]:
    paid: dict[date, Decimal] = defaultdict(Decimal)
    for row in moves:
        if row.direction == "out":
            paid[row.made_on] += row.amount
    return paid


def _passes(receipt: Movement, paid_by_day: dict[date, Decimal]) -> bool:
    days = (receipt.made_on + timedelta(days=after) for after in range(PASS_THROUGH_DAYS + 1))
    out = sum((paid_by_day.get(day, ZERO) for day in days), ZERO)
    return PASS_THROUGH_FROM <= out / receipt.amount <= PASS_THROUGH_TO
