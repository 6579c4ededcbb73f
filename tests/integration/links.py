"""What tests of the links share: engines, callers, and a replica that can fall silent."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from serving.dataplane.addresses import Address, UnixAddress
from serving.dataplane.frames import GREETING, FrameReader, encode_reply
from serving.dataplane.link_pool import LinkPool
from serving.dataplane.worker import Worker
from serving.ports import Call, CallKind, Reply

DIGEST, OTHER = "ab" * 32, "cd" * 32


class EchoEngine:
    """Answers each call with its own body and how many calls ran together."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def run(self, calls: Sequence[Call]) -> Sequence[Reply]:
        self.batches.append(len(calls))
        return [Reply(200, call.body) for call in calls]


class Caller:
    """Sends calls and gathers the replies."""

    def __init__(self, pool: LinkPool) -> None:
        self._pool = pool
        self._loop = asyncio.get_running_loop()

    def call(self, body: bytes = b"x", *, digest: str = DIGEST, timeout: float = 5.0, patient: bool = True) -> asyncio.Future[Reply]:
        waiting: asyncio.Future[Reply] = self._loop.create_future()
        self._pool.invoke(Call(CallKind.INFER, digest, body), time.monotonic() + timeout, waiting.set_result, patient=patient)
        return waiting


class Sleeper:
    """A replica that greets and takes calls, and answers them, by its name, only while it is awake."""

    def __init__(self, name: bytes, *, awake: bool = False) -> None:
        self.name = name
        self.awake = awake
        self.taken = 0
        self.writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def listen(self, path: Path) -> Address:
        self._server = await asyncio.start_unix_server(self._serve, path)
        return UnixAddress(str(path))

    def close(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        writer.write(GREETING)
        frames = FrameReader()
        while data := await reader.read(65536):
            for number, _ in frames.feed(data):
                self.taken += 1
                if self.awake:
                    writer.write(encode_reply(number, Reply(200, self.name)))
        writer.close()


def at(path: Path) -> Address:
    return UnixAddress(str(path))


async def worker_at(path: Path, *, digest: str = DIGEST) -> tuple[Worker, EchoEngine]:
    engine = EchoEngine()
    worker = Worker(engine, digest, asyncio.get_running_loop())
    await worker.doors.open_unix(path)
    return worker, engine


async def until(claim: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not claim():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.005)
