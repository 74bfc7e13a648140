"""Group accounts: IFRS 3's bargain purchase example, eliminations, translation."""

import pytest

from agents.tools.registry import get
from config.errors import InvalidInput


def goodwill(**arguments):
    return get("accounting.goodwill").call(arguments)


def eliminate(**arguments):
    sale = {"intragroup_sales": 200, "cost_to_seller": 150, "unsold_ratio": "0.4"}
    return get("accounting.eliminate_intragroup").call({**sale, **arguments})


BARGAIN = {"consideration": 150, "ownership_ratio": "0.8", "net_assets_fair_value": 200}


@pytest.mark.parametrize(
    ("method", "gain"),
    [({"nci_method": "fair_value", "nci_fair_value": 42}, "8.00"), ({}, "10.00")],
)
def test_a_bargain_purchase_gives_the_gain_of_the_illustrative_example(method, gain):
    assert goodwill(**BARGAIN, **method)["bargain_purchase_gain"] == gain


def test_an_earlier_interest_is_remeasured_through_profit():
    result = goodwill(
        consideration=700,
        ownership_ratio=1,
        net_assets_fair_value=800,
        earlier_interest_fair_value=300,
        earlier_interest_carrying=220,
        acquisition_costs=30,
    )
    assert result["goodwill"] == "200.00"
    assert result["profit_effect_at_acquisition"] == "50.00"


def test_the_fair_value_method_needs_a_fair_value():
    with pytest.raises(InvalidInput, match="nci_fair_value"):
        goodwill(**BARGAIN, nci_method="fair_value")


def test_only_an_upstream_sale_is_shared_with_the_minority():
    up = eliminate(seller="subsidiary", ownership_ratio="0.75", tax_rate="0.25")
    down = eliminate(seller="parent", ownership_ratio="0.75", tax_rate="0.25")
    assert (up["unrealised_profit"], up["deferred_tax_asset"]) == ("20.00", "5.00")
    assert (up["reduction_for_owners"], up["reduction_for_minority"]) == ("11.25", "3.75")
    assert (down["reduction_for_owners"], down["reduction_for_minority"]) == ("15.00", "0.00")


def test_balances_that_differ_are_not_netted_away():
    result = eliminate(
        seller="parent", ownership_ratio=1, intragroup_receivable=50, intragroup_payable=41
    )
    assert (result["balance_eliminated"], result["balance_difference"]) == ("41.00", "9.00")


def test_translation_difference_is_the_effect_of_two_rate_changes():
    result = get("accounting.translate_subsidiary").call(
        {
            "opening_net_assets": 1000,
            "local_profit": 200,
            "opening_rate": 2,
            "average_rate": "2.1",
            "closing_rate": "2.3",
            "ownership_ratio": "0.8",
        }
    )
    # 1000 x (2.3 - 2.0) + 200 x (2.3 - 2.1)
    assert result["translation_difference"] == "340.00"
    assert result["difference_to_minority"] == "68.00"
