import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.dataplane.frames import (
    PREFIX,
    BrokenFrame,
    FrameReader,
    decode_call,
    decode_reply,
    encode_call,
    encode_reply,
)
from serving.ports import Call, CallKind, Encoding, Failure, Leeway, Primary, Reply, Said, Sorting

bodies = st.binary(max_size=60)
lengths = st.integers(-1, 2**31 - 1)
shares = st.floats(0, 1)
leeways = st.builds(Leeway, atol=shares, rtol=shares, rank=shares, is_label_exact=st.booleans())
calls = st.builds(
    Call,
    kind=st.sampled_from(CallKind),
    digest=st.binary(min_size=32, max_size=32).map(bytes.hex),
    body=bodies,
    json_length=lengths,
    encoding=st.sampled_from(Encoding),
    mirror=st.none() | st.builds(Primary, body=bodies, json_length=lengths, leeway=leeways, is_shown=st.booleans()),
    sorting=st.sampled_from(Sorting),
)
spoken = st.builds(
    Said,
    label=st.none() | st.text(st.characters(codec="utf-8"), max_size=20),
    score=st.none() | st.floats(allow_nan=False),
    is_odd=st.booleans(),
)
replies = st.builds(
    Reply,
    status=st.integers(100, 599),
    body=bodies,
    json_length=lengths,
    failure=st.none() | st.sampled_from(Failure),
    said=st.none() | spoken,
)
numbers = st.integers(0, 2**32 - 1)


def cut(stream: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(stream[at : at + size])
        at += size
    return [*pieces, stream[at:]]


@given(sent=st.lists(st.tuples(numbers, calls), max_size=6), sizes=st.lists(st.integers(1, 40), max_size=30))
def test_calls_survive_any_chunking(sent: list[tuple[int, Call]], sizes: list[int]) -> None:
    stream = b"".join(encode_call(number, call) for number, call in sent)
    reader = FrameReader()

    received = [frame for piece in cut(stream, sizes) for frame in reader.feed(piece)]

    assert [(number, decode_call(payload)) for number, payload in received] == sent


@given(sent=st.lists(st.tuples(numbers, replies), max_size=6), sizes=st.lists(st.integers(1, 40), max_size=30))
def test_replies_survive_any_chunking(sent: list[tuple[int, Reply]], sizes: list[int]) -> None:
    stream = b"".join(encode_reply(number, reply) for number, reply in sent)
    reader = FrameReader()

    received = [frame for piece in cut(stream, sizes) for frame in reader.feed(piece)]

    assert [(number, decode_reply(payload)) for number, payload in received] == sent


@pytest.mark.parametrize("length", [0, 3, 2**32 - 1])
def test_a_frame_of_impossible_length_breaks_the_link(length: int) -> None:
    with pytest.raises(BrokenFrame, match="announces"):
        FrameReader().feed(PREFIX.pack(length, 1))


def test_a_label_that_is_too_long_is_cut_and_the_body_is_whole() -> None:
    frame = encode_reply(7, Reply(200, b"body", said=Said("ä" * 100)))

    ((_, payload),) = FrameReader().feed(frame)
    reply = decode_reply(payload)

    assert reply.said is not None
    assert reply.said.label == "ä" * 64
    assert reply.body == b"body"


@given(payload=st.binary(max_size=80))
def test_any_payload_is_read_or_refused(payload: bytes) -> None:
    for decode in (decode_call, decode_reply):
        try:
            decode(payload)
        except (BrokenFrame, ValueError) as error:
            assert str(error)  # noqa: PT017 - a refusal is one of the two good outcomes
