from typing import Any

import numpy as np
import pytest

from registry_client.compatibility.datatypes import JsonKind, holds, json_kind
from registry_client.manifest import Datatype

NUMPY: dict[Datatype, "np.dtype[Any]"] = {
    kind: np.dtype(kind.lower().replace("fp", "float")) for kind in Datatype if kind not in {Datatype.BOOL, Datatype.BF16, Datatype.BYTES}
}
INEXACT = {(Datatype.INT64, Datatype.FP64), (Datatype.UINT64, Datatype.FP64)}
"""numpy calls these safe, though a double has 53 bits."""


@pytest.mark.parametrize("narrow", NUMPY)
@pytest.mark.parametrize("wide", NUMPY)
def test_a_datatype_holds_another_where_every_value_survives(narrow: Datatype, wide: Datatype) -> None:
    assert holds(wide, narrow) is (np.can_cast(NUMPY[narrow], NUMPY[wide], "safe") and (narrow, wide) not in INEXACT)


@pytest.mark.parametrize(
    ("wide", "narrow", "held"),
    [
        (Datatype.FP32, Datatype.BF16, True),
        (Datatype.FP16, Datatype.BF16, False),
        (Datatype.BF16, Datatype.FP16, False),
        (Datatype.BF16, Datatype.INT8, True),
        (Datatype.BF16, Datatype.INT16, False),
        (Datatype.INT8, Datatype.BOOL, False),
        (Datatype.BYTES, Datatype.INT8, False),
        (Datatype.BYTES, Datatype.BYTES, True),
    ],
)
def test_datatypes_that_numpy_does_not_know_are_held_by_their_bits(wide: Datatype, narrow: Datatype, held: bool) -> None:  # noqa: FBT001 - a parameter of the table
    assert holds(wide, narrow) is held


def test_every_datatype_is_something_in_plain_json() -> None:
    assert {json_kind(kind) for kind in Datatype} == set(JsonKind)
