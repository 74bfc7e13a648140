from __future__ import annotations

import pytest

from learning.domain.prioritise import Priority, confidence_of, monthly


def test_the_score_is_impact_times_confidence_over_effort():
    found = Priority(impact_usd=200.0, confidence=0.5, effort_days=2.0)
    assert found.score == 50.0
    assert found.shown() == "200.00 USD a month × 0.50 ÷ 2 days = 50.00"


@pytest.mark.parametrize("bad", [(-1, 0.5, 1), (1, 1.5, 1), (1, 0.5, 0)])
def test_factors_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match="need impact"):
        Priority(*bad)


def test_confidence_grows_with_evidence_and_never_reaches_one():
    found = [confidence_of(n) for n in (0, 1, 20, 1000)]
    assert found[0] == 0
    assert found[2] == 0.5
    assert found == sorted(found)
    assert found[-1] < 1


def test_a_week_counts_as_its_share_of_a_month():
    assert monthly(7.0, days=7) == pytest.approx(30.0)
