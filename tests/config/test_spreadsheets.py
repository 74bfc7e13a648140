"""Rows as a file for spreadsheets: nothing runs, and no number is touched."""

from __future__ import annotations

from config import spreadsheets


def test_texts_are_made_harmless_and_numbers_stay_numbers() -> None:
    answer = spreadsheets.table(("a", "b", "c"), [("=1+1", -0.5, None), ("x", 2, "-")], "t.csv")
    assert answer.content.decode().splitlines() == ["a,b,c", "'=1+1,-0.5,", "x,2,'-"]
    assert answer["Content-Disposition"] == 'attachment; filename="t.csv"'
