"""The judge of P2 sees an answer whose parts are of two bundles, whichever part it is; and the stream reads what a gateway sends."""

from collections.abc import Iterator

import pytest

from tests.chaos.mixing import contradictions
from tests.chaos.stamped import VERSIONS, stamps_of
from tests.chaos.stream import Caller, Claim, Tally

FIRST, SECOND = VERSIONS
IN_PRODUCTION = {3: FIRST, 4: SECOND}
HONEST = Claim(b"1.0.0", b"3", b"stamped:1.0.0", b"3", b"1.0.0", b"11.0,12.0,13.0")


def test_an_answer_of_one_bundle_contradicts_nothing() -> None:
    assert list(contradictions(HONEST, IN_PRODUCTION)) == []


@pytest.mark.parametrize(
    "mixed",
    [
        HONEST._replace(version=b"1.1.0"),
        HONEST._replace(epoch=b"4"),
        HONEST._replace(id_version=b"stamped:1.1.0"),
        HONEST._replace(id_epoch=b"4"),
        HONEST._replace(body_version=b"1.1.0"),
        HONEST._replace(stamps=b"21.0,12.0,13.0"),
        HONEST._replace(stamps=b"11.0,22.0,13.0"),
        HONEST._replace(stamps=b"11.0,12.0,23.0"),
        HONEST._replace(epoch=b"9", id_epoch=b"9"),
        HONEST._replace(version=b"7.0.0", id_version=b"stamped:7.0.0", body_version=b"7.0.0"),
    ],
    ids=str,
)
def test_an_answer_with_a_part_of_another_bundle_or_epoch_is_seen(mixed: Claim) -> None:
    assert list(contradictions(mixed, IN_PRODUCTION))


def test_no_two_stamps_are_equal() -> None:
    stamps = [stamp for version in VERSIONS for stamp in (stamps_of(version).pre, stamps_of(version).model, stamps_of(version).post)]

    assert len(set(stamps)) == len(stamps)


def answer(number: int, *, epoch: int = 3, status: str = "200 OK") -> bytes:
    body = b'{"model_name":"stamped","model_version":"1.0.0","outputs":[{"name":"y","data":[%d.0,11.0,12.0,13.0]}]}' % number
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\nx-model-version: 1.0.0\r\n"
    origin = f"x-route-epoch: {epoch}\r\nx-request-id: stamped:1.0.0:0123abcd:production:{epoch}:6aa1b2c3:abc:def\r\n\r\n"
    return (head + origin).encode() + body


class Transport:
    """Where a caller writes its requests to."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.requests.append(data)

    def close(self) -> None: ...


def caller_of(tally: Tally, numbers: Iterator[int]) -> tuple[Caller, Transport]:
    caller, transport = Caller(tally, numbers), Transport()
    caller.connection_made(transport)  # type: ignore[arg-type] # all that a caller uses of one
    return caller, transport


def test_an_answer_is_kept_as_what_it_claims_and_the_next_request_follows() -> None:
    tally = Tally()
    caller, transport = caller_of(tally, iter((7, 8)))

    caller.data_received(answer(7)[:100])
    caller.data_received(answer(7)[100:])

    assert tally.claims == {HONEST: 1}
    assert [request.endswith(b'"data":[%d]}]}' % number) for request, number in zip(transport.requests, (7, 8), strict=True)] == [
        True,
        True,
    ]


def test_an_answer_to_somebody_elses_request_is_a_failure() -> None:
    tally = Tally()
    caller, _ = caller_of(tally, iter((7, 8)))

    caller.data_received(answer(6))

    assert (tally.claims.total(), len(tally.failures)) == (0, 1)


def test_an_answer_that_is_no_success_is_a_failure() -> None:
    tally = Tally()
    caller, _ = caller_of(tally, iter((7,)))

    caller.data_received(answer(7, status="503 Service Unavailable"))

    assert (tally.claims.total(), len(tally.failures)) == (0, 1)


def test_an_epoch_older_than_the_one_before_on_the_same_connection_is_counted() -> None:
    tally = Tally()
    caller, _ = caller_of(tally, iter((7, 8, 9)))

    caller.data_received(answer(7, epoch=4))
    caller.data_received(answer(8, epoch=3))

    assert tally.went_back == 1
