"""The shipped application, beside it the tools whose effects the drills count."""

from config.asgi import application
from tests.workflows import effects

__all__ = ["application", "effects"]
