"""One group, many jurisdictions: dated rates, an estimate for each entity, the consolidation."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from agents.tools.amounts import Amount, Positive, cents, percent, share
from agents.tools.registry import tool
from agents.tools.tax import outputs
from agents.tools.tax.rates import (
    corporate_rate,
    known_jurisdictions,
    sample_notice,
    vat_rate,
)
from config.errors import InvalidInput

Jurisdiction = Annotated[str, Field(pattern="^[A-Z]{2}$", description="ISO 3166 code")]


class EntityFigures(BaseModel):
    """One entity's year, in the group's reporting currency."""

    model_config = ConfigDict(extra="ignore")
    entity: str
    jurisdiction: Jurisdiction
    profit_before_tax: Amount
    non_deductible: Positive = Decimal(0)
    losses_brought_forward: Positive = Decimal(0)
    taxable_sales: Positive = Decimal(0)
    reduced_rate_sales: Positive = Decimal(0)
    taxable_purchases: Positive = Decimal(0)


class Estimate(BaseModel):
    """What ``tax.jurisdiction_estimate`` returns, as far as the consolidation reads it."""

    model_config = ConfigDict(extra="ignore")
    entity: str
    jurisdiction: str
    profit_before_tax: Decimal
    corporate_tax: Decimal
    net_vat: Decimal
    effective_rate_percent: Decimal


@tool("tax.rate_tables", light=True)
def rate_tables(
    jurisdictions: Annotated[list[Jurisdiction], Field(min_length=1, max_length=60)],
    on_date: Annotated[date, Field(description="picks the rates in force")],
) -> outputs.RateTables:
    """VAT and corporate tax of several countries on a date, with the countries not held.

    Source: the project's dated table; every row there names its own.
    """
    held = [code for code in dict.fromkeys(jurisdictions) if code in known_jurisdictions()]
    missing = [code for code in dict.fromkeys(jurisdictions) if code not in known_jurisdictions()]
    return {
        "rates": [_rate_row(code, on_date) for code in held],
        "covered": held,
        "missing": missing,
        "coverage_percent": percent(share(Decimal(len(held)), Decimal(len(held) + len(missing)))),
        "rates_note": sample_notice(),
    }


def _rate_row(code: str, on: date) -> dict[str, object]:
    corporate = corporate_rate(code, on)
    row: dict[str, object] = {
        "jurisdiction": code,
        "corporate_rate_percent": percent(corporate.national),
        "combined_rate_percent": percent(corporate.combined, 3),
        "corporate_valid_from": corporate.valid_from.isoformat(),
        "source": corporate.source,
    }
    if code == "US":
        return row | {"vat_standard_percent": None, "vat_reduced_percent": []}
    vat = vat_rate(code, on)
    return row | {
        "vat_standard_percent": percent(vat.standard),
        "vat_reduced_percent": [percent(rate) for rate in vat.reduced],
        "vat_valid_from": vat.valid_from.isoformat(),
        "vat_source": vat.source,
    }


@tool("tax.jurisdiction_estimate", light=True)
def jurisdiction_estimate(
    figures: EntityFigures,
    on_date: Annotated[date, Field(description="year end; picks the rates in force")],
) -> outputs.JurisdictionEstimate:
    """Indicative corporate tax and net VAT of one entity at its country's dated rates.

    Losses cover income up to the country's floor and share. The combined rate includes usual
    surcharges and local taxes; the US has no VAT. Source: the project's dated table.
    """
    rate = corporate_rate(figures.jurisdiction, on_date)
    income = figures.profit_before_tax + figures.non_deductible
    positive = max(income, Decimal(0))
    ceiling = min(positive, rate.loss_floor) + (
        max(positive - rate.loss_floor, Decimal(0)) * rate.loss_offset
    )
    used = min(figures.losses_brought_forward, ceiling)
    tax = (positive - used) * rate.combined
    output_vat, input_vat = _vat(figures, on_date)
    return {
        "entity": figures.entity,
        "jurisdiction": figures.jurisdiction,
        "profit_before_tax": cents(figures.profit_before_tax),
        "taxable_income": cents(positive - used),
        "losses_used": cents(used),
        "losses_carried_forward": cents(
            figures.losses_brought_forward - used + max(-income, Decimal(0))
        ),
        "combined_rate_percent": percent(rate.combined, 3),
        "corporate_tax": cents(tax),
        "effective_rate_percent": percent(share(tax, figures.profit_before_tax))
        if figures.profit_before_tax > 0
        else 0.0,
        "output_vat": cents(output_vat),
        "input_vat": cents(input_vat),
        "net_vat": cents(output_vat - input_vat),
        "rates_note": sample_notice(),
    }


def _vat(figures: EntityFigures, on: date) -> tuple[Decimal, Decimal]:
    if figures.jurisdiction == "US":
        return Decimal(0), Decimal(0)
    rates = vat_rate(figures.jurisdiction, on)
    if figures.reduced_rate_sales and not rates.reduced:
        raise InvalidInput(
            "figures.reduced_rate_sales", figures.reduced_rate_sales, "no reduced rate there"
        )
    reduced = rates.reduced[0] if rates.reduced else Decimal(0)
    output_vat = figures.taxable_sales * rates.standard + figures.reduced_rate_sales * reduced
    return output_vat, figures.taxable_purchases * rates.standard


@tool("tax.consolidate_estimates", light=True)
def consolidate_estimates(
    estimates: Annotated[
        list[Estimate | list[Estimate | None] | None],
        Field(max_length=1000, description="or lists by branch; null where an entity failed"),
    ],
    minimum_rate_percent: Annotated[Decimal, Field(ge=0, le=50)] = Decimal(15),
) -> outputs.ConsolidateEstimates:
    """Group tax charge, effective rate, VAT, and the jurisdictions below the minimum rate.

    Entities of a jurisdiction are pooled first, as GloBE Art. 5.1 pools them.
    """
    every: list[Estimate | None] = []
    for part in estimates:
        every.extend(part if isinstance(part, list) else [part])
    done = [estimate for estimate in every if estimate is not None]
    by_country: dict[str, list[Estimate]] = {}
    for estimate in done:
        by_country.setdefault(estimate.jurisdiction, []).append(estimate)
    rows: list[dict[str, Any]] = []
    for code, members in sorted(by_country.items()):
        profit = sum((m.profit_before_tax for m in members), Decimal(0))
        tax = sum((m.corporate_tax for m in members), Decimal(0))
        rate = share(tax, profit) if profit > 0 else None
        rows.append(
            {
                "jurisdiction": code,
                "entities": len(members),
                "profit": cents(profit),
                "corporate_tax": cents(tax),
                "net_vat": cents(sum((m.net_vat for m in members), Decimal(0))),
                "effective_rate_percent": None if rate is None else percent(rate),
                "low_taxed": rate is not None and rate * 100 < minimum_rate_percent,
            }
        )
    profit = sum((e.profit_before_tax for e in done), Decimal(0))
    tax = sum((e.corporate_tax for e in done), Decimal(0))
    return {
        "by_jurisdiction": rows,
        "entities_estimated": len(done),
        "entities_failed": len(every) - len(done),
        "group_profit": cents(profit),
        "group_corporate_tax": cents(tax),
        "group_net_vat": cents(sum((e.net_vat for e in done), Decimal(0))),
        "group_effective_rate_percent": percent(share(tax, profit)) if profit > 0 else 0.0,
        "low_taxed_jurisdictions": [row["jurisdiction"] for row in rows if row["low_taxed"]],
        # As tax.pillar_two_topup takes them; accounting profit stands in for GloBE income.
        "globe_jurisdictions": [
            {
                "jurisdiction": row["jurisdiction"],
                "globe_income": row["profit"],
                "covered_taxes": row["corporate_tax"],
            }
            for row in rows
        ],
    }
