"""What an environment held when it was built, file by file, so that damage is found before its code runs."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from registry_client.decoding import from_json
from registry_client.files import measure
from serving.dataplane.environments.recipe import Recipe

NAME = "environment.json"


class Inventory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Kept in the environment's folder, for people too. `files`: sha256 by path; a link's target after an arrow."""

    python: str
    lock: str
    packages: tuple[str, ...]
    seconds: float
    """How long it took to build."""
    files: Mapping[str, str]


def files_of(folder: Path) -> dict[str, str]:
    """Every file of an environment but its inventory, with what it holds."""
    found: dict[str, str] = {}
    for place, folders, names in os.walk(folder):
        links = [name for name in folders if Path(place, name).is_symlink()]
        for name in (*names, *links):
            path = Path(place, name)
            found[str(path.relative_to(folder))] = f"-> {path.readlink()}" if path.is_symlink() else _sha256(path)
    found.pop(NAME, None)
    return found


def write_inventory(folder: Path, inventory: Inventory) -> None:
    """Leave it in the environment."""
    (folder / NAME).write_bytes(msgspec.json.format(msgspec.json.encode(inventory)) + b"\n")


def is_sound(folder: Path, recipe: Recipe) -> bool:
    """Whether an environment was built by this recipe, holds exactly what it held then, and its interpreter is there."""
    wanted = (recipe.python, recipe.lock, tuple(map(str, recipe.pins)))
    try:
        kept = from_json((folder / NAME).read_bytes(), Inventory)
        built = (kept.python, kept.lock, kept.packages)
        return built == wanted and (folder / "bin" / "python").exists() and files_of(folder) == kept.files
    except (OSError, msgspec.DecodeError):
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return measure(file).sha256
