"""Real traffic for the demo: many users over many connections, in a thread of its own, with every answer checked and remembered."""

import asyncio
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from math import ceil
from typing import Self
from urllib.parse import urlsplit

from serving.cli.demo.connection import Connection, Response, post
from serving.cli.demo.errors import NothingHappened
from serving.cli.demo.material import Case
from serving.cli.demo.observations import LOST, Answer

PER_SECOND = 400
CONNECTIONS = 40
USERS = 499
"""A prime, so that every user comes to send everything to every family."""

STRIDE = 31
PATIENCE_S = 10.0
LOOK_S = 0.05
LIMIT_S = 60.0
TROUBLES = (OSError, EOFError, ValueError, KeyError, TimeoutError, asyncio.LimitOverrunError)


@dataclass(frozen=True, slots=True)
class Stream:
    """What is asked of one family."""

    family: str
    cases: Sequence[Case]


class Traffic:
    """Sends at a steady pace for as long as its `with` lasts. A slow answer delays only its own connection, and nothing is made up for."""

    def __init__(self, url: str, streams: Sequence[Stream]) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 0
        self._streams = streams
        self._answers: list[Answer] = []
        self._numbers = count()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="traffic", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    @property
    def answers(self) -> Sequence[Answer]:
        """All that came so far, in the order they came."""
        return list(self._answers)

    def since(self, moment: float, family: str) -> Sequence[Answer]:
        """The answers of one family to what was sent from a moment on."""
        return [answer for answer in self.answers if answer.family == family and answer.sent >= moment]

    def received_since(self, moment: float, family: str | None = None) -> Sequence[Answer]:
        """The answers, of one family or of all, that came from a moment on, whenever they were asked for."""
        return [answer for answer in self.answers if family in {None, answer.family} and answer.received >= moment]

    def watch(self, family: str, answers: int) -> Sequence[Answer]:
        """Wait for so many answers to what is sent from now on. Raises `NothingHappened`."""
        begun = time.monotonic()
        while True:
            seen = self.since(begun, family)
            if len(seen) >= answers:
                return seen
            if time.monotonic() - begun > LIMIT_S:
                raise NothingHappened(LIMIT_S, f"{answers} answers of {family}")
            time.sleep(LOOK_S)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as clients:
            for index in range(CONNECTIONS):
                clients.create_task(self._client(index))

    async def _client(self, index: int) -> None:
        period = CONNECTIONS / PER_SECOND
        due = time.monotonic() + period * index / CONNECTIONS
        connection = Connection(self._host, self._port)
        while not self._stopping.is_set():
            await asyncio.sleep(due - time.monotonic())
            await self._ask(connection, next(self._numbers))
            due = next_turn(due, period, time.monotonic())
        connection.close()

    async def _ask(self, connection: Connection, number: int) -> None:
        turn, which = divmod(number, len(self._streams))
        stream = self._streams[which]
        case = stream.cases[turn * STRIDE % len(stream.cases)]
        user = f"user-{number * STRIDE % USERS}"
        request = post(f"/v1/families/{stream.family}/predict", f"{self._host}:{self._port}", {"X-User-Id": user}, case.body)
        sent = time.monotonic()
        try:
            response = await connection.ask(request, PATIENCE_S)
        except TROUBLES:
            answer = Answer(stream.family, user, sent, time.monotonic(), LOST)
        else:
            answer = judge(response, case, Answer(stream.family, user, sent, time.monotonic(), response.status))
        self._answers.append(answer)


def next_turn(due: float, period: float, now: float) -> float:
    """When a client asks again: whole periods after its last turn, so that those who were late together do not stay together."""
    return due + period * max(1, ceil((now - due) / period))


def judge(response: Response, case: Case, answer: Answer) -> Answer:
    """The answer with who gave it, why, and whether it was right."""
    headers = response.headers
    return Answer(
        answer.family,
        answer.user,
        answer.sent,
        answer.received,
        response.status,
        headers.get("x-model-version", ""),
        headers.get("x-route-reason", ""),
        int(headers.get("x-route-epoch", "0")),
        is_right(response.body, case.truth),
    )


def is_right(body: bytes, truth: object) -> bool | None:
    """Whether an answer's label is the true one; None when it has no label."""
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document["label"] == truth if isinstance(document, dict) and "label" in document else None
