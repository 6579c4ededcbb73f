"""The datatypes of the Open Inference Protocol: how each is held in memory, on the wire, in JSON and in an ONNX graph."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from registry_client.manifest import Datatype

Tensor = npt.NDArray[Any]  # Any: the datatype is data here, told by the interface at run time
"""A tensor inside the pipeline. Strings are object arrays of `str`."""


@dataclass(frozen=True, slots=True, eq=False)
class Element:
    """One datatype. `width`: bytes per element on the wire, None for BYTES."""

    datatype: Datatype
    dtype: np.dtype[Any]
    width: int | None
    scalar: type
    onnx: str

    @property
    def has_json_form(self) -> bool:
        """Whether the protocol lets it travel as JSON."""
        return self.datatype not in {Datatype.FP16, Datatype.BF16}

    @property
    def is_float(self) -> bool:
        """Whether it can hold NaN and the infinities."""
        return self.scalar is float


def _element(datatype: Datatype, code: str, onnx: str, width: int | None = None) -> Element:
    dtype = np.dtype(code)
    scalar: type = {"b": bool, "i": int, "u": int, "f": float, "O": str}[dtype.kind]
    size = None if datatype is Datatype.BYTES else width or dtype.itemsize
    return Element(datatype, dtype, size, scalar, f"tensor({onnx})")


ELEMENTS = {
    element.datatype: element
    for element in (
        _element(Datatype.BOOL, "?", "bool"),
        _element(Datatype.UINT8, "u1", "uint8"),
        _element(Datatype.UINT16, "<u2", "uint16"),
        _element(Datatype.UINT32, "<u4", "uint32"),
        _element(Datatype.UINT64, "<u8", "uint64"),
        _element(Datatype.INT8, "i1", "int8"),
        _element(Datatype.INT16, "<i2", "int16"),
        _element(Datatype.INT32, "<i4", "int32"),
        _element(Datatype.INT64, "<i8", "int64"),
        _element(Datatype.FP16, "<f2", "float16"),
        # numpy has no bfloat16: it travels as two bytes and is float32 inside the pipeline
        _element(Datatype.BF16, "<f4", "float", width=2),
        _element(Datatype.FP32, "<f4", "float"),
        _element(Datatype.FP64, "<f8", "double"),
        _element(Datatype.BYTES, "O", "string"),
    )
}
