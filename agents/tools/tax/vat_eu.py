"""EU VAT: where a supply is taxed, who accounts for it, and what goes through the one-stop shop."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.tools.amounts import Amount, Positive, cents, percent
from agents.tools.registry import tool
from agents.tools.tax import outputs
from agents.tools.tax.rates import eu_members, sample_notice, vat_rate
from config.errors import InvalidInput

# Article 59c: cross-border consumer sales of a calendar year up to this stay in the home country.
OSS_THRESHOLD_EUR = Decimal(10_000)

Country = Annotated[str, Field(pattern="^[A-Z]{2}$", description="ISO 3166 code, Greece as GR")]
Kind = Literal["goods", "services", "digital_services", "property_services", "event_admission"]


class Supply(BaseModel):
    """One supply, in euro without VAT."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    customer_country: Country
    net_amount: Amount
    customer_type: Literal["business", "consumer"]
    customer_vat_number: str | None = Field(None, description="with country prefix")
    performed_in: Country | None = Field(None, description="where the property or event is")


@dataclass(frozen=True, slots=True)
class Treatment:
    """What the law says of one supply; ``rate`` is a ratio."""

    name: str
    place: str
    rate: Decimal
    basis: str


@tool("tax.eu_vat_supplies", light=True)
def eu_vat_supplies(
    supplier_country: Country,
    supplies: Annotated[list[Supply], Field(min_length=1, max_length=500)],
    supply_date: Annotated[date, Field(description="tax point; picks the rates in force")],
    prior_consumer_sales: Annotated[
        Positive, Field(description="cross-border consumer sales earlier in the year, EUR")
    ] = Decimal(0),
    oss_opted_in: Annotated[bool, Field(description="taxes at destination by choice")] = False,
) -> outputs.EuVatSupplies:
    """Place of supply, reverse charge and one-stop-shop VAT for a set of supplies.

    Source: Directive 2006/112/EC, Articles 31-33, 44, 45, 47, 53, 54, 58, 59c, 138, 146, 196 and
    369a-369k. Rates come from the dated table (standard rates).
    """
    if supplier_country not in eu_members():
        raise InvalidInput("supplier_country", supplier_country, "must be an EU member state")
    exposed = sum(
        (s.net_amount for s in supplies if _counts_for_threshold(s, supplier_country)), Decimal(0)
    )
    total = prior_consumer_sales + exposed
    at_destination = oss_opted_in or total > OSS_THRESHOLD_EUR
    rows: list[dict[str, object]] = []
    sums: dict[str, Decimal] = defaultdict(Decimal)
    oss: dict[str, Decimal] = defaultdict(Decimal)
    for supply in supplies:
        found = _treat(supply, supplier_country, supply_date, at_destination)
        vat = supply.net_amount * found.rate
        sums[found.name] += supply.net_amount
        sums["domestic_vat" if found.name == "domestic VAT" else f"vat {found.name}"] += vat
        if found.name == "OSS":
            oss[found.place] += vat
        rows.append(
            {
                "customer_country": supply.customer_country,
                "treatment": found.name,
                "place_of_supply": found.place,
                "vat_rate_percent": percent(found.rate),
                "vat_due": cents(vat),
                "legal_basis": found.basis,
            }
        )
    return {
        "supply_treatments": rows,
        "domestic_vat_due": cents(sums["domestic_vat"]),
        "oss_vat_due": cents(sum(oss.values(), Decimal(0))),
        "oss_vat_by_country": [
            {"country": country, "oss_vat": cents(vat)} for country, vat in sorted(oss.items())
        ],
        "registration_abroad_vat": cents(sums["vat local registration"]),
        "reverse_charge_turnover": cents(sums["reverse charge"]),
        "exempt_intra_community_turnover": cents(sums["intra-Community exempt"]),
        "recapitulative_statement_total": cents(
            sums["reverse charge"] + sums["intra-Community exempt"]
        ),
        "outside_scope_or_export_turnover": cents(sums["outside scope"] + sums["export"]),
        "cross_border_consumer_total": cents(total),
        "destination_taxation": _threshold_verdict(total, oss_opted_in),
        "rates_note": sample_notice(),
    }


def _counts_for_threshold(supply: Supply, home: str) -> bool:
    return (
        supply.customer_type == "consumer"
        and supply.kind in ("goods", "digital_services")
        and supply.customer_country != home
        and supply.customer_country in eu_members()
    )


def _threshold_verdict(total: Decimal, opted_in: bool) -> str:
    if total > OSS_THRESHOLD_EUR:
        return "threshold of 10,000 EUR exceeded: tax at destination"
    if opted_in:
        return "below the threshold, destination taxation by choice"
    return "below the threshold: consumer sales stay taxed at home"


def _treat(supply: Supply, home: str, on: date, at_destination: bool) -> Treatment:
    """The first rule that fits, special places before general ones."""
    customer = supply.customer_country
    if supply.kind in ("property_services", "event_admission"):
        return _where_performed(supply, home, on)
    if customer not in eu_members():
        return _third_country(supply, home, on)
    if customer == home:
        return _home(home, on, "Articles 31, 44, 45")
    if supply.customer_type == "business":
        return _to_business(supply, home, on)
    if supply.kind in ("goods", "digital_services") and at_destination:
        basis = "Articles 33(a), 369b" if supply.kind == "goods" else "Articles 58, 369b"
        return Treatment("OSS", customer, vat_rate(customer, on).standard, basis)
    return _home(home, on, "Article 59c" if supply.kind != "services" else "Article 45")


def _home(home: str, on: date, basis: str) -> Treatment:
    return Treatment("domestic VAT", home, vat_rate(home, on).standard, basis)


def _where_performed(supply: Supply, home: str, on: date) -> Treatment:
    if supply.performed_in is None:
        raise InvalidInput("supplies.performed_in", None, f"is needed for {supply.kind}")
    place = supply.performed_in
    basis = "Article 47" if supply.kind == "property_services" else "Articles 53, 54"
    if place == home:
        return _home(home, on, basis)
    if place not in eu_members():
        return Treatment("outside scope", place, Decimal(0), basis)
    return Treatment("local registration", place, vat_rate(place, on).standard, basis)


def _third_country(supply: Supply, home: str, on: date) -> Treatment:
    place = supply.customer_country
    if supply.kind == "goods":
        return Treatment("export", home, Decimal(0), "Article 146")
    if supply.customer_type == "business":
        return Treatment("outside scope", place, Decimal(0), "Article 44")
    if supply.kind == "digital_services":
        return Treatment("outside scope", place, Decimal(0), "Article 58")
    return _home(home, on, "Article 45")


def _to_business(supply: Supply, home: str, on: date) -> Treatment:
    if supply.kind != "goods":
        return Treatment(
            "reverse charge", supply.customer_country, Decimal(0), "Articles 44 and 196"
        )
    if _registered(supply.customer_vat_number, supply.customer_country):
        return Treatment("intra-Community exempt", home, Decimal(0), "Article 138")
    # Article 138(1)(b): no valid VAT number of another member state, no exemption.
    return _home(home, on, "Article 138(1)(b) not met: no valid VAT number")


def _registered(number: str | None, country: str) -> bool:
    """Whether ``number`` has the form and check digits of another member state's VAT number."""
    if not number:
        return False
    from stdnum.eu import vat

    compact = number.replace(" ", "").upper()
    prefix = "EL" if country == "GR" else country
    return compact.startswith(prefix) and bool(vat.is_valid(compact))
