"""Random arms through the analysis and through GrowthBook's engine, in an environment of its own.

Its bounds exclude our pandas, so it can be no dependency beside ours. Every method that both have
is drawn: proportions, counts, means, ratios, covariates (CUPED), quantiles of units and of events;
tests of two sides and of one, sequential ones with any tuning, Bayesian ones with and without a
prior; the sample ratio.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learning.analysis import analyse
from learning.domain.statistics import srm
from tests.benchmarks.peers import programs
from tests.learning.domain.statistics.test_properties import sums

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("gbstats_program.py")
DRAWS = 12
Arm = dict[str, float]
Rng = np.random.Generator


def mean_arm(rng: Rng, n: int, shift: float) -> Arm:
    level = float(rng.choice([9.0, -4.0, 1e-9, 1e12]))
    values = (
        rng.lognormal(1.0, 0.8, n) if rng.random() < 0.5 else rng.normal(3, rng.uniform(1, 5), n)
    )
    return sums(values * (1 + shift) * level)


def money_arm(rng: Rng, n: int, shift: float) -> Arm:
    """Nine of ten pay nothing."""
    paid = rng.random(n) < 0.1
    paid[:2] = True
    return sums(np.where(paid, rng.lognormal(3, 1.5, n) * (1 + shift), 0.0))


def count_arm(rng: Rng, n: int, shift: float) -> Arm:
    return sums(rng.poisson(2 * (1 + abs(shift)), n).astype(float))


def proportion_arm(rng: Rng, n: int, shift: float) -> Arm:
    rate = float(rng.choice([0.02, 0.4, 0.98]))
    return {"n": n, "successes": int(np.clip(rng.binomial(n, rate), 1, n - 1))}


def ratio_arm(rng: Rng, n: int, shift: float) -> Arm:
    below = rng.integers(1, 9, n).astype(float)
    return ratio(below * rng.normal(3.0, 0.6, n) * (1 + shift), below)


def rated_arm(rng: Rng, n: int, shift: float) -> Arm:
    """A share of a share: did well, of those who were rated."""
    rated = (rng.random(n) < 0.5).astype(float)
    good = rated * (rng.random(n) < 0.7)
    rated[:3], good[:3] = 1.0, (1.0, 0.0, 1.0)
    return ratio(good, rated, squares=False)


def ratio(above: np.ndarray, below: np.ndarray, *, squares: bool = True) -> Arm:
    arm = {"n": len(above), "numerator_sum": float(above.sum()),
           "denominator_sum": float(below.sum()),
           "numerator_denominator_sum_product": float((above * below).sum())}  # fmt: skip
    if squares:
        arm["numerator_sum_squares"] = float((above**2).sum())
        arm["denominator_sum_squares"] = float((below**2).sum())
    return arm


def adjusted_arm(rng: Rng, n: int, shift: float) -> Arm:
    before = rng.gamma(2.0, 3.0, n)
    after = rng.uniform(0, 2) * before + rng.normal(5, 2, n) * (1 + shift)
    return {**sums(after), "covariate_sum": float(before.sum()),
            "covariate_sum_squares": float((before**2).sum()),
            "covariate_sum_product": float((after * before).sum())}  # fmt: skip


def adjusted_proportion_arm(rng: Rng, n: int, shift: float) -> Arm:
    before = rng.random(n) < 0.4
    after = np.where(rng.random(n) < 0.6, before, rng.random(n) < 0.3)
    before[:2], after[:2] = (True, False), (True, False)
    return {"n": n, "successes": int(after.sum()), "covariate_sum": int(before.sum()),
            "covariate_sum_product": int((after & before).sum())}  # fmt: skip


def quantile_arm(rng: Rng, n: int, shift: float) -> Arm:
    n = n + 100
    values = np.sort(rng.lognormal(0, 1, n) * (1 + abs(shift)))
    return {"n": n, "n_star": n, **bounds(values)}


def events_arm(rng: Rng, n: int, shift: float) -> Arm:
    """Latencies of calls, each user with several that are alike."""
    users = n + 60
    own, counts = rng.normal(0, 0.5, users), rng.integers(1, 9, users)
    events = [np.exp(own[i] + rng.normal(0, 1, counts[i])) * (1 + abs(shift)) for i in range(users)]
    every = np.sort(np.concatenate(events))
    middle = float(np.quantile(every, 0.9))
    below = np.array([(one < middle).sum() for one in events], float)
    sizes = counts.astype(float)
    return {"n": len(every), "n_star": len(every) // 2, **bounds(every), "n_clusters": users,
            "below_sum": float(below.sum()), "below_sum_squares": float((below**2).sum()),
            "events_sum": float(sizes.sum()), "events_sum_squares": float((sizes**2).sum()),
            "sum_products": float((below * sizes).sum())}  # fmt: skip


def bounds(ordered: np.ndarray) -> Arm:
    n = len(ordered)
    reach = 1.96 * np.sqrt(n * 0.9 * 0.1)
    places = [int(np.clip(0.9 * n + by, 0, n - 1)) for by in (-reach, 0, reach)]
    lower, value, upper = (float(ordered[place]) for place in places)
    return {"lower": lower, "value": value, "upper": upper}


METRICS: dict[str, tuple[dict[str, Any], Callable[[Rng, int, float], Arm]]] = {
    "mean": ({"type": "mean"}, mean_arm),
    "money": ({"type": "mean"}, money_arm),
    "count": ({"type": "count"}, count_arm),
    "proportion": ({"type": "proportion"}, proportion_arm),
    "ratio": ({"type": "ratio"}, ratio_arm),
    "ratio of shares": (
        {"type": "ratio", "numerator_type": "proportion", "denominator_type": "proportion"},
        rated_arm,
    ),
    "with a covariate": ({"type": "mean"}, adjusted_arm),
    "share with a covariate": (
        {"type": "proportion", "covariate_type": "proportion"}, adjusted_proportion_arm,
    ),
    "quantile": ({"type": "quantile", "quantile": 0.9}, quantile_arm),
    "quantile of events": ({"type": "quantile", "quantile": 0.9}, events_arm),
}  # fmt: skip


def kinds_of_tests(rng: Rng) -> list[dict[str, Any]]:
    flat = {"mean": 0.0, "variance": 1.0, "proper": False, "type": "relative"}
    prior = {"mean": float(rng.normal(0, 0.1)), "variance": float(rng.uniform(0.001, 0.5)),
             "proper": True, "type": str(rng.choice(["relative", "absolute"]))}  # fmt: skip
    fixed = [{"kind": "fixed", "alternative": a} for a in ("two_sided", "greater", "less")]
    tuning = float(rng.choice([100, 5_000, 1e6]))
    return [*fixed, {"kind": "sequential", "tuning": tuning},
            {"kind": "bayesian", "prior": flat, "inverse": bool(rng.random() < 0.5)},
            {"kind": "bayesian", "prior": prior, "inverse": bool(rng.random() < 0.5)}]  # fmt: skip


def cases() -> list[dict[str, Any]]:
    rng = np.random.default_rng(20_261_130)
    found: list[dict[str, Any]] = []
    for name, (metric, arm) in METRICS.items():
        for _ in range(DRAWS):
            sizes, shift = rng.integers(5, 400, 2), float(rng.normal(0, 0.2))
            seed, alpha = int(rng.integers(2**31)), float(rng.choice([0.01, 0.05, 0.1, 0.3]))
            # Both arms of one level: that is drawn first.
            control = arm(np.random.default_rng(seed), int(sizes[0]), 0.0)
            treatment = arm(np.random.default_rng(seed), int(sizes[1]), shift)
            found += [
                {**test, "name": name, "metric": metric, "control": control,
                 "treatment": treatment, "alpha": alpha, "scale": scale,
                 "quantile": metric.get("quantile")}
                for test in kinds_of_tests(rng) for scale in ("relative", "absolute")
            ]  # fmt: skip
    return found


def compared(case: dict[str, Any]) -> dict[str, Any]:
    """The primary comparison of the verdict document, through the door that users have."""
    test = {key: case[key] for key in ("kind", "alpha", "alternative", "tuning", "prior")
            if key in case}  # fmt: skip
    found = analyse({
        "experiment": {
            "metrics": [{"key": "m", **case["metric"], "inverse": case.get("inverse", False)}],
            "test": test, "complete": True,
        },
        "arms": [{"key": "control", "metrics": {"m": case["control"]}},
                 {"key": "b", "metrics": {"m": case["treatment"]}}],
    })  # fmt: skip
    return found["metrics"][0]["comparisons"][0][case["scale"]]


def asked(every: list[dict[str, Any]]) -> list[dict[str, Any]]:
    python = programs.environment("gbstats", "gbstats==0.8.0")
    if python is None:
        pytest.skip("gbstats can't be installed here")
    done = subprocess.run(
        [python, "-P", PROGRAM], input=json.dumps(every), capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_growthbooks_engine_gives_the_same_numbers():
    every = cases()
    answered = asked(every)
    assert len(answered) == len(every) == len(METRICS) * DRAWS * 12
    for case, theirs in zip(every, answered, strict=True):
        assert theirs["error_message"] is None, case
        ours, size = compared(case), abs(theirs["stddev"])
        assert ours["estimate"] == pytest.approx(theirs["expected"], rel=1e-7, abs=1e-9 * size), (
            case
        )
        assert ours["standard_error"] == pytest.approx(size, rel=1e-6), case
        lower, upper = theirs["ci"]
        if case.get("alternative") == "less":
            upper = 2 * theirs["expected"] - upper  # its bound is below its own estimate
        ends = tuple(np.inf if end is None else end for end in (ours["lower"], ours["upper"]))
        assert np.abs(ends) == pytest.approx(np.abs((lower, upper)), rel=1e-6, abs=1e-6 * size), (
            case
        )
        if case["kind"] == "bayesian":
            assert ours["chance_to_win"] == pytest.approx(theirs["chance_to_win"], abs=1e-9), case
            risk = (ours["risk"]["control"], ours["risk"]["treatment"])
            assert risk == pytest.approx(tuple(theirs["risk"]), rel=1e-5, abs=1e-7 * size), case
        else:
            assert ours["p_value"] == pytest.approx(theirs["p_value"], rel=1e-5, abs=1e-9), case


def test_growthbooks_engine_has_the_same_sample_ratio():
    rng = np.random.default_rng(20_261_130)
    every = []
    for _ in range(200):
        weights = [float(w) for w in rng.choice([0.1, 0.5, 1.0, 3.0, 9.0], rng.integers(2, 7))]
        shares = np.array(weights) / sum(weights) * rng.uniform(0.97, 1.03, len(weights))
        units = rng.multinomial(int(10 ** rng.uniform(1, 6)), shares / shares.sum())
        every.append({"units": [int(one) for one in units], "weights": weights})
    for case, theirs in zip(every, asked(every), strict=True):
        ours = srm.check([case["units"]], case["weights"]).chi_square_p
        assert ours == pytest.approx(theirs["p_value"], rel=1e-7, abs=1e-300), case
