import asyncio
import socket
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from serving.dataplane import worker as worker_module
from serving.dataplane.frames import GREETING
from serving.dataplane.link_pool import LinkPool
from serving.dataplane.worker import Worker
from serving.ports import Call, CallKind, Failure, Reply
from tests.integration.links import DIGEST, OTHER, Caller, EchoEngine, at, until, worker_at


@pytest.fixture
async def pool() -> AsyncIterator[LinkPool]:
    links = LinkPool(asyncio.get_running_loop(), time.monotonic)
    yield links
    links.close()
    await asyncio.sleep(0.02)  # the servers' ends see the hang-up


async def test_calls_of_one_turn_travel_and_run_together(pool: LinkPool, tmp_path: Path) -> None:
    worker, engine = await worker_at(tmp_path / "w")
    pool.set_replicas(DIGEST, "digits@1.0.0", [at(tmp_path / "w")])
    await until(lambda: pool.replicas(DIGEST) == 1)

    replies = await asyncio.gather(*(Caller(pool).call(bytes([number])) for number in range(32)))

    assert [reply.body for reply in replies] == [bytes([number]) for number in range(32)]
    assert engine.batches == [32]
    worker.close()


async def test_a_patient_call_waits_for_the_first_replica(pool: LinkPool, tmp_path: Path) -> None:
    waiting = Caller(pool).call(b"early")
    pool.set_replicas(DIGEST, "digits@1.0.0", [at(tmp_path / "w")])
    worker, _ = await worker_at(tmp_path / "w")

    assert (await waiting).body == b"early"
    worker.close()


async def test_an_impatient_call_fails_at_once_without_a_replica(pool: LinkPool) -> None:
    reply = await Caller(pool).call(patient=False)

    assert (reply.status, reply.failure) == (503, Failure.UNAVAILABLE)


async def test_a_call_ends_at_its_deadline(pool: LinkPool) -> None:
    reply = await Caller(pool).call(timeout=0.05)

    assert reply.failure is Failure.UNAVAILABLE
    assert b"in time" in reply.body


async def silent_server(path: Path) -> tuple[asyncio.Server, list[asyncio.StreamWriter]]:
    """A replica that takes calls and never answers."""
    taken: list[asyncio.StreamWriter] = []

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        taken.append(writer)
        while await reader.read(65536):
            pass
        writer.close()

    return await asyncio.start_unix_server(swallow, path), taken


async def test_a_replica_that_hangs_costs_the_call_its_deadline_and_no_more(pool: LinkPool, tmp_path: Path) -> None:
    server, _ = await silent_server(tmp_path / "w")
    pool.set_replicas(DIGEST, "digits@1.0.0", [at(tmp_path / "w")])

    reply = await Caller(pool).call(timeout=0.1)

    assert (reply.status, reply.failure) == (504, Failure.TIMEOUT)
    server.close()


async def test_a_patient_call_survives_the_loss_of_its_replica(pool: LinkPool, tmp_path: Path) -> None:
    server, taken = await silent_server(tmp_path / "dying")
    pool.set_replicas(DIGEST, "digits@1.0.0", [at(tmp_path / "dying")])
    waiting = Caller(pool).call(b"survivor")
    await until(lambda: bool(taken))

    pool.set_replicas(DIGEST, "digits@1.0.0", [at(tmp_path / "fresh")])
    taken[0].transport.abort()
    worker, _ = await worker_at(tmp_path / "fresh")

    assert (await waiting).body == b"survivor"
    server.close()
    worker.close()


async def test_an_impatient_call_dies_with_its_replica(pool: LinkPool, tmp_path: Path) -> None:
    server, taken = await silent_server(tmp_path / "dying")
    pool.set_replicas(DIGEST, "digits@1.0.0", [at(tmp_path / "dying")])
    await until(lambda: pool.replicas(DIGEST) == 1)
    waiting = Caller(pool).call(patient=False)
    await until(lambda: bool(taken))

    taken[0].transport.abort()

    assert (await waiting).failure is Failure.UNAVAILABLE
    server.close()


async def test_a_call_is_sent_at_most_twice(pool: LinkPool, tmp_path: Path) -> None:
    killed: list[int] = []

    async def dies_of_it(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        if await reader.read(65536):
            killed.append(1)
        writer.transport.abort()

    server = await asyncio.start_unix_server(dies_of_it, tmp_path / "w")
    pool.set_replicas(DIGEST, "digits@1.0.0", [at(tmp_path / "w")])

    reply = await Caller(pool).call()

    assert reply.failure is Failure.UNAVAILABLE
    assert len(killed) == 2
    server.close()


async def test_a_connection_that_no_process_took_is_no_replica(pool: LinkPool, tmp_path: Path) -> None:
    # Given the socket of a process that dies: connections to it can be made, and nobody takes them.
    dying = socket.socket(socket.AF_UNIX)
    dying.bind(str(tmp_path / "w"))
    dying.listen()
    pool.set_replicas(DIGEST, "digits@1.0.0", [at(tmp_path / "w")])
    waiting = Caller(pool).call(b"survivor")
    for _ in range(3):
        connection, _ = await asyncio.get_running_loop().run_in_executor(None, dying.accept)
        connection.close()
    assert not waiting.done()

    # When its replacement is there, the call has not used up its two sends.
    dying.close()
    (tmp_path / "w").unlink()
    worker, _ = await worker_at(tmp_path / "w")

    assert (await waiting).body == b"survivor"
    worker.close()


async def test_the_least_loaded_replica_is_asked(pool: LinkPool, tmp_path: Path) -> None:
    busy, _ = await silent_server(tmp_path / "busy")
    pool.set_replicas(DIGEST, "digits@1.0.0", [at(tmp_path / "busy")])
    await until(lambda: pool.replicas(DIGEST) == 1)
    stuck = Caller(pool).call(timeout=0.2)
    worker, _ = await worker_at(tmp_path / "free")
    pool.set_replicas(DIGEST, "digits@1.0.0", [at(tmp_path / "busy"), at(tmp_path / "free")])
    await until(lambda: pool.replicas(DIGEST) == 2)

    assert (await Caller(pool).call(b"mine")).body == b"mine"
    assert (await stuck).failure is Failure.TIMEOUT
    busy.close()
    worker.close()


async def test_a_worker_answers_only_for_the_digest_that_it_verified(pool: LinkPool, tmp_path: Path) -> None:
    worker, engine = await worker_at(tmp_path / "w", digest=OTHER)
    pool.set_replicas(DIGEST, "digits@1.0.0", [at(tmp_path / "w")])

    reply = await Caller(pool).call()

    assert reply.failure is Failure.UNAVAILABLE
    assert b"another version" in reply.body
    assert sum(engine.batches) == 0
    worker.close()


async def test_a_version_that_is_unloaded_answers_what_waited(pool: LinkPool) -> None:
    waiting = Caller(pool).call()

    pool.forget(DIGEST)

    assert (await waiting).failure is Failure.UNAVAILABLE


async def test_a_peer_that_talks_nonsense_is_hung_up_on(pool: LinkPool, tmp_path: Path) -> None:
    worker, _ = await worker_at(tmp_path / "w")
    reader, writer = await asyncio.open_unix_connection(tmp_path / "w")

    writer.write(b"\xff" * 64)

    assert await reader.read() == GREETING  # and the end
    pool.set_replicas(DIGEST, "digits@1.0.0", [at(tmp_path / "w")])
    assert (await Caller(pool).call(b"still here")).body == b"still here"
    writer.close()
    worker.close()


async def test_a_taker_that_fails_costs_the_other_calls_of_its_link_nothing(pool: LinkPool, tmp_path: Path) -> None:
    worker, _ = await worker_at(tmp_path / "w")
    pool.set_replicas(DIGEST, "digits@1.0.0", [at(tmp_path / "w")])
    await until(lambda: pool.replicas(DIGEST) == 1)

    def fail(_: Reply) -> None:
        msg = "the caller's connection is gone"
        raise RuntimeError(msg)

    pool.invoke(Call(CallKind.INFER, DIGEST, b"bad"), time.monotonic() + 5, fail, patient=True)
    reply = await Caller(pool).call(b"good", patient=False)

    assert reply.body == b"good"
    assert pool.replicas(DIGEST) == 1
    worker.close()


async def test_a_version_that_is_unloaded_answers_what_was_under_way(pool: LinkPool, tmp_path: Path) -> None:
    server, taken = await silent_server(tmp_path / "w")
    pool.set_replicas(DIGEST, "digits@1.0.0", [at(tmp_path / "w")])
    waiting = Caller(pool).call()
    await until(lambda: bool(taken))
    await asyncio.sleep(0.02)

    pool.forget(DIGEST)

    assert (await asyncio.wait_for(waiting, 2)).failure is Failure.UNAVAILABLE
    server.close()


async def test_deadlines_are_kept_when_a_late_call_ends_in_the_first_call_of_another_version(pool: LinkPool, tmp_path: Path) -> None:
    server, _ = await silent_server(tmp_path / "w")
    pool.set_replicas(DIGEST, "digits@1.0.0", [at(tmp_path / "w")])
    await until(lambda: pool.replicas(DIGEST) == 1)
    fallback: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def fall_back(_: Reply) -> None:
        pool.invoke(Call(CallKind.INFER, OTHER, b""), time.monotonic() + 0.05, fallback.set_result, patient=True)

    pool.invoke(Call(CallKind.INFER, DIGEST, b""), time.monotonic() + 0.05, fall_back, patient=False)

    assert (await asyncio.wait_for(fallback, 2)).failure is Failure.UNAVAILABLE
    server.close()


async def test_a_version_counts_as_reached_from_its_first_replica_on(pool: LinkPool, tmp_path: Path) -> None:
    worker, _ = await worker_at(tmp_path / "w")
    before = pool.was_reached(DIGEST)
    pool.set_replicas(DIGEST, "digits@1.0.0", [at(tmp_path / "w")])
    await until(lambda: pool.replicas(DIGEST) == 1)
    pool.set_replicas(DIGEST, "digits@1.0.0", [])
    worker.close()
    await until(lambda: pool.replicas(DIGEST) == 0)

    assert (before, pool.was_reached(DIGEST)) == (False, True)


class RaisingEngine(EchoEngine):
    """Breaks the promise that one call's error is its own."""

    def run(self, calls: Sequence[Call]) -> Sequence[Reply]:
        msg = f"{len(calls)} calls"
        raise KeyError(msg)


class ForgetfulEngine(EchoEngine):
    """Answers none of the calls that it was given."""

    def run(self, calls: Sequence[Call]) -> Sequence[Reply]:
        return super().run(calls)[:0]


class GenerousEngine(EchoEngine):
    """Answers one call more than it was given."""

    def run(self, calls: Sequence[Call]) -> Sequence[Reply]:
        return [*super().run(calls), Reply(200, b"")]


class ModestEngine(EchoEngine):
    """Takes at most two calls at once."""

    def run(self, calls: Sequence[Call]) -> Sequence[Reply]:
        return super().run(calls)[:2]


@pytest.mark.parametrize("engine", [RaisingEngine(), ForgetfulEngine(), GenerousEngine()])
async def test_a_broken_engine_costs_its_callers_an_error_and_no_waiting(pool: LinkPool, tmp_path: Path, engine: EchoEngine) -> None:
    worker = Worker(engine, DIGEST, asyncio.get_running_loop())
    await worker.doors.open_unix(tmp_path / "w")
    pool.set_replicas(DIGEST, "digits@1.0.0", [at(tmp_path / "w")])

    replies = await asyncio.wait_for(asyncio.gather(Caller(pool).call(), Caller(pool).call()), 2)

    assert [reply.failure for reply in replies] == [Failure.MODEL, Failure.MODEL]
    worker.close()


async def test_calls_that_a_run_leaves_come_first_in_the_next_one(pool: LinkPool, tmp_path: Path) -> None:
    worker = Worker(ModestEngine(), DIGEST, asyncio.get_running_loop())
    await worker.doors.open_unix(tmp_path / "w")
    pool.set_replicas(DIGEST, "digits@1.0.0", [at(tmp_path / "w")])
    await until(lambda: pool.replicas(DIGEST) == 1)
    answered = list[bytes]()

    calls = [Caller(pool).call(b"%d" % number) for number in range(5)]
    for call in calls:
        call.add_done_callback(lambda done: answered.append(done.result().body))
    await asyncio.wait_for(asyncio.gather(*calls), 2)

    assert answered == [b"0", b"1", b"2", b"3", b"4"]
    worker.close()


async def test_an_answer_that_no_frame_can_carry_is_an_error_of_its_own_call_only(
    pool: LinkPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "LARGEST_REPLY", 100)
    worker, _ = await worker_at(tmp_path / "w")
    pool.set_replicas(DIGEST, "digits@1.0.0", [at(tmp_path / "w")])

    large, small = await asyncio.gather(Caller(pool).call(b"x" * 101), Caller(pool).call(b"x" * 100))

    assert (large.status, large.failure) == (413, Failure.CLIENT)
    assert small.status == 200
    worker.close()


async def test_the_loop_turns_between_runs_when_very_many_calls_have_gathered(pool: LinkPool, tmp_path: Path) -> None:
    worker, engine = await worker_at(tmp_path / "w")
    pool.set_replicas(DIGEST, "digits@1.0.0", [at(tmp_path / "w")])
    await until(lambda: pool.replicas(DIGEST) == 1)

    replies = await asyncio.gather(*(Caller(pool).call(b"%d" % number) for number in range(600)))

    assert [reply.body for reply in replies] == [b"%d" % number for number in range(600)]
    assert max(engine.batches) <= worker_module.RUN_MOST
    worker.close()
