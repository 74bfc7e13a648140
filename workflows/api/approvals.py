"""The HTTP API of approvals."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import rest
from workflows import (
    decisions,
    documents,
    queries,
)
from workflows import serializers as shapes
from workflows.api.doors import KEY, PROBLEM, checked, paged


class Approvals(APIView):
    scopes = {"GET": "runs:read"}

    @extend_schema(operation_id="approvals_list", responses=shapes.ApprovalDocument(many=True))
    def get(self, request: Request) -> Response:
        """Approvals that wait; ``?mine=true`` only those that you may answer."""
        caller = rest.caller_of(request)
        rows = queries.open_approvals(caller)

        def render(page: list[Any]) -> list[dict[str, Any]]:
            mine = request.query_params.get("mine") == "true"
            judged = [(a, not decisions.may_answer(caller, a)) for a in page]
            return [
                {**documents.approval_document(a), "may_answer": may}
                for a, may in judged
                if may or not mine
            ]

        return paged(request, rows, render)


class OneApproval(APIView):
    scopes = {"GET": "runs:read", "POST": "approvals:decide"}

    @extend_schema(responses=shapes.ApprovalDocument)
    def get(self, request: Request, approval_id: UUID) -> Response:
        """One approval, with its ETag."""
        approval = decisions.find_approval(rest.caller_of(request), approval_id)
        response = Response(documents.approval_document(approval))
        response["ETag"] = f'"{approval.state}"'
        return response

    @extend_schema(
        parameters=[KEY, OpenApiParameter("If-Match", str, OpenApiParameter.HEADER)],
        request=shapes.Answer,
        responses={200: shapes.ApprovalDocument, 403: PROBLEM, 409: PROBLEM},
    )
    @rest.idempotent
    def post(self, request: Request, approval_id: UUID) -> Response:
        """Approve or reject; a rejection says why."""
        data = checked(shapes.Answer, request)
        caller = rest.caller_of(request)
        if "If-Match" in request.headers:
            approval = decisions.find_approval(caller, approval_id)
            rest.require_match(request, f'"{approval.state}"', "this approval")
        approval = decisions.answer_approval(
            caller,
            approval_id,
            approve=data["decision"] == "approve",
            answer=data["answer"] or None,
            reason=data["reason"],
        )
        return Response(documents.approval_document(approval))
