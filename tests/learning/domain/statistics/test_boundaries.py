"""Error rates and sizes, integrated exactly and against published values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower

from learning.domain.statistics import (
    bandit,
    boundaries,
    fixed,
    group_sequential,
    multiplicity,
    paired,
    power,
    sequential,
    srm,
)
from learning.domain.statistics.effects import combine, difference
from learning.domain.statistics.samples import (
    Mean,
    Moments,
    Proportion,
    Ratio,
    mean_of,
    moments,
    moments_of_pair,
    pooled,
    upper_limit,
)

FIVE = [0.2, 0.4, 0.6, 0.8, 1.0]
TEN = [k / 10 for k in range(1, 11)]


@pytest.mark.parametrize(
    ("spending", "published"),
    [
        ("obrien_fleming", [4.8769, 3.3570, 2.6803, 2.2898, 2.0310]),
        ("pocock", [2.4380, 2.4268, 2.4102, 2.3966, 2.3860]),
    ],
)
def test_group_sequential_bounds_are_the_published_ones(spending, published):
    found = group_sequential.bounds(FIVE, alpha=0.05, spending=spending)
    assert found == pytest.approx(published, abs=2e-4)


def test_ten_naive_looks_give_nineteen_percent_false_positives():
    naive = sum(map(sum, boundaries.crossing(TEN, [1.959964] * 10)))
    assert naive == pytest.approx(0.193, abs=0.001)  # Armitage et al., 1969, table 2


@pytest.mark.parametrize("looks", [1, 10, 30, 100])
@pytest.mark.parametrize("tuning", [500, 5000, 50000])
def test_the_default_test_keeps_five_percent_at_any_number_of_looks(looks, tuning):
    fractions, limits = power.Design(looks=looks, tuning=tuning).limits(5000)
    assert sum(map(sum, boundaries.crossing(fractions, limits))) <= 0.05


@pytest.mark.parametrize("spending", ["pocock", "obrien_fleming"])
def test_group_sequential_bounds_spend_exactly_their_error(spending):
    limits = group_sequential.bounds(TEN, alpha=0.05, spending=spending)
    assert sum(map(sum, boundaries.crossing(TEN, limits))) == pytest.approx(0.05, abs=1e-4)


def test_a_fixed_plan_has_the_size_that_statsmodels_gives():
    question = power.Question(0.3, 1.0, 1.0)
    ours = power.units_needed(power.Design("fixed"), question, wanted=0.9)
    theirs = NormalIndPower().solve_power(effect_size=0.3, alpha=0.05, power=0.9)
    assert ours == pytest.approx(2 * theirs, rel=0.005)


def test_a_sequential_plan_pays_for_its_looks_and_often_stops_before():
    question = power.proportion(0.8, 0.05)
    fixed_size = power.units_needed(power.Design("fixed"), question)
    design = power.Design("sequential", looks=14)
    size = power.units_needed(design, question)
    assert 1.5 * fixed_size < size < 2 * fixed_size
    assert power.power(design, question, size) == pytest.approx(0.8, abs=0.005)
    assert power.expected_units(design, question, size) < 0.7 * size
    asked = lambda rise: power.proportion(0.8, rise)  # noqa: E731
    found = power.smallest_effect(design, asked, size, most=0.2)
    assert found == pytest.approx(0.05, rel=0.001)
    assert power.smallest_effect(design, asked, 20, most=0.2) is None


@pytest.mark.parametrize("drift", [0.0, 2.8, 6.0])
@pytest.mark.parametrize("limit", [3.0, 7.0])
def test_many_looks_are_integrated_as_exactly_as_a_few(drift, limit):
    # A wide region and short steps: the kernel of a step would fall between too few nodes.
    fractions = [(k + 1) / 366 for k in range(366)]
    found = boundaries.crossing(fractions, [limit / t**0.5 for t in fractions], drift)
    inside = np.linspace(-limit, limit, 3_001)  # the same by the trapezoidal rule
    gap, mass = inside[1] - inside[0], np.zeros(3_001)
    mass[1_500] = 1.0
    reach = np.arange(-int(0.5 / gap), int(0.5 / gap) + 1) * gap
    kernel = np.exp(-((reach - drift / 366) ** 2) * 183) * np.sqrt(183 / np.pi) * gap
    for _ in fractions:
        mass = np.convolve(mass, kernel, "same")
        mass[[0, -1]] /= 2
    assert 1 - sum(map(sum, found)) == pytest.approx(mass.sum(), abs=5e-5)


@pytest.mark.parametrize("alpha", [0.05, 1e-6])
@pytest.mark.parametrize("spending", ["pocock", "obrien_fleming"])
def test_a_look_more_never_makes_a_group_sequential_plan_cheaper_than_one_look(alpha, spending):
    question = power.proportion(0.8, 0.02)
    fixed_size = power.units_needed(power.Design("fixed", alpha=alpha), question)
    sizes = [
        power.units_needed(power.Design("group_sequential", alpha, n, spending=spending), question)
        for n in (5, 366)
    ]
    assert fixed_size < sizes[0] < sizes[1] < 1.6 * fixed_size


@pytest.mark.parametrize("correction", ["holm", "benjamini_hochberg"])
def test_adjusted_p_values_are_those_of_statsmodels(correction):
    p_values = [0.001, 0.2, 0.012, 0.9, 0.04, 0.012]
    method = {"holm": "holm", "benjamini_hochberg": "fdr_bh"}[correction]
    theirs = multipletests(p_values, method=method)[1]
    assert multiplicity.adjusted(p_values, correction) == pytest.approx(list(theirs))


def test_welch_is_scipys():
    rng = np.random.default_rng(5)
    a, b = rng.normal(10, 2, 60), rng.normal(11, 4, 45)
    found = difference(*moments_of_pair(mean_of(a.tolist()), mean_of(b.tolist())), "absolute")
    assert fixed.compare(found).p_value == pytest.approx(
        stats.ttest_ind(b, a, equal_var=False).pvalue
    )


def test_requests_of_one_user_count_as_one_unit():
    rng = np.random.default_rng(7)
    users = [rng.normal(rng.normal(0, 1), 0.1, 20).tolist() for _ in range(200)]
    sums, counts = [sum(user) for user in users], [float(len(user)) for user in users]
    products = sum(total * count for total, count in zip(sums, counts, strict=True))
    clustered = moments(Ratio(mean_of(sums), mean_of(counts), products))
    naive = moments(mean_of([value for user in users for value in user]))
    error, believed = (m.variance / m.n for m in (clustered, naive))
    assert error == pytest.approx(np.var([np.mean(u) for u in users], ddof=1) / 200, rel=0.01)
    assert error > 15 * believed


def test_stages_of_unequal_shares_are_combined_without_the_bias_of_pooling():
    stages = [  # 5 % treated at a base of 0.90, then 50 % at 0.80; the change does nothing
        (Proportion(19000, 17100), Proportion(1000, 900)),
        (Proportion(10000, 8000), Proportion(10000, 8000)),
    ]
    within = difference(*combine([moments_of_pair(a, b) for a, b in stages]), "absolute")
    assert within.estimate == pytest.approx(0, abs=1e-12)
    mixed = difference(
        moments(pooled([a for a, _ in stages])), moments(pooled([b for _, b in stages])), "absolute"
    )
    assert fixed.compare(mixed).p_value < 1e-12  # what pooling would have claimed


def test_one_stage_combines_to_itself_and_empty_stages_say_nothing():
    pair = moments(Proportion(100, 40)), moments(Proportion(110, 50))
    empty = moments(Proportion(0, 0)), moments(Proportion(9, 5))
    assert combine([pair, empty]) == pair
    with pytest.raises(ValueError, match="no stage"):
        combine([empty])


def test_total_failure_of_an_arm_is_readable():
    control, treatment = moments_of_pair(Proportion(300, 240), Proportion(300, 0))
    found = difference(control, treatment, "relative")
    assert found.estimate == -1 and sequential.compare(found).upper < -0.9
    alike = moments_of_pair(Proportion(300, 0), Proportion(300, 0))
    assert [arm.note for arm in alike] == ["nothing varies"] * 2


@pytest.mark.parametrize(
    ("counts", "mismatch"),
    [([[5000, 5100]], False), ([[5000, 5400]], True), ([[70, 130]], True), ([[0, 0]], False)],
)
def test_a_sample_ratio_is_judged(counts, mismatch):
    assert srm.check(counts, [1, 1]).mismatch is mismatch


def test_a_chance_mismatch_heals_and_one_that_lasts_is_told():
    healed = srm.check([[700, 1000], [60000, 60300]], [1, 1])
    assert not healed.mismatch and healed.bayes_factor < 1
    assert srm.check([[100, 100], [700, 1000]], [1, 1]).mismatch
    assert not srm.check([[100, 100], [700, 1000]], [1, 1]).lasts
    assert srm.check([[700, 1000], [1400, 2000]], [1, 1]).lasts


def test_false_mismatches_stay_rare_over_thirty_daily_looks():
    rng = np.random.default_rng(11)
    called = 0
    for _ in range(400):
        daily = rng.binomial(200, 0.5, 30).cumsum()
        looks = [[int(n), 200 * (day + 1) - int(n)] for day, n in enumerate(daily)]
        called += any(srm.check(looks[: day + 1], [1, 1]).mismatch for day in range(30))
    assert called / 400 <= 0.02


def test_shares_of_a_bandit_follow_the_chance_to_be_best():
    arms = [moments(Proportion(500, k)) for k in (250, 300, 260)]
    chances = bandit.chance_to_be_best(arms)
    assert sum(chances) == pytest.approx(1) and max(chances) == chances[1] > 0.95
    assert min(bandit.next_shares(chances)) >= 0.05
    assert sum(bandit.next_shares(chances)) == pytest.approx(1)
    assert bandit.chance_to_be_best(arms, lower_is_better=True)[0] > 0.6


@pytest.mark.slow
def test_a_bandits_own_analysis_keeps_its_error_where_the_plain_one_may_not():
    rng = np.random.default_rng(3)
    rejected = 0
    for _ in range(300):
        share, batches = 0.5, []
        for _ in range(10):
            treated = max(20, min(180, int(200 * share)))
            pair = tuple(Proportion(n, int(rng.binomial(n, 0.3))) for n in (200 - treated, treated))
            batches.append(moments_of_pair(*pair))
            arms = [combine([(b[i], b[i]) for b in batches])[0] for i in (0, 1)]
            share = bandit.next_shares(bandit.chance_to_be_best(arms))[1]
        rejected += bandit.compare(batches).p_value < 0.05
    assert rejected / 300 <= 0.08


# Obuchowski (1998), false positives of PET and SPECT in 21 patients with 1 to 4 glands each: of
# the patients with a difference, SPECT was right where PET was not in so many more glands.
GLANDS = [2, 1, 1, -1, 2, 1] + [0] * 15


def test_mcnemar_of_clusters_has_the_variance_of_obuchowskis_published_example():
    chances = paired.sign_flips(GLANDS)
    reach = np.arange(len(chances)) - len(chances) // 2
    variance = float((chances * reach**2).sum())
    chi_square = (len(GLANDS) - 1) / len(GLANDS) * sum(GLANDS) ** 2 / variance
    assert chi_square == pytest.approx(2.8571, abs=5e-5)  # as published, p = 0.091
    assert paired.mcnemar_of_clusters(GLANDS) == pytest.approx(10 / 64)
    assert paired.mcnemar(7, 1) == pytest.approx(0.0703, abs=1e-4)  # gland by gland: too sure


def test_mcnemar_is_the_exact_binomial_test():
    assert paired.mcnemar(9, 1) == pytest.approx(2 * 11 / 1024)
    assert paired.mcnemar(0, 0) == 1.0


def test_a_paired_bootstrap_finds_a_shift_and_respects_clusters():
    rng = np.random.default_rng(2)
    base = rng.normal(0, 1, 300)
    better = base + rng.normal(0.2, 0.5, 300)
    found = paired.bootstrap(base.tolist(), better.tolist(), rng=rng)
    assert found.lower > 0.1 and found.p_value < 0.01
    same = [str(i // 100) for i in range(300)]
    wide = paired.bootstrap(base.tolist(), better.tolist(), rng=rng, clusters=same)
    assert wide.n == 300


def test_winsorising_uses_a_limit_of_all_arms_together():
    values = [float(v) for v in range(1, 101)]
    assert [upper_limit(values, share) for share in (0.5, 0.95, 0.999)] == [50, 95, 100]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Proportion(10, 11), "successes"),
        (lambda: Mean(10, 100.0, 5.0), "sum_squares"),
        (lambda: power.proportion(0.9, 0.2), "rates"),
        (lambda: boundaries.check_fractions([0.5, 0.4]), "fractions"),
        (lambda: difference(Moments(9, 0, 0, 1), Moments(9, 1, 1, 1), "relative"), "zero"),
    ],
)
def test_impossible_values_are_refused_by_name(build, message):
    with pytest.raises(ValueError, match=message):
        build()
