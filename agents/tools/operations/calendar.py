"""UK filing deadlines, how far away they are, and what lateness costs."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.tools.dates import months_after
from agents.tools.operations import outputs
from agents.tools.registry import tool
from config.errors import InvalidInput

# Companies Act 2006 s.442, 453 and SI 2008/497; FA 1998 Sch. 18 para. 17. Written from general
# knowledge as of 2026-01-01; verify before use. (months late up to, private, public), in GBP.
LATE_ACCOUNTS = ((1, 150, 750), (3, 375, 1500), (6, 750, 3000), (10_000, 1500, 7500))
ACCOUNTS_MONTHS = {"private": 9, "public": 6}
LATE_RETURN, VERY_LATE_RETURN, VERY_LATE_MONTHS = 100, 200, 3
DUE_SOON_DAYS = 30

Filing = Literal["accounts", "corporation_tax_payment", "corporation_tax_return", "vat_return"]


class Obligation(BaseModel):
    """One company's filing for a period; ``filed_on`` empty while it is open."""

    model_config = ConfigDict(extra="forbid")
    company: str
    filing: Filing
    period_end: date
    filed_on: date | None = None
    company_type: Literal["private", "public"] = "private"


@tool("operations.filing_deadlines", light=True)
def filing_deadlines(
    obligations: Annotated[list[Obligation], Field(min_length=1, max_length=2000)],
    as_of: date,
) -> outputs.FilingDeadlines:
    """Due date, days left or late and penalty so far of each filing, most urgent first.

    Accounts: 9 months (public 6). Corporation tax: paid 9 months and a day, return 12 months.
    VAT: one month and seven days. Source: CA 2006 s.442, 453; FA 1998 Sch. 18; VAT Regs 1995.
    """
    rows: list[dict[str, object]] = []
    penalties = late = soon = 0
    for one in obligations:
        due = _due(one)
        settled = one.filed_on or as_of
        if one.filed_on and one.filed_on > as_of:
            raise InvalidInput("obligations.filed_on", one.filed_on.isoformat(), f"<= {as_of}")
        penalty = _penalty(one, due, settled)
        state = _state(one.filed_on, due, as_of)
        penalties += penalty
        late += state == "overdue"
        soon += state == "due soon"
        rows.append(
            {
                "company": one.company,
                "filing": one.filing.replace("_", " "),
                "due_on": due.isoformat(),
                "days_left": (due - settled).days,
                "state": state,
                "penalty_gbp": penalty,
            }
        )
    rows.sort(key=lambda row: (str(row["state"]).startswith("filed"), str(row["due_on"])))
    return {
        "deadlines": rows,
        "overdue_filings": late,
        "due_within_30_days": soon,
        "penalties_to_date_gbp": penalties,
        "most_urgent": f"{rows[0]['company']}: {rows[0]['filing']} due {rows[0]['due_on']}",
        "deadline_verdict": "act today: filings are overdue" if late else "nothing overdue",
    }


def _due(one: Obligation) -> date:
    end = one.period_end
    if one.filing == "accounts":
        return months_after(end, ACCOUNTS_MONTHS[one.company_type])
    if one.filing == "corporation_tax_payment":
        return months_after(end, 9) + timedelta(days=1)
    if one.filing == "corporation_tax_return":
        return months_after(end, 12)
    return months_after(end, 1) + timedelta(days=7)


def _penalty(one: Obligation, due: date, settled: date) -> int:
    if settled <= due:
        return 0
    if one.filing == "accounts":
        column = 1 if one.company_type == "private" else 2
        return next(row for row in LATE_ACCOUNTS if settled <= months_after(due, row[0]))[column]
    if one.filing == "corporation_tax_return":
        late = settled > months_after(due, VERY_LATE_MONTHS)
        return VERY_LATE_RETURN if late else LATE_RETURN
    # Late VAT earns points and late tax interest: not a fixed penalty.
    return 0


def _state(filed: date | None, due: date, as_of: date) -> str:
    if filed:
        return "filed" if filed <= due else "filed late"
    if as_of > due:
        return "overdue"
    return "due soon" if (due - as_of).days <= DUE_SOON_DAYS else "on track"
