"""UK corporation tax with marginal relief, by financial year."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from agents.tools.amounts import Positive, cents, percent, share
from agents.tools.dates import months_after
from agents.tools.registry import tool
from agents.tools.tax import outputs
from config.errors import InvalidInput

# CTA 2010 Part 3A, financial years from 1 April 2023. Agrees with a secondary page read in 2026
# (Sage help, "Marginal Relief"); verify with HMRC before use.
MAIN_RATE, SMALL_RATE, OLD_RATE = Decimal("0.25"), Decimal("0.19"), Decimal("0.19")
LOWER_LIMIT, UPPER_LIMIT = Decimal(50_000), Decimal(250_000)
STANDARD_FRACTION = Decimal(3) / Decimal(200)
MARGINAL_RELIEF_FROM = date(2023, 4, 1)
EARLIEST_PERIOD = date(2017, 4, 1)

# Corporation Tax (Instalment Payments) Regulations 1998: large and very large companies.
LARGE_PROFITS, VERY_LARGE_PROFITS = Decimal(1_500_000), Decimal(20_000_000)


@dataclass(frozen=True, slots=True)
class YearCharge:
    """Tax of the part of a period that falls in one financial year."""

    financial_year: int
    days: int
    profits: Decimal
    tax_before_relief: Decimal
    relief: Decimal
    band: str


@tool("tax.uk_corporation_tax", light=True)
def uk_corporation_tax(
    taxable_profits: Annotated[Positive, Field(description="total taxable profits, GBP")],
    period_start: Annotated[date, Field(description="first day of the accounting period")],
    period_end: Annotated[date, Field(description="last day of the accounting period")],
    exempt_distributions: Annotated[
        Positive, Field(description="non-group dividends received, GBP")
    ] = Decimal(0),
    associated_companies: Annotated[int, Field(ge=0, le=1000)] = 0,
    close_investment_holding: Annotated[bool, Field(description="main rate, no relief")] = False,
) -> outputs.UkCorporationTax:
    """Corporation tax of one accounting period, split over financial years at 31 March.

    Limits shrink with short periods and associated companies; relief is the standard fraction of
    (upper limit - augmented profits) x taxable / augmented profits. Source: CTA 2010 s.18A-18N.
    """
    _check_period(period_start, period_end)
    days = (period_end - period_start).days + 1
    year_factor = Decimal(1) if _is_full_year(period_start, period_end) else Decimal(days) / 365
    divisor = associated_companies + 1
    parts = [
        _charge(
            year,
            part_days,
            profits=taxable_profits * part_days / days,
            augmented=(taxable_profits + exempt_distributions) * part_days / days,
            limit_factor=year_factor * part_days / days / divisor,
            main_only=close_investment_holding,
        )
        for year, part_days in _financial_years(period_start, period_end)
    ]
    relief = sum((part.relief for part in parts), Decimal(0))
    tax = sum((part.tax_before_relief for part in parts), Decimal(0)) - relief
    augmented = taxable_profits + exempt_distributions
    return {
        "corporation_tax_due": cents(tax),
        "marginal_relief": cents(relief),
        "effective_rate_percent": percent(share(tax, taxable_profits)),
        "augmented_profits": cents(augmented),
        "adjusted_lower_limit": cents(LOWER_LIMIT * year_factor / divisor),
        "adjusted_upper_limit": cents(UPPER_LIMIT * year_factor / divisor),
        "financial_years": [
            {
                "financial_year": part.financial_year,
                "days": part.days,
                "profits": cents(part.profits),
                "tax_after_relief": cents(part.tax_before_relief - part.relief),
                "band": part.band,
            }
            for part in parts
        ],
        "payment_due": _payment_due(period_end).isoformat(),
        "payment_regime": _regime(augmented, year_factor / divisor),
        "return_due": months_after(period_end, 12).isoformat(),
    }


def _check_period(start: date, end: date) -> None:
    if start < EARLIEST_PERIOD:
        raise InvalidInput("period_start", start.isoformat(), f"not before {EARLIEST_PERIOD}")
    if end < start:
        raise InvalidInput("period_end", end.isoformat(), "not before period_start")
    if end > months_after(start - timedelta(days=1), 12):
        raise InvalidInput("period_end", end.isoformat(), "a period lasts at most 12 months")


def _is_full_year(start: date, end: date) -> bool:
    return end == months_after(start - timedelta(days=1), 12)


def _financial_years(start: date, end: date) -> list[tuple[int, int]]:
    """(financial year, days in it): FY2023 starts on 1 April 2023."""
    parts = []
    cursor = start
    while cursor <= end:
        year = cursor.year if cursor >= date(cursor.year, 4, 1) else cursor.year - 1
        last = min(end, date(year + 1, 3, 31))
        parts.append((year, (last - cursor).days + 1))
        cursor = last + timedelta(days=1)
    return parts


def _charge(
    year: int,
    days: int,
    *,
    profits: Decimal,
    augmented: Decimal,
    limit_factor: Decimal,
    main_only: bool,
) -> YearCharge:
    if date(year, 4, 1) < MARGINAL_RELIEF_FROM:
        return YearCharge(year, days, profits, profits * OLD_RATE, Decimal(0), "single rate")
    lower, upper = LOWER_LIMIT * limit_factor, UPPER_LIMIT * limit_factor
    if main_only or augmented > upper:
        return YearCharge(year, days, profits, profits * MAIN_RATE, Decimal(0), "main rate")
    if augmented <= lower:
        return YearCharge(year, days, profits, profits * SMALL_RATE, Decimal(0), "small profits")
    relief = STANDARD_FRACTION * (upper - augmented) * share(profits, augmented)
    return YearCharge(year, days, profits, profits * MAIN_RATE, relief, "marginal relief")


def _regime(augmented: Decimal, factor: Decimal) -> str:
    if augmented > VERY_LARGE_PROFITS * factor:
        return "very large: quarterly instalments within the period"
    if augmented > LARGE_PROFITS * factor:
        return "large: quarterly instalments"
    return "single payment nine months and one day after the period"


def _payment_due(end: date) -> date:
    return months_after(end, 9) + timedelta(days=1)
