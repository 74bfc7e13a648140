"""Going concern: distress scores, liquidity and room under covenants."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, cast

from pydantic import Field

from agents.tools.audit import outputs
from agents.tools.audit.money import percent, rounded
from agents.tools.registry import tool

Money = Annotated[Decimal, Field(ge=0)]


@tool("audit.distress_score", light=True)
def distress_score(
    total_assets: Annotated[Decimal, Field(gt=0)],
    current_assets: Money,
    current_liabilities: Annotated[Decimal, Field(gt=0)],
    total_liabilities: Annotated[Decimal, Field(gt=0)],
    retained_earnings: Decimal,
    ebit: Decimal,
    equity: Decimal,
    revenue: Annotated[
        Decimal | None, Field(ge=0, description="gives Z' for manufacturers")
    ] = None,
) -> outputs.DistressScore:
    """Altman's Z'' (and Z' with revenue) for private companies, and the current ratio.

    Z'' = 6.56 A + 3.26 B + 6.72 C + 1.05 D, distress under 1.10, safe over 2.60;
    Z' = 0.717 A + 0.847 B + 3.107 C + 0.420 D + 0.998 S, distress under 1.23, safe over 2.90.
    A working capital, B retained earnings, C EBIT, S sales, over assets; D equity over liabilities.
    Source: Altman, "Predicting financial distress of companies", 2000; ISA 570.A3.
    """
    a = (current_assets - current_liabilities) / total_assets
    b, c = retained_earnings / total_assets, ebit / total_assets
    d = equity / total_liabilities
    z2 = Decimal("6.56") * a + Decimal("3.26") * b + Decimal("6.72") * c + Decimal("1.05") * d
    result: dict[str, Any] = {
        "z_double_prime": rounded(z2),
        "z_double_prime_zone": _zone(z2, Decimal("1.10"), Decimal("2.60")),
        "current_ratio": rounded(current_assets / current_liabilities),
        "net_current_assets": rounded(current_assets - current_liabilities),
    }
    if revenue is not None:
        z1 = (
            Decimal("0.717") * a + Decimal("0.847") * b + Decimal("3.107") * c
            + Decimal("0.420") * d + Decimal("0.998") * revenue / total_assets
        )  # fmt: skip
        result["z_prime"] = rounded(z1)
        result["z_prime_zone"] = _zone(z1, Decimal("1.23"), Decimal("2.90"))
    doubt = result["z_double_prime_zone"] == "distress" or current_assets < current_liabilities
    result["going_concern_reading"] = (
        "events may cast significant doubt; obtain management's assessment and forecasts"
        if doubt
        else "no indicator of doubt from these figures"
    )
    return cast(outputs.DistressScore, result)


def _zone(score: Decimal, distress: Decimal, safe: Decimal) -> str:
    return "distress" if score < distress else "safe" if score > safe else "grey"


@tool("audit.covenant_headroom", light=True)
def covenant_headroom(
    ebitda: Annotated[Decimal, Field(gt=0)],
    net_debt: Money,
    interest: Annotated[Decimal, Field(gt=0)],
    maximum_leverage: Annotated[Decimal, Field(gt=0, description="net debt / EBITDA")],
    minimum_cover: Annotated[Decimal, Field(gt=0, description="EBITDA / interest")],
    cash: Money = Decimal(0),
    monthly_cash_burn: Money = Decimal(0),
) -> outputs.CovenantHeadroom:
    """Leverage and interest cover against their covenants, and how far EBITDA may fall.

    Headroom is the fall of EBITDA in percent that breaks the nearer covenant. Source: ISA 570.A3
    (breach of covenants), 570.A8 (stress of forecasts).
    """
    leverage, cover = net_debt / ebitda, ebitda / interest
    needed = max(net_debt / maximum_leverage, interest * minimum_cover)
    result: dict[str, Any] = {
        "leverage_multiple": rounded(leverage),
        "interest_cover": rounded(cover),
        "ebitda_headroom_percent": percent(ebitda - needed, ebitda),
        "covenant_verdict": "breached" if needed > ebitda else "kept",
    }
    if monthly_cash_burn:
        result["months_of_cash"] = rounded(cash / monthly_cash_burn, Decimal("0.1"))
    return cast(outputs.CovenantHeadroom, result)
