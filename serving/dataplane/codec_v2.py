"""The Open Inference Protocol v2 body, JSON with or without binary tensors: a request becomes tensors, tensors become the answer.

JSON rules: a repeated key counts with its last value, members that the protocol does not know are ignored, numbers are never
coerced (no 1 for true, no 1.0 for an integer).
"""

import math
from collections.abc import Sequence

import msgspec

from serving.dataplane.contract import DYNAMIC, Contract, TensorContract, clip, quoted
from serving.dataplane.datatypes import Tensor
from serving.dataplane.faults import BadInput
from serving.dataplane.infer_answer import InferForm, InferWriter
from serving.dataplane.infer_request import (
    InferRequest,
    InputTensor,
    Parameters,
    RequestedOutput,
    binary_size,
    flag,
    parse_request,
    refuse_unsupported,
)
from serving.dataplane.tensors import from_json, from_wire
from serving.dataplane.work import Work
from serving.ports import NO_JSON_PART

_NO_PARAMETERS: Parameters = {}
_NONE: frozenset[str] = frozenset()


class InferCodec:
    """Both directions for one version."""

    def __init__(self, contract: Contract, *, model_name: str, model_version: str) -> None:
        self._contract = contract
        self._writer = InferWriter(contract, model_name=model_name, model_version=model_version)
        self._all_binary = frozenset(contract.output_names)
        self._has_json_form = all(tensor.has_json_form for tensor in contract.outputs.values())
        self._plain_form = InferForm(self._writer, None, contract.output_names, _NONE)

    def decode(self, body: bytes, json_length: int) -> Work:
        """Read a request. Raises `CallRefused`."""
        if json_length == 0:
            return self._decode_raw(body)
        document, tail = _parted(body, json_length)
        request = parse_request(document)
        tensors = self._contract.settle(self._tensors(request.inputs, tail))
        form = self._form(request)
        return Work(tensors, self._contract.rows(tensors), form.outputs, form, _distinguishing(request.parameters))

    # --- inputs ---

    def _tensors(self, inputs: Sequence[InputTensor], tail: memoryview) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = {}
        seen: set[str] = set()
        at = 0
        for given in inputs:
            size = binary_size(given) if given.parameters else None
            data = None if size is None else _slice(given, tail, at, size)
            at += size or 0
            if given.name in seen:
                msg = f"input {clip(given.name)!r} is given twice: give each input once"
                raise BadInput(msg)
            seen.add(given.name)
            tensor = self._contract.inputs.get(given.name)
            if tensor is not None:
                tensors[given.name] = _read(tensor, given, data)
            elif not self._contract.ignores_unknown:
                msg = f"input {clip(given.name)!r} is unknown: the interface has {quoted(self._contract.inputs)}"
                raise BadInput(msg)
        if at != len(tail):
            msg = f"{len(tail)} bytes follow the JSON part, the inputs' binary_data_size add up to {at}: they must be equal"
            raise BadInput(msg)
        return tensors

    def _decode_raw(self, body: bytes) -> Work:
        """A body without JSON: the one input of the interface, every unknown dimension told by the size."""
        if len(self._contract.inputs) != 1:
            msg = f"a raw body needs a version with one input, this one has {quoted(self._contract.inputs)}: send a JSON part"
            raise BadInput(msg)
        tensor = next(iter(self._contract.inputs.values()))
        view = memoryview(body)
        if tensor.element.width is None:
            view = memoryview(len(body).to_bytes(4, "little") + body)
        shape = _raw_shape(tensor, len(body))
        tensors = {tensor.name: _from_wire(tensor, view, shape)}
        form = InferForm(self._writer, None, self._contract.output_names, self._all_binary)
        return Work(self._contract.settle(tensors), self._contract.rows(tensors), form.outputs, form)

    # --- what is wanted ---

    def _form(self, request: InferRequest) -> InferForm:
        if not request.outputs and not request.parameters and self._has_json_form:
            return self._plain_form if request.id is None else InferForm(self._writer, request.id, self._contract.output_names, _NONE)
        default = flag(request.parameters, "binary_data_output", "the request")
        if not request.outputs:
            names, binary = self._contract.output_names, self._all_binary if default else _NONE
        else:
            names, binary = self._wanted(request.outputs, default=bool(default))
        for name in names:
            if name not in binary and not self._contract.outputs[name].has_json_form:
                datatype = self._contract.outputs[name].spec.datatype
                msg = f"output {name!r} is {datatype}, which has no JSON form: ask for it with the parameter binary_data"
                raise BadInput(msg)
        return InferForm(self._writer, request.id, names, binary)

    def _wanted(self, outputs: Sequence[RequestedOutput], *, default: bool) -> tuple[tuple[str, ...], frozenset[str]]:
        binary: dict[str, bool] = {}
        for output in outputs:
            if output.name not in self._contract.outputs:
                msg = f"output {clip(output.name)!r} is unknown: the interface has {quoted(self._contract.outputs)}"
                raise BadInput(msg)
            if output.name in binary:
                msg = f"output {output.name!r} is requested twice: request each output once"
                raise BadInput(msg)
            refuse_unsupported(output)
            own = flag(output.parameters, "binary_data", f"output {output.name!r}")
            binary[output.name] = default if own is None else own
        return tuple(binary), frozenset(name for name, wanted in binary.items() if wanted)


def _distinguishing(parameters: Parameters | None) -> tuple[tuple[str, str], ...]:
    """What tells the call apart from others: its parameters, but for how the answer is written."""
    if parameters is None:
        return ()
    return tuple(sorted((key, repr(value)) for key, value in parameters.items() if key != "binary_data_output"))


def _parted(body: bytes, json_length: int) -> tuple[bytes, memoryview]:
    if json_length == NO_JSON_PART:
        return body, memoryview(b"")
    if not 0 < json_length <= len(body):
        msg = (
            f"Inference-Header-Content-Length is {json_length}, but the (uncompressed) body has {len(body)} bytes: it counts the JSON part"
        )
        raise BadInput(msg)
    return body[:json_length], memoryview(body)[json_length:]


def _read(tensor: TensorContract, given: InputTensor, data: memoryview | None) -> Tensor:
    if given.datatype != tensor.spec.datatype:
        own = tensor.spec.datatype
        msg = f"input {tensor.name!r} has datatype {clip(given.datatype)!r}, the interface takes {own}: convert it, nothing is widened"
        raise BadInput(msg)
    tensor.admit(given.shape)
    if data is not None:
        if given.data is not msgspec.UNSET:
            msg = f"input {tensor.name!r} has both data and binary_data_size: give one of them"
            raise BadInput(msg)
        return _from_wire(tensor, data, given.shape)
    if given.data is msgspec.UNSET:
        msg = f"input {tensor.name!r} has neither data nor the parameter binary_data_size: give one of them"
        raise BadInput(msg)
    return _from_json(tensor, given.data, given.shape)


def _from_json(tensor: TensorContract, data: msgspec.Raw, shape: Sequence[int]) -> Tensor:
    if not tensor.has_json_form:
        msg = f"input {tensor.name!r} is {tensor.spec.datatype}, which has no JSON form: send it as a binary tensor"
        raise BadInput(msg)
    try:
        return from_json(tensor.element, data, shape)
    except msgspec.ValidationError as error:
        due = f"{list(tensor.spec.shape)} of {tensor.spec.datatype}"
        msg = f"input {tensor.name!r} data: {clip(error, 300)}, where {due} is due (flat or nested)"
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = f"input {tensor.name!r} data is not JSON: {clip(error, 300)}"
    except ValueError as error:
        msg = f"input {tensor.name!r} data {error}"
    except RecursionError:
        msg = f"input {tensor.name!r} data is nested far deeper than any tensor: send it flat"
    raise BadInput(msg)


def _from_wire(tensor: TensorContract, data: memoryview, shape: Sequence[int]) -> Tensor:
    try:
        return from_wire(tensor.element, data, shape)
    except ValueError as error:
        msg = f"input {tensor.name!r} binary data {error}"
        raise BadInput(msg) from None


def _slice(given: InputTensor, tail: memoryview, at: int, size: int) -> memoryview:
    if at + size > len(tail):
        msg = f"input {clip(given.name)!r}: binary_data_size is {clip(size)}, but only {len(tail) - at} bytes of the body are left for it"
        raise BadInput(msg)
    return tail[at : at + size]


def _raw_shape(tensor: TensorContract, size: int) -> list[int]:
    """The interface's shape with its one unknown dimension told by the number of bytes; a raw BYTES body is one element."""
    dims = tensor.spec.shape
    if tensor.element.width is None:
        shape = [abs(length) for length in dims]
        if math.prod(shape) == 1:
            return shape
    elif dims.count(DYNAMIC) <= 1:  # with several, all but one would be a guess
        row = tensor.element.width * math.prod(length for length in dims if length != DYNAMIC)
        if row and size % row == 0:
            return [size // row if length == DYNAMIC else length for length in dims]
    spec = f"{list(dims)} of {tensor.spec.datatype}"
    msg = f"a raw body of {size} bytes does not tell the shape of input {tensor.name!r}, {spec}: send a JSON part"
    raise BadInput(msg)
