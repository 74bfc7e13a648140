"""The doors of the pages: signing in, errors, and the look itself."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client as Browser
from django.test import RequestFactory

from config import pages
from config.access.models import Client, Membership, User
from config.templatetags import ratchet

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> User:
    firm, _ = Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )
    user: User = User.objects.create_user("mara", password="a long enough password")
    Membership.objects.create(user=user, client=firm, role="manager")
    return user


def test_a_person_signs_in_and_goes_on_to_where_they_were_heading(person):
    browser = Browser()
    at_door = browser.get("/dashboard/runs")
    assert browser.get(at_door["Location"]).status_code == 200
    gone = browser.post(
        "/login",
        {"username": "mara", "password": "a long enough password", "next": "/dashboard/runs"},
    )
    assert gone["Location"] == "/dashboard/runs"
    assert browser.get("/dashboard/runs").status_code == 200


def test_a_wrong_password_is_said_without_telling_which_was_wrong(person):
    html = Browser().post("/login", {"username": "mara", "password": "no"}).content.decode()
    assert "don’t match an active account" in html
    assert 'value="mara"' in html


def test_nobody_is_sent_to_another_site_after_signing_in(person):
    gone = Browser().post(
        "/login",
        {"username": "mara", "password": "a long enough password", "next": "https://evil.test/"},
    )
    assert gone["Location"] == "/dashboard"


@pytest.mark.parametrize(
    ("flower", "host", "is_linked"),
    [
        ("http://127.0.0.1:5555", "localhost:8000", True),
        ("http://127.0.0.1:5555", "ratchet.example", False),  # the reader's own machine
        ("https://flower.example", "ratchet.example", True),
        ("", "localhost:8000", False),
    ],
)
def test_pages_lead_to_flower_where_the_reader_can_reach_it(
    person, settings, flower, host, is_linked
):
    settings.FLOWER_URL, settings.ALLOWED_HOSTS = flower, ["*"]
    browser = Browser(headers={"host": host})
    browser.force_login(person)
    link = re.search(r'<a class="to" href="(\S+)" target="_blank"', _shown(browser))
    assert (link and link[1]) == (flower if is_linked else None)
    Membership.objects.update(role="professional")  # who may not see how the fleet does
    assert 'target="_blank"' not in _shown(browser)


def _shown(browser: Browser) -> str:
    return str(browser.get("/dashboard/schedules").content.decode())


def test_signing_out_closes_the_pages(person):
    browser = Browser()
    browser.force_login(person)
    browser.post("/logout")
    assert browser.get("/dashboard").status_code == 302


def test_a_person_without_a_membership_is_told_whom_to_ask():
    browser = Browser()
    browser.force_login(User.objects.create_user("lost", password="x"))
    answer = browser.get("/dashboard")
    assert answer.status_code == 403
    assert "ask an administrator" in answer.content.decode()


def test_a_stale_form_says_to_reload(person):
    answer = Browser(enforce_csrf_checks=True).post("/login", {"username": "mara"})
    assert answer.status_code == 403
    assert "reload the page" in answer.content.decode()


def test_a_broken_page_says_so_without_its_inside(person, monkeypatch: pytest.MonkeyPatch):
    def explode(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr("workflows.pages.runs.render", explode)
    browser = Browser(raise_request_exception=False)
    browser.force_login(person)
    answer = browser.get("/dashboard/runs")
    assert answer.status_code == 500
    assert "Something broke on our side" in answer.content.decode()
    assert "secret inside" not in answer.content.decode()


def test_the_last_resort_asks_nothing_of_the_database(django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = pages.broken(RequestFactory().get("/dashboard"))
    assert answer.status_code == 500


def test_a_piece_of_a_page_gets_a_piece_of_an_error():
    request = RequestFactory().get("/dashboard/x", headers={"HX-Request": "true"})
    html = pages.problem(request, 404, "no run 'x'", "not_found").content.decode()
    assert "no run &#x27;x&#x27;" in html
    assert "<html" not in html


def test_every_state_is_an_icon_and_a_word():
    sprite = open_sprite()
    for tone, icon, word in ratchet.STATES.values():
        assert tone in {"good", "attention", "bad", "info", "quiet"}
        assert f'id="i-{icon}"' in sprite
        assert word


def open_sprite() -> str:
    from django.template.loader import render_to_string

    return render_to_string("parts/sprite.html")


@pytest.mark.parametrize(
    ("given", "shown"),
    [("- one\n- two", "<ul><li>one</li><li>two</li></ul>"), ("a\nb\n\nc", "<p>a<br>b</p><p>c</p>"),
     ("<b>x</b>", "<p>&lt;b&gt;x&lt;/b&gt;</p>"), (None, "")],
)  # fmt: skip
def test_what_agents_write_becomes_paragraphs_and_lists_and_nothing_else(given, shown):
    assert ratchet.prose(given) == shown


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("theme", [0, 1])
def test_text_has_contrast_on_every_ground_in_both_themes(theme):
    path = finders.find("ratchet/ratchet.css")
    with open(path) as file:
        found = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", file.read())
    colours = {name: pair[theme] for name, *pair in found}
    texts = ["ink", "ink-2", "ink-3", "accent", "good-ink", "attention-ink", "bad-ink", "info-ink"]
    pairs = [(text, ground) for text in texts for ground in ("paper", "surface", "sunken")]
    pairs += [(f"{tone}-ink", f"{tone}-soft") for tone in ("good", "attention", "bad", "info")]
    pairs += [("accent-ink", "accent"), ("ink", "accent-soft"), ("paper", "bad-ink")]
    for text, ground in pairs:
        high, low = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)


@pytest.mark.parametrize(
    "address",
    ["/api/v1/runs?workflow=%00", "/api/v1/workflows/a%00b/versions", "/dashboard/workflows/%00"],
)
def test_an_address_with_a_nul_character_is_refused_and_breaks_nothing(person, address: str):
    browser = Browser(raise_request_exception=False)
    browser.force_login(person)
    told = browser.get(address)
    assert told.status_code == 400
    if address.startswith("/api/"):
        assert told.json()["code"] == "bad_request"


def test_the_admin_names_its_icon_so_that_no_browser_asks_for_one_that_is_not_there(client):
    client.force_login(User.objects.create_superuser("root", password="x"))
    text = client.get("/admin/").content.decode()
    found = re.search(r'<link rel="icon" href="/static/(ratchet/mark[^"]*\.svg)"', text)
    assert found and finders.find("ratchet/mark.svg")
