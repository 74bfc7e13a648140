"""Tax tools. Importing the package declares them all."""

from agents.tools.tax import (
    corporate_germany,
    corporate_uk,
    corporate_us,
    deferred,
    jurisdictions,
    pillar_two,
    research_relief,
    transfer_pricing,
    vat_eu,
    vat_uk,
    withholding,
)

__all__ = [
    "corporate_germany",
    "corporate_uk",
    "corporate_us",
    "deferred",
    "jurisdictions",
    "pillar_two",
    "research_relief",
    "transfer_pricing",
    "vat_eu",
    "vat_uk",
    "withholding",
]
