"""PostgreSQL and Redis from wheels, started by the project itself when no URL is given.

``running(home)`` finds them, ``start(home)`` starts or joins them, ``ensure(home)`` does whichever
is needed. Pure Python: no Django is needed, so settings may ask it for addresses.
"""

from config.embedded.errors import ServiceFailed
from config.embedded.handle import Handle, ensure, running, start
from config.embedded.state import Services

__all__ = ["Handle", "ServiceFailed", "Services", "ensure", "running", "start"]
