"""Pipeline components, by kind: declarative steps, an ONNX graph, or a Python module of the bundle."""
