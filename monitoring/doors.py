"""Doors for machines that watch this instance: alive, ready, and Prometheus' numbers."""

from __future__ import annotations

import hmac
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from monitoring import health, prometheus


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Alive: the process answers. Asks nobody else, so a database outage restarts nothing."""
    return JsonResponse({"alive": True})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Fit for work, or 503 with what is wrong."""
    found = health.readiness()
    answer = JsonResponse(found.as_dict(), status=200 if found.ready else 503)
    answer["Cache-Control"] = "no-store"
    if not found.ready:
        answer["Retry-After"] = "2"
    return answer


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus' text format, from the database: right however many processes there are."""
    if not _may_scrape(request):
        return JsonResponse(
            {
                "type": "/problems/forbidden",
                "code": "forbidden",
                "title": "Forbidden",
                "status": 403,
                "detail": "metrics are for this machine, or with Authorization: Bearer and the "
                "METRICS_TOKEN that the server was started with",
            },
            status=403,
            content_type="application/problem+json",
        )
    return HttpResponse(prometheus.exposition(), content_type=prometheus.CONTENT_TYPE)


def _may_scrape(request: HttpRequest) -> bool:
    expected = settings.METRICS_TOKEN
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer" and expected != "-":
        return hmac.compare_digest(given.strip().encode(), expected.encode())
    # A proxy on this machine also comes from loopback; it says for whom it asks.
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
