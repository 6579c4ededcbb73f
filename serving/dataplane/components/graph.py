"""ONNX components: a graph of their own that takes its inputs out of the named tensors and puts its outputs among them."""

from serving.dataplane.components.transform import Names, Tensors
from serving.dataplane.faults import LoadFailed
from serving.dataplane.session import GraphSession


class GraphTransform:
    """A graph in the pipeline."""

    def __init__(self, session: GraphSession, *, label: str) -> None:
        self._session = session
        self._label = label
        self._outputs = tuple(session.outputs)

    def __call__(self, tensors: Tensors) -> Tensors:
        """Run the graph; what it took is gone, what it made is there."""
        answers = self._session.run(self._outputs, tensors)
        kept = {name: tensor for name, tensor in tensors.items() if name not in self._session.takes}
        return kept | dict(zip(self._outputs, answers, strict=True))

    def trace(self, names: Names) -> Names:
        """The names after the graph ran. Raises `LoadFailed` where it would miss an input."""
        missing = sorted(self._session.inputs.keys() - names)
        if missing:
            reason = f"{self._label}: its graph takes {', '.join(missing)}, but there is only {', '.join(sorted(names))}"
            raise LoadFailed(reason)
        return (names - self._session.takes) | frozenset(self._outputs)
