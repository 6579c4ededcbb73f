"""Processes that are born ready: one that has imported everything forks a child for each scene, so a crash costs milliseconds.

Run as a program it reads scenes from stdin, one JSON line each, and answers each with how its child ended.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
LONGEST_S = 100  # of a machine that is busy with other tests
FAILED = 70


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: its exit code, negative when a signal killed it, and what it said."""

    code: int
    said: str

    @property
    def is_killed(self) -> bool:
        """Whether it died as of kill -9."""
        return self.code == -signal.SIGKILL


class Nursery:
    """The parent of such processes, as a test has it."""

    def __init__(self, module: str) -> None:
        """Start it; the scenes are functions of a module that take and give JSON."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crashes.nursery", module], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def play(self, scene: Callable[..., object], **props: object) -> Ended:
        """Have a child play a scene to its end, or to the child's."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"scene": scene.__name__, "props": props}), file=self._process.stdin, flush=True)
        return Ended(**json.loads(self._process.stdout.readline()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=LONGEST_S)


def main() -> None:
    """Fork a child for each line of stdin."""
    scenes = importlib.import_module(sys.argv[1])
    for line in sys.stdin:
        asked = json.loads(line)
        sys.stdout.write(json.dumps(_forked(getattr(scenes, asked["scene"]), asked["props"])) + "\n")
        sys.stdout.flush()


def _forked(scene: Callable[..., object], props: dict[str, Any]) -> dict[str, object]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # it is for how children ended, not for what they log
        os._exit(_play(scene, props, writing))
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    return {"code": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), "said": said}


def _play(scene: Callable[..., object], props: dict[str, Any], writing: int) -> int:
    signal.alarm(LONGEST_S)
    with os.fdopen(writing, "w") as pipe:
        try:
            pipe.write(json.dumps(scene(**props)))
        except BaseException:  # noqa: BLE001 - the end of the process, which must say why
            pipe.write(traceback.format_exc())
            return FAILED
    return 0


if __name__ == "__main__":
    main()
