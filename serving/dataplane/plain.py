"""Plain application JSON: an object keyed by the interface's input names, or `{"instances": [...]}`, becomes tensors and back.

An instance has no batch dimension: for shape [-1] its value is a scalar, for [-1, 4] a list of four. A repeated key counts with
its last value; NaN and the infinities in an answer are null.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import jsonschema
import msgspec
from jsonschema.protocols import Validator

from registry_client.json_schemas import UnusableSchema, refuse_unusable
from serving.dataplane.contract import Contract, TensorContract, clip, quoted
from serving.dataplane.datatypes import Tensor
from serving.dataplane.faults import BadInput, BadOutput, LoadFailed, NotSupported
from serving.dataplane.tensors import as_text, from_values, nested_list
from serving.dataplane.work import Work
from serving.ports import Reply

BATCH_FIELD = "instances"
DEEPEST = 32
_ENCODE = msgspec.json.Encoder().encode
_ANYTHING = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class PlainForm:
    """How one caller wants the answer: one object, or `predictions` in the order of its instances."""

    codec: "PlainCodec"
    is_batch: bool

    def encode(self, tensors: Mapping[str, Tensor]) -> Reply:
        """Write the answer."""
        rows = self.codec.rows(tensors)
        return Reply(200, _ENCODE({"predictions": rows} if self.is_batch else rows[0]))


class PlainCodec:
    """Both directions for one version. Raises `LoadFailed` where the interface contradicts itself."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._takes_batches = BATCH_FIELD not in contract.inputs
        self._fields = {name: f"f{index}" for index, name in enumerate(contract.inputs)}
        self._columns = {name: attrgetter(field) for name, field in self._fields.items()}
        self._decoder = msgspec.json.Decoder(self._envelope())
        self._one, self._many = PlainForm(self, is_batch=False), PlainForm(self, is_batch=True)
        self._validator = _validator(contract.interface.request)
        self._whole = [name for name, tensor in contract.outputs.items() if contract.is_batched and not tensor.is_batched]
        self._labels = {name: _labels_of(contract, tensor) for name, tensor in contract.outputs.items()}

    def _envelope(self) -> type[msgspec.Struct]:
        fields = [(self._fields[name], _value_type(tensor), msgspec.UNSET) for name, tensor in self._contract.inputs.items()]
        renamed = {field: name for name, field in self._fields.items()}
        strict = not self._contract.ignores_unknown
        if not self._takes_batches:
            return msgspec.defstruct("Instance", fields, rename=renamed, forbid_unknown_fields=strict)
        instance = msgspec.defstruct("Instance", fields, rename=renamed, forbid_unknown_fields=strict)
        batch = (BATCH_FIELD, list[instance] | msgspec.UnsetType, msgspec.UNSET)  # type: ignore[valid-type]
        return msgspec.defstruct("Envelope", [*fields, batch], rename=renamed, forbid_unknown_fields=strict)

    def decode(self, body: bytes) -> Work:
        """Read a request. Raises `CallRefused`."""
        if self._whole:
            msg = f"output {quoted(self._whole)} has no batch dimension, so there is none per instance: use the v2 infer call"
            raise NotSupported(msg)
        envelope = self._parse(body)
        instances = getattr(envelope, BATCH_FIELD, msgspec.UNSET)
        if instances is msgspec.UNSET:
            form, instances = self._one, [envelope]
        else:
            form = self._many
            self._refuse_odd_batch(envelope, instances)
        if self._validator is not None:
            _validate(self._validator, body, is_batch=form.is_batch)
        tensors = self._contract.settle(self._tensors(instances))
        return Work(tensors, self._contract.rows(tensors), self._contract.output_names, form)

    def _parse(self, body: bytes) -> msgspec.Struct:
        try:
            return self._decoder.decode(body)
        except msgspec.ValidationError as error:
            inputs = ", ".join(f"{clip(tensor.name)!r}: {_phrase(tensor)}" for tensor in list(self._contract.inputs.values())[:16])
            msg = f"the body does not fit the interface: {clip(error, 300)}; an instance is an object with {inputs}"
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            msg = f"the body is not JSON: {clip(error, 300)}"
        except RecursionError:
            msg = f"the body is nested deeper than {DEEPEST} levels: flatten it"
        raise BadInput(msg)

    def _refuse_odd_batch(self, envelope: msgspec.Struct, instances: Sequence[msgspec.Struct]) -> None:
        if not instances:
            msg = "instances is empty: send at least one"
            raise BadInput(msg)
        beside = [name for name, column in self._columns.items() if column(envelope) is not msgspec.UNSET]
        if beside:
            msg = f"the body has instances and, beside them, {quoted(beside)}: put every input into the instances"
            raise BadInput(msg)

    def _tensors(self, instances: Sequence[msgspec.Struct]) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = {}
        for name, column in self._columns.items():
            values = [column(instance) for instance in instances]
            if msgspec.UNSET in values:
                self._refuse_gaps(name, values)
            else:
                tensors[name] = _column(self._contract.inputs[name], values)
        return tensors

    def _refuse_gaps(self, name: str, values: Sequence[object]) -> None:
        """An input may be left out if it is optional, and then in every instance of the call."""
        gaps = [index for index, value in enumerate(values) if value is msgspec.UNSET]
        if name in self._contract.required:
            msg = f"input {name!r} is missing in instance {gaps[0]}: an instance needs {quoted(sorted(self._contract.required))}"
            raise BadInput(msg)
        if len(gaps) < len(values):
            msg = f"the optional input {name!r} is missing in instance {gaps[0]} but not in all: send those in separate requests"
            raise BadInput(msg)

    def rows(self, tensors: Mapping[str, Tensor]) -> list[dict[str, Any]]:
        """The answer's instances: for each row an object keyed by output names."""
        columns = [self._cells(name, tensors[name]) for name in self._contract.output_names]
        return [dict(zip(self._contract.output_names, cells, strict=True)) for cells in zip(*columns, strict=True)]

    def _cells(self, name: str, tensor: Tensor) -> list[Any]:
        contract = self._contract.outputs[name]
        if contract.element.width is None:
            tensor = _text(contract, tensor)
        labels = self._labels[name]
        cells: list[Any] = tensor.tolist()
        if labels is None:
            return cells
        if tensor.shape[-1] != len(labels):
            raise BadOutput(name, f"has {tensor.shape[-1]} scores for {len(labels)} labels")
        return [_labelled(cell, labels, tensor.ndim - 2) for cell in cells]


def _value_type(tensor: TensorContract) -> Any:  # noqa: ANN401 - a type built at run time
    return nested_list(tensor.element.scalar, tensor.rank - 1) | msgspec.UnsetType


def _phrase(tensor: TensorContract) -> str:
    shape = list(tensor.spec.shape[1:])
    return f"{tensor.spec.datatype} {shape}" if shape else str(tensor.spec.datatype)


def _column(contract: TensorContract, values: Sequence[Any]) -> Tensor:
    try:
        tensor = from_values(contract.element, values)
    except ValueError as error:
        msg = f"input {contract.name!r} {error}"
        raise BadInput(msg) from None
    contract.admit(tensor.shape)
    return tensor


def _text(contract: TensorContract, tensor: Tensor) -> Tensor:
    try:
        return as_text(tensor)
    except ValueError as error:
        raise BadOutput(contract.name, str(error)) from error


def _labelled(values: Any, labels: Sequence[str], depth: int) -> Any:  # noqa: ANN401 - nested lists
    if depth == 0:
        return dict(zip(labels, values, strict=True))
    return [_labelled(value, labels, depth - 1) for value in values]


def _labels_of(contract: Contract, tensor: TensorContract) -> tuple[str, ...] | None:
    if not tensor.spec.by_label:
        return None
    labels = contract.interface.labels
    if labels is None or tensor.rank == 1 or tensor.spec.shape[-1] not in {-1, len(labels.names)}:
        msg = f"output {tensor.name!r} is by_label: its last axis must be as long as interface.labels.names, and not the batch"
        raise LoadFailed(msg)
    return labels.names


# --- the author's own JSON Schema ---


def _validator(schema: dict[str, Any] | None) -> Validator | None:
    if schema is None:
        return None
    try:
        refuse_unusable(schema)
    except UnusableSchema as error:
        reason = f"interface.request: {error}: {error.hint}"
        raise LoadFailed(reason) from error
    return jsonschema.Draft202012Validator(schema)


def _validate(validator: Validator, body: bytes, *, is_batch: bool) -> None:
    document = _ANYTHING.decode(body)
    _refuse_depth(document)
    for index, instance in enumerate(document[BATCH_FIELD] if is_batch else [document]):
        error = next(iter(validator.iter_errors(instance)), None)
        if error is not None:
            where = f"instance {index}: {error.json_path}" if is_batch else error.json_path
            msg = f"the interface's request schema refuses {clip(where, 200)}: {clip(error.message, 200)}"
            raise BadInput(msg)


def _refuse_depth(document: object) -> None:
    level: list[Any] = [document]
    for _ in range(DEEPEST + 1):
        children = [tuple(node.values()) if type(node) is dict else node for node in level if type(node) in {dict, list}]
        level = [child for node in children for child in node]
        if not level:
            return
    msg = f"the body is nested deeper than {DEEPEST} levels: flatten it"
    raise BadInput(msg)
