"""One ONNX graph in onnxruntime: opened with the manifest's resources, described by its ports, run on named tensors."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import onnxruntime as ort

from registry_client.manifest import Serving
from serving.dataplane.datatypes import Tensor
from serving.dataplane.extensions import EXTENSIONS, register_extensions
from serving.dataplane.faults import LoadFailed
from serving.dataplane.tensors import as_text

_FATAL = 4
"""onnxruntime's log severity: its errors reach us as exceptions, its stderr would name the caller's data."""

TEXT = "tensor(string)"


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a graph: onnxruntime's type, and the shape, where a str or None is a dynamic dimension."""

    name: str
    type: str
    shape: tuple[int | str | None, ...]

    @property
    def has_rank(self) -> bool:
        """Whether the graph says its rank; onnxruntime shows an unknown one as a scalar's."""
        return bool(self.shape)

    @property
    def is_batched(self) -> bool:
        """Whether the first dimension is dynamic, or unknown."""
        return not self.has_rank or not isinstance(self.shape[0], int)

    def __str__(self) -> str:
        dims = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.type} [{dims}]"


@dataclass(frozen=True, slots=True)
class GraphContent:
    """A graph's file, and those that it keeps tensors in, by the location that it names them by."""

    model: bytes
    weights: Mapping[str, bytes] = field(default_factory=dict[str, bytes])


class GraphSession:
    """An open graph. Not copied, not pickled; `run` may be called from one thread at a time or several."""

    def __init__(self, session: "ort.InferenceSession") -> None:
        self._session = session
        self.inputs = _ports(session.get_inputs())
        self.optional = _ports(session.get_overridable_initializers())
        self.outputs = _ports(session.get_outputs())
        self.takes = frozenset(self.inputs) | frozenset(self.optional)
        self._texts = tuple(name for name, port in (self.inputs | self.optional).items() if port.type == TEXT)

    def run(self, outputs: Sequence[str], tensors: Mapping[str, Tensor]) -> Sequence[Tensor]:
        """Run the graph on those tensors that it takes; onnxruntime's errors pass through."""
        feed = {name: tensor for name, tensor in tensors.items() if name in self.takes}
        for name in self._texts:
            if name in feed:  # onnxruntime would take bytes for their Python notation
                feed[name] = as_text(feed[name])
        answers: Sequence[Any] = self._session.run(outputs, feed)  # Any: graphs can answer sequences, maps and sparse tensors too
        return answers


def open_graph(content: GraphContent, serving: Serving, *, label: str, domains: Collection[str] = ()) -> GraphSession:
    """Load a graph, with the operators of `domains` beyond the usual. Raises `LoadFailed`, naming it by `label`.

    onnxruntime keeps copies: the content is not needed any more.
    """
    missing = [provider for provider in serving.providers if provider not in ort.get_available_providers()]
    if missing:
        reason = f"{label} needs {', '.join(missing)}, this machine's onnxruntime has {', '.join(ort.get_available_providers())}"
        raise LoadFailed(reason)
    options = ort.SessionOptions()
    options.intra_op_num_threads = serving.cpu
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if content.weights:
        sizes = [len(file) for file in content.weights.values()]
        options.add_external_initializers_from_files_in_memory(list(content.weights), list(content.weights.values()), sizes)
    if EXTENSIONS in domains:
        register_extensions(options, label=label)
    try:
        session = ort.InferenceSession(content.model, options, providers=list(serving.providers))
    except Exception as error:  # onnxruntime's own exceptions share no other base
        reason = f"{label} cannot be loaded by onnxruntime {ort.__version__}: {error}"
        raise LoadFailed(reason) from error
    lost = [provider for provider in serving.providers if provider not in session.get_providers()]
    if lost:  # onnxruntime falls back to the CPU by itself
        reason = f"{label}: {', '.join(lost)} is installed but did not start on this machine"
        raise LoadFailed(reason)
    return GraphSession(session)


def _ports(nodes: Sequence[Any]) -> dict[str, Port]:
    return {node.name: Port(node.name, node.type, tuple(node.shape)) for node in nodes}
