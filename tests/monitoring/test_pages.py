"""The overview: a frame whose pieces other apps serve."""

from __future__ import annotations

import re

import pytest
from django.test import Client as Browser

from config.access.models import Client, Membership, User

pytestmark = pytest.mark.django_db


def signed_in(role: str) -> Browser:
    firm, _ = Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )
    user = User.objects.create_user("mara", password="x")
    Membership.objects.create(user=user, client=firm, role=role)
    browser = Browser()
    browser.force_login(user)
    return browser


def test_every_piece_of_the_overview_is_served():
    browser = signed_in("manager")
    html = browser.get("/dashboard").content.decode()
    pieces = re.findall(r'hx-get="([^"]+)"', html)
    assert len(pieces) == 3
    for piece in pieces:
        assert browser.get(piece).status_code == 200, piece


def test_who_may_not_see_agents_gets_no_piece_about_them():
    html = signed_in("external").get("/dashboard").content.decode()
    assert "/dashboard/_fleet" not in html
    assert "/dashboard/_runs" in html


def test_the_root_leads_to_the_overview():
    assert signed_in("manager").get("/")["Location"] == "/dashboard"
