"""The machine and the versions that the figures were measured on: without them no figure means anything."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

PACKAGES = ("pointsman", "ray", "onnxruntime", "uvicorn", "uvloop", "httptools", "msgspec", "fastapi", "pydantic", "numpy")


class Machine(msgspec.Struct, frozen=True):
    """What the benchmark ran on. `load_at_start`: processes that wanted a core before it began; well below `cores`, or do not trust it."""

    cores: int
    model_name: str
    memory_gib: float
    kernel: str
    python: str
    versions: dict[str, str]
    load_at_start: float
    date: str


def look_around() -> Machine:
    """The facts about this machine, now."""
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        model_name=model_name_in(Path("/proc/cpuinfo").read_text()),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        kernel=platform.release(),
        python=platform.python_version(),
        versions={package: found for package in PACKAGES if (found := _version_of(package))},
        load_at_start=round(os.getloadavg()[0], 2),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def model_name_in(cpuinfo: str) -> str:
    """The processor's name, where the kernel tells it."""
    names = (line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith("model name"))
    return next(names, platform.machine())


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
