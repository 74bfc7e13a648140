from __future__ import annotations

import pytest

from agents.domain.guardrails.redact import redact
from learning.domain.probes import LeakRate, leak_rate

TEXTS = [f"The invoice {n} of Ada GmbH is due; ask the client about the rate." for n in range(30)]


def test_a_redaction_that_does_nothing_leaks_everything():
    found = leak_rate(TEXTS, lambda text: text, seed=1)
    assert found.leaked == found.planted == 120
    assert found.ratio == 1.0


def test_ours_leaks_little_of_what_is_planted():
    found = leak_rate(TEXTS, redact, seed=1)
    assert found.ratio <= 0.02
    assert found.ratio <= found.upper < 0.06


def test_identifiers_between_other_figures_are_found():
    texts = [
        f"see {n} 45 12 of 2024 {n * 7} rows and {1764400000 + n}.5100 at last" for n in range(40)
    ]
    assert leak_rate(texts, redact, seed=7).leaked == 0


def test_no_evidence_is_not_safety():
    assert LeakRate(0, 0).upper == 1.0


def test_nothing_leaked_of_a_hundred_bounds_the_rate_at_three_percent():
    assert LeakRate(100, 0).upper == pytest.approx(0.0295, abs=1e-4)
