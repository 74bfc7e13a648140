"""Signing in."""

from __future__ import annotations

from django.contrib.auth.views import LoginView


class SignIn(LoginView):
    """The sign-in page; a signed-in person goes on to the dashboard."""

    template_name = "login.html"
    redirect_authenticated_user = True
