"""What the tools of ``tax`` give. A field that may be missing is NotRequired."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict


class GermanCorporateTax(TypedDict):
    """What ``tax.german_corporate_tax`` gives."""

    corporate_income_tax: float
    solidarity_surcharge: float
    trade_tax_add_back: float
    trade_income_rounded: float
    trade_tax_base_amount: float
    trade_tax: float
    total_tax: float
    effective_rate_percent: float
    losses_used: float
    losses_carried_forward: float
    trade_losses_used: float
    conclusion: str
    rates_note: str


class UkCorporationTax(TypedDict):
    """What ``tax.uk_corporation_tax`` gives."""

    corporation_tax_due: float
    marginal_relief: float
    effective_rate_percent: float
    augmented_profits: float
    adjusted_lower_limit: float
    adjusted_upper_limit: float
    financial_years: list[dict[str, Any]]
    payment_due: str
    payment_regime: str
    return_due: str


class UsCorporateTax(TypedDict):
    """What ``tax.us_corporate_tax`` gives."""

    state_apportionment: list[dict[str, Any]]
    total_state_tax: float
    federal_taxable_income: float
    federal_tax: float
    total_us_tax: float
    effective_rate_percent: float
    nol_used: float
    nol_remaining: float
    unapportioned_percent: float
    conclusion: str


class DeferredTax(TypedDict):
    """What ``tax.deferred_tax`` gives."""

    temporary_differences: list[dict[str, Any]]
    deferred_tax_liability: float
    deferred_tax_asset: float
    unrecognised_asset: float
    closing_net_liability: float
    movement_in_profit_or_loss: float
    movement_outside_profit: float
    asset_test: str


class EffectiveRateReconciliation(TypedDict):
    """What ``tax.effective_rate_reconciliation`` gives."""

    expected_tax: float
    reconciling_items: list[dict[str, Any]]
    total_tax_charge: float
    effective_tax_rate_percent: float
    rate_gap_points: float


class RateTables(TypedDict):
    """What ``tax.rate_tables`` gives."""

    rates: list[dict[str, Any]]
    covered: list[str]
    missing: list[str]
    coverage_percent: float
    rates_note: str


class JurisdictionEstimate(TypedDict):
    """What ``tax.jurisdiction_estimate`` gives."""

    entity: str
    jurisdiction: str
    profit_before_tax: float
    taxable_income: float
    losses_used: float
    losses_carried_forward: float
    combined_rate_percent: float
    corporate_tax: float
    effective_rate_percent: float
    output_vat: float
    input_vat: float
    net_vat: float
    rates_note: str


class ConsolidateEstimates(TypedDict):
    """What ``tax.consolidate_estimates`` gives."""

    by_jurisdiction: list[dict[str, Any]]
    entities_estimated: int
    entities_failed: int
    group_profit: float
    group_corporate_tax: float
    group_net_vat: float
    group_effective_rate_percent: float
    low_taxed_jurisdictions: list[str]
    globe_jurisdictions: list[dict[str, Any]]


class PillarTwoTopup(TypedDict):
    """What ``tax.pillar_two_topup`` gives."""

    globe_results: list[dict[str, Any]]
    years_above_threshold: int
    payroll_carve_out_percent: float
    asset_carve_out_percent: float
    total_topup_tax: float
    domestic_topup_tax: float
    income_inclusion_topup_tax: float
    conclusion: str


class UkRdRelief(TypedDict):
    """What ``tax.uk_rd_relief`` gives."""

    qualifying_expenditure: float
    rd_intensity_percent: float
    paye_cap: float
    merged_gross_credit: float
    merged_net_benefit: float
    enhanced_payable_credit: float
    recommended_route: str
    route_reason: str
    cap_effect: str


class TransferPricingRange(TypedDict):
    """What ``tax.transfer_pricing_range`` gives."""

    indicator: str
    accepted_comparables: int
    rejected_comparables: int
    tested_margin_percent: float
    lower_quartile_percent: float
    median_percent: float
    upper_quartile_percent: float
    range_width_points: float
    profit_adjustment: float
    tax_at_stake: float
    conclusion: str


class EuVatSupplies(TypedDict):
    """What ``tax.eu_vat_supplies`` gives."""

    supply_treatments: list[dict[str, Any]]
    domestic_vat_due: float
    oss_vat_due: float
    oss_vat_by_country: list[dict[str, Any]]
    registration_abroad_vat: float
    reverse_charge_turnover: float
    exempt_intra_community_turnover: float
    recapitulative_statement_total: float
    outside_scope_or_export_turnover: float
    cross_border_consumer_total: float
    destination_taxation: str
    rates_note: str


class UkVatReturn(TypedDict):
    """What ``tax.uk_vat_return`` gives."""

    box_1_vat_due_on_sales: float
    box_2_vat_due_on_acquisitions: float
    box_3_total_vat_due: float
    box_4_vat_reclaimed: float
    box_5_net_vat: float
    box_6_sales_ex_vat: int
    box_7_purchases_ex_vat: int
    box_8_dispatches_to_eu: int
    box_9_acquisitions_from_eu: int
    payment_direction: str
    irrecoverable_input_vat: float
    recovery_rate_percent: int
    partial_exemption: str
    rates_note: str


class Withholding(TypedDict):
    """What ``tax.withholding`` gives."""

    withholding_results: list[dict[str, Any]]
    total_gross: float
    total_withheld: float
    total_reclaimable: float
    final_tax_cost: float
    net_paid_out: float
    rates_note: str
