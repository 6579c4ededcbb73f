"""What a link costs by its kind: unix socket, TCP, TCP with TLS; a gateway's end and a version's in processes of their own.

python -m benchmarks.links       prints calls per second and latency of each, in one run
"""

import asyncio
import multiprocessing
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

from serving.dataplane.addresses import Address, UnixAddress
from serving.dataplane.dialing import Dialer
from serving.dataplane.handshake import ClusterSecret
from serving.dataplane.introductions import Refusals
from serving.dataplane.link_pool import LinkPool
from serving.dataplane.trust import Certificate, LinkTrust
from serving.dataplane.worker import Worker
from serving.ports import Call, CallKind, Reply

DIGEST = "ab" * 32
SECRET = ClusterSecret(b"s" * 32)
KINDS = ("unix", "tcp", "tls")
SECONDS = 2.0
ROUNDS = 3
LOADS = ((1, 512), (64, 512), (64, 65_536))
"""Calls under way at once, and bytes of each and of its answer."""


class Echo:
    """Answers with what it was asked."""

    def run(self, calls: Sequence[Call]) -> Sequence[Reply]:
        """Give every body back."""
        return [Reply(200, call.body) for call in calls]


@dataclass(frozen=True)
class Figure:
    """What was measured of one kind under one load."""

    calls_per_s: float
    p50_us: float
    p99_us: float


def make_certificate(folder: Path) -> Certificate:
    made = Certificate(folder / "links.crt", folder / "links.key")
    kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=links"]
    subprocess.run(["openssl", *kind, "-keyout", made.key, "-out", made.certificate], check=True, capture_output=True)
    return made


def serve(kind: str, certificate: Certificate, path: Path, tell: Connection) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        worker = Worker(Echo(), DIGEST, loop)
        if kind == "unix":
            await worker.doors.open_unix(path)
            tell.send(UnixAddress(str(path)))
        else:
            trust = LinkTrust.of(SECRET, certificate if kind == "tls" else None)
            tell.send(await worker.doors.open_tcp("127.0.0.1", trust, Refusals("version")))
        await asyncio.Event().wait()

    uvloop.run(run())


async def measure(address: Address, trust: LinkTrust, callers: int, size: int) -> Figure:
    loop = asyncio.get_running_loop()
    pool = LinkPool(loop, time.monotonic, dialer=Dialer(loop, trust))
    pool.set_replicas(DIGEST, "echo", [address])
    body, taken, until = bytes(size), list[float](), time.monotonic() + SECONDS

    async def caller() -> None:
        while (began := time.monotonic()) < until:
            answer: asyncio.Future[Reply] = loop.create_future()
            pool.invoke(Call(CallKind.INFER, DIGEST, body), began + 10, answer.set_result, patient=True)
            reply = await answer
            if len(reply.body) != size:
                raise AssertionError(reply)
            taken.append(time.monotonic() - began)

    await asyncio.gather(*(caller() for _ in range(callers)))
    pool.close()
    ordered = sorted(taken)
    return Figure(len(taken) / SECONDS, ordered[len(taken) // 2] * 1e6, ordered[len(taken) * 99 // 100] * 1e6)


def best(figures: Sequence[Figure]) -> Figure:
    return max(figures, key=lambda figure: figure.calls_per_s)


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="pm-links-"))
    certificate = make_certificate(folder)
    processes: dict[str, tuple[multiprocessing.Process, Address]] = {}
    try:
        for kind in KINDS:
            here, there = multiprocessing.Pipe()
            process = multiprocessing.Process(target=serve, args=(kind, certificate, folder / "s", there), daemon=True)
            process.start()
            processes[kind] = process, here.recv()
        print("callers   bytes  kind    calls/s   p50 us   p99 us   to unix")
        for callers, size in LOADS:
            found: dict[str, list[Figure]] = {kind: [] for kind in KINDS}
            for _ in range(ROUNDS):  # in turn, so that what disturbs the machine disturbs all of them
                for kind in KINDS:
                    trust = LinkTrust.of(SECRET, certificate if kind == "tls" else None)
                    found[kind].append(uvloop.run(measure(processes[kind][1], trust, callers, size)))
            unix = best(found["unix"]).calls_per_s
            for kind in KINDS:
                one = best(found[kind])
                row = f"{callers:7}  {size:6}  {kind:5}  {one.calls_per_s:9,.0f}  {one.p50_us:7,.0f}  {one.p99_us:7,.0f}"
                print(f"{row}  {one.calls_per_s / unix:7.2f}x")
    finally:
        for process, _ in processes.values():
            process.kill()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
