"""What the tools of ``operations`` give. A field that may be missing is NotRequired."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict


class WorkInProgress(TypedDict):
    """What ``operations.work_in_progress`` gives."""

    wip_at_standard: float
    fee_still_to_bill: float
    fee_overrun: float
    ageing_provision: float
    wip_provision: float
    net_wip: float
    realisation_percent: float
    oldest_entry_days: int
    billing_advice: str


class LockUp(TypedDict):
    """What ``operations.lock_up`` gives."""

    wip_days: float
    debtor_days: float
    lock_up_days: float
    cash_released_at_target: float
    annual_financing_cost: float
    lock_up_verdict: str


class FilingDeadlines(TypedDict):
    """What ``operations.filing_deadlines`` gives."""

    deadlines: list[dict[str, Any]]
    overdue_filings: int
    due_within_30_days: int
    penalties_to_date_gbp: int
    most_urgent: str
    deadline_verdict: str


class ReminderSchedule(TypedDict):
    """What ``operations.reminder_schedule`` gives."""

    outstanding_items: list[dict[str, Any]]
    items_outstanding: int
    essential_outstanding: int
    received_percent: float
    longest_wait_days: int
    days_to_start: int
    reminders: list[dict[str, Any]]
    next_reminder: str
    tone: str


class LatePaymentInterest(TypedDict):
    """What ``operations.late_payment_interest`` gives."""

    days_overdue: int
    statutory_rate_percent: float
    daily_interest: float
    interest_to_date: float
    fixed_compensation: int
    total_claim: float
    payment_verdict: str


class ClassifyDocument(TypedDict):
    """What ``operations.classify_document`` gives."""

    document_class: str
    confidence_percent: float
    second_choice: str
    matched_phrases: str
    dates_found: int
    latest_date: str
    amounts_found: int
    largest_amount: float
    sum_of_amounts: float
    keep_until: str
    filing_verdict: str


class AcceptanceRisk(TypedDict):
    """What ``operations.acceptance_risk`` gives."""

    risk_points: int
    risk_class: str
    due_diligence: str
    approval_levels: int
    fee_share_percent: float
    review_every_months: int


class OpenEngagement(TypedDict):
    """What ``operations.open_engagement`` gives."""

    engagement_code: str
    record: str
    opened: bool


class WithdrawEngagement(TypedDict):
    """What ``operations.withdraw_engagement`` gives."""

    engagement_code: str
    notice: str
    withdrawn: bool


class EngagementTerms(TypedDict):
    """What ``operations.engagement_terms`` gives."""

    services_count: int
    instalment: float
    last_instalment: float
    first_due: str


class CheckHoldings(TypedDict):
    """What ``operations.check_holdings`` gives."""

    person: str
    breaches: list[dict[str, Any]]
    breach_count: int
    value_to_sell: float
    verdict: str


class PartnerRotation(TypedDict):
    """What ``operations.partner_rotation`` gives."""

    rotation: list[dict[str, Any]]
    must_rotate: int
    last_year: int
    cooling_off: int


class FeeDependency(TypedDict):
    """What ``operations.fee_dependency`` gives."""

    latest_share_percent: float
    limit_percent: float
    years_above_in_a_row: int
    disclosure_needed: bool
    dependency_verdict: str


class IndependenceConclusion(TypedDict):
    """What ``operations.independence_conclusion`` gives."""

    people_in_breach: list[str]
    matters: int
    not_checked: list[str]
    conclusion: str


class TieOutSubledger(TypedDict):
    """What ``operations.tie_out_subledger`` gives."""

    subledger: str
    difference: float
    tied: bool
    tie_out: str


class ClosePlan(TypedDict):
    """What ``operations.close_plan`` gives."""

    close_days: float
    close_hours: float
    critical_path: str
    critical_tasks: int
    days_over_target: float
    close_verdict: str


class FluxAnalysis(TypedDict):
    """What ``operations.flux_analysis`` gives."""

    to_explain: list[dict[str, Any]]
    accounts_to_explain: int
    largest_change: float
    net_change: float
    flux_verdict: str


class ControlChart(TypedDict):
    """What ``operations.control_chart`` gives."""

    measure: str
    centre_line: float
    upper_control_limit: float
    lower_control_limit: float
    mean_moving_range: float
    points_beyond_limits: list[int]
    run_signals_at: list[int]
    trend_signals_at: list[int]
    latest_distance_in_sigma: float
    process_verdict: str


class ProportionChart(TypedDict):
    """What ``operations.proportion_chart`` gives."""

    mean_defect_percent: float
    latest_defect_percent: float
    latest_upper_limit_percent: float
    periods_out_of_control: list[int]
    periods_signalled: int
    review_verdict: str


class ReportCheck(TypedDict):
    """What ``operations.report_check`` gives."""

    score: float
    missing_sections: list[str]
    untied_figures: list[str]
    forbidden_wording: list[str]
    words_a_sentence: float
    report_verdict: str


class StaffEngagement(TypedDict):
    """What ``operations.staff_engagement`` gives."""

    assignments: list[dict[str, Any]]
    hours_assigned: float
    hours_unfilled: float
    engagement_cost: float
    engagement_margin: float
    margin_percent: float
    team_loads: list[dict[str, Any]]
    overloaded_people: int
    staffing_verdict: str


class Utilisation(TypedDict):
    """What ``operations.utilisation`` gives."""

    utilisation: list[dict[str, Any]]
    team_utilisation_percent: float
    people_below_target: int
    hours_short_of_target: float
    total_unrecorded_hours: float
    utilisation_verdict: str


class TriageRequests(TypedDict):
    """What ``operations.triage_requests`` gives."""

    routed: list[dict[str, Any]]
    critical_requests: int
    high_requests: int
    normal_requests: int
    needs_a_person: int
    triage_verdict: str


class WorkingPaper(TypedDict):
    """What ``operations.working_paper`` gives."""

    paper: str
    sections_written: int
    empty_sections: list[str]
    lines: int
