"""A real browser against a real web process (and workers where a test asks for them)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client as Signed
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from config.access.models import Client, Membership, User
from tests import processes

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    # Two pages of the address bar, which nobody sees, are loaded beside each window: a second each.
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,HttpsUpgrades,PaintHolding,"
    "MediaRouter,OptimizationHints",
]  # fmt: skip
PASSWORD = "a long enough password"
UP_SECONDS = 90.0
# Processes start slowly beside the rest of a suite; what is there is seen at once all the same.
expect.set_options(timeout=60_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where the browser is. In CI its absence is a failure; elsewhere the tests are left out."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        message = f"no browser: looked for {', '.join(NAMES)} on PATH"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    # Playwright keeps a loop in this thread, which Django takes for asynchronous code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield launched
        launched.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@contextmanager
def process(argv: list[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    child = processes.start(*argv, env=environment, log=log)
    try:
        yield
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(10)


@pytest.fixture(scope="session")
def environment(django_db_setup: None) -> dict[str, str]:
    """For children that outlive one test: as ``process_environment``, the tests' database."""
    name = connection.settings_dict["NAME"]
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{name}",
        "DATABASE_OWNER_URL": os.environ["DATABASE_OWNER_URL"].rpartition("/")[0] + f"/{name}",
        "RATCHET_DB_ROLE": "app",
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture(scope="session")
def web(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a web process, as it is served in production; one for all tests."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = ["uvicorn", "config.asgi:application", "--port", str(port),
            "--log-level", "warning"]  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("web") / "web.log"
    with process(argv, environment, log):
        _until_up(f"{address}/login", log)
        yield address


@pytest.fixture
def site(web: str, transactional_db: None) -> str:
    """The web process over a database that is emptied after the test."""
    return web


def _until_up(url: str, log: Path) -> None:
    until = time.monotonic() + UP_SECONDS
    while time.monotonic() < until:
        with suppress(OSError):
            urllib.request.urlopen(url, timeout=5).close()
            return
        time.sleep(0.1)
    pytest.fail(f"the web process is not up: {log.read_text()[-2000:]}")


@pytest.fixture
def workers(environment: dict[str, str], tmp_path: Path) -> Iterator[None]:
    """A real worker for every queue."""
    argv = ["celery", "-A", "config", "worker", "-P", "threads", "-c", "4",
            "-Q", "high,default,low,analysis,control", "-l", "warning", "--without-gossip",
            "--without-mingle", "-n", "browser@%h"]  # fmt: skip
    with process(argv, environment, tmp_path / "worker.log"):
        yield


@pytest.fixture
def person(transactional_db: None) -> User:
    """A manager of the firm who also builds workflows."""
    firm, _ = Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )
    user: User = User.objects.create_user("mara", password=PASSWORD, first_name="Mara")
    for role in ("manager", "platform_engineer"):
        Membership.objects.create(user=user, client=firm, role=role)
    return user


class Watched:
    """A page and all that went wrong on it: console errors, foreign hosts, failed answers."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.host = urlsplit(address).netloc
        self.faults: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        page.on("request", self._on_request)
        page.on(
            "response",
            lambda answer: (
                answer.status < 400 or self.faults.append(f"{answer.status} {answer.url}")
            ),
        )

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"console: {message.text}")

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != self.host:
            self.faults.append(f"foreign host: {request.url}")


@contextmanager
def opened(
    browser: Browser, site: str, *, width: int = 1440, dark: bool = False
) -> Iterator[Watched]:
    """A fresh window that forgets everything afterwards."""
    context = browser.new_context(
        base_url=site,
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",  # what moves is drawn sixty times a second, here by the processor
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    try:
        yield Watched(page, site)
    finally:
        context.close()


def let_in(watched: Watched) -> Page:
    """The page with mara signed in, without the form and the dashboard that it leads to."""
    signed = Signed()
    signed.force_login(User.objects.get(username="mara"))
    session = signed.cookies[settings.SESSION_COOKIE_NAME].value
    watched.page.context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": f"http://{watched.host}"}]
    )
    return watched.page


def sign_in(page: Page) -> None:
    """Through the form, as a person does."""
    page.goto("/login")
    page.get_by_label("Name").fill("mara")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/dashboard*")
    page.locator("#latest section").wait_for()
