"""The monthly pass over the exported record, when the calls themselves are gone."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pyarrow.parquet as pq
import pytest
from django.core.management import call_command

from agents.models import Invocation
from learning import tasks
from learning.models import Cycle, Feedback, Judge, Score
from tests.learning.loop.conftest import days_ago, id_at
from tests.learning.loop.test_cycles import begin, finish, sent
from tests.rows import insert

__all__ = ["begin", "sent"]
pytestmark = pytest.mark.django_db
TICK = date(2026, 11, 20)


def test_a_month_is_compared_after_its_calls_have_left_the_database(
    bare, calls, begin, settings, tmp_path
):
    settings.LAKE_URL = str(tmp_path / "lake")
    draw, given = random.Random(7), []
    for n in range(120):  # slower and failing in the last month, steady before
        for days, slow, bad in ((32 + n * 0.7, 1.0, 0.02), (1 + n * 0.2, 2.5, 0.3)):
            fails = draw.random() < bad
            given.append((days_ago(days), {
                "duration_seconds": slow * draw.lognormvariate(0, 0.3),
                "state": "failed" if fails else "succeeded",
                "error_code": "timeout" if fails else ""}))  # fmt: skip
    calls(bare, given)
    call_command("export_telemetry", "--since", str(TICK - timedelta(days=125)),
                 "--until", str(TICK), "--only", "invocations")  # fmt: skip
    Invocation.objects.all().delete()
    call_command("export_telemetry", "--since", str(TICK - timedelta(days=40)), "--again",
                 "--until", str(TICK - timedelta(days=20)), "--only", "invocations")  # fmt: skip
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


def test_what_was_said_and_scored_is_compared_after_it_has_left_the_database(
    bare, calls, begin, settings, tmp_path, firm
):
    settings.LAKE_URL = str(tmp_path / "lake")
    Judge.objects.create(name="clarity", version="j1", state="admitted", measured_at=days_ago(1))
    draw, said, scored = random.Random(7), [], []
    # In the last month: longer questions, worse ratings and scores.
    ends = [one for n in range(120) for one in ((n, 32 + n * 0.7, 0), (n, 1 + n * 0.2, 1))]
    made = calls(bare, [
        (days_ago(days), {"input_tokens": 100 + 80 * worse + n % 7, "cached_tokens": n % 5})
        for n, days, worse in ends
    ])  # fmt: skip
    for one, (_, days, worse) in zip(made, ends, strict=True):
        at = days_ago(days)
        about = {"client_id": firm.pk, "subject_kind": "invocation", "subject_id": one.pk,
                 "agent_slug": bare.slug, "created_at": at}  # fmt: skip
        rating = draw.choice([1, 2, 2, 3] if worse else [4, 5, 2])
        said.append(Feedback(
            id=id_at(at), **about, kind="rating", rating=rating, source="user",
            category=("tone" if worse else "accuracy") if rating <= 2 else "",
        ))  # fmt: skip
        scored += [
            Score(id=id_at(at), **about, name="clarity" if version == "j1" else "charm",
                  value=value + draw.random() / 10, source="judge", source_version=version)
            for version, value in (("j1", 0.9 - 0.3 * worse), ("barred", 0.1 + 0.8 * worse))
        ]  # fmt: skip
    insert(said), insert(scored)
    call_command("export_telemetry", "--since", str(TICK - timedelta(days=125)),
                 "--until", str(TICK), "--only", "invocations,feedback,scores")  # fmt: skip
    for model in (Invocation, Feedback, Score):
        model.objects.all().delete()
    made = begin("monthly", TICK)
    assert finish(made)
    found = made.figures["steps"]["history"]["result"]["agents"][bare.slug]
    drifts = {drift["metric"]: drift for drift in found["drifts"]}
    assert drifts.keys() == {"input_tokens", "rating", "score:clarity", "complaints", "category"}
    assert drifts["rating"]["from"] > 3.5 > 2.5 > drifts["rating"]["to"]
    assert drifts["input_tokens"]["to"] - drifts["input_tokens"]["from"] == pytest.approx(80)
    assert found["categories"] == {"tone": found["complaints"][1]}
    assert "score:clarity" in made.report
    assert f"complaints: {found['complaints'][0]} before" in made.report
    assert "tone" in made.report


@pytest.mark.slow
def test_files_of_an_earlier_release_lack_what_it_did_not_write(
    bare, calls, begin, settings, tmp_path
):
    settings.LAKE_URL = str(tmp_path / "lake")
    draw = random.Random(7)
    calls(bare, [(days_ago(days), {"duration_seconds": draw.lognormvariate(0, 0.3)})
                 for n in range(120) for days in (32 + n * 0.7, 1 + n * 0.2)])  # fmt: skip
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
