"""Rows as a file for spreadsheets: nothing runs, and no number is touched."""

from __future__ import annotations

from collections.abc import Iterator

from config import spreadsheets


def test_texts_are_made_harmless_and_numbers_stay_numbers() -> None:
    answer = spreadsheets.table(("a", "b", "c"), [("=1+1", -0.5, None), ("x", 2, "-")], "t.csv")
    assert answer.content.decode().splitlines() == ["a,b,c", "'=1+1,-0.5,", "x,2,'-"]
    assert answer["Content-Disposition"] == 'attachment; filename="t.csv"'


def test_a_long_file_is_made_piece_by_piece() -> None:
    made = 0

    def rows() -> Iterator[tuple[str]]:
        nonlocal made
        for _ in range(10):
            made += 1
            yield ("=" * (spreadsheets.PIECE_BYTES // 2),)

    pieces = iter(spreadsheets.streamed(("a",), rows(), "t.csv"))
    assert next(pieces).startswith(b"a\r\n'==")
    assert made == 2
    assert sum(piece.count(b"\r\n") for piece in pieces) == 8
