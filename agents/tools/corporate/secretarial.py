"""Company secretarial: filing deadlines of a UK company and what lateness costs."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from typing import Annotated, Any, Literal, cast

from pydantic import Field

from agents.tools.accounting.amounts import Day, Row
from agents.tools.corporate import outputs
from agents.tools.registry import tool
from config.errors import InvalidInput

CompanyKind = Literal["private", "public"]

# Companies Act 2006 s. 442: months from the end of the period; first accounts from incorporation.
MONTHS_TO_FILE = {"private": 9, "public": 6}
MONTHS_TO_FILE_FIRST = {"private": 21, "public": 18}
CONFIRMATION_DAYS = 14

# s. 453, SI 2008/497: up to one, three, six months late, and later. GBP.
PENALTIES = {"private": (150, 375, 750, 1500), "public": (750, 1500, 3000, 7500)}

# Event -> form, months or days allowed, provision of the Companies Act 2006.
EVENTS: dict[str, tuple[str, int, Literal["days", "months"], str]] = {
    "director_appointed": ("AP01", 14, "days", "s. 167"),
    "director_left": ("TM01", 14, "days", "s. 167"),
    "shares_allotted": ("SH01", 1, "months", "s. 555"),
    "charge_created": ("MR01", 21, "days", "s. 859A"),
    "special_resolution": ("resolution copy", 15, "days", "s. 30"),
    "shares_bought_back": ("SH03", 28, "days", "s. 707"),
    "capital_reduced": ("SH19", 15, "days", "s. 644"),
}
# The day after the event is day one for days counted "beginning with the day after creation"
# (charges, s. 859A(4)); the others run from the event, which the same sum gives.


class Event(Row):
    """Something that has to be notified to the registrar."""

    event: Literal[
        "director_appointed",
        "director_left",
        "shares_allotted",
        "charge_created",
        "special_resolution",
        "shares_bought_back",
        "capital_reduced",
    ]
    happened_on: Day
    filed_on: Day | None = None


Events = Annotated[list[Event], Field(min_length=1, max_length=200)]


@tool("corporate.uk_filing_deadlines", light=True)
def uk_filing_deadlines(
    company_kind: CompanyKind,
    period_start: Day,
    period_end: Day,
    incorporated_on: Day,
    as_at: Day,
    last_confirmation_date: Day | None = None,
    accounts_filed_on: Day | None = None,
    late_last_year: bool = False,
) -> outputs.UkFilingDeadlines:
    """Give the deadlines for accounts, confirmation statement and corporation tax, and penalties.

    Companies Act 2006 s. 442-443 (accounts; a month end stays a month end), s. 453 (penalty,
    doubled after two late years), s. 853A (confirmation statement, 14 days after the review
    period of 12 months); TMA 1970 s. 59D and FA 1998 Sch. 18 para. 14 (tax 9 months and a day,
    return 12 months). First accounts are those of a period that starts at incorporation.
    """
    if period_end <= period_start:
        raise InvalidInput("period_end", str(period_end), f"after {period_start}")
    first = period_start == incorporated_on
    if (period_end - period_start).days > 549:
        raise InvalidInput("period_end", str(period_end), "18 months at most (s. 392)")
    due = _accounts_due(company_kind, first, period_start, period_end, incorporated_on)
    filed = accounts_filed_on or as_at
    confirmation = _confirmation_due(last_confirmation_date, incorporated_on)
    penalty = _penalty(company_kind, due, filed) * (2 if late_last_year else 1)
    return cast(
        outputs.UkFilingDeadlines,
        {
            "accounts_due_on": due.isoformat(),
            "days_to_accounts": (due - as_at).days,
            "first_accounts": first,
            "confirmation_statement_due_on": confirmation.isoformat(),
            "days_to_confirmation": (confirmation - as_at).days,
            **_tax_dates(period_start, period_end),
            "late_filing_penalty_gbp": penalty,
            "days_late": max((filed - due).days, 0),
            "accounts_verdict": _verdict(due, filed, accounts_filed_on is not None),
        },
    )


def _confirmation_due(last: date | None, incorporated_on: date) -> date:
    """A confirmation opens the next review period on the following day, incorporation at once."""
    review_end = add_months(last or incorporated_on, 12)
    if last is None:
        review_end -= timedelta(days=1)
    return review_end + timedelta(days=CONFIRMATION_DAYS)


def _verdict(due: date, filed: date, is_filed: bool) -> str:
    if filed > due:
        return "accounts filed late" if is_filed else "accounts overdue"
    return "accounts filed in time" if is_filed else "accounts not yet due"


def _accounts_due(kind: CompanyKind, first: bool, start: date, end: date, born: date) -> date:
    normal = add_months(end, MONTHS_TO_FILE[kind])
    if not first or end <= add_months(start, 12) - timedelta(days=1):
        return normal
    # s. 442(3): first period over 12 months, whichever is last.
    return max(add_months(born, MONTHS_TO_FILE_FIRST[kind]), add_months(end, 3))


def _tax_dates(start: date, end: date) -> dict[str, str]:
    """A tax period is 12 months at most (CTA 2009 s. 10); of a longer one, the first part."""
    tax_end = min(end, add_months(start, 12) - timedelta(days=1))
    return {
        "corporation_tax_payable_on": (add_months(tax_end, 9) + timedelta(days=1)).isoformat(),
        "corporation_tax_return_due_on": add_months(end, 12).isoformat(),
    }


def _penalty(kind: CompanyKind, due: date, filed: date) -> int:
    if filed <= due:
        return 0
    scale = PENALTIES[kind]
    for step, months in enumerate((1, 3, 6)):
        if filed <= add_months(due, months):
            return scale[step]
    return scale[3]


def add_months(day: date, months: int) -> date:
    """The corresponding day ``months`` later; a month end stays a month end (s. 443(3)-(4))."""
    year, month0 = divmod(day.year * 12 + day.month - 1 + months, 12)
    length = monthrange(year, month0 + 1)[1]
    at_end = day.day == monthrange(day.year, day.month)[1]
    return date(year, month0 + 1, length if at_end else min(day.day, length))


@tool("corporate.event_filings", light=True)
def event_filings(company_events: Events, as_at: date) -> outputs.EventFilings:
    """Give form and deadline for each notifiable event, and which are late.

    Companies Act 2006: directors 14 days (s. 167), allotment one month (s. 555), charges 21
    days (s. 859A), special resolutions 15 days (s. 30), buy-backs 28 days (s. 707), reduction
    of capital 15 days (s. 644). A charge filed late is void against a liquidator (s. 859H).
    """
    rows: list[dict[str, Any]] = []
    still_open: list[date] = []
    late, void = 0, False
    for row in sorted(company_events, key=lambda item: item.happened_on):
        form, length, unit, provision = EVENTS[row.event]
        due = _after(row.happened_on, length, unit)
        days_late = max(((row.filed_on or as_at) - due).days, 0)
        late += days_late > 0
        if row.filed_on is None and days_late == 0:
            still_open.append(due)
        void = void or (days_late > 0 and row.event == "charge_created")
        rows.append(
            {
                "event": row.event.replace("_", " "),
                "form": form,
                "due_on": due.isoformat(),
                "days_late": days_late,
                "provision": provision,
            }
        )
    return {
        "filings": rows,
        "late_filings": late,
        "next_due_on": min(still_open).isoformat() if still_open else "none",
        "filings_verdict": "charge out of time, void against a liquidator"
        if void
        else f"{late} filing(s) late"
        if late
        else "all filings in time",
    }


def _after(day: date, length: int, unit: str) -> date:
    return day + timedelta(days=length) if unit == "days" else add_months(day, length)
