"""Builds an environment with uv, one package at a time, so that progress can be told and a failure names its package.

Nothing of a package runs while it is installed: wheels only, no source is built. Every file is held against the lock's hashes.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from registry_client.locks import Pin
from serving.dataplane.environments.faults import EnvironmentFailed, Incomplete, NoSuchPython, PackageFailed
from serving.dataplane.environments.recipe import Recipe

Say = Callable[[str], None]
"""Is told how far a build has come, in a clause."""

PACKAGE_S = 600.0
"""For one package: a gigabyte over a slow line."""
COMPILE_S = 300.0

_INSTALL = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-cache", "--link-mode", "copy")
"""Without uv's cache, and copied: an environment shares no file with anything that somebody else may change."""
_CAUSES = re.compile(r"^\s*(error|cause|warning):\s*", re.MULTILINE)
_OWN = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds in `folder`, which must not be there. `held`: a file descriptor of a lock, which uv holds on to if this process dies."""

    folder: Path
    held: int

    @property
    def python(self) -> Path:
        """The interpreter of what was built."""
        return python_of(self.folder)

    def build(self, recipe: Recipe, say: Say) -> None:
        """Build it. Raises `EnvironmentFailed`."""
        say("building environment")
        self._venv(recipe.python)
        for at, pin in enumerate(recipe.pins, 1):
            place = f"{at} of {len(recipe.pins)} packages"
            say(f"building environment, {place} ({pin})")
            self._install(recipe, pin, place)
        self._check()
        say("building environment, compiling")
        self._compile()

    def _venv(self, python: str) -> None:
        # This server's own Python where it will do: it is there, and it is known to work.
        wanted = sys.executable if python == _OWN else python
        done = self._uv(PACKAGE_S, "venv", "--quiet", "--no-project", "--relocatable", "--python", wanted, str(self.folder))
        if done.returncode:
            raise NoSuchPython(python)

    def _install(self, recipe: Recipe, pin: Pin, place: str) -> None:
        wanted = self.folder / "requirement.txt"
        wanted.write_text(f"{pin.line}\n", "utf-8")
        source = () if recipe.wheels is None else ("--offline", "--no-index", "--find-links", str(recipe.wheels))
        done = self._uv(PACKAGE_S, "pip", "install", "--quiet", *_INSTALL, *source, "--python", str(self.python), "-r", str(wanted))
        wanted.unlink()
        if done.returncode:
            reason = _reason(done.stderr)
            raise PackageFailed(pin, place, reason if recipe.wheels is None else f"{reason} (only the bundle's own wheels are used)")

    def _check(self) -> None:
        done = self._uv(COMPILE_S, "pip", "check", "--python", str(self.python))
        if done.returncode:
            found = [line for line in done.stderr.splitlines() if line.startswith("The package")]
            raise Incomplete(_one_line("; ".join(found) or done.stderr))

    def _compile(self) -> None:
        # Files that are no Python 3 are left alone: some packages ship them as data.
        self._run(COMPILE_S, [str(self.python), "-I", "-m", "compileall", "-q", "-j", "0", str(self.folder / "lib")])

    def _uv(self, seconds: float, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self._run(seconds, [find_uv_bin(), *arguments, "--no-python-downloads", "--color", "never"])

    def _run(self, seconds: float, command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        try:
            return subprocess.run(  # noqa: S603 - uv and the environment's own interpreter
                command,
                cwd="/",  # uv takes settings from the project it stands in
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=seconds,
                pass_fds=(self.held,),
            )
        except subprocess.TimeoutExpired as error:
            reason = f"building the environment came to nothing within {seconds:g} s, at: {' '.join(command[1:3])}"
            raise EnvironmentFailed(reason) from error


def python_of(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / "bin" / "python"


def _reason(stderr: str) -> str:
    return _one_line(_CAUSES.sub("", stderr)) or "uv says nothing"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]
