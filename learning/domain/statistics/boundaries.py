"""How likely a test crosses its limits at each of its looks, exactly, by recursive integration.

The statistic at information fraction t is a Brownian motion with drift. Source: Armitage,
McPherson and Rowe, JRSS A 132 (1969); Jennison and Turnbull, "Group Sequential Methods", ch. 19.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from learning.domain import numeric

# Gauss-Legendre nodes of one look's region; 161 give five digits with 30 looks.
NODES = 161
_X, _W = np.polynomial.legendre.leggauss(NODES)
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
    for fraction, limit in zip(fractions, limits, strict=True):
        edge = min(limit, NEVER + abs(drift)) * math.sqrt(fraction)
        found.append(tails(density, fraction - before, edge, drift))
        density = advance(density, fraction - before, edge, drift)
        before = fraction
    return found


def tails(density: Density, step: float, edge: float, drift: float) -> tuple[float, float]:
    """Mass that the next ``step`` carries above ``edge`` and below ``-edge``."""
    places, mass = density
    sd = math.sqrt(step)
    upper = float(mass @ numeric.special().ndtr((places + drift * step - edge) / sd))
    lower = float(mass @ numeric.special().ndtr((-edge - places - drift * step) / sd))
    return upper, lower


def advance(density: Density, step: float, edge: float, drift: float) -> Density:
    """The mass that stays within the limits after ``step``."""
    places, mass = density
    new = edge * _X
    scores = (new[:, None] - places[None, :] - drift * step) / math.sqrt(step)
    kernel = np.exp(-0.5 * scores**2) / math.sqrt(2 * math.pi * step)
    return new, (kernel @ mass) * edge * _W


def check_fractions(fractions: Sequence[float]) -> None:
    """Raise ValueError unless they rise strictly within (0, 1]."""
    if not fractions or any(b <= a for a, b in zip([0.0, *fractions], fractions, strict=False)):
        raise ValueError(f"need fractions that rise from above 0, got {list(fractions)}")
    if fractions[-1] > 1 + 1e-9:
        raise ValueError(f"need fractions up to 1, got {fractions[-1]}")
