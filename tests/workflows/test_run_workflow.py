"""``manage.py run_workflow``: what it prints, how it exits, and how it refuses bad input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from config.access.models import Client, Membership, User
from tests.workflows.conftest import Broker
from workflows.management.commands import run_workflow
from workflows.models import Artifact, Run

pytestmark = pytest.mark.django_db(transaction=True)

GOOD = (
    "name: good\nsteps:\n  a: {tool: core.echo, with: {value: 1}}\n"
    'outputs: {v: "${ steps.a.output.value }"}\n'
)
ASKING = (
    "name: asking\nsteps:\n  ask: {approval: {role: manager, levels: 2, form: "
    "{type: object, required: [ok], properties: {ok: {type: boolean}}}}}\n"
    'outputs: {form: "${ steps.ask.output.form }"}\n'
)
LOADED = (
    "name: loaded\ninputs:\n  type: object\n  required: [ledger]\n"
    "  properties: {ledger: {type: string, format: artifact}}\n"
    'steps:\n  load: {tool: ledger.load, with: {ledger: "${ inputs.ledger }", year: 2012}}\n'
)


@pytest.fixture(autouse=True)
def people(firm: Client, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A starter, two approvers, and workers that do what is sent whenever the command looks."""
    for name, role in (("sam", "professional"), ("mia", "manager"), ("pia", "partner")):
        user = User.objects.create_user(name, password="x", is_demo=True)
        Membership.objects.create(user=user, client=firm, role=role)

    @contextmanager
    def beside(home: Path) -> Iterator[None]:
        yield

    monkeypatch.setattr(run_workflow, "standby", beside)
    monkeypatch.setattr(run_workflow.time, "sleep", lambda _: broker.drain())


def run(*words: str) -> tuple[int, dict[str, Any]]:
    out = StringIO()
    code = 0
    try:
        call_command("run_workflow", *words, stdout=out)
    except SystemExit as end:
        code = int(end.code or 0)
    return code, json.loads(out.getvalue())


def written(folder: Path, text: str) -> str:
    file = folder / "definition.yaml"
    file.write_text(text)
    return str(file)


def test_a_definition_file_runs_and_its_run_is_printed(tmp_path: Path) -> None:
    code, told = run(written(tmp_path, GOOD), "--inputs", "{}", "--wait")
    assert (code, told["state"], told["outputs"]) == (0, "succeeded", {"v": 1})
    step = told["steps"][0]
    assert (step["key"], step["index"]) == ("a", None)
    assert {"started_at", "ended_at", "state"} <= set(step["attempts"][0])


def test_a_name_runs_too_and_without_wait_nothing_is_waited_for(tmp_path: Path) -> None:
    run(written(tmp_path, GOOD), "--wait")
    code, told = run("good")
    assert (code, told["state"]) == (0, "running")


def test_a_failed_run_is_printed_and_exits_with_1(tmp_path: Path) -> None:
    failing = (
        "name: bad\nsteps:\n  a: {tool: core.fail, with: {times: 9}, retry: {max_attempts: 1}}\n"
    )
    code, told = run(written(tmp_path, failing), "--wait")
    assert (code, told["state"], told["error"]["step"]) == (1, "failed", "a")


def test_approvals_are_answered_by_people_who_may(tmp_path: Path) -> None:
    code, told = run(written(tmp_path, ASKING), "--wait", "--approve")
    assert (code, told["outputs"]) == (0, {"form": {"ok": True}})
    assert len({approval["decided_by"] for approval in told["approvals"]}) == 2


def test_a_path_stands_for_an_artifact_of_its_content(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.csv"
    ledger.write_text("nothing,of,use\n1,2,3\n")
    inputs = json.dumps({"ledger": str(ledger)})
    code, told = run(written(tmp_path, LOADED), "--inputs", inputs, "--wait")
    assert Artifact.objects.get(name="ledger.csv").size == ledger.stat().st_size
    assert (code, told["state"]) == (1, "failed"), "a wrong column ends the run"
    assert "column" in told["error"]["message"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nothing_by_this_name"], "nothing_by_this_name"),
        (["{folder}/gone.yaml"], "cannot read"),
        (["{good}", "--inputs", "{"], "--inputs"),
        (["{good}", "--inputs", "[1]"], "must be a JSON object"),
        (["{good}", "--inputs", "@/gone"], "--inputs"),
        (["{good}", "--user", "nobody"], "no active user 'nobody'"),
        (["{loaded}"], "'ledger' is a required property"),
        (["{loaded}", "--inputs", '{"ledger": "/gone.csv"}'], "inputs.ledger"),
    ],
)
def test_bad_input_is_one_line_and_starts_nothing(
    tmp_path: Path, words: list[str], says: str
) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "loaded.yaml").write_text(LOADED)
    places = {
        "{folder}": str(tmp_path),
        "{good}": str(tmp_path / "good.yaml"),
        "{loaded}": str(tmp_path / "loaded.yaml"),
    }
    given = []
    for word in words:
        for name, value in places.items():
            word = word.replace(name, value)
        given.append(word)
    with pytest.raises(CommandError) as caught:
        call_command("run_workflow", *given, "--wait", stdout=StringIO())
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not Run.objects.exists()


def test_a_file_of_50_mb_is_refused_with_its_limit(tmp_path: Path) -> None:
    ledger = tmp_path / "big.csv"
    with ledger.open("wb") as file:
        file.truncate(50 * 2**20)
    inputs = json.dumps({"ledger": str(ledger)})
    with pytest.raises(CommandError, match="the limit is 26214400 bytes"):
        call_command(
            "run_workflow", written(tmp_path, LOADED), "--inputs", inputs, "--wait",
            stdout=StringIO(),
        )  # fmt: skip
    assert not Run.objects.exists()
    assert not Artifact.objects.exists()


def test_every_fault_of_a_definition_is_in_the_error(tmp_path: Path) -> None:
    bad = "name: w\nsteps:\n  a: {tool: core.ecoh}\n"
    with pytest.raises(CommandError, match=r"line 3: steps\.a\.tool: unknown tool"):
        call_command("run_workflow", written(tmp_path, bad), stdout=StringIO())
