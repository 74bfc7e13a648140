"""Addresses of scaling."""

from django.urls import URLPattern, URLResolver, path

from scaling import api

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/queues", api.Queues.as_view(), name="queues"),
]
