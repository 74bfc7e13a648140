"""Addresses of monitoring."""

from django.urls import path

from monitoring import doors

urlpatterns = [
    path("healthz", doors.healthz),
    path("readyz", doors.readyz),
    path("metrics", doors.metrics),
]
