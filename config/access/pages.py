"""Signing in."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse

from config.access import attempts
from config.access.models import User


class SignIn(LoginView):
    """The sign-in page; a signed-in person goes on to the dashboard.

    After too many wrong passwords it answers 429 without looking at the next one.
    """

    template_name = "login.html"
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        username = request.POST.get("username", "")
        wait = attempts.sign_in_wait(username, attempts.address_of(request))
        if wait:
            return self._locked(wait)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        attempts.signed_in(form.cleaned_data["username"], attempts.address_of(self.request))
        return super().form_valid(form)

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        username = str(form.data.get("username", ""))
        user = User.objects.filter(username=username).only("id").first()
        address = attempts.address_of(self.request)
        attempts.sign_in_failed(username, address, user_id=user.pk if user else None)
        wait = attempts.sign_in_wait(username, address)
        return self._locked(wait) if wait else super().form_invalid(form)

    def _locked(self, wait: int) -> HttpResponse:
        form = AuthenticationForm(self.request)
        context = self.get_context_data(form=form, locked_minutes=-(-wait // 60))
        answer = self.render_to_response(context, status=429)
        answer["Retry-After"] = str(wait)
        return answer
