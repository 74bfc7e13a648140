"""Postings, payables, bank and period end: what a batch of documents comes to."""

import pytest

from agents.tools.registry import get
from config.errors import InvalidInput

CHART = [
    {"account": "10", "title": "Bank", "kind": "asset"},
    {"account": "20", "title": "Payables", "kind": "liability"},
    {"account": "40", "title": "Sales", "kind": "income"},
    {"account": "60", "title": "Rent", "kind": "expense"},
    {"account": "99", "title": "Old", "kind": "expense", "blocked": True},
]


def post(*lines):
    rows = [
        {"voucher": voucher, "account": account, side: amount}
        for voucher, account, side, amount in lines
    ]
    return get("accounting.check_postings").call({"postings": rows, "chart_of_accounts": CHART})


def test_a_balanced_and_well_coded_batch_is_ready():
    result = post(("1", "10", "debit", 50), ("1", "40", "credit", 50))
    assert result["conclusion"] == "ready to post"
    assert (result["effect_on_profit"], result["effect_on_assets"]) == ("50.00", "50.00")


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        ([("1", "60", "debit", 70)], "no counter entry"),
        ([("1", "60", "debit", 70), ("1", "10", "debit", 70)], "wrong side"),
        ([("1", "60", "debit", 540), ("1", "10", "credit", 450)], "divisible by nine"),
        ([("1", "60", "debit", 540), ("1", "10", "credit", 500)], "differ in amount"),
    ],
)
def test_a_difference_comes_with_its_likely_cause(lines, cause):
    assert cause in post(*lines)["unbalanced_vouchers"][0]["likely_cause"]


def test_errors_that_cancel_over_vouchers_are_still_found():
    result = post(
        ("1", "60", "debit", 10),
        ("1", "10", "credit", 7),
        ("2", "60", "debit", 7),
        ("2", "10", "credit", 10),
    )
    assert result["out_of_balance_by"] == "0.00"
    assert len(result["unbalanced_vouchers"]) == 2


@pytest.mark.parametrize(("account", "fault"), [("99", "blocked"), ("77", "not in the chart")])
def test_a_closed_or_unknown_account_is_a_fault(account, fault):
    result = post(("1", account, "debit", 5), ("1", "10", "credit", 5))
    assert fault in result["coding_faults"][0]["fault"]


def match(ordered, received, invoiced, **arguments):
    return get("accounting.three_way_match").call(
        {
            "order_lines": [{"item": "a", "quantity": ordered[0], "unit_price": ordered[1]}],
            "receipt_lines": [{"item": "a", "quantity": received}],
            "invoice_lines": [{"item": "a", "quantity": invoiced[0], "unit_price": invoiced[1]}],
            **arguments,
        }
    )


@pytest.mark.parametrize(
    ("ordered", "received", "invoiced", "tolerance", "payable", "verdict"),
    [
        ((10, 5), 10, (10, 5), 0, "50.00", "matched"),
        ((10, 5), 10, (10, "5.05"), "0.01", "50.50", "matched"),
        ((10, 5), 10, (10, "5.06"), "0.01", "50.00", "price above order"),
        ((10, 5), 8, (10, 5), 0, "40.00", "billed more than received"),
        ((10, 5), 0, (10, 5), 0, "0.00", "nothing received"),
        ((10, 5), 12, (12, 5), 0, "50.00", "more than ordered"),
        ((10, 5), 8, (10, 6), 0, "40.00", "billed more than received, price above order"),
    ],
)
def test_an_invoice_line_is_paid_as_far_as_it_matches(
    ordered, received, invoiced, tolerance, payable, verdict
):
    result = match(ordered, received, invoiced, price_tolerance_ratio=tolerance)
    assert (result["amount_payable"], result["lines"][0]["verdict"]) == (payable, verdict)


def test_goods_not_yet_billed_are_accrued_at_the_ordered_price():
    assert match((10, 5), 9, (4, 5))["goods_received_not_invoiced"] == "25.00"


def test_two_ten_net_thirty_costs_about_37_percent_a_year():
    result = get("accounting.early_payment_discount").call(
        {
            "amount_payable": 1000,
            "discount_ratio": "0.02",
            "discount_days": 10,
            "net_days": 30,
            "borrowing_rate": "0.1",
        }
    )
    assert result["simple_annual_rate_percent"] == 37.24
    assert result["effective_annual_rate_percent"] == 44.59
    assert result["discount_verdict"] == "take the discount"


def reconcile(books, lines, book_balance, statement_balance):
    keys = ("posted_on", "reference", "amount")
    return get("accounting.reconcile_bank").call(
        {
            "book_entries": [dict(zip(keys, row, strict=True)) for row in books],
            "statement_entries": [dict(zip(keys, row, strict=True)) for row in lines],
            "book_balance": book_balance,
            "statement_balance": statement_balance,
            "as_at": "2026-06-30",
        }
    )


def test_items_on_one_side_explain_the_difference():
    result = reconcile(
        [("2026-06-01", "A", 100), ("2026-06-29", "B", -40)],
        [("2026-06-02", "A", 100), ("2026-06-30", "FEE", -3)],
        60,
        97,
    )
    assert (result["outstanding_payments"], result["unbooked_total"]) == ("40.00", "-3.00")
    assert result["adjusted_bank_balance"] == result["adjusted_book_balance"] == "57.00"
    assert result["conclusion"] == "reconciled"


def test_several_receipts_match_one_banking():
    result = reconcile(
        [("2026-06-01", "", 10), ("2026-06-01", "", 25), ("2026-06-02", "", 7)],
        [("2026-06-03", "CASH", 32)],
        42,
        32,
    )
    assert result["matched_lines"] == 1
    assert result["deposits_in_transit"] == "10.00"


def test_the_nearest_date_is_matched_first():
    result = reconcile(
        [("2026-06-01", "", 10), ("2026-06-07", "", 10)], [("2026-06-08", "", 10)], 20, 10
    )
    assert result["deposits_in_transit"] == "10.00"
    assert result["unreconciled_difference"] == "0.00"


def test_transposed_digits_are_told_from_another_amount():
    wrong = reconcile([("2026-06-01", "A", 45)], [("2026-06-01", "A", 54)], 45, 54)
    other = reconcile([("2026-06-01", "A", 45)], [("2026-06-01", "A", 60)], 45, 60)
    assert wrong["booking_errors"][0]["kind"] == "transposed digits"
    assert other["booking_errors"][0]["kind"] == "wrong amount"
    assert wrong["conclusion"] == other["conclusion"] == "reconciled"


def test_an_old_outstanding_payment_is_stale():
    result = reconcile([("2025-12-01", "OLD", -5), ("2026-06-01", "NEW", -5)], [], -10, 0)
    assert [row["reference"] for row in result["stale_items"]] == ["OLD"]


def accrue(start, end, booked, period_end="2026-06-30"):
    cost = {"supplier": "x", "amount": 300, "service_start": start, "service_end": end}
    return get("accounting.accruals_and_prepayments").call(
        {"service_costs": [{**cost, "booked": booked}], "period_end": period_end}
    )


@pytest.mark.parametrize(
    ("start", "end", "booked", "accrual", "prepayment"),
    [
        ("2026-06-21", "2026-07-20", False, "100.00", "0.00"),
        ("2026-06-21", "2026-07-20", True, "0.00", "200.00"),
        ("2026-07-01", "2026-07-30", True, "0.00", "300.00"),
        ("2026-07-01", "2026-07-30", False, "0.00", "0.00"),
        ("2026-05-01", "2026-05-30", False, "300.00", "0.00"),
        ("2026-05-01", "2026-05-30", True, "0.00", "0.00"),
    ],
)
def test_a_cost_falls_into_its_period_by_day(start, end, booked, accrual, prepayment):
    result = accrue(start, end, booked)
    assert (result["total_accruals"], result["total_prepayments"]) == (accrual, prepayment)


def test_a_service_that_ends_before_it_starts_is_refused():
    with pytest.raises(InvalidInput, match="service_costs"):
        accrue("2026-06-21", "2026-06-01", booked=True)


@pytest.mark.parametrize(
    ("terms", "booked_on", "adjustment"),
    [
        ("ex_works", "2026-06-30", "0.00"),
        ("ex_works", "2026-07-01", "80.00"),
        ("delivered", "2026-06-30", "-80.00"),
        ("delivered", "2026-07-02", "0.00"),
    ],
)
def test_sales_belong_to_the_period_in_which_control_passes(terms, booked_on, adjustment):
    delivery = {
        "document": "d",
        "amount": 80,
        "terms": terms,
        "shipped_on": "2026-06-29",
        "delivered_on": "2026-07-01",
        "booked_on": booked_on,
    }
    result = get("accounting.sales_cutoff").call(
        {"deliveries": [delivery], "period_end": "2026-06-30"}
    )
    assert result["adjustment_to_revenue"] == adjustment
