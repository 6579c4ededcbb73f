"""The process that a good engineer writes by hand: raw ASGI on uvicorn, msgspec, ONNX Runtime, nothing between them.

One process, one model, no versions, no isolation: `python -m benchmarks.peers.handwritten MODEL PORT`.
"""

import gc
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import uvicorn

# Any: the ASGI contract is a dictionary of mixed values.
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LARGEST_BODY = 8 << 20
INFER, READY = "/v2/models/tiny/infer", "/v2/health/ready"


class InputTensor(msgspec.Struct):
    """One tensor of a request."""

    name: str
    shape: list[int]
    datatype: str
    data: list[float]


class InferRequest(msgspec.Struct):
    """The v2 request, as far as this model needs it."""

    inputs: list[InputTensor]
    id: str | None = None


class OutputTensor(msgspec.Struct):
    """One tensor of a response."""

    name: str
    datatype: str
    shape: list[int]
    data: list[float]


class InferResponse(msgspec.Struct, omit_defaults=True):
    """The v2 response."""

    model_name: str
    model_version: str
    outputs: list[OutputTensor]
    id: str | None = None


class BadRequest(Exception):
    """The request does not fit the model; the sentence says where."""


class TinyModel:
    """Bytes of a v2 request in, bytes of a v2 response out."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._decode = msgspec.json.Decoder(InferRequest).decode
        self._encode = msgspec.json.Encoder().encode

    def infer(self, body: bytes) -> bytes:
        """Answer one request. Raises `BadRequest`."""
        try:
            request = self._decode(body)
        except msgspec.DecodeError as error:
            raise BadRequest(str(error)) from error
        x = _tensor(request)
        y = np.asarray(self._session.run(["y"], {"x": x})[0])
        output = OutputTensor("y", "FP32", list(y.shape), y.ravel().tolist())
        return self._encode(InferResponse("tiny", "1.0.0", [output], request.id))


def _tensor(request: InferRequest) -> np.ndarray[Any, np.dtype[np.float32]]:
    if len(request.inputs) != 1:
        reason = "inputs: exactly one tensor, x"
        raise BadRequest(reason)
    given = request.inputs[0]
    shape = given.shape
    if given.name != "x" or given.datatype != "FP32":
        reason = f"inputs[0]: x as FP32 expected, not {given.name} as {given.datatype}"
        raise BadRequest(reason)
    if len(shape) != 2 or shape[1] != 4 or shape[0] * 4 != len(given.data):  # noqa: PLR2004 - [-1, 4] is the interface
        reason = f"inputs[0].shape: [-1, 4] expected with as many values, not {shape} with {len(given.data)}"
        raise BadRequest(reason)
    return np.array(given.data, np.float32).reshape(shape)


class App:
    """The raw ASGI application."""

    def __init__(self, model: TinyModel) -> None:
        self._infer = model.infer

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"]
        if path == INFER and scope["method"] == "POST":
            status, body = self._answer(await _whole_body(receive))
        elif path == READY:
            status, body = 200, b'{"ready":true}'
        else:
            status, body = 404, b'{"error":"not found"}'
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, body: bytes | None) -> tuple[int, bytes]:
        if body is None:
            return 413, b'{"error":"the body is too large"}'
        try:
            return 200, self._infer(body)
        except BadRequest as error:
            return 400, msgspec.json.encode({"error": str(error)})


async def _whole_body(receive: Receive) -> bytes | None:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            return None
    return body


def main() -> None:
    model, port = Path(sys.argv[1]), int(sys.argv[2])
    config = uvicorn.Config(
        App(TinyModel(model)),
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
    )
    gc.freeze()
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
