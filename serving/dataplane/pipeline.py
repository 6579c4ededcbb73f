"""The pinned pipeline of one version: pre, model, post, always all of them. The interface is what goes in and what comes out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from registry_client.manifest import Component, ComponentKind, Manifest
from serving.dataplane.components.declarative import load_declarative
from serving.dataplane.components.entries import BundleFiles, entry_of
from serving.dataplane.components.graph import GraphTransform
from serving.dataplane.components.python_module import load_python
from serving.dataplane.components.transform import Tensors, Transform
from serving.dataplane.contract import Contract
from serving.dataplane.datatypes import Tensor
from serving.dataplane.faults import BadOutput, LoadFailed, ModelFault
from serving.dataplane.fitting import refuse_misfit
from serving.dataplane.graph_files import open_verified_graph
from serving.dataplane.hosting.host import ComponentHost
from serving.dataplane.session import GraphSession

MODEL = "the model"


@dataclass(frozen=True, slots=True)
class Stage:
    """A component in its place, with the words that a fault of it is told in."""

    transform: Transform
    label: str

    def __call__(self, tensors: Tensors) -> Tensors:
        """Run it. Raises `ModelFault`."""
        try:
            return self.transform(tensors)
        except ModelFault:
            raise
        except Exception as error:
            raise ModelFault(self.label, f"{type(error).__name__}: {error}") from error


class Pipeline:
    """The loaded pipeline; `run` takes and gives the interface's tensors."""

    def __init__(self, contract: Contract, session: GraphSession, *, pre: Stage | None, post: Stage | None) -> None:
        self._contract = contract
        self._session = session
        self._pre, self._post = pre, post
        self._all_outputs = tuple(session.outputs)
        self._drawn_by_default = self._drawn(contract.output_names)
        self.is_batchable = (
            contract.is_batched
            and all(tensor.is_batched for tensor in contract.outputs.values())
            and all(port.is_batched for port in session.inputs.values())
            and all(session.outputs[name].is_batched for name in self._drawn_by_default)
        )

    def _drawn(self, outputs: Sequence[str]) -> tuple[str, ...]:
        """The outputs to ask the graph for: post may want any of them, without post only the interface's matter."""
        if self._post is not None:
            return self._all_outputs
        return tuple(name for name in outputs if name in self._session.outputs)

    def run(self, tensors: Tensors, outputs: Sequence[str], rows: int | None) -> Tensors:
        """Answer with these outputs, verified. Raises `ModelFault`."""
        if self._pre is None and self._post is None:
            answer = self._model(tensors, outputs)
        else:
            with np.errstate(all="ignore"):  # components may divide by zero as numpy does; the caller's own policy is not theirs
                answer = self._whole(dict(tensors), outputs, rows)
        for name in outputs:
            if name not in answer:
                raise BadOutput(name, f"is missing: the pipeline made only {sorted(answer)}")
            self._contract.outputs[name].verify(answer[name], rows)
        return answer

    def _whole(self, tensors: Tensors, outputs: Sequence[str], rows: int | None) -> Tensors:
        if self._pre is not None:
            tensors = self._pre(tensors)
            self._refuse_other_rows(tensors, rows)
        left = {name: tensor for name, tensor in tensors.items() if name not in self._session.takes}
        answer = left | self._model(tensors, outputs)
        return answer if self._post is None else self._post(answer)

    def _model(self, tensors: Tensors, outputs: Sequence[str]) -> Tensors:
        drawn = self._drawn_by_default if outputs is self._contract.output_names else self._drawn(outputs)
        try:
            return dict(zip(drawn, self._session.run(drawn, tensors), strict=True))
        except Exception as error:
            raise ModelFault(MODEL, f"{type(error).__name__}: {error}") from error

    def _refuse_other_rows(self, tensors: Tensors, rows: int | None) -> None:
        if rows is None or not self.is_batchable or self._pre is None:
            return
        for name in self._session.takes & tensors.keys():
            made = _rows_of(tensors[name])
            if made != rows:
                raise ModelFault(self._pre.label, f"it made {made} rows of {name!r} out of {rows}")


def _rows_of(tensor: Tensor) -> int | None:
    shape = getattr(tensor, "shape", ())
    return shape[0] if shape else None


@dataclass(frozen=True, slots=True)
class _Shop:
    """Where the components of one version are loaded."""

    manifest: Manifest
    path_of: Callable[[str], Path]
    host: ComponentHost | None

    @property
    def _files(self) -> BundleFiles:
        return BundleFiles.of(self.manifest, self.path_of)

    def stage(self, component: Component | None, role: str) -> Stage | None:
        if component is None:
            return None
        label = f"the {role} component {component.name} {component.version}"
        return Stage(self._transform(component, label), label)

    def _transform(self, component: Component, label: str) -> Transform:
        match component.kind:
            case ComponentKind.DECLARATIVE:
                return load_declarative(component.config, label=label)
            case ComponentKind.PYTHON if self.host is not None:
                return self.host.load(entry_of(component, self._files, label=label), label=label)
            case ComponentKind.PYTHON:
                return load_python(component, self._files, label=label)
            case ComponentKind.ONNX:
                path = component.entry or next(iter(component.files), None)
                if path is None:
                    reason = f"{label} is an ONNX graph, but names none as its entry"
                    raise LoadFailed(reason)
                domains = () if component.domains is msgspec.UNSET else component.domains
                session = open_verified_graph(self.manifest, path, self.path_of, label=label, domains=domains)
                return GraphTransform(session, label=label)


def open_pipeline(manifest: Manifest, path_of: Callable[[str], Path], host: ComponentHost | None = None) -> tuple[Contract, Pipeline]:
    """Load everything the manifest names for the request path and check that the parts fit. Raises `LoadFailed`.

    `host`: where the Python components run; None for this process.
    """
    session = open_verified_graph(manifest, manifest.model.path, path_of, label=MODEL)
    shop = _Shop(manifest, path_of, host)
    pre = shop.stage(manifest.pipeline.pre, "preprocessing")
    post = shop.stage(manifest.pipeline.post, "postprocessing")
    refuse_misfit(manifest.interface, session, pre=pre.transform if pre else None, post=post.transform if post else None)
    contract = Contract(manifest.interface, symbols=_symbols(manifest, session), keeps_bytes=_is_python(manifest.pipeline.pre))
    return contract, Pipeline(contract, session, pre=pre, post=post)


def _is_python(component: Component | None) -> bool:
    return component is not None and component.kind is ComponentKind.PYTHON


def _symbols(manifest: Manifest, session: GraphSession) -> dict[tuple[str, int], str]:
    """The graph's names of dimensions, for inputs that reach it under their own name and rank (a component may change values only)."""
    ports = session.inputs | session.optional
    found = {}
    for spec in manifest.interface.inputs:
        port = ports.get(spec.name)
        if port is not None and len(port.shape) == len(spec.shape) and not _is_python(manifest.pipeline.pre):
            found.update({(spec.name, axis): size for axis, size in enumerate(port.shape) if isinstance(size, str) and axis > 0})
    return found
