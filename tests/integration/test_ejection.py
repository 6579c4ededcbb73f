import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from serving.dataplane import link as link_module
from serving.dataplane.frames import GREETING, encode_call
from serving.dataplane.link import EJECTED_AFTER, WRITE_HIGH
from serving.dataplane.link_pool import LinkPool
from serving.dataplane.worker import Worker
from serving.ports import Call, CallKind, Failure
from tests.integration.links import DIGEST, Caller, EchoEngine, Sleeper, at, until, worker_at

NAME = "digits@1.0.0"
SHORT = 0.05


@pytest.fixture
async def pool() -> AsyncIterator[LinkPool]:
    links = LinkPool(asyncio.get_running_loop(), time.monotonic)
    yield links
    links.close()
    await asyncio.sleep(0.02)  # the servers' ends see the hang-up


@pytest.fixture
async def sleeper(tmp_path: Path, pool: LinkPool) -> AsyncIterator[Sleeper]:
    """A replica that does not answer, beside one that does."""
    sleeper = Sleeper(b"sleeper")
    address = await sleeper.listen(tmp_path / "sleeper")
    worker, _ = await worker_at(tmp_path / "worker")
    pool.set_replicas(DIGEST, NAME, [address, at(tmp_path / "worker")])
    await until(lambda: pool.replicas(DIGEST) == 2)
    yield sleeper
    sleeper.close()
    worker.close()


async def eject(pool: LinkPool, sleeper: Sleeper) -> int:
    """Let calls run over their deadlines until none goes to the sleeper any more; how many did."""
    overdue = 0
    while sleeper.taken < EJECTED_AFTER:
        replies = await asyncio.gather(*(Caller(pool).call(timeout=SHORT) for _ in range(2 * EJECTED_AFTER)))
        overdue += sum(reply.failure is Failure.TIMEOUT for reply in replies)
    return overdue


async def test_a_replica_that_does_not_answer_is_asked_no_more(pool: LinkPool, sleeper: Sleeper) -> None:
    overdue = await eject(pool, sleeper)
    before = sleeper.taken

    replies = await asyncio.gather(*(Caller(pool).call(b"on") for _ in range(200)))

    assert {reply.body for reply in replies} == {b"on"}
    assert sleeper.taken - before <= 1  # the probe
    assert overdue <= 2 * EJECTED_AFTER


async def test_one_overdue_call_weighs_as_if_it_were_still_under_way(pool: LinkPool, sleeper: Sleeper) -> None:
    # Two at once, for of two idle replicas the same is always asked first.
    await asyncio.gather(*(Caller(pool).call(timeout=SHORT) for _ in range(2)))
    taken = sleeper.taken
    assert taken == 1

    replies = [await Caller(pool).call(timeout=1.0) for _ in range(20)]

    assert all(reply.failure is None for reply in replies)
    assert sleeper.taken == taken


async def test_an_ejected_replica_that_answers_its_probe_is_asked_again(
    pool: LinkPool, sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "PROBE_S", 0.1)
    await eject(pool, sleeper)

    sleeper.awake = True

    async def bodies() -> set[bytes]:
        return {reply.body for reply in await asyncio.gather(*(Caller(pool).call(b"worker") for _ in range(20)))}

    deadline = time.monotonic() + 5
    while b"sleeper" not in (heard := await bodies()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    assert heard == {b"sleeper", b"worker"}


async def test_answers_that_come_late_show_that_a_replica_works(pool: LinkPool, tmp_path: Path) -> None:
    # given a version that is asked more than it can answer in time
    engine = EchoEngine()
    worker = Worker(engine, DIGEST, asyncio.get_running_loop())
    await worker.doors.open_unix(tmp_path / "w")
    pool.set_replicas(DIGEST, NAME, [at(tmp_path / "w")])
    await until(lambda: pool.replicas(DIGEST) == 1)
    calls = [Caller(pool).call(timeout=0) for _ in range(EJECTED_AFTER)]
    await asyncio.gather(*calls)
    [link] = pool.links(DIGEST)

    # when
    await until(lambda: bool(engine.batches))

    # then
    await until(lambda: not link.is_ejected)
    worker.close()


async def test_calls_that_an_ejected_replica_still_holds_are_sent_to_another(pool: LinkPool, sleeper: Sleeper) -> None:
    # Given patient calls with time left, half of which went to the sleeper.
    patient = [Caller(pool).call(b"patient", timeout=30.0) for _ in range(20)]
    await until(lambda: sleeper.taken >= 5)

    # When it is ejected by others.
    await asyncio.gather(*(Caller(pool).call(timeout=SHORT) for _ in range(60)))
    replies = await asyncio.wait_for(asyncio.gather(*patient), 5)

    assert {reply.body for reply in replies} == {b"patient"}


async def test_where_no_replica_answers_all_are_asked_all_the_same(pool: LinkPool, tmp_path: Path) -> None:
    sleeper = Sleeper(b"only")
    pool.set_replicas(DIGEST, NAME, [await sleeper.listen(tmp_path / "only")])
    await until(lambda: pool.replicas(DIGEST) == 1)
    await eject(pool, sleeper)

    sleeper.awake = True

    assert (await Caller(pool).call()).body == b"only"
    sleeper.close()


async def test_a_replica_that_serve_no_longer_names_is_asked_last(pool: LinkPool, tmp_path: Path) -> None:
    leaving, staying = Sleeper(b"leaving", awake=True), Sleeper(b"staying", awake=True)
    addresses = [await leaving.listen(tmp_path / "leaving"), await staying.listen(tmp_path / "staying")]
    pool.set_replicas(DIGEST, NAME, addresses)
    await until(lambda: pool.replicas(DIGEST) == 2)

    pool.set_replicas(DIGEST, NAME, addresses[1:])
    replies = await asyncio.gather(*(Caller(pool).call() for _ in range(20)))

    assert {reply.body for reply in replies} == {b"staying"}
    leaving.close()
    staying.close()


async def test_a_replica_that_does_not_read_gets_no_more_calls_than_its_buffer_holds(pool: LinkPool, tmp_path: Path) -> None:
    # Given a replica that greets, and reads only when told to.
    reading = asyncio.Event()
    taken = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        await reading.wait()
        while data := await reader.read(2**20):
            taken.extend(data)
        writer.close()

    server = await asyncio.start_unix_server(serve, tmp_path / "w", limit=2**16)
    pool.set_replicas(DIGEST, NAME, [at(tmp_path / "w")])
    await until(lambda: pool.replicas(DIGEST) == 1)
    body, most = bytes(2**18), 3 * WRITE_HIGH // 2**18

    # When far more is called than its link may hold.
    for _ in range(most):
        Caller(pool).call(body, timeout=30.0)
        await asyncio.sleep(0)
    refused = await Caller(pool).call(body, patient=False)
    later = Caller(pool).call(b"later", timeout=30.0)

    # Then what cannot wait is told so, and what can is sent when there is room.
    assert refused.failure is Failure.OVERLOAD
    assert not later.done()
    reading.set()
    await until(lambda: taken.endswith(b"later"))
    server.close()


async def test_a_gateway_that_does_not_read_is_not_read_from(tmp_path: Path) -> None:
    # given a gateway that calls and never takes its answers
    worker, engine = await worker_at(tmp_path / "w")
    reader, writer = await asyncio.open_unix_connection(tmp_path / "w", limit=2**16)
    frame = encode_call(1, Call(CallKind.INFER, DIGEST, bytes(2**18)))

    # when it sends far more than its answers' buffers hold
    async def send() -> None:
        for _ in range(64):
            writer.write(frame)
            await writer.drain()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(send(), 1.0)

    # then only so much was worked on
    assert sum(engine.batches) < 40
    del reader
    writer.transport.abort()
    worker.close()
    await asyncio.sleep(0.02)
