"""The processes that carry requests: Ray Serve deployments, the link between them, ONNX Runtime."""
