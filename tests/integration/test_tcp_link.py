import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from serving.dataplane import doors as doors_module
from serving.dataplane import introductions
from serving.dataplane.addresses import TcpAddress
from serving.dataplane.dialing import Dialer
from serving.dataplane.frames import encode_call
from serving.dataplane.handshake import ANSWER_BYTES, PROOF_BYTES, ClusterSecret, GatewayHandshake
from serving.dataplane.introductions import Refusals
from serving.dataplane.link_pool import LinkPool
from serving.dataplane.sockets import UNACKED_MS
from serving.dataplane.trust import LINKS, Certificate, LinkTrust, UnusableCertificate
from serving.dataplane.worker import Worker
from serving.ports import Call, CallKind
from tests.integration.links import DIGEST, OTHER, Caller, EchoEngine, at, until, worker_at

HOME = "127.0.0.1"
SECRET, OTHER_SECRET = ClusterSecret(b"s" * 32), ClusterSecret(b"o" * 32)
NAME = "digits@1.0.0"


class Version:
    """A worker with a door for other nodes."""

    def __init__(self, trust: LinkTrust, digest: str = DIGEST) -> None:
        self.engine = EchoEngine()
        self.refusals = Refusals("version")
        self.worker = Worker(self.engine, digest, asyncio.get_running_loop())
        self._trust = trust
        self.address = TcpAddress(HOME, 0)

    async def open(self) -> "Version":
        self.address = await self.worker.doors.open_tcp(HOME, self._trust, self.refusals)
        return self

    async def close(self) -> None:
        self.worker.close()
        await asyncio.sleep(0.02)  # the ends see the hang-up


def pool_with(trust: LinkTrust | None) -> tuple[LinkPool, Refusals]:
    loop, refusals = asyncio.get_running_loop(), Refusals("gateway")
    return LinkPool(loop, loop.time, dialer=Dialer(loop, trust, refusals)), refusals


def certificate(folder: Path, name: str) -> Certificate:
    """A self-signed certificate, as docs/cluster.md has it made."""
    openssl = shutil.which("openssl")
    assert openssl, "these tests make certificates with openssl"
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    subprocess.run([openssl, *kind, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return Certificate(cert, key)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Certificate, Certificate]:
    folder = tmp_path_factory.mktemp("certificates")
    return certificate(folder, "links"), certificate(folder, "middle")


@pytest.fixture(params=["plain", "tls"])
def trust(request: pytest.FixtureRequest, certificates: tuple[Certificate, Certificate]) -> LinkTrust:
    return LinkTrust.of(SECRET, certificates[0] if request.param == "tls" else None)


@pytest.fixture
async def version(trust: LinkTrust) -> AsyncIterator[Version]:
    version = await Version(trust).open()
    yield version
    await version.close()


async def test_calls_cross_nodes_once_both_ends_have_proven_themselves(version: Version, trust: LinkTrust) -> None:
    pool, refusals = pool_with(trust)
    pool.set_replicas(DIGEST, NAME, [version.address])

    replies = await asyncio.gather(*(Caller(pool).call(b"%d" % number) for number in range(32)))

    assert [reply.body for reply in replies] == [b"%d" % number for number in range(32)]
    assert (refusals.count, version.refusals.count) == (0, 0)
    pool.close()


async def test_a_large_call_and_its_answer_arrive_whole(version: Version, trust: LinkTrust) -> None:
    pool, _ = pool_with(trust)
    pool.set_replicas(DIGEST, NAME, [version.address])
    body = bytes(range(256)) * (2**14)

    reply = await Caller(pool).call(body, timeout=20)

    assert reply.body == body
    pool.close()


async def test_of_two_idle_replicas_the_one_on_the_own_node_is_asked(version: Version, trust: LinkTrust, tmp_path: Path) -> None:
    pool, _ = pool_with(trust)
    near, engine = await worker_at(tmp_path / "near")
    pool.set_replicas(DIGEST, NAME, [version.address])
    await until(lambda: pool.replicas(DIGEST) == 1)
    pool.set_replicas(DIGEST, NAME, [version.address, at(tmp_path / "near")])
    await until(lambda: pool.replicas(DIGEST) == 2)

    for _ in range(10):
        await Caller(pool).call()
    alone = (sum(engine.batches), sum(version.engine.batches))
    await asyncio.gather(*(Caller(pool).call() for _ in range(21)))

    assert alone == (10, 0)
    assert sum(version.engine.batches) == 10  # and where there is more to do, both work
    pool.close()
    near.close()


async def test_a_gateway_without_the_secret_gets_no_link_and_both_ends_count_and_log_it_once(certificates: object) -> None:
    del certificates
    version = await Version(LinkTrust.of(SECRET)).open()
    with capture_logs() as logs:
        pool, refusals = pool_with(LinkTrust.of(OTHER_SECRET))
        pool.set_replicas(DIGEST, NAME, [version.address])

        await until(lambda: refusals.count >= 3 and version.refusals.count >= 3)

    assert pool.replicas(DIGEST) == 0
    assert version.engine.batches == []
    assert sorted(entry["end"] for entry in logs if entry["event"] == "link_refused") == ["gateway", "version"]
    pool.close()
    await version.close()


async def test_a_version_of_another_bundle_is_not_linked(trust: LinkTrust) -> None:
    version = await Version(trust, digest=OTHER).open()
    pool, refusals = pool_with(trust)
    pool.set_replicas(DIGEST, NAME, [version.address])

    await until(lambda: refusals.count >= 1 and version.refusals.count >= 1)

    assert pool.replicas(DIGEST) == 0
    pool.close()
    await version.close()


async def test_a_gateway_with_no_secret_at_all_dials_no_other_node() -> None:
    pool, refusals = pool_with(None)
    pool.set_replicas(DIGEST, NAME, [TcpAddress(HOME, 9)])

    await until(lambda: refusals.count >= 1)

    pool.close()


async def test_no_frame_is_read_before_the_handshake_is_over() -> None:
    version = await Version(LinkTrust.of(SECRET)).open()
    reader, writer = await asyncio.open_connection(HOME, version.address.port)

    writer.write(encode_call(1, Call(CallKind.INFER, DIGEST, b"let me in")))

    assert await reader.read() == b""
    assert version.engine.batches == []
    assert version.refusals.count == 1
    writer.close()
    await version.close()


async def test_a_frame_that_comes_in_place_of_the_proof_is_not_read() -> None:
    version = await Version(LinkTrust.of(SECRET)).open()
    reader, writer = await asyncio.open_connection(HOME, version.address.port)
    writer.write(GatewayHandshake(OTHER_SECRET.key(LINKS), DIGEST).hello)
    assert len(await reader.readexactly(ANSWER_BYTES)) == ANSWER_BYTES

    writer.write(bytes(PROOF_BYTES) + encode_call(1, Call(CallKind.INFER, DIGEST, b"let me in")))

    assert await reader.read() == b""
    assert version.engine.batches == []
    writer.close()
    await version.close()


async def test_frames_that_arrive_together_with_the_proof_are_read() -> None:
    version = await Version(LinkTrust.of(SECRET)).open()
    reader, writer = await asyncio.open_connection(HOME, version.address.port)
    handshake = GatewayHandshake(SECRET.key(LINKS), DIGEST)
    writer.write(handshake.hello)
    answer = await reader.readexactly(ANSWER_BYTES)

    writer.write(handshake.proof(answer) + encode_call(1, Call(CallKind.INFER, DIGEST, b"early")))

    assert (await reader.readexactly(8 + 8 + 3 + 4 + len(b"early"))).endswith(b"early")
    writer.close()
    await version.close()


async def test_who_says_nothing_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(introductions, "HANDSHAKE_S", 0.05)
    version = await Version(LinkTrust.of(SECRET)).open()
    reader, writer = await asyncio.open_connection(HOME, version.address.port)

    assert await asyncio.wait_for(reader.read(), 2) == b""
    assert version.refusals.count == 1
    writer.close()
    await version.close()


async def test_a_crowd_of_strangers_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors_module, "STRANGERS_MOST", 2)
    version = await Version(LinkTrust.of(SECRET)).open()
    strangers = [await asyncio.open_connection(HOME, version.address.port) for _ in range(2)]
    await asyncio.sleep(0.02)

    reader, writer = await asyncio.open_connection(HOME, version.address.port)

    assert await asyncio.wait_for(reader.read(), 2) == b""
    for _, stranger in [*strangers, (reader, writer)]:
        stranger.close()
    await version.close()


async def test_someone_in_the_middle_with_another_certificate_is_found_out(certificates: tuple[Certificate, Certificate]) -> None:
    # Given a proxy that ends TLS on both sides, and passes on every byte of the handshake.
    own, middle = (LinkTrust.of(SECRET, each) for each in certificates)
    version = await Version(own).open()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward = await asyncio.open_connection(HOME, version.address.port, ssl=own.dialling)
        onward.write(await reader.read(1000))
        writer.write(await onward_reader.read(1000))
        await reader.read(1000)
        onward.close()
        writer.close()

    proxy = await asyncio.start_server(pass_on, HOME, 0, ssl=middle.listening)
    pool, refusals = pool_with(own)

    pool.set_replicas(DIGEST, NAME, [TcpAddress(HOME, proxy.sockets[0].getsockname()[1])])
    await until(lambda: refusals.count >= 1)

    assert pool.replicas(DIGEST) == 0
    pool.close()
    proxy.close()
    await version.close()


async def test_a_door_with_tls_lets_nobody_in_without_it(certificates: tuple[Certificate, Certificate]) -> None:
    version = await Version(LinkTrust.of(SECRET, certificates[0])).open()
    pool, refusals = pool_with(LinkTrust.of(SECRET))

    pool.set_replicas(DIGEST, NAME, [version.address])
    await until(lambda: refusals.count >= 1)

    assert pool.replicas(DIGEST) == 0
    pool.close()
    await version.close()


def test_tls_is_of_the_newest_kind_and_a_wrong_key_is_named(certificates: tuple[Certificate, Certificate], tmp_path: Path) -> None:
    trust = LinkTrust.of(SECRET, certificates[0])

    assert trust.listening is not None
    assert trust.listening.minimum_version is ssl.TLSVersion.TLSv1_3
    with pytest.raises(UnusableCertificate, match="middle"):
        LinkTrust.of(SECRET, Certificate(certificates[0].certificate, certificates[1].key))
    with pytest.raises(UnusableCertificate, match="absent"):
        LinkTrust.of(SECRET, Certificate(tmp_path / "absent", tmp_path / "absent"))


async def test_the_kernel_ends_connections_to_nodes_that_are_gone() -> None:
    version = await Version(LinkTrust.of(SECRET)).open()
    pool, _ = pool_with(LinkTrust.of(SECRET))
    pool.set_replicas(DIGEST, NAME, [version.address])
    await until(lambda: pool.replicas(DIGEST) == 1)

    [link] = version.worker.links
    assert link.transport is not None
    accepted: socket.socket = link.transport.get_extra_info("socket")

    assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == UNACKED_MS
    assert accepted.getsockname()[0] == HOME
    pool.close()
    await version.close()
