"""All addresses. Apps are named as strings, so that the ground imports none of them."""

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LogoutView
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from config.docs_page import docs

handler400 = "config.pages.bad_request"
handler403 = "config.pages.forbidden"
handler404 = "config.pages.not_found"
handler500 = "config.pages.broken"
admin.autodiscover()

urlpatterns = [
    # Called more than all others together: a hundred patterns before it cost a tenth of a hit.
    path("v1/", include("agents.chat_urls")),
    path("", include("workflows.run_urls")),
    path("", RedirectView.as_view(url="/dashboard", permanent=False)),
    path("", include("config.access.urls")),
    path("logout", LogoutView.as_view(), name="logout"),
    # One door with one lock: the admin's own sign-in page would count no wrong passwords.
    path(
        "admin/login/",
        login_not_required(RedirectView.as_view(pattern_name="login", query_string=True)),
    ),
    path("admin/", admin.site.urls),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerView.as_view(url_name="schema"), name="api-docs"),
    path("docs", docs, name="docs"),
    path("docs/<path:name>", docs, name="docs-page"),
    path("", include("monitoring.urls")),
    path("", include("scaling.urls")),
    path("", include("agents.urls")),
    path("", include("workflows.urls")),
    path("", include("learning.urls")),
]
