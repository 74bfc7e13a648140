"""Addresses of learning."""

from django.urls import URLPattern, URLResolver

from learning import urls_loop

urlpatterns: list[URLPattern | URLResolver] = [*urls_loop.urlpatterns]
