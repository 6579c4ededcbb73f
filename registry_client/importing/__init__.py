"""Models in the folders of other systems, as bundles of ours: what is ONNX already is taken over, all else is refused with its reason."""
