"""Budgets and endpoints."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents import budgets, queries
from agents import serializers as shapes
from agents.api.shared import KEY, PAGES, PROBLEM, check_names, checked, page, whole
from agents.endpoints.directory import forget
from agents.endpoints.secrets import check_variable, seal_secret
from agents.models import Agent, Budget, Endpoint
from config import rest
from config.access.callers import Caller
from config.access.hiding import hidden_runs
from config.access.models import Client, User
from config.errors import Conflict, Forbidden, InvalidInput, NotFound

ENDPOINT_LIMITS = ("requests_per_minute", "tokens_per_minute")


class Budgets(APIView):
    scopes = {"GET": "agents:read", "POST": "budgets:write"}

    @extend_schema(
        operation_id="budgets_list",
        parameters=[OpenApiParameter("scope", str, enum=Budget.Scope.values),
                    OpenApiParameter("key", str), *PAGES],
        responses=shapes.BudgetDocument(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Budgets that you may see: those of your clients, and for staff those of everybody.

        Those of single runs are left out for whom `access.see` hides some runs.
        """
        caller = rest.caller_of(request)
        rows = Budget.objects.all()
        if hidden_runs(caller) is not None:  # a run that is hidden has a budget of its own
            rows = rows.exclude(scope=Budget.Scope.RUN)
        if caller.client_ids is not None:
            rows = rows.filter(client_id__in=caller.client_ids)
        for name in ("scope", "key"):
            if asked := request.query_params.get(name):
                rows = rows.filter(**{name: asked})
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
        _check_key(data["scope"], data["key"])
        client_id = UUID(data["key"]) if _is_of_client(data) else None
        budget = budgets.set_budget(**data, client_id=client_id)
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
        """Add an endpoint or change the one with this name; a key is kept encrypted.

        Another `base_url` needs its key anew: the one that is kept goes nowhere else.
        """
        data = checked(shapes.NewEndpoint, request)
        fields = {"base_url": data["base_url"], **_fields(data)}
        before = Endpoint.objects.filter(name=data["name"]).first()
        if before is not None and before.is_offline:
            raise Conflict(f"endpoint {data['name']}", "the offline model's", "another name")
        if before is not None and before.base_url != data["base_url"]:
            fields = {"api_key_encrypted": None, "api_key_env": "", **fields}
        endpoint, created = Endpoint.objects.update_or_create(name=data["name"], defaults=fields)
        forget(endpoint.name)
        return Response(queries.endpoint_values(endpoint), status=201 if created else 200)


class OneEndpoint(APIView):
    scopes = {"GET": "agents:read", "PATCH": "agents:write"}

    @extend_schema(responses={200: shapes.EndpointDocument, 404: PROBLEM})
    def get(self, request: Request, name: str) -> Response:
        """One endpoint, its breaker and what this process has seen of it."""
        return Response(queries.endpoint_values(_endpoint(name)))

    @extend_schema(
        request=shapes.EndpointChange,
        responses={200: shapes.EndpointDocument, 404: PROBLEM, 422: PROBLEM},
    )
    def patch(self, request: Request, name: str) -> Response:
        """Pause or resume an endpoint; change its models, weight, priority, limits or key."""
        endpoint = _endpoint(name)
        check_names(shapes.EndpointChange, request)
        fields = _fields(checked(shapes.EndpointChange, request))
        if fields:
            for field, value in fields.items():
                setattr(endpoint, field, value)
            endpoint.save(update_fields=[*fields, "updated_at"])
            forget(endpoint.name)
        return Response(queries.endpoint_values(endpoint))


def _endpoint(name: str) -> Endpoint:
    found = Endpoint.objects.filter(name=name).first()
    if found is None:
        raise NotFound("endpoint", name)
    return found


def _fields(data: dict[str, Any]) -> dict[str, Any]:
    """The columns that a request names. A key is kept encrypted, or by its variable's name."""
    kept = ("provider", "priority", "weight", "max_in_flight", "limits")
    fields: dict[str, Any] = {name: data[name] for name in kept if name in data}
    if "is_paused" in data:
        paused = data["is_paused"]
        fields["state"] = Endpoint.State.PAUSED if paused else Endpoint.State.ACTIVE
    if "state" in data:
        fields["state"] = data["state"]
    if unknown := sorted(set(data.get("limits", ())) - set(ENDPOINT_LIMITS)):
        raise InvalidInput("limits", ", ".join(unknown), f"only {', '.join(ENDPOINT_LIMITS)}")
    if "models" in data:
        fields["served"] = [dict(model) for model in data["models"]]
    if "api_key" in data:
        fields |= {"api_key_encrypted": seal_secret(data["api_key"]), "api_key_env": ""}
    elif "api_key_env" in data:
        check_variable("api_key_env", data["api_key_env"])
        fields |= {"api_key_encrypted": None, "api_key_env": data["api_key_env"]}
    return fields


def _check_key(scope: str, key: str) -> None:
    """Raise InvalidInput for whom there is not: a cap of nobody would hold nothing back."""
    if key == Budget.TEMPLATE:
        return
    fits, limit = True, ""
    if scope == Budget.Scope.AGENT:
        fits, limit = Agent.objects.filter(slug=key).exists(), "the slug of an agent"
    elif scope in (Budget.Scope.USER, Budget.Scope.CLIENT):
        rows = User.objects if scope == Budget.Scope.USER else Client.objects
        fits, limit = _is_id(key) and rows.filter(pk=key).exists(), f"the id of a {scope}"
    elif scope == Budget.Scope.RUN:
        fits, limit = _is_id(key), "the id of a run"
    if not fits:
        raise InvalidInput("key", key, f"{limit}, or * for each new one")


def _is_id(key: str) -> bool:
    try:
        return str(UUID(key)) == key
    except ValueError:
        return False


def _is_of_client(data: dict[str, Any]) -> bool:
    """A client's people see what caps them."""
    return data["scope"] == Budget.Scope.CLIENT and data["key"] != Budget.TEMPLATE


def _may_set(caller: Caller, data: dict[str, Any]) -> None:
    """Who sees only some clients sets budgets of those clients only."""
    if caller.client_ids is None:
        return
    own = {str(client_id) for client_id in caller.client_ids}
    if data["scope"] != Budget.Scope.CLIENT or data["key"] not in own:
        raise Forbidden("set this budget", "a caller who sees all clients")
