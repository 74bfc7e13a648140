"""The audit log: cheap to write, impossible to change unseen."""

from __future__ import annotations

import io
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.conf import settings as live_settings
from django.core.management import call_command
from django.db import InternalError, ProgrammingError, connection, transaction
from django.test import Client

from config import partitions
from monitoring import audit, checkpoints, health, proving, services, tasks, verifying
from monitoring.models import AuditEntry, AuditPayload, AuditPending, AuditSeal
from tests.benchmarks.audit import SAID, fill
from tests.monitoring.dying import die

pytestmark = pytest.mark.django_db


def write(count: int = 6, batch: int = 3) -> list[UUID]:
    """Sealed entries, ``batch`` to a seal."""
    ids = []
    for number in range(count):
        ids.append(
            services.audit(
                actor="user:1", action="agents.version.published", target=f"agent:{number}",
                before={"share": number}, after={"share": number + 1},
            )
        )  # fmt: skip
        if (number + 1) % batch == 0:
            audit.seal()
    return ids


def break_it(statement: str, *parameters: object) -> None:
    """What somebody with the owner's password could do."""
    with connection.cursor() as cursor:
        for table in ("auditentry", "auditseal"):
            cursor.execute(f"ALTER TABLE monitoring_{table} DISABLE TRIGGER USER")
        cursor.execute(statement, parameters)
        for table in ("auditentry", "auditseal"):
            cursor.execute(f"ALTER TABLE monitoring_{table} ENABLE TRIGGER USER")


def verify(*options: str) -> tuple[int, str]:
    """Exit code and output of the command."""
    out = io.StringIO()
    try:
        call_command("verify_audit", *options, stdout=out)
    except SystemExit as stop:
        return int(stop.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_a_whole_log_verifies_in_one_line() -> None:
    write()
    code, said = verify()
    assert code == 0
    assert said.startswith("audit log: the chain holds; 6 entries in 2 seals, 0 waiting")
    assert len(said.splitlines()) == 1


def test_a_log_of_many_entries_is_filled_for_the_benchmark_and_verifies() -> None:
    fill(2_500, seed=1)
    code, said = verify()
    assert (code, SAID.search(said) is not None) == (0, True)
    assert "2500 entries in 3 seals" in said
    assert AuditPayload.objects.count() == 50


def test_an_entry_waits_for_its_seal_and_the_command_seals_it() -> None:
    services.audit(actor="system:test", action="tests.thing.done")
    assert AuditPending.objects.count() == 1
    assert verify()[0] == 0
    assert (AuditPending.objects.count(), AuditSeal.objects.count()) == (0, 1)


def test_a_changed_entry_is_found() -> None:
    ids = write()
    break_it("UPDATE monitoring_auditentry SET actor = 'user:2' WHERE id = %s", ids[4])
    code, said = verify()
    assert code == 1
    assert f"tampered: entry 5 {ids[4]}" in said
    assert said.count("entry 6") == 0  # one change is one fault


def test_a_deleted_entry_is_found() -> None:
    ids = write()
    break_it("DELETE FROM monitoring_auditentry WHERE id = %s", ids[1])
    code, said = verify()
    assert (code, f"deleted: entry 2 {ids[1]}" in said) == (1, True)


def test_entries_that_changed_places_are_found() -> None:
    ids = write()
    swapped = [ids[1], ids[0], ids[2]]
    break_it("UPDATE monitoring_auditseal SET entry_ids = %s WHERE number = 1", swapped)
    code, said = verify()
    assert (code, "reordered: entry 1" in said) == (1, True)


def test_entries_whose_contents_were_exchanged_are_found() -> None:
    ids = write()
    break_it(
        "UPDATE monitoring_auditentry e SET target = o.target FROM monitoring_auditentry o "
        "WHERE (e.id, o.id) IN ((%s, %s), (%s, %s))", ids[0], ids[2], ids[2], ids[0],
    )  # fmt: skip
    assert verify()[0] == 1


def test_a_tail_that_was_cut_off_is_found_and_never_sealed_over() -> None:
    ids = write()
    break_it("DELETE FROM monitoring_auditentry WHERE id = ANY(%s)", ids[3:])
    break_it("DELETE FROM monitoring_auditseal WHERE number = 2")
    services.audit(actor="user:1", action="tests.thing.done")
    assert audit.seal() == 0
    code, said = verify()
    assert (code, "truncated: entry 6" in said) == (1, True)


def test_an_emptied_log_is_found() -> None:
    write()
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE monitoring_auditentry, monitoring_auditseal, monitoring_auditpending"
        )
    code, said = verify()
    assert (code, "its tail is gone" in said) == (1, True)


def test_a_seal_made_anew_from_changed_entries_contradicts_its_checkpoint() -> None:
    write(3, 3)
    break_it("UPDATE monitoring_auditentry SET actor = 'user:9'")
    break_it("DELETE FROM monitoring_auditseal")
    kept = (checkpoints.folder() / "head.json").read_text()
    (checkpoints.folder() / "head.json").unlink()
    AuditPending.objects.bulk_create(
        AuditPending(entry_id=i) for i in AuditEntry.objects.values_list("id", flat=True)
    )
    days = list(checkpoints.folder().glob("2*.json"))
    for day in days:
        day.unlink()
    audit.seal()
    days[0].write_text(kept)  # the copy that was kept elsewhere
    code, said = verify()
    assert (code, "the chain differs from what was signed" in said) == (1, True)


def test_a_changed_checkpoint_is_found() -> None:
    write()
    head = checkpoints.folder() / "head.json"
    head.write_text(head.read_text().replace('"number": 2', '"number": 1'))
    code, said = verify()
    assert (code, "forged" in said) == (1, True)


def test_a_new_secret_key_goes_on_sealing_where_the_old_one_is_kept(settings: Any) -> None:
    write()
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "new"
    services.audit(actor="user:1", action="tests.thing.done")
    tasks.seal_audit()
    code, said = verify()
    assert (code, "7 entries in 3 seals, 0 waiting" in said) == (0, True), said
    settings.SECRET_KEY_FALLBACKS = []
    assert checkpoints.head() is not None, "the head is signed with the new one"


def test_a_lost_secret_key_is_no_end_of_sealing_but_of_nothing_else(settings: Any) -> None:
    write()
    settings.SECRET_KEY = "new"
    services.audit(actor="user:1", action="tests.thing.done")
    tasks.seal_audit()
    assert AuditPending.objects.count() == 1, "nothing is sealed onto what nobody signed"
    code, said = verify("--sign-again")
    assert (code, "2 signed again, 0 left" in said, "8 entries" in said) == (0, True, True), said
    assert AuditEntry.objects.filter(action="monitoring.checkpoints.signed_again").exists()
    # Who shortens the log and takes another key is found all the same.
    settings.SECRET_KEY = "third"
    break_it("DELETE FROM monitoring_auditseal WHERE number = 3")
    code, said = verify("--sign-again")
    assert (code, "not signed: head.json is not what the chain says" in said) == (1, True), said


def test_an_entry_beside_the_chain_is_found() -> None:
    write()
    AuditEntry.objects.create(actor="user:1", action="tests.thing.invented")
    code, said = verify()
    assert (code, "1 entries are outside the chain" in said) == (1, True)


def test_an_entry_deleted_before_its_seal_is_found() -> None:
    lost = services.audit(actor="user:1", action="tests.thing.done")
    break_it("DELETE FROM monitoring_auditentry WHERE id = %s", lost)
    code, said = verify()
    assert (code, f"deleted: log {lost}" in said) == (1, True)


def test_a_payload_can_be_erased_but_not_changed() -> None:
    ids = write()
    AuditPayload.objects.filter(entry_id=ids[0]).delete()
    assert verify()[0] == 0
    AuditPayload.objects.filter(entry_id=ids[1]).update(after='{"share": 99}')
    code, said = verify()
    assert (code, f"tampered: log {ids[1]}" in said) == (1, True)


@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}"])
@pytest.mark.parametrize(
    ("table", "column"), [("monitoring_auditentry", "actor"), ("monitoring_auditseal", "number")]
)
def test_even_the_owner_is_refused_by_a_trigger(statement: str, table: str, column: str) -> None:
    write()
    with (
        pytest.raises((InternalError, ProgrammingError), match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement.format(table, column, column))


@pytest.fixture
def application_role() -> psycopg.Connection:
    """A connection as the role that the application has in production."""
    name = live_settings.DATABASES["default"]["NAME"]
    url = os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{name}"
    with psycopg.connect(url, autocommit=True) as made:
        yield made


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {} SET {} = {}",
        "DELETE FROM {}",
        "TRUNCATE {}",
        "ALTER TABLE {} DISABLE TRIGGER USER",
    ],
)
def test_the_application_may_only_add(application_role: psycopg.Connection, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits "
            "WHERE inhparent = 'monitoring_auditentry'::regclass"
        )
        parts = [part for (part,) in cursor.fetchall()]
    assert len(parts) >= 4
    for table in ("monitoring_auditentry", *parts):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            application_role.execute(statement.format(table, "actor", "actor"))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        application_role.execute(statement.format("monitoring_auditseal", "number", "number"))
    application_role.execute(
        "INSERT INTO monitoring_auditentry (id, actor, action, target, session, before_digest, "
        "after_digest) VALUES (%s, 'a', 'b', '', '', '', '')", [uuid4()],
    )  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_no_function_of_the_owner_drops_a_month_of_the_log_for_the_application(
    application_role: psycopg.Connection,
) -> None:
    months = partitions.existing_months("monitoring_auditentry")
    part = min(months)
    with pytest.raises(psycopg.errors.RaiseException, match="may be dropped: " + part):
        application_role.execute(
            "SELECT monitoring_drop_month(%s, %s)", ["monitoring_auditentry", part]
        )
    assert partitions.existing_months("monitoring_auditentry") == months
    # It still makes the coming ones.
    low, high = (partitions.first_id(datetime(year, 1, 1, tzinfo=UTC)) for year in (2090, 2091))
    add = "SELECT monitoring_add_month(%s, %s, %s, %s)"
    later = "monitoring_auditentry_y2090m01"
    application_role.execute(add, ["monitoring_auditentry", later, low, high])
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {later}")


def test_readiness_names_a_function_that_drops_months_of_the_log(client: Client) -> None:
    health.forget()
    kept = ["monitoring_measurement", "monitoring_securityevent"]
    with connection.cursor() as cursor:  # as it was before
        for statement in partitions.owner_functions_sql(
            "monitoring", ["monitoring_auditentry", *kept]
        ):
            cursor.execute(statement)
    told = client.get("/readyz").json()["checks"]["append_only"]
    assert told["ok"] is False and "monitoring_drop_month()" in told["detail"]
    assert "monitoring_drop_month" in verify()[1]
    health.forget()


def test_one_role_for_everything_is_told() -> None:
    assert not health.append_only_is_enforced()  # tests connect as the owner
    assert "append-only is not enforced" in verify()[1]


def test_later_checks_may_begin_at_a_seal() -> None:
    ids = write()
    break_it("UPDATE monitoring_auditentry SET actor = 'user:2' WHERE id = %s", ids[0])
    assert verifying.verify(from_number=2).ok
    assert not verifying.verify().ok


@pytest.mark.django_db(transaction=True)
def test_a_long_log_that_several_processes_share_is_proved_as_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verifying, "SEALS_EACH", 1)
    ids = write(24, 3)
    code, said = verify("--processes", "2")
    assert (code, "24 entries in 8 seals, 0 waiting" in said) == (0, True), said
    break_it("UPDATE monitoring_auditentry SET actor = 'user:2' WHERE id = %s", ids[1])
    break_it("DELETE FROM monitoring_auditentry WHERE id = %s", ids[11])  # the last of its part
    swapped = [ids[13], ids[12], ids[14]]  # the first of the other
    break_it("UPDATE monitoring_auditseal SET entry_ids = %s WHERE number = 5", swapped)
    break_it("UPDATE monitoring_auditentry SET at = at + interval '1 us' WHERE id = %s", ids[22])
    code, said = verify("--processes", "2")
    assert code == 1
    assert [line.split(" ")[:3] for line in said.splitlines()[:5]] == [
        ["tampered:", "entry", "2"], ["deleted:", "entry", "12"], ["reordered:", "entry", "13"],
        ["reordered:", "entry", "14"], ["tampered:", "entry", "23"],
    ], said  # fmt: skip
    alone = verify("--processes", "1")[1]
    assert said.splitlines()[:-1] == alone.splitlines()[:-1]
    for number in (5, 8):  # where the parts meet, and the tail
        break_it("DELETE FROM monitoring_auditseal WHERE number = %s", number)
    code, said = verify("--processes", "2")
    assert code == 1
    assert "deleted: entry 13  expected seal 5" in said and "truncated: entry 24" in said


@pytest.mark.django_db(transaction=True)
def test_a_proof_of_which_a_process_is_killed_is_no_proof_and_no_accusation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verifying, "SEALS_EACH", 1)
    write(6, 3)
    monkeypatch.setattr(proving, "_apart", die)
    assert verify("--processes", "2") == (2, "")
    assert "a process of the proof was ended" in capsys.readouterr().err


def test_parts_of_a_chain_that_do_not_meet_are_a_fault() -> None:
    begin, middle, other = (proving.Place(n, 3 * n + 1, bytes([n]) * 32) for n in (0, 4, 5))
    whole = verifying.join([proving.Proved(middle), proving.Proved(other)], [begin, middle])
    assert not any(part.faults for part in whole)
    broken = verifying.join([proving.Proved(other), proving.Proved(other)], [begin, middle])
    assert [fault.kind for part in broken for fault in part.faults] == ["forged"]


def test_control_characters_cannot_shift_the_bounds_of_fields() -> None:
    services.audit(actor="user:1\x1fagents.x", action="a\nb")
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action) == ("user:1 agents.x", "a b")


def test_checkpoints_are_written_for_the_day(tmp_path: Path) -> None:
    write()
    said = checkpoints.dated()
    assert [(c.number, c.sequence) for c in said] == [(2, 6)]
