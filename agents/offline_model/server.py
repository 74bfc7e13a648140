"""The HTTP doors of the offline model: chat, embeddings, models; others are in ``objects``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from agents.offline_model import breaking, embeddings, tokens
from agents.offline_model.batches import Batches
from agents.offline_model.engine import Engine, raise_status
from agents.offline_model.objects import object_routes
from agents.offline_model.profile import Asked, ProfileSource
from agents.offline_model.protocol import ApiError, bad, read_json
from agents.offline_model.quality import draw
from agents.offline_model.store import Store
from agents.offline_model.streaming import events
from agents.offline_model.truth import Truth
from agents.offline_model.tuning import TunedModels
from config.errors import InvalidDocument

MAX_BODY_BYTES = 20 * 1024 * 1024
MAX_EMBEDDING_INPUTS = 2048
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

Handler = Callable[[Request], Awaitable[Response]]


class JsonResponse(Response):
    """JSON as bytes in one go."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """``content`` as JSON."""
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


class OfflineModel:
    """The server's state and its handlers."""

    def __init__(
        self, *, seed: int, profile: ProfileSource, state_dir: Path, truth: Truth | None = None
    ) -> None:
        self.store = Store(state_dir)
        self.tuned = TunedModels(self.store)
        self.engine = Engine(seed=seed, profile=profile, tuned=self.tuned)
        self.batches = Batches(self.store, self.answer_line)
        self.profile = profile
        self.truth = truth

    def app(self) -> Starlette:
        """The ASGI application."""

        @asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            self.batches.resume()
            yield

        own: list[tuple[str, str, Handler]] = [
            ("POST", "/v1/chat/completions", self.chat),
            ("POST", "/v1/embeddings", self.embed),
            ("GET", "/v1/models", self.models),
            ("GET", "/v1/models/{name:path}", self.one_model),
            ("DELETE", "/v1/models/{name:path}", self.forget_model),
            *object_routes(self.store, self.batches, self.tuned, self.engine),
        ]
        routes = [Route(path, self._guarded(run), methods=[verb]) for verb, path, run in own]
        routes += [
            Route("/healthz", self.health, methods=["GET"]),
            Route("/admin/profile", self.replace_profile, methods=["POST"]),
            Route("/admin/truth", self.tell_truth, methods=["POST"]),
        ]
        missing = ApiError(404, "Unknown request URL.", api_code="unknown_url")

        async def not_found(_request: Request, _error: Exception) -> Response:
            return error_response(missing)

        handlers: Any = {404: not_found}
        return Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)

    def _guarded(self, run: Handler) -> Handler:
        """``run`` behind the API key, with its errors in OpenAI's shape."""

        async def handler(request: Request) -> Response:
            try:
                key = self.profile.current().api_key
                if key and request.headers.get("authorization") != f"Bearer {key}":
                    raise ApiError(401, "Incorrect API key provided.", api_code="invalid_api_key")
                if self.truth is not None and self.truth.is_told:
                    raise ApiError(409, "The truth of this simulation was told; it is over.")
                return await run(request)
            except ApiError as error:
                return error_response(error)

        return handler

    async def chat(self, request: Request) -> Response:
        """POST /v1/chat/completions."""
        wanted, completion = self.engine.complete(await body_of(request))
        streaming = bool(wanted.get("stream"))
        broken = await breaking.broken_response(request, completion.fault, streaming=streaming)
        if broken is not None:
            return broken
        if streaming:
            stream = events(wanted, completion, breaking.means(request, "hang_up"))
            return StreamingResponse(stream, media_type="text/event-stream")
        waits = len(completion.pieces) or completion.usage["completion_tokens"]
        seconds = completion.first_token_seconds + completion.per_token_seconds * waits
        if seconds:
            await asyncio.sleep(seconds)
        return JsonResponse(completion.body())

    async def embed(self, request: Request) -> Response:
        """POST /v1/embeddings."""
        raw = await body_of(request)
        wanted = read_json(raw)
        model, texts = _embedding_request(wanted)
        profile = self.engine.model(model, "embedding")
        asked, digest = Asked(model, "", "\n".join(texts)), self.engine.digest(raw)
        fault = self.engine.fault("embeddings", asked, digest)
        raise_status(fault)
        broken = await breaking.broken_response(request, fault, streaming=False)
        if broken is not None:
            return broken
        latency = profile.latency or self.profile.current().latency
        seconds = latency.first_token.at(draw("first token", digest))
        if seconds:
            await asyncio.sleep(seconds)
        return JsonResponse(_embedded(wanted, model, texts))

    async def models(self, _request: Request) -> Response:
        """GET /v1/models."""
        listed = [_model(name, 0) for name in self.profile.current().models]
        listed += [_model(name, self.tuned.created_at(name)) for name in self.tuned.names()]
        return JsonResponse({"object": "list", "data": listed})

    async def one_model(self, request: Request) -> Response:
        """GET /v1/models/{name}."""
        name = request.path_params["name"]
        if name in self.tuned.names():
            return JsonResponse(_model(name, self.tuned.created_at(name)))
        if name not in self.profile.current().models:
            raise ApiError(404, f"The model {name!r} does not exist", api_code="model_not_found")
        return JsonResponse(_model(name, 0))

    async def forget_model(self, request: Request) -> Response:
        """DELETE /v1/models/{name}: tuned models only."""
        name = request.path_params["name"]
        self.tuned.forget(name)
        return JsonResponse({"id": name, "object": "model", "deleted": True})

    async def health(self, _request: Request) -> Response:
        """GET /healthz: alive, and whether the profile file is in force."""
        problem = self.profile.problem
        told = {"status": "ok", "profile": "stale" if problem else "in force"}
        return JsonResponse({**told, "problem": problem} if problem else told)

    async def replace_profile(self, request: Request) -> Response:
        """POST /admin/profile, from this machine only: YAML or JSON."""
        if request.client is None or request.client.host not in LOOPBACK:
            return error_response(ApiError(403, "The profile can be set from loopback only."))
        try:
            self.profile.replace(yaml.safe_load(await body_of(request)))
        except (yaml.YAMLError, InvalidDocument) as error:
            return error_response(ApiError(400, str(error)))
        except ApiError as error:
            return error_response(error)
        self.engine.forget_occurrences()
        return JsonResponse({"replaced": True})

    async def tell_truth(self, request: Request) -> Response:
        """POST /admin/truth, from this machine only: what each candidate was; ends the simulation.

        Nothing is answered afterwards, so that no verdict can rest on it.
        """
        if request.client is None or request.client.host not in LOOPBACK:
            return error_response(ApiError(403, "The truth is told to loopback only."))
        if self.truth is None:
            return error_response(ApiError(404, "This model acts out no scenario."))
        return JsonResponse(self.truth.tell())

    def answer_line(self, endpoint: str, raw: bytes) -> tuple[int, dict[str, Any]]:
        """One line of a batch: the same path without its waits; a torn connection is a 500."""
        try:
            if endpoint == "/v1/embeddings":
                wanted = read_json(raw)
                model, texts = _embedding_request(wanted)
                self.engine.model(model, "embedding")
                return 200, _embedded(wanted, model, texts)
            _request, completion = self.engine.complete(raw)
            breaking.check_unbroken(completion)
            return 200, completion.body()
        except ApiError as error:
            return error.status, error.body()


def error_response(error: ApiError) -> Response:
    """The error in OpenAI's shape; a rate limit tells when to try again if the profile does."""
    headers = {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = f"{error.retry_after_seconds:g}"
    return JsonResponse(error.body(), status_code=error.status, headers=headers)


async def body_of(request: Request) -> bytes:
    """The body; raises ApiError 413 when it is over MAX_BODY_BYTES."""
    raw = await request.body()
    if len(raw) > MAX_BODY_BYTES:
        raise ApiError(413, f"the body has {len(raw)} bytes; the limit is {MAX_BODY_BYTES}")
    return raw


def _model(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "offline"}


def _embedding_request(wanted: Mapping[str, Any]) -> tuple[str, list[str]]:
    given = wanted.get("input")
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_EMBEDDING_INPUTS:
        raise bad("input", f"input must be a string or a list of 1 to {MAX_EMBEDDING_INPUTS}")
    if all(isinstance(one, int) for one in listed):
        listed = [listed]  # one text given as tokens
    dimensions = wanted.get("dimensions")
    if dimensions is not None and not (
        isinstance(dimensions, int) and 1 <= dimensions <= embeddings.MAX_DIMENSIONS
    ):
        raise bad("dimensions", f"dimensions must be from 1 to {embeddings.MAX_DIMENSIONS}")
    return wanted.get("model", ""), [one if isinstance(one, str) else str(one) for one in listed]


def _embedded(wanted: Mapping[str, Any], model: str, texts: list[str]) -> dict[str, Any]:
    dimensions = wanted.get("dimensions") or embeddings.DEFAULT_DIMENSIONS
    packed = wanted.get("encoding_format") == "base64"
    data = []
    for place, text in enumerate(texts):
        vector = embeddings.embed(text, dimensions)
        value = embeddings.as_base64(vector) if packed else list(vector)
        data.append({"object": "embedding", "index": place, "embedding": value})
    used = sum(tokens.count(text) for text in texts)
    usage = {"prompt_tokens": used, "total_tokens": used}
    return {"object": "list", "data": data, "model": model, "usage": usage}
