"""Writes Open Inference Protocol v2 answers, JSON or binary for each output as its caller wants it."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from registry_client.manifest import TensorSpec
from serving.dataplane.contract import Contract, TensorContract
from serving.dataplane.datatypes import Tensor
from serving.dataplane.faults import BadOutput
from serving.dataplane.tensors import as_text, to_wire
from serving.ports import Reply

_ENCODE = msgspec.json.Encoder().encode


@dataclass(slots=True)
class InferForm:
    """How one caller wants the answer written: its id, the outputs in its order, which of them in binary."""

    writer: "InferWriter"
    id: str | None
    outputs: tuple[str, ...]
    binary: frozenset[str]

    def encode(self, tensors: Mapping[str, Tensor]) -> Reply:
        """Write the answer."""
        return self.writer.encode(self, tensors)


class InferWriter:
    """The answers of one version: what does not change from one to the next is written once."""

    def __init__(self, contract: Contract, *, model_name: str, model_version: str) -> None:
        self._outputs = contract.outputs
        self._head = b'{"model_name":' + _ENCODE(model_name) + b',"model_version":' + _ENCODE(model_version)
        self._leads = {name: _lead(tensor.spec) for name, tensor in contract.outputs.items()}

    def encode(self, form: InferForm, tensors: Mapping[str, Tensor]) -> Reply:
        """Write an answer as its caller wants it. `tensors` are verified."""
        outputs: list[bytes] = []
        tails: list[bytes] = []
        for name in form.outputs:
            tensor = tensors[name]
            lead = self._leads[name] + _ENCODE(tensor.shape)
            if name in form.binary:
                tails.append(_binary(self._outputs[name], tensor))
                outputs.append(lead + b',"parameters":{"binary_data_size":%d}}' % len(tails[-1]))
            else:
                outputs.append(lead + _json_data(self._outputs[name], tensor))
        head = self._head if form.id is None else self._head + b',"id":' + _ENCODE(form.id)
        document = head + b',"outputs":[' + b",".join(outputs) + b"]}"
        if not tails:
            return Reply(200, document)
        return Reply(200, b"".join((document, *tails)), len(document))


def _lead(spec: TensorSpec) -> bytes:
    return b'{"name":' + _ENCODE(spec.name) + b',"datatype":"' + spec.datatype.value.encode() + b'","shape":'


def _json_data(contract: TensorContract, tensor: Tensor) -> bytes:
    if contract.element.width is None:
        return b',"data":' + _ENCODE(_text(contract, tensor).ravel().tolist()) + b"}"
    data = _ENCODE(tensor.ravel().tolist())
    # JSON has no NaN and no infinities: msgspec writes null, which nothing else in a list of numbers is
    if contract.element.is_float and b"null" in data:
        return b',"parameters":{"non_finite":true},"data":' + data + b"}"
    return b',"data":' + data + b"}"


def _text(contract: TensorContract, tensor: Tensor) -> Tensor:
    try:
        return as_text(tensor)
    except ValueError as error:
        raise BadOutput(contract.name, str(error)) from error


def _binary(contract: TensorContract, tensor: Tensor) -> bytes:
    try:
        return to_wire(contract.element, tensor)
    except ValueError as error:
        raise BadOutput(contract.name, str(error)) from error
