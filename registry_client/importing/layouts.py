"""The folders that other systems keep models in, each recognised by a file of its own: what of them a bundle can take over.

A folder is only read. What is no ONNX graph is refused with what it is, and what can be done about it.
"""

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import msgspec

from registry_client.decoding import from_json
from registry_client.errors import InvalidBundle
from registry_client.files import read_regular
from registry_client.importing import pbtxt
from registry_client.strict_yaml import LARGEST, UnreadableYaml, read_yaml

MLMODEL: Final = "MLmodel"
TRITON: Final = "config.pbtxt"
SAVED_MODEL: Final = "saved_model.pb"

_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_ONNX_PLATFORM: Final = "onnxruntime_onnx"
_ONNX_BACKEND: Final = "onnxruntime"

_EXPORTS: Final[Mapping[str, str]] = {
    "sklearn": "export it with skl2onnx, and log it with mlflow.onnx",
    "xgboost": "export it with onnxmltools, and log it with mlflow.onnx",
    "lightgbm": "export it with onnxmltools, and log it with mlflow.onnx",
    "pytorch": "export it with torch.onnx.export, and log it with mlflow.onnx",
    "tensorflow": "export it with tf2onnx, and log it with mlflow.onnx",
    "keras": "export it with tf2onnx, and log it with mlflow.onnx",
    "python_function": "export the model to ONNX: a pyfunc is a pickle, and unpickling runs whatever code it holds",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A model in somebody else's folder."""

    layout: str
    """What kind of folder it is, for people."""
    model: str
    """The graph, from the folder."""
    names: frozenset[str] = frozenset()
    """The tensors that the folder says it has; none where it says nothing."""
    labels: tuple[str, ...] = ()
    largest_batch: int | None = None
    origin: str = ""
    """What it was there: a name, a number, a run."""
    run: str | None = None


def find_model(directory: Path, number: int | None = None) -> Found:
    """Recognise a folder and what is in it. `number`: which version of several; left out, the highest.

    Raises `InvalidBundle` for a folder of no known kind, and for a model that is no ONNX graph.
    """
    for name, read in _READERS.items():
        if (directory / name).is_file():
            return read(directory, number)
    if _numbers(directory):
        return _numbered(directory, number)
    hint = "it reads an MLmodel folder, a model of a Triton repository (config.pbtxt), and numbered folders as TensorFlow Serving has them"
    raise InvalidBundle(str(directory), "it is no folder that pointsman knows", hint)


# --- MLflow ---------------------------------------------------------------------------------------------------------


def _mlmodel(directory: Path, number: int | None) -> Found:
    if number is not None:
        raise InvalidBundle(MLMODEL, "such a folder holds one model, and no numbers")
    try:
        document = _mapping(read_yaml(read_regular(directory, MLMODEL, most=LARGEST)))
    except UnreadableYaml as error:
        raise InvalidBundle(MLMODEL, str(error)) from error
    flavors = _mapping(document.get("flavors"))
    if "onnx" not in flavors:
        known = next((flavor for flavor in _EXPORTS if flavor in flavors), "python_function")
        raise InvalidBundle(MLMODEL, f"its flavours are {', '.join(flavors) or 'none'}, and none is onnx", _EXPORTS[known])
    model = _mapping(flavors["onnx"]).get("data")
    if not isinstance(model, str) or not model.endswith(".onnx"):
        raise InvalidBundle(MLMODEL, "its onnx flavour names no .onnx file as `data`")
    run = document.get("run_id")
    run = run if isinstance(run, str) else None
    return Found("MLmodel", model, _signed(document), origin=f"run {run}" if run else "", run=run)


def _signed(document: Mapping[str, object]) -> frozenset[str]:
    """The tensors that the signature names; columns are left out, which MLflow joins to tensors by itself."""
    signature = _mapping(document.get("signature"))
    return frozenset(name for side in ("inputs", "outputs") for name in _names(signature.get(side)))


def _names(written: object) -> list[str]:
    try:
        listed = from_json(written if isinstance(written, str) else "[]", list[_Signed])
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidBundle(field=f"{MLMODEL}: signature", reason=f"it cannot be read: {error}") from error
    return [each.name for each in listed if each.type == "tensor" and each.name is not None]


class _Signed(msgspec.Struct, frozen=True):
    type: str = ""
    name: str | None = None


# --- Triton ---------------------------------------------------------------------------------------------------------


def _triton(directory: Path, number: int | None) -> Found:
    config = pbtxt.parse_pbtxt(read_regular(directory, TRITON, most=pbtxt.LARGEST), TRITON)
    platform, backend = _one(config, "platform"), _one(config, "backend")
    if platform != _ONNX_PLATFORM and backend != _ONNX_BACKEND:
        said = platform or backend or "none"
        raise InvalidBundle(TRITON, f"its platform is {said}, not {_ONNX_PLATFORM}", "export the model to ONNX")
    chosen = _choose(directory, number)
    tensors = [*pbtxt.messages(config, "input"), *pbtxt.messages(config, "output")]
    batch = _one(config, "max_batch_size")
    return Found(
        layout="Triton",
        model=posixpath.join(str(chosen), _one(config, "default_model_filename") or "model.onnx"),
        names=frozenset(name for tensor in tensors if (name := _one(tensor, "name"))),
        labels=_labels(directory, tensors),
        largest_batch=int(batch) if batch.isdecimal() and int(batch) else None,
        origin=f"{_one(config, 'name') or directory.name} {chosen}",
    )


def _labels(directory: Path, tensors: list[pbtxt.Message]) -> tuple[str, ...]:
    files = sorted({name for tensor in tensors for name in pbtxt.texts(tensor, "label_filename")})
    if len(files) != 1:
        return ()
    lines = read_regular(directory, files[0], most=pbtxt.LARGEST).decode("utf-8", "replace").splitlines()
    return tuple(line.strip() for line in lines if line.strip())


def _one(message: pbtxt.Message, field: str) -> str:
    return next(iter(pbtxt.texts(message, field)[-1:]), "")


# --- TensorFlow Serving ---------------------------------------------------------------------------------------------


def _numbered(directory: Path, number: int | None) -> Found:
    chosen = _choose(directory, number)
    folder = directory / str(chosen)
    if (folder / SAVED_MODEL).is_file():
        return _saved_model(folder, None)
    graphs = sorted(path.name for path in folder.iterdir() if path.suffix == ".onnx")
    if len(graphs) != 1:
        raise InvalidBundle(str(chosen), f"it holds {len(graphs)} .onnx files, and not one", "export the model to ONNX")
    return Found("numbered folders", f"{chosen}/{graphs[0]}", origin=f"{directory.name} {chosen}")


def _saved_model(directory: Path, number: int | None) -> Found:
    del number
    hint = f"export it: python -m tf2onnx.convert --saved-model {directory} --output model.onnx"
    raise InvalidBundle(field=f"{directory.name}/{SAVED_MODEL}", reason="it is a TensorFlow SavedModel, which is never loaded", hint=hint)


def _choose(directory: Path, number: int | None) -> int:
    numbers = _numbers(directory)
    if not numbers:
        raise InvalidBundle(str(directory), "it holds no numbered folder with a version")
    if number is not None and number not in numbers:
        raise InvalidBundle(str(directory), f"it has no version {number}", f"there are {', '.join(map(str, sorted(numbers)))}")
    return max(numbers) if number is None else number


def _numbers(directory: Path) -> set[int]:
    return {int(path.name) for path in directory.iterdir() if path.is_dir() and _NUMBER.fullmatch(path.name)}


def _mapping(found: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", found) if isinstance(found, dict) else {}


_READERS: Final[Mapping[str, Callable[[Path, int | None], Found]]] = {MLMODEL: _mlmodel, TRITON: _triton, SAVED_MODEL: _saved_model}
