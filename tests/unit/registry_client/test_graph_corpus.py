"""The corpus of bad graphs: chains, bombs, opsets, contradictions; where each is found out, and the words that its refusal must have.

Foreign formats, operators from elsewhere and weights in other files have their own tests in `test_artifact_safety.py`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from registry_client.bundle import load_bundle
from registry_client.errors import CannotRun, InvalidBundle
from serving.cli.answering import run_version
from tests.unit.registry_client.sketches import tensor, write_bundle

FORM = {"interface": {"inputs": [tensor("x")], "outputs": [tensor("y")]}, "serving": {"mem_mb": 64}}
PORTS = [helper.make_tensor_value_info("x", 1, ["n", 4])], [helper.make_tensor_value_info("y", 1, ["n", 4])]
STANDARD, OWN = helper.make_opsetid("", 17), helper.make_opsetid("own", 1)
ROW = {"x": [1.0, 2.0, 3.0, 4.0]}


@dataclass(frozen=True)
class BadGraph:
    """A model, and the words of its refusal (a pattern) when the bundle is read, or else when it is run."""

    name: str
    words: str
    model: bytes
    is_read: bool = True


def model(
    *nodes: Any, functions: tuple[Any, ...] = (), opsets: tuple[Any, ...] | None = None, ir: int = 9, constants: tuple[Any, ...] = ()
) -> bytes:
    graph = helper.make_graph(list(nodes), "g", *PORTS, list(constants))
    if opsets is None:
        opsets = (STANDARD, OWN) if functions else (STANDARD,)
    return bytes(helper.make_model(graph, opset_imports=list(opsets), ir_version=ir, functions=list(functions)).SerializeToString())


def node(operator: str, source: str = "x", target: str = "y", domain: str = "", **attributes: Any) -> Any:
    return helper.make_node(operator, [source], [target], domain=domain, **attributes)


def function(name: str, *nodes: Any, opsets: tuple[Any, ...] = (STANDARD, OWN)) -> Any:
    return helper.make_function("own", name, ["a"], ["b"], list(nodes), list(opsets))


def chain_of_calls(count: int, *, twice: bool) -> tuple[Any, ...]:
    """Functions, each of which calls the one before, once or twice; the last is called `fCOUNT`."""
    found = [function("f0", node("Identity", "a", "b"))]
    for at in range(1, count + 1):
        calls = (
            [node(f"f{at - 1}", "a", "m", "own"), node(f"f{at - 1}", "m", "b", "own")] if twice else [node(f"f{at - 1}", "a", "b", "own")]
        )
        found.append(function(f"f{at}", *calls))
    return tuple(found)


def doubling(count: int) -> Iterator[Any]:
    """Every node makes its input twice as long: 2^count rows of what was one."""
    for at in range(count):
        source, target = "x" if at == 0 else f"t{at}", "y" if at == count - 1 else f"t{at + 1}"
        yield helper.make_node("Concat", [source, source], [target], axis=0)


def nested(depth: int) -> bytes:
    inner = helper.make_graph([node("Identity", "x", "o")], "g", [], [helper.make_tensor_value_info("o", 1, None)])
    for _ in range(depth):
        inner = helper.make_graph(
            [helper.make_node("If", ["c"], ["o"], then_branch=inner, else_branch=helper.make_graph([], "e", [], []))],
            "g",
            [],
            [helper.make_tensor_value_info("o", 1, None)],
        )
    branch = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=helper.make_graph([], "e", [], []))
    return model(branch, constants=(numpy_helper.from_array(np.array([1], bool).reshape(()), "c"),))


ROUND = "its functions call each other in a circle"
UNDATED = "it does not say of which opset its operators are"
GRAPHS = [
    # chains
    BadGraph("a function that calls itself", ROUND, model(node("f", domain="own"), functions=(function("f", node("f", "a", "b", "own")),))),
    BadGraph(
        "functions that call each other",
        ROUND,
        model(node("f", domain="own"), functions=(function("f", node("g", "a", "b", "own")), function("g", node("f", "a", "b", "own")))),
    ),
    BadGraph(
        "functions that call each other, and nobody calls them",
        ROUND,
        model(node("Identity"), functions=(function("f", node("g", "a", "b", "own")), function("g", node("f", "a", "b", "own")))),
    ),
    BadGraph(
        "functions that call twice, forty deep",
        "its functions, written out, are more than 200,000 nodes",
        model(node("f40", domain="own"), functions=chain_of_calls(40, twice=True)),
    ),
    BadGraph(
        "functions that call once, three hundred deep",
        "function call depth",
        model(node("f300", domain="own"), functions=chain_of_calls(300, twice=False)),
        is_read=False,
    ),
    BadGraph("branches in branches", "the graph is nested deeper than 64", nested(22)),
    BadGraph(
        "nodes in a circle",
        "the graph is not acyclic",
        model(helper.make_node("Add", ["x", "z"], ["y"]), node("Identity", "y", "z")),
        is_read=False,
    ),
    # bombs
    BadGraph("sixteen bytes that become terabytes", "not answered: 500", model(*doubling(38)), is_read=False),
    BadGraph(
        "a constant that is larger than memory",
        "takes more memory than it may|cannot be loaded by onnxruntime|not answered: 500",
        model(
            node("ConstantOfShape", "shape", "zeros"),
            node("ReduceSum", "zeros", "sum", keepdims=0),
            helper.make_node("Add", ["x", "sum"], ["y"]),
            constants=(numpy_helper.from_array(np.array([2**38], np.int64), "shape"),),
        ),
        is_read=False,
    ),
    # opsets
    BadGraph("no opset at all", UNDATED, model(node("Identity"), opsets=())),
    BadGraph("an opset of another domain only", UNDATED, model(node("Identity"), opsets=(helper.make_opsetid("ai.onnx.ml", 1),))),
    BadGraph(
        "a function without an opset",
        UNDATED,
        model(node("f", domain="own"), functions=(function("f", node("Identity", "a", "b"), opsets=(OWN,)),), opsets=(OWN,)),
    ),
    BadGraph(
        "an opset of the future",
        "cannot be loaded by onnxruntime",
        model(node("Identity"), opsets=(helper.make_opsetid("", 999),)),
        is_read=False,
    ),
    BadGraph(
        "an opset of zero", "cannot be loaded by onnxruntime", model(node("Identity"), opsets=(helper.make_opsetid("", 0),)), is_read=False
    ),
    BadGraph(
        "a negative opset", "cannot be loaded by onnxruntime", model(node("Identity"), opsets=(helper.make_opsetid("", -1),)), is_read=False
    ),
    BadGraph("a form of the future", "cannot be loaded by onnxruntime", model(node("Identity"), ir=99), is_read=False),
    # graphs that contradict themselves
    BadGraph("an operator that there is none", "cannot be loaded by onnxruntime.*Nope", model(node("Nope")), is_read=False),
    BadGraph("two nodes that make one name", "Duplicate definition of name", model(node("Identity"), node("Identity")), is_read=False),
    BadGraph("an input that nobody makes", "'q' is not a graph input", model(node("Identity", "q")), is_read=False),
    BadGraph("an attribute of another kind", "cannot be loaded by onnxruntime", model(node("Softmax", axis="one")), is_read=False),
    BadGraph("an output of another type", "does not match expected type", model(node("Cast", to=TensorProto.INT64)), is_read=False),
]


def refusal_of(directory: Path) -> str:
    """What `check` says: when the bundle is read, when it is loaded, or when it does not answer."""
    try:
        bundle = load_bundle(directory)
    except InvalidBundle as refused:
        return f"read: {refused} (hint: {refused.hint})"
    try:
        [answered] = run_version(bundle, bundle.manifest.serving, [ROW])
    except CannotRun as refused:
        return f"run: {refused} (hint: {refused.hint})"
    return f"run: not answered: {answered.error}"


@pytest.mark.parametrize("seed", GRAPHS, ids=lambda seed: seed.name)
def test_a_bad_graph_is_refused_with_its_sentence(tmp_path: Path, seed: BadGraph) -> None:
    directory = write_bundle(tmp_path / "bundle", "1.0.0", seed.model, FORM)

    said = refusal_of(directory)

    assert said.partition(":")[0] == ("read" if seed.is_read else "run")
    assert re.search(seed.words, said), said
    assert "(hint: )" not in said


def test_what_looks_like_them_and_is_good_is_loaded(tmp_path: Path) -> None:
    good = {
        "functions that call twice, eight deep": model(node("f8", domain="own"), functions=chain_of_calls(8, twice=True)),
        "functions that call once, fifty deep": model(node("f50", domain="own"), functions=chain_of_calls(50, twice=False)),
        "the standard by its long name": model(node("Identity"), opsets=(helper.make_opsetid("ai.onnx", 17),)),
        "an opset of the model, for its functions too": model(
            node("f", domain="own"), functions=(function("f", node("Identity", "a", "b"), opsets=(STANDARD,)),)
        ),
    }

    said = {name: refusal_of(write_bundle(tmp_path / str(at), "1.0.0", content, FORM)) for at, (name, content) in enumerate(good.items())}

    assert said == dict.fromkeys(good, "run: not answered: ")  # answered, and so without an error
