"""Dated tax rates, read once from ``rates.yaml``; a date picks the row in force.

Every row of the file names its source. Rows marked as sample data are for trying out and are
verified against the authority before anyone relies on them; tools repeat that label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from config.errors import InvalidInput

RATES_FILE = Path(__file__).with_name("rates.yaml")


@dataclass(frozen=True, slots=True)
class VatRate:
    """VAT of one country from a date: rates as ratios, reduced ones largest first."""

    valid_from: date
    standard: Decimal
    reduced: tuple[Decimal, ...]
    source: str


@dataclass(frozen=True, slots=True)
class CorporateRate:
    """Corporate tax of one country from a date: headline national rate and indicative total."""

    valid_from: date
    national: Decimal
    combined: Decimal
    loss_offset: Decimal
    loss_floor: Decimal
    note: str
    source: str


@dataclass(frozen=True, slots=True)
class TreatyRate:
    """Highest tax that ``payer`` may keep on a payment to ``recipient`` under their treaty."""

    payer: str
    recipient: str
    kind: str
    rate: Decimal
    min_holding: Decimal
    min_months: int


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(
        RATES_FILE.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
    )
    return document


def sample_notice() -> str:
    """The label that goes with every figure from the table."""
    return str(_document()["notice"])


def eu_members() -> frozenset[str]:
    """ISO codes of the EU's member states (Greece as GR)."""
    return frozenset(_document()["eu_members"])


def known_jurisdictions() -> tuple[str, ...]:
    """Countries with both VAT (or none levied) and corporate tax in the table."""
    return tuple(sorted(_document()["corporate_tax"]))


@cache
def _vat_rows(country: str) -> tuple[VatRate, ...]:
    return tuple(
        VatRate(
            row["valid_from"],
            Decimal(row["standard"]),
            tuple(sorted((Decimal(rate) for rate in row["reduced"]), reverse=True)),
            _document()["sources"][row["source"]],
        )
        for row in _document()["vat"].get(country, ())
    )


@cache
def _corporate_rows(country: str) -> tuple[CorporateRate, ...]:
    return tuple(
        CorporateRate(
            row["valid_from"],
            Decimal(row["national"]),
            Decimal(row["combined"]),
            Decimal(row.get("loss_offset", "1")),
            Decimal(row.get("loss_floor", "0")),
            row.get("note", ""),
            _document()["sources"][row["source"]],
        )
        for row in _document()["corporate_tax"].get(country, ())
    )


def vat_rate(country: str, on: date) -> VatRate:
    """VAT of ``country`` in force ``on``; raises InvalidInput for a country or date not held."""
    rows = _vat_rows(country)
    if not rows:
        raise InvalidInput("country", country, f"VAT rates are held for {_countries('vat')}")
    return rows[_in_force("VAT", country, [row.valid_from for row in rows], on)]


def corporate_rate(country: str, on: date) -> CorporateRate:
    """Corporate tax of ``country`` in force ``on``; raises InvalidInput as ``vat_rate``."""
    rows = _corporate_rows(country)
    if not rows:
        raise InvalidInput(
            "jurisdiction", country, f"corporate tax is held for {_countries('corporate_tax')}"
        )
    return rows[_in_force("corporate tax", country, [row.valid_from for row in rows], on)]


def domestic_withholding(country: str, kind: str) -> Decimal:
    """Withholding tax of ``country`` on ``kind`` before any treaty, as a ratio."""
    table = _document()["withholding"]["domestic"]
    if country not in table:
        raise InvalidInput(
            "payer_country", country, f"withholding tax is held for {', '.join(sorted(table))}"
        )
    return Decimal(table[country][kind])


@cache
def treaty_rates(payer: str, recipient: str, kind: str) -> tuple[TreatyRate, ...]:
    """Treaty rows between two countries for a kind of payment, in both directions alike."""
    rows: list[TreatyRate] = []
    for row in _document()["withholding"]["treaties"]:
        if {payer, recipient} == set(row["between"]) and payer != recipient:
            rows.extend(
                TreatyRate(
                    payer,
                    recipient,
                    kind,
                    Decimal(entry["rate"]),
                    Decimal(entry.get("min_holding", "0")),
                    int(entry.get("min_months", 0)),
                )
                for entry in row[kind]
            )
    return tuple(sorted(rows, key=lambda row: row.rate))


def _in_force(what: str, country: str, starts: Sequence[date], on: date) -> int:
    current = [index for index, start in enumerate(starts) if start <= on]
    if not current:
        raise InvalidInput(
            "on_date", on.isoformat(), f"{what} of {country} is held from {min(starts).isoformat()}"
        )
    return max(current, key=lambda index: starts[index])


def _countries(section: str) -> str:
    return ", ".join(sorted(_document()[section]))
