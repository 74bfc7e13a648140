"""Doors of the library of examples."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import rest
from learning import examples
from learning import shapes_loop as shapes
from learning.api.shared import KEY, PAGES, PROBLEM, checked, choice_of, page
from learning.models import Example


class Examples(APIView):
    scopes = {"GET": "learning:read"}

    @extend_schema(
        operation_id="examples_list",
        parameters=[
            OpenApiParameter("agent", str),
            OpenApiParameter("state", str, enum=Example.State.values), *PAGES,
        ],
        responses=shapes.ExampleDocument(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """The library of corrected answers, newest first."""
        given = request.query_params
        state = choice_of(request, "state", Example.State.values)
        rows = examples.visible(rest.caller_of(request), agent=given.get("agent", ""), state=state)
        return page(request, rows, shapes.ExampleDocument)


class DecideExample(APIView):
    scopes = {"POST": "learning:decide"}
    STATES = {"approve": "approved", "reject": "rejected", "retire": "retired"}

    @extend_schema(
        operation_id="examples_decide",
        parameters=[
            OpenApiParameter("action", str, OpenApiParameter.PATH, enum=list(STATES)), KEY,
        ],
        request=shapes.ExampleDecision,
        responses={200: shapes.ExampleDocument, 404: PROBLEM, 409: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, example_id: UUID, action: str) -> Response:
        """Approve, reject or retire an example. Only approved ones are ever used."""
        data = checked(shapes.ExampleDecision, request)
        row = examples.decide(
            rest.caller_of(request), example_id, state=self.STATES[action], reason=data["reason"]
        )
        return Response(shapes.ExampleDocument(row).data)


class ExportExamples(APIView):
    scopes = {"POST": "learning:decide"}

    @extend_schema(
        parameters=[KEY], request=shapes.ExportRequest,
        responses={201: shapes.ExportDocument, 404: PROBLEM, 409: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """A fine-tuning set in the OpenAI chat format: training, validation and a data card."""
        caller = rest.caller_of(request)
        body = examples.export(
            caller, client_id=caller.home_client_id, **checked(shapes.ExportRequest, request)
        )
        return Response(shapes.ExportDocument(body).data, status=201)
