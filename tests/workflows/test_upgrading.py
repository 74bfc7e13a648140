"""A database with rows comes through an upgrade, and what was hidden before it is hidden after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client as Browser

from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, post, start
from workflows import publishing
from workflows.models import Artifact, ArtifactUse, Run

pytestmark = pytest.mark.django_db(transaction=True)
HIDDEN = """
name: closed
access: {see: [partner]}
inputs: {type: object, properties: {file: {type: string, format: artifact}, again: {}, n: {}}}
steps:
  big: {tool: core.echo, with: {value: "${ inputs.file + 'LONG' }"}}
outputs: {value: "${ size(steps.big.output.value) }"}
""".replace("LONG", "x" * 300)


@pytest.fixture
def upgraded() -> Iterator[Any]:
    """Takes the workflows' tables back to a migration; they are up to date again at the end."""
    yield lambda *name: call_command("migrate", "workflows", *name, verbosity=0)
    call_command("migrate", "workflows", verbosity=0)


def test_runs_from_before_an_upgrade_keep_their_files_hidden_and_know_what_they_lie_inside_of(
    web: Browser, key: Key, broker: Broker, settings: Any, upgraded: Any
) -> None:
    """Back to before uses of files and lineages of runs were written down, and on again."""
    partner, manager = key("partner"), key("manager")
    publishing.publish("name: inner\nsteps:\n  a: {tool: core.echo}\n")
    publishing.publish("name: middle\nsteps:\n  i: {workflow: inner}\n")
    outer = start(web, partner, "name: outer\nsteps:\n  m: {workflow: middle}\n")
    broker.drain()
    forked = post(web, f"runs/{outer['id']}/fork", {"from_step": "m"}, partner)
    assert forked.status_code == 201, forked.content
    broker.drain()
    before = lineage()
    depths = sorted(len(within) for _, within in before.values())
    assert depths == [0, 0, 1, 1, 2, 2]
    assert {family for family, _ in before.values()} == {None, UUID(outer["id"])}

    settings.MAX_INLINE_BYTES = 250  # more than a run is given, less than its step gives

    def upload(content: bytes) -> str:
        file = SimpleUploadedFile("ledger.csv", content)
        return str(web.post("/api/v1/artifacts", {"file": file}, headers=partner).json()["id"])

    def seen_by(who: dict[str, str]) -> set[str]:
        return {one["id"] for one in get(web, "artifacts", who).json()["results"]}

    secret, free = upload(b"secret"), upload(b"for all")
    # Named twice in one run, and beside inputs that are no texts.
    start(web, partner, HIDDEN, inputs={"file": secret, "again": secret, "n": [1, None]})
    start(web, partner, HIDDEN, inputs={"file": secret})
    broker.drain()
    made = {str(pk) for pk in Artifact.objects.values_list("pk", flat=True)} - {secret, free}
    assert made, "what was too large for a row is a file"
    uses = set(ArtifactUse.objects.exclude(run=None).values_list("artifact_id", "run_id"))
    assert seen_by(manager) == {free}
    before = lineage()

    upgraded("0005_workflow_splits")
    upgraded()

    assert lineage() == before
    assert set(ArtifactUse.objects.values_list("artifact_id", "run_id")) == uses
    assert seen_by(manager) == {free}
    assert seen_by(partner) == {secret, free, *made}


def lineage() -> dict[UUID, Any]:
    rows = Run.objects.values_list("pk", "family_id", "within")
    return {pk: (family, within) for pk, family, within in rows}
