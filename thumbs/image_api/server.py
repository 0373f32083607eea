"""The offline image API as an ASGI app, and how it is run.

Providers' endpoints: ``POST /v1/images/generations``, ``POST /v1/moderations`` and ``GET /v1/models`` (OpenAI),
``POST /v1beta/models/{model}:generateContent``, the same under ``/v1``, and ``GET /v1beta/models`` (Gemini),
``POST /model/{model}/invoke`` and ``GET /foundation-models`` (Bedrock), and the batches and files of OpenAI and Gemini
(``batches``).
``GET /health`` answers ``{"status": "ok"}``.

The control API, JSON in and out:

===========================  =========================================================================================
``GET /_control/settings``   the settings below
``PUT /_control/settings``   change those given: ``latency`` and ``jitter`` (seconds; a call takes latency to latency +
                             jitter), ``batch_seconds`` (of a batch, from its making to its end), ``seed`` (of faults
                             with a rate, and of the jitter, which begins anew), ``rejected_keys`` (parts of keys that
                             are turned away; at first ``["rejected"]``), ``flagged_marker`` (the word that moderation
                             flags; at first none)
``POST /_control/faults``    set one fault; answers it with its ``id``
``GET /_control/faults``     every fault, with how many calls it ``matched`` and ``struck``
``DELETE /_control/faults``  take all back; ``/_control/faults/{id}`` takes one
``GET /_control/calls``      ``requests`` (all that came in), ``paid`` (those a provider would bill), ``in_flight``,
                             ``peak_concurrency`` and ``seconds`` (from the first call to the last); the first two also
                             ``by_model`` and ``by_prompt``
``DELETE /_control/calls``   count from nothing
``POST /_control/reset``     faults, counts and settings as at the start
===========================  =========================================================================================

A fault is ``{"fault": name, …}``. Which calls it strikes: ``model`` and ``prompt_contains`` let calls through,
``after`` skips the first so many of them, then ``times`` (the next n), ``times_each`` (the first n of every
(model, prompt)), ``rate`` (a share, decided by the seed) or ``pace`` (those beyond so many in a minute, or
in ``per`` seconds; each is told when to come back); with none of the four, every call. The first fault in the list that
strikes decides.

Not billed, at once or ``delay`` seconds later:
    ``rate_limit`` (429; ``retry_after`` adds the header), ``insufficient_quota`` (429), ``server_error`` (500),
    ``unavailable`` (503; ``variant``: Bedrock ``not_ready``), ``key_rejected``, ``forbidden`` (403),
    ``not_json`` (200 with a page of HTML).
Not billed, after the latency:
    ``refusal`` (``variant``: OpenAI ``moderation_blocked``, ``content_policy_violation``; Gemini ``prompt_blocked``,
    ``IMAGE_SAFETY``, ``PROHIBITED_CONTENT``, ``SAFETY``; Bedrock ``Filter reason: prompt``,
    ``Filter reason: output image``), ``no_picture`` (``variant``: ``empty``, ``text``, ``null``).
Billed, after the latency:
    ``reset`` (connection reset in mid-body), ``broken_json`` (the body ends in the middle), ``truncated_picture``,
    ``not_a_picture``, ``huge_picture`` (60 megapixels), ``odd_mode`` (``variant``: ``cmyk``, ``palette``, ``16bit``,
    ``alpha``, ``gray``, ``gray_alpha``, ``one_bit``).
Of half-price batches, where they strike a request of one (see ``batches``); elsewhere they do nothing:
    ``batch_failed`` (the batch fails as it is checked, and nothing is billed), ``batch_expired`` and
    ``batch_cancelled`` (it ends so, and the requests that are struck are never worked on), ``batch_lost`` (it is made,
    and the answer that says so breaks off).
Billed at once:
    ``hang`` (no answer until the client goes away, the fault is taken back, or ``seconds`` later).
"""

import asyncio
import contextlib
import json
import random
import socket
import struct
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from hashlib import sha256
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from thumbs.gate import is_from_browser, is_ours
from thumbs.image_api import bedrock_dialect, gemini_dialect, openai_dialect
from thumbs.image_api.artist import Artist
from thumbs.image_api.batches import BatchApi
from thumbs.image_api.bedrock_dialect import BedrockDialect
from thumbs.image_api.dialect import MEDIA_TYPES, Dialect, Order, ProviderError
from thumbs.image_api.faults import Fault, FaultBook, InvalidFault, Ledger
from thumbs.image_api.gemini_dialect import GeminiDialect
from thumbs.image_api.openai_dialect import OpenAIDialect

_SPOILT_PICTURES = frozenset({"truncated_picture", "not_a_picture", "huge_picture", "odd_mode"})
_BEFORE_WORK = frozenset(
    {"rate_limit", "insufficient_quota", "server_error", "unavailable", "key_rejected", "forbidden"}
)
_HTML = b"<!doctype html><html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_URLS_KEPT = 500
#: How soon a call that hangs notices that its fault was taken back.
_LOOK_SECONDS = 0.05
_RESET = "thumbs.reset"


@dataclass
class Settings:
    """What the control API sets besides faults."""

    latency: float = 0.0
    jitter: float = 0.0
    batch_seconds: float = 2.0
    seed: int = 0
    rejected_keys: list[str] = field(default_factory=lambda: ["rejected"])
    flagged_marker: str = ""

    def changed(self, given: Any) -> "Settings":
        """These settings with those given in JSON put in, checked."""
        known = {field.name for field in fields(self)}
        if not isinstance(given, dict) or not set(given) <= known:
            raise InvalidFault(f"settings are a JSON object of {sorted(known)}")
        for name in ("latency", "jitter", "batch_seconds"):
            value = given.get(name, 0)
            if type(value) not in (int, float) or not 0 <= value < float("inf"):
                raise InvalidFault(f"{name} is a number of seconds, 0 or more")
        if type(given.get("seed", 0)) is not int:
            raise InvalidFault("seed is a whole number")
        keys = given.get("rejected_keys", [])
        if not isinstance(keys, list) or not all(isinstance(key, str) and key for key in keys):
            raise InvalidFault("rejected_keys is a list of strings, none of them empty")
        if not isinstance(given.get("flagged_marker", ""), str):
            raise InvalidFault("flagged_marker is a string")
        return Settings(**{**asdict(self), **given})


class ImageApi:
    """The state of one offline image API and its endpoints."""

    def __init__(self, latency: float = 0.0, jitter: float = 0.0) -> None:
        self._first_settings = Settings(latency=latency, jitter=jitter)
        self.settings = self._first_settings
        self.faults = FaultBook()
        self.ledger = Ledger()
        self._jitter = random.Random(0)  # noqa: S311 (no secret)
        self._artist = Artist()
        self._orders_by_url: OrderedDict[str, Order] = OrderedDict()
        self._openai = OpenAIDialect()
        self._gemini = GeminiDialect()
        self._bedrock = BedrockDialect()
        self._batches = BatchApi(self, self._openai, self._gemini)

    def app(self) -> Starlette:
        """The ASGI app."""
        routes = [
            Route("/health", self._health),
            Route("/v1/images/generations", self._openai_picture, methods=["POST"]),
            Route("/v1/moderations", self._moderations, methods=["POST"]),
            Route("/v1/models", self._openai_models),
            Route("/v1beta/models", self._gemini_models),
            Route("/{version}/models/{model}:generateContent", self._gemini_picture, methods=["POST"]),
            Route("/model/{model}/invoke", self._bedrock_picture, methods=["POST"]),
            Route("/foundation-models", self._bedrock_models),
            *self._batches.routes(),
            Route("/_pictures/{digest}", self._picture_of_url),
            Route("/_control/settings", self._settings, methods=["GET", "PUT"]),
            Route("/_control/faults", self._faults, methods=["GET", "POST", "DELETE"]),
            Route("/_control/faults/{number:int}", self._fault, methods=["DELETE"]),
            Route("/_control/calls", self._calls, methods=["GET", "DELETE"]),
            Route("/_control/reset", self._reset, methods=["POST"]),
        ]
        return Starlette(routes=routes, lifespan=self._lifespan)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        self._batches.close()
        self._artist.close()

    # The providers' endpoints

    async def _openai_picture(self, request: Request) -> Response:
        return await self._call(request, self._openai, "")

    async def _gemini_picture(self, request: Request) -> Response:
        return await self._call(request, self._gemini, request.path_params["model"])

    async def _bedrock_picture(self, request: Request) -> Response:
        return await self._call(request, self._bedrock, request.path_params["model"])

    async def _moderations(self, request: Request) -> Response:
        try:
            self._openai.check_key(request.headers, self.settings.rejected_keys)
            return _json(openai_dialect.moderate(await _body(request), self.settings.flagged_marker))
        except ValueError:
            return _refused(self._openai.bad_json())
        except ProviderError as error:
            return _refused(error)

    async def _openai_models(self, request: Request) -> Response:
        return self._listed(request, self._openai, openai_dialect.list_models)

    async def _gemini_models(self, request: Request) -> Response:
        return self._listed(request, self._gemini, gemini_dialect.list_models)

    async def _bedrock_models(self, request: Request) -> Response:
        return self._listed(request, self._bedrock, bedrock_dialect.list_models)

    def _listed(self, request: Request, dialect: Dialect, models: Callable[[], dict[str, Any]]) -> Response:
        try:
            dialect.check_key(request.headers, self.settings.rejected_keys)
        except ProviderError as error:
            return _refused(error)
        return _json(models())

    async def _picture_of_url(self, request: Request) -> Response:
        order = self._orders_by_url.get(request.path_params["digest"])
        if order is None:
            return _json({"error": "no such picture"}, 404)
        picture = await asyncio.wrap_future(self._artist.picture(order))
        return Response(picture, media_type=MEDIA_TYPES[order.format])

    async def _call(self, request: Request, dialect: Dialect, path_model: str) -> Response:
        arrived = time.monotonic()
        error: ProviderError | None = None
        try:
            body = await _body(request)
        except ValueError:
            body, error = None, dialect.bad_json()
        model, prompt = dialect.names(body, path_model)
        self.ledger.arrive(model, prompt)
        try:
            dialect.check_key(request.headers, self.settings.rejected_keys)
            if error is not None:
                raise error
            return await self._answer(request, dialect, dialect.order(body, path_model), arrived)
        except ProviderError as refused:
            return _refused(refused)
        finally:
            self.ledger.leave()

    async def batched(self, dialect: Dialect, order: Order, fault: Fault | None) -> tuple[int, dict[str, Any]]:
        """Status and body of one request of a batch; its connection can neither hang nor break."""
        struck = fault.fault if fault else None
        self.ledger.arrive(order.model, order.prompt)
        try:
            if fault and struck == "refusal":
                return dialect.refusal(order, fault.variant)
            if fault and struck == "no_picture":
                return 200, dialect.without_picture(order, fault.variant)
            if fault and struck not in _SPOILT_PICTURES:
                raise dialect.fault(fault)
            picture = await asyncio.wrap_future(self._artist.picture(order, fault))
            self.ledger.pay(order.model, order.prompt)
            return 200, dialect.answer(order, picture, "")
        except ProviderError as error:
            return error.status, error.payload
        finally:
            self.ledger.leave()

    async def _answer(self, request: Request, dialect: Dialect, order: Order, arrived: float) -> Response:
        fault = self.faults.strike(order.model, order.prompt)
        if fault and fault.fault.startswith("batch_"):
            fault = None
        struck = fault.fault if fault else None
        answer_at = arrived + self._seconds()
        if fault and (struck in _BEFORE_WORK or struck == "not_json"):
            await _wait_until(arrived + (fault.delay or 0))
            if struck == "not_json":
                return Response(_HTML, media_type="text/html")
            raise dialect.fault(fault)
        if fault and struck == "hang":
            self.ledger.pay(order.model, order.prompt)
            if await _client_left(request, fault.seconds, lambda: self.faults.holds(fault)):
                return Response()
        if fault and struck in ("refusal", "no_picture"):
            await _wait_until(answer_at if fault.delay is None else arrived + fault.delay)
            if struck == "refusal":
                status, payload = dialect.refusal(order, fault.variant)
                return _json(payload, status)
            return _json(dialect.without_picture(order, fault.variant))

        spoilt = fault if struck in _SPOILT_PICTURES else None
        orders = [replace(order, number=number) for number in range(order.pictures)]
        # Drawn while the call waits, so that drawing costs no time of its own.
        drawn = [asyncio.wrap_future(self._artist.picture(one, spoilt)) for one in orders]
        pictures = await asyncio.gather(*drawn)
        await _wait_until(answer_at)
        if struck != "hang":
            self.ledger.pay(order.model, order.prompt)
        answers = [
            dialect.answer(one, picture, self._url(request, one)) for one, picture in zip(orders, pictures, strict=True)
        ]
        whole = answers[0]
        for answer in answers[1:]:
            # Only OpenAI's have several.
            whole["data"] += answer["data"]
        body = _dump(whole)
        if struck == "broken_json":
            body = body[: len(body) * 3 // 5]
        if struck == "reset":
            return ResetInMidBody(body)
        return Response(body, media_type="application/json")

    def _url(self, request: Request, order: Order) -> str:
        if not order.as_url:
            return ""
        digest = sha256(repr(order).encode("utf-8", "surrogatepass")).hexdigest()
        self._orders_by_url[digest] = order
        while len(self._orders_by_url) > _URLS_KEPT:
            self._orders_by_url.popitem(last=False)
        return str(request.base_url) + f"_pictures/{digest}"

    # Health and control

    async def _health(self, _: Request) -> Response:
        return _json({"status": "ok"})

    async def _settings(self, request: Request) -> Response:
        if request.method == "PUT":
            return await self._controlled(request, self._put_settings)
        return _json(asdict(self.settings))

    def _seconds(self) -> float:
        return self.settings.latency + self._jitter.random() * self.settings.jitter

    def _put_settings(self, given: Any) -> Response:
        self.settings = self.settings.changed(given)
        self.faults.seed = self.settings.seed
        if "seed" in given:
            self._jitter = random.Random(self.settings.seed)  # noqa: S311 (no secret)
        return _json(asdict(self.settings))

    async def _faults(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._controlled(request, self._post_fault)
        if request.method == "DELETE":
            self.faults.clear()
        return _json(self.faults.listed())

    def _post_fault(self, given: Any) -> Response:
        fault = Fault.from_json(given)
        return _json({"id": self.faults.add(fault), **fault.to_json()}, 201)

    async def _fault(self, request: Request) -> Response:
        if not self.faults.remove(request.path_params["number"]):
            return _json({"error": "no such fault"}, 404)
        return _json(self.faults.listed())

    async def _calls(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.ledger.clear()
        return _json(self.ledger.to_json())

    async def _reset(self, _: Request) -> Response:
        self.settings = self._first_settings
        self.faults.clear()
        self.faults.seed = self.settings.seed
        self.ledger.clear()
        self._batches.clear()
        return _json(asdict(self.settings))

    async def _controlled(self, request: Request, change: Callable[[Any], Response]) -> Response:
        try:
            return change(await _body(request))
        except InvalidFault as error:
            return _json({"error": str(error)}, 400)
        except ValueError:
            return _json({"error": "the body is not JSON"}, 400)


async def _body(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except RecursionError as error:
        raise ValueError("too deeply nested") from error


def _dump(payload: Any) -> bytes:
    return json.dumps(payload, separators=(",", ":")).encode()


def _json(payload: Any, status: int = 200) -> Response:
    return Response(_dump(payload), status, media_type="application/json")


def _refused(error: ProviderError) -> Response:
    return Response(_dump(error.payload), error.status, error.headers, media_type="application/json")


async def _wait_until(moment: float) -> None:
    if (left := moment - time.monotonic()) > 0:
        await asyncio.sleep(left)


async def _client_left(request: Request, seconds: float | None, hangs: Callable[[], bool]) -> bool:
    """Wait until the client goes away, for a number of seconds, or as long as a call hangs; whether it went."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    leaving = asyncio.ensure_future(gone())
    until = time.monotonic() + seconds if seconds is not None else float("inf")
    try:
        while not leaving.done() and hangs() and (left := until - time.monotonic()) > 0:
            await asyncio.wait({leaving}, timeout=min(left, _LOOK_SECONDS))
        return leaving.done()
    finally:
        leaving.cancel()


class ResetInMidBody(Response):
    """Sends half of a body and resets the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI's signature)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(self.body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        scope["extensions"][_RESET]()


class _ResettingProtocol(H11Protocol):
    """uvicorn's HTTP protocol, which also lets the app reset its connection."""

    def handle_events(self) -> None:
        super().handle_events()
        # The request's task has been made and hasn't run yet.
        if self.scope is not None:
            cast(dict[str, Any], self.scope)["extensions"] = {_RESET: self._reset}

    def _reset(self) -> None:
        connection = self.transport.get_extra_info("socket")
        # A linger of zero makes the close a reset (RST) and not an orderly end (FIN).
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class _Gate:
    """Lets no page of a browser in, and nobody who asks for another host: the control API needs no key.

    Args:
        app: what is behind it.
        hosts: the addresses that the server listens on.
    """

    def __init__(self, app: Starlette, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
            by_person = scope["method"] == "GET" and headers.get("sec-fetch-site") == "none"
            if not is_ours(headers.get("host"), self._hosts) or (is_from_browser(headers) and not by_person):
                await _json({"error": "the offline image API answers programs of this machine alone"}, 403)(
                    scope, receive, send
                )
                return
        await self._app(scope, receive, send)


class Server(uvicorn.Server):
    """One uvicorn server over one image API, on sockets that already listen; its URL is the first one's."""

    def __init__(
        self, api: ImageApi, listeners: list[socket.socket], on_ready: Callable[[str], None] | None = None
    ) -> None:
        super().__init__(
            uvicorn.Config(
                _Gate(api.app(), [listener.getsockname()[0] for listener in listeners]),
                http=_ResettingProtocol,
                ws="none",
                log_level="critical",
                # Hung calls never end by themselves; those in flight get a moment.
                timeout_graceful_shutdown=1,
            )
        )
        self._listeners = listeners
        self._on_ready = on_ready
        host, port = listeners[0].getsockname()[:2]
        self.base_url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer, and say so."""
        await super().startup(sockets)
        if self.started and self._on_ready:
            self._on_ready(self.base_url)

    def answer(self) -> None:
        """Answer calls until a signal or ``should_exit`` ends it."""
        self.run(sockets=self._listeners)


def listen(hosts: Iterable[str], port: int) -> list[socket.socket]:
    """Sockets that listen on one port; OSError if an address is taken. Port 0 is one that is free on the first host."""
    listeners: list[socket.socket] = []
    for host in hosts:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listeners.append(socket.create_server((host, port), family=family, backlog=1024))
        port = listeners[0].getsockname()[1]
    return listeners


@contextlib.contextmanager
def running(latency: float = 0.0, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """An image API in a thread of this process, for as long as the block runs; gives its base URL."""
    server = Server(ImageApi(latency), listen([host], port))
    # The socket listens already: a call that comes before the thread is ready waits in its backlog.
    thread = threading.Thread(target=server.answer, name="image-api", daemon=True)
    thread.start()
    try:
        yield server.base_url
    finally:
        server.should_exit = True
        thread.join()
