import csv
import io
import time

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from monitoring.backtest import InvalidSeries, backtest, read_series


def series(n, seed=1):
    rng = np.random.default_rng(seed)
    values = 40 + 10 * np.sin(np.arange(n) * 2 * np.pi / 288) + rng.standard_normal(n)
    values[n - 10] += 80
    return "timestamp,value\n" + "".join(
        f"2026-01-{1 + i // 288:02d} {i % 288 // 12:02d}:{i % 12 * 5:02d}:00,{v:.3f}\n"
        for i, v in enumerate(values)
    )


def test_every_row_comes_back_scored_with_its_own_text():
    lines = series(2000).splitlines()
    scored = list(backtest(read_series(lines)))
    assert [f"{s.timestamp},{s.value}" for s in scored] == lines[1:]
    assert scored[1990].flagged
    assert all(0 <= s.score <= 1 for s in scored)


def test_twenty_thousand_rows_take_a_few_seconds():
    text = "timestamp,value\n" + "".join(f"{i * 300},{i % 97}.{i % 13}\n" for i in range(20_000))
    started = time.perf_counter()
    assert len(list(backtest(read_series(text.splitlines())))) == 20_000
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "header"),
        ("time,val\n1,2\n", 1, "header"),
        ("timestamp,value\n2026-01-01,1\n2026-01-02,abc\n", 3, "number"),
        ("timestamp,value\n2026-13-01,1\n", 2, "ISO 8601"),
        ("timestamp,value\n2026-01-01,1\n2026-01-02\n", 3, "columns"),
        ("timestamp,value\n2026-01-02,1\n2026-01-01,1\n", 3, "order"),
        ("timestamp,value\n2026-01-01,inf\n", 2, "finite"),
    ],
)
def test_bad_input_names_its_line(text, line, said):
    with pytest.raises(InvalidSeries, match=said) as caught:
        list(read_series(text.splitlines()))
    assert caught.value.line == line
    assert f"line {line}" in str(caught.value)


def test_gaps_epochs_zones_and_further_columns_are_read():
    text = "value,host,timestamp\n,a,1767225600\nNaN,a,1767225660.5\n3,a,2026-01-01T00:02:00Z\n"
    rows = list(read_series(text.splitlines()))
    assert [r.value for r in rows] == [None, None, 3.0]
    assert [r.at_seconds - 1767225600 for r in rows] == [0, 60.5, 120]


def test_the_command_writes_the_columns_of_the_contract(tmp_path):
    source, out = tmp_path / "series.csv", io.StringIO()
    source.write_text(series(600))
    call_command("backtest_anomalies", str(source), stdout=out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert list(rows[0]) == ["timestamp", "value", "score", "flagged"]
    assert len(rows) == 600
    assert {r["flagged"] for r in rows} <= {"0", "1"}


def test_the_command_names_the_line_it_cannot_read(tmp_path):
    source = tmp_path / "series.csv"
    source.write_text("timestamp,value\n2026-01-01,x\n")
    with pytest.raises(CommandError, match="line 2"):
        call_command("backtest_anomalies", str(source))
