"""The relay's HTTP routes (wire.md §8). One task a request, so that a slow one keeps nobody waiting.

| request              | answers                                              |
|----------------------|------------------------------------------------------|
| GET /health          | 200, 503 degraded or shutting down; figures to few   |
| GET /metrics         | Prometheus text; 404 outside `server.metrics_allow`  |
| POST /invite         | 201; 400, 409, 413, 415, 429, 503                    |
| GET /invite/{key}    | 200 and gone; 404, 429                               |
| DELETE /invite/{key} | 204; 404, 429                                        |
| another method       | 405                                                  |
| / or /sync           | 426: these are WebSockets                            |
| another path         | 404                                                  |
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import msgspec
import trio

from ferryman.actors.core.context import Context
from ferryman.actors.core.messages import Ask, Envelope
from ferryman.actors.rate_limiter import Spend
from ferryman.actors.relay.heads import Request, Response
from ferryman.actors.relay.invites import CancelInvite, FetchInvite, Posted, PostInvite
from ferryman.actors.relay.metrics import Metrics
from ferryman.actors.relay.settings import Settings
from ferryman.actors.relay.sources import is_within, source_of
from ferryman.protocol.errors import AppError

LIMITER = "/infrastructure/rate_limiter"
INVITES = "/infrastructure/invites"
PAYLOAD_BYTES = 4 * 1024
NO_STORE = ("Cache-Control", "no-store")
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class InviteBody(msgspec.Struct, frozen=True):
    lookup_key: str
    encrypted_payload: str


@dataclass(frozen=True, slots=True)
class Answer(Ask[Response]):
    """`client`: the address that the request comes from, as far as proxies are believed."""

    request: Request
    client: str


def http(
    settings: Settings,
    metrics: Metrics,
    mailboxes: Callable[[], Mapping[str, int]],
    report: Callable[[str, BaseException], None],
    *,
    version: str,
    started: float,
    now: Callable[[], int],
) -> Callable[[Context[Any]], Awaitable[None]]:
    """The actor's body. `mailboxes`: waiting messages by kind of actor. `started`: Trio's time of the relay's start.

    `now`: UNIX seconds; /health says them, so that a device can tell whether its clock is right."""

    async def body(ctx: Context[Any]) -> None:
        routes = Routes(ctx, settings, metrics, mailboxes, report, version, started, now)
        async for env in ctx:
            ctx.tasks.start_soon(routes.answer, env)

    return body


class Routes:
    def __init__(
        self,
        ctx: Context[Any],
        settings: Settings,
        metrics: Metrics,
        mailboxes: Callable[[], Mapping[str, int]],
        report: Callable[[str, BaseException], None],
        version: str,
        started: float,
        now: Callable[[], int],
    ) -> None:
        self._ctx = ctx
        self._settings = settings
        self._metrics = metrics
        self._mailboxes = mailboxes
        self._report = report
        self._version = version
        self._started = started
        self._now = now

    async def answer(self, env: Envelope[Answer]) -> None:
        try:
            env.reply(await self._route(env.msg.request, env.msg.client))
        except AppError:  # whoever we asked crashed, stopped or has no room: nothing happened, or nobody knows
            env.reply(Response(HTTPStatus.SERVICE_UNAVAILABLE, headers=(("Retry-After", "1"),)))
        except Exception as error:  # noqa: BLE001 - our bug, found by a stranger: it must not become everybody's
            self._report("http", error)
            env.reply(Response(HTTPStatus.INTERNAL_SERVER_ERROR))

    async def _route(self, request: Request, client: str) -> Response:
        match request.path.split("/")[1:]:
            case ["health"]:
                return self._health(client) if request.method == "GET" else not_allowed("GET")
            case ["metrics"] if is_within(client, self._settings.metrics_allow):
                return self._show_metrics() if request.method == "GET" else not_allowed("GET")
            case ["invite"]:
                return await self._post(request, client) if request.method == "POST" else not_allowed("POST")
            case ["invite", key]:
                return await self._invite(request, unquote(key), client)
            case [""] | ["sync"]:
                headers = (("Upgrade", "websocket"), ("Connection", "Upgrade"))
                return Response(HTTPStatus.UPGRADE_REQUIRED, headers=headers)
            case _:
                return Response(HTTPStatus.NOT_FOUND)

    def _health(self, client: str) -> Response:
        metrics = self._metrics
        status = metrics.state
        said: dict[str, object] = {"status": status}
        if is_within(client, self._settings.metrics_allow):
            said |= {
                "version": self._version,
                "connections": metrics.connections_active,
                "groups": metrics.groups,
                "blobs_buffered": metrics.blobs_buffered,
                "uptime_seconds": int(trio.current_time() - self._started),
            }
        date = ("Date", formatdate(self._now(), usegmt=True))
        return json(HTTPStatus.OK if status == "ok" else HTTPStatus.SERVICE_UNAVAILABLE, said, date)

    def _show_metrics(self) -> Response:
        text = self._metrics.text(self._mailboxes())
        return Response(HTTPStatus.OK, text.encode(), METRICS_TYPE)

    async def _post(self, request: Request, client: str) -> Response:
        kind = (request.header(b"content-type") or "").partition(";")[0].strip().lower()
        if kind != "application/json":
            return Response(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        late = await self._spend("invite_posts", client)
        if late is not None:
            return late
        try:
            invite = msgspec.json.decode(request.body, type=InviteBody)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Response(HTTPStatus.BAD_REQUEST)
        if len(invite.encrypted_payload.encode()) > PAYLOAD_BYTES:
            return Response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        match await self._ctx.ref(INVITES).ask(PostInvite(invite.lookup_key, invite.encrypted_payload)):
            case Posted(expires_at, token):
                return json(HTTPStatus.CREATED, {"expires_at": expires_at, "revoke_token": token}, NO_STORE)
            case "taken":
                return Response(HTTPStatus.CONFLICT)
            case "full":
                return Response(HTTPStatus.SERVICE_UNAVAILABLE, headers=(("Retry-After", "60"),))
            case _:
                return Response(HTTPStatus.BAD_REQUEST)

    async def _invite(self, request: Request, key: str, client: str) -> Response:
        if request.method not in ("GET", "DELETE"):
            return not_allowed("GET, DELETE")
        late = await self._spend("invite_gets", client)  # a guess is a guess, and each is a transaction
        if late is not None:
            return late
        if request.method == "DELETE":
            return await self._revoke(request, key)
        payload = await self._ctx.ref(INVITES).ask(FetchInvite(key))
        if payload is None:
            return Response(HTTPStatus.NOT_FOUND, headers=(NO_STORE,))
        return json(HTTPStatus.OK, {"encrypted_payload": payload}, NO_STORE)

    async def _revoke(self, request: Request, key: str) -> Response:
        scheme, _, token = (request.header(b"authorization") or "").partition(" ")
        held = scheme.lower() == "bearer" and token.strip() != ""
        gone = held and await self._ctx.ref(INVITES).ask(CancelInvite(key, token.strip()))
        return Response(HTTPStatus.NO_CONTENT if gone else HTTPStatus.NOT_FOUND)

    async def _spend(self, bucket: str, client: str) -> Response | None:
        verdict = await self._ctx.ref(LIMITER).ask(Spend(bucket, source_of(client)))
        if verdict.allowed:
            return None
        return Response(HTTPStatus.TOO_MANY_REQUESTS, headers=(retry_after(verdict.retry_after_ms), NO_STORE))


def json(status: HTTPStatus, said: Mapping[str, object], *headers: tuple[str, str]) -> Response:
    return Response(status, msgspec.json.encode(said), headers=headers)


def not_allowed(allowed: str) -> Response:
    return Response(HTTPStatus.METHOD_NOT_ALLOWED, headers=(("Allow", allowed),))


def retry_after(retry_after_ms: int) -> tuple[str, str]:
    return "Retry-After", str(-(-retry_after_ms // 1000))
