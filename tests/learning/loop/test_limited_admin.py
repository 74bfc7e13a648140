"""What is said of a call is seen by those who may see the call, in the admin too."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser

from agents.models import Invocation
from config.access.models import User
from learning.models import Example

pytestmark = pytest.mark.django_db
LISTS = ("feedback", "score", "example")


def test_the_admin_shows_nothing_of_a_call_that_quoted_what_its_reader_may_not_read(
    agent: Any, firm: Any, api: Any, client: Browser
) -> None:
    asked = f"/api/v1/agents/{agent.slug}/invocations"
    call = api("post", asked, {"inputs": agent.cases[0]["input"]}).json()["id"]
    about = {"subject_kind": "invocation", "subject_id": call}
    said = {**about, "kind": "praise", "text": "Marwood closes in March."}
    assert api("post", "/api/v1/feedback", said).status_code == 201
    scored = {**about, "name": "marwood", "value": 0.5, "source": "human"}
    assert api("post", "/api/v1/scores", scored).status_code == 201
    Example.objects.create(
        client_id=firm.pk, agent_slug=agent.slug, source=Example.Source.CORRECTION,
        invocation_id=call, question="When does Marwood close?", answer="In March.", digest="d",
    )  # fmt: skip
    client.force_login(User.objects.create_superuser("root", password="x"))

    def shown() -> list[bool]:
        pages = [client.get(f"/admin/learning/{name}/").text.lower() for name in LISTS]
        return ["marwood" in page for page in pages]

    assert shown() == [True, True, True]
    Invocation.objects.filter(pk=call).update(limited_to=["department:audit"])
    assert shown() == [False, False, False]
