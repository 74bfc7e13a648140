"""Reporting: which opinion the evidence supports."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from agents.tools.audit import outputs
from agents.tools.audit.money import percent
from agents.tools.registry import tool

GoingConcern = Literal["none", "uncertainty disclosed", "uncertainty not disclosed", "basis wrong"]


@tool("audit.opinion", light=True)
def opinion(
    uncorrected_misstatement: Annotated[Decimal, Field(description="net, in pounds")],
    overall_materiality: Annotated[Decimal, Field(gt=0)],
    pervasive: bool = False,
    scope_limitation: Annotated[
        Literal["none", "material", "pervasive"], Field(description="evidence not obtained")
    ] = "none",
    going_concern: GoingConcern = "none",
    emphasis_of_matter: bool = False,
) -> outputs.Opinion:
    """Decide the type of opinion and the paragraphs of the report.

    Source: ISA 700.16-17, ISA 705.6-10 and table A1 (qualified, adverse, disclaimer), ISA 570.21-23
    (going concern), ISA 706.8 (emphasis of matter).
    """
    material = abs(uncorrected_misstatement) >= overall_materiality
    if going_concern == "basis wrong" or (material and pervasive):
        kind = "adverse"
    elif scope_limitation == "pervasive":
        kind = "disclaimer"
    elif material or scope_limitation == "material":
        kind = "qualified"
    elif going_concern == "uncertainty not disclosed":
        kind = "adverse" if pervasive else "qualified"
    else:
        kind = "unmodified"
    paragraphs = ["Opinion", "Basis for Opinion"]
    if kind != "unmodified":
        paragraphs = [f"{kind.capitalize()} Opinion", f"Basis for {kind.capitalize()} Opinion"]
    if going_concern == "uncertainty disclosed":
        paragraphs.append("Material Uncertainty Related to Going Concern")
    if emphasis_of_matter and kind != "disclaimer":
        paragraphs.append("Emphasis of Matter")
    return {
        "opinion": kind,
        "opinion_wording": WORDING[kind],
        "report_paragraphs": paragraphs,
        "misstatement_share_percent": percent(abs(uncorrected_misstatement), overall_materiality),
        "misstatement_is_material": material,
    }


WORDING = {
    "unmodified": "the financial statements give a true and fair view in all material respects",
    "qualified": "except for the effects of the matter described, a true and fair view is given",
    "adverse": "because of the matter described, a true and fair view is not given",
    "disclaimer": "we do not express an opinion, for want of sufficient appropriate evidence",
}
