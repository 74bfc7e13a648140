"""Irregularities planted in a copy of a real ledger, to measure how many a ranked list finds.

Four styles bound what a fraudster or a clerk leaves behind. ``appended`` adds every irregularity as
a new line with a new line id and an invented document number. ``renumbered`` is the same in a
ledger numbered afresh by date, so that line ids tell nothing. ``in_place`` alters existing lines
where a kind allows it. ``careful`` does that and also gives each new line a document number, a
vendor number and a source report that fit its date, so that no trace but the irregularity itself
is left: for several kinds nothing can then tell it from ordinary lines.
"""

from __future__ import annotations

import csv
import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

SAMPLE = Path(__file__).parents[4] / "agents/tools/ledger/sample/gla_payments_2011_2013.csv"
STYLES = ("appended", "renumbered", "in_place", "careful")
LIMITS = (1_000, 5_000, 10_000, 25_000, 50_000)
Row = dict[str, str]


def sample_rows() -> list[Row]:
    """The shipped ledger as text rows."""
    with SAMPLE.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@dataclass
class Planted:
    """A ledger with plants: its rows, and the planted line ids by kind."""

    rows: list[Row]
    by_kind: dict[str, set[str]]

    def csv_bytes(self) -> bytes:
        """The rows as a CSV file."""
        names = list(self.rows[0])
        lines = [",".join(names)]
        lines += [
            ",".join('"' + row[n].replace('"', '""') + '"' for n in names) for row in self.rows
        ]
        return ("\n".join(lines) + "\n").encode()


@dataclass
class Planter:
    """Plants kinds of irregularities into ``rows``; the draws come from ``seed``."""

    rows: list[Row]
    seed: int
    style: str
    marks: list[tuple[str, Row]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.careful = self.style == "careful"
        self.alters = self.style in ("careful", "in_place")
        self.rows = [dict(row) for row in self.rows]
        self.original = list(self.rows)
        self.by_vendor: dict[str, list[Row]] = defaultdict(list)
        for row in self.original:
            self.by_vendor[row["vendor_id"]].append(row)
        self.next_id = max(int(row["line_id"]) for row in self.rows) + 1
        self.used: set[int] = set()

    def plant(self, kinds: dict[str, int]) -> Planted:
        """Plant ``kinds[name]`` irregularities of each kind (a split counts as its parts)."""
        for kind, count in kinds.items():
            for _ in range(count):
                getattr(self, kind)()
        if self.style in ("careful", "renumbered"):
            self.rows.sort(key=lambda row: row["payment_date"])  # stable: ties keep their order
            for number, row in enumerate(self.rows):
                row["line_id"] = str(50_000 + number)
        by_kind: dict[str, set[str]] = defaultdict(set)
        for kind, row in self.marks:
            by_kind[kind].add(row["line_id"])
        return Planted(self.rows, by_kind)

    # The kinds.

    def exact_duplicate(self) -> None:
        self._add("exact_duplicate", self._pick(), new_doc=False)

    def fuzzy_date_and_doc(self) -> None:
        base = self._pick()
        self._add("fuzzy_date_and_doc", base, day=self._shift(base, 1, 20))

    def fuzzy_vendor_respelled(self) -> None:
        base = self._pick(name_length=8)
        self._add("fuzzy_vendor_respelled", base, day=self._shift(base, 0, 10),
                  vendor=self._misspell(base["vendor"]))  # fmt: skip

    def round_amount(self) -> None:
        base = self._pick()
        amount = self.random.choice((5_000, 10_000, 20_000, 25_000, 50_000, 100_000))
        self._change("round_amount", base, amount_gbp=f"{amount}.00")

    def weekend(self) -> None:
        base = self._pick()
        day = date.fromisoformat(base["payment_date"])
        day += timedelta(self.random.choice((5, 6)) - day.weekday())
        self._change("weekend", base, day=day)

    def split(self) -> None:
        base = self._pick()
        limit = self.random.choice(LIMITS)
        start = date.fromisoformat(base["payment_date"])
        for _ in range(self.random.randint(2, 4)):
            amount = limit * self.random.uniform(0.85, 0.995)
            day = self._working(start + timedelta(self.random.randint(0, 5)))
            self._add("split", base, day=day, amount_gbp=f"{amount:.2f}")

    def look_alike_vendor(self) -> None:
        base = self._pick(name_length=8, least_lines=4)
        amount = self._scaled(base, 0.6, 1.6)
        self._add(
            "look_alike_vendor",
            base,
            day=self._shift(base, 5, 60),
            amount_gbp=amount,
            vendor=self._misspell(base["vendor"]),
            vendor_id=self._new_vendor_id(),
        )

    def transposed(self) -> None:
        for _ in range(200):
            base = self._pick(least_pounds=1000)
            digits = list(base["amount_gbp"].replace(".", ""))
            at = self.random.randrange(len(digits) - 1)
            if digits[at] != digits[at + 1] and not (at == 0 and digits[1] == "0"):
                digits[at], digits[at + 1] = digits[at + 1], digits[at]
                text = "".join(digits)
                self._add("transposed", base, day=self._shift(base, 1, 20),
                          amount_gbp=f"{text[:-2]}.{text[-2:]}")  # fmt: skip
                return

    def sign_reversal(self) -> None:
        base = self._pick()
        self._change("sign_reversal", base, amount_gbp="-" + base["amount_gbp"])

    def cut_off(self) -> None:
        end = self.random.choice((date(2012, 3, 31), date(2012, 12, 31)))
        before = self.random.random() < 0.5
        near = [
            row
            for row in self.original
            if 0 < (date.fromisoformat(row["payment_date"]) - end).days <= 21
            or -21 < (date.fromisoformat(row["payment_date"]) - end).days <= 0
        ]
        side = [r for r in near if (date.fromisoformat(r["payment_date"]) <= end) == before]
        base = self.random.choice([r for r in side if id(r) not in self.used])
        self.used.add(id(base))
        day = self._working(end + timedelta(self.random.randint(1, 8) * (1 if before else -1)))
        # Its document number and report stay those of the other side.
        if self.alters:
            self._change("cut_off", base, day=day)
        else:
            self._add("cut_off", base, day=day, new_doc=False)

    def outlier(self) -> None:
        base = self._pick(least_lines=5)
        amount = self._scaled(base, *self.random.choice(((8, 15), (20, 60), (95, 105))))
        self._change("outlier", base, amount_gbp=amount)

    def ghost_vendor(self) -> None:
        base = self._pick()
        words = (
            "APEX",
            "NORTHGATE",
            "SUMMIT",
            "BLUESTONE",
            "ORION",
            "KEYSTONE",
            "VERTEX",
            "HALCYON",
        )
        ends = ("CONSULTING", "SERVICES", "SOLUTIONS", "TRADING", "ASSOCIATES", "MANAGEMENT")
        first, second, end = (self.random.choice(part) for part in (words, words, ends))
        name = f"{first} {second} {end} LTD"
        amount = self.random.choice(
            (f"{self.random.choice(LIMITS) * self.random.uniform(0.95, 0.999):.2f}",
             f"{self.random.choice((5_000, 10_000, 20_000, 50_000))}.00",
             f"{self.random.uniform(3_000, 60_000):.2f}"))  # fmt: skip
        self._add("ghost_vendor", base, amount_gbp=amount, vendor=name,
                  vendor_id=self._new_vendor_id())  # fmt: skip

    # What they share.

    def _pick(self, *, name_length: int = 0, least_lines: int = 0, least_pounds: int = 500) -> Row:
        while True:
            row = self.random.choice(self.original)
            fits = (
                id(row) not in self.used
                and float(row["amount_gbp"]) >= least_pounds
                and len(row["vendor"]) >= name_length
                and len(self.by_vendor[row["vendor_id"]]) >= least_lines
            )
            if fits:
                self.used.add(id(row))
                return row

    def _add(self, kind: str, base: Row, *, day: date | None = None, new_doc: bool = True,
             **changes: str) -> None:  # fmt: skip
        row = {**base, "line_id": str(self.next_id), **changes}
        self.next_id += 1
        if day is not None:
            row["payment_date"] = day.isoformat()
        if new_doc:
            self._fit(row)
        self.rows.append(row)
        self.marks.append((kind, row))

    def _change(self, kind: str, row: Row, *, day: date | None = None, **changes: str) -> None:
        if not self.alters:
            self._add(kind, row, day=day, new_doc=self.random.random() < 0.7, **changes)
            return
        row.update(changes)
        if day is not None:
            row["payment_date"] = day.isoformat()
        self.marks.append((kind, row))

    def _fit(self, row: Row) -> None:
        """A document number and report that fit the date, or any number if careless."""
        if not self.careful:
            row["doc_no"] = f"51{self.random.randrange(7_250_000, 7_850_000) + 72_000_000:08d}"
            return
        near = [r for r in self.random.sample(self.original, 600)
                if abs((date.fromisoformat(r["payment_date"])
                        - date.fromisoformat(row["payment_date"])).days) <= 4]  # fmt: skip
        if near:
            like = self.random.choice(near)
            row["doc_no"] = str(int(like["doc_no"]) + self.random.randint(1, 30))
            row["source_file"] = like["source_file"]

    def _shift(self, base: Row, low: int, high: int) -> date:
        day = date.fromisoformat(base["payment_date"]) + timedelta(self.random.randint(low, high))
        return self._working(day)

    def _working(self, day: date) -> date:
        day = min(day, date(2013, 3, 28))
        return day - timedelta(max(day.weekday() - 3, 0))

    def _scaled(self, base: Row, low: float, high: float) -> str:
        return f"{float(base['amount_gbp']) * self.random.uniform(low, high):.2f}"

    def _new_vendor_id(self) -> str:
        if self.careful:
            return str(10_016_000 + self.random.randrange(6_000))
        return str(10_023_000 + self.random.randrange(60_000))

    def _misspell(self, name: str) -> str:
        letters = [i for i, ch in enumerate(name[:-1]) if ch.isalpha() and name[i + 1].isalpha()]
        at = self.random.choice(letters[1:] or letters)
        swapped = name[:at] + name[at + 1] + name[at] + name[at + 2 :]
        options = (
            swapped if swapped != name else name[:at] + name[at + 1 :],
            name[:at] + name[at + 1 :],
            name[:at] + name[at] + name[at:],
            name.replace("O", "0", 1) if "O" in name else name + "S",
            name.replace("I", "1", 1) if "I" in name else name + "S",
        )
        return self.random.choice(options)


ALL_KINDS = (
    "exact_duplicate",
    "fuzzy_date_and_doc",
    "fuzzy_vendor_respelled",
    "round_amount",
    "weekend",
    "split",
    "look_alike_vendor",
    "transposed",
    "sign_reversal",
    "cut_off",
    "outlier",
    "ghost_vendor",
)


def mix(seed: int) -> dict[str, int]:
    """A draw of kinds: 8 to 12 kinds, 50 to 150 planted lines."""
    draw = random.Random(seed * 7919)
    kinds = draw.sample(ALL_KINDS, draw.randint(8, len(ALL_KINDS)))
    return {kind: draw.randint(2, 4) if kind == "split" else draw.randint(5, 13) for kind in kinds}
