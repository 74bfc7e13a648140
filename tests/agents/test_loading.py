from __future__ import annotations

import shutil

import pytest
from django.core.management import CommandError, call_command

from agents import loading, versions
from agents.models import Agent, AgentVersion, Budget, Label

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path):
    for name in ("tax.yaml", "schema.json"):
        shutil.copy(loading.CATALOGUE / name, tmp_path / name)
    return tmp_path


def test_loading_the_shipped_catalogue_twice_changes_nothing(capsys):
    call_command("load_catalogue")
    call_command("load_catalogue")
    first, second = capsys.readouterr().out.strip().splitlines()
    assert first == "51 agents (51 new, 0 changed), 51 new versions"
    assert second == "51 agents (0 new, 0 changed), 0 new versions"
    assert Label.objects.filter(name="production").count() == 51
    assert Budget.objects.filter(scope="agent").count() == 51


def test_editing_an_entry_makes_a_version_and_moves_production(folder):
    loading.load(folder)
    file = folder / "tax.yaml"
    text = file.read_text().replace("temperature: 0.0", "temperature: 0.1", 1)
    assert text != file.read_text()
    file.write_text(text)
    loaded = loading.load(folder)
    assert (loaded.new_versions, loaded.new_agents) == (1, 0)
    assert AgentVersion.objects.filter(number=2).get().labels.get().name == "production"
    assert loading.load(folder).new_versions == 0


def test_taking_an_edit_back_gives_the_old_version_again(folder):
    loading.load(folder)
    file = folder / "tax.yaml"
    before = file.read_text()
    file.write_text(before.replace("temperature: 0.0", "temperature: 0.1", 1))
    loading.load(folder)
    file.write_text(before)
    loading.load(folder)
    assert AgentVersion.objects.filter(number=2).count() == 1
    assert set(Label.objects.values_list("version__number", flat=True)) == {1}
    assert loading.load(folder).new_versions == 0


def test_a_rollout_since_the_last_load_stands(folder):
    loading.load(folder)
    agent = Agent.objects.first()
    content = versions.content_of(agent.versions.get())
    from dataclasses import replace

    better = replace(content, prompt=content.prompt + "\nMore.")
    versions.publish(agent=agent, content=better, label="production")
    loading.load(folder)
    assert Label.objects.get(agent=agent).version.number == 2


def test_a_broken_catalogue_is_refused_whole(folder):
    file = folder / "tax.yaml"
    file.write_text(file.read_text().replace("risk: medium", "risk: none", 1))
    with pytest.raises(CommandError, match="risk"):
        call_command("load_catalogue", directory=folder)
    assert not Agent.objects.exists()
