"""Wheels made on the spot: pure ones of a few lines, and installed packages packed again, so that no index is needed."""

import base64
import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from importlib.metadata import distribution
from pathlib import Path


def pure_wheel(folder: Path, name: str, version: str, files: Mapping[str, str] | None = None, requires: Sequence[str] = ()) -> Path:
    """A wheel of Python files; without any, of one empty module."""
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    written = {
        **({f"{name}.py": ""} if files is None else files),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    contents = {path: text.encode() for path, text in written.items()}
    return _write(folder / f"{name}-{version}-py3-none-any.whl", info, contents)


def repacked(folder: Path, name: str) -> Path:
    """The wheel of a package that is installed here, by the list of its own files."""
    package = distribution(name)
    files = [file for file in package.files or () if ".." not in file.parts and "__pycache__" not in file.parts]
    info = next(file.parts[0] for file in files if file.parts[0].endswith(".dist-info"))
    contents = {str(file): Path(str(file.locate())).read_bytes() for file in files if file.name not in {"RECORD", "INSTALLER", "REQUESTED"}}
    tags = [line.removeprefix("Tag: ") for line in contents[f"{info}/WHEEL"].decode().splitlines() if line.startswith("Tag: ")]
    return _write(folder / f"{info.removesuffix('.dist-info')}-{tags[0]}.whl", info, contents)


def lock_of(*wheels: Path) -> str:
    """A lock that pins exactly these wheels."""
    return "".join(_pin(wheel) for wheel in wheels)


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _pin(wheel: Path) -> str:
    name, version = wheel.name.split("-")[:2]
    return f"{name}=={version} \\\n    --hash=sha256:{sha256_of(wheel)}\n"


def _write(path: Path, info: str, contents: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in contents.items()]
    record = "\n".join([*lines, f"{info}/RECORD,,", ""])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**contents, f"{info}/RECORD": record.encode()}.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # of 1980, so that equal files are equal wheels
    return path


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
