"""Approvers are told that their answer is needed: by mail, by a signed web hook, once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.core import mail
from django.test import Client as Browser

from tests.workflows.conftest import Key
from tests.workflows.http import CLOSED, post, start
from workflows import notices, tasks
from workflows.models import (
    Approval,
    ApprovalNotice,
    ApprovalWebhook,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_approvers_are_mailed_a_link_once_and_the_next_level_when_its_turn_comes(
    web: Browser, key: Key, settings: Any
) -> None:
    settings.PUBLIC_URL = "https://ratchet.example"
    starter = key("manager", email="starter@example.org")
    manager = key("manager", email="manager@example.org")
    key("partner", email="partner@example.org")
    key("professional", email="professional@example.org")
    text = CLOSED.replace("access: {see: [partner], approve: [partner]}\n", "")
    start(web, starter, text.replace("name: closed", "name: open\ntitle: The letter"))
    for _ in range(2):
        tasks.tell()
    told = {message.to[0]: message for message in mail.outbox}
    assert sorted(told) == ["manager@example.org", "partner@example.org"]
    approval = Approval.objects.get(level=1)
    body = told["manager@example.org"].body
    assert f"https://ratchet.example/dashboard/approvals/{approval.pk}" in body
    assert "The letter" in told["manager@example.org"].subject
    mail.outbox.clear()
    answer = post(web, f"approvals/{approval.pk}", {"decision": "approve"}, manager)
    assert answer.status_code == 200
    tasks.tell()
    assert [m.to for m in mail.outbox] == [["partner@example.org"]]


def test_an_answer_that_came_first_spares_the_mail(web: Browser, key: Key) -> None:
    start(web, key("professional"), "name: o\nsteps:\n  ask: {approval: {role: manager}}\n")
    who = key("manager", email="m@example.org")
    assert notices.announce() == 1
    approval = Approval.objects.get()
    assert post(web, f"approvals/{approval.pk}", {"decision": "approve"}, who).status_code == 200
    assert (notices.deliver(), mail.outbox) == (0, [])
    assert ApprovalNotice.objects.get().state == "dropped"


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), _Receiver)
    server.got = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_web_hook_hears_of_an_approval_under_its_signature(
    web: Browser, key: Key, receiver: HTTPServer
) -> None:
    secret = base64.b64encode(b"k" * 24).decode()
    url = f"http://127.0.0.1:{receiver.server_port}/approvals"
    ApprovalWebhook.objects.create(name="ours", url=url, secret=secret, may_be_private=True)
    ApprovalWebhook.objects.create(name="inside", url=url, secret=secret)
    start(web, key("professional"), "name: o\nsteps:\n  ask: {approval: {role: manager}}\n")
    tasks.tell()
    [(headers, body)] = receiver.got  # type: ignore[attr-defined]
    named = {name.lower(): value for name, value in headers.items()}
    signed = f"{named['webhook-id']}.{named['webhook-timestamp']}.".encode() + body
    digest = hmac.new(b"k" * 24, signed, hashlib.sha256).digest()
    assert named["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    told = json.loads(body)
    assert (told["type"], told["role"]) == ("approval.asked", "manager")
    assert re.search(r"/dashboard/approvals/[0-9a-f-]{36}$", told["url"])
    refused = ApprovalNotice.objects.get(webhook__name="inside")
    assert (refused.state, "inside this network" in refused.last_error) == ("failed", True)
