"""What the tools of ``accounting`` give. A field that may be missing is NotRequired."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict


class Depreciate(TypedDict):
    """What ``accounting.depreciate`` gives."""

    charge_for_last_year: str
    accumulated_depreciation: str
    charges_by_year: list[str]
    carrying_amount: NotRequired[str]
    carrying_amount_at_disposal: NotRequired[str]
    gain_or_loss_on_disposal: NotRequired[str]
    disposal_verdict: NotRequired[str]


class ImpairmentTest(TypedDict):
    """What ``accounting.impairment_test`` gives."""

    value_in_use: str
    recoverable_amount: str
    impairment_loss: str
    loss_to_goodwill: str
    loss_to_other_assets: str
    headroom: str
    impairment_verdict: str


class ReconcileBank(TypedDict):
    """What ``accounting.reconcile_bank`` gives."""

    matched_lines: int
    deposits_in_transit: str
    outstanding_payments: str
    unbooked_total: str
    unbooked_items: list[dict[str, Any]]
    booking_errors: list[dict[str, Any]]
    correction_total: str
    stale_items: list[dict[str, Any]]
    adjusted_bank_balance: str
    adjusted_book_balance: str
    unreconciled_difference: str
    conclusion: str


class CheckPostings(TypedDict):
    """What ``accounting.check_postings`` gives."""

    total_debits: str
    total_credits: str
    out_of_balance_by: str
    effect_on_profit: str
    effect_on_assets: str
    unbalanced_vouchers: list[dict[str, Any]]
    coding_faults: list[dict[str, Any]]
    conclusion: str


class CashFlowIndirect(TypedDict):
    """What ``accounting.cash_flow_indirect`` gives."""

    profit_before_working_capital: str
    working_capital_change: str
    cash_generated_from_operations: str
    net_cash_from_operating: str
    net_cash_from_investing: str
    net_cash_from_financing: str
    net_change_in_cash: str
    free_cash_flow: str
    cash_conversion_percent: float | None
    difference_to_cash_movement: str
    cash_flow_verdict: str


class AccrualsAndPrepayments(TypedDict):
    """What ``accounting.accruals_and_prepayments`` gives."""

    total_accruals: str
    total_prepayments: str
    effect_on_profit: str
    entries: list[dict[str, Any]]
    closing_verdict: str


class SalesCutoff(TypedDict):
    """What ``accounting.sales_cutoff`` gives."""

    revenue_overstated_by: str
    revenue_understated_by: str
    adjustment_to_revenue: str
    cutoff_errors: list[dict[str, Any]]
    cutoff_verdict: str


class Goodwill(TypedDict):
    """What ``accounting.goodwill`` gives."""

    goodwill: str
    bargain_purchase_gain: str
    non_controlling_interest: str
    gain_on_earlier_interest: str
    profit_effect_at_acquisition: str
    goodwill_verdict: str


class EliminateIntragroup(TypedDict):
    """What ``accounting.eliminate_intragroup`` gives."""

    sales_eliminated: str
    cost_of_sales_eliminated: str
    unrealised_profit: str
    deferred_tax_asset: str
    reduction_for_owners: str
    reduction_for_minority: str
    balance_eliminated: str
    balance_difference: str
    elimination_verdict: str


class TranslateSubsidiary(TypedDict):
    """What ``accounting.translate_subsidiary`` gives."""

    closing_net_assets_local: str
    closing_net_assets_translated: str
    profit_translated: str
    translation_difference: str
    difference_to_owners: str
    difference_to_minority: str
    translation_verdict: str


class InventoryCost(TypedDict):
    """What ``accounting.inventory_cost`` gives."""

    closing_quantity: float
    closing_inventory: str
    closing_unit_cost: float
    cost_of_sales: str
    layers: list[dict[str, Any]]
    gross_profit: NotRequired[str]
    gross_margin_percent: NotRequired[float]


class NetRealisableValue(TypedDict):
    """What ``accounting.net_realisable_value`` gives."""

    inventory_at_cost: str
    inventory_carried: str
    write_down_needed: str
    items_written_down: list[dict[str, Any]]
    charge_of_the_period: str
    reversal_of_the_period: str
    conclusion: str


class LeaseSchedule(TypedDict):
    """What ``accounting.lease_schedule`` gives."""

    lease_liability: str
    right_of_use_asset: str
    year_one_interest: str
    year_one_depreciation: str
    year_one_total_expense: str
    non_current_after_year_one: str
    total_interest: str
    schedule: list[dict[str, Any]]
    recognition: str
    straight_line_expense_a_year: NotRequired[str]


class LeaseRemeasurement(TypedDict):
    """What ``accounting.lease_remeasurement`` gives."""

    remeasured_liability: str
    change_in_liability: str
    right_of_use_after: str
    gain_in_profit: str
    new_depreciation_a_year: str
    remeasurement_verdict: str


class ThreeWayMatch(TypedDict):
    """What ``accounting.three_way_match`` gives."""

    invoiced_total: str
    amount_payable: str
    amount_held: str
    goods_received_not_invoiced: str
    lines: list[dict[str, Any]]
    conclusion: str


class EarlyPaymentDiscount(TypedDict):
    """What ``accounting.early_payment_discount`` gives."""

    discount_saving: str
    interest_of_paying_early: str
    net_benefit: str
    simple_annual_rate_percent: float
    effective_annual_rate_percent: float
    discount_verdict: str


class AgeReceivables(TypedDict):
    """What ``accounting.age_receivables`` gives."""

    ageing: list[dict[str, Any]]
    total_receivables: str
    past_due_total: str
    past_due_percent: float | None
    weighted_days_past_due: float | None
    largest_customer: str
    largest_customer_percent: float | None


class ProvisionMatrix(TypedDict):
    """What ``accounting.provision_matrix`` gives."""

    matrix: list[dict[str, Any]]
    expected_credit_loss: str
    coverage_percent: float | None
    net_receivables: str
    charge_to_profit: str
    conclusion: str


class Ifrs15TransactionPrice(TypedDict):
    """What ``accounting.ifrs15_transaction_price`` gives."""

    variable_estimate: str
    variable_included: str
    constrained_away: str
    financing_adjustment: str
    transaction_price: str


class Ifrs15Allocate(TypedDict):
    """What ``accounting.ifrs15_allocate`` gives."""

    total_standalone_price: str
    discount_allocated: str
    discount_percent: float | None
    obligations: list[dict[str, Any]]
    revenue_recognised: str
    revenue_deferred: str
    contract_asset: str
    contract_liability: str
    conclusion: str


class Ifrs15CostToCost(TypedDict):
    """What ``accounting.ifrs15_cost_to_cost`` gives."""

    progress_percent: float | None
    revenue_to_date: str
    revenue_this_period: str
    result_to_date: str
    expected_contract_result: str
    onerous_contract_provision: str
    contract_asset: str
    contract_liability: str
    conclusion: str


class FinancialStatements(TypedDict):
    """What ``accounting.financial_statements`` gives."""

    gross_profit: str
    operating_profit: str
    profit_before_tax: str
    profit_for_the_year: str
    total_assets: str
    total_liabilities: str
    total_equity: str
    out_of_balance_by: str
    tie_out: str
    gross_margin_percent: float
    operating_margin_percent: float
    current_ratio: float
    quick_ratio: float
    interest_cover: float
    return_on_capital_percent: float | None
    return_on_equity_percent: float | None
    gearing_percent: float | None


class EarningsPerShare(TypedDict):
    """What ``accounting.earnings_per_share`` gives."""

    weighted_average_shares: float
    basic_earnings_per_share: float
    diluted_earnings_per_share: float
    dilution_verdict: str
