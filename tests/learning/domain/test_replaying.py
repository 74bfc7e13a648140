from __future__ import annotations

import numpy as np
import pytest

from learning.domain.replaying import (
    Case,
    Graded,
    Scored,
    Verdict,
    compare,
    facts_of_correction,
    figures_of,
    grade_answer,
    grade_run,
    together,
)


def over(baseline, candidate):
    return compared([Scored(*pair) for pair in zip(baseline, candidate, strict=True)])


def compared(cases):
    return compare(cases, rng=np.random.default_rng(1))


def test_an_answer_scores_the_share_of_facts_it_states():
    case = Case("k", "catalogue", ({"number": 5}, {"text": "low risk"}))
    found = grade_answer("It is 5 in all; high risk.", case, {})
    assert found.score == 0.5
    assert found.missing == ("text 'low risk'",)


def test_without_facts_an_answer_is_held_to_its_tools_figures():
    case = Case("k", "recorded")
    facts = {"total": 1200.5, "note": "fine", "is_ok": True, "count": 0}
    assert figures_of(facts) == ({"number": "1200.5"},)
    assert grade_answer("The total is 1,200.50.", case, facts).score == 1.0
    assert grade_answer("The total is 1,300.50.", case, facts).score == 0.0


def test_a_correction_leaves_the_figures_that_it_brought_in():
    facts = facts_of_correction("Tax is 120 of 900.", "Tax is 171 of 900 at 19 %.", "900")
    assert {f["number"] for f in facts} == {"171", "19"}
    assert facts_of_correction("It is good.", "It is very good.") == ()


@pytest.mark.parametrize(
    ("baseline", "candidate", "expected"),
    [
        ([1.0] * 19, [0.0] * 19, Verdict.TOO_FEW),
        ([1.0] * 30, [0.0] * 30, Verdict.WORSE),
        ([0.0] * 30, [1.0] * 30, Verdict.BETTER),
        ([1.0] * 30, [1.0] * 30, Verdict.NOT_WORSE),
        ([1.0, 0.0] * 15, [0.0, 1.0] * 15, Verdict.INCONCLUSIVE),
    ],
)
def test_the_verdict_over_pairs(baseline, candidate, expected):
    assert over(baseline, candidate).verdict == expected


def test_gains_and_losses_are_counted_case_by_case():
    found = over([1.0, 0.0, 0.5, 1.0], [0.0, 1.0, 1.0, 1.0])
    assert (found.gained, found.lost) == (2, 1)


def test_calls_of_one_run_are_no_proof_by_themselves():
    two_runs = [Scored(1.0, 0.0, cluster=f"run {n % 2}") for n in range(40)]
    found = compared(two_runs)
    assert (found.verdict, found.cases, found.independent) == (Verdict.TOO_FEW, 40, 2)
    assert found.mcnemar_p == 0.5
    assert compared([Scored(1.0, 0.0, cluster=f"run {n}") for n in range(40)]).verdict == "worse"


def test_right_and_wrong_are_counted_in_the_answers_of_a_run():
    harmed = Scored(1.0, 0.9, answers=((1.0, 1.0),) * 9 + ((1.0, 0.0),))
    fine = Scored(1.0, 1.0, answers=((1.0, 1.0),) * 10)
    found = compared([harmed] * 8 + [fine] * 12)
    assert (found.answers, found.gained, found.lost) == (200, 0, 8)
    assert found.verdict == Verdict.WORSE
    assert found.mcnemar_p == pytest.approx(2 / 2**8)


def test_a_walked_run_is_worth_the_mean_over_its_steps_or_nothing_if_it_failed():
    parts = {"each": [Graded(1.0), Graded(0.0, ("number 5",))], "report": [Graded(1.0)]}
    run = Case("k", "run")
    found = grade_run(parts, failed="", outputs="{}", case=run)
    assert (found.score, found.missing) == (0.75, ("each: number 5",))
    assert grade_run(parts, failed="report", outputs="{}", case=run).score == 0
    corrected = Case("k", "run", ({"number": 171}, {"number": 19}))
    assert grade_run(parts, failed="", outputs='{"tax": 171}', case=corrected).score == 0.5
    assert grade_run({}, failed="", outputs="{}", case=run).score == 1.0


@pytest.mark.parametrize(
    ("by_code", "by_judge", "said"),
    [
        ("not_worse", "worse", "worse"),
        ("worse", "better", "worse"),
        ("better", "inconclusive", "inconclusive"),
        ("not_worse", "better", "better"),
        ("not_worse", "too_few", "not_worse"),
        ("not_worse", None, "not_worse"),
        ("too_few", "better", "too_few"),
    ],
)
def test_harm_that_code_or_judge_sees_counts(by_code, by_judge, said):
    assert together(Verdict(by_code), by_judge and Verdict(by_judge)) == said
