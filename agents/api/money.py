"""Budgets and endpoints."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents import budgets, queries
from agents import serializers as shapes
from agents.api.shared import KEY, PAGES, PROBLEM, checked, page, whole
from agents.endpoints.directory import forget
from agents.endpoints.secrets import seal_secret
from agents.models import Budget, Endpoint
from config import rest
from config.access.callers import Caller
from config.errors import Conflict, Forbidden


class Budgets(APIView):
    scopes = {"GET": "agents:read", "POST": "budgets:write"}

    @extend_schema(
        operation_id="budgets_list", parameters=PAGES, responses=shapes.BudgetDocument(many=True)
    )
    def get(self, request: Request) -> Response:
        """Budgets that you may see: those of your clients, and for staff those of everybody."""
        caller = rest.caller_of(request)
        rows = Budget.objects.all()
        if caller.client_ids is not None:
            rows = rows.filter(client_id__in=caller.client_ids)
        return page(request, rows, lambda found: shapes.BudgetDocument(found, many=True).data)

    @extend_schema(
        parameters=[KEY], request=shapes.NewBudget,
        responses={201: shapes.BudgetDocument, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Set a cap; what is spent and held of it stays."""
        data = checked(shapes.NewBudget, request)
        _may_set(rest.caller_of(request), data)
        budget = budgets.set_budget(**data)
        return Response(shapes.BudgetDocument(budget).data, status=201)


class Endpoints(APIView):
    scopes = {"GET": "agents:read", "POST": "agents:write"}

    @extend_schema(operation_id="endpoints_list", responses=shapes.EndpointDocument(many=True))
    def get(self, request: Request) -> Response:
        """Every endpoint and its models, without keys."""
        return whole(queries.endpoints())

    @extend_schema(
        parameters=[KEY], request=shapes.NewEndpoint,
        responses={201: shapes.EndpointDocument, 200: shapes.EndpointDocument, 409: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Add an endpoint or change the one with this name; a key is kept encrypted."""
        data = checked(shapes.NewEndpoint, request)
        kept = ("base_url", "priority", "weight", "max_in_flight", "limits")
        fields = {name: data[name] for name in kept}
        state = Endpoint.State.PAUSED if data["is_paused"] else Endpoint.State.ACTIVE
        fields["state"] = state
        fields["served"] = [dict(model) for model in data["models"]]
        if "api_key" in data:
            fields |= {"api_key_encrypted": seal_secret(data["api_key"]), "api_key_env": ""}
        elif "api_key_env" in data:
            fields |= {"api_key_encrypted": None, "api_key_env": data["api_key_env"]}
        if Endpoint.objects.filter(name=data["name"], is_offline=True).exists():
            raise Conflict(f"endpoint {data['name']}", "the offline model's", "another name")
        endpoint, created = Endpoint.objects.update_or_create(name=data["name"], defaults=fields)
        forget()
        return Response(queries.endpoint_values(endpoint), status=201 if created else 200)


def _may_set(caller: Caller, data: dict[str, Any]) -> None:
    """Who sees only some clients sets budgets of those clients only."""
    if caller.client_ids is None:
        return
    own = {str(client_id) for client_id in caller.client_ids}
    if data["scope"] != Budget.Scope.CLIENT or data["key"] not in own:
        raise Forbidden("set this budget", "a caller who sees all clients")
