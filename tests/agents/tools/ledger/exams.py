"""A second, independent way to plant irregularities: every ledger is set as another exam.

``planting`` holds four fixed styles. Here each seed draws how the examiner works: whether lines
are added or altered, how new lines are numbered, what document number and report they carry,
whether plants lie in the audited year or anywhere, and the size of each trick. Nothing here
shares code with ``planting``, so that weights fitted to the one can be judged on the other.
"""

from __future__ import annotations

import random
import string
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta

Row = dict[str, str]
NUMBERINGS = ("next", "by_date", "shuffled")
DOCUMENTS = ("copied", "one_digit", "fitting", "random")
DAY = timedelta(1)


@dataclass(frozen=True, slots=True)
class Style:
    """How an examiner plants: ``alters`` existing lines where the kind allows it."""

    alters: bool
    numbering: str
    document: str
    whole_ledger: bool


def draw_style(seed: int) -> Style:
    """Another style for each seed."""
    draw = random.Random(f"style {seed}")
    return Style(
        draw.random() < 0.4,
        draw.choice(NUMBERINGS),
        draw.choice(DOCUMENTS),
        draw.random() < 0.3,
    )


class Examiner:
    """Sets one exam on ``rows``; ``planted`` maps kinds to the planted rows."""

    def __init__(self, rows: list[Row], seed: int, style: Style, first: date, last: date) -> None:
        self.rows = [dict(row) for row in rows]
        self.random = random.Random(f"exam {seed}")
        self.style, self.first, self.last = style, first, last
        self.planted: dict[str, list[Row]] = defaultdict(list)
        self.taken: set[int] = set()
        self.genuine = list(self.rows)
        self.in_year = [r for r in self.genuine if first <= _day(r) <= last]
        self.by_day = sorted(self.genuine, key=_day)
        self.lines_of: dict[str, int] = defaultdict(int)
        for row in self.genuine:
            self.lines_of[row["vendor_id"]] += 1
        self.new_rows: list[Row] = []

    def set_exam(self, per_kind: tuple[int, int] = (6, 12)) -> dict[str, set[str]]:
        """Plant most kinds, each as often as drawn; the planted line ids by kind."""
        kinds = self.random.sample(KINDS, self.random.randint(9, len(KINDS)))
        for kind in kinds:
            wanted = self.random.randint(*per_kind)
            while len(self.planted[kind]) < wanted:
                getattr(self, kind)()
        self._number()
        return {k: {r["line_id"] for r in rows} for k, rows in self.planted.items()}

    # Copies.

    def exact_duplicate(self) -> None:
        self._add("exact_duplicate", dict(self._pick()))

    def paid_again_later(self) -> None:
        base = self._pick()
        self._add("paid_again_later", self._moved(base, self.random.randint(1, 14)))

    def copy_new_document(self) -> None:
        row = self._moved(self._pick(), self.random.randint(0, 7))
        self._add("copy_new_document", self._documented(row))

    def copy_amount_off(self) -> None:
        row = self._moved(self._pick(), self.random.randint(0, 5))
        factor = 1 + self.random.choice((-1, 1)) * self.random.uniform(0.0005, 0.015)
        row["amount_gbp"] = f"{float(row['amount_gbp']) * factor:.2f}"
        self._add("copy_amount_off", self._documented(row))

    def copy_other_spelling(self) -> None:
        row = self._moved(self._pick(name=9), self.random.randint(0, 7))
        row["vendor"] = self._typo(row["vendor"])
        self._add("copy_other_spelling", self._documented(row))

    def transposed(self) -> None:
        while True:
            base = self._pick(pounds=200)
            whole, pence = base["amount_gbp"].split(".")
            at = self.random.randrange(len(whole) - 1)
            if whole[at] != whole[at + 1] and not (at == 0 and whole[1] == "0"):
                break
        row = self._moved(base, self.random.randint(0, 10))
        swapped = whole[:at] + whole[at + 1] + whole[at] + whole[at + 2 :]
        row["amount_gbp"] = f"{swapped}.{pence}"
        self._add("transposed", self._documented(row))

    # Amounts.

    def round_amount(self) -> None:
        unit = self.random.choice((1_000, 5_000, 10_000, 50_000))
        amount = unit * self.random.randint(1, 9)
        self._altered("round_amount", amount_gbp=f"{max(amount, 5_000)}.00")

    def reversed_sign(self) -> None:
        base = self._pick()
        self._altered("reversed_sign", base, amount_gbp="-" + base["amount_gbp"])

    def blown_up(self) -> None:
        base = self._pick(lines=4)
        factor = self.random.choice((10, 100, self.random.uniform(15, 60)))
        self._altered("blown_up", base, amount_gbp=f"{float(base['amount_gbp']) * factor:.2f}")

    def split(self) -> None:
        base = self._pick(lines=2)
        limit = self.random.choice((1_000, 2_500, 5_000, 10_000, 20_000, 25_000, 50_000))
        low = self.random.choice((0.80, 0.90, 0.95))
        equal = self.random.random() < 0.25
        share = self.random.uniform(low, 0.999)
        parts, spread = self.random.randint(2, 5), self.random.choice((0, 1, 4))
        for _ in range(parts):
            amount = limit * (share if equal else self.random.uniform(low, 0.999))
            row = self._moved(base, self.random.randint(0, spread))
            row["amount_gbp"] = f"{amount:.2f}"
            self._add("split", self._documented(row))

    def leading_nine(self) -> None:
        base = self._pick(lines=3)
        for _ in range(self.random.randint(3, 5)):
            power = 10 ** self.random.randint(2, 4)
            row = self._moved(base, self.random.randint(0, 25))
            row["amount_gbp"] = f"{self.random.uniform(9.0, 9.99) * power:.2f}"
            self._add("leading_nine", self._documented(row))

    # Days.

    def weekend(self) -> None:
        base = self._pick()
        day = _day(base)
        day += (self.random.choice((5, 6)) - day.weekday()) * DAY
        self._altered("weekend", base, payment_date=day.isoformat())

    def holiday(self) -> None:
        days = [d for d in HOLIDAYS if self.first <= d <= self.last] or list(HOLIDAYS)
        self._altered("holiday", payment_date=self.random.choice(days).isoformat())

    def cut_off(self) -> None:
        edge = self.last if self.random.random() < 0.7 else self.first - DAY
        after = self.random.random() < 0.5
        low, high = (edge + DAY, edge + 15 * DAY) if after else (edge - 14 * DAY, edge)
        near = [r for r in self.genuine if low <= _day(r) <= high and id(r) not in self.taken]
        if not near:
            return self.cut_off()
        base = self.random.choice(near)
        self.taken.add(id(base))
        days = self.random.randint(1, 10)
        day = _working(edge - (days - 1) * DAY if after else edge + days * DAY, -1 if after else 1)
        row = base if self.style.alters else dict(base)
        row["payment_date"] = day.isoformat()
        if self.style.alters:
            self.planted["cut_off"].append(row)
        else:
            self._add("cut_off", row)
        return None

    # Payees.

    def look_alike(self) -> None:
        row = self._moved(self._pick(name=9, lines=3), self.random.randint(0, 40))
        row["vendor"], row["vendor_id"] = self._typo(row["vendor"]), self._vendor_id(row)
        row["amount_gbp"] = f"{float(row['amount_gbp']) * self.random.uniform(0.5, 2):.2f}"
        self._add("look_alike", self._documented(row))

    def burst(self) -> None:
        """A vendor that is new, or hardly known, gets many payments within a month."""
        base = self._pick()
        words = [self.random.choice(WORDS) for _ in range(2)]
        name, number = " ".join([*words, "LTD"]), self._vendor_id(base)
        for _ in range(self.random.randint(5, 8)):
            row = self._moved(base, self.random.randint(0, 28))
            row["vendor"], row["vendor_id"] = name, number
            row["amount_gbp"] = f"{self.random.uniform(2_000, 40_000):.2f}"
            self._add("burst", self._documented(row))

    # What they share.

    def _pick(self, *, name: int = 0, lines: int = 1, pounds: int = 300) -> Row:
        pool = self.genuine if self.style.whole_ledger else self.in_year
        while True:
            row = self.random.choice(pool)
            if (
                id(row) not in self.taken
                and float(row["amount_gbp"]) >= pounds
                and len(row["vendor"]) >= name
                and self.lines_of[row["vendor_id"]] >= lines
            ):
                self.taken.add(id(row))
                return row

    def _add(self, kind: str, row: Row) -> None:
        self.rows.append(row)
        self.new_rows.append(row)
        self.planted[kind].append(row)

    def _altered(self, kind: str, base: Row | None = None, **changes: str) -> None:
        base = base or self._pick()
        if self.style.alters:
            base.update(changes)
            self.planted[kind].append(base)
        else:
            self._add(kind, self._documented({**base, **changes}))

    def _moved(self, base: Row, days: int) -> Row:
        end = self.last if _day(base) <= self.last else date(2013, 3, 28)
        day = _working(min(_day(base) + days * DAY, end), -1 if days else 0)
        return {**base, "payment_date": day.isoformat()}

    def _documented(self, row: Row) -> Row:
        number = row["doc_no"]
        if self.style.document == "one_digit":
            at = self.random.randrange(len(number))
            row["doc_no"] = number[:at] + self.random.choice(string.digits) + number[at + 1 :]
        elif self.style.document == "random":
            row["doc_no"] = str(self.random.randrange(5_100_000_000, 5_110_000_000))
        elif self.style.document == "fitting":
            at = bisect_left(self.by_day, _day(row), key=_day) + self.random.randrange(5)
            like = self.by_day[min(at, len(self.by_day) - 1)]
            row["source_file"] = like["source_file"]
            if like["doc_no"].isdigit():
                row["doc_no"] = str(int(like["doc_no"]) + self.random.randint(1, 9))
        return row

    def _vendor_id(self, row: Row) -> str:
        number = row["vendor_id"]
        if self.random.random() < 0.5:
            return str(10_016_000 + self.random.randrange(7_000))
        at = self.random.randrange(3, len(number)) if len(number) > 3 else 0
        return number[:at] + self.random.choice(string.digits) + number[at + 1 :]

    def _typo(self, name: str) -> str:
        inner = [i for i in range(1, len(name) - 1) if name[i].isalpha()]
        at = self.random.choice(inner)
        changed = (
            name[:at] + name[at + 1 :],
            name[:at] + name[at] + name[at:],
            name[:at] + self.random.choice(string.ascii_uppercase) + name[at + 1 :],
            name[: at - 1] + name[at] + name[at - 1] + name[at + 1 :],
            name + ("S" if not name.endswith("S") else "."),
        )
        return next((c for c in self.random.sample(changed, 5) if c != name), name + "E")

    def _number(self) -> None:
        top = max(int(row["line_id"]) for row in self.genuine) + 1
        if self.style.numbering == "next":
            for number, row in enumerate(self.new_rows, top):
                row["line_id"] = str(number)
            return
        if self.style.numbering == "shuffled":
            self.random.shuffle(self.rows)
        else:
            self.rows.sort(key=lambda row: (row["payment_date"], self.random.random()))
        for number, row in enumerate(self.rows, 1):
            row["line_id"] = str(number)


def _day(row: Row) -> date:
    return date.fromisoformat(row["payment_date"])


def _working(day: date, step: int) -> date:
    while step and day.weekday() >= 5:
        day += step * DAY
    return day


WORDS = ("ASHDOWN", "BROOKVALE", "CALDERA", "DUNMORE", "EVERLEY", "FAIRWATER", "GRANTHAM")
HOLIDAYS = (
    date(2011, 8, 29), date(2011, 12, 26), date(2011, 12, 27), date(2012, 1, 2), date(2012, 4, 6),
    date(2012, 4, 9), date(2012, 5, 7), date(2012, 6, 5), date(2012, 8, 27), date(2012, 12, 25),
    date(2012, 12, 26), date(2013, 1, 1),
)  # fmt: skip
KINDS = ("exact_duplicate", "paid_again_later", "copy_new_document", "copy_amount_off",
         "copy_other_spelling", "transposed", "round_amount", "reversed_sign", "blown_up", "split",
         "leading_nine", "weekend", "holiday", "cut_off", "look_alike", "burst")  # fmt: skip
