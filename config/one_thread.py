"""Django's ASGI handler with a whole request on one kept thread: middleware, view and clean-up.

Django's own hops between the event loop and a thread made for the request: once to tell that it
began, twice for the middleware and the view, once to close. None of that waits for anything, and
together it was a third of what a cached call costs. Here the loop reads the body, one thread of a
pool does all the work, and the loop sends the answer. A stream is sent and watched as Django does:
all views are synchronous, but what they stream may wait in the loop and hold no thread.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import IO, Any

from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestAborted, RequestDataTooBig
from django.core.handlers.asgi import ASGIHandler, ASGIRequest, get_script_prefix
from django.core.handlers.exception import convert_exception_to_response
from django.db import close_old_connections
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix
from django.utils.module_loading import import_string

# A synchronous stream is sent in pieces of at least so many bytes: each costs a hop to a thread.
PIECE_BYTES = 64 * 1024
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


def _too_large(error: RequestDataTooBig) -> HttpResponse:
    body = {"type": "/problems/too_large", "code": "too_large", "title": "Too large",
            "status": 413, "detail": str(error)}  # fmt: skip
    return HttpResponse(json.dumps(body), status=413, content_type="application/problem+json")


class OneThreadHandler(ASGIHandler):
    """An ASGI application for synchronous views; streams may be asynchronous.

    With ``only``, these are the middleware (no hooks but their call) instead of the settings', and
    with ``beside`` another handler's threads do the work.
    """

    def __init__(
        self, *, only: Sequence[str] | None = None, beside: OneThreadHandler | None = None
    ) -> None:
        self._only = only
        super().__init__()
        # A pool starts a thread only when none is idle: as many as were ever needed at once.
        self._pool: ThreadPoolExecutor = (
            ThreadPoolExecutor(settings.WEB_THREADS, thread_name_prefix="request")
            if beside is None
            else beside._pool
        )

    def load_middleware(self, is_async: bool = False) -> None:
        """Build the synchronous chain, whatever the base class asks for."""
        super().load_middleware(is_async=False)
        if self._only is None:
            return
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        chain = convert_exception_to_response(
            self._get_response  # type: ignore[attr-defined]
        )
        for name in reversed(self._only):
            chain = convert_exception_to_response(import_string(name)(chain))
        self._middleware_chain = chain

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        except RequestDataTooBig as error:
            await self.send_response(_too_large(error), send)
            return
        loop, run = asyncio.get_running_loop(), copy_context().run
        response = await loop.run_in_executor(self._pool, run, self._answer, scope, body)
        if not response.streaming:
            await self.send_response(response, send)
            return
        try:
            await self._stream(response, receive, send)
        finally:
            await loop.run_in_executor(self._pool, run, response.close)
            body.close()

    async def read_body(self, receive: Receive) -> IO[bytes]:
        """The body, whole; raises RequestDataTooBig before the disk is full of it.

        Django looks at the length that a request states, and one sent in chunks states none.
        """
        body = tempfile.SpooledTemporaryFile(settings.FILE_UPLOAD_MAX_MEMORY_SIZE)
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RequestAborted
                body.write(message.get("body", b""))
                if body.tell() > settings.REQUEST_BYTES:
                    raise RequestDataTooBig(f"a request has at most {settings.REQUEST_BYTES} bytes")
                if not message.get("more_body", False):
                    break
        except BaseException:
            body.close()
            raise
        body.seek(0)
        return body

    def _answer(self, scope: Scope, body: IO[bytes]) -> HttpResponseBase:
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        request, refused = self.create_request(scope, body)
        response: Any = refused if request is None else self._respond(request)
        if response.streaming:
            close_old_connections()  # the rest may run on another thread, or wait for long
        else:
            response.close()  # its content is whole; tells that the request has ended
            body.close()
        done: HttpResponseBase = response
        return done

    def _respond(self, request: ASGIRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response._handler_class = self.__class__  # type: ignore[attr-defined]
        if not response.streaming and isinstance(response, HttpResponse):
            response.content  # noqa: B018  rendered here, not in the event loop
        return response

    async def _stream(self, response: Any, receive: Receive, send: Send) -> None:
        """Send until the stream ends or its reader hangs up."""
        if not response.is_async:
            response.streaming_content = self._pieces(response.streaming_content)
        sending = asyncio.create_task(self.send_response(response, send))
        watching = asyncio.create_task(self.listen_for_disconnect(receive))
        _, rest = await asyncio.wait((sending, watching), return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        results = await asyncio.gather(sending, watching, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, RequestAborted):
                raise result

    async def _pieces(self, content: Iterable[bytes]) -> AsyncIterator[bytes]:
        """A synchronous stream as its reader takes it; Django would hold all of it first."""
        loop, run, rest = asyncio.get_running_loop(), copy_context().run, iter(content)

        def piece() -> bytes:
            found = bytearray()
            try:
                for part in rest:
                    found += part
                    if len(found) >= PIECE_BYTES:
                        break
            finally:
                close_old_connections()  # nothing is held while a slow reader takes it
            return bytes(found)

        while True:
            working = loop.run_in_executor(self._pool, run, piece)
            try:
                found = await asyncio.shield(working)
            except asyncio.CancelledError:
                await asyncio.wait([working])  # a stream can't be closed in the middle of a piece
                raise
            if not found:
                return
            yield found
