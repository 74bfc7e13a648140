"""Time and billing: work in progress, realisation and lock-up."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from agents.tools.amounts import Positive, cents, percent, share
from agents.tools.operations import outputs
from agents.tools.registry import tool
from config.errors import InvalidInput

# Provision on unbilled time by age in days, a firm's usual policy: older time is harder to bill.
AGE_BANDS = ((180, Decimal(1)), (120, Decimal("0.5")), (90, Decimal("0.25")), (60, Decimal("0.1")))


class TimeEntry(BaseModel):
    """Recorded time that is not billed yet."""

    model_config = ConfigDict(extra="forbid")
    worked_on: date
    hours: Annotated[Decimal, Field(gt=0, le=24)]
    standard_rate: Positive
    note: str = ""


@tool("operations.work_in_progress", light=True)
def work_in_progress(
    time_entries: Annotated[list[TimeEntry], Field(min_length=1, max_length=5000)],
    as_of: date,
    agreed_fee: Positive,
    already_billed: Positive = Decimal(0),
    work_to_complete: Annotated[Positive, Field(description="at standard rates")] = Decimal(0),
) -> outputs.WorkInProgress:
    """Value of unbilled time, what of it the fee still covers, realisation, ageing and provision.

    Realisation is the fee over all time at standard rates: unbilled, still to come, and what is
    billed, taken as billed at standard. The overrun looks at unbilled time alone. The provision
    is the larger of the overrun and the ageing provision (10 % after 60 days, 25 % after 90, 50 %
    after 120, all after 180).
    IFRS 15.39-45 measures progress; IFRS 9.5.5 asks for the ageing.
    """
    value, aged, oldest = Decimal(0), Decimal(0), 0
    for entry in time_entries:
        age = (as_of - entry.worked_on).days
        if age < 0:
            raise InvalidInput("time_entries.worked_on", entry.worked_on.isoformat(), f"<= {as_of}")
        amount = entry.hours * entry.standard_rate
        value += amount
        aged += amount * next((rate for days, rate in AGE_BANDS if age > days), Decimal(0))
        oldest = max(oldest, age)
    recoverable = max(agreed_fee - already_billed, Decimal(0))
    overrun = max(value - recoverable, Decimal(0))
    provision = max(overrun, aged)
    realisation = share(agreed_fee, value + work_to_complete + already_billed)
    return {
        "wip_at_standard": cents(value),
        "fee_still_to_bill": cents(recoverable),
        "fee_overrun": cents(overrun),
        "ageing_provision": cents(aged),
        "wip_provision": cents(provision),
        "net_wip": cents(value - provision),
        "realisation_percent": percent(realisation),
        "oldest_entry_days": oldest,
        "billing_advice": _advice(overrun, aged, oldest),
    }


def _advice(overrun: Decimal, aged: Decimal, oldest: int) -> str:
    if overrun > 0:
        return "overrun: agree a change order before more work"
    if aged > 0:
        return f"bill now: time is up to {oldest} days old"
    return "bill at the next stage"


@tool("operations.lock_up", light=True)
def lock_up(
    unbilled_wip: Positive,
    trade_debtors: Positive,
    annual_fee_income: Annotated[Positive, Field(description="fees of the last twelve months")],
    target_lock_up_days: Annotated[int, Field(ge=1, le=365)] = 90,
    borrowing_rate_percent: Annotated[Decimal, Field(ge=0, le=50)] = Decimal(6),
) -> outputs.LockUp:
    """Days of fee income tied up in work in progress and debtors, and what the excess costs.

    Days are balance / fees x 365; the excess is financed at the borrowing rate for a year.
    """
    if annual_fee_income == 0:
        raise InvalidInput("annual_fee_income", 0, "must be more than zero")
    wip_days = unbilled_wip / annual_fee_income * 365
    debtor_days = trade_debtors / annual_fee_income * 365
    excess = max(wip_days + debtor_days - target_lock_up_days, Decimal(0))
    cash = excess / 365 * annual_fee_income
    return {
        "wip_days": cents(wip_days),
        "debtor_days": cents(debtor_days),
        "lock_up_days": cents(wip_days + debtor_days),
        "cash_released_at_target": cents(cash),
        "annual_financing_cost": cents(cash * borrowing_rate_percent / 100),
        "lock_up_verdict": "above target" if excess else "within target",
    }
