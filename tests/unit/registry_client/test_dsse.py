import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_client.dsse import Envelope, Mark, UnreadableEnvelope, pre_authentication_encoding


def test_what_is_signed_is_the_example_of_the_specification() -> None:
    # https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")

    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_lengths_are_bytes_and_not_characters() -> None:
    assert pre_authentication_encoding("tÿpe", "ü".encode()) == b"DSSEv1 5 t\xc3\xbfpe 2 \xc3\xbc"


Part = tuple[str, bytes]


@given(st.tuples(st.text(max_size=20), st.binary(max_size=20)), st.tuples(st.text(max_size=20), st.binary(max_size=20)))
def test_no_two_statements_are_signed_as_the_same_bytes(one: Part, other: Part) -> None:
    assert (pre_authentication_encoding(*one) == pre_authentication_encoding(*other)) == (one == other)


@given(st.text(max_size=20), st.binary(max_size=40), st.binary(min_size=1, max_size=64))
def test_an_envelope_comes_back_as_it_was(kind: str, payload: bytes, signature: bytes) -> None:
    # given
    written = Envelope.of(kind, payload, [Mark(sig=b64encode(signature).decode(), keyid="k")])

    # when
    read = Envelope.read(written.document())

    # then
    assert (read.payload_type, read.content(), read.signatures[0].raw()) == (kind, payload, signature)


def test_the_envelope_is_the_json_of_the_specification() -> None:
    envelope = Envelope.of("t", b"{}", [Mark(sig="c2ln", keyid="k")])

    assert json.loads(envelope.document()) == {"payload": "e30=", "payloadType": "t", "signatures": [{"sig": "c2ln", "keyid": "k"}]}


def test_either_alphabet_of_base64_is_taken_and_unknown_fields_are_left_out() -> None:
    document = b'{"payload":"_-8=","payloadType":"t","signatures":[{"sig":"/+8=","cert":"x"}],"more":1}'

    envelope = Envelope.read(document)

    assert envelope.content() == envelope.signatures[0].raw() == b"\xff\xef"


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"payload":"e30=","payloadType":"t","signatures":[]}',
        b'{"payload":"e30=","payloadType":"t","signatures":"c2ln"}',
        b'{"payload":"e30=","payloadType":"t","signatures":[' + b",".join([b'{"sig":""}'] * 17) + b"]}",
        b"[" * 5000,
    ],
)
def test_what_is_no_envelope_is_refused_with_a_sentence(document: bytes) -> None:
    with pytest.raises(UnreadableEnvelope):
        Envelope.read(document)


@pytest.mark.parametrize("payload", ["!", "e30", "é"])
def test_what_is_no_base64_is_refused_with_a_sentence(payload: str) -> None:
    with pytest.raises(UnreadableEnvelope):
        Envelope(payload=payload, payload_type="t", signatures=(Mark(sig="c2ln"),)).content()
