"""Wrong passwords and wrong keys make whoever sends them wait."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Http

from config.access import attempts, callers
from config.access.models import Client, Membership, User
from monitoring.models import SecurityEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    firm = Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )[0]
    user = User.objects.create_user("ada", password="right horse")
    Membership.objects.create(user=user, client=firm, role="professional")
    return user


def sign_in(password: str, address: str = "10.1.1.1", username: str = "ada") -> Any:
    given = {"username": username, "password": password}
    return Http(REMOTE_ADDR=address).post("/login", given)


def test_the_right_password_waits_too_after_five_wrong_ones(ada: User, settings: Any) -> None:
    settings.SIGN_IN_TRIES = 3
    answers = [sign_in("wrong").status_code for _ in range(3)]
    assert answers == [200, 200, 429]
    locked = sign_in("right horse")
    assert locked.status_code == 429
    assert 0 < int(locked["Retry-After"]) <= 300
    assert b"Too many wrong passwords" in locked.content
    # Nobody can lock somebody out from elsewhere, and the lock is on record once.
    assert sign_in("right horse", address="10.1.1.2").status_code == 302
    event = SecurityEvent.objects.get()
    assert (event.kind, event.user_id, event.address) == ("denied", ada.pk, "10.1.1.1")
    attempts._limiter().storage.reset()
    assert sign_in("right horse").status_code == 302


def test_a_right_password_forgets_the_wrong_ones(ada: User, settings: Any) -> None:
    settings.SIGN_IN_TRIES = 3
    for password in ("wrong", "wrong", "right horse", "wrong", "wrong"):
        assert sign_in(password).status_code in (200, 302)
    assert not SecurityEvent.objects.exists()


def test_many_names_from_one_address_are_one_attack(ada: User, settings: Any) -> None:
    settings.ADDRESS_TRIES = 4
    codes = [sign_in("wrong", username=f"name{n}").status_code for n in range(5)]
    assert codes[-1] == 429


def test_wrong_keys_are_told_to_wait_and_right_ones_go_on(ada: User, settings: Any) -> None:
    settings.ADDRESS_TRIES = 3
    _, secret = callers.create_key(
        user=ada, client=Client.objects.get(is_firm=True), name="k", scopes=["agents:read"]
    )
    wrong = Http(headers={"Authorization": "Bearer rk_wrong"})
    codes = [wrong.get("/api/v1/agents").status_code for _ in range(4)]
    assert codes == [401, 401, 429, 429]
    right = Http(headers={"Authorization": f"Bearer {secret}"})
    assert right.get("/api/v1/agents").status_code == 200
    assert SecurityEvent.objects.get().kind == "key_misuse"
    # OpenAI's own door has the same lock.
    body = {"model": "agent:x", "messages": []}
    assert (
        wrong.post("/v1/chat/completions", body, content_type="application/json").status_code == 429
    )


def test_the_admin_has_no_door_of_its_own() -> None:
    answer = Http().get("/admin/login/?next=/admin/")
    assert answer.status_code == 302
    assert answer["Location"] == "/login?next=/admin/"
