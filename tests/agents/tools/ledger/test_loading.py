"""Reading ledgers as people export them, and refusing what is not one."""

from __future__ import annotations

import pytest

from agents.tools.ledger import reading
from agents.tools.ledger.period import parse
from agents.tools.ledger.reading import read
from config.errors import InvalidInput, NotFound, Unavailable
from tests.agents.tools.ledger.conftest import HEADER, ledger, payments

ROW = "1,V1,ACME LTD,6100,Stationery,D1,1234.50,2024-03-05"


def test_the_shipped_sample_loads_without_a_problem(call, store, sample_bytes):
    ref = store.save("sample.csv", sample_bytes, "text/csv")
    result = call("ledger.load", ledger=ref, year="2012/13")
    assert (result["rows"], result["rows_in_year"], result["rows_outside_year"]) == (
        14361,
        9447,
        4914,
    )
    assert result["problem_count"] == 0
    assert result["total"] == 633798407.44  # the sum that the source states: 633.8 million
    assert round(result["total_in_year"] + result["total_outside_year"], 2) == result["total"]
    assert result["accounts"][0]["account_code"] == "544076"
    assert round(sum(a["total"] for a in result["accounts"]), 2) == result["total_in_year"]


def test_loading_twice_gives_the_same_reference(call):
    text = ledger(ROW)
    first = call("ledger.load", ledger=text, year=2024)
    assert call("ledger.load", ledger=text, year=2024)["ledger"] == first["ledger"]
    assert call("ledger.load", ledger=first["ledger"], year=2024)["rows"] == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_common_encodings_give_the_same_vendor(encoding):
    text = ledger("1,V1,CAFÉ MÜLLER,6100,Stationery,D1,10.00,2024-03-05")
    assert read(text.encode(encoding)).rows[0]["vendor"] == "CAFÉ MÜLLER"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_common_delimiters_are_found(delimiter):
    text = ledger(ROW).replace(",", delimiter)
    assert read(text.encode()).rows[0]["pence"] == 123450


@pytest.mark.parametrize(
    ("written", "pence"),
    [
        ("1.234,50", 123450),
        ("-7,5", -750),
        ("1.234.567,89", 123456789),
        ("(12,00)", -1200),
        ("2.000", 200000),  # thousands, because the column has decimal commas
        ("£ 3,10", 310),
        ("12,00-", -1200),
    ],
)
def test_a_column_of_decimal_commas_is_read_as_one(written, pence):
    rows = [f"1;V1;A;6100;S;D1;{written};2024-03-05", "2;V1;A;6100;S;D2;9,99;2024-03-05"]
    text = ledger(*rows, header=HEADER.replace(",", ";"))
    assert read(text.encode()).rows[0]["pence"] == pence


@pytest.mark.parametrize(
    ("written", "pence"),
    [("1,234.50", 123450), ('"1,234,567.89"', 123456789), ("-0.05", -5), ("1,234", 123400)],
)
def test_a_column_of_decimal_points_is_read_as_one(written, pence):
    quoted = written if written.startswith('"') else f'"{written}"'
    text = ledger(f"1,V1,A,6100,S,D1,{quoted},2024-03-05", "2,V1,A,6100,S,D2,9.99,2024-03-05")
    assert read(text.encode()).rows[0]["pence"] == pence


@pytest.mark.parametrize("amount", ["", "abc", "1.2E+05", "12..5", "nan", "1,23,4.5"])
def test_a_row_with_a_bad_amount_is_reported_by_line_and_left_out(amount):
    text = ledger(ROW, f'2,V1,ACME,6100,Stationery,D2,"{amount}",2024-03-06')
    found = read(text.encode())
    assert [(p.line, p.action) for p in found.problems] == [(3, "excluded")]
    assert "amount" in found.problems[0].reason
    assert len(found.rows) == 1


@pytest.mark.parametrize(
    ("written", "iso"),
    [
        ("2024-03-05", "2024-03-05"),
        ("05/03/2024", "2024-03-05"),
        ("05.03.24", "2024-03-05"),
        ("5 Mar 2024", "2024-03-05"),
        ("20240305", "2024-03-05"),
        ("2024-03-05T10:15:00", "2024-03-05"),
    ],
)
def test_dates_are_read_day_first_unless_the_column_says_otherwise(written, iso):
    text = ledger(f"1,V1,A,6100,S,D1,10.00,{written}")
    assert read(text.encode()).rows[0]["date"].isoformat() == iso


def test_one_date_that_can_only_be_month_first_decides_the_column():
    text = ledger("1,V1,A,6100,S,D1,10.00,03/04/2024", "2,V1,A,6100,S,D2,10.00,03/25/2024")
    found = read(text.encode())
    assert [row["date"].isoformat() for row in found.rows] == ["2024-03-04", "2024-03-25"]
    assert any("month first (shown by the column)" in note for note in found.notes)


def test_an_undecided_date_order_is_reported_as_assumed():
    found = read(ledger("1,V1,A,6100,S,D1,10.00,03/04/2024").encode())
    assert any("assumed" in note for note in found.notes)


def test_nothing_is_dropped_in_silence():
    text = ledger(
        ROW,
        "2,V1,ACME,6100,Stationery,D2",
        ",V1,ACME,6100,Stationery,D3,5.00,2024-03-06",
        "4,V1,ACME,6100,Stationery,D4,5.00,2024-02-30",
        "1,V1,ACME,6100,Stationery,D5,5.00,2024-03-06",
        "6,,ACME,6100,Stationery,D6,5.005,2024-03-06",
    )
    found = read(text.encode())
    assert [(p.line, p.action) for p in found.problems] == [
        (3, "excluded"),
        (4, "excluded"),
        (5, "excluded"),
        (6, "kept"),
        (7, "kept"),
        (7, "kept"),
    ]
    assert len(found.rows) + 3 == 6


def test_an_unclosed_quote_takes_no_line_away_unreported():
    rows = [f"{i},V1,ACME,6100,Stationery,D{i},5.00,2024-03-06" for i in range(2, 8)]
    text = ledger(ROW, '9,V1,"ACME,6100,Stationery,D9,5.00,2024-03-06', *rows)
    found = read(text.encode())
    assert {p.line for p in found.problems} == set(range(3, 10))


def test_header_variants_are_understood():
    header = (
        "Line ID;Supplier No;Supplier Name;Cost Element;Account Name;Document Number;Amount;Date"
    )
    text = ledger("1;V1;A;6100;S;D1;10.00;2024-03-05", header=header)
    assert read(text.encode()).rows[0]["doc_no"] == "D1"


def test_a_missing_column_is_named_with_what_was_found():
    text = ledger("1,A,6100", header="line_id,vendor,account_code")
    with pytest.raises(InvalidInput) as error:
        read(text.encode())
    assert "vendor_id" in str(error.value)
    assert "amount_gbp" in str(error.value)
    assert "line_id, vendor, account_code" in str(error.value)


def test_two_columns_of_one_meaning_are_ambiguous():
    text = ledger(ROW + ",1", header=HEADER.replace("amount_gbp", "Amount") + ",Net Amount")
    with pytest.raises(InvalidInput, match="several columns could be 'amount_gbp'"):
        read(text.encode())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty file"),
        (b"\xef\xbb\xbf \n", "empty file"),
        (HEADER.encode(), "no rows"),
        (b"PK\x03\x04rest", "workbook"),
        (bytes(range(256)) * 40, "binary"),
    ],
)
def test_what_is_not_a_ledger_is_refused(content, why):
    with pytest.raises(InvalidInput, match=why):
        read(content)


def test_a_file_over_the_limit_is_refused_with_its_size(call, store):
    big = HEADER.encode() + b"\n" + b"x" * (50 * 2**20)
    ref = store.save("big.csv", big, "text/csv")
    with pytest.raises(InvalidInput, match=r"50\.0 MB.*limit is 25 MB"):
        call("ledger.load", ledger=ref, year=2024)
    assert list(store.kept) == [ref]  # nothing half written
    assert reading.MAX_BYTES == 25 * 2**20


def test_an_unknown_reference_is_not_found(call):
    with pytest.raises(NotFound):
        call("ledger.load", ledger="artifact:none", year=2024)


def test_loading_needs_a_store():
    from agents.tools import registry

    with pytest.raises(Unavailable):
        registry.get("ledger.load").call({"ledger": ledger(ROW), "year": 2024})


@pytest.mark.parametrize(
    ("year", "start", "end"),
    [
        (2012, "2012-01-01", "2012-12-31"),
        ("2012", "2012-01-01", "2012-12-31"),
        ("2012/13", "2012-04-01", "2013-03-31"),
        ("2012-2013", "2012-04-01", "2013-03-31"),
        ("FY 2099/00", "2099-04-01", "2100-03-31"),
    ],
)
def test_a_year_is_a_calendar_or_a_financial_year(year, start, end):
    found = parse(year)
    assert (found.start.isoformat(), found.end.isoformat()) == (start, end)


@pytest.mark.parametrize("year", ["", "12", "2012/14", "next", 1900, "2012-2014"])
def test_a_year_that_is_none_is_refused(year):
    with pytest.raises(InvalidInput, match="year"):
        parse(year)


def test_lines_outside_the_year_are_reported_and_kept(call):
    text = ledger(ROW, "2,V1,ACME,6100,Stationery,D2,20.00,2023-12-31")
    result = call("ledger.load", ledger=text, year=2024)
    assert (result["rows"], result["rows_outside_year"], result["total_outside_year"]) == (2, 1, 20)
    assert result["outside_year_examples"] == [
        {"line_id": "2", "date": "2023-12-31", "amount": 20.0}
    ]


def test_spellings_of_an_account_are_merged(call):
    rows = payments(["1.00", "2.00", "3.00"])
    rows[0] = rows[0].replace("Stationery", "STATIONERY")
    result = call("ledger.load", ledger=ledger(*rows), year=2024)
    assert result["accounts"] == [
        {"account_code": "6100", "account": "Stationery", "lines": 3, "total": 6.0}
    ]
