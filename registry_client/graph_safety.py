"""Which graphs may be loaded at all: of known operators, leaning on no file that the manifest does not list.

Asked when a bundle is read, and again before onnxruntime sees the graph: who published it need not have asked.
"""

import posixpath
from collections.abc import Collection
from typing import Final

from registry_client.errors import UnsafeGraph
from registry_client.graphs import GraphFacts

ALLOWED_DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""The standard's and onnxruntime's own. Others are code from elsewhere."""

ON_DEMAND: Final = frozenset({"ai.onnx.contrib"})
"""Those of onnxruntime-extensions: a library that is loaded for the components that ask for it."""

MOST_NODES: Final = 200_000
"""Of a graph with functions, when they are written out: onnxruntime 1.32 took 0.25 ms for each, and large models have tens of thousands."""

FORBIDDEN_OPERATORS: Final = frozenset({"com.microsoft:EPContext"})
"""It names a compiled program in a file of its own, which nobody has digested."""


def refuse_unsafe(path: str, facts: GraphFacts, listed: Collection[str], domains: Collection[str] = ()) -> None:
    """Raise `UnsafeGraph` for a graph that must not be loaded.

    `listed`: the paths of the manifest's artifacts; `domains`: those of `ON_DEMAND` that the graph's component asks for.
    """
    if not facts.operators:
        raise UnsafeGraph(path, "it holds no operator, so it computes nothing", "export the model to ONNX")
    strange = sorted(facts.domains - ALLOWED_DOMAINS - ON_DEMAND.intersection(domains) - facts.functions)
    unasked = ON_DEMAND.intersection(strange)
    if unasked:
        hint = f"put these operators into an onnx component, and give it domains: [{', '.join(unasked)}]"
        raise UnsafeGraph(path, f"it uses operators of {', '.join(unasked)} without asking for them", hint)
    if strange:
        known = ", ".join(sorted(domain for domain in ALLOWED_DOMAINS if domain))
        hint = f"operators of {known} are loaded, and functions that the graph itself defines"
        raise UnsafeGraph(path, f"it uses operators of {', '.join(strange)}, which come from elsewhere", hint)
    forbidden = sorted(facts.operators & FORBIDDEN_OPERATORS)
    if forbidden:
        hint = "publish the graph that it was compiled from"
        raise UnsafeGraph(path, f"it uses {', '.join(forbidden)}, which loads a file that has no digest", hint)
    _refuse_endless(path, facts)
    if not facts.is_dated:
        hint = "export it again: opset_import must name a version of the domain ai.onnx"
        raise UnsafeGraph(path, "it does not say of which opset its operators are, so that they would mean what the newest one says", hint)
    for location in sorted(facts.external):
        inside = posixpath.normpath(posixpath.join(posixpath.dirname(path), location))
        if posixpath.isabs(location) or inside not in listed:
            hint = "list it in model.yaml under weights, and keep it beside the graph"
            raise UnsafeGraph(path, f"it keeps tensors in {location[:200]!r}, which the manifest's artifacts do not list", hint)


def _refuse_endless(path: str, facts: GraphFacts) -> None:
    hint = "write the functions out when you export it (onnx.inliner.inline_local_functions)"
    if facts.nodes is None:
        raise UnsafeGraph(path, "its functions call each other in a circle", hint)
    if facts.functions and facts.nodes > MOST_NODES:
        raise UnsafeGraph(path, f"its functions, written out, are more than {MOST_NODES:,} nodes", hint)
