"""The HTTP doors of files, batches and fine-tuning jobs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agents.offline_model.batches import Batches
from agents.offline_model.engine import Engine
from agents.offline_model.protocol import bad, read_json
from agents.offline_model.store import MAX_FILE_BYTES, Store, page
from agents.offline_model.tuning import TunedModels, events_of

PURPOSES = frozenset({"batch", "fine-tune", "assistants", "user_data", "evals"})
MAX_PAGE = 100
DEFAULT_PAGE = 20

Handler = Callable[[Request], Awaitable[Response]]


def object_routes(
    store: Store, batches: Batches, tuned: TunedModels, engine: Engine
) -> list[tuple[str, str, Handler]]:
    """(method, path, handler) of every door here."""
    files, runs, jobs = Files(store), BatchDoors(store, batches), Jobs(tuned, engine)
    return [
        ("POST", "/v1/files", files.create),
        ("GET", "/v1/files", files.index),
        ("GET", "/v1/files/{id}", files.show),
        ("DELETE", "/v1/files/{id}", files.delete),
        ("GET", "/v1/files/{id}/content", files.content),
        ("POST", "/v1/batches", runs.create),
        ("GET", "/v1/batches", runs.index),
        ("GET", "/v1/batches/{id}", runs.show),
        ("POST", "/v1/batches/{id}/cancel", runs.cancel),
        ("POST", "/v1/fine_tuning/jobs", jobs.create),
        ("GET", "/v1/fine_tuning/jobs", jobs.index),
        ("GET", "/v1/fine_tuning/jobs/{id}", jobs.show),
        ("POST", "/v1/fine_tuning/jobs/{id}/cancel", jobs.cancel),
        ("GET", "/v1/fine_tuning/jobs/{id}/events", jobs.events),
    ]


class Files:
    """/v1/files."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def create(self, request: Request) -> Response:
        """Upload a file as multipart form data."""
        async with request.form(max_part_size=MAX_FILE_BYTES) as form:
            upload, purpose = form.get("file"), form.get("purpose")
            if upload is None or isinstance(upload, str):
                raise bad("file", "file must be an uploaded file")
            if not isinstance(purpose, str) or purpose not in PURPOSES:
                raise bad("purpose", f"purpose must be one of {sorted(PURPOSES)}, got {purpose!r}")
            content = await upload.read()
            return JSONResponse(self._store.add_file(upload.filename or "file", purpose, content))

    async def index(self, request: Request) -> Response:
        """List files, of one purpose if asked."""
        purpose = request.query_params.get("purpose")
        listed = self._store.listed("files")
        found = [one for one in listed if purpose is None or one["purpose"] == purpose]
        return _page(request, found)

    async def show(self, request: Request) -> Response:
        """One file's description."""
        return JSONResponse(self._store.find("files", request.path_params["id"]))

    async def delete(self, request: Request) -> Response:
        """Delete a file."""
        name = request.path_params["id"]
        self._store.delete_file(name)
        return JSONResponse({"id": name, "object": "file", "deleted": True})

    async def content(self, request: Request) -> Response:
        """A file's bytes."""
        content = self._store.content(request.path_params["id"])
        return Response(content, media_type="application/octet-stream")


class BatchDoors:
    """/v1/batches."""

    def __init__(self, store: Store, batches: Batches) -> None:
        self._store, self._batches = store, batches

    async def create(self, request: Request) -> Response:
        """Start a batch."""
        return JSONResponse(self._batches.start(read_json(await request.body())))

    async def index(self, request: Request) -> Response:
        """List batches."""
        return _page(request, self._store.listed("batches"))

    async def show(self, request: Request) -> Response:
        """One batch."""
        return JSONResponse(self._store.find("batches", request.path_params["id"]))

    async def cancel(self, request: Request) -> Response:
        """Cancel a batch."""
        return JSONResponse(self._batches.cancel(request.path_params["id"]))


class Jobs:
    """/v1/fine_tuning/jobs."""

    def __init__(self, tuned: TunedModels, engine: Engine) -> None:
        self._tuned, self._engine = tuned, engine

    async def create(self, request: Request) -> Response:
        """Queue a job; the base must be a chat model."""
        wanted = read_json(await request.body())
        self._engine.model(wanted.get("model"), "chat")
        return JSONResponse(self._tuned.start(wanted))

    async def index(self, request: Request) -> Response:
        """List jobs."""
        return _page(request, self._tuned.jobs())

    async def show(self, request: Request) -> Response:
        """One job; asking for a queued one finishes it."""
        return JSONResponse(self._tuned.advance(request.path_params["id"]))

    async def cancel(self, request: Request) -> Response:
        """Cancel a queued job."""
        return JSONResponse(self._tuned.cancel(request.path_params["id"]))

    async def events(self, request: Request) -> Response:
        """What happened to a job."""
        job = self._tuned.advance(request.path_params["id"])
        return _page(request, events_of(job))


def _page(request: Request, values: list[dict[str, Any]]) -> Response:
    given = request.query_params.get("limit", str(DEFAULT_PAGE))
    try:
        limit = int(given)
    except ValueError:
        limit = 0
    if not 1 <= limit <= 10_000:
        raise bad("limit", f"limit must be from 1 to 10000, got {given!r}")
    after = request.query_params.get("after")
    return JSONResponse(page(values, min(limit, MAX_PAGE), after))
