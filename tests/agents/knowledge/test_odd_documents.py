"""Documents as people have them, and as nobody should: read, or refused by name, and in time."""

from __future__ import annotations

import base64
import random
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from agents.knowledge import reading
from agents.models import Agent, Document, PassageMark
from config.access.models import Client
from tests.agents.knowledge.test_knowledge import pdf

pytestmark = pytest.mark.django_db
Api = Callable[..., Any]
BOOK = "/api/v1/knowledge"


def upload(api: Api, content: bytes, media_type: str, title: str = "One") -> Any:
    body = {"title": title, "content_base64": base64.b64encode(content).decode(),
            "media_type": media_type}  # fmt: skip
    return api("post", BOOK, body)


def texts(api: Api, made: Any) -> list[str]:
    assert made.status_code == 201, made.content
    detail = api("get", f"{BOOK}/{made.json()['id']}").json()
    return [one["text"] for one in detail["passages"]]


@pytest.mark.parametrize(
    ("content", "media_type", "expected"),
    [
        (b"account,balance\rCash,120\rDebtors,70\r", "text/csv",
         "account: Cash, balance: 120.\naccount: Debtors, balance: 70."),
        ("Konto;Saldo\nKasse;1.234\n".encode("utf-16"), "text/csv",
         "Konto: Kasse, Saldo: 1.234."),
        ("Größe".encode("utf-16-be").join([b"\xfe\xff", b""]), "text/plain", "Größe"),
        (b"account,balance\nCash,120,of which petty,5\n", "text/csv",
         "account: Cash, balance: 120, of which petty, 5."),
        (b"# How\n```sh\n# install\nmake run\n```\nDone.\n", "text/markdown",
         "```sh # install make run ``` Done."),
    ],
)  # fmt: skip
def test_what_people_export_is_read_whole(
    api: Api, ground: None, content: bytes, media_type: str, expected: str
) -> None:
    assert "\n".join(texts(api, upload(api, content, media_type))) == expected


def test_a_cell_longer_than_a_csv_may_have_is_refused_by_name(api: Api, ground: None) -> None:
    answer = upload(api, b'a,b\n1,"' + b"x" * 200_000 + b'"\n', "text/csv")
    assert (answer.status_code, answer.json()["field"]) == (422, "content")


def test_a_pdf_that_unpacks_without_end_is_refused_at_once(api: Api, ground: None) -> None:
    packed = zlib.compress(b"BT /F1 12 Tf 72 720 Td (" + b"A " * 30_000_000 + b") Tj ET")
    whole = pdf("placeholder")
    stream = whole[whole.index(b"stream\n") + 7 : whole.index(b"\nendstream")]
    given = whole.replace(b"/Length %d" % len(stream),
                          b"/Filter /FlateDecode /Length %d" % len(packed))  # fmt: skip
    began = time.monotonic()
    answer = upload(api, given.replace(stream, packed), "application/pdf")
    assert (answer.status_code, answer.json()["field"]) == (422, "content")
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("damages", [400, pytest.param(5_000, marks=pytest.mark.slow)])
def test_a_damaged_pdf_is_read_or_refused_whatever_the_damage(damages: int) -> None:
    from config.errors import InvalidInput

    draw, good = random.Random(7), pdf("Goodwill is tested yearly.", "Inventories are counted.")
    for _ in range(damages):
        broken = bytearray(good)
        for _ in range(draw.randrange(1, 12)):
            place = draw.randrange(len(broken))
            broken[place : place + draw.choice((0, 1, 9))] = draw.choice(
                (b"<<", b">>", b"/Length -1", b"[", b"999999999", b"null ", b"2 0 R", b"0")
            )
        try:
            reading.blocks_of(bytes(broken), reading.PDF)
        except InvalidInput:
            continue


def test_a_question_of_one_word_many_times_takes_no_longer_than_one(api: Api, ground: None) -> None:
    texts(api, upload(api, b"word " * 40_000, "text/plain"))
    began = time.monotonic()
    found = api("post", f"{BOOK}/search", {"query": "word " * 400})
    assert found.json()["results"]
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("query", ["it's \\ 'quoted' | & ! <-> :*", "o'neill\\smith a/b-c d_e"])
def test_signs_of_the_query_language_are_words_like_others(
    api: Api, ground: None, query: str
) -> None:
    texts(api, upload(api, b"Mr O'Neill quoted a/b-c.", "text/plain"))
    assert api("post", f"{BOOK}/search", {"query": query}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_one_title_stored_by_many_at_once_is_there_once(api: Api, ground: None) -> None:
    def one(number: int) -> int:
        try:
            answer = api("post", BOOK, {"title": "Race", "text": f"text {number % 3}"})
            return int(answer.status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answered = list(pool.map(one, range(24)))
    assert set(answered) <= {200, 201}
    assert Document.objects.filter(title="Race", state=Document.State.CURRENT).count() == 1


def test_a_mark_names_an_answer_that_is_there(api: Api, ground: None) -> None:
    made = api("post", BOOK, {"title": "Goodwill", "text": "Goodwill is tested yearly."}).json()
    passage = api("get", f"{BOOK}/{made['id']}").json()["passages"][0]["id"]
    nobodys = "00000000-0000-7000-8000-000000000000"
    answer = api("post", f"{BOOK}/passages/{passage}/marks",
                 {"helpful": True, "invocation_id": nobodys})  # fmt: skip
    assert answer.status_code == 404
    assert not PassageMark.objects.exists()


def test_a_client_that_is_not_there_has_no_documents_calls_or_batches(
    api: Api, agent: Agent, firm: Client
) -> None:
    nobody = {"client_id": "00000000-0000-7000-8000-000000000000"}
    item = {"custom_id": "a", "inputs": {}}
    for path, body in (
        (BOOK, {"title": "x", "text": "y"}),
        (f"/api/v1/agents/{agent.slug}/invocations", {"inputs": {}}),
        ("/api/v1/batches", {"agent": agent.slug, "items": [item]}),
    ):
        answer = api("post", path, {**body, **nobody})
        assert (answer.status_code, answer.json()["what"]) == (404, "client"), path
