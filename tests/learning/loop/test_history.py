"""The monthly pass over the exported record, when the calls themselves are gone."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pyarrow.parquet as pq
import pytest
from django.core.management import call_command

from agents.models import Invocation
from learning import tasks
from learning.models import Cycle
from tests.learning.loop.conftest import days_ago
from tests.learning.loop.test_cycles import begin, finish, sent

__all__ = ["begin", "sent"]
pytestmark = pytest.mark.django_db
TICK = date(2026, 11, 20)


def test_a_month_is_compared_after_its_calls_have_left_the_database(
    bare, call, begin, settings, tmp_path
):
    settings.LAKE_URL = str(tmp_path / "lake")
    draw = random.Random(7)
    for n in range(120):  # slower and failing in the last month, steady before
        for days, slow, bad in ((32 + n * 0.7, 1.0, 0.02), (1 + n * 0.2, 2.5, 0.3)):
            fails = draw.random() < bad
            call(bare, days_ago(days), duration_seconds=slow * draw.lognormvariate(0, 0.3),
                 state="failed" if fails else "succeeded",
                 error_code="timeout" if fails else "")  # fmt: skip
    call_command("export_telemetry", "--since", str(TICK - timedelta(days=125)),
                 "--until", str(TICK), "--only", "invocations")  # fmt: skip
    Invocation.objects.all().delete()
    call_command("export_telemetry", "--since", str(TICK - timedelta(days=125)), "--again",
                 "--until", str(TICK), "--only", "invocations")  # fmt: skip
    made = begin("monthly", TICK)
    tasks.cycle_step(str(made.pk), "history")
    assert finish(made)
    found = made.figures["steps"]["history"]["result"]["agents"][bare.slug]
    assert found["calls"][0] == 120 and found["calls"][1] == 120
    assert {drift["metric"] for drift in found["drifts"]} == {"duration_seconds", "errors"}
    assert list(found["codes"]) == ["timeout"]
    assert "from the exported record" in made.report
    assert "30 of 30 and 90 of 90 days were exported" in made.report, "quiet days too"
    assert f"{bare.slug}: duration_seconds" in made.report


def test_files_of_an_earlier_release_lack_what_it_did_not_write(
    bare, call, begin, settings, tmp_path
):
    settings.LAKE_URL = str(tmp_path / "lake")
    draw = random.Random(7)
    for n in range(120):
        for days in (32 + n * 0.7, 1 + n * 0.2):
            call(bare, days_ago(days), duration_seconds=draw.lognormvariate(0, 0.3))
    call_command("export_telemetry", "--since", str(TICK - timedelta(days=125)),
                 "--until", str(TICK), "--only", "invocations")  # fmt: skip
    for file in sorted((tmp_path / "lake" / "invocations").rglob("*.parquet"))[:95]:
        older = pq.read_table(file, partitioning=None).drop_columns(["cached", "duration_seconds"])
        pq.write_table(older, file)
    made = begin("monthly", TICK)
    assert finish(made)
    step = made.figures["steps"]["history"]
    assert step["error"] is None
    assert step["result"]["agents"][bare.slug]["drifts"] == []
    assert "One agent was compared; nothing changed that matters." in made.report


def test_a_month_without_an_export_says_so(begin, settings, tmp_path):
    settings.LAKE_URL = str(tmp_path / "none")
    made = begin("monthly", TICK)
    assert finish(made)
    assert "0 of 30 and 0 of 90 days were exported" in made.report
    assert "nothing could be compared" in made.report
    assert "nothing changed" not in made.report.lower()


def test_a_lake_that_cannot_be_read_is_told_in_the_report(begin, settings):
    settings.LAKE_URL = "nosuch://place"
    made = begin("monthly", TICK)
    assert finish(made)
    assert "## Not analysed" in made.report and "history" in made.report
    assert Cycle.objects.get().state == "done"
