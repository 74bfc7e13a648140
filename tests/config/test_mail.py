"""Mails reach the mail server that the environment names, as the user that it names."""

from __future__ import annotations

import base64
import os
import socketserver
import threading
from collections.abc import Iterator
from subprocess import CompletedProcess

import pytest

from tests.processes import manage


class MailServer(socketserver.ThreadingTCPServer):
    """Takes mails of one user (AUTH PLAIN), and keeps them with who signed in."""

    allow_reuse_address = daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Dialogue)
        self.mails: list[tuple[str, str]] = []


class Dialogue(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        who = ""
        self.say("220 mail.example")
        while line := self.rfile.readline().decode().strip():
            verb = line[:4].upper()
            if verb == "EHLO":
                self.say("250-mail.example", "250 AUTH PLAIN")
            elif verb == "AUTH":
                who = base64.b64decode(line.split()[2]).decode().replace("\0", " ").strip()
                self.say("235 welcome")
            elif verb == "DATA":
                self.say("354 go on")
                self.server.mails.append((who, "".join(iter(self._line, "."))))
                self.say("250 taken")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 fine")

    def _line(self) -> str:
        line = self.rfile.readline().decode()
        return "." if line == ".\r\n" else line

    def say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def send(**environment: str) -> CompletedProcess[str]:
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", **environment}
    return manage("sendtestemail", "you@firm.example", env=env)


def test_mails_go_to_the_server_that_the_environment_names(mail_server: MailServer) -> None:
    done = send(
        EMAIL_HOST="127.0.0.1", EMAIL_PORT=str(mail_server.server_address[1]),
        EMAIL_HOST_USER="ratchet", EMAIL_HOST_PASSWORD="secret-1",
        DEFAULT_FROM_EMAIL="ratchet@firm.example",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [(who, mail)] = mail_server.mails
    assert who == "ratchet secret-1"
    assert "From: ratchet@firm.example" in mail
    assert "To: you@firm.example" in mail


def test_a_mail_server_that_is_away_is_one_line_with_its_address() -> None:
    done = send(EMAIL_HOST="127.0.0.1", EMAIL_PORT="1")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "127.0.0.1:1" in done.stderr
