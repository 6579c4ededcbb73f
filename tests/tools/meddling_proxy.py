"""An HTTP server that stands before another one and meddles: `meddle` says of each request whether to answer it in the other's place."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import httpx

UNREPEATED = frozenset({"connection", "transfer-encoding", "content-encoding", "keep-alive"})


def nothing() -> None:
    """What mostly is done."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """What is answered in the other's place. `after`: the other is asked as well, first; `then`: what is done before it is answered."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    after: bool = False
    then: Callable[[], None] = nothing


Meddle = Callable[[Asked], Answered | None]


class MeddlingProxy:
    """Use it as a context; `asked` holds every request in the order they came. `unsent`: headers that the other never sees."""

    def __init__(self, target: str, meddle: Meddle, unsent: frozenset[str] = frozenset()) -> None:
        self._target, self._meddle, self._unsent = target, meddle, unsent | UNREPEATED
        self.asked: list[Asked] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._client = httpx.Client(follow_redirects=False, timeout=30, trust_env=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._client.close()

    def _answer(self, asked: Asked) -> Answered:
        self.asked.append(asked)
        instead = self._meddle(asked)
        if instead is not None and not instead.after:
            return instead
        forwarded = self._forward(asked)
        if instead is None:
            return forwarded
        instead.then()
        return instead

    def _forward(self, asked: Asked) -> Answered:
        headers = {name: value for name, value in asked.headers.items() if name.lower() not in self._unsent}
        answer = self._client.request(asked.method, f"{self._target}{asked.path}", headers=headers, content=asked.body)
        return Answered(
            answer.status_code, answer.content, {name: value for name, value in answer.headers.items() if name.lower() not in UNREPEATED}
        )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                answered = proxy._answer(
                    Asked(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, self.rfile.read(length))
                )
                self.send_response_only(answered.status)
                for name, value in answered.headers.items():
                    if name.lower() != "content-length" or self.command == "HEAD":
                        self.send_header(name, value)
                if self.command != "HEAD":
                    self.send_header("Content-Length", str(len(answered.body)))
                self.end_headers()
                if self.command != "HEAD":
                    with suppress(ConnectionError):  # whoever asked has seen enough, or is dead
                        self.wfile.write(answered.body)

            do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - the names of the base

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler
