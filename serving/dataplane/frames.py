"""The bytes on a link between a gateway and a version: length-prefixed frames, told apart by an id the caller chose.

frame   = length u32 | id u32 | payload           length counts id and payload; all integers little-endian
call    = kind u8 | encoding u8 | flags u8 | digest 32 bytes | json_length i32 | primary_length u32 | primary_json_length i32 |
          body | primary body
reply   = status u16 | failure u8 | json_length i32 | body

A version's first frame on every link is its greeting: id 0, no payload.
"""

from struct import Struct

from serving.ports import Call, CallKind, Encoding, Failure, Primary, Reply

PREFIX = Struct("<II")
CALL = Struct("<BBB32siIi")
REPLY = Struct("<HBi")

MIRRORED = 1
"""Flag of a call: it carries the primary's answer."""

LARGEST_FRAME = 256 * 2**20
"""Bytes; above every body cap, so only a broken peer sends more."""

LARGEST_REPLY = LARGEST_FRAME - 1024
"""Bytes of a reply's body; a frame above its bound would cost every other call of the link its answer."""

_ID_BYTES = 4
GREETING_ID = 0
GREETING = PREFIX.pack(_ID_BYTES, GREETING_ID)
"""Says that a process took the connection. That it could be made does not: the socket of a killed process accepts until it is closed."""

_KINDS = {kind.value: kind for kind in CallKind}  # looked up: an enum's own call costs ten times as much
_ENCODINGS = {encoding.value: encoding for encoding in Encoding}
_FAILURES: tuple[Failure | None, ...] = (None, *Failure)
_FAILURE_CODES = {failure: code for code, failure in enumerate(_FAILURES)}


class BrokenFrame(Exception):
    """Bytes that no peer of ours would send: the link must be closed."""


def encode_call(number: int, call: Call) -> bytes:
    """One frame that carries a call."""
    mirror = call.mirror
    if mirror is None:
        flags, primary, primary_json = 0, b"", -1
    else:
        flags, primary, primary_json = MIRRORED, mirror.body, mirror.json_length
    head = CALL.pack(call.kind, call.encoding, flags, bytes.fromhex(call.digest), call.json_length, len(primary), primary_json)
    length = _ID_BYTES + CALL.size + len(call.body) + len(primary)
    return b"".join((PREFIX.pack(length, number), head, call.body, primary))


def decode_call(payload: bytes) -> Call:
    """Read a call. Raises `BrokenFrame`."""
    if len(payload) < CALL.size:
        msg = "a call frame is shorter than its head"
        raise BrokenFrame(msg)
    kind, encoding, flags, digest, json_length, primary_length, primary_json = CALL.unpack_from(payload)
    if primary_length > len(payload) - CALL.size:
        msg = "a call frame is shorter than the primary answer it announces"
        raise BrokenFrame(msg)
    if kind not in _KINDS or encoding not in _ENCODINGS:
        msg = f"a call frame is of kind {kind} and encoding {encoding}"
        raise BrokenFrame(msg)
    split = len(payload) - primary_length
    mirror = Primary(payload[split:], primary_json) if flags & MIRRORED else None
    return Call(_KINDS[kind], digest.hex(), payload[CALL.size : split], json_length, _ENCODINGS[encoding], mirror)


def encode_reply(number: int, reply: Reply) -> bytes:
    """One frame that carries a reply."""
    head = REPLY.pack(reply.status, _FAILURE_CODES[reply.failure], reply.json_length)
    return b"".join((PREFIX.pack(_ID_BYTES + REPLY.size + len(reply.body), number), head, reply.body))


def decode_reply(payload: bytes) -> Reply:
    """Read a reply. Raises `BrokenFrame`."""
    if len(payload) < REPLY.size:
        msg = "a reply frame is shorter than its head"
        raise BrokenFrame(msg)
    status, failure, json_length = REPLY.unpack_from(payload)
    if failure >= len(_FAILURES):
        msg = f"a reply frame names failure {failure}, which does not exist"
        raise BrokenFrame(msg)
    return Reply(status, payload[REPLY.size :], json_length, _FAILURES[failure])


class FrameReader:
    """Cuts a stream into frames, however it was chunked."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Take what arrived; give the frames that are now whole, as (id, payload). Raises `BrokenFrame`."""
        if self._buffer:
            self._buffer += data
            source: bytes | bytearray = self._buffer
        else:
            source = data
        frames, used = _cut(source)
        if source is self._buffer:
            del self._buffer[:used]
        elif used < len(data):
            self._buffer += data[used:]
        return frames


def _cut(source: bytes | bytearray) -> tuple[list[tuple[int, bytes]], int]:
    frames: list[tuple[int, bytes]] = []
    at, end = 0, len(source)
    while end - at >= PREFIX.size:
        length, number = PREFIX.unpack_from(source, at)
        if not _ID_BYTES <= length <= LARGEST_FRAME:
            msg = f"a frame announces {length} bytes"
            raise BrokenFrame(msg)
        stop = at + PREFIX.size - _ID_BYTES + length
        if stop > end:
            break
        frames.append((number, bytes(source[at + PREFIX.size : stop])))
        at = stop
    return frames, at
