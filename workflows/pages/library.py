"""Workflows: how each does, its versions and their differences, and the form that starts a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from config import readable
from config.access.callers import Caller
from config.access.models import Client
from config.errors import AppError, InvalidInput, NotFound
from config.pages import page
from monitoring.asked import asked, link, offered
from workflows import artifacts, figures, forms, publishing, queries, rights, stages, starting
from workflows.domain import drawing
from workflows.domain.definition import Plan, Step
from workflows.domain.documents import parse
from workflows.models import WorkflowVersion
from workflows.pages.runs import run_rows
from workflows.picture import MAX_DRAWN
from workflows.plans import plan_for


@require_GET
@page("workflows:read")
def all_workflows(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/workflows``: every workflow with its runs, where it is slow, what it costs."""
    found = asked(request, caller, "30d")
    told = figures.by_workflow(found.sight, found.when)
    rows = [
        {"version": version, "plan": (plan := plan_for(version.pk)),
         "figures": told.get(plan.name) if rights.may(caller, plan, "see") else None}
        for version in queries.visible_versions().filter(is_current=True)
    ]  # fmt: skip
    context = {
        **offered(caller, found), "rows": rows, "words": _words(rows, found.when.words),
        "may_write": caller.has("workflows:write"),
    }  # fmt: skip
    return render(request, "workflows/workflows.html", context)


def _words(rows: list[dict[str, Any]], stretch: str) -> str:
    busy = [row["figures"] for row in rows if row["figures"]]
    if not rows:
        return "No workflow is published yet."
    if not busy:
        count = readable.plural(len(rows), "workflow")
        return f"{count} can be started; none has ended in the last {stretch}."
    runs, failed = sum(f.runs for f in busy), sum(f.failed for f in busy)
    said = f"{readable.plural(int(runs), 'run')} of {readable.plural(len(busy), 'workflow')} "
    said += f"ended in {stretch}; "
    return said + (f"{failed:,.0f} failed." if failed else "none failed.")


@require_http_methods(["GET", "POST"])
@page("workflows:read")
def one(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    """``/dashboard/workflows/{name}``; a POST starts a run, ``?diff=1..2`` compares versions."""
    versions = list(queries.visible_versions().filter(workflow__name=name).order_by("-number"))
    current = next((v for v in versions if v.is_current), None)
    if current is None:
        raise NotFound("workflow", name)
    plan = plan_for(current.pk)
    fault: AppError | None = None
    if request.method == "POST":
        try:
            return _start(request, caller, plan)
        except AppError as error:
            fault = error
    found = asked(request, caller, "30d")
    sees = rights.may(caller, plan, "see")
    recent = queries.visible_runs(caller).filter(workflow_name=name).select_related("version")
    context = {
        **offered(caller, found),
        "name": name, "plan": plan, "version": current, "versions": versions,
        "sees_runs": sees,
        "figures": figures.by_workflow(found.sight, found.when, name).get(name) if sees else None,
        "slowest": figures.slowest_steps(found.sight, found.when, name) if sees else [],
        "panel": link("/dashboard/_panel", found, scope="workflow", key=name),
        "alerts": link("/dashboard/_alerts", found, scope="workflow", key=name),
        "diff": _diff(versions, request.GET.get("diff", "")),
        "fields": forms.fields_of(schema_of(current), request.POST if fault else None),
        "fault": fault, "key": request.POST.get("key") or str(uuid4()),
        "may_start": caller.has("runs:start"), "may_write": caller.has("workflows:write"),
        "clients": caller.only_visible(Client.objects.all(), "id").order_by("name")[:200],
        "home_client": caller.home_client_id,
        "rows": run_rows(list(recent[:6])),
        "graph": _graph(current, plan),
    }  # fmt: skip
    status = fault.http_status if fault else 200
    return render(request, "workflows/workflow.html", context, status=status)


def schema_of(version: WorkflowVersion) -> dict[str, Any]:
    """The inputs in the order in which they were written: rows keep no order of keys."""
    written: dict[str, Any] = parse(version.source).value.get("inputs") or {}
    return written


def _graph(version: WorkflowVersion, plan: Plan) -> dict[str, Any]:
    """The definition as it is drawn: step by step, or a large one in stages."""
    if len(plan.steps) > MAX_DRAWN:
        return _graph_of_stages(version, plan)
    edges = [(n, key) for key, s in plan.steps.items() for n in (*s.needs, *s.failures_of)]
    drawn = drawing.draw(plan.layers, edges)
    nodes = [
        {"x": node.x, "y": node.y, "lines": drawing.wrapped(step.title, stages.TITLE_WIDTH),
         "said": _kind_words(step) + (", on a condition" if step.when is not None else "")}
        for node in drawn.nodes
        for step in [plan.steps[node.key]]
    ]  # fmt: skip
    return {"width": drawn.width, "height": drawn.height, "nodes": nodes,
            "edges": [edge.path for edge in drawn.edges]}  # fmt: skip


def _graph_of_stages(version: WorkflowVersion, plan: Plan) -> dict[str, Any]:
    found = stages.folded(version.pk)
    places = {node.key: node for node in found.drawn.nodes}
    nodes = []
    for stage in found.stages:
        kinds = Counter(_kind_words(plan.steps[key]) for key in stage.steps)
        told = [f"{count:,} × {kind}" for kind, count in kinds.most_common()]
        only = len(stage.steps) == 1
        nodes.append(
            {"x": places[stage.key].x, "y": places[stage.key].y,
             "lines": drawing.wrapped(stage.title, stages.TITLE_WIDTH),
             "said": next(iter(kinds)) if only else f"{len(stage.steps):,} steps",
             "title": f"{stage.title}: {readable.listed(told, 9)}"}
        )  # fmt: skip
    return {"width": found.drawn.width, "height": found.drawn.height, "nodes": nodes,
            "edges": [edge.path for edge in found.drawn.edges], "folded": True}  # fmt: skip


def _kind_words(step: Step) -> str:
    word = {"approval": "person", "wait": "waits"}.get(step.kind, step.kind)
    return f"{word}, per item" if step.for_each is not None else word


def _diff(versions: list[WorkflowVersion], span: str) -> list[tuple[str, str]]:
    """The lines of the difference between two versions, each with its class."""
    left, _, right = span.partition("..")
    known = {str(version.number): version for version in versions}
    if left not in known or right not in known:
        return []
    classes = {"+": "add", "-": "del", "@": "at"}
    lines = publishing.diff(known[left], known[right]).splitlines()
    return [(classes.get(line[:1], ""), line) for line in lines]


def _start(request: HttpRequest, caller: Caller, plan: Plan) -> HttpResponse:
    """Store what was uploaded, start the run, go to its page."""
    caller.require("runs:start", "start runs")
    client = chosen_client(caller, request.POST)
    inputs = posted_inputs(request, caller, plan.inputs_schema, client)
    run, _ = starting.start_run(
        caller=caller, workflow=plan.name, inputs=inputs, client_id=client,
        idempotency_key=request.POST.get("key", "")[:200] or None,
    )  # fmt: skip
    return redirect(f"/dashboard/runs/{run.pk}")


def posted_inputs(
    request: HttpRequest, caller: Caller, schema: Mapping[str, Any], client: UUID
) -> dict[str, Any]:
    """The inputs that a form gives; files that came with it are stored and given by their ids."""
    inputs = forms.value_of(schema, request.POST)
    for field in forms.fields_of(schema):
        upload = request.FILES.get(field.name) if field.kind == "file" else None
        if upload is not None:
            kept = artifacts.save(
                client_id=client, name=str(upload.name)[-200:], content=upload.read(),
                content_type=upload.content_type or "application/octet-stream",
                user_id=caller.user_id,
            )  # fmt: skip
            inputs[field.name] = str(kept.pk)
    return inputs


def chosen_client(caller: Caller, posted: Mapping[str, str]) -> UUID:
    """The client that a form names, or the caller's own."""
    text = posted.get("client_id", "")
    if not text:
        return caller.home_client_id
    try:
        client = UUID(text)
    except ValueError:
        raise InvalidInput("client_id", text, "must be the id of a client") from None
    if not caller.sees(client):
        raise NotFound("client", text)
    return client
