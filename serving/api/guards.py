"""The door of the admin listener: who may knock (Host, Origin) and with what (JSON, of a small size).

A browser on the operator's machine reaches loopback too, so a page from elsewhere must not be able to change a route:
a foreign Host (DNS rebinding), a foreign Origin and any content type a form can send are turned away.
"""

import asyncio
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.problems import problem

MAX_BODY: Final = 64 * 1024
"""Bytes; the longest honest change is a reason of 500 characters."""

BODY_SECONDS: Final = 10.0
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def is_loopback(name: str) -> bool:
    """Whether a host name can only mean this machine."""
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def hostname(authority: str) -> str:
    """The name in `name`, `name:port` or `[v6]:port`, lower case; empty when it is none of them."""
    try:
        parts = urlsplit(f"//{authority}")
        _ = parts.port
        name = parts.hostname or ""
    except ValueError:
        return ""
    return "" if parts.username is not None or parts.path or parts.query or parts.fragment else name


class AdminGuard:
    """ASGI middleware before everything else. `hosts`: names allowed beside loopback."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str] = frozenset()) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what may not pass, hand on the rest with its body read."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._host(headers) or _origin(scope["method"], headers)
        body = b"" if refusal else await _read(receive)
        if body is None:
            refusal = problem(413, f"the body is larger than {MAX_BODY} bytes or did not arrive in {BODY_SECONDS:.0f} s")
        elif body and not refusal:
            refusal = _content_type(headers)
        await (refusal or self._app)(scope, _replay(body or b"", receive), _unsniffable(send))

    def _host(self, headers: Headers) -> Response | None:
        given = headers.getlist("host")
        name = hostname(given[0]) if len(given) == 1 else ""
        if is_loopback(name) or name in self._hosts:
            return None
        return problem(421, "this listener does not answer for that Host", "reach it as 127.0.0.1, or name the host in the configuration")


def _origin(method: str, headers: Headers) -> Response | None:
    if method in SAFE:
        return None
    origins, host = headers.getlist("origin"), headers.get("host", "").lower()
    same = all(origin.lower() in {f"http://{host}", f"https://{host}"} for origin in origins)
    if same and headers.get("sec-fetch-site", "none") in {"same-origin", "none"}:
        return None
    return problem(403, "changes are not taken from another origin", "use the CLI, or a page served by this listener")


def _content_type(headers: Headers) -> Response | None:
    kind, _, parameter = headers.get("content-type", "").lower().partition(";")
    if kind.strip() == "application/json" and parameter.strip() in {"", "charset=utf-8"}:
        return None
    return problem(415, "the body must be application/json")


async def _read(receive: Receive) -> bytes | None:
    """The whole body, or None when it is too large or too slow."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                body += message.get("body", b"")
                if len(body) > MAX_BODY:
                    return None
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        return None


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _unsniffable(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Cache-Control"] = "no-store"
        await send(message)

    return guarded
