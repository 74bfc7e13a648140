"""Receivables: ageing, and expected credit losses by provision matrix (IFRS 9)."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from agents.tools.accounting import outputs
from agents.tools.accounting.amounts import (
    ZERO,
    Day,
    Money,
    NonNegative,
    Ratio,
    Row,
    by_sign,
    money,
    number,
    percent,
)
from agents.tools.registry import tool
from config.errors import InvalidInput

# Upper ends in days past due; IFRS 9 illustrative example 12 uses the same bands.
BUCKETS = (("not due", 0), ("1-30 days", 30), ("31-60 days", 60), ("61-90 days", 90))
OLDEST = "over 90 days"
BUCKET_NAMES = (*(name for name, _ in BUCKETS), OLDEST)


class Receivable(Row):
    """One open item; a credit note has a negative amount."""

    invoice: str
    customer: str
    amount: Money
    due_on: Day


class AgedAmount(Row):
    """What is open in one bucket."""

    bucket: str
    amount: Money
    items: int = 0


Receivables = Annotated[list[Receivable], Field(min_length=1, max_length=5000)]
Ageing = Annotated[list[AgedAmount], Field(min_length=1, max_length=20)]
LossRates = Annotated[
    dict[str, Ratio], Field(description="Loss rate by bucket, as in the ageing", min_length=1)
]


@tool("accounting.age_receivables", light=True)
def age_receivables(receivables: Receivables, as_at: Day) -> outputs.AgeReceivables:
    """Age open items by days past due at a date, with concentration and average delay.

    Buckets: not due, 1-30, 31-60, 61-90, over 90 days, as in IFRS 9 illustrative example 12.
    """
    amounts: dict[str, Decimal] = defaultdict(Decimal)
    counts: dict[str, int] = defaultdict(int)
    customers: dict[str, Decimal] = defaultdict(Decimal)
    weighted = ZERO
    for item in receivables:
        days = (as_at - item.due_on).days
        bucket = next((name for name, end in BUCKETS if days <= end), OLDEST)
        amounts[bucket] += item.amount
        counts[bucket] += 1
        customers[item.customer] += item.amount
        weighted += max(days, 0) * item.amount
    total = sum(amounts.values(), ZERO)
    past_due = total - amounts["not due"]
    largest = max(customers, key=lambda name: customers[name])
    return {
        "ageing": [
            {"bucket": name, "amount": money(amounts[name]), "items": counts[name]}
            for name in BUCKET_NAMES
        ],
        "total_receivables": money(total),
        "past_due_total": money(past_due),
        "past_due_percent": percent(past_due, total),
        "weighted_days_past_due": None if total == 0 else number(weighted / total, 1),
        "largest_customer": largest,
        "largest_customer_percent": percent(customers[largest], total),
    }


@tool("accounting.provision_matrix", light=True)
def provision_matrix(
    ageing: Ageing,
    loss_rates: LossRates,
    forward_looking_factor: Annotated[Decimal, Field(gt=0, le=10)] = Decimal(1),
    existing_allowance: NonNegative = ZERO,
) -> outputs.ProvisionMatrix:
    """Measure lifetime expected credit losses of trade receivables by provision matrix.

    IFRS 9.5.5.15 (simplified approach) and B5.5.35. Historical rates are scaled by the
    forward-looking factor (B5.5.52) and capped at 100 %; a bucket in credit needs no
    allowance. ``existing_allowance`` gives the charge or release of the period.
    """
    rows = _losses(ageing, loss_rates, forward_looking_factor)
    gross = sum((row.amount for row, _, _ in rows), ZERO)
    allowance = sum((loss for _, _, loss in rows), ZERO)
    charge = allowance - existing_allowance
    return {
        "matrix": [
            {
                "bucket": row.bucket,
                "gross": money(row.amount),
                "rate_percent": number(100 * rate, 3),
                "expected_loss": money(loss),
            }
            for row, rate, loss in rows
        ],
        "expected_credit_loss": money(allowance),
        "coverage_percent": percent(allowance, gross),
        "net_receivables": money(gross - allowance),
        "charge_to_profit": money(charge),
        "conclusion": by_sign(
            charge,
            "increase the allowance",
            "release part of the allowance",
            "allowance is unchanged",
        ),
    }


def _losses(
    ageing: list[AgedAmount], loss_rates: dict[str, Decimal], factor: Decimal
) -> list[tuple[AgedAmount, Decimal, Decimal]]:
    """Each bucket with its rate and its loss."""
    missing = [row.bucket for row in ageing if row.bucket not in loss_rates and row.amount > 0]
    if missing:
        raise InvalidInput("loss_rates", sorted(loss_rates), f"a rate for {', '.join(missing)}")
    rows = []
    for row in ageing:
        rate = min(loss_rates.get(row.bucket, ZERO) * factor, Decimal(1))
        rows.append((row, rate, max(row.amount, ZERO) * rate))
    return rows
