"""Who is on call, over HTTP: rotas, their coming shifts, and who stands in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import rest
from monitoring import rotas
from monitoring.asked import for_staff
from monitoring.domain.oncall import is_time_zone
from monitoring.models import Rota, RotaOverride
from monitoring.models.oncall import MOST_SHIFT_DAYS

PROBLEM = OpenApiResponse(rest.ProblemSerializer)
KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="Repeat safely under this key."
)
AHEAD = timedelta(days=28)


class ShiftShape(serializers.Serializer[Any]):
    channel = serializers.UUIDField()
    name = serializers.CharField()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    stands_in = serializers.BooleanField()


class RotaShape(serializers.ModelSerializer[Rota]):
    domains = serializers.ListField(
        child=serializers.CharField(max_length=40), max_length=50, required=False
    )
    people = serializers.ListField(
        child=serializers.UUIDField(), write_only=True, help_text="Personal channels, in order."
    )
    shift_days = serializers.IntegerField(min_value=1, max_value=MOST_SHIFT_DAYS, required=False)
    shifts = serializers.SerializerMethodField()

    class Meta:
        model = Rota
        fields = ["id", "name", "domains", "min_severity", "first_day", "hand_over_at",
                  "time_zone", "shift_days", "is_active", "people", "shifts"]  # fmt: skip
        read_only_fields = ["id", "is_active"]
        extra_kwargs: ClassVar[dict[str, Any]] = {"name": {"validators": []}}

    def get_shifts(self, rota: Rota) -> list[dict[str, Any]]:
        """Who is on call now and in the four weeks to come."""
        now = timezone.now()
        rows = rotas.upcoming(rota, since=now, until=now + AHEAD)
        return list(ShiftShape(rows, many=True).data)

    def validate_time_zone(self, value: str) -> str:
        """A name that the database of time zones has."""
        if not is_time_zone(value):
            raise serializers.ValidationError(f"{value!r} is no time zone; such as Europe/Berlin")
        return value


class OverrideShape(serializers.ModelSerializer[RotaOverride]):
    channel = serializers.UUIDField(source="channel_id")

    class Meta:
        model = RotaOverride
        fields = ["id", "channel", "starts_at", "ends_at", "reason", "created_by"]
        read_only_fields = ["id", "created_by"]


class Rotas(APIView):
    scopes = {"GET": "monitoring:read", "POST": "monitoring:write"}

    @extend_schema(operation_id="rotas_list", responses=RotaShape(many=True))
    def get(self, request: Request) -> Response:
        """Every rota with who is on call now and in the four weeks to come."""
        for_staff(rest.caller_of(request), "see who is on call")
        paginator = rest.CursorPagination()
        page = paginator.paginate_queryset(Rota.objects.all(), request)
        return paginator.get_paginated_response(RotaShape(page or [], many=True).data)

    @extend_schema(operation_id="rotas_create", parameters=[KEY], request=RotaShape,
                   responses={201: RotaShape, 409: PROBLEM, 422: PROBLEM})  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """People who take turns in being told first."""
        caller = rest.caller_of(request)
        for_staff(caller, "change who is on call")
        shape = RotaShape(data=request.data)
        shape.is_valid(raise_exception=True)
        rota = rotas.create_rota(**shape.validated_data, actor=caller.principal)
        return Response(RotaShape(rota).data, status=status.HTTP_201_CREATED)


class OneRota(APIView):
    scopes = {"GET": "monitoring:read"}

    @extend_schema(operation_id="rotas_shifts",
                   parameters=[OpenApiParameter("until", OpenApiTypes.DATETIME)],
                   responses={200: ShiftShape(many=True), 404: PROBLEM, 422: PROBLEM})  # fmt: skip
    def get(self, request: Request, rota_id: UUID) -> Response:
        """Who is on call from now on, until a time (four weeks)."""
        for_staff(rest.caller_of(request), "see who is on call")
        now = timezone.now()
        until = serializers.DateTimeField().run_validation(
            request.query_params.get("until", (now + AHEAD).isoformat())
        )
        rows = rotas.upcoming(rotas.rota_of(rota_id), since=now, until=until)
        return Response(ShiftShape(rows, many=True).data)


class Overrides(APIView):
    scopes = {"POST": "monitoring:write"}

    @extend_schema(operation_id="rotas_overrides_create", parameters=[KEY], request=OverrideShape,
                   responses={201: OverrideShape, 404: PROBLEM, 422: PROBLEM})  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, rota_id: UUID) -> Response:
        """Somebody stands in for a time, whoever's turn it is."""
        caller = rest.caller_of(request)
        for_staff(caller, "change who is on call")
        shape = OverrideShape(data=request.data)
        shape.is_valid(raise_exception=True)
        given = {"reason": "", **shape.validated_data}
        made = rotas.stand_in(rota_id, **given, actor=caller.principal)
        return Response(OverrideShape(made).data, status=status.HTTP_201_CREATED)


class OneOverride(APIView):
    scopes = {"DELETE": "monitoring:write"}

    @extend_schema(operation_id="rotas_overrides_delete", responses={204: None, 404: PROBLEM})
    def delete(self, request: Request, rota_id: UUID, override_id: UUID) -> Response:
        """The turns hold again."""
        caller = rest.caller_of(request)
        for_staff(caller, "change who is on call")
        rotas.withdraw(rota_id, override_id, actor=caller.principal)
        return Response(status=status.HTTP_204_NO_CONTENT)
