"""What all API views share: problems, pages, idempotent POSTs, and If-Match."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import DataError, IntegrityError, transaction
from django.http import Http404
from django.utils import timezone
from rest_framework import exceptions, pagination, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from config import logs
from config.access import denials
from config.access.callers import Caller
from config.access.models import IdempotencyRecord
from config.errors import (
    AppError,
    Conflict,
    Forbidden,
    IdempotencyInProgress,
    IdempotencyMismatch,
    InvalidInput,
)
from config.outages import outage_of

logger = logging.getLogger(__name__)
PROBLEM = "application/problem+json"
# A request that died leaves its key running; after this the key may be used again.
ABANDONED_AFTER = timedelta(seconds=60)


class CursorPagination(pagination.CursorPagination):
    """Newest first; ``?cursor=`` goes on, ``?page_size=`` from 1 to 200."""

    ordering = "-id"
    page_size_query_param = "page_size"
    max_page_size = 200


def caller_of(request: Request) -> Caller:
    """The authenticated caller of an API request."""
    if not isinstance(request.auth, Caller):
        raise exceptions.NotAuthenticated("sign in, or send Authorization: Bearer rk_…")
    return request.auth


def exception_handler(error: Exception, context: dict[str, Any]) -> Response:
    """Render any error as problem+json; what is not known becomes a 500 without its inside."""
    if isinstance(error, Forbidden | PermissionDenied | exceptions.PermissionDenied):
        denials.note(context.get("request"))
    if isinstance(error, AppError):
        return _problem(error.as_problem(), error.http_status)
    if isinstance(error, Http404):
        error = exceptions.NotFound(str(error) or "there is nothing here")
    if isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied(str(error) or None)
    if isinstance(error, SuspiciousOperation):  # too many fields, too large a body
        error = exceptions.ParseError(str(error) or "the request could not be read")
    if isinstance(error, exceptions.ValidationError):
        return _invalid(error)
    if isinstance(error, exceptions.APIException):
        return _framework_problem(error)
    if isinstance(error, DataError):  # its statement kept nothing
        logger.warning("config.request.met_a_limit", exc_info=error)
        found = _not_kept(error)
        return _problem(found.as_problem(), found.http_status)
    if outage := outage_of(error):
        logger.warning("config.request.met_an_outage", exc_info=error)
        return _problem(outage.as_problem(), outage.http_status)
    logger.exception("config.request.failed", exc_info=error)
    body = {"type": "/problems/internal_error", "code": "internal_error", "title": "Internal error",
            "status": 500, "detail": "something broke on our side; the log has it under this id",
            "request_id": (logs.context.get() or {}).get("request_id")}  # fmt: skip
    return _problem(body, 500)


def _not_kept(error: DataError) -> InvalidInput:
    """A value that PostgreSQL has no place for, such as NUL in a text, in its own words."""
    lines = str(error).splitlines()
    why = next((one for one in lines if one.startswith("DETAIL:")), lines[0] if lines else "")
    return InvalidInput("body", why.removeprefix("DETAIL:").strip(), "values that can be stored")


def _invalid(error: exceptions.ValidationError) -> Response:
    faults = list(_flatten(error.detail))
    first = faults[0] if faults else {"path": "", "message": "invalid"}
    return _problem(
        {
            "type": "/problems/invalid_input",
            "code": "invalid_input",
            "title": "Invalid input",
            "status": 422,
            "detail": f"{first['path'] or 'body'}: {first['message']}",
            "field": first["path"],
            "faults": faults,
        },
        422,
    )


def _framework_problem(error: exceptions.APIException) -> Response:
    code = str(error.default_code)
    body = {
        "type": f"/problems/{code}",
        "code": code,
        "title": code.replace("_", " ").capitalize(),
        "status": error.status_code,
        "detail": str(error.detail),
    }
    response = _problem(body, error.status_code)
    if wait := getattr(error, "wait", None):
        response["Retry-After"] = str(int(wait))
    if header := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = header
    return response


def validated(given: Any) -> dict[str, Any]:
    """What a serializer holds; bad data is a 422 that names the field and what may stand there."""
    if not given.is_valid():
        raise exceptions.ValidationError(_with_choices(given, given.errors))
    data: dict[str, Any] = given.validated_data
    return data


def _with_choices(field: Any, detail: Any) -> Any:
    """``detail`` with the choices that there are, wherever one is not among them."""
    if isinstance(detail, dict):
        parts = getattr(field, "fields", {})
        return {
            key: _with_choices(parts.get(key, getattr(field, "child", None)), value)
            for key, value in detail.items()
        }
    if isinstance(detail, list):
        # A list's own faults belong to it, those in it to its parts.
        return [
            _with_choices(getattr(field, "child", None) if isinstance(one, dict) else field, one)
            for one in detail
        ]
    if getattr(detail, "code", "") != "invalid_choice" or not hasattr(field, "choices"):
        return detail
    choices = ", ".join(str(one) for one in field.choices if one != "")
    return exceptions.ErrorDetail(f"{str(detail).rstrip('.')}; one of {choices}", detail.code)


def _flatten(detail: Any, path: str = "") -> Any:
    if isinstance(detail, dict):
        for key, value in detail.items():
            yield from _flatten(value, f"{path}.{key}" if path else str(key))
    elif isinstance(detail, list):
        for index, value in enumerate(detail):
            nested = isinstance(value, dict | list)
            yield from _flatten(value, f"{path}[{index}]" if nested else path)
    else:
        yield {"path": path, "message": str(detail)}


def document_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """The OpenAPI schema with what any operation may end in, in the type that it has."""
    schema = {"$ref": "#/components/schemas/Problem"}
    body = {PROBLEM: {"schema": schema}}
    other = {"description": "Any other error, as a problem (RFC 9457).", "content": body}
    for path, operations in result["paths"].items():
        if not path.startswith("/api/v1/"):
            continue
        for operation in operations.values():
            if not isinstance(operation, dict) or "responses" not in operation:
                continue
            for response in operation["responses"].values():
                if response.get("content") == {"application/json": {"schema": schema}}:
                    response["content"] = body
            operation["responses"].setdefault("default", other)
    return result


def _problem(body: dict[str, Any], status: int) -> Response:
    response = Response(body, status=status, content_type=PROBLEM)
    if retry := body.get("retry_after_seconds"):
        response["Retry-After"] = str(retry)
    elif status in (429, 503):
        response["Retry-After"] = "5"
    return response


def idempotent(view: Callable[..., Response]) -> Callable[..., Response]:
    """Let a POST be repeated under its ``Idempotency-Key``: the same body replays the answer.

    Another body raises IdempotencyMismatch (422); a first request that still runs raises
    IdempotencyInProgress (409). Server errors are not kept, so that a retry can succeed.
    """

    @wraps(view)
    def answer(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            return view(self, request, *args, **kwargs)
        if len(key) > 200:
            raise exceptions.ValidationError({"Idempotency-Key": "at most 200 characters"})
        record, replay = _claim_key(request, key)
        if replay is not None:
            return replay
        try:
            response = view(self, request, *args, **kwargs)
        except Exception:
            IdempotencyRecord.objects.filter(pk=record.pk).delete()
            raise
        body = json.loads(json.dumps(response.data, default=str))
        IdempotencyRecord.objects.filter(pk=record.pk).update(
            state=IdempotencyRecord.State.DONE,
            response_status=response.status_code,
            response_body=body,
        )
        return response

    return answer


def _claim_key(request: Request, key: str) -> tuple[IdempotencyRecord, Response | None]:
    identity = {"principal": caller_of(request).principal, "path": request.path, "key": key}
    digest = body_digest(request)
    try:
        with transaction.atomic():
            return IdempotencyRecord.objects.create(**identity, digest=digest), None
    except IntegrityError:
        record = IdempotencyRecord.objects.filter(**identity).first()
    if record is None:  # it failed and was taken away in between
        return _claim_key(request, key)
    if record.digest != digest:
        raise IdempotencyMismatch(key)
    if record.state == IdempotencyRecord.State.DONE:
        replay = Response(record.response_body, status=record.response_status)
        replay["Idempotent-Replayed"] = "true"
        return record, replay
    taken = IdempotencyRecord.objects.filter(
        pk=record.pk, created_at__lt=timezone.now() - ABANDONED_AFTER
    ).update(created_at=timezone.now())
    if not taken:
        raise IdempotencyInProgress(key)
    return record, None


def body_digest(request: Request) -> str:
    """A digest of what was sent, uploaded files with their names and content."""
    files = [(name, file.name, _content(file)) for name, file in sorted(request.FILES.items())]
    data: Any = request.data
    if files and isinstance(data, dict):
        data = {name: value for name, value in data.items() if name not in request.FILES}
    content = json.dumps([data, files], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def _content(file: Any) -> str:
    digest = hashlib.sha256()
    for part in file.chunks():
        digest.update(part)
    file.seek(0)
    return digest.hexdigest()


def require_match(request: Request, etag: str, what: str) -> None:
    """Refuse an edit that was made against another state than the present one.

    ``If-Match`` is required; raises Conflict when it names another state.
    """
    given = request.headers.get("If-Match")
    if given is None:
        raise exceptions.ValidationError({"If-Match": f"send the ETag that you saw; now {etag}"})
    if given.strip().removeprefix("W/") not in (etag, "*"):
        raise Conflict(what, f"at {etag}", f"If-Match {etag}; you sent {given}")


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457 problem document."""

    type = serializers.CharField()
    code = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
