"""Company secretarial: statutory dates and penalties."""

from datetime import date

import pytest

from agents.tools.corporate.secretarial import add_months
from agents.tools.registry import get
from config.errors import InvalidInput


def deadlines(**arguments):
    return get("corporate.uk_filing_deadlines").call(
        {
            "company_kind": "private",
            "period_start": "2025-04-01",
            "period_end": "2026-03-31",
            "incorporated_on": "2010-05-20",
            "as_at": "2026-06-01",
            **arguments,
        }
    )


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        ("2026-04-30", 9, "2027-01-31"),  # a month end stays a month end
        ("2026-06-05", 9, "2027-03-05"),
        ("2025-08-31", 6, "2026-02-28"),
        ("2027-08-31", 6, "2028-02-29"),
        ("2026-08-30", 6, "2027-02-28"),
        ("2026-02-28", 6, "2026-08-31"),
    ],
)
def test_months_run_to_the_corresponding_day(day, months, later):
    assert add_months(date.fromisoformat(day), months) == date.fromisoformat(later)


@pytest.mark.parametrize(("kind", "due"), [("private", "2026-12-31"), ("public", "2026-09-30")])
def test_accounts_are_due_nine_or_six_months_after_the_period(kind, due):
    assert deadlines(company_kind=kind)["accounts_due_on"] == due


@pytest.mark.parametrize(
    ("born", "end", "kind", "due"),
    [
        ("2025-01-06", "2026-01-31", "private", "2026-10-06"),  # 21 months from incorporation
        ("2025-01-06", "2026-01-31", "public", "2026-07-06"),  # 18 months
        ("2025-01-06", "2026-06-30", "public", "2026-09-30"),  # three months from the end: later
        ("2025-01-06", "2025-12-31", "private", "2026-09-30"),  # not over twelve months
    ],
)
def test_first_accounts_over_twelve_months_run_from_incorporation(born, end, kind, due):
    result = deadlines(incorporated_on=born, period_start=born, period_end=end, company_kind=kind)
    assert (result["accounts_due_on"], result["first_accounts"]) == (due, True)


@pytest.mark.parametrize(
    ("filed", "kind", "twice", "penalty"),
    [
        ("2026-12-31", "private", False, 0),
        ("2027-01-01", "private", False, 150),
        ("2027-01-31", "private", False, 150),
        ("2027-02-01", "private", False, 375),
        ("2027-06-30", "private", False, 750),
        ("2027-07-01", "private", False, 1500),
        ("2027-07-01", "private", True, 3000),
        ("2026-10-15", "public", False, 750),
        ("2027-04-01", "public", True, 15000),
    ],
)
def test_the_penalty_rises_with_the_months_and_doubles(filed, kind, twice, penalty):
    result = deadlines(company_kind=kind, accounts_filed_on=filed, late_last_year=twice)
    assert result["late_filing_penalty_gbp"] == penalty


def test_accounts_not_filed_are_overdue_at_the_day_of_asking():
    result = deadlines(as_at="2027-01-10")
    assert (result["accounts_verdict"], result["days_late"]) == ("accounts overdue", 10)


@pytest.mark.parametrize(("last", "due"), [(None, "2011-06-02"), ("2026-05-19", "2027-06-02")])
def test_the_confirmation_statement_follows_the_review_period_by_fourteen_days(last, due):
    result = deadlines(last_confirmation_date=last)
    assert result["confirmation_statement_due_on"] == due


def test_tax_is_payable_nine_months_and_a_day_after_the_period():
    result = deadlines()
    assert result["corporation_tax_payable_on"] == "2027-01-01"
    assert result["corporation_tax_return_due_on"] == "2027-03-31"


@pytest.mark.parametrize("end", ["2025-03-31", "2026-12-31"])
def test_a_period_that_can_not_be_is_refused(end):
    with pytest.raises(InvalidInput, match="period_end"):
        deadlines(period_end=end)


def filings(event, happened_on, filed_on=None, as_at="2026-03-31"):
    row = {"event": event, "happened_on": happened_on, "filed_on": filed_on}
    return get("corporate.event_filings").call({"company_events": [row], "as_at": as_at})


@pytest.mark.parametrize(
    ("event", "due"),
    [
        ("director_appointed", "2026-03-15"),
        ("shares_allotted", "2026-04-01"),
        ("charge_created", "2026-03-22"),
        ("special_resolution", "2026-03-16"),
        ("shares_bought_back", "2026-03-29"),
    ],
)
def test_each_event_has_its_own_time(event, due):
    assert filings(event, "2026-03-01")["filings"][0]["due_on"] == due


def test_a_late_charge_is_void_and_another_late_form_is_only_late():
    charge = filings("charge_created", "2026-03-01", "2026-03-23")
    director = filings("director_left", "2026-03-01", "2026-03-16")
    assert "void" in charge["filings_verdict"]
    assert director["filings_verdict"] == "1 filing(s) late"


def test_the_next_date_is_of_what_is_still_open():
    assert filings("shares_allotted", "2026-03-10")["next_due_on"] == "2026-04-10"
    assert filings("shares_allotted", "2026-03-10", "2026-03-11")["next_due_on"] == "none"
