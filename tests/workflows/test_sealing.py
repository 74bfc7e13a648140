"""What happened in runs is sealed while they go on, and proved by ``verify_audit``."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from celery.exceptions import Ignore
from django.core.management import call_command
from django.db import DatabaseError, OperationalError, connection, transaction
from django.test import Client as Browser

from config import privacy
from config.access.callers import Caller
from config.access.models import User
from monitoring import audit, checkpoints, health, services
from monitoring.models import AuditEntry, Measurement
from tests.workflows.conftest import Begin, Broker, Key
from tests.workflows.http import start
from workflows import database, measuring, sealed, sealing, tasks
from workflows.models import HistoryMark, HistorySeal, Run, RunEvent
from workflows.privacy import erase_subject

WAITS = "name: waits\nsteps:\n  a: {tool: core.echo}\n  b: {needs: [a], wait: {for: 60d}}\n"
ENDED = "workflows.run.succeeded"
TWO = "name: two\nsteps:\n  a: {tool: core.echo}\n  b: {needs: [a], tool: core.echo}\n"


@pytest.fixture(autouse=True)
def _own_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "folder", lambda: tmp_path / "audit")


def seal_all() -> None:
    """As beat does, until all that there is now is sealed.

    That waits for every older transaction of the server, and other tests' databases are there too.
    """
    last, until = RunEvent.objects.latest("id").pk, time.monotonic() + 300
    while not HistorySeal.objects.filter(event_ids__contains=[last]).exists():
        assert time.monotonic() < until
        tasks.seal_history()
        time.sleep(0.05)


def verify() -> tuple[int, str]:
    """Exit code and output of the command."""
    out = io.StringIO()
    try:
        call_command("verify_audit", stdout=out)
    except SystemExit as stop:
        return int(stop.code or 0), out.getvalue()
    return 0, out.getvalue()


def break_it(statement: str, *parameters: Any) -> None:
    """What somebody with the owner's password could do."""
    tables = ("workflows_runevent", "workflows_historyseal")
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(statement, parameters)
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


@pytest.fixture
def waiting(web: Browser, key: Key, broker: Broker) -> UUID:
    """A run, started over HTTP, that will wait for two months; sealed so far."""
    run_id = UUID(start(web, key("administrator"), WAITS)["id"])
    broker.drain()
    seal_all()
    return run_id


def test_a_run_that_waits_for_weeks_is_sealed_so_far(waiting: UUID) -> None:
    events = RunEvent.objects.filter(run_id=waiting)
    assert events.count() >= 3
    sealed = {number for row in HistorySeal.objects.all() for number in row.event_ids}
    assert set(events.values_list("id", flat=True)) <= sealed
    entry = AuditEntry.objects.filter(action="workflows.history.sealed").latest("id")
    assert entry.after_digest == sealing.digest_of(HistorySeal.objects.latest("number"))
    code, said = verify()
    assert (code, f"{RunEvent.objects.count()} transitions" in said) == (0, True), said
    before = HistorySeal.objects.count()
    tasks.seal_history()
    tasks.seal_history()
    assert HistorySeal.objects.count() == before, "nothing new, no seal"


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE workflows_runevent SET actor = 'somebody else' WHERE id = %s", "its actor is not"),
        ("UPDATE workflows_runevent SET detail = '{\"a\": 1}' WHERE id = %s", "its detail is not"),
        ("UPDATE workflows_runevent SET name = 'x' WHERE id = %s", "its place or time is not"),
        ("UPDATE workflows_runevent SET at = at - interval '1 day' WHERE id = %s", "place or time"),
        ("DELETE FROM workflows_runevent WHERE id = %s", "a transition of a run is gone"),
    ],
)
def test_a_changed_or_dropped_transition_is_named(
    waiting: UUID, statement: str, found: str
) -> None:
    event = RunEvent.objects.filter(run_id=waiting).latest("id")
    break_it(statement, event.pk)
    code, said = verify()
    assert code == 1
    assert f"event {event.pk}" in said and found in said


def test_a_transition_put_in_between_is_named(begin: Begin, broker: Broker) -> None:
    first = begin(TWO)
    broker.drain()
    with connection.cursor() as cursor:  # as a worker that died with numbers it had drawn
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence('workflows_runevent', 'id'), max(id) + 9) "
            "FROM workflows_runevent"
        )
    begin(TWO)
    broker.drain()
    seal_all()
    assert verify()[0] == 0
    last = RunEvent.objects.filter(run_id=first.pk).latest("id")
    RunEvent.objects.create(pk=last.pk + 5, run_id=first.pk, name="step.approved")
    code, said = verify()
    assert (code, f"step.approved of run {first.pk} was put between" in said) == (1, True)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE workflows_historyseal SET salt = '\\x00'", "is not what the log holds"),
        ("DELETE FROM workflows_historyseal", "which the log holds, is gone"),
    ],
)
def test_a_seal_that_was_made_to_fit_is_found(waiting: UUID, statement: str, found: str) -> None:
    break_it(statement)
    code, said = verify()
    assert (code, found in said) == (1, True), said


def test_a_person_can_be_erased_without_breaking_a_seal(
    begin: Begin, broker: Broker, caller: Caller
) -> None:
    begin(TWO)
    broker.drain()
    seal_all()
    user = User.objects.get(pk=caller.user_id)
    subject = privacy.Subject(user.pk, user.username, "", "")
    assert RunEvent.objects.filter(actor__in=[user.username, subject.principal]).exists()
    with transaction.atomic():
        erase_subject(subject, keep_records=False)
    assert RunEvent.objects.filter(actor=privacy.ERASED).exists()
    code, said = verify()
    assert code == 0, said


def test_the_end_of_a_run_that_a_crash_kept_untold_is_made_up(
    begin: Begin, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _ended_untold(begin, broker, monkeypatch)
    ended = AuditEntry.objects.filter(target=f"run:{run.pk}", action=ENDED)
    told = Measurement.objects.filter(names__contains=["runs"])
    assert (ended.count(), told.count()) == (0, 0), "neither half is there"
    tasks.seal_history()
    assert (ended.count(), told.count()) == (1, 1)
    HistoryMark.objects.update(ends_until=None)
    tasks.seal_history()
    assert (ended.count(), told.count()) == (1, 1), "what was told is not told again"


def test_two_passes_at_once_tell_an_end_only_once(
    begin: Begin, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _ended_untold(begin, broker, monkeypatch)
    tell = measuring.record_end

    def tell_late(run_id: UUID) -> None:
        second = threading.Thread(target=_pass_of_another_worker)
        second.start()
        second.join()
        tell(run_id)

    monkeypatch.setattr(measuring, "record_end", tell_late)
    tasks.seal_history()
    assert AuditEntry.objects.filter(target=f"run:{run.pk}", action=ENDED).count() == 1
    monkeypatch.setattr(measuring, "record_end", tell)
    tasks.seal_history()
    assert AuditEntry.objects.filter(target=f"run:{run.pk}", action=ENDED).count() == 1


def test_a_pass_that_hangs_is_missed_like_any_sweep_that_stands_still(
    begin: Begin, broker: Broker, web: Browser
) -> None:
    """Readiness, the pulse and the alert for stuck sweeps all go by its sign of life."""
    sign = f"task:{tasks.seal_history.name}"
    hangs, may_end = threading.Event(), threading.Event()
    other = threading.Thread(target=_hold_the_pass, args=(hangs, may_end))
    other.start()
    try:
        assert hangs.wait(30)
        tasks.seal_history.apply()
        assert sign not in health.heartbeats(), "the one that hangs would never be missed"
    finally:
        may_end.set()
        other.join()
    tasks.seal_history.apply()
    assert sign in health.heartbeats()


def _hold_the_pass(hangs: threading.Event, may_end: threading.Event) -> None:
    database.execute("SELECT pg_advisory_lock(%(lock)s)", {"lock": sealing.PASS_LOCK})
    hangs.set()
    may_end.wait(60)
    # Told, not left to the end of the session, which the server comes to when it has time.
    database.execute("SELECT pg_advisory_unlock(%(lock)s)", {"lock": sealing.PASS_LOCK})
    connection.close()


def test_a_run_whose_end_cannot_be_told_keeps_nothing_else_from_being_sealed(
    begin: Begin, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = (_ended_untold(begin, broker, monkeypatch) for _ in range(2))
    tell = measuring.record_end

    def tell_some(run_id: UUID) -> None:
        if run_id == bad.pk:
            raise ValueError("nobody thought of it")
        tell(run_id)

    monkeypatch.setattr(measuring, "record_end", tell_some)
    seal_all()
    told = AuditEntry.objects.filter(action=ENDED).values_list("target", flat=True)
    assert list(told) == [f"run:{good.pk}"]
    assert verify()[0] == 0


def test_a_pass_ends_in_time_whatever_a_crash_left_and_the_next_goes_on(
    begin: Begin, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        _ended_untold(begin, broker, monkeypatch)
    first = Run.objects.earliest("ended_at").ended_at
    HistoryMark.objects.update_or_create(pk=1, defaults={"ends_until": first})
    tell, told = measuring.record_end, AuditEntry.objects.filter(action=ENDED)
    clock = [0.0]

    def tell_slowly(run_id: UUID) -> None:
        clock[0] += sealing.MOST_SECONDS + 1
        tell(run_id)

    monkeypatch.setattr(measuring, "record_end", tell_slowly)
    monkeypatch.setattr(sealing, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    for done in (1, 2, 3):
        tasks.seal_history()
        assert told.count() == done
    tasks.seal_history()
    assert told.count() == 3


def test_an_end_that_fails_for_a_moment_is_told_by_the_next_pass(
    begin: Begin, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _ended_untold(begin, broker, monkeypatch)
    with monkeypatch.context() as busy:
        busy.setattr(measuring, "seal", _be_away)
        with pytest.raises(OperationalError):
            tasks.seal_history()
    tasks.seal_history()
    assert AuditEntry.objects.filter(target=f"run:{run.pk}", action=ENDED).count() == 1


def test_many_small_seals_are_proved_together_in_whatever_order_the_log_has_them(
    begin: Begin, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "BATCH", 1)
    begin(TWO)
    broker.drain()
    seal_all()
    assert HistorySeal.objects.count() == RunEvent.objects.count() >= 5
    asked: list[str] = []

    def execute(statement: str, parameters: dict[str, Any]) -> Any:
        asked.append(statement)
        return database.execute(statement, parameters)

    def entries(target: str, *, action: str) -> Iterator[AuditEntry]:
        return iter(list(audit.entries_about(target, action=action))[::-1])

    monkeypatch.setattr(sealed, "execute", execute)
    monkeypatch.setattr(services, "entries_about", entries)
    assert verify()[0] == 0
    assert len(asked) == 1
    event = HistorySeal.objects.get(number=3).event_ids[0]
    break_it("UPDATE workflows_runevent SET actor = 'somebody else' WHERE id = %s", event)
    break_it("UPDATE workflows_historyseal SET salt = '\\x00' WHERE number = 2")
    code, said = verify()
    assert (code, f"event {event}" in said) == (1, True)
    assert "seal 2 of histories is not what the log holds" in said


def _ended_untold(begin: Begin, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of which a crash kept the end from being told, and which is to be made up at once."""
    run = begin(TWO)
    with monkeypatch.context() as crash:
        crash.setattr(measuring, "seal", _die)
        broker.drain()
    monkeypatch.setattr(sealing, "TOLD_WITHIN", -sealing.STRETCH)
    return run


def _pass_of_another_worker() -> None:
    try:
        with pytest.raises(Ignore):
            tasks.seal_history()
    finally:
        connection.close()


def _be_away(*_: Any, **__: Any) -> None:
    raise OperationalError("the database is away")


def _die(*_: Any, **__: Any) -> None:
    raise DatabaseError("the worker is gone")
