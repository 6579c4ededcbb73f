"""The processes that carry requests: Ray Serve deployments, the link between them, ONNX Runtime."""

import os

# ONNX Runtime (1.32) keeps an id of the machine in the home folder and reports its use to its maker, unless it is told not to before it is
# imported. Whose models are served, and when, is nobody else's business; component hosts inherit it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # noqa: TID251 - it is told so in no other way
