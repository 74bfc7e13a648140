"""The journal-entry tests find what was planted, and leave ordinary lines alone."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from agents.tools.ledger.journal import names, timing
from agents.tools.ledger.journal.benford import benford
from tests.agents.tools.ledger.conftest import ledger, payments
from tests.agents.tools.ledger.exams import Examiner, draw_style
from tests.agents.tools.ledger.planting import Planted, Planter, mix, sample_rows

# Least share of planted lines in the first 200, by style; measured means are in
# docs/reference/ledger-tools.md.
LEAST_RECALL = {"appended": 0.85, "renumbered": 0.85}


@pytest.mark.parametrize("style", ["appended", pytest.param("renumbered", marks=pytest.mark.slow)])
def test_the_first_200_lines_hold_most_of_what_was_planted(call, store, style):
    planted = Planter(sample_rows(), seed=1, style=style).plant(mix(1))
    ref = store.save("planted.csv", planted.csv_bytes(), "text/csv")
    result = call("ledger.journal_entry_tests", ledger=ref, year=2012, limit=200)
    top = {item["line_id"] for item in result["exceptions"]}
    everything = set().union(*planted.by_kind.values())
    assert len(everything) >= 50
    assert len(planted.by_kind) >= 8
    assert len(everything & top) / len(everything) >= LEAST_RECALL[style]


def test_the_first_200_lines_hold_most_of_an_exam_set_by_another_hand(call, store):
    first, last = date(2012, 4, 1), date(2013, 3, 31)
    exam = Examiner(sample_rows(), 11, draw_style(11), first, last)
    planted = set().union(*exam.set_exam().values())
    ref = store.save("exam.csv", Planted(exam.rows, {}).csv_bytes(), "text/csv")
    result = call("ledger.journal_entry_tests", ledger=ref, year="2012/13", limit=200)
    top = {item["line_id"] for item in result["exceptions"]}
    assert len(planted) >= 80
    assert len(planted & top) / len(planted) >= 0.75


def test_exceptions_are_ranked_by_score_then_line(call):
    rows = payments(["412.35", "398.10", "455.72", "401.18", "420.66", "389.95"])
    again = [rows[0].replace("1,V1", "91,V1", 1), rows[1].replace("2,V1", "92,V1", 1)]
    found = call("ledger.journal_entry_tests", ledger=ledger(*rows, *again), year=2024)
    keys = [(-item["score"], item["line_id"]) for item in found["exceptions"]]
    assert keys == sorted(keys)
    assert {"91", "92"} <= {item["line_id"] for item in found["exceptions"][:2]}
    assert found["exceptions"][0]["tests"][0] == "duplicate_exact"


AMOUNTS = ["4875.61", "5120.35", "4990.18", "5233.47", "4931.02", "5078.92", "5011.73", "4902.44",
           "5188.09", "5043.57", "4967.86", "5150.21"]  # fmt: skip
BASE = payments(AMOUNTS, account="7200")
BASE[3] = BASE[3].replace(",D4,", ",880014,")  # a number long enough to be mistyped
OTHER = payments(
    ["1250.75", "1318.20", "1275.45", "1290.60"],
    vendor="V2",
    name="OSWIN TRAINING",
    account="7200",
    start=31,
)


@pytest.mark.parametrize(
    ("planted", "test"),
    [
        ("77,V1,HARTLEY SUPPLIES,7200,Stationery,D1,4875.61,2024-01-09", "duplicate_exact"),
        ("77,V1,HARTLEY SUPPLIES,7200,Stationery,D88,4990.18,2024-03-19", "duplicate_near"),
        ("77,V1,HARTLEY SUPPLIES,7200,Stationery,D88,5323.47,2024-04-16", "transposed_digits"),
        ("77,V1,HARTLEY SUPPLIES,7200,Stationery,D88,-5102.66,2024-05-21", "reversed_sign"),
        ("77,V1,HARTLEY SUPPLIES,7200,Stationery,D88,50000.00,2024-05-21", "round_amount"),
        ("77,V1,HARTLEY SUPPLIES,7200,Stationery,D88,4999.31,2024-06-22", "weekend"),
        ("77,V1,HARTLEY SUPPLIES,7200,Stationery,D88,4999.31,2024-12-25", "bank_holiday"),
        ("77,V9,HARTLEY SUPLIES,7200,Stationery,D88,4999.31,2024-06-18", "look_alike_vendor"),
        ("77,V1,HARTLEY SUPPLEIS,7200,Stationery,D88,4999.31,2024-06-18", "vendor_respelled"),
        ("77,V1,HARTLEY SUPPLIES,7200,Stationery,D88,48756.10,2024-06-18", "decimal_slip"),
        ("77,V2,OSWIN TRAINING,7200,Stationery,D88,91233.17,2024-06-18", "outlier_amount"),
        ("77,V1,HARTLEY SUPPLIES,7200,Stationery,D88,5026.61,2024-03-14", "duplicate_similar"),
        ("77,V1,HARTLEY SUPPLIES,7200,Stationery,D88,-4990.18,2024-03-12", "unpaid_credit"),
        ("77,V2,OSWIN TRAINING,7200,Stationery,880014,5233.47,2024-04-09", "other_payee"),
        ("77,V1,HARTLEY SUPPLIES,7200,Stationery,980014,5233.47,2024-04-11", "document_typo"),
    ],
)
def test_each_kind_is_named_beside_its_line(call, planted, test):
    found = call("ledger.journal_entry_tests", ledger=ledger(*BASE, *OTHER, planted), year=2024)
    tests = {item["line_id"]: item["tests"] for item in found["exceptions"]}
    assert test in tests["77"]


def test_a_split_under_a_limit_is_found_on_all_its_parts(call):
    parts = [
        f"{90 + i},V2,OSWIN TRAINING,7200,Stationery,D{90 + i},{amount},2024-06-{day}"
        for i, (amount, day) in enumerate((("4871.15", 11), ("4922.40", 12), ("4790.65", 13)))
    ]
    found = call("ledger.journal_entry_tests", ledger=ledger(*OTHER, *BASE[:4], *parts), year=2024)
    named = {i["line_id"] for i in found["exceptions"] if "split_payment" in i["tests"]}
    assert {"90", "91", "92"} <= named


def test_a_new_payee_with_a_burst_of_payments_is_named(call):
    parts = [
        f"{90 + i},V7,CALDERA DUNMORE,7200,Stationery,D{90 + i},{amount},2024-06-{day:02d}"
        for i, (amount, day) in enumerate((("4211.15", 4), ("7922.40", 6), ("2790.65", 11)))
    ]
    found = call("ledger.journal_entry_tests", ledger=ledger(*OTHER, *BASE, *parts), year=2024)
    named = {i["line_id"] for i in found["exceptions"] if "vendor_burst" in i["tests"]}
    assert {"90", "91", "92"} <= named


def test_payments_that_all_begin_with_nine_are_named(call):
    parts = [
        f"{90 + i},V2,OSWIN TRAINING,7200,Stationery,D{90 + i},{amount},2024-06-{day:02d}"
        for i, (amount, day) in enumerate((("912.15", 4), ("9677.40", 6), ("984.65", 11)))
    ]
    found = call("ledger.journal_entry_tests", ledger=ledger(*OTHER, *BASE, *parts), year=2024)
    named = {i["line_id"] for i in found["exceptions"] if "digit_run" in i["tests"]}
    assert {"90", "91", "92"} <= named


def test_a_made_up_document_number_stands_alone_in_its_series(call):
    rows = [
        f"{i},V{i % 9},VENDOR {'ABCDEFGHI'[i % 9] * 3},7200,Stationery,{51_070_000 + 7 * i},"
        f"{100 + 3.17 * i:.2f},{date(2024, 1, 2) + i // 5 * timedelta(1)}"
        for i in range(1, 401)
    ]
    odd = "777,V3,VENDOR DDD,7200,Stationery,51960000,455.10,2024-02-20"
    found = call("ledger.journal_entry_tests", ledger=ledger(*rows, odd), year=2024)
    assert found["exceptions"][0]["line_id"] == "777"
    assert "lone_number" in found["exceptions"][0]["tests"]


def test_of_two_equal_findings_the_one_in_the_audited_year_comes_first(call):
    inside = BASE[5].replace("6,V1", "81,V1", 1)
    before = [row.replace("2024-", "2023-").replace(",V1,", ",V4,") for row in BASE]
    before = [f"3{row}".replace("HARTLEY SUPPLIES", "MERIDIAN PAPER") for row in before]
    outside = before[5].replace("36,V4", "80,V4", 1)
    found = call(
        "ledger.journal_entry_tests",
        ledger=ledger(*BASE, *before, outside, inside),
        year=2024,
    )
    places = [item["line_id"] for item in found["exceptions"]]
    assert places.index("81") < places.index("80")


def test_standing_payments_are_no_duplicates(call):
    rows = payments(["850.00"] * 12)
    found = call("ledger.journal_entry_tests", ledger=ledger(*rows), year=2024)
    assert "duplicate_near" not in found["counts"]


def test_lines_outside_the_year_are_tested_too(call):
    copy = "77,V1,HARTLEY SUPPLIES,7200,Stationery,D1,4875.61,2024-01-09"
    found = call("ledger.journal_entry_tests", ledger=ledger(*BASE, copy), year=2025)
    assert found["exceptions"][0]["line_id"] == "77"
    assert found["exceptions_in_year"] == 0


def test_materiality_counts_what_is_above_it(call):
    copy = "77,V1,HARTLEY SUPPLIES,7200,Stationery,D1,4875.61,2024-01-09"
    levels = {"overall": 9000.0, "performance": 4800.0}
    found = call("ledger.journal_entry_tests", ledger=ledger(*BASE, copy), materiality=levels)
    assert found["exceptions_above_materiality"] >= 1


@pytest.mark.parametrize(
    ("left", "right", "distance"),
    [("ACME", "ACME", 0), ("ACME", "AMCE", 1), ("ACME", "ACM", 1), ("ACME", "ZZZZZZZZZ", 5)],
)
def test_a_swap_of_neighbours_is_one_edit(left, right, distance):
    assert names.edit_distance(left, right) == distance


def test_towns_after_the_same_words_are_not_look_alikes():
    keys = [names.name_key(f"LONDON BOROUGH OF {town}") for town in ("BARNET", "BRENT", "BARNTE")]
    assert {(i, j) for i, j, _ in names.near_pairs(keys)} == {(0, 2)}


@pytest.mark.parametrize(
    ("year", "days"),
    [
        # gov.uk/bank-holidays, England and Wales
        (2012, ["01-02", "04-06", "04-09", "05-07", "06-04", "06-05", "08-27", "12-25", "12-26"]),
        (2020, ["01-01", "04-10", "04-13", "05-08", "05-25", "08-31", "12-25", "12-28"]),
        (2022, ["01-03", "04-15", "04-18", "05-02", "06-02", "06-03", "08-29", "09-19", "12-26",
                "12-27"]),
    ],
)  # fmt: skip
def test_bank_holidays_are_those_of_record(year, days):
    assert timing.bank_holidays(year) == {date.fromisoformat(f"{year}-{day}") for day in days}


def test_amounts_spread_evenly_over_powers_of_ten_conform_to_benford():
    draw = 10 ** np.random.default_rng(5).uniform(3, 7, 20_000)
    found = benford(pd.DataFrame({"pence": draw.astype("int64")}), 1)
    assert found["applicable"]
    assert found["verdict"] == "close conformity"
    assert found["p_value"] > 0.01


def test_benford_says_when_it_does_not_apply():
    found = benford(pd.DataFrame({"pence": [100_000, 110_000, 120_000] * 20}), 1)
    assert not found["applicable"]
    assert len(found["reasons"]) == 3
    assert found["verdict"] == "nonconformity"


def test_of_two_equal_lines_the_later_numbered_is_the_copy(call):
    copy = BASE[0].replace("1,V1", "91,V1", 1)
    found = call("ledger.journal_entry_tests", ledger=ledger(copy, *BASE), year=2024)
    assert found["exceptions"][0]["line_id"] == "91"
