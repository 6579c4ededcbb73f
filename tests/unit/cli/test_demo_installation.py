import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.cli.demo import installation as module
from serving.cli.demo.errors import ServeEnded, ServeHangs
from serving.cli.demo.installation import HOST, Installation, free_ports, fresh_installation, processes_of, signals_interrupt, signals_wait

OBEDIENT = "import signal, subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)\n"
OBEDIENT += "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT]); open(sys.argv[3] + '.ready', 'w').close()\n"
OBEDIENT += "signal.sigwait([signal.SIGINT]); child.communicate(b'go')\n"
STUBBORN = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); open(sys.argv[3] + '.ready', 'w').close(); signal.pause()\n"
BROKEN = "raise SystemExit('no state store today')\n"


@pytest.fixture
def started() -> Iterator[list[int]]:
    sessions: list[int] = []
    yield sessions
    for session in sessions:
        assert not processes_of(session), "a process was left"


def stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    program = folder / "pointsman"
    program.write_text(f"#!{sys.executable}\n{script}")
    program.chmod(0o700)
    monkeypatch.setattr(module, "PROGRAM", program)
    monkeypatch.setattr("tempfile.tempdir", str(folder))


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def ready(installation: Installation) -> None:
    wait_for(Path(f"{installation.data}.ready"))


def test_the_program_is_told_where_and_everything_is_gone_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[int]
) -> None:
    stand_in(monkeypatch, tmp_path, OBEDIENT)

    said: list[str] = []

    with fresh_installation(said.append, keep=False) as installation:
        started.append(installation.process.pid)
        ready(installation)
        assert not said
        assert len(processes_of(installation.process.pid)) == 2
        assert installation.folder.is_dir()

    assert not installation.folder.exists()
    assert installation.process.returncode == 0
    assert said == ["stopping"]


def test_what_goes_wrong_inside_stops_it_too_even_if_it_was_to_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[int]
) -> None:
    stand_in(monkeypatch, tmp_path, OBEDIENT)

    def interrupted() -> None:
        with fresh_installation(print, keep=True) as installation:
            started.append(installation.process.pid)
            ready(installation)
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert not list(tmp_path.glob("pointsman-demo-*"))


def test_it_is_kept_when_it_should_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[int]) -> None:
    stand_in(monkeypatch, tmp_path, OBEDIENT)

    with fresh_installation(print, keep=True) as installation:
        started.append(installation.process.pid)
        ready(installation)

    assert processes_of(installation.process.pid)
    assert installation.log.exists()
    installation.stop()


def test_one_that_does_not_stop_is_killed_and_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[int]) -> None:
    stand_in(monkeypatch, tmp_path, STUBBORN)
    monkeypatch.setattr(module, "STOP_S", 0.1)

    def used() -> None:
        with fresh_installation(print, keep=False) as installation:
            started.append(installation.process.pid)
            ready(installation)

    with pytest.raises(ServeHangs, match="did not stop"):
        used()

    assert not list(tmp_path.glob("pointsman-demo-*"))


def test_one_that_ends_by_itself_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, tmp_path, BROKEN)

    with pytest.raises(ServeEnded, match="no state store today"), fresh_installation(print, keep=False) as installation:
        installation.wait_until_up()

    [saved] = tmp_path.glob("pointsman-demo-*")
    assert "no state store today" in saved.read_text()


def test_the_usual_ports_are_taken_when_they_are_free_and_others_when_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken, socket.socket() as other:
        taken.bind((HOST, 0))
        other.bind((HOST, 0))
        usual = taken.getsockname()[1], other.getsockname()[1]
        monkeypatch.setattr(module, "USUAL_PORTS", usual)
        chosen = free_ports()
        assert len(set(chosen)) == 2
        assert not set(chosen) & set(usual)

    assert free_ports() == usual


def test_the_processes_of_a_session_are_found_and_dead_ones_are_none() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)

    assert list(processes_of(process.pid)) == [process.pid]

    process.communicate(b"go")
    assert not processes_of(process.pid)


def test_signals_interrupt_except_while_tidying_up() -> None:
    before, tidied = signal.getsignal(signal.SIGTERM), list[str]()

    def hung_up_on() -> None:
        with signals_interrupt():
            with signals_wait():
                os.kill(os.getpid(), signal.SIGHUP)
            tidied.append("up")
            os.kill(os.getpid(), signal.SIGHUP)

    with pytest.raises(KeyboardInterrupt):
        hung_up_on()

    assert tidied == ["up"]
    assert signal.getsignal(signal.SIGTERM) is before
