from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import stats
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa

from learning.domain import judging
from learning.domain.categories import Category, category_of
from learning.domain.category_model import NONE, kind_of
from learning.domain.sayings import SAYINGS

COMPLAINTS = Path(__file__).parent / "data" / "complaints.yaml"


@pytest.mark.parametrize("seed", range(6))
def test_kappa_and_its_bounds_are_those_of_statsmodels_and_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    people = rng.random(120) < 0.6
    judge = np.where(rng.random(120) < 0.15 * seed, ~people, people)
    table = np.array([[np.sum(judge & people), np.sum(judge & ~people)],
                      [np.sum(~judge & people), np.sum(~judge & ~people)]])  # fmt: skip
    ours, theirs = judging.agreement(list(judge), list(people)), cohens_kappa(table)
    assert ours.kappa == pytest.approx(theirs.kappa) == cohen_kappa_score(judge, people)
    if 0 < seed:
        assert (ours.lower, ours.upper) == pytest.approx((theirs.kappa_low, theirs.kappa_upp))


def test_one_label_for_everything_is_no_agreement_and_pairs_must_be_pairs():
    assert judging.agreement([True] * 40, [True] * 40).kappa is None
    assert judging.agreement([], []).kappa is None
    with pytest.raises(ValueError, match="a label of each"):
        judging.agreement([True], [])


def test_length_bias_is_spearmans_correlation_of_what_the_judge_adds():
    rng = np.random.default_rng(3)
    lengths = rng.integers(10, 500, 60)
    people = rng.random(60)
    judge = people + lengths / 1000
    found = judging.length_bias(list(judge), list(people), list(lengths))
    theirs = stats.spearmanr(judge - people, lengths)
    assert (found.correlation, found.p_value) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert judging.length_bias([1.0] * 20, [1.0] * 20, list(range(20))).correlation == 0
    assert judging.length_bias([1.0], [0.0], [5]).correlation is None


def test_position_bias_counts_pairs_whose_winner_is_a_place():
    found = judging.position_bias([("first", "second")] * 8 + [("first", "first")] * 4
                                  + [("tie", "first")])  # fmt: skip
    assert (found.pairs, found.first, found.second) == (13, 4, 0)
    assert found.p_value == pytest.approx(stats.binomtest(4, 4, 0.5).pvalue)
    assert judging.position_bias([]).swayed_ratio is None


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("The total is wrong, it does not add up", Category.ACCURACY),
        ("The VAT rate should be 19 %", Category.ACCURACY),
        ("You quoted a source that does not exist, it is invented", Category.SOURCES),
        ("It took ages to answer, so slow", Category.SPEED),
        ("The tone is rude", Category.TONE),
        ("I see figures of another client, confidential", Category.PRIVACY),
        ("The answer stops in the middle and leaves half of it out", Category.COMPLETENESS),
        ("That is not what I asked", Category.RELEVANCE),
        ("Please answer in German", Category.LANGUAGE),
        ("Hm.", Category.OTHER),
        ("  ", ""),
    ],
)
def test_an_issue_gets_its_category_by_its_words(text, category):
    assert category_of(text) == category


def test_half_of_the_complaints_that_name_nothing_are_put_right_as_the_reference_says():
    found = Counter()
    for kind, texts in yaml.safe_load(COMPLAINTS.read_text("utf-8")).items():
        for text in texts:
            got = category_of(text)
            found["right" if got == kind else "other" if got == Category.OTHER else "wrong"] += 1
    assert found["right"] >= 112 and found["wrong"] <= 44, found


def test_what_else_is_told_beside_a_complaint_does_not_change_what_it_is_about():
    beside = "I asked for the yearly review of our subsidiary in Graz on Monday."
    right = 0
    for kind, texts in yaml.safe_load(COMPLAINTS.read_text("utf-8")).items():
        right += sum(kind_of(text) == kind == kind_of(f"{beside} {text}") for text in texts)
    alone = sum(
        kind_of(text) == kind
        for kind, texts in yaml.safe_load(COMPLAINTS.read_text("utf-8")).items()
        for text in texts
    )
    assert right >= 0.95 * alone


def test_the_documentation_complains_of_little():
    found = Counter()
    for page in sorted((COMPLAINTS.parents[4] / "docs").rglob("*.md")):
        for part in page.read_text("utf-8").split("\n\n"):
            text = " ".join(part.split())
            if 80 <= len(text) < 320 and text[0].isalpha():
                found[bool(kind_of(text))] += 1
    assert found.total() > 100 and found[True] <= 0.3 * found.total(), found


def test_no_saying_of_the_model_is_a_text_of_the_measurement_and_each_kind_is_a_category():
    read = yaml.safe_load(COMPLAINTS.read_text("utf-8"))
    texts = {text.lower().strip(" .!?") for of_kind in read.values() for text in of_kind}
    said = [one for kind in SAYINGS.values() for one in kind.split("|")]
    assert not texts & {one.lower() for one in said} and len(said) == len(set(said))
    assert set(SAYINGS) - {NONE} == set(Category) - {Category.OTHER}


@pytest.mark.parametrize(
    "text", ["Could you add a dark theme", "Please add a weekly digest", "nice", "ok"]
)
def test_what_names_no_issue_gets_none(text):
    assert category_of(text) == Category.OTHER
