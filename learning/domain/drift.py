"""Whether a window of values has drifted from its reference, by kind of data.

With enough rows every difference is significant, so a drift needs three things: a test that
rejects, an effect of a size that matters, and enough rows. ``Streak`` adds a fourth: several
windows in a row. Error streams are watched value by value with ADWIN.
Sources: Scholz, Stephens, "K-Sample Anderson-Darling Tests", JASA 82, 1987; Bifet, Gavaldà,
"Learning from Time-Changing Data with Adaptive Windowing", SDM 2007.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from learning.domain import numeric

# Nominal; SciPy's interpolated p-values reject slightly more often (docs/reference/drift.md).
ALPHA = 0.022
MIN_ROWS = 30
# Distance of the two distribution functions (0 to 1) under which a drift doesn't matter.
MIN_DISTANCE = 0.05
# Population stability index; 0.1 is the usual "look at it", 0.25 the usual "act".
MIN_PSI = 0.02
# Expected counts under this make chi-square unreliable: rare categories are pooled.
MIN_EXPECTED = 5
# Where one value has a larger share than this, the distribution of the statistic is redrawn.
FREQUENT, REDRAWS = 0.1, 999
# Redrawing more different values than this costs too much (a quarter of a second for these).
MOST_VALUES = 1_000
VOCABULARY = 200
_WORD = re.compile(r"[^\W\d_]+|\d+")


@dataclass(frozen=True, slots=True)
class Drift:
    """What a comparison found. ``drifted`` is None when there were too few rows to say."""

    test: str
    p_value: float | None
    effect: float
    effect_name: str
    rows: tuple[int, int]
    drifted: bool | None


def numeric_drift(reference: ArrayLike, current: ArrayLike, *, alpha: float = ALPHA) -> Drift:
    """Compare numbers by Anderson-Darling (k-sample, midranks, so ties are fine).

    The effect is the largest distance of the two empirical distribution functions.
    """
    a, b = _finite(reference), _finite(current)
    rows = (len(a), len(b))
    if min(rows) < MIN_ROWS:
        return Drift("anderson-darling", None, 0.0, "distance", rows, None)
    distance = _distance(a, b)
    if np.ptp(np.concatenate([a, b])) == 0:
        return Drift("anderson-darling", 1.0, 0.0, "distance", rows, False)
    # Too small to matter: whatever the redraws would say, it is no drift.
    p = _numeric_p(a, b) if distance >= MIN_DISTANCE else _anderson_darling_p(a, b)
    return Drift(
        "anderson-darling", p, distance, "distance", rows, p < alpha and distance >= MIN_DISTANCE
    )


def categorical_drift(
    reference: Iterable[str], current: Iterable[str], *, alpha: float = ALPHA
) -> Drift:
    """Compare categories by chi-square on counts; the effect is the PSI of the same table."""
    return _counts_drift(Counter(reference), Counter(current), alpha, "chi-square")


def text_drift(reference: Sequence[str], current: Sequence[str], *, alpha: float = ALPHA) -> Drift:
    """Compare texts by how many of them hold each word, and by their length.

    A text counts once a word, so one long text weighs no more than a short one. The test is
    Fisher's exact one on every common word and Anderson-Darling on the length, joined by Holm;
    the effect is the largest difference of a word's share (or of the lengths' distribution).
    """
    rows = (len(reference), len(current))
    if min(rows) < MIN_ROWS:
        return Drift("words", None, 0.0, "share", rows, None)
    held = [[set(_words(t)) for t in side] for side in (reference, current)]
    counts = [Counter(w for words in side for w in words) for side in held]
    together = counts[0] + counts[1]
    vocabulary = [w for w, n in together.most_common(VOCABULARY) if n >= 2 * MIN_EXPECTED]
    lengths = numeric_drift(*([len(_words(t)) for t in side] for side in (reference, current)))
    found = [(lengths.p_value if lengths.p_value is not None else 1.0, lengths.effect)]
    for word in vocabulary:
        one, other = counts[0][word], counts[1][word]
        table = [[one, rows[0] - one], [other, rows[1] - other]]
        p = float(numeric.stats().fisher_exact(table).pvalue)
        found.append((p, abs(one / rows[0] - other / rows[1])))
    p, effect = min(found)
    adjusted = min(1.0, p * len(found))
    drifted = adjusted < alpha and effect >= MIN_DISTANCE
    return Drift("words", adjusted, effect, "share", rows, drifted)


@dataclass(frozen=True, slots=True)
class Streak:
    """Drifted windows in a row; ``confirmed`` from ``needed`` on. A window too small changes
    nothing: no data is neither drift nor its absence."""

    needed: int = 2
    length: int = 0

    def __post_init__(self) -> None:
        if self.needed < 1 or self.length < 0:
            raise ValueError(f"need needed >= 1 and length >= 0, got {self}")

    @property
    def confirmed(self) -> bool:
        """Whether enough windows in a row have drifted."""
        return self.length >= self.needed

    def after(self, window: Drift) -> Streak:
        """The streak once ``window`` is known."""
        if window.drifted is None:
            return self
        return Streak(self.needed, self.length + 1 if window.drifted else 0)


def population_stability(reference: Counter[str], current: Counter[str]) -> float:
    """PSI of two tables of counts: 0 when equal; half a count stands in for a missing one."""
    names = reference.keys() | current.keys()
    n, m = sum(reference.values()), sum(current.values())
    if not names or n == 0 or m == 0:
        return 0.0
    a = np.array([max(reference[k], 0.5) / n for k in sorted(names)])
    b = np.array([max(current[k], 0.5) / m for k in sorted(names)])
    return float(np.sum((b - a) * np.log(b / a)))


def _counts_drift(reference: Counter[str], current: Counter[str], alpha: float, test: str) -> Drift:
    n, m = sum(reference.values()), sum(current.values())
    if min(n, m) < MIN_ROWS:
        return Drift(test, None, 0.0, "psi", (n, m), None)
    one, other = _pooled(reference, current)
    effect = population_stability(one, other)
    names = sorted(one.keys() | other.keys())
    if len(names) < 2:
        return Drift(test, 1.0, effect, "psi", (n, m), False)
    table = np.array([[one[k] for k in names], [other[k] for k in names]])
    p = float(numeric.stats().chi2_contingency(table, correction=False).pvalue)
    return Drift(test, p, effect, "psi", (n, m), p < alpha and effect >= MIN_PSI)


def _pooled(a: Counter[str], b: Counter[str]) -> tuple[Counter[str], Counter[str]]:
    """Both tables with categories too rare for chi-square pooled into one."""
    n, m = sum(a.values()), sum(b.values())
    share = min(n, m) / (n + m)
    rare = {k for k in a.keys() | b.keys() if (a[k] + b[k]) * share < MIN_EXPECTED}
    pooled: list[Counter[str]] = []
    for side in (a, b):
        kept = Counter({k: v for k, v in side.items() if k not in rare})
        rest = sum(side[k] for k in rare)
        if rest:
            kept["\x00rare"] = rest
        pooled.append(kept)
    return pooled[0], pooled[1]


def _finite(values: ArrayLike) -> np.ndarray:
    data = np.asarray(values, dtype=np.float64).ravel()
    return data[np.isfinite(data)]


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    both = np.sort(np.concatenate([a, b]))
    one = np.searchsorted(np.sort(a), both, side="right") / len(a)
    other = np.searchsorted(np.sort(b), both, side="right") / len(b)
    return float(np.max(np.abs(one - other)))


def _numeric_p(a: np.ndarray, b: np.ndarray) -> float:
    """Anderson-Darling, from its table where values are nearly all different, else by redrawing.

    Ratings and the zeros of costs and retries break the table: 5 % false alarms instead of 2 %.
    """
    both = np.concatenate([a, b])
    values, counts = np.unique(both, return_counts=True)
    if counts.max() <= FREQUENT * len(both):
        return _anderson_darling_p(a, b)
    places = np.searchsorted(values, a)
    if len(values) > MOST_VALUES:  # neighbours are taken together
        joined = (np.cumsum(counts) - counts) * MOST_VALUES // len(both)
        _, joined = np.unique(joined, return_inverse=True)
        places, counts = joined[places], np.bincount(joined, weights=counts).astype(np.int64)
    of_a = np.bincount(places, minlength=len(counts))
    drawn = np.random.default_rng(0).multivariate_hypergeometric(
        counts, len(a), size=REDRAWS, method="marginals"
    )
    seen = _tied_statistic(of_a[None, :], counts)[0]
    return float(1 + np.count_nonzero(_tied_statistic(drawn, counts) >= seen)) / (REDRAWS + 1)


def _tied_statistic(of_a: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Anderson-Darling's statistic with midranks, but for a factor, of each row of counts."""
    n, total = of_a[0].sum(), counts.sum()
    until = np.cumsum(counts) - counts / 2
    of_a_until = np.cumsum(of_a, axis=1) - of_a / 2
    weight = counts / (until * (total - until) - total * counts / 4)
    return np.asarray(((total * of_a_until - n * until) ** 2 * weight).sum(axis=1))


def _anderson_darling_p(a: np.ndarray, b: np.ndarray) -> float:
    """SciPy's p-value, which it floors at 0.001 and caps at 0.25 and warns of both."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(numeric.stats().anderson_ksamp([a, b], variant="midrank").pvalue)


def _words(text: str) -> list[str]:
    return ["<num>" if w.isdigit() else w.lower() for w in _WORD.findall(text)]
