"""Whether the parts of a version fit together, as far as it shows before anything runs. The golden examples show the rest."""

from collections.abc import Mapping

from registry_client.manifest import Interface, TensorSpec
from serving.dataplane.components.transform import Names, Transform
from serving.dataplane.contract import DYNAMIC
from serving.dataplane.datatypes import ELEMENTS
from serving.dataplane.faults import LoadFailed
from serving.dataplane.session import GraphSession, Port


def refuse_misfit(interface: Interface, session: GraphSession, *, pre: Transform | None, post: Transform | None) -> None:
    """Follow the names through the pipeline and compare types and shapes where nothing lies between. Raises `LoadFailed`."""
    names: Names | None = frozenset(spec.name for spec in interface.inputs)
    if pre is not None:
        names = pre.trace(names or frozenset())
    else:
        _refuse_unlike_inputs(interface, session)
    if names is not None:
        _refuse_missing("the model takes", session.inputs, names)
    left = None if names is None else names - session.takes
    made = frozenset(session.outputs)
    if post is None:
        _refuse_unlike_outputs(interface, session, passed_on=left)
        return
    _refuse_non_tensors(session.outputs)
    final = None if left is None else post.trace(left | made)
    if final is not None:
        _refuse_missing("the interface promises", dict.fromkeys(spec.name for spec in interface.outputs), final)


def _refuse_missing(who: str, wanted: Mapping[str, object], names: Names) -> None:
    missing = sorted(wanted.keys() - names)
    if missing:
        reason = f"{who} {', '.join(missing)}, but the pipeline hands over {', '.join(sorted(names)) or 'nothing'}"
        raise LoadFailed(reason)


def _refuse_unlike_inputs(interface: Interface, session: GraphSession) -> None:
    for spec in interface.inputs:
        port = session.inputs.get(spec.name) or session.optional.get(spec.name)
        if port is None:
            reason = f"interface input {spec.name!r} reaches nothing: the model takes {', '.join(sorted(session.takes))}"
            raise LoadFailed(reason)
        if spec.optional and spec.name in session.inputs:
            reason = (
                f"interface input {spec.name!r} is optional, but the model requires it (an optional input is an overridable initializer)"
            )
            raise LoadFailed(reason)
        _refuse_unlike("input", spec, port)
        if any(want == DYNAMIC and isinstance(have, int) for want, have in zip(spec.shape, port.shape, strict=False)):
            reason = f"interface input {spec.name!r} is {list(spec.shape)}, the model takes only {port}"
            raise LoadFailed(reason)


def _refuse_unlike_outputs(interface: Interface, session: GraphSession, *, passed_on: Names | None) -> None:
    for spec in interface.outputs:
        port = session.outputs.get(spec.name)
        if port is not None:
            _refuse_non_tensors({spec.name: port})
            _refuse_unlike("output", spec, port)
        elif passed_on is not None and spec.name not in passed_on:
            reason = f"the model makes no output {spec.name!r}, only {', '.join(sorted(session.outputs))}"
            raise LoadFailed(reason)


def _refuse_unlike(role: str, spec: TensorSpec, port: Port) -> None:
    expected = ELEMENTS[spec.datatype].onnx
    if port.type != expected:
        reason = f"interface {role} {spec.name!r} is {spec.datatype} ({expected}), the model's is {port.type}"
        raise LoadFailed(reason)
    clash = any(isinstance(have, int) and want not in {DYNAMIC, have} for want, have in zip(spec.shape, port.shape, strict=False))
    if port.has_rank and (len(spec.shape) != len(port.shape) or clash):
        reason = f"interface {role} {spec.name!r} is {list(spec.shape)}, the model's is {port}"
        raise LoadFailed(reason)


def _refuse_non_tensors(ports: Mapping[str, Port]) -> None:
    for port in ports.values():
        if not port.type.startswith("tensor("):
            reason = f"the model's output {port.name!r} is {port.type}, not a tensor (export classifiers with zipmap=False)"
            raise LoadFailed(reason)
