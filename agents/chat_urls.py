"""Addresses under ``/v1/`` in OpenAI's shapes. They come first: each that is tried before costs."""

from django.urls import URLPattern, path

from agents import chat_api

urlpatterns: list[URLPattern] = [
    path("chat/completions", chat_api.chat_completions, name="chat-completions"),
    path("models", chat_api.models, name="chat-models"),
    path("models/<path:name>", chat_api.one_model, name="chat-model"),
]
