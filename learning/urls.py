"""Addresses of learning."""

from django.urls import URLPattern, URLResolver

from learning import urls_compare, urls_loop

urlpatterns: list[URLPattern | URLResolver] = [
    *urls_compare.urlpatterns,
    *urls_loop.urlpatterns,
]
