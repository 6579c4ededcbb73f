"""How long a thread waited for a core, from the kernel that runs these tests."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serving.dataplane.core_waits import CoreWaits

BUSY_S = 0.6
ENOUGH_S = 30

needs_statistics = pytest.mark.skipif(CoreWaits()() is None, reason="this kernel does not count")


def busy(seconds: float) -> None:
    """Keep a core busy for so long, on the wall."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


@needs_statistics
def test_of_two_processes_on_one_core_each_waits_about_half_of_the_time() -> None:
    cores = os.sched_getaffinity(0)
    with subprocess.Popen(
        [sys.executable, "-c", f"import time\nuntil = time.monotonic() + {ENOUGH_S}\nwhile time.monotonic() < until: pass"]
    ) as other:
        try:
            os.sched_setaffinity(other.pid, {min(cores)})
            os.sched_setaffinity(0, {min(cores)})
            waits = CoreWaits()
            before, began = waits(), time.monotonic()
            busy(BUSY_S)
            after, elapsed = waits(), time.monotonic() - began
        finally:
            os.sched_setaffinity(0, cores)
            other.kill()

    assert before is not None
    assert after is not None
    assert after - before > 0.25 * elapsed


@needs_statistics
def test_one_that_sleeps_waits_for_nothing() -> None:
    waits = CoreWaits()
    before = waits()

    time.sleep(0.2)  # what is looked at

    after = waits()
    assert before is not None
    assert after is not None
    assert after - before < 0.1


@pytest.mark.parametrize("content", ["", "1", "1 x 3"])
def test_where_the_kernel_does_not_tell_nothing_is_known(tmp_path: Path, content: str) -> None:
    file = tmp_path / "schedstat"
    file.write_text(content)

    assert CoreWaits(str(file))() is None
    assert CoreWaits(str(tmp_path / "none"))() is None
