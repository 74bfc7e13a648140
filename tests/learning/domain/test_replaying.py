from __future__ import annotations

import numpy as np
import pytest

from learning.domain.replaying import (
    Case,
    Graded,
    Verdict,
    compare,
    facts_of_correction,
    figures_of,
    grade_answer,
    grade_run,
)


def over(baseline, candidate):
    return compare(baseline, candidate, rng=np.random.default_rng(1))


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


def test_pairs_must_be_pairs():
    with pytest.raises(ValueError, match="pairs"):
        over([1.0], [])


def test_a_walked_run_is_worth_the_mean_over_its_steps_or_nothing_if_it_failed():
    parts = {"each": [Graded(1.0), Graded(0.0, ("number 5",))], "report": [Graded(1.0)]}
    run = Case("k", "run")
    found = grade_run(parts, failed="", outputs="{}", case=run)
    assert (found.score, found.missing) == (0.75, ("each: number 5",))
    assert grade_run(parts, failed="report", outputs="{}", case=run).score == 0
    corrected = Case("k", "run", ({"number": 171}, {"number": 19}))
    assert grade_run(parts, failed="", outputs='{"tax": 171}', case=corrected).score == 0.5
    assert grade_run({}, failed="", outputs="{}", case=run).score == 1.0
