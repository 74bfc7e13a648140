"""How likely a test crosses its limits at each of its looks, exactly, by recursive integration.

The statistic at information fraction t is a Brownian motion with drift. Source: Armitage,
McPherson and Rowe, JRSS A 132 (1969); Jennison and Turnbull, "Group Sequential Methods", ch. 19.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from learning.domain import numeric

# Gauss-Legendre nodes of one look's region; 161 give five digits with 30 looks.
NODES = 161
# Nodes are added by so many where the next step is short: the kernel of a step is narrow, and
# falls between nodes that are further apart than its standard deviation.
_MORE, _MOST_NODES = 40, 1_241
# Standard deviations beyond which a step's kernel is nothing (1e-15).
_REACH = 8.3
Density = tuple[NDArray[np.float64], NDArray[np.float64]]  # places, mass at each
START: Density = (np.zeros(1), np.ones(1))
# A limit beyond this many standard errors is never crossed.
NEVER = 8.0


def crossing(
    fractions: Sequence[float], limits: Sequence[float], drift: float = 0.0
) -> list[tuple[float, float]]:
    """(upper, lower) probability of the first crossing at each look.

    ``fractions`` of the full information rise to at most 1; ``limits`` are two-sided z-values;
    ``drift`` is the expected z at full information.
    """
    check_fractions(fractions)
    density, before, found = START, 0.0, []
    for place, (fraction, limit) in enumerate(zip(fractions, limits, strict=True)):
        root = math.sqrt(fraction)
        edge = min(limit, NEVER + abs(drift)) * root
        found.append(tails(density, fraction - before, edge, drift))
        if fraction == fractions[-1]:
            break
        # Nobody is further from where the drift leads than ``NEVER`` standard deviations.
        low, high = (drift * fraction + side * NEVER * root for side in (-1, 1))
        region = max(low, -edge), min(high, edge)
        if region[0] >= region[1]:  # all have crossed
            return found + [(0.0, 0.0)] * (len(fractions) - place - 1)
        nodes = _enough(region, fractions[place + 1] - fraction)
        density = advance(density, fraction - before, region, drift, nodes)
        before = fraction
    return found


def tails(density: Density, step: float, edge: float, drift: float) -> tuple[float, float]:
    """Mass that the next ``step`` carries above ``edge`` and below ``-edge``."""
    places, mass = density
    sd = math.sqrt(step)
    upper = float(mass @ numeric.special().ndtr((places + drift * step - edge) / sd))
    lower = float(mass @ numeric.special().ndtr((-edge - places - drift * step) / sd))
    return upper, lower


def advance(
    density: Density, step: float, region: tuple[float, float], drift: float, nodes: int = NODES
) -> Density:
    """The mass that is within ``region`` after ``step``, at so many ``nodes``."""
    places, mass = density
    at, weights = _rule(nodes)
    middle, half = (region[0] + region[1]) / 2, (region[1] - region[0]) / 2
    new, sd = middle + half * at, math.sqrt(step)
    # Of a short step only the nodes nearby count, which are a few of all.
    origin = new - drift * step
    first = np.searchsorted(places, origin - _REACH * sd)
    last = np.searchsorted(places, origin + _REACH * sd)
    near = first[:, None] + np.arange(int((last - first).max()))
    is_there, near = near < len(places), np.minimum(near, len(places) - 1)
    kernel = np.exp(-0.5 * ((origin[:, None] - places[near]) / sd) ** 2)
    kept = (kernel * mass[near] * is_there).sum(axis=1) / (math.sqrt(2 * math.pi) * sd)
    return new, kept * half * weights


def _enough(region: tuple[float, float], step: float) -> int:
    """Nodes whose largest gap, in the middle of ``region``, is a step's standard deviation."""
    wanted = math.pi * (region[1] - region[0]) / 2 / math.sqrt(step)
    more = math.ceil(max(0.0, wanted - NODES) / _MORE) * _MORE
    return min(NODES + more, _MOST_NODES)


@lru_cache(maxsize=_MOST_NODES // _MORE)
def _rule(nodes: int) -> Density:
    places, weights = np.polynomial.legendre.leggauss(nodes)
    return places, weights


def check_fractions(fractions: Sequence[float]) -> None:
    """Raise ValueError unless they rise strictly within (0, 1]."""
    if not fractions or any(b <= a for a, b in zip([0.0, *fractions], fractions, strict=False)):
        raise ValueError(f"need fractions that rise from above 0, got {list(fractions)}")
    if fractions[-1] > 1 + 1e-9:
        raise ValueError(f"need fractions up to 1, got {fractions[-1]}")
