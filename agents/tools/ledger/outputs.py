"""What the tools of ``ledger`` give. A field that may be missing is NotRequired."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict


class Load(TypedDict):
    """What ``ledger.load`` gives."""

    ledger: str
    period: dict[str, Any]
    rows: int
    rows_in_year: int
    rows_outside_year: int
    total: float
    total_in_year: float
    total_outside_year: float
    outside_year_examples: list[dict[str, Any]]
    first_date: str
    last_date: str
    vendor_count: int
    account_count: int
    accounts: list[dict[str, Any]]
    excluded_rows: int
    problem_count: int
    problems: list[Any]
    notes: list[Any]
    encoding: str


class TrialBalance(TypedDict):
    """What ``ledger.trial_balance`` gives."""

    period: dict[str, Any]
    total_debits: float
    total_credits: float
    total: float
    lines: int
    account_count: int
    debits_equal_credits: bool
    note: str
    accounts: list[dict[str, Any]]
    months: list[dict[str, Any]]
    by_month: list[dict[str, Any]]


class Materiality(TypedDict):
    """What ``ledger.materiality`` gives."""

    period: dict[str, Any]
    benchmark: str
    benchmark_amount: float
    percentage: float
    risk: str
    overall: float
    performance: float
    trivial: float
    lines_above_performance: int
    value_above_performance: float
    reasons: list[str]


class AnalyticalReview(TypedDict):
    """What ``ledger.analytical_review`` gives."""

    period: dict[str, Any]
    confidence: float
    unexpected_month_count: int
    unexpected_months: list[dict[str, Any]]
    unexplained_difference: float
    prior_year_available: bool
    prior_year_total: float | None
    change_on_prior_percent: float | None
    changed_account_count: int
    changed_accounts: list[dict[str, Any]]
    ratios: dict[str, Any]
    total: float
    conclusion: str


class JournalEntryTests(TypedDict):
    """What ``ledger.journal_entry_tests`` gives."""

    period: dict[str, Any]
    lines_tested: int
    exception_count: int
    exceptions_in_year: int
    exceptions_above_materiality: int | None
    exceptions_value: float
    exceptions: list[dict[str, Any]]
    details: list[dict[str, Any]]
    counts: dict[str, Any]
    tests: list[dict[str, Any]]
    benford: list[dict[str, Any]]
    concentration: dict[str, Any]
    conclusion: str


class Sample(TypedDict):
    """What ``ledger.sample`` gives."""

    period: dict[str, Any]
    method: str
    seed: int
    confidence_percent: float
    tolerable_misstatement: float
    sampling_interval: float
    random_start: float
    population_value: float
    population_lines: int
    credits_not_sampled: float
    sample_size: int
    top_stratum_items: int
    top_stratum_value: float
    value_selected: float
    coverage_percent: float
    items: list[dict[str, Any]]


class EvaluateSample(TypedDict):
    """What ``ledger.evaluate_sample`` gives."""

    items_evaluated: int
    items_in_error: int
    known_top_stratum_error: float
    projected_misstatement: float
    projected_understatement: float
    basic_precision: float
    incremental_allowance: float
    upper_misstatement_limit: float
    sampling_conclusion: str


class RollForward(TypedDict):
    """What ``ledger.roll_forward`` gives."""

    period: dict[str, Any]
    interim_date: str
    remaining_days: int
    interim_total: float
    remaining_total: float
    final_total: float
    remaining_lines: int
    accounts_needing_work: int
    accounts: list[dict[str, Any]]
    conclusion: str


class AccountReview(TypedDict):
    """What ``ledger.account_review`` gives."""

    account_code: str
    account: str
    period: str
    lines: int
    lines_outside_year: int
    total: float
    credits: float
    mean_payment: float
    median_payment: float
    standard_deviation: float
    vendor_count: int
    top_vendor: str
    top_vendor_percent: float
    trend: str
    largest_lines: list[dict[str, Any]]
    exception_count: int
    exceptions: list[dict[str, Any]]
    conclusion: str
    above_materiality: NotRequired[bool]


class GoingConcernIndicators(TypedDict):
    """What ``ledger.going_concern_indicators`` gives."""

    period: dict[str, Any]
    spending_indicators: list[dict[str, Any]]
    spending_indicator_count: int
    spending_conclusion: str
    limits_of_evidence: str


class Release(TypedDict):
    """What ``ledger.release`` gives."""

    released: str
