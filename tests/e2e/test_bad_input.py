"""Bad input: every request that is wrong gets a 4xx with a sentence that names what is wrong, and disturbs nobody."""

import asyncio
import gzip
import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.e2e.calls import Answer, Caller
from tests.e2e.families import Bundles
from tests.e2e.installation import Installation
from tests.e2e.wire import connected, exchange, render

INFER = "/v2/models/digits/infer"
PREDICT = "/v1/families/digits/predict"
INTENT = "/v1/families/customer-intent/predict"
MIB = 2**20
GOOD_LANES = 12
GOOD_ROUNDS = 30


@dataclass(frozen=True, slots=True)
class Bad:
    """A request that is wrong, and the words that its error must have."""

    name: str
    words: tuple[str, ...]
    body: bytes = b""
    path: str = INFER
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 400

    @property
    def request(self) -> bytes:
        return render(self.path, self.body, self.headers)


def tensor(**changes: object) -> dict[str, Any]:
    good = {"name": "pixels", "shape": [1, 64], "datatype": "FP32", "data": [0.0] * 64}
    return {name: value for name, value in (good | changes).items() if value is not None}


def infer(*tensors: dict[str, Any], **more: object) -> bytes:
    return json.dumps({"inputs": list(tensors or [tensor()]), **more}).encode()


def with_number(number: str) -> bytes:
    """A right request but for one number."""
    return infer().replace(b"0.0", number.encode(), 1)


def binary(size: object, tail: bytes) -> tuple[bytes, dict[str, str]]:
    document = infer(tensor(data=None, parameters={"binary_data_size": size}))
    return document + tail, {"Inference-Header-Content-Length": str(len(document))}


def binary_cases() -> Iterator[Bad]:
    pixels = struct.pack("<64f", *[0.0] * 64)
    for name, size, tail, words in (
        ("truncated binary", 256, pixels[:-3], ("pixels", "binary_data_size", "253")),
        ("binary of too few elements", 252, pixels[:-4], ("pixels", "binary")),
        ("binary that is longer than it says", 252, pixels, ("pixels",)),
        ("negative binary size", -1, pixels, ("pixels", "binary_data_size")),
        ("huge binary size", 2**62, pixels, ("pixels", "binary_data_size")),
        ("binary size as text", "256", pixels, ("pixels", "binary_data_size")),
    ):
        body, headers = binary(size, tail)
        yield Bad(name, words, body, headers=headers)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


BAD = [
    # what it is about
    Bad("unknown family", ("nonesuch",), infer(), "/v2/models/nonesuch/infer", status=404),
    Bad("unknown family of predict", ("nonesuch",), b"{}", "/v1/families/nonesuch/predict", status=404),
    Bad("unknown version", ("9.9.9",), infer(), "/v2/models/digits/versions/9.9.9/infer", status=404),
    Bad("unknown tag", ("latest", "tag"), infer(), "/v2/models/digits/versions/latest/infer"),
    Bad("tag on no version", ("candidate",), infer(), "/v2/models/customer-intent/versions/candidate/infer", status=404),
    Bad("range that nothing satisfies", ("^7",), infer(), "/v2/models/digits/versions/%5E7/infer", status=404),
    Bad("family of 5,000 letters", ("not served",), infer(), f"/v2/models/{'a' * 5000}/infer", status=404),
    Bad("family that climbs out", ("..",), infer(), "/v2/models/../infer", status=404),
    Bad("family with control characters", ("not served",), infer(), "/v2/models/%00%0d%0aX/infer", status=404),
    # shapes and types
    Bad("wrong shape", ("pixels", "[1, 63]"), infer(tensor(shape=[1, 63], data=[0.0] * 63))),
    Bad("wrong rank", ("pixels", "[64]"), infer(tensor(shape=[64]))),
    Bad("rank of 1,000", ("shape",), infer(tensor(shape=[1] * 1000))),
    Bad("wrong count", ("pixels", "63"), infer(tensor(data=[0.0] * 63))),
    Bad("wrong datatype", ("pixels", "INT64", "FP32"), infer(tensor(datatype="INT64", data=[0] * 64))),
    Bad("unknown datatype", ("pixels", "FP31"), infer(tensor(datatype="FP31"))),
    Bad("huge dimension", ("pixels",), infer(tensor(shape=[2**62, 64]))),
    Bad("dimension beyond 64 bits", ("pixels",), infer(tensor(shape=[2**64, 64]))),
    Bad("negative dimension", ("shape",), infer(tensor(shape=[-1, 64]))),
    Bad("boolean dimension", ("shape", "bool"), infer(tensor(shape=[True, 64]))),
    Bad("fractional dimension", ("shape", "float"), infer(tensor(shape=[1.5, 64]))),
    Bad("dimension as text", ("shape", "str"), infer(tensor(shape=["1", 64]))),
    Bad("no shape", ("shape",), infer(tensor(shape=None))),
    Bad("ragged data", ("pixels",), infer(tensor(shape=[2, 64], data=[[0.0] * 64, [0.0] * 63]))),
    # values
    Bad("NaN", ("JSON",), with_number("NaN")),
    Bad("Infinity", ("JSON",), with_number("-Infinity")),
    Bad("1e999", ("pixels", "range"), with_number("1e999")),
    Bad("number beyond FP32", ("pixels", "FP32"), with_number("1e39")),
    Bad("integer beyond FP32", ("pixels", "FP32"), with_number(str(10**40))),
    Bad("integer of 5,000 digits", ("pixels",), with_number("9" * 5000)),
    Bad("text for numbers", ("pixels", "str"), infer(tensor(data=["0"] * 64))),
    Bad("booleans for numbers", ("pixels", "bool"), infer(tensor(data=[True] * 64))),
    Bad("null for a number", ("pixels", "null"), with_number("null")),
    Bad("an object for data", ("pixels", "object"), infer(tensor(data={"0": 0.0}))),
    Bad("neither data nor binary", ("pixels", "data"), infer(tensor(data=None))),
    # the envelope
    Bad("duplicate input", ("pixels", "twice"), infer(tensor(), tensor())),
    Bad("missing input", ("inputs",), infer().replace(b"inputs", b"input")),
    Bad("no inputs", ("inputs",), b'{"inputs": []}'),
    Bad("unknown input", ("voxels", "pixels"), infer(tensor(name="voxels"))),
    Bad("unknown output", ("nonesuch", "label"), infer(outputs=[{"name": "nonesuch"}])),
    Bad("duplicate output", ("label", "twice"), infer(outputs=[{"name": "label"}, {"name": "label"}])),
    Bad("binary flag as text", ("binary_data",), infer(outputs=[{"name": "label", "parameters": {"binary_data": "yes"}}])),
    Bad("shared memory", ("shared memory",), infer(tensor(parameters={"shared_memory_region": "r"})), status=501),
    # JSON
    Bad("empty body", ("JSON",)),
    Bad("not JSON", ("JSON",), b"pixels=0"),
    Bad("truncated JSON", ("JSON",), infer()[:-2]),
    Bad("something after the JSON", ("JSON",), infer() + b"x"),
    Bad("a list", ("array",), b"[]"),
    Bad("null", ("null",), b"null"),
    Bad("invalid UTF-8", ("JSON",), infer(tensor(name="\x00")).replace(b"\\u0000", b"\xff\xfe")),
    Bad("UTF-16", ("JSON",), infer().decode().encode("utf-16")),
    Bad("data 33 deep", ("pixels",), infer(tensor(data=json.loads(nested(33))))),
    Bad("data 100,000 deep", ("body", "nested"), infer(tensor(data="@")).replace(b'"@"', nested(100_000).encode())),
    Bad("inputs 100,000 deep", ("array",), f'{{"inputs": {nested(100_000)}}}'.encode()),
    # plain predictions
    Bad("predict: empty body", ("JSON",), b"", PREDICT),
    Bad("predict: missing input", ("pixels", "missing"), b"{}", PREDICT),
    Bad("predict: unknown field", ("voxels",), json.dumps({"pixels": [0] * 64, "voxels": 1}).encode(), PREDICT),
    Bad("predict: wrong count", ("pixels", "63"), json.dumps({"pixels": [0] * 63}).encode(), PREDICT),
    Bad("predict: wrong type", ("pixels", "str"), json.dumps({"pixels": ["0"] * 64}).encode(), PREDICT),
    Bad("predict: 33 deep", ("pixels",), f'{{"pixels": {nested(33)}}}'.encode(), PREDICT),
    Bad("predict: 100,000 deep", ("pixels",), f'{{"pixels": {nested(100_000)}}}'.encode(), PREDICT),
    Bad("predict: no instances", ("instances",), b'{"instances": []}', PREDICT),
    Bad("predict: one bad instance", ("pixels", "instance"), json.dumps({"instances": [{"pixels": [0] * 64}, {}]}).encode(), PREDICT),
    Bad("predict: a number for text", ("text", "int"), b'{"text": 7}', INTENT),
    Bad("predict: a lone surrogate", ("JSON",), b'{"text": "\\ud800 refund"}', INTENT),
    Bad("predict: invalid UTF-8 in text", ("JSON",), b'{"text": "\xff"}', INTENT),
    # headers, encodings, sizes
    Bad(
        "JSON part longer than the body",
        ("Inference-Header-Content-Length",),
        infer(),
        headers={"Inference-Header-Content-Length": "99999"},
    ),
    Bad("JSON part too short", ("JSON",), infer(), headers={"Inference-Header-Content-Length": "10"}),
    Bad("JSON part of -1", ("Inference-Header-Content-Length",), infer(), headers={"Inference-Header-Content-Length": "-1"}),
    Bad("JSON part as text", ("Inference-Header-Content-Length",), infer(), headers={"Inference-Header-Content-Length": "all"}),
    Bad("truncated gzip", ("gzip",), gzip.compress(infer())[:-9], headers={"Content-Encoding": "gzip"}),
    Bad("gzip that is none", ("gzip",), infer(), headers={"Content-Encoding": "gzip"}),
    Bad("deflate that is none", ("deflate",), infer(), headers={"Content-Encoding": "deflate"}),
    Bad("gzip bomb", ("inflates", "bytes"), gzip.compress(bytes(80 * MIB)), headers={"Content-Encoding": "gzip"}, status=413),
    Bad("unknown encoding", ("Content-Encoding", "br"), infer(), headers={"Content-Encoding": "br"}, status=415),
    Bad("body above the cap", ("body", "limit"), headers={"Content-Length": str(65 * MIB)}, status=413),
    Bad("header flood", ("headers",), infer(), headers={f"X-Flood-{number}": "1" for number in range(500)}, status=431),
    Bad("header of 40,000 bytes", ("headers",), infer(), headers={"X-Flood": "a" * 40_000}, status=431),
    Bad("timeout that is no number", ("X-Request-Timeout-Ms",), infer(), headers={"X-Request-Timeout-Ms": "soon"}),
    *binary_cases(),
]


@pytest.fixture(scope="module", autouse=True)
def replicas_live_through_it(installation: Installation) -> Iterator[None]:
    """No gateway and no version dies of anything that is sent here."""
    before = installation.replicas()
    yield
    assert installation.replicas() >= before


def refused_in_a_sentence(bad: Bad, answer: Answer) -> bool:
    sentence = answer.document["error"]
    return answer.status == bad.status and set(answer.document) == {"error"} and all(word in sentence for word in bad.words)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
async def test_it_is_refused_in_a_sentence_that_names_what_is_wrong(installation: Installation, bad: Bad) -> None:
    answer = await exchange(installation.port, bad.request)

    assert refused_in_a_sentence(bad, answer), f"{answer.status} {answer.body[:500]!r}"


def test_a_good_request_is_answered_after_all_that(caller: Caller, bundles: Bundles) -> None:
    example = bundles.golden("digits/1.0.0")[0]

    assert caller.predict("digits", example["request"]).label == example["response"]["label"]


def test_nan_in_a_binary_tensor_is_a_number_like_any_other(caller: Caller) -> None:
    body, headers = binary(256, struct.pack("<64f", *[float("nan")] * 64))

    answer = caller.send("POST", INFER, body, headers)

    assert answer.status == 200, answer.body
    [probabilities] = [output for output in answer.document["outputs"] if output["name"] == "probabilities"]
    assert probabilities["parameters"]["non_finite"] is True


async def test_bad_requests_do_not_touch_the_good_ones_beside_them(installation: Installation, bundles: Bundles) -> None:
    examples = bundles.golden("digits/1.0.0")
    good = [(render(PREDICT, json.dumps(example["request"]).encode()), example["response"]["label"]) for example in examples]

    async def ask_well(lane: int) -> list[bool]:
        async with connected(installation.port) as wire:
            asked = [good[(lane + number) % len(good)] for number in range(GOOD_ROUNDS)]
            answers = [(await wire.exchange(request), label) for request, label in asked]
        return [answer.status == 200 and answer.label == label for answer, label in answers]

    async def ask_badly(lane: int) -> list[bool]:
        return [refused_in_a_sentence(bad, await exchange(installation.port, bad.request)) for bad in BAD[lane::GOOD_LANES]]

    lanes = await asyncio.gather(*(ask(lane) for lane in range(GOOD_LANES) for ask in (ask_well, ask_badly)))

    outcomes = [outcome for lane in lanes for outcome in lane]
    assert len(outcomes) == len(BAD) + GOOD_LANES * GOOD_ROUNDS
    assert all(outcomes)
