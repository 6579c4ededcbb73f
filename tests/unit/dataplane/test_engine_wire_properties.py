"""Laws of the wire: what goes in one form comes out in the other, and no body whatever brings more than a refusal."""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_client.manifest import Datatype, Interface
from serving.dataplane.datatypes import ELEMENTS, Element, Tensor
from serving.dataplane.engine import VersionEngine
from serving.dataplane.tensors import from_json, from_wire, of_objects, to_wire
from serving.ports import NO_JSON_PART, Call, CallKind, Encoding, Failure
from tests.unit.dataplane.bundles import answer, binary, engine_of, identity_engine, infer, linear_graph, spec, tensor

SHAPES = st.lists(st.integers(0, 3), min_size=1, max_size=4)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


def _values(element: Element) -> st.SearchStrategy[Any]:
    if element.scalar is float:
        return st.floats(width=16 if element.width == 2 else 32 if element.width == 4 else 64, allow_nan=False, allow_infinity=False)
    if element.scalar is int:
        limits = np.iinfo(element.dtype)
        return st.integers(int(limits.min), int(limits.max))
    return st.booleans() if element.scalar is bool else TEXT


@st.composite
def tensors(draw: st.DrawFn, element: Element) -> tuple[Tensor, list[int]]:
    shape = draw(SHAPES)
    count = int(np.prod(shape))
    values = draw(st.lists(_values(element), min_size=count, max_size=count))
    made = of_objects(values) if element.width is None else np.array(values, element.dtype)
    if element.datatype is Datatype.BF16:  # only what has a bfloat16 form comes back unchanged
        made = (made.view("<u4") >> 16 << 16).view("<f4")
    return made.reshape(shape), shape


@pytest.mark.parametrize("element", ELEMENTS.values(), ids=lambda element: element.datatype.value)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_tensor_survives_the_wire(element: Element, data: st.DataObject) -> None:
    original, shape = data.draw(tensors(element))

    read = from_wire(element, memoryview(to_wire(element, original)), shape)

    assert read.shape == original.shape
    given_back = [value.decode() for value in read.ravel().tolist()] if element.width is None else read.ravel().tolist()
    assert given_back == original.ravel().tolist()


@pytest.mark.parametrize("element", [one for one in ELEMENTS.values() if one.has_json_form], ids=lambda element: element.datatype.value)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_json_and_binary_say_the_same(element: Element, data: st.DataObject) -> None:
    original, shape = data.draw(tensors(element))
    flat, nested = (msgspec.Raw(msgspec.json.encode(values)) for values in (original.ravel().tolist(), original.tolist()))

    from_flat = from_json(element, flat, shape)

    assert to_wire(element, from_flat) == to_wire(element, original)
    if 0 not in shape:
        assert to_wire(element, from_json(element, nested, shape)) == to_wire(element, from_flat)


@pytest.mark.parametrize("datatype", [one for one in Datatype if one is not Datatype.BF16])
def test_every_datatype_goes_through_a_model_in_both_forms(tmp_path: Path, datatype: Datatype) -> None:
    element = ELEMENTS[datatype]
    engine = identity_engine(tmp_path, datatype, (-1, 2))
    samples: dict[type, list[Any]] = {bool: [True, False], int: [1, 100], float: [0.5, -2.0], str: ["a", "ü"]}
    values = samples[element.scalar]
    raw = to_wire(element, of_objects(values) if element.width is None else np.array(values, element.dtype))
    both: dict[str, Any] = {"parameters": {"binary_data_output": True}}

    [wire] = engine.run([infer({"inputs": [binary(len(raw), [1, 2], datatype.value)], **both}, raw)])
    [text] = engine.run([infer({"inputs": [tensor(values, [1, 2], datatype.value)]})])

    assert wire.body[wire.json_length :] == raw
    if element.has_json_form:
        assert answer(text)["outputs"][0]["data"] == values
    else:
        assert (text.status, text.failure) == (400, Failure.CLIENT)
        assert b"no JSON form" in text.body


def test_bfloat16_is_rounded_to_nearest_even_on_its_way_out(tmp_path: Path) -> None:
    engine = identity_engine(tmp_path, Datatype.BF16, (-1,))
    raw = np.array([0x3F80, 0x7F80, 0x7FC0], "<u2").tobytes()  # 1, infinity, NaN

    [reply] = engine.run([infer({"inputs": [binary(6, [3], "BF16")], "parameters": {"binary_data_output": True}}, raw)])

    assert reply.body[reply.json_length :] == raw
    element = ELEMENTS[Datatype.BF16]
    halfway = np.array([0x3F808000, 0x3F818000, 0x3F808001], "<u4").view("<f4")
    assert np.frombuffer(to_wire(element, halfway), "<u2").tolist() == [0x3F80, 0x3F82, 0x3F81]


def test_a_binary_boolean_is_zero_or_one(tmp_path: Path) -> None:
    [reply] = identity_engine(tmp_path, Datatype.BOOL, (-1,)).run([infer({"inputs": [binary(2, [2], "BOOL")]}, b"\x01\x02")])

    assert (reply.status, reply.failure) == (400, Failure.CLIENT)


BROKEN_BYTES = {
    "too short for a length": (b"\1\0\0", 1),
    "a length beyond the end": (b"\5\0\0\0abc", 1),
    "an enormous length": (b"\xff\xff\xff\xffabc", 1),
    "more than one": (b"\1\0\0\0a\1\0\0\0b", 1),
    "fewer than said": (b"\1\0\0\0a", 2),
    "an enormous count": (b"\1\0\0\0a", 2**40),
    "not utf-8": (b"\1\0\0\0\xff", 1),
}


@pytest.mark.parametrize(("raw", "count"), BROKEN_BYTES.values(), ids=BROKEN_BYTES.keys())
def test_bytes_that_do_not_fit_are_refused(tmp_path: Path, raw: bytes, count: int) -> None:
    [reply] = identity_engine(tmp_path, Datatype.BYTES, (-1,)).run([infer({"inputs": [binary(len(raw), [count], "BYTES")]}, raw)])

    assert (reply.status, reply.failure) == (400, Failure.CLIENT)


# --- bodies that nobody meant ---------------------------------------------------------------------------------------

SEEDS = [
    infer({"id": "a", "inputs": [tensor([1.0, 2.0, 3.0, 4.0], [1, 4])], "outputs": [{"name": "y", "parameters": {"binary_data": True}}]}),
    infer({"inputs": [binary(16, [1, 4])], "parameters": {"binary_data_output": True}}, np.ones(4, "<f4").tobytes()),
    Call(CallKind.PREDICT, "d", json.dumps({"instances": [{"x": [1, 2, 3, 4]}]}).encode()),
    Call(CallKind.PREDICT, "d", json.dumps({"x": [1, 2, 3, 4]}).encode()),
]
SCRAPS = st.sampled_from(
    [
        b"",
        b"null",
        b"-1",
        b"1e999",
        b'"x"',
        b"{}",
        b"[]",
        b"[[",
        b"true",
        b"\xff",
        b"\\ud800",
        b"18446744073709551616",
        b",",
        b'"',
        b"0" * 40,
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> Call:
    seed = draw(st.sampled_from(SEEDS))
    body = seed.body
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(body)))
        stop = draw(st.integers(start, min(len(body), start + 8)))
        body = body[:start] + draw(SCRAPS | st.binary(max_size=3)) + body[stop:]
    body = body[: draw(st.integers(0, len(body)) | st.just(len(body)))]
    json_length = draw(st.just(seed.json_length) | st.integers(-3, len(body) + 2))
    return Call(seed.kind, "d", body, json_length, draw(st.just(Encoding.IDENTITY) | st.sampled_from(Encoding)))


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> list[VersionEngine]:
    folder = tmp_path_factory.mktemp("fuzz")
    linear_graph(folder / "model.onnx")
    plain = Interface(inputs=(spec("x", Datatype.FP32, (-1, 4)),), outputs=(spec("y", Datatype.FP32, (-1, 3)),))
    strict = msgspec.structs.replace(plain, request={"type": "object", "properties": {"x": {"type": "array", "items": {"minimum": -5}}}})
    return [engine_of(folder, plain), engine_of(folder, strict), engine_of(folder, msgspec.structs.replace(plain, unknown_inputs="ignore"))]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_body_brings_more_than_a_refusal(engines: list[VersionEngine], data: st.DataObject) -> None:
    call = data.draw(mutated() | st.builds(Call, st.sampled_from(CallKind), st.just("d"), st.binary(max_size=40), st.integers(-2, 50)))

    for engine in engines:
        [reply] = engine.run([call])

        assert reply.status in {200, 400, 413, 501}
        assert (reply.failure is None) == (reply.status == 200)
        json.loads(reply.body if reply.json_length == NO_JSON_PART else reply.body[: reply.json_length])
