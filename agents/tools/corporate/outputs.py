"""What the tools of ``corporate`` give. A field that may be missing is NotRequired."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict


class QualityOfEarnings(TypedDict):
    """What ``corporate.quality_of_earnings`` gives."""

    adjusted_ebitda: str
    run_rate_ebitda: str
    one_off_items: str
    owner_items: str
    accounting_corrections: str
    refused_seller_items: str
    adjustment_percent: float
    earnings_verdict: str
    adjusted_margin_percent: NotRequired[float]


class WorkingCapitalPeg(TypedDict):
    """What ``corporate.working_capital_peg`` gives."""

    working_capital_peg: str
    seasonality_percent: float | None
    lowest_month: str
    highest_month: str
    working_capital_adjustment: str
    peg_verdict: str


class PriceBridge(TypedDict):
    """What ``corporate.price_bridge`` gives."""

    bridge_enterprise_value: str
    bridge_net_debt: str
    net_debt_to_ebitda: float | None
    equity_price: str
    bridge_verdict: str


class DistributableReserves(TypedDict):
    """What ``corporate.distributable_reserves`` gives."""

    realised_profits: str
    unrealised_profits: str
    distributable_profits: str
    net_assets_after_dividend: str
    shortfall: str
    reserves_left: str
    dividend_verdict: str


class DividendCover(TypedDict):
    """What ``corporate.dividend_cover`` gives."""

    dividend_per_share: float
    earnings_cover: float
    cash_flow_cover: float
    payout_percent: float | None
    cash_left_after_dividend: str
    cover_verdict: str
    dividend_yield_percent: NotRequired[float]


class FundingRound(TypedDict):
    """What ``corporate.funding_round`` gives."""

    post_money_valuation: str
    price_per_share: float
    new_shares_issued: float
    pool_shares_created: float
    note_shares_issued: float
    total_shares_after: float
    new_investor_percent: float | None
    existing_diluted_by_percent: float | None
    cap_table_after: list[dict[str, Any]]


class ExitWaterfall(TypedDict):
    """What ``corporate.exit_waterfall`` gives."""

    net_proceeds: str
    preferences_outstanding: str
    classes_converting: list[str]
    payouts: list[dict[str, Any]]
    waterfall_outcome: str


class ClientRiskScore(TypedDict):
    """What ``corporate.client_risk_score`` gives."""

    risk_score: float
    risk_points: dict[str, Any]
    risk_band: str
    overrides: list[str]
    review_every_months: int
    due_diligence: str


class TransactionPatterns(TypedDict):
    """What ``corporate.transaction_patterns`` gives."""

    structured_receipts: int
    structured_total: str
    pass_through_total: str
    cash_share_percent: float | None
    received_total: str
    patterns_verdict: str


class ScreenNames(TypedDict):
    """What ``corporate.screen_names`` gives."""

    screened: list[dict[str, Any]]
    names_with_hits: int
    highest_score: float
    screening_verdict: str


class BeneficialOwners(TypedDict):
    """What ``corporate.beneficial_owners`` gives."""

    effective_shares: list[dict[str, Any]]
    beneficial_owners: list[str]
    traced_percent: float
    untraced_percent: float
    ownership_verdict: str


class CashRunway(TypedDict):
    """What ``corporate.cash_runway`` gives."""

    closing_cash: str
    lowest_cash: str
    lowest_cash_week: int
    lowest_headroom: str
    funding_need: str
    first_week_of_breach: int | str
    net_burn_a_week: str
    total_payments: str
    runway_verdict: str


class AltmanZ(TypedDict):
    """What ``corporate.altman_z`` gives."""

    z_score: float
    distress_below: float
    safe_above: float
    z_zone: str


class InsolvencyWaterfall(TypedDict):
    """What ``corporate.insolvency_waterfall`` gives."""

    costs_paid: str
    ordinary_preferential_paid: str
    secondary_preferential_paid: str
    prescribed_part: str
    secured_lender_paid: str
    secured_lender_shortfall: str
    unsecured_paid: str
    unsecured_pence_in_pound: float | None
    surplus_to_members: str
    waterfall_verdict: str


class UkFilingDeadlines(TypedDict):
    """What ``corporate.uk_filing_deadlines`` gives."""

    accounts_due_on: str
    days_to_accounts: int
    first_accounts: bool
    confirmation_statement_due_on: str
    days_to_confirmation: int
    late_filing_penalty_gbp: int
    days_late: int
    accounts_verdict: str
    corporation_tax_payable_on: str
    corporation_tax_return_due_on: str


class EventFilings(TypedDict):
    """What ``corporate.event_filings`` gives."""

    filings: list[dict[str, Any]]
    late_filings: int
    next_due_on: str
    filings_verdict: str


class CostOfCapital(TypedDict):
    """What ``corporate.cost_of_capital`` gives."""

    equity_beta: float
    cost_of_equity_percent: float
    cost_of_debt_after_tax_percent: float
    wacc_percent: float
    wacc: float


class DiscountedCashFlow(TypedDict):
    """What ``corporate.discounted_cash_flow`` gives."""

    value_of_explicit_period: str
    value_of_terminal_period: str
    enterprise_value: str
    equity_value: str
    terminal_share_percent: float
    enterprise_value_low: str
    enterprise_value_high: str
    valuation_verdict: str
    value_per_share: NotRequired[float]


class MultiplesValuation(TypedDict):
    """What ``corporate.multiples_valuation`` gives."""

    median_multiple: float
    multiples_enterprise_value: str
    multiples_equity_low: str
    multiples_equity_median: str
    multiples_equity_high: str
    spread_percent: float | None
