"""SciPy and scikit-learn, imported at their first use.

Together they cost two seconds and 100 MB in a process. Most processes that load the learning code
(the web, the sweeps) compute with it seldom or never, so a function gives the module.
"""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def stats() -> Any:
    """``scipy.stats``."""
    from scipy import stats as module

    return module


@cache
def special() -> Any:
    """``scipy.special``."""
    from scipy import special as module

    return module


@cache
def optimize() -> Any:
    """``scipy.optimize``."""
    from scipy import optimize as module

    return module


@cache
def sparse() -> Any:
    """``scipy.sparse``."""
    from scipy import sparse as module

    return module


@cache
def texts() -> Any:
    """``sklearn.feature_extraction.text``."""
    from sklearn.feature_extraction import text as module

    return module


@cache
def clusters() -> Any:
    """``sklearn.cluster``."""
    from sklearn import cluster as module

    return module
