"""Stock Ray Serve, as its documentation has one write it first: proxy, FastAPI ingress, deployment handle, model.

Defaults throughout but for one limit, which is raised in its favour (README): `python -m benchmarks.peers.ray_serve MODEL PORT [LIMIT]`.
"""

import os
import signal
import sys
from typing import Any

import fastapi
import numpy as np
import onnxruntime
import pydantic
import ray
from ray import serve
from ray.serve.handle import DeploymentHandle

api = fastapi.FastAPI()


class InputTensor(pydantic.BaseModel):
    """One tensor of a request."""

    name: str
    shape: list[int]
    datatype: str
    data: list[float]


class InferRequest(pydantic.BaseModel):
    """The v2 request."""

    inputs: list[InputTensor]
    id: str | None = None


@serve.deployment
class Model:
    """The model, in a replica of its own."""

    def __init__(self, path: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def infer(self, x: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Run the model."""
        return np.asarray(self._session.run(["y"], {"x": x})[0])


@serve.deployment
@serve.ingress(api)
class Ingress:
    """The HTTP side."""

    def __init__(self, model: DeploymentHandle) -> None:
        self._model = model

    @api.get("/v2/health/ready")
    async def ready(self) -> dict[str, bool]:
        """Tell that requests may come."""
        return {"ready": True}

    @api.post("/v2/models/tiny/infer")
    async def infer(self, request: InferRequest) -> dict[str, Any]:
        """Answer one v2 request."""
        given = request.inputs[0]
        x = np.array(given.data, np.float32).reshape(given.shape)
        y = await self._model.infer.remote(x)
        output = {"name": "y", "datatype": "FP32", "shape": list(y.shape), "data": y.ravel().tolist()}
        return {"model_name": "tiny", "model_version": "1.0.0", "outputs": [output]}


def main() -> None:
    model, port = sys.argv[1], int(sys.argv[2])
    limits = {"max_ongoing_requests": int(sys.argv[3])} if sys.argv[3:] else {}
    # Each of the two replicas asks for one core, which is the default.
    ray.init(address="local", include_dashboard=False, num_cpus=max(2, os.cpu_count() or 2))
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    # Any: type checkers see the classes, where the decorators have made deployments of them.
    front: Any = Ingress
    back: Any = Model
    serve.run(front.options(**limits).bind(back.options(**limits).bind(model)))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        while True:
            signal.pause()
    finally:
        serve.shutdown()
        ray.shutdown()


if __name__ == "__main__":
    main()
