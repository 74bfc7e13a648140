"""Dividends: the two statutory tests and the cover."""

import pytest

from agents.tools.registry import get


def reserves(realised, unrealised, **arguments):
    return get("corporate.distributable_reserves").call(
        {
            "reserves": [
                {"name": "retained", "amount": realised, "realised": True},
                {"name": "revaluation", "amount": unrealised, "realised": False},
            ],
            "share_capital": 1000,
            "proposed_dividend": 100,
            **arguments,
        }
    )


@pytest.mark.parametrize(
    ("realised", "unrealised", "form", "distributable"),
    [
        (300, 50, "private", "300.00"),
        (300, 50, "public", "300.00"),  # an unrealised gain helps nobody
        (300, -80, "private", "300.00"),
        (300, -80, "public", "220.00"),  # an unrealised loss binds a public company
        (-20, 500, "private", "0.00"),
        (60, -80, "public", "0.00"),
    ],
)
def test_distributable_profits_follow_the_form_of_the_company(
    realised, unrealised, form, distributable
):
    assert reserves(realised, unrealised, legal_form=form)["distributable_profits"] == (
        distributable
    )


def test_what_was_paid_since_is_no_longer_there():
    result = reserves(150, 0, interim_dividends_paid=51)
    assert result["shortfall"] == "1.00"
    assert result["dividend_verdict"].startswith("unlawful")


def test_a_public_company_that_pays_its_limit_keeps_its_protected_capital():
    result = reserves(
        500, -120, legal_form="public", undistributable_reserves=70, proposed_dividend=380
    )
    assert result["reserves_left"] == "0.00"
    assert result["net_assets_after_dividend"] == "1070.00"


@pytest.mark.parametrize(
    ("earnings", "flow", "cash", "verdict"),
    [
        (200, 150, 300, "covered by earnings and cash flow"),
        (200, 50, 300, "paid out of reserves, not out of this year"),
        (-10, 50, 300, "paid out of reserves, not out of this year"),
        (200, 150, 99, "cash does not allow it"),
    ],
)
def test_cover_asks_for_earnings_cash_flow_and_cash(earnings, flow, cash, verdict):
    result = get("corporate.dividend_cover").call(
        {
            "proposed_dividend": 100,
            "earnings": earnings,
            "free_cash_flow": flow,
            "ordinary_shares": 50,
            "cash_after_commitments": cash,
        }
    )
    assert (result["cover_verdict"], result["dividend_per_share"]) == (verdict, 2.0)
