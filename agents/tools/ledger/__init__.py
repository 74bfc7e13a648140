"""The ledger tools: what an audit of an expenditure ledger computes from its lines.

``ledger`` is everywhere the reference that ledger.load returned, any CSV artifact, or CSV text
(it contains a newline), which is then loaded on the way. The computing modules are imported
inside the tools, because every process declares them and few run them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import Field

from agents.tools.ledger import outputs
from agents.tools.registry import ToolContext, tool

Ledger = Annotated[
    str, Field(description="reference from ledger.load, a CSV artifact, or CSV text", min_length=1)
]
Year = Annotated[
    int | str | None,
    Field(description="2012, or 2012/13 for April to March; default: the year given at loading"),
]
Materiality = Annotated[
    float | dict[str, Any] | None,
    Field(description="an amount in pounds, or the result of ledger.materiality"),
]


@tool("ledger.load", lane="analysis", timeout_seconds=60)
def load(
    ledger: Ledger,
    year: Annotated[int | str, Field(description="2012, or 2012/13 for April to March")],
    context: ToolContext,
) -> outputs.Load:
    """Read and check a ledger, keep it for the other tools, and report every fault by line."""
    from agents.tools.ledger import loading

    return cast(outputs.Load, loading.load(ledger, year, context))


@tool("ledger.trial_balance", lane="analysis", timeout_seconds=60)
def trial_balance(ledger: Ledger, context: ToolContext, year: Year = None) -> outputs.TrialBalance:
    """Debits, credits and balance of each account of the audited year, in all and per month."""
    from agents.tools.ledger import balances

    return cast(outputs.TrialBalance, balances.trial_balance(ledger, context, year))


@tool("ledger.materiality", lane="analysis", timeout_seconds=60)
def materiality(
    ledger: Ledger,
    context: ToolContext,
    year: Year = None,
    benchmark: Literal["expenditure", "gross_expenditure"] = "expenditure",
    percentage: Annotated[float | None, Field(gt=0, le=10)] = None,
    risk: Literal["low", "medium", "high"] = "medium",
) -> outputs.Materiality:
    """Overall and performance materiality and the trivial level of the year (ISA 320, 450)."""
    from agents.tools.ledger import benchmarks

    return cast(
        outputs.Materiality,
        benchmarks.materiality(ledger, context, year, benchmark, percentage, risk),
    )


@tool("ledger.analytical_review", lane="analysis", timeout_seconds=60)
def analytical_review(
    ledger: Ledger, context: ToolContext, year: Year = None
) -> outputs.AnalyticalReview:
    """Months outside what each account's other months predict; this year against the prior."""
    from agents.tools.ledger import analytics

    return cast(outputs.AnalyticalReview, analytics.analytical_review(ledger, context, year))


@tool("ledger.journal_entry_tests", lane="analysis", timeout_seconds=120)
def journal_entry_tests(
    ledger: Ledger,
    context: ToolContext,
    year: Year = None,
    materiality: Materiality = None,
    limit: Annotated[int, Field(ge=1, le=400, description="length of the list")] = 250,
) -> outputs.JournalEntryTests:
    """All journal-entry tests of ISA 240, and one list of exceptions ranked by rarity."""
    from agents.tools.ledger.journal import report

    return cast(
        outputs.JournalEntryTests,
        report.journal_entry_tests(ledger, context, year, materiality, limit),
    )


@tool("ledger.sample", lane="analysis", timeout_seconds=60)
def sample(
    ledger: Ledger,
    context: ToolContext,
    materiality: Materiality = None,
    seed: Annotated[int, Field(ge=0, description="makes the selection repeatable")] = 1,
    confidence_percent: Annotated[float, Field(gt=50, lt=100)] = 95.0,
    expected_misstatement: Annotated[float, Field(ge=0, description="pounds")] = 0.0,
    year: Year = None,
) -> outputs.Sample:
    """A monetary-unit sample of the year's payments with a seeded start (ISA 530)."""
    from agents.tools.ledger import sampling

    return cast(
        outputs.Sample,
        sampling.sample(
            ledger,
            context,
            materiality,
            seed,
            confidence_percent / 100,
            expected_misstatement,
            year,
        ),
    )


@tool("ledger.evaluate_sample", lane="analysis", timeout_seconds=30)
def evaluate_sample(
    results: Annotated[
        list[dict[str, Any]],
        Field(description="tested items: book_value and audited_value, in pounds"),
    ],
    interval: Annotated[float, Field(gt=0, description="sampling interval in pounds")],
    tolerable_misstatement: Annotated[float, Field(gt=0, description="pounds")],
    confidence_percent: Annotated[float, Field(gt=50, lt=100)] = 95.0,
) -> outputs.EvaluateSample:
    """Project the errors of a monetary-unit sample and bound the total (Stringer bound)."""
    from agents.tools.ledger import sampling

    return cast(
        outputs.EvaluateSample,
        sampling.evaluate_sample(
            results, interval, tolerable_misstatement, confidence_percent / 100
        ),
    )


@tool("ledger.roll_forward", lane="analysis", timeout_seconds=60)
def roll_forward(
    ledger: Ledger,
    interim_date: Annotated[str, Field(description="ISO date of the interim work")],
    context: ToolContext,
    year: Year = None,
    materiality: Materiality = None,
) -> outputs.RollForward:
    """What happened to each account between interim work and the year's end (ISA 330.22)."""
    from agents.tools.ledger import rolling

    return cast(
        outputs.RollForward, rolling.roll_forward(ledger, interim_date, context, year, materiality)
    )


@tool("ledger.account_review", lane="analysis", timeout_seconds=60)
def account_review(
    ledger: Ledger,
    account: Annotated[
        str | int | dict[str, Any],
        Field(description="an account code, or an item of ledger.load's accounts"),
    ],
    context: ToolContext,
    year: Year = None,
    materiality: Materiality = None,
) -> outputs.AccountReview:
    """Substantive work on one account: figures, largest lines, exceptions, conclusion."""
    from agents.tools.ledger import accounts

    return cast(
        outputs.AccountReview, accounts.account_review(ledger, account, context, year, materiality)
    )


@tool("ledger.going_concern_indicators", lane="analysis", timeout_seconds=60)
def going_concern_indicators(
    ledger: Ledger, context: ToolContext, year: Year = None
) -> outputs.GoingConcernIndicators:
    """What spending alone can say of going concern: trend, stretch, reliance (ISA 570.A3)."""
    from agents.tools.ledger import going_concern

    return cast(outputs.GoingConcernIndicators, going_concern.indicators(ledger, context, year))


@tool("ledger.release", light=True)
def release(ledger: Ledger, context: ToolContext) -> outputs.Release:
    """Give a loaded ledger's file back; doing it twice is the same as once."""
    delete = getattr(context.artifacts, "delete", None)
    if delete is not None and "\n" not in ledger:
        delete(ledger)
    return {"released": ledger if "\n" not in ledger else "inline text"}
