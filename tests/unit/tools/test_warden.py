import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.processes import is_running
from tests.e2e.waiting import wait_for

RUN = """
import pathlib, subprocess, sys
from tests.tools.warden import warden
folder = pathlib.Path(sys.argv[1])
sleep = [sys.executable, "-c", "input()"]
pipe = {"stdin": subprocess.PIPE}
session = subprocess.Popen(sleep, start_new_session=True, **pipe)
named = subprocess.Popen([*sleep, str(folder)], **pipe)
other = subprocess.Popen(["sleep", "60"], start_new_session=True)
warden().watch(folder, session=session.pid)
warden().watch(folder / "over", session=other.pid)
warden().forget(folder / "over")
print(session.pid, named.pid, other.pid, flush=True)
input()
"""


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_what_is_watched_ends_with_the_run_that_started_it_however_that_ends(tmp_path: Path, by: signal.Signals) -> None:
    # given
    folder = tmp_path / "run"
    folder.mkdir()
    command = [sys.executable, "-c", RUN, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        session, named, other = map(int, run.stdout.readline().split())

        # when
        run.send_signal(by)
        run.wait(10)

    # then
    wait_for(lambda: not is_running(session) and not is_running(named), "what was watched has ended", seconds=10.0)
    wait_for(lambda: not folder.exists(), "its folder is gone", seconds=10.0)
    assert is_running(other)
    os.kill(other, signal.SIGKILL)
