"""Files over HTTP: kept once, given back as they were, refused over the limit."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as Browser

from tests.workflows.conftest import Key
from tests.workflows.http import get, problem

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_file_comes_back_as_it_was_and_is_kept_once(web: Browser, key: Key) -> None:
    who = key()
    content = b"line_id,amount\n1,2\n\x00\xff"
    made = [
        web.post("/api/v1/artifacts", {"file": SimpleUploadedFile("l.csv", content)}, headers=who)
        for _ in range(2)
    ]
    assert [m.status_code for m in made] == [201, 201]
    assert made[0].json()["id"] == made[1].json()["id"]
    answer = get(web, f"artifacts/{made[0].json()['id']}", who)
    assert (answer.content, answer["X-Content-Type-Options"]) == (content, "nosniff")
    assert answer["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("size", [25 * 2**20 + 1, 50 * 2**20])
def test_a_file_over_the_limit_is_refused_and_the_limit_is_named(
    web: Browser, key: Key, size: int
) -> None:
    file = SimpleUploadedFile("big.csv", b"x" * size)
    answer = web.post("/api/v1/artifacts", {"file": file}, headers=key())
    assert answer.status_code in (413, 422)
    assert "25 MB" in answer.json()["detail"] or "26214400" in answer.json()["detail"]


def test_an_upload_without_a_file_is_a_clear_error(web: Browser, key: Key) -> None:
    who = key()
    body = problem(web.post("/api/v1/artifacts", {"name": "x"}, headers=who), 422, "invalid_input")
    assert body["field"] == "file"
    broken = web.post("/api/v1/artifacts", b"--x", headers=who,
                      content_type="multipart/form-data; boundary=y")  # fmt: skip
    assert broken.status_code in (400, 422)


def test_a_key_replays_no_upload_of_another_content(web: Browser, key: Key) -> None:
    who = {**key(), "Idempotency-Key": "k"}

    def upload(content: bytes) -> Any:
        file = SimpleUploadedFile("l.csv", content)
        return web.post("/api/v1/artifacts", {"file": file}, headers=who)

    first = upload(b"one")
    assert upload(b"one").json()["id"] == first.json()["id"]
    problem(upload(b"two"), 422, "idempotency_mismatch")
    assert get(web, f"artifacts/{first.json()['id']}", who).content == b"one"
