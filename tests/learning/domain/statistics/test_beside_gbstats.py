"""Random arms through the analysis and through GrowthBook's engine, in an environment of its own.

Its bounds exclude our pandas, so it can be no dependency beside ours.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.benchmarks.peers import programs
from tests.learning.domain.statistics.test_properties import compared, sums

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("gbstats_program.py")
DRAWS = 60


def mean_arm(rng: np.random.Generator, n: int, shift: float, spread: float) -> dict[str, float]:
    values = rng.lognormal(1.0, 0.8, n) if rng.random() < 0.5 else rng.normal(9.0, spread, n)
    return sums(values * (1 + shift))


def ratio_arm(rng: np.random.Generator, n: int, shift: float) -> dict[str, float]:
    below = rng.integers(1, 9, n).astype(float)
    above = below * rng.normal(3.0, 0.6, n) * (1 + shift)
    return {
        "n": n, "numerator_sum": float(above.sum()),
        "numerator_sum_squares": float((above**2).sum()),
        "denominator_sum": float(below.sum()),
        "denominator_sum_squares": float((below**2).sum()),
        "numerator_denominator_sum_product": float((above * below).sum()),
    }  # fmt: skip


def cases() -> list[dict[str, Any]]:
    rng = np.random.default_rng(20_261_129)
    found = []
    for _ in range(DRAWS):
        sizes, shift = rng.integers(5, 400, 2), rng.normal(0, 0.2)
        told = {"alpha": float(rng.choice([0.01, 0.05, 0.1]))}
        spread = rng.uniform(0.1, 5.0)
        mean = {"control": mean_arm(rng, int(sizes[0]), 0, spread),
                "treatment": mean_arm(rng, int(sizes[1]), shift, spread)}  # fmt: skip
        ratio = {"control": ratio_arm(rng, int(sizes[0]), 0),
                 "treatment": ratio_arm(rng, int(sizes[1]), shift)}  # fmt: skip
        for arms in (mean, ratio):
            for kind in ("fixed", "sequential", "bayesian"):
                for scale in ("relative", "absolute"):
                    found.append({**arms, **told, "kind": kind, "scale": scale})
    return found


def test_growthbooks_engine_gives_the_same_numbers():
    python = programs.environment("gbstats", "gbstats==0.8.0")
    if python is None:
        pytest.skip("gbstats can't be installed here")
    asked = cases()
    done = subprocess.run(
        [python, "-P", PROGRAM], input=json.dumps(asked), capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    answered = json.loads(done.stdout)
    assert len(answered) == len(asked) == DRAWS * 12
    for case, theirs in zip(asked, answered, strict=True):
        metric = "ratio" if "numerator_sum" in case["control"] else "mean"
        ours = compared(
            case["kind"], case["control"], case["treatment"], metric,
            difference_type=case["scale"], alpha=case["alpha"],
        )  # fmt: skip
        assert ours["estimate"] == pytest.approx(theirs["expected"], rel=1e-7, abs=1e-12), case
        assert (ours["lower"], ours["upper"]) == pytest.approx(tuple(theirs["ci"]), rel=1e-6), case
        name = "chance_to_win" if case["kind"] == "bayesian" else "p_value"
        assert ours[name] == pytest.approx(theirs[name], rel=1e-5, abs=1e-9), case
