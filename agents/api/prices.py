"""Price lists over HTTP."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents import pricing
from agents.api.shared import KEY, PROBLEM, checked, whole
from agents.models import PriceList
from config import rest
from config.errors import Forbidden

Fields = serializers.Serializer[Any]


class PriceListDocument(Fields):
    """Prices in USD for a million tokens of each disjoint kind, from a day on."""

    version = serializers.CharField(max_length=40)
    valid_from = serializers.DateField()
    source = serializers.CharField(  # type: ignore[assignment]
        max_length=300, required=False, default="", allow_blank=True
    )
    prices = serializers.DictField(
        help_text="Model → input, cached, output, reasoning, training (USD as text), batch_ratio; "
        '"*" is every model not named. What a new list leaves out is as in the one before it.'
    )


class PriceLists(APIView):
    scopes = {"GET": "agents:read", "POST": "budgets:write"}

    @extend_schema(operation_id="price_lists_list", responses=PriceListDocument(many=True))
    def get(self, request: Request) -> Response:
        """All price lists, the latest first; each call is paid by the one in force."""
        return whole(list(PriceListDocument(PriceList.objects.all(), many=True).data))

    @extend_schema(
        parameters=[KEY], request=PriceListDocument,
        responses={201: PriceListDocument, 403: PROBLEM, 409: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Add a list; one that is there is never changed, as calls name it."""
        caller = rest.caller_of(request)
        if caller.client_ids is not None:
            raise Forbidden("set prices for everybody", "a caller who sees all clients")
        made = pricing.add(**checked(PriceListDocument, request), by=caller.name)
        return Response(PriceListDocument(made).data, status=201)
