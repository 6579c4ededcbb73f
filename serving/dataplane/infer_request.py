"""The JSON part of an Open Inference Protocol v2 request, as typed values; tensors are still unread JSON here.

A repeated key counts with its last value, and members that the protocol does not know are ignored.
"""

from typing import Annotated

import msgspec

from serving.dataplane.contract import clip
from serving.dataplane.faults import BadInput, NotSupported

Parameters = dict[str, bool | int | float | str | None]
HIGHEST_RANK = 8
_NOTHING: Parameters = {}


class InputTensor(msgspec.Struct):
    """One input as it stands in the JSON; `data` is read once the interface has said what it is."""

    name: str
    shape: Annotated[list[Annotated[int, msgspec.Meta(ge=0)]], msgspec.Meta(max_length=HIGHEST_RANK)]
    datatype: str
    parameters: Parameters | None = None
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class RequestedOutput(msgspec.Struct):
    """One output that the caller wants."""

    name: str
    parameters: Parameters | None = None


class InferRequest(msgspec.Struct):
    """The JSON part of a request."""

    inputs: Annotated[list[InputTensor], msgspec.Meta(min_length=1)]
    id: str | None = None
    parameters: Parameters | None = None
    outputs: list[RequestedOutput] | None = None


_DECODER = msgspec.json.Decoder(InferRequest)


def parse_request(document: bytes) -> InferRequest:
    """Read it. Raises `BadInput`."""
    try:
        return _DECODER.decode(document)
    except msgspec.ValidationError as error:
        msg = f"the request does not follow the Open Inference Protocol: {clip(error, 300)}"
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = f"the body is not JSON: {clip(error, 300)}"
    except RecursionError:
        msg = "the body is nested far deeper than any tensor: send flat data"
    raise BadInput(msg)


def binary_size(given: InputTensor) -> int | None:
    """The `binary_data_size` of an input, None where its data is JSON. Raises `CallRefused`."""
    parameters = given.parameters or _NOTHING
    if "shared_memory_region" in parameters:
        msg = f"input {clip(given.name)!r}: shared memory is not supported, send the data in the body"
        raise NotSupported(msg)
    size = parameters.get("binary_data_size")
    if size is None:
        return None
    if type(size) is not int or size < 0:  # a bool is an int to isinstance
        msg = f"input {clip(given.name)!r}: binary_data_size must be a whole number of bytes, not {clip(size)}"
        raise BadInput(msg)
    return size


def flag(parameters: Parameters | None, key: str, whose: str) -> bool | None:
    """A parameter that is true, false or absent. Raises `BadInput`."""
    value = (parameters or _NOTHING).get(key)
    if value is not None and not isinstance(value, bool):
        msg = f"{whose}: the parameter {key} must be true or false, not {clip(value)}"
        raise BadInput(msg)
    return value


def refuse_unsupported(output: RequestedOutput) -> None:
    """Raise `NotSupported` where an output is wanted in a way that this server does not have."""
    parameters = output.parameters or _NOTHING
    if "classification" in parameters:
        msg = f"output {output.name!r}: the classification extension is not supported, ask for the output itself and sort its scores"
        raise NotSupported(msg)
    if "shared_memory_region" in parameters:
        msg = f"output {output.name!r}: shared memory is not supported, ask for binary_data"
        raise NotSupported(msg)
