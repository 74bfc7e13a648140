"""What lies under deploy/ fits the code: commands, queues, metrics."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.celery import QUEUES
from config.supervisor.programs import Ports, programs
from monitoring import prometheus
from monitoring.domain.metrics import METRICS, SCOPES, Kind

DEPLOY = Path(__file__).parents[1] / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yml"
_NAME = re.compile(r"(?<![\w:{])((?:ratchet|up)[\w:]*)(?=[\s{\[)]|$)")
# PromQL that our rules use; a slip of the pen is not among it.
_FUNCTIONS = {"sum", "rate", "increase", "topk", "by", "and"}


def exposed() -> set[str]:
    """Every series name that ``/metrics`` can have."""
    names = {"up", "ratchet_queue_last_consumed_seconds", "ratchet_incidents_open",
             "ratchet_periodic_task_last_success_seconds", "ratchet_alerts_firing"}  # fmt: skip
    for scope, metrics in prometheus.FAMILIES.items():
        for name in metrics:
            title = f"ratchet_{scope}_{name}"
            counter = METRICS[name].kind is Kind.COUNTER
            names |= {f"{title}_total"} if counter else {f"{title}_sum", f"{title}_count"}
    return names


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield rule.get("alert") or rule["record"], rule["expr"]
    for panel in json.loads((DEPLOY / "grafana" / "fleet.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


@pytest.mark.parametrize(("name", "expression"), list(expressions()))
def test_every_expression_asks_for_series_that_exist(name: str, expression: str) -> None:
    known = exposed() | {rule["record"] for rule in rules() if "record" in rule}
    bare = re.sub(r"\{[^}]*\}", "", expression)
    asked = set(_NAME.findall(bare))
    assert asked, expression
    assert asked <= known, asked - known
    for opening, closing in ("()", "[]", "{}"):
        assert expression.count(opening) == expression.count(closing)
    assert set(re.findall(r"\b([a-z_]+)\s*\(", bare)) <= _FUNCTIONS
    labels = {label for scope in prometheus.FAMILIES for label in SCOPES[scope]}
    grouped = re.findall(r"by \(([^)]*)\)", bare)
    assert {one.strip() for group in grouped for one in group.split(",")} <= labels | {"severity"}


def test_every_alert_says_what_and_leads_to_a_runbook_that_exists() -> None:
    for rule in (rule for rule in rules() if "alert" in rule):
        assert rule["labels"]["severity"] in ("medium", "high", "critical")
        assert rule["annotations"]["summary"]
        assert (DEPLOY.parent / rule["annotations"]["runbook"]).exists()


def test_promtool_agrees_where_it_is_installed() -> None:
    tool = shutil.which("promtool")
    if tool is None:
        return  # the checks above are what runs everywhere
    for command in (["check", "rules", "rules.yml"], ["test", "rules", "rules_test.yml"]):
        done = subprocess.run([tool, *command], cwd=RULES.parent, capture_output=True, text=True,
                              check=False)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def containers() -> Iterator[tuple[str, list[str], dict[str, str]]]:
    """Name, command and environment of every process of both forms."""
    for name, service in yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].items():
        if service.get("image") == "ratchet":
            yield f"compose {name}", service.get("command", []), service["environment"]
    for one in yaml.safe_load_all((DEPLOY / "kubernetes" / "ratchet.yaml").read_text()):
        if one["kind"] in ("Deployment", "Job"):
            (pod,) = one["spec"]["template"]["spec"]["containers"]
            env = {entry["name"]: entry["value"] for entry in pod.get("env", [])}
            yield f"kubernetes {one['metadata']['name']}", pod.get("command", []), env


def test_workers_are_started_as_the_supervisor_starts_them() -> None:
    shipped = programs(Ports(1, 2, 0), host="127.0.0.1", flower_auth="a:b")
    ours = {
        program.name: [word for word in program.argv if not word.startswith(("-n", "--loglevel"))]
        for program in shipped
    }
    orders_of = {program.name: program.env.get("LANE_ORDER") for program in shipped}
    for form in ("compose", "kubernetes"):
        consumed: set[str] = set()
        orders: set[str | None] = set()
        for name, command, env in containers():
            if not name.startswith(form) or "worker" not in command:
                continue
            queues = command[command.index("-Q") + 1]
            pool = command[command.index("-P") + 1]
            consumed |= set(queues.split(","))
            same = next(argv for argv in ours.values() if queues in argv)
            assert pool == same[same.index("-P") + 1], name
            assert ("--prefetch-multiplier" in command) is ("--prefetch-multiplier" in same), name
            orders.add(env.get("LANE_ORDER"))
            # Threads share connections; a forked worker keeps its own.
            assert ("DATABASE_POOL" in env) is (pool == "threads"), name
            assert env["RATCHET_PROCESS"].startswith("ratchet-"), name
        assert consumed == set(QUEUES), form
        assert orders == {orders_of[name] for name in ("io1", "io2", "analysis")}, form


def test_keda_watches_lanes_that_exist_and_scales_a_deployment_that_does() -> None:
    documents = list(yaml.safe_load_all((DEPLOY / "keda" / "io.yaml").read_text()))
    scaled = next(one for one in documents if one["kind"] == "ScaledObject")
    deployed = {
        one["metadata"]["name"]
        for one in yaml.safe_load_all((DEPLOY / "kubernetes" / "ratchet.yaml").read_text())
    }
    assert scaled["spec"]["scaleTargetRef"]["name"] in deployed
    lanes = {trigger["metadata"]["listName"] for trigger in scaled["spec"]["triggers"]}
    assert lanes <= set(QUEUES)
