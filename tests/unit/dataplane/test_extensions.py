"""A tokenizer of onnxruntime-extensions as a preprocessing component: text goes in, token ids reach the model."""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from registry_client.bundle import load_bundle
from registry_client.errors import InvalidBundle
from serving.dataplane.engine import open_engine
from serving.dataplane.faults import LoadFailed
from tests.unit.dataplane.bundles import answer, predict
from tests.unit.registry_client.sketches import DYNAMIC, tensor, write_bundle

DOMAIN = "ai.onnx.contrib"
WORDS = ["h", "e", "l", "o", "w", "r", "d", "he", "ll", "hell", "hello", "Ġ", "<|endoftext|>"]
MERGES = "#version: 0.2\nh e\nl l\nhe ll\nhell o\n"
LENGTH = 8
TOKENS = [("ids", TensorProto.INT64, ["n", LENGTH]), ("mask", TensorProto.INT64, ["n", LENGTH])]


def tokenizer() -> bytes:
    vocabulary = json.dumps({word: at for at, word in enumerate(WORDS)})
    names = [name for name, *_ in TOKENS]
    node = helper.make_node("GPT2Tokenizer", ["text"], names, domain=DOMAIN, vocab=vocabulary, merges=MERGES, padding_length=LENGTH)
    return _model([node], [("text", TensorProto.STRING, ["n"])], TOKENS)


def counting() -> bytes:
    """The sum of the token ids that count."""
    nodes = [helper.make_node("Mul", ["ids", "mask"], ["kept"]), helper.make_node("ReduceSum", ["kept", "axis"], ["y"], keepdims=0)]
    axis = numpy_helper.from_array(np.array([1], np.int64), "axis")
    return _model(nodes, TOKENS, [("y", TensorProto.INT64, ["n"])], [axis])


def _model(nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: list[Any] | None = None) -> bytes:
    ports = [[helper.make_tensor_value_info(*port) for port in side] for side in (inputs, outputs)]
    graph = helper.make_graph(nodes, "graph", *ports, constants or [])
    domains = {node.domain for node in nodes} - {""}
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


def write(directory: Path, *, model: bytes | None = None, **asked: Any) -> Path:
    pre = {"name": "words", "version": "1.0.0", "kind": "onnx", "entry": "pre.onnx", "files": ["pre.onnx"], **asked}
    interface = {"inputs": [tensor("text", "BYTES", (DYNAMIC,))], "outputs": [tensor("y", "INT64", (DYNAMIC,))]}
    return write_bundle(
        directory, "1.0.0", model or counting(), {"interface": interface, "pipeline": {"pre": pre}}, {"pre.onnx": tokenizer()}
    )


def test_text_is_tokenized_in_front_of_the_model(tmp_path: Path) -> None:
    # given
    bundle = load_bundle(write(tmp_path / "bundle", domains=[DOMAIN]))
    engine = open_engine(bundle.manifest, bundle.path)

    # when
    replies = engine.run([predict({"text": text}) for text in ("hello", "hello hello hell", "")])

    # then
    ids = {word: at for at, word in enumerate(WORDS)}
    expected = [ids["hello"], 2 * ids["hello"] + 2 * ids["Ġ"] + ids["hell"], 0]
    assert [answer(reply) for reply in replies] == [{"y": number} for number in expected]


def test_a_component_that_does_not_ask_for_the_operators_does_not_get_them(tmp_path: Path) -> None:
    directory = write(tmp_path / "bundle")

    with pytest.raises(InvalidBundle) as refused:
        load_bundle(directory)

    assert str(refused.value) == f"pre.onnx: it uses operators of {DOMAIN} without asking for them"
    assert refused.value.hint == f"put these operators into an onnx component, and give it domains: [{DOMAIN}]"


def test_published_without_asking_it_is_not_loaded(tmp_path: Path) -> None:
    # given
    bundle = load_bundle(write(tmp_path / "bundle", domains=[DOMAIN]))
    pipeline = bundle.manifest.pipeline
    assert pipeline.pre is not None
    silent = msgspec.structs.replace(pipeline, pre=msgspec.structs.replace(pipeline.pre, domains=msgspec.UNSET))

    # when / then
    with pytest.raises(LoadFailed, match=f"it uses operators of {DOMAIN} without asking for them"):
        open_engine(msgspec.structs.replace(bundle.manifest, pipeline=silent), bundle.path)


def test_the_model_itself_cannot_ask(tmp_path: Path) -> None:
    with pytest.raises(InvalidBundle, match=f"^model.onnx: it uses operators of {DOMAIN} without asking for them"):
        load_bundle(write(tmp_path / "bundle", model=tokenizer(), domains=[DOMAIN]))


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"domains": ["com.example"]}, "domains"),
        (
            {"domains": [DOMAIN], "kind": "declarative", "entry": None, "files": [], "config": {"steps": []}},
            "only the graph of an onnx component",
        ),
    ],
)
def test_what_can_be_asked_for_is_a_closed_list_for_onnx_components(tmp_path: Path, asked: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidBundle, match=why):
        load_bundle(write(tmp_path / "bundle", **asked))


def test_a_server_without_the_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    bundle = load_bundle(write(tmp_path / "bundle", domains=[DOMAIN]))
    monkeypatch.setitem(sys.modules, "onnxruntime_extensions", None)

    # when / then
    with pytest.raises(LoadFailed, match=r"this server lacks onnxruntime-extensions: install pointsman\[tokenizers\]"):
        open_engine(bundle.manifest, bundle.path)


def test_asking_is_part_of_what_a_component_is_and_not_asking_leaves_digests_as_they_were(tmp_path: Path) -> None:
    # given
    asking = load_bundle(write(tmp_path / "asking", domains=[DOMAIN])).manifest
    directory = write(tmp_path / "silent", domains=[])
    (directory / "pre.onnx").write_bytes(
        _model([helper.make_node("Identity", ["text"], ["ids"])], [("text", TensorProto.STRING, ["n"])], TOKENS[:1])
    )

    # when
    silent = load_bundle(directory).manifest

    # then
    assert b'"domains":["ai.onnx.contrib"]' in asking.canonical()
    assert b"domains" not in silent.canonical()
