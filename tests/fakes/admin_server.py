"""The admin API and a public listener on real sockets, each in a thread, for programs that speak HTTP."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from registry_client.versions import ModelVersion
from serving.core.routing import Target
from serving.ports import LoadState, LoadStatus
from serving.stores.encoding import record_from_document
from tests.fakes.store import FakeStore

DEADLINE = 10.0


class SelfLoadingStore(FakeStore):
    """Plays the controller too: what is tagged candidate is LOADING at the first look at the board, and then READY, or FAILED."""

    fails: frozenset[ModelVersion] = frozenset()
    hangs: frozenset[ModelVersion] = frozenset()

    async def read(self) -> Sequence[LoadStatus]:
        known = {status.target for status in self.state.board}
        self.state.board = [self._later(status) for status in self.state.board]
        for family, document in self.state.documents.items():
            record = record_from_document(family, document)
            for version in record.aspired():
                target = Target(family, version, record.digests[version])
                if target not in known:
                    self.state.board = [*self.state.board, LoadStatus(target, LoadState.LOADING)]
        return await super().read()

    def _later(self, status: LoadStatus) -> LoadStatus:
        version = status.target.version
        if status.state is not LoadState.LOADING or version in self.hangs:
            return status
        if version in self.fails:
            return replace(status, state=LoadState.FAILED, detail="2 of 3 golden examples failed")
        return replace(status, state=LoadState.READY, replicas=1)


class PublicListener:
    """Answers predictions with the request it got, and says how it was routed."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any, str | None]] = []
        self.refusal: tuple[int, dict[str, str]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        path = scope["raw_path"].decode()
        self.seen.append((path, await request.json(), request.headers.get("x-user-id")))
        headers = {"X-Model-Version": "1.0.0", "X-Route-Reason": "production", "X-Route-Epoch": "3"}
        response = JSONResponse({"label": "7"}, headers=headers)
        if self.refusal is not None:
            response = JSONResponse(self.refusal[1], self.refusal[0])
        await response(scope, receive, send)


@contextmanager
def served(app: Callable[..., Any]) -> Iterator[str]:
    """An ASGI application on a loopback port of its own; its URL.

    Nobody waits for its end: uvicorn sleeps for two tenths of a second then, and hundreds of tests have a server each.
    """
    listening = socket.socket()  # uvicorn's to close
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, ws="none", lifespan="off", access_log=False, log_level="critical", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, kwargs={"sockets": [listening]}).start()
    try:
        _await(lambda: server.started)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.005)
