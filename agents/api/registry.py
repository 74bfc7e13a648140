"""Agents, versions, labels and traffic."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.db.models.functions import Now
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents import doors, previews, queries, versions
from agents import serializers as shapes
from agents.api.shared import (
    KEY,
    MATCH,
    PAGES,
    PROBLEM,
    check_names,
    checked,
    etag_of,
    find_agent,
    page,
    whole,
)
from agents.models import Agent, AgentVersion, Label, TrafficSplit
from config import rest
from config.errors import InvalidInput

LIMITS = ("requests_per_minute", "tokens_per_minute", "call_usd")


class Agents(APIView):
    scopes = {"GET": "agents:read"}

    @extend_schema(
        operation_id="agents_list",
        parameters=[OpenApiParameter("domain", str)],
        responses=shapes.AgentSummary(many=True),
    )
    def get(self, request: Request) -> Response:
        """All agents with their last 24 hours, by domain and slug."""
        domain = request.query_params.get("domain", "")
        rows = queries.agents_with_figures(rest.caller_of(request), domain=domain)
        return whole(list(shapes.AgentSummary(rows, many=True).data))


class OneAgent(APIView):
    scopes = {"GET": "agents:read", "PATCH": "agents:write"}

    @extend_schema(responses={200: shapes.AgentDocument, 404: PROBLEM})
    def get(self, request: Request, slug: str) -> Response:
        """One agent with its versions, labels, open split and budgets."""
        agent = find_agent(slug)
        response = Response(shapes.AgentDocument(queries.agent_detail(slug)).data)
        response["ETag"] = etag_of(agent)
        return response

    @extend_schema(
        parameters=[MATCH], request=shapes.AgentChange,
        responses={200: shapes.AgentDocument, 409: PROBLEM},
    )  # fmt: skip
    def patch(self, request: Request, slug: str) -> Response:
        """Pause, resume or retire an agent; change its limits or its fallback answer."""
        agent = find_agent(slug)
        rest.require_match(request, etag_of(agent), f"agent {slug}")
        check_names(shapes.AgentChange, request)
        data = checked(shapes.AgentChange, request)
        caller = rest.caller_of(request)
        if "state" in data:
            versions.set_state(
                agent=agent, state=data["state"], reason=data["reason"], by=caller.name,
                person=caller.principal,
            )  # fmt: skip
        changes: dict[str, Any] = {}
        if "limits" in data:
            kept = {k: v for k, v in agent.limits.items() if k not in data["limits"]}
            changes["limits"] = {**kept, **_limits(data["limits"])}
        if "fallback" in data:
            changes["fallback"] = data["fallback"]
        if changes:
            Agent.objects.filter(pk=agent.pk).update(**changes, updated_at=Now())
        return self.get(request, slug)


class Versions(APIView):
    scopes = {"GET": "agents:read", "POST": "agents:write"}

    @extend_schema(
        operation_id="agents_versions_list", parameters=PAGES,
        responses=shapes.AgentVersionDocument(many=True),
    )  # fmt: skip
    def get(self, request: Request, slug: str) -> Response:
        """The agent's versions, newest first."""
        rows = AgentVersion.objects.filter(agent=find_agent(slug))
        return page(request, rows, lambda found: [queries.version_values(v) for v in found])

    @extend_schema(
        parameters=[KEY], request=shapes.NewVersion,
        responses={201: shapes.AgentVersionDocument, 200: shapes.AgentVersionDocument,
                   422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Publish a version. The same content gives the version that there is."""
        agent = find_agent(slug)
        data = checked(shapes.NewVersion, request)
        given = {k: v for k, v in data.items() if k in versions.Content.__dataclass_fields__}
        current = Label.objects.filter(agent=agent, name=Label.Name.PRODUCTION).first()
        base = asdict(versions.content_of(current.version)) if current else {}
        if not base and "prompt" not in given:
            raise InvalidInput("prompt", None, "a first version needs a prompt")
        version, created = versions.publish(
            agent=agent,
            content=versions.Content(**{**base, **given}),
            label=data.get("label"),
            note=data["note"],
            created_by=rest.caller_of(request).name,
        )
        body = queries.version_values(version)
        return Response(shapes.AgentVersionDocument(body).data, status=201 if created else 200)


class Retirement(APIView):
    scopes = {"POST": "agents:write"}

    @extend_schema(
        parameters=[KEY], request=None,
        responses={200: shapes.AgentVersionDocument, 404: PROBLEM, 409: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, slug: str, version: str) -> Response:
        """Bar a version (id, number or label) from answering, for good: one that no label and no
        open split names. What it answered stays on record; its cached answers go."""
        found = versions.version_of(find_agent(slug), version)
        versions.retire(version=found, by=rest.caller_of(request).name)
        found.refresh_from_db()
        return Response(shapes.AgentVersionDocument(queries.version_values(found)).data)


class Preview(APIView):
    scopes = {"POST": "agents:invoke"}

    @extend_schema(
        request=shapes.PreviewRequest,
        responses={200: shapes.PreviewDocument, 404: PROBLEM, 422: PROBLEM},
    )
    def post(self, request: Request, slug: str, version: str) -> Response:
        """What a version (id, number or label) would be asked; no model is asked."""
        caller = rest.caller_of(request)
        doors.check_agent(caller, slug)
        data = checked(shapes.PreviewRequest, request)
        body = previews.prompt(
            versions.version_of(find_agent(slug), version),
            client_id=caller.home_client_id,
            inputs=data["inputs"],
            text=data["text"],
            source=data.get("prompt"),
            variables=data.get("variables"),
        )
        return Response(shapes.PreviewDocument(body).data)


class TrafficPreview(APIView):
    scopes = {"POST": "agents:read"}

    @extend_schema(
        request=shapes.SplitPreview,
        responses={200: shapes.SplitPreviewDocument, 404: PROBLEM, 422: PROBLEM},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Whom shares that are not open yet would give to whom; nothing is opened."""
        data = checked(shapes.SplitPreview, request)
        body = previews.split(
            find_agent(slug), arms=data["arms"], units=data["units"], seed=data.get("seed", "")
        )
        return Response(shapes.SplitPreviewDocument(body).data)


class VersionDiff(APIView):
    scopes = {"GET": "agents:read"}

    @extend_schema(responses={200: {"type": "object"}, 404: PROBLEM})
    def get(self, request: Request, slug: str, before: str, after: str) -> Response:
        """What changed from one version (id, number or label) to another."""
        agent = find_agent(slug)
        return Response(
            versions.diff(versions.version_of(agent, before), versions.version_of(agent, after))
        )


class Labels(APIView):
    scopes = {"GET": "agents:read", "POST": "agents:write"}

    @extend_schema(operation_id="agents_labels_list", responses=shapes.LabelDocument(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Where the agent's labels point."""
        rows = Label.objects.filter(agent=find_agent(slug)).order_by("name")
        return whole([{"name": row.name, "version": str(row.version_id)} for row in rows])

    @extend_schema(
        parameters=[KEY], request=shapes.LabelDocument,
        responses={200: shapes.LabelDocument, 404: PROBLEM, 409: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Move a label to a version; it counts from the next call."""
        agent = find_agent(slug)
        data = checked(shapes.LabelDocument, request)
        version = versions.version_of(agent, data["version"])
        by = rest.caller_of(request).name
        label = versions.move_label(agent=agent, name=data["name"], version=version, by=by)
        return Response({"name": label.name, "version": str(label.version_id)})


class Traffic(APIView):
    scopes = {"GET": "agents:read", "POST": "agents:write"}

    @extend_schema(
        parameters=[OpenApiParameter("unit", str, description="Preview for this unit.")],
        responses={200: shapes.TrafficDocument, 404: PROBLEM},
    )
    def get(self, request: Request, slug: str) -> Response:
        """The open epoch, earlier ones, and whom a unit would meet."""
        rows = list(TrafficSplit.objects.filter(agent=find_agent(slug))[:50])
        current = next((row for row in rows if row.closed_at is None), None)
        unit = request.query_params.get("unit")
        body = {
            "open": queries.split_values(current) if current else None,
            "earlier": [queries.split_values(r) for r in rows if r.closed_at is not None],
            "preview": versions.preview(current, unit) if current and unit else None,
        }
        return Response(shapes.TrafficDocument(body).data)

    @extend_schema(
        parameters=[KEY], request=shapes.NewSplit,
        responses={200: shapes.TrafficDocument, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Open the next epoch, or close the open one by giving no arms."""
        agent = find_agent(slug)
        data = checked(shapes.NewSplit, request)
        by = rest.caller_of(request).name
        if data.get("arms"):
            versions.open_split(
                agent=agent, arms=data["arms"], unit=data["unit"], reason=data["reason"], by=by
            )
        else:
            versions.close_split(agent=agent, by=by)
        return self.get(request, slug)


def _limits(given: dict[str, Any]) -> dict[str, Any]:
    """The limits that are set; null takes one away."""
    if unknown := sorted(set(given) - set(LIMITS)):
        raise InvalidInput("limits", ", ".join(unknown), f"only {', '.join(LIMITS)}")
    given = {name: value for name, value in given.items() if value is not None}
    for name, value in given.items():
        try:
            positive = 0 < float(value) < 10**9
        except (TypeError, ValueError):
            positive = False
        if not positive:
            raise InvalidInput(f"limits.{name}", value, "a number above 0, or null")
    return {
        name: str(value) if name == "call_usd" else int(float(value))
        for name, value in given.items()
    }
