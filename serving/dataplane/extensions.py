"""The operators of onnxruntime-extensions, tokenizers among them: an optional library, loaded for the graphs that ask for it."""

from typing import Any, Final

from serving.dataplane.faults import LoadFailed

EXTENSIONS: Final = "ai.onnx.contrib"
"""The domain of its operators."""


def register_extensions(options: Any, *, label: str) -> None:  # noqa: ANN401 - onnxruntime has no types
    """Let a session know its operators. Raises `LoadFailed` where the library is not installed."""
    try:
        from onnxruntime_extensions import get_library_path  # noqa: PLC0415 - an extra, and most versions do without
    except ImportError as error:
        reason = f"{label} asks for operators of {EXTENSIONS}, and this server lacks onnxruntime-extensions: install pointsman[tokenizers]"
        raise LoadFailed(reason) from error
    options.register_custom_ops_library(get_library_path())
