"""VAT of the Union and of the United Kingdom."""

from __future__ import annotations

from typing import Any

import pytest

from agents.tools import registry
from config.errors import InvalidInput


def supplies(home: str, on: str, *lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    arguments = {"supplier_country": home, "supply_date": on, "supplies": list(lines), **more}
    return registry.get("tax.eu_vat_supplies").call(arguments)


def line(kind: str, to: str, net: float, customer: str, **more: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "customer_country": to,
        "net_amount": net,
        "customer_type": customer,
        **more,
    }


@pytest.mark.parametrize(
    ("prior", "oss", "home"),
    [
        (9_899.99, 0.0, 19.0),  # 9,999.99 in all: still taxed at home
        (9_900.00, 0.0, 19.0),  # exactly 10,000 is not above it
        (9_900.01, 20.0, 0.0),  # one cent more: French VAT through the one-stop shop
    ],
)
def test_consumer_sales_move_to_the_destination_above_ten_thousand_euro(prior, oss, home):
    result = supplies(
        "DE",
        "2025-03-01",
        line("digital_services", "FR", 100, "consumer"),
        prior_consumer_sales=prior,
    )
    assert (result["oss_vat_due"], result["domestic_vat_due"]) == (oss, home)


def test_goods_to_a_business_are_exempt_only_with_a_valid_foreign_vat_number():
    good = line("goods", "AT", 1000, "business", customer_vat_number="ATU13585627")
    bad = line("goods", "AT", 1000, "business", customer_vat_number="ATU13585628")
    other = line("goods", "AT", 1000, "business", customer_vat_number="DE136695976")
    assert supplies("DE", "2025-03-01", good)["exempt_intra_community_turnover"] == 1000.0
    assert supplies("DE", "2025-03-01", bad)["domestic_vat_due"] == 190.0
    assert supplies("DE", "2025-03-01", other)["domestic_vat_due"] == 190.0


@pytest.mark.parametrize(
    ("supply", "treatment", "place"),
    [
        (line("services", "BE", 10, "business"), "reverse charge", "BE"),
        (line("services", "BE", 10, "consumer"), "domestic VAT", "NL"),
        (line("services", "US", 10, "business"), "outside scope", "US"),
        (line("services", "US", 10, "consumer"), "domestic VAT", "NL"),
        (line("digital_services", "US", 10, "consumer"), "outside scope", "US"),
        (line("goods", "CH", 10, "consumer"), "export", "NL"),
        (
            line("property_services", "NL", 10, "business", performed_in="BE"),
            "local registration",
            "BE",
        ),
        (
            line("event_admission", "BE", 10, "business", performed_in="US"),
            "outside scope",
            "US",
        ),
    ],
)
def test_every_supply_has_its_place(supply, treatment, place):
    row = supplies("NL", "2025-01-10", supply)["supply_treatments"][0]
    assert (row["treatment"], row["place_of_supply"]) == (treatment, place)


def test_the_rate_is_that_of_the_day():
    sale = line("services", "DE", 1000, "consumer")
    assert supplies("DE", "2020-06-30", sale)["domestic_vat_due"] == 190.0
    assert supplies("DE", "2020-07-01", sale)["domestic_vat_due"] == 160.0
    assert supplies("DE", "2021-01-01", sale)["domestic_vat_due"] == 190.0


def test_a_supplier_outside_the_union_is_refused():
    with pytest.raises(InvalidInput, match="supplier_country"):
        supplies("GB", "2025-01-10", line("goods", "DE", 10, "consumer"))


def test_property_needs_its_country():
    with pytest.raises(InvalidInput, match="performed_in"):
        supplies("DE", "2025-01-10", line("property_services", "DE", 10, "business"))


def uk(sales: list[dict[str, Any]], purchases: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    arguments = {"period_end": "2025-09-30", "sales": sales, "purchases": purchases, **more}
    return registry.get("tax.uk_vat_return").call(arguments)


def test_reverse_charge_is_neutral_for_a_fully_taxable_trader():
    result = uk(
        [{"treatment": "standard", "net": 1000}], [{"treatment": "reverse_charge", "net": 400}]
    )
    assert result["box_1_vat_due_on_sales"] == 280.0
    assert result["box_4_vat_reclaimed"] == 80.0
    assert result["box_5_net_vat"] == 200.0
    assert (result["box_6_sales_ex_vat"], result["box_7_purchases_ex_vat"]) == (1400, 400)


@pytest.mark.parametrize(
    ("net", "reclaimed"),
    [
        (9_375.00, 1_875.00 * 2),  # 1,875.00 of exempt input tax in a quarter: de minimis
        (9_375.05, 1_875.01),  # one penny above 625 a month
    ],
)
def test_exempt_input_tax_is_recovered_up_to_625_a_month(net, reclaimed):
    result = uk(
        [{"treatment": "standard", "net": 100000}, {"treatment": "exempt", "net": 50000}],
        [
            {"treatment": "standard", "net": net, "attribution": "exempt"},
            {"treatment": "standard", "net": net, "attribution": "taxable"},
        ],
    )
    assert result["box_4_vat_reclaimed"] == pytest.approx(reclaimed)


def test_the_residual_rate_is_rounded_up_to_a_whole_percent():
    result = uk([{"treatment": "standard", "net": 1}, {"treatment": "exempt", "net": 2}], [])
    assert result["recovery_rate_percent"] == 34


def test_blocked_input_tax_is_never_recovered():
    result = uk(
        [{"treatment": "standard", "net": 1000}],
        [{"treatment": "standard", "net": 500, "blocked": True}],
    )
    assert (result["box_4_vat_reclaimed"], result["irrecoverable_input_vat"]) == (0.0, 100.0)
