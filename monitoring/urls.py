"""Addresses of monitoring."""

from django.urls import path

from monitoring import doors, pages

urlpatterns = [
    path("dashboard", pages.overview),
    path("healthz", doors.healthz),
    path("readyz", doors.readyz),
    path("metrics", doors.metrics),
]
