"""The shipped workflow definitions: valid, complete, and right over their own examples.

They are played here step by step without engine, database or model: expressions are evaluated by
``workflows.domain``, tools run, agents are their tools. The engine's own tests run them for real.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from agents.tools import registry
from agents.tools.registry import ToolContext
from config.access.roles import ROLES
from workflows.domain.definition import Plan, Step, plan_of
from workflows.domain.documents import parse
from workflows.domain.expressions import Template
from workflows.domain.validation import Known, faults_of

ROOT = Path(__file__).parents[3]
FILES = {path.stem: path for path in sorted((ROOT / "workflows" / "library").glob("*.yaml"))}
OURS = (
    "client_onboarding",
    "entity_tax_estimates",
    "independence_monitoring",
    "month_end_close",
    "multi_jurisdiction_tax",
    "report_review",
)
WITH_EXAMPLE = tuple(name for name in OURS if name != "entity_tax_estimates")


class Shelf:
    """Artifacts by digest, as the real store keeps them."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def read(self, ref: str) -> bytes:
        return self.held[ref]

    def save(self, name: str, content: bytes, content_type: str) -> str:
        reference = f"{hashlib.sha256(content).hexdigest()[:12]}-{name}"
        self.held[reference] = content
        return reference


def source(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(
        FILES[name].read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
    )
    return loaded


def example(name: str) -> dict[str, Any]:
    found: dict[str, Any] = source(name)["inputs"]["examples"][0]
    return found


@cache
def entries() -> dict[str, dict[str, Any]]:
    files = (ROOT / "agents" / "catalogue").glob("*.yaml")
    domains = [
        yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) for path in files
    ]
    return {entry["slug"]: entry for domain in domains for entry in domain["agents"]}


class Play:
    """One run of a definition over inputs; ``said`` answers approvals and signals by step key."""

    def __init__(self, name: str, inputs: dict[str, Any], said: dict[str, Any], shelf: Shelf):
        self.plan: Plan = plan_of(source(name))
        self.inputs, self.said, self.shelf = inputs, said, shelf
        self.steps: dict[str, dict[str, Any]] = {}
        jsonschema.validate(inputs, self.plan.inputs_schema)

    def names(self, **more: Any) -> dict[str, Any]:
        run = {"id": "r", "started_at": "2026-01-05T08:00:00+00:00"}
        return {"inputs": self.inputs, "run": run, "steps": self.steps, **more}

    def go(self) -> dict[str, Any]:
        for key, step in self.plan.steps.items():
            self.steps[key] = {"state": "succeeded", "output": None, "error": None}
            if step.failures_of and not step.needs:
                self.steps[key]["state"] = "unreachable"
            elif step.when is not None and not step.when.evaluate(self.names()):
                self.steps[key]["state"] = "skipped"
            else:
                self.steps[key]["output"] = self.run(step)
        outputs: dict[str, Any] = self.plan.outputs.render(self.names())
        return outputs

    def run(self, step: Step) -> Any:
        if step.for_each is None:
            output = self.act(step, self.names())
            if step.until is not None:
                assert step.until.evaluate(self.names(output=output, iteration=1))
            return output
        return [
            self.act(step, self.names(**{step.item_name: item, "index": index}))
            if step.each is None
            else self.inner(step, step.each, {step.item_name: item, "outer_index": index})
            for index, item in enumerate(step.for_each.render(self.names()))
        ]

    def inner(self, step: Step, each: Template, outer: dict[str, Any]) -> list[Any]:
        return [
            self.act(step, self.names(**outer, **{step.each_name: item, "index": index}))
            for index, item in enumerate(each.render(self.names(**outer)))
        ]

    def act(self, step: Step, names: dict[str, Any]) -> Any:
        given = step.arguments.render(names)
        if step.kind == "tool":
            return registry.get(step.target).call(given, ToolContext(artifacts=self.shelf))
        if step.kind == "workflow":
            return Play(step.target, given, self.said, self.shelf).go()
        if step.kind == "agent":
            return self.ask(step.target, given)
        if step.kind == "approval":
            form = self.said.get(step.key, {})
            return {"decision": "approved", "by": ["partner"], "form": form}
        return self.said.get(step.key)

    def ask(self, slug: str, given: dict[str, Any]) -> dict[str, Any]:
        """What an agent's tools say of its input; those that lack an argument are not called."""
        results: dict[str, Any] = {}
        for name in entries()[slug]["tools"]:
            tool = registry.get(name)
            if set(tool.parameters.get("required", ())) <= set(given):
                wanted = tool.parameters["properties"]
                results[name] = tool.call({k: v for k, v in given.items() if k in wanted})
        facts = {k: v for result in results.values() for k, v in result.items()}
        assert facts, f"{slug} has no tool for {sorted(given)}"
        return {"text": str(facts), "facts": facts, "tools": results}


def play(name: str, said: dict[str, Any] | None = None, **changed: Any) -> tuple[Any, Play]:
    one = Play(name, example(name) | changed, said or {}, Shelf())
    return one.go(), one


@pytest.mark.parametrize("name", OURS)
def test_a_shipped_definition_has_no_fault(name):
    known = Known(
        tools={tool.name: tool.parameters for tool in registry.all_tools()},
        agents=frozenset(entries()),
        workflows=frozenset(FILES),
        roles=frozenset(ROLES),
    )
    text = FILES[name].read_text(encoding="utf-8")
    assert faults_of(parse(text, what=name), known) == []


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_a_template_ends_on_its_example(name):
    outputs, one = play(name)
    assert set(one.steps) == set(one.plan.steps)
    paper = next(outputs[key] for key in ("paper", "register") if key in outputs)
    assert one.shelf.held[paper].startswith(b"# ")


def test_together_they_use_every_part_of_the_format():
    steps = [step for name in OURS for step in source(name)["steps"].values()]
    used = {key for step in steps for key in step}
    wanted = "tool agent workflow approval wait with needs when timeout retry on_error compensate"
    assert set(wanted.split()) | {"for_each", "each", "as", "max_parallel", "repeat"} <= used
    joins = {key for step in steps if isinstance(step.get("needs"), dict) for key in step["needs"]}
    assert joins == {"all", "any", "at_least", "of"}
    waits = {key for step in steps for key in step.get("wait", {})}
    assert waits == {"for", "until", "signal", "timeout"}
    ends = [step["on_error"] for step in steps if "on_error" in step]
    assert "continue" in ends and any(isinstance(end, dict) for end in ends)
    top = set.union(*(set(source(name)) for name in OURS))
    assert {"access", "budget_usd", "timeout", "priority", "concurrency", "outputs"} <= top
    assert max(s["approval"].get("levels", 1) for s in steps if "approval" in s) == 2


def test_each_jurisdiction_of_a_group_is_a_branch():
    outputs, one = play("multi_jurisdiction_tax")
    assert len(one.steps) == 7
    branches = one.steps["branches"]["output"]
    assert len(branches) == len(outputs["by_jurisdiction"]) == 9
    germany = next(b for b in branches if b["jurisdiction"] == "DE")
    assert len(germany["estimates"]) == 2
    assert outputs["low_taxed"] == ["IE", "PL", "US"]
    total = sum(branch["corporate_tax"] for branch in branches)
    assert outputs["group_corporate_tax"] == pytest.approx(total, abs=0.01)
    # Halden Research DAC: (15 % - 12.5 %) of 11.9 million, with no substance stated
    assert one.steps["minimum_tax"]["output"]["facts"]["total_topup_tax"] >= 297_500


def test_a_group_below_the_threshold_is_not_tested_for_minimum_tax():
    inputs = example("multi_jurisdiction_tax")
    del inputs["group_revenues"]
    one = Play("multi_jurisdiction_tax", inputs, {}, Shelf())
    one.go()
    assert one.steps["minimum_tax"]["state"] == "skipped"


def test_a_country_without_rates_is_named_and_the_rest_goes_on():
    more = [{"entity": "X", "jurisdiction": "BR", "profit_before_tax": 1.0}]
    known = example("multi_jurisdiction_tax")["entities"][:1]
    outputs, _ = play("multi_jurisdiction_tax", entities=[*known, *more])
    assert outputs["not_covered"] == ["BR"]
    assert len(outputs["by_jurisdiction"]) == 1


def test_a_subledger_that_differs_is_reported_at_month_end():
    outputs, one = play("month_end_close")
    rows = [row for one in outputs["untied_subledgers"] for row in one]
    untied = [row["subledger"] for row in rows if not row["tied"]]
    assert untied == ["trade debtors EUR", "trade creditors"]
    assert outputs["accounts_to_explain"] == 2
    assert one.steps["bank"]["output"]["conclusion"] == "reconciled"
    assert one.steps["bank_by_hand"]["state"] == "unreachable"


def test_a_partner_is_asked_only_when_there_are_matters():
    outputs, one = play("independence_monitoring")
    assert outputs["people_in_breach"] == ["S-014"]
    assert outputs["matters"] == 2  # one holding, and fees above 15 % for two years
    clean = {"people": [{"person": "P", "holdings": []}], "assignments": [], "fees": []}
    _, quiet = play("independence_monitoring", **clean)
    assert one.steps["decision"]["state"] == "succeeded"
    assert quiet.steps["decision"]["state"] == "skipped"


def test_a_check_left_out_is_never_taken_as_clean():
    inputs = example("independence_monitoring")
    inputs = {key: inputs[key] for key in ("client", "restricted")}
    inputs["people"] = [{"person": "P", "holdings": []}]
    outputs = Play("independence_monitoring", inputs, {}, Shelf()).go()
    assert outputs["conclusion"] == "incomplete: rotation, fee dependency"


def test_an_uncleared_match_raises_the_risk():
    outputs, one = play("client_onboarding")
    assert one.steps["clear_matches"]["state"] == "succeeded"
    raised, _ = play("client_onboarding", {"clear_matches": {"cleared": 0}})
    assert (outputs["risk_class"], raised["risk_class"]) == ("low", "medium")


def test_a_client_on_nobodys_list_needs_no_clearing():
    outputs, one = play("client_onboarding", names=[{"name": "Quintus Oswald"}])
    assert one.steps["clear_matches"]["state"] == "skipped"
    assert outputs["screening"] == "clear, no matches"


def test_a_refused_client_is_withdrawn_from_the_register():
    outputs, one = play("client_onboarding")
    undo = one.plan.steps["open"].compensate
    assert undo is not None
    record = one.steps["open"]["output"]["record"]
    result = registry.get(undo["tool"]).call(
        {"record": record, "reason": undo["with"]["reason"]}, ToolContext(artifacts=one.shelf)
    )
    assert result["engagement_code"] == outputs["engagement_code"]


def test_a_poor_draft_goes_back_to_its_author():
    _, good = play("report_review")
    _, poor = play("report_review", report_text="We guarantee that all is well.")
    assert good.steps["author"]["state"] == "skipped"
    assert poor.steps["author"]["state"] == "succeeded"


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_a_template_needs_only_its_required_inputs(name):
    required = source(name)["inputs"]["required"]
    inputs = {key: value for key, value in example(name).items() if key in required}
    one = Play(name, inputs, {}, Shelf())
    one.go()
    assert one.steps[list(one.plan.steps)[-1]]["state"] == "succeeded"


def test_two_people_can_answer_every_approval():
    """The shipped try-out has a manager and a partner; nobody answers two levels of a step."""
    for name in OURS:
        for key, step in source(name)["steps"].items():
            if approval := step.get("approval"):
                roles = approval.get("roles", [approval["role"]])
                assert len(roles) <= 2 and set(roles) <= {"manager", "partner"}, (name, key)
