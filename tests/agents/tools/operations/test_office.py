"""Deadlines, letters, documents, control charts, triage, reports."""

from __future__ import annotations

from typing import Any

import pytest

from agents.tools import registry
from config.errors import InvalidInput


def call(tool: str, **arguments: Any) -> Any:
    return registry.get(f"operations.{tool}").call(arguments)


def filing(kind: str, end: str, as_of: str, **more: Any) -> Any:
    one = {"company": "C", "filing": kind, "period_end": end, **more}
    return call("filing_deadlines", obligations=[one], as_of=as_of)["deadlines"][0]


@pytest.mark.parametrize(
    ("kind", "end", "more", "due"),
    [
        ("accounts", "2024-12-31", {}, "2025-09-30"),
        ("accounts", "2024-08-31", {"company_type": "public"}, "2025-02-28"),
        ("accounts", "2024-02-29", {}, "2024-11-30"),  # last day to last day
        ("accounts", "2024-04-05", {}, "2025-01-05"),
        ("corporation_tax_payment", "2024-12-31", {}, "2025-10-01"),
        ("corporation_tax_return", "2024-12-31", {}, "2025-12-31"),
        ("vat_return", "2024-12-31", {}, "2025-02-07"),
    ],
)
def test_filings_are_due_when_the_law_says(kind, end, more, due):
    assert filing(kind, end, "2024-12-31", **more)["due_on"] == due


@pytest.mark.parametrize(
    ("filed", "penalty"),
    [
        ("2025-09-30", 0),
        ("2025-10-01", 150),
        ("2025-10-31", 150),
        ("2025-11-01", 375),
        ("2025-12-31", 375),
        ("2026-03-31", 750),
        ("2026-04-01", 1500),
    ],
)
def test_late_accounts_cost_more_by_the_month(filed, penalty):
    row = filing("accounts", "2024-12-31", "2026-06-30", filed_on=filed)
    assert row["penalty_gbp"] == penalty


def reminders(as_of: str, needed_by: str, *, received: str | None = None) -> Any:
    item = {"item": "bank letter", "requested_on": "2025-01-02", "received_on": received}
    return call("reminder_schedule", requested_items=[item], needed_by=needed_by, as_of=as_of)


def test_reminders_never_fall_on_a_weekend():
    # 14 days before Sunday 30 March is a Sunday, two days before it a Friday
    dates = [row["remind_on"] for row in reminders("2025-02-24", "2025-03-30")["reminders"]]
    assert dates == ["2025-02-28", "2025-03-14", "2025-03-21", "2025-03-28"]


def test_nobody_is_reminded_of_what_has_arrived():
    result = reminders("2025-02-24", "2025-03-30", received="2025-02-01")
    assert (result["reminders"], result["items_outstanding"]) == ([], 0)


@pytest.mark.parametrize(
    ("amount", "fixed"), [(999.99, 40), (1000, 70), (9999.99, 70), (10000, 100)]
)
def test_compensation_depends_on_the_size_of_the_debt(amount, fixed):
    result = call(
        "late_payment_interest",
        invoice_amount=amount,
        due_date="2024-01-01",
        as_of="2024-12-31",
        base_rate_percent=2,
    )
    assert result["fixed_compensation"] == fixed
    assert result["interest_to_date"] == pytest.approx(amount / 10, abs=0.005)


def test_nothing_is_claimed_before_the_due_date():
    result = call(
        "late_payment_interest",
        invoice_amount=500,
        due_date="2025-01-10",
        as_of="2025-01-10",
        base_rate_percent=5,
    )
    assert (result["total_claim"], result["fixed_compensation"]) == (500.0, 0)


def classify(text: str, on: str = "2025-01-31") -> Any:
    return call("classify_document", document_text=text, received_on=on)


def test_a_document_is_kept_from_its_latest_date():
    result = classify("Landlord and tenant agree a lease until 2029-12-31")
    assert (result["document_class"], result["keep_until"]) == ("lease", "2041-12-31")


def test_years_and_impossible_dates_are_not_read_as_dates_or_amounts():
    result = classify("Invoice 2025-02-30, item 12345, version 1.2.3, 2024")
    assert (result["dates_found"], result["amounts_found"]) == (0, 0)


def test_amounts_are_read_with_and_without_separators():
    assert classify("1,234.50 and 99.00 and 12345.00")["sum_of_amounts"] == 13678.5


def chart(values: list[float], **more: Any) -> Any:
    return call("control_chart", measurements=values, measure_name="days", **more)


def test_limits_match_the_textbook_formula():
    # mean moving range 1.0, so three sigma are 2.66 of it (Montgomery, table VI: 3 / 1.128)
    result = chart([10, 11, 10, 11, 10, 11, 10, 11])
    assert result["upper_control_limit"] == pytest.approx(10.5 + 2.6596, abs=1e-4)


def test_eight_on_one_side_are_a_signal_and_seven_are_not():
    base = [10.0, 12.0] * 6
    assert chart([*base, *[11.5, 11.4] * 4], baseline_points=12)["run_signals_at"] != []
    seven = [*base[:-1], 10.0, *[11.5, 11.4] * 3, 11.5]
    assert chart(seven, baseline_points=12)["run_signals_at"] == []


def test_six_rising_points_are_a_trend_and_five_are_not():
    assert chart([5, 1, 2, 3, 4, 5, 6, 2])["trend_signals_at"] == [7]
    assert chart([5, 1, 2, 3, 4, 5, 3, 4])["trend_signals_at"] == []


def test_a_constant_measure_is_in_control():
    assert chart([3.0] * 9)["process_verdict"] == "in control: only common causes"


def test_a_period_cannot_have_more_defects_than_files():
    with pytest.raises(InvalidInput, match="defects"):
        call("proportion_chart", defects=[1, 2, 3, 4, 6], reviewed=[5] * 5)


def triage(message: str, at: str = "2025-10-15T10:00:00", tier: str = "standard") -> Any:
    one = {"reference": "R", "message": message, "received_at": at, "client_tier": tier}
    return call("triage_requests", requests=[one])["routed"][0]


@pytest.mark.parametrize(
    ("message", "team", "priority"),
    [
        ("VAT refund", "tax", "normal"),
        ("fraud in the ledger today", "accounting", "critical"),
        ("portal password", "technology", "normal"),
        ("the elevator is out", "front desk", "normal"),  # 'vat' inside a word is no stem
    ],
)
def test_requests_go_to_the_team_of_their_words(message, team, priority):
    row = triage(message)
    assert (row["team"], row["priority"]) == (team, priority)


@pytest.mark.parametrize(
    ("at", "tier", "due"),
    [
        ("2025-10-15T10:00:00", "key", "2025-10-16 10:00"),  # eight office hours
        ("2025-10-17T17:00:00", "key", "2025-10-20 17:00"),  # Friday evening
        ("2025-10-18T03:00:00", "standard", "2025-10-21 17:00"),  # Saturday night
        ("2025-10-15T06:59:00", "key", "2025-10-15 17:00"),
    ],
)
def test_answer_times_count_office_hours_only(at, tier, due):
    assert triage("hello", at, tier)["answer_by"] == due


def report(text: str, **figures: float) -> Any:
    return call(
        "report_check", report_text=text, required_sections=["Opinion", "Basis"], figures=figures
    )


def test_a_full_report_scores_one():
    assert report("Opinion. Materiality is 12,500.00.\nBasis. We tested.", m=12500)["score"] == 1.0


def test_missing_sections_figures_and_promises_each_cost_points():
    result = report("Opinion: we guarantee it", m=12500)
    assert result["missing_sections"] == ["Basis"]
    assert (result["untied_figures"], result["forbidden_wording"]) == (["m"], ["guarantee"])
    assert result["score"] == round(0.5 / 3, 4)
