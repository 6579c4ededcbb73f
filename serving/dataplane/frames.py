"""The bytes on a link between a gateway and a version: length-prefixed frames, told apart by an id the caller chose.

frame   = length u32 | id u32 | payload           length counts id and payload; all integers little-endian
call    = kind u8 | encoding u8 | flags u8 | digest 32 bytes | json_length i32 | primary_length u32 | primary_json_length i32 |
          [leeway] | body | primary body
leeway  = atol f64 | rtol f64 | rank f64 | is_label_exact and is_shown u8    there where the call is mirrored
reply   = status u16 | failure u8 | json_length i32 | [said] | body
said    = flags u8 | score f64 | label_length u16 | label       there where failure has its highest bit set

A version's first frame on every link is its greeting: id 0, no payload.
"""

from struct import Struct

from serving.ports import Call, CallKind, Encoding, Failure, Leeway, Primary, Reply, Said, Sorting

PREFIX = Struct("<II")
CALL = Struct("<BBB32siIi")
REPLY = Struct("<HBi")
LEEWAY = Struct("<dddB")
SAID = Struct("<BdH")

MIRRORED = 1
"""Flag of a call: it carries the primary's answer."""
SORTING = 1
"""Where the bits of a call's sorting begin among its flags."""
SORTING_MASK = 3

EXACT, SHOWN = 1, 2
"""Flags of a mirrored call: labels must be the same; the shadow shows its answer where it disagrees."""

SPEAKS = 0x80
"""Added to the failure of a reply: what the answer comes to stands before its body."""
ODD, LABELLED, SCORED = 1, 2, 4
"""Flags of what an answer comes to."""
LONGEST_LABEL = 128
"""Bytes; what is longer is cut, and two labels that begin alike are one."""

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
_SORTINGS = {sorting.value: sorting for sorting in Sorting}
_FAILURES: tuple[Failure | None, ...] = (None, *Failure)
_FAILURE_CODES = {failure: code for code, failure in enumerate(_FAILURES)}


class BrokenFrame(Exception):
    """Bytes that no peer of ours would send: the link must be closed."""


def encode_call(number: int, call: Call) -> bytes:
    """One frame that carries a call."""
    if call.mirror is not None:
        return _encode_mirrored(number, call, call.mirror)
    head = CALL.pack(call.kind, call.encoding, call.sorting << SORTING, bytes.fromhex(call.digest), call.json_length, 0, -1)
    return b"".join((PREFIX.pack(_ID_BYTES + CALL.size + len(call.body), number), head, call.body))


def _encode_mirrored(number: int, call: Call, primary: Primary) -> bytes:
    flags, digest = MIRRORED | call.sorting << SORTING, bytes.fromhex(call.digest)
    head = CALL.pack(call.kind, call.encoding, flags, digest, call.json_length, len(primary.body), primary.json_length)
    leeway = primary.leeway
    allowed = LEEWAY.pack(leeway.atol, leeway.rtol, leeway.rank, EXACT * leeway.is_label_exact | SHOWN * primary.is_shown)
    length = _ID_BYTES + CALL.size + LEEWAY.size + len(call.body) + len(primary.body)
    return b"".join((PREFIX.pack(length, number), head, allowed, call.body, primary.body))


def decode_call(payload: bytes) -> Call:
    """Read a call. Raises `BrokenFrame`."""
    if len(payload) < CALL.size:
        msg = "a call frame is shorter than its head"
        raise BrokenFrame(msg)
    kind, encoding, flags, digest, json_length, primary_length, primary_json = CALL.unpack_from(payload)
    if kind not in _KINDS or encoding not in _ENCODINGS:
        msg = f"a call frame is of kind {kind} and encoding {encoding}"
        raise BrokenFrame(msg)
    if flags == 0:  # nearly all of them
        return Call(_KINDS[kind], digest.hex(), payload[CALL.size :], json_length, _ENCODINGS[encoding])
    begins, mirror, ends = CALL.size, None, len(payload)
    if flags & MIRRORED:
        begins, ends = CALL.size + LEEWAY.size, len(payload) - primary_length
        if begins > ends:
            msg = "a call frame is shorter than the primary answer it announces"
            raise BrokenFrame(msg)
        atol, rtol, rank, wishes = LEEWAY.unpack_from(payload, CALL.size)
        leeway = Leeway(atol, rtol, rank, bool(wishes & EXACT))
        mirror = Primary(payload[ends:], primary_json, leeway, bool(wishes & SHOWN))
    sorting = _SORTINGS.get(flags >> SORTING & SORTING_MASK, Sorting.NOTHING)
    return Call(_KINDS[kind], digest.hex(), payload[begins:ends], json_length, _ENCODINGS[encoding], mirror, sorting)


def encode_reply(number: int, reply: Reply) -> bytes:
    """One frame that carries a reply."""
    if reply.said is not None:
        return _encode_spoken(number, reply, reply.said)
    head = REPLY.pack(reply.status, _FAILURE_CODES[reply.failure], reply.json_length)
    return b"".join((PREFIX.pack(_ID_BYTES + REPLY.size + len(reply.body), number), head, reply.body))


def _encode_spoken(number: int, reply: Reply, said: Said) -> bytes:
    head = REPLY.pack(reply.status, _FAILURE_CODES[reply.failure] | SPEAKS, reply.json_length)
    label = (said.label or "").encode()[:LONGEST_LABEL]
    flags = ODD * said.is_odd | LABELLED * (said.label is not None) | SCORED * (said.score is not None)
    spoken = SAID.pack(flags, said.score or 0.0, len(label))
    length = _ID_BYTES + REPLY.size + SAID.size + len(label) + len(reply.body)
    return b"".join((PREFIX.pack(length, number), head, spoken, label, reply.body))


def decode_reply(payload: bytes) -> Reply:
    """Read a reply. Raises `BrokenFrame`."""
    if len(payload) < REPLY.size:
        msg = "a reply frame is shorter than its head"
        raise BrokenFrame(msg)
    status, failure, json_length = REPLY.unpack_from(payload)
    if failure < len(_FAILURES):  # nearly all of them
        return Reply(status, payload[REPLY.size :], json_length, _FAILURES[failure])
    if not SPEAKS <= failure < SPEAKS + len(_FAILURES):
        msg = f"a reply frame names failure {failure}, which does not exist"
        raise BrokenFrame(msg)
    said, at = _decode_said(payload)
    return Reply(status, payload[at:], json_length, _FAILURES[failure - SPEAKS], said)


def _decode_said(payload: bytes) -> tuple[Said, int]:
    """What stands before the body, and where the body begins."""
    begins = REPLY.size + SAID.size
    if len(payload) < begins:
        msg = "a reply frame is shorter than what it says of its answer"
        raise BrokenFrame(msg)
    flags, score, length = SAID.unpack_from(payload, REPLY.size)
    label = payload[begins : begins + length]
    if len(label) < length:
        msg = "a reply frame is shorter than the label it announces"
        raise BrokenFrame(msg)
    text = label.decode("utf-8", "replace") if flags & LABELLED else None
    return Said(text, score if flags & SCORED else None, bool(flags & ODD)), begins + length


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
