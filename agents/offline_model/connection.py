"""A connection that can be torn down on purpose, as a failing network does it."""

from __future__ import annotations

import socket
import struct

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# SO_LINGER on with zero seconds: closing sends RST instead of FIN, and drops what is unsent.
_NO_LINGER = struct.pack("ii", 1, 0)


class BreakableProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol; a request's ``state`` can ``reset`` or ``hang_up`` on its client."""

    def on_message_begin(self) -> None:
        """Give each request the means to end its connection."""
        super().on_message_begin()
        self.scope["state"].update(reset=self.reset, hang_up=self.hang_up)

    def reset(self) -> None:
        """The client reads "connection reset by peer", whatever was sent before."""
        if self.transport.is_closing():
            return
        connection = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()

    def hang_up(self) -> None:
        """The client reads what was sent, then the end of the connection inside the response."""
        self.transport.close()
