"""Which tensor datatypes hold every value of another, and which look alike in plain JSON."""

from enum import StrEnum
from typing import Final

from registry_client.manifest import Datatype


class JsonKind(StrEnum):
    """What a value of a datatype is in plain JSON."""

    TRUTH = "a truth value"
    WHOLE = "a whole number"
    NUMBER = "a number"
    TEXT = "a text"


_FLOATS: Final = {  # bits of significand (the hidden one included), bits of exponent; IEEE 754 and bfloat16
    Datatype.BF16: (8, 8),
    Datatype.FP16: (11, 5),
    Datatype.FP32: (24, 8),
    Datatype.FP64: (53, 11),
}
_WHOLE: Final = {  # smallest and greatest value, as exponents of two
    kind: (0 if kind.startswith("U") else 1, int(kind.removeprefix("U").removeprefix("INT"))) for kind in Datatype if "INT" in kind
}


def json_kind(datatype: Datatype) -> JsonKind:
    """What a caller sees of it in plain JSON."""
    if datatype is Datatype.BOOL:
        return JsonKind.TRUTH
    if datatype is Datatype.BYTES:
        return JsonKind.TEXT
    return JsonKind.WHOLE if datatype in _WHOLE else JsonKind.NUMBER


def is_whole(datatype: Datatype) -> bool:
    """Whether it holds integers only."""
    return datatype in _WHOLE


def holds(wide: Datatype, narrow: Datatype) -> bool:
    """Whether every value of `narrow` is exactly a value of `wide`."""
    if wide is narrow:
        return True
    if wide in _FLOATS and narrow in _FLOATS:
        return all(more >= less for more, less in zip(_FLOATS[wide], _FLOATS[narrow], strict=True))
    if narrow not in _WHOLE:
        return False
    signed, bits = _WHOLE[narrow]
    if wide in _FLOATS:
        return _FLOATS[wide][0] >= bits - signed  # the most negative value is a power of two, and exact
    if wide not in _WHOLE:
        return False
    wide_signed, wide_bits = _WHOLE[wide]
    return wide_signed >= signed and wide_bits - wide_signed >= bits - signed
