"""An open-loop client: sends at a steady rate whatever the answers do, each request on a free keep-alive connection or a new one.

A program, run in a process of its own by `load.py`: its plan stands on the first line of stdin, it tells its progress several times a
second on stdout, and its report last, once it is told to stop (SIGTERM).
"""

import asyncio
import json
import select
import signal
import sys
import time
from collections import Counter
from itertools import cycle, zip_longest
from typing import Any

import uvloop

TELL_S = 0.1
LAST_ANSWER_S = 60.0
EXAMPLES = 5

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Load:
    """Everything that is sent, and everything that comes of it."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.host, self.port = str(plan["host"]), int(plan["port"])
        self.rate = float(plan["rate"])
        posts = [_render(plan["path"], body, number) for number, body in enumerate(plan["bodies"])]
        self.is_rating = bool(plan["truths"])
        self.requests = cycle(zip_longest(posts, plan["truths"]))
        self.idle: list[Stream] = []
        self.under_way: set[asyncio.Task[None]] = set()
        self.stopping = asyncio.Event()
        self.sent = 0
        self.latencies: list[float] = []
        self.versions: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.last_sent: dict[str, float] = {}
        self.first_reasons: dict[str, float] = {}
        self.failures: list[str] = []
        self.behind = 0.0
        self.rated = 0

    async def run(self) -> None:
        telling = asyncio.create_task(self._tell())
        started = time.monotonic()
        while not self.stopping.is_set():
            due = started + self.sent / self.rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.behind = max(self.behind, time.monotonic() - due)
            self.sent += 1
            task = asyncio.create_task(self._ask(*next(self.requests)))
            self.under_way.add(task)
            task.add_done_callback(self.under_way.discard)
        if self.under_way:
            await asyncio.wait(self.under_way, timeout=LAST_ANSWER_S)
        telling.cancel()
        _print(self.report())

    async def _ask(self, request: bytes, truth: object) -> None:
        began = time.monotonic()
        try:
            stream = self.idle.pop() if self.idle else await asyncio.open_connection(self.host, self.port)
            status, headers, body = await _exchange(stream, request)
        except (OSError, EOFError) as error:
            self.failures.append(repr(error))
            return
        self.idle.append(stream)
        self.latencies.append(time.monotonic() - began)
        if status != 200:
            self.failures.append(f"{status} {body[:200]!r}")
            return
        version = headers["x-model-version"]
        self.versions[version] += 1
        self.reasons[headers["x-route-reason"]] += 1
        self.first_reasons.setdefault(headers["x-route-reason"], time.monotonic())
        self.last_sent[version] = max(began, self.last_sent.get(version, 0.0))
        if self.is_rating:
            await self._rate(headers["x-request-id"], float(json.loads(body)["label"] == truth))

    async def _rate(self, request_id: str, score: float) -> None:
        rating = _render("/v1/feedback", json.dumps({"request_id": request_id, "score": score}), 0)
        try:
            stream = self.idle.pop() if self.idle else await asyncio.open_connection(self.host, self.port)
            status, _, body = await _exchange(stream, rating)
        except (OSError, EOFError) as error:
            self.failures.append(f"rating: {error!r}")
            return
        self.idle.append(stream)
        if status != 202:
            self.failures.append(f"rating: {status} {body[:200]!r}")
            return
        self.rated += json.loads(body)["outcome"] == "counted"

    async def _tell(self) -> None:
        while True:
            # Whoever does not read for a minute must not hold up what is sent.
            if select.select([], [sys.stdout], [], 0)[1]:
                _print(self.progress())
            await asyncio.sleep(TELL_S)

    def progress(self) -> dict[str, Any]:
        counts = {"sent": self.sent, "answered": len(self.latencies), "failed": len(self.failures)}
        return {"done": False, "at": time.monotonic(), **counts, "last_sent": self.last_sent}

    def report(self) -> dict[str, Any]:
        ordered = sorted(self.latencies) or [0.0]
        return {
            **self.progress(),
            "done": True,
            "unanswered": len(self.under_way),
            "failures": self.failures[:EXAMPLES],
            "versions": self.versions,
            "reasons": self.reasons,
            "first_reasons": self.first_reasons,
            "p50_ms": ordered[len(ordered) // 2] * 1000,
            "p99_ms": ordered[len(ordered) * 99 // 100] * 1000,
            "max_ms": ordered[-1] * 1000,
            "behind_ms": self.behind * 1000,
            "rated": self.rated,
        }


def _render(path: str, body: str, number: int) -> bytes:
    content = body.encode()
    return f"POST {path} HTTP/1.1\r\nHost: gateway\r\nX-User-Id: user-{number}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


async def _exchange(stream: Stream, request: bytes) -> tuple[int, dict[str, str], bytes]:
    reader, writer = stream
    writer.write(request)
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(status.split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


def _print(document: dict[str, Any]) -> None:
    print(json.dumps(document), flush=True)  # noqa: T201 - a program's output


async def main() -> None:
    load = Load(json.loads(sys.stdin.readline()))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, load.stopping.set)
    await load.run()


uvloop.run(main())
