"""The record as Parquet: whole, by day, written once, and read by the notebook that is shipped."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import fsspec
import psycopg
import pyarrow.dataset as ds
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from agents.models import Invocation
from config.errors import Unavailable
from config.partitions import first_id
from config.schedules import SCHEDULE
from monitoring import export, health, lake, tasks
from monitoring.models import Measurement

pytestmark = pytest.mark.django_db
NOTEBOOK = Path(__file__).parents[2] / "docs/notebooks/telemetry.ipynb"
SOMEBODY = UUID("019dc000-0000-7000-8000-000000000000")


def day_ago(days: int) -> datetime:
    return (timezone.now() - timedelta(days=days)).replace(hour=12)


def called(at: datetime, number: int = 0, **fields: Any) -> Invocation:
    key = UUID(int=first_id(at).int + number)
    given = {
        "client_id": SOMEBODY, "agent_id": SOMEBODY, "agent_slug": "a", "version_id": SOMEBODY,
        "version_number": 1, "state": "succeeded", "prompt": "secret words",
        "cost_usd": "0.000000001", "started_at": at, "duration_seconds": 1.5,
    }  # fmt: skip
    return Invocation.objects.create(id=key, **{**given, **fields})


def export_since(days: int, place: str, capsys: Any, *more: str) -> str:
    since = day_ago(days).date().isoformat()
    call_command("export_telemetry", "--since", since, "--to", place, *more)
    return str(capsys.readouterr().out)


def rows_of(place: str, name: str) -> list[dict[str, Any]]:
    files, root = fsspec.core.url_to_fs(place)
    found = ds.dataset(f"{root}/{name}", filesystem=files, partitioning="hive").to_table()
    return list(found.to_pylist())


@pytest.mark.parametrize("place", ["folder", "memory://ratchet-lake"])
def test_each_day_is_a_partition_and_a_closed_one_is_written_once(
    place: str, tmp_path: Path, capsys: Any
) -> None:
    # Yesterday may still get rows for a while after midnight, so older days.
    place = str(tmp_path / "lake") if place == "folder" else place
    for number in range(3):
        called(day_ago(3), number)
    called(day_ago(2))
    Measurement.objects.create(id=first_id(day_ago(2)), at=day_ago(2), labels={"agent": "a"},
                               names=["cost_usd", "cost_usd"], numbers=[1.0, 2.0])  # fmt: skip
    first = export_since(4, place, capsys)
    assert "6 rows in 3 files" in first
    calls = rows_of(place, "invocations")
    assert sorted(str(row["day"]) for row in calls) == [
        *[str(day_ago(3).date())] * 3,
        str(day_ago(2).date()),
    ]
    assert str(calls[0]["cost_usd"]) == "1E-9"
    assert not any("prompt" in row for row in calls)
    assert [row["value"] for row in rows_of(place, "measurements")] == [1.0, 2.0]
    # Again: closed days stay as they are; today is made anew, with what has come since.
    called(timezone.now())
    second = export_since(4, place, capsys)
    assert "1 rows in 1 files" in second
    assert len(rows_of(place, "invocations")) == 5
    assert "0 rows in 0 files" not in export_since(4, place, capsys, "--again")
    assert len(rows_of(place, "invocations")) == 5


def test_an_export_that_was_cut_off_goes_on_and_leaves_nothing_half(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = str(tmp_path / "lake")
    called(day_ago(2))
    called(day_ago(1))
    real, seen = export._batches, []

    def dies(one: lake.Dataset, day: Any) -> Any:
        seen.append(day)
        if one.name == "invocations" and day == day_ago(1).date():
            raise KeyboardInterrupt
        return real(one, day)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(export, "_batches", dies)
        export_since(2, place, capsys, "--only", "invocations")
    assert len(rows_of(place, "invocations")) == 1
    assert "1 rows in 1 files of 1 tables; 1 days were there" in export_since(
        2, place, capsys, "--only", "invocations"
    )
    assert len(rows_of(place, "invocations")) == 2


def test_what_a_killed_export_left_half_is_cleared_away_but_not_under_one_at_work(
    tmp_path: Path, capsys: Any
) -> None:
    place = tmp_path / "lake"
    export_since(0, str(place), capsys, "--only", "audit")
    left, at_work = place / "_ratchet/old.partial", place / "_ratchet/new.partial"
    for path in (left, at_work):
        path.write_bytes(b"half")
    two_days_ago = (timezone.now() - timedelta(days=2)).timestamp()
    os.utime(left, (two_days_ago, two_days_ago))
    export_since(0, str(place), capsys, "--only", "audit")
    assert (left.exists(), at_work.exists()) == (False, True)


def test_today_is_no_closed_day(tmp_path: Path) -> None:
    now = datetime(2026, 11, 20, 0, 30, tzinfo=UTC)
    yesterday = (now - timedelta(days=1)).date()
    export.export(str(tmp_path), since=yesterday, until=now.date(), now=now, only=["audit"])
    days = json.loads((tmp_path / "_ratchet/manifest.json").read_text())["days"]["audit"]
    assert [entry["closed"] for entry in days.values()] == [False, False]


def test_bad_input_says_what_to_give(tmp_path: Path, capsys: Any) -> None:
    place = str(tmp_path / "lake")
    with pytest.raises(CommandError, match="no day"):
        call_command("export_telemetry", "--since", "soon", "--to", place)
    with pytest.raises(CommandError, match="some of audit, feedback"):
        export_since(1, place, capsys, "--only", "prompts")
    with pytest.raises(CommandError, match="the lake is unavailable"):
        export_since(1, "nosuch://place", capsys)
    export_since(0, place, capsys, "--only", "audit")
    manifest = Path(place, "_ratchet/manifest.json")
    manifest.write_text(json.dumps({"installation": "other", "days": {}}))
    with pytest.raises(CommandError, match="another installation"):
        export_since(0, place, capsys)


def test_the_shipped_notebook_reads_what_was_exported(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = str(tmp_path / "lake")
    called(day_ago(1))
    called(day_ago(1), 1, state="failed", error_code="timeout", endpoint="one")
    Measurement.objects.create(id=first_id(day_ago(1)), at=day_ago(1), labels={},
                               names=["cost_usd"], numbers=[1.0])  # fmt: skip
    export_since(1, place, capsys)
    monkeypatch.setenv("RATCHET_LAKE", place)
    told: dict[str, Any] = {}
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), told)  # noqa: S102  (our own notebook)
    (row,) = told["by_agent"].reset_index().to_dict("records")
    assert (row["agent"], row["calls"], row["failed"]) == ("a", 2, 1)
    assert told["errors"].to_dict() == {("timeout", "one"): 1}
    assert told["by_metric"]["sum"].tolist() == [1.0]
    assert told["ratings"].empty


def test_the_notebook_says_where_it_found_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("RATCHET_LAKE", str(tmp_path / "none"))
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    first = next(cell for cell in cells if cell["cell_type"] == "code")
    with pytest.raises(FileNotFoundError, match="RATCHET_LAKE"):
        exec("".join(first["source"]), {})  # noqa: S102  (our own notebook)


def test_beat_keeps_the_lake_up_to_yesterday_and_goes_on_where_a_pass_was_cut_off(
    tmp_path: Path, settings: Any, monkeypatch: Any
) -> None:
    settings.LAKE_URL = str(tmp_path / "lake")
    entry = SCHEDULE["monitoring-export"]
    assert entry["task"] == tasks.export_telemetry.name
    tasks.export_telemetry()  # nothing is there to write
    for days in (4, 3, 2, 0):
        called(day_ago(days))
    put, written = export._Lake.put, []

    def cut_off(lake: Any, one: Any, day: Any, closed: bool) -> int:
        if len(written) == 1:
            raise Unavailable("the lake", "the disk went away")
        written.append(put(lake, one, day, closed))
        return written[-1]

    monkeypatch.setattr(export._Lake, "put", cut_off)
    with pytest.raises(Unavailable):
        tasks.export_telemetry()
    monkeypatch.setattr(export._Lake, "put", put)
    tasks.export_telemetry()
    days = sorted(str(row["day"]) for row in rows_of(settings.LAKE_URL, "invocations"))
    assert days == [str(day_ago(n).date()) for n in (4, 3, 2)]  # today is not over
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    tasks.export_telemetry()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")} == before


def test_a_pass_beside_another_writes_nothing_and_lets_its_lock_be(
    tmp_path: Path, settings: Any
) -> None:
    settings.LAKE_URL = str(tmp_path / "lake")
    called(day_ago(2))
    connection.ensure_connection()
    said: list[str] = []
    connection.connection.add_notice_handler(lambda notice: said.append(notice.message_primary))
    with psycopg.connect(connection.connection.info.dsn, password=_password()) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [export.LOCK])
        tasks.export_telemetry()
        assert not Path(settings.LAKE_URL).exists()
        # A session's end gives its locks back a moment later.
        assert other.execute("SELECT pg_advisory_unlock(%s)", [export.LOCK]).fetchone() == (True,)
    settings.LAKE_EXPORT = False
    tasks.export_telemetry()
    assert not Path(settings.LAKE_URL).exists()
    settings.LAKE_EXPORT = True
    tasks.export_telemetry()
    assert len(rows_of(settings.LAKE_URL, "invocations")) == 1
    assert said == []  # PostgreSQL warns of a lock that is given back by whom does not hold it


def _password() -> str:
    return str(connection.settings_dict["PASSWORD"])


def test_a_lake_that_is_late_fires_an_alert_and_keeps_the_instance_in_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = timezone.now()
    monkeypatch.setattr(health, "_since", None)  # whoever asked before in this process
    seen = {health.TASK + str(one["task"]): now for one in SCHEDULE.values()}
    seen[health.TASK + "monitoring.export_telemetry"] = now - timedelta(hours=3)
    assert [one.partition(" ")[0] for one in health.stuck_tasks(seen, now)] == [
        "monitoring.export_telemetry"
    ]
    assert health._sweeps(seen, now).ok
