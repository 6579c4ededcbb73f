"""Tells by its first bytes what a file is that is no ONNX graph, so that a refusal can name it and say what to do.

Nothing is opened, unpacked or decoded: names and a few bytes at fixed places are all that is read.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

HEAD: Final = 512
"""Bytes from the start of a file that tell what it is: tar has its mark at 257."""

_EXPORT: Final = "export the model to ONNX"
_UNPICKLE: Final = "export the model to ONNX: unpickling runs whatever code the file holds"
_UNPACK: Final = "put the files themselves into the bundle: archives are never unpacked"
_BUILD: Final = "native code is never loaded from a bundle: export the model to ONNX, or write a component"


@dataclass(frozen=True, slots=True)
class Format:
    """A format that is not ONNX. `is_code`: loading it would run what it holds, so it is refused whatever its role."""

    name: str
    hint: str
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class _Mark:
    at: int
    content: bytes
    format: Format


_PICKLE: Final = Format("a pickle (or a joblib, dill or torch file, which hold them)", _UNPICKLE, is_code=True)
_TORCH: Final = Format("a torch archive, which holds pickles", _UNPICKLE, is_code=True)
_HDF5: Final = Format("an HDF5 file, as Keras and PyTables write them", _EXPORT)
_ZIP: Final = Format("a zip archive (also .keras, .npz, .jar, .docx)", _UNPACK)
_MARKS: Final = (
    _Mark(0, b"\x89HDF\r\n\x1a\n", _HDF5),
    _Mark(0, b"PK\x03\x04", _ZIP),
    _Mark(0, b"PK\x05\x06", _ZIP),
    _Mark(0, b"\x1f\x8b", Format("a gzip file", _UNPACK)),
    _Mark(0, b"BZh", Format("a bzip2 file", _UNPACK)),
    _Mark(0, b"\xfd7zXZ\x00", Format("an xz file", _UNPACK)),
    _Mark(0, b"\x28\xb5\x2f\xfd", Format("a zstandard file", _UNPACK)),
    _Mark(0, b"\x04\x22\x4d\x18", Format("an lz4 file", _UNPACK)),
    _Mark(0, b"7z\xbc\xaf\x27\x1c", Format("a 7z archive", _UNPACK)),
    _Mark(0, b"Rar!\x1a\x07", Format("a rar archive", _UNPACK)),
    _Mark(257, b"ustar", Format("a tar archive", _UNPACK)),
    _Mark(0, b"\x93NUMPY", Format("a numpy array", _EXPORT)),
    _Mark(4, b"TFL3", Format("a TensorFlow Lite model", _EXPORT)),
    _Mark(0, b"GGUF", Format("a GGUF model", _EXPORT)),
    _Mark(0, b"ggml", Format("a GGML model", _EXPORT)),
    _Mark(0, b"PAR1", Format("a parquet file", _EXPORT)),
    _Mark(0, b"ARROW1", Format("an arrow file", _EXPORT)),
    _Mark(0, b"SQLite format 3\x00", Format("an SQLite database", _EXPORT)),
    _Mark(0, b"\x7fELF", Format("a native library or program (ELF)", _BUILD, is_code=True)),
    _Mark(0, b"MZ", Format("a native library or program (PE)", _BUILD, is_code=True)),
    _Mark(0, b"\xcf\xfa\xed\xfe", Format("a native library or program (Mach-O)", _BUILD, is_code=True)),
    _Mark(0, b"\xca\xfe\xba\xbe", Format("a native library or Java class", _BUILD, is_code=True)),
    _Mark(0, b"\x00asm", Format("a WebAssembly module", _BUILD, is_code=True)),
    _Mark(0, b"#!", Format("a script", _EXPORT)),
    _Mark(0, b"%PDF", Format("a PDF document", _EXPORT)),
    _Mark(0, b"\x89PNG", Format("a picture", _EXPORT)),
    _Mark(0, b"version https://git-lfs", Format("a Git LFS pointer, not the file it stands for", "fetch it: git lfs pull")),
    _Mark(0, b"tree\nversion=", Format("a LightGBM model", _EXPORT)),
    _Mark(0, b"<?xml", Format("an XML document, such as PMML or OpenVINO's", _EXPORT)),
    _Mark(0, b"CBM1", Format("a CatBoost model", _EXPORT)),
    _Mark(0, b"CoreML", Format("a Core ML model", _EXPORT)),
    _Mark(4, b"ORTM", Format("an ORT-format model", "publish the .onnx it was made from: what it computes can be read there")),
)
_SUFFIXES: Final = {
    **dict.fromkeys((".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle"), _PICKLE),
    **dict.fromkeys((".pt", ".pth", ".ckpt"), _TORCH),
    **dict.fromkeys((".so", ".dll", ".dylib", ".pyd"), Format("a native library", _BUILD, is_code=True)),
    **dict.fromkeys((".pyc", ".pyo"), Format("compiled Python, which nobody can read", "publish the source", is_code=True)),
    **dict.fromkeys((".h5", ".hdf5"), _HDF5),
    ".keras": Format("a Keras archive", _EXPORT),
    ".pb": Format("a TensorFlow graph", _EXPORT),
    ".safetensors": Format("a safetensors file: weights without a graph", _EXPORT),
}


def foreign_format(path: str, head: bytes) -> Format | None:
    """What a file is, by its name and its first bytes, if it is something known that is no ONNX graph."""
    by_name = _SUFFIXES.get(Path(path).suffix.lower())
    if by_name is not None:
        return by_name
    by_mark = next((mark.format for mark in _MARKS if head[mark.at : mark.at + len(mark.content)] == mark.content), None)
    if by_mark is None and head.lstrip()[:1] in {b"{", b"["}:
        return Format("a JSON document, such as XGBoost's", _EXPORT)
    return by_mark or (Format("a safetensors file: weights without a graph", _EXPORT) if head[8:10] == b'{"' else None)
