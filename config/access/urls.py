"""Addresses of access."""

from django.urls import path

from config.access import api
from config.access.pages import SignIn

V1 = "api/v1/"

urlpatterns = [
    path("login", SignIn.as_view(), name="login"),
    path(V1 + "privacy/exports", api.PrivacyExports.as_view()),
    path(V1 + "privacy/exports/<uuid:export_id>", api.PrivacyExport.as_view()),
    path(V1 + "privacy/erasures", api.PrivacyErasures.as_view()),
]
