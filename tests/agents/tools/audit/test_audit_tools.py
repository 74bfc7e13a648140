"""The audit tools against published figures and worked examples."""

from __future__ import annotations

import pytest

from agents.tools import registry
from agents.tools.audit import fraud
from agents.tools.ledger.journal import ranking
from config.errors import InvalidInput


def call(name, **arguments):
    return registry.get(f"audit.{name}").call(arguments)


@pytest.mark.parametrize(
    ("tolerable", "expected", "size"),
    # AICPA, Audit Sampling, table A-1 (5 % risk of overreliance).
    [(5, 0, 59), (10, 0, 29), (6, 1, 78), (7, 1, 66), (9, 2, 68), (10, 2.5, 61)],
)
def test_attribute_sample_sizes_are_those_of_the_audit_guide(tolerable, expected, size):
    found = call(
        "attribute_sample_size",
        tolerable_deviation_percent=tolerable,
        expected_deviation_percent=expected,
    )
    assert found["sample_size"] == size


def test_a_small_population_needs_fewer_items():
    found = call("attribute_sample_size", tolerable_deviation_percent=5, population_items=200)
    assert found["sample_size"] == 46  # 59 / (1 + 59 / 200) = 45.6


@pytest.mark.parametrize(
    ("items", "deviations", "upper"),
    # AICPA, Audit Sampling, table A-2 (5 % risk of overreliance).
    [(60, 0, 4.9), (60, 1, 7.7), (100, 2, 6.2), (150, 3, 5.1)],
)
def test_upper_deviation_limits_are_those_of_the_audit_guide(items, deviations, upper):
    found = call("evaluate_controls", items_tested=items, deviations=deviations,
                 tolerable_deviation_percent=6)  # fmt: skip
    assert found["upper_deviation_limit_percent"] == pytest.approx(upper, abs=0.06)
    assert found["control_conclusion"].startswith("rely") == (upper <= 6)


def test_more_deviations_than_items_are_refused():
    with pytest.raises(InvalidInput, match="deviations"):
        call("evaluate_controls", items_tested=3, deviations=4, tolerable_deviation_percent=5)


def test_a_monetary_sample_follows_the_reliability_factor():
    # 3.00 at 95 %: interval 100,000 / 3.00, population of 2 million: 60 items.
    found = call("monetary_sample_size", book_value=2_000_000, tolerable_misstatement=100_000)
    assert (found["reliability_factor"], found["monetary_sample_size"]) == (3.0, 60)
    with pytest.raises(InvalidInput, match="expected_misstatement"):
        call("monetary_sample_size", book_value=1, tolerable_misstatement=10,
             expected_misstatement=9)  # fmt: skip


@pytest.mark.parametrize("hours", [100, 333.3, 1, 2450])
@pytest.mark.parametrize("risk", ["low", "medium", "high"])
def test_hours_of_phases_and_of_grades_add_up_to_the_budget(hours, risk):
    found = call("allocate_hours", hours=hours, risk=risk)
    phases = ("planning", "controls", "substantive", "completion")
    grades = ("partner", "manager", "senior", "junior")
    assert sum(found[f"{name}_hours"] for name in phases) == pytest.approx(hours)
    assert sum(found[f"{name}_grade_hours"] for name in grades) == pytest.approx(hours)


def test_a_rate_for_an_unknown_grade_is_refused():
    with pytest.raises(InvalidInput, match="hourly_rates"):
        call("allocate_hours", hours=10, risk="low", hourly_rates={"intern": 5})


def test_controls_lower_residual_risk_but_never_what_is_significant():
    risks = [{"area": "sales", "likelihood": 4, "impact": 4, "control": 1}]
    found = call("risk_matrix", risks=risks)
    assert found["ranked_risks"][0]["residual_score"] == 6.4
    assert found["significant_risk_count"] == 1
    with pytest.raises(InvalidInput, match=r"risks\.0\.impact"):
        call("risk_matrix", risks=[{"area": "x", "likelihood": 1, "impact": 6}])


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "independent"),
        ({"client_fees": 160_000, "public_interest": True}, "safeguards needed"),  # 16 % > 15 %
        ({"client_fees": 160_000}, "independent"),  # 16 % < 30 %
        ({"partner_years": 7, "public_interest": True}, "not independent"),
        ({"relationships": ["Loan"]}, "not independent"),
        ({"relationships": ["something else"]}, "safeguards needed"),
        ({"audit_fee": 100, "non_audit_fees": 71, "public_interest": True}, "not independent"),
    ],
)
def test_independence_follows_the_code(changes, verdict):
    given = {"client_fees": 50_000, "firm_fees": 1_000_000, "partner_years": 2} | changes
    assert call("independence", **given)["independence_conclusion"] == verdict


def test_a_client_cannot_pay_more_than_the_firm_earns():
    with pytest.raises(InvalidInput, match="client_fees"):
        call("independence", client_fees=2, firm_fees=1, partner_years=0)


@pytest.mark.parametrize(
    ("changes", "score", "decision"),
    [
        ({}, 100.0, "accept"),
        ({"complexity": 5, "financial_health": 1}, 60.0, "accept with partner review"),
        ({"sanctions_hit": True}, 100.0, "decline"),
        ({"integrity": 1}, 65.0, "decline"),
        ({"first_year": True}, 95.0, "accept"),
    ],
)
def test_a_stop_reason_outweighs_every_score(changes, score, decision):
    given = {"integrity": 5, "competence": 5, "complexity": 1, "financial_health": 5} | changes
    found = call("acceptance", **given)
    assert (found["acceptance_score"], found["acceptance_decision"]) == (score, decision)


@pytest.mark.parametrize(
    ("given", "benchmark", "overall"),
    [
        ({"entity_type": "profit", "profit_before_tax": 1_000_000}, "profit before tax", 75_000),
        (
            {"entity_type": "profit", "profit_before_tax": 40_000, "revenue": 10_000_000},
            "revenue",
            75_000,
        ),
        ({"entity_type": "public", "expenditure": 8_000_000}, "expenditure", 100_000),
        ({"entity_type": "asset", "total_assets": 8_000_000}, "total assets", 100_000),
    ],
)
def test_the_benchmark_suits_the_entity(given, benchmark, overall):
    found = call("materiality", risk="medium", **given)
    assert (found["benchmark"], found["overall_materiality"]) == (benchmark, overall)


def test_materiality_without_its_benchmark_is_refused():
    with pytest.raises(InvalidInput, match="expenditure"):
        call("materiality", risk="low", entity_type="public", revenue=5)


def test_altmans_scores_follow_their_formulas():
    found = call(
        "distress_score", total_assets=100, current_assets=50, current_liabilities=30,
        total_liabilities=60, retained_earnings=20, ebit=10, equity=40, revenue=150,
    )  # fmt: skip
    # 6.56 x .2 + 3.26 x .2 + 6.72 x .1 + 1.05 x .667 = 3.336; .143 + .169 + .311 + .28 + 1.497
    assert (found["z_double_prime"], found["z_double_prime_zone"]) == (3.34, "safe")
    assert (found["z_prime"], found["z_prime_zone"]) == (2.4, "grey")
    assert found["current_ratio"] == 1.67


@pytest.mark.parametrize(
    ("ebitda", "verdict", "room"), [(100, "kept", 40.0), (50, "breached", -20.0)]
)
def test_headroom_is_the_fall_that_breaks_the_nearer_covenant(ebitda, verdict, room):
    found = call("covenant_headroom", ebitda=ebitda, net_debt=180, interest=20, maximum_leverage=3,
                 minimum_cover=2)  # fmt: skip
    assert (found["covenant_verdict"], found["ebitda_headroom_percent"]) == (verdict, room)


def test_components_are_scoped_by_size_and_risk():
    parts = [
        {"name": "A", "amount": 80},
        {"name": "B", "amount": 12, "significant_risk": True},
        {"name": "C", "amount": 8},
    ]
    found = call("group_scoping", components=parts, group_materiality=10)
    assert [row["scope"] for row in found["scoped_components"]] == [
        "full scope",
        "specified procedures",
        "analytical review",
    ]
    assert found["coverage_percent"] == 92.0
    levels = [row["component_materiality"] for row in found["scoped_components"][:2]]
    assert all(level <= 10 for level in levels)
    assert levels[0] > levels[1]


@pytest.mark.parametrize("amount", [-1, "x", None, True, "NaN"])
def test_a_component_needs_an_amount(amount):
    with pytest.raises(InvalidInput, match=r"components\.0\.amount"):
        call("group_scoping", components=[{"name": "A", "amount": amount}], group_materiality=1)


@pytest.mark.parametrize(
    ("amounts", "verdict"),
    [([40, -10], "not material"), ([50, 30], "near materiality"), ([70, 40], "material: correct")],
)
def test_misstatements_are_judged_together(amounts, verdict):
    items = [{"amount": amount} for amount in amounts]
    found = call("evaluate_misstatements", misstatements=items, overall_materiality=100)
    assert found["misstatement_conclusion"].startswith(verdict)
    assert found["uncorrected_gross"] == sum(map(abs, amounts))


def test_trivial_and_corrected_misstatements_are_left_out():
    items = [{"amount": 4}, {"amount": 60, "corrected": True}, {"amount": 20, "kind": "projected"}]
    found = call("evaluate_misstatements", misstatements=items, overall_materiality=100,
                 clearly_trivial=5)  # fmt: skip
    assert (found["uncorrected_net"], found["corrected_amount"]) == (20, 60)
    assert found["trivial_items_left_out"] == 1


def test_an_event_adjusts_if_its_condition_existed_at_the_years_end():
    events = [
        {"kind": "customer insolvency", "date": "2025-01-20", "amount": 5},
        {"kind": "fire", "date": "2025-01-21", "amount": 500},
        {"kind": "fire", "date": "2025-01-22", "amount": 5},
    ]
    found = call("subsequent_events", year_end="2024-12-31", report_date="2025-03-01",
                 events=events, overall_materiality=100)  # fmt: skip
    assert [row["treatment"] for row in found["events_sorted"]] == [
        "adjust",
        "disclose",
        "no action",
    ]
    assert (found["adjusting_amount"], found["disclosed_amount"]) == (5, 500)


def test_an_event_before_the_years_end_is_refused():
    with pytest.raises(InvalidInput, match=r"events\.0\.date"):
        call("subsequent_events", year_end="2024-12-31", report_date="2025-03-01",
             events=[{"kind": "fire", "date": "2024-12-30"}], overall_materiality=1)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "kind"),
    # ISA 705, table A1, and ISA 570.21-23.
    [
        ({}, "unmodified"),
        ({"uncorrected_misstatement": 100}, "qualified"),
        ({"uncorrected_misstatement": -100, "pervasive": True}, "adverse"),
        ({"scope_limitation": "material"}, "qualified"),
        ({"scope_limitation": "pervasive"}, "disclaimer"),
        ({"going_concern": "basis wrong"}, "adverse"),
        ({"going_concern": "uncertainty not disclosed"}, "qualified"),
        ({"going_concern": "uncertainty disclosed"}, "unmodified"),
    ],
)
def test_the_opinion_follows_from_nature_and_pervasiveness(changes, kind):
    given = {"uncorrected_misstatement": 99, "overall_materiality": 100} | changes
    assert call("opinion", **given)["opinion"] == kind


def test_intent_is_weighed_under_the_names_that_the_ledger_tests_use():
    assert set(fraud.INTENT) <= {kind.name for kind in ranking.KINDS}


def test_fraud_needs_all_three_conditions():
    assert (
        call("fraud_triangle", pressure=9, opportunity=0, rationalisation=9)["fraud_triangle_score"]
        == 0
    )
    found = call("fraud_triangle", pressure=8, opportunity=8, rationalisation=8)
    assert (found["fraud_triangle_score"], found["fraud_triangle_level"]) == (80.0, "high")


def test_findings_of_intent_weigh_more_than_errors():
    split = call("fraud_findings", findings={"counts": {"split_payment": 10}})
    dull = call("fraud_findings", findings={"counts": {"weekend": 10}})
    assert split["fraud_findings_score"] == 3 * dull["fraud_findings_score"] == 15
    listed = call("fraud_findings", findings={"exceptions": [{"tests": ["split_payment"]}] * 10})
    assert listed["fraud_findings_score"] == split["fraud_findings_score"]
    with pytest.raises(InvalidInput, match="findings"):
        call("fraud_findings", findings={"anything": 1})


def test_an_expectation_multiplies_volume_and_price():
    found = call("substantive_expectation", prior_amount=1000, recorded_amount=1200,
                 volume_change_percent=10, price_change_percent=5,
                 performance_materiality=40)  # fmt: skip
    assert (found["expected_amount"], found["difference_from_expectation"]) == (1155, 45)
    assert found["analytical_conclusion"].startswith("investigate")


def test_working_capital_days_use_a_365_day_year():
    found = call("working_capital_ratios", revenue=730, cost_of_sales=365, receivables=60,
                 inventory=40, payables=20, prior_margin_percent=46)  # fmt: skip
    assert found["gross_margin_percent"] == 50
    assert (found["receivable_days"], found["inventory_days"], found["payable_days"]) == (
        30,
        40,
        20,
    )
    assert (found["cash_conversion_days"], found["margin_reading"]) == (50, "unusual: ask why")
