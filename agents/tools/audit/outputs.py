"""What the tools of ``audit`` give. A field that may be missing is NotRequired."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict


class Independence(TypedDict):
    """What ``audit.independence`` gives."""

    fee_dependency_percent: float
    fee_dependency_limit_percent: float
    non_audit_fee_percent: float
    years_until_rotation: int
    cooling_off_years: int
    breaches: list[str]
    threats: list[str]
    independence_conclusion: str


class Acceptance(TypedDict):
    """What ``audit.acceptance`` gives."""

    acceptance_score: float
    stop_reasons: list[str]
    acceptance_decision: str


class SubstantiveExpectation(TypedDict):
    """What ``audit.substantive_expectation`` gives."""

    expected_amount: float
    difference_from_expectation: float
    difference_percent: float
    acceptable_threshold: float
    analytical_conclusion: str


class WorkingCapitalRatios(TypedDict):
    """What ``audit.working_capital_ratios`` gives."""

    gross_margin_percent: float
    receivable_days: float
    inventory_days: float
    payable_days: float
    cash_conversion_days: float
    margin_change_points: NotRequired[float]
    margin_reading: NotRequired[str]


class EvaluateMisstatements(TypedDict):
    """What ``audit.evaluate_misstatements`` gives."""

    uncorrected_net: float
    uncorrected_gross: float
    corrected_amount: float
    trivial_items_left_out: int
    share_of_materiality_percent: float
    misstatement_conclusion: str
    factual_misstatements: float
    judgmental_misstatements: float
    projected_misstatements: float


class SubsequentEvents(TypedDict):
    """What ``audit.subsequent_events`` gives."""

    events_sorted: list[dict[str, Any]]
    adjusting_amount: float
    disclosed_amount: float
    events_after_report: int
    days_reviewed: int
    subsequent_events_conclusion: str


class EvaluateControls(TypedDict):
    """What ``audit.evaluate_controls`` gives."""

    deviation_rate_percent: float
    upper_deviation_limit_percent: float
    tolerable_deviation_percent: float
    control_conclusion: str


class FraudTriangle(TypedDict):
    """What ``audit.fraud_triangle`` gives."""

    fraud_triangle_score: float
    fraud_triangle_level: str
    strongest_condition: str


class FraudFindings(TypedDict):
    """What ``audit.fraud_findings`` gives."""

    fraud_findings_score: float
    fraud_findings_level: str
    findings_weighed: int
    lines_tested: int
    strongest_finding: str
    intent_findings: int
    fraud_response: str


class DistressScore(TypedDict):
    """What ``audit.distress_score`` gives."""

    z_double_prime: float
    z_double_prime_zone: str
    current_ratio: float
    net_current_assets: float
    z_prime: NotRequired[float]
    z_prime_zone: NotRequired[str]
    going_concern_reading: str


class CovenantHeadroom(TypedDict):
    """What ``audit.covenant_headroom`` gives."""

    leverage_multiple: float
    interest_cover: float
    ebitda_headroom_percent: float
    covenant_verdict: str
    months_of_cash: NotRequired[float]


class GroupScoping(TypedDict):
    """What ``audit.group_scoping`` gives."""

    scoped_components: list[dict[str, Any]]
    full_scope_count: int
    coverage_percent: float
    aggregation_multiple: float
    scoping_conclusion: str


class Materiality(TypedDict):
    """What ``audit.materiality`` gives."""

    benchmark: str
    benchmark_amount: float
    materiality_percent: float
    overall_materiality: float
    performance_materiality: float
    clearly_trivial_level: float
    lowest_reasonable: float
    highest_reasonable: float


class AllocateHours(TypedDict):
    """What ``audit.allocate_hours`` gives."""

    total_hours: float
    planning_hours: float
    controls_hours: float
    substantive_hours: float
    completion_hours: float
    partner_grade_hours: float
    manager_grade_hours: float
    senior_grade_hours: float
    junior_grade_hours: float
    budgeted_fee: NotRequired[float]


class RiskMatrix(TypedDict):
    """What ``audit.risk_matrix`` gives."""

    ranked_risks: list[dict[str, Any]]
    significant_risk_count: int
    highest_residual_area: str
    total_residual_score: float
    planning_response: str


class Opinion(TypedDict):
    """What ``audit.opinion`` gives."""

    opinion: str
    opinion_wording: str
    report_paragraphs: list[str]
    misstatement_share_percent: float
    misstatement_is_material: bool


class AttributeSampleSize(TypedDict):
    """What ``audit.attribute_sample_size`` gives."""

    sample_size: int
    sample_size_before_correction: int
    allowed_deviations: int
    confidence_percent: float


class MonetarySampleSize(TypedDict):
    """What ``audit.monetary_sample_size`` gives."""

    reliability_factor: float
    expansion_factor: float
    sampling_interval: float
    monetary_sample_size: int
