"""The people of a fresh installation."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from config.access.callers import of_key, of_user
from config.access.models import Client, User
from config.demo.people import ADMINISTRATOR, APPROVERS, DEMO_CLIENT, STARTER, ensure_people

pytestmark = pytest.mark.django_db


def test_everybody_can_sign_in_and_only_their_owner_can_read_how(tmp_path: Path) -> None:
    people = ensure_people(tmp_path)
    assert set(people) == {ADMINISTRATOR, STARTER, *APPROVERS.values()}
    for name, person in people.items():
        assert User.objects.get(username=name).check_password(person.password)
    assert len({person.password for person in people.values()}) == len(people)
    assert stat.S_IMODE((tmp_path / "people.json").stat().st_mode) == 0o600


def test_a_repeat_changes_nothing(tmp_path: Path) -> None:
    assert ensure_people(tmp_path) == ensure_people(tmp_path)
    assert Client.objects.filter(is_firm=True).count() == 1


def test_demo_people_reach_the_demo_client_only(tmp_path: Path) -> None:
    people = ensure_people(tmp_path)
    other = Client.objects.create(slug="other", name="Other")
    demo = Client.objects.get(slug=DEMO_CLIENT)
    for name in (STARTER, *APPROVERS.values()):
        for caller in (of_key(people[name].key), of_user(User.objects.get(username=name))):
            assert caller is not None
            assert caller.sees(demo.pk)
            assert not caller.sees(other.pk)


def test_the_starter_may_not_approve_and_the_manager_not_as_partner(tmp_path: Path) -> None:
    people = ensure_people(tmp_path)
    starter = of_key(people[STARTER].key)
    manager = of_key(people[APPROVERS["manager"]].key)
    partner = of_key(people[APPROVERS["partner"]].key)
    assert starter and manager and partner
    assert not starter.has("approvals:decide")
    assert manager.may_act_as("manager")
    assert not manager.may_act_as("partner")
    assert partner.may_act_as("partner")


def test_a_password_that_somebody_changed_stays(tmp_path: Path) -> None:
    ensure_people(tmp_path)
    for name in (ADMINISTRATOR, STARTER):
        user = User.objects.get(username=name)
        user.set_password("changed by its owner")
        user.save()
    ensure_people(tmp_path)
    for name in (ADMINISTRATOR, STARTER):
        assert User.objects.get(username=name).check_password("changed by its owner")


def test_a_revoked_key_is_made_anew(tmp_path: Path) -> None:
    first = ensure_people(tmp_path)[STARTER]
    User.objects.get(username=STARTER).api_keys.all().delete()
    second = ensure_people(tmp_path)[STARTER]
    assert second.password == first.password
    assert of_key(first.key) is None
    assert of_key(second.key) is not None
