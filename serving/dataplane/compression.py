"""Inflating compressed request bodies, never beyond a cap: a few kilobytes can claim to be gigabytes."""

import zlib

from serving.dataplane.faults import BadInput, TooLarge
from serving.ports import Encoding

_GZIP = 31
_ZLIB = 15
_RAW = -15
"""zlib's `wbits` for each container. HTTP's deflate is the zlib one; some clients send the bare stream."""


def inflate(body: bytes, encoding: Encoding, *, cap: int) -> bytes:
    """The body as it was before compression. Raises `BadInput` or `TooLarge`."""
    match encoding:
        case Encoding.IDENTITY:
            return body
        case Encoding.GZIP:
            return _inflate(body, _GZIP, "gzip", cap)
        case Encoding.DEFLATE:
            return _inflate(body, _ZLIB if _has_zlib_header(body) else _RAW, "deflate", cap)


def _has_zlib_header(body: bytes) -> bool:
    return len(body) > 1 and body[0] & 0x0F == zlib.DEFLATED and int.from_bytes(body[:2]) % 31 == 0


def _inflate(body: bytes, wbits: int, name: str, cap: int) -> bytes:
    stream = zlib.decompressobj(wbits)
    try:
        inflated = stream.decompress(body, cap + 1)
    except zlib.error:
        msg = f"the body is not valid {name}: send it as Content-Encoding says, or uncompressed"
        raise BadInput(msg) from None
    if len(inflated) > cap:
        msg = f"the body inflates to more than {cap} bytes: send fewer rows per request"
        raise TooLarge(msg)
    if not stream.eof:
        msg = f"the {name} body is truncated: send all of it"
        raise BadInput(msg)
    if stream.unused_data:
        msg = f"{len(stream.unused_data)} bytes follow the end of the {name} body: send one {name} stream"
        raise BadInput(msg)
    return inflated
