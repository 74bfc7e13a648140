"""Group audits: which components need work, and how much of the group that covers."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from agents.tools.audit import outputs
from agents.tools.audit.money import rounded
from agents.tools.registry import tool
from config.errors import InvalidInput

# A component above this share of the benchmark is significant by size; ISA 600.A5 names 15 %.
SIGNIFICANT_PERCENT = Decimal(15)
# Aggregation: component levels may sum to a multiple of group materiality that depends on number.
MAX_MULTIPLE = ((2, "1.5"), (4, "2"), (6, "2.5"), (9, "3"), (14, "3.5"), (19, "4"), (25, "4.5"))


@tool("audit.group_scoping", light=True)
def group_scoping(
    components: Annotated[
        list[dict[str, Any]],
        Field(description="each: name, amount (of the benchmark), significant_risk true or false"),
    ],
    group_materiality: Annotated[Decimal, Field(gt=0)],
) -> outputs.GroupScoping:
    """Scope each component and give it a materiality that keeps aggregation risk low.

    Full scope from 15 % of the group, specified procedures for a significant risk, analytical
    review for the rest. Component materiality = group x multiple x share of root amounts (Glover,
    Prawitt, Liljegren, Messier, "Component materiality for group audits", JofA 2008), capped at
    the group's. Source: ISA 600.26-29, 21(c).
    """
    parsed = [_component(item, at) for at, item in enumerate(components)]
    if not parsed:
        raise InvalidInput("components", components, "give at least one component")
    total = sum((amount for _, amount, _ in parsed), Decimal(0))
    if total <= 0:
        raise InvalidInput("components", str(total), "amounts must add up to more than 0")
    worked = [(n, a, r) for n, a, r in parsed if a / total * 100 >= SIGNIFICANT_PERCENT or r]
    roots = sum((a.sqrt() for _, a, _ in worked), Decimal(0))
    multiple = Decimal(next((m for n, m in MAX_MULTIPLE if len(worked) <= n), "5"))
    rows, covered = [], Decimal(0)
    for name, amount, risky in parsed:
        full = amount / total * 100 >= SIGNIFICANT_PERCENT
        scope = "full scope" if full else "specified procedures" if risky else "analytical review"
        row = {
            "component": name,
            "share_percent": rounded(amount / total * 100),
            "scope": scope,
        }
        if full or risky:
            covered += amount
            level = group_materiality * multiple * amount.sqrt() / roots if roots else Decimal(0)
            row["component_materiality"] = rounded(min(level, group_materiality))
        rows.append(row)
    coverage = covered / total * 100
    return {
        "scoped_components": rows,
        "full_scope_count": sum(row["scope"] == "full scope" for row in rows),
        "coverage_percent": rounded(coverage),
        "aggregation_multiple": float(multiple),
        "scoping_conclusion": "coverage is enough"
        if coverage >= 70
        else "add components: less than 70 % is covered",
    }


def _component(item: dict[str, Any], at: int) -> tuple[str, Decimal, bool]:
    amount = item.get("amount")
    if isinstance(amount, bool) or not isinstance(amount, int | float | str):
        raise InvalidInput(f"components.{at}.amount", amount, "a number from 0")
    try:
        value = Decimal(str(amount))
    except ArithmeticError:
        raise InvalidInput(f"components.{at}.amount", amount, "a number from 0") from None
    if not value.is_finite() or value < 0:
        raise InvalidInput(f"components.{at}.amount", amount, "a number from 0")
    return str(item.get("name", f"component {at + 1}")), value, bool(item.get("significant_risk"))
