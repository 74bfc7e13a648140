from __future__ import annotations

import pytest

from learning.domain.adopting import needs_person

PLAIN = {"id": 1, "approvals": {}, "writes": frozenset(), "workflows": frozenset()}


@pytest.mark.parametrize(
    ("improvement_risk", "risks", "changes", "expected"),
    [
        (None, {}, {"id": 2}, ""),
        ("low", {"tax-vat-001": "low"}, {"id": 2}, ""),
        ("medium", {}, {"id": 2}, "the improvement's risk is medium"),
        (None, {"a": "high", "b": "low"}, {}, "a is not of low risk"),
        (None, {"a": "high", "b": "medium"}, {}, "a, b are not of low risk"),
        (None, {}, {"id": 2, "approvals": {"sign": 1}}, "its approvals are others"),
        (None, {}, {"id": 2, "writes": {"mail"}}, "it writes outside (mail)"),
        (None, {}, {"id": 2, "workflows": {"x"}}, "it contains other workflows (x)"),
        (None, {}, {"writes": {"mail"}}, ""),  # the same version: only agents' versions differ
    ],
)
def test_a_person_decides_about_what_is_risky(improvement_risk, risks, changes, expected):
    assert expected == needs_person(
        improvement_risk=improvement_risk, agent_risks=risks, present=PLAIN,
        winner={**PLAIN, **changes},
    )  # fmt: skip
