"""Trial balance, materiality, analytics, sampling, roll-forward and the account's review."""

from __future__ import annotations

import json

import pytest

from agents.tools.ledger.benchmarks import round_down
from config.errors import InvalidInput
from tests.agents.tools.ledger.conftest import ledger, payments

EVEN = ["412.35", "398.10", "455.72", "401.18", "420.66", "389.95", "433.27", "417.83", "442.09",
        "405.61", "428.74", "399.32"]  # fmt: skip


def test_balances_and_months_add_up_to_the_penny(call):
    result = call("ledger.trial_balance", ledger=ledger(*payments(EVEN), *payments(
        ["-10.01"], vendor="V2", account="7000", start=50)), year=2024)  # fmt: skip
    assert result["total"] == 4994.81
    assert round(sum(a["balance"] for a in result["accounts"]), 2) == 4994.81
    assert round(sum(m["net"] for m in result["months"]), 2) == 4994.81
    assert (result["total_debits"], result["total_credits"]) == (5004.82, 10.01)
    assert result["debits_equal_credits"] is False


def test_materiality_is_a_share_of_expenditure_rounded_down(call):
    text = ledger("1,V1,A,6100,S,D1,1234567.00,2024-03-05")
    result = call("ledger.materiality", ledger=text, year=2024)
    assert (result["percentage"], result["overall"]) == (1.0, 12000.0)  # 12,345.67
    assert (result["performance"], result["trivial"]) == (7800.0, 600.0)


def test_higher_risk_lowers_every_level(call):
    text = ledger("1,V1,A,6100,S,D1,1234567.00,2024-03-05")
    levels = [call("ledger.materiality", ledger=text, risk=r) for r in ("low", "medium", "high")]
    for name in ("overall", "performance", "trivial"):
        assert levels[0][name] > levels[1][name] > levels[2][name]


def test_materiality_needs_spending(call):
    with pytest.raises(InvalidInput, match="above 0"):
        call("ledger.materiality", ledger=ledger("1,V1,A,6100,S,D1,-5.00,2024-03-05"))


@pytest.mark.parametrize(("amount", "down"), [(1443775, 1400000), (99, 99), (0.056, 0.06)])
def test_levels_keep_two_digits(amount, down):
    assert round_down(amount) == down


def test_only_the_odd_month_is_unexpected(call):
    amounts = [*EVEN[:9], "2405.61", *EVEN[10:]]
    result = call("ledger.analytical_review", ledger=ledger(*payments(amounts)), year=2024)
    assert [flag["month"] for flag in result["unexpected_months"]] == ["2024-10"]
    flag = result["unexpected_months"][0]
    assert flag["low"] < 430 < flag["high"] < flag["actual"] == 2405.61


def test_even_months_are_all_expected(call):
    result = call("ledger.analytical_review", ledger=ledger(*payments(EVEN)), year=2024)
    assert result["unexpected_month_count"] == 0
    assert result["prior_year_available"] is False


def test_this_year_is_compared_with_the_prior_one(call):
    prior = [row.replace("2024-", "2023-") for row in payments(["100.00"] * 12, start=101)]
    rows = [*payments(["150.00"] * 12), *prior]
    result = call("ledger.analytical_review", ledger=ledger(*rows), year=2024)
    assert result["change_on_prior_percent"] == 50.0
    assert result["changed_accounts"][0]["change"] == 600.0


def test_a_sample_is_repeated_by_its_seed_and_moved_by_another(call):
    text = ledger(*payments(EVEN))
    arguments = {"ledger": text, "year": 2024, "materiality": 3000.0}
    first, again = (call("ledger.sample", seed=7, **arguments) for _ in range(2))
    assert first == again
    starts = {call("ledger.sample", seed=seed, **arguments)["random_start"] for seed in range(9)}
    assert len(starts) > 5


def test_each_pound_has_the_same_chance_and_large_lines_are_certain(call):
    text = ledger(*payments([*EVEN[:11], "5000.00"]))
    result = call("ledger.sample", ledger=text, year=2024, materiality=3000.0, seed=3)
    # interval = 3000 / 3.00 (Poisson factor at 95 %), as in the AICPA guide's example
    assert result["sampling_interval"] == pytest.approx(1001.42, abs=0.01)
    assert result["top_stratum_items"] == 1
    assert result["sample_size"] - 1 in (4, 5)  # 4,605.50 pounds of small lines over 1,001.42


def test_a_sample_without_error_leaves_basic_precision(call):
    result = call(
        "ledger.evaluate_sample",
        results=[{"book_value": 500, "audited_value": 500}],
        interval=10000,
        tolerable_misstatement=30000,
    )
    assert result["projected_misstatement"] == 0
    assert result["upper_misstatement_limit"] == pytest.approx(29957.32)  # 3.00 intervals


def test_taintings_are_projected_and_bounded_as_in_the_audit_guide(call):
    # AICPA, Audit Sampling: taintings 40 % and 10 % at 95 %: factors 3.00, 4.75, 6.30.
    result = call(
        "ledger.evaluate_sample",
        results=[
            {"book_value": 100, "audited_value": 60},
            {"book_value": 200, "audited_value": 180},
        ],
        interval=1000,
        tolerable_misstatement=3000,
    )
    assert result["projected_misstatement"] == 500
    assert result["upper_misstatement_limit"] == pytest.approx(
        1000 * (3.0 + 1.75 * 0.4 + 1.55 * 0.1), abs=6
    )
    assert result["sampling_conclusion"].startswith("extend")


@pytest.mark.parametrize("item", [{}, {"book_value": "x", "audited_value": 1}, {"book_value": 0,
                                  "audited_value": 0}])  # fmt: skip
def test_a_sample_result_without_its_values_is_refused(call, item):
    with pytest.raises(InvalidInput, match=r"results\.0\.book_value"):
        call("ledger.evaluate_sample", results=[item], interval=10, tolerable_misstatement=5)


def test_interim_and_remaining_make_the_final_balance(call):
    result = call(
        "ledger.roll_forward",
        ledger=ledger(*payments(EVEN)),
        year=2024,
        interim_date="2024-09-30",
        materiality=100.0,
    )
    assert result["interim_total"] + result["remaining_total"] == pytest.approx(5004.82)
    assert result["remaining_lines"] == 3
    assert result["accounts_needing_work"] == 0


@pytest.mark.parametrize("day", ["2023-09-30", "2024-12-31", "September"])
def test_an_interim_date_outside_the_year_is_refused(call, day):
    with pytest.raises(InvalidInput, match="interim_date"):
        call("ledger.roll_forward", ledger=ledger(*payments(EVEN)), year=2024, interim_date=day)


@pytest.mark.parametrize("account", ["6100", 6100, {"account_code": "6100", "lines": 12}])
def test_an_account_is_reviewed_by_code_or_by_its_item(call, account):
    result = call("ledger.account_review", ledger=ledger(*payments(EVEN)), account=account)
    assert (result["lines"], result["total"], result["median_payment"]) == (12, 5004.82, 415.09)
    assert result["exception_count"] == 0
    assert result["conclusion"].startswith("no exception")


def test_an_unknown_account_is_refused_naming_some_that_exist(call):
    with pytest.raises(InvalidInput, match="6100"):
        call("ledger.account_review", ledger=ledger(*payments(EVEN)), account="9999")


def test_spending_that_falls_away_is_an_indicator(call):
    falling = ["5000.00"] * 9 + ["900.00", "800.00", "700.00"]
    result = call("ledger.going_concern_indicators", ledger=ledger(*payments(falling)), year=2024)
    first = result["spending_indicators"][0]
    assert first["stands_out"] is True
    assert first["percent"] == -84.0
    assert "spending only" in result["limits_of_evidence"]


def test_releasing_twice_is_the_same_as_once(call):
    assert call("ledger.release", ledger="artifact:x") == call(
        "ledger.release", ledger="artifact:x"
    )


def test_results_on_the_sample_stay_small_enough_to_store(call, store, sample_bytes):
    ref = call("ledger.load", ledger=store.save("s", sample_bytes, "text/csv"), year="2012/13")[
        "ledger"
    ]
    for name in ("trial_balance", "materiality", "analytical_review", "journal_entry_tests",
                 "sample", "going_concern_indicators"):  # fmt: skip
        assert len(json.dumps(call(f"ledger.{name}", ledger=ref))) < 64_000, name
