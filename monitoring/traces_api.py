"""``POST /v1/traces``: OTLP over HTTP, in protobuf or JSON, gzipped or not; and what was kept."""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import json
import zlib
from collections.abc import Mapping
from typing import IO, Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import rest
from config.errors import InvalidInput
from monitoring import traces
from monitoring.domain import otlp
from monitoring.domain.otlp import Span
from monitoring.models import ExternalTrace

PROTOBUF, JSON = "application/x-protobuf", "application/json"
MOST_BYTES = 8 * 2**20
MOST_SPANS = 10_000
_HEX = frozenset({"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"})


def _content(stream: IO[bytes], context: Mapping[str, Any] | None) -> bytes:
    """The body, unpacked. Raises InvalidInput for more than ``MOST_BYTES``, packed or not."""
    request = (context or {})["request"]
    raw = stream.read(MOST_BYTES + 1)
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding == "gzip" and len(raw) <= MOST_BYTES:
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(raw)) as unpacked:
                raw = unpacked.read(MOST_BYTES + 1)
        except (OSError, EOFError, zlib.error):
            raise InvalidInput("body", "gzip", "a body that can be unpacked") from None
    elif encoding not in ("identity", "gzip"):
        raise InvalidInput("Content-Encoding", encoding, "gzip, or none")
    if len(raw) > MOST_BYTES:
        raise InvalidInput("body", f"over {MOST_BYTES} bytes", "less in one request")
    return raw


class ProtobufParser(BaseParser):
    media_type = PROTOBUF

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            return ExportTraceServiceRequest.FromString(_content(stream, parser_context))
        except DecodeError:
            raise InvalidInput("body", "protobuf", "an ExportTraceServiceRequest") from None


class OtlpJsonParser(BaseParser):
    media_type = JSON

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            found = _ids_as_bytes(json.loads(_content(stream, parser_context)))
            return json_format.ParseDict(
                found, ExportTraceServiceRequest(), ignore_unknown_fields=True
            )
        except (ValueError, RecursionError, json_format.ParseError) as error:
            raise InvalidInput("body", "JSON", f"OTLP's JSON: {error}"[:200]) from None


class ProtobufRenderer(BaseRenderer):
    media_type, format = PROTOBUF, "protobuf"

    def render(self, data: Any, media_type: Any = None, renderer_context: Any = None) -> bytes:
        if isinstance(data, dict) and "partialSuccess" in data:
            answer = json_format.ParseDict(data, ExportTraceServiceResponse())
            return bytes(answer.SerializeToString())
        return json.dumps(data, default=str).encode()  # a problem document, which says so itself


class Traces(APIView):
    """Agents that run elsewhere send their spans here; see ``monitoring.domain.otlp``."""

    scopes = {"POST": "telemetry:write"}
    parser_classes = [ProtobufParser, OtlpJsonParser]
    renderer_classes = [JSONRenderer, ProtobufRenderer]

    @extend_schema(exclude=True)  # its shape is OTLP's own
    def post(self, request: Request) -> Response:
        caller = rest.caller_of(request)
        found: dict[str, list[Span]] = {}
        rejected: list[str] = []
        warned: list[str] = []
        total = 0
        given: Any = request.data
        for resource in given.resource_spans:
            service = str(_attributes(resource.resource.attributes).get("service.name", "unknown"))
            for scope in resource.scope_spans:
                total += len(scope.spans)
                if total > MOST_SPANS:
                    raise InvalidInput("spans", total, f"at most {MOST_SPANS} in one request")
                for one in scope.spans:
                    attributes = _attributes(one.attributes)
                    try:
                        span = _span(one, attributes, service)
                        found.setdefault(service, []).append(span)
                        warned += otlp.faults_of(attributes)
                    except (ValueError, OverflowError) as error:
                        rejected.append(str(error))
        for service, spans in found.items():
            traces.take(spans, client_id=caller.home_client_id, service=service)
        partial: dict[str, Any] = {}
        if rejected:
            partial = {"rejectedSpans": str(len(rejected)), "errorMessage": rejected[0]}
        elif warned:  # a message without a number of spans is OTLP's warning
            partial = {"errorMessage": warned[0]}
        kind = PROTOBUF if request.content_type == PROTOBUF else JSON
        return Response({"partialSuccess": partial}, content_type=kind)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """The answer is in the request's own encoding, as OTLP says."""
        wanted = PROTOBUF if request.content_type == PROTOBUF else JSON
        for renderer in self.get_renderers():
            if renderer.media_type == wanted:
                return renderer, wanted
        return super().perform_content_negotiation(request, force)


class ExternalTraceShape(serializers.ModelSerializer[ExternalTrace]):
    class Meta:
        model = ExternalTrace
        fields = ["id", "client_id", "trace_id", "agent", "state", "is_error", "started_at",
                  "ended_at", "weight", "spans"]  # fmt: skip


class ExternalTraces(APIView):
    scopes = {"GET": "monitoring:read"}

    @extend_schema(operation_id="traces_list",
                   parameters=[OpenApiParameter("agent", str), OpenApiParameter("cursor", str)],
                   responses=ExternalTraceShape(many=True))  # fmt: skip
    def get(self, request: Request) -> Response:
        """Traces of agents that run elsewhere, as far as they were kept, newest first."""
        rows = rest.caller_of(request).only_visible(
            ExternalTrace.objects.exclude(state=ExternalTrace.State.DROPPED)
        )
        if agent := request.query_params.get("agent"):
            rows = rows.filter(agent=agent)
        paginator = rest.CursorPagination()
        page = paginator.paginate_queryset(rows, request)
        return paginator.get_paginated_response(ExternalTraceShape(page or [], many=True).data)


def _span(one: Any, attributes: dict[str, Any], service: str) -> Span:
    return otlp.span_of(
        trace_id=one.trace_id.hex(), span_id=one.span_id.hex(), parent_id=one.parent_span_id.hex(),
        name=one.name, start_nanoseconds=one.start_time_unix_nano,
        end_nanoseconds=one.end_time_unix_nano, status=one.status.code,
        trace_state=one.trace_state, attributes=attributes, service=service,
        now=timezone.now(),
    )  # fmt: skip


def _attributes(pairs: Any) -> dict[str, Any]:
    """Plain values by name; lists and maps are none of those that are read."""
    return {
        pair.key: getattr(pair.value, kind)
        for pair in pairs
        if (kind := pair.value.WhichOneof("value"))
        in ("string_value", "int_value", "double_value", "bool_value")
    }


def _ids_as_bytes(value: Any) -> Any:
    """OTLP's JSON writes ids in hex; protobuf's own mapping reads base64."""
    if isinstance(value, dict):
        return {
            key: _as_base64(inner) if key in _HEX else _ids_as_bytes(inner)
            for key, inner in value.items()
        }
    return [_ids_as_bytes(inner) for inner in value] if isinstance(value, list) else value


def _as_base64(text: Any) -> str:
    try:
        return base64.b64encode(bytes.fromhex(str(text))).decode()
    except (ValueError, binascii.Error):
        raise ValueError(f"an id is hex, not {str(text)[:40]!r}") from None
