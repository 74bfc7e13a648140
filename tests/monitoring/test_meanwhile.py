"""What a person does while the watch or a message is on its way: neither undoes the other."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client as Http

from config.access import callers
from config.access.models import Client, Membership, User
from config.access.roles import SCOPES
from monitoring import incidents, notify, tasks
from monitoring.models import Alert, AlertRule, Channel, Delivery, Incident, Silence
from tests.monitoring.alarming import calls, now, opened

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("shipped")]
SECONDS = 90.0


def until_it_waits_for_us() -> None:
    """Somebody else wants a row that this transaction holds."""
    deadline = time.monotonic() + SECONDS
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute("SELECT count(*) FROM pg_stat_activity "
                           "WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))")  # fmt: skip
            if cursor.fetchone()[0]:
                return
            time.sleep(0.02)
    raise AssertionError("nobody waits")


def watch() -> None:
    try:
        tasks.watch()
    finally:
        connection.close()


def test_who_ends_an_incident_while_a_silence_begins_waits_for_nobody() -> None:
    AlertRule.objects.exclude(slug="error-rate").update(is_active=False)
    calls("a", 30, 30, endpoint="")
    tasks.watch()
    incident = Incident.objects.get()
    Silence.objects.create(
        reason="works", ends_at=now() + timedelta(hours=1), created_by="user:1"
    )  # fmt: skip
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():  # the person's, of which the first statement has been made
            incidents._locked(incident.pk)
            watching = pool.submit(watch)
            until_it_waits_for_us()
            incidents.resolve(incident.pk, actor="user:1", now=now())
        watching.result(SECONDS)
    assert Alert.objects.get().resolved_by == "user:1"
    incident.refresh_from_db()
    assert incident.state == "resolved"


def administrator() -> Http:
    firm = Client.objects.create(slug="firm", name="The firm", is_firm=True)
    user = User.objects.create_user("boss", password="x")
    Membership.objects.create(user=user, client=firm, role="administrator")
    _, secret = callers.create_key(user=user, client=firm, name="k", scopes=list(SCOPES))
    return Http(headers={"Authorization": f"Bearer {secret}"})


def test_whose_message_of_the_night_is_being_sent_hears_of_the_end_too() -> None:
    http, incident, got = administrator(), opened(), []

    class Slow(BaseHTTPRequestHandler):
        """While it takes the first message, a person ends the incident."""

        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if len(got) == 1:
                assert http.post(f"/api/v1/incidents/{incident.pk}/resolve").status_code == 200
                connection.close()
            self.send_response(202)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            Channel.objects.create(
                name="c", kind="webhook", address=f"http://localhost:{server.server_port}/",
                secret="whsec_" + "A" * 32, may_be_private=True, quiet_from=clock(22),
                quiet_until=clock(7),
            )  # fmt: skip
            notify.enqueue(incident, "opened", alerts=1, now=datetime(2026, 11, 20, 3, tzinfo=UTC))
            Channel.objects.update(quiet_from=None, quiet_until=None)  # it is morning
            tasks.deliver()
            tasks.deliver()
        finally:
            server.shutdown()
            thread.join()
    assert [one["event"] for one in got] == ["opened", "resolved"]
    assert "held" not in got[0], "how it waited here is no part of the message"
    assert set(Delivery.objects.values_list("state", flat=True)) == {"sent"}
