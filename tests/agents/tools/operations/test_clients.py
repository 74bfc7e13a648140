"""Acceptance, engagement records, independence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents.tools import registry
from agents.tools.registry import ToolContext
from config.errors import Conflict, InvalidInput, Unavailable


class Shelf:
    """Artifacts in memory: the same content gives the same reference."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def read(self, ref: str) -> bytes:
        return self.held[ref]

    def save(self, name: str, content: bytes, content_type: str) -> str:
        self.held[name] = content
        return name


def call(tool: str, context: ToolContext | None = None, **arguments: Any) -> Any:
    return registry.get(f"operations.{tool}").call(arguments, context)


ENGAGEMENT = {
    "client": "Marlow Foods Ltd",
    "services": ["audit", "tax"],
    "year": 2026,
    "agreed_fee": 48000,
    "risk_class": "low",
}


def test_an_engagement_is_opened_once_however_often_it_is_asked_for():
    shelf = Shelf()
    first = call("open_engagement", ToolContext(artifacts=shelf), **ENGAGEMENT)
    again = call("open_engagement", ToolContext(artifacts=shelf, attempt=2), **ENGAGEMENT)
    assert first == again
    assert len(shelf.held) == 1


def test_a_withdrawal_names_what_it_withdraws():
    shelf = Shelf()
    context = ToolContext(artifacts=shelf)
    opened = call("open_engagement", context, **ENGAGEMENT)
    notice = call("withdraw_engagement", context, record=opened["record"], reason="declined")
    assert json.loads(shelf.held[notice["notice"]])["withdraws"] == opened["record"]


def test_only_an_opened_engagement_can_be_withdrawn():
    shelf = Shelf()
    context = ToolContext(artifacts=shelf)
    reference = shelf.save("x", b"{}", "application/json")
    with pytest.raises(Conflict):
        call("withdraw_engagement", context, record=reference, reason="declined")


def test_without_a_store_nothing_is_opened():
    with pytest.raises(Unavailable):
        call("open_engagement", None, **ENGAGEMENT)


def test_instalments_sum_to_the_fee():
    terms = call(
        "engagement_terms",
        services=["audit"],
        agreed_fee="100.00",
        start_on="2026-01-01",
        instalments=3,
    )
    assert terms["instalment"] * 2 + terms["last_instalment"] == pytest.approx(100.0)
    assert (terms["instalment"], terms["last_instalment"]) == (33.33, 33.34)


def risk(factors: list[str], hits: int = 0) -> Any:
    return call(
        "acceptance_risk",
        risk_factors=factors,
        screening_hits=hits,
        expected_fee=10,
        firm_fee_income=100,
    )


@pytest.mark.parametrize(
    ("factors", "hits", "level", "diligence"),
    [
        ([], 0, "low", "standard"),
        (["complex_ownership"], 0, "low", "standard"),
        (["prior_auditor_declined"], 0, "medium", "standard"),
        (["politically_exposed"], 0, "medium", "enhanced"),
        ([], 1, "medium", "enhanced"),
        (["politically_exposed", "cash_intensive"], 0, "high", "enhanced"),
    ],
)
def test_acceptance_weighs_its_factors(factors, hits, level, diligence):
    result = risk(factors, hits)
    assert (result["risk_class"], result["due_diligence"]) == (level, diligence)


def holdings(holder: str, *, material: bool = False, team: bool = True) -> int:
    result = call(
        "check_holdings",
        person="S01",
        holdings=[{"security": "acme", "value": 100, "holder": holder, "material": material}],
        restricted=[{"security": "ACME", "client": "Acme plc"}],
        in_engagement_team=team,
    )
    return int(result["breach_count"])


def test_interests_in_audit_clients_are_breaches():
    assert holdings("self") == 1
    assert holdings("immediate_family", team=False) == 1
    assert holdings("close_family") == 0
    assert holdings("close_family", material=True) == 1
    assert holdings("close_family", material=True, team=False) == 0


@pytest.mark.parametrize(
    ("served", "away", "role", "state"),
    [
        (5, 0, "engagement_partner", "may serve"),
        (6, 0, "engagement_partner", "last year"),
        (7, 0, "engagement_partner", "must rotate"),
        (7, 4, "engagement_partner", "cooling off"),
        (7, 5, "engagement_partner", "may serve"),
        (7, 2, "quality_reviewer", "cooling off"),
        (7, 2, "key_partner", "may serve"),
    ],
)
def test_partners_rotate_after_seven_years(served, away, role, state):
    one = {
        "partner": "P",
        "client": "C",
        "role": role,
        "years_served": served,
        "years_away": away,
    }
    assert call("partner_rotation", assignments=[one])["rotation"][0]["state"] == state


@pytest.mark.parametrize(
    ("shares", "public", "needed"),
    [
        ([16, 16], True, True),
        ([16, 15], True, False),  # the limit itself is not above it
        ([16, 14, 16], True, False),  # not in a row
        ([31, 31, 31, 31], False, False),
        ([31, 31, 31, 31, 31], False, True),
    ],
)
def test_fee_dependency_needs_years_in_a_row(shares, public, needed):
    result = call(
        "fee_dependency",
        client_fees=shares,
        firm_fees=[100] * len(shares),
        public_interest=public,
    )
    assert result["disclosure_needed"] is needed


def conclude(**checks: Any) -> str:
    return str(call("independence_conclusion", **checks)["conclusion"])


def test_a_check_that_was_not_made_is_never_clean():
    clean = {"person": "P", "breach_count": 0}
    assert conclude(people=[clean], must_rotate=0, disclosures=0) == "independent"
    assert conclude(people=[clean, None], must_rotate=0, disclosures=0) == (
        "incomplete: holdings of 1 people"
    )
    assert "fee dependency" in conclude(people=[clean], must_rotate=0)
    breach = {"person": "P", "breach_count": 2}
    assert conclude(people=[breach]) == "matters to resolve before work goes on"


def test_a_paper_shows_tables_lists_and_what_is_missing():
    shelf = Shelf()
    sections = {
        "Rows": [{"account": "a|b", "change": 1.5}, {"account": "c", "tied": True}],
        "Facts": {"fee_share": 2, "who": ["x", "y"]},
        "Letter": None,
    }
    paper = call(
        "working_paper", ToolContext(artifacts=shelf), title="Close of A/B", sections=sections
    )
    text = shelf.held[paper["paper"]].decode()
    assert "| account | change | tied |" in text
    assert "| a\\|b | 1.5 | not available |" in text
    assert "- fee share: 2\n- who:\n  - x\n  - y" in text
    assert paper["empty_sections"] == ["Letter"]


def test_a_paper_too_deep_to_read_is_refused():
    deep: Any = {"x": 1}
    for _ in range(8):
        deep = {"x": deep}
    with pytest.raises(InvalidInput, match="levels deep"):
        call("working_paper", ToolContext(artifacts=Shelf()), title="Deep", sections={"S": deep})
