import asyncio

import pytest

from benchmarks import tiny
from benchmarks.flips import SETTLED, Watch
from benchmarks.sockets import inodes_in
from benchmarks.stream import LOST, REQUEST, Answered, Caller, Head, parse_head

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nX-Model-Version: 1.1.0\r\n\r\n{..}"
TCP_TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 100 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 101 1 0 20 4 30 10 -1
   2: 0100007F:C001 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 102 1 0 20 4 30 10 -1
   3: 0100007F:1F91 0100007F:C002 01 00000000:00000000 00:00000000 00000000     0        0 103 1 0 20 4 30 10 -1
"""


class Wire(asyncio.BaseTransport):
    """A transport that keeps what is written; like uvloop's, it is no subclass of asyncio.Transport."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: object) -> None:
        assert isinstance(data, bytes)
        self.written.append(data)


def test_a_head_is_read_whatever_the_case_of_its_names() -> None:
    assert parse_head(ANSWER.partition(b"\r\n\r\n")[0]) == Head(status=200, version="1.1.0", length=4)


def test_a_head_without_a_version_says_so() -> None:
    assert parse_head(b"HTTP/1.1 503 Service Unavailable") == Head(status=503, version="", length=0)


@pytest.mark.parametrize("cut", range(1, len(ANSWER)))
async def test_an_answer_is_seen_once_however_it_is_cut(cut: int) -> None:
    seen: list[Answered] = []
    caller = Caller(7, 0.0, seen.append)
    caller.connection_made(Wire())

    caller.data_received(ANSWER[:cut])
    caller.data_received(ANSWER[cut:])

    assert [(one.connection, one.status, one.version) for one in seen] == [(7, 200, "1.1.0")]


async def test_a_caller_asks_again_after_each_answer() -> None:
    wire = Wire()
    caller = Caller(0, 0.0, lambda _: None)
    caller.connection_made(wire)

    caller.data_received(ANSWER)
    for _ in range(3):
        await asyncio.sleep(0)

    assert wire.written == [REQUEST, REQUEST]


async def test_a_connection_that_the_server_ends_is_seen_as_lost() -> None:
    seen: list[Answered] = []
    caller = Caller(3, 0.0, seen.append)
    caller.connection_made(Wire())

    caller.connection_lost(None)

    assert [(one.connection, one.status) for one in seen] == [(3, LOST)]


def answered(at: float, version: str, connection: int = 0, status: int = 200) -> Answered:
    return Answered(connection, at, status, version)


def test_a_flip_lasts_until_the_last_old_answer() -> None:
    watch = Watch()
    watch.expect(tiny.SECOND)

    for answer in (answered(10.01, tiny.FIRST), answered(10.02, tiny.SECOND), answered(10.05, tiny.FIRST, 1)):
        watch.saw(answer)

    assert watch.last_old_after(10.0) == pytest.approx(0.05)


def test_a_flip_without_any_old_answer_took_no_time() -> None:
    watch = Watch()
    watch.expect(tiny.SECOND)

    watch.saw(answered(10.0, tiny.SECOND))

    assert watch.last_old_after(9.0) == 0.0


def test_a_flip_is_over_only_when_every_connection_has_seen_it_and_no_old_answer_came_for_a_while() -> None:
    watch = Watch()
    watch.expect(tiny.SECOND)
    watch.saw(answered(10.0, tiny.FIRST, 1))
    watch.saw(answered(10.0, tiny.SECOND, 0))

    assert not watch.is_over(2, now=20.0, started=9.0)
    watch.saw(answered(10.1, tiny.SECOND, 1))
    assert not watch.is_over(2, now=10.0 + SETTLED / 2, started=9.0)
    assert watch.is_over(2, now=10.01 + SETTLED, started=9.0)


def test_a_connection_that_falls_back_to_the_old_version_keeps_the_flip_open() -> None:
    watch = Watch()
    watch.expect(tiny.SECOND)
    watch.saw(answered(10.0, tiny.SECOND))

    watch.saw(answered(10.1, tiny.FIRST))

    assert not watch.is_over(1, now=99.0, started=9.0)


def test_failed_requests_are_counted_and_prove_nothing() -> None:
    watch = Watch()
    watch.expect(tiny.SECOND)

    watch.saw(answered(10.0, tiny.SECOND, status=503))

    assert watch.failures == 1
    assert not watch.is_over(1, now=99.0, started=9.0)


def test_only_established_ends_of_the_server_are_taken_from_the_kernels_table() -> None:
    assert inodes_in(TCP_TABLE, 0x1F90) == {0xC001: "101"}
