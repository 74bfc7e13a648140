"""Completion: misstatements added up, and events after the year's end sorted."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, cast

from pydantic import Field

from agents.tools.audit import outputs
from agents.tools.audit.money import percent, rounded
from agents.tools.registry import tool
from config.errors import InvalidInput

KINDS = ("factual", "judgmental", "projected")
# IAS 10.9 and 10.22: what the event gives evidence of decides, not its size.
ADJUSTING = frozenset(
    {"litigation settled", "customer insolvency", "asset impaired", "inventory sold below cost",
     "bonus determined", "fraud discovered"}
)  # fmt: skip
NON_ADJUSTING = frozenset(
    {"acquisition", "disposal", "fire", "restructuring announced", "share issue", "tax rate change",
     "market fall", "new litigation", "dividend declared"}
)  # fmt: skip


@tool("audit.evaluate_misstatements", light=True)
def evaluate_misstatements(
    misstatements: Annotated[
        list[dict[str, Any]],
        Field(description="each: amount (+ overstates profit), kind, corrected true or false"),
    ],
    overall_materiality: Annotated[Decimal, Field(gt=0)],
    performance_materiality: Annotated[Decimal | None, Field(gt=0)] = None,
    clearly_trivial: Annotated[Decimal, Field(ge=0)] = Decimal(0),
) -> outputs.EvaluateMisstatements:
    """Accumulate misstatements above the trivial level and judge what stays uncorrected.

    Source: ISA 450.5 (accumulate all but trivial ones), 450.6 (revise the plan as the aggregate
    nears materiality), 450.11 (material alone or in aggregate), A6 (kinds).
    """
    by_kind = dict.fromkeys(KINDS, Decimal(0))
    trivial, corrected = 0, Decimal(0)
    for at, item in enumerate(misstatements):
        amount, kind = _misstatement(item, at)
        if abs(amount) < clearly_trivial:
            trivial += 1
        elif item.get("corrected"):
            corrected += amount
        else:
            by_kind[kind] += amount
    net = sum(by_kind.values(), Decimal(0))
    gross = sum(
        abs(_misstatement(item, at)[0])
        for at, item in enumerate(misstatements)
        if not item.get("corrected") and abs(_misstatement(item, at)[0]) >= clearly_trivial
    )
    near = performance_materiality or overall_materiality * Decimal("0.75")
    verdict = (
        "material: correct or modify the opinion"
        if abs(net) >= overall_materiality
        else "near materiality: extend the work" if abs(net) >= near else "not material"
    )  # fmt: skip
    return cast(
        outputs.EvaluateMisstatements,
        {
            "uncorrected_net": rounded(net),
            "uncorrected_gross": rounded(Decimal(gross)),
            **{f"{kind}_misstatements": rounded(value) for kind, value in by_kind.items()},
            "corrected_amount": rounded(corrected),
            "trivial_items_left_out": trivial,
            "share_of_materiality_percent": percent(abs(net), overall_materiality),
            "misstatement_conclusion": verdict,
        },
    )


def _misstatement(item: dict[str, Any], at: int) -> tuple[Decimal, str]:
    kind = str(item.get("kind", "factual"))
    if kind not in KINDS:
        raise InvalidInput(f"misstatements.{at}.kind", kind, f"one of {', '.join(KINDS)}")
    try:
        amount = Decimal(str(item.get("amount")))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise InvalidInput(f"misstatements.{at}.amount", item.get("amount"), "a number")
    return amount, kind


@tool("audit.subsequent_events", light=True)
def subsequent_events(
    year_end: Annotated[date, Field(description="ISO date")],
    report_date: Annotated[date, Field(description="ISO date of the auditor's report")],
    events: Annotated[
        list[dict[str, Any]],
        Field(description="each: kind, date (ISO), amount, existed_at_year_end true or false"),
    ],
    overall_materiality: Annotated[Decimal, Field(gt=0)],
) -> outputs.SubsequentEvents:
    """Sort events after the year's end into adjusting, disclosed and neither, and total them.

    An event adjusts if the condition existed at the year's end. Source: IAS 10.3, 10.8-10, 10.21;
    ISA 560.6-8 (to the report's date) and 560.10-14 (after it).
    """
    if report_date < year_end:
        raise InvalidInput("report_date", str(report_date), f"on or after year_end {year_end}")
    adjust = disclose = Decimal(0)
    rows, late = [], 0
    for at, event in enumerate(events):
        kind = str(event.get("kind", "")).strip().lower()
        amount, day = _event(event, at, year_end)
        existed = event.get("existed_at_year_end", kind in ADJUSTING)
        material = abs(amount) >= overall_materiality
        treatment = "adjust" if existed else "disclose" if material else "no action"
        if treatment == "adjust":
            adjust += amount
        disclose += amount if treatment == "disclose" else 0
        late += day > report_date
        rows.append({"event": kind or "unnamed", "date": day.isoformat(), "treatment": treatment})
    return {
        "events_sorted": rows,
        "adjusting_amount": rounded(adjust),
        "disclosed_amount": rounded(disclose),
        "events_after_report": late,
        "days_reviewed": (report_date - year_end).days,
        "subsequent_events_conclusion": "reissue: an event after the report is known"
        if late
        else "adjust the accounts" if adjust
        else "disclose in the notes" if disclose else "no change to the accounts",
    }  # fmt: skip


def _event(event: dict[str, Any], at: int, year_end: date) -> tuple[Decimal, date]:
    try:
        amount = Decimal(str(event.get("amount", 0)))
    except InvalidOperation:
        raise InvalidInput(f"events.{at}.amount", event.get("amount"), "a number") from None
    try:
        day = date.fromisoformat(str(event.get("date")))
    except ValueError:
        raise InvalidInput(f"events.{at}.date", event.get("date"), "an ISO date") from None
    if day <= year_end:
        raise InvalidInput(f"events.{at}.date", str(day), f"after year_end {year_end}")
    return amount, day
